"""skorch callbacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.nn.utils import clip_grad_norm_

from .progress import Progress

__all__ = ["Advancing", "Annealing", "Clipping", "Divergence", "EpochProgress", "Thawing"]


class EpochProgress(Callback):
    """Tell a bar of every epoch and its losses.

    Parameters
    ----------
    progress : Progress
        Where to tell it.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.progress.begin(net.max_epochs)

    def on_epoch_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.progress.advance(net.history[-1])

    def on_train_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.progress.end()


class Clipping(Callback):
    """Clip the norm of all gradients together.

    As skorch's ``GradientNormClipping``, but for the weights, which are listed once.

    Parameters
    ----------
    max_norm : float
        Norm that gradients are clipped to.
    """

    def __init__(self, max_norm: float) -> None:
        self.max_norm = max_norm

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.weights_ = [weight for _, weight in net.get_all_learnable_params()]

    def on_grad_computed(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        clip_grad_norm_(self.weights_, self.max_norm)


class Divergence(Callback):
    """End a training whose loss is no number any more."""

    def on_epoch_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        last = net.history[-1]
        for name in ("train_loss", "valid_loss"):
            if not math.isfinite(last.get(name, 0.0)):
                raise ValueError(
                    f"training diverged: {name} is {last[name]} in epoch {last['epoch']}; use "
                    f"a smaller lr than {net.lr}, and look for extreme values in X and y"
                )


class Annealing(Callback):
    """Tell a network that has an ``anneal(progress)`` how much of its training is done.

    Parameters
    ----------
    n_epochs : int or None
        Epochs of this training; None where there is no end to run towards.
    """

    def __init__(self, n_epochs: int | None) -> None:
        self.n_epochs = n_epochs

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.before_ = len(net.history)

    def on_epoch_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        done = len(net.history) - 1 - self.before_
        net.module_.anneal(1.0 if self.n_epochs is None else done / self.n_epochs)


class Advancing(Callback):
    """Tell a network that has an ``advance()`` of every batch that it has learned from."""

    def on_batch_end(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        if training:
            net.module_.advance()


class Thawing(Callback):
    """Keep parameters as they are until their epoch has come.

    They have no gradient until then, so that neither the loss nor weight decay moves them.
    Epochs count from the first one of the net, those before a continued fit included. When
    a training ends, all parameters can be trained again.

    Parameters
    ----------
    epochs : sequence of (str, float)
        Patterns of the parameters' names, as :mod:`fnmatch` reads them, of which the first
        one that fits counts; and for how many epochs these are kept, ``math.inf`` for all.
    """

    def __init__(self, epochs: Sequence[tuple[str, float]]) -> None:
        self.epochs = epochs

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.waiting_ = [
            (self._kept_for(name), weight)
            for name, weight in net.module_.named_parameters() if weight.requires_grad
        ]  # fmt: skip
        for _, weight in self.waiting_:
            weight.requires_grad, weight.grad = False, None
        self._thaw(len(net.history))

    def on_epoch_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self._thaw(len(net.history) - 1)

    def on_train_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self._thaw(math.inf)

    def _thaw(self, n_epochs: float) -> None:
        """Let go of what has waited for so many epochs; each once, as others may freeze it."""
        for epochs, weight in self.waiting_:
            if epochs <= n_epochs:
                weight.requires_grad = True
        self.waiting_ = [one for one in self.waiting_ if one[0] > n_epochs]

    def _kept_for(self, name: str) -> float:
        return next((n for pattern, n in self.epochs if fnmatchcase(name, pattern)), 0)

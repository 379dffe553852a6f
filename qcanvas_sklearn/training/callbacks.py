"""skorch callbacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm

__all__ = ["Annealing", "Divergence", "EpochProgress", "Thawing"]


class EpochProgress(Callback):
    """One progress bar over the epochs, with the losses behind it."""

    def on_train_begin(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.bar_ = tqdm(total=net.max_epochs, unit="epoch", desc="training", leave=True)

    def on_epoch_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        last = net.history[-1]
        losses = {k: f"{last[k]:.4f}" for k in ("train_loss", "valid_loss") if k in last}
        self.bar_.set_postfix(losses)
        self.bar_.update()

    def on_train_end(self, net: NeuralNet, *args: Any, **kwargs: Any) -> None:
        self.bar_.close()
        del self.bar_


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

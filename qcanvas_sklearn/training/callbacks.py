"""skorch callbacks."""

from __future__ import annotations

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback

from .progress import Progress

__all__ = ["Annealing", "Divergence", "EpochProgress"]


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

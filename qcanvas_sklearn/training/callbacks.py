"""skorch callbacks."""

from __future__ import annotations

import math
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm

__all__ = ["Divergence", "EpochProgress"]


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

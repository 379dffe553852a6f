"""skorch callbacks."""

from __future__ import annotations

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from tqdm.auto import tqdm

__all__ = ["EpochProgress"]


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

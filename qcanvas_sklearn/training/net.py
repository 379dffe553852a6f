"""skorch's net without what it does anew for every batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor

__all__ = ["Net"]


class Net(NeuralNet):
    """A `skorch.NeuralNet` whose batches cost little beside what the network computes.

    Small networks on small batches take milliseconds a step, of which looking through all
    modules and waiting for the device to tell a loss would be a good part.
    """

    def _set_training(self, training: bool = True) -> None:
        if self.module_.training != training or self.criterion_.training != training:
            super()._set_training(training)

    @property
    def _reads_late(self) -> bool:
        """Whether losses are read when all batches are done, not one by one: reading one
        waits until the device has computed it.
        """
        return torch.device(self.device).type == "cuda"

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., Any],
        **fit_params: Any,
    ) -> None:  # fmt: skip
        """Go through all batches once; on CUDA their losses are read behind the last one."""
        if iterator is None or not self._reads_late:
            super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        losses: list[Tensor] = []
        first = len(self.history[-1]["batches"])
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch, **fit_params)
            losses.append(step["loss"].detach())
            self.history.record_batch(f"{prefix}_batch_size", len(batch))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        values = torch.stack(losses).tolist()
        for row, value in zip(self.history[-1]["batches"][first:], values, strict=True):
            row[f"{prefix}_loss"] = value
        self.history.record(f"{prefix}_batch_count", len(losses))

"""Training on CUDA by graphs: a step is recorded once, and every further one is a replay.

The networks of pairs are small: a step is hundreds of operations of microseconds, and Python
takes longer to ask for them than the device for computing them.

A recording holds operations and where their numbers lie. A network can be trained by it if
its passes over as many rows do the same operations, and none of them waits for the device or
copies from the host. What may differ from step to step:

- numbers in its tensors, which callbacks write between the epochs;
- which of its parameters have gradients, as callbacks decide between the epochs;
- the kind of the pass, where the network has a method ``phase()``. It returns something
  hashable, each kind is recorded once, and nothing but ``advance()``, which is called after
  every batch that was learned from, may change it.

A network that keeps to it with some inputs alone says so by ``is_static(names)``.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from .data import TensorBatches, TensorTable

__all__ = ["can_be_captured", "fit_captured"]

#: Passes before recording, in which libraries set up what they may not while it lasts.
_WARM_UP = 2
#: What skorch tells callbacks within an epoch, where a replay has nothing to tell.
_WITHIN_EPOCH = ("on_batch_begin", "on_batch_end", "on_grad_computed")


def can_be_captured(net: NeuralNet, table: TensorTable, of_user: Iterable[Callback]) -> bool:
    """Whether all steps of a training do the same operations on memory of the same size.

    Parameters
    ----------
    net : NeuralNet
        A net whose callbacks are initialised.
    table : TensorTable
        What it learns from.
    of_user : iterable of Callback
        Callbacks that a user gave. Only those of skorch that listen to epochs are known to
        change nothing that a recorded step would not see.
    """
    return (
        table.device.type == "cuda"
        and table.rows.uniform
        and _is_static(net, table)
        and all(map(_listens_to_epochs, of_user))
    )


def _is_static(net: NeuralNet, table: TensorTable) -> bool:
    """Whether the network does the same operations on all rows of a table."""
    says = getattr(net.module_, "is_static", None)
    if says is None:
        return True
    inputs = table[torch.zeros(1, dtype=torch.int64, device=table.device)].inputs
    return bool(says(inputs.keys()))


def _listens_to_epochs(callback: Callback) -> bool:
    kind = type(callback)
    return kind.__module__.startswith("skorch.") and all(
        getattr(kind, name) is getattr(Callback, name) for name in _WITHIN_EPOCH
    )


def fit_captured(net: NeuralNet, table: TensorTable, valid: TensorTable | None) -> None:
    """As ``net.fit_loop``, with the same numbers up to round-off, by replays.

    The losses of the batches are read once an epoch, so that the device never waits. A
    network that does what cannot be recorded is trained by ``net.fit_loop``, with a warning.
    Validation rows whose passes differ are asked for one operation at a time.

    Parameters
    ----------
    net : NeuralNet
        A net whose callbacks are initialised, on the device of the rows.
    table, valid : TensorTable
        Training rows; and validation rows or None.
    """
    parts = [("train", _Steps(net, table, training=True))]
    if valid is not None:
        parts.append(("valid", _Steps(net, valid, training=False)))
    told = {"dataset_train": table, "dataset_valid": valid}
    try:
        if not all(steps.prepare() for _, steps in parts):
            net.fit_loop(table)
            return
        for _ in range(net.max_epochs):
            net.notify("on_epoch_begin", **told)
            for prefix, steps in parts:
                _run_epoch(net, steps, prefix)
            net.notify("on_epoch_end", **told)
    finally:
        # Gradients lie in the memory of the recordings.
        net.optimizer_.zero_grad(set_to_none=True)


def _run_epoch(net: NeuralNet, steps: _Steps, prefix: str) -> None:
    """One pass over the rows, in skorch's history as its own loop would have it."""
    steps.renew()
    sizes, losses = [], []
    for index in TensorBatches(steps.table, net.batch_size, steps.training).indices():
        net.notify("on_batch_begin", batch=index, training=steps.training)
        losses.append(steps(index))
        sizes.append(len(index))
        net.notify("on_batch_end", batch=index, training=steps.training)
    batches = net.history[-1]["batches"][-len(losses) :]
    for batch, loss, size in zip(batches, torch.stack(losses).tolist(), sizes, strict=True):
        batch[f"{prefix}_loss"], batch[f"{prefix}_batch_size"] = loss, size
    net.history.record(f"{prefix}_batch_count", len(losses))


@dataclass
class _Recorded:
    """A pass over some rows, which are those that `index` holds when it is replayed."""

    graph: torch.cuda.CUDAGraph
    index: Tensor
    loss: Tensor
    gradients: list[Tensor | None]


class _Steps:
    """Passes of a net over rows of a table, recorded for each number and kind that occurs."""

    def __init__(self, net: NeuralNet, table: TensorTable, *, training: bool) -> None:
        self.net = net
        self.table = table
        self.training = training
        self.weights = list(net.module_.parameters())
        self.trained: list[bool] = []
        self.is_static = _is_static(net, table)
        self.recorded: dict[Hashable, _Recorded] = {}
        self.last: _Recorded | None = None

    def prepare(self) -> bool:
        """Record the first batch; whether that can be done."""
        if not self.is_static:
            return True
        self.renew()
        n_rows = min(self.net.batch_size, len(self.table))
        try:
            self._recording(torch.arange(n_rows, device=self.table.device))
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            warnings.warn(
                f"training is slow: its steps cannot be recorded as a CUDA graph ({reason})",
                UserWarning,
                stacklevel=6,
            )
            return False
        return True

    def renew(self) -> None:
        """Forget what was recorded of other weights than those that are trained now."""
        trained = [weight.requires_grad for weight in self.weights]
        if trained != self.trained:
            self.trained, self.recorded, self.last = trained, {}, None

    def __call__(self, index: Tensor) -> Tensor:
        """Loss of some rows; in training, the optimizer has made its step on them."""
        if not self.is_static:
            return self._pass(index)
        step = self._recording(index)
        step.index.copy_(index)
        step.graph.replay()
        if self.training:
            if step is not self.last:
                for weight, gradient in zip(self.weights, step.gradients, strict=True):
                    weight.grad = gradient
            self.net.optimizer_.step()
        self.last = step
        return step.loss.clone()

    def _recording(self, index: Tensor) -> _Recorded:
        """A pass of the kind that comes next, over as many rows."""
        phase = getattr(self.net.module_, "phase", None)
        key = len(index), None if phase is None or not self.training else phase()
        if key not in self.recorded:
            self.recorded[key] = self._record(index.clone())
        return self.recorded[key]

    def _record(self, index: Tensor) -> _Recorded:
        device = self.table.device
        # The numbers that are drawn must not depend on the passes that only warm up.
        state = torch.cuda.get_rng_state(device)
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    self._pass(index)
        finally:
            torch.cuda.current_stream(device).wait_stream(stream)
            torch.cuda.set_rng_state(state, device)
        graph = torch.cuda.CUDAGraph()
        pool = next((step.graph.pool() for step in self.recorded.values()), None)
        # Another thread may predict meanwhile, and take memory.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            loss = self._pass(index)
        return _Recorded(graph, index, loss, [weight.grad for weight in self.weights])

    def _pass(self, index: Tensor) -> Tensor:
        """Loss, and in training the gradients that callbacks leave of it."""
        batch = self.table[index]
        if not self.training:
            return self.net.validation_step(batch)["loss"]
        self.net.optimizer_.zero_grad(set_to_none=True)
        loss = self.net.train_step_single(batch)["loss"].detach()
        self.net.notify(
            "on_grad_computed",
            named_parameters=self.net.get_all_learnable_params(),
            batch=batch,
            training=True,
        )
        return loss

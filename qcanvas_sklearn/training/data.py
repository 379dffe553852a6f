"""Training data on the device: tensors that are sliced by index, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

__all__ = ["TensorBatches", "TensorTable", "as_tensors"]


def as_tensors(
    inputs: Mapping[str, NDArray], device: torch.device, dtype: torch.dtype = torch.float32
) -> dict[str, Tensor]:
    """Copy arrays to the device; integers keep their type, floats become `dtype`."""
    tensors = {}
    for name, array in inputs.items():
        # Torch takes writable memory only; a memory map or a user's array may be read-only.
        tensor = torch.as_tensor(np.require(array, requirements=["C", "W"]))
        is_float = tensor.is_floating_point()
        tensors[name] = tensor.to(device=device, dtype=dtype if is_float else torch.int64)
    return tensors


class TensorTable(Dataset):
    """Inputs, targets and weights of `n` rows as tensors on one device.

    The data is small, so it is moved once; a batch is a slice of it.

    Parameters
    ----------
    inputs : mapping of str to Tensor
        Network inputs, first axis n.
    y : Tensor of shape (n, t)
        Scaled targets, NaN where a label is missing.
    weight : Tensor of shape (n,)
        Sample weights.
    """

    def __init__(self, inputs: Mapping[str, Tensor], y: Tensor, weight: Tensor) -> None:
        self.inputs = dict(inputs)
        observed = y.isfinite()
        self.y = torch.where(observed, y, torch.zeros_like(y))
        self.weight = weight[:, None] * observed

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(
        self, index: int | slice | Tensor
    ) -> tuple[dict[str, Tensor], tuple[Tensor, Tensor]]:
        inputs = {name: tensor[index] for name, tensor in self.inputs.items()}
        return inputs, (self.y[index], self.weight[index])


class TensorBatches:
    """Batches of a `TensorTable`, for skorch's ``iterator_train`` and ``iterator_valid``.

    Parameters
    ----------
    table : TensorTable
        The data.
    batch_size : int
        Rows a batch; the last one may be smaller.
    shuffle : bool, default=False
        Draw a new order for every pass, from torch's random state.
    """

    def __init__(self, table: TensorTable, batch_size: int, shuffle: bool = False) -> None:
        self.table = table
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.table) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], tuple[Tensor, Tensor]]]:
        n, size = len(self.table), self.batch_size
        if not self.shuffle:
            for start in range(0, n, size):
                yield self.table[start : start + size]
            return
        # Drawn on the host, so that the order does not depend on the device.
        order = torch.randperm(n).to(self.table.y.device)
        for start in range(0, n, size):
            yield self.table[order[start : start + size]]

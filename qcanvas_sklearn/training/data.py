"""Training data on the device: rows and labels that are gathered by index, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from .rows import Rows
from .targets import TargetBlock

__all__ = ["TensorBatches", "TensorTable", "TrainingData"]


@dataclass(frozen=True, eq=False)
class Batch:
    """What a network takes of some rows, and what it should make of them.

    It unpacks into the two, and its length is the number of rows: skorch weighs the losses
    of batches by it, which it could not tell from atoms and edges.
    """

    n_rows: int
    inputs: dict[str, Tensor]
    targets: dict[str, tuple[Tensor, Tensor]]

    def __len__(self) -> int:
        return self.n_rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter((self.inputs, self.targets))


@dataclass(frozen=True)
class TrainingData:
    """Rows to learn from, on the host.

    Attributes
    ----------
    rows : Rows
        What the network sees.
    blocks : sequence of TargetBlock
        What it learns.
    """

    rows: Rows
    blocks: Sequence[TargetBlock]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: NDArray[np.int64]) -> TrainingData:
        """Some of the rows, with their labels."""
        blocks = [
            block.take(self.rows.entries(block.level, torch.as_tensor(index)).numpy())
            for block in self.blocks
        ]
        return TrainingData(self.rows.take(index), blocks)

    def concat(self, other: TrainingData) -> TrainingData:
        """These rows, and others of the same kind behind them, whose blocks may differ."""
        known = {block.name: block for block in (*self.blocks, *other.blocks)}
        blocks = [self._block(like).concat(other._block(like)) for like in known.values()]
        return TrainingData(self.rows.concat(other.rows), blocks)

    def _block(self, like: TargetBlock) -> TargetBlock:
        """The block of a name, of missing labels where there is none."""
        for block in self.blocks:
            if block.name == like.name:
                return block
        lines = self.rows.entries(like.level, torch.arange(len(self)))
        nothing = np.full((len(lines), like.values.shape[1]), np.nan)
        return replace(like, values=nothing, weight=np.zeros(len(lines)))

    def to(self, device: torch.device) -> TensorTable:
        """The same on a device."""
        return TensorTable(self, device)


class TensorTable(Dataset):
    """Rows and labels on one device.

    The data is small, so it is moved once; a batch is a selection of it.

    Parameters
    ----------
    data : TrainingData
        Rows and labels on the host.
    device : torch.device
        Where to.
    """

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        self.rows = data.rows.to(device)
        self.blocks = {
            block.name: (block.level, *block.to(device, len(data))) for block in data.blocks
        }
        self.device = device

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor) -> Batch:
        """Inputs, and by block the labels and their share in the loss of the batch."""
        targets = {}
        for name, (level, label, weight) in self.blocks.items():
            lines = self.rows.entries(level, index)
            targets[name] = (label[lines], weight[lines] / len(index))
        return Batch(len(index), self.rows.batch(index), targets)


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

    def __iter__(self) -> Iterator[Batch]:
        for index in self.indices():
            yield self.table[index]

    def indices(self) -> Iterator[Tensor]:
        """The rows of each batch, on the device."""
        n, size = len(self.table), self.batch_size
        # Drawn on the host, so that the order does not depend on the device.
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        order = order.to(self.table.device)
        for start in range(0, n, size):
            yield order[start : start + size]

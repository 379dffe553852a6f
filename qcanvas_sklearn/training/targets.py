"""Targets in blocks: what is learned together, on which level, with which weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..nn.outputs import OUTPUT

__all__ = ["TargetBlock", "by_block"]


@dataclass(frozen=True)
class TargetBlock:
    r"""Labels of one kind, which share a level and a weight in the loss.

    Attributes
    ----------
    values : ndarray of shape (n, t), float64
        Scaled labels, one line a row, an atom or a pair of atoms; NaN where missing.
    weight : ndarray of shape (n,), float64
        Weights of these lines, in any unit.
    name : str, default="y"
        Key of the network's output that they are compared with.
    level : {"row", "atom", "pair"}, default="row"
        What a line belongs to.
    factor : float, default=1.0
        Weight :math:`\lambda` of the block in the sum of losses.
    """

    values: NDArray[np.float64]
    weight: NDArray[np.float64]
    name: str = OUTPUT
    level: Literal["row", "atom", "pair"] = "row"
    factor: float = 1.0

    def take(self, index: NDArray[np.int64]) -> TargetBlock:
        """Some of the lines."""
        return replace(self, values=self.values[index], weight=self.weight[index])

    def concat(self, other: TargetBlock) -> TargetBlock:
        """These lines, and others of the same targets behind them."""
        pairs = (self.values, other.values), (self.weight, other.weight)
        values, weight = (np.concatenate(pair) for pair in pairs)
        return replace(self, values=values, weight=weight)

    def normalised_weight(self, n_rows: int) -> NDArray[np.float64]:
        r"""Weights (n, t) of single labels, whose sum is `n_rows` times the factor.

        Normalised once, in double precision, over all rows: within a batch, weights would
        lose their meaning, and a common factor of theirs must have none.
        """
        largest = self.weight.max(initial=0.0)
        relative = self.weight / (largest if largest > 0 else 1.0)
        each = relative[:, None] * np.isfinite(self.values)
        total = each.sum()
        return each * (self.factor * n_rows / total if total > 0 else 0.0)

    def to(self, device: torch.device, n_rows: int) -> tuple[Tensor, Tensor]:
        """Labels, 0 where missing, and their weights as tensors (n, t) on a device."""
        known = np.where(np.isfinite(self.values), self.values, 0.0)
        pair = known, self.normalised_weight(n_rows)
        label, weight = (torch.as_tensor(a, dtype=torch.float32).to(device) for a in pair)
        return label, weight


def by_block(outputs: Tensor | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """A network's outputs by block."""
    return {OUTPUT: outputs} if isinstance(outputs, Tensor) else outputs

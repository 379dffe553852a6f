"""Which rows are learned from, and which are set aside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hold_out"]


def hold_out(
    rows: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows at random into those to learn from and those to validate on.

    Raises
    ------
    ValueError
        If nothing is left to learn from.
    """
    n_valid = max(1, round(fraction * len(rows)))
    if n_valid >= len(rows):
        raise ValueError(
            f"early_stopping or n_members > 1 with validation_fraction={fraction} leaves "
            f"none of the labelled rows to train on (n_samples={len(rows)})"
        )
    shuffled = np.random.RandomState(seed).permutation(rows)
    return np.sort(shuffled[n_valid:]), np.sort(shuffled[:n_valid])

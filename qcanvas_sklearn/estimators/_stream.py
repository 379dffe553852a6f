"""Rows that calls of ``partial_fit`` set aside, each call the same of the same pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..training import TrainingData

__all__ = ["HeldBack", "uniform"]

#: What is kept to calibrate on, in rows and in bytes.
_MAX_ROWS = 2000
_MAX_BYTES = 4 * 2**20


class HeldBack:
    """A fixed part of all groups, whichever call brings their rows, and the rows so far.

    A row whose elements have not been learned from is learned from, and its group is from
    then on.

    Parameters
    ----------
    fraction : float
        Part of the groups to set aside.
    seed : int
        Says which.

    Attributes
    ----------
    data : TrainingData or None
        The rows set aside so far, as many as are worth keeping.
    """

    def __init__(self, fraction: float, seed: int) -> None:
        self.fraction = fraction
        self.seed = seed
        self.data: TrainingData | None = None
        self._spared: set[int] = set()  # groups that are learned from though drawn
        self._has_learned = False
        self._members: set[int] = set()
        self._kept: set[int] = set()

    def split(
        self, groups: NDArray[np.int64], members: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of rows (n,) to learn from and of those to set aside."""
        drawn = uniform(groups, self.seed) < self.fraction
        aside = drawn & ~np.isin(groups, list(self._spared))
        if aside.all() and not self._has_learned:
            aside[:] = False  # there is something to learn from in the first call
        known = self._members.union(members[~aside].ravel().tolist(), [0])
        aside &= np.isin(members, list(known)).all(axis=1)
        self._spared.update(groups[drawn & ~aside].tolist())
        self._has_learned |= not aside.all()
        self._members.update(members[~aside].ravel().tolist())
        return np.flatnonzero(~aside), np.flatnonzero(aside)

    def add(self, data: TrainingData) -> None:
        """Keep rows that are not there yet, while there is room."""
        row_bytes = data.rows.nbytes // max(len(data), 1)
        room = min(_MAX_ROWS, _MAX_BYTES // max(row_bytes, 1)) - len(self._kept)
        keys = data.rows.keys()
        fresh = [i for i, key in enumerate(keys.tolist()) if key not in self._kept]
        rows = np.array(fresh[: max(room, 0)], dtype=np.int64)
        self._kept.update(keys[rows].tolist())
        new = data.take(rows)
        self.data = new if self.data is None else self.data.concat(new)


def uniform(keys: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that keys and a seed determine (the mixer of splitmix64)."""
    with np.errstate(over="ignore"):
        x = keys.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (x ^ (x >> np.uint64(31))) / 2.0**64

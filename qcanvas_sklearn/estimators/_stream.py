"""Rows that calls of ``fit`` and ``partial_fit`` set aside, each call the same of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..training import TrainingData
from ._split import hold_out

__all__ = ["ENOUGH", "TARGETS", "HeldBack", "uniform"]

Index = NDArray[np.int64]

#: What is kept to calibrate on, in rows and in bytes.
_MAX_ROWS = 2000
_MAX_BYTES = 4 * 2**20
#: Rows that calibrate as well as more do.
ENOUGH = 100
#: Numbers of classes begin behind those of elements, and of targets behind those of classes.
_CLASSES, TARGETS = 10**3, 10**9


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
        The rows that calls of ``partial_fit`` set aside, as many as are worth keeping.
    """

    # Those of what an earlier version kept.
    _aside: frozenset[int] | set[int] = frozenset()
    _divided: int | None = None

    def __init__(self, fraction: float, seed: int) -> None:
        self.fraction = fraction
        self.seed = seed
        self.data: TrainingData | None = None
        self._aside = set()  # groups that are set aside though not drawn
        self._spared: set[int] = set()  # groups that are learned from though drawn
        self._has_learned = False
        self._members: set[int] = set()
        self._kept: set[int] = set()

    def units(self, groups: Index, keys: Callable[[], Index]) -> Index:
        """What is set aside as a whole: groups (n,), but of one that stands alone its rows.

        Of one trajectory there is nothing but its own frames. Which group that is, the first
        call says: a later one may bring a single row.

        Parameters
        ----------
        groups : ndarray of int64, shape (n,)
            Which rows belong together.
        keys : callable
            A number for what each row holds.
        """
        if not self._has_learned and len(groups) and (groups == groups[0]).all():
            self._divided = int(groups[0])
        if self._divided is None:
            return groups
        own = groups == self._divided
        return np.where(own, keys(), groups) if own.any() else groups

    def split(
        self, groups: Index, members: Index, strata: Index | None = None, *,
        stream: bool = True, none: bool = False,
    ) -> tuple[Index, Index]:  # fmt: skip
        """Positions of rows to learn from and of those to set aside, which are kept in mind.

        Parameters
        ----------
        groups : ndarray of int64, shape (n,)
            What is set aside as a whole.
        members : ndarray of int64, shape (n, k)
            Elements; 0 is none.
        strata : ndarray of int64, shape (n,), optional
            Classes.
        stream : bool, default=True
            Whether further calls are to come, so that this one may set nothing aside. Otherwise
            rows are drawn anew where all of them would be on one side.
        none : bool, default=False
            Learn from all.
        """
        classes = np.zeros(len(groups), dtype=np.int64) if strata is None else strata + _CLASSES
        things = np.column_stack([members, classes])
        aside = np.zeros(len(groups), dtype=bool)
        if not none and (stream or self._has_learned):
            aside = self._chosen(groups, things)
        if not (none or stream or (aside.any() and not aside.all())):
            aside[:] = False
            aside[hold_out(groups, members, strata, self.fraction, self.seed)[1]] = True
        drawn = self._drawn(groups)
        self._spared.update(groups[drawn & ~aside].tolist())
        self._aside = {*self._aside, *groups[aside & ~drawn].tolist()}
        self._has_learned |= not aside.all()
        self._members.update(things[~aside].ravel().tolist())
        return np.flatnonzero(~aside), np.flatnonzero(aside)

    def _chosen(self, groups: Index, things: Index) -> NDArray[np.bool_]:
        """Which rows are drawn, and hold nothing that has not been learned from."""
        aside = self._drawn(groups) & ~np.isin(groups, list(self._spared))
        if aside.all() and not self._has_learned:
            aside[:] = False  # there is something to learn from in the first call
        known = self._members.union(things[~aside].ravel().tolist(), [0])
        strange = aside & ~np.isin(things, list(known)).all(axis=1)
        return aside & ~np.isin(groups, groups[strange])

    def _drawn(self, groups: Index) -> NDArray[np.bool_]:
        by_chance = uniform(groups, self.seed) < self.fraction
        return np.asarray(by_chance | np.isin(groups, list(self._aside)))

    def add(self, data: TrainingData) -> TrainingData:
        """Keep rows that are not there yet, while there is room; all that are kept."""
        row_bytes = data.rows.nbytes // max(len(data), 1)
        room = min(_MAX_ROWS, _MAX_BYTES // max(row_bytes, 1)) - len(self._kept)
        keys = data.rows.keys()
        fresh = [i for i, key in enumerate(keys.tolist()) if key not in self._kept]
        rows = np.array(fresh[: max(room, 0)], dtype=np.int64)
        self._kept.update(keys[rows].tolist())
        new = data.take(rows)
        self.data = new if self.data is None else self.data.concat(new)
        return self.data


def uniform(keys: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that keys and a seed determine (the mixer of splitmix64)."""
    with np.errstate(over="ignore"):
        x = keys.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return (x ^ (x >> np.uint64(31))) / 2.0**64

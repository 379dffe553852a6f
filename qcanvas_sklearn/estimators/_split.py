"""Which rows are learned from, and which are set aside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["hold_out"]

Index = NDArray[np.int64]


def hold_out(
    groups: Index, members: Index, strata: Index | None, fraction: float, seed: int
) -> tuple[Index, Index]:
    """Split rows at random into those to learn from and those to validate on.

    What belongs together stays together, and what occurs in one group only is learned
    from.

    Parameters
    ----------
    groups : ndarray of int64, shape (n,)
        Which rows belong together, by number.
    members : ndarray of int64, shape (n, k)
        What a row holds that must be learned from to be predicted; 0 is nothing.
    strata : ndarray of int64, shape (n,), or None
        Class of each row; of each the same part is set aside, of none all rows.
    fraction : float
        Part of the rows to set aside.
    seed : int
        Draws the groups.

    Returns
    -------
    learn, valid : ndarray of int64
        Positions of the rows, in increasing order. None are set aside where each group
        is needed.
    """
    names, first, group_of_row = np.unique(groups, return_index=True, return_inverse=True)
    kinds = np.zeros(len(names), dtype=np.int64) if strata is None else strata[first]
    sizes = np.bincount(group_of_row, minlength=len(names))
    # A class stays in training as an element does: it is one more thing that a row holds.
    classes = np.zeros(len(groups), dtype=np.int64) if strata is None else strata
    held = np.column_stack([members, classes + 1 + members.max(initial=0)])
    order = np.random.RandomState(seed).permutation(len(names))
    chosen: list[int] = []
    left = _Occurrences(held, group_of_row)
    for kind in np.unique(kinds):
        of_kind = order[kinds[order] == kind]
        wanted = round(fraction * int(sizes[of_kind].sum()))
        chosen += _choose(of_kind, sizes, wanted, left)
    spare = [group for group in order.tolist() if left.can_spare(group)]
    if not chosen and spare:
        chosen = [min(spare, key=lambda group: sizes[group])]
    is_valid = np.isin(group_of_row, chosen)
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)


class _Occurrences:
    """In how many groups that are left each thing occurs."""

    def __init__(self, held: Index, group_of_row: Index) -> None:
        # Rows of one group may hold different things, as frames of a reaction do.
        width = held.max(initial=0) + 1
        found = np.unique((group_of_row[:, None] * width + held)[held > 0])
        group, thing = np.divmod(found, width)
        thing = np.unique(thing, return_inverse=True)[1]
        self.held = np.split(thing, np.flatnonzero(np.diff(group)) + 1)
        self.counts = np.bincount(np.concatenate(self.held))

    def can_spare(self, group: int) -> bool:
        return bool((self.counts[self.held[group]] > 1).all())

    def remove(self, group: int) -> None:
        self.counts[self.held[group]] -= 1


def _choose(order: Index, sizes: Index, wanted: int, left: _Occurrences) -> list[int]:
    """Groups that can be spared, in the given order, up to as many rows as wanted."""
    chosen: list[int] = []
    n_rows = 0
    for group in order.tolist():
        if n_rows + sizes[group] <= wanted and left.can_spare(group):
            left.remove(group)
            chosen.append(group)
            n_rows += int(sizes[group])
    return chosen

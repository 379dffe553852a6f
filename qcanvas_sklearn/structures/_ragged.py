"""Rows of different numbers of atoms, one behind the other in one array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..elements import atomic_numbers

__all__ = ["atoms_of", "equal", "fields_of_lists", "pointers", "rows_of_atoms"]


def pointers(counts: ArrayLike) -> NDArray[np.int64]:
    """First atom of each row, and the number of all, from the numbers by row."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64)


def rows_of_atoms(ptr: NDArray[np.int64]) -> NDArray[np.int64]:
    """Row that each atom belongs to."""
    return np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))


def atoms_of(ptr: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Atoms of the given rows, in the order of these."""
    counts = np.diff(ptr)[rows]
    ends = np.cumsum(counts)
    return np.arange(counts.sum()) + np.repeat(ptr[rows] - ends + counts, counts)


def equal(a: Any, b: Any) -> bool:
    """Whether two fields of records hold the same, where NaN is as good as NaN."""
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        return a.equals(b)
    if not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return bool(type(a) is type(b) and a == b)
    return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f"))


def fields_of_lists(
    elements: Iterable[ArrayLike], positions: Iterable[ArrayLike], others: Mapping[str, Any]
) -> dict[str, Any]:
    """Fields of a record from structures that come one by one.

    Raises
    ------
    ValueError
        If the lists differ in length, or a structure's elements and positions.
    """
    kinds = [np.atleast_1d(np.asarray(item)) for item in elements]
    lists = {"positions": list(positions)}
    forces = others.get("forces")
    if isinstance(forces, (list, tuple)):
        lists["forces"] = list(forces)
    fields = dict(others)
    for name, parts in lists.items():
        if len(parts) != len(kinds):
            raise ValueError(f"{name} of {len(parts)} structures, elements of {len(kinds)}")
        arrays = [np.asarray(part, dtype=np.float64) for part in parts]
        for i, (kind, array) in enumerate(zip(kinds, arrays, strict=True)):
            if array.shape != (len(kind), 3) and array.size + len(kind):
                raise ValueError(
                    f"structure {i}: {name} has shape {array.shape}, expected "
                    f"{(len(kind), 3)}"
                )
        fields[name] = np.concatenate([np.empty((0, 3)), *(a.reshape(-1, 3) for a in arrays)])
    fields["ptr"] = pointers([len(kind) for kind in kinds])
    fields["z"] = np.concatenate(
        [np.empty(0, np.int64), *(_numbers(i, kind) for i, kind in enumerate(kinds))]
    )
    return fields


def _numbers(row: int, elements: NDArray) -> NDArray[np.int64]:
    if not elements.size:
        return np.empty(0, np.int64)
    if elements.dtype.kind not in "UO":
        return elements
    z = atomic_numbers(elements)
    if (z == 0).any():
        wrong = elements[np.argmin(z)]
        raise ValueError(f"structure {row}: unknown element symbol {str(wrong)!r}")
    return z

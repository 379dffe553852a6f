"""Arrays that records share: read-only, and files of them that are written whole."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._files import written_whole

__all__ = ["freeze", "read_only", "row_numbers", "save_atomically"]


def freeze(array: NDArray) -> NDArray:
    """`array` itself, which nobody can write to from now on."""
    array.flags.writeable = False
    return array


def read_only(values: ArrayLike, dtype: DTypeLike) -> NDArray:
    """`values` as an array that nobody can write to: itself if it is one, else a copy."""
    array = np.asarray(values, dtype=dtype)
    converted = isinstance(values, np.ndarray) and array is not values
    shared = array.base is not None or (array.flags.writeable and not converted)
    return freeze(array.copy() if shared else array)


def row_numbers(n: int, index: Any) -> NDArray[np.int64]:
    """Rows, of n, that an integer, a slice, a mask or an array stands for; at least 1-d."""
    if isinstance(index, tuple) and len(index) == 2 and index[1] is Ellipsis:
        index = index[0]  # as scikit-learn writes it
    every = np.arange(n)
    return np.atleast_1d(every[pd.api.indexers.check_array_indexer(every, index)])


def save_atomically(path: str | os.PathLike[str], arrays: dict[str, Any]) -> None:
    """Write a compressed ``.npz`` that appears under its name when it is complete."""
    with written_whole(path) as file:
        np.savez_compressed(file, **arrays)

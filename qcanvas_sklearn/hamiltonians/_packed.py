"""Symmetric matrices of different sizes, one behind the other: the lower triangle of each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack", "packed_index", "packed_sizes", "unpack"]


def packed_sizes(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Elements of the lower triangles of n x n matrices, with their diagonals."""
    return n * (n + 1) // 2


def packed_index(row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of elements (row, column), in either order, in the packed triangle."""
    below, left = np.maximum(row, column), np.minimum(row, column)
    return below * (below + 1) // 2 + left


@lru_cache(maxsize=32)
def _square(n: int) -> NDArray[np.int64]:
    return packed_index(np.arange(n)[:, None], np.arange(n))


def pack(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower triangle of a symmetric matrix, line by line."""
    return matrix[np.tril_indices(len(matrix))]


def unpack(packed: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The symmetric n x n matrix of a packed triangle."""
    return packed[_square(n)]

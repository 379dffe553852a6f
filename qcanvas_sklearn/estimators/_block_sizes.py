"""How large the blocks are that are left to a network of Hamiltonians."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..hamiltonians._template import Template, filled

__all__ = ["block_sizes"]

Array = NDArray[np.float64]

#: Size (eV) of labels of which nothing is left.
_LEAST = 1e-6
#: Size, beside that of all blocks, that the network gives to any.
_SMALLEST = 1e-2


def block_sizes(
    template: Template, values: Array, places: Sequence[tuple[str, NDArray[np.int64]]]
) -> tuple[dict[str, float], dict[str, Array]]:
    """Root mean squares of the blocks of each kind, and beside them of each two shells.

    Parameters
    ----------
    template : Template
        Places of the shells.
    values : ndarray
        Packed elements, in eV.
    places : sequence of (str, ndarray of int)
        Kinds of blocks, and where their elements lie, -1 where there is none.

    Returns
    -------
    sizes : dict of str to float
        In eV, above zero.
    relative : dict of str to ndarray of shape (n_places, n_places)
        In units of these, symmetric.
    """
    sizes, relative = {}, {}
    for name, index in places:
        squares = template.sums(filled(values, index, 0.0) ** 2).sum(axis=0)
        counts = template.sums((index >= 0).astype(np.float64)).sum(axis=0)
        squares, counts = squares + squares.T, counts + counts.T
        size = np.sqrt(squares.sum() / max(counts.sum(), 1.0))
        sizes[name] = max(float(size), _LEAST)
        each = np.sqrt(squares / np.maximum(counts, 1.0)) / sizes[name]
        relative[name] = np.clip(each, _SMALLEST, None)
    return sizes, relative

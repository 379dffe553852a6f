"""Which atoms are near each other, in structures with and without a repeating cell.

Three ways, each where it was the fastest of those measured (one core, a cutoff of 5 Å,
densities of organic matter). Small structures without a cell: matrices of distances, of all
structures of one size at a time. Larger ones: the k-d tree of scipy (27, 90 and 860 µs for
50, 200 and 1,000 atoms; vesin took 65, 250 and 2,030, matscipy 81, 674 and 5,100).
Structures with a cell: vesin (153, 834 and 3,600 µs for 21, 200 and 1,000 atoms; matscipy
335, 2,310 and 8,570, ase 11,830, 50,600 and 139,000).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ._ragged import pointers, rows_of_atoms

__all__ = ["Neighbours", "closest_pairs", "neighbour_list"]

#: Atoms up to which a matrix of distances is the fastest way, batched over structures.
_MATRIX_ATOMS = 48
#: Entries of the matrices of distances that are held at a time.
_CHUNK = 2**20


@dataclass(frozen=True)
class Neighbours:
    """Pairs of near atoms, sorted by i, then j, then shift.

    Attributes
    ----------
    i, j : ndarray of int64, shape (e,)
        Atoms of each pair, numbered through all structures.
    shift : ndarray of int64, shape (e, 3), or None
        How many cells further the image of j lies; None where nothing is periodic.
    ptr : ndarray of int64, shape (n + 1,)
        First pair of every structure, and the number of all pairs.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    shift: NDArray[np.int64] | None
    ptr: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.i)

    def offsets(self, cell: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """What is to be added to the position of j, in Å, shape (e, 3).

        Parameters
        ----------
        cell : ndarray of shape (n, 3, 3) or None
            Cell vectors of the structures.
        """
        if self.shift is None or cell is None:
            return np.zeros((len(self), 3))
        of_edge = cell[rows_of_atoms(self.ptr)]
        return np.einsum("ek,ekx->ex", self.shift.astype(np.float64), of_edge)

    def vectors(
        self, positions: NDArray[np.float64], cell: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Vectors from i to j in Å, shape (e, 3).

        Parameters
        ----------
        positions : ndarray of shape (N, 3)
            Coordinates in Å.
        cell : ndarray of shape (n, 3, 3) or None, default=None
            Cell vectors of the structures.
        """
        vectors = positions[self.j] - positions[self.i]
        return vectors if self.shift is None else vectors + self.offsets(cell)


def neighbour_list(
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    cutoff: float,
    *,
    cell: NDArray[np.float64] | None = None,
    pbc: NDArray[np.bool_] | None = None,
    half: bool = False,
) -> Neighbours:
    """Pairs of atoms of one structure that are no further apart than a cutoff.

    Cells may be of any shape and smaller than the cutoff: an atom is then a neighbour of
    its own images, and of several images of another atom.

    Parameters
    ----------
    positions : ndarray of shape (N, 3)
        Coordinates in Å, of one structure behind the other.
    ptr : ndarray of int, shape (n + 1,)
        First atom of every structure, and the number of all atoms.
    cutoff : float
        Largest distance in Å.
    cell : ndarray of shape (n, 3, 3) or None, default=None
        Cell vectors in Å.
    pbc : ndarray of bool, shape (n, 3), or None, default=None
        Directions in which the cells repeat.
    half : bool, default=False
        Give every pair once, i below j, in place of i-j and j-i.

    Returns
    -------
    Neighbours

    Raises
    ------
    ImportError
        If a structure is periodic and vesin is not installed.
    ValueError
        If `cutoff` is not a positive number.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.structures import neighbour_list
    >>> chain = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    >>> near = neighbour_list(chain, np.array([0, 3]), 1.5)
    >>> list(zip(near.i.tolist(), near.j.tolist()))
    [(0, 1), (1, 0), (1, 2), (2, 1)]
    """
    if not isinstance(cutoff, Real) or not 0 < cutoff < np.inf:
        raise ValueError(f"cutoff must be a positive number of angstrom, got {cutoff!r}")
    counts = np.diff(ptr)
    periodic = np.zeros(len(counts), bool) if pbc is None else pbc.any(axis=1)
    small = ~periodic & (counts <= _MATRIX_ATOMS)
    parts = list(_by_matrix(positions, ptr, np.flatnonzero(small), float(cutoff)))
    for row in np.flatnonzero(~periodic & ~small):
        parts.append(_by_tree(positions, int(ptr[row]), int(ptr[row + 1]), float(cutoff)))
    if periodic.any():
        assert cell is not None and pbc is not None
        search = _load_vesin().NeighborList(cutoff=float(cutoff), full_list=True, n_threads=1)
        for row in np.flatnonzero(periodic):
            start, end = int(ptr[row]), int(ptr[row + 1])
            i, j, shift = search.compute(positions[start:end], cell[row], pbc[row], "ijS")
            pairs = np.column_stack([i, j]).astype(np.int64) + start
            parts.append(np.column_stack([pairs, shift.astype(np.int64)]))
    return _joined(parts, ptr, half=half, with_shift=bool(periodic.any()))


def _by_matrix(
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    rows: NDArray[np.int64],
    cutoff: float,
) -> Iterator[NDArray[np.int64]]:
    """Pairs (i, j) of structures that are alike in size, some at a time."""
    for size, some in _same_size(ptr, rows):
        first = ptr[some]
        place = first[:, None] + np.arange(size)
        xyz = positions[place]
        square = sum((xyz[:, :, None, k] - xyz[:, None, :, k]) ** 2 for k in range(3))
        square[:, np.arange(size), np.arange(size)] = np.inf
        row, i, j = np.nonzero(square <= cutoff**2)
        yield np.column_stack([first[row] + i, first[row] + j])


def _same_size(
    ptr: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    counts = np.diff(ptr)[rows]
    for size in np.unique(counts[counts > 1]).tolist():
        alike = rows[counts == size]
        step = max(1, _CHUNK // size**2)
        for start in range(0, len(alike), step):
            yield size, alike[start : start + step]


def _by_tree(
    positions: NDArray[np.float64], start: int, end: int, cutoff: float
) -> NDArray[np.int64]:
    pairs = cKDTree(positions[start:end]).query_pairs(cutoff, output_type="ndarray")
    return np.concatenate([pairs, pairs[:, ::-1]]).astype(np.int64) + start


def _joined(
    parts: list[NDArray[np.int64]], ptr: NDArray[np.int64], *, half: bool, with_shift: bool
) -> Neighbours:
    """All pairs in order; parts have the columns i and j, and the shift where there is one."""
    width = 5 if with_shift else 2
    pairs = np.concatenate([
        np.empty((0, width), np.int64),
        *(np.pad(part, ((0, 0), (0, width - part.shape[1]))) for part in parts),
    ])  # fmt: skip
    if half:
        pairs = pairs[_is_first(pairs)]
    pairs = pairs[_order(pairs, int(ptr[-1]))]
    rows = np.searchsorted(ptr, pairs[:, 0], side="right") - 1
    edges = pointers(np.bincount(rows, minlength=len(ptr) - 1))
    i, j = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    return Neighbours(i, j, pairs[:, 2:].copy() if with_shift else None, edges)


def _order(pairs: NDArray[np.int64], n_atoms: int) -> NDArray[np.int64]:
    if pairs.shape[1] > 2:
        return np.lexsort(pairs.T[::-1])
    # One key, of which most are in order already, which a stable sort makes use of.
    return np.argsort(pairs[:, 0] * n_atoms + pairs[:, 1], kind="stable")


def _is_first(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of each pair and its reverse to keep: i below j, or the image ahead of i."""
    i, j, sign = pairs[:, 0], pairs[:, 1], np.sign(pairs[:, 2:])
    # In base 3 the first component that is not 0 outweighs all behind it.
    ahead = sign @ (3 ** np.arange(sign.shape[1])[::-1]) > 0
    return (i < j) | ((i == j) & ahead)


def closest_pairs(
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    cutoff: float,
    cell: NDArray[np.float64] | None,
    pbc: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Atoms nearer than a cutoff that is small beside every cell, and their distances.

    Needs no library for periodic structures: within such a cutoff lies one image at most,
    and rounding finds it.
    """
    periodic = np.zeros(len(ptr) - 1, bool) if pbc is None else pbc.any(axis=1)
    none = None if pbc is None else np.zeros_like(pbc)
    plain = neighbour_list(positions, ptr, cutoff, cell=cell, pbc=none, half=True)
    found = [(plain.i, plain.j, np.linalg.norm(plain.vectors(positions), axis=1))]
    for row in np.flatnonzero(periodic):
        assert cell is not None and pbc is not None
        found += _nearest_images(positions, ptr[row], ptr[row + 1], cutoff, cell[row], pbc[row])
    i, j, distance = (np.concatenate(column) for column in zip(*found, strict=True))
    return i, j, distance


def _nearest_images(
    positions: NDArray[np.float64],
    start: int,
    end: int,
    cutoff: float,
    cell: NDArray[np.float64],
    pbc: NDArray[np.bool_],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    inverse = np.linalg.inv(cell)
    step = max(1, _CHUNK // (end - start))
    for first in range(start, end, step):
        block = np.arange(first, min(first + step, end))
        between = positions[start:end] - positions[block, None]
        between -= (np.round(between @ inverse) * pbc) @ cell
        distance = np.linalg.norm(between, axis=-1)
        i, j = np.nonzero(distance < cutoff)
        above = start + j > block[i]
        i, j = i[above], j[above]
        yield block[i], start + j, distance[i, j]


def _load_vesin() -> Any:
    try:
        import vesin
    except ImportError as error:
        raise ImportError(
            "neighbours in periodic structures need vesin, which is not installed: "
            'pip install "qcanvas-sklearn[molecules]"'
        ) from error
    return vesin

"""Which atoms are near each other, in structures with and without a repeating cell.

Small structures without a cell: matrices of distances, of all structures of one size at a
time (18 µs a molecule of 18 atoms, where there are many). Larger ones: the k-d tree of scipy,
which is there anyhow and about as fast as vesin (1,000 atoms: 3.4 ms with all pairs sorted;
vesin 2.4 unsorted, matscipy 5.5, ase 123). Structures with a cell: vesin, the fastest of
those measured (21, 200 and 1,000 atoms: 0.12, 1.1 and 3.5 ms; matscipy 0.26, 2.8 and 9.0, ase
7.3, 53 and 151). One core, a cutoff of 5 Å; see ``benchmarks/bench_neighbours.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .._optional import require
from ._ragged import atoms_of, pointers, rows_of_atoms

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
    parts = list(_by_matrix(positions, ptr, np.flatnonzero(small), float(cutoff), half))
    for row in np.flatnonzero(~periodic & ~small):
        pairs = _by_tree(positions[ptr[row] : ptr[row + 1]], float(cutoff))
        parts.append(_one_row(row, pairs, ptr, half))
    if periodic.any():
        assert cell is not None and pbc is not None
        vesin = require("finding neighbours in periodic structures", "vesin")
        search = vesin.NeighborList(cutoff=float(cutoff), full_list=True, n_threads=1)
        for row in np.flatnonzero(periodic):
            xyz = positions[ptr[row] : ptr[row + 1]]
            i, j, shift = search.compute(xyz, cell[row], pbc[row], "ijS")
            pairs = np.column_stack([i, j, shift]).astype(np.int64)
            parts.append(_one_row(row, pairs, ptr, half))
    return _joined(parts, len(counts), with_shift=bool(periodic.any()))


class _Part(NamedTuple):
    """Sorted pairs of some rows: columns i, j, and the shift where there is one."""

    rows: NDArray[np.int64]
    counts: NDArray[np.int64]
    pairs: NDArray[np.int64]


def _by_matrix(
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    rows: NDArray[np.int64],
    cutoff: float,
    half: bool,
) -> Iterator[_Part]:
    """Pairs of structures that are alike in size, some at a time."""
    for size, some in _same_size(ptr, rows):
        first = ptr[some]
        xyz = positions[first[:, None] + np.arange(size)]
        square = sum((xyz[:, :, None, k] - xyz[:, None, :, k]) ** 2 for k in range(3))
        near = (square <= cutoff**2) & _above_diagonal(size, half)
        row, i, j = np.nonzero(near)
        pairs = np.column_stack([first[row] + i, first[row] + j])
        yield _Part(some, np.bincount(row, minlength=len(some)), pairs)


def _above_diagonal(size: int, half: bool) -> NDArray[np.bool_]:
    return np.triu(np.ones((size, size), bool), 1) if half else ~np.eye(size, dtype=bool)


def _same_size(
    ptr: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    counts = np.diff(ptr)[rows]
    for size in np.unique(counts[counts > 1]).tolist():
        alike = rows[counts == size]
        step = max(1, _CHUNK // size**2)
        for start in range(0, len(alike), step):
            yield size, alike[start : start + step]


def _by_tree(positions: NDArray[np.float64], cutoff: float) -> NDArray[np.int64]:
    pairs = cKDTree(positions).query_pairs(cutoff, output_type="ndarray")
    return np.concatenate([pairs, pairs[:, ::-1]]).astype(np.int64)


def _one_row(
    row: np.int64, pairs: NDArray[np.int64], ptr: NDArray[np.int64], half: bool
) -> _Part:
    """A part from all pairs of one structure, whose atoms are counted from 0."""
    if half:
        i, j, sign = pairs[:, 0], pairs[:, 1], np.sign(pairs[:, 2:])
        # An atom and its image: in base 3 the first sign outweighs all behind it.
        ahead = sign @ (3 ** np.arange(sign.shape[1])[::-1]) > 0
        pairs = pairs[(i < j) | ((i == j) & ahead)]
    pairs = _sorted(pairs, int(ptr[row + 1] - ptr[row]))
    pairs[:, :2] += ptr[row]
    return _Part(np.array([row]), np.array([len(pairs)]), pairs)


def _sorted(pairs: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Distinct lines in order, by one number each: numbers sort much faster than lines."""
    most = int(np.abs(pairs[:, 2:]).max(initial=0))
    bases = [n, n, *[2 * most + 1] * (pairs.shape[1] - 2)]
    lines = pairs + np.array([0, 0, *[most] * (pairs.shape[1] - 2)])
    key = np.zeros(len(pairs), np.int64)
    for column, base in enumerate(bases):
        key = key * base + lines[:, column]
    key.sort()
    for column in range(len(bases) - 1, 0, -1):
        key, lines[:, column] = np.divmod(key, bases[column])
    lines[:, 0] = key
    lines[:, 2:] -= most
    return lines


def _joined(parts: list[_Part], n: int, *, with_shift: bool) -> Neighbours:
    """The pairs of all parts in the order of the rows."""
    counts = np.zeros(n, np.int64)
    for part in parts:
        counts[part.rows] = part.counts
    ptr = pointers(counts)
    i, j = np.empty(ptr[-1], np.int64), np.empty(ptr[-1], np.int64)
    shift = np.zeros((ptr[-1], 3), np.int64) if with_shift else None
    for part in parts:
        place = atoms_of(ptr, part.rows)
        i[place], j[place] = part.pairs[:, 0], part.pairs[:, 1]
        if shift is not None and part.pairs.shape[1] > 2:
            shift[place] = part.pairs[:, 2:]
    return Neighbours(i, j, shift, ptr)


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

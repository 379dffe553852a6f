"""The blocks of matrices by pair of elements, and where their elements are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import SYMBOLS
from ..structures import Molecules
from ._basis import Basis
from ._packed import packed_index, packed_sizes

__all__ = ["Blocks", "ElementBlocks", "Layout", "element_blocks", "layout_of"]


class Layout(NamedTuple):
    """How the matrices of some molecules lie in a flat array.

    Attributes
    ----------
    sizes : ndarray of int, shape (n,)
        Number of orbitals of each molecule.
    ptr : ndarray of int, shape (n + 1,)
        First element of each molecule's packed lower triangle, and the number of all.
    first : ndarray of int, shape (N,)
        First orbital of each atom, counted within its molecule.
    """

    sizes: NDArray[np.int64]
    ptr: NDArray[np.int64]
    first: NDArray[np.int64]


def layout_of(molecules: Molecules, basis: Basis) -> Layout:
    """Layout of the matrices of molecules in a basis.

    Raises
    ------
    ValueError
        If the basis lacks an element.
    """
    ends = np.concatenate([[0], np.cumsum(basis.n_orbitals(molecules.z))])
    starts = ends[molecules.ptr]
    sizes = np.diff(starts).astype(np.int64)
    ptr = np.concatenate([[0], np.cumsum(packed_sizes(sizes))]).astype(np.int64)
    return Layout(sizes, ptr, (ends[:-1] - starts[molecules.rows]).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Blocks:
    """All blocks of one pair of elements.

    Attributes
    ----------
    row : ndarray of int, shape (k,)
        Molecule of each block.
    i, j : ndarray of int, shape (k,)
        Its atoms, counted over all molecules; equal on-site.
    index : ndarray of int, shape (k, n_i, n_j)
        Where its elements lie in the flat arrays of a record:
        ``hamiltonians.values[blocks.index]`` are the blocks themselves.
    """

    row: NDArray[np.int64]
    i: NDArray[np.int64]
    j: NDArray[np.int64]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True, eq=False)
class ElementBlocks:
    """The blocks of a record of matrices.

    Attributes
    ----------
    on_site : dict of str to Blocks
        By element symbol: one block an atom.
    off_site : dict of (str, str) to Blocks
        By symbols, the lighter element first: one block a pair of atoms of one molecule,
        every pair once, i before j where the elements are equal.
    """

    on_site: dict[str, Blocks]
    off_site: dict[tuple[str, str], Blocks]


def element_blocks(molecules: Molecules, basis: Basis) -> ElementBlocks:
    """Blocks of the matrices of molecules, grouped by their elements.

    Parameters
    ----------
    molecules : Molecules
        Structures.
    basis : Basis
        Shells of their elements.

    Returns
    -------
    ElementBlocks

    Raises
    ------
    ValueError
        If the basis lacks an element.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import Basis, element_blocks
    >>> pair = Molecules.from_lists([["F", "H"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> blocks = element_blocks(pair, Basis({"H": (0,), "F": (0, 1)}))
    >>> blocks.off_site["H", "F"].index
    array([[[10, 11, 12, 13]]])
    """
    layout = layout_of(molecules, basis)
    atoms = np.arange(len(molecules.z))
    i, j = _pairs(molecules.ptr)
    swap = molecules.z[i] > molecules.z[j]
    i, j = np.where(swap, j, i), np.where(swap, i, j)
    return ElementBlocks(
        {
            SYMBOLS[a]: _blocks(molecules, basis, layout, k, k)
            for (a, _), k, _ in _grouped(molecules.z, atoms, atoms)
        },
        {
            (SYMBOLS[a], SYMBOLS[b]): _blocks(molecules, basis, layout, p, q)
            for (a, b), p, q in _grouped(molecules.z, i, j)
        },
    )


def _pairs(ptr: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs i < j of the atoms of each molecule, over all of them."""
    parts = [np.zeros((2, 0), dtype=np.int64)]
    for start, n in zip(ptr[:-1].tolist(), np.diff(ptr).tolist(), strict=True):
        parts.append(np.stack(np.triu_indices(n, 1)) + start)
    i, j = np.concatenate(parts, axis=1)
    return i, j


def _grouped(
    z: NDArray[np.int64], i: NDArray[np.int64], j: NDArray[np.int64]
) -> list[tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of atoms by their elements, in the order of these."""
    kinds, inverse = np.unique(np.stack([z[i], z[j]]), axis=1, return_inverse=True)
    order = np.argsort(inverse.reshape(-1), kind="stable")
    counts = np.bincount(inverse.reshape(-1), minlength=kinds.shape[1])
    parts = np.split(order, np.cumsum(counts)[:-1]) if kinds.size else []
    return [
        ((int(a), int(b)), i[part], j[part])
        for (a, b), part in zip(kinds.T, parts, strict=True)
    ]


def _blocks(
    molecules: Molecules,
    basis: Basis,
    layout: Layout,
    i: NDArray[np.int64],
    j: NDArray[np.int64],
) -> Blocks:
    row = molecules.rows[i]
    n_i, n_j = basis.n_orbitals(molecules.z[[i[0], j[0]]])
    rows = layout.first[i][:, None, None] + np.arange(n_i)[:, None]
    columns = layout.first[j][:, None, None] + np.arange(n_j)
    return Blocks(row, i, j, layout.ptr[row][:, None, None] + packed_index(rows, columns))

"""One square that the blocks of all elements fit into."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..elements import MAX_Z
from ..structures import Molecules
from ._basis import Basis
from ._blocks import layout_of
from ._packed import packed_index

__all__ = ["Template", "filled"]


class Template:
    """Places for the shells of all elements: as many of each l as any element has.

    Networks make blocks of one shape of it; an element leaves the places empty that it has
    no shell for.

    Parameters
    ----------
    basis : Basis
        Shells of the elements.

    Attributes
    ----------
    momenta : tuple of int
        Angular momentum of each place, not decreasing.
    """

    def __init__(self, basis: Basis) -> None:
        self.basis = basis
        self.momenta = tuple(
            l
            for l in range(basis.max_l + 1)
            for _ in range(max(shells.count(l) for shells in basis.values()))
        )

    @property
    def size(self) -> int:
        """Orbitals of the square."""
        return sum(2 * l + 1 for l in self.momenta)

    @cached_property
    def unit(self) -> NDArray[np.float64]:
        """1 between orbitals of one l and m, of whatever shells, and 0 elsewhere."""
        quantum = np.array([(l, m) for l in self.momenta for m in range(-l, l + 1)])
        return (quantum[:, None] == quantum).all(axis=-1).astype(np.float64)

    def places(self, symbol: str) -> NDArray[np.int64]:
        """Place of each shell of an element."""
        left = list(range(len(self.momenta)))
        found = []
        for l in self.basis[symbol]:
            place = next(k for k in left if self.momenta[k] == l)
            left.remove(place)
            found.append(place)
        return np.array(found, dtype=np.int64)

    @cached_property
    def _orbitals(self) -> NDArray[np.int64]:
        """By atomic number, which orbital of the atom has each place; -1 for none."""
        starts = np.cumsum([0, *(2 * l + 1 for l in self.momenta)])
        table = np.full((MAX_Z + 1, self.size), -1, dtype=np.int64)
        for z, (symbol, shells) in zip(
            self.basis.elements.tolist(), self.basis.items(), strict=True
        ):
            first = 0
            for place, l in zip(self.places(symbol).tolist(), shells, strict=True):
                width = 2 * l + 1
                table[z, starts[place] : starts[place] + width] = first + np.arange(width)
                first += width
        return table

    def index(
        self, molecules: Molecules, i: NDArray[np.int64], j: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Where the elements of blocks lie in the packed arrays of a record.

        Parameters
        ----------
        molecules : Molecules
            Structures of elements of the basis.
        i, j : ndarray of int, shape (k,)
            The atoms of each block, counted over all molecules; both of one molecule.

        Returns
        -------
        ndarray of int, shape (k, size, size)
            -1 where a place is empty.
        """
        layout = layout_of(molecules, self.basis)
        own = self._orbitals[molecules.z]
        rows, columns = own[i][:, :, None], own[j][:, None, :]
        packed = packed_index(
            layout.first[i][:, None, None] + rows, layout.first[j][:, None, None] + columns
        )
        place = layout.ptr[molecules.rows[i]][:, None, None] + packed
        return np.where((rows >= 0) & (columns >= 0), place, -1)

    def sums(self, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the elements between each two shells, (k, size, size) to (k, n, n)."""
        starts = np.cumsum([0, *(2 * l + 1 for l in self.momenta)])[:-1]
        return np.add.reduceat(np.add.reduceat(blocks, starts, axis=1), starts, axis=2)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """A number for each two shells, (..., n, n), at all their elements."""
        widths = [2 * l + 1 for l in self.momenta]
        return np.repeat(np.repeat(values, widths, axis=-2), widths, axis=-1)


def filled(
    values: NDArray[np.float64], index: NDArray[np.int64], empty: float
) -> NDArray[np.float64]:
    """Elements of a packed array by index, and a number where that is -1."""
    return np.where(index >= 0, values[index], empty)

"""What of a Hamiltonian is a level of a shell, or a number times an overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hamiltonians import Hamiltonians
from ..hamiltonians._template import Template, filled
from ..structures import Molecules

__all__ = ["OverlapTerms"]

Array = NDArray[np.float64]
#: Atoms of pairs, counted over all molecules.
Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

#: All pairs, of whatever elements.
_ANY = (0, 0)


@dataclass(frozen=True, eq=False)
class OverlapTerms:
    r"""Levels of the shells of each element, and k for each two shells of two elements.

    .. math::
        H_{aa} = \varepsilon\, \mathbf{1}, \qquad H_{ab} = k\, S_{ab}

    by least squares, in double precision: that does not take a network.

    Attributes
    ----------
    template : Template
        Places of the shells.
    levels : dict of int to ndarray of shape (n, n)
        By atomic number; eV.
    factors : dict of (int, int) to ndarray of shape (n, n)
        By atomic numbers, the lower first; eV. Those of (0, 0) are of all pairs together,
        and stand for pairs that were not there. Empty without overlaps.
    """

    template: Template
    levels: dict[int, Array]
    factors: dict[tuple[int, int], Array]

    @classmethod
    def fit(
        cls, template: Template, rest: Hamiltonians, pairs: Pairs, overlaps: bool
    ) -> OverlapTerms:
        """Fit to what a reference leaves of Hamiltonians in eV, with or without overlaps."""
        z = rest.molecules.z
        atoms = np.arange(len(z))
        blocks = filled(rest.values, template.index(rest.molecules, atoms, atoms), 0.0)
        traces = template.sums(blocks * template.unit)
        widths = np.maximum(template.sums(template.unit[None])[0], 1.0)
        levels = {
            number: traces[z == number].mean(axis=0) / widths
            for number in rest.molecules.elements.tolist()
        }
        if not overlaps or rest.overlap_values is None:
            return cls(template, levels, {})
        index = template.index(rest.molecules, *pairs)
        values, overlap = (
            filled(flat, index, 0.0) for flat in (rest.values, rest.overlap_values)
        )
        products, squares = template.sums(values * overlap), template.sums(overlap**2)
        every = np.ones(len(index), dtype=bool)
        either = {kind: _either_way(z, pairs, kind) for kind in _kinds(z, pairs)}
        factors = {}
        for kind, (up, down) in {_ANY: (every, every), **either}.items():
            found, size = (
                sums[up].sum(axis=0) + sums[down].sum(axis=0).T for sums in (products, squares)
            )
            factors[kind] = np.divide(found, size, out=np.zeros_like(size), where=size > 0)
        return cls(template, levels, factors)

    def predict(self, known: Hamiltonians, pairs: Pairs) -> Array:
        """The terms of molecules, as packed elements in eV.

        Parameters
        ----------
        known : Hamiltonians
            Structures with their overlaps.
        pairs : (ndarray, ndarray)
            Atoms of the pairs that have terms.
        """
        out = np.zeros_like(known.values)
        z = known.molecules.z
        for number, levels in self.levels.items():
            atoms = np.flatnonzero(z == number)
            blocks = self.template.spread(levels) * self.template.unit
            _set(out, self.template, known.molecules, (atoms, atoms), blocks)
        if not self.factors or known.overlap_values is None:
            return out
        for kind in _kinds(z, pairs):
            factor = self.template.spread(self.factors.get(kind, self.factors[_ANY]))
            up, down = _either_way(z, pairs, kind)
            down = down & ~up
            for chosen, blocks in ((up, factor), (down, factor.T)):
                these = (pairs[0][chosen], pairs[1][chosen])
                index = self.template.index(known.molecules, *these)
                overlap = filled(known.overlap_values, index, 0.0)
                _set(out, self.template, known.molecules, these, blocks * overlap)
        return out


def _kinds(z: NDArray[np.int64], pairs: Pairs) -> list[tuple[int, int]]:
    """Different pairs of elements, the lower atomic number first."""
    both = np.sort(np.stack([z[pairs[0]], z[pairs[1]]]), axis=0)
    return [(int(a), int(b)) for a, b in np.unique(both, axis=1).T]


def _either_way(
    z: NDArray[np.int64], pairs: Pairs, kind: tuple[int, int]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pairs are of two elements in this order, and which in the other; equal are both."""
    first, second = z[pairs[0]], z[pairs[1]]
    up = (first == kind[0]) & (second == kind[1])
    return up, (first == kind[1]) & (second == kind[0])


def _set(
    out: Array, template: Template, molecules: Molecules, atoms: Pairs, blocks: Array
) -> None:
    """Set elements of a packed array to those of blocks."""
    index = template.index(molecules, *atoms)
    there = index >= 0
    out[index[there]] = np.broadcast_to(blocks, index.shape)[there]

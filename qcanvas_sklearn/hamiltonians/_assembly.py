"""Overlaps and H0 of molecules, put together of tables of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import SYMBOLS
from ..structures import Molecules
from ._basis import Basis
from ._blocks import Blocks, element_blocks, layout_of
from ._pair_table import PairTable
from ._slater_koster import offsets

__all__ = ["assemble", "repulsion"]

_Kind = tuple[str, str]


class _Meeting(NamedTuple):
    """All pairs of atoms of two elements, the lighter one first, and where they meet."""

    blocks: Blocks
    distances: NDArray[np.float64]
    directions: NDArray[np.float64]


def assemble(
    molecules: Molecules,
    basis: Basis,
    free: Mapping[str, NDArray[np.float64]],
    pairs: Mapping[_Kind, PairTable],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Overlaps and H0 of molecules, as packed arrays of a record.

    Parameters
    ----------
    molecules : Molecules
        Structures of elements that the tables know.
    basis : Basis
        Shells of the elements.
    free : mapping of str to ndarray
        Levels (eV) of the free atoms' shells.
    pairs : mapping of (str, str) to PairTable
        Tables, the lighter element first.

    Returns
    -------
    overlap, core : ndarray
        Lower triangles, one behind the other; H0 in eV.
    """
    blocks = element_blocks(molecules, basis)
    met = {kind: _meeting(molecules, of) for kind, of in blocks.off_site.items()}
    levels = _levels(molecules, free, pairs, met)
    size = int(layout_of(molecules, basis).ptr[-1])
    overlap, core = np.zeros(size), np.zeros(size)
    for symbol, on_site in blocks.on_site.items():
        shells = basis[symbol]
        diagonal = np.einsum("pii->pi", on_site.index)
        overlap[diagonal] = 1.0
        of_shells = levels[on_site.i, : len(shells)]
        core[diagonal] = np.repeat(of_shells, np.diff(offsets(shells)), axis=1)
    for kind, (of, distances, directions) in met.items():
        pair = pairs[kind]
        first, second = (
            levels[atoms, : len(shells)]
            for atoms, shells in zip((of.i, of.j), pair.shells, strict=True)
        )
        found = pair.integrals_at(distances, first, second)
        for target, integrals in zip((overlap, core), found, strict=True):
            target[of.index] = pair.blocks(integrals, directions)
    return overlap, core


def repulsion(
    molecules: Molecules, basis: Basis, pairs: Mapping[_Kind, PairTable]
) -> NDArray[np.float64]:
    """Energies (eV) with which the cores of each molecule repel each other, shape (n,)."""
    energies = np.zeros(len(molecules))
    for kind, of in element_blocks(molecules, basis).off_site.items():
        distances = _meeting(molecules, of).distances
        np.add.at(energies, of.row, pairs[kind].repulsion_at(distances))
    return energies


def _meeting(molecules: Molecules, blocks: Blocks) -> _Meeting:
    vectors = molecules.positions[blocks.j] - molecules.positions[blocks.i]
    distances = np.linalg.norm(vectors, axis=1)
    return _Meeting(blocks, distances, vectors / distances[:, None])


def _levels(
    molecules: Molecules,
    free: Mapping[str, NDArray[np.float64]],
    pairs: Mapping[_Kind, PairTable],
    met: Mapping[_Kind, _Meeting],
) -> NDArray[np.float64]:
    """Levels of the shells in the molecules, (N, most shells of an element) in eV."""
    elements = molecules.elements.tolist()
    most = max((len(free[SYMBOLS[z]]) for z in elements), default=0)
    levels = np.zeros((len(molecules.z), most))
    for z in elements:
        of_element = free[SYMBOLS[z]]
        levels[molecules.z == z, : len(of_element)] = of_element
    for kind, (of, distances, _) in met.items():
        shifts = pairs[kind].shifts_at(distances)
        for atoms, shift in zip((of.i, of.j), shifts, strict=True):
            np.add.at(levels[:, : shift.shape[1]], atoms, shift)
    return levels

"""How many electrons the orbitals of a molecule hold."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..elements import SYMBOLS, property_values
from ..structures import Molecules
from ..structures._arrays import freeze
from ._basis import MAX_L, Basis

__all__ = ["count_electrons", "holds_all_electrons", "whole_electrons"]

#: Angular momenta of the shells of free atoms in the order in which they are filled.
_FILLING = (0, 0, 1, 0, 1, 0, 2, 1, 0, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1)


@cache
def _occupied_shells(z: int) -> tuple[int, ...]:
    """Number of occupied shells of each l of a free atom."""
    shells, left = [0] * (MAX_L + 1), z
    for l in _FILLING:
        if left <= 0:
            break
        shells[l] += 1
        left -= 2 * (2 * l + 1)
    return tuple(shells)


def holds_all_electrons(z: int, shells: tuple[int, ...]) -> bool:
    """Whether there is a shell for each of those that a free atom occupies."""
    return all(shells.count(l) >= needs for l, needs in enumerate(_occupied_shells(z)))


def _electrons(z: int, shells: tuple[int, ...]) -> tuple[float, str]:
    """Electrons of a neutral atom in these shells, and which: all, valence or unknown."""
    if holds_all_electrons(z, shells):
        return z, "all"
    counts = [shells.count(l) for l in range(MAX_L + 1)]
    if max(counts) > 1:
        return np.nan, "unknown"
    valence = [property_values(f"valence_{letter}")[z] for letter in "spdf"]
    return float(sum(n for n, has in zip(valence, counts, strict=False) if has)), "valence"


def count_electrons(molecules: Molecules, basis: Basis) -> NDArray[np.float64]:
    """Electrons of each molecule, from its charge and from what its basis can hold.

    All electrons where the basis of an element has a shell for each of its occupied ones;
    the valence electrons where it has one shell of each l at most.

    Parameters
    ----------
    molecules : Molecules
        Structures with their total charges.
    basis : Basis
        Shells of their elements.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If an element's basis is neither (pseudopotentials leave some core electrons out),
        or if some elements have all electrons and others their valence electrons only.
    """
    by_element = np.zeros(len(SYMBOLS))
    kinds: dict[str, list[str]] = {}
    for z in molecules.elements.tolist():
        by_element[z], kind = _electrons(z, basis.shells(z))
        if z > 2:  # hydrogen and helium have no core
            kinds.setdefault(kind, []).append(SYMBOLS[z])
    if "unknown" in kinds:
        raise ValueError(
            f"the basis of {kinds['unknown']} has no shells for all electrons, and more than "
            "those of the valence electrons; pass n_electrons, by molecule"
        )
    if len(kinds) > 1:
        raise ValueError(
            f"the basis of {kinds['all']} has shells for all electrons, that of "
            f"{kinds['valence']} for valence electrons only; pass n_electrons, by molecule"
        )
    neutral = np.bincount(
        molecules.rows, weights=by_element[molecules.z], minlength=len(molecules)
    )
    return neutral - molecules.charge


def whole_electrons(electrons: ArrayLike, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Electrons of each molecule as integers that have a place in its orbitals.

    Raises
    ------
    ValueError
        If there are not as many numbers as molecules, or one is no whole number or beyond
        what two electrons an orbital allow.
    """
    numbers = np.asarray(electrons, dtype=np.float64)
    if numbers.shape != sizes.shape:
        raise ValueError(f"n_electrons has shape {numbers.shape}, expected {sizes.shape}")
    wrong = ~((numbers == np.round(numbers)) & (numbers >= 0) & (numbers <= 2 * sizes))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"molecule {row} has {numbers[row]:g} electrons; accepted are whole numbers from 0 "
            f"to the {2 * sizes[row]} that its orbitals hold"
        )
    return freeze(numbers.astype(np.int64))

"""Two-centre tables as a fitted model of pairs knows them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..elements import atomic_numbers
from ._basis import LETTERS, Basis
from ._pair_table import Dimers, PairTable
from ._slater_koster import offsets

__all__ = ["taught"]

Array = NDArray[np.float64]
Shells = tuple[tuple[int, ...], tuple[int, ...]]

_M = {"sigma": 0, "pi": 1, "delta": 2, "phi": 3}


def taught(
    estimator: Any, elements: Sequence[str] | None, distances: Array, member: int
) -> dict[str, Any]:
    """Fields of the tables that a member of a model of pairs makes.

    Raises
    ------
    TypeError
        If the estimator tells no Hamiltonians of pairs.
    ValueError
        If an element was not learned.
    """
    if not all(hasattr(type(estimator), name) for name in ("hamiltonian", "repulsion")):
        raise TypeError(
            "tables are made of what pairs taught a TightBindingRegressor, got "
            f"{type(estimator).__name__}"
        )
    names = _checked(estimator, elements)
    found = {
        kind: _dimers(estimator, kind, distances, member)
        for kind in combinations_with_replacement(names, 2)
    }
    shells = {name: found[name, name][0][0] for name in names}
    # A free atom is one of two that are as far apart as the tables reach.
    levels = {
        name: np.diag(found[name, name][1].cores[-1])[offsets(shells[name])[:-1]]
        for name in names
    }
    pairs = {
        (a, b): PairTable.from_dimers(of_kind, (levels[a], levels[b]), dimers)
        for (a, b), (of_kind, dimers) in found.items()
    }
    electrons, method = estimator.element_parameters_["electrons"], type(estimator).__name__
    return {
        "basis": Basis(shells), "levels": levels, "pairs": pairs, "method": method,
        "electrons": {name: float(electrons[name]) for name in names},
        "provenance": f"{method}, member {member}, dimers at {len(distances)} distances",
    }  # fmt: skip


def _checked(estimator: Any, elements: Sequence[str] | None) -> list[str]:
    """Elements by their atomic numbers."""
    learned = estimator.elements_
    names = learned if elements is None else list(elements)
    if not names or isinstance(elements, str) or not set(names) <= set(learned):
        raise ValueError(
            f"elements must be some of those that were learned, {', '.join(learned)}; "
            f"got {elements!r}"
        )
    return sorted(set(names), key=lambda name: int(atomic_numbers(name)))


def _dimers(
    estimator: Any, kind: tuple[str, str], distances: Array, member: int
) -> tuple[Shells, Dimers]:
    """Shells of two elements, the lighter one first, and their matrices at distances in Å."""
    rows = [list(kind)] * len(distances)
    found = estimator.hamiltonian(rows, distances, member=member, potential=False)
    shells = _shells(found[0][0].labels, kind)
    matrices = np.array([_matrices(blocks, shells, kind) for blocks in found])
    repulsion = estimator.repulsion(rows, distances, member=member)
    return shells, Dimers(distances, matrices[:, 0], matrices[:, 1], repulsion)


def _orbitals(labels: Sequence[str], kind: tuple[str, str]) -> list[tuple[int, int]]:
    """Atom and l of orbitals by their labels, such as ``"C1 s"``.

    The model's bond points from the lighter element to the heavier one, whichever of them
    it names first.
    """
    found = []
    for label in labels:
        atom, shell = label.split()
        alike = kind[0] == kind[1]
        place = int(atom[-1]) - 1 if alike else kind.index(atom[:-1])
        found.append((place, LETTERS.index(shell)))
    return found


def _shells(labels: Sequence[str], kind: tuple[str, str]) -> Shells:
    """Shells of both atoms, all of which have an orbital along the bond."""
    orbitals = _orbitals(labels, kind)
    first, second = (tuple(l for a, l in orbitals if a == atom) for atom in (0, 1))
    return first, second


def _matrices(blocks: Sequence[Any], shells: Shells, kind: tuple[str, str]) -> Array:
    """Overlap and Hamiltonian (2, n, n) of all orbitals, from the blocks by symmetry."""
    own = [offsets(of_atom) for of_atom in shells]
    starts = [own[0], [own[0][-1] + start for start in own[1]]]
    out = np.zeros((2, starts[1][-1], starts[1][-1]))
    for block in blocks:
        m = _M[block.symmetry]
        orbitals = _orbitals(block.labels, kind)
        for sign in (-1, 1) if m else (1,):
            at = np.array([starts[a][shells[a].index(l)] + l + sign * m for a, l in orbitals])
            out[:, at[:, None], at] = block.overlap, block.hamiltonian
    return out

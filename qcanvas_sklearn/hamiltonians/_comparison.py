"""Two Hamiltonians of one molecule, diagonalised and set side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ..elements import symbols
from ._record import Hamiltonians
from ._spectra import frontier_levels, occupations

__all__ = ["Comparison", "check_alike", "compare"]


@dataclass(frozen=True)
class Comparison:
    """What two Hamiltonians of one molecule differ in.

    Attributes
    ----------
    levels : dict of str to ndarray
        Absolute errors in eV: of all ``"occupied"`` levels, and of ``"homo"``, ``"lumo"``
        and ``"gap"``, one each, or none where there is no such level.
    angles : ndarray of shape (n_occupied,)
        Squared cosines of the principal angles of the two occupied spaces.
    electrons : ndarray of shape (n_atoms,)
        Absolute errors of the gross populations of the atoms.
    """

    levels: dict[str, NDArray[np.float64]]
    angles: NDArray[np.float64]
    electrons: NDArray[np.float64]


def check_alike(true: Hamiltonians, predicted: Hamiltonians) -> None:
    """Raise a ValueError unless both are of the same molecules in the same basis."""
    if len(true) != len(predicted):
        raise ValueError(f"{len(predicted)} predicted Hamiltonians, but {len(true)} true ones")
    a, b = true.molecules, predicted.molecules
    # Shells of elements that are in none of the molecules make no difference.
    present = symbols(np.union1d(a.elements, b.elements)).tolist()
    if any(true.basis.get(name) != predicted.basis.get(name) for name in present):
        raise ValueError(f"the bases differ: {true.basis} and {predicted.basis}")
    if not (np.array_equal(a.ptr, b.ptr) and np.array_equal(a.z, b.z)):
        raise ValueError("true and predicted Hamiltonians are of different molecules")


def compare(true: Hamiltonians, predicted: Hamiltonians) -> Iterator[Comparison]:
    """Comparisons molecule by molecule, in the true record's order.

    A record without overlaps is diagonalised with those of the other.

    Raises
    ------
    ValueError
        If the records are not of the same molecules and basis, neither has overlaps, or one
        of these is not positive definite.
    """
    check_alike(true, predicted)
    true, predicted = true.in_unit("eV"), predicted.in_unit("eV")
    if predicted.overlap_values is None:
        predicted = predicted.with_overlaps(true.overlap_values)
    elif true.overlap_values is None:
        true = true.with_overlaps(predicted.overlap_values)
    for i, n in enumerate(true.n_electrons.tolist()):
        yield _compare(true, predicted, i, n)


def _compare(true: Hamiltonians, predicted: Hamiltonians, i: int, n: int) -> Comparison:
    overlap = true.overlap(i)
    levels, orbitals = true.solve(i)
    others, mixed = predicted.solve(i)
    filled = (n + 1) // 2
    frontier = np.array([frontier_levels(e, n) for e in (levels, others)])
    homo, lumo = (frontier[1] - frontier[0])[:, None]
    errors = {"homo": np.abs(homo), "lumo": np.abs(lumo), "gap": np.abs(lumo - homo)}
    electrons = _electrons(true, i, occupations(levels, n), orbitals)
    electrons = electrons - _electrons(predicted, i, occupations(others, n), mixed)
    return Comparison(
        {"occupied": np.abs(others - levels)[:filled]}
        | {name: error[np.isfinite(error)] for name, error in errors.items()},
        _angles(orbitals[:, :filled], mixed[:, :filled], overlap),
        np.abs(electrons),
    )


def _angles(
    a: NDArray[np.float64], b: NDArray[np.float64], overlap: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Squared cosines of the principal angles of two spaces, ascending."""
    if not a.shape[1]:
        return np.zeros(0)
    common = a.T @ overlap @ b
    # Orbitals of another overlap are not orthonormal in this one.
    squared = eigh(common.T @ common, b.T @ overlap @ b, eigvals_only=True)
    return np.asarray(np.clip(squared, 0.0, 1.0))


def _electrons(
    record: Hamiltonians, i: int, filling: NDArray[np.float64], orbitals: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Gross populations of the atoms of one molecule."""
    filled = orbitals * filling
    gross = np.einsum("ik,ik->i", filled, record.overlap(i) @ orbitals)
    atoms = record.basis.orbitals(record.molecules[i].z)
    out = np.zeros(len(atoms.z))
    np.add.at(out, atoms.atom, gross)
    return out

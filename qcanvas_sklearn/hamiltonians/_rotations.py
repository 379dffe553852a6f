"""Hamiltonians of molecules that are turned: made, and compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import pdist

from ..datasets._labels import DIPOLE_LABELS
from ..structures import Molecules
from ._basis import Basis, Orbitals
from ._blocks import layout_of
from ._harmonics import rotation
from ._packed import pack, unpack

if TYPE_CHECKING:
    from ._record import Hamiltonians

__all__ = ["check_turned_copies", "orbital_rotation", "rotated"]

#: Distances in Å up to which two structures are one, turned.
_SAME = 1e-4
#: Share of the largest element by which the Hamiltonians of those may differ: far above
#: what such distances explain, far below what another order of the orbitals does.
_TOLERANCE = 1e-3


def orbital_rotation(orbitals: Orbitals, matrix: ArrayLike) -> NDArray[np.float64]:
    """How the orbitals of a molecule turn with space, an orthogonal matrix (n, n)."""
    turn = np.zeros((len(orbitals), len(orbitals)))
    turns: dict[int, NDArray[np.float64]] = {}
    for start in np.flatnonzero(orbitals.m == -orbitals.l).tolist():
        l = int(orbitals.l[start])
        if l not in turns:
            turns[l] = rotation(l, matrix)
        shell = slice(start, start + 2 * l + 1)
        turn[shell, shell] = turns[l]
    return turn


def rotated(hamiltonians: Hamiltonians, matrix: ArrayLike) -> Hamiltonians:
    """The record after a rotation or reflection of space.

    Parameters
    ----------
    hamiltonians : Hamiltonians
        Matrices, and the molecules that they are of.
    matrix : array-like of shape (3, 3)
        Orthogonal matrix R, which takes a position r to R r.

    Returns
    -------
    Hamiltonians
        Positions, forces and dipoles turned, and the matrices with them; levels and
        populations of atoms stay as they are.

    Raises
    ------
    ValueError
        If the matrix is not orthogonal.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import Hamiltonians, rotated
    >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> h = np.diag([-1.0, -3.0, -2.0, -2.0, -2.0])
    >>> h[0, 3] = h[3, 0] = 0.5  # s and p_z
    >>> some = Hamiltonians.from_matrices(
    ...     hf, [h], "orthogonal", basis={"H": (0,), "F": (0, 1)}, convention="qcanvas")
    >>> to_x = [[0, 0, 1], [0, 1, 0], [-1, 0, 0]]
    >>> rotated(some, to_x).matrix(0)[0].round(12) + 0.0  # s and p_x
    array([-1. ,  0. ,  0. ,  0. ,  0.5])
    """
    turn = np.asarray(matrix, dtype=np.float64)
    if turn.shape != (3, 3):
        raise ValueError(f"a rotation has shape (3, 3), got {turn.shape}")
    molecules = hamiltonians.molecules
    moved = replace(
        molecules,
        positions=molecules.positions @ turn.T,
        forces=None if molecules.forces is None else molecules.forces @ turn.T,
        cell=None if molecules.cell is None else molecules.cell @ turn.T,
        labels=_turned_labels(molecules.labels, turn),
    )
    basis, flats = hamiltonians.basis, [hamiltonians.values]
    if hamiltonians.overlap_values is not None:
        flats.append(hamiltonians.overlap_values)
    sizes, ptr = hamiltonians.n_orbitals, hamiltonians.ptr
    parts: list[list[NDArray[np.float64]]] = [[np.zeros(0)] for _ in flats]
    for i, n in enumerate(sizes.tolist()):
        z = molecules.z[molecules.ptr[i] : molecules.ptr[i + 1]]
        orbitals = orbital_rotation(basis.orbitals(z), turn)
        for flat, part in zip(flats, parts, strict=True):
            part.append(_turned(flat[ptr[i] : ptr[i + 1]], n, orbitals))
    turned = [np.concatenate(part) for part in parts]
    return replace(
        hamiltonians, molecules=moved, values=turned[0],
        overlap_values=turned[1] if len(turned) > 1 else None,
    )  # fmt: skip


def _turned_labels(labels: pd.DataFrame, turn: NDArray[np.float64]) -> pd.DataFrame:
    """Labels of which the components of the dipole are turned, where all three are there."""
    if not set(DIPOLE_LABELS) <= set(labels.columns):
        return labels
    dipoles = labels[DIPOLE_LABELS].to_numpy() @ turn.T
    return labels.assign(**dict(zip(DIPOLE_LABELS, dipoles.T, strict=True)))


def _turned(
    packed: NDArray[np.float64], n: int, orbitals: NDArray[np.float64]
) -> NDArray[np.float64]:
    return pack(orbitals @ unpack(packed, n) @ orbitals.T)


def check_turned_copies(
    molecules: Molecules, basis: Basis, flat: NDArray[np.float64]
) -> None:
    """Raise a ValueError unless Hamiltonians turn with their molecules.

    Where a structure is there twice, turned or reflected, this proves the order of the
    orbitals without an overlap.

    Parameters
    ----------
    molecules : Molecules
        Structures.
    basis : Basis
        Shells of their elements.
    flat : ndarray
        Packed Hamiltonians in canonical order.

    Raises
    ------
    ValueError
        It names two molecules whose Hamiltonians are not those of one.
    """
    layout = layout_of(molecules, basis)
    for a, b in _alike(molecules):
        first, second = (molecules[k].positions for k in (a, b))
        matrix = _alignment(first, second)
        if matrix is None:
            continue
        orbitals = orbital_rotation(basis.orbitals(molecules[a].z), matrix)
        left, right = (flat[layout.ptr[k] : layout.ptr[k + 1]] for k in (a, b))
        error = np.abs(_turned(left, int(layout.sizes[a]), orbitals) - right).max()
        if error > _TOLERANCE * np.abs(right).max():
            raise ValueError(
                f"matrices {a} and {b} are of one structure ({str(molecules.formulas[a])!r}), "
                f"turned, but differ by {error:.2g} when they are turned with it: the "
                "orbitals are not in the stated order and signs"
            )


def _alike(molecules: Molecules) -> Iterator[tuple[int, int]]:
    """Rows of the same atoms and charge whose distances add up to the same."""
    groups: dict[tuple[bytes, float], list[tuple[float, int]]] = {}
    for i in range(len(molecules)):
        of = slice(molecules.ptr[i], molecules.ptr[i + 1])
        total = float(pdist(molecules.positions[of]).sum())
        key = molecules.z[of].tobytes(), float(molecules.charge[i])
        groups.setdefault(key, []).append((total, i))
    for rows in groups.values():
        rows.sort()
        for (one, a), (other, b) in zip(rows[:-1], rows[1:], strict=True):
            if other - one < _SAME:
                yield min(a, b), max(a, b)


def _alignment(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The orthogonal matrix that takes one structure to another, None if there is none.

    Nor is there one of atoms on a line, about which they may be turned freely.
    """
    a, b = first - first.mean(axis=0), second - second.mean(axis=0)
    u, sizes, v = np.linalg.svd(a.T @ b)
    if sizes[1] < _SAME * max(sizes[0], 1e-12):
        return None
    matrix = (u @ v).T
    return matrix if np.abs(a @ matrix.T - b).max() < _SAME else None

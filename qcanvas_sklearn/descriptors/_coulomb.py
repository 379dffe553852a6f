"""Spectra of Coulomb matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..structures import Molecules

__all__ = ["coulomb_spectra", "refuse_periodic"]

#: Bohr in Å; the matrix is in atomic units, as published.
_BOHR = 0.529177210903
#: 0.5 Z^2.4 is about the energy of a free atom in hartree.
_SELF_FACTOR, _SELF_POWER = 0.5, 2.4


def refuse_periodic(molecules: Molecules, kind: str) -> None:
    """Raise a ValueError that names the first periodic row, if there is one."""
    periodic = np.zeros(1, bool) if molecules.pbc is None else molecules.pbc.any(axis=1)
    if periodic.any():
        row = int(np.argmax(periodic))
        raise ValueError(
            f"structure {row} ({molecules.names[row]}) is periodic; kind={kind!r} is of "
            'molecules without a cell, kind="soap" of both'
        )


def coulomb_spectra(molecules: Molecules, n_atoms: int | None = None) -> NDArray[np.float64]:
    """Eigenvalues of the molecules' Coulomb matrices.

    The matrix has ``0.5 Z_i^2.4`` on its diagonal and ``Z_i Z_j / |r_i - r_j|`` beside it,
    in hartree. Its eigenvalues do not change when the molecule is moved, turned or mirrored, or
    its atoms take another order. Sorted rows of the matrix say more, and change where atoms
    that symmetry makes alike change places.

    Parameters
    ----------
    molecules : Molecules
        Structures without a cell.
    n_atoms : int, optional
        Columns, by default as many as the largest molecule has atoms.

    Returns
    -------
    ndarray of shape (n, n_atoms)
        By falling magnitude, zeros behind the last.

    Raises
    ------
    ValueError
        If a structure is periodic, or has more than `n_atoms` atoms.

    References
    ----------
    M. Rupp, A. Tkatchenko, K.-R. Müller, O. A. von Lilienfeld, Fast and accurate modeling of
    molecular atomization energies with machine learning, Phys. Rev. Lett. 108, 058301 (2012),
    arXiv:1109.2618.

    Examples
    --------
    >>> from qcanvas_sklearn.descriptors import coulomb_spectra
    >>> from qcanvas_sklearn.structures import Molecules
    >>> hydrogen = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.529177210903]]])
    >>> coulomb_spectra(hydrogen, n_atoms=3).round(6)
    array([[ 1.5, -0.5,  0. ]])
    """
    refuse_periodic(molecules, "coulomb")
    counts = molecules.n_atoms
    n_atoms = int(counts.max(initial=0)) if n_atoms is None else n_atoms
    if (counts > n_atoms).any():
        row = int(np.argmax(counts > n_atoms))
        raise ValueError(
            f"structure {row} ({molecules.names[row]}) has {counts[row]} atoms, of which there "
            f"is room for {n_atoms}; set n_atoms to the largest number that may come"
        )
    out = np.zeros((len(molecules), n_atoms))
    for size in np.unique(counts):
        rows = np.flatnonzero(counts == size)
        atoms = molecules.ptr[rows, np.newaxis] + np.arange(size)
        values = np.linalg.eigvalsh(_matrices(molecules.z[atoms], molecules.positions[atoms]))
        order = np.argsort(-np.abs(values), axis=1, kind="stable")
        out[rows, :size] = np.take_along_axis(values, order, axis=1)
    return out


def _matrices(z: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coulomb matrices (m, s, s) of m molecules of s atoms each."""
    distance = np.linalg.norm(positions[:, :, None] - positions[:, None, :], axis=-1) / _BOHR
    diagonal = np.arange(z.shape[1])
    distance[:, diagonal, diagonal] = 1.0
    matrices = z[:, :, None] * z[:, None, :] / distance
    matrices[:, diagonal, diagonal] = _SELF_FACTOR * z**_SELF_POWER
    return matrices

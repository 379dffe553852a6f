"""What follows from the matrices of molecules: levels, densities, populations."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, eigh
from scipy.sparse import csr_array

from ..structures import N_ORBITALS, Molecules
from ..structures._arrays import freeze
from ._basis import Basis, Orbitals
from ._harmonics import bond_frames
from ._rotations import orbital_rotation

__all__ = ["Spectra", "frontier_levels", "matrix_of_levels", "occupations"]

#: Largest deviation of Cᵀ S C from 1: of the orbitals of programs some 1e-15.
_ORTHONORMAL = 1e-8
#: Levels (eV or hartree) that differ by less are one: electrons of the highest are shared.
_DEGENERATE = 1e-6
#: Quality of molecules whose Hamiltonian is of no self-consistent state.
_NO_STATE = ("not-converged", "unphysical-charges")


class Spectra:
    """Methods of a record that work on the matrices of one molecule after the other."""

    if TYPE_CHECKING:
        molecules: Molecules
        basis: Basis
        overlap_values: NDArray[np.float64] | None
        n_electrons: NDArray[np.int64]

        def __len__(self) -> int: ...
        def matrix(self, i: int) -> NDArray[np.float64]: ...
        def overlap(self, i: int) -> NDArray[np.float64]: ...

    @property
    def converged(self) -> NDArray[np.bool_]:
        """False where the molecules' `quality` says that no state was found, shape (n,)."""
        return ~np.isin(self.molecules.quality, _NO_STATE)

    def to_scipy(self, i: int, cutoff: float = 0.0) -> tuple[csr_array, csr_array | None]:
        """Hamiltonian and overlap of one molecule as sparse arrays.

        Parameters
        ----------
        i : int
            Row of the record.
        cutoff : float, default=0.0
            Elements of at most this size are left out.

        Returns
        -------
        hamiltonian : scipy.sparse.csr_array
            In the record's unit.
        overlap : scipy.sparse.csr_array or None
            None where the record has none.
        """
        dense = [self.matrix(i)]
        if self.overlap_values is not None:
            dense.append(self.overlap(i))
        sparse = [csr_array(np.where(np.abs(m) > cutoff, m, 0.0)) for m in dense]
        return sparse[0], sparse[1] if len(sparse) > 1 else None

    def solve(self, i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Levels and orbitals of one molecule: H C = S C E, in double precision.

        Parameters
        ----------
        i : int
            Row of the record.

        Returns
        -------
        levels : ndarray of shape (n_i,)
            Ascending, in the record's unit.
        orbitals : ndarray of shape (n_i, n_i)
            One a column, with Cᵀ S C = 1.

        Raises
        ------
        ValueError
            If the record has no overlaps, or this one is not positive definite.
        """
        return self._solve(i, eigvals_only=False)

    def _solve(self, i: int, *, eigvals_only: bool) -> Any:
        overlap = self.overlap(i)
        try:
            return eigh(self.matrix(i), overlap, eigvals_only=eigvals_only)
        except LinAlgError:
            smallest = float(np.linalg.eigvalsh(overlap)[0])
            raise ValueError(
                f"the overlap of molecule {i} ({str(self.molecules.names[i])!r}) is not "
                f"positive definite: its smallest eigenvalue is {smallest:.2g}"
            ) from None

    @cached_property
    def _levels(self) -> list[NDArray[np.float64]]:
        return [freeze(self._solve(i, eigvals_only=True)) for i in range(len(self))]

    def orbital_energies(self) -> list[NDArray[np.float64]]:
        """All levels of each molecule, ascending, in the record's unit.

        Raises
        ------
        ValueError
            As :meth:`solve`.
        """
        return list(self._levels)

    def occupied(self) -> list[NDArray[np.float64]]:
        """The levels of each molecule that hold electrons, in the record's unit.

        Raises
        ------
        ValueError
            As :meth:`solve`.
        """
        counts = ((self.n_electrons + 1) // 2).tolist()
        return [e[:n] for e, n in zip(self._levels, counts, strict=True)]

    def _frontier(self) -> NDArray[np.float64]:
        pairs = [
            frontier_levels(levels, n)
            for levels, n in zip(self._levels, self.n_electrons.tolist(), strict=True)
        ]
        return np.array(pairs).reshape(-1, 2)

    def homo(self) -> NDArray[np.float64]:
        """Highest level with electrons of each molecule, filled from below, shape (n,)."""
        return self._frontier()[:, 0]

    def lumo(self) -> NDArray[np.float64]:
        """Lowest level with room for an electron; NaN where there is none, shape (n,).

        A half-filled level is both HOMO and LUMO.
        """
        return self._frontier()[:, 1]

    def gap(self) -> NDArray[np.float64]:
        """LUMO less HOMO of each molecule, in the record's unit, shape (n,).

        Raises
        ------
        ValueError
            As :meth:`solve`.
        """
        homo, lumo = self._frontier().T
        return lumo - homo

    def density(self, i: int) -> NDArray[np.float64]:
        """Density matrix of one molecule, two electrons a level, filled from below.

        Levels of equal energy share their electrons: which orbitals they have is arbitrary.

        Parameters
        ----------
        i : int
            Row of the record.

        Returns
        -------
        ndarray of shape (n_i, n_i)
            With tr(P S) electrons.

        Raises
        ------
        ValueError
            As :meth:`solve`.
        """
        levels, orbitals = self.solve(i)
        filled = occupations(levels, int(self.n_electrons[i]))
        return (orbitals * filled) @ orbitals.T

    def populations(self, i: int, axis: ArrayLike | None = None) -> NDArray[np.float64]:
        """Mulliken's gross populations of one molecule by atom, l and m.

        Parameters
        ----------
        i : int
            Row of the record.
        axis : array-like of shape (3,), optional
            Direction of the z axis to which m refers, such as that of a bond; by default
            that of the positions.

        Returns
        -------
        ndarray of shape (n_atoms, 16)
            Electrons at index l² + l + m, shells of one l added up; more columns where the
            basis has g shells.

        Raises
        ------
        ValueError
            As :meth:`solve`, or if `axis` is no direction.
        """
        atoms = self.molecules[i]
        return _populations(
            self.density(i), self.overlap(i), self.basis.orbitals(atoms.z), axis
        )


def frontier_levels(levels: NDArray[np.float64], n_electrons: int) -> tuple[float, float]:
    """HOMO and LUMO by filling from below; a level with one electron is both.

    NaN where no level is filled, or none is left.
    """
    filled, half = (n_electrons + 1) // 2, n_electrons // 2
    homo = float(levels[filled - 1]) if filled else np.nan
    return homo, float(levels[half]) if half < len(levels) else np.nan


def matrix_of_levels(
    overlap: NDArray[np.float64],
    orbitals: NDArray[np.float64],
    levels: NDArray[np.float64],
    program: str,
) -> NDArray[np.float64]:
    """The Hamiltonian of which these are the orbitals and levels.

    Raises
    ------
    RuntimeError
        If they are no orbitals of this overlap.
    """
    left = overlap @ orbitals
    off = np.abs(orbitals.T @ left - np.eye(len(levels))).max()
    if off > _ORTHONORMAL:
        raise RuntimeError(f"the orbitals of {program} are not orthonormal, by {off:.2g}")
    return (left * levels) @ left.T


def occupations(levels: NDArray[np.float64], n_electrons: int) -> NDArray[np.float64]:
    """Electrons of each level (ascending), filled from below; equal ones have the same."""
    filled = np.clip(n_electrons - 2.0 * np.arange(len(levels)), 0.0, 2.0)
    if n_electrons:
        highest = np.abs(levels - levels[(n_electrons - 1) // 2]) < _DEGENERATE
        filled[highest] = filled[highest].mean()
    return filled


def _populations(
    density: NDArray[np.float64],
    overlap: NDArray[np.float64],
    orbitals: Orbitals,
    axis: ArrayLike | None,
) -> NDArray[np.float64]:
    """Gross populations by atom and (l, m), shells of one l added up.

    Raises
    ------
    ValueError
        If `axis` is no vector, or zero.
    """
    if axis is not None:
        vector = np.asarray(axis, dtype=np.float64)
        if vector.shape != (3,) or not np.linalg.norm(vector) > 0:
            raise ValueError(f"axis must be a vector of three numbers, not zero, got {axis!r}")
        turn = orbital_rotation(orbitals, bond_frames(vector))
        density, overlap = turn @ density @ turn.T, turn @ overlap @ turn.T
    gross = np.einsum("ij,ji->i", density, overlap)
    width = max(N_ORBITALS, (int(orbitals.l.max(initial=0)) + 1) ** 2)
    out = np.zeros((len(orbitals.z), width))
    np.add.at(out, (orbitals.atom, orbitals.l**2 + orbitals.l + orbitals.m), gross)
    return out

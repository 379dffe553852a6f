"""`compute_hamiltonians`: converged Hamiltonians of molecules, computed on the spot."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..datasets._xtb_jobs import cache_directory, check_settings, run_jobs
from ..datasets._xtb_molecules import (
    MOLECULE_PROPERTIES,
    MoleculeJob,
    check_structures,
    job_fields,
    labelled,
)
from ..datasets._xtb_states import States
from ..targets import HARTREE_IN_EV
from ._engines import bare_matrices, xtb_basis, xtb_electrons
from ._record import Hamiltonians

__all__ = ["compute_hamiltonians"]

#: Largest deviation of Cᵀ S C from 1: of tblite's orbitals some 1e-15.
_ORTHONORMAL = 1e-8
_MATRICES = ("overlap", "hamiltonian")


@dataclass(frozen=True)
class HamiltonianJob(MoleculeJob):
    """One structure, of so many orbitals, and its matrices."""

    FOLDER: ClassVar[str] = "hamiltonians"
    INTEGRALS: ClassVar[bool] = True

    n_orbitals: int

    @property
    def dtype(self) -> np.dtype:
        shape = (self.n_orbitals, self.n_orbitals)
        return np.dtype(super().dtype.descr + [(name, "f8", shape) for name in _MATRICES])

    def _fill(self, record: NDArray[np.void], states: States, result: Any) -> None:
        super()._fill(record, states, result)
        record["overlap"] = overlap = result.get("overlap-matrix")
        record["hamiltonian"] = _converged(
            overlap, result.get("orbital-coefficients"), result.get("orbital-energies")
        )


def _converged(
    overlap: NDArray[np.float64], orbitals: NDArray[np.float64], levels: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Hamiltonian (eV) of which these are the orbitals and levels (hartree).

    Raises
    ------
    RuntimeError
        If they are no orbitals of this overlap.
    """
    left = overlap @ orbitals
    off = np.abs(orbitals.T @ left - np.eye(len(levels))).max()
    if off > _ORTHONORMAL:
        raise RuntimeError(f"the orbitals of tblite are not orthonormal, by {off:.2g}")
    return (left * levels) @ left.T * HARTREE_IN_EV


def compute_hamiltonians(
    molecules: Any,
    *,
    method: str = "GFN2-xTB",
    electronic_temperature: float = 300.0,
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    verbose: int = 0,
) -> Hamiltonians:
    """Compute the converged Hamiltonians of molecules with xTB, at the given geometries.

    Needs the optional package tblite: ``pip install "qcanvas-sklearn[xtb]"``. What it calls
    the Hamiltonian is H0, without charges, dipoles and quadrupoles; the converged one is
    S C ε Cᵀ S, of its orbitals C and levels ε, whatever terms the method has.

    Parameters
    ----------
    molecules : Molecules, list of ase.Atoms, or PyG data
        The structures, with their total charges, which must be whole.
    method : {"GFN2-xTB", "GFN1-xTB"}, default="GFN2-xTB"
        Parametrisation.
    electronic_temperature : float, default=300.0
        Temperature of the Fermi filling in K.
    n_jobs : int or None, default=None
        Processes, as in joblib.
    cache : bool or path-like, default=True
        Keep results on disk and reuse them, as
        :func:`qcanvas_sklearn.datasets.compute_molecules` does.
    verbose : int, default=0
        Show a progress bar, on standard error in a terminal, where it is not 0.

    Returns
    -------
    Hamiltonians
        In eV, with overlaps; its `molecules` have all labels that
        :func:`qcanvas_sklearn.datasets.compute_molecules` gives, and its `quality`. Where
        that is not ``"ok"``, the matrix is H0.

    Raises
    ------
    ImportError
        If tblite is not installed.
    TypeError, ValueError
        As :func:`qcanvas_sklearn.datasets.compute_molecules`.

    Warns
    -----
    UserWarning
        If a molecule has no self-consistent state, or results cannot be kept.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import compute_hamiltonians
    >>> from qcanvas_sklearn.structures import Molecules
    >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> computed = compute_hamiltonians(hf, cache=False)  # doctest: +SKIP
    >>> computed.gap().round(2), computed.molecules.labels["e_g_ev"].round(2).tolist()
    ... # doctest: +SKIP
    (array([17.23]), [17.23])
    """
    settings = check_settings(method, electronic_temperature)
    checked = check_structures(molecules, method)
    basis = xtb_basis(method, checked.elements)
    sizes = np.bincount(checked.rows, weights=basis.n_orbitals(checked.z)).astype(int).tolist()
    jobs = [
        HamiltonianJob(*fields, n) for fields, n in zip(job_fields(checked), sizes, strict=True)
    ]
    directory = cache_directory(cache, settings, HamiltonianJob.folders())
    records = [
        record[0]
        for record in run_jobs(jobs, settings, directory, n_jobs, verbose, "molecules")
    ]
    done = labelled(checked, records, set(MOLECULE_PROPERTIES), settings)
    failed = np.flatnonzero(done.quality != "ok").tolist()
    for row in failed:
        job, record = jobs[row], records[row]
        positions = np.frombuffer(job.positions).reshape(-1, 3)
        bare = bare_matrices(method, job.z, positions, job.charge)
        record["overlap"], record["hamiltonian"] = bare.overlap, bare.core
    if failed:
        warnings.warn(
            f"{len(failed)} molecules have no self-consistent state, and H0 stands in place of "
            f"their Hamiltonians; rows {failed[:10]}",
            UserWarning,
            stacklevel=2,
        )
    electrons = checked.composition @ xtb_electrons(method, checked.elements) - checked.charge
    return Hamiltonians.from_matrices(
        done, [record["hamiltonian"] for record in records],
        [record["overlap"] for record in records],
        basis=basis, convention="tblite", n_electrons=electrons, provenance=str(settings),
    )  # fmt: skip

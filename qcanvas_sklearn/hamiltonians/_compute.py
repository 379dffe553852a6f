"""`compute_hamiltonians`: converged Hamiltonians of molecules, computed on the spot."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._validation import check_choice
from ..datasets._jobs import cache_directory, run_jobs
from ..datasets._xtb_molecules import (
    MOLECULE_PROPERTIES,
    MoleculeJob,
    check_structures,
    job_fields,
    labelled,
)
from ..datasets._xtb_settings import check_settings
from ..datasets._xtb_states import METHODS, States
from ..structures import Molecules
from ..targets import HARTREE_IN_EV
from ._basis import Basis
from ._dft import compute_dft
from ._engines import BareMatrices, bare_matrices, xtb_basis, xtb_electrons
from ._record import Hamiltonians
from ._spectra import matrix_of_levels

__all__ = ["compute_hamiltonians"]

#: Which Hamiltonians there are.
STATES = ("converged", "minao", "core")
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
        record["hamiltonian"] = HARTREE_IN_EV * matrix_of_levels(
            overlap, result.get("orbital-coefficients"), result.get("orbital-energies"),
            "tblite",
        )  # fmt: skip


def compute_hamiltonians(
    molecules: Any,
    *,
    method: str = "GFN2-xTB",
    state: str = "converged",
    electronic_temperature: float | None = None,
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    verbose: int = 0,
) -> Hamiltonians:
    """Compute the Hamiltonians of molecules at the given geometries, with xTB or PySCF.

    xTB needs the optional package tblite, ``pip install "qcanvas-sklearn[xtb]"``. What that
    calls the Hamiltonian is H0, without charges, dipoles and quadrupoles; the converged one is
    S C ε Cᵀ S, of its orbitals C and levels ε, whatever terms the method has.

    Density functionals and Hartree-Fock theory need PySCF [1]_,
    ``pip install "qcanvas-sklearn[dft]"``: closed shells in spherical orbitals, all electrons
    but those of a pseudopotential that belongs to the basis, without density fitting, energies
    converged to 1e-10 hartree. Each molecule takes one thread.

    Parameters
    ----------
    molecules : Molecules, list of ase.Atoms, or PyG data
        The structures, with their total charges, which must be whole.
    method : str, default="GFN2-xTB"
        "GFN2-xTB", "GFN1-xTB", or a functional and a basis by the names of PySCF, such as
        "PBE/def2-SVP", "B3LYP/6-31G*" or "HF/cc-pVDZ".
    state : {"converged", "minao", "core"}, default="converged"
        Which Hamiltonian:

        - "converged": of the self-consistent state;
        - "minao": that of the density of superposed atoms, from which PySCF starts; of a
          functional or Hartree-Fock theory;
        - "core": of one electron, without the others; H0 of xTB.
    electronic_temperature : float or None, default=None
        Temperature of the Fermi filling in K; None is 300 K with xTB. With PySCF the lowest
        levels are filled, and there is no temperature to choose.
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
        In eV, with overlaps. Of a converged state the `molecules` have all labels that
        :func:`qcanvas_sklearn.datasets.compute_molecules` gives, less forces with PySCF, and
        its `quality`. Where that is not ``"ok"``, the matrix is that of ``state="core"``.

    Raises
    ------
    ImportError
        If tblite or PySCF is not installed.
    TypeError, ValueError
        As :func:`qcanvas_sklearn.datasets.compute_molecules`; with PySCF also if the
        functional is unknown, a molecule has an odd number of electrons, or the basis lacks
        an element.

    Warns
    -----
    UserWarning
        If a molecule has no self-consistent state, or results cannot be kept.

    References
    ----------
    .. [1] Q. Sun et al., J. Chem. Phys. 153, 024109 (2020), doi:10.1063/5.0006074.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import compute_hamiltonians
    >>> from qcanvas_sklearn.structures import Molecules
    >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> computed = compute_hamiltonians(hf, cache=False)  # doctest: +SKIP
    >>> computed.gap().round(2), computed.molecules.labels["e_g_ev"].round(2).tolist()
    ... # doctest: +SKIP
    (array([17.23]), [17.23])
    >>> compute_hamiltonians(hf, method="PBE/def2-SVP").gap().round(2)  # doctest: +SKIP
    array([9.2])
    """
    check_choice("state", state, STATES)
    if method in METHODS:
        temperature = 300.0 if electronic_temperature is None else electronic_temperature
        found = _compute_xtb(molecules, method, state, temperature, n_jobs, cache, verbose)
    elif "/" not in method:
        raise ValueError(
            f"unknown method {method!r}; known are {list(METHODS)}, and functionals with a "
            "basis, such as 'PBE/def2-SVP'"
        )
    elif electronic_temperature is not None:
        raise ValueError(
            f"electronic_temperature is one of xTB, not of {method!r}, whose electrons fill "
            f"the lowest levels; got {electronic_temperature!r}"
        )
    else:
        found = compute_dft(molecules, method, state, n_jobs, cache, verbose)
    failed = np.flatnonzero(found.molecules.quality != "ok").tolist()
    if failed:
        warnings.warn(
            f"{len(failed)} molecules have no self-consistent state, and the Hamiltonian of "
            f"state='core' stands in place of theirs; rows {failed[:10]}",
            UserWarning,
            stacklevel=2,
        )
    return found


def _compute_xtb(
    molecules: Any,
    method: str,
    state: str,
    temperature: float,
    n_jobs: int | None,
    cache: bool | str | os.PathLike[str],
    verbose: int,
) -> Hamiltonians:
    if state == "minao":
        raise ValueError(f"state='minao' is one of PySCF, and {method} has none")
    settings = check_settings(method, temperature)
    checked = check_structures(molecules, method)
    basis = xtb_basis(method, checked.elements)
    sizes = np.bincount(checked.rows, weights=basis.n_orbitals(checked.z)).astype(int).tolist()
    jobs = [
        HamiltonianJob(*fields, n) for fields, n in zip(job_fields(checked), sizes, strict=True)
    ]
    if state == "core":
        bare = [_bare(method, job) for job in jobs]
        unlabelled = Molecules(
            checked.z, checked.positions, checked.ptr, checked.cell, checked.pbc,
            checked.charge, names=checked.names, groups=checked.groups,
        )  # fmt: skip
        return _recorded(unlabelled, bare, method, basis, f"{settings}, core Hamiltonian")
    directory = cache_directory(cache, settings, HamiltonianJob.folders())
    records = [
        record[0]
        for record in run_jobs(jobs, settings, directory, n_jobs, verbose, "molecules")
    ]
    done = labelled(checked, records, set(MOLECULE_PROPERTIES), settings)
    matrices = [
        BareMatrices(record["overlap"], record["hamiltonian"], 0.0)
        if record["quality"] == "ok"
        else _bare(method, job)
        for job, record in zip(jobs, records, strict=True)
    ]
    return _recorded(done, matrices, method, basis, str(settings))


def _bare(method: str, job: HamiltonianJob) -> BareMatrices:
    positions = np.frombuffer(job.positions).reshape(-1, 3)
    return bare_matrices(method, job.z, positions, job.charge)


def _recorded(
    molecules: Molecules,
    matrices: list[BareMatrices],
    method: str,
    basis: Basis,
    provenance: str,
) -> Hamiltonians:
    of_elements = xtb_electrons(method, molecules.elements)
    return Hamiltonians.from_matrices(
        molecules, [m.core for m in matrices], [m.overlap for m in matrices], basis=basis,
        convention="tblite", n_electrons=molecules.composition @ of_elements - molecules.charge,
        provenance=provenance,
    )  # fmt: skip

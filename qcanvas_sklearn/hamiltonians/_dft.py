"""Hamiltonians of density functionals and of Hartree-Fock theory, computed on the spot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..datasets._dft import (
    DftSettings,
    check_method,
    facts,
    free_atom,
    mean_field,
    settled,
)
from ..datasets._jobs import cache_directory, run_jobs
from ..datasets._xtb_molecules import (
    MOLECULE_PROPERTIES,
    MoleculeJob,
    check_charges,
    check_no_cells,
    job_fields,
    labelled,
    named,
)
from ..elements import SYMBOLS
from ..structures import Molecules, check_molecules
from ..targets import HARTREE_IN_EV
from ._basis import Basis
from ._record import Hamiltonians
from ._spectra import matrix_of_levels

__all__ = ["compute_dft", "dft_basis", "dft_structures"]

#: Part of the cache's key: raise it when results change.
_CACHE_FORMAT = 1
#: How many single points of a diatomic in xTB one of these takes as long as.
_POINTS = 256
_MATRICES = ("overlap", "hamiltonian")


@dataclass(frozen=True)
class DftJob(MoleculeJob):
    """One structure, which of its Hamiltonians is wanted, and how many orbitals it has."""

    FOLDER: ClassVar[str] = "hamiltonians"

    state: str
    n_orbitals: int

    @property
    def points(self) -> int:
        return _POINTS * (1 + len(self.z) // 4)

    @property
    def dtype(self) -> np.dtype:
        shape = (self.n_orbitals, self.n_orbitals)
        of_states = super().dtype
        kept = [(name, of_states[name]) for name in of_states.names or () if name != "forces"]
        return np.dtype([*kept, *((name, "f8", shape) for name in _MATRICES)])

    def path(self, directory: Path) -> Path:
        plain = super().path(directory)
        return plain.with_stem(f"{plain.stem}-{self.state}")

    def key(self, settings: Any) -> str:
        atoms = f"{self.z}|{self._digest()}"
        return f"{_CACHE_FORMAT}|{astuple(settings)}|{self.state}|{atoms}"

    def compute(self, settings: Any) -> NDArray[np.void]:
        record = np.full(1, np.nan, self.dtype)
        positions = np.frombuffer(self.positions).reshape(-1, 3)
        start = mean_field(settings, self.z, positions, self.charge)
        record["overlap"] = overlap = start.get_ovlp()
        record["quality"] = "ok"
        if self.state == "minao":
            guess = start.get_init_guess(key="minao")
            record["hamiltonian"] = start.get_fock(dm=guess) * HARTREE_IN_EV
            return record
        states = settled(start) if self.state == "converged" else None
        if states is None:
            record["hamiltonian"] = start.get_hcore() * HARTREE_IN_EV
            record["quality"] = "ok" if self.state == "core" else "not-converged"
            return record
        for name, value in facts(states).items():
            record[name] = value
        record["e_g_ev"] = record["e_lumo_ev"] - record["e_homo_ev"]
        record["hamiltonian"] = HARTREE_IN_EV * matrix_of_levels(
            overlap, states.mo_coeff, states.mo_energy, "PySCF"
        )
        return record


def dft_basis(settings: DftSettings, elements: Sequence[int]) -> Basis:
    """Shells of elements, given by their atomic numbers.

    Raises
    ------
    ValueError
        If the basis is unknown, or lacks an element.
    """
    return Basis({SYMBOLS[z]: free_atom(settings.basis, z).shells for z in elements})


def dft_structures(
    molecules: Any, settings: DftSettings
) -> tuple[Molecules, NDArray[np.int64]]:
    """Molecules that can be computed, and their electrons outside the cores.

    Raises
    ------
    TypeError, ValueError
        If these are no molecules; if one is periodic, has unpaired electrons, none at all, or
        a charge that is not whole; if the basis lacks an element.
    """
    checked = check_molecules(molecules)
    check_no_cells(checked, "PySCF")
    of_elements = [free_atom(settings.basis, z).electrons for z in checked.elements.tolist()]
    electrons = check_charges(checked, np.array(of_elements, dtype=np.int64), "electrons")
    odd = np.flatnonzero(electrons % 2)
    if odd.size:
        raise ValueError(
            f"{named(checked, int(odd[0]))} has {electrons[odd[0]]} electrons, and with an odd "
            f"number of them not one Hamiltonian but two; accepted are closed shells. In all "
            f"{odd.size} of {len(checked)} structures have an odd number"
        )
    return checked, electrons


def compute_dft(
    molecules: Any,
    method: str,
    state: str,
    n_jobs: int | None,
    cache: bool | str | os.PathLike[str],
    verbose: int,
) -> Hamiltonians:
    """Hamiltonians of a method ``functional/basis``, as ``compute_hamiltonians`` says."""
    settings = check_method(method)
    checked, electrons = dft_structures(molecules, settings)
    basis = dft_basis(settings, checked.elements.tolist())
    sizes = np.bincount(
        checked.rows, weights=basis.n_orbitals(checked.z), minlength=len(checked)
    ).astype(int)
    jobs = [
        DftJob(*fields, state, n)
        for fields, n in zip(job_fields(checked), sizes.tolist(), strict=True)
    ]
    directory = cache_directory(cache, settings, DftJob.folders())
    records = [r[0] for r in run_jobs(jobs, settings, directory, n_jobs, verbose, "molecules")]
    wanted = set(MOLECULE_PROPERTIES) - {"forces"} if state == "converged" else set()
    source = str(settings) if state == "converged" else f"{settings}, {state} Hamiltonian"
    return Hamiltonians.from_matrices(
        labelled(checked, records, wanted, settings),
        [record["hamiltonian"] for record in records],
        [record["overlap"] for record in records],
        basis=basis, convention="pyscf", n_electrons=electrons, provenance=source,
    )  # fmt: skip

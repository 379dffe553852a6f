"""Closed-shell density-functional and Hartree-Fock states of molecules.

This module alone talks to ``pyscf``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from .._optional import require
from ..elements import SYMBOLS
from ..targets import HARTREE_IN_EV
from ._xtb_states import BOHR_ANG

__all__ = [
    "DftSettings",
    "FreeAtom",
    "check_method",
    "facts",
    "free_atom",
    "load_pyscf",
    "mean_field",
    "settled",
]

#: Changes of the energy (hartree) and of the orbital gradient that end self-consistency:
#: what is left of the Hamiltonian is below a microhartree.
ENERGY_TOLERANCE, GRADIENT_TOLERANCE = 1e-10, 1e-6
MAX_CYCLES = 100


@dataclass(frozen=True)
class DftSettings:
    """A functional, a basis, and the version of the program."""

    functional: str
    basis: str
    version: str

    @property
    def method(self) -> str:
        return f"{self.functional}/{self.basis}"

    @property
    def program(self) -> str:
        return "PySCF"

    @property
    def folder(self) -> Path:
        parts = (quote(name.lower(), safe="") for name in (self.functional, self.basis))
        return Path("pyscf", *parts)

    @contextmanager
    def alone(self) -> Iterator[None]:
        library = load_pyscf().lib  # before the limit, which reaches loaded libraries only
        with threadpool_limits(limits=1), library.with_omp_threads(1):
            yield

    def __str__(self) -> str:
        return f"{self.method}, PySCF {self.version}, closed shells"


@dataclass(frozen=True)
class FreeAtom:
    """An element in a basis: angular momenta of its shells, and electrons outside its core.

    The core is that of the pseudopotential that belongs to the basis; mostly there is none.
    """

    shells: tuple[int, ...]
    electrons: int


def load_pyscf() -> ModuleType:
    """The ``pyscf`` package with the modules that are used here.

    Raises
    ------
    ImportError
        If PySCF is not installed; the message says how to install it.
    """
    used = ("pyscf", "pyscf.dft", "pyscf.gto", "pyscf.scf.dispersion")
    return require("a density functional", *used)


def check_method(method: str) -> DftSettings:
    """Settings of a method that is written as ``functional/basis``.

    Raises
    ------
    ImportError
        If PySCF is not installed.
    ValueError
        If the functional is unknown, or has a correction that no Hamiltonian knows of.
        Which elements a basis has, :func:`free_atom` finds out.
    """
    functional, _, basis = (part.strip() for part in method.partition("/"))
    if not functional or not basis:
        raise ValueError(
            f"method must be a functional and a basis, such as 'PBE/def2-SVP', got {method!r}"
        )
    pyscf = load_pyscf()
    if functional.upper() != "HF":
        try:
            _, _, dispersion = pyscf.scf.dispersion.parse_dft(functional)
            pyscf.dft.libxc.parse_xc(functional)
        except (KeyError, NotImplementedError, ValueError) as error:
            raise ValueError(
                f"unknown functional {functional!r} of method {method!r}; known are 'HF' and "
                f"the names of PySCF: {error}"
            ) from None
        if dispersion:
            raise ValueError(
                f"method {method!r}: the correction {dispersion!r} is no part of a "
                "Hamiltonian; leave it out of the functional's name"
            )
    return DftSettings(functional, basis, str(pyscf.__version__))


def _parts(basis: str, symbol: str) -> tuple[Any, Any]:
    """An element's shells and pseudopotential (empty where it has none), for PySCF.

    Raises
    ------
    ValueError
        If the basis is unknown, or lacks the element.
    """
    gto = load_pyscf().gto
    with warnings.catch_warnings():
        # PySCF recommends a package that knows of more bases.
        warnings.simplefilter("ignore", UserWarning)
        try:
            shells = gto.basis.load(basis, symbol)
        except (KeyError, RuntimeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"basis {basis!r} of PySCF, for {symbol}: {reason}") from None
        core: Any = []
        with suppress(KeyError, RuntimeError):
            core = gto.basis.load_ecp(basis, symbol)
    return shells, core


@cache
def free_atom(basis: str, z: int) -> FreeAtom:
    """An element, given by its atomic number, in a basis.

    Raises
    ------
    ValueError
        If the basis is unknown, or lacks the element.
    """
    atom = _structure(basis, [z], np.zeros((1, 3)), 0)
    # The orbitals of a shell of several contractions come one contraction after the other.
    shells = [
        atom.bas_angular(k) for k in range(atom.nbas) for _ in range(atom.bas_nctr(k))
    ]
    return FreeAtom(tuple(map(int, shells)), int(atom.nelectron))


def _structure(
    basis: str, z: Sequence[int], positions: NDArray[np.float64], charge: int
) -> Any:
    """PySCF's molecule of atoms at positions in Å, in the lowest multiplicity."""
    names = [SYMBOLS[int(number)] for number in z]
    parts = {name: _parts(basis, name) for name in dict.fromkeys(names)}
    molecule = load_pyscf().gto.Mole()
    return molecule.build(
        dump_input=False, parse_arg=False, verbose=0, unit="Bohr",
        atom=list(zip(names, (positions / BOHR_ANG).tolist(), strict=True)),
        basis={name: shells for name, (shells, _) in parts.items()},
        ecp={name: core for name, (_, core) in parts.items() if core},
        charge=int(charge), spin=None, cart=False,
    )  # fmt: skip


def mean_field(
    settings: DftSettings, z: Sequence[int], positions: NDArray[np.float64], charge: int = 0
) -> Any:
    """PySCF's object of the states of atoms at positions in Å, with an even electron count.

    Without symmetry and density fitting; nothing is computed yet.
    """
    pyscf = load_pyscf()
    molecule = _structure(settings.basis, z, positions, charge)
    if settings.functional.upper() == "HF":
        states = pyscf.scf.hf.RHF(molecule)
    else:
        states = pyscf.dft.rks.RKS(molecule, xc=settings.functional)
    states.chkfile = None
    states.conv_tol, states.conv_tol_grad = ENERGY_TOLERANCE, GRADIENT_TOLERANCE
    states.max_cycle = MAX_CYCLES
    return states


def settled(states: Any) -> Any:
    """The states once they are self-consistent; None where they do not become so.

    Where extrapolation does not get there, steps of second order may.
    """
    states.kernel()
    if not states.converged:
        density = states.make_rdm1()
        states = states.newton()
        states.kernel(dm0=density)
    return states if states.converged else None


def facts(states: Any) -> dict[str, Any]:
    """Energies in eV, charges in e and the dipole in debye of self-consistent states."""
    occupied = states.mol.nelectron // 2
    levels = states.mo_energy * HARTREE_IN_EV
    energy = float(states.e_tot) * HARTREE_IN_EV
    return {
        "total_energy_ev": energy,
        "mermin_free_energy_ev": energy,  # no electron is excited
        "e_homo_ev": levels[occupied - 1],
        "e_lumo_ev": levels[occupied] if occupied < len(levels) else np.nan,
        "charges": states.mulliken_pop(verbose=0)[1],
        "dipole_d": states.dip_moment(unit="Debye", verbose=0),
    }

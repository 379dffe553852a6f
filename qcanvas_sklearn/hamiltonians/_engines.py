"""What extended tight binding (xTB) says of orbitals: shells, overlaps, Hamiltonians.

tblite's matrices are in canonical order: atoms, shells, m = -l, ..., l. Its "Hamiltonian" is
the part H0 that knows no charges, and is there before the first cycle of self-consistency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..datasets._xtb_states import BOHR_ANG, load_tblite, new_calculator, valence_electrons
from ..elements import symbols
from ..targets import HARTREE_IN_EV
from ._basis import Basis
from ._pair_table import Dimers
from ._slater_koster import offsets

__all__ = [
    "BareMatrices",
    "bare_matrices",
    "free_levels",
    "scan_dimers",
    "xtb_basis",
    "xtb_electrons",
]


class BareMatrices(NamedTuple):
    """What is known of some atoms before any charge is.

    Attributes
    ----------
    overlap, core : ndarray of shape (n_orbitals, n_orbitals)
        Overlap and H0 (eV).
    repulsion : float
        Energy (eV) with which the atoms' cores repel each other.
    """

    overlap: NDArray[np.float64]
    core: NDArray[np.float64]
    repulsion: float


@cache
def _shells(method: str, z: int) -> tuple[int, ...]:
    calculator = new_calculator(method, [z], valence_electrons(method, z) % 2)
    return tuple(calculator.get("angular-momenta").tolist())


def xtb_basis(method: str, elements: Iterable[int]) -> Basis:
    """Shells of some elements, given by their atomic numbers, in a method of xTB."""
    numbers = [int(z) for z in elements]
    names = symbols(numbers).tolist()
    return Basis({name: _shells(method, z) for name, z in zip(names, numbers, strict=True)})


def xtb_electrons(method: str, elements: Iterable[int]) -> NDArray[np.int64]:
    """Valence electrons of some elements in a method of xTB."""
    return np.array([valence_electrons(method, int(z)) for z in elements], dtype=np.int64)


def bare_matrices(
    method: str, z: Sequence[int], positions: NDArray[np.float64], charge: int = 0
) -> BareMatrices:
    """Overlap, H0 and repulsion of atoms at positions in Å; no charges have to converge."""
    module = load_tblite()
    unpaired = int(xtb_electrons(method, z).sum() - charge) % 2
    calculator = new_calculator(method, z, unpaired, charge)
    calculator.set("save-integrals", 1)
    calculator.set("max-iter", 1)
    calculator.add("xtbml")
    calculator.update(positions=np.asarray(positions, dtype=np.float64) / BOHR_ANG)
    result = module.Result()
    # Of what stops after one cycle, the integrals are there all the same.
    with suppress(module.TBLiteRuntimeError):
        calculator.singlepoint(result)
    core = result.get("hamiltonian-matrix") * HARTREE_IN_EV
    repulsion = result.get("post-processing-dict")["E_rep"].sum() * HARTREE_IN_EV
    return BareMatrices(result.get("overlap-matrix"), core, float(repulsion))


def free_levels(method: str, z: int) -> NDArray[np.float64]:
    """Levels (eV) of the shells of a free atom."""
    core = bare_matrices(method, [z], np.zeros((1, 3))).core
    return np.diag(core)[offsets(_shells(method, z))[:-1]]


def scan_dimers(method: str, kind: tuple[int, int], distances: NDArray[np.float64]) -> Dimers:
    """Matrices of two atoms, given by their atomic numbers, at distances in Å."""
    load_tblite()  # before the limit, which reaches loaded libraries only
    positions = np.zeros((len(distances), 2, 3))
    positions[:, 1, 2] = distances
    with threadpool_limits(limits=1, user_api="openmp"):
        found = [bare_matrices(method, kind, where) for where in positions]
    return Dimers(
        distances, np.stack([m.overlap for m in found]), np.stack([m.core for m in found]),
        np.array([m.repulsion for m in found]),
    )  # fmt: skip

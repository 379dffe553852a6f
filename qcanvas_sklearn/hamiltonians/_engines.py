"""What extended tight binding (xTB) says of orbitals: shells, overlaps, Hamiltonians.

tblite's matrices are in canonical order: atoms, shells, m = -l, ..., l. Its "Hamiltonian" is
the part H0 that knows no charges, and is there before the first cycle of self-consistency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets._xtb_states import BOHR_ANG, load_tblite, new_calculator, valence_electrons
from ..elements import symbols
from ..targets import HARTREE_IN_EV
from ._basis import Basis

__all__ = ["BareMatrices", "bare_matrices", "xtb_basis", "xtb_electrons"]


class BareMatrices(NamedTuple):
    """Overlap and H0 (eV) of some atoms, each of shape (n_orbitals, n_orbitals)."""

    overlap: NDArray[np.float64]
    core: NDArray[np.float64]


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
    method: str, z: Sequence[int], positions: NDArray[np.float64]
) -> BareMatrices:
    """Overlap and H0 of atoms at positions in Å, where charges need not converge."""
    module = load_tblite()
    calculator = new_calculator(method, z, int(xtb_electrons(method, z).sum()) % 2)
    calculator.set("save-integrals", 1)
    calculator.set("max-iter", 1)
    calculator.update(positions=np.asarray(positions, dtype=np.float64) / BOHR_ANG)
    result = module.Result()
    # Of what stops after one cycle, the integrals are there all the same.
    with suppress(module.TBLiteRuntimeError):
        calculator.singlepoint(result)
    return _matrices(result)


def _matrices(result: Any) -> BareMatrices:
    core = result.get("hamiltonian-matrix") * HARTREE_IN_EV
    return BareMatrices(result.get("overlap-matrix"), core)

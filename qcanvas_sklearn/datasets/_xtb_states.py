"""Self-consistent states of xTB, and the levels that follow from them.

This module alone talks to ``tblite``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import log_expit, logsumexp

from .._optional import require
from ..targets import DEBYE_PER_E_ANGSTROM, HARTREE_IN_EV

__all__ = [
    "BOHR_ANG",
    "BOLTZMANN_HARTREE",
    "MAX_Z",
    "METHODS",
    "SCFError",
    "States",
    "fermi_level",
    "frontier_levels",
    "load_tblite",
    "new_calculator",
    "tblite_version",
    "valence_electrons",
]

#: Parametrisations and the papers behind them.
METHODS = {
    "GFN1-xTB": "doi:10.1021/acs.jctc.7b00118",
    "GFN2-xTB": "doi:10.1021/acs.jctc.8b01176",
}
#: Heaviest element that they cover, radon.
MAX_Z = 86

BOHR_ANG = 0.529177210903
BOLTZMANN_HARTREE = 3.166811563e-6

#: Largest believable charge in e; self-consistency also has solutions far beyond it,
#: which lie below the physical one and mean nothing.
MAX_CHARGE = 1.5
#: Levels (eV) closer than this are one degenerate level.
DEGENERATE_EV = 1e-6


class Recipe(NamedTuple):
    """One way to self-consistency: Broyden mixing, after cooling down where need be."""

    memory: int
    damping: float
    cooling: tuple[float, ...] = ()


# In order of cost. A short memory outdoes the default of all iterations; cooling from
# several thousand kelvin passes the level crossings that plain mixing oscillates between.
_COOLING = (5000.0, 3000.0, 2000.0, 1300.0, 900.0, 600.0, 450.0, 350.0)
RECIPES = (
    Recipe(3, 0.4),
    Recipe(10, 0.2, _COOLING),
    Recipe(5, 0.02, _COOLING),
    Recipe(20, 0.05, _COOLING),
    Recipe(10, 0.2, tuple(np.geomspace(6000.0, 310.0, 40).tolist())),
)
_ITERATIONS, _COOLING_ITERATIONS = 100, 50


class SCFError(Exception):
    """No acceptable self-consistent state; `reason` is the quality text of the row."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def load_tblite() -> ModuleType:
    """The ``tblite.interface`` module.

    Raises
    ------
    ImportError
        If tblite is not installed; the message says how to install it.
    """
    return require("an xTB calculation", "tblite.interface")


def tblite_version() -> str:
    """Version of the tblite library."""
    load_tblite()
    from tblite.library import get_version

    return ".".join(map(str, get_version()))


def new_calculator(method: str, z: Sequence[int], unpaired: int, charge: int = 0) -> Any:
    """A silent calculator of tblite; the atoms stand 10 bohr apart until they are moved."""
    positions = np.zeros((len(z), 3))
    positions[:, 2] = 10.0 * np.arange(len(z))
    calculator = load_tblite().Calculator(
        method, np.array(z), positions, charge=float(charge), uhf=unpaired,
        logger=lambda message: None,
    )  # fmt: skip
    calculator.set("verbosity", 0)
    return calculator


@cache
def valence_electrons(method: str, z: int) -> int:
    """Electrons of one atom that the method treats; the lanthanides have three."""
    result = new_calculator(method, [z], 0).singlepoint()
    return round(result.get("orbital-occupations").sum())


class States:
    """Self-consistent states of some atoms in the lowest multiplicity.

    Every state starts from the superposition of atoms, so that it depends on the
    positions only and not on what was computed before it.

    Parameters
    ----------
    z : sequence of int
        Atomic numbers.
    method : str
        A key of :data:`METHODS`.
    temperature : float
        Electronic temperature in K.
    charge : int, default=0
        Total charge in e.
    integrals : bool, default=False
        Keep overlap and H0 with every state.
    """

    def __init__(
        self,
        z: Sequence[int],
        method: str,
        temperature: float,
        charge: int = 0,
        integrals: bool = False,
    ) -> None:
        self.temperature = temperature
        self.n_electrons = sum(valence_electrons(method, atom) for atom in z) - charge
        self._max_charge = MAX_CHARGE + abs(charge)
        self._module = load_tblite()
        self._calculator = new_calculator(method, z, self.n_electrons % 2, charge)
        self._calculator.set("save-integrals", int(integrals))
        # Asking for one replaces the default ones, so all that is read is named.
        for name in ("bond-orders", "molecular-multipoles", "xtbml"):
            self._calculator.add(name)

    def state(self, positions: NDArray[np.float64]) -> Any:
        """Self-consistent state (a tblite ``Result``) at positions in Å.

        Raises
        ------
        SCFError
            If no recipe converges to a state with believable charges.
        """
        self._calculator.update(positions=positions / BOHR_ANG)
        reason = "not-converged"
        for recipe in RECIPES:
            result = self._attempt(recipe)
            if result is None:
                continue
            if np.abs(result.get("charges")).max() <= self._max_charge:
                return result
            reason = "unphysical-charges"
        raise SCFError(reason)

    def _attempt(self, recipe: Recipe) -> Any:
        error = self._module.TBLiteRuntimeError
        calculator, result = self._calculator, self._module.Result()
        calculator.set("mixer-memory", recipe.memory)
        calculator.set("mixer-damping", recipe.damping)
        calculator.set("max-iter", _COOLING_ITERATIONS)
        for temperature in recipe.cooling:
            if temperature > self.temperature:
                calculator.set("temperature", temperature * BOLTZMANN_HARTREE)
                # An unfinished state is still a good start for the next temperature.
                with suppress(error):
                    calculator.singlepoint(result)
        calculator.set("max-iter", _ITERATIONS)
        calculator.set("temperature", self.temperature * BOLTZMANN_HARTREE)
        try:
            return calculator.singlepoint(result)
        except error:
            return None


    def facts(self, result: Any) -> dict[str, Any]:
        """Energies and levels in eV, charges in e and the dipole in debye of a state."""
        by_atom = result.get("post-processing-dict")
        levels = result.get("orbital-energies") * HARTREE_IN_EV
        homo, lumo = frontier_levels(levels, self.n_electrons)
        return {
            # tblite's energy is E - TS; the atomic contributions add up to E.
            "mermin_free_energy_ev": float(result.get("energy")) * HARTREE_IN_EV,
            "total_energy_ev": by_atom["E_tot"].sum() * HARTREE_IN_EV,
            "repulsive_energy_ev": by_atom["E_rep"].sum() * HARTREE_IN_EV,
            "band_energy_ev": levels @ result.get("orbital-occupations"),
            "e_homo_ev": homo,
            "e_lumo_ev": lumo,
            "fermi_level_ev": fermi_level(levels, self.n_electrons, self.temperature),
            "charges": result.get("charges"),
            "dipole_d": result.get("dipole") * BOHR_ANG * DEBYE_PER_E_ANGSTROM,
        }


def frontier_levels(levels: NDArray[np.float64], n_electrons: int) -> tuple[float, float]:
    """HOMO and LUMO by filling from below, two electrons a level.

    A half-filled level is both, as in the bundled table; the LUMO is NaN where every
    level is filled.
    """
    homo = float(levels[(n_electrons + 1) // 2 - 1])
    lumo = float(levels[n_electrons // 2]) if n_electrons < 2 * len(levels) else np.nan
    return homo, homo if lumo - homo < DEGENERATE_EV else lumo


def fermi_level(levels: NDArray[np.float64], n_electrons: int, temperature: float) -> float:
    """Chemical potential of the electrons: as many of them above the HOMO as holes below.

    NaN for odd numbers of electrons, whose two spins have one each, and where there is
    no level above.
    """
    if n_electrons % 2 or n_electrons == 2 * len(levels):
        return np.nan
    unit = temperature * BOLTZMANN_HARTREE * HARTREE_IN_EV
    filled, empty = np.split(levels / unit, [n_electrons // 2])

    def excess(potential: float) -> float:
        electrons = logsumexp(log_expit(potential - empty))
        return float(electrons - logsumexp(log_expit(filled - potential)))

    # This far beyond an edge, the level at it outweighs all levels on the other side.
    margin = 1.0 + np.log(2 * len(levels))
    root = brentq(excess, filled[-1] - margin, empty[0] + margin)
    return float(root * unit)

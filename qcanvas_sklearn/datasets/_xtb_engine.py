"""xTB of one diatomic: self-consistent states, relaxed bond lengths, records of both.

This module alone talks to ``tblite``. Every state starts from the superposition of
atoms, so that a record depends on its bond length only and not on what was computed
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_expit, logsumexp

from ..elements import property_values
from ..structures import N_ORBITALS
from ..targets import DEBYE_PER_E_ANGSTROM, HARTREE_IN_EV

__all__ = ["MAX_Z", "METHODS", "RECORD", "SCFError", "compute_records", "load_tblite", "relax"]

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
#: Slope (hartree/bohr) up to which a point counts as stationary.
SLOPE_TOLERANCE = 5e-4
#: Energy (hartree) by which another point must lie lower to matter.
ENERGY_TOLERANCE = 1e-6
#: Wells (hartree) shallower than k_B T at room temperature are called weak.
WEAK_WELL = 298.15 * BOLTZMANN_HARTREE
#: Levels (eV) closer than this are one degenerate level.
DEGENERATE_EV = 1e-6

_SCALARS = (
    "total_energy_ev", "mermin_free_energy_ev", "repulsive_energy_ev", "band_energy_ev",
    "e_homo_ev", "e_lumo_ev", "fermi_level_ev", "n_levels", "max_occupancy",
)  # fmt: skip
#: One row of results; NaN where a value is missing.
RECORD = np.dtype(
    [
        ("quality", "<U24"),
        ("distance_ang", "f8"),
        ("populations", "f8", (2, N_ORBITALS)),
        ("charges", "f8", (2,)),
        ("dipole_d", "f8", (3,)),
        *((name, "f8") for name in _SCALARS),
        ("scc_converged", "f8"),
        ("geom_converged", "f8"),
    ]
)


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
    try:
        import tblite.interface
    except ImportError as error:
        raise ImportError(
            "xTB calculations need tblite, which is not installed: "
            'pip install "qcanvas-sklearn[xtb]" (wheels exist for Linux x86_64 and macOS; '
            "elsewhere, conda-forge has it)"
        ) from error
    return tblite.interface


def tblite_version() -> str:
    """Version of the tblite library."""
    load_tblite()
    from tblite.library import get_version

    return ".".join(map(str, get_version()))


def _new_calculator(method: str, z: Sequence[int], unpaired: int) -> Any:
    positions = np.zeros((len(z), 3))
    positions[:, 2] = 10.0 * np.arange(len(z))
    calculator = load_tblite().Calculator(
        method, np.array(z), positions, uhf=unpaired, logger=lambda message: None
    )
    calculator.set("verbosity", 0)
    return calculator


@cache
def valence_electrons(method: str, z: int) -> int:
    """Electrons of one atom that the method treats; the lanthanides have three."""
    result = _new_calculator(method, [z], 0).singlepoint()
    return round(result.get("orbital-occupations").sum())


class Diatomic:
    """Two atoms on the z axis, neutral, in the lowest multiplicity.

    Parameters
    ----------
    z : tuple of two int
        Atomic numbers; the first atom lies at the origin, the second above it.
    method : str
        A key of :data:`METHODS`.
    temperature : float
        Electronic temperature in K.
    """

    def __init__(self, z: tuple[int, int], method: str, temperature: float) -> None:
        self.temperature = temperature
        self.n_electrons = sum(valence_electrons(method, atom) for atom in z)
        self._module = load_tblite()
        self._calculator = _new_calculator(method, z, self.n_electrons % 2)
        self._calculator.set("save-integrals", 1)
        # Asking for one replaces the default ones, so all that is read is named.
        for name in ("bond-orders", "molecular-multipoles", "xtbml"):
            self._calculator.add(name)
        shell = self._calculator.get("orbital-map")
        momentum = self._calculator.get("angular-momenta")[shell]
        first = np.searchsorted(shell, shell)
        self._atom = self._calculator.get("shell-map")[shell]
        # Orbitals of a shell run m = -l ... l, and l² + l + m is l² plus their number.
        self._orbital = momentum**2 + np.arange(len(shell)) - first

    def solve(self, distance: float) -> Any:
        """Self-consistent state (a tblite ``Result``) at a bond length in Å.

        Raises
        ------
        SCFError
            If no recipe converges to a state with believable charges.
        """
        positions = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance / BOHR_ANG]])
        self._calculator.update(positions=positions)
        reason = "not-converged"
        for recipe in RECIPES:
            result = self._attempt(recipe)
            if result is None:
                continue
            if np.abs(result.get("charges")).max() <= MAX_CHARGE:
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

    def curve(self, distance: float) -> tuple[float, float]:
        """Free energy (hartree) and its slope (hartree/bohr) at a bond length in Å."""
        result = self.solve(distance)
        return float(result.get("energy")), float(result.get("gradient")[1, 2])

    def record(self, distance: float) -> NDArray[np.void]:
        """All results at a bond length in Å, one :data:`RECORD`."""
        result = self.solve(distance)
        by_atom = result.get("post-processing-dict")
        record = empty_record(distance)
        record["quality"], record["scc_converged"] = "ok", 1.0
        record["populations"] = self._populations(result)
        record["charges"] = result.get("charges")
        record["dipole_d"] = result.get("dipole") * BOHR_ANG * DEBYE_PER_E_ANGSTROM
        # tblite's energy is E - TS; the atomic contributions add up to E.
        record["mermin_free_energy_ev"] = float(result.get("energy")) * HARTREE_IN_EV
        record["total_energy_ev"] = by_atom["E_tot"].sum() * HARTREE_IN_EV
        record["repulsive_energy_ev"] = by_atom["E_rep"].sum() * HARTREE_IN_EV
        levels = result.get("orbital-energies") * HARTREE_IN_EV
        occupations = result.get("orbital-occupations")
        record["band_energy_ev"] = levels @ occupations
        record["n_levels"], record["max_occupancy"] = len(levels), occupations.max()
        record["e_homo_ev"], record["e_lumo_ev"] = frontier_levels(levels, self.n_electrons)
        record["fermi_level_ev"] = fermi_level(levels, self.n_electrons, self.temperature)
        return record

    def _populations(self, result: Any) -> NDArray[np.float64]:
        density, overlap = result.get("density-matrix"), result.get("overlap-matrix")
        populations = np.zeros((2, N_ORBITALS))
        gross = np.einsum("ij,ji->i", density, overlap)
        # Shells of equal l on one atom, such as 1s and 2s of hydrogen, add up.
        np.add.at(populations, (self._atom, self._orbital), gross)
        return populations


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


def empty_record(distance: float, quality: str = "") -> NDArray[np.void]:
    """A :data:`RECORD` without values."""
    record = np.full((), np.nan, RECORD)
    record["distance_ang"], record["quality"] = distance, quality
    return record


def compute_records(
    z: tuple[int, int], distances: Sequence[float], method: str, temperature: float
) -> NDArray[np.void]:
    """Results for one pair of elements.

    Parameters
    ----------
    z : tuple of two int
        Atomic numbers.
    distances : sequence of float
        Bond lengths in Å; empty for the relaxed one.
    method : str
        A key of :data:`METHODS`.
    temperature : float
        Electronic temperature in K.

    Returns
    -------
    ndarray of :data:`RECORD`, shape (max(1, len(distances)),)
    """
    diatomic = Diatomic(z, method, temperature)
    if distances:
        return np.array([_given_record(diatomic, d) for d in distances], RECORD)
    contact = float(property_values("covalent_radius_ang")[list(z)].sum())
    return np.array([_relaxed_record(diatomic, contact)], RECORD)


def _given_record(diatomic: Diatomic, distance: float) -> NDArray[np.void]:
    try:
        return diatomic.record(distance)
    except SCFError as error:
        record = empty_record(distance, error.reason)
        record["scc_converged"] = 0.0
        return record


def _relaxed_record(diatomic: Diatomic, contact: float) -> NDArray[np.void]:
    distance, quality = relax(diatomic.curve, contact)
    if np.isfinite(distance):
        record = diatomic.record(distance)
        record["quality"] = quality
    else:
        record = empty_record(np.nan, quality)
        record["scc_converged"] = np.nan if quality in ("unbound", "collapsed") else 0.0
    record["geom_converged"] = float(quality in ("ok", "weakly-bound"))
    return record


def relax(curve: Callable[[float], tuple[float, float]], contact: float) -> tuple[float, str]:
    """Bond length of the lowest minimum of an energy curve, and its quality.

    The curve is scanned outward in steps of 6 %, from 0.6 of the contact distance to
    beyond the van der Waals minima; every change of sign of the slope is then refined.

    Parameters
    ----------
    curve : callable
        Takes a bond length (Å), returns energy (hartree) and slope (hartree/bohr), or
        raises :class:`SCFError`.
    contact : float
        Sum of the covalent radii in Å.

    Returns
    -------
    distance : float
        To about 1e-5 Å; NaN where there is no minimum to report.
    quality : str
        ``"ok"``, ``"weakly-bound"``, ``"cusp"``, ``"unbound"``, ``"collapsed"``,
        ``"not-converged"`` or ``"unphysical-charges"``.
    """
    start, end = 0.6 * contact, 1.25 * contact + 3.5
    grid = start * 1.06 ** np.arange(np.log(end / start) / np.log(1.06) + 1)
    (energy, slope), reasons = _scan(curve, grid)
    found = np.flatnonzero(np.isfinite(energy))
    if not found.size:
        return np.nan, max(set(reasons), key=reasons.count)
    minima = []
    for i, j in zip(found[:-1], found[1:], strict=True):
        if slope[i] < 0 <= slope[j]:
            with suppress(SCFError):
                minima.append(_stationary_point(curve, grid[i], grid[j]))
    lowest = int(np.argmin(energy[found]))
    if not minima or min(minima)[0] > energy[found[lowest]] + ENERGY_TOLERANCE:
        reason = _reason_at_the_end(reasons, found, lowest)
        if reason:
            return np.nan, reason
        try:
            minima.append(_lowest_point(curve, *grid[found[[lowest - 1, lowest + 1]]]))
        except SCFError as error:
            return np.nan, error.reason
    depth, distance, residual = min(minima)
    if abs(residual) > SLOPE_TOLERANCE:
        return distance, "cusp"
    return distance, "weakly-bound" if energy[found[-1]] - depth < WEAK_WELL else "ok"


def _scan(
    curve: Callable[[float], tuple[float, float]], grid: NDArray[np.float64]
) -> tuple[NDArray[np.float64], list[str]]:
    """Energies and slopes along the grid, NaN where there are none, and why not."""
    values = np.full((len(grid), 2), np.nan)
    reasons = [""] * len(grid)
    for i, distance in enumerate(grid):
        try:
            values[i] = curve(distance)
        except SCFError as error:
            reasons[i] = error.reason
    return values.T, reasons


def _stationary_point(
    curve: Callable[[float], tuple[float, float]], inner: float, outer: float
) -> tuple[float, float, float]:
    """Energy, bond length and remaining slope where the slope changes its sign."""
    distance = float(brentq(lambda d: curve(d)[1], inner, outer, xtol=1e-5))
    energy, slope = curve(distance)
    return energy, distance, slope


def _lowest_point(
    curve: Callable[[float], tuple[float, float]], inner: float, outer: float
) -> tuple[float, float, float]:
    """Energy, bond length and slope of the lowest point, stationary or not.

    Needed where the slope does not tell: two minima within one step, or a cusp where two
    states of the curve meet.
    """
    distance = minimize_scalar(
        lambda d: curve(d)[0], bounds=(inner, outer), method="bounded",
        options={"xatol": 1e-5},
    ).x  # fmt: skip
    energy, slope = curve(distance)
    return energy, float(distance), slope


def _reason_at_the_end(reasons: list[str], found: NDArray[np.int64], lowest: int) -> str:
    """What to say where the energy falls to an end of what was found; "" elsewhere.

    At an end of the scan the atoms fall together or apart; beside a gap, what made the
    gap is the reason.
    """
    if lowest == 0:
        return "collapsed" if found[0] == 0 else reasons[found[0] - 1]
    if lowest == len(found) - 1:
        return "unbound" if found[-1] == len(reasons) - 1 else reasons[found[-1] + 1]
    return ""

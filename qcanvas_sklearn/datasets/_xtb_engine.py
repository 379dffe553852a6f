"""xTB of one diatomic: self-consistent states, relaxed bond lengths, records of both.

A record depends on its bond length only and not on what was computed before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from ..elements import property_values
from ..structures import N_ORBITALS
from ._xtb_states import BOHR_ANG, BOLTZMANN_HARTREE, SCFError, States

__all__ = ["BOHR_ANG", "RECORD", "SCFError", "compute_records", "relax"]

#: Slope (hartree/bohr) up to which a point counts as stationary.
SLOPE_TOLERANCE = 5e-4
#: Energy (hartree) by which another point must lie lower to matter.
ENERGY_TOLERANCE = 1e-6
#: Wells (hartree) shallower than k_B T at room temperature are called weak.
WEAK_WELL = 298.15 * BOLTZMANN_HARTREE

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


class Diatomic(States):
    """Two atoms on the z axis, neutral, in the lowest multiplicity.

    Parameters
    ----------
    z : tuple of two int
        Atomic numbers; the first atom lies at the origin, the second above it.
    method : str
        Parametrisation, ``"GFN1-xTB"`` or ``"GFN2-xTB"``.
    temperature : float
        Electronic temperature in K.
    """

    def __init__(self, z: tuple[int, int], method: str, temperature: float) -> None:
        super().__init__(z, method, temperature, integrals=True)
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
        return self.state(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, distance]]))

    def curve(self, distance: float) -> tuple[float, float]:
        """Free energy (hartree) and its slope (hartree/bohr) at a bond length in Å."""
        result = self.solve(distance)
        return float(result.get("energy")), float(result.get("gradient")[1, 2])

    def record(self, distance: float) -> NDArray[np.void]:
        """All results at a bond length in Å, one :data:`RECORD`."""
        result = self.solve(distance)
        record = empty_record(distance)
        record["quality"], record["scc_converged"] = "ok", 1.0
        record["populations"] = self._populations(result)
        for name, value in self.facts(result).items():
            record[name] = value
        levels, occupations = result.get("orbital-energies"), result.get("orbital-occupations")
        record["n_levels"], record["max_occupancy"] = len(levels), occupations.max()
        return record

    def _populations(self, result: Any) -> NDArray[np.float64]:
        density, overlap = result.get("density-matrix"), result.get("overlap-matrix")
        populations = np.zeros((2, N_ORBITALS))
        gross = np.einsum("ij,ji->i", density, overlap)
        # Shells of equal l on one atom, such as 1s and 2s of hydrogen, add up.
        np.add.at(populations, (self._atom, self._orbital), gross)
        return populations


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
        Parametrisation, ``"GFN1-xTB"`` or ``"GFN2-xTB"``.
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

"""From labels of any of the 18 targets to what a state is compared with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ....targets import DEBYE_PER_E_ANGSTROM

__all__ = ["state_labels"]

Array = NDArray[np.float64]


def state_labels(values: Mapping[str, Array], distance: Array) -> dict[str, Array]:
    """Labels of a state, from those of targets that are functions of it.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n,)
        Labels by the keys in :data:`qcanvas_sklearn.targets.TARGETS`, NaN where missing.
    distance : ndarray of shape (n,)
        Distances in Å.

    Returns
    -------
    dict of str to ndarray of shape (n,)
        ``homo``, ``lumo``, ``gap``, ``middle`` of both, ``electrophilicity``, ``band``,
        ``repulsion``, ``total``, ``mermin``, ``remainder``, ``charge_size``, ``charge`` and
        ``distance``; NaN where the labels do not say, and where others say more: the gap
        and the middle only where HOMO and LUMO are not known both.
    """
    blank = np.full(len(distance), np.nan)

    def first(*known: Array) -> Array:
        """The first of several columns that is a number, row by row."""
        out = blank.copy()
        for column in known:
            out = np.where(np.isfinite(out), out, column)
        return out

    def of(key: str, factor: float = 1.0) -> Array:
        return factor * values[key] if key in values else blank

    with np.errstate(divide="ignore", invalid="ignore"):
        gap = first(of("e_g_ev"), of("eta_ev", 2.0), 2 / of("softness_evinv"))
        charge = of("dipole_mag_d") / (DEBYE_PER_E_ANGSTROM * distance)
        directed = -of("dipole_z_d") / (DEBYE_PER_E_ANGSTROM * distance)
    middle = first(of("mu_ev"), of("chi_ev", -1.0))
    homo = first(of("e_homo_ev"), of("i_ev", -1.0))
    lumo = first(of("e_lumo_ev"), of("a_ev", -1.0))
    homo = first(homo, lumo - gap, middle - gap / 2, 2 * middle - lumo)
    lumo = first(lumo, homo + gap, 2 * middle - homo)
    unknown = ~(np.isfinite(homo) & np.isfinite(lumo))
    total, band = of("total_energy_ev"), of("band_energy_ev")
    repulsion = of("repulsive_energy_ev")
    return {
        "homo": homo,
        "lumo": lumo,
        "gap": np.where(unknown, gap, np.nan),
        "middle": np.where(unknown, middle, np.nan),
        "electrophilicity": np.where(unknown, of("electrophilicity_ev"), np.nan),
        "band": band,
        "repulsion": repulsion,
        "total": total,
        "mermin": np.where(np.isfinite(total), np.nan, of("mermin_free_energy_ev")),
        "remainder": total - band - repulsion,
        "charge_size": first(of("q_absmean"), charge, np.abs(directed)),
        "charge": directed,
        "distance": of("distance_ang"),
    }  # fmt: skip

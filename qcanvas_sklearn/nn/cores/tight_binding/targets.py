"""The 18 targets of a pair from its state, consistent by construction."""

from __future__ import annotations

import torch
from torch import Tensor

from ....targets import DEBYE_PER_E_ANGSTROM
from .module import State

__all__ = ["state_targets"]

#: Gap in eV below which hardness counts as zero.
SMALLEST_GAP = 1e-9


def state_targets(state: State) -> dict[str, Tensor]:
    """All 18 targets, by their keys in :data:`qcanvas_sklearn.targets.TARGETS`.

    Parameters
    ----------
    state : dict of str to Tensor
        From :class:`TightBinding`, or the same names corrected by a residual network:
        ``homo``, ``lumo``, ``band``, ``total``, ``mermin``, ``repulsion``, ``charge`` and
        ``distance`` are read, and everything else follows from them.

    Returns
    -------
    dict of str to Tensor
        Tensors of shape (n,). Softness and electrophilicity are NaN where the gap is zero,
        what needs a LUMO where all orbitals are occupied.
    """
    homo, lumo = state["homo"], state["lumo"]
    lumo = torch.maximum(lumo, homo)
    ionization, affinity = -homo, -lumo
    eta = (ionization - affinity) / 2
    chi = (ionization + affinity) / 2
    hard = torch.where(eta > SMALLEST_GAP, eta, torch.nan)
    charge, distance = state["charge"], state["distance"]
    dipole = -DEBYE_PER_E_ANGSTROM * charge * distance
    return {
        "e_g_ev": lumo - homo,
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "band_energy_ev": state["band"],
        "total_energy_ev": state["total"],
        "repulsive_energy_ev": state["repulsion"],
        "mermin_free_energy_ev": state["mermin"],
        "i_ev": ionization,
        "a_ev": affinity,
        "chi_ev": chi,
        "mu_ev": -chi,
        "eta_ev": eta,
        "softness_evinv": 1 / hard,
        "electrophilicity_ev": chi**2 / (2 * hard),
        "dipole_mag_d": dipole.abs(),
        "dipole_z_d": dipole,
        "q_absmean": charge.abs(),
        "distance_ang": distance,
    }

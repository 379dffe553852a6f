"""What a tight-binding model is trained on: every label that its state explains."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ....targets import MIN_HARDNESS_EV
from .module import State

__all__ = ["TERMS", "Term", "compared", "computed_columns", "population_columns"]

#: Columns of the populations of an atom: the m = 0 orbitals of s, p, d, f and the rest of
#: p, d, f.
N_POPULATIONS = 7


class Term(NamedTuple):
    """How a deviation counts: by its absolute value beyond the scale, by its square below.

    Attributes
    ----------
    weight : float
        Of the absolute deviation.
    scale : float
        In the unit of the quantity.
    """

    weight: float
    scale: float

    @property
    def factor(self) -> float:
        """Weight of the pseudo-Huber loss of deviations over the scale."""
        return self.weight * self.scale


#: What is compared, by the names of :class:`TightBinding` and of :func:`state_labels`.
TERMS: dict[str, Term] = {
    "homo": Term(3.0, 0.01),
    "lumo": Term(3.0, 0.01),
    "gap": Term(3.0, 0.01),
    "middle": Term(3.0, 0.01),
    "electrophilicity": Term(0.5, 0.2),
    "band": Term(1.0, 0.05),
    "populations": Term(0.3 * 2 * N_POPULATIONS, 0.02),
    "charge_size": Term(1.0, 0.02),
    "force": Term(0.3, 0.05),
    "remainder": Term(0.5, 0.02),
    "repulsion": Term(0.5, 0.02),
    "total": Term(0.1, 0.1),
    "mermin": Term(0.1, 0.1),
    "distance": Term(1.0, 0.02),
}


def population_columns(shells: Tensor, along: Tensor) -> Tensor:
    """Populations as they are compared.

    Parameters
    ----------
    shells : Tensor of shape (n, 2, 4)
        Electrons in s, p, d, f.
    along : Tensor of shape (n, 2, 3)
        Those in the orbitals of p, d and f along the bond.

    Returns
    -------
    Tensor of shape (n, 2, 7)
        Of s, of the orbitals along the bond, and what is left of p, d, f.
    """
    return torch.cat([shells[..., :1], along, shells[..., 1:] - along], dim=-1)


def computed_columns(orbital: Tensor) -> Tensor:
    """The same columns (n, 2, 7) of computed populations by l and m."""
    missing = 4 - orbital.shape[2]
    by_m = functional.pad(orbital, (0, missing, 0, missing))
    return population_columns(by_m.sum(-1), by_m[:, :, 1:, 0])


def compared(state: State, turned: Tensor | None = None) -> dict[str, Tensor]:
    """Quantities of a state that labels are compared with, over their scales.

    Parameters
    ----------
    state : dict of str to Tensor
        From :class:`TightBinding`.
    turned : Tensor of bool, shape (n,), optional
        Where the atoms of the state are in another order than those of the labels; by
        default nowhere.

    Returns
    -------
    dict of str to Tensor
        Tensors of shape (n, k) by the names in :data:`TERMS`, but for ``distance``.
    """
    homo = state["homo"]
    # Where no orbital is empty there is no label either, and no number may reach the loss.
    lumo = torch.maximum(torch.where(state["lumo"].isnan(), homo, state["lumo"]), homo)
    gap, middle = lumo - homo, (lumo + homo) / 2
    own = {
        **{name: state[name] for name in ("homo", "band", "remainder", "repulsion", "total",
                                          "mermin")},
        "lumo": lumo,
        "gap": gap,
        "middle": middle,
        "electrophilicity": middle.square() / gap.clamp_min(2 * MIN_HARDNESS_EV),
        "charge_size": state["charge"].abs(),
    }  # fmt: skip
    if "force" in state:
        own["force"] = state["force"]
    out = {name: value[:, None] / TERMS[name].scale for name, value in own.items()}
    populations = computed_columns(state["orbital_populations"])
    if turned is not None:
        populations = torch.where(turned[:, None, None], populations.flip(1), populations)
    return {**out, "populations": populations.flatten(1) / TERMS["populations"].scale}

"""What a tight-binding model is trained on: every label that its state explains."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .module import State

__all__ = ["LOSS_TERMS", "tight_binding_loss"]

#: Weight and scale of each term. A deviation counts by its absolute value beyond the scale,
#: by its square below.
LOSS_TERMS: dict[str, tuple[float, float]] = {
    "homo": (3.0, 0.01),
    "lumo": (3.0, 0.01),
    "band": (1.0, 0.05),
    "orbital_populations": (0.3, 0.02),
    "force": (0.3, 0.05),
    "remainder": (0.5, 0.02),
    "repulsion": (0.5, 0.02),
    "total": (0.1, 0.1),
}


def tight_binding_loss(
    state: State, labels: Mapping[str, Tensor], weights: Tensor | None = None,
    terms: Mapping[str, tuple[float, float]] = LOSS_TERMS,
) -> Tensor:  # fmt: skip
    """Weighted mean of pseudo-Huber losses of all labels at hand.

    Parameters
    ----------
    state : dict of str to Tensor
        From :class:`TightBinding`.
    labels : mapping of str to Tensor
        Labels by the state's names, NaN where one is missing. Populations are summed over
        atoms, shells and m.
    weights : Tensor of shape (n,), optional
        Weights of the pairs.
    terms : mapping, default=LOSS_TERMS
        Weight and scale of the terms.

    Returns
    -------
    Tensor
        A number.
    """
    loss = torch.zeros((), dtype=torch.float64, device=state["homo"].device)
    for name, (weight, scale) in terms.items():
        if name not in labels or name not in state:
            continue
        label = labels[name].to(state[name])
        known = torch.isfinite(label) & torch.isfinite(state[name])
        difference = torch.where(known, state[name] - label, 0.0)
        each = torch.sqrt(difference**2 + scale**2) - scale
        per_row = each.flatten(1).sum(1) if each.dim() > 1 else each
        if weights is not None:
            per_row = per_row * weights
        loss = loss + weight * per_row.mean()
    return loss

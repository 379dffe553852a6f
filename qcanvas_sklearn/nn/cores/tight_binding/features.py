"""What a network is told of a state."""

from __future__ import annotations

import torch
from torch import Tensor

from .elements import BOHR_PER_ANGSTROM
from .module import State, TightBinding
from .supervision import computed_columns

__all__ = ["state_features"]


def state_features(
    model: TightBinding, z: Tensor, state: State, given: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What a residual network sees of a state: columns of the atoms and of the pair.

    Parameters
    ----------
    model : TightBinding
        Model that made the state.
    z : Tensor of shape (n, 2), int64
        Atomic numbers.
    state : dict of str to Tensor
        The state; with ``force`` where all states that the network sees have it.
    given : Tensor of shape (n, 2, 7), optional
        Given populations, as :func:`population_columns` has them; their discrepancy to the
        computed ones tells where the state is wrong.

    Returns
    -------
    atoms : Tensor of shape (n, 2, k)
        Columns of each atom.
    pair : Tensor of shape (n, q)
        Columns that both share.
    """
    h = model.hamiltonian
    populations = state["populations"]
    computed = computed_columns(state["orbital_populations"])
    gained = h.gained(z, populations)
    columns = [h.net.features[z], h.shells[z], populations / 5, gained, state["potential"] / 5]
    known = computed if given is None else given
    difference = (known - computed).clamp(-0.5, 0.5)
    columns += [10 * difference, difference.abs().sqrt(), known / 2]
    alpha = model.electrons(z)[:, :1].long() - 1
    window = alpha + torch.arange(-2, 4, device=z.device)
    last = state["levels"].shape[1] - 1
    levels = state["levels"].gather(1, window.clamp(0, last)).clamp(-40, 15)
    homo, total = state["homo"], model.electrons(z).sum(1)
    lumo = torch.nan_to_num(state["lumo"], nan=15.0).clamp_max(15)
    distance, bond = state["distance"], h.radius[z].sum(1) / BOHR_PER_ANGSTROM
    pair = [
        (levels - homo[:, None]) / 5, homo[:, None] / 5, lumo[:, None] / 5,
        torch.stack([
            (lumo - homo) / 5, state["band"] / total / 5, total % 2, distance - 2.5,
            distance / bond - 1, 3 * torch.exp(-distance),
            state["repulsion"].clamp(0, 20).sqrt(),
        ], dim=1),
    ]  # fmt: skip
    if "force" in state:
        pair.append(torch.asinh(state["force"])[:, None])
    return torch.cat(columns, dim=2), torch.cat(pair, dim=1)

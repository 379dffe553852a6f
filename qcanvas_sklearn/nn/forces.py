"""Forces as slopes of an energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .ensemble import Ensemble
from .outputs import FORCES, OUTPUT

__all__ = ["EnergyForces"]


class EnergyForces(nn.Module):
    r"""A network of molecules and the forces that belong to one of its outputs.

    .. math::
        F_i = -\partial E / \partial r_i

    of the very network that gives E, so that the forces do no work on a closed path. Of an
    ensemble, one backward pass gives the forces of every member.

    Parameters
    ----------
    network : type of nn.Module
        Class of the network, one of the molecules' or `Ensemble`.
    network_params : mapping
        Its constructor's arguments.
    energy : int, default=0
        Which output is the energy.

    Attributes
    ----------
    wants_forces : bool
        Whether forces are computed; energies alone cost half. True at first.

    Notes
    -----
    Forces work under `torch.no_grad`, not in `torch.inference_mode`, which records nothing
    that could be differentiated. Outputs are cut off from the graph unless the network is
    training or positions that require gradients were given.
    """

    def __init__(
        self, network: type[nn.Module], network_params: Mapping[str, Any], energy: int = 0
    ) -> None:
        super().__init__()
        self.network = network(**network_params)
        self.energy = energy
        self.wants_forces = True

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """Map a batch to its outputs and, where they are wanted, forces.

        Returns
        -------
        dict of str to Tensor
            ``y`` (b, t), of ensembles (b, m, t), and ``forces`` (N, 3) or (N, m, 3).

        Raises
        ------
        RuntimeError
            In `torch.inference_mode`, if forces are wanted.
        """
        if not self.wants_forces:
            return {OUTPUT: self.network(**batch)}
        if torch.is_inference_mode_enabled():
            raise RuntimeError("forces cannot be computed in torch.inference_mode: use no_grad")
        given = batch["positions"]
        kept = torch.is_grad_enabled() and (self.training or given.requires_grad)
        with torch.enable_grad():
            positions = given if given.requires_grad else given.detach().requires_grad_()
            if isinstance(self.network, Ensemble):
                positions = positions.expand(len(self.network.members), -1, -1)
            y = self.network(**{**batch, "positions": positions})
            (slopes,) = torch.autograd.grad(
                y[..., self.energy].sum(), positions, create_graph=kept, materialize_grads=True
            )
        forces = -slopes if slopes.ndim == 2 else -slopes.transpose(0, 1)
        return {OUTPUT: y if kept else y.detach(), FORCES: forces}

"""Deep ensembles: members of one architecture that train as one stacked network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Members of one architecture, each with weights of its own, that train together.

    In training the weights of all members are stacked and the network is mapped over them,
    so that every layer is one batched product. Random numbers (dropout, the drawn order of
    the atoms) differ between members. Predictions come in large batches, which are computed
    faster member by member.

    Parameters
    ----------
    n_members : int
        Number of members.
    network : type of nn.Module
        Class of a member. Its buffers are constants, equal for all members.
    network_params : mapping
        Its constructor's arguments.

    References
    ----------
    .. [1] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.
    """

    def __init__(
        self, n_members: int, network: type[nn.Module], network_params: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(network(**network_params) for _ in range(n_members))

    def forward(self, **inputs: Tensor) -> Tensor:
        """Map the network's inputs to (b, n_members, t)."""
        if not self.training:
            return torch.stack([member(**inputs) for member in self.members], dim=1)
        return self.stacked(inputs)

    def stacked(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The same by batched products over the members."""
        first = self.members[0]
        each = [dict(member.named_parameters()) for member in self.members]
        stacked = {name: torch.stack([weights[name] for weights in each]) for name in each[0]}

        def member(weights: dict[str, Tensor]) -> Tensor:
            return functional_call(first, weights, kwargs=dict(inputs))

        return torch.vmap(member, out_dims=1, randomness="different")(stacked)

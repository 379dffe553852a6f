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
        """Map the network's inputs to (b, n_members, t).

        Inputs are the same for all members, but for ``positions`` of shape
        (n_members, N, 3), which are given to each member apart: slopes of one member's
        outputs are then told from those of the others by one backward pass.
        """
        positions = inputs.get("positions")
        own = {} if positions is None or positions.ndim < 3 else {"positions": positions}
        if self.training:
            return self.stacked(inputs, own)
        outputs = [
            member(**{**inputs, **{name: value[k] for name, value in own.items()}})
            for k, member in enumerate(self.members)
        ]
        return _beside_each_other(outputs)

    def stacked(
        self, inputs: Mapping[str, Tensor], own: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """The same by batched products over the members.

        Parameters
        ----------
        inputs : mapping of str to Tensor
            What all members take.
        own : mapping of str to Tensor, optional
            What each takes by itself, the members along the first axis.
        """
        first = self.members[0]
        each = [dict(member.named_parameters()) for member in self.members]
        stacked = {name: torch.stack([weights[name] for weights in each]) for name in each[0]}

        def member(weights: dict[str, Tensor], own: dict[str, Tensor]) -> Tensor:
            return functional_call(first, weights, kwargs={**inputs, **own})

        mapped = torch.vmap(member, out_dims=1, randomness="different")
        return mapped(stacked, dict(own or {}))


def _beside_each_other(outputs: list[Any]) -> Any:
    """Outputs of the members, or each of their blocks, along a second axis."""
    if isinstance(outputs[0], Mapping):
        return {name: torch.stack([out[name] for out in outputs], dim=1) for name in outputs[0]}
    return torch.stack(outputs, dim=1)

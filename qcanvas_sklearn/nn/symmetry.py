"""Networks that know what exchanging the two atoms does to a target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["SwapSymmetric", "swap_atoms"]

_PER_ATOM = ("z", "atom")


def swap_atoms(inputs: Mapping[str, Tensor], mirrored: Tensor) -> dict[str, Tensor]:
    """Inputs of the same pair with the atoms numbered the other way round.

    The pair is turned by half a rotation at the same time, so that atom 1 stays below
    atom 2 and the bond vector stays what it is.

    Parameters
    ----------
    inputs : mapping of str to Tensor
        ``z`` (b, 2) and ``atom`` (b, 2, k) are reversed; of ``image`` (b, C, S, S) the
        atom-centred channels are mirrored about column S // 2, midway between the atoms
        (of an even side, column 0 has no counterpart and stays); all others hold for the
        pair as a whole.
    mirrored : Tensor of shape (C,), bool
        Which channels are atom-centred.

    Returns
    -------
    dict of str to Tensor
    """
    swapped = dict(inputs)
    for name in _PER_ATOM:
        swapped[name] = inputs[name].flip(1)
    if "image" in inputs:
        image = inputs["image"]
        mirror = image.flip(-1).roll(1 - image.shape[-1] % 2, dims=-1)
        swapped["image"] = torch.where(mirrored[:, None, None], mirror, image)
    return swapped


class SwapSymmetric(nn.Module):
    r"""Make the outputs of a network even or odd under exchange of the atoms.

    .. math::
        f(A, B) = \tfrac12 [g(A, B) + p\, g(B, A)]

    with the parity :math:`p = \pm 1` of each target; those of parity 0 (not known) are
    :math:`g(A, B)`. While training, one of the two terms is drawn for each row, which costs
    one pass and augments the data; in evaluation, and where some parities are known and
    others not, both are computed. A network that has both for the price of one says so by a
    method ``both_orders``, which is asked in evaluation, of whichever order comes first by
    elements and scalars: so the two are equal to the last bit, whichever a row has. Where
    all outputs are even, ``mean_of_orders`` is asked in its place, if there is one.

    Parameters
    ----------
    network : type of nn.Module
        Class of :math:`g`.
    network_params : mapping
        Its constructor's arguments.
    parity : sequence of int
        Of each output, 1, -1 or 0.
    mirrored : sequence of bool, default=()
        For each channel of ``image``, whether it is atom-centred.
    """

    parity: Tensor
    mirrored: Tensor

    def __init__(
        self,
        network: type[nn.Module],
        network_params: Mapping[str, Any],
        parity: Sequence[int],
        mirrored: Sequence[bool] = (),
    ) -> None:
        super().__init__()
        self.network: Any = network(**network_params)
        self.symmetric = any(parity)
        self.draws = all(parity)
        self.averages = all(p == 1 for p in parity) and hasattr(network, "mean_of_orders")
        self.register_buffer("parity", torch.tensor(parity, dtype=torch.float32))
        self.register_buffer("mirrored", torch.tensor(mirrored, dtype=torch.bool))

    def forward(self, **inputs: Tensor) -> Tensor:
        """Map the network's inputs to (b, t)."""
        if not self.symmetric:
            return self.network(**inputs)
        swapped = swap_atoms(inputs, self.mirrored)
        if self.training and self.draws:
            return self._drawn(inputs, swapped)
        if self.averages and not self.training:
            sign = _order(inputs["z"], inputs["atom"])
            return self.network.mean_of_orders(**_mixed(sign > 0, swapped, inputs))
        if hasattr(self.network, "both_orders") and not self.training:
            outputs, exchanged = self._both_at_once(inputs, swapped)
        else:
            outputs, exchanged = self.network(**inputs), self.network(**swapped)
        both = (outputs + self.parity * exchanged) / 2
        return both if self.draws else torch.where(self.parity == 0, outputs, both)

    def _drawn(self, inputs: Mapping[str, Tensor], swapped: Mapping[str, Tensor]) -> Tensor:
        flip = torch.rand(len(inputs["z"]), dtype=torch.float32).to(inputs["z"].device) < 0.5
        outputs = self.network(**_mixed(flip, swapped, inputs))
        return outputs * torch.where(flip[:, None], self.parity, 1.0)

    def _both_at_once(
        self, inputs: Mapping[str, Tensor], swapped: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Outputs of this order and of the other, from one call of the network."""
        sign = _order(inputs["z"], inputs["atom"])[:, None]
        first, second = self.network.both_orders(**_mixed(sign[:, 0] > 0, swapped, inputs))
        second = torch.where(sign == 0, first, second)  # two atoms that are one and the same
        return torch.where(sign > 0, second, first), torch.where(sign > 0, first, second)


def _mixed(
    use: Tensor, some: Mapping[str, Tensor], others: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Inputs that are those of `some` in the rows to `use`, and of `others` elsewhere."""
    return {
        name: value
        if some[name] is value
        else torch.where(use.view(-1, *[1] * (value.ndim - 1)), some[name], value)
        for name, value in others.items()
    }


def _order(z: Tensor, atom: Tensor) -> Tensor:
    """Above 0 in rows (b,) whose second atom has the smaller element, or the first scalar that
    is smaller; 0 where the two are alike.
    """
    both = torch.cat([z[..., None].to(atom.dtype), atom], dim=-1)
    difference = both[:, 0] - both[:, 1]
    deciding = (difference != 0).to(torch.uint8).argmax(dim=1, keepdim=True)
    return difference.gather(1, deciding)[:, 0]

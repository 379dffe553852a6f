"""What each atom adds to an output on its own, and the read-out that has this term."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers import mlp

__all__ = ["AtomTerms", "ReadOut", "atom_by_atom", "with_channel_means"]


class AtomTerms(nn.Module):
    r"""Terms of the single atoms, linear in their scalars.

    .. math::
        B x + \sum_k \{ A_k u_k + D_k [ E u'_k \odot F x_k ] \}

    with the features :math:`u_k` of an atom, of which :math:`u'_k` depend on the element
    alone and :math:`x_k` are its scalars, and the scalars :math:`x` of the pair. An atom's
    scalars have coefficients of its element, as a population times the energy of its level
    has: energies are sums over atoms first, and small differences after that.

    All terms are zero at first. Each atom has weights of its own, so that a difference of
    two atoms is such a sum too.

    Parameters
    ----------
    n_element : int
        Features of an element.
    n_atom : int
        Scalars of an atom, standardised; without any, what an atom adds depends on its
        element alone.
    n_pair : int
        Scalars of the pair, standardised.
    n_outputs : int
        Number of targets.
    n_response : int
        Products of coefficients and scalars, of which the outputs are made.
    """

    def __init__(
        self, n_element: int, n_atom: int, n_pair: int, n_outputs: int, n_response: int
    ) -> None:
        super().__init__()
        n_scalars = 2 * (n_element + n_atom) + n_pair
        self.additive = nn.Linear(n_scalars, n_outputs, bias=False)
        nn.init.zeros_(self.additive.weight)
        self.n_atom = n_atom
        if n_atom:
            self.coefficients = nn.Linear(n_element, n_response)
            self.scalars = nn.Linear(n_atom, n_response, bias=False)
            self.response = nn.Linear(2 * n_response, n_outputs, bias=False)
            nn.init.zeros_(self.response.weight)

    def forward(self, features: Tensor, pair: Tensor) -> Tensor:
        """Map atoms (b, 2, n_element + n_atom), scalars last, and (b, n_pair)."""
        return self._added(features, self._responses(features), pair)

    def both_orders(self, features: Tensor, pair: Tensor) -> tuple[Tensor, Tensor]:
        """The terms of the atoms in this order and in the other."""
        responses = self._responses(features)
        turned = None if responses is None else responses.flip(1)
        return (
            self._added(features, responses, pair), self._added(features.flip(1), turned, pair)
        )  # fmt: skip

    def _responses(self, features: Tensor) -> Tensor | None:
        """Products (b, 2, n_response) of coefficients and scalars, where there are any."""
        if not self.n_atom:
            return None
        return torch.stack([self._response(own) for own in atom_by_atom(features)], dim=1)

    def _response(self, features: Tensor) -> Tensor:
        element, scalars = features.tensor_split([-self.n_atom], dim=-1)
        return self.coefficients(element.contiguous()) * self.scalars(scalars.contiguous())

    def _added(self, features: Tensor, responses: Tensor | None, pair: Tensor) -> Tensor:
        own = self.additive(torch.cat([features.flatten(1), pair], dim=-1))
        return own if responses is None else own + self.response(responses.flatten(1))


class ReadOut(nn.Module):
    """A dense network of what a pair was made into, and the terms of its atoms.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the dense network: what it reads, its hidden layers, the targets.
    n_element, n_atom, n_pair : int
        As for `AtomTerms`.
    dropout : float, default=0.0
        Dropout in the dense network.
    """

    def __init__(
        self, sizes: Sequence[int], n_element: int, n_atom: int, n_pair: int,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.interaction = mlp(sizes, dropout)
        n_response = -(-sizes[1] // 2)
        self.own = AtomTerms(n_element, n_atom, n_pair, sizes[-1], n_response)

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let every output be zero at first; the terms of the atoms are anyway."""
        *_, weight, bias = self.interaction.parameters()
        weight.zero_()
        bias.zero_()

    def forward(self, read: Tensor, features: Tensor, pair: Tensor) -> Tensor:
        """Map (b, sizes[0]), atoms (b, 2, n_element + n_atom) and (b, n_pair)."""
        return self.own(features, pair) + self.interaction(read)


def atom_by_atom(features: Tensor) -> Sequence[Tensor]:
    """Features (b, k) of the first atoms and of the second ones, from (b, 2, k).

    Products of matrices round by where a row lies: with both atoms in one product, exchange
    symmetry would not hold to the last bit.
    """
    return [own.contiguous() for own in features.unbind(1)]


def with_channel_means(pair: Tensor, image: Tensor | None) -> Tensor:
    """Scalars of the pair (b, n_pair), and behind them the mean of each channel."""
    if image is None:
        return pair
    return torch.cat([pair, image.mean(dim=(2, 3))], dim=-1)

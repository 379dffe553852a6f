"""What each atom adds to an output on its own, and the read-out that has this term."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..layers import AtomLinear, Atoms, mlp
from ..streams import side_by_side

__all__ = ["AtomTerms", "ReadOut", "with_channel_means"]


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
    n_elements : int
        Largest atomic number; 0 means no element.
    n_atom : int
        Scalars of an atom, standardised; without any, what an atom adds depends on its
        element alone.
    n_pair : int
        Scalars of the pair, standardised.
    n_outputs : int
        Number of targets.
    n_response : int
        Products of coefficients and scalars, of which the outputs are made.
    n_descriptors : int, default=0
        Tabulated descriptors of an element.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int, n_response: int,
        n_descriptors: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_atom = n_atom
        n_features = n_elements + n_descriptors + n_atom
        self.additive = nn.Linear(2 * n_features + n_pair, n_outputs, bias=False)
        nn.init.zeros_(self.additive.weight)
        if n_atom:
            self.coefficients = AtomLinear(n_elements, n_descriptors, n_response)
            self.scalars = nn.Linear(n_atom, n_response, bias=False)
            self.response = nn.Linear(2 * n_response, n_outputs, bias=False)
            nn.init.zeros_(self.response.weight)

    def forward(self, atoms: Atoms, pair: Tensor) -> Tensor:
        """Map atoms (b, 2) and scalars (b, n_pair) to (b, n_outputs)."""
        return self._added(*self._of_atoms(atoms), pair)

    def both_orders(self, atoms: Atoms, pair: Tensor) -> tuple[Tensor, Tensor]:
        """The terms of the atoms in this order and in the other."""
        features, responses = self._of_atoms(atoms)
        turned = None if responses is None else responses.flip(1)
        return (
            self._added(features, responses, pair), self._added(features.flip(1), turned, pair)
        )  # fmt: skip

    def _of_atoms(self, atoms: Atoms) -> tuple[Tensor, Tensor | None]:
        """Features (b, 2, k), and products (b, 2, n_response) of coefficients and scalars."""
        if not self.n_atom:
            return atoms.features, None
        coefficients = self.coefficients(atoms.z, atoms.described, atoms.features)
        return atoms.features, coefficients * self.scalars(atoms.scalars)

    def _added(self, features: Tensor, responses: Tensor | None, pair: Tensor) -> Tensor:
        own = self.additive(torch.cat([features.flatten(1), pair], dim=-1))
        return own if responses is None else own + self.response(responses.flatten(1))


class ReadOut(nn.Module):
    """A dense network of what a pair was made into, and the terms of its atoms.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the dense network: what it reads, its hidden layers, the targets.
    n_elements, n_atom, n_pair : int
        As for `AtomTerms`.
    dropout : float, default=0.0
        Dropout in the dense network.
    n_descriptors : int, default=0
        As for `AtomTerms`.
    """

    def __init__(
        self, sizes: Sequence[int], n_elements: int, n_atom: int, n_pair: int,
        dropout: float = 0.0, n_descriptors: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.interaction = mlp(sizes, dropout)
        n_response = -(-sizes[1] // 2)
        self.own = AtomTerms(
            n_elements, n_atom, n_pair, sizes[-1], n_response, n_descriptors
        )

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let every output be zero at first; the terms of the atoms are anyway."""
        *_, weight, bias = self.interaction.parameters()
        weight.zero_()
        bias.zero_()

    def forward(self, read: Tensor, atoms: Atoms, pair: Tensor) -> Tensor:
        """Map what is read (b, sizes[0]), atoms (b, 2) and (b, n_pair) to (b, n_outputs)."""
        made, own = side_by_side(partial(self.interaction, read), self._own, pair, *atoms)
        return own + made

    def _own(self, pair: Tensor, *atoms: Any) -> Tensor:
        return self.own(Atoms(*atoms), pair)

    def both_orders(self, read: Tensor, atoms: Atoms, pair: Tensor) -> tuple[Tensor, Tensor]:
        """The same for (2, b, sizes[0]), of the atoms in this order and in the other."""
        own, exchanged = self.own.both_orders(atoms, pair)
        here, there = self.interaction(read)
        return own + here, exchanged + there


def with_channel_means(pair: Tensor, image: Tensor | None) -> Tensor:
    """Scalars of the pair (b, n_pair), and behind them the mean of each channel."""
    if image is None:
        return pair
    return torch.cat([pair, image.mean(dim=(2, 3))], dim=-1)

"""PairMLP: symmetric pooling of two atoms, then a residual network on scalars."""

from __future__ import annotations

import math
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import AtomFeatures, AtomLinear, Atoms, mlp
from ..radial import GaussianBasis
from ._atom_terms import AtomTerms

__all__ = ["PairMLP", "ResidualBlock", "symmetric_pool"]

#: Centre of the last Gaussian, Å; no bond of the bundled table is longer.
_LONGEST_BOND = 6.0
_FIRST_GAIN = 0.1


def symmetric_pool(a: Tensor, b: Tensor) -> Tensor:
    """Sum, product, absolute and squared difference of (n, k) features, (n, 4 k)."""
    difference = a - b
    return torch.cat([a + b, a * b, difference.abs(), difference.square()], dim=-1)


class ResidualBlock(nn.Module):
    r"""Pre-norm residual block, :math:`x + W_2\, \mathrm{SiLU}(W_1\, \mathrm{LN}(x))`.

    Parameters
    ----------
    n_hidden : int
        Features.
    dropout : float, default=0.0
        Dropout behind the activation.
    """

    def __init__(self, n_hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(n_hidden)
        self.update = mlp([n_hidden, n_hidden, n_hidden], dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.update(self.norm(x))


class PairMLP(nn.Module):
    r"""Multilayer perceptron on the scalars of a pair.

    .. math::
        a_k &= \varphi(u_k), \quad u_k = (\mathrm{onehot}(Z_k), t(Z_k), x_k) \\
        h &= \rho(a_1 + a_2,\; a_1 \odot a_2,\; |a_1 - a_2|,\; (a_1 - a_2)^2,\;
            t(Z_1) \odot t(Z_2),\; x,\; e(r)) \\
        y &= \gamma \odot \{ W h + c + V [G h \odot (a_1 - a_2)] \}
            + B x + \sum_k \{ A_k u_k + D_k [ E u'_k \odot F x_k ] \}

    with tabulated descriptors :math:`t` of the elements, per-atom scalars :math:`x_k`,
    pair scalars :math:`x` and Gaussians :math:`e(r)` of the bond length. Of the residual
    network's part, :math:`W h + c` is even under exchange of the atoms and the other term
    odd. The last terms are what each atom adds on its own (`AtomTerms`, with :math:`u'_k`
    for :math:`u_k` without :math:`x_k`). What is left after them are small differences,
    for which the gain :math:`\gamma` of each target starts below one.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    descriptors : array of shape (n_elements + 1, n_descriptors)
        Fixed descriptors of the elements, standardised, 0 for no element.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
    n_outputs : int
        Number of targets.
    n_hidden : int, default=256
        Width of the residual network; atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    n_radial : int, default=16
        Gaussians of the bond length, up to 6 Å.
    dropout : float, default=0.0
        Dropout in the residual blocks.

    References
    ----------
    .. [1] M. Zaheer et al., Deep Sets, NeurIPS 2017, theorem 2, arXiv:1703.06114.
    .. [2] K. He, X. Zhang, S. Ren, J. Sun, Identity Mappings in Deep Residual Networks,
       ECCV 2016, arXiv:1603.05027 (pre-norm residual blocks).
    .. [3] K. T. Schütt et al., SchNet, NeurIPS 2017, arXiv:1706.08566 (Gaussians of the
       bond length).
    """

    def __init__(
        self,
        n_elements: int,
        descriptors: NDArray,
        n_atom: int,
        n_pair: int,
        n_outputs: int,
        n_hidden: int = 256,
        n_blocks: int = 2,
        n_radial: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_pooled, n_response = -(-n_hidden // 2), -(-n_hidden // 4)
        self.atom = AtomFeatures(n_elements, descriptors, n_atom)
        n_descriptors = self.atom.n_descriptors
        self.atoms: Any = nn.Sequential(
            AtomLinear(n_elements, n_descriptors + n_atom, n_pooled), nn.SiLU(),
            nn.Linear(n_pooled, n_pooled),
        )  # fmt: skip
        self.radial = GaussianBasis(n_radial, _LONGEST_BOND)
        self.enter = nn.Linear(4 * n_pooled + n_descriptors + n_pair + n_radial, n_hidden)
        self.blocks = nn.Sequential(
            *(ResidualBlock(n_hidden, dropout) for _ in range(n_blocks)),
            nn.LayerNorm(n_hidden),
        )
        self.even = nn.Linear(n_hidden, n_outputs)
        self.gate = nn.Linear(n_hidden, n_pooled)
        self.odd = nn.Linear(n_pooled, n_outputs, bias=False)
        self.log_gain = nn.Parameter(torch.full((n_outputs,), math.log(_FIRST_GAIN)))
        self.own = AtomTerms(
            n_elements, n_atom, n_pair, n_outputs, n_response, n_descriptors
        )

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair) and (b, 3) to (b, n_outputs)."""
        atoms = self.atom.known(z, atom)
        h, difference = self._interaction(atoms, pair, vector)
        mixed = self.even(h) + self.odd(self.gate(h) * difference)
        return self.own(atoms, pair) + self.log_gain.exp() * mixed

    def both_orders(
        self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the atoms in this order and in the other, for little more than one."""
        atoms = self.atom.known(z, atom)
        h, difference = self._interaction(atoms, pair, vector)
        even, odd = self.even(h), self.odd(self.gate(h) * difference)
        own, exchanged = self.own.both_orders(atoms, pair)
        gain = self.log_gain.exp()
        return own + gain * (even + odd), exchanged + gain * (even - odd)

    def mean_of_orders(
        self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor
    ) -> Tensor:
        """Mean of the outputs in either order, in which no odd part is left."""
        atoms = self.atom.known(z, atom)
        h, _ = self._interaction(atoms, pair, vector)
        own, exchanged = self.own.both_orders(atoms, pair)
        return (own + exchanged) / 2 + self.log_gain.exp() * self.even(h)

    def _interaction(
        self, atoms: Atoms, pair: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the atoms do to each other (b, n_hidden), and the difference of the two."""
        radial = self.radial(vector.norm(dim=-1))
        embed, *behind = self.atoms
        others = torch.cat([atoms.described, atoms.scalars], dim=-1)
        x = embed(atoms.z, others, atoms.features)
        for layer in behind:
            x = layer(x)
        a, b = x.unbind(1)
        product = atoms.described[:, 0] * atoms.described[:, 1]
        entering = [symmetric_pool(a, b), product, pair, radial]
        return self.blocks(self.enter(torch.cat(entering, dim=-1))), a - b

"""Transformer on the scalars of a pair: one token for each atom and each amplitude."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import AtomFeatures, mlp
from ._atom_terms import ReadOut
from .pair_mlp import symmetric_pool

__all__ = ["EncoderBlock", "PairTokens", "PairTransformer", "ScalarTokens", "encoder"]


class EncoderBlock(nn.Module):
    r"""Pre-norm transformer block of self-attention and a two-layer network.

    .. math::
        x' &= x + \mathrm{MSA}(\mathrm{LN}(x)) \\
        x'' &= x' + W_2\, \mathrm{GELU}(W_1\, \mathrm{LN}(x'))

    where each head of the attention is
    :math:`\mathrm{softmax}(Q K^\top / \sqrt{d_k})\, V`.

    Parameters
    ----------
    n_hidden : int
        Features of a token.
    n_heads : int
        Attention heads; divides `n_hidden`.
    dropout : float, default=0.0
        Dropout on both updates.
    n_read : int, default=None
        Return the first `n_read` tokens only; None for all. The others need no update
        where nothing reads them.

    References
    ----------
    .. [1] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [2] A. Dosovitskiy et al., An Image is Worth 16x16 Words, ICLR 2021,
       equations 2 and 3, arXiv:2010.11929.
    """

    def __init__(
        self, n_hidden: int, n_heads: int, dropout: float = 0.0, n_read: int | None = None
    ) -> None:
        super().__init__()
        self.n_heads, self.n_read = n_heads, n_read
        self.norm_attention = nn.LayerNorm(n_hidden)
        self.query_key_value = nn.Linear(n_hidden, 3 * n_hidden)
        self.project = nn.Linear(n_hidden, n_hidden)
        self.norm_update = nn.LayerNorm(n_hidden)
        narrow = nn.Linear(2 * n_hidden, n_hidden)
        self.update = nn.Sequential(nn.Linear(n_hidden, 2 * n_hidden), nn.GELU(), narrow)
        self.dropout = nn.Dropout(dropout)
        # Small updates at first: a token begins as what it stands for.
        for layer in (self.project, narrow):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def attend(self, x: Tensor) -> Tensor:
        """Attention of the first `n_read` of (b, n, n_hidden) to all."""
        heads = self.query_key_value(x).unflatten(-1, (3, self.n_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        # Written out: the fused kernel cannot be mapped over the members of an ensemble.
        logits = query[:, :, : self.n_read] @ key.transpose(-2, -1)
        out = (logits / query.shape[-1] ** 0.5).softmax(dim=-1) @ value
        return self.project(out.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, : self.n_read] + self.dropout(self.attend(self.norm_attention(x)))
        return x + self.dropout(self.update(self.norm_update(x)))


def encoder(
    n_hidden: int, n_layers: int, n_heads: int, dropout: float, n_read: int | None = 3
) -> nn.Sequential:
    """Transformer blocks, of which the last gives the tokens of pair and atoms."""
    reads = [None] * (n_layers - 1) + [n_read]
    return nn.Sequential(*(EncoderBlock(n_hidden, n_heads, dropout, n) for n in reads))


class PairTokens(nn.Module):
    r"""Tokens of a pair and of its two atoms.

    .. math::
        a_k &= \mathrm{LN}(\varphi(u_k)) \\
        T &= [\mathrm{LN}(W\,(a_1 + a_2,\; a_1 \odot a_2,\; |a_1 - a_2|,\; (a_1 - a_2)^2,\; x));
            \; a_1 + e_1;\; a_2 + e_2]

    with learned positions :math:`e_k` of the atoms.

    Parameters
    ----------
    n_features : int
        Features :math:`u_k` of an atom.
    n_pair : int
        Scalars :math:`x` of the pair.
    n_hidden : int
        Features of a token.
    """

    def __init__(self, n_features: int, n_pair: int, n_hidden: int) -> None:
        super().__init__()
        self.atoms = nn.Sequential(
            *mlp([n_features, n_hidden, n_hidden]), nn.LayerNorm(n_hidden)
        )
        self.pair = nn.Sequential(
            nn.Linear(4 * n_hidden + n_pair, n_hidden), nn.LayerNorm(n_hidden)
        )
        self.position = nn.Parameter(torch.empty(2, n_hidden))
        nn.init.normal_(self.position, std=0.02)

    def forward(self, features: Tensor, pair: Tensor) -> Tensor:
        """Map (b, 2, n_features) and (b, n_pair) to (b, 3, n_hidden), the pair first."""
        atoms = self.atoms(features)
        a, b = atoms.unbind(1)
        token = self.pair(torch.cat([symmetric_pool(a, b), pair], dim=-1))
        return torch.cat([token[:, None], atoms + self.position], dim=1)


class ScalarTokens(nn.Module):
    r"""A token for each group of scalars, :math:`T_j = W_j x_j + b_j`.

    Parameters
    ----------
    n_scalars : int
        Number of scalars.
    n_hidden : int
        Features of a token.
    max_tokens : int
        Largest number of tokens. More scalars than that are grouped in runs of equal
        length, the last of which may be shorter.

    References
    ----------
    .. [1] Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, Revisiting Deep Learning
       Models for Tabular Data, NeurIPS 2021, section 3.3, arXiv:2106.11959.
    """

    def __init__(self, n_scalars: int, n_hidden: int, max_tokens: int) -> None:
        super().__init__()
        self.run = max(-(-n_scalars // max_tokens), 1)
        n_tokens = -(-n_scalars // self.run)
        self.padding = n_tokens * self.run - n_scalars
        bound = self.run**-0.5
        self.weight = nn.Parameter(torch.empty(n_tokens, self.run, n_hidden))
        self.bias = nn.Parameter(torch.empty(n_tokens, n_hidden))
        for parameter in (self.weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, n_scalars) to (b, n_tokens, n_hidden)."""
        runs = nn.functional.pad(x, (0, self.padding)).unflatten(-1, (-1, self.run))
        return torch.einsum("btr,trh->bth", runs, self.weight) + self.bias


class PairTransformer(nn.Module):
    r"""Transformer encoder on atoms, a pair token and amplitudes.

    .. math::
        T &= [\mathrm{tokens}(u_1, u_2, x);\; W_1 x_1 + b_1;\; \dots] \\
        y &= \mathrm{head}(\mathrm{LN}(\mathrm{encoder}(T)_{0, 1, 2}))
            + \mathrm{own}(u_1, u_2, x)

    The first three tokens, from which the outputs are read, are those of the pair and of
    the atoms; :math:`u_k` is the one-hot element, its descriptors and all scalars of an
    atom. One token follows for each per-atom amplitude (its values on both atoms:
    electrons, a shell's population, ...), and for each scalar of the pair. The last term
    is what each atom adds on its own (`AtomTerms`).

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
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    max_pair_tokens : int, default=16
        Largest number of tokens for the scalars of the pair; more scalars share tokens.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.

    References
    ----------
    .. [1] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762.
    .. [2] Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, Revisiting Deep Learning
       Models for Tabular Data, NeurIPS 2021, arXiv:2106.11959 (tokens of scalars).
    """

    def __init__(
        self,
        n_elements: int,
        descriptors: NDArray,
        n_atom: int,
        n_pair: int,
        n_outputs: int,
        n_hidden: int = 96,
        n_layers: int = 2,
        n_heads: int = 4,
        max_pair_tokens: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.atoms = AtomFeatures(n_elements, descriptors, n_atom)
        self.frame = PairTokens(self.atoms.n_features, n_pair, n_hidden)
        # A run is the two atoms' values of one amplitude.
        self.amplitudes = ScalarTokens(2 * n_atom, n_hidden, max(n_atom, 1))
        self.scalars = ScalarTokens(n_pair, n_hidden, max_pair_tokens)
        self.blocks = encoder(n_hidden, n_layers, n_heads, dropout)
        self.norm = nn.LayerNorm(n_hidden)
        sizes = [3 * n_hidden, n_hidden, n_outputs]
        n_descriptors = self.atoms.n_descriptors
        self.head = ReadOut(sizes, n_elements, n_atom, n_pair, dropout, n_descriptors)

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom) and (b, n_pair) to (b, n_outputs)."""
        amplitudes = self.amplitudes(atom.transpose(1, 2).flatten(1))
        atoms = self.atoms.known(z, atom)
        tokens = [self.frame(atoms.features, pair), amplitudes, self.scalars(pair)]
        out = self.blocks(torch.cat(tokens, dim=1))
        return self.head(self.norm(out).flatten(1), atoms, pair)

"""Attention between atoms of which each message carries gates, one for every degree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..graphs import damped_softmax
from ..layers import mlp, side_by_side

__all__ = ["Bonds", "Edges", "TensorAttention"]


class Edges(NamedTuple):
    """Source and target (E,), cutoff function (E,) and harmonics (E, M) of each edge."""

    source: Tensor
    target: Tensor
    damping: Tensor
    harmonics: Tensor


class Bonds(NamedTuple):
    """What there is between the two atoms of b pairs.

    Attributes
    ----------
    damping : Tensor of shape (b, 1)
        Cutoff function.
    harmonics : Tensor of shape (2, b, L)
        Of each degree, the one that is not zero along the axis of the bond, of the edges
        that leave the first atom and the second.
    """

    damping: Tensor
    harmonics: Tensor


class TensorAttention(nn.Module):
    r"""Gates of messages: attention between atoms plus a filter of the edge.

    .. math::
        o_{ij} &= a_{ij}\, \gamma_v(h_j) + (W_{rs} t_{ij}) \circ \gamma_s(h_j)\, f_c(d_{ij}) \\
        \alpha_{ij} &= \tfrac{1}{\sqrt{d_k}} (W_q h_i)^\top
            \bigl[ W_k h_j \circ \sigma(W_{re} t_{ij}) \bigr]

    with two-layer networks :math:`\gamma` and, in each head, the softmax :math:`a` over j
    of the logits :math:`\alpha`, damped by the cutoff :math:`f_c`; h is behind a layer
    normalisation. Each gate has `n_hidden` channels.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge.
    n_heads : int
        Attention heads; divides `n_hidden`.
    n_gates : int
        Number of gates.

    References
    ----------
    .. [1] S. Aykent, T. Xia, GotenNet: Rethinking Efficient 3D Equivariant Graph Neural
       Networks, ICLR 2025, section 3; with the cutoff inside the softmax, too, which
       makes the whole a smooth function of the positions.
    """

    value: Any
    source: Any

    def __init__(self, n_hidden: int, n_heads: int, n_gates: int) -> None:
        super().__init__()
        self.n_heads, self.n_gates = n_heads, n_gates
        self.norm = nn.LayerNorm(n_hidden)
        self.query = nn.Linear(n_hidden, n_hidden)
        self.key = nn.Linear(n_hidden, n_hidden)
        self.key_filter = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.SiLU())
        self.value = mlp([n_hidden, n_hidden, n_gates * n_hidden])
        self.source = mlp([n_hidden, n_hidden, n_gates * n_hidden])
        self.source_filter = nn.Linear(n_hidden, n_gates * n_hidden)

    def attention(self, h: Tensor, t: Tensor, edges: Edges) -> Tensor:
        """Weights (E, n_heads) of the edges at each node, which sum to one."""
        query = self.query(h).index_select(0, edges.target)
        key = self.key(h).index_select(0, edges.source) * self.key_filter(t)
        products = (query * key).unflatten(-1, (self.n_heads, -1))
        logits = products.sum(-1) / math.sqrt(products.shape[-1])
        return damped_softmax(logits, edges.damping, edges.target, len(h))

    def forward(self, h: Tensor, t: Tensor, edges: Edges) -> Tensor:
        """Map nodes (n, n_hidden) and edges (E, n_hidden) to (E, n_gates, n_hidden)."""
        h = self.norm(h)
        heads = (self.n_gates, self.n_heads, -1)
        values = self.value(h).index_select(0, edges.source).unflatten(-1, heads)
        attended = self.attention(h, t, edges)[:, None, :, None] * values
        filters = self.source_filter(t) * edges.damping[:, None]
        filtered = self.source(h).index_select(0, edges.source) * filters
        return attended.flatten(2) + filtered.unflatten(-1, (self.n_gates, -1))

    def of_pairs(
        self, h: Tensor, t: Tensor, loops: Tensor, damping: Tensor, looped: Sequence[slice]
    ) -> list[Tensor]:
        """Gates for graphs of two atoms, without an index.

        Parameters
        ----------
        h : Tensor of shape (2, b, n_hidden)
            The atoms.
        t : Tensor of shape (2, b, n_hidden) or (1, b, n_hidden)
            The edges that leave them; one where both are alike.
        loops : Tensor of shape (2, b, n_hidden)
            The edges from each atom to itself.
        damping : Tensor of shape (b, 1)
            Cutoff function of the edges.
        looped : sequence of slice
            The gates of loops that are needed.

        Returns
        -------
        list of Tensor of shape (2, b, n, n_hidden)
            Gates of the edges that leave the atoms, all `n_gates`, and some of the loops.
        """
        query, key, *hidden = side_by_side(
            self.norm(h), self.query, self.key, self.value[0], self.source[0]
        )
        values, sources = (
            network[1:](features).unflatten(-1, (self.n_gates, -1))
            for network, features in zip((self.value, self.source), hidden, strict=True)
        )
        attention, own = self._attention_of_pairs(query, key, t, loops, damping)
        filters = (self.source_filter(t) * damping).unflatten(-1, (self.n_gates, -1))
        gates = [torch.addcmul(attention * values, sources, filters)]
        parameters = (self.source_filter.weight, self.source_filter.bias)
        for part in looped:
            weight, bias = (
                parameter.unflatten(0, (self.n_gates, -1))[part].flatten(0, 1)
                for parameter in parameters
            )
            filters = nn.functional.linear(loops, weight, bias).unflatten(-1, (-1, h.shape[-1]))
            attended = own * values[..., part, :]
            gates.append(torch.addcmul(attended, sources[..., part, :], filters))
        return gates

    def _attention_of_pairs(
        self, query: Tensor, key: Tensor, t: Tensor, loops: Tensor, damping: Tensor
    ) -> list[Tensor]:
        """Weights (2, b, 1, n_hidden) of the edges that leave the atoms, and of the loops."""
        heads = (self.n_heads, -1)
        logits, own = (
            (asked * (key * self.key_filter(filtered))).unflatten(-1, heads).sum(-1)
            / math.sqrt(query.shape[-1] / self.n_heads)
            for asked, filtered in ((query.flip(0), t), (query, loops))
        )
        rival = own.flip(0)  # of the loop where the edge arrives
        highest = torch.where(damping > 0, torch.maximum(logits, rival), rival).detach()
        weight = damping * (logits - highest).clamp(max=0).exp()
        others = (rival - highest).exp()
        total = weight + others
        size = query.shape[-1] // self.n_heads
        return [
            attention[..., None].expand(-1, -1, -1, size).flatten(-2)[..., None, :]
            for attention in (weight / total, (others / total).flip(0))
        ]

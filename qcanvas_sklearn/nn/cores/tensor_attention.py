"""Attention between atoms of which each message carries gates, one for every degree."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..graphs import damped_softmax
from ..layers import add_product, beside, mlp

__all__ = ["Bonds", "Edges", "TensorAttention"]


class Edges(NamedTuple):
    """Source and target (E,), cutoff function (E,) and harmonics (E, M) of each edge."""

    source: Tensor
    target: Tensor
    damping: Tensor
    harmonics: Tensor


class Bonds(NamedTuple):
    """What there is between the atoms i and j of b pairs: bonds, and loops where i is j.

    Attributes
    ----------
    damping : Tensor of shape (2, 2, b, 1)
        Cutoff function; one of a loop.
    log_damping : Tensor of shape (2, 2, b, 1)
        Its logarithm, as far down as there are numbers.
    harmonics : Tensor of shape (2, 2, b, L, 1)
        Of each degree, the one that is not zero along the axis of the bond from j to i;
        zero of a loop.
    """

    damping: Tensor
    log_damping: Tensor
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

    @property
    def edge_maps(self) -> tuple[nn.Linear, list[nn.Linear]]:
        """Layers that edges enter as they come: of the filters, and those before a SiLU."""
        first: Any = self.key_filter[0]
        return self.source_filter, [first]

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

    def of_pairs(self, h: Tensor, filters: Tensor, keyed: Tensor, bonds: Bonds) -> Tensor:
        """Gates for graphs of two atoms, without an index: from j to i for all i and j.

        Every operation is a kernel to be launched, in both directions, which takes longer
        than computing what is not needed of a loop.

        Parameters
        ----------
        h : Tensor of shape (2, b, n_hidden)
            The atoms.
        filters : Tensor of shape (2, 2, b, n_gates * n_hidden)
            What `source_filter` makes of the edges and loops (i, j), damped.
        keyed : Tensor of shape (2, 2, b, n_hidden)
            What `key_filter` makes of them.
        bonds : Bonds
            What else is known of them.

        Returns
        -------
        Tensor of shape (2, 2, b, n_gates, n_hidden)
        """
        size, heads = h.shape[-1], (self.n_heads, -1)
        weight, bias = beside(self.query, self.key, self.value[0], self.source[0])
        # In two dimensions, in which layers take parts of rows without copying them.
        made = nn.functional.linear(self.norm(h).flatten(0, 1), weight, bias)
        query, key, hidden = made.split([size, size, 2 * size], dim=-1)
        halves = nn.functional.silu(hidden).chunk(2, dim=-1)
        query, key, values, sources = (
            x.unflatten(0, h.shape[:2])
            for x in (query, key, self.value[2](halves[0]), self.source[2](halves[1]))
        )
        keys = key.unflatten(-1, heads) * keyed.unflatten(-1, heads)
        logits = (query.unflatten(-1, heads)[:, None] * keys).sum(-1)
        scale = math.sqrt(self.n_heads / size)
        logits = torch.add(bonds.log_damping, logits, alpha=scale)
        attention = logits.softmax(dim=1)[..., None, :, None]
        attended = attention * values.unflatten(-1, (self.n_gates, *heads))
        gates = add_product(attended.flatten(-3), sources, filters)
        return gates.unflatten(-1, (self.n_gates, -1))

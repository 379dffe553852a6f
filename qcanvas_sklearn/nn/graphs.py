"""Graphs of atoms: positions, directed edges, triplets.

A batch of graphs is one graph: nodes and edges are concatenated, and an edge index of
shape (2, E) names source j and target i of each message.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "damped_softmax",
    "directions",
    "edge_vectors",
    "lengths",
    "n_messages",
    "sum_messages",
    "triplets",
]


def edge_vectors(positions: Tensor, edge_index: Tensor, shift: Tensor | None = None) -> Tensor:
    """Vectors (E, 3) from the source of each edge to its target.

    Parameters
    ----------
    positions : Tensor of shape (n, 3)
        Positions of the atoms.
    edge_index : Tensor of shape (2, E)
        Source and target of each edge.
    shift : Tensor of shape (E, 3) or None, default=None
        How much further than its atom the image at the target lies, as seen from the
        source; None where nothing is periodic.
    """
    source, target = edge_index
    vectors = positions.index_select(-2, target) - positions.index_select(-2, source)
    return vectors if shift is None else vectors + shift


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean norm over the last axis, whose gradients are zero at the zero vector."""
    squared = vectors.square().sum(-1)
    if not torch.is_grad_enabled():
        return squared.sqrt()
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def directions(vectors: Tensor) -> Tensor:
    """Unit vectors (..., 3); of atoms that coincide zero, with slopes that have an end."""
    return vectors * (vectors.square().sum(-1, keepdim=True) + 1e-12).rsqrt()


def sum_messages(messages: Tensor, index: Tensor, n: int) -> Tensor:
    """Sum rows (E, ...) that share an index, into (n, ...)."""
    return messages.new_zeros(n, *messages.shape[1:]).index_add(0, index, messages)


def n_messages(index: Tensor, n: int) -> Tensor:
    """How often each of n numbers occurs; unlike ``bincount`` on CUDA, without waiting."""
    return sum_messages(torch.ones_like(index), index, n)


def damped_softmax(logits: Tensor, damping: Tensor, target: Tensor, n: int) -> Tensor:
    r"""Softmax over the edges that arrive at a node, each counted as much as it is damped.

    .. math::
        a_{ij} = \frac{f_{ij} \exp \alpha_{ij}}{\sum_k f_{ik} \exp \alpha_{ik}}

    Logits and weights are (E, k), of k heads; damping and target (E,). The damping is not
    negative, and positive for one edge at least at each of the n nodes.
    """
    damping = damping[:, None]
    counted = torch.where(damping > 0, logits.detach(), -math.inf)
    lowest = torch.full_like(counted[:1], -math.inf).expand(n, -1)
    highest = lowest.scatter_reduce(0, target[:, None].expand_as(counted), counted, "amax")
    # Logits of edges that do not count may be larger: no infinity may meet their zero.
    shifted = (logits - highest.index_select(0, target)).clamp(max=0)
    weights = damping * shifted.exp()
    return weights / sum_messages(weights, target, n).index_select(0, target)


def triplets(edge_index: Tensor, n_nodes: int, paired: bool = False) -> tuple[Tensor, Tensor]:
    r"""Pairs of edges :math:`k \to j` and :math:`j \to i` with :math:`k \ne i`.

    Parameters
    ----------
    edge_index : Tensor of shape (2, E)
        Source and target of each edge.
    n_nodes : int
        Number of nodes.
    paired : bool, default=False
        Whether edge e + E / 2 is the reverse of edge e. What leads back is then known by
        its number, and k may be another image of the atom i.

    Returns
    -------
    kj, ji : Tensor of shape (T,), int64
        Positions of the two edges in `edge_index`, sorted by `ji`. Empty for graphs of
        two atoms.
    """
    source, target = edge_index
    by_target = torch.argsort(target, stable=True)
    n_arriving = n_messages(target, n_nodes)
    first_arriving = n_arriving.cumsum(0) - n_arriving
    n_before = n_arriving[source]  # edges that could come before each edge
    ji = torch.repeat_interleave(torch.arange(len(source), device=source.device), n_before)
    first_of_edge = (n_before.cumsum(0) - n_before)[ji]
    rank = torch.arange(len(ji), device=source.device) - first_of_edge
    kj = by_target[first_arriving[source[ji]] + rank]
    forward = (kj - ji).abs() != len(source) // 2 if paired else source[kj] != target[ji]
    return kj[forward], ji[forward]

"""Graphs of atoms: positions, directed edges, triplets, and the network around them.

A batch of graphs is one graph: nodes and edges are concatenated, and an edge index of
shape (2, E) names source j and target i of each message.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import Scaling, Standardize, element_one_hot, mlp

__all__ = [
    "PairGraphNetwork",
    "edge_vectors",
    "lengths",
    "pair_graphs",
    "sum_messages",
    "triplets",
]


def pair_graphs(vector: Tensor) -> tuple[Tensor, Tensor]:
    """Concatenate two-atom graphs, atom 1 at the origin and atom 2 at the bond vector.

    Parameters
    ----------
    vector : Tensor of shape (b, 3)
        Bond vectors.

    Returns
    -------
    positions : Tensor of shape (2 b, 3)
        Nodes 2 r and 2 r + 1 are the atoms of row r.
    edge_index : Tensor of shape (2, 2 b), int64
        Both directions of each bond; edge e arrives at node e.
    """
    positions = torch.stack([torch.zeros_like(vector), vector], dim=1).flatten(0, 1)
    target = torch.arange(len(positions), device=vector.device)
    return positions, torch.stack([target ^ 1, target])


def edge_vectors(positions: Tensor, edge_index: Tensor) -> Tensor:
    """Vectors (E, 3) from the source of each edge to its target."""
    source, target = edge_index
    return positions.index_select(-2, target) - positions.index_select(-2, source)


def lengths(vectors: Tensor) -> Tensor:
    """Euclidean norm over the last axis, whose gradients are zero at the zero vector."""
    squared = vectors.square().sum(-1)
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def sum_messages(messages: Tensor, index: Tensor, n: int) -> Tensor:
    """Sum rows (E, ...) that share an index, into (n, ...)."""
    return messages.new_zeros(n, *messages.shape[1:]).index_add(0, index, messages)


def triplets(edge_index: Tensor, n_nodes: int) -> tuple[Tensor, Tensor]:
    r"""Pairs of edges :math:`k \to j` and :math:`j \to i` with :math:`k \ne i`.

    Parameters
    ----------
    edge_index : Tensor of shape (2, E)
        Source and target of each edge.
    n_nodes : int
        Number of nodes.

    Returns
    -------
    kj, ji : Tensor of shape (T,), int64
        Positions of the two edges in `edge_index`, sorted by `ji`. Empty for graphs of
        two atoms.
    """
    source, target = edge_index
    by_target = torch.argsort(target, stable=True)
    n_arriving = torch.bincount(target, minlength=n_nodes)
    first_arriving = n_arriving.cumsum(0) - n_arriving
    n_before = n_arriving[source]  # edges that could come before each edge
    ji = torch.repeat_interleave(torch.arange(len(source), device=source.device), n_before)
    first_of_edge = (n_before.cumsum(0) - n_before)[ji]
    rank = torch.arange(len(ji), device=source.device) - first_of_edge
    kj = by_target[first_arriving[source[ji]] + rank]
    forward = source[kj] != target[ji]
    return kj[forward], ji[forward]


class PairGraphNetwork(nn.Module):
    """A network for pairs around a core that passes messages on any graph of atoms.

    Nodes carry a one-hot element and per-atom scalars (the electron population), both
    directed edges the pair's scalars (the ten mean-pooled channels, the bond length). The
    read-out sees both atoms and the pair's scalars.

    Parameters
    ----------
    core : nn.Module
        Maps node features (n, n_hidden), positions (n, 3), an edge index (2, E) and edge
        features (E, n_pair) to node features (n, n_hidden).
    n_elements : int
        Largest atomic number; 0 means no element.
    atom_scaling : tuple of two arrays of shape (n_atom,)
        Mean and scale of the per-atom scalars.
    pair_scaling : tuple of two arrays of shape (n_pair,)
        Mean and scale of the per-pair scalars.
    n_outputs : int
        Number of targets; 0 leaves out the read-out, for users of :meth:`encode`.
    n_hidden : int
        Features of a node.
    dropout : float
        Dropout in the read-out.
    """

    def __init__(
        self, core: nn.Module, n_elements: int, atom_scaling: Scaling, pair_scaling: Scaling,
        n_outputs: int, n_hidden: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        n_atom, n_pair = len(atom_scaling[0]), len(pair_scaling[0])
        self.n_elements = n_elements
        self.atom, self.pair = Standardize(*atom_scaling), Standardize(*pair_scaling)
        self.embed = nn.Linear(n_elements + n_atom, n_hidden)
        # Of unit scale, as every one of these architectures assumes: messages multiply
        # node features, and the product of two small ones is lost.
        nn.init.normal_(self.embed.weight)
        self.core = core
        if n_outputs:
            sizes = [2 * n_hidden + n_pair, n_hidden, n_hidden, n_outputs]
            self.readout = mlp(sizes, dropout)

    def interact(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor
    ) -> Tensor:
        """Node features (2 b, n_hidden) behind the core."""
        return self.core(x, positions, edge_index, edge)

    def encode(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Features (b, 2, n_hidden) of the two atoms, from the inputs of :meth:`forward`."""
        one_hot = element_one_hot(z, self.n_elements, pair.dtype)
        x = self.embed(torch.cat([one_hot, self.atom(atom)], dim=-1)).flatten(0, 1)
        positions, edge_index = pair_graphs(vector)
        edge = self.pair(pair).repeat_interleave(2, dim=0)
        return self.interact(x, positions, edge_index, edge).unflatten(0, (-1, 2))

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair) and (b, 3) to (b, n_outputs)."""
        x = self.encode(z, atom, pair, vector)
        return self.readout(torch.cat([x.flatten(1), self.pair(pair)], dim=-1))

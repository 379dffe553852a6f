"""EGNN: message passing that moves the atoms, equivariant under rigid motions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..graphs import edge_vectors, lengths, sum_messages
from ..layers import linear_of_edges, linear_of_pairs, mlp
from ..radial import polynomial_cutoff

__all__ = ["EGNN", "EGNNLayer"]


class EGNNLayer(nn.Module):
    r"""Equivariant graph convolution.

    .. math::
        m_{ij} &= \phi_e(h_i, h_j, \lVert r_i - r_j \rVert^2, e_{ij}) \\
        r_i' &= r_i + \tfrac{1}{N_i} \sum_j
            \frac{r_i - r_j}{\lVert r_i - r_j \rVert + 1}\, \phi_r(m_{ij}) \\
        h_i' &= h_i + \phi_h\bigl(h_i, \textstyle\sum_j m_{ij}\bigr)

    over the :math:`N_i` edges that arrive at i. The difference vectors are divided by their
    length plus one, as in the authors' stabilised variant, so that distant atoms do not
    throw each other about. Where edges are damped by :math:`f_{ij}`, messages and steps are
    multiplied by it, and :math:`1 + \sum_j f_{ij}` takes the place of :math:`N_i`, which
    would jump.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of a message.
    n_edge : int, default=0
        Features of an edge.
    moves : bool, default=True
        Whether the layer moves the atoms; without, the positions are returned as they are.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural
       Networks, ICML 2021, equations 3-6, arXiv:2102.09844.
    """

    message: Any

    def __init__(self, n_hidden: int, n_edge: int = 0, moves: bool = True) -> None:
        super().__init__()
        self.message = nn.Sequential(
            mlp([2 * n_hidden + 1 + n_edge, n_hidden, n_hidden]), nn.SiLU()
        )
        self.update = mlp([2 * n_hidden, n_hidden, n_hidden])
        self.shift = None
        if moves:
            last = nn.Linear(n_hidden, 1, bias=False)
            # Atoms start with small steps: distances enter the next layer squared.
            nn.init.xavier_uniform_(last.weight, gain=0.01)
            self.shift = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.SiLU(), last)

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None, damping: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Map nodes (n, n_hidden), (n, 3), edges (2, E), (E, n_edge) to the new nodes.

        Returns the node features (n, n_hidden), which a rigid motion of all atoms does not
        change, and the positions (n, 3), which follow it. The shift of images is (E, 3), the
        damping of edges (E, 1).
        """
        source, target = edge_index
        vectors = edge_vectors(positions, edge_index, shift)
        edge = torch.cat([vectors.square().sum(-1, keepdim=True), edge], dim=-1)
        layers, activation = self.message
        messages = linear_of_edges(layers[0], [(x, target), (x, source), (edge, None)])
        messages = activation(layers[1:](messages))
        if damping is not None:
            messages = messages * damping
        if self.shift is not None:
            steps = vectors / (lengths(vectors)[:, None] + 1) * self.shift(messages)
            if damping is None:
                n_arriving = torch.bincount(target, minlength=len(x)).clamp(min=1)[:, None]
            else:
                steps = steps * damping
                n_arriving = 1 + sum_messages(damping, target, len(x))
            positions = positions + sum_messages(steps, target, len(x)) / n_arriving
        received = sum_messages(messages, target, len(x))
        return x + self.update(torch.cat([x, received], dim=-1)), positions

    def of_pairs(
        self, x: Tensor, distance: Tensor, edge: Tensor, damping: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map atoms (2, b, n_hidden), (b, 1), edges (b, n_edge) and their damping (b, 1).

        Atoms that pass through each other have a distance below zero from then on.
        """
        edge = torch.cat([distance.square(), edge], dim=-1)
        layers, activation = self.message
        target, source, bond = linear_of_pairs(layers[0], x, x, edge)
        messages = activation(layers[1:](target + source.flip(0) + bond))
        if damping is not None:
            messages = messages * damping
        if self.shift is not None:
            steps = self.shift(messages).sum(0) / (distance.abs() + 1)
            if damping is not None:
                steps = steps * (damping / (1 + damping))
            distance = distance + distance * steps
        return x + self.update(torch.cat([x, messages], dim=-1)), distance


class EGNN(nn.Module):
    """Equivariant layers on any graph of atoms.

    Parameters
    ----------
    n_hidden : int
        Features of a node.
    n_layers : int
        Number of layers.
    n_edge : int, default=0
        Features of an edge.
    last_moves : bool, default=True
        Whether the last layer moves the atoms too; of no use where only the node features
        are read.
    cutoff : float or None, default=None
        Distance at which interactions end, Å, before any atom has moved; None for a graph
        whose edges all count alike.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, ICML 2021, arXiv:2102.09844.
    """

    layers: Any

    def __init__(
        self, n_hidden: int, n_layers: int, n_edge: int = 0, last_moves: bool = True,
        cutoff: float | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cutoff = cutoff
        self.layers = nn.ModuleList(
            EGNNLayer(n_hidden, n_edge, moves=last_moves or i < n_layers - 1)
            for i in range(n_layers)
        )

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Node features (n, n_hidden) and positions (n, 3) behind the last layer."""
        damping = None
        if self.cutoff is not None:
            distance = lengths(edge_vectors(positions, edge_index, shift))
            damping = polynomial_cutoff(distance, self.cutoff)[:, None]
        for layer in self.layers:
            x, positions = layer(x, positions, edge_index, edge, shift, damping)
        return x, positions

    def of_pairs(self, x: Tensor, distance: Tensor, edge: Tensor) -> Tensor:
        """Node features for graphs of two atoms, without an index.

        Maps atoms (2, b, n_hidden), their distance (b,) and the features (b, n_edge) of
        both edges to (2, b, n_hidden).
        """
        distance, damping = distance[:, None], None
        if self.cutoff is not None:
            damping = polynomial_cutoff(distance, self.cutoff)
        for layer in self.layers:
            x, distance = layer.of_pairs(x, distance, edge, damping)
        return x

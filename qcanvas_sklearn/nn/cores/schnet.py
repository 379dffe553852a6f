"""SchNet: continuous-filter convolutions over interatomic distances."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..graphs import edge_vectors, lengths, sum_messages
from ..radial import CutoffFunction, GaussianBasis, cosine_cutoff

__all__ = ["SchNet", "SchNetInteraction"]


class ShiftedSoftplus(nn.Module):
    r"""The activation :math:`\ln(1 + e^x) - \ln 2`, smooth and zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.softplus(x) - math.log(2)


class SchNetInteraction(nn.Module):
    r"""Continuous-filter convolution and atom-wise layers.

    .. math::
        v_i = W_3\, \mathrm{ssp}\Bigl( W_2 \sum_j (W_1 x_j) \circ
            w(\phi(d_{ij}), e_{ij}) f_c(d_{ij}) \Bigr)

    with a filter network :math:`w` of two layers on the radial basis :math:`\phi` and the
    edge features, and the cosine cutoff :math:`f_c`.

    Parameters
    ----------
    n_hidden : int
        Features of a node and channels of a filter.
    n_filter_inputs : int
        Radial basis functions plus edge features.

    References
    ----------
    .. [1] K. T. Schütt et al., SchNet: A continuous-filter convolutional neural network
       for modeling quantum interactions, NeurIPS 2017, equation 2, arXiv:1706.08566.
    """

    def __init__(self, n_hidden: int, n_filter_inputs: int) -> None:
        super().__init__()
        self.filter = nn.Sequential(
            nn.Linear(n_filter_inputs, n_hidden), ShiftedSoftplus(),
            nn.Linear(n_hidden, n_hidden),
        )  # fmt: skip
        self.source = nn.Linear(n_hidden, n_hidden, bias=False)
        self.update = nn.Sequential(
            nn.Linear(n_hidden, n_hidden), ShiftedSoftplus(), nn.Linear(n_hidden, n_hidden)
        )

    def forward(
        self, x: Tensor, edge_index: Tensor, filter_inputs: Tensor, damping: Tensor
    ) -> Tensor:
        """Increment (n, n_hidden) of the node features.

        Parameters
        ----------
        x : Tensor of shape (n, n_hidden)
            Node features.
        edge_index : Tensor of shape (2, E)
            Source and target of each edge.
        filter_inputs : Tensor of shape (E, n_filter_inputs) or (E / 2, n_filter_inputs)
            Radial basis and edge features; of half the edges where edge e + E / 2 is the
            reverse of edge e and has the same filter.
        damping : Tensor of shape (E,) or (E / 2,)
            Cutoff function of these edges.
        """
        source, target = edge_index
        filters = self.filter(filter_inputs) * damping[:, None]
        sources = self.source(x).index_select(0, source)
        directions = (1 if len(filters) == len(source) else 2, len(filters))
        messages = (sources.unflatten(0, directions) * filters).flatten(0, 1)
        return self.update(sum_messages(messages, target, len(x)))

    def of_pairs(self, x: Tensor, filter_inputs: Tensor, damping: Tensor) -> Tensor:
        """Increment (2, b, n_hidden) of the atoms of pairs; one filter (b, ...) a bond."""
        filters = self.filter(filter_inputs) * damping[:, None]
        return self.update(self.source(x).flip(0) * filters)


class SchNet(nn.Module):
    """Interaction blocks of SchNet on any graph of atoms.

    Parameters
    ----------
    n_hidden : int
        Features of a node.
    n_layers : int
        Number of interaction blocks.
    n_radial : int
        Gaussians in which a distance is expanded.
    cutoff : float
        Distance at which interactions end, Å.
    n_edge : int, default=0
        Further features of an edge, which enter the filters beside the distance.
    cutoff_function : callable, default=cosine_cutoff
        How interactions end.
    paired : bool, default=False
        Whether edge e + E / 2 is always the reverse of edge e, with the same features. Its
        filter, which costs most, is then computed once.

    References
    ----------
    .. [1] K. T. Schütt et al., NeurIPS 2017, arXiv:1706.08566.
    """

    interactions: Any

    def __init__(
        self, n_hidden: int, n_layers: int, n_radial: int, cutoff: float, n_edge: int = 0,
        cutoff_function: CutoffFunction = cosine_cutoff, paired: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cutoff, self.cutoff_function, self.paired = cutoff, cutoff_function, paired
        self.basis = GaussianBasis(n_radial, cutoff)
        self.interactions = nn.ModuleList(
            SchNetInteraction(n_hidden, n_radial + n_edge) for _ in range(n_layers)
        )

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Map nodes (n, n_hidden), (n, 3), edges (2, E), (E, n_edge) to (n, n_hidden)."""
        n = edge_index.shape[1] // (2 if self.paired else 1)
        some = None if shift is None else shift[:n]
        distance = lengths(edge_vectors(positions, edge_index[:, :n], some))
        filter_inputs = torch.cat([self.basis(distance), edge[:n]], dim=-1)
        damping = self.cutoff_function(distance, self.cutoff)
        for interaction in self.interactions:
            x = x + interaction(x, edge_index, filter_inputs, damping)
        return x

    def of_pairs(self, x: Tensor, distance: Tensor, edge: Tensor) -> Tensor:
        """The same for graphs of two atoms, without an index.

        Maps atoms (2, b, n_hidden), their distance (b,) and the features (b, n_edge) of
        both edges to (2, b, n_hidden).
        """
        filter_inputs = torch.cat([self.basis(distance), edge], dim=-1)
        damping = self.cutoff_function(distance, self.cutoff)
        for interaction in self.interactions:
            x = x + interaction.of_pairs(x, filter_inputs, damping)
        return x

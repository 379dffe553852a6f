"""DimeNet++: messages on directed edges that see distances and the angles between bonds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..graphs import edge_vectors, lengths, sum_messages, triplets
from ..layers import linear_of_pairs, mlp
from ..radial import BesselBasis, SphericalBasis

__all__ = ["DimeNetInteraction", "DimeNetPlusPlus", "angle_cosines"]


def angle_cosines(vectors: Tensor, kj: Tensor, ji: Tensor) -> Tensor:
    r"""Cosines (T,) of the angles :math:`\angle kji` at the middle atom of triplets.

    Parameters
    ----------
    vectors : Tensor of shape (E, 3)
        From the source of each edge to its target.
    kj, ji : Tensor of shape (T,)
        The two edges of each triplet, as :func:`triplets` gives them. Where one of them has
        no length, the cosine is 0.
    """
    to_j, to_i = vectors.index_select(0, kj), vectors.index_select(0, ji)
    norms = (lengths(to_j) * lengths(to_i)).clamp(min=torch.finfo(vectors.dtype).eps)
    # Not clamped to [-1, 1]: curvatures of straight chains would be lost to round-off.
    return -(to_j * to_i).sum(-1) / norms


class _Residual(nn.Module):
    """Two activated layers beside the identity."""

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_hidden, n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class _Directional(nn.Module):
    """What each edge hears from the edges that arrive at its source."""

    def __init__(self, n_hidden: int, n_radial: int, n_spherical: int, n_basis: int) -> None:
        super().__init__()
        n_triplet = max(n_hidden // 2, 1)
        self.incoming = nn.Linear(n_hidden, n_hidden)
        self.radial = nn.Sequential(
            nn.Linear(n_radial, n_basis, bias=False), nn.Linear(n_basis, n_hidden, bias=False)
        )
        self.angular = nn.Sequential(
            nn.Linear(n_spherical * n_radial, n_basis, bias=False),
            nn.Linear(n_basis, n_triplet, bias=False),
        )
        self.down = nn.Linear(n_hidden, n_triplet, bias=False)
        self.up = nn.Linear(n_triplet, n_hidden, bias=False)
        self.activation = nn.SiLU()
        # Of the scale that keeps variances: the product of so many smaller ones is lost.
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.xavier_uniform_(weight)

    def forward(
        self, messages: Tensor, radial: Tensor, angular: Tensor, kj: Tensor, ji: Tensor
    ) -> Tensor:
        incoming = self.activation(self.incoming(messages)) * self.radial(radial)
        incoming = self.activation(self.down(incoming)).index_select(0, kj)
        heard = sum_messages(incoming * self.angular(angular), ji, len(messages))
        return self.activation(self.up(heard))


class DimeNetInteraction(nn.Module):
    r"""Interaction block of DimeNet++.

    .. math::
        h_{ji} &= \sigma(W_{ji} m_{ji}) + \sigma\Bigl( W_\uparrow \sum_{k \ne i}
            (W_a a_{kj,ji}) \circ \sigma(W_\downarrow [\sigma(W_{kj} m_{kj}) \circ W_e e_{kj}])
            \Bigr) \\
        m_{ji}' &= R_3 R_2 \bigl( m_{ji} + \sigma(W R_1 h_{ji}) \bigr)

    with residual layers :math:`R`, the radial basis :math:`e` and the joint basis
    :math:`a` of distance and angle.

    Parameters
    ----------
    n_hidden : int
        Features of a message.
    n_radial : int
        Radial basis functions.
    n_spherical : int
        Angular orders; 0 leaves out the sum over triplets.
    n_basis : int, default=8
        Width at which the bases are embedded.

    References
    ----------
    .. [1] J. Gasteiger, S. Giri, J. T. Margraf, S. Günnemann, Fast and Uncertainty-Aware
       Directional Message Passing for Non-Equilibrium Molecules, 2020, arXiv:2011.14115.
    .. [2] J. Gasteiger, J. Groß, S. Günnemann, Directional Message Passing for Molecular
       Graphs, ICLR 2020, equations 4-9, arXiv:2003.03123.
    """

    def __init__(
        self, n_hidden: int, n_radial: int, n_spherical: int, n_basis: int = 8
    ) -> None:
        super().__init__()
        self.own = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.SiLU())
        self.directional = (
            _Directional(n_hidden, n_radial, n_spherical, n_basis) if n_spherical else None
        )
        self.before = _Residual(n_hidden)
        self.skip = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.SiLU())
        self.after = nn.Sequential(_Residual(n_hidden), _Residual(n_hidden))

    def forward(
        self,
        messages: Tensor,
        radial: Tensor,
        triplet: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> Tensor:
        """New messages (E, n_hidden).

        Parameters
        ----------
        messages : Tensor of shape (E, n_hidden)
            One message an edge.
        radial : Tensor of shape (E, n_radial)
            Radial basis.
        triplet : tuple of Tensor or None
            Joint basis (T, n_spherical * n_radial) and the two edges (T,) of each triplet.
        """
        h = self.own(messages)
        if self.directional is not None and triplet is not None:
            h = h + self.directional(messages, radial, *triplet)
        return self.after(messages + self.skip(self.before(h)))


class _AtomOutput(nn.Module):
    """Collect the messages that arrive at each atom."""

    def __init__(self, n_hidden: int, n_radial: int) -> None:
        super().__init__()
        self.radial = nn.Linear(n_radial, n_hidden, bias=False)
        self.update = mlp([n_hidden, n_hidden, n_hidden])

    def forward(self, messages: Tensor, radial: Tensor, target: Tensor, n: int) -> Tensor:
        return self.update(sum_messages(self.radial(radial) * messages, target, n))

    def of_pairs(self, messages: Tensor, radial: Tensor) -> Tensor:
        return self.update(self.radial(radial) * messages)


class DimeNetPlusPlus(nn.Module):
    r"""Directional message passing (DimeNet++) on any graph of atoms.

    Messages start as :math:`m_{ji} = \sigma(W [x_j, x_i, W_e e_{ji}, f_{ji}])` with the
    node features x, the radial basis e and the edge features f. The atoms collect them
    after the embedding and after every block, and the collected features are summed.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of a message.
    n_layers : int
        Number of interaction blocks.
    n_radial : int
        Radial waves in which a distance is expanded.
    n_spherical : int
        Angular orders; 0 leaves out the sum over triplets.
    cutoff : float
        Distance at which interactions end, Å.
    n_edge : int, default=0
        Features of an edge.
    paired : bool, default=False
        As for `triplets`; right for periodic images.

    References
    ----------
    .. [1] J. Gasteiger et al., 2020, arXiv:2011.14115.
    .. [2] J. Gasteiger, J. Groß, S. Günnemann, ICLR 2020, arXiv:2003.03123.
    """

    embed: Any
    outputs: Any

    def __init__(
        self, n_hidden: int, n_layers: int, n_radial: int, n_spherical: int, cutoff: float,
        n_edge: int = 0, paired: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.paired = paired
        self.radial = BesselBasis(n_radial, cutoff)
        self.spherical = (
            SphericalBasis(n_spherical, n_radial, cutoff) if n_spherical else None
        )
        self.distance = nn.Sequential(nn.Linear(n_radial, n_hidden), nn.SiLU())
        self.embed = nn.Sequential(nn.Linear(3 * n_hidden + n_edge, n_hidden), nn.SiLU())
        self.interactions = nn.ModuleList(
            DimeNetInteraction(n_hidden, n_radial, n_spherical) for _ in range(n_layers)
        )
        self.outputs = nn.ModuleList(
            _AtomOutput(n_hidden, n_radial) for _ in range(n_layers + 1)
        )

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Map nodes (n, n_hidden), (n, 3), edges (2, E), (E, n_edge) to (n, n_hidden)."""
        (source, target), n = edge_index, len(x)
        vectors = edge_vectors(positions, edge_index, shift)
        distance = lengths(vectors)
        radial = self.radial(distance)
        triplet = None
        if self.spherical is not None:
            kj, ji = triplets(edge_index, n, self.paired)
            cosines = angle_cosines(vectors, kj, ji)
            triplet = self.spherical(distance, cosines, kj), kj, ji
        ends = [x.index_select(0, source), x.index_select(0, target)]
        messages = self.embed(torch.cat([*ends, self.distance(radial), edge], dim=-1))
        collected = self.outputs[0](messages, radial, target, n)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            messages = interaction(messages, radial, triplet)
            collected = collected + output(messages, radial, target, n)
        return collected

    def of_pairs(self, x: Tensor, distance: Tensor, edge: Tensor) -> Tensor:
        """The same for graphs of two atoms, which have no triplets, without an index.

        Maps atoms (2, b, n_hidden), their distance (b,) and the features (b, n_edge) of
        both edges to (2, b, n_hidden).
        """
        radial = self.radial(distance)
        bond = torch.cat([self.distance(radial), edge], dim=-1)
        first, activation = self.embed
        source, target, bond = linear_of_pairs(first, x, x, bond)
        messages = activation(source.flip(0) + target + bond)
        collected = self.outputs[0].of_pairs(messages, radial)
        for interaction, output in zip(self.interactions, self.outputs[1:], strict=True):
            messages = interaction(messages, radial)
            collected = collected + output.of_pairs(messages, radial)
        return collected

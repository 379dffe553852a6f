"""FAENet: free message passing on coordinates, made invariant by averaging over frames."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from ..graphs import lengths, sum_messages
from ..layers import linear_of_edges, linear_of_pairs, mlp
from ..radial import GaussianBasis, polynomial_cutoff

__all__ = ["FAENet", "FAENetInteraction", "average_over_bond_frames", "bond_frames"]

#: Variance along an axis, relative to the largest, below which atoms lie in a plane.
_FLAT = 1e-12
#: Difference of two variances, relative to the largest, below which they count as equal.
_EQUAL = 1e-9


class _Axes(torch.autograd.Function):
    """Eigenvalues and eigenvectors of symmetric matrices, with slopes that stay finite.

    Those of eigenvectors among themselves are left out where their eigenvalues are equal:
    there they have no end, or, where nothing depends on the choice, no effect.
    """

    @staticmethod
    def forward(matrices: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(matrices)
        return values, vectors

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, slope_values: Tensor, slope_vectors: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        gaps = values[..., None, :] - values[..., :, None]
        apart = gaps.abs() > _EQUAL * values.abs().amax(-1)[..., None, None]
        rates = torch.where(apart, 1 / torch.where(apart, gaps, 1.0), 0.0)
        inner = rates * (vectors.mT @ slope_vectors) + torch.diag_embed(slope_values)
        outer = vectors @ inner @ vectors.mT
        return (outer + outer.mT) / 2

    @staticmethod
    def vmap(info: Any, in_dims: Any, matrices: Tensor) -> tuple[Any, tuple[int, int]]:
        return _Axes.apply(matrices.movedim(in_dims[0], 0)), (0, 0)


def _both_senses(projected: Tensor) -> Tensor:
    """Coordinates (..., 3) along three axes, for both senses of each, (8, ..., 3)."""
    signs = torch.tensor(list(product([1.0, -1.0], repeat=3))).to(projected)
    return signs[:, None, :] * projected


def bond_frames(vectors: Tensor, damping: Tensor, graph: Tensor, n_graphs: int) -> Tensor:
    r"""Edges along the principal axes of all edges, for both senses of each axis.

    .. math::
        \mathcal{F}(v) = \{ v\, [\pm u_1, \pm u_2, \pm u_3] \}

    with the eigenvectors u of :math:`\sum f_{ij} v_{ij} v_{ij}^\top` over the edges of a
    graph. Without damping f, and with all atoms neighbours, these are the principal axes of the
    atoms [1]_ [2]_. With it they hold for crystals as well: a repeated cell, or an atom moved
    to another image, changes nothing. Nothing jumps where edges end. A rigid motion or
    reflection of a graph only reorders its eight frames.

    Parameters
    ----------
    vectors : Tensor of shape (E, 3)
        From the source of each edge to its target.
    damping : Tensor of shape (E,)
        Cutoff function of each edge.
    graph : Tensor of shape (E,), int64
        Graph of each edge.
    n_graphs : int
        Number of graphs.

    Returns
    -------
    Tensor of shape (8, E, 3)

    Notes
    -----
    Where all edges lie in a plane, on a line, or have no length, the directions across are
    arbitrary; the coordinates along them are zero whatever the choice, and are set to zero, so
    the frames are well defined (and repeat: a linear molecule has two different ones, a planar
    one four). Graphs with two equal non-zero variances (methane, a square) have no preferred
    axes in that plane, and their frames depend on round-off: there, as in the paper, nothing
    makes the average invariant.

    The axes follow the positions in differentiation: slopes of an average over frames are
    exact wherever the three variances differ. Where two that are not zero are equal they are
    finite and of no meaning.

    References
    ----------
    .. [1] O. Puny et al., Frame Averaging for Invariant and Equivariant Network Design,
       ICLR 2022, arXiv:2110.03336.
    .. [2] A. A. Duval et al., FAENet: Frame Averaging Equivariant GNN for Materials
       Modeling, ICML 2023, arXiv:2305.05577.
    """
    exact = vectors.double()
    moments = exact[:, :, None] * exact[:, None, :] * damping.double()[:, None, None]
    variances, axes = _Axes.apply(sum_messages(moments, graph, n_graphs))
    extended = variances > _FLAT * variances[:, -1:]
    axes = (axes * extended[:, None, :]).flip(-1).to(vectors.dtype)
    return _both_senses((vectors[:, None, :] @ axes.index_select(0, graph))[:, 0])


def average_over_bond_frames(
    core: FAENet, x: Tensor, frames: Tensor, edge_index: Tensor, edge: Tensor
) -> Tensor:
    r"""Mean of a network's node features over frames of the edges, in one pass.

    .. math::
        \langle \Phi \rangle (x, v) =
            \frac{1}{|\mathcal{F}|} \sum_{F \in \mathcal{F}(v)} \Phi(x, F)

    Parameters
    ----------
    core : FAENet
        Network.
    x : Tensor of shape (n, k)
        Node features.
    frames : Tensor of shape (F, E, 3)
        Edges in each frame, as :func:`bond_frames` gives them.
    edge_index : Tensor of shape (2, E)
        Source and target of each edge.
    edge : Tensor of shape (E, n_edge)
        Edge features.

    Returns
    -------
    Tensor of shape (n, k)
    """
    n_frames, n = len(frames), len(x)
    copies = _copies(edge_index, n_frames, n)
    edge = edge.repeat(n_frames, 1)
    out = core(x.repeat(n_frames, 1), frames.flatten(0, 1), copies, edge)
    return out.unflatten(0, (n_frames, n)).mean(0)


def _copies(edge_index: Tensor, n_copies: int, n: int) -> Tensor:
    """Edges of a graph of n nodes that is repeated."""
    offsets = torch.arange(n_copies, device=edge_index.device)[None, :, None] * n
    return (edge_index[:, None, :] + offsets).flatten(1)


class FAENetInteraction(nn.Module):
    r"""Interaction block of FAENet.

    .. math::
        f_{ij} &= \sigma(W [e_{ij}, h_i, h_j]) \\
        h_i' &= h_i + \sigma\Bigl( W_h\, \sigma\bigl(
            \mathrm{norm} \textstyle\sum_j f_{ij} \circ h_j \bigr) \Bigr)

    with layer normalisation in place of normalisation over a batch of graphs: a row's
    prediction does not depend on the rows beside it. Where edges are damped, the filters
    are multiplied by their damping, and sums that it has made small stay small: the norm
    adds one, not a round-off, to the variance.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge.
    damped : bool, default=False
        Whether edges are damped.

    References
    ----------
    .. [1] A. A. Duval et al., ICML 2023, section 4, arXiv:2305.05577.
    """

    filter: Any

    def __init__(self, n_hidden: int, damped: bool = False) -> None:
        super().__init__()
        self.filter = nn.Sequential(nn.Linear(3 * n_hidden, n_hidden), nn.SiLU())
        self.update = nn.Sequential(
            nn.LayerNorm(n_hidden, eps=1.0 if damped else 1e-5),
            nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU(),
        )  # fmt: skip

    def forward(
        self, x: Tensor, edge_index: Tensor, edge: Tensor, damping: Tensor | None = None
    ) -> Tensor:
        """Map nodes (n, n_hidden), edges (2, E) and (E, n_hidden) to (n, n_hidden).

        The damping of edges is (E, 1).
        """
        source, target = edge_index
        first, activation = self.filter
        parts = [(edge, None), (x, target), (x, source)]
        filters = activation(linear_of_edges(first, parts))
        if damping is not None:
            filters = filters * damping
        messages = filters * x.index_select(0, source)
        return x + self.update(sum_messages(messages, target, len(x)))

    def of_pairs(self, x: Tensor, edge: Tensor, damping: Tensor | None = None) -> Tensor:
        """Map atoms (s, 2, b, n_hidden), edges (2, b, n_hidden), damping (b, 1).

        Atoms are given by the sign s that the edge which arrives at them has; the edge that
        arrives at the other atom has the other sign. Signs are one where they make no
        difference yet.
        """
        first, activation = self.filter
        others = x.flip(0, 1)
        bond, target, source = linear_of_pairs(first, edge[:, None], x, others)
        filters = activation(bond + (target + source))
        if damping is not None:
            filters = filters * damping
        return x + self.update(filters * others)


class FAENet(nn.Module):
    r"""Message passing of FAENet on any graph of atoms.

    Edges start as :math:`e_{ij} = \sigma(\mathrm{MLP}[r_j - r_i, \phi(d_{ij}), f_{ij}])`:
    the difference vectors enter with their components, so the network by itself is not
    invariant under rotation; :func:`average_over_bond_frames` makes it so.

    Parameters
    ----------
    n_hidden : int
        Features of a node.
    n_layers : int
        Number of interaction blocks.
    n_radial : int
        Gaussians in which a distance is expanded.
    cutoff : float
        Centre of the last Gaussian, Å.
    n_edge : int, default=0
        Further features f of an edge.
    damped : bool, default=False
        Whether interactions end at the cutoff.

    References
    ----------
    .. [1] A. A. Duval et al., FAENet: Frame Averaging Equivariant GNN for Materials
       Modeling, ICML 2023, arXiv:2305.05577.
    """

    embed_edge: Any
    interactions: Any

    def __init__(
        self, n_hidden: int, n_layers: int, n_radial: int, cutoff: float, n_edge: int = 0,
        damped: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cutoff, self.damped = cutoff, damped
        self.basis = GaussianBasis(n_radial, cutoff)
        self.embed_edge = nn.Sequential(
            mlp([3 + n_radial + n_edge, n_hidden, n_hidden]), nn.SiLU()
        )
        self.interactions = nn.ModuleList(
            FAENetInteraction(n_hidden, damped) for _ in range(n_layers)
        )

    def forward(
        self, x: Tensor, vectors: Tensor, edge_index: Tensor, edge: Tensor
    ) -> Tensor:
        """Map (n, n_hidden), edges (E, 3), (2, E), (E, n_edge) to (n, n_hidden)."""
        distance = lengths(vectors)
        geometry = [vectors, self.basis(distance)]
        edge = self.embed_edge(torch.cat([*geometry, edge], dim=-1))
        damping = polynomial_cutoff(distance, self.cutoff)[:, None] if self.damped else None
        for interaction in self.interactions:
            x = interaction(x, edge_index, edge, damping)
        return x

    def of_pairs(self, x: Tensor, distance: Tensor, edge: Tensor) -> Tensor:
        """Mean over the two frames of graphs of two atoms, without an index.

        Each frame is the other one turned round, so that the edges of both frames are one of
        either sign. Maps atoms (2, b, n_hidden), their distance (b,) and the features
        (b, n_edge) of both edges to (2, b, n_hidden).
        """
        embed, activation = self.embed_edge
        along = torch.stack([distance, -distance])[..., None]
        across = distance.new_zeros(len(distance), 2)
        bond = torch.cat([across, self.basis(distance), edge], dim=-1)
        along, bond = linear_of_pairs(embed[0], along, bond)
        edges = activation(embed[1:](along + bond))
        damping = polynomial_cutoff(distance, self.cutoff)[:, None] if self.damped else None
        x = x[None]
        for interaction in self.interactions:
            x = interaction.of_pairs(x, edges, damping)
        return x.mean(0)

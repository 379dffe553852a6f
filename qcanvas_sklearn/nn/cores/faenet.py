"""FAENet: free message passing on coordinates, made invariant by averaging over frames."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from ..graphs import edge_vectors, lengths, sum_messages
from ..layers import mlp
from ..radial import GaussianBasis

__all__ = [
    "FAENet",
    "FAENetInteraction",

    "average_over_frames",
    "pair_frames",
    "principal_frames",
]

#: Variance along an axis, relative to the largest, below which atoms lie in a plane.
_FLAT = 1e-12


def principal_frames(positions: Tensor, graph: Tensor, n_graphs: int) -> Tensor:
    r"""Coordinates of the atoms along the principal axes, for both senses of each axis.

    .. math::
        \mathcal{F}(X) = \{ (X - t)\, [\pm u_1, \pm u_2, \pm u_3] \}

    with the centroid t and the eigenvectors u of the covariance. A rigid motion or
    reflection of a graph only reorders its eight frames.

    Parameters
    ----------
    positions : Tensor of shape (n, 3)
        Positions of the atoms.
    graph : Tensor of shape (n,), int64
        Graph of each atom.
    n_graphs : int
        Number of graphs.

    Returns
    -------
    Tensor of shape (8, n, 3)

    Notes
    -----
    Where all atoms lie in a plane, on a line, or in one point, the directions across are
    arbitrary; the coordinates along them are zero whatever the choice, and are set to zero,
    so the frames are well defined (and repeat: a linear molecule has two different ones,
    a planar one four). Graphs with two equal non-zero variances (methane, a square) have no
    preferred axes in that plane, and their frames depend on round-off: there, as in the
    paper, nothing makes the average invariant.

    The axes are constants to differentiation; the projection on them is not.

    References
    ----------
    .. [1] O. Puny et al., Frame Averaging for Invariant and Equivariant Network Design,
       ICLR 2022, arXiv:2110.03336.
    .. [2] A. A. Duval et al., FAENet: Frame Averaging Equivariant GNN for Materials
       Modeling, ICML 2023, arXiv:2305.05577.
    """
    n_atoms = torch.bincount(graph, minlength=n_graphs).clamp(min=1)[:, None]
    centers = sum_messages(positions, graph, n_graphs) / n_atoms
    centered = positions - centers.index_select(0, graph)
    with torch.no_grad():
        exact = centered.double()
        outer = exact[:, :, None] * exact[:, None, :]
        variances, axes = torch.linalg.eigh(sum_messages(outer, graph, n_graphs))
        extended = variances > _FLAT * variances[:, -1:]
        axes = (axes * extended[:, None, :]).flip(-1).to(positions.dtype)
    projected = (centered[:, None, :] @ axes.index_select(0, graph))[:, 0]
    signs = torch.tensor(list(product([1.0, -1.0], repeat=3))).to(projected)
    return signs[:, None, :] * projected


def pair_frames(positions: Tensor) -> Tensor:
    """The two different frames (2, 2 b, 3) of pairs, with positions as `pair_graphs` gives.

    The atoms lie half a bond length on either side of the origin of the first axis. They
    are what :func:`principal_frames` gives four times each, without its eigenvectors.
    """
    first, second = positions.unflatten(0, (-1, 2)).unbind(1)
    half = lengths(second - first) / 2
    along = torch.stack([-half, half], dim=1).flatten()
    frame = nn.functional.pad(along[:, None], (0, 2))
    return torch.stack([frame, -frame])


def average_over_frames(
    core: nn.Module, x: Tensor, frames: Tensor, edge_index: Tensor, edge: Tensor
) -> Tensor:
    r"""Mean of a network's node features over frames, in one pass.

    .. math::
        \langle \Phi \rangle (x, X) =
            \frac{1}{|\mathcal{F}|} \sum_{F \in \mathcal{F}(X)} \Phi(x, F)

    Parameters
    ----------
    core : nn.Module
        Maps nodes (n, k), positions (n, 3), edge index and edge features to (n, k).
    x : Tensor of shape (n, k)
        Node features.
    frames : Tensor of shape (F, n, 3)
        Positions in each frame.
    edge_index : Tensor of shape (2, E)
        Source and target of each edge.
    edge : Tensor of shape (E, n_edge)
        Edge features.

    Returns
    -------
    Tensor of shape (n, k)
    """
    n_frames, n, _ = frames.shape
    offsets = torch.arange(n_frames, device=x.device)[None, :, None] * n
    copies = (edge_index[:, None, :] + offsets).flatten(1)
    out = core(x.repeat(n_frames, 1), frames.flatten(0, 1), copies, edge.repeat(n_frames, 1))
    return out.unflatten(0, (n_frames, n)).mean(0)


class FAENetInteraction(nn.Module):
    r"""Interaction block of FAENet.

    .. math::
        f_{ij} &= \sigma(W [e_{ij}, h_i, h_j]) \\
        h_i' &= h_i + \sigma\Bigl( W_h\, \sigma\bigl(
            \mathrm{norm} \textstyle\sum_j f_{ij} \circ h_j \bigr) \Bigr)

    with layer normalisation in place of normalisation over a batch of graphs: a row's
    prediction does not depend on the rows beside it.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge.

    References
    ----------
    .. [1] A. A. Duval et al., ICML 2023, section 4, arXiv:2305.05577.
    """

    def __init__(self, n_hidden: int) -> None:
        super().__init__()
        self.filter = nn.Sequential(nn.Linear(3 * n_hidden, n_hidden), nn.SiLU())
        self.update = nn.Sequential(
            nn.LayerNorm(n_hidden), nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU()
        )

    def forward(self, x: Tensor, edge_index: Tensor, edge: Tensor) -> Tensor:
        """Map nodes (n, n_hidden), edges (2, E) and (E, n_hidden) to (n, n_hidden)."""
        source, target = edge_index
        x_source = x.index_select(0, source)
        ends = [x.index_select(0, target), x_source]
        filters = self.filter(torch.cat([edge, *ends], dim=-1))
        return x + self.update(sum_messages(filters * x_source, target, len(x)))


class FAENet(nn.Module):
    r"""Message passing of FAENet on any graph of atoms.

    Edges start as :math:`e_{ij} = \sigma(\mathrm{MLP}[r_j - r_i, \phi(d_{ij}), f_{ij}])`:
    the difference vectors enter with their components, so the network by itself is not
    invariant under rotation; :func:`average_over_frames` makes it so.

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

    References
    ----------
    .. [1] A. A. Duval et al., FAENet: Frame Averaging Equivariant GNN for Materials
       Modeling, ICML 2023, arXiv:2305.05577.
    """

    def __init__(
        self, n_hidden: int, n_layers: int, n_radial: int, cutoff: float, n_edge: int = 0
    ) -> None:
        super().__init__()
        self.basis = GaussianBasis(n_radial, cutoff)
        self.embed_edge = nn.Sequential(
            mlp([3 + n_radial + n_edge, n_hidden, n_hidden]), nn.SiLU()
        )
        self.interactions = nn.ModuleList(FAENetInteraction(n_hidden) for _ in range(n_layers))

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor
    ) -> Tensor:
        """Map nodes (n, n_hidden), (n, 3), edges (2, E), (E, n_edge) to (n, n_hidden)."""
        vectors = edge_vectors(positions, edge_index)
        geometry = [vectors, self.basis(lengths(vectors))]
        edge = self.embed_edge(torch.cat([*geometry, edge], dim=-1))
        for interaction in self.interactions:
            x = interaction(x, edge_index, edge)
        return x

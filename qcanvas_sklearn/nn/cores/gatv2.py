"""GATv2: graph attention with dynamic attention and edge features, dense and by edge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..graphs import damped_softmax, edge_vectors, lengths, sum_messages
from ..layers import mlp
from ..radial import GaussianBasis, polynomial_cutoff

__all__ = ["DenseGATv2Conv", "GATv2", "GATv2Conv"]


class DenseGATv2Conv(nn.Module):
    r"""Graph attention on fully connected graphs of equal size.

    .. math::
        \alpha_{ij} &= \mathrm{softmax}_j\;
            a^\top \mathrm{LeakyReLU}(W_r x_i + W_l x_j + W_e e_{ij}) \\
        x_i' &= \sum_j \alpha_{ij} W_l x_j + b

    with :math:`j` over all nodes, :math:`i` itself included; the heads are concatenated.

    Parameters
    ----------
    n_in : int
        Node features.
    n_out : int
        Features of each head.
    n_heads : int
        Number of heads.
    n_edge : int
        Edge features.
    negative_slope : float, default=0.2
        Slope of the LeakyReLU.

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, How Attentive are Graph Attention Networks?,
       ICLR 2022, equation 7, arXiv:2105.14491.
    """

    def __init__(
        self, n_in: int, n_out: int, n_heads: int, n_edge: int, negative_slope: float = 0.2
    ) -> None:
        super().__init__()
        self.n_heads, self.n_out = n_heads, n_out
        self.negative_slope = negative_slope
        self.source = nn.Linear(n_in, n_heads * n_out)
        self.target = nn.Linear(n_in, n_heads * n_out)
        self.edge = nn.Linear(n_edge, n_heads * n_out, bias=False)
        self.attention = nn.Parameter(torch.empty(n_heads, n_out))
        self.bias = nn.Parameter(torch.zeros(n_heads * n_out))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights."""
        for linear in (self.source, self.target, self.edge):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.xavier_uniform_(self.attention)

    def forward(self, x: Tensor, edge: Tensor) -> tuple[Tensor, Tensor]:
        """Node features (..., n, n_in) and edges (..., i, j, n_edge), message from j to i.

        Edges that differ by their target alone are given once, as (..., i, 1, n_edge), and
        what stands before is broadcast: the same nodes may be joined in several ways.

        Returns the new node features (..., n, n_heads * n_out) and the attention
        (..., i, j, n_heads).
        """
        source, heads = self.source(x), (self.n_heads, self.n_out)
        arriving = self.target(x)[..., None, :] + self.edge(edge)
        logits = source[..., None, :, :] + arriving
        logits = nn.functional.leaky_relu(logits, self.negative_slope, inplace=True)
        attention = (logits.unflatten(-1, heads) * self.attention).sum(-1).softmax(dim=-2)
        # Sums over a few neighbours: products of tiny matrices take longer.
        messages = source.unflatten(-1, heads)[..., None, :, :, :] * attention[..., None]
        return messages.sum(-3).flatten(-2) + self.bias, attention


class GATv2Conv(DenseGATv2Conv):
    r"""Graph attention along listed edges, which fade out; a smooth function of them.

    The weights, and what they mean, are those of :class:`DenseGATv2Conv`, but for the
    damping f of the edges inside the softmax, for the kink of the LeakyReLU, and for the
    edge features in what is attended to: atoms of one element with like neighbours would
    else not know how far away these are.

    .. math::
        x_i' &= \sum_j \alpha_{ij} (W_l x_j + W_e e_{ij}) + b \\
        \alpha_{ij} &= \frac{f_{ij} \exp l_{ij}}{\sum_k f_{ik} \exp l_{ik}}, \qquad
            l_{ij} = a^\top \mathrm{s}(W_r x_i + W_l x_j + W_e e_{ij}) \\
        \mathrm{s}(x) &= \gamma x + (1 - \gamma) \ln(1 + e^x)

    with the negative slope :math:`\gamma`. Loops are edges like others, and have to be
    listed, undamped: an atom without neighbours attends to itself.

    Parameters
    ----------
    n_in, n_out, n_heads, n_edge, negative_slope
        As for `DenseGATv2Conv`.
    """

    def forward(  # type: ignore[override]
        self, x: Tensor, edge_index: Tensor, edge: Tensor, damping: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Nodes (n, n_in), edges (2, E), (E, n_edge) and their damping (E,).

        Returns the new node features (n, n_heads * n_out) and the attention (E, n_heads).
        """
        (source, target), n = edge_index, len(x)
        values = self.source(x).index_select(0, source) + self.edge(edge)
        logits = values + self.target(x).index_select(0, target)
        smooth = nn.functional.softplus(logits) * (1 - self.negative_slope)
        logits = self.negative_slope * logits + smooth
        heads = (self.n_heads, self.n_out)
        logits = (logits.unflatten(-1, heads) * self.attention).sum(-1)
        attention = damped_softmax(logits, damping, target, n)
        messages = (values.unflatten(-1, heads) * attention[..., None]).flatten(-2)
        return sum_messages(messages, target, n) + self.bias, attention


class GATv2(nn.Module):
    """Attention layers on any graph of atoms.

    Edges carry a radial basis of their lengths, so that a rigid motion changes nothing.
    Every atom is its own neighbour, too, at no distance.

    Parameters
    ----------
    n_hidden : int
        Features of a node.
    n_layers : int
        Number of attention layers.
    n_heads : int
        Attention heads; divides `n_hidden`.
    n_radial : int
        Gaussians in which a distance is expanded.
    cutoff : float
        Distance at which interactions end, Å.

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, ICLR 2022, arXiv:2105.14491.
    """

    def __init__(
        self, n_hidden: int, n_layers: int, n_heads: int, n_radial: int, cutoff: float
    ) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.basis = GaussianBasis(n_radial, cutoff)
        self.norms = nn.ModuleList(nn.LayerNorm(n_hidden) for _ in range(n_layers))
        self.convs = nn.ModuleList(
            GATv2Conv(n_hidden, n_hidden // n_heads, n_heads, n_radial) for _ in range(n_layers)
        )
        self.updates = nn.ModuleList(
            mlp([n_hidden, n_hidden, n_hidden]) for _ in range(n_layers)
        )

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, shift: Tensor | None = None
    ) -> Tensor:
        """Map nodes (n, n_hidden), (n, 3) and edges (2, E) to (n, n_hidden)."""
        n = len(x)
        distance = lengths(edge_vectors(positions, edge_index, shift))
        distance = nn.functional.pad(distance, (0, n))
        damping, edge = polynomial_cutoff(distance, self.cutoff), self.basis(distance)
        loops = torch.arange(n, device=x.device).expand(2, n)
        edge_index = torch.cat([edge_index, loops], dim=1)
        for norm, conv, update in zip(self.norms, self.convs, self.updates, strict=True):
            x = x + update(conv(norm(x), edge_index, edge, damping)[0])
        return x

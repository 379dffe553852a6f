"""GATv2 on dense pairs: graph attention with dynamic attention and edge features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["DenseGATv2Conv"]


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
        """Node features (b, n, n_in) and edges (b, i, j, n_edge), message from j to i.

        Returns the new node features (b, n, n_heads * n_out) and the attention
        (b, i, j, n_heads).
        """
        source = self.source(x)
        logits = source[:, None, :, :] + self.target(x)[:, :, None, :] + self.edge(edge)
        logits = nn.functional.leaky_relu(logits, self.negative_slope)
        heads = (self.n_heads, self.n_out)
        attention = (logits.unflatten(-1, heads) * self.attention).sum(-1).softmax(dim=2)
        messages = torch.einsum("bijh,bjhc->bihc", attention, source.unflatten(-1, heads))
        return messages.flatten(-2) + self.bias, attention

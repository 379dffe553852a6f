"""GATv2 on dense pairs: graph attention with dynamic attention and edge features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import Scaling, Standardize, element_one_hot, mlp

__all__ = ["DenseGATv2Conv", "PairGATv2"]


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


class PairGATv2(nn.Module):
    """Graph attention network on the two-atom graph of a pair.

    Nodes carry a one-hot element and per-atom scalars (the electron population). Edges
    carry the pair's scalars (the ten mean-pooled channels, the bond length) and the bond
    vector, with opposite signs in the two directions. The read-out sees both atoms and
    the edge.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    atom_scaling : tuple of two arrays of shape (n_atom,)
        Mean and scale of the per-atom scalars.
    pair_scaling : tuple of two arrays of shape (n_pair,)
        Mean and scale of the per-pair scalars.
    n_outputs : int
        Number of targets; 0 leaves out the read-out, for users of :meth:`encode`.
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of attention layers.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, ICLR 2022, arXiv:2105.14491.
    """

    def __init__(
        self,
        n_elements: int,
        atom_scaling: Scaling,
        pair_scaling: Scaling,
        n_outputs: int,
        n_hidden: int = 128,
        n_layers: int = 3,
        n_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        n_atom, n_pair = len(atom_scaling[0]), len(pair_scaling[0])
        self.n_elements = n_elements
        self.atom, self.pair = Standardize(*atom_scaling), Standardize(*pair_scaling)
        self.embed = nn.Linear(n_elements + n_atom, n_hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(n_hidden) for _ in range(n_layers))
        self.convs = nn.ModuleList(
            DenseGATv2Conv(n_hidden, n_hidden // n_heads, n_heads, n_pair + 3)
            for _ in range(n_layers)
        )
        self.updates = nn.ModuleList(
            mlp([n_hidden, n_hidden, n_hidden]) for _ in range(n_layers)
        )
        if n_outputs:
            sizes = [2 * n_hidden + n_pair, n_hidden, n_hidden, n_outputs]
            self.readout = mlp(sizes, dropout)

    def edges(self, pair: Tensor, vector: Tensor) -> Tensor:
        """Edge features (b, i, j, n_pair + 3); a self-loop repeats the incoming edge."""
        sign = torch.tensor([[-1.0, -1.0], [1.0, 1.0]], dtype=pair.dtype, device=pair.device)
        vectors = sign[None, :, :, None] * vector[:, None, None, :]
        return torch.cat([pair[:, None, None, :].expand(-1, 2, 2, -1), vectors], dim=-1)

    def encode(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Features (b, 2, n_hidden) of the two atoms, from the inputs of :meth:`forward`."""
        edge = self.edges(self.pair(pair), vector)
        one_hot = element_one_hot(z, self.n_elements, pair.dtype)
        x = self.embed(torch.cat([one_hot, self.atom(atom)], dim=-1))
        for norm, conv, update in zip(self.norms, self.convs, self.updates, strict=True):
            x = x + update(conv(norm(x), edge)[0])
        return x

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair) and (b, 3) to (b, n_outputs)."""
        x = self.encode(z, atom, pair, vector)
        return self.readout(torch.cat([x.flatten(1), self.pair(pair)], dim=-1))

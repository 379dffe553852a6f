"""GATv2 on the two-atom graph of a pair."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..cores.gatv2 import DenseGATv2Conv
from ..layers import AtomLinear, Atoms, bare_atoms, mlp
from ._atom_terms import ReadOut

__all__ = ["PairGATv2"]


class PairGATv2(nn.Module):
    """Graph attention network on the two-atom graph of a pair.

    Nodes carry a one-hot element and per-atom scalars (the electron population). Edges
    carry the pair's scalars (the ten mean-pooled channels, the bond length) and the bond
    vector, with opposite signs in the two directions. The read-out sees both atoms and
    the pair's scalars, and adds the terms of the atoms (`AtomTerms`).

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
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
        n_atom: int,
        n_pair: int,
        n_outputs: int,
        n_hidden: int = 128,
        n_layers: int = 3,
        n_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embed = AtomLinear(n_elements, n_atom, n_hidden)
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
            self.readout = ReadOut(sizes, n_elements, n_atom, n_pair, dropout)

    def edges(self, pair: Tensor, vector: Tensor) -> Tensor:
        """Edge features (b, i, j, n_pair + 3); a self-loop repeats the incoming edge."""
        vectors = torch.stack([-vector, vector], dim=1)
        arriving = torch.cat([pair[:, None].expand(-1, 2, -1), vectors], dim=-1)
        return arriving[:, :, None].expand(-1, -1, 2, -1)

    def encode(self, atoms: Atoms, pair: Tensor, vector: Tensor) -> Tensor:
        """Features (b, 2, n_hidden) of the two atoms of pairs."""
        return self._encode(atoms, self.edges(pair, vector))

    def _encode(self, atoms: Atoms, edge: Tensor) -> Tensor:
        """Features (..., b, 2, n_hidden) for edges (..., b, 2, 2, n_pair + 3)."""
        edge = edge[..., :1, :]  # both that arrive at an atom are alike
        x = self.embed(atoms.z, atoms.scalars, atoms.features)
        for norm, conv, update in zip(self.norms, self.convs, self.updates, strict=True):
            x = x + update(conv(norm(x), edge)[0])
        return x

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair) and (b, 3) to (b, n_outputs)."""
        atoms = bare_atoms(z, atom, self.embed.n_elements)
        x = self.encode(atoms, pair, vector)
        read = torch.cat([x.flatten(1), pair], dim=-1)
        return self.readout(read, atoms, pair)

    def both_orders(
        self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the atoms in this order and in the other.

        The other order is this one with the bond vector turned round, so that the first
        layer has the same nodes.
        """
        edges = torch.stack([self.edges(pair, vector), self.edges(pair, -vector)])
        atoms = bare_atoms(z, atom, self.embed.n_elements)
        (a, turned_a), (b, turned_b) = self._encode(atoms, edges).unbind(2)
        read = torch.stack(
            [torch.cat([a, b, pair], dim=-1), torch.cat([turned_b, turned_a, pair], dim=-1)]
        )
        return self.readout.both_orders(read, atoms, pair)

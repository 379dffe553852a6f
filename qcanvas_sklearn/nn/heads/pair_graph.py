"""Networks of pairs around a core that passes messages on any graph of atoms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..cores.dimenet import DimeNetPlusPlus
from ..cores.egnn import EGNN
from ..cores.faenet import FAENet
from ..cores.gotennet import GotenNet
from ..cores.schnet import SchNet
from ..layers import AtomLinear, Atoms, bare_atoms
from ._atom_terms import ReadOut

__all__ = [
    "PairDimeNet",
    "PairEGNN",
    "PairFAENet",
    "PairGotenNet",
    "PairGraphNetwork",
    "PairSchNet",
]


class PairGraphNetwork(nn.Module):
    """A network for pairs around a core that passes messages on any graph of atoms.

    Nodes carry a one-hot element and per-atom scalars (the electron population), both
    directed edges the pair's scalars (the ten mean-pooled channels, the bond length). The
    read-out sees both atoms and the pair's scalars, and adds the terms of the atoms
    (`AtomTerms`).

    Parameters
    ----------
    core : nn.Module
        Has a method ``of_pairs``, which maps atoms (2, b, n_hidden), their distance (b,) and
        edge features (b, n_pair) to atoms (2, b, n_hidden).
    n_elements : int
        Largest atomic number; 0 means no element.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
    n_outputs : int
        Number of targets; 0 leaves out the read-out, for users of :meth:`encode`.
    n_hidden : int
        Features of a node.
    dropout : float
        Dropout in the read-out.
    """

    def __init__(
        self, core: nn.Module, n_elements: int, n_atom: int, n_pair: int,
        n_outputs: int, n_hidden: int, dropout: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = AtomLinear(n_elements, n_atom, n_hidden)
        # Of unit scale, as every one of these architectures assumes: messages multiply
        # node features, and the product of two small ones is lost.
        nn.init.normal_(self.embed.weight)
        self.core: Any = core
        if n_outputs:
            sizes = [2 * n_hidden + n_pair, n_hidden, n_hidden, n_outputs]
            self.readout = ReadOut(sizes, n_elements, n_atom, n_pair, dropout)

    def interact(self, x: Tensor, distance: Tensor, pair: Tensor) -> Tensor:
        """Features (2, b, n_hidden) of the atoms behind the core."""
        return self.core.of_pairs(x, distance, pair)

    def _encode(self, atoms: Atoms, pair: Tensor, vector: Tensor) -> Tensor:
        """Features (2, b, n_hidden), the first atoms of all pairs before the second ones."""
        x = self.embed(atoms.z, atoms.scalars, atoms.features).transpose(0, 1).contiguous()
        return self.interact(x, torch.linalg.vector_norm(vector, dim=-1), pair)

    def encode(self, atoms: Atoms, pair: Tensor, vector: Tensor) -> Tensor:
        """Features (b, 2, n_hidden) of the two atoms of pairs."""
        return self._encode(atoms, pair, vector).transpose(0, 1)

    def forward(self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair) and (b, 3) to (b, n_outputs)."""
        atoms = bare_atoms(z, atom, self.embed.n_elements)
        read = torch.cat([*self._encode(atoms, pair, vector), pair], dim=-1)
        return self.readout(read, atoms, pair)

    def both_orders(
        self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Outputs of the atoms in this order and in the other.

        Which atom is the first makes no difference to what the core makes of either: it
        passes messages on a graph, and a turn by half a rotation does not change it.
        """
        atoms = bare_atoms(z, atom, self.embed.n_elements)
        x = self._encode(atoms, pair, vector)
        read = torch.cat([x, x.flip(0), pair.expand(2, -1, -1)], dim=-1)
        return self.readout.both_orders(read, atoms, pair)


class PairSchNet(PairGraphNetwork):
    """SchNet on the two-atom graph of a pair.

    The pair's scalars enter the filters beside the distance. A pair-wise read-out takes the
    place of the paper's sum over atoms, since most targets of a pair are not such sums.

    Parameters
    ----------
    n_elements, n_atom, n_pair, n_outputs
        As for `PairGraphNetwork`.
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=32
        Gaussians in which the bond length is expanded.
    cutoff : float, default=8.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] K. T. Schütt et al., NeurIPS 2017, arXiv:1706.08566.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int,
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 32, cutoff: float = 8.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = SchNet(n_hidden, n_layers, n_radial, cutoff, n_pair)
        super().__init__(
            core, n_elements, n_atom, n_pair, n_outputs, n_hidden, dropout
        )


class PairEGNN(PairGraphNetwork):
    """EGNN on the two-atom graph of a pair.

    The pair's scalars are edge features. Every layer but the last moves the atoms, so that
    later layers see the bond at lengths that earlier ones have chosen.

    Parameters
    ----------
    n_elements, n_atom, n_pair, n_outputs
        As for `PairGraphNetwork`.
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of layers.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, ICML 2021, arXiv:2102.09844.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int,
        n_hidden: int = 128, n_layers: int = 3, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = EGNN(n_hidden, n_layers, n_pair, last_moves=False)
        super().__init__(
            core, n_elements, n_atom, n_pair, n_outputs, n_hidden, dropout
        )


class PairDimeNet(PairGraphNetwork):
    """DimeNet++ on the two-atom graph of a pair.

    Two atoms have no angle: no edge k → j → i with k ≠ i exists, so the sum over triplets,
    which is the directional part of the architecture, is empty. It is left out here, and
    with it the weights that no pair could ever train; what remains is message passing on
    the two directed edges. The pair's scalars enter the first messages, and the read-out
    sees the atoms' own features beside what they collected.

    Parameters
    ----------
    n_elements, n_atom, n_pair, n_outputs
        As for `PairGraphNetwork`.
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=1
        Number of interaction blocks; without triplets they exchange nothing between edges.
    n_radial : int, default=8
        Radial waves in which the bond length is expanded.
    cutoff : float, default=8.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] J. Gasteiger et al., 2020, arXiv:2011.14115.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int,
        n_hidden: int = 128, n_layers: int = 1, n_radial: int = 8, cutoff: float = 8.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        n_edge = n_pair
        core = DimeNetPlusPlus(n_hidden, n_layers, n_radial, 0, cutoff, n_edge)
        super().__init__(
            core, n_elements, n_atom, n_pair, n_outputs, n_hidden, dropout
        )

    def interact(self, x: Tensor, distance: Tensor, pair: Tensor) -> Tensor:
        """Atoms (2, b, n_hidden), their own features beside what they collected."""
        return x + self.core.of_pairs(x, distance, pair)


class PairFAENet(PairGraphNetwork):
    """FAENet on the two-atom graph of a pair, averaged over its two frames.

    The atoms' features are averaged over the frames before the read-out.

    Parameters
    ----------
    n_elements, n_atom, n_pair, n_outputs
        As for `PairGraphNetwork`.
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=32
        Gaussians in which the bond length is expanded.
    cutoff : float, default=8.0
        Centre of the last Gaussian, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] A. A. Duval et al., ICML 2023, arXiv:2305.05577.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int,
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 32, cutoff: float = 8.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = FAENet(n_hidden, n_layers, n_radial, cutoff, n_pair)
        super().__init__(
            core, n_elements, n_atom, n_pair, n_outputs, n_hidden, dropout
        )


class PairGotenNet(PairGraphNetwork):
    """GotenNet on the two-atom graph of a pair.

    The pair's scalars enter beside the bond length. All directions in a pair are those of
    the bond, so a degree adds channels but no angles.

    Parameters
    ----------
    n_elements, n_atom, n_pair, n_outputs
        As for `PairGraphNetwork`.
    n_hidden : int, default=80
        Features of a node and of an edge, and channels of a degree.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    n_degrees : int, default=2
        Highest degree of the steerable features, 1 to 6.
    n_radial : int, default=32
        Gaussians in which the bond length is expanded.
    cutoff : float, default=8.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.
    """

    def __init__(
        self, n_elements: int, n_atom: int, n_pair: int, n_outputs: int,
        n_hidden: int = 80, n_layers: int = 2, n_heads: int = 4, n_degrees: int = 2,
        n_radial: int = 32, cutoff: float = 8.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = GotenNet(
            n_hidden, n_layers, n_heads, n_degrees, n_radial, cutoff, n_pair
        )
        super().__init__(
            core, n_elements, n_atom, n_pair, n_outputs, n_hidden, dropout
        )

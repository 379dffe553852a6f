"""Networks of molecules around cores that pass messages on graphs of any size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..cores.dimenet import DimeNetPlusPlus
from ..cores.egnn import EGNN
from ..cores.faenet import FAENet, average_over_bond_frames, bond_frames
from ..cores.gatv2 import GATv2
from ..cores.gotennet import GotenNet
from ..cores.schnet import SchNet
from ..graphs import edge_vectors, lengths
from ..radial import GaussianBasis, polynomial_cutoff
from ._molecule_readout import MoleculeReadOut

__all__ = [
    "MoleculeDimeNet",
    "MoleculeEGNN",
    "MoleculeFAENet",
    "MoleculeGATv2",
    "MoleculeGotenNet",
    "MoleculeNetwork",
    "MoleculeSchNet",
]

#: Where x, y and z are among the harmonics, whose order within degree 1 is y, z, x.
_XYZ = [2, 0, 1]


class MoleculeNetwork(nn.Module):
    """A network for molecules, and crystals, of any size around a core.

    Atoms start as an embedding of their element and of the molecule's charge; the core
    makes features of them and of where they are; `MoleculeReadOut` makes outputs of those.
    A batch is one graph:

    - ``z`` (N,) int64, ``positions`` (N, 3) in Å, ``graph`` (N,) int64: atomic number,
      place and molecule of each atom, sorted by molecule;
    - ``charge`` (b,): total charge of each molecule;
    - ``edge_index`` (2, E) int64: source and target of each edge. Edge e + E / 2 is the
      reverse of edge e; there need not be any;
    - ``shift`` (E, 3) or None: what is to be added to the vector from source to target in
      periodic structures.

    Interactions end at a cutoff, smoothly, with two continuous derivatives: whether an edge
    beyond it is listed does not matter.

    Parameters
    ----------
    core : nn.Module
        What :meth:`interact` passes messages with.
    n_elements : int
        Largest atomic number.
    n_outputs : int
        Number of targets.
    readout : sequence of str
        Of each target, "sum", "mean", "attention" or "dipole", as for `MoleculeReadOut`.
    n_hidden : int
        Features of an atom.
    dropout : float
        Dropout in the read-out.
    vectors : bool, default=False
        Whether the core gives vector features, too, which become atomic dipoles.

    Raises
    ------
    ValueError
        If `readout` does not name one of these for each target.
    """

    core: Any

    def __init__(
        self, core: nn.Module, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int, dropout: float, vectors: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(readout, str) or len(readout) != n_outputs:
            raise ValueError(f"readout={readout!r} is not one name for each of {n_outputs}")
        # Of unit scale, as every one of these architectures assumes.
        self.embed = nn.Embedding(n_elements + 1, n_hidden)
        self.embed_charge = nn.Linear(1, n_hidden, bias=False)
        self.core = core
        self.readout = MoleculeReadOut(n_elements, n_hidden, readout, dropout, vectors)

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden) behind the core, and (N, 3, n_hidden) or None."""
        edge = positions.new_zeros(edge_index.shape[1], 0)
        return self.core(x, positions, edge_index, edge, shift), None

    def _atoms(
        self, z: Tensor, positions: Tensor, graph: Tensor, charge: Tensor, edge_index: Tensor,
        shift: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        charged = self.embed_charge(charge[:, None]).index_select(0, graph)
        x = self.embed(z) + charged
        return self.interact(x, positions, graph, edge_index, shift, len(charge))

    def encode(
        self, z: Tensor, positions: Tensor, graph: Tensor, charge: Tensor, edge_index: Tensor,
        shift: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Features (N, n_hidden) of the atoms, from the inputs of :meth:`forward`."""
        return self._atoms(z, positions, graph, charge, edge_index, shift)[0]

    def forward(
        self, z: Tensor, positions: Tensor, graph: Tensor, charge: Tensor, edge_index: Tensor,
        shift: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Map a batch, as described above, to (b, n_outputs)."""
        x, vectors = self._atoms(z, positions, graph, charge, edge_index, shift)
        return self.readout(x, z, positions, graph, charge, vectors)


class MoleculeSchNet(MoleculeNetwork):
    """SchNet on molecules.

    A filter depends on the distance alone, so it is computed once for both directions.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=128
        Features of an atom.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] K. T. Schütt et al., NeurIPS 2017, arXiv:1706.08566.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 32, cutoff: float = 5.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = SchNet(
            n_hidden, n_layers, n_radial, cutoff,
            cutoff_function=polynomial_cutoff, paired=True,
        )  # fmt: skip
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout)


class MoleculeGATv2(MoleculeNetwork):
    """Graph attention network on molecules.

    Edges carry a radial basis of their lengths; the attention fades out with the distance.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=128
        Features of an atom.
    n_layers : int, default=3
        Number of attention layers.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, ICLR 2022, arXiv:2105.14491.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 128, n_layers: int = 3, n_heads: int = 4, n_radial: int = 32,
        cutoff: float = 5.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = GATv2(n_hidden, n_layers, n_heads, n_radial, cutoff)
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout)

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden) behind the core, and None."""
        return self.core(x, positions, edge_index, shift), None


class MoleculeEGNN(MoleculeNetwork):
    """EGNN on molecules.

    Beside the squared distance between the atoms where they have been moved to, edges carry
    a radial basis of their lengths before that.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=128
        Features of an atom.
    n_layers : int, default=3
        Number of layers.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, ICML 2021, arXiv:2102.09844.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 32, cutoff: float = 5.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = EGNN(n_hidden, n_layers, n_radial, last_moves=False, cutoff=cutoff)
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout)
        self.basis = GaussianBasis(n_radial, cutoff)

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden) behind the core, and None."""
        edge = self.basis(lengths(edge_vectors(positions, edge_index, shift)))
        return self.core(x, positions, edge_index, edge, shift)[0], None


class MoleculeDimeNet(MoleculeNetwork):
    """DimeNet++ on molecules.

    Time and memory grow with the number of pairs of neighbours that an atom has. The read-out
    sees the atoms' own features beside what they collected.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=128
        Features of an atom and of a message.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=8
        Radial waves in which a distance is expanded.
    n_spherical : int, default=7
        Angular orders in which an angle is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] J. Gasteiger et al., 2020, arXiv:2011.14115.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 8, n_spherical: int = 7,
        cutoff: float = 5.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = DimeNetPlusPlus(n_hidden, n_layers, n_radial, n_spherical, cutoff, paired=True)
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout)

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden), the atoms' own beside what they collected, and None."""
        collected, _ = super().interact(x, positions, graph, edge_index, shift, n_graphs)
        return x + collected, None


class MoleculeFAENet(MoleculeNetwork):
    """FAENet on molecules, averaged over the eight frames of their edges.

    The frames belong to a structure as a whole (`bond_frames`): two fragments far apart turn
    each other's axes, and a structure with two equal moments (methane, a square, a cubic
    crystal) has none, so that nothing makes its energy invariant, or its forces exact. Time
    and memory are those of eight copies of every structure.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=128
        Features of an atom.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] A. A. Duval et al., ICML 2023, arXiv:2305.05577.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 128, n_layers: int = 3, n_radial: int = 32, cutoff: float = 5.0,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = FAENet(n_hidden, n_layers, n_radial, cutoff, damped=True)
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout)
        self.cutoff = cutoff

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden), averaged over the frames, and None."""
        vectors = edge_vectors(positions, edge_index, shift)
        damping = polynomial_cutoff(lengths(vectors), self.cutoff)
        of_edge = graph.index_select(0, edge_index[1])
        frames = bond_frames(vectors, damping, of_edge, n_graphs)
        edge = vectors.new_zeros(len(vectors), 0)
        return average_over_bond_frames(self.core, x, frames, edge_index, edge), None


class MoleculeGotenNet(MoleculeNetwork):
    """GotenNet on molecules.

    Its vectors become atomic dipoles where a dipole is read out.

    Parameters
    ----------
    n_elements, n_outputs, readout
        As for `MoleculeNetwork`.
    n_hidden : int, default=80
        Features of an atom and of an edge, and channels of a degree.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    n_degrees : int, default=2
        Highest degree of the steerable features, 1 to 6.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    cutoff : float, default=5.0
        Distance at which interactions end, Å.
    dropout : float, default=0.0
        Dropout in the read-out.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.
    """

    def __init__(
        self, n_elements: int, n_outputs: int, readout: Sequence[str],
        n_hidden: int = 80, n_layers: int = 2, n_heads: int = 4, n_degrees: int = 2,
        n_radial: int = 32, cutoff: float = 5.0, dropout: float = 0.0,
    ) -> None:  # fmt: skip
        core = GotenNet(
            n_hidden, n_layers, n_heads, n_degrees, n_radial, cutoff,
            cutoff_function=polynomial_cutoff,
        )  # fmt: skip
        super().__init__(core, n_elements, n_outputs, readout, n_hidden, dropout, vectors=True)

    def interact(
        self, x: Tensor, positions: Tensor, graph: Tensor, edge_index: Tensor,
        shift: Tensor | None, n_graphs: int,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Features (N, n_hidden) and vectors (N, 3, n_hidden) behind the core."""
        edge = positions.new_zeros(edge_index.shape[1], 0)
        x, steerable = self.core.features(x, positions, edge_index, edge, shift)
        return x, steerable[:, _XYZ]

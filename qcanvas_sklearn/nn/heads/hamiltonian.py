"""Blocks of Hamiltonians between the orbitals of atoms, from steerable features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from ..cores.gotennet import GotenNet
from ..cores.painn import PaiNN
from ..couplings import Coupling, coupled_degrees
from ..graphs import directions, edge_vectors, lengths
from ..harmonics import MAX_DEGREE, by_degree, spherical_harmonics
from ..layers import linear_of_edges, mlp
from ..outputs import OFF_SITE, ON_SITE
from ..radial import GaussianBasis, polynomial_cutoff

__all__ = ["BlockReadOut", "HamiltonianGotenNet", "HamiltonianNetwork", "HamiltonianPaiNN"]


class BlockReadOut(nn.Module):
    r"""Blocks between two atoms' orbitals, from scalars and from tensors of each degree.

    Of shells of degrees l₁ and l₂ a block is

    .. math::
        a\, \delta_{l_1 l_2} \mathbf{1} + \sum_{l, c} w_{lc}\, G^{(l)} T_c^{(l)}
            + \sum_c w_c\, T_c'^{(l_1)} \otimes T_c''^{(l_2)}

    where the coefficients are linear in the scalars, T are mixtures of the tensors of one
    degree, and the G couple them by integrals of three harmonics (:class:`Coupling`). Where l
    runs over the parity of l₁ + l₂ alone, blocks turn, and are mirrored, as the tensors are.

    Parameters
    ----------
    momenta : sequence of int
        Degree of each shell, not decreasing.
    n_scalars : int
        Number of scalars.
    n_channels : int
        Tensors of each degree.
    highest : int
        Highest degree of the tensors.
    """

    def __init__(
        self, momenta: Sequence[int], n_scalars: int, n_channels: int, highest: int
    ) -> None:
        super().__init__()
        self.counts = {l: list(momenta).count(l) for l in sorted(set(momenta))}
        self.couplings, self.left, self.right = (nn.ModuleDict() for _ in range(3))
        self.sizes: list[int] = []
        for (l1, n1), (l2, n2) in product(self.counts.items(), repeat=2):
            if l1 == l2:
                self.sizes.append(n1 * n2)
            for l in coupled_degrees(l1, l2, highest):
                self.couplings[f"{l1} {l2} {l}"] = Coupling(l1, l2, l)
                self.sizes.append(n1 * n2 * n_channels)
            if 0 < min(l1, l2) and max(l1, l2) <= highest:
                for side in (self.left, self.right):
                    side[f"{l1} {l2}"] = nn.Linear(n_channels, n_channels, bias=False)
                self.sizes.append(n1 * n2 * n_channels)
        self.highest = highest
        self.coefficients = nn.Linear(n_scalars, sum(self.sizes))

    def forward(self, scalars: Tensor, tensors: Mapping[int, Tensor]) -> Tensor:
        """Map (k, n_scalars), and by degree (k, 2 l + 1, n_channels), to (k, o, o)."""
        weights = iter(self.coefficients(scalars).split(self.sizes, dim=-1))
        lines = []
        for l1, n1 in self.counts.items():
            blocks = []
            for l2, n2 in self.counts.items():
                block = torch.stack(self._terms(l1, l2, n1 * n2, weights, tensors)).sum(0)
                shaped = block.unflatten(1, (n1, n2)).transpose(2, 3)
                blocks.append(shaped.flatten(3, 4).flatten(1, 2))
            lines.append(torch.cat(blocks, dim=2))
        return torch.cat(lines, dim=1)

    def _terms(
        self, l1: int, l2: int, n: int, weights: object, tensors: Mapping[int, Tensor]
    ) -> list[Tensor]:
        """What adds up to the n blocks of two degrees, (k, n, 2 l1 + 1, 2 l2 + 1) each."""
        terms = []
        if l1 == l2:
            weight = next(weights)  # type: ignore[call-overload]
            one = torch.eye(2 * l1 + 1, dtype=weight.dtype, device=weight.device)
            terms.append(weight[..., None, None] * one)
        for l in coupled_degrees(l1, l2, self.highest):
            weight = next(weights).unflatten(-1, (n, -1))  # type: ignore[call-overload]
            mixed = torch.einsum("knc,kmc->knm", weight, tensors[l])
            terms.append(self.couplings[f"{l1} {l2} {l}"](mixed))
        if f"{l1} {l2}" in self.left:
            weight = next(weights).unflatten(-1, (n, -1))  # type: ignore[call-overload]
            left = self.left[f"{l1} {l2}"](tensors[l1])
            right = self.right[f"{l1} {l2}"](tensors[l2])
            weighted = weight[:, :, None] * left[:, None]
            terms.append(weighted @ right[:, None].transpose(-1, -2))
        return terms


class HamiltonianNetwork(nn.Module):
    r"""Blocks of a Hamiltonian, of each atom and of each pair of atoms.

    Blocks of all elements fit into one square, with one place for each shell that any of
    them has. On-site blocks come from the features of an atom, off-site blocks from those
    of both atoms and from the harmonics of the bond; of each, the half and its transpose
    with the atoms exchanged make the whole, so that the matrix is symmetric. Off-site blocks
    also have the term

    .. math:: \tfrac12 (\Delta_a S_{ab} + S_{ab} \Delta_b)

    of the on-site blocks :math:`\Delta` that are put out, where overlaps S are given: what
    raises an orbital of an atom raises its bonds, too.

    A batch is that of a `MoleculeNetwork`; all pairs in its ``edge_index`` have an
    off-site block. There may be further inputs:

    - ``atom`` (N, n_atom): numbers that describe the atoms, which turn with nothing;
    - ``pair`` (E / 2, n_pair): likewise of pairs;
    - ``overlap`` (E / 2, o * o): overlaps of the orbitals of each pair.

    Parameters
    ----------
    core : callable
        Makes the network of scalars and steerable features from the number of the further
        features of an edge, and the highest degree.
    n_elements : int
        Largest atomic number.
    momenta : sequence of int
        Degree of each shell, not decreasing.
    on_scale, off_scale : array-like of shape (n_shells, n_shells)
        Sizes of the on-site and the off-site blocks.
    per_on : float
        How many units of the off-site blocks one of the on-site blocks is.
    atom_scale, pair_scale : array-like of shape (n_atom,) and (n_pair,), default=()
        Sizes of the numbers that describe atoms and pairs.
    n_hidden : int, default=80
        Features of an atom, and channels of a degree.
    n_degrees : int, default=2
        Highest degree of the steerable features, 1 to 6; at least that of the shells.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    n_channels : int, default=24
        Tensors of each degree of which blocks are made.
    cutoff : float, default=5.0
        Distance at which messages end, Å.
    pair_cutoff : float, default=10.0
        Distance at which off-site blocks end, Å.
    """

    on_scale: Tensor
    off_scale: Tensor
    atom_scale: Tensor
    pair_scale: Tensor

    def __init__(
        self, core: Callable[[int, int], Any], n_elements: int, momenta: Sequence[int],
        on_scale: object, off_scale: object, per_on: float, atom_scale: object = (),
        pair_scale: object = (), n_hidden: int = 80, n_degrees: int = 2, n_radial: int = 32,
        n_channels: int = 24, cutoff: float = 5.0, pair_cutoff: float = 10.0,
    ) -> None:  # fmt: skip
        super().__init__()
        # A block of an s shell and one of degree l is a tensor of degree l.
        self.n_degrees = n_degrees = max(n_degrees, *momenta)
        self.cutoff, self.pair_cutoff = cutoff, pair_cutoff
        self.per_on = per_on
        widths = torch.tensor([2 * l + 1 for l in momenta])
        for name, scale in (("on_scale", on_scale), ("off_scale", off_scale)):
            shells = torch.as_tensor(scale, dtype=torch.float32)
            of_orbitals = shells.repeat_interleave(widths, 0).repeat_interleave(widths, 1)
            self.register_buffer(name, of_orbitals)
        for name, scale in (("atom_scale", atom_scale), ("pair_scale", pair_scale)):
            self.register_buffer(name, torch.as_tensor(scale, dtype=torch.float32))
        n_atom, n_pair = len(self.atom_scale), len(self.pair_scale)
        self.embed = nn.Embedding(n_elements + 1, n_hidden)
        self.embed_charge = nn.Linear(1, n_hidden, bias=False)
        self.describe = mlp([n_atom, n_hidden, n_hidden]) if n_atom else None
        self.core = core(n_pair, n_degrees)
        self.highest = min(max(n_degrees, 2 * max(momenta)), MAX_DEGREE)
        self.basis = GaussianBasis(n_radial, pair_cutoff)
        self.join = nn.Linear(2 * n_hidden + n_radial + n_pair, n_hidden)
        self.pair_scalars = nn.Sequential(nn.SiLU(), nn.Linear(n_hidden, n_hidden), nn.SiLU())
        self.along = nn.Linear(n_hidden, self.highest * n_channels)
        self.atom_scalars = nn.Sequential(*mlp([n_hidden, n_hidden, n_hidden]), nn.SiLU())
        self.own, self.near, self.far = (
            nn.ModuleList(nn.Linear(n_hidden, n_channels, bias=False) for _ in range(n_degrees))
            for _ in range(3)
        )
        self.on_site = BlockReadOut(momenta, n_hidden, n_channels, n_degrees)
        self.off_site = BlockReadOut(momenta, n_hidden, n_channels, self.highest)
        for readout in (self.on_site, self.off_site):
            # What is known beforehand is the first guess.
            nn.init.zeros_(readout.coefficients.weight)
            nn.init.zeros_(readout.coefficients.bias)

    def forward(
        self, z: Tensor, positions: Tensor, graph: Tensor, charge: Tensor, edge_index: Tensor,
        atom: Tensor | None = None, pair: Tensor | None = None, overlap: Tensor | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Map a batch, as described above, to blocks (N, o * o) and (E / 2, o * o)."""
        x = self.embed(z) + self.embed_charge(charge[:, None]).index_select(0, graph)
        if self.describe is not None and atom is not None:
            x = x + self.describe(atom / self.atom_scale)
        vectors = edge_vectors(positions, edge_index)
        distance = lengths(vectors)
        edge = positions.new_zeros(edge_index.shape[1], 0)
        if pair is not None and len(self.pair_scale):
            edge = (pair / self.pair_scale).repeat(2, 1)
        near = (distance < self.cutoff).nonzero()[:, 0]
        x, steerable = self.core.features(
            x, positions, edge_index.index_select(1, near), edge.index_select(0, near)
        )
        parts = by_degree(steerable, self.n_degrees)
        on_site = self._on_site(x, parts)
        off_site = self._off_site(x, parts, edge_index, vectors, distance, edge)
        if overlap is not None:
            raised = _raised(on_site * self.per_on, overlap, edge_index)
            off_site = off_site + raised
        return {ON_SITE: on_site.flatten(1), OFF_SITE: off_site.flatten(1)}

    def _on_site(self, x: Tensor, parts: Sequence[Tensor]) -> Tensor:
        owned = zip(self.own, parts, strict=True)
        tensors = {l: own(part) for l, (own, part) in enumerate(owned, 1)}
        half = self.on_site(self.atom_scalars(x), tensors)
        return (half + half.transpose(1, 2)) * self.on_scale

    def _off_site(
        self, x: Tensor, parts: Sequence[Tensor], edge_index: Tensor, vectors: Tensor,
        distance: Tensor, edge: Tensor,
    ) -> Tensor:  # fmt: skip
        source, target = edge_index
        described = torch.cat([self.basis(distance), edge], dim=-1)
        joined = linear_of_edges(self.join, [(x, source), (x, target), (described, None)])
        scalars = self.pair_scalars(joined)
        along = spherical_harmonics(directions(vectors), self.highest)
        harmonics = by_degree(along, self.highest)
        gates = self.along(scalars).unflatten(-1, (self.highest, -1)).unbind(1)
        tensors = {}
        for l, (harmonic, gate) in enumerate(zip(harmonics, gates, strict=True), 1):
            tensors[l] = harmonic[..., None] * gate[:, None]
            if l <= self.n_degrees:
                near, far, part = self.near[l - 1], self.far[l - 1], parts[l - 1]
                tensors[l] = tensors[l] + near(part).index_select(0, source)
                tensors[l] = tensors[l] + far(part).index_select(0, target)
        half = self.off_site(scalars, tensors)
        half = half * polynomial_cutoff(distance, self.pair_cutoff)[:, None, None]
        forth, back = half.unflatten(0, (2, -1)).unbind(0)
        return (forth + back.transpose(1, 2)) * self.off_scale


class HamiltonianGotenNet(HamiltonianNetwork):
    """Blocks of a Hamiltonian by GotenNet.

    Parameters
    ----------
    n_elements, momenta, on_scale, off_scale, per_on, atom_scale, pair_scale
        As of a `HamiltonianNetwork`.
    n_hidden : int, default=80
        Features of an atom and of an edge, and channels of a degree.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    n_degrees, n_radial, n_channels, cutoff, pair_cutoff
        As of a `HamiltonianNetwork`.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.
    """

    def __init__(
        self, n_elements: int, momenta: Sequence[int], on_scale: object, off_scale: object,
        per_on: float, atom_scale: object = (), pair_scale: object = (), n_hidden: int = 80,
        n_layers: int = 2, n_heads: int = 4, n_degrees: int = 2, n_radial: int = 32,
        n_channels: int = 24, cutoff: float = 5.0, pair_cutoff: float = 10.0,
    ) -> None:  # fmt: skip
        def core(n_edge: int, n_degrees: int) -> GotenNet:
            return GotenNet(
                n_hidden, n_layers, n_heads, n_degrees, n_radial, cutoff, n_edge,
                polynomial_cutoff,
            )  # fmt: skip

        super().__init__(
            core, n_elements, momenta, on_scale, off_scale, per_on, atom_scale, pair_scale,
            n_hidden, n_degrees, n_radial, n_channels, cutoff, pair_cutoff,
        )  # fmt: skip

    @torch.no_grad()
    def molecule_encoder(self) -> dict[str, Tensor]:
        """Weights of its encoder, by the names that they have in `MoleculeGotenNet`.

        That network has nothing that describes atoms and pairs: with these weights it makes
        the features that this one makes of descriptions that are zero. What else there is
        has names that it does not know.
        """
        own = {
            name: weight.detach().clone() for name, weight in self.named_parameters()
            if name.startswith(("embed", "core.", "describe."))
        }  # fmt: skip
        if self.describe is not None:
            own["embed.weight"] += self.describe(torch.zeros_like(self.atom_scale))
        if len(self.pair_scale):
            for name in ("core.neighbour_filter.weight", "core.embed_edge.weight"):
                n = own[name].shape[1] - len(self.pair_scale)
                own[name], own[f"{name}.pair"] = own[name].tensor_split([n], dim=1)
        return own


class HamiltonianPaiNN(HamiltonianNetwork):
    """Blocks of a Hamiltonian by PaiNN.

    Parameters
    ----------
    n_elements, momenta, on_scale, off_scale, per_on, atom_scale, pair_scale
        As of a `HamiltonianNetwork`.
    n_hidden : int, default=80
        Scalars of an atom, and channels of a degree.
    n_layers : int, default=2
        Number of layers.
    n_degrees, n_radial, n_channels, cutoff, pair_cutoff
        As of a `HamiltonianNetwork`.

    References
    ----------
    .. [1] K. T. Schütt, O. T. Unke, M. Gastegger, ICML 2021, arXiv:2102.03150.
    """

    def __init__(
        self, n_elements: int, momenta: Sequence[int], on_scale: object, off_scale: object,
        per_on: float, atom_scale: object = (), pair_scale: object = (), n_hidden: int = 80,
        n_layers: int = 2, n_degrees: int = 2, n_radial: int = 32, n_channels: int = 24,
        cutoff: float = 5.0, pair_cutoff: float = 10.0,
    ) -> None:  # fmt: skip
        def core(n_edge: int, n_degrees: int) -> PaiNN:
            return PaiNN(n_hidden, n_layers, n_degrees, n_radial, cutoff, n_edge)

        super().__init__(
            core, n_elements, momenta, on_scale, off_scale, per_on, atom_scale, pair_scale,
            n_hidden, n_degrees, n_radial, n_channels, cutoff, pair_cutoff,
        )  # fmt: skip


def _raised(on_site: Tensor, overlap: Tensor, edge_index: Tensor) -> Tensor:
    """What on-site blocks (N, o, o) do to the blocks of pairs of overlapping orbitals."""
    overlaps = overlap.unflatten(1, on_site.shape[1:])
    source, target = edge_index[:, : len(overlaps)]
    left = on_site.index_select(0, source) @ overlaps
    return (left + overlaps @ on_site.index_select(0, target)) / 2

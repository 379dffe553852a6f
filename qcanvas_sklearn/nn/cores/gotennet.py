"""GotenNet: attention between atoms that carry features of every angular degree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from ..graphs import directions, edge_vectors, lengths, sum_messages
from ..harmonics import MAX_DEGREE, by_degree, soft_norm, spherical_harmonics
from ..layers import add_product, beside, mlp
from ..radial import CutoffFunction, GaussianBasis, cosine_cutoff
from .tensor_attention import Bonds, Edges, TensorAttention

__all__ = ["EquivariantFeedForward", "GotenNet", "GotenNetLayer", "TensorRefinement"]


def _collect(edges: Edges, along: Tensor, carried: Tensor | None, steerable: Tensor) -> Tensor:
    """Steerable features (n, M, k) and the messages of all degrees that arrive at them.

    Messages are the harmonics of an edge times one gate a degree, and the features of its
    source times another; gates are (E, n_degrees, k). Degree by degree: the messages of all
    degrees side by side are the largest arrays of all, and would be copied twice.
    """
    (source, target, _, harmonics), n_degrees = edges, along.shape[1]
    parts = zip(
        by_degree(steerable, n_degrees), by_degree(harmonics, n_degrees), along.unbind(1),
        [None] * n_degrees if carried is None else carried.unbind(1), strict=True,
    )  # fmt: skip
    collected = []
    for x, harmonic, gate, carrier in parts:
        messages = gate[:, None] * harmonic[..., None]
        if carrier is not None:
            messages = messages + carrier[:, None] * x.index_select(0, source)
        collected.append(sum_messages(messages, target, len(x)))
    return steerable + torch.cat(collected, dim=1)


class TensorRefinement(nn.Module):
    r"""Hierarchical tensor refinement: edges learn how their two atoms' surroundings lie.

    .. math::
        w_{ij} &= \sum_l (X_i^{(l)} W_{vq})^\top (X_j^{(l)} W_{vk}^{(l)}) \\
        t_{ij}' &= t_{ij} + \tanh(W_w w_{ij}) \circ \sigma(W_t t_{ij})

    The inner products run over the 2 l + 1 components, channel by channel.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge.
    n_degrees : int
        Highest degree of the steerable features.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, section 3; the tanh bounds what a layer adds. The
       authors' code first takes the part along the edge out of both factors; in a pair
       nothing would be left.
    """

    keys: Any

    def __init__(self, n_hidden: int, n_degrees: int) -> None:
        super().__init__()
        self.n_degrees = n_degrees
        self.query = nn.Linear(n_hidden, n_hidden, bias=False)
        self.keys = nn.ModuleList(
            nn.Linear(n_hidden, n_hidden, bias=False) for _ in range(n_degrees)
        )
        self.gate = nn.Linear(n_hidden, n_hidden, bias=False)
        self.edge = nn.Sequential(nn.Linear(n_hidden, n_hidden), nn.SiLU())

    def forward(self, steerable: Tensor, t: Tensor, edges: Edges) -> Tensor:
        """Map nodes (n, M, n_hidden) and edges (E, n_hidden) to edges (E, n_hidden)."""
        parts = zip(
            self.keys, by_degree(steerable, self.n_degrees),
            by_degree(self.query(steerable), self.n_degrees), strict=True,
        )  # fmt: skip
        products = torch.zeros_like(t)
        for key, x, query in parts:
            keys = key(x).index_select(0, edges.source)
            products = products + (query.index_select(0, edges.target) * keys).sum(1)
        return t + self.gate(products).tanh() * self.edge(t)

    def of_pairs(self, query: Tensor, keys: Tensor, t: Tensor, edges: Tensor) -> Tensor:
        """Edges and loops (2, 2, b, n_hidden) from atom j to atom i of pairs.

        Of the steerable features there is one component a degree: queries and keys
        (2, b, L, n_hidden) are what the linear maps make of these, and `edges` what the last
        of them makes of `t`.
        """
        products = (query[:, None] * keys).sum(-2)
        return add_product(t, self.gate(products).tanh(), edges)


class EquivariantFeedForward(nn.Module):
    r"""Mix the scalars and steerable features of each atom.

    .. math::
        h' = h + m_1, \qquad X^{(l)\prime} = X^{(l)} + m_2 \circ (X^{(l)} W_{vu}), \qquad
        [m_1, m_2] = \gamma_m(h, \lVert X W_{vu} \rVert)

    with a two-layer network :math:`\gamma_m`, and the norm over the components of all
    degrees.

    Parameters
    ----------
    n_hidden : int
        Features of a node.
    steers : bool, default=True
        Whether the steerable features change; without, they are returned as they are.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, section 3.
    """

    def __init__(self, n_hidden: int, steers: bool = True) -> None:
        super().__init__()
        self.steers = steers
        self.mix = nn.Linear(n_hidden, n_hidden, bias=False)
        self.update = mlp([2 * n_hidden, n_hidden, (1 + steers) * n_hidden])

    def forward(self, h: Tensor, steerable: Tensor) -> tuple[Tensor, Tensor]:
        """Map (..., n_hidden) and (..., M, n_hidden) to the same shapes."""
        mixed = self.mix(steerable)
        update = self.update(torch.cat([h, lengths(mixed.transpose(-2, -1))], dim=-1))
        if not self.steers:
            return h + update, steerable
        scalar, gate = update.chunk(2, dim=-1)
        return h + scalar, steerable + gate[..., None, :] * mixed

    def of_pairs(
        self, h: Tensor, steerable: Tensor, mixed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same with the steerable features as they are `mixed`."""
        if mixed.is_cuda:  # one operation, but slow on the CPU
            norm = torch.linalg.vector_norm(mixed, dim=-2)
        else:
            norm = lengths(mixed.transpose(-2, -1))
        update = self.update(torch.cat([h, norm], dim=-1))
        if not self.steers:
            return h + update, steerable
        scalar, gate = update.chunk(2, dim=-1)
        return h + scalar, add_product(steerable, gate[..., None, :], mixed)


class GotenNetLayer(nn.Module):
    r"""Geometry-aware tensor attention, refinement of the edges, feed-forward.

    The attention's gates make the messages

    .. math::
        \Delta h_i = \sum_j o_{ij}^s, \qquad
        \Delta X_i^{(l)} = \sum_j o_{ij}^{d,(l)} \circ r_{ij}^{(l)}
            + o_{ij}^{t,(l)} \circ X_j^{(l)}

    The steerable features go through :func:`soft_norm` first: gates multiply them in every
    layer, and nothing else would keep them from growing.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge.
    n_heads : int
        Attention heads; divides `n_hidden`.
    n_degrees : int
        Highest degree of the steerable features.
    last : bool, default=False
        Leave out what no scalar behind this layer would depend on: the refinement of the
        edges, and the change of steerable features in the feed-forward part.

    References
    ----------
    .. [1] S. Aykent, T. Xia, ICLR 2025, section 3.
    """

    def __init__(self, n_hidden: int, n_heads: int, n_degrees: int, last: bool = False) -> None:
        super().__init__()
        self.n_degrees = n_degrees
        self.attention = TensorAttention(n_hidden, n_heads, 1 + 2 * n_degrees)
        self.refinement = None if last else TensorRefinement(n_hidden, n_degrees)
        self.feed_forward = EquivariantFeedForward(n_hidden, steers=not last)

    def forward(
        self, h: Tensor, steerable: Tensor, t: Tensor, edges: Edges
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map (n, n_hidden), (n, M, n_hidden) and (E, n_hidden) to the same shapes."""
        steerable = soft_norm(steerable)
        gates = self.attention(h, t, edges)
        scalar, along, carried = gates.split([1, self.n_degrees, self.n_degrees], dim=1)
        h = h + sum_messages(scalar[:, 0], edges.target, len(h))
        steerable = _collect(edges, along, carried, steerable)
        if self.refinement is not None:
            t = self.refinement(steerable, t, edges)
        return *self.feed_forward(h, steerable), t

    def of_pairs(
        self, h: Tensor, steerable: Tensor, t: Tensor, mapped: Sequence[Tensor], bonds: Bonds
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Map atoms (2, b, n_hidden), (2, b, L, n_hidden) and edges (2, 2, b, n_hidden).

        What the layer's `edge_maps` make of the edges is given.
        """
        steerable = _soft_norm_of_pairs(steerable)
        filters, keyed, *edges = mapped
        gates = self.attention.of_pairs(h, filters, keyed, bonds)
        scalar, along, carried = gates.split([1, self.n_degrees, self.n_degrees], dim=3)
        h = h + scalar.sum(1).squeeze(2)
        messages = add_product(along * bonds.harmonics, carried, steerable)
        steerable = steerable + messages.sum(1)
        if self.refinement is None:
            mixed = self.feed_forward.mix(steerable)
        else:
            mixed, query, keys = self._maps_by_degree(steerable)
            t = self.refinement.of_pairs(query, keys, t, *edges)
        return *self.feed_forward.of_pairs(h, steerable, mixed), t

    def _maps_by_degree(self, steerable: Tensor) -> Sequence[Tensor]:
        """Mixed features, queries and keys (2, b, L, n_hidden), by one product a degree."""
        assert self.refinement is not None
        keys = torch.stack([key.weight for key in self.refinement.keys])
        shared = torch.cat([self.feed_forward.mix.weight, self.refinement.query.weight])
        weight = torch.cat([shared.expand(self.n_degrees, -1, -1), keys], dim=1)
        made = torch.bmm(steerable.flatten(0, 1).transpose(0, 1), weight.mT)
        made = made.transpose(0, 1).unflatten(0, steerable.shape[:2])
        return made.chunk(3, dim=-1)

    @property
    def edge_maps(self) -> tuple[nn.Linear, list[nn.Linear]]:
        """Layers that edges enter as they come: of the filters, and those before a SiLU."""
        filters, activated = self.attention.edge_maps
        if self.refinement is not None:
            first: Any = self.refinement.edge[0]
            activated.append(first)
        return filters, activated


def _soft_norm_of_pairs(steerable: Tensor) -> Tensor:
    """:func:`soft_norm` of features (2, b, L, k), by a normalisation that is one kernel."""
    n_degrees = steerable.shape[-2]
    flat = nn.functional.rms_norm(
        steerable.flatten(-2), [steerable.shape[-2:].numel()], eps=1 / n_degrees
    )
    return flat.unflatten(-1, (n_degrees, -1)) * n_degrees**-0.5


def _mapped(
    t: Tensor, damping: Tensor, readers: Sequence[TensorAttention | GotenNetLayer]
) -> list[list[Tensor]]:
    """What those who read the edges (2, 2, b, n_hidden) first make of them, by one product.

    The filters, which have no activation, are damped.
    """
    maps = [reader.edge_maps for reader in readers]
    filters = [filter_ for filter_, _ in maps]
    activated = [linear for _, linears in maps for linear in linears]
    sizes = [[linear.out_features for linear in part] for part in (filters, activated)]
    made = nn.functional.linear(t, *beside(*filters, *activated))
    parts = made.split([sum(part) for part in sizes], dim=-1)
    damped, active = parts[0] * damping, nn.functional.silu(parts[1])
    of_filters, of_activated = (
        iter(x.split(size, dim=-1) if len(size) > 1 else [x])
        for x, size in zip((damped, active), sizes, strict=True)
    )
    return [
        [filtered, *islice(of_activated, len(linears))]
        for filtered, (_, linears) in zip(of_filters, maps, strict=True)
    ]


class GotenNet(nn.Module):
    r"""GotenNet on any graph of atoms.

    Atoms carry scalars h and steerable features :math:`X^{(l)}`, which turn with the
    molecule as spherical harmonics of degree l do; edges carry scalars t. They start as

    .. math::
        h_i &= W_{nru}\, \sigma\Bigl( \mathrm{LN}\, W_{nrd} \bigl[ x_i, \textstyle\sum_j
            (A\, x_j) \circ (W_{ndp} e_{ij})\, f_c(d_{ij}) \bigr] \Bigr) \\
        t_{ij} &= (h_i + h_j) \circ W_{erp} e_{ij} \\
        X_i^{(l)} &= \textstyle\sum_j o_{ij}^{(l)} \circ r_{ij}^{(l)}

    with the radial basis and the features of an edge in :math:`e_{ij}`, the spherical
    harmonics :math:`r_{ij}^{(l)}` of its direction, and the gates o of a
    :class:`TensorAttention`. In all but the first of these sums every atom is its own
    neighbour, too, at no distance and without edge features: an atom with one neighbour
    has a choice, and one with none has a value to attend to.

    Parameters
    ----------
    n_hidden : int
        Features of a node and of an edge, and channels of a degree.
    n_layers : int
        Number of layers.
    n_heads : int
        Attention heads; divides `n_hidden`.
    n_degrees : int
        Highest degree of the steerable features, 1 to 6.
    n_radial : int
        Gaussians in which a distance is expanded.
    cutoff : float
        Distance at which interactions end, Å.
    n_edge : int, default=0
        Further features of an edge.
    cutoff_function : callable, default=cosine_cutoff
        How interactions end.

    Raises
    ------
    ValueError
        If `n_degrees` is not between 1 and 6.

    References
    ----------
    .. [1] S. Aykent, T. Xia, GotenNet: Rethinking Efficient 3D Equivariant Graph Neural
       Networks, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.
    """

    layers: Any

    def __init__(
        self, n_hidden: int, n_layers: int, n_heads: int, n_degrees: int, n_radial: int,
        cutoff: float, n_edge: int = 0, cutoff_function: CutoffFunction = cosine_cutoff,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 1 <= n_degrees <= MAX_DEGREE:
            raise ValueError(f"n_degrees={n_degrees} is not between 1 and {MAX_DEGREE}")
        self.n_degrees, self.cutoff = n_degrees, cutoff
        self.cutoff_function = cutoff_function
        self.basis = GaussianBasis(n_radial, cutoff)
        self.neighbour = nn.Linear(n_hidden, n_hidden, bias=False)
        self.neighbour_filter = nn.Linear(n_radial + n_edge, n_hidden)
        self.embed_node = nn.Sequential(
            nn.Linear(2 * n_hidden, n_hidden), nn.LayerNorm(n_hidden), nn.SiLU(),
            nn.Linear(n_hidden, n_hidden),
        )  # fmt: skip
        self.embed_edge = nn.Linear(n_radial + n_edge, n_hidden)
        self.embed_steerable = TensorAttention(n_hidden, n_heads, n_degrees)
        self.layers = nn.ModuleList(
            GotenNetLayer(n_hidden, n_heads, n_degrees, last=i == n_layers - 1)
            for i in range(n_layers)
        )

    def features(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Scalars (n, n_hidden) and steerable features (n, M, n_hidden) of the nodes.

        The M = (n_degrees + 1)**2 - 1 components are in the order of
        :func:`spherical_harmonics`, and turn with the molecule as those do.
        """
        n, n_edges = len(x), edge_index.shape[1]
        loops = torch.arange(n, device=x.device).expand(2, n)
        source, target = torch.cat([edge_index, loops], dim=1)
        # Loops have no length, and no image.
        # Not by padding, which torch up to 2.7 at least refuses of what is empty.
        vectors = edge_vectors(positions, edge_index, shift)
        vectors = torch.cat([vectors, vectors.new_zeros(n, 3)])
        distance = lengths(vectors)
        edge = torch.cat([edge, edge.new_zeros(n, edge.shape[1])])
        inputs = torch.cat([self.basis(distance), edge], dim=-1)
        damping = self.cutoff_function(distance, self.cutoff)
        harmonics = spherical_harmonics(directions(vectors), self.n_degrees)
        edges = Edges(source, target, damping, harmonics)

        filters = self.neighbour_filter(inputs[:n_edges]) * damping[:n_edges, None]
        messages = self.neighbour(x).index_select(0, source[:n_edges]) * filters
        received = sum_messages(messages, target[:n_edges], n)
        h = self.embed_node(torch.cat([x, received], dim=-1))
        ends = h.index_select(0, source) + h.index_select(0, target)
        t = ends * self.embed_edge(inputs)
        gates = self.embed_steerable(h, t, edges)
        steerable = h.new_zeros(n, edges.harmonics.shape[1], h.shape[1])
        steerable = _collect(edges, gates, None, steerable)
        for layer in self.layers:
            h, steerable, t = layer(h, steerable, t, edges)
        return h, steerable

    def forward(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Map nodes (n, n_hidden), (n, 3), edges (2, E), (E, n_edge) to (n, n_hidden)."""
        return self.features(x, positions, edge_index, edge, shift)[0]

    def of_pairs(self, x: Tensor, distance: Tensor, edge: Tensor) -> Tensor:
        """The same for graphs of two atoms, without an index.

        All directions are those of the bond, and with it as axis all harmonics but one of
        each degree are zero, and so are those components of the steerable features. Both
        edges are alike until they are refined.

        Maps atoms (2, b, n_hidden), their distance (b,) and the features (b, n_edge) of
        both edges to (2, b, n_hidden).
        """
        inputs, bonds = self._edges_of_pairs(distance, edge)
        filters = self.neighbour_filter(inputs[0, 1]) * bonds.damping[0, 1]
        received = self.neighbour(x).flip(0) * filters
        h = self.embed_node(torch.cat([x, received], dim=-1))
        t = (h[:, None] + h) * self.embed_edge(inputs)

        (filters, keyed), *first = _mapped(
            t, bonds.damping, [self.embed_steerable, *self.layers[:1]]
        )
        gates = self.embed_steerable.of_pairs(h, filters, keyed, bonds)
        steerable = (gates * bonds.harmonics).sum(1)
        for i, layer in enumerate(self.layers):
            (mapped,) = _mapped(t, bonds.damping, [layer]) if i else first
            h, steerable, t = layer.of_pairs(h, steerable, t, mapped, bonds)
        return h

    def _edges_of_pairs(self, distance: Tensor, edge: Tensor) -> tuple[Tensor, Bonds]:
        """Basis and features (2, 2, b, k) of edges and loops, and what else is known of them.

        The bond points from the first atom to the second.
        """
        known = torch.cat([distance[:, None], edge], dim=-1)
        nothing = torch.zeros_like(known)
        along = torch.stack([nothing[:, 0], -distance, distance, nothing[:, 0]])
        known = torch.stack([nothing, known, known, nothing])
        lengths = known[..., 0]
        inputs = torch.cat([self.basis(lengths), known[..., 1:]], dim=-1)
        damping = self.cutoff_function(lengths, self.cutoff)[..., None]
        log_damping = damping.clamp(min=torch.finfo(damping.dtype).tiny).log()
        along = along * (along.square() + 1e-12).rsqrt()
        powers = [along, *(along**l for l in range(2, self.n_degrees + 1))]
        harmonics = torch.stack(powers, dim=-1)[..., None]
        inputs, *others = (
            x.unflatten(0, (2, 2)) for x in (inputs, damping, log_damping, harmonics)
        )
        return inputs, Bonds(*others)

"""PaiNN: atoms that carry scalars and vectors, and what products of vectors make of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..couplings import TensorProduct
from ..graphs import directions, edge_vectors, lengths, sum_messages
from ..harmonics import MAX_DEGREE, by_degree, soft_norm, spherical_harmonics
from ..layers import mlp
from ..radial import CutoffFunction, GaussianBasis, polynomial_cutoff

__all__ = ["PaiNN", "PaiNNLayer"]


class _Edges(NamedTuple):
    """Source and target (E,), what filters see (E, k), cutoff function (E,), harmonics."""

    source: Tensor
    target: Tensor
    inputs: Tensor
    damping: Tensor
    harmonics: Tensor


class _Gates(nn.Module):
    """Gates of messages: of the scalars at their source, times a filter of the edge."""

    def __init__(self, n_hidden: int, n_filter: int, n_gates: int) -> None:
        super().__init__()
        self.n_gates = n_gates
        self.source = mlp([n_hidden, n_hidden, n_gates * n_hidden])
        self.filter = nn.Linear(n_filter, n_gates * n_hidden)

    def forward(self, s: Tensor, edges: _Edges) -> tuple[Tensor, ...]:
        """Map (n, n_hidden) to gates (E, n_hidden)."""
        filters = self.filter(edges.inputs) * edges.damping[:, None]
        return (self.source(s).index_select(0, edges.source) * filters).chunk(self.n_gates, -1)


class PaiNNLayer(nn.Module):
    r"""Messages between atoms, and an update of each.

    .. math::
        s_i &\mathrel{+}= \textstyle\sum_j \phi_s(s_j) \circ W_s(e_{ij}), \qquad
        v_i \mathrel{+}= \textstyle\sum_j v_j \circ \phi_{vv}(s_j) \circ W_{vv}(e_{ij})
            + u_{ij}\, \phi_{vs}(s_j) \circ W_{vs}(e_{ij}) \\
        s_i &\mathrel{+}= a_{ss} + a_{sv} \circ (U v_i \cdot V v_i), \qquad
        v_i \mathrel{+}= a_{vv} \circ U v_i

    with two-layer networks :math:`\phi` of the scalars and a of the scalars and the lengths
    of V v, filters W that end at the cutoff, and the direction u of an edge.

    Parameters
    ----------
    n_hidden : int
        Scalars, and vectors, of a node.
    n_filter : int
        Numbers that filters see of an edge.

    References
    ----------
    .. [1] K. T. Schütt, O. T. Unke, M. Gastegger, ICML 2021, arXiv:2102.03150, section 4.
    """

    def __init__(self, n_hidden: int, n_filter: int) -> None:
        super().__init__()
        self.gates = _Gates(n_hidden, n_filter, 3)
        self.mix = nn.Linear(n_hidden, 2 * n_hidden, bias=False)
        self.update = mlp([2 * n_hidden, n_hidden, 3 * n_hidden])

    def forward(self, s: Tensor, v: Tensor, edges: _Edges) -> tuple[Tensor, Tensor]:
        """Map scalars (n, n_hidden) and vectors (n, 3, n_hidden) to the same shapes."""
        scalar, carried, along = self.gates(s, edges)
        s = s + sum_messages(scalar, edges.target, len(s))
        messages = along[:, None] * edges.harmonics[:, :3, None]
        messages = messages + carried[:, None] * v.index_select(0, edges.source)
        v = v + sum_messages(messages, edges.target, len(s))
        first, second = self.mix(v).chunk(2, dim=-1)
        seen = torch.cat([s, lengths(second.transpose(1, 2))], dim=-1)
        own, crossed, gate = self.update(seen).chunk(3, dim=-1)
        s = s + own + crossed * (first * second).sum(1)
        return s, v + gate[:, None] * first


class PaiNN(nn.Module):
    r"""PaiNN on any graph of atoms, with tensors of higher degrees behind its layers.

    Atoms carry scalars and vectors, nothing else, through all layers. Tensors of degree l are
    made of the vectors v in the end,

    .. math::
        X^{(1)} = v, \qquad X_i^{(l)} = \bigl\{ X_i^{(l-1)} \otimes W v_i \bigr\}
            + \textstyle\sum_j o_{ij}^{(l)} \circ \{ u_{ij} \otimes \dots \otimes u_{ij} \}

    of symmetric products without traces, {}: of the vectors of an atom, and of the directions
    u of its neighbours, where those cancel in the sum of vectors. The components are those of
    real harmonics in the order m = -l, ..., l.

    Parameters
    ----------
    n_hidden : int
        Scalars of a node, and channels of a degree.
    n_layers : int
        Number of layers.
    n_degrees : int
        Highest degree of the tensors, 1 to 6.
    n_radial : int
        Gaussians in which a distance is expanded.
    cutoff : float
        Distance at which interactions end, Å.
    n_edge : int, default=0
        Further features of an edge.
    cutoff_function : callable, default=polynomial_cutoff
        How interactions end.

    Raises
    ------
    ValueError
        If `n_degrees` is not between 1 and 6.

    References
    ----------
    .. [1] K. T. Schütt, O. T. Unke, M. Gastegger, Equivariant message passing for the
       prediction of tensorial properties and molecular spectra, ICML 2021, arXiv:2102.03150.
    """

    def __init__(
        self, n_hidden: int, n_layers: int, n_degrees: int, n_radial: int, cutoff: float,
        n_edge: int = 0, cutoff_function: CutoffFunction = polynomial_cutoff,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 1 <= n_degrees <= MAX_DEGREE:
            raise ValueError(f"n_degrees={n_degrees} is not between 1 and {MAX_DEGREE}")
        self.n_degrees, self.cutoff = n_degrees, cutoff
        self.cutoff_function = cutoff_function
        self.basis = GaussianBasis(n_radial, cutoff)
        n_filter = n_radial + n_edge
        self.layers = nn.ModuleList(PaiNNLayer(n_hidden, n_filter) for _ in range(n_layers))
        higher = range(2, n_degrees + 1)
        self.around = _Gates(n_hidden, n_filter, len(higher)) if higher else None
        self.mixes = nn.ModuleList(nn.Linear(n_hidden, n_hidden, bias=False) for _ in higher)
        self.products = nn.ModuleList(TensorProduct(l - 1, 1, l) for l in higher)

    def features(
        self, x: Tensor, positions: Tensor, edge_index: Tensor, edge: Tensor,
        shift: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Scalars (n, n_hidden) and steerable features (n, M, n_hidden) of the nodes.

        The M = (n_degrees + 1)**2 - 1 components are in the order of
        :func:`spherical_harmonics`, and turn with the molecule as those do.
        """
        vectors = edge_vectors(positions, edge_index, shift)
        distance = lengths(vectors)
        source, target = edge_index
        edges = _Edges(
            source, target, torch.cat([self.basis(distance), edge], dim=-1),
            self.cutoff_function(distance, self.cutoff),
            spherical_harmonics(directions(vectors), self.n_degrees),
        )  # fmt: skip
        s, v = x, x.new_zeros(len(x), 3, x.shape[1])
        for layer in self.layers:
            s, v = layer(s, v, edges)
        return s, self._tensors(s, soft_norm(v), edges)

    def _tensors(self, s: Tensor, v: Tensor, edges: _Edges) -> Tensor:
        """Tensors of all degrees of the nodes, side by side."""
        parts = [v]
        if self.around is not None:
            of_degrees = by_degree(edges.harmonics, self.n_degrees)[1:]
            gates = self.around(s, edges)
            behind = zip(self.mixes, self.products, gates, of_degrees, strict=True)
            for mix, product, gate, harmonics in behind:
                messages = gate[:, None] * harmonics[..., None]
                arriving = sum_messages(messages, edges.target, len(s))
                parts.append(product(parts[-1], mix(v)) + arriving)
        return torch.cat(parts, dim=1)

"""GotenNet: harmonics, rigid motions, angles, the cutoff, and its parts by hand."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy.special import lpmv
from torch.func import functional_call, grad, stack_module_state, vmap

from qcanvas_sklearn import GotenNetRegressor
from qcanvas_sklearn.nn.cores.gotennet import GotenNet, GotenNetLayer, TensorRefinement
from qcanvas_sklearn.nn.cores.tensor_attention import Edges
from qcanvas_sklearn.nn.graphs import damped_softmax
from qcanvas_sklearn.nn.harmonics import by_degree, spherical_harmonics
from qcanvas_sklearn.nn.heads import PairGotenNet

N_HIDDEN, N_HEADS, N_EDGE, CUTOFF = 8, 2, 2, 6.0


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def build(n_degrees=2, n_layers=2, n_edge=N_EDGE):
    core = GotenNet(N_HIDDEN, n_layers, N_HEADS, n_degrees, 6, CUTOFF, n_edge)
    return core.double()


def ragged_graphs():
    """Molecules of 5 to 8 atoms in one graph, with some of the bonds missing."""
    bonds, first = [], 0
    for n in (5, 8, 6):
        bonds.append(first + torch.nonzero((torch.rand(n, n) < 0.6) & ~torch.eye(n).bool()))
        first += n
    edge_index = torch.cat(bonds).T
    x, edge = normal(first, N_HIDDEN), normal(edge_index.shape[1], N_EDGE)
    return x, 2 * normal(first, 3), edge_index, edge


def rigid_motion(reflect):
    rotation = torch.linalg.qr(normal(3, 3))[0]
    rotation = rotation * torch.linalg.det(rotation)
    return (-rotation if reflect else rotation), 3 * normal(3)


def scipy_harmonics(l, vectors):
    """Real spherical harmonics times the root of 4 pi / (2 l + 1), m = -l ... l."""
    x, y, z = np.asarray(vectors).T
    cosine, azimuth = z / np.sqrt(x**2 + y**2 + z**2), np.arctan2(y, x)
    columns = []
    for m in range(-l, l + 1):
        k = abs(m)
        norm = math.sqrt(math.factorial(l - k) / math.factorial(l + k)) * (-1) ** k
        wave = math.sqrt(2) * (np.sin(k * azimuth) if m < 0 else np.cos(k * azimuth))
        columns.append(norm * lpmv(k, l, cosine) * (wave if m else 1))
    return torch.from_numpy(np.stack(columns, axis=-1))


def wigner(l, rotation):
    """How harmonics of degree l turn, fitted on random points."""
    points = normal(50, 3)
    turned = scipy_harmonics(l, points @ rotation.T)
    return torch.linalg.lstsq(scipy_harmonics(l, points), turned).solution.T


# Spherical harmonics --------------------------------------------------------------------


def test_spherical_harmonics_equal_scipy():
    vectors = normal(20, 3)
    units = vectors / vectors.norm(dim=-1, keepdim=True)
    ours = by_degree(spherical_harmonics(units, 6), 6)
    for l, values in enumerate(ours, start=1):
        torch.testing.assert_close(values, scipy_harmonics(l, vectors))
        torch.testing.assert_close(values.norm(dim=-1), torch.ones(20).double())


def test_spherical_harmonics_are_zero_with_finite_slopes_at_zero():
    zero = torch.zeros(3, requires_grad=True)
    values = spherical_harmonics(zero, 4)
    (slope,) = torch.autograd.grad(values.sum(), zero)
    assert torch.equal(values, torch.zeros(24))
    torch.testing.assert_close(slope, torch.ones(3))  # those of degree 1 are y, z, x


# Rigid motions and numbering ------------------------------------------------------------


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("n_degrees", [1, 2, 3])
def test_scalars_stay_and_steerable_features_turn_with_the_molecule(n_degrees, reflect):
    core, (x, positions, edge_index, edge) = build(n_degrees), ragged_graphs()
    rotation, shift = rigid_motion(reflect)
    scalars, steerable = core.features(x, positions, edge_index, edge)
    moved, turned = core.features(x, positions @ rotation.T + shift, edge_index, edge)
    torch.testing.assert_close(moved, scalars, rtol=0, atol=1e-10)
    parts = zip(by_degree(steerable, n_degrees), by_degree(turned, n_degrees), strict=True)
    for l, (before, after) in enumerate(parts, start=1):
        expected = torch.einsum("ab,nbc->nac", wigner(l, rotation), before)
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-10)
        assert (after - before).abs().max() > 1e-2, "there is something to turn"


def test_the_order_of_atoms_and_edges_does_not_matter():
    core, (x, positions, edge_index, edge) = build(), ragged_graphs()
    order, edges = torch.randperm(len(x)), torch.randperm(len(edge))
    place = torch.argsort(order)  # old atom order[k] is new atom k
    out = core(x, positions, edge_index, edge)
    renumbered = core(x[order], positions[order], place[edge_index[:, edges]], edge[edges])
    torch.testing.assert_close(renumbered, out[order], rtol=0, atol=1e-12)


def test_graphs_that_share_no_edge_do_not_talk():
    core, (x, positions, edge_index, edge) = build(), ragged_graphs()
    out = core(x, positions, edge_index, edge)
    elsewhere = positions.clone()
    elsewhere[:5] = normal(5, 3)
    changed = core(x, elsewhere, edge_index, edge) != out
    assert changed[:5].any() and not changed[5:].any()


def test_an_atom_without_neighbours_has_features_of_its_own():
    no_edges = torch.zeros(2, 0, dtype=torch.int64)
    x = normal(3, N_HIDDEN)
    scalars, steerable = build().features(x, normal(3, 3), no_edges, normal(0, N_EDGE))
    assert torch.isfinite(scalars).all() and (scalars[0] != scalars[1]).all()
    assert (steerable == 0).all(), "it has no direction"


# Angles ---------------------------------------------------------------------------------

TETRAHEDRON = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
SQUARE = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
CUBE = TETRAHEDRON + [[-a for a in corner] for corner in TETRAHEDRON]


@pytest.mark.parametrize(
    "n_degrees, one, other", [(2, SQUARE, TETRAHEDRON), (3, CUBE, 2 * TETRAHEDRON)]
)
def test_angles_are_seen_from_the_degree_on_at_which_they_differ(n_degrees, one, other):
    """Neighbours all alike and equally far: only the sum of their harmonics can tell."""
    n = len(one)
    neighbours = torch.arange(1, n + 1)
    center = torch.zeros_like(neighbours)
    bonds = torch.stack([torch.cat([center, neighbours]), torch.cat([neighbours, center])])
    x = torch.cat([normal(1, N_HIDDEN), normal(1, N_HIDDEN).expand(n, -1)])

    def change(n_degrees):
        core, features = build(n_degrees, n_edge=0), []
        for corners in (one, other):
            corners = torch.tensor([[0, 0, 0], *corners]).double()
            corners = corners / corners.norm(dim=-1, keepdim=True).clamp(min=1)
            features.append(core(x, corners, bonds, normal(2 * n, 0)))
        return (features[0] - features[1]).abs().max()

    assert change(n_degrees - 1) < 1e-12
    assert change(n_degrees) > 1e-6


def test_an_angle_can_be_learned():
    """Bent molecules whose bonds all have the same length."""
    angle = math.pi * torch.rand(32)
    ends = torch.stack([angle.cos(), angle.sin(), 0 * angle], dim=-1)
    center = torch.zeros_like(ends)
    positions = torch.stack([center, center + torch.tensor([1.0, 0, 0]), ends], dim=1)
    bonds = torch.tensor([[1, 0, 2, 0], [0, 1, 0, 2]])
    bonds = torch.cat([bonds + 3 * k for k in range(32)], dim=1)
    graph = torch.ones(96, N_HIDDEN), positions.flatten(0, 1), bonds, torch.zeros(128, 0)
    model = torch.nn.Sequential(build(n_edge=0).float(), torch.nn.Linear(N_HIDDEN, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(100):
        error = model[1](model[0](*graph))[::3, 0] - angle.cos()
        optimizer.zero_grad()
        error.square().mean().backward()
        optimizer.step()
    assert error.abs().mean() < 0.1


# The parts ------------------------------------------------------------------------------


def some_edges(n=4):
    """The edges of a complete graph with loops, as a layer takes them."""
    source, target = torch.cartesian_prod(torch.arange(n), torch.arange(n)).T
    directions = normal(n * n, 3)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    damping = torch.rand(n * n).double()
    return Edges(source, target, damping, spherical_harmonics(directions, 2))


def gates_by_hand(attend, h, t, edges, e):
    """The gates (5, N_HIDDEN) of edge e."""
    h, i = attend.norm(h), edges.target[e]

    def weights(e):
        key = attend.key(h[edges.source[e]]) * attend.key_filter(t[e])
        products = (attend.query(h[i]) * key).view(N_HEADS, -1)
        return edges.damping[e] * (products.sum(-1) / math.sqrt(N_HIDDEN / N_HEADS)).exp()

    total = sum(weights(k) for k in range(len(t)) if edges.target[k] == i)
    attention = (weights(e) / total).repeat_interleave(N_HIDDEN // N_HEADS)
    source = h[edges.source[e]]
    filtered = attend.source(source) * attend.source_filter(t[e]) * edges.damping[e]
    return attention * attend.value(source).view(5, -1) + filtered.view(5, -1)


def test_one_layer_by_hand():
    layer, edges, n = GotenNetLayer(N_HIDDEN, N_HEADS, 2).double(), some_edges(), 4
    h, steerable, t = normal(n, N_HIDDEN), normal(n, 8, N_HIDDEN), normal(n * n, N_HIDDEN)
    outputs = layer(h, steerable, t, edges)

    mean_square = steerable.square().sum((1, 2), keepdim=True) / N_HIDDEN
    steerable = steerable / (1 + mean_square).sqrt()
    scalars, tensors = h.clone(), steerable.clone()
    for e, (j, i) in enumerate(zip(edges.source, edges.target, strict=True)):
        gates = gates_by_hand(layer.attention, h, t, edges, e)
        scalars[i] += gates[0]
        for m, l in enumerate([0] * 3 + [1] * 5):  # components, by degree
            tensors[i, m] += gates[1 + l] * edges.harmonics[e, m]
            tensors[i, m] += gates[3 + l] * steerable[j, m]
    mixed = layer.feed_forward.mix(tensors)
    update = layer.feed_forward.update(torch.cat([scalars, mixed.norm(dim=1)], dim=-1))
    torch.testing.assert_close(outputs[0], scalars + update[:, :N_HIDDEN])
    torch.testing.assert_close(outputs[1], tensors + update[:, None, N_HIDDEN:] * mixed)
    torch.testing.assert_close(outputs[2], layer.refinement(tensors, t, edges))


def test_refinement_of_edges_by_hand():
    refine, edges = TensorRefinement(N_HIDDEN, 2).double(), some_edges()
    steerable, t = normal(4, 8, N_HIDDEN), normal(16, N_HIDDEN)
    refined = refine(steerable, t, edges)
    for e, (j, i) in enumerate(zip(edges.source, edges.target, strict=True)):
        products = sum(
            refine.query(steerable[i, m]) * refine.keys[m >= 3](steerable[j, m])
            for m in range(8)
        )
        expected = t[e] + torch.tanh(refine.gate(products)) * refine.edge(t[e])
        torch.testing.assert_close(refined[e], expected)
    assert torch.equal(refine(0 * steerable, t, edges), t), "there is nothing to learn from"


def test_damped_softmax_is_a_softmax_that_leaves_out_what_is_damped_away():
    target = torch.tensor([0, 1, 0, 1, 0])
    logits = torch.tensor([[1.0], [2.0], [3.0], [4.0], [900.0]])
    weights = damped_softmax(logits, torch.tensor([1.0, 1.0, 1.0, 0.5, 0.0]), target, 2)
    torch.testing.assert_close(weights[[0, 2], 0], torch.tensor([1.0, 3.0]).softmax(0))
    halved = torch.tensor([2.0, 4.0 - math.log(2)]).softmax(0)
    torch.testing.assert_close(weights[[1, 3], 0], halved)
    assert weights[4] == 0


# Cutoff and degenerate geometries -------------------------------------------------------


def test_a_bond_fades_out_at_the_cutoff_and_is_as_good_as_absent_behind_it():
    core, x, edge = build(), normal(3, N_HIDDEN), normal(4, N_EDGE)
    bonds = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])

    def at(d, kept=slice(None)):
        positions = torch.tensor([[-d, 0, 0], [0, 0, 0], [1, 1, 0]]).double()
        return core(x, positions, bonds[:, kept], edge[kept])

    torch.testing.assert_close(at(CUTOFF - 1e-4), at(CUTOFF + 1e-4), rtol=0, atol=1e-8)
    without = at(CUTOFF + 1, slice(2, 4))
    torch.testing.assert_close(at(CUTOFF + 1), without, rtol=0, atol=1e-12)
    assert (at(CUTOFF - 1) - without).abs().max() > 1e-4


def test_slopes_with_the_positions_equal_differences():
    core, (x, positions, edge_index, edge) = build(n_layers=3), ragged_graphs()
    here = edge_index[0] < 5
    graph = edge_index[:, here], edge[here]
    positions = positions[:5].requires_grad_()
    assert torch.autograd.gradcheck(lambda p: core(x[:5], p, *graph), positions)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0])
def test_gradients_are_finite_where_atoms_coincide_or_nearly_do(scale, dtype):
    core, (x, positions, edge_index, edge) = build(3).to(dtype), ragged_graphs()
    positions[:5] *= scale
    x, positions, edge = (a.to(dtype).requires_grad_() for a in (x, positions, edge))
    scalars, steerable = core.features(x, positions, edge_index, edge)
    (scalars.square().sum() + steerable.square().sum()).backward()
    for a in (x, positions, edge, *core.parameters()):
        assert a.grad is not None and torch.isfinite(a.grad).all()


# Pairs ----------------------------------------------------------------------------------


def pair_network(**params):
    return PairGotenNet(103, 2, 2, 3, n_hidden=16, n_heads=2, **params).double()


def pairs(n=6):
    z = torch.randint(1, 100, (n, 2))
    return {"z": z, "atom": normal(n, 2, 2), "pair": normal(n, 2), "vector": 2 * normal(n, 3)}


def test_every_weight_of_the_pair_network_has_something_to_learn():
    model = pair_network()
    model(**pairs(32)).square().sum().backward()
    unused = [k for k, w in model.core.named_parameters() if w.grad.abs().max() < 1e-12]
    assert not unused


def test_members_of_a_stacked_ensemble_learn_as_each_does_alone():
    members, inputs = [pair_network() for _ in range(2)], pairs()
    weights, buffers = stack_module_state(members)
    skeleton = copy.deepcopy(members[0]).to("meta")

    def loss(weights, buffers):
        return functional_call(skeleton, (weights, buffers), (), inputs).square().sum()

    slopes = vmap(grad(loss))(weights, buffers)
    for k, member in enumerate(members):
        member(**inputs).square().sum().backward()
        for name, weight in member.named_parameters():
            torch.testing.assert_close(slopes[name][k], weight.grad, rtol=1e-8, atol=1e-12)


def test_degrees_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="n_degrees=7 is not between 1 and 6"):
        build(7)
    with pytest.raises(ValueError, match="n_degrees=7"):
        GotenNetRegressor(n_degrees=7).fit([["H", "He"]], [0.0])
    with pytest.raises(ValueError, match="n_degrees == 0"):
        GotenNetRegressor(n_degrees=0).fit([["H", "He"]], [0.0])

"""The graph networks: against references, under rigid motions, and at coinciding atoms."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre, spherical_jn
from torch_geometric.nn.models import dimenet as pyg_dimenet
from torch_geometric.nn.models import schnet as pyg_schnet

from qcanvas_sklearn import (
    DimeNetRegressor,
    EGNNRegressor,
    FAENetRegressor,
    GotenNetRegressor,
    SchNetRegressor,
    load_pairs,
)
from qcanvas_sklearn.nn.cores.dimenet import (
    DimeNetInteraction,
    DimeNetPlusPlus,
    angle_cosines,
)
from qcanvas_sklearn.nn.cores.egnn import EGNN
from qcanvas_sklearn.nn.cores.faenet import FAENet, average_over_bond_frames, bond_frames
from qcanvas_sklearn.nn.cores.gotennet import GotenNet
from qcanvas_sklearn.nn.cores.schnet import SchNet, SchNetInteraction
from qcanvas_sklearn.nn.graphs import edge_vectors, lengths, triplets
from qcanvas_sklearn.nn.heads import PairDimeNet, PairEGNN, PairFAENet, PairGotenNet, PairSchNet
from qcanvas_sklearn.nn.radial import (
    BesselBasis,
    GaussianBasis,
    SphericalBasis,
    cosine_cutoff,
    polynomial_envelope,
    spherical_bessel,
)
from qcanvas_sklearn.nn.symmetry import SwapSymmetric, swap_atoms

N_HIDDEN, N_EDGE, CUTOFF = 8, 2, 6.0


def frames_of(positions, edge_index, graph):
    vectors = edge_vectors(positions, edge_index)
    undamped = torch.ones_like(vectors[:, 0])
    return bond_frames(vectors, undamped, graph[edge_index[1]], int(graph.max()) + 1)


def faenet_scalars(core, x, positions, edge_index, edge):
    frames = frames_of(positions, edge_index, torch.zeros(len(x), dtype=torch.int64))
    return average_over_bond_frames(core, x, frames, edge_index, edge)


def features(core, *graph):
    return core(*graph)


def first_of_two(core, *graph):
    return core(*graph)[0]


#: How each core is built, and how the invariant node features are read off it.
CORES = {
    "schnet": (lambda: SchNet(N_HIDDEN, 2, 6, CUTOFF, N_EDGE), features),
    "egnn": (lambda: EGNN(N_HIDDEN, 3, N_EDGE), first_of_two),
    "dimenet": (lambda: DimeNetPlusPlus(N_HIDDEN, 2, 6, 4, CUTOFF, N_EDGE), features),
    "faenet": (lambda: FAENet(N_HIDDEN, 2, 6, CUTOFF, N_EDGE), faenet_scalars),
    "gotennet": (lambda: GotenNet(N_HIDDEN, 2, 2, 2, 6, CUTOFF, N_EDGE), features),
}
PAIR_NETWORKS = {
    "schnet": PairSchNet, "egnn": PairEGNN, "dimenet": PairDimeNet, "faenet": PairFAENet,
    "gotennet": PairGotenNet,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def pair_graphs(vector):
    """Positions and edges of two-atom graphs, one behind the other."""
    positions = torch.stack([torch.zeros_like(vector), vector], dim=1).flatten(0, 1)
    target = torch.arange(len(positions))
    return positions, torch.stack([target ^ 1, target])


def all_edges(n):
    edges = [(j, i) for j, i in itertools.product(range(n), repeat=2) if i != j]
    return torch.tensor(edges).T


def molecule(n=4, positions=None):
    edge_index = all_edges(n)
    positions = normal(n, 3) if positions is None else positions
    return normal(n, N_HIDDEN), positions, edge_index, normal(edge_index.shape[1], N_EDGE)


def rigid_motion(reflect=False):
    rotation = torch.linalg.qr(normal(3, 3))[0]
    rotation = rotation * torch.linalg.det(rotation)
    return (-rotation if reflect else rotation), 3 * normal(3)


def build(name):
    make, scalars = CORES[name]
    core = make().double()
    return lambda *graph: scalars(core, *graph)


def pair_network(name, parity=(0,)):
    params = {
        "n_elements": 103, "n_atom": 2, "n_pair": 2,
        "n_outputs": len(parity), "n_hidden": 16, "n_layers": 2,
    }  # fmt: skip
    return SwapSymmetric(PAIR_NETWORKS[name], params, parity).double().eval()


def pairs(n=5):
    z = torch.randint(1, 100, (n, 2))
    return {"z": z, "atom": normal(n, 2, 2), "pair": normal(n, 2), "vector": 2 * normal(n, 3)}


# Bases ----------------------------------------------------------------------------------


def test_gaussian_basis_equals_torch_geometric():
    d = torch.linspace(0.1, 7, 20)
    expected = pyg_schnet.GaussianSmearing(0.0, CUTOFF, 12)(d)
    torch.testing.assert_close(GaussianBasis(12, CUTOFF)(d), expected)


def test_bessel_basis_equals_torch_geometric_and_is_finite_at_zero():
    d = torch.linspace(0.1, 7, 20)
    ours = BesselBasis(5, CUTOFF)
    torch.testing.assert_close(ours(d), pyg_dimenet.BesselBasisLayer(5, CUTOFF)(d))
    torch.testing.assert_close(ours(torch.zeros(1))[0], torch.arange(1, 6) * math.pi)


@pytest.mark.parametrize("order", range(8))
def test_spherical_bessel_functions_equal_scipy(order):
    x = torch.cat([torch.linspace(0, 30, 400).double(), torch.tensor([1e-8, order + 1.0])])
    expected = torch.from_numpy(spherical_jn(order, x.numpy()))
    torch.testing.assert_close(spherical_bessel(order, x), expected, rtol=1e-9, atol=1e-12)
    single = spherical_bessel(order, x.float()).double()
    torch.testing.assert_close(single, expected, rtol=1e-3, atol=2e-6)
    x.requires_grad_()
    (slope,) = torch.autograd.grad(spherical_bessel(order, x).sum(), x)
    derivative = torch.from_numpy(spherical_jn(order, x.detach().numpy(), derivative=True))
    torch.testing.assert_close(slope, derivative, rtol=1e-8, atol=1e-11)


def test_spherical_basis_equals_its_formula():
    n_spherical, n_radial = 5, 4
    basis = SphericalBasis(n_spherical, n_radial, CUTOFF).double()
    d, angle = torch.rand(6).double() * CUTOFF, torch.rand(9).double() * math.pi
    edge = torch.randint(0, 6, (9,))
    out = basis(d, angle.cos(), edge).view(9, n_spherical, n_radial)
    x = d[edge].numpy() / CUTOFF
    envelope = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
    grid = np.linspace(1e-3, 30, 300_001)
    for l in range(n_spherical):
        values = spherical_jn(l, grid)
        zeros = grid[1:][values[1:] * values[:-1] < 0][:n_radial]  # to the grid's 1e-4
        angular = np.sqrt((2 * l + 1) / (4 * np.pi)) * eval_legendre(l, angle.cos().numpy())
        for n, zero in enumerate(zeros):
            norm = np.sqrt(2 / spherical_jn(l + 1, zero) ** 2)
            expected = envelope * norm * spherical_jn(l, zero * x) * angular
            np.testing.assert_allclose(out[:, l, n], expected, atol=3e-3)


def test_radial_waves_of_one_order_are_orthonormal():
    basis = SphericalBasis(4, 3, 1.0).double()
    x = torch.linspace(1e-6, 1 - 1e-9, 20_001, dtype=torch.float64)
    waves = basis.radial(x) / polynomial_envelope(x)[:, None, None].clamp(min=1e-30)
    waves = torch.where(x[:, None, None] < 0.999, waves, 0.0)  # the envelope vanishes at 1
    l = torch.arange(4)
    waves = waves / torch.sqrt((2 * l + 1) / (4 * math.pi))[:, None]
    overlap = torch.einsum("xln,xlm,x->lnm", waves, waves, x**2) * (x[1] - x[0])
    expected = torch.eye(3).double().expand(4, 3, 3)
    torch.testing.assert_close(overlap, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("cut", [lambda d: cosine_cutoff(d, CUTOFF),
                                 lambda d: polynomial_envelope(d / CUTOFF)])  # fmt: skip
def test_cutoffs_fall_smoothly_from_one_to_zero(cut):
    d = torch.tensor([0.0, CUTOFF - 1e-3, CUTOFF, CUTOFF + 1], requires_grad=True)
    value = cut(d)
    torch.testing.assert_close(value, torch.tensor([1.0, 0, 0, 0]), atol=1e-5, rtol=0)
    (slope,) = torch.autograd.grad(value.sum(), d)
    torch.testing.assert_close(slope, torch.zeros(4), atol=1e-3, rtol=0)
    middle = cut(torch.linspace(0, CUTOFF, 50))
    assert (middle.diff() <= 0).all()


# Graphs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 5])
def test_triplets_equal_a_loop_over_edges(n):
    edge_index = all_edges(n)
    edge_index = edge_index[:, torch.randperm(edge_index.shape[1])]
    edge_index = edge_index[:, :-2]  # not every edge has its reverse
    edges = edge_index.T.tolist()
    expected = [
        (kj, ji)
        for ji, (j, i) in enumerate(edges)
        for kj, (k, end) in enumerate(edges)
        if end == j and k != i
    ]
    kj, ji = triplets(edge_index, n)
    assert sorted(zip(kj.tolist(), ji.tolist(), strict=True)) == sorted(expected)
    assert (ji.diff() >= 0).all()


def test_two_atoms_have_no_triplets():
    _, edge_index = pair_graphs(normal(4, 3))
    assert all(len(index) == 0 for index in triplets(edge_index, 8))
    dimenet = DimeNetPlusPlus(N_HIDDEN, 1, 4, 3, CUTOFF).double()
    out = dimenet(normal(8, N_HIDDEN), normal(8, 3), edge_index, normal(8, 0))
    assert torch.isfinite(out).all()


def test_angles_of_water():
    angle = math.radians(104.5)
    positions = torch.tensor(
        [[0, 0, 0], [1, 0, 0], [math.cos(angle), math.sin(angle), 0]], dtype=torch.float64
    )
    edge_index = all_edges(3)
    kj, ji = triplets(edge_index, 3)
    cosines = angle_cosines(edge_vectors(positions, edge_index), kj, ji)
    at_oxygen = edge_index[1][kj] == 0
    assert at_oxygen.sum() == 2
    torch.testing.assert_close(
        cosines[at_oxygen], torch.full((2,), math.cos(angle), dtype=torch.float64)
    )
    total = torch.acos(cosines).sum() / 2  # each angle is met from both sides
    assert total.item() == pytest.approx(math.pi)


def test_lengths_have_finite_first_and_second_derivatives_at_zero():
    vectors = torch.zeros(2, 3, requires_grad=True)
    (first,) = torch.autograd.grad(lengths(vectors).sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), vectors)
    assert torch.equal(first, torch.zeros(2, 3)) and torch.equal(second, torch.zeros(2, 3))


# Against torch-geometric ----------------------------------------------------------------


def copy_linears(ours, theirs):
    with torch.no_grad():
        for mine, other in zip(ours, theirs, strict=True):
            mine.weight.copy_(other.weight)
            assert (mine.bias is None) == (other.bias is None)
            if mine.bias is not None:
                mine.bias.copy_(other.bias)


def test_schnet_interaction_equals_torch_geometric():
    theirs = pyg_schnet.InteractionBlock(N_HIDDEN, 6, N_HIDDEN, CUTOFF).double()
    ours = SchNetInteraction(N_HIDDEN, 6).double()
    copy_linears(
        [ours.filter[0], ours.filter[2], ours.source, ours.update[0], ours.update[2]],
        [theirs.mlp[0], theirs.mlp[2], theirs.conv.lin1, theirs.conv.lin2, theirs.lin],
    )
    x, positions, edge_index, _ = molecule(5)
    d = lengths(edge_vectors(positions, edge_index))
    radial = normal(len(d), 6)
    torch.testing.assert_close(
        ours(x, edge_index, radial, cosine_cutoff(d, CUTOFF)), theirs(x, edge_index, d, radial)
    )


def test_dimenet_interaction_equals_torch_geometric():
    n_radial, n_spherical = 3, 4
    theirs = pyg_dimenet.InteractionPPBlock(
        N_HIDDEN, N_HIDDEN // 2, 8, n_spherical, n_radial, 1, 2, torch.nn.SiLU()
    ).double()
    ours = DimeNetInteraction(N_HIDDEN, n_radial, n_spherical).double()
    sums, residuals = ours.directional, [ours.before, *ours.after]
    their_residuals = [*theirs.layers_before_skip, *theirs.layers_after_skip]
    copy_linears(
        [ours.own[0], sums.incoming, *sums.radial, *sums.angular, sums.down, sums.up,
         ours.skip[0], *(r.layers[i] for r in residuals for i in (0, 2))],
        [theirs.lin_ji, theirs.lin_kj, theirs.lin_rbf1, theirs.lin_rbf2, theirs.lin_sbf1,
         theirs.lin_sbf2, theirs.lin_down, theirs.lin_up, theirs.lin,
         *(getattr(r, name) for r in their_residuals for name in ("lin1", "lin2"))],
    )  # fmt: skip
    kj, ji = triplets(all_edges(4), 4)
    messages, radial = normal(12, N_HIDDEN), normal(12, n_radial)
    angular = normal(len(kj), n_radial * n_spherical)
    torch.testing.assert_close(
        ours(messages, radial, (angular, kj, ji)), theirs(messages, radial, angular, kj, ji)
    )


# Rigid motions --------------------------------------------------------------------------


@pytest.mark.parametrize("reflect", [False, True])
@pytest.mark.parametrize("name", CORES)
def test_scalars_do_not_change_under_rigid_motions(name, reflect):
    core, (x, positions, edge_index, edge) = build(name), molecule()
    rotation, shift = rigid_motion(reflect)
    out = core(x, positions, edge_index, edge)
    moved = core(x, positions @ rotation.T + shift, edge_index, edge)
    torch.testing.assert_close(moved, out, rtol=0, atol=1e-10)
    stretched = core(x, 1.1 * positions, edge_index, edge)
    assert (stretched - out).abs().max() > 1e-5, "the geometry is seen at all"


@pytest.mark.parametrize("name", CORES)
def test_the_numbering_of_atoms_does_not_matter(name):
    core, (x, positions, edge_index, edge) = build(name), molecule()
    order = torch.tensor([2, 0, 3, 1])
    place = torch.argsort(order)  # old atom order[k] is new atom k
    out = core(x, positions, edge_index, edge)
    renumbered = core(x[order], positions[order], place[edge_index], edge)
    torch.testing.assert_close(renumbered, out[order], rtol=0, atol=1e-12)


def test_positions_of_egnn_follow_rigid_motions():
    core = EGNN(N_HIDDEN, 3, N_EDGE).double()
    with torch.no_grad():  # larger steps than the first ones
        for layer in core.layers:
            layer.shift[-1].weight *= 100
    x, positions, edge_index, edge = molecule()
    rotation, shift = rigid_motion()
    out = core(x, positions, edge_index, edge)[1]
    assert (out - positions).abs().max() > 1e-2
    moved = core(x, positions @ rotation.T + shift, edge_index, edge)[1]
    torch.testing.assert_close(moved, out @ rotation.T + shift, rtol=0, atol=1e-10)


def test_one_egnn_step_by_hand():
    layer = EGNN(N_HIDDEN, 1, N_EDGE).double().layers[0]
    x, positions, edge_index, edge = molecule(3)
    features, moved = layer(x, positions, edge_index, edge)
    for i in range(3):
        messages, step = [], torch.zeros(3, dtype=torch.float64)
        for e, (j, target) in enumerate(edge_index.T.tolist()):
            if target != i:
                continue
            difference = positions[i] - positions[j]
            inputs = [x[i], x[j], difference.dot(difference)[None], edge[e]]
            message = layer.message(torch.cat(inputs))
            step += difference / (difference.norm() + 1) * layer.shift(message) / 2
            messages.append(message)
        torch.testing.assert_close(moved[i], positions[i] + step)
        update = layer.update(torch.cat([x[i], sum(messages)]))
        torch.testing.assert_close(features[i], x[i] + update)


def test_dimenet_tells_geometries_apart_that_share_all_bond_lengths():
    core = DimeNetPlusPlus(N_HIDDEN, 2, 6, 4, CUTOFF, N_EDGE).double()
    x, edge = normal(3, N_HIDDEN), normal(4, N_EDGE)
    bonds = torch.tensor([[1, 0, 2, 0], [0, 1, 0, 2]])  # no edge between atoms 1 and 2

    def bent(angle):
        third = [math.cos(angle), math.sin(angle), 0]
        return torch.tensor([[0, 0, 0], [1, 0, 0], third], dtype=torch.float64)

    difference = core(x, bent(1.8), bonds, edge) - core(x, bent(2.4), bonds, edge)
    assert difference.abs().max() > 1e-6


# Frames ---------------------------------------------------------------------------------


def test_faenet_without_averaging_is_not_invariant():
    core, (x, positions, edge_index, edge) = CORES["faenet"][0]().double(), molecule()
    rotation, _ = rigid_motion()
    vectors = edge_vectors(positions, edge_index)
    change = core(x, vectors @ rotation.T, edge_index, edge) - core(
        x, vectors, edge_index, edge
    )
    assert change.abs().max() > 1e-3


@pytest.mark.parametrize("n_extended", [0, 1, 2], ids=["point", "linear", "planar"])
def test_frames_of_degenerate_molecules_are_well_defined(n_extended):
    flat = normal(4, 3)
    flat[:, n_extended:] = 0
    rotation, shift = rigid_motion()
    moved = flat @ rotation.T + shift
    pairs = torch.combinations(torch.arange(4)).T
    frames = frames_of(moved, pairs, torch.zeros(4, dtype=torch.int64))
    assert len(torch.unique(frames.round(decimals=9) + 0.0, dim=0)) == 2**n_extended
    assert (frames[..., n_extended:] == 0).all()
    core = build("faenet")
    x, _, edge_index, edge = molecule()
    out = core(x, flat, edge_index, edge)
    torch.testing.assert_close(core(x, moved, edge_index, edge), out, rtol=0, atol=1e-10)


def test_frames_keep_distances_and_graphs_apart():
    positions, graph = normal(7, 3), torch.tensor([0, 1, 0, 1, 1, 0, 0])
    pairs = torch.combinations(torch.arange(7)).T
    pairs = pairs[:, graph[pairs[0]] == graph[pairs[1]]]
    frames = frames_of(positions, pairs, graph)
    for k in range(2):
        own = pairs[:, graph[pairs[0]] == k]
        alone = frames_of(positions, own, graph * 0)
        torch.testing.assert_close(frames[:, graph[pairs[0]] == k].abs(), alone.abs())
    distances = lengths(edge_vectors(positions, pairs))
    torch.testing.assert_close(lengths(frames), distances.expand(8, -1))


# Two atoms ------------------------------------------------------------------------------


def frames_of_pairs(core, x, positions, edge_index, edge):
    frames = frames_of(positions, edge_index, torch.arange(len(x)) // 2)
    return average_over_bond_frames(core, x, frames, edge_index, edge)


#: Cores, some of them as no pair network has them, and what they make of any graph.
TWO_ATOMS = {
    **{name: (make, scalars) for name, (make, scalars) in CORES.items() if name != "faenet"},
    "egnn-cutoff": (lambda: EGNN(N_HIDDEN, 3, N_EDGE, cutoff=CUTOFF), first_of_two),
    "faenet": (CORES["faenet"][0], frames_of_pairs),
    "faenet-damped": (lambda: FAENet(N_HIDDEN, 2, 6, CUTOFF, N_EDGE, True), frames_of_pairs),
    "gotennet-3": (lambda: GotenNet(N_HIDDEN, 3, 2, 3, 6, CUTOFF, N_EDGE), features),
}


@pytest.mark.parametrize("name", TWO_ATOMS)
def test_two_atoms_have_the_features_that_they_have_in_any_graph(name):
    make, scalars = TWO_ATOMS[name]
    core = make().double()
    with torch.no_grad():
        for key, weight in core.named_parameters():
            if ".shift." in key:  # steps through the other atom, too
                weight *= 10
    distance = torch.tensor([0.0, 0.3, 2.0, CUTOFF - 0.1, CUTOFF + 1]).double()
    direction = torch.nn.functional.normalize(normal(5, 3), dim=-1)
    positions, edge_index = pair_graphs(distance[:, None] * direction)
    x, edge = normal(10, N_HIDDEN), normal(5, N_EDGE)
    expected = scalars(core, x, positions, edge_index, edge.repeat_interleave(2, dim=0))
    found = core.of_pairs(x.unflatten(0, (5, 2)).transpose(0, 1), distance, edge)
    found = found.transpose(0, 1).flatten(0, 1)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


# Pairs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_pairs_see_the_length_of_the_bond_but_not_its_direction(name):
    model, inputs = pair_network(name), pairs()
    rotation, _ = rigid_motion()
    out = model(**inputs)
    turned = model(**{**inputs, "vector": inputs["vector"] @ rotation.T})
    torch.testing.assert_close(turned, out, rtol=0, atol=1e-10)
    stretched = model(**{**inputs, "vector": 1.2 * inputs["vector"]})
    assert ((stretched - out).abs() > 1e-7).all()


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_both_orders_at_once_are_those_one_by_one(name):
    network, inputs = pair_network(name, (1, -1)).network, pairs()
    with torch.no_grad():
        for weight in network.parameters():
            if not weight.any():  # terms that start at zero take part too
                weight.normal_(std=0.1)
    own, exchanged = network.both_orders(**inputs)
    swapped = swap_atoms(inputs, torch.zeros(0, dtype=torch.bool))
    torch.testing.assert_close(own, network(**inputs), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(exchanged, network(**swapped), rtol=1e-12, atol=1e-12)
    assert not torch.allclose(own, exchanged)


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_outputs_are_even_or_odd_under_exchange_of_the_atoms(name):
    model, inputs = pair_network(name, (1, -1)), pairs()
    out = model(**inputs)
    swapped = model(**swap_atoms(inputs, torch.zeros(0, dtype=torch.bool)))
    torch.testing.assert_close(swapped, out * torch.tensor([1.0, -1.0]), rtol=0, atol=1e-14)
    assert (out[:, 1].abs() > 1e-7).all()


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_exchanged_outputs_agree_to_the_last_bit_in_batches_of_any_size(name):
    model = pair_network(name, (1, -1))
    for n in (1, 2, 7, 33, 65):
        inputs = pairs(n)
        inputs["vector"][:, :2] = 0  # as readers lay the bond
        swapped = swap_atoms(inputs, torch.zeros(0, dtype=torch.bool))
        with torch.no_grad():
            out = model(**inputs)
            assert torch.equal(model(**swapped), out * torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("name", PAIR_NETWORKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_coinciding_atoms_give_finite_outputs_and_gradients(name, dtype):
    model, inputs = pair_network(name, (1, 1)).train().to(dtype), pairs()
    inputs = {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}
    inputs["vector"] = torch.zeros(5, 3, dtype=dtype, requires_grad=True)
    out = model(**inputs)
    out.square().sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(inputs["vector"].grad).all()
    for key, weight in model.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), key


@pytest.mark.parametrize("name", CORES)
def test_coinciding_and_distant_atoms_of_a_molecule_are_harmless(name):
    positions = torch.tensor([[0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 100, 0]]).double()
    x, positions, edge_index, edge = molecule(4, positions.requires_grad_())
    out = build(name)(x, positions, edge_index, edge)
    (slope,) = torch.autograd.grad(out.sum(), positions)
    assert torch.isfinite(out).all() and torch.isfinite(slope).all()


@pytest.mark.parametrize("name", ["schnet", "dimenet", "gotennet"])
def test_nothing_jumps_where_a_bond_reaches_the_cutoff(name):
    core = CORES[name][0]().double()
    x, edge = normal(2, N_HIDDEN), normal(2, N_EDGE)

    def at(d):
        return core(x, torch.tensor([[0, 0, 0], [d, 0, 0]]).double(), all_edges(2), edge)

    torch.testing.assert_close(at(CUTOFF - 1e-5), at(CUTOFF + 1e-5), rtol=0, atol=1e-8)
    torch.testing.assert_close(at(CUTOFF + 1), at(CUTOFF + 2))


@pytest.mark.parametrize("name", PAIR_NETWORKS)
def test_a_row_does_not_depend_on_its_neighbours(name):
    model, inputs = pair_network(name, (1,)), pairs()
    alone = torch.cat([model(**{k: v[i : i + 1] for k, v in inputs.items()}) for i in range(5)])
    torch.testing.assert_close(model(**inputs), alone, rtol=1e-12, atol=1e-12)


# Regressors -----------------------------------------------------------------------------

REGRESSORS = [
    SchNetRegressor,
    EGNNRegressor,
    DimeNetRegressor,
    FAENetRegressor,
    GotenNetRegressor,
]


@pytest.mark.parametrize("kind", REGRESSORS)
def test_the_default_network_has_the_size_that_it_is_known_for(kind):
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    model = kind(max_epochs=1, random_state=0).fit(X[:64], y[:64])
    assert 0.2e6 < model.n_parameters_ < 0.5e6


@pytest.mark.parametrize(
    "kind", [SchNetRegressor, DimeNetRegressor, FAENetRegressor, GotenNetRegressor]
)
@pytest.mark.parametrize(
    "name, value",
    [("cutoff", 0.0), ("cutoff", math.nan), ("cutoff", math.inf), ("cutoff", "8"),
     ("n_radial", 0), ("n_radial", 2.5), ("n_layers", 0)],
)  # fmt: skip
def test_bad_parameters_are_named(kind, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        kind(**{name: value}).fit([["H", "He"]], [0.0])


@pytest.mark.parametrize("kind", REGRESSORS)
def test_bond_lengths_of_the_users_reach_the_network(kind):
    """Scalars of the pair aside: a fitted network still sees the bond vector itself."""
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    model = kind(n_hidden=16, max_epochs=3, random_state=0).fit(X[:64], y[:64])
    network = model.net_.module_.eval()
    inputs = model.reader_.read(model, X[:64]).to(torch.device("cpu")).batch(slice(8))
    longer = {**inputs, "vector": 1.3 * inputs["vector"]}
    assert (network(**longer) != network(**inputs)).all()

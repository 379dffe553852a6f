"""The networks of molecules: symmetries, forces, the cutoff, periodic images, read-outs."""

import math

import numpy as np
import pytest
import torch

from qcanvas_sklearn import nn
from qcanvas_sklearn.nn.cores.faenet import bond_frames
from qcanvas_sklearn.nn.cores.gatv2 import DenseGATv2Conv, GATv2Conv
from qcanvas_sklearn.nn.graphs import edge_vectors, lengths, triplets
from qcanvas_sklearn.nn.heads._molecule_readout import MoleculeReadOut
from qcanvas_sklearn.nn.layers import linear_of_edges
from qcanvas_sklearn.nn.radial import polynomial_cutoff
from qcanvas_sklearn.structures import Molecules

CUTOFF = 4.0
NETWORKS = {
    "schnet": (nn.MoleculeSchNet, {"n_radial": 8}),
    "gatv2": (nn.MoleculeGATv2, {"n_radial": 8, "n_heads": 2}),
    "egnn": (nn.MoleculeEGNN, {"n_radial": 8}),
    "dimenet": (nn.MoleculeDimeNet, {"n_radial": 4, "n_spherical": 4}),
    "faenet": (nn.MoleculeFAENet, {"n_radial": 8}),
    "gotennet": (nn.MoleculeGotenNet, {"n_radial": 8, "n_heads": 2}),
}
READOUT = ("sum", "mean", "attention", "dipole")
every_family = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def params(name, readout=READOUT, **others):
    return {
        "n_elements": 10, "n_outputs": len(readout), "readout": readout, "n_hidden": 8,
        "n_layers": 2, "cutoff": CUTOFF, **NETWORKS[name][1], **others,
    }  # fmt: skip


def awake(network):
    """The network in double precision, its last weights as large as those of a fitted one."""
    with torch.no_grad():
        for key, weight in network.named_parameters():
            if "readout" in key and weight.ndim == 2:
                weight.normal_(std=0.5)
            if key.endswith("shift.2.weight"):  # steps of EGNN
                weight.normal_(std=0.3)
    return network.double().eval()


def build(name, readout=READOUT, **others):
    return awake(NETWORKS[name][0](**params(name, readout, **others)))


def with_forces(name, n_members=0, energy=0):
    network, given = NETWORKS[name][0], params(name)
    if n_members:
        given = {"n_members": n_members, "network": network, "network_params": given}
        network = nn.Ensemble
    return awake(nn.EnergyForces(network, given, energy))


def structure(n, charge=0.0, spread=1.6):
    """Atoms at random, none of them close to another."""
    while True:
        positions = spread * normal(n, 3)
        if n == 1 or torch.pdist(positions).min() > 0.9:
            return torch.randint(1, 11, (n,)), positions, charge


def graph_of(edges, z, graph, positions, charge):
    """A batch with the given neighbour pairs (E / 2, 2)."""
    half = torch.as_tensor(edges, dtype=torch.int64).reshape(-1, 2).T
    return {
        "z": z, "positions": positions, "graph": graph,
        "charge": torch.tensor(charge, dtype=torch.float64),
        "edge_index": torch.cat([half, half.flip(0)], dim=1),
    }  # fmt: skip


def batch(*structures, reach=CUTOFF):
    """A batch of molecules, with all neighbour pairs up to a distance."""
    z = torch.cat([s[0] for s in structures])
    positions = torch.cat([s[1] for s in structures])
    counts = torch.tensor([len(s[0]) for s in structures])
    graph = torch.repeat_interleave(torch.arange(len(structures)), counts)
    near = torch.cdist(positions, positions) < reach
    near = torch.triu(near & (graph[:, None] == graph), 1)
    return graph_of(near.nonzero(), z, graph, positions, [s[2] for s in structures])


def crystal_batch(*crystals, reach=CUTOFF):
    """A batch of periodic structures (z, positions, cell)."""
    counts = [len(z) for z, _, _ in crystals]
    molecules = Molecules(
        z=np.concatenate([z for z, _, _ in crystals]),
        positions=np.concatenate([p for _, p, _ in crystals]),
        ptr=np.cumsum([0, *counts]),
        cell=np.stack([cell for _, _, cell in crystals]),
        pbc=np.ones((len(crystals), 3), bool),
    )
    near = molecules.neighbours(reach, half=True)
    shift = torch.from_numpy(near.offsets(molecules.cell))
    graph = torch.repeat_interleave(torch.arange(len(crystals)), torch.tensor(counts))
    z, positions = torch.tensor(molecules.z), torch.tensor(molecules.positions)
    edges = np.column_stack([near.i, near.j])
    made = graph_of(edges, z, graph, positions, [0.0] * len(crystals))
    return {**made, "shift": torch.cat([shift, -shift])}


def small_crystal():
    cell = np.array([[3.1, 0.2, -0.3], [0.4, 3.6, 0.5], [-0.2, 0.3, 4.3]])
    fractions = np.array([[0.1, 0.2, 0.15], [0.55, 0.6, 0.4], [0.3, 0.8, 0.75]])
    return np.array([6, 8, 1]), fractions @ cell, cell


def three():
    return structure(6, 1.0), structure(4), structure(7, -1.0)


def turned(given, reflect=False):
    rotation = torch.linalg.qr(normal(3, 3))[0]
    rotation = rotation * torch.linalg.det(rotation) * (-1 if reflect else 1)
    return {**given, "positions": given["positions"] @ rotation.T}, rotation


def close(actual, expected, atol=1e-10):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# Symmetries -----------------------------------------------------------------------------


@pytest.mark.parametrize("reflect", [False, True])
@every_family
def test_outputs_stay_and_forces_turn_with_the_molecule(name, reflect):
    model, given = with_forces(name), batch(*three())
    out = model(**given)
    moved, rotation = turned(given, reflect)
    moved["positions"] = moved["positions"] + 5 * normal(3)[None].expand(17, 3)
    other = model(**moved)
    close(other["y"], out["y"])
    close(other["forces"], out["forces"] @ rotation.T)
    assert out["forces"].abs().max() > 1e-3, "there is something to turn"
    close(out["forces"][:6].sum(0), torch.zeros(3).double())


@every_family
def test_the_numbering_of_atoms_and_edges_does_not_matter(name):
    model = with_forces(name)
    z, positions, charge = structure(7)
    order, half = torch.randperm(7), torch.randperm(21)
    out = model(**batch((z, positions, charge), reach=99))
    given = batch((z[order], positions[order], charge), reach=99)
    edges = given["edge_index"]
    given["edge_index"] = edges[:, torch.cat([half, half + 21])]
    other = model(**given)
    close(other["y"], out["y"])
    close(other["forces"], out["forces"][order])
    given["edge_index"] = edges.flip(0)  # which of the halves comes first
    close(model(**given)["y"], out["y"])


@every_family
def test_a_molecule_does_not_depend_on_those_beside_it(name):
    model, parts = with_forces(name), [*three(), structure(1, 1.0), structure(2), structure(1)]
    out, alone = model(**batch(*parts)), [model(**batch(part)) for part in parts]
    close(out["y"], torch.cat([one["y"] for one in alone]))
    close(out["forces"], torch.cat([one["forces"] for one in alone]))


@every_family
def test_the_charge_changes_outputs(name):
    model = build(name)
    z, positions, _ = structure(5)
    neutral, cation = model(**batch((z, positions, 0.0), (z, positions, 1.0)))
    assert ((neutral - cation).abs() > 1e-4).all()


@every_family
def test_untrained_networks_predict_next_to_nothing(name):
    out = NETWORKS[name][0](**params(name)).double()(**batch(*three()))
    neutral = out[1]
    assert (neutral.abs() < 0.2).all() and (neutral != 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_family
def test_precision_is_that_of_the_inputs(name, dtype):
    model = with_forces(name).to(dtype)
    given = batch(*three())
    cast = {k: v.to(dtype) if v.is_floating_point() else v for k, v in given.items()}
    out, exact = model(**cast), with_forces_like(model, name)(**given)
    assert out["y"].dtype == out["forces"].dtype == dtype
    torch.testing.assert_close(out["y"].double(), exact["y"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(out["forces"].double(), exact["forces"], rtol=1e-2, atol=1e-3)


def with_forces_like(model, name):
    other = with_forces(name)
    other.load_state_dict(model.state_dict())
    return other


@every_family
def test_encode_gives_features_of_the_atoms(name):
    features = build(name).encode(**batch(*three()))
    assert features.shape == (17, 8)
    assert (torch.pdist(features) > 1e-6).all()


# Forces ---------------------------------------------------------------------------------


def slopes(model, given, step=1e-4):
    """Central differences of the energy with each coordinate."""
    model.wants_forces = False
    columns = []
    for k in range(given["positions"].numel()):
        ends = []
        for sign in (1, -1):
            positions = given["positions"].clone()
            positions.view(-1)[k] += sign * step
            ends.append(model(**{**given, "positions": positions})["y"][..., model.energy])
        columns.append((ends[0] - ends[1]).sum(0) / (2 * step))
    model.wants_forces = True
    columns = torch.stack(columns)
    return columns.view(*given["positions"].shape, *columns.shape[1:])


@pytest.mark.parametrize("n_members", [0, 2])
@every_family
def test_forces_are_the_slopes_of_the_energy(name, n_members):
    model, given = with_forces(name, n_members), batch(structure(5), structure(3, 1.0))
    expected = slopes(model, given)
    if n_members:
        expected = expected.transpose(1, 2)
    close(model(**given)["forces"], -expected, atol=1e-6)


@every_family
def test_forces_may_be_those_of_any_output(name):
    model, given = with_forces(name, energy=2), batch(structure(4))
    close(model(**given)["forces"], -slopes(model, given), atol=1e-6)


@every_family
def test_forces_in_crystals_are_slopes_too(name):
    model, given = with_forces(name), crystal_batch(small_crystal())
    close(model(**given)["forces"], -slopes(model, given), atol=1e-6)


@every_family
def test_members_of_an_ensemble_are_what_each_is_alone(name):
    model, given = with_forces(name, 2), batch(*three())
    out = model(**given)
    assert out["y"].shape == (3, 2, 4) and out["forces"].shape == (17, 2, 3)
    alone = with_forces(name)
    for k, member in enumerate(model.network.members):
        alone.network = member
        expected = alone(**given)
        close(out["y"][:, k], expected["y"])
        close(out["forces"][:, k], expected["forces"])
    assert (out["forces"][:, 0] - out["forces"][:, 1]).abs().max() > 1e-3


def test_positions_may_differ_between_members():
    given, (_, first, _), (_, second, _) = batch(structure(5)), structure(5), structure(5)
    both = torch.stack([first, second])
    ensemble = nn.Ensemble(2, nn.MoleculeSchNet, params("schnet")).double().eval()
    out = ensemble(**{**given, "positions": both})
    for k, member in enumerate(ensemble.members):
        close(out[:, k], member(**{**given, "positions": both[k]}))


@pytest.mark.parametrize("n_members", [0, 2])
@every_family
def test_every_weight_learns_from_energies_and_forces(name, n_members):
    model, given = with_forces(name, n_members).train(), batch(*three(), structure(1))
    out = model(**given)
    assert out["forces"].requires_grad
    (out["y"].square().sum() + out["forces"].square().sum()).backward()
    for key, weight in model.named_parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all(), key
        assert weight.grad.abs().max() > 0, key


@every_family
def test_slopes_of_forces_with_the_weights_are_right(name):
    model, given = with_forces(name).train(), batch(structure(4))
    weights = [w for key, w in model.named_parameters() if "core" in key and w.ndim == 2]
    direction = normal(4, 3)

    def work():
        return (model(**given)["forces"] * direction).sum()

    for weight in weights[:: max(1, len(weights) // 4)]:
        (slope,) = torch.autograd.grad(work(), weight)
        change = torch.randn_like(weight)
        ends = []
        for step in (1e-5, -2e-5):
            with torch.no_grad():
                weight += step * change
            ends.append(work().detach())
        with torch.no_grad():
            weight += 1e-5 * change
        expected = (ends[0] - ends[1]) / 2e-5
        torch.testing.assert_close((slope * change).sum(), expected, rtol=1e-4, atol=1e-7)


def test_forces_come_without_a_graph_unless_it_is_needed():
    model, given = with_forces("schnet"), batch(structure(6))
    assert not any(v.requires_grad for v in model(**given).values())
    with torch.no_grad():
        out = model.train()(**given)
    assert not any(v.requires_grad for v in out.values())
    close(out["forces"], model.eval()(**given)["forces"])
    free = given["positions"].clone().requires_grad_()
    out = model(**{**given, "positions": free})
    (curvature,) = torch.autograd.grad(out["forces"].square().sum(), free)
    assert curvature.abs().max() > 1e-4
    with torch.inference_mode(), pytest.raises(RuntimeError, match="inference_mode"):
        model(**given)
    model.wants_forces = False
    with torch.inference_mode():
        assert list(model(**given)) == ["y"]


# The cutoff -----------------------------------------------------------------------------


def leaving(distance, reach=CUTOFF):
    """A bent molecule whose last atom is at a distance from the first, others farther."""
    corner = [[0, 0, 0], [-0.9, 0.5, 0.1], [-1.0, -0.7, 0.4]]
    positions = torch.tensor([*corner, [distance, 0, 0]], dtype=torch.float64)
    return batch((torch.tensor([6, 1, 8, 7]), positions, 0.0), reach=reach)


def energy_force_curvature(model, distance, reach):
    given = leaving(distance, reach)
    free = given["positions"].requires_grad_()
    out = model(**given)
    force = out["forces"][3, 0]
    (curvature,) = torch.autograd.grad(force, free)
    return torch.cat([out["y"].flatten(), out["forces"].flatten(), curvature.flatten()])


@every_family
def test_nothing_jumps_where_an_atom_passes_the_cutoff(name):
    """Energies, forces and curvatures, whether the edge behind the cutoff is listed or not."""
    model = with_forces(name)
    inside = energy_force_curvature(model, CUTOFF - 1e-5, CUTOFF)
    for reach in (CUTOFF, CUTOFF + 1):
        outside = energy_force_curvature(model, CUTOFF + 1e-5, reach)
        torch.testing.assert_close(inside, outside, rtol=0, atol=5e-4)
    within = energy_force_curvature(model, CUTOFF - 1.5, CUTOFF)
    assert (within - inside).abs().max() > 1e-2, "a neighbour matters"


@every_family
def test_an_edge_beyond_the_cutoff_changes_nothing(name):
    model, parts = with_forces(name), [structure(8, spread=2.5), structure(5, spread=2.5)]
    near, far = batch(*parts), batch(*parts, reach=99)
    assert near["edge_index"].shape[1] < far["edge_index"].shape[1]
    out, other = model(**near), model(**far)
    close(other["y"], out["y"])
    close(other["forces"], out["forces"])


@every_family
def test_atoms_out_of_reach_of_all_others_feel_nothing(name):
    model = with_forces(name)
    given = leaving(CUTOFF + 3, 99)
    close(model(**given)["forces"][3], torch.zeros(3).double())
    close(model(**leaving(CUTOFF + 5, 99))["y"][:, :3], model(**given)["y"][:, :3])


# Periodic images ------------------------------------------------------------------------


@every_family
def test_a_crystal_does_not_depend_on_how_its_cell_is_chosen(name):
    model = with_forces(name)
    z, positions, cell = small_crystal()
    images = np.array(list(np.ndindex(2, 2, 2))) @ cell
    doubled = (positions[None] + images[:, None]).reshape(-1, 3)
    moved = positions + np.array([[0, 0, 0], [1, 0, -1], [0, 2, 0]]) @ cell
    skewed = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]]) @ cell
    given = crystal_batch(
        (z, positions, cell), (np.tile(z, 8), doubled, 2 * cell), (z, moved, cell),
        (z, moved + 0.7, cell), (z, positions, skewed),
    )  # fmt: skip
    out = model(**given)
    energy, forces = out["y"][:, 0], out["forces"]
    close(energy, energy[0] * torch.tensor([1, 8, 1, 1, 1.0]).double(), atol=1e-9)
    close(out["y"][:, 1:3], out["y"][:1, 1:3].expand(5, 2))
    close(forces[3:27], forces[:3].repeat(8, 1))
    close(forces[27:], forces[:3].repeat(3, 1))
    assert forces.abs().max() > 1e-3


@every_family
def test_atoms_see_their_own_images(name):
    model, (_, _, cell) = build(name), small_crystal()
    one = np.array([6]), np.zeros((1, 3)), cell
    wider = np.array([6]), np.zeros((1, 3)), cell * 1.1
    out = model(**crystal_batch(one, wider))[:, 0]
    assert (out[0] - out[1]).abs() > 1e-4


def test_triplets_may_end_at_another_image_of_the_first_atom():
    """A chain of one atom a cell: all but going back are triplets."""
    edge_index = torch.zeros(2, 4, dtype=torch.int64)  # to +1, +2, -1, -2
    kj, ji = triplets(edge_index, 1, paired=True)
    found = set(zip(kj.tolist(), ji.tolist(), strict=True))
    assert found == {(a, b) for a in range(4) for b in range(4) if abs(a - b) != 2}
    given = batch(structure(6), structure(3))
    alike = [triplets(given["edge_index"], 9, paired) for paired in (False, True)]
    assert torch.equal(torch.stack(alike[0]), torch.stack(alike[1]))


# Special geometries ---------------------------------------------------------------------

SPECIAL = {
    "one atom": [[0, 0, 0]],
    "two atoms": [[0, 0, 0], [0, 0, 1.1]],
    "out of reach": [[0, 0, 0], [0, 0, 9.0]],
    "linear": [[0, 0, 0], [0, 0, 1.1], [0, 0, -1.2], [0, 0, 2.4]],
    "linear, symmetric": [[0, 0, 0], [0.7, 0.7, 0.3], [-0.7, -0.7, -0.3]],
    "planar": [[0, 0, 0], [1, 0, 0], [-0.4, 1.1, 0], [1.5, 1.6, 0]],
    "triangle": [[1, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]],
    "tetrahedron": [[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]],
    "coinciding": [[0, 0, 0], [0, 0, 0], [1, 0, 0]],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", SPECIAL)
@every_family
def test_special_geometries_have_finite_slopes_of_all_orders(name, kind, dtype):
    model = with_forces(name).to(dtype).train()
    positions = torch.tensor(SPECIAL[kind], dtype=torch.float64)
    given = batch((torch.full((len(positions),), 6), positions, 0.0), structure(4))
    given = {k: v.to(dtype) if v.is_floating_point() else v for k, v in given.items()}
    free = given["positions"].requires_grad_()
    out = model(**given)
    (out["forces"].square().sum() + out["y"].square().sum()).backward()
    assert all(torch.isfinite(v).all() for v in (*out.values(), free.grad))
    assert all(torch.isfinite(w.grad).all() for w in model.parameters())


@pytest.mark.parametrize("kind", ["linear", "linear, symmetric", "planar"])
@every_family
def test_straight_and_flat_molecules_have_exact_forces(name, kind):
    model, positions = with_forces(name), torch.tensor(SPECIAL[kind], dtype=torch.float64)
    z = torch.arange(1, len(positions) + 1)
    given, _ = turned(batch((z, positions, 0.0)))
    close(model(**given)["forces"], -slopes(model, given), atol=1e-6)


@every_family
def test_batches_without_any_edge(name):
    model = with_forces(name)
    out = model(**batch(structure(1), structure(1, 1.0)))
    assert out["y"].shape == (2, 4) and torch.isfinite(out["y"]).all()
    assert torch.equal(out["forces"], torch.zeros(2, 3).double())


# Read-outs ------------------------------------------------------------------------------


@every_family
def test_sums_are_extensive_and_means_intensive(name):
    """Two like molecules far apart, in one graph; FAENet's frames are then those of one."""
    model, (z, positions, _) = build(name), structure(6)
    far = torch.cat([positions, positions + 50])
    one, two = model(**batch((z, positions, 0.0), (torch.cat([z, z]), far, 0.0)))
    close(two[:3], one[:3] * torch.tensor([2, 1, 1]).double())
    if name != "faenet":
        other = structure(5)
        apart = torch.cat([positions, other[1] + 50])
        both = batch((z, positions, 0.0), other, (torch.cat([z, other[0]]), apart, 0.0))
        energies = model(**both)[:, 0]
        close(energies[2], energies[0] + energies[1])


def readout(kinds, n_hidden=4, **others):
    return awake(MoleculeReadOut(10, n_hidden, kinds, **others))


def test_read_outs_equal_their_formulas():
    head = readout(("mean", "attention", "sum", "attention", "dipole"))
    x, z, positions = normal(5, 4), torch.randint(1, 11, (5,)), normal(5, 3)
    graph, charge = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0.0, 2.0]).double()
    out = head(x, z, positions, graph, charge)
    raw = head.atomwise(x)
    values, logits = raw[:, :5] + head.element.weight[z], raw[:, 5:]
    for row, atoms in enumerate((slice(0, 3), slice(3, 5))):
        a, w = values[atoms], logits[atoms].softmax(0)
        q = a[:, 4] + (charge[row] - a[:, 4].sum()) / len(a)
        r = positions[atoms] - positions[atoms].mean(0)
        expected = [
            a[:, 0].mean(), (w[:, 0] * a[:, 1]).sum(), a[:, 2].sum(), (w[:, 1] * a[:, 3]).sum(),
            (q[:, None] * r).sum(0).norm(),
        ]  # fmt: skip
        torch.testing.assert_close(out[row], torch.stack(expected))


def test_elements_have_terms_of_their_own():
    head, z = readout(("sum", "mean")), torch.tensor([1, 8, 8])
    zero = torch.zeros(3, 4).double()
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
        head.element.weight[1], head.element.weight[8] = torch.tensor([[1.0], [4.0]]).double()
    graph, charge = torch.tensor([0, 0, 0]), torch.zeros(1).double()
    out = head(zero, z, normal(3, 3), graph, charge)
    close(out, torch.tensor([[9.0, 3.0]]).double())
    assert (MoleculeReadOut(10, 4, ("sum",)).element.weight == 0).all()


def test_dipoles_of_known_charges():
    head = readout(("dipole",))
    with torch.no_grad():
        for weight in head.parameters():
            weight.zero_()
        head.element.weight[[1, 8], 0] = torch.tensor([0.4, -0.8]).double()
    water = torch.tensor([[0, 0, 0], [0.6, 0.8, 0], [-0.6, 0.8, 0]]).double()
    graph, x = torch.tensor([0, 0, 0]), torch.zeros(3, 4).double()
    z = torch.tensor([8, 1, 1])

    def size(positions, z=z, charge=0.0):
        return head(x, z, positions, graph, torch.tensor([charge]).double()).item()

    assert size(water) == pytest.approx(0.64)
    assert size(water + 100) == pytest.approx(0.64)
    shifted = head.element.weight.detach().clone()
    with torch.no_grad():
        head.element.weight += 0.3  # charges are made to add up to nothing
    assert size(water) == pytest.approx(0.64)
    with torch.no_grad():
        head.element.weight.copy_(shifted)
    assert size(water, charge=1.0) == pytest.approx(0.64), "even charge has no dipole about c"


def test_vectors_add_dipoles_to_the_atoms():
    plain = params("gotennet", ("sum",))
    assert nn.MoleculeGotenNet(**plain).readout.atomic is None
    model, given = build("gotennet"), batch(structure(4))
    with_vectors = model(**given)[:, 3]
    with torch.no_grad():
        model.readout.atomic.mix.weight.zero_()
    assert (model(**given)[:, 3] - with_vectors).abs().max() > 1e-3


@pytest.mark.parametrize("given", ["sum", ("sum", "mean"), ("total",), ()])
def test_read_outs_that_do_not_exist_are_refused(given):
    with pytest.raises(ValueError, match="readout"):
        nn.MoleculeSchNet(10, 1, given)


# Parts ----------------------------------------------------------------------------------


def test_dimenet_sees_angles_that_schnet_cannot_see_within_one_layer():
    """Both structures give every atom neighbours of the same kinds at the same distances."""
    bonds = [(0, 1), (0, 2)]

    def outputs(name, angle):
        third = [math.cos(angle), math.sin(angle), 0]
        positions = torch.tensor([[0, 0, 0], [1, 0, 0], third], dtype=torch.float64)
        z, graph = torch.tensor([8, 1, 1]), torch.zeros(3, dtype=torch.int64)
        return models[name](**graph_of(bonds, z, graph, positions, [0.0]))[:, 0]

    models = {name: build(name, n_layers=1) for name in ("schnet", "dimenet")}
    close(outputs("schnet", 1.8), outputs("schnet", 2.4))
    assert (outputs("dimenet", 1.8) - outputs("dimenet", 2.4)).abs().max() > 1e-4


def test_filters_of_schnet_are_computed_for_half_of_the_edges():
    model, given = build("schnet"), batch(*three())
    counts = []
    for layer in model.core.interactions:
        layer.filter.register_forward_hook(lambda _, args, __: counts.append(len(args[0])))
    out = model(**given)
    assert counts == [given["edge_index"].shape[1] // 2] * 2
    model.core.paired = False
    torch.testing.assert_close(model(**given), out)


@pytest.mark.parametrize("n", [4, 40])
def test_linear_layers_of_edges_do_not_care_where_nodes_are_gathered(n):
    linear, x, edge = torch.nn.Linear(11, 5).double(), normal(n, 4), normal(20, 3)
    source, target = torch.randint(0, n, (2, 20))
    expected = linear(torch.cat([edge, x[target], x[source]], dim=-1))
    parts = [(edge, None), (x, target), (x, source)]
    torch.testing.assert_close(linear_of_edges(linear, parts), expected)


def test_attention_by_edge_equals_dense_attention():
    """With slope 1 both activations are the identity, and without damping all count alike."""
    dense = DenseGATv2Conv(6, 3, 2, 4, negative_slope=1.0).double()
    sparse = GATv2Conv(6, 3, 2, 4, negative_slope=1.0).double()
    sparse.load_state_dict(dense.state_dict())
    x, edge = normal(1, 5, 6), normal(1, 5, 5, 4)
    out, attention = dense(x, edge)
    target, source = torch.cartesian_prod(torch.arange(5), torch.arange(5)).T
    both = torch.stack([source, target])
    ones = torch.ones(25).double()
    alike, weights = sparse(x[0], both, edge.reshape(25, 4), ones)
    edges = (attention[..., None] * dense.edge(edge).unflatten(-1, (2, 3))).sum(2).flatten(2)
    torch.testing.assert_close(alike, (out + edges)[0])
    torch.testing.assert_close(weights, attention.reshape(25, 2))


def test_frames_of_bonds_are_those_of_atoms_where_all_are_neighbours():
    _, positions, _ = structure(6)
    given = batch((torch.ones(6, dtype=torch.int64), positions, 0.0), reach=99)
    edges, graph = given["edge_index"], given["graph"]
    vectors = edge_vectors(positions, edges)
    frames = bond_frames(vectors, torch.ones(30).double(), graph[edges[1]], 1)
    centred = positions - positions.mean(0)
    axes = torch.linalg.eigh(centred.T @ centred)[1].flip(-1)
    torch.testing.assert_close(frames[0].abs(), (vectors @ axes).abs())
    torch.testing.assert_close(frames.square().sum(-1), lengths(vectors).square().expand(8, 30))


def test_axes_have_exact_first_and_second_derivatives():
    positions = structure(5)[1].requires_grad_()
    given = batch((torch.ones(5, dtype=torch.int64), positions.detach(), 0.0))
    edges, graph = given["edge_index"], given["graph"]

    def moments(positions):
        vectors = edge_vectors(positions, edges)
        damping = polynomial_cutoff(lengths(vectors), CUTOFF)
        return bond_frames(vectors, damping, graph[edges[1]], 1)[0].square().sum(0)

    assert torch.autograd.gradcheck(moments, positions)
    assert torch.autograd.gradgradcheck(moments, positions)

"""`HamiltonianRegressor`: symmetric, equivariant, exact where physics is, an estimator."""

import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import joblib
import numpy as np
import pytest
import torch
from _devices import assert_same
from _hamiltonian_data import MIXED, gaussian_record, pyscf_record
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from qcanvas_sklearn import HamiltonianRegressor, MoleculeKFold, load_molecules
from qcanvas_sklearn.hamiltonians import Basis, Hamiltonians, TwoCentreTables, metrics, rotation
from qcanvas_sklearn.hamiltonians._template import Template, filled
from qcanvas_sklearn.nn import HamiltonianGotenNet, HamiltonianPaiNN
from qcanvas_sklearn.nn.couplings import Coupling, coupled_degrees, coupling
from qcanvas_sklearn.structures import Molecules

SMALL = {
    "n_hidden": 16, "n_layers": 1, "n_heads": 2, "n_radial": 8, "n_channels": 4,
    "max_epochs": 2, "batch_size": 4, "random_state": 0,
}  # fmt: skip
REFERENCES = ("two-centre-scc", "two-centre", "overlap", None)
every_reference = pytest.mark.parametrize("reference", REFERENCES)


def regressor(**options):
    return HamiltonianRegressor(**{**SMALL, **options})


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[:24]


@pytest.fixture(scope="module")
def labels(molecules):
    """H0 and more: levels that rise with the neighbours of an atom, and so do its bonds."""
    core = TwoCentreTables.load().self_consistent(molecules)
    basis = Basis({symbol: core.basis[symbol] for symbol in "HCNOF"})
    values = core.values.copy()
    for i in range(len(core)):
        matrix, overlap = core.matrix(i), core.overlap(i)
        ptr, positions = basis.orbitals(molecules[i].z).ptr, molecules[i].positions
        gaps = np.linalg.norm(positions[:, None] - positions, axis=-1)
        rise = np.repeat(0.1 * (np.exp(-gaps).sum(axis=1) - 1), np.diff(ptr))
        matrix = matrix + overlap * (rise[:, None] + rise) / 2
        values[core.ptr[i] : core.ptr[i + 1]] = matrix[np.tril_indices(len(matrix))]
    return Hamiltonians(molecules, basis, values, core.overlap_values)


@pytest.fixture(scope="module")
def fitted(molecules, labels):
    return {name: regressor(reference=name).fit(molecules, labels) for name in REFERENCES}


def turned(molecules, turn):
    return replace(molecules, positions=molecules.positions @ turn.T)


def orbital_turn(record, i, turn):
    """How the orbitals of a molecule turn with the axes."""
    parts = [
        rotation(l, turn)
        for z in record.molecules[i].z.tolist()
        for l in record.basis.shells(z)
    ]
    size = sum(map(len, parts))
    out, first = np.zeros((size, size)), 0
    for part in parts:
        out[first : first + len(part), first : first + len(part)] = part
        first += len(part)
    return out


def turns():
    """Rotations and reflections."""
    drawn = ortho_group.rvs(3, size=3, random_state=0)
    return [*drawn, -drawn[0], np.diag([1.0, 1.0, -1.0])]


# ------------------------------------------------------------------ couplings


@pytest.mark.parametrize(("l1", "l2"), [(0, 1), (1, 1), (1, 2), (2, 2), (3, 1), (3, 3)])
def test_couplings_turn_as_their_factors(l1, l2):
    for l in [0] * (l1 == l2) + coupled_degrees(l1, l2, 6):
        tensor = coupling(l1, l2, l)
        for turn in turns():
            a, b, c = (rotation(k, turn) for k in (l1, l2, l))
            again = np.einsum("ia,jb,kc,abc->ijk", a, b, c, tensor)
            np.testing.assert_allclose(again, tensor, atol=1e-12)
        assert np.isclose((tensor**2).sum(), 2 * l + 1)


def test_couplings_are_those_of_the_precision_of_their_network():
    module = Coupling(1, 2, 3)
    assert module.integrals.dtype == torch.float32
    exact = torch.tensor(coupling(1, 2, 3))
    assert torch.equal(module.float().double().integrals, exact)


# ------------------------------------------------------------------- template


def test_every_element_finds_its_orbitals_in_the_template():
    record = gaussian_record()
    template = Template(record.basis)
    assert template.momenta == (0, 1, 1, 2, 3)
    molecules = record.molecules
    seen = np.zeros(len(record.values), dtype=int)
    atoms = np.arange(len(molecules.z))
    i, j = np.triu_indices(len(atoms))
    same = molecules.rows[i] == molecules.rows[j]
    index = template.index(molecules, i[same], j[same])
    np.add.at(seen, index[index >= 0], 1)
    on_site = template.index(molecules, atoms, atoms)
    assert (seen > 0).all()
    np.testing.assert_array_equal(
        filled(record.values, on_site, 0.0),
        filled(record.values, on_site, 0.0).transpose(0, 2, 1),
    )
    for symbol, shells in MIXED.items():
        assert [template.momenta[k] for k in template.places(symbol)] == list(shells)


# ---------------------------------------------------------------- the network


def network(momenta, seed=0, backbone=HamiltonianGotenNet):
    """A network of random weights, none of them zero, in double precision."""
    n, heads = len(momenta), {"n_heads": 2} if backbone is HamiltonianGotenNet else {}
    torch_state = torch.get_rng_state()
    torch.manual_seed(seed)
    net = backbone(
        9, momenta, np.ones((n, n)), np.ones((n, n)), 1.0, (1.0,), (1.0,), n_hidden=16,
        n_layers=2, n_degrees=2, n_radial=8, n_channels=4, cutoff=3.0, **heads,
    ).double()  # fmt: skip
    for readout in (net.on_site, net.off_site):
        torch.nn.init.normal_(readout.coefficients.weight)
        torch.nn.init.normal_(readout.coefficients.bias)
    torch.set_rng_state(torch_state)
    return net.eval()


def graph(positions, z, momenta, pairs=None, seed=0):
    """A batch of one molecule with all its pairs, described by numbers of its own."""
    rng = np.random.default_rng(seed)
    n, size = len(z), sum(2 * l + 1 for l in momenta)
    half = np.array(np.triu_indices(n, 1)) if pairs is None else pairs
    overlap = rng.normal(size=(half.shape[1], size, size))
    return {
        "z": torch.tensor(z), "positions": torch.tensor(positions),
        "graph": torch.zeros(n, dtype=torch.int64), "charge": torch.zeros(1).double(),
        "edge_index": torch.tensor(np.concatenate([half, half[::-1]], axis=1)),
        "atom": torch.tensor(rng.normal(size=(n, 1))),
        "pair": torch.tensor(rng.normal(size=(half.shape[1], 1))),
        "overlap": torch.tensor(overlap.reshape(len(overlap), -1)),
    }  # fmt: skip


def blocks(net, batch):
    with torch.no_grad():
        out = net(**batch)
    return [
        part.numpy().reshape(len(part), *[int(part.shape[1] ** 0.5)] * 2)
        for part in (out["on_site"], out["off_site"])
    ]


every_backbone = pytest.mark.parametrize("backbone", [HamiltonianGotenNet, HamiltonianPaiNN])


@every_backbone
@pytest.mark.parametrize("momenta", [(0,), (0, 1), (0, 0, 1, 2), (0, 1, 1, 2, 3)])
def test_networks_are_equivariant_to_ten_digits(momenta, backbone):
    net = network(momenta, backbone=backbone)
    rng = np.random.default_rng(1)
    positions, z = rng.normal(scale=1.2, size=(6, 3)), [6, 1, 8, 6, 1, 1]
    batch = graph(positions, z, momenta)
    on_site, off_site = blocks(net, batch)
    assert np.abs(off_site).min(axis=0).max() > 0
    for turn in turns():
        d = np.zeros((on_site.shape[1],) * 2)
        first = 0
        for l in momenta:
            d[first : first + 2 * l + 1, first : first + 2 * l + 1] = rotation(l, turn)
            first += 2 * l + 1
        overlap = batch["overlap"].numpy().reshape(-1, len(d), len(d))
        again = batch | {
            "positions": torch.tensor(positions @ turn.T),
            "overlap": torch.tensor((d @ overlap @ d.T).reshape(len(overlap), -1)),
        }
        for before, after in zip((on_site, off_site), blocks(net, again), strict=True):
            scale = np.abs(before).max()
            np.testing.assert_allclose(after, d @ before @ d.T, atol=1e-10 * scale)


@every_backbone
def test_networks_do_not_know_which_atom_of_a_pair_comes_first(backbone):
    momenta = (0, 1)
    net, rng = network(momenta, backbone=backbone), np.random.default_rng(1)
    positions, z = rng.normal(size=(4, 3)), [6, 1, 6, 1]
    batch = graph(positions, z, momenta)
    half = batch["edge_index"][:, :6].flip(0)
    overlap = batch["overlap"].unflatten(1, (4, 4)).transpose(1, 2).flatten(1)
    again = batch | {"edge_index": torch.cat([half, half.flip(0)], dim=1), "overlap": overlap}
    (on, off), (on_again, off_again) = blocks(net, batch), blocks(net, again)
    np.testing.assert_allclose(on_again, on, atol=1e-12)
    np.testing.assert_allclose(off_again, off.transpose(0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(on, on.transpose(0, 2, 1), atol=1e-12)


@every_backbone
def test_blocks_of_two_atoms_are_of_every_kind_that_symmetry_allows(backbone):
    """Of a bond along z all of σ, π, δ, ... are free: what is learned is not tied to others."""
    momenta, found = (0, 1, 2, 3), []
    for seed in range(12):
        net = network(momenta, seed, backbone)
        batch = graph(np.array([[0, 0, 0], [0, 0, 1.3]]), [6, 8], momenta)
        del batch["overlap"]
        found.append(blocks(net, batch)[1][0])
    values, first = np.array(found), np.cumsum([0, 1, 3, 5])
    for a, l1 in enumerate(momenta):
        for b, l2 in enumerate(momenta):
            m = min(l1, l2)
            centre = first[a] + l1, first[b] + l2
            free = np.array([values[:, centre[0] + k, centre[1] + k] for k in range(m + 1)])
            assert np.linalg.matrix_rank(free, tol=1e-3) == m + 1, (l1, l2)
    mixed = values.copy()
    for a, l1 in enumerate(momenta):
        for b, l2 in enumerate(momenta):
            for k in range(-min(l1, l2), min(l1, l2) + 1):
                mixed[:, first[a] + l1 + k, first[b] + l2 + k] = 0.0
    assert np.abs(mixed).max() < 1e-10


def test_vectors_that_cancel_leave_higher_degrees():
    """At the centre of a line of atoms, and of a tetrahedron, there is no vector, but more."""
    momenta, net = (0, 1, 2, 3), network((0, 1, 2, 3), backbone=HamiltonianPaiNN)
    ends, tops = [[0, 0, 1], [0, 0, -1]], [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    for corners, blocks_there in ((ends, [(1, 1), (2, 2)]), (tops, [(1, 2)])):
        positions = np.concatenate([np.zeros((1, 3)), corners])
        batch = graph(positions, [6] + [1] * len(corners), momenta)
        centre = blocks(net, batch)[0][0]
        first = [0, 1, 4, 9, 16]
        for l1, l2 in blocks_there:
            part = centre[first[l1] : first[l1 + 1], first[l2] : first[l2 + 1]]
            if l1 == l2:
                part = part - np.trace(part) / len(part) * np.eye(len(part))
            assert np.abs(part).max() > 1e-4, (l1, l2)


# --------------------------------------------------------------- the estimator


@every_reference
def test_predictions_turn_with_the_molecules(fitted, molecules, reference):
    model, few = fitted[reference], molecules[:3]
    before = model.predict(few)
    for turn in turns():
        after = model.predict(turned(few, turn))
        for i in range(len(few)):
            d = orbital_turn(before, i, turn)
            expected = d @ before.matrix(i) @ d.T
            np.testing.assert_allclose(after.matrix(i), expected, rtol=0, atol=1e-10)


@every_reference
def test_predictions_follow_the_order_of_the_atoms(fitted, molecules, reference):
    model, one = fitted[reference], molecules[5]
    order = np.random.default_rng(0).permutation(len(one.z))
    other = Molecules.from_lists([one.z[order]], [one.positions[order]])
    before, after = model.predict(one), model.predict(other)
    ptr = before.basis.orbitals(one.z).ptr
    places = np.concatenate([np.arange(ptr[a], ptr[a + 1]) for a in order])
    np.testing.assert_allclose(
        after.matrix(0), before.matrix(0)[np.ix_(places, places)], atol=1e-8
    )


def test_networks_of_vectors_learn_and_are_as_exact(molecules, labels, tmp_path):
    few, y = molecules[:8], labels[:8]
    model = regressor(backbone="painn", n_heads=3, max_epochs=40, lr=0.015).fit(few, y)
    assert isinstance(model.net_.module_, HamiltonianPaiNN)
    before = regressor(max_epochs=1, lr=1e-9).fit(few, y)
    assert model.score(few, y) > 0.3 * before.score(few, y)
    before, turn = model.predict(few[:2]), turns()[0]
    after = model.predict(turned(few[:2], turn))
    for i in range(2):
        d = orbital_turn(before, i, turn)
        expected = d @ before.matrix(i) @ d.T
        np.testing.assert_allclose(after.matrix(i), expected, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="use backbone='gotennet'"):
        model.save_encoder(tmp_path / "encoder.safetensors")
    model.set_params(warm_start=True, backbone="gotennet", n_heads=4)
    with pytest.raises(ValueError, match="backbone='gotennet' was 'painn'"):
        model.fit(few, y)
    with pytest.raises(ValueError, match="backbone='schnet'"):
        regressor(backbone="schnet").fit(few, y)


def test_rows_do_not_depend_on_the_rows_beside_them(fitted, molecules):
    model = fitted["two-centre-scc"]
    together, alone = model.predict(molecules[:6]), model.predict(molecules[3])
    np.testing.assert_allclose(together[3].values, alone.values, atol=1e-10)


def test_what_tables_say_is_known_before_anything_is_learned(molecules, labels):
    """Labels that are the reference leave nothing, whichever it is."""
    tables = TwoCentreTables.load()
    for reference, record in (
        ("two-centre", tables.hamiltonians(molecules)),
        ("two-centre-scc", tables.self_consistent(molecules)),
    ):
        y = Hamiltonians(molecules, labels.basis, record.values, record.overlap_values)
        model = regressor(reference=reference, max_epochs=1).fit(molecules[:12], y[:12])
        assert metrics.matrix_mae(y[12:], model.predict(molecules[12:])) < 1e-4


def _pairs_of_elements(molecules):
    """Pairs of elements that occur in a molecule, each as (lower, higher) atomic number."""
    found = set()
    for i in range(len(molecules)):
        z = np.sort(molecules[i].z)
        found |= set(combinations(z.tolist(), 2))
    return found


def test_levels_and_multiples_of_overlaps_take_no_network(molecules, labels):
    overlap = labels.overlap_values
    y = labels.with_values(-11.0 * overlap)
    model = regressor(reference="overlap", max_epochs=1).fit(molecules[:12], y[:12])
    new = _pairs_of_elements(molecules[12:]) - _pairs_of_elements(molecules[:12])
    assert new  # for which the factors of all pairs stand
    assert metrics.matrix_mae(y[12:], model.predict(molecules[12:])) < 1e-4
    kinds = model.terms_.factors
    np.testing.assert_allclose(kinds[1, 6][0, 0], -11.0)
    np.testing.assert_allclose(np.diag(model.terms_.levels[6]), -11.0)


def test_references_leave_less_to_learn(fitted, molecules, labels):
    errors = {name: -model.score(molecules, labels) for name, model in fitted.items()}
    assert errors["two-centre-scc"] < errors["two-centre"] < errors["overlap"] < errors[None]
    predicted = fitted["overlap"].predict(molecules)
    assert np.isclose(errors["overlap"], metrics.matrix_mae(labels, predicted))


def test_it_learns_a_few_molecules_by_heart(molecules, labels):
    few, y = molecules[:4], labels[:4]
    model = regressor(max_epochs=70, n_hidden=32, lr=0.015).fit(few, y)
    before = regressor(max_epochs=1, lr=1e-9).fit(few, y)
    assert model.score(few, y) > 0.1 * before.score(few, y)
    assert metrics.level_mae(y, model.predict(few), "gap") < 0.02


def test_seeds_fix_everything_to_the_last_bit(molecules, labels):
    options = {"early_stopping": True, "validation_fraction": 0.2}
    a, b = (regressor(**options).fit(molecules, labels).predict(molecules) for _ in range(2))
    assert_same(a.values, b.values)
    other = regressor(**{**options, "random_state": 1}).fit(molecules, labels)
    assert not np.array_equal(other.predict(molecules).values, a.values)


def test_a_model_lives_on_in_another_process(fitted, molecules, tmp_path):
    model = fitted["two-centre-scc"]
    joblib.dump((model, molecules[:3]), tmp_path / "model.joblib")
    code = (
        "import joblib, sys; model, X = joblib.load(sys.argv[1]); "
        "model.predict(X).save(sys.argv[2])"
    )
    files = tmp_path / "model.joblib", tmp_path / "found.npz"
    subprocess.run([sys.executable, "-c", code, *map(str, files)], check=True)
    found = Hamiltonians.load(files[1])
    np.testing.assert_allclose(found.values, model.predict(molecules[:3]).values, atol=1e-12)


def test_searches_and_scores_take_it_as_any_estimator(molecules, labels):
    model = regressor(max_epochs=1)
    scores = cross_val_score(model, molecules, labels, cv=MoleculeKFold(3, by="formula"))
    assert scores.shape == (3,) and (scores < 0).all()
    search = GridSearchCV(model, {"reference": ["overlap", "two-centre-scc"]}, cv=2)
    search.fit(molecules, labels)
    assert search.best_params_ == {"reference": "two-centre-scc"}
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_fits_go_on(molecules, labels):
    model = regressor(warm_start=True).fit(molecules, labels).fit(molecules, labels)
    assert model.n_iter_ == 4
    streamed = regressor().partial_fit(molecules, labels).partial_fit(molecules, labels)
    assert streamed.n_iter_ == 2
    model.set_params(reference=None)
    with pytest.raises(ValueError, match="reference=None was 'two-centre-scc'"):
        model.fit(molecules, labels)


def test_validation_rows_are_passed_or_set_aside_by_group(molecules, labels):
    learned, watched = slice(16), slice(16, None)
    model = regressor().fit(
        molecules[learned], labels[learned], X_val=molecules[watched], y_val=labels[watched]
    )
    assert model.history_["valid_loss"].notna().all()
    weight = np.arange(24) < 12
    half = regressor().fit(molecules, labels, sample_weight=weight)
    again = regressor().fit(molecules[:12], labels[:12])
    np.testing.assert_allclose(
        half.predict(molecules).values, again.predict(molecules).values, atol=1e-4
    )


def test_matrices_of_no_state_teach_nothing_and_count_nothing(molecules, labels):
    marks = np.full(24, "ok", dtype="U24")
    marks[[3, 20]] = "not-converged", "unphysical-charges"
    values = labels.values.copy()
    for row in (3, 20):
        values[labels.ptr[row] : labels.ptr[row + 1]] = 1e3
    marked = Hamiltonians(
        replace(molecules, quality=marks), labels.basis, values, labels.overlap_values
    )
    kept = np.flatnonzero(marks == "ok")
    learned, watched = kept[kept < 12], kept[kept >= 12]
    model = regressor().fit(
        molecules[:12], marked[:12], X_val=molecules[12:], y_val=marked[12:]
    )
    expected = regressor().fit(
        molecules[learned], labels[learned], X_val=molecules[watched], y_val=labels[watched]
    )
    found, other = (m.predict(molecules[:4]).values for m in (model, expected))
    np.testing.assert_array_equal(found, other)
    np.testing.assert_array_equal(
        model.history_["valid_loss"], expected.history_["valid_loss"]
    )
    assert model.score(molecules, marked) == pytest.approx(
        expected.score(molecules[kept], labels[kept])
    )


def test_ensembles_tell_the_spread_of_every_block(molecules, labels):
    model = regressor(n_members=3).fit(molecules, labels)
    record, std = model.predict(molecules[:4], return_std=True)
    assert std.shape == record.values.shape and (std > 0).all()
    turn = turns()[0]
    _, again = model.predict(turned(molecules[:4], turn), return_std=True)
    np.testing.assert_allclose(again, std, atol=1e-9)
    carbon = record.blocks.on_site["C"].index
    np.testing.assert_allclose(np.ptp(std[carbon[:, 1:, 1:]], axis=(1, 2)), 0, atol=1e-15)
    with pytest.raises(ValueError, match="needs an ensemble"):
        regressor().fit(molecules, labels).predict(molecules, return_std=True)


def test_units_are_those_of_the_labels(molecules, labels):
    model = regressor().fit(molecules, labels.in_unit("hartree"))
    found = model.predict(molecules)
    assert found.unit == "hartree"
    in_ev = regressor().fit(molecules, labels).predict(molecules)
    np.testing.assert_allclose(found.in_unit("eV").values, in_ev.values, atol=1e-4)


# --------------------------------------------------------- bases beyond tables


@pytest.fixture(scope="module")
def gaussians():
    records = [gaussian_record(seed) for seed in range(3)]
    return Hamiltonians.concat(records)


@pytest.mark.parametrize("reference", ["overlap", None])
def test_any_basis_is_learned_with_its_own_overlaps(gaussians, reference):
    model = regressor(reference=reference).fit(gaussians.molecules, gaussians)
    found = model.predict(gaussians.molecules, overlaps=gaussians)
    assert found.basis == gaussians.basis
    np.testing.assert_array_equal(found.n_electrons, gaussians.n_electrons)
    np.testing.assert_array_equal(found.overlap_values, gaussians.overlap_values)
    matrices = [gaussians.overlap(i) for i in range(len(gaussians))]
    again = model.predict(gaussians.molecules, overlaps=matrices)
    np.testing.assert_allclose(again.values, found.values, atol=1e-9)
    if reference is None:
        assert model.predict(gaussians.molecules).overlap_values is None
    else:
        with pytest.raises(ValueError, match="needs the overlaps of the orbitals"):
            model.predict(gaussians.molecules)


def test_matrices_of_density_functionals_are_learned_too():
    """Several shells of one l, all electrons, in hartree: water and formaldehyde."""
    y = pyscf_record()
    before = regressor(reference="overlap", max_epochs=1, lr=1e-9).fit(y.molecules, y)
    model = regressor(reference="overlap", max_epochs=150, lr=0.01).fit(y.molecules, y)
    found = model.predict(y.molecules, overlaps=y)
    assert (found.unit, found.n_electrons.tolist()) == ("hartree", [10, 16])
    assert metrics.matrix_mae(y, found) < -0.2 * before.score(y.molecules, y)


def test_tables_of_another_basis_are_refused(gaussians):
    rows = [3, 4]  # H2 and C, that the tables know
    few = gaussians[rows]
    other = Hamiltonians.from_matrices(
        few.molecules, [few.matrix(0), np.eye(5)], [few.overlap(0), np.eye(5)],
        basis={"H": (0,), "C": (2,)}, convention="qcanvas", n_electrons=[2, 4],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"C has the shells \(0, 1\) in the tables and \(2,\)"):
        regressor().fit(other.molecules, other)


# ----------------------------------------------------------------------- errors


def test_errors_name_what_is_wrong(fitted, molecules, labels):
    model = regressor()
    with pytest.raises(NotFittedError):
        model.predict(molecules)
    with pytest.raises(TypeError, match="y must be Hamiltonians"):
        model.fit(molecules, np.zeros(24))
    with pytest.raises(ValueError, match="requires y to be passed"):
        model.fit(molecules, None)
    with pytest.raises(ValueError, match="X has 24 rows, y has 23"):
        model.fit(molecules, labels[:23])
    with pytest.raises(ValueError, match="row 0 of X .* another structure than that of y"):
        model.fit(molecules, labels[::-1])
    with pytest.raises(ValueError, match="reference='minao'"):
        regressor(reference="minao").fit(molecules, labels)
    with pytest.raises(TypeError):
        model.fit([["H", "C"]], labels[:1])
    sulphur = Molecules.from_lists([["H", "S"]], [[[0, 0, 0], [0, 0, 1.34]]])
    for trained in fitted.values():
        with pytest.raises(ValueError, match=r"\bS\b"):
            trained.predict(sulphur)
    crystal = replace(
        molecules[:1], cell=10 * np.eye(3)[None], pbc=np.array([[True, True, True]])
    )
    with pytest.raises(ValueError, match="is periodic"):
        fitted[None].predict(crystal)


def test_elements_that_were_not_trained_on_are_refused(molecules, labels):
    without = np.array(["N" not in formula for formula in molecules.formulas])
    model = regressor().fit(molecules[without], labels[without])
    with pytest.raises(ValueError, match="were not among the training"):
        model.predict(molecules[~without])
    model.set_params(unseen_elements="allow")
    assert len(model.predict(molecules[~without])) == (~without).sum()
    assert (model.count_unseen_elements(molecules[~without]) == 1).all()


def test_a_refused_fit_leaves_the_model_as_it_was(molecules, labels):
    model = regressor().fit(molecules, labels)
    before = model.predict(molecules[:2]).values
    with pytest.raises(ValueError):
        model.fit(molecules, labels[::-1])
    with pytest.raises(ValueError, match="diverged"):
        model.set_params(lr=1e30).fit(molecules, labels)
    np.testing.assert_array_equal(model.predict(molecules[:2]).values, before)

"""Features of pair potentials: their values, what they are invariant to, what ridge fits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import RidgeCV
from sklearn.utils import estimator_checks

from qcanvas_sklearn import (
    Molecules,
    PairPotentialTransformer,
    SchNetRegressor,
    load_molecules,
    load_trajectory,
)

CHECKS_WITHOUT_DATA = (
    "check_estimator_cloneable", "check_estimator_repr", "check_no_attributes_set_in_init",
    "check_parameters_default_constructible", "check_valid_tag_types",
)  # fmt: skip


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[::30]


def scan(first, second, distances):
    return Molecules.from_lists(
        [[first, second]] * len(distances), [[[0, 0, 0], [0, r, 0]] for r in distances]
    )


def test_water_by_hand():
    positions = [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]]
    water = Molecules.from_lists([["O", "H", "H"]], [positions])
    model = PairPotentialTransformer(n_radial=4, cutoff=3.0)
    found = model.fit_transform(water).reshape(3, 4)
    centres = 0.7 * (3.0 / 0.7) ** (np.arange(4) / 3)
    width = np.log(3.0 / 0.7) / 3

    def functions(r):
        gaussian = np.exp(-((np.log(r / centres) / width) ** 2) / 2)
        return gaussian * (1 - r**2 / 9) ** 3

    expected = [functions(1.526), 2 * functions(np.hypot(0.763, 0.596)), np.zeros(4)]
    assert_allclose(found, expected, rtol=1e-12)
    names = model.get_feature_names_out()
    assert names[4] == "H-O_0.700" and len(set(names)) == 12


@pytest.mark.parametrize("change", ["moved", "mirrored", "reordered"])
def test_what_leaves_a_molecule_the_same_leaves_its_features(molecules, change):
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    if change == "moved":
        changed = replace(
            molecules, positions=molecules.positions @ rotation * np.linalg.det(rotation) + 3
        )
    elif change == "mirrored":
        changed = replace(molecules, positions=-molecules.positions)
    else:
        order = np.concatenate([
            rng.permutation(np.arange(a, b))
            for a, b in zip(molecules.ptr[:-1], molecules.ptr[1:], strict=True)
        ])  # fmt: skip
        changed = Molecules(molecules.z[order], molecules.positions[order], molecules.ptr)
    model = PairPotentialTransformer().fit(molecules)
    assert_allclose(model.transform(changed), model.transform(molecules), atol=1e-10)


def test_parts_that_stand_apart_add_up(molecules):
    model = PairPotentialTransformer().fit(molecules)
    first, second = molecules[3], molecules[7]
    apart = Molecules.from_lists(
        [np.concatenate([first.z, second.z])],
        [np.concatenate([first.positions, second.positions + 50.0])],
    )
    both = model.transform(molecules)[[3, 7]].sum(axis=0)
    assert_allclose(model.transform(apart)[0], both, atol=1e-10)


def test_a_doubled_cell_has_doubled_features():
    pytest.importorskip("vesin")
    cell = 3.0 * np.eye(3)[None]
    z, positions = np.array([11, 17]), np.array([[0.0, 0, 0], [1.5, 1.5, 1.4]])
    periodic = np.ones((1, 3), bool)
    one = Molecules(z, positions, np.array([0, 2]), cell=cell, pbc=periodic)
    two = Molecules(
        np.tile(z, 2), np.concatenate([positions, positions + [3.0, 0, 0]]), np.array([0, 4]),
        cell=cell * np.array([2.0, 1, 1])[:, None], pbc=periodic,
    )  # fmt: skip
    model = PairPotentialTransformer().fit(one)
    assert_allclose(model.transform(two), 2 * model.transform(one), rtol=1e-10)


def test_functions_end_with_the_cube_of_what_is_left():
    values = PairPotentialTransformer(2, 3.0).fit_transform(scan("C", "O", [1, 2.998, 2.999]))
    assert values.shape == (3, 2)
    assert_allclose(values[2], values[1] / 8, rtol=0.01)


def moved(record, atom, axis, step):
    positions = record.positions.copy()
    positions[atom, axis] += step
    return replace(record, positions=positions, forces=None)


def test_slopes_of_features_are_those_of_finite_differences(molecules):
    model = PairPotentialTransformer().fit(molecules)
    slopes, step = model.force_features(molecules), 1e-5
    assert slopes.shape == (len(molecules.z), 3, model.n_features_out_)
    assert_allclose(np.add.reduceat(slopes, molecules.ptr[:-1]), 0, atol=1e-12)
    for atom, axis in ((0, 2), (40, 0), (len(molecules.z) - 1, 1)):
        up, down = (model.transform(moved(molecules, atom, axis, s)) for s in (step, -step))
        expected = -(up - down).sum(axis=0) / (2 * step)
        assert_allclose(slopes[atom, axis], expected, atol=1e-8)


def test_forces_are_learned_beside_it():
    run = load_trajectory("ethanol")
    train, test = slice(0, 40), slice(300, 320)
    model = SchNetRegressor(
        n_hidden=8, n_layers=1, max_epochs=1, baseline=PairPotentialTransformer(),
        random_state=0, device="cpu",
    )  # fmt: skip
    model.fit(run.data[train], run.target[train], forces=run.data[train].forces)
    assert model.score_forces(run.data[test]) > 0.8  # the network knows nothing yet
    one, step = replace(run.data[300], forces=None), 1e-3
    forces = model.predict(one, return_forces=True)[1]
    up, down = (model.predict(moved(one, 4, 1, s))[0] for s in (step, -step))
    assert_allclose(forces[4, 1], -(up - down) / (2 * step), rtol=1e-2)
    assert_allclose(forces.sum(axis=0), 0, atol=1e-5)
    pytest.importorskip("ase")
    atoms = one.to_ase()[0]
    atoms.calc = model.as_calculator()
    assert_allclose(atoms.get_forces(), forces, atol=1e-5)


def test_ridge_fits_a_pair_potential_to_scans_and_predicts_molecules(molecules):
    """Scans of dimers are enough for a potential that is a sum over pairs."""

    def energy(record):
        near = record.neighbours(5.0, half=True)
        r = np.linalg.norm(near.vectors(record.positions), axis=1)
        of_pair = np.sqrt(record.z[near.i] * record.z[near.j]) * np.exp(-r) * (1 - r / 5) ** 3
        return np.bincount(record.rows[near.i], of_pair, len(record))

    kinds = ["H", "C", "N", "O", "F"]
    distances = np.linspace(0.8, 5.0, 60)
    scans = Molecules.concat(
        [scan(a, b, distances) for i, a in enumerate(kinds) for b in kinds[i:]]
    )
    model = PairPotentialTransformer(cutoff=5.0, elements=kinds)
    ridge = RidgeCV([1e-10, 1e-8], fit_intercept=False)
    ridge.fit(model.fit_transform(scans), energy(scans))
    true, found = energy(molecules), ridge.predict(model.transform(molecules))
    assert np.abs(found - true).max() < 1e-3 * true.std()


def test_functions_that_tell_nothing_are_left_out(molecules):
    model = PairPotentialTransformer().fit(molecules)
    everything = model._sums(molecules)
    spread = everything.std(axis=0)
    assert_array_equal(model.kept_.ravel(), spread > 0.01 * spread.max())
    assert 0 < model.n_features_out_ == model.kept_.sum() < model.kept_.size
    assert_array_equal(model.transform(molecules), everything[:, model.kept_.ravel()])
    single = PairPotentialTransformer().fit(molecules[4])
    assert single.kept_.all()


def test_elements_without_room_are_refused(molecules):
    model = PairPotentialTransformer().fit(scan("C", "O", [1.1, 1.2]))
    with pytest.raises(ValueError, match=r"\['H'.*elements=\[\.\.\.\]"):
        model.transform(molecules)
    assert PairPotentialTransformer(elements=["H", "O", "C"]).fit(
        scan("C", "O", [1.1])
    ).elements_ == ["H", "C", "O"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_radial": 1}, "n_radial == 1"), ({"n_radial": 2.5}, "n_radial"),
        ({"cutoff": 0.7}, "cutoff == 0.7"), ({"cutoff": np.inf}, "cutoff == inf"),
        ({"elements": ["Xx"]}, "Xx"),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(molecules, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        PairPotentialTransformer(**parameters).fit(molecules)


def test_as_baseline_it_is_learned_from_the_training_rows():
    X, y = load_molecules("total_energy_ev", return_X_y=True)
    train, test = slice(0, None, 4), slice(1, None, 20)
    plain, based = (
        SchNetRegressor(n_hidden=8, n_layers=1, max_epochs=1, baseline=baseline, random_state=0)
        for baseline in (None, PairPotentialTransformer())
    )
    errors = [np.abs(model.fit(X[train], y[train]).predict(X[test]) - y[test]).mean()
              for model in (plain, based)]  # fmt: skip
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("check", CHECKS_WITHOUT_DATA)
def test_scikit_learn_checks(check):
    getattr(estimator_checks, check)("PairPotentialTransformer", PairPotentialTransformer())

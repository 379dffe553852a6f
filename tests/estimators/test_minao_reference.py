"""`HamiltonianRegressor` on Hamiltonians of superposed atoms."""

from dataclasses import replace

import joblib
import numpy as np
import pytest
from scipy.stats import ortho_group

from qcanvas_sklearn import HamiltonianRegressor
from qcanvas_sklearn.hamiltonians import compute_hamiltonians, metrics
from qcanvas_sklearn.inputs import Structures
from qcanvas_sklearn.structures import Molecules

pytest.importorskip("pyscf")

METHOD = "HF/sto-3g"  # without a grid, whose points do not turn with the molecules
WATER = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """References are kept on disk; not on the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QCANVAS_DATA", str(tmp_path_factory.mktemp("data")))
        yield


def regressor(reference="minao", **options):
    small = {"n_hidden": 16, "n_layers": 1, "n_heads": 2, "n_radial": 8, "n_channels": 4}
    given = {"method": METHOD, "max_epochs": 15, "batch_size": 4, "random_state": 0}
    return HamiltonianRegressor(reference, **{**small, **given, **options})


@pytest.fixture(scope="module")
def labels(home):
    rng = np.random.default_rng(0)
    shaken = WATER + rng.normal(0, 0.05, (16, 3, 3))
    molecules = Molecules.from_lists([["O", "H", "H"]] * 16, list(shaken))
    return compute_hamiltonians(molecules, method=METHOD)


@pytest.fixture(scope="module")
def fitted(labels):
    return regressor().fit(labels.molecules[:12], labels[:12])


def test_superposed_atoms_are_a_start_that_is_learned_on(fitted, labels):
    """Everything is known of them: no overlaps are passed to `predict`."""
    test = labels[12:]
    guess = compute_hamiltonians(test.molecules, method=METHOD, state="minao")
    predicted = fitted.predict(test.molecules)
    alone = metrics.matrix_mae(test, guess)
    assert metrics.matrix_mae(test, predicted) < 0.25 * alone
    np.testing.assert_allclose(predicted.overlap_values, test.overlap_values, atol=1e-9)
    assert predicted.n_electrons.tolist() == [10] * 4
    saved = metrics.saved_iterations(predicted, METHOD, builds=1)
    assert saved.loc["saved", "cycles"] > 0


def test_superposed_atoms_are_seen_by_their_electrons(fitted, labels):
    rows = fitted.reader_.read(fitted, Structures(labels.molecules, labels.overlap_values))
    guess = compute_hamiltonians(labels.molecules, method=METHOD, state="minao")
    np.testing.assert_array_equal(rows.features.values, guess.values)
    # What describes the atoms is relative to the training rows' mean, by element.
    z = rows.z
    first = np.arange(len(z)) < 12 * 3
    for number in (1, 8):
        mean = rows.atom[first & (z == number)].mean(axis=0)
        np.testing.assert_allclose(mean, 0.0, atol=1e-12)
    electrons = rows.atom.sum(axis=1) + np.array([fitted.reader_.typical_[k].sum() for k in z])
    np.testing.assert_allclose(np.bincount(labels.molecules.rows, electrons), 10.0)


def test_predictions_turn_with_the_molecules(fitted, labels):
    molecules = labels.molecules[12:]
    turn = ortho_group.rvs(3, random_state=0)
    turned = replace(molecules, positions=molecules.positions @ turn.T)
    a, b = (fitted.predict(each) for each in (molecules, turned))
    for one, other in zip(a.orbital_energies(), b.orbital_energies(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_model_is_kept_with_its_method(fitted, labels, tmp_path):
    joblib.dump(fitted, tmp_path / "model.joblib")
    again = joblib.load(tmp_path / "model.joblib")
    expected = fitted.predict(labels.molecules[12:]).values
    np.testing.assert_array_equal(again.predict(labels.molecules[12:]).values, expected)


def test_methods_give_overlaps_to_other_references(labels):
    model = regressor("overlap", max_epochs=1).fit(labels.molecules[:6], labels[:6])
    predicted = model.predict(labels.molecules[12:])
    np.testing.assert_allclose(predicted.overlap_values, labels[12:].overlap_values, atol=1e-9)
    without = regressor("overlap", max_epochs=1, method=None)
    with pytest.raises(ValueError, match="or the method of which PySCF can compute them"):
        without.fit(labels.molecules[:6], labels[:6]).predict(labels.molecules[12:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": None}, "reference='minao' needs the method"),
        ({"method": "HF"}, "unknown method 'HF'"),
        ({"method": "HF/6-31G"}, r"'HF/6-31G': H has the shells \(0, 0\) there and \(0,\) in"),
        ({"method": "HF/STO-6G"}, "'HF/STO-6G': its overlaps are not those of the Hamilton"),
    ],
)
def test_labels_of_another_method_are_refused(labels, options, message):
    with pytest.raises(ValueError, match=message):
        regressor(**options).fit(labels.molecules[:6], labels[:6])

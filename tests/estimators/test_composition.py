"""What the elements alone say: references, and the regressor that every table shows."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVR
from sklearn.utils import estimator_checks

from qcanvas_sklearn import (
    CompositionRegressor,
    MoleculeDescriptorTransformer,
    Molecules,
    load_molecules,
    load_pairs,
    load_trajectory,
)
from qcanvas_sklearn.model_selection import LeaveElementOut, MoleculeKFold
from qcanvas_sklearn.targets import EXTENSIVE_LABELS
from qcanvas_sklearn.training import CompositionReference, count_elements

ELEMENTS = np.array([1, 6, 7, 8, 9])
ENERGIES = np.array([-16.4, -1035.2, -1488.9, -2045.3, -2716.4])


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data


@pytest.fixture(scope="module")
def labels():
    return load_molecules().target


# ---------------------------------------------------------------- references


def test_counts_are_those_of_the_record(molecules):
    counts, elements = count_elements(molecules.z, molecules.ptr)
    assert_array_equal(counts, molecules.composition)
    assert_array_equal(elements, molecules.elements)


def test_exact_sums_come_back(molecules):
    values = (molecules.composition @ ENERGIES)[:, None]
    reference = CompositionReference.fit(molecules.composition, ELEMENTS, values)
    assert_allclose(reference.coefficients[:, 0], ENERGIES, rtol=1e-9)
    assert_allclose(reference.predict(molecules.z, molecules.ptr), values, rtol=1e-11)


@pytest.mark.parametrize("energy", [-20_000.0, -1e-3, 0.0, 4e6])
def test_the_reference_of_one_composition_is_the_mean(energy):
    frames = np.tile([6, 2, 1], (300, 1))
    values = energy + np.random.default_rng(0).normal(size=(300, 1))
    reference = CompositionReference.fit(frames, np.array([1, 6, 8]), values)
    left = values - reference.predict_counts(frames, reference.elements)
    assert abs(left.mean()) <= 1e-10 * max(1, abs(energy))
    assert np.ptp(reference.coefficients) <= 1e-9 * max(1, abs(energy))


def test_compositions_that_do_not_tell_elements_apart_give_finite_numbers():
    counts = np.array([[1, 2, 0], [2, 4, 1], [3, 6, 0]])  # hydrogen goes with carbon
    values = np.array([[-10.0], [-21.0], [-30.0]])
    reference = CompositionReference.fit(counts, np.array([1, 6, 9]), values)
    assert np.isfinite(reference.coefficients).all()
    assert_allclose(reference.predict_counts(counts, reference.elements), values, rtol=1e-9)


def test_the_order_of_atoms_rows_and_elements_changes_no_bit(molecules):
    values = load_molecules().target[["total_energy_ev"]].to_numpy()
    reference = CompositionReference.fit(molecules.composition, ELEMENTS, values)
    swapped = CompositionReference.fit(
        molecules.composition[:, ::-1], ELEMENTS[::-1], values
    )
    assert_array_equal(swapped.elements, reference.elements)
    assert_allclose(swapped.coefficients, reference.coefficients, rtol=1e-12)

    z, ptr = molecules.z[: molecules.ptr[3]], molecules.ptr[:4]
    together = reference.predict(z, ptr)
    for i in range(3):
        atoms = z[ptr[i] : ptr[i + 1]][::-1]
        assert_array_equal(reference.predict(atoms, np.array([0, len(atoms)])), together[[i]])


def test_missing_labels_and_weights_are_per_target(molecules):
    exact = np.stack([molecules.composition @ ENERGIES] * 2, axis=1)
    values = exact.copy()
    values[::2, 0] = np.nan
    values[1::3] += 1e4
    weight = np.where(np.arange(600) % 3 == 1, 0.0, 2.0)
    reference = CompositionReference.fit(molecules.composition, ELEMENTS, values, weight)
    assert_allclose(reference.predict(molecules.z, molecules.ptr), exact, rtol=1e-9)


def test_nothing_is_taken_off_what_does_not_add_up(molecules):
    values = np.stack([molecules.composition @ ENERGIES, np.full(600, 5.0),
                       np.full(600, np.nan)], axis=1)  # fmt: skip
    reference = CompositionReference.fit(
        molecules.composition, ELEMENTS, values, extensive=[True, False, True]
    )
    assert (reference.coefficients[:, 0] < 0).all()
    assert_array_equal(reference.coefficients[:, 1:], 0)


def test_unseen_elements_lie_between_their_neighbours():
    reference = CompositionReference.fit(
        np.eye(2), np.array([6, 8]), np.array([[-1000.0], [-2000.0]])
    )
    found = [reference.predict(np.array([z]), np.array([0, 1])).item() for z in (1, 7, 9)]
    assert_allclose(found, [-1000, -1500, -2000])
    # Seen, but without any label of this target.
    partly = CompositionReference.fit(
        np.eye(3), np.array([6, 7, 8]), np.array([[-1000.0], [np.nan], [-2000.0]])
    )
    assert_allclose(partly.coefficients[:, 0], [-1000, -1500, -2000])


@pytest.mark.parametrize(
    "change",
    [
        {"elements": np.array([1, 6])}, {"values": np.zeros((2, 1))},
        {"values": np.zeros(3)}, {"weight": np.ones(2)}, {"extensive": [True, False]},
    ],
)  # fmt: skip
def test_shapes_that_do_not_belong_together_are_refused(change):
    given = {"counts": np.eye(3), "elements": np.array([1, 6, 8]), "values": np.zeros((3, 1))}
    with pytest.raises(ValueError, match="shape"):
        CompositionReference.fit(**given | change)


# ----------------------------------------------------------------- regressor


def test_it_is_least_squares_on_numbers_of_atoms(molecules, labels):
    y = labels["total_energy_ev"]
    model = CompositionRegressor().fit(molecules, y)
    other = LinearRegression(fit_intercept=False).fit(molecules.composition, y)
    assert_allclose(model.coefficients_["total_energy_ev"], other.coef_, rtol=1e-8)
    assert list(model.coefficients_.index) == model.elements_ == ["H", "C", "N", "O", "F"]
    assert_allclose(model.predict(molecules), other.predict(molecules.composition))
    assert model.score(molecules, y) == pytest.approx(
        other.score(molecules.composition, y), abs=1e-9
    )


def test_intensive_targets_are_predicted_from_fractions(molecules, labels):
    model = CompositionRegressor().fit(molecules, labels)
    expected = [name not in EXTENSIVE_LABELS for name in labels.columns]
    assert model.normalized_.tolist() == expected and 0 < sum(expected) < len(expected)
    fractions = molecules.composition / molecules.n_atoms[:, None]
    gap = LinearRegression(fit_intercept=False).fit(fractions, labels["e_g_ev"])
    column = list(labels.columns).index("e_g_ev")
    assert_allclose(model.predict(molecules)[:, column], gap.predict(fractions), rtol=1e-7)
    # A molecule of two copies of one has its gap, and twice its energy.
    one = molecules[0]
    two = Molecules(
        np.tile(one.z, 2), np.concatenate([one.positions, one.positions + 50]),
        np.array([0, 2 * len(one.z)]),
    )  # fmt: skip
    factor = np.where(model.normalized_, 1, 2)
    assert_allclose(model.predict(two)[0], factor * model.predict(one)[0])


@pytest.mark.parametrize("normalize, expected", [(True, [True] * 2), (False, [False] * 2)])
def test_normalize_can_be_stated(molecules, labels, normalize, expected):
    y = labels[["e_g_ev", "total_energy_ev"]]
    model = CompositionRegressor(normalize=normalize).fit(molecules, y)
    assert model.normalized_.tolist() == expected


def test_targets_without_a_known_name_take_numbers(molecules, labels):
    model = CompositionRegressor().fit(molecules, labels["e_g_ev"].to_numpy())
    assert model.normalized_.tolist() == [False] and model.target_names_ is None
    assert list(model.coefficients_.columns) == ["y"]


def test_a_large_penalty_makes_all_elements_alike(molecules, labels):
    y = labels["total_energy_ev"]
    values = CompositionRegressor(alpha=1e12).fit(molecules, y).coefficients_.to_numpy()
    per_atom = (molecules.n_atoms * y).sum() / (molecules.n_atoms**2).sum()
    assert_allclose(values, per_atom, rtol=1e-6)


def test_shapes_of_y_and_missing_labels(molecules, labels):
    frame = labels.astype(float).copy()
    frame.iloc[::3, 0] = np.nan
    model = CompositionRegressor().fit(molecules, frame)
    assert model.predict(molecules[:4]).shape == (4, frame.shape[1])
    kept = frame.iloc[:, 0].notna().to_numpy()
    alone = CompositionRegressor().fit(molecules[kept], frame.loc[kept, frame.columns[0]])
    assert_allclose(model.predict(molecules)[:, 0], alone.predict(molecules), rtol=1e-10)
    assert model.score(molecules, frame[frame.columns[::-1]]) == model.score(molecules, frame)
    with pytest.raises(ValueError, match="expected"):
        model.score(molecules, frame.rename(columns={"e_g_ev": "gap"}))


def test_weights_are_repetitions(molecules, labels):
    y = labels["total_energy_ev"]
    weight = np.random.default_rng(0).integers(0, 4, 600)
    again = np.repeat(np.arange(600), weight)
    weighted = CompositionRegressor(alpha=0.1).fit(molecules, y, sample_weight=weight)
    repeated = CompositionRegressor(alpha=0.1).fit(molecules[again], y.iloc[again])
    assert_allclose(weighted.coefficients_, repeated.coefficients_, rtol=1e-9)
    scaled = CompositionRegressor(alpha=0.1).fit(molecules, y, sample_weight=7.0 * weight)
    assert_allclose(scaled.coefficients_, weighted.coefficients_, rtol=1e-12)


def test_pairs_of_every_make_give_the_same():
    pairs, y = load_pairs(target="total_energy_ev", return_X_y=True)
    record = load_pairs().pairs
    model = CompositionRegressor().fit(pairs, y)
    assert_array_equal(model.predict(record), model.predict(pairs))
    assert_array_equal(model.predict(pairs.to_numpy()[:, ::-1]), model.predict(pairs))
    assert_array_equal(CompositionRegressor().fit(record, y).predict(pairs),
                       model.predict(pairs))  # fmt: skip
    assert model.score(pairs, y) > 0.9


def test_lists_of_atoms_give_the_same(molecules, labels):
    pytest.importorskip("ase")
    some, y = molecules[:60], labels["total_energy_ev"][:60]
    atoms = some.to_ase()
    model = CompositionRegressor().fit(atoms, y)
    assert_array_equal(model.predict(atoms), CompositionRegressor().fit(some, y).predict(some))
    assert np.isfinite(cross_val_score(model, atoms, y, cv=3)).all()


@pytest.mark.parametrize("name", ["ethanol", "aspirin"])
def test_of_a_trajectory_it_is_the_mean(name):
    X, y = load_trajectory(name, return_X_y=True)
    predicted = CompositionRegressor().fit(X[:300], y[:300]).predict(X)
    assert_allclose(predicted, y[:300].mean(), rtol=1e-11)


def test_unseen_elements_are_refused_unless_allowed(molecules, labels):
    y = labels["total_energy_ev"]
    without = np.flatnonzero(molecules.composition[:, -1] == 0)
    model = CompositionRegressor().fit(molecules[without], y.iloc[without])
    with pytest.raises(ValueError, match=r"elements \['F'\] were not among the training"):
        model.predict(molecules)
    assert np.isfinite(model.predict(molecules[without])).all()
    allowed = CompositionRegressor(unseen_elements="allow").fit(
        molecules[without], y.iloc[without]
    )
    coefficients = allowed.coefficients_["total_energy_ev"]
    fluorine = Molecules.from_lists([["F"]], [[[0, 0, 0]]])
    assert allowed.predict(fluorine) == pytest.approx(coefficients["O"])


def test_elements_of_rows_without_labels_or_weight_are_unseen(molecules, labels):
    has_fluorine = molecules.composition[:, -1] > 0
    y = labels["total_energy_ev"].where(~has_fluorine)
    for weight in (None, (~has_fluorine).astype(float)):
        model = CompositionRegressor().fit(molecules, y, sample_weight=weight)
        assert model.elements_ == ["H", "C", "N", "O"]


def test_model_selection_clone_and_pickle(molecules, labels):
    y = labels["total_energy_ev"]
    scores = cross_val_score(
        CompositionRegressor(), molecules, y, cv=MoleculeKFold(3), groups=molecules.groups
    )
    assert (scores > 0.99).all()
    search = GridSearchCV(CompositionRegressor(), {"alpha": [1e-12, 10.0]}, cv=3)
    assert search.fit(molecules, y).best_params_ == {"alpha": 1e-12}
    model = CompositionRegressor(alpha=0.5).fit(molecules, labels)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(molecules), model.predict(molecules))
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).predict(molecules)


def test_elements_can_be_held_out(molecules, labels):
    y = labels["total_energy_ev"]
    scores = cross_val_score(
        CompositionRegressor(unseen_elements="allow"), molecules, y, cv=LeaveElementOut("F"),
        scoring="neg_mean_absolute_error",
    )  # fmt: skip
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    "parameters, error, match",
    [
        ({"alpha": -1}, ValueError, "alpha"), ({"alpha": "1"}, TypeError, "alpha"),
        ({"alpha": np.nan}, ValueError, "alpha"), ({"alpha": np.inf}, ValueError, "alpha"),
        ({"normalize": "yes"}, ValueError, "normalize='yes'"),
        ({"normalize": None}, ValueError, "normalize=None"),
        ({"unseen_elements": "ok"}, ValueError, "unseen_elements='ok'"),
        ({"residual": "ridge"}, TypeError, "residual='ridge' is no estimator"),
    ],
)  # fmt: skip
def test_parameters_are_checked(parameters, error, match, molecules, labels):
    with pytest.raises(error, match=match):
        CompositionRegressor(**parameters).fit(molecules, labels)


@pytest.mark.parametrize(
    "X, y, error, match",
    [
        (np.ones((3, 4)), np.ones(3), TypeError, "holds no molecules"),
        (None, None, ValueError, "requires y to be passed"),
        (None, np.ones(599), ValueError, "inconsistent numbers"),
        (None, np.full(600, np.nan), ValueError, "no observed label"),
        (None, np.full(600, np.inf), ValueError, "infinity"),
        (None, ["a"] * 600, ValueError, "'a', which is no number"),
        ([["H", "Xx"]], [1.0], ValueError, "unknown element symbol 'Xx'"),
    ],
)
def test_data_are_checked(X, y, error, match, molecules):
    with pytest.raises(error, match=match):
        CompositionRegressor().fit(molecules if X is None else X, y)


# The others make their own X, a table of numbers.
@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable", "check_estimator_repr", "check_estimator_tags_renamed",
        "check_no_attributes_set_in_init", "check_parameters_default_constructible",
        "check_valid_tag_types",
    ],
)  # fmt: skip
def test_scikit_learn_check(check):
    getattr(estimator_checks, check)("CompositionRegressor", CompositionRegressor())


def test_fit_keeps_parameters_and_predict_keeps_the_model(molecules, labels):
    model = CompositionRegressor(residual=DummyRegressor())
    parameters = dict(vars(model))
    assert model.fit(molecules, labels) is model
    assert {name: vars(model)[name] for name in parameters} == parameters
    before, expected = joblib.hash(vars(model)), model.predict(molecules)
    assert joblib.hash(vars(model)) == before
    model.fit(molecules[:9], labels["e_g_ev"][:9]).fit(molecules, labels)
    assert_array_equal(model.predict(molecules), expected)


# ----------------------------------------------------------------- residuals


def test_the_residual_learns_what_is_left(molecules, labels):
    y = labels[["total_energy_ev", "e_g_ev"]]
    pipeline = make_pipeline(MoleculeDescriptorTransformer(), Ridge(alpha=1e-3))
    model = CompositionRegressor(residual=pipeline).fit(molecules, y)
    plain = CompositionRegressor().fit(molecules, y)
    left = y.to_numpy() - plain.predict(molecules)
    learned = clone(pipeline).fit(molecules, left).predict(molecules)
    assert_allclose(model.predict(molecules), plain.predict(molecules) + learned, rtol=1e-10)
    assert model.score(molecules, y) > plain.score(molecules, y)
    assert not hasattr(pipeline, "n_features_in_") and len(model.residuals_) == 1


def test_residuals_are_fitted_on_the_rows_that_have_labels(molecules, labels):
    y = labels[["total_energy_ev", "e_g_ev", "e_homo_ev"]].astype(float).copy()
    y.iloc[:300, 1] = np.nan
    y.iloc[::2, 0] = y.iloc[::2, 2] = np.nan
    weight = np.where(np.arange(600) < 590, 1.0, 0.0)
    model = CompositionRegressor(residual=DummyRegressor()).fit(molecules, y, weight)
    assert sorted(targets.tolist() for targets, _ in model.residuals_) == [[0, 2], [1]]
    left = y.to_numpy() - CompositionRegressor().fit(molecules, y, weight).predict(molecules)
    for targets, dummy in model.residuals_:
        assert_allclose(
            np.ravel(dummy.constant_), np.nanmean(left[:590, targets], axis=0), atol=1e-9
        )


def test_a_residual_that_takes_no_weights_is_refused_with_weights(molecules, labels):
    pipeline = make_pipeline(MoleculeDescriptorTransformer(), SVR())
    model = CompositionRegressor(residual=pipeline)
    with pytest.raises(ValueError, match="residual=Pipeline takes no sample_weight"):
        model.fit(molecules, labels["e_g_ev"], sample_weight=np.ones(600))


def test_settings_of_the_residual_can_be_searched(molecules, labels):
    model = CompositionRegressor(
        residual=make_pipeline(MoleculeDescriptorTransformer(n_atoms=23), Ridge())
    )
    folds = MoleculeKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(model, {"residual__ridge__alpha": [1e-3, 1e9]}, cv=folds)
    search.fit(molecules, labels["total_energy_ev"])
    assert search.best_params_ == {"residual__ridge__alpha": 1e-3}


def test_series_of_another_make_and_masked_values(molecules, labels):
    y = labels["total_energy_ev"]
    masked = np.ma.masked_array(y.to_numpy(), mask=np.arange(600) % 2 == 0)
    missing = y.where(np.arange(600) % 2 == 1)
    expected = CompositionRegressor().fit(molecules, missing).coefficients_.to_numpy()
    found = CompositionRegressor().fit(molecules, masked).coefficients_.to_numpy()
    assert_array_equal(found, expected)
    nullable = pd.Series(missing, dtype="Float64")
    assert_array_equal(
        CompositionRegressor().fit(molecules, nullable).coefficients_.to_numpy(), expected
    )

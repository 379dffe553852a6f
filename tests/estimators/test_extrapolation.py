"""Unseen elements: they are flagged, and standard deviations know what they cost."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from _models import MODELS
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from qcanvas_sklearn import (
    PairImageTransformer,
    PairMLPClassifier,
    PairMLPRegressor,
    load_pairs,
)
from qcanvas_sklearn.elements import atomic_numbers
from qcanvas_sklearn.estimators import _extrapolation
from qcanvas_sklearn.metrics import interval_coverage
from qcanvas_sklearn.training import ExtrapolationCalibration, element_distance

UNSEEN = ["Cl", "Mo", "F", "Hg", "Pd", "Lu"]
SMALL = PairMLPRegressor(
    n_hidden=16, max_epochs=4, n_members=2, unseen_elements="allow", random_state=0
)
LABELS_ALONE = "standard deviations of .* pairs with unseen elements are those of the training"


@pytest.fixture(scope="module")
def pairs():
    """Pairs without, and with unseen elements, and their HOMO and total energies."""
    X, y = load_pairs(target=["e_homo_ev", "total_energy_ev"], return_X_y=True)
    labelled = y.notna().all(axis=1)
    X, y = X[labelled], y[labelled]
    n_unseen = X.isin(UNSEEN).sum(axis=1).to_numpy()
    return X, y, n_unseen


@pytest.fixture(scope="module")
def fitted(pairs):
    X, y, n_unseen = pairs
    known = np.flatnonzero(n_unseen == 0)[::3]
    return clone(SMALL).fit(X.iloc[known], y.iloc[known])


def test_intervals_hold_for_unseen_elements_too(pairs):
    X, y, _ = pairs
    z = atomic_numbers(X.to_numpy())
    n_unseen = np.isin(z, np.unique(z)[3::6]).sum(axis=1)
    rows = np.random.RandomState(0).permutation(np.flatnonzero(n_unseen == 0))
    model = PairMLPRegressor(
        n_hidden=32, max_epochs=25, n_members=3, unseen_elements="allow", random_state=0
    ).fit(X.iloc[rows[400:]], y.iloc[rows[400:]])
    sides = {"seen": rows[:400], "unseen": np.flatnonzero(n_unseen)}
    predicted = {k: model.predict(X.iloc[side], return_std=True) for k, side in sides.items()}
    for name, side in sides.items():
        coverage = interval_coverage(y.iloc[side], *predicted[name], multioutput="raw_values")
        assert 0.85 < coverage.mean() < 0.98, name
    # As it was: the members' spread does not know what it has not seen.
    mean, std = predicted["unseen"]
    rows = model.reader_.read(model, X.iloc[sides["unseen"]])
    spread = model.calibration_.std(model._outputs(rows))
    assert interval_coverage(y.iloc[sides["unseen"]], mean, spread) < 0.8
    assert (std.mean(axis=0) > 1.5 * predicted["seen"][1].mean(axis=0)).all()


@pytest.mark.parametrize("name", sorted(MODELS))
def test_every_ensemble_widens_where_elements_are_new(name, few_images, few_pairs):
    X, y = few_images, few_pairs[1]["total_energy_ev"]
    model = clone(MODELS[name]).set_params(n_members=3, unseen_elements="allow", max_epochs=8)
    is_new = few_pairs[0].isin(["O", "Fe", "Cs", "Pb", "La", "Ti"]).any(axis=1).to_numpy()
    model.fit(X[~is_new], y[~is_new])
    assert np.array_equal(model.count_unseen_elements(X) > 0, is_new)
    std = model.predict(X, return_std=True)[1]
    spread = model.calibration_.std(model._outputs(model._read(X)))[:, 0]
    assert np.array_equal(std[~is_new], spread[~is_new])
    assert (std >= spread).all() and std[is_new].mean() > spread[is_new].mean()


def test_unseen_elements_are_counted(fitted):
    X = [["Fe", "O"], ["Cl", "Fe"], ["Fe", "Mo"], ["Mo", "Cl"], ["Mo", "Mo"]]
    found = fitted.count_unseen_elements(X)
    assert found.tolist() == [0, 1, 1, 2, 2] and found.dtype == np.int64
    strict = clone(fitted).set_params(unseen_elements="error", n_members=1)
    strict.fit(X[:1] * 2, [1.0, 2.0])
    assert strict.count_unseen_elements(X).tolist() == [0, 1, 1, 2, 2]


def test_unseen_elements_are_counted_in_tables(pairs):
    X = pairs[0].iloc[:60]
    table = PairImageTransformer(include=("atoms",)).fit_transform(X)
    y = ["a", "b"] * 20
    kw = {"n_hidden": 8, "max_epochs": 1, "random_state": 0, "unseen_elements": "allow"}
    model = PairMLPClassifier(**kw).fit(table[:40], y)
    expected = (~X.isin(np.unique(X.iloc[:40]))).sum(axis=1)
    assert expected.sum() > 0
    assert np.array_equal(model.count_unseen_elements(table), expected)
    plain = np.random.default_rng(0).normal(size=(40, 3))
    assert not PairMLPClassifier(**kw).fit(plain, y).count_unseen_elements(plain).any()


def test_the_order_of_the_atoms_does_not_matter(fitted):
    X = np.array([["Cl", "Fe"], ["Mo", "Cl"], ["H", "Ga"]])
    there, back = (fitted.predict(x, return_std=True)[1] for x in (X, X[:, ::-1]))
    assert np.array_equal(there, back)


def test_it_survives_pickling_and_one_seed_gives_one_calibration(fitted, pairs, tmp_path):
    X, y, n_unseen = pairs
    joblib.dump(fitted, tmp_path / "model.joblib")
    known = np.flatnonzero(n_unseen == 0)[::3]
    again = clone(fitted).fit(X.iloc[known], y.iloc[known])
    new = X[n_unseen > 0]
    expected = fitted.predict(new, return_std=True)
    for model in (joblib.load(tmp_path / "model.joblib"), again):
        assert np.array_equal(model.predict(new, return_std=True), expected)


def test_only_ensembles_that_may_extrapolate_pay_for_it(few_pairs):
    rows = ~few_pairs[0].isin(UNSEEN).any(axis=1)
    X, y = few_pairs[0][rows], few_pairs[1]["total_energy_ev"][rows]
    single = clone(SMALL).set_params(n_members=1).fit(X, y)
    strict = clone(SMALL).set_params(unseen_elements="error").fit(X, y)
    assert single.extrapolation_ is None and strict.extrapolation_ is None
    strict.set_params(unseen_elements="allow")
    with pytest.warns(UserWarning, match=LABELS_ALONE):
        strict.predict([["Cl", "Mo"]], return_std=True)


def test_the_nets_without_some_elements_are_nobody_elses_business(few_pairs, capsys):
    class Epochs(Callback):
        def on_epoch_end(self, net, **kwargs):
            print("epoch", type(net.module_).__name__)

    model = clone(SMALL).set_params(callbacks=[Epochs()])
    model.fit(few_pairs[0], few_pairs[1]["total_energy_ev"])
    assert capsys.readouterr().out == "epoch Ensemble\n" * 4
    assert model.n_iter_ == len(model.history_) == 4


def test_continued_fits_keep_it_and_learned_elements_are_seen(pairs):
    X, y, n_unseen = pairs
    known, new = X[n_unseen == 0].index[::20], X[n_unseen > 0].index[::20]
    model = clone(SMALL).set_params(warm_start=True).fit(X.loc[known], y.loc[known])
    before = model.extrapolation_
    assert model.count_unseen_elements(X.loc[new]).all()
    model.fit(X.loc[known], y.loc[known])
    model.partial_fit(X.loc[new], y.loc[new])
    assert model.extrapolation_ is before is not None
    assert not model.count_unseen_elements(X.loc[new[:1]]).any()


def test_a_stream_has_the_deviations_of_its_labels(pairs):
    X, y, n_unseen = pairs
    known = X[n_unseen == 0].index[::10]
    model = clone(SMALL).partial_fit(X.loc[known], y.loc[known])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X.loc[known], return_std=True)
    with pytest.warns(UserWarning, match=LABELS_ALONE):
        std = model.predict([["Cl", "Mo"]], return_std=True)[1]
    assert (std[0] >= model.scaler_.scale).all() and np.isfinite(std).all()


@pytest.mark.parametrize("elements", [["Fe"], ["Fe", "O", "Cs"]])
def test_too_few_elements_leave_the_deviations_of_the_labels(elements):
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    few = X.isin(elements).all(axis=1)
    repeated = pd.concat([X[few]] * 4), pd.concat([y[few]] * 4)
    model = clone(SMALL).fit(X[few], y[few], X_val=repeated[0], y_val=repeated[1])
    with pytest.warns(UserWarning, match=LABELS_ALONE):
        std = model.predict([["Fe", "Cl"], ["Cl", "Cl"]], return_std=True)[1]
    assert np.isfinite(std).all() and (std >= model.scaler_.scale[0]).all()


def test_a_target_with_few_labels_falls_back_alone(pairs):
    X, y, n_unseen = pairs
    known = np.flatnonzero(n_unseen == 0)[::10]
    y = y.iloc[known].copy()
    y.iloc[3:, 0] = np.nan
    X_val, y_val = X.iloc[known + 1], pairs[1].iloc[known + 1]
    model = clone(SMALL).fit(X.iloc[known], y, X_val=X_val, y_val=y_val)
    with pytest.warns(UserWarning, match=LABELS_ALONE):
        std = model.predict([["Cl", "Fe"]], return_std=True)[1]
    wide = model.extrapolation_.std(np.array([[17, 26]]), np.array([[True, False]]), np.ones(1))
    assert np.isnan(wide[0, 0]) and np.isfinite(std).all()
    assert std[0, 1] >= wide[0, 1]


def test_derived_targets_have_derived_errors(pairs):
    X, _, n_unseen = pairs
    names = ["e_homo_ev", "e_lumo_ev", "e_g_ev", "i_ev"]
    y = load_pairs(target=names, return_X_y=True)[1].loc[X.index]
    known = np.flatnonzero(n_unseen == 0)[::10]
    model = clone(SMALL).set_params(derive=True).fit(X.iloc[known], y.iloc[known])
    std = model.extrapolation_.std(np.array([[17, 26]]), np.array([[True, False]]), np.ones(1))
    assert std[0, 0] == pytest.approx(std[0, 3])


def test_an_interrupted_calibration_leaves_a_usable_model(few_pairs, monkeypatch):
    X, y = few_pairs[0], few_pairs[1]["total_energy_ev"]
    monkeypatch.setattr(_extrapolation, "train", lambda *args: True)
    model = clone(SMALL)
    with pytest.warns(ConvergenceWarning, match="calibration for unseen elements was interr"):
        with pytest.raises(KeyboardInterrupt):
            model.fit(X, y)
    assert model.extrapolation_ is None and np.isfinite(model.predict(X)).all()


def descriptors():
    """Elements on a line, in tenths of a standard deviation."""
    return 0.1 * np.arange(104.0)[:, None]


def calibrated(z, unseen, errors):
    return ExtrapolationCalibration.fit(z, unseen, errors, np.ones(len(z)), descriptors())


def test_the_distance_is_that_from_the_nearest_known_element():
    members, unseen = np.array([[5, 9], [9, 5], [5, 6]]), np.array([[1, 0], [0, 1], [1, 1]]) > 0
    distance = element_distance(members, unseen, np.array([2, 9, 30]), descriptors())
    np.testing.assert_allclose(distance, [0.3, 0.3, np.hypot(0.3, 0.3)])


def test_errors_of_like_rows_make_the_deviation():
    rng = np.random.default_rng(0)
    z = rng.integers(1, 101, size=(900, 2))
    unseen = np.tile([[True, False], [False, True], [True, True]], (300, 1))
    hard = np.take_along_axis(z, unseen.argmax(axis=1)[:, None], axis=1)[:, 0] > 50
    errors = np.abs(rng.normal(size=900)) * np.where(hard, 10.0, 1.0)
    calibration = calibrated(z, unseen, errors[:, None])
    new = np.array([[15, 30], [85, 30], [30, 85], [85, 20]])
    std = calibration.std(new, np.array([[True, False]] * 2 + [[False, True]] * 2), np.ones(4))[
        :, 0
    ]
    assert std[1] == std[2] > 2.5 * std[[0, 3]].max()
    both = calibration.std(new[:1], np.ones((1, 2), dtype=bool), np.ones(1))
    assert both != std[0]


def test_equal_rows_give_the_conformal_quantile():
    z, unseen = np.full((30, 2), 7), np.tile([True, False], (30, 1))
    errors = np.arange(1.0, 31.0)[:, None]
    calibration = calibrated(z, unseen, errors)
    std = calibration.std(z[:1], unseen[:1], np.ones(1))[0, 0]
    assert std == pytest.approx(np.ceil(31 * 0.9) / norm.ppf(0.95))
    farther = calibration.std(z[:1], unseen[:1], np.full(1, 3.0))[0, 0]
    assert farther > std
    two = calibration.std(z[:1], np.ones((1, 2), dtype=bool), np.ones(1))
    assert np.isnan(two).all()


@pytest.mark.parametrize("n, known", [(8, False), (9, True)])
def test_a_quantile_takes_nine_errors(n, known):
    z, unseen = np.full((20, 2), 7), np.tile([True, False], (20, 1))
    errors = np.where(np.arange(20) < n, 1.0, np.nan)[:, None]
    calibration = calibrated(z, unseen, errors)
    assert np.isfinite(calibration.std(z[:1], unseen[:1], np.ones(1)))[0, 0] == known


def test_many_errors_are_thinned_out():
    rng = np.random.default_rng(0)
    z, unseen = rng.integers(1, 101, (9000, 2)), np.tile([True, False], (9000, 1))
    calibration = calibrated(z, unseen, np.ones((9000, 1)))
    assert len(calibration.errors) == len(calibration.members) < 3000

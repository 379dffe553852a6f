"""Ensembles: one stacked net, its mean and its calibrated spread."""

import joblib
import numpy as np
import pytest
import torch
from _models import MODELS
from scipy.stats import norm
from sklearn.base import clone

from qcanvas_sklearn import PairMLPClassifier, PairMLPRegressor, load_pairs
from qcanvas_sklearn.nn import Ensemble
from qcanvas_sklearn.training import SpreadCalibration

ROWS = slice(0, 110), slice(110, 150)


@pytest.fixture(params=MODELS)
def ensemble(request):
    return clone(MODELS[request.param]).set_params(n_members=3, unseen_elements="allow")


def test_the_stacked_net_computes_what_its_members_do(ensemble, few_images, few_pairs):
    ensemble.fit(few_images, few_pairs[1])
    module = ensemble.net_.module_.eval()
    assert isinstance(module, Ensemble) and len(module.members) == 3
    rows = ensemble.reader_.read(ensemble, few_images)
    inputs = rows.to(torch.device("cpu")).batch(slice(None))
    with torch.inference_mode():
        one_by_one = module(**inputs)
        torch.testing.assert_close(module.stacked(inputs), one_by_one, rtol=1e-4, atol=1e-5)
    spread = one_by_one.std(dim=1)
    assert (spread.mean(dim=0) > 1e-4).all()  # the members are different nets


def test_the_mean_and_the_spread_have_the_units_of_the_target(ensemble, few_images, few_pairs):
    y = few_pairs[1]["total_energy_ev"]
    ensemble.set_params(random_state=3, unseen_elements="error")
    mean, std = clone(ensemble).fit(few_images, y).predict(few_images, return_std=True)
    assert mean.shape == std.shape == (150,) and (std > 0).all()
    in_mev = ensemble.fit(few_images, 1000 * y)
    mean_mev, std_mev = in_mev.predict(few_images, return_std=True)
    np.testing.assert_allclose(mean_mev, 1000 * mean, rtol=1e-2, atol=100)
    np.testing.assert_allclose(std_mev, 1000 * std, rtol=0.05)


def test_training_together_is_like_training_alone():
    """A member behaves as the lone net of the same initial weights and batches."""
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    X, y = X.iloc[::10], y.iloc[::10]
    kw = {"n_hidden": 16, "max_epochs": 30, "random_state": 0, "unseen_elements": "allow"}
    alone = PairMLPRegressor(**kw).fit(X, y).history_["train_loss"].iloc[-1]
    together = PairMLPRegressor(n_members=4, **kw).fit(X, y).history_["train_loss"].iloc[-1]
    assert together == pytest.approx(alone, rel=0.25)


def test_ensembles_err_less_and_know_where(few_pairs):
    """On real pairs: the mean beats a single net, intervals cover, wide ones err more."""
    X, y = load_pairs(target=["e_homo_ev", "total_energy_ev"], return_X_y=True)
    rows = np.random.RandomState(0).permutation(len(X))
    learn, valid, test = rows[:1500], rows[1500:2000], rows[2000:]
    kw = {"n_hidden": 32, "max_epochs": 25, "random_state": 0}
    single = PairMLPRegressor(**kw).fit(X.iloc[learn], y.iloc[learn])
    many = PairMLPRegressor(n_members=4, **kw)
    many.fit(X.iloc[learn], y.iloc[learn], X_val=X.iloc[valid], y_val=y.iloc[valid])
    mean, std = many.predict(X.iloc[test], return_std=True)
    error = np.abs(mean - y.iloc[test].to_numpy())
    alone = np.abs(single.predict(X.iloc[test]) - y.iloc[test].to_numpy())
    assert (np.nanmean(error, axis=0) < np.nanmean(alone, axis=0)).all()
    for e, s in zip(error.T, std.T, strict=True):
        seen = np.isfinite(e)
        assert 0.85 < (e[seen] < norm.ppf(0.95) * s[seen]).mean() < 0.95
        wide = s > np.median(s)
        assert np.nanmean(e[wide]) > 1.3 * np.nanmean(e[~wide])


def test_calibration_against_its_formula():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(400, 5, 2))
    y = np.c_[outputs.mean(axis=1)[:, 0] + rng.normal(size=400), np.full(400, np.nan)]
    calibration = SpreadCalibration.fit(outputs, outputs.mean(axis=1), y)
    std = calibration.std(outputs)
    variance = outputs[:, :, 0].var(axis=1, ddof=1)
    ratio = std[:, 0] / np.sqrt(variance + variance.mean())
    np.testing.assert_allclose(ratio, ratio[0])
    inside = np.abs(y[:, 0] - outputs.mean(axis=1)[:, 0]) <= norm.ppf(0.95) * std[:, 0] + 1e-9
    assert inside.sum() == np.ceil(401 * 0.9)
    assert np.isnan(std[:, 1]).all()


def test_few_validation_rows_give_wide_intervals():
    outputs = np.random.default_rng(0).normal(size=(3, 4, 1))
    y = outputs.mean(axis=1) + np.array([[1.0], [-5.0], [2.0]])
    std = SpreadCalibration.fit(outputs, outputs.mean(axis=1), y).std(outputs)
    assert np.max(np.abs(y - outputs.mean(axis=1)) / std) == pytest.approx(norm.ppf(0.95))


def test_rows_for_calibration_are_not_trained_on(few_images, few_pairs):
    y = few_pairs[1]["e_homo_ev"]
    model = clone(MODELS["pair_mlp"]).set_params(n_members=2, unseen_elements="allow")
    assert model.fit(few_images, y).provenance_["n_training_rows"] == round(0.9 * y.count())
    learn, valid = ROWS
    model.fit(few_images[learn], y[learn], X_val=few_images[valid], y_val=y[valid])
    assert model.provenance_["n_training_rows"] == y[learn].count()
    with pytest.raises(ValueError, match="n_members > 1 with validation_fraction=0.1 leaves"):
        model.fit(few_images[5:6], y[5:6])


def test_a_target_without_validation_labels_has_no_standard_deviation(few_images, few_pairs):
    y = few_pairs[1][["e_homo_ev", "total_energy_ev"]].copy()
    y.iloc[4:, 0] = np.nan
    model = clone(MODELS["pair_mlp"]).set_params(n_members=2, unseen_elements="allow")
    with pytest.warns(UserWarning, match=r"targets \[0\] have no label among the validation"):
        model.fit(few_images, y)
    mean, std = model.predict(few_images, return_std=True)
    assert np.isfinite(mean).all() and np.isnan(std[:, 0]).all() and (std[:, 1] > 0).all()


def test_a_single_net_has_no_standard_deviation(few_images, few_pairs):
    model = clone(MODELS["pair_mlp"]).fit(few_images, few_pairs[1]["e_homo_ev"])
    with pytest.raises(ValueError, match="return_std=True needs an ensemble; .*n_members=1"):
        model.predict(few_images, return_std=True)


def test_one_seed_gives_one_ensemble_and_it_survives_pickling(few_images, few_pairs, tmp_path):
    y = few_pairs[1][["e_homo_ev", "total_energy_ev"]]
    model = clone(MODELS["pair_mlp"]).set_params(n_members=3, unseen_elements="allow")
    expected = clone(model).fit(few_images, y).predict(few_images, return_std=True)
    joblib.dump(model.fit(few_images, y), tmp_path / "model.joblib")
    found = joblib.load(tmp_path / "model.joblib").predict(few_images, return_std=True)
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


def test_early_stopping_and_continued_fits_work_with_members(few_images, few_pairs):
    y = few_pairs[1]["total_energy_ev"]
    model = clone(MODELS["pair_mlp"]).set_params(
        n_members=2, early_stopping=True, max_epochs=5, unseen_elements="allow", warm_start=True
    )
    model.fit(few_images, y)
    first = model.predict(few_images)
    assert not np.array_equal(model.fit(few_images, y).predict(few_images), first)
    model.partial_fit(few_images, y)
    assert model.n_iter_ == 11
    with pytest.raises(ValueError, match="cannot be continued .* n_members=3 was 2"):
        model.set_params(n_members=3).fit(few_images, y)


def test_probabilities_of_the_members_are_averaged(few_images):
    y = load_pairs(target="metal_like", return_X_y=True)[1].iloc[::19]
    model = PairMLPClassifier(
        n_hidden=16, max_epochs=3, n_members=3, random_state=0, unseen_elements="allow"
    ).fit(few_images, y)
    outputs = model._outputs(model._read(few_images))
    by_hand = np.exp(outputs) / np.exp(outputs).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(few_images), by_hand.mean(axis=1))


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_bad_numbers_of_members_are_refused(few_images, few_pairs, value):
    with pytest.raises((ValueError, TypeError), match="n_members"):
        PairMLPRegressor(n_members=value).fit(few_images, few_pairs[1]["e_homo_ev"])

"""What a user of the classifiers notices, on a real label with tiny nets."""

import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from _models import CLASSIFIERS
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import qcanvas_sklearn
from qcanvas_sklearn import (
    ElementPairKFold,
    PairImageTransformer,
    PairMLPClassifier,
    QCanvasClassifier,
    load_pairs,
)
from qcanvas_sklearn.training import DenseRows, MaskedLoss, TargetBlock, TrainingData


@pytest.fixture(params=CLASSIFIERS)
def model(request):
    return clone(CLASSIFIERS[request.param]).set_params(unseen_elements="allow")


@pytest.fixture
def one_model():
    return clone(CLASSIFIERS["pair_mlp"]).set_params(unseen_elements="allow")


@pytest.fixture(scope="module")
def metal_like():
    return load_pairs(target="metal_like", return_X_y=True)[1].iloc[::19].reset_index(drop=True)


def test_the_label_has_missing_values_and_is_known_by_name(metal_like):
    X, y = load_pairs(target="metal_like", return_X_y=True)
    assert (y.name, len(y), int(y.isna().sum())) == ("metal_like", 2850, 10)
    assert y.mean() == pytest.approx(0.7408, abs=1e-4)
    as_array = load_pairs(target="metal_like", return_X_y=True, as_frame=False)[1]
    assert as_array.dtype == float and np.isnan(as_array).sum() == 10


def test_probabilities_are_probabilities(model, few_images, metal_like):
    y = metal_like.copy()
    y.iloc[:5] = pd.NA
    model.fit(few_images, y)
    proba = model.predict_proba(few_images)
    assert model.classes_.tolist() == [False, True] and proba.dtype == np.float64
    assert proba.shape == (150, 2) and (proba >= 0).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert np.array_equal(model.predict(few_images), proba[:, 1] > 0.5)
    assert model.provenance_["n_training_rows"] == y.count()


def test_defaults_are_those_of_the_family(model):
    kind = type(model)
    regressor = getattr(qcanvas_sklearn, kind.__name__.replace("Classifier", "Regressor"))
    ours, theirs = kind().get_params(), regressor().get_params()
    assert ours.keys() - theirs.keys() == {"class_weight"}
    if kind is QCanvasClassifier:  # there is no Hamiltonian of classes
        assert theirs.keys() - ours.keys() == {"derive", "given", "tight_binding"}
        return
    of_regressors = {"derive"}
    if "readout" in ours:  # a family that takes molecules, whose energies have slopes
        of_regressors |= {"force_weight", "baseline"}
    assert theirs.keys() - ours.keys() == of_regressors
    assert {key for key in ours if key in theirs and ours[key] != theirs[key]} == {"loss"}


def test_a_real_label_is_learned(model):
    X, homo = load_pairs(target="e_homo_ev", return_X_y=True)
    X, y = X.iloc[::6], (homo > homo.median()).astype("boolean").where(homo.notna()).iloc[::6]
    pipe = make_pipeline(PairImageTransformer(image_size=8), model)
    model.set_params(max_epochs=15, lr=5e-3)
    auc = cross_val_score(pipe, X, y, cv=ElementPairKFold(2), scoring="roc_auc")
    assert auc.mean() > 0.8


@pytest.mark.slow
def test_metals_are_told_from_insulators():
    # Pairs with an odd number of electrons are metal-like: that takes many pairs to learn.
    X, y = load_pairs(target="metal_like", return_X_y=True)
    model = PairMLPClassifier(max_epochs=20, random_state=0)
    train, test = next(ElementPairKFold(5).split(X, y))
    proba = model.fit(X.iloc[train], y.iloc[train]).predict_proba(X.iloc[test])
    assert roc_auc_score(y.iloc[test].astype(bool), proba[:, 1]) > 0.97


def test_both_orders_of_the_atoms_are_one_pair_inside_the_network(model, few_pairs, metal_like):
    model.fit(few_pairs[0], metal_like)
    assert model.net_.module_.symmetric
    pairs = few_pairs[0].to_numpy()
    assert np.array_equal(model.predict_proba(pairs), model.predict_proba(pairs[:, ::-1]))


@pytest.mark.parametrize(
    "values", [(0, 1), ("metal", "insulator"), (False, True), (3, 5, 9)], ids=str
)
def test_any_kind_of_class_comes_back(one_model, few_images, values):
    rng = np.random.default_rng(0)
    y = np.array(values)[rng.integers(len(values), size=150)]
    one_model.fit(few_images, y)
    assert one_model.classes_.tolist() == sorted(values)
    assert one_model.predict_proba(few_images).shape == (150, len(values))
    assert set(one_model.predict(few_images)) <= set(y)
    masked = pd.Series(y, dtype=object)
    masked[:5] = None
    assert one_model.fit(few_images, masked).classes_.tolist() == sorted(values)


def test_missing_labels_are_left_out(one_model, few_images, metal_like):
    y = metal_like.copy()
    y.iloc[:5] = pd.NA
    masked = clone(one_model).fit(few_images, y).predict_proba(few_images)
    dropped = one_model.fit(few_images[5:], y.iloc[5:]).predict_proba(few_images)
    assert np.array_equal(masked, dropped)


def test_the_score_is_the_accuracy_over_observed_labels(one_model, few_images, metal_like):
    y = metal_like.copy()
    y.iloc[:40] = pd.NA
    one_model.fit(few_images, metal_like)
    seen = y.notna().to_numpy()
    right = one_model.predict(few_images)[seen] == y[seen].astype(bool).to_numpy()
    assert one_model.score(few_images, y) == pytest.approx(right.mean())
    weight = np.arange(150.0)
    expected = np.average(right, weights=weight[seen])
    assert one_model.score(few_images, y, sample_weight=weight) == pytest.approx(expected)


def test_class_weights_shift_the_odds(one_model, few_images, metal_like):
    one_model.set_params(max_epochs=10)
    plain = clone(one_model).fit(few_images, metal_like).predict_proba(few_images)[:, 1].mean()
    balanced = clone(one_model).set_params(class_weight="balanced").fit(few_images, metal_like)
    heavy = clone(one_model).set_params(class_weight={False: 20.0, True: 1.0})
    assert balanced.predict_proba(few_images)[:, 1].mean() < plain - 0.05
    heavy.fit(few_images, metal_like)
    assert heavy.predict_proba(few_images)[:, 1].mean() < plain - 0.2
    weight = np.where(metal_like.fillna(True), 1.0, 20.0)
    by_rows = one_model.fit(few_images, metal_like, sample_weight=weight)
    np.testing.assert_allclose(
        by_rows.predict_proba(few_images), heavy.predict_proba(few_images), atol=1e-6
    )


def test_the_loss_is_the_cross_entropy():
    rng = np.random.default_rng(0)
    logits, classes, weight = rng.normal(size=(20, 3)), rng.integers(3, size=20), rng.random(20)
    block = TargetBlock(np.eye(3)[classes], weight)
    data = TrainingData(DenseRows({"x": logits}), [block]).to(torch.device("cpu"))
    _, target = data[torch.arange(20)]
    found = MaskedLoss("log_loss")(torch.tensor(logits), target).item()
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found == pytest.approx(log_loss(classes, proba, sample_weight=weight), rel=1e-6)


def test_batches_can_lack_a_class_where_all_are_named(one_model, few_images, metal_like):
    metals, others = metal_like.fillna(False), ~metal_like.fillna(True)
    one_model.partial_fit(few_images[metals], metal_like[metals], classes=[False, True])
    one_model.partial_fit(few_images[others], metal_like[others])
    assert one_model.predict_proba(few_images).shape == (150, 2) and one_model.n_iter_ == 2
    with pytest.raises(ValueError, match=r"y holds the classes \['x'\], expected"):
        one_model.partial_fit(few_images[:3], ["x", "x", "x"])


def test_a_continued_fit_keeps_its_classes(one_model, few_images, metal_like):
    one_model.set_params(warm_start=True).fit(few_images, metal_like)
    one_model.fit(few_images, metal_like)
    assert one_model.n_iter_ == 6
    one_model.fit(few_images[:20], np.ones(20, dtype=bool))
    assert one_model.classes_.tolist() == [False, True]


def test_early_stopping_sees_validation_classes(one_model, few_images, metal_like):
    one_model.set_params(max_epochs=60, lr=0.05, lr_schedule="constant")
    one_model.set_params(early_stopping=True, n_iter_no_change=3)
    one_model.fit(few_images[:100], metal_like[:100],
                  X_val=few_images[100:], y_val=metal_like[100:])  # fmt: skip
    assert one_model.n_iter_ < 60
    proba = one_model.predict_proba(few_images[100:])
    seen = metal_like[100:].notna().to_numpy()
    expected = log_loss(metal_like[100:][seen].astype(bool), proba[seen])
    assert one_model.history_["valid_loss"].min() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    "y, message",
    [
        (None, "requires y"),
        (np.full(150, np.nan), "no observed label"),
        (np.linspace(0, 1, 150), "continuous"),
        (np.where(np.arange(150) == 3, np.inf, 1.0), "infinity"),
        (np.ones(149, dtype=int), "150 rows, y has 149"),
    ],
)
def test_bad_labels_are_named(one_model, few_images, y, message):
    with pytest.raises(ValueError, match=message):
        one_model.fit(few_images, y)


def test_bad_parameters_are_named(one_model, few_images, metal_like):
    with pytest.raises(ValueError, match="loss='smooth_l1'"):
        clone(one_model).set_params(loss="smooth_l1").fit(few_images, metal_like)
    with pytest.raises(ValueError, match="class_weight"):
        clone(one_model).set_params(class_weight="even").fit(few_images, metal_like)
    with pytest.raises(NotFittedError):
        one_model.predict_proba(few_images)


def test_search_and_a_new_process(one_model, few_pairs, metal_like, tmp_path):
    pipe = make_pipeline(PairImageTransformer(image_size=8), one_model)
    name = type(one_model).__name__.lower()
    search = GridSearchCV(
        pipe, {f"{name}__class_weight": [None, "balanced"]}, cv=ElementPairKFold(2),
        scoring="balanced_accuracy", error_score="raise",
    ).fit(few_pairs[0], metal_like)  # fmt: skip
    expected = search.predict_proba(few_pairs[0])
    joblib.dump(search.best_estimator_, tmp_path / "model.joblib")
    joblib.dump(few_pairs[0], tmp_path / "pairs.joblib")
    script = (
        "import sys, joblib, numpy as np; model = joblib.load(sys.argv[1]); "
        "np.save(sys.argv[3], model.predict_proba(joblib.load(sys.argv[2])))"
    )
    paths = [str(tmp_path / f) for f in ("model.joblib", "pairs.joblib", "out.npy")]
    subprocess.run([sys.executable, "-c", script, *paths], check=True)
    np.testing.assert_allclose(np.load(paths[2]), expected, rtol=1e-12)


def test_scikit_learn_calibrates_it(one_model, few_images, metal_like):
    seen = metal_like.notna().to_numpy()
    calibrated = CalibratedClassifierCV(one_model, cv=2)
    calibrated.fit(few_images[seen], metal_like[seen].astype(bool))
    assert calibrated.predict_proba(few_images).shape == (150, 2)

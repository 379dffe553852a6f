"""Fits that are continued, in whichever way: what is set aside was never learned from."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from sklearn.base import clone

from qcanvas_sklearn import (
    PairImageTransformer,
    PairMLPClassifier,
    PairMLPRegressor,
    SchNetRegressor,
    TightBindingRegressor,
    load_pairs,
    load_trajectory,
)
from qcanvas_sklearn.estimators import _base

TINY = {"n_hidden": 8, "n_blocks": 1, "max_epochs": 1, "random_state": 0}
ELEMENTS = ("Ag", "Al", "C", "H", "Li", "N", "O", "Si")
ENSEMBLE = PairMLPRegressor(**TINY, n_members=2, validation_fraction=0.2)


@pytest.fixture(scope="module")
def curves():
    """Pairs of eight elements at three distances each, in either order, and a label."""
    X = np.array(list(combinations_with_replacement(ELEMENTS, 2)))
    X = np.concatenate([
        np.column_stack([X[:, :: 1 - 2 * (k % 2)], np.full(len(X), 1.0 + k)]).astype(object)
        for k in range(3)
    ])  # fmt: skip
    X = PairImageTransformer("free-atom", include=["atoms"]).fit_transform(X)
    return X, np.random.default_rng(0).normal(size=len(X))


@pytest.fixture
def seen(monkeypatch):
    """Rows that are learned from, and those that calibrate, as the networks see them."""
    seen = {"learned": set(), "calibrating": set()}
    calibrate = PairMLPRegressor._calibrate

    def pairs(data):
        return set(map(tuple, np.sort(data.rows.arrays["z"]).tolist()))

    def learn(net, data, *args, **kwargs):
        seen["learned"] |= pairs(data)
        return False

    def record(self, net, valid):
        seen["calibrating"] = pairs(valid) if len(valid) else set()
        return calibrate(self, net, valid)

    monkeypatch.setattr(_base, "train", learn)
    monkeypatch.setattr(PairMLPRegressor, "_calibrate", record)
    return seen


def blocks(X, y, size):
    for start in range(0, len(X), size):
        yield X[start : start + size], y[start : start + size]


WAYS = {
    "fit, partial_fit": lambda model, X, y: model.fit(X[:90], y[:90]).partial_fit(X, y),
    "fit, partial_fit of others": lambda model, X, y: model.fit(X[:20], y[:20])
    .partial_fit(X[90:99], y[90:99]).partial_fit(X[20:], y[20:]),
    "partial_fit, fit": lambda model, X, y: model.partial_fit(X, y)
    .set_params(warm_start=True).fit(X, y),
    "fit, fit of more": lambda model, X, y: model.set_params(warm_start=True)
    .fit(X[:90], y[:90]).fit(X, y),
    "rows one by one, then all": lambda model, X, y: [
        model.partial_fit(*block) for n, size in ((24, 1), (108, 108))
        for block in blocks(X[:n], y[:n], size)
    ],
    "curve by curve": lambda model, X, y: [
        model.partial_fit(X[k :: len(X) // 3], y[k :: len(X) // 3])
        for k in [*range(len(X) // 3), *range(4)]
    ],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:targets .0. have no label")
@pytest.mark.parametrize("way", WAYS)
def test_nothing_that_calibrates_was_ever_learned_from(way, curves, seen):
    WAYS[way](clone(ENSEMBLE).set_params(unseen_elements="allow"), *curves)
    assert len(seen["calibrating"]) > 2
    # Of a pair that is alone in the first call, distances are told apart.
    alone = way in ("rows one by one, then all", "curve by curve")
    assert len(seen["calibrating"] & seen["learned"]) <= alone


def test_a_few_rows_do_not_undo_a_calibration(regression_table):
    X, y = regression_table
    model = clone(ENSEMBLE).fit(X, y)
    before = model.calibration_
    with np.errstate(all="raise"):
        for row in range(5):
            model.partial_fit(X[row : row + 1], y[row : row + 1])
    assert model.calibration_ is before
    rng = np.random.default_rng(1)
    model.partial_fit(rng.normal(size=(200, 4)), rng.normal(size=200))
    assert model.calibration_ is not before and np.isfinite(model.calibration_.scale).all()


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2, 3]])
def test_other_classes_in_a_later_call_are_refused(classes, regression_table):
    X, y = regression_table[0], np.arange(60) % 3
    model = PairMLPClassifier(**TINY).partial_fit(X, y, classes=[2, 1, 0, None])
    assert model.partial_fit(X, y, classes=[0, 1, 2]).classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="not those of the first call"):
        model.partial_fit(X, y, classes=classes)


@pytest.mark.parametrize("options", [{"early_stopping": True}, {"n_members": 2}])
def test_validation_rows_without_labels_are_refused(options, regression_table):
    """Their loss would be 0, and the first epoch the best."""
    X, y = regression_table
    with pytest.raises(ValueError, match="y_val has no label"):
        PairMLPRegressor(**TINY, **options).fit(X, y, X_val=X[:5], y_val=np.full(5, np.nan))


@pytest.mark.parametrize("order", [1, -1])
def test_forces_may_come_with_some_calls_alone(order):
    X, y = load_trajectory("ethanol", return_X_y=True)
    model = SchNetRegressor(
        n_hidden=8, n_layers=1, n_members=2, cutoff=2.0, validation_fraction=0.4, random_state=0
    )
    for rows, forces in [(slice(0, 12), X[:12].forces), (slice(12, 24), None)][::order]:
        model.partial_fit(X[rows], y[rows], forces=forces)
    found = model.predict(X[:2], return_std=True, return_forces=True)
    assert all(np.isfinite(part).all() for part in found)
    assert model.force_calibration_ is not None
    # What was fitted has its forces, whatever the next fit is to read.
    changed = model.set_params(readout="mean").predict(X[:2], return_forces=True)
    assert np.array_equal(changed[1], found[2])


def test_targets_of_a_state_may_come_with_some_calls_alone():
    X, y = load_pairs(target=["e_g_ev", "total_energy_ev"], return_X_y=True)
    light = X.isin(["H", "C", "N", "O", "F", "Li"]).all(axis=1)
    X, y = X[light], y[light]
    model = TightBindingRegressor(
        n_members=2, n_hidden=4, validation_fraction=0.3, random_state=0
    )
    model.partial_fit(X, y).partial_fit(X, y.assign(total_energy_ev=np.nan))
    assert np.isfinite(model.predict(X)).all()

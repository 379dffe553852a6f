"""Rows that are set aside: by pair, by class, and never the only one of an element."""

import numpy as np
import pytest
from sklearn.base import clone

from qcanvas_sklearn import PairMLPClassifier, PairMLPRegressor, load_pairs
from qcanvas_sklearn.estimators._split import hold_out
from qcanvas_sklearn.estimators._stream import HeldBack

TINY = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 3, "random_state": 0}


def no_members(n):
    return np.zeros((n, 0), dtype=np.int64)


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_what_belongs_together_stays_together(fraction, seed):
    groups = np.random.default_rng(seed).integers(0, 100, size=400)
    learn, valid = hold_out(groups, no_members(400), None, fraction, seed)
    assert sorted([*learn, *valid]) == list(range(400))
    assert not set(groups[learn]) & set(groups[valid])
    assert abs(len(valid) - fraction * 400) <= 8
    again = hold_out(groups, no_members(400), None, fraction, seed)
    assert np.array_equal(again[1], valid)


@pytest.mark.parametrize("seed", range(20))
def test_an_element_of_one_pair_is_learned_from(seed):
    X = load_pairs().pairs.z[:400]
    X = np.vstack([X, [[1, 103], [103, 103], [2, 102]]])
    groups = X.min(axis=1) * 200 + X.max(axis=1)
    learn, valid = hold_out(groups, X, None, 0.3, seed)
    assert set(X[valid].ravel()) <= set(X[learn].ravel()) and len(valid) > 100


@pytest.mark.parametrize("seed", range(60))
def test_classes_are_set_aside_in_equal_parts(seed):
    strata = np.repeat([0, 1, 2], [40, 18, 2])
    learn, valid = hold_out(np.arange(60), no_members(60), strata, 0.1, seed)
    assert np.bincount(strata[valid], minlength=3).tolist() == [4, 2, 0]
    learn, valid = hold_out(np.arange(60), no_members(60), strata, 0.5, seed)
    assert np.bincount(strata[valid], minlength=3).tolist() == [20, 9, 1]


def test_a_large_group_is_not_set_aside_where_a_small_one_will_do():
    groups = np.repeat([0, 1, 2], [50, 1, 2])
    for seed in range(10):
        assert len(hold_out(groups, no_members(53), None, 0.02, seed)[1]) == 1


@pytest.mark.parametrize("groups, members", [([1, 1, 1], None), ([1, 2], [[1, 2], [3, 4]])])
def test_nothing_is_set_aside_where_each_group_is_needed(groups, members):
    members = no_members(len(groups)) if members is None else np.array(members)
    learn, valid = hold_out(np.array(groups), members, None, 0.5, 0)
    assert len(learn) == len(groups) and not len(valid)


def test_intervals_cover_pairs_that_were_given_in_both_orders_and_twice():
    """Rows set aside at random would have twins among the training rows."""
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:400], order[800:1400]
    pairs = X.to_numpy()
    four = np.concatenate([pairs[train], pairs[train][:, ::-1]] * 2)
    model = PairMLPRegressor(
        n_hidden=64, n_members=3, max_epochs=20, random_state=0, unseen_elements="allow"
    )
    mean, std = model.fit(four, np.tile(y.to_numpy()[train], 4)).predict(
        pairs[test], return_std=True
    )
    covered = np.abs(mean - y.to_numpy()[test]) <= 1.645 * std
    assert 0.8 < covered.mean() < 0.97


@pytest.mark.parametrize("seed", range(10))
def test_training_rows_can_be_predicted(seed, few_pairs):
    X, y = few_pairs[0].iloc[:40], few_pairs[1]["total_energy_ev"].iloc[:40]
    model = PairMLPRegressor(**{**TINY, "random_state": seed}, early_stopping=True)
    assert np.isfinite(model.fit(X, y).predict(X)).all()


def test_rows_of_a_plain_table_that_are_equal_are_one_group(regression_table):
    X, y = regression_table
    model = PairMLPRegressor(**TINY, n_members=2, validation_fraction=0.2)
    model.fit(np.tile(X, (3, 1)), np.tile(y, 3))
    assert model.provenance_["n_training_rows"] == 3 * 48


def test_a_class_of_two_is_never_held_out_whole(regression_table):
    X = regression_table[0]
    y = np.repeat(["a", "b"], [58, 2])
    for seed in range(10):
        model = PairMLPClassifier(**{**TINY, "random_state": seed}, early_stopping=True)
        model.fit(X, y)
        assert model._targets.counts.tolist()[1] >= 1


# Streams ----------------------------------------------------------------------------------


def stream_model():
    return PairMLPRegressor(**TINY, n_members=3, unseen_elements="allow")


def test_a_stream_sets_the_same_pairs_aside_in_every_call(few_images, few_pairs):
    y = few_pairs[1]["e_homo_ev"].to_numpy()
    held = HeldBack(0.2, 0)
    keys = np.arange(150)
    first = held.split(keys, no_members(150))[1]
    order = np.random.default_rng(0).permutation(150)
    again = order[held.split(keys[order], no_members(150))[1]]
    assert 15 <= len(first) <= 45 and sorted(again) == first.tolist()
    model = stream_model().set_params(validation_fraction=0.2)
    for _ in range(3):
        for rows in np.array_split(np.arange(150), 3):
            model.partial_fit(few_images[rows], y[rows])
    kept = model._held_back.data
    values = kept.rows.arrays["z"].tolist()
    assert len(np.unique(values, axis=0)) == len(values)  # each row once
    learned = set(model._held_back._spared)
    z = np.sort(np.asarray(values), axis=1)
    assert not {a * 104 + b for a, b in z.tolist()} & learned


def test_calibration_over_a_stream_settles(few_images, few_pairs):
    """Each call of its own would measure 5 % of a batch: a row or two."""
    y = few_pairs[1]["e_homo_ev"].to_numpy()
    model = stream_model().set_params(validation_fraction=0.2)
    sizes, scales = [], []
    for _ in range(4):
        for rows in np.array_split(np.arange(150), 3):
            model.partial_fit(few_images[rows], y[rows])
            sizes.append(len(model._held_back.data))
            scales.append(float(model.calibration_.scale[0]))
    assert sizes == sorted(sizes) and sizes[2] == sizes[-1] > 10
    assert max(scales[3:]) < 4 * min(scales[3:])


def test_a_stream_of_single_rows_and_of_batches_without_a_target(few_images, few_pairs):
    y = few_pairs[1][["e_homo_ev", "e_g_ev"]].copy()
    y.iloc[40:, 1] = np.nan
    model = stream_model().partial_fit(few_images[:40], y.iloc[:40])
    for row in range(40, 50):
        model.partial_fit(few_images[row : row + 1], y.iloc[row : row + 1])
    mean, std = model.partial_fit(few_images[50:], y.iloc[50:]).predict(
        few_images, return_std=True
    )
    assert np.isfinite(mean).all() and (std[:, 0] > 0).all()


def test_a_stream_may_begin_with_one_row(few_images, few_pairs):
    y = few_pairs[1]["e_homo_ev"].to_numpy()
    for row in range(5):
        model = clone(stream_model())
        with pytest.warns(UserWarning, match="their standard deviations are NaN"):
            model.partial_fit(few_images[row : row + 1], y[row : row + 1])
        assert model.n_iter_ == 1 and np.isfinite(model.predict(few_images[:3])).all()


def test_a_failed_call_leaves_what_is_set_aside(few_images, few_pairs):
    y = few_pairs[1]["e_homo_ev"].to_numpy()
    model = stream_model().partial_fit(few_images[:75], y[:75])
    before = model._held_back, set(model._held_back._spared)
    with pytest.raises(ValueError):
        model.set_params(lr=1e30).partial_fit(few_images[75:], 1e30 * y[75:])
    assert (model._held_back, model._held_back._spared) == before


@pytest.mark.parametrize("seed", range(8))
def test_what_occurs_in_any_row_of_a_group_is_learned_from(seed):
    """Rows of one group need not hold the same elements and classes."""
    groups = np.repeat(np.arange(10), 2)
    members = np.tile([[6, 0], [1, 6]], (10, 1))
    members[2 * seed + 1] = [6, 92]
    strata = np.zeros(20, dtype=np.int64)
    strata[2 * ((seed + 1) % 10) + 1] = 1
    learn, valid = hold_out(groups, members, strata, 0.8, seed)
    assert len(valid) and 92 in members[learn] and 1 in strata[learn]
    held = HeldBack(0.8, seed)
    learn, valid = held.split(groups, members, strata)
    assert 92 in members[learn] and 1 in strata[learn]
    assert not set(groups[learn]) & set(groups[valid])

"""Names of targets: columns matched by them, and parities that they only suggest."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from _models import MODELS
from sklearn.base import clone

from qcanvas_sklearn import PairMLPClassifier, PairMLPRegressor, load_pairs

TINY = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 3, "random_state": 0}
NAMES = ["e_homo_ev", "total_energy_ev"]


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


@pytest.fixture
def two(few_pairs):
    return few_pairs[1][NAMES]


# Columns ------------------------------------------------------------------------------------


def test_columns_are_matched_by_name_wherever_they_come_in(model, few_images, two):
    X, swapped = few_images[:60], two[NAMES[::-1]][:60]
    y = two[:60]
    model.set_params(max_epochs=2, early_stopping=True, unseen_elements="allow")
    straight, crossed = (
        clone(model).fit(X, y, X_val=few_images[60:], y_val=val)
        for val in (two[60:], two[60:][NAMES[::-1]])
    )
    assert np.array_equal(straight.history_["valid_loss"], crossed.history_["valid_loss"])
    assert straight.score(X, y) == straight.score(X, swapped)
    goes_on, goes_on_crossed = (clone(model).fit(X, y).partial_fit(X, v) for v in (y, swapped))
    assert np.array_equal(goes_on.predict(X), goes_on_crossed.predict(X))


@pytest.mark.parametrize(
    "y_val, message",
    [
        (lambda y: y[NAMES[0]], r"y_val holds the targets \['e_homo_ev'\], expected"),
        (lambda y: y[NAMES[0]].to_numpy(), "y_val has 1 targets, expected 2"),
        (lambda y: y.rename(columns={NAMES[0]: "homo"}), r"y_val holds .*'homo'.*, expected"),
        (lambda y: y.iloc[:3], "y_val has 3"),
    ],
)
def test_other_columns_are_refused(few_images, two, y_val, message):
    model = PairMLPRegressor(**TINY)
    with pytest.raises(ValueError, match=message):
        model.fit(few_images, two, X_val=few_images[:9], y_val=y_val(two[:9]))


def test_a_target_may_have_no_label_among_the_validation_rows(few_images, two):
    val = two[:30].assign(e_homo_ev=np.nan)
    model = PairMLPRegressor(**TINY, early_stopping=True)
    model.fit(few_images, two, X_val=few_images[:30], y_val=val)
    assert np.isfinite(model.history_["valid_loss"]).all()
    assert np.isfinite(model.score(few_images, two))


def test_arrays_are_taken_by_position(few_images, two):
    model = PairMLPRegressor(**TINY).fit(few_images, two)
    assert model.score(few_images, two.to_numpy()) == model.score(few_images, two)
    with pytest.raises(ValueError, match="expected 2"):
        model.score(few_images, two.to_numpy()[:, :1])


@pytest.mark.parametrize("make", [pl.from_pandas, lambda y: y])
def test_names_of_polars_are_names(few_images, few_pairs, make):
    keys = ["i_ev", "a_ev", "e_g_ev"]
    y = few_pairs[1][keys]
    model = PairMLPRegressor(**TINY, derive=True).fit(few_images, make(y))
    assert model.target_names_ == keys and model._targets.parity.tolist() == [1, 1, 1]
    i, a, gap = model.predict(few_images).T
    np.testing.assert_allclose(gap, i - a, atol=1e-9)
    one = PairMLPRegressor(**TINY).fit(few_images, make(y["i_ev"]))
    assert one.target_names_ == ["i_ev"] and one._targets.parity.tolist() == [1]


# Parity -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dipoles():
    X, y = load_pairs(target="dipole_z_d", return_X_y=True)
    return X.iloc[::8].reset_index(drop=True), y.iloc[::8].reset_index(drop=True)


def learner(**parameters):
    return PairMLPRegressor(n_hidden=64, max_epochs=40, random_state=0, **parameters)


def test_an_odd_name_on_a_magnitude_is_no_symmetry(dipoles):
    X, y = dipoles
    with pytest.warns(UserWarning, match="'dipole_z_d' has the name .* have one sign"):
        named = learner().fit(X, y.abs())
    assert named._targets.parity.tolist() == [0]
    assert named.score(X, y.abs()) > 0.95
    assert learner().fit(X, y)._targets.parity.tolist() == [-1]


def test_an_odd_name_on_what_two_equal_atoms_have_is_no_symmetry(dipoles):
    X, y = dipoles
    X = pd.concat([X, pd.DataFrame({"element_1": ["C"], "element_2": ["C"]})])
    y = pd.concat([y, pd.Series([2.0], name=y.name)])
    with pytest.warns(UserWarning, match="two atoms are alike"):
        assert learner().fit(X, y)._targets.parity.tolist() == [0]
    with pytest.raises(ValueError, match="makes target 0 odd, but it is 2 in row"):
        learner(parity=-1).fit(X, y)
    # A row of weight zero is left out, and says nothing.
    weight = np.append(np.ones(len(X) - 1), 0.0)
    told = learner().set_params(max_epochs=1).fit(X, y, sample_weight=weight)
    assert told._targets.parity.tolist() == [-1]


def test_the_sign_of_an_odd_quantity_is_a_class_without_symmetry(dipoles):
    X, y = dipoles
    classifier = PairMLPClassifier(n_hidden=64, max_epochs=40, random_state=0)
    model = classifier.fit(X, y > 0)
    assert model._targets.parity.tolist() == [0, 0]
    assert model.score(X, y > 0) > 0.97
    even = classifier.fit(X, (y.abs() > 1).rename("metal_like"))
    assert even._targets.parity.tolist() == [1, 1]


@pytest.mark.parametrize(
    "parity, expected",
    [
        (1, [1, 1]), (0, [0, 0]), ([1, 0], [1, 0]), ({NAMES[1]: 0}, [1, 0]), ({}, [1, 1]),
        ("auto", [1, 1]),
    ],
)
def test_a_stated_parity_holds(few_images, two, parity, expected):
    model = PairMLPRegressor(**TINY, parity=parity).fit(few_images, two)
    assert model._targets.parity.tolist() == expected


@pytest.mark.parametrize(
    "parity, expected", [(1, 1), (0, 0), ({"metal_like": 0}, 0), ({}, 1), ([1, 1], 1)]
)
def test_a_stated_parity_of_classes_holds(few_images, few_pairs, parity, expected):
    y = (few_pairs[1]["e_g_ev"] > 0.3).rename("metal_like")
    model = PairMLPClassifier(**TINY, parity=parity).fit(few_images, y)
    assert model._targets.parity.tolist() == [expected, expected]
    with pytest.raises(ValueError, match="each of 2 classes"):
        model.set_params(parity=-1).fit(few_images, y)


def test_targets_without_a_stated_parity_are_checked_as_ever(dipoles):
    X, y = dipoles
    y = pd.DataFrame({"dipole_z_d": y.abs(), "other": y})
    with pytest.warns(UserWarning, match="have one sign"):
        model = learner(parity={"other": -1}).set_params(max_epochs=1).fit(X, y)
    assert model._targets.parity.tolist() == [0, -1]


@pytest.mark.parametrize("parity", ["even", 2, [1], [1, 1, 1], {"homo": 1}, 0.5, None])
def test_what_is_no_parity_is_refused(few_images, two, parity):
    with pytest.raises((ValueError, TypeError), match="parity"):
        PairMLPRegressor(**TINY, parity=parity).fit(few_images, two)


def test_a_plain_table_has_no_atoms_to_exchange(regression_table):
    X, y = regression_table
    named = PairMLPRegressor(**TINY).fit(X, pd.Series(y, name="dipole_z_d"))
    unnamed = PairMLPRegressor(**TINY).fit(X, y)
    assert np.array_equal(named.predict(X), unnamed.predict(X))
    with pytest.raises(ValueError, match="holds no pairs of atoms"):
        PairMLPRegressor(**TINY, parity=1).fit(X, y)


# Identities ---------------------------------------------------------------------------------


def test_derived_deviations_are_those_of_the_derived_predictions(few_images, few_pairs):
    keys = ["i_ev", "a_ev", "e_g_ev", "softness_evinv"]
    y = few_pairs[1][keys]
    model = PairMLPRegressor(**TINY, derive=True, n_members=4, unseen_elements="allow")
    mean, std = model.fit(few_images, y).predict(few_images, return_std=True)
    members = model._outputs(model._read(few_images))
    gap = members[..., 0] - members[..., 1]
    first = model._derived(members)
    np.testing.assert_allclose(first[..., 2], first[..., 0] - first[..., 1], atol=1e-9)
    spread = model.calibration_.std(first)
    np.testing.assert_allclose(std, spread)
    assert np.isfinite(mean).all() and (mean[:, 3] <= 1 / 0.03 + 1e-9).all()
    assert gap.shape == first[..., 2].shape


def test_softness_of_a_vanishing_hardness_does_not_ruin_the_mean():
    X, y = load_pairs(target=["i_ev", "a_ev", "softness_evinv"], return_X_y=True)
    order = np.random.RandomState(0).permutation(len(X))
    train, test = order[:1000], order[1000:]
    kw = {"n_hidden": 64, "max_epochs": 20, "random_state": 0, "unseen_elements": "allow"}
    model = PairMLPRegressor(**kw).fit(X.iloc[train], y.iloc[train])
    truth = y["softness_evinv"].iloc[test]
    errors = {}
    for derive in (False, True):
        predicted = model.set_params(derive=derive).predict(X.iloc[test])[:, 2]
        errors[derive] = (truth - predicted).abs()
    assert errors[True].mean() < 1.2 * errors[False].mean()
    assert errors[True].median() < errors[False].median()

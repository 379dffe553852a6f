"""Estimators learn labels of every make alike, and none that is missing."""

import numpy as np
import pytest
from _makes import CLASSES, MAKES, NUMBERS, VALUES
from sklearn.base import clone

from qcanvas_sklearn import PairMLPClassifier, PairMLPRegressor

TINY = {"n_hidden": 8, "n_blocks": 1, "max_epochs": 2, "random_state": 0}


def table(n):
    return np.random.default_rng(0).normal(size=(n, 3))


@pytest.mark.parametrize("make", NUMBERS)
def test_numbers_of_every_make_are_learned_alike(make):
    values = [None if k % 4 == 0 else k % 7 for k in range(24)]
    X = table(len(values))
    plain = np.array([np.nan if value is None else value for value in values])
    model = PairMLPRegressor(**TINY)
    expected = clone(model).fit(X, plain).predict(X)
    given = NUMBERS[make](values)
    assert np.array_equal(model.fit(X, given).predict(X).reshape(-1), expected)
    assert model.score(X, given) == clone(model).fit(X, plain).score(X, plain)
    goes_on = clone(model).partial_fit(X, plain).predict(X)
    assert np.array_equal(clone(model).partial_fit(X, given).predict(X).reshape(-1), goes_on)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("kind, make", CLASSES)
def test_classes_of_every_make_are_learned_alike(kind, make):
    values = list(VALUES[kind]) * 4
    X = table(len(values))
    known = np.array([value is not None for value in values])
    model = PairMLPClassifier(**TINY)
    expected = clone(model).fit(X[known], [v for v in values if v is not None])
    given = MAKES[kind][make](values)
    model.fit(X, given)
    assert model.classes_.tolist() == expected.classes_.tolist()
    np.testing.assert_allclose(
        model.predict_proba(X), expected.predict_proba(X), rtol=1e-5, atol=1e-6
    )
    assert model.score(X, given) == expected.score(X[known], np.array(values, object)[known])

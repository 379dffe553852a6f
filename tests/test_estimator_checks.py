"""scikit-learn's own checks on every public regressor."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from qcanvas_sklearn import (
    DimeNetRegressor,
    EGNNRegressor,
    FAENetRegressor,
    GATv2Regressor,
    PairMLPRegressor,
    PairTransformerRegressor,
    QuantumShellNetRegressor,
    SchNetRegressor,
    ViTRegressor,
)

SMALL = {"n_hidden": 16, "max_epochs": 15, "lr": 0.02, "random_state": 0}
ESTIMATORS = [
    GATv2Regressor(n_layers=1, n_heads=2, **SMALL),
    QuantumShellNetRegressor(n_filters=8, n_stages=1, **SMALL),
    SchNetRegressor(n_layers=1, **SMALL),
    EGNNRegressor(n_layers=1, **SMALL),
    DimeNetRegressor(n_layers=1, **SMALL),
    FAENetRegressor(n_layers=1, **SMALL),
    PairMLPRegressor(n_blocks=1, loss="smooth_l1", **SMALL),
    PairTransformerRegressor(n_layers=1, n_heads=2, loss="smooth_l1", **SMALL),
    ViTRegressor(n_layers=1, n_heads=2, loss="smooth_l1", **SMALL),
]
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "mini-batches are drawn by row, so a row of weight two and the row given twice meet "
        "different partners; scikit-learn's own stochastic-gradient estimators fail likewise"
    ),
}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_zero_weight_is_the_same_as_leaving_the_row_out(estimator, regression_table):
    X, y = regression_table
    weight = (y > 0).astype(float)
    left_out = estimator.fit(X[y > 0], y[y > 0]).predict(X)
    assert (estimator.fit(X, y, sample_weight=weight).predict(X) == left_out).all()

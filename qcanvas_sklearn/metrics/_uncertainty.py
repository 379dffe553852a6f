"""Scores of Gaussian predictive distributions, stated by their mean and deviation."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.utils import check_array, check_scalar

from .._validation import check_weight
from ._columns import Score, average_targets, check_std, per_target

__all__ = [
    "calibration_error",
    "coverage_curve",
    "interval_coverage",
    "negative_log_likelihood",
    "sharpness",
]


def negative_log_likelihood(
    y_true: Any,
    y_pred: Any,
    y_std: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Mean negative log likelihood of the observed labels, mean over the targets.

    A proper score: no other standard deviations than the true ones make it smaller on
    average. It depends on the unit of the target, by the logarithm of the unit.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Means of the predictive distributions.
    y_std : array-like of the same shape
        Their standard deviations, in the unit of the target.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        In nats; smaller is better, and it may be negative.

    Raises
    ------
    ValueError
        If the shapes do not match, a standard deviation is not positive and finite or a
        target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import negative_log_likelihood
    >>> round(negative_log_likelihood([1.0, float("nan")], [1.0, 0.0], [1.0, 1.0]), 4)
    0.9189
    """
    return per_target(
        _nll, y_true, y_pred, y_std, sample_weight=sample_weight, multioutput=multioutput
    )


def interval_coverage(
    y_true: Any,
    y_pred: Any,
    y_std: Any,
    *,
    level: float = 0.9,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Share of the observed labels inside the central interval, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Means of the predictive distributions.
    y_std : array-like of the same shape
        Their standard deviations, in the unit of the target.
    level : float, default=0.9
        Probability of the interval, between 0 and 1.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        Close to `level` for calibrated predictions, smaller for overconfident ones.

    Raises
    ------
    ValueError
        If the shapes do not match, `level` is not between 0 and 1, a standard deviation
        is not positive and finite or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import interval_coverage
    >>> interval_coverage([1.0, 9.0], [1.5, 0.0], [1.0, 1.0], level=0.9)
    0.5
    """
    check_scalar(
        level, "level", numbers.Real, min_val=0, max_val=1, include_boundaries="neither"
    )
    _, observed = coverage_curve(
        y_true, y_pred, y_std,
        levels=[level], sample_weight=sample_weight, multioutput=multioutput,
    )  # fmt: skip
    return float(observed[0]) if observed.ndim == 1 else observed[:, 0]


def coverage_curve(
    y_true: Any,
    y_pred: Any,
    y_std: Any,
    *,
    levels: Any = None,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Observed against expected coverage of the central intervals.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Means of the predictive distributions.
    y_std : array-like of the same shape
        Their standard deviations, in the unit of the target.
    levels : array-like of shape (k,), default=None
        Probabilities of the intervals, between 0 and 1; None for 0.05, 0.10, ... 0.95.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one curve each.

    Returns
    -------
    expected : ndarray of shape (k,)
        The levels.
    observed : ndarray of shape (k,) or (t, k)
        Shares of the labels inside the intervals; below the diagonal predictions are
        overconfident, above it too cautious.

    Raises
    ------
    ValueError
        If the shapes do not match, a level is not between 0 and 1, a standard deviation
        is not positive and finite or a target has no observed label.

    See Also
    --------
    calibration_error : Mean distance of the curve from the diagonal.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import coverage_curve
    >>> expected, observed = coverage_curve([1.0, 9.0], [1.5, 0.0], [1, 1], levels=[0.1, 0.9])
    >>> observed.tolist()
    [0.0, 0.5]
    """
    expected = _check_levels(levels)
    # An interval of probability p reaches this many standard deviations to either side.
    reach = norm.ppf((1 + expected) / 2)

    def shares_inside(
        true: NDArray, mean: NDArray, std: NDArray, sample_weight: Any
    ) -> NDArray:
        inside = np.abs((true - mean) / std)[:, np.newaxis] <= reach
        return np.average(inside, axis=0, weights=sample_weight)

    observed = per_target(
        shares_inside, y_true, y_pred, y_std,
        sample_weight=sample_weight, multioutput=multioutput,
    )  # fmt: skip
    return expected, observed


def calibration_error(
    y_true: Any,
    y_pred: Any,
    y_std: Any,
    *,
    levels: Any = None,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Mean absolute difference of observed and expected coverage, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Means of the predictive distributions.
    y_std : array-like of the same shape
        Their standard deviations, in the unit of the target.
    levels : array-like of shape (k,), default=None
        Probabilities of the intervals, between 0 and 1; None for 0.05, 0.10, ... 0.95.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        0 for calibrated predictions; 0.5 at worst, over the default levels. One target's
        overconfidence does not make up for another's caution: the mean over the targets
        is that of their errors, not of their curves.

    Raises
    ------
    ValueError
        If the shapes do not match, a level is not between 0 and 1, a standard deviation
        is not positive and finite or a target has no observed label.

    See Also
    --------
    coverage_curve : What is compared, level by level.
    sharpness : A calibrated prediction of nothing but the mean is of little use.

    Notes
    -----
    The calibration error of [1]_ (equation 9) sums the squares of such differences, for
    intervals that are open below; here they are absolute and the intervals central.

    References
    ----------
    .. [1] V. Kuleshov, N. Fenner, S. Ermon, Accurate uncertainties for deep learning
       using calibrated regression, ICML 2018, arXiv:1807.00263.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.metrics import calibration_error
    >>> y = np.random.default_rng(0).normal(size=1000)
    >>> mean, std = np.zeros(1000), np.ones(1000)
    >>> calibration_error(y, mean, std) < 0.02 < 0.2 < calibration_error(y, mean, std / 4)
    True
    """
    expected, observed = coverage_curve(
        y_true, y_pred, y_std,
        levels=levels, sample_weight=sample_weight, multioutput="raw_values",
    )  # fmt: skip
    return average_targets(np.abs(observed - expected).mean(axis=1), multioutput)


def sharpness(
    y_std: Any, *, sample_weight: Any = None, multioutput: str = "uniform_average"
) -> Score:
    """Mean predicted standard deviation, mean over the targets.

    It knows nothing of the truth: among predictions that are equally well calibrated,
    the sharpest are the most useful.

    Parameters
    ----------
    y_std : array-like of shape (n,) or (n, t)
        Standard deviations of the predictive distributions.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        In the unit of the targets.

    Raises
    ------
    ValueError
        If a standard deviation is not positive and finite.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import sharpness
    >>> sharpness([0.5, 1.5])
    1.0
    """
    std = check_std(y_std)
    weight = None if sample_weight is None else check_weight(sample_weight, len(std))
    return average_targets(np.average(std, axis=0, weights=weight), multioutput)


def _nll(true: NDArray, mean: NDArray, std: NDArray, *, sample_weight: Any) -> float:
    return -np.average(norm.logpdf(true, mean, std), weights=sample_weight)


def _check_levels(levels: Any) -> NDArray[np.float64]:
    if levels is None:
        return np.linspace(0.05, 0.95, 19)
    array = check_array(levels, input_name="levels", ensure_2d=False, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"levels must have shape (k,), got {array.shape}")
    outside = array[(array <= 0) | (array >= 1)]
    if len(outside):
        raise ValueError(f"levels must lie between 0 and 1, got {outside[0]}")
    return array

"""Scores of predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    mean_absolute_error,
    median_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from ._columns import Score, per_target

__all__ = [
    "masked_mae_over_mad",
    "masked_mean_absolute_error",
    "masked_median_absolute_error",
    "masked_r2_score",
    "masked_root_mean_squared_error",
    "mean_absolute_deviation",
]


def masked_mean_absolute_error(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Mean absolute error over the observed labels, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
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
        If the shapes do not match or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import masked_mean_absolute_error
    >>> masked_mean_absolute_error([1.0, float("nan"), 3.0], [1.5, 9.0, 3.0])
    0.25
    """
    return per_target(
        mean_absolute_error, y_true, y_pred,
        sample_weight=sample_weight, multioutput=multioutput,
    )  # fmt: skip


def masked_root_mean_squared_error(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Root mean squared error over the observed labels, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
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
        If the shapes do not match or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import masked_root_mean_squared_error
    >>> masked_root_mean_squared_error([1.0, float("nan"), 3.0], [2.0, 9.0, 10.0])
    5.0
    """
    return per_target(
        root_mean_squared_error, y_true, y_pred,
        sample_weight=sample_weight, multioutput=multioutput,
    )  # fmt: skip


def masked_median_absolute_error(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Median absolute error over the observed labels, mean over the targets.

    A few pairs that are entirely wrong do not move it.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
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
        If the shapes do not match or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import masked_median_absolute_error
    >>> nan = float("nan")
    >>> masked_median_absolute_error([1.0, nan, 3.0, 4.0], [1.5, 9.0, 3.0, 99.0])
    0.5
    """
    return per_target(
        median_absolute_error, y_true, y_pred,
        sample_weight=sample_weight, multioutput=multioutput,
    )  # fmt: skip


def masked_r2_score(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Coefficient of determination over the observed labels, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        1 for a perfect prediction, 0 for that of the mean.

    Raises
    ------
    ValueError
        If the shapes do not match or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import masked_r2_score
    >>> masked_r2_score([1.0, float("nan"), 3.0], [1.0, 9.0, 3.0])
    1.0
    """
    return per_target(
        r2_score, y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
    )


def masked_mae_over_mad(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    multioutput: str = "uniform_average",
) -> Score:
    """Mean absolute error over the mean absolute deviation of the truth (MAE/MAD).

    Free of units, so that targets can be compared and averaged. The deviation is that of
    the observed labels from their mean: as with the coefficient of determination, the
    yardstick is the prediction of the mean.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows, in the error and in the deviation.
    multioutput : {"uniform_average", "raw_values"}, default="uniform_average"
        Mean over the targets, or one value each.

    Returns
    -------
    float or ndarray of shape (t,)
        0 for a perfect prediction, 1 for that of the mean. Where the observed labels of a
        target are all equal, 0 for a perfect prediction and infinity for any other.

    Raises
    ------
    ValueError
        If the shapes do not match or a target has no observed label.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import masked_mae_over_mad
    >>> masked_mae_over_mad([1.0, float("nan"), 3.0], [1.5, 9.0, 3.0])
    0.25
    """
    return per_target(
        _mae_over_mad, y_true, y_pred, sample_weight=sample_weight, multioutput=multioutput
    )


def mean_absolute_deviation(true: NDArray, *_: Any, sample_weight: Any = None) -> float:
    """Mean absolute deviation of a column from its mean."""
    if np.ptp(true) == 0:  # their mean may differ from them by round-off
        return 0.0
    mean = np.average(true, weights=sample_weight)
    return mean_absolute_error(true, np.full_like(true, mean), sample_weight=sample_weight)


def _mae_over_mad(true: NDArray, pred: NDArray, *, sample_weight: Any = None) -> float:
    error = mean_absolute_error(true, pred, sample_weight=sample_weight)
    deviation = mean_absolute_deviation(true, sample_weight=sample_weight)
    if deviation == 0:
        return 0.0 if error == 0 else np.inf
    return error / deviation

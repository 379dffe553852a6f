"""Scores over targets with missing labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.utils import check_array

__all__ = ["masked_mean_absolute_error", "masked_r2_score"]


def _columns(y_true: Any, y_pred: Any) -> tuple[NDArray, NDArray]:
    options = {"ensure_2d": False, "dtype": np.float64}
    true = check_array(y_true, ensure_all_finite="allow-nan", input_name="y_true", **options)
    pred = check_array(y_pred, input_name="y_pred", **options)
    if len(true) != len(pred) or true.size != pred.size:
        raise ValueError(
            f"y_true of shape {true.shape} and y_pred of shape {pred.shape} do not match"
        )
    return true.reshape(len(true), -1), pred.reshape(len(true), -1)


def _over_observed(score: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> float:
    true, pred = _columns(y_true, y_pred)
    observed = np.isfinite(true)
    if not observed.any(axis=0).all():
        raise ValueError("a target has no observed label in y_true: every value is NaN")
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    scores = [
        score(true[seen, j], pred[seen, j],
              sample_weight=None if weight is None else weight[seen])
        for j, seen in enumerate(observed.T)
    ]  # fmt: skip
    return float(np.mean(scores))


def masked_mean_absolute_error(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Mean absolute error over the observed labels, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
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
    return _over_observed(mean_absolute_error, y_true, y_pred, sample_weight)


def masked_r2_score(y_true: Any, y_pred: Any, *, sample_weight: Any = None) -> float:
    """Coefficient of determination over the observed labels, mean over the targets.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
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
    return _over_observed(r2_score, y_true, y_pred, sample_weight)

"""All scores of all targets in one table."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from ..targets import target_units
from ._columns import per_target, read_columns
from ._point import (
    masked_mae_over_mad,
    masked_mean_absolute_error,
    masked_median_absolute_error,
    masked_r2_score,
    masked_root_mean_squared_error,
    mean_absolute_deviation,
)
from ._uncertainty import calibration_error, interval_coverage, negative_log_likelihood

__all__ = ["target_report"]

_POINT: dict[str, Callable[..., Any]] = {
    "mae": masked_mean_absolute_error,
    "rmse": masked_root_mean_squared_error,
    "median_ae": masked_median_absolute_error,
    "r2": masked_r2_score,
    "mad": partial(per_target, mean_absolute_deviation, sample_weight=None),
    "mae_over_mad": masked_mae_over_mad,
}
_UNCERTAINTY: dict[str, Callable[..., Any]] = {
    "nll": negative_log_likelihood,
    "coverage_90": partial(interval_coverage, level=0.9),
    "calibration_error": calibration_error,
}


def target_report(
    y_true: Any, y_pred: Any, *, y_std: Any = None, names: Any = None
) -> pd.DataFrame:
    """Scores of every target over its observed labels, with units.

    Parameters
    ----------
    y_true : array-like, Series or DataFrame of shape (n,) or (n, t)
        True targets, NaN where missing.
    y_pred : array-like of the same shape
        Predictions; columns of a table are matched by name.
    y_std : array-like of the same shape, default=None
        Predicted standard deviations, as from ``predict(X, return_std=True)``; adds the
        last three columns.
    names : str or sequence of str, default=None
        Names of the targets; None takes those of y_true's columns or of a series, and
        numbers where it has none.

    Returns
    -------
    DataFrame
        One row a target, with the columns

        - ``unit``: from :data:`qcanvas_sklearn.targets.TARGETS`, empty where unknown;
        - ``n``: number of observed labels;
        - ``mae``, ``rmse``, ``median_ae``: errors in that unit;
        - ``r2``: coefficient of determination;
        - ``mad``: mean absolute deviation of the observed labels from their mean;
        - ``mae_over_mad``: ratio of the two;
        - ``nll``, ``coverage_90``, ``calibration_error``: negative log likelihood in
          nats, share of labels in the 90 % intervals and calibration error.

        A target without any observed label has n = 0 and NaN for scores.

    Raises
    ------
    ValueError
        If shapes or names do not match, or a standard deviation is not positive and
        finite.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.metrics import target_report
    >>> y = pd.DataFrame({"e_g_ev": [1.0, 2.0, 6.0], "distance_ang": [2.0, None, 3.0]})
    >>> target_report(y, [[1.0, 2.0], [3.0, 2.0], [6.5, 2.5]])[["unit", "n", "mae"]]
                      unit  n   mae
    target
    e_g_ev              eV  3  0.50
    distance_ang  angstrom  2  0.25
    """
    if names is not None:
        names = [names] if isinstance(names, str) else list(names)
    true, *predicted = read_columns(y_true, y_pred, y_std, names=names)
    n_observed = np.isfinite(true.values).sum(axis=0)
    known: list[Any] = list(true.names or range(len(n_observed)))
    keys = known if names is None else names
    if len(keys) != len(n_observed):
        raise ValueError(f"names={keys} are {len(keys)}, y_true has {len(n_observed)} targets")
    units = target_units(keys)
    report = pd.DataFrame(
        {"unit": [units[key] for key in keys], "n": n_observed},
        index=pd.Index(keys, name="target"),
    )
    labelled = n_observed > 0
    observed = [labels.values[:, labelled] for labels in (true, *predicted)]
    for scores, arrays in ((_POINT, observed[:2]), (_UNCERTAINTY, observed)):
        if scores is _UNCERTAINTY and y_std is None:
            break
        for name, score in scores.items():
            values = np.full(len(keys), np.nan)
            if labelled.any():
                values[labelled] = score(*arrays, multioutput="raw_values")
            report[name] = values
    return report

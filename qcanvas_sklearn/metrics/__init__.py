"""Scores over targets with missing labels, of predictions and of their uncertainties.

Columns of tables are matched by name, whatever their order, and all others by position.
As scikit-learn's scorers they are in :data:`SCORERS`, by name: ``cross_val_score(model, X, y,
scoring=get_scorer("neg_masked_mean_absolute_error"))``.
"""

from ._point import (
    masked_mae_over_mad,
    masked_mean_absolute_error,
    masked_median_absolute_error,
    masked_r2_score,
    masked_root_mean_squared_error,
)
from ._report import target_report
from ._scorers import SCORERS, get_scorer
from ._uncertainty import (
    calibration_error,
    coverage_curve,
    interval_coverage,
    negative_log_likelihood,
    sharpness,
)

__all__ = [
    "SCORERS",
    "calibration_error",
    "coverage_curve",
    "get_scorer",
    "interval_coverage",
    "masked_mae_over_mad",
    "masked_mean_absolute_error",
    "masked_median_absolute_error",
    "masked_r2_score",
    "masked_root_mean_squared_error",
    "negative_log_likelihood",
    "sharpness",
    "target_report",
]

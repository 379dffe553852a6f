"""The scores as scikit-learn's scorers."""

from __future__ import annotations

import copy
from typing import Any

from sklearn import metrics
from sklearn.metrics import make_scorer

from ._point import (
    masked_mae_over_mad,
    masked_mean_absolute_error,
    masked_median_absolute_error,
    masked_r2_score,
    masked_root_mean_squared_error,
)

__all__ = ["SCORERS", "get_scorer"]

#: Scorers by their names; greater is better.
SCORERS: dict[str, Any] = {
    f"neg_{score.__name__}": make_scorer(score, greater_is_better=False)
    for score in (
        masked_mean_absolute_error,
        masked_root_mean_squared_error,
        masked_median_absolute_error,
        masked_mae_over_mad,
    )
} | {"masked_r2": make_scorer(masked_r2_score)}


def get_scorer(scoring: str) -> Any:
    """Scorer by its name, one of :data:`SCORERS` or of scikit-learn's.

    What ``scoring`` takes wherever scikit-learn has one, in worker processes too. It
    looks up names among its own scorers only, so pass the scorer, or several by name::

        GridSearchCV(model, grid, scoring=get_scorer("neg_masked_mean_absolute_error"))
        cross_validate(model, X, y, scoring={"r2": get_scorer("masked_r2")})

    Parameters
    ----------
    scoring : str
        Name of a scorer.

    Returns
    -------
    callable
        Takes a fitted estimator, X and y, and returns a float; greater is better. A copy,
        so that metadata requests set on it stay there.

    Raises
    ------
    ValueError
        If there is no such scorer.

    See Also
    --------
    sklearn.metrics.make_scorer : A scorer with weights or other options of a score.

    Examples
    --------
    >>> from qcanvas_sklearn.metrics import get_scorer
    >>> get_scorer("neg_masked_mean_absolute_error")
    make_scorer(masked_mean_absolute_error, greater_is_better=False, ...)
    """
    if scoring in SCORERS:
        return copy.deepcopy(SCORERS[scoring])
    if scoring in metrics.get_scorer_names():
        return metrics.get_scorer(scoring)
    raise ValueError(
        f"scoring={scoring!r} is neither one of {list(SCORERS)} nor a scorer of scikit-learn"
    )


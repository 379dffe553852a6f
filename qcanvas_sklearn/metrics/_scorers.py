"""The scores as scikit-learn's scorers, found by name."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator
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

__all__ = ["SCORERS", "get_scorer", "register_scorers"]

#: Scorers by the names that ``scoring`` takes; greater is better.
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

    Importing :mod:`qcanvas_sklearn.metrics` lets scikit-learn's ``scoring`` take these
    names directly. A worker process knows only what it has imported: where it looks up
    the name itself (a search inside a cross-validation with ``n_jobs=2``), pass the
    scorer.

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


def register_scorers() -> None:
    """Let scikit-learn find the scorers by name.

    scikit-learn has no public way to add a name (its issue 17168), so this reaches into
    two private places, and only here. One is the dictionary in which names are looked up.
    The other are the sets of names against which functions and classes check their
    ``scoring``: each copied the dictionary's keys when its module was imported; modules
    that are imported later copy ours along. Names that scikit-learn has are left as they
    are. Should a later release have neither place, nothing happens: :func:`get_scorer`
    then gives the scorer that ``scoring`` takes in place of its name.
    """
    try:
        from sklearn.metrics._scorer import _SCORERS as registry
    except ImportError:
        return
    for name, scorer in SCORERS.items():
        registry.setdefault(name, scorer)
    for names in _accepted_names():
        names.update(SCORERS)


def _accepted_names() -> Iterator[set[str]]:
    """Sets of names that the ``scoring`` of scikit-learn's loaded functions accepts."""
    for path, module in list(sys.modules.items()):
        if not path.startswith("sklearn.") or not inspect.ismodule(module):
            continue
        for item in list(vars(module).values()):
            if inspect.isfunction(item):
                constraints = getattr(item, "_skl_parameter_constraints", None)
            elif inspect.isclass(item):
                constraints = getattr(item, "_parameter_constraints", None)
            else:
                continue
            accepted = constraints.get("scoring") if isinstance(constraints, dict) else None
            for constraint in accepted if isinstance(accepted, list) else ():
                names = getattr(constraint, "options", None)
                if isinstance(names, set) and "r2" in names:
                    yield names

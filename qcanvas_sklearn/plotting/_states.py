"""Which model and which pairs a display of states is of."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._validation import take_rows

__all__ = ["model_and_pairs", "row_of"]


def model_and_pairs(estimator: Any, X: Any) -> tuple[Any, Any]:
    """The tight-binding model in an estimator or pipeline, and X as it takes it.

    Raises
    ------
    TypeError
        If there is none.
    """
    if hasattr(estimator, "steps"):
        X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        estimator = estimator[-1]
    model = getattr(estimator, "tight_binding_", estimator)
    if not hasattr(model, "potential_curve"):
        raise TypeError(
            f"{type(estimator).__name__} knows no levels and curves of pairs; pass a fitted "
            "TightBindingRegressor, or a QCanvasRegressor that has learned a Hamiltonian"
        )
    return model, X


def row_of(X: Any, row: int) -> Any:
    """A row of pairs or of a table, as a table."""
    n = len(X)
    if not -n <= row < n:
        raise ValueError(f"row={row} is not one of the {n} rows of X")
    return take_rows(X, np.array([row % n]))

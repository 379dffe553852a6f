"""Targets with missing labels, and rows of whatever container."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array

__all__ = ["Labels", "check_labels", "take_rows"]


class Labels(NamedTuple):
    """Targets as a matrix.

    Attributes
    ----------
    values : ndarray of shape (n, t)
        NaN where a label is missing.
    names : list of str
        Names of a Series or DataFrame; ``y``, or ``y0``, ``y1``, ... without.
    """

    values: NDArray[np.float64]
    names: list[str]

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Rows with a label at least."""
        return np.asarray(np.isfinite(self.values).any(axis=1))


def check_labels(y: Any, n: int) -> Labels:
    """Read y of shape (n,) or (n, t); NaN is a missing label.

    Raises
    ------
    ValueError
        If y has another length, is infinite or not numeric, or a target has no label.
    """
    values = check_array(
        y, ensure_2d=False, dtype=np.float64, ensure_all_finite="allow-nan", input_name="y"
    )
    if len(values) != n:
        raise ValueError(f"X has {n} rows, y has {len(values)}")
    matrix = values.reshape(n, -1)
    if isinstance(y, pd.DataFrame):
        names = [str(name) for name in y.columns]
    elif values.ndim == 1:
        names = [str(getattr(y, "name", None) or "y")]
    else:
        names = [f"y{j}" for j in range(matrix.shape[1])]
    empty = [name for name, seen in zip(names, np.isfinite(matrix).any(axis=0), strict=True)
             if not seen]  # fmt: skip
    if empty:
        raise ValueError(f"targets {empty} have no observed label: every value is NaN")
    return Labels(matrix, names)


def take_rows(data: Any, rows: NDArray) -> Any:
    """Rows of a DataFrame, a Series, or whatever numpy reads."""
    return data.iloc[rows] if hasattr(data, "iloc") else np.asarray(data)[rows]

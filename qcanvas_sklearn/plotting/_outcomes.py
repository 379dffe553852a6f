"""True and predicted targets, and values of pairs, as users pass them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._validation import Labels, check_n_rows, read_labels
from ..elements import symbols
from ..metrics._columns import read_columns
from ..model_selection._base import pairs_of
from ..targets import GROUPS
from ._common import name_of, quantity, unit_of

__all__ = [
    "Outcomes",
    "absolute_errors",
    "mean_of_pairs",
    "read_outcomes",
    "read_values",
]


class Outcomes(NamedTuple):
    """Targets to show, as matrices.

    Attributes
    ----------
    keys : list of str
        Names of the targets.
    true : ndarray of shape (n, t)
        NaN where a label is missing.
    predicted : tuple of ndarray of shape (n, t)
        Predictions and, where they were passed, their standard deviations.
    """

    keys: list[str]
    true: NDArray[np.float64]
    predicted: tuple[NDArray[np.float64], ...]


def read_outcomes(
    y_true: Any, y_pred: Any, y_std: Any = None, *, target: str | Sequence[str] | None
) -> Outcomes:
    """Check targets and predictions, name the targets and pick those to show.

    Parameters
    ----------
    y_true : array-like, Series or DataFrame of shape (n,) or (n, t)
        NaN where a label is missing.
    y_pred, y_std : array-like of the same shape
        Predictions, and their standard deviations or None. Columns of tables are matched
        by name.
    target : str, sequence of str or None
        Columns of a DataFrame to show, or names of an array's columns.

    Returns
    -------
    Outcomes

    Raises
    ------
    ValueError
        If shapes or names do not match, a prediction is not finite, or a target to show
        has no observed label.
    """
    true = _named(read_labels(y_true, input_name="y_true"), target)
    keys = true.keys("target", "target {}")
    _, *predicted = read_columns(y_true, y_pred, y_std, names=true.names)
    shown = [keys.index(key) for key in _asked_for(target, keys)]
    for column in shown:
        if not np.isfinite(true.values[:, column]).any():
            raise ValueError(f"target {keys[column]!r} has no observed label in y_true")
    picked = tuple(labels.values[:, shown] for labels in predicted)
    return Outcomes([keys[column] for column in shown], true.values[:, shown], picked)


def _named(true: Labels, target: Any) -> Labels:
    """Labels of an array with the names that the user gives to its columns."""
    if true.names is not None or target is None:
        return true
    keys, n_targets = _asked_for(target), true.values.shape[1]
    if len(keys) != n_targets:
        raise ValueError(
            f"target={target!r} names {len(keys)} targets, y_true without column names has "
            f"{n_targets}"
        )
    return true._replace(names=keys)


def _asked_for(target: Any, known: list[str] | None = None) -> list[str]:
    """Names that a target specification stands for, among those known."""
    if target is None:
        return known or []
    names = [target] if isinstance(target, str) else target
    if not isinstance(names, Iterable):
        raise TypeError(f"target must be a name, a sequence of names or None, got {target!r}")
    keys = list(dict.fromkeys(key for name in names for key in GROUPS.get(name, (name,))))
    absent = [key for key in keys if known is not None and key not in known]
    if absent or not keys:
        raise ValueError(f"target={target!r}: {absent} are not among the columns {known}")
    return keys


def absolute_errors(
    X: Any, y_true: Any, y_pred: Any, target: str | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], str]:
    """Pairs with a label, the absolute errors of their predictions, and what these are.

    Raises
    ------
    ValueError
        If there is more than one target, or the rows do not match.
    """
    keys, true, (pred,) = read_outcomes(y_true, y_pred, target=target)
    if len(keys) > 1:
        raise ValueError(f"name one target to show with target=...; there are {keys}")
    z, errors = read_values(X, np.abs(true - pred)[:, 0], "y_true")
    return z, errors, f"MAE, {quantity(name_of(keys[0]), unit_of(keys[0]))}"


def read_values(
    X: Any, values: Any, name: str = "values"
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Atomic numbers (n, 2) and values (n,) of the pairs that have a value."""
    z = pairs_of(X)
    labels = read_labels(values, input_name=name)
    check_n_rows(labels.values, len(z), input_name=name)
    if not labels.single:
        raise ValueError(f"{name} has shape {labels.values.shape}, expected ({len(z)},)")
    numbers = labels.values[:, 0]
    seen = np.isfinite(numbers)
    if not seen.any():
        raise ValueError(f"{name} has no observed value: every one is NaN")
    return z[seen], numbers[seen]


def mean_of_pairs(z: NDArray[np.int64], values: NDArray[np.float64]) -> pd.DataFrame:
    """Symmetric table of the mean values by pair, both axes symbols in order of Z."""
    two = z[:, 0] != z[:, 1]
    both, doubled = np.concatenate([z, z[two, ::-1]]), np.concatenate([values, values[two]])
    table = pd.DataFrame({"a": both[:, 0], "b": both[:, 1], "value": doubled})
    means = table.pivot_table(index="a", columns="b", values="value", aggfunc="mean")
    names = symbols(means.index)
    return pd.DataFrame(means.to_numpy(), index=names, columns=names)

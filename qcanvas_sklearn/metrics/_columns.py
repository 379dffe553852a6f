"""What all scores share: shapes, missing labels, weights, and the mean over targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length

__all__ = [
    "Score",
    "average_targets",
    "check_std",
    "check_targets",
    "check_weight",
    "per_target",
    "target_keys",
]

#: A float, or an array with one entry a target: ``multioutput`` decides, so that a type
#: checker must not.
Score: TypeAlias = Any

_MULTIOUTPUT = ("uniform_average", "raw_values")


def target_keys(y: Any, n_targets: int) -> list[Any]:
    """Names that a DataFrame or Series brings along, else numbers."""
    if hasattr(y, "columns"):
        return list(y.columns)
    name = getattr(y, "name", None)
    return list(range(n_targets)) if name is None else [name]


def check_targets(y_true: Any, y_pred: Any, y_std: Any = None) -> tuple[NDArray, ...]:
    """Targets side by side, as float64 arrays of shape (n, t); only y_true may hold NaN.

    Raises
    ------
    ValueError
        If shapes do not match, two tables have the same columns in different orders, a
        prediction is not finite or a standard deviation is not positive.
    """
    true = _matrix(y_true, "y_true", ensure_all_finite="allow-nan")
    pred = _matrix(y_pred, "y_pred")
    _check_match(y_true, y_pred, "y_pred", true.shape == pred.shape)
    if y_std is None:
        return true, pred
    std = check_std(y_std)
    _check_match(y_true, y_std, "y_std", true.shape == std.shape)
    return true, pred, std


def check_std(y_std: Any) -> NDArray[np.float64]:
    """Standard deviations of shape (n, t), all positive and finite."""
    std = _matrix(y_std, "y_std", ensure_all_finite=False)
    bad = np.argwhere(~(np.isfinite(std) & (std > 0)))
    if len(bad):
        row, target = bad[0]
        place = f"row {row}" if std.shape[1] == 1 else f"row {row}, target {target}"
        raise ValueError(
            f"y_std must be positive and finite, got {std[row, target]} in {place}"
        )
    return std


def _matrix(y: Any, name: str, **options: Any) -> NDArray[np.float64]:
    array = check_array(y, input_name=name, ensure_2d=False, dtype=np.float64, **options)
    return array.reshape(len(array), -1)


def _check_match(y_true: Any, given: Any, name: str, same_shape: bool) -> None:
    if not same_shape:
        raise ValueError(
            f"y_true of shape {np.shape(y_true)} and {name} of shape {np.shape(given)} "
            "do not match"
        )
    if hasattr(y_true, "columns") and hasattr(given, "columns"):
        expected, got = list(y_true.columns), list(given.columns)
        if expected != got and set(expected) == set(got):
            raise ValueError(f"{name} has the columns {got}, y_true the same as {expected}")


def check_weight(sample_weight: Any, n: int) -> NDArray[np.float64] | None:
    """Weights of shape (n,), none negative and not all zero; None where there are none."""
    if sample_weight is None:
        return None
    weight = check_array(
        sample_weight, input_name="sample_weight", ensure_2d=False, dtype=np.float64
    )
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    check_consistent_length(weight, np.empty(n))
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
    if not weight.any():
        raise ValueError("sample_weight is zero in every row")
    return weight


def average_targets(scores: NDArray[np.float64], multioutput: Any) -> Score:
    """Mean of one score a target, or all of them."""
    if not isinstance(multioutput, str) or multioutput not in _MULTIOUTPUT:
        raise ValueError(f"multioutput={multioutput!r} is not one of {list(_MULTIOUTPUT)}")
    if multioutput == "raw_values":
        return scores
    mean = scores.mean(axis=0)
    return float(mean) if mean.ndim == 0 else mean


def per_target(
    score: Callable[..., Any],
    y_true: Any,
    y_pred: Any,
    y_std: Any = None,
    *,
    sample_weight: Any,
    multioutput: Any,
) -> Score:
    """Score each target over the rows that have its label and a weight above zero.

    Parameters
    ----------
    score : callable
        Takes columns (m,) of the truth, the predictions and, where given, the standard
        deviations, and ``sample_weight``.
    y_true, y_pred, y_std : array-like of shape (n,) or (n, t)
        As in :func:`check_targets`.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}
        Mean over the targets, or one score each.

    Raises
    ------
    ValueError
        If the input does not fit together or a target has no label to count.
    """
    columns = check_targets(y_true, y_pred, y_std)
    observed = np.isfinite(columns[0])
    weight = check_weight(sample_weight, len(observed))
    if weight is not None:
        observed &= (weight > 0)[:, np.newaxis]
    counted = observed.any(axis=0)
    if not counted.all():
        keys = target_keys(y_true, len(counted))
        empty = [key for key, any_label in zip(keys, counted, strict=True) if not any_label]
        weighted = "" if weight is None else " with a weight above zero"
        raise ValueError(f"targets {empty} have no observed label{weighted} in y_true")
    scores = [
        score(
            *(column[seen, j] for column in columns),
            sample_weight=None if weight is None else weight[seen],
        )
        for j, seen in enumerate(observed.T)
    ]
    return average_targets(np.array(scores, dtype=np.float64), multioutput)

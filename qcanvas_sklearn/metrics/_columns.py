"""What all scores share: columns that match, missing labels, and the mean over targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._validation import (
    Labels,
    align_columns,
    check_choice,
    check_observed,
    check_weight,
    read_labels,
)

__all__ = ["Score", "average_targets", "check_std", "per_target", "read_columns"]

#: A float, or an array with one entry a target: ``multioutput`` decides, so that a type
#: checker must not.
Score: TypeAlias = Any


def read_columns(
    y_true: Any, y_pred: Any, y_std: Any = None, *, names: Sequence[str] | None = None
) -> tuple[Labels, ...]:
    """Targets side by side; only those of y_true may be missing.

    Columns of two tables are matched by name, whatever their order, all others by
    position. A series stands alone, so that its name need not be that of another.

    Parameters
    ----------
    y_true, y_pred, y_std : array-like of shape (n,) or (n, t)
        The last may be None.
    names : sequence of str or None, default=None
        Names of the columns of y_true where it brings none along.

    Returns
    -------
    tuple of Labels
        Of what was given, columns in the order of the first that has names.

    Raises
    ------
    ValueError
        If shapes or the names of two tables do not match, a prediction is not finite or
        a standard deviation is not positive.
    """
    true = read_labels(y_true, input_name="y_true")
    if true.names is None and names is not None:
        true = true._replace(names=list(names))
    read = [true]
    for name, given in (("y_pred", y_pred), ("y_std", y_std)):
        if given is not None:
            labels = read_labels(given, input_name=name, allow_infinite=name == "y_std")
            read.append(_match(labels, read, name))
    _check_finite(read[1].values)
    if y_std is not None:
        _check_positive(read[2].values)
    return tuple(read)


def _match(given: Labels, read: list[Labels], name: str) -> Labels:
    true = read[0]
    known = next((labels for labels in read if labels.names is not None), true)
    if given.names and known.names and not (given.single and known.single):
        given = align_columns(given, known.names, len(known.names), input_name=name)
    if given.values.shape != true.values.shape:
        raise ValueError(
            f"y_true of shape {_shape(true)} and {name} of shape {_shape(given)} do not match"
        )
    return given


def _shape(labels: Labels) -> tuple[int, ...]:
    return labels.values.shape[:1] if labels.single else labels.values.shape


def _check_finite(pred: NDArray[np.float64]) -> None:
    missing = np.argwhere(np.isnan(pred))
    if len(missing):
        raise ValueError(f"y_pred contains NaN in {_place(missing[0], pred)}")


def check_std(y_std: Any) -> NDArray[np.float64]:
    """Standard deviations of shape (n, t), all positive and finite."""
    std = read_labels(y_std, input_name="y_std", allow_infinite=True).values
    _check_positive(std)
    return std


def _check_positive(std: NDArray[np.float64]) -> None:
    bad = np.argwhere(~(np.isfinite(std) & (std > 0)))
    if len(bad):
        raise ValueError(
            f"y_std must be positive and finite, got {std[tuple(bad[0])]} in "
            f"{_place(bad[0], std)}"
        )


def _place(index: NDArray[np.int64], matrix: NDArray) -> str:
    row, target = index
    return f"row {row}" if matrix.shape[1] == 1 else f"row {row}, target {target}"


def average_targets(scores: NDArray[np.float64], multioutput: str) -> Score:
    """Mean of one score a target, or all of them."""
    check_choice("multioutput", multioutput, ("uniform_average", "raw_values"))
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
    multioutput: str,
) -> Score:
    """Score each target over the rows that have its label and a weight above zero.

    Parameters
    ----------
    score : callable
        Takes columns (m,) of the truth, the predictions and, where given, the standard
        deviations, and ``sample_weight``.
    y_true, y_pred, y_std : array-like of shape (n,) or (n, t)
        As in :func:`read_columns`.
    sample_weight : array-like of shape (n,) or None
        Weights of the rows.
    multioutput : {"uniform_average", "raw_values"}
        Mean over the targets, or one score each.

    Raises
    ------
    ValueError
        If the input does not fit together or a target has no label to count.
    """
    columns = read_columns(y_true, y_pred, y_std)
    observed = np.isfinite(columns[0].values)
    # Not ones in place of None: scikit-learn's weighted formulas round differently.
    weight = None if sample_weight is None else check_weight(sample_weight, len(observed))
    check_observed(columns[0], weight, input_name="y_true")
    if weight is not None:
        observed &= (weight > 0)[:, np.newaxis]
    scores = [
        score(
            *(column.values[seen, j] for column in columns),
            sample_weight=None if weight is None else weight[seen],
        )
        for j, seen in enumerate(observed.T)
    ]
    return average_targets(np.array(scores, dtype=np.float64), multioutput)

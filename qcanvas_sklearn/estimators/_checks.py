"""Checks of what is passed to fit: parameters, targets, weights."""

from __future__ import annotations

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, check_scalar

from .._validation import check_choice
from ..targets import target_parity
from ..training import resolve_device

__all__ = [
    "Targets",
    "check_continued",
    "check_elements",
    "check_network_parameters",
    "check_passed",
    "check_rows",
    "check_shared_parameters",
    "check_targets",
    "check_weight",
]

LR_SCHEDULES = ("one_cycle", "constant")
UNSEEN_ELEMENTS = ("error", "allow")


class Targets(NamedTuple):
    """Targets as a matrix, and how the user gave them.

    Attributes
    ----------
    values : ndarray of shape (n, t), float64
        NaN where a label is missing.
    names : list of str or None
        Names of a Series or DataFrame.
    single : bool
        Whether y was one-dimensional.
    parity : ndarray of shape (t,), int
        Sign under exchange of the atoms, 0 where the name does not tell.
    weight : ndarray of shape (n,)
        Weight of each row besides the user's.
    classes : ndarray of shape (t,) or None
        The classes whose one-hot columns `values` holds; None for a regression.
    """

    values: NDArray[np.float64]
    names: list[str] | None
    single: bool
    parity: NDArray[np.int64]
    weight: NDArray[np.float64]
    classes: NDArray | None = None


def check_shared_parameters(estimator: BaseEstimator, losses: tuple[str, ...]) -> None:
    """Check the hyperparameters that all network estimators share.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, its value and what is accepted.
    """
    params = estimator.get_params(deep=False)
    for name in ("max_epochs", "batch_size", "n_iter_no_change", "n_members"):
        check_scalar(params[name], name, numbers.Integral, min_val=1)
    check_scalar(params["lr"], "lr", numbers.Real, min_val=0, include_boundaries="neither")
    check_scalar(params["weight_decay"], "weight_decay", numbers.Real, min_val=0)
    check_scalar(
        params["validation_fraction"], "validation_fraction", numbers.Real,
        min_val=0, max_val=1, include_boundaries="neither",
    )  # fmt: skip
    check_scalar(params["verbose"], "verbose", (numbers.Integral, bool), min_val=0)
    for name in ("lr", "weight_decay", "validation_fraction"):
        if not np.isfinite(params[name]):
            raise ValueError(f"{name}={params[name]} is not finite")
    for name in ("early_stopping", "warm_start"):
        check_scalar(params[name], name, (bool, np.bool_))
    check_choice("loss", params["loss"], losses)
    check_choice("lr_schedule", params["lr_schedule"], LR_SCHEDULES)
    check_choice("unseen_elements", params["unseen_elements"], UNSEEN_ELEMENTS)
    if params["callbacks"] is not None and not isinstance(params["callbacks"], (list, tuple)):
        raise TypeError(
            f"callbacks={params['callbacks']!r} is not a list of skorch callbacks or None"
        )
    resolve_device(params["device"])


def check_network_parameters(params: dict[str, Any]) -> None:
    """Check the hyperparameters of a network by their names: counts, dropout, lengths.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, its value and what is accepted.
    """
    for name, value in params.items():
        if name.startswith("n_") or name.endswith("_size"):
            check_scalar(value, name, numbers.Integral, min_val=1)
        elif name == "dropout":
            check_scalar(
                value, name, numbers.Real, min_val=0, max_val=1, include_boundaries="left"
            )
        elif name == "cutoff":
            check_scalar(value, name, numbers.Real)
            if not 0 < value < math.inf:
                raise ValueError(f"cutoff={value!r} is not a positive length in angstrom")
    if "n_heads" in params and params["n_hidden"] % params["n_heads"]:
        raise ValueError(
            f"n_heads={params['n_heads']} does not divide n_hidden={params['n_hidden']}"
        )
    if "n_filters" in params and params["n_filters"] % 8:
        raise ValueError(f"n_filters={params['n_filters']} is not a multiple of 8")


def check_passed(estimator: BaseEstimator, y: Any) -> None:
    """Raise a ValueError where there is no y, in the words that scikit-learn expects."""
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        )


def check_rows(y: NDArray, n: int) -> None:
    """Raise a ValueError unless y has as many rows as X."""
    if len(y) != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n} rows, "
            f"y has {len(y)}"
        )


def check_targets(estimator: BaseEstimator, y: Any, n: int) -> Targets:
    """Read y of shape (n,) or (n, t); NaN is a missing label, inf is refused.

    Raises
    ------
    ValueError
        If y is absent, of another length or shape, infinite, or a target has no
        observed label at all.
    """
    check_passed(estimator, y)
    names = None
    if isinstance(y, pd.DataFrame) and all(isinstance(name, str) for name in y.columns):
        names = list(y.columns)
    elif isinstance(y, pd.Series) and isinstance(y.name, str):
        names = [y.name]
    values = check_array(
        y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y",
    )  # fmt: skip
    if values.ndim > 2:
        raise ValueError(f"y has shape {values.shape}, expected (n,) or (n, n_targets)")
    check_rows(values, n)
    single = values.ndim == 1
    matrix = values.reshape(n, -1)
    empty = ~np.isfinite(matrix).any(axis=0)
    if empty.any():
        which = names[int(np.argmax(empty))] if names else int(np.argmax(empty))
        raise ValueError(f"target {which!r} has no observed label: every value is NaN")
    parity = np.array([target_parity(name) for name in names or [None] * matrix.shape[1]])
    return Targets(matrix, names, single, parity, np.ones(n))


def check_continued(estimator: Any, targets: Targets) -> None:
    """Raise a ValueError unless a model that is continued learns what it learned before."""
    n_before, names_before = len(estimator.scaler_.center), estimator.target_names_
    if estimator.n_members != estimator._members:
        raise ValueError(
            f"n_members={estimator.n_members}, the model that is continued has "
            f"{estimator._members}"
        )
    if targets.values.shape[1] != n_before:
        raise ValueError(
            f"y has {targets.values.shape[1]} targets, the model that is continued has "
            f"{n_before}"
        )
    names = targets.names
    if names is not None and names_before is not None and names != names_before:
        raise ValueError(
            f"y holds the targets {names}, the model that is continued predicts {names_before}"
        )


def check_elements(present: list[str], seen: list[str]) -> None:
    """Raise a ValueError that names the elements that were not seen in training."""
    unseen = sorted(set(present) - set(seen))
    if unseen:
        raise ValueError(
            f"elements {unseen} were not among the training pairs; set "
            'unseen_elements="allow" to extrapolate to them'
        )


def check_weight(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Sample weights of shape (n,); ones by default.

    Raises
    ------
    ValueError
        If they are not n finite, non-negative numbers with a positive sum.
    """
    if sample_weight is None:
        return np.ones(n)
    weight = check_array(
        sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight"
    )
    if weight.ndim == 0:
        return np.full(n, float(weight))
    if weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {weight.shape}, expected ({n},)")
    if (weight < 0).any() or not weight.any():
        raise ValueError("sample_weight must be non-negative and not zero in every row")
    return weight

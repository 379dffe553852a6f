"""Checks of hyperparameters, and of what a fitted model is asked for."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_scalar

from .._validation import check_choice
from ..training import resolve_device

__all__ = [
    "check_architecture",
    "check_elements",
    "check_network_parameters",
    "check_passed",
    "check_set_aside",
    "check_shared_parameters",
]

LR_SCHEDULES = ("one_cycle", "constant")
UNSEEN_ELEMENTS = ("error", "allow")


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


def check_elements(
    unseen_elements: str, present: list[str], seen: list[str], of: str = ""
) -> None:
    """Raise a ValueError that names those not seen in training, unless they are allowed."""
    check_choice("unseen_elements", unseen_elements, UNSEEN_ELEMENTS)
    unseen = sorted(set(present) - set(seen))
    if unseen and unseen_elements == "error":
        raise ValueError(
            f"elements {unseen}{of} were not among the training rows; set "
            'unseen_elements="allow" to extrapolate to them'
        )


def check_set_aside(
    aside: NDArray[np.int64], n_rows: int, validation_fraction: float
) -> None:
    """Raise a ValueError if no row was set aside."""
    if not len(aside):
        raise ValueError(
            "early_stopping or n_members > 1 with validation_fraction="
            f"{validation_fraction} leaves none of the labelled rows to train on, or "
            f"none to validate on (n_samples={n_rows}): each is the only one with its "
            "element or class. Pass X_val and y_val"
        )


def check_architecture(
    estimator: Any, before: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Raise a ValueError if a model that is continued was trimmed, or built otherwise."""
    if getattr(estimator, "_trimmed", False):
        raise ValueError(
            f"{type(estimator).__name__} was trimmed to what predictions need and cannot be "
            "continued; call fit with warm_start=False, or keep the whole model with trim=False"
        )
    # A network of another kind may have further parameters.
    both = [name for name in now if name in before]
    changed = [name for name in both if not np.array_equal(now[name], before[name])]
    if changed:
        raise ValueError(
            f"{type(estimator).__name__} cannot be continued with other parameters of its "
            "network: "
            + ", ".join(f"{name}={now[name]!r} was {before[name]!r}" for name in changed)
            + "; set warm_start=False and call fit for a new one"
        )

"""What a model says of itself: the card of its file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..estimators._provenance import versions
from ..targets import target_units

__all__ = ["card_of"]

#: Longest text of a parameter that is no plain value.
_MAX_TEXT = 200


def card_of(estimator: BaseEstimator, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The card of a fitted model: what it knows, and behind it what the user states.

    Raises
    ------
    TypeError
        If what is stated is no mapping, or holds what JSON does not know.
    ValueError
        If it holds a number that is not finite, or an entry that the model knows better.
    """
    model = _predicting(estimator)
    names = getattr(model, "target_names_", None)
    provenance = dict(getattr(model, "provenance_", {}))
    for name in ("targets", "elements"):  # they have entries of their own
        provenance.pop(name, None)
    known = {
        "estimator": type(estimator).__name__,
        "parameters": {
            name: _plain(value) for name, value in estimator.get_params(deep=False).items()
        },
        "targets": names,
        "units": target_units(names or []) or getattr(model, "unit_", None),
        "classes": _stated(getattr(model, "classes_", None), "classes"),
        "elements": _stated(getattr(model, "elements_", None), "elements"),
        "n_parameters": getattr(model, "n_parameters_", None),
        "n_iter": _stated(getattr(model, "n_iter_", None), "n_iter"),
        "provenance": _stated(provenance, "provenance"),
        "versions": versions(),
    }
    card = {name: value for name, value in known.items() if value not in (None, {}, [])}
    given = {} if given is None else given
    if not isinstance(given, Mapping):
        raise TypeError(f"card={given!r:.80} is no mapping of names to what they are")
    taken = sorted(set(card) & set(given), key=str)
    if taken:
        raise ValueError(
            f"card holds {taken}, which the model states itself; of its own it has {list(card)}"
        )
    return card | _stated(given, "card")


def _predicting(estimator: Any) -> Any:
    """The model in a pipeline, or in what only transforms its targets."""
    for _ in range(10):  # deeper nests have no more to say
        if hasattr(estimator, "steps"):
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "regressor_"):
            estimator = estimator.regressor_
    return estimator


def _stated(value: Any, where: str) -> Any:
    """A value as JSON has it.

    Raises
    ------
    TypeError, ValueError
        Naming the entry.
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, accepted are finite numbers")
        return value
    if isinstance(value, Mapping):
        return {_key(k, where): _stated(v, f"{where}[{k!r}]") for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stated(v, f"{where}[{i}]") for i, v in enumerate(value)]
    raise TypeError(
        f"{where} is a {type(value).__name__}; accepted are texts, numbers, truth values, "
        "None, arrays, and lists and mappings of these"
    )


def _key(key: Any, where: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{where} has the key {key!r}, accepted are texts")
    return key


def _plain(value: Any) -> Any:
    """A parameter as JSON has it; its text, shortened, where JSON has none."""
    try:
        return _stated(value, "parameter")
    except (TypeError, ValueError):
        text = " ".join(repr(value).split())
        return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"

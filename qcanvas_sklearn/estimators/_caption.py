"""What a notebook says of a fitted model above scikit-learn's diagram of it."""

from __future__ import annotations

from html import escape
from typing import Any

from sklearn.base import BaseEstimator

from ..targets import TARGETS, target_units

__all__ = ["CaptionedEstimator"]

_MANY_CLASSES = 10


class CaptionedEstimator(BaseEstimator):
    """An estimator whose HTML names the targets that it has learned, with their units."""

    def _html_repr(self) -> str:
        diagram: str = super()._html_repr()
        caption = _caption(self)
        return f"<p>{escape(caption)}</p>{diagram}" if caption else diagram


def _caption(model: Any) -> str:
    """One sentence, or nothing where a model is not fitted or was told no names."""
    units = _units(model)
    if not units:
        return ""
    things = ", ".join(_quantity(name, unit) for name, unit in units.items())
    if len(units) > 1:
        things = f"{len(units)} targets: {things}"
    classes = getattr(model, "classes_", None)
    if classes is not None:
        few = len(classes) <= _MANY_CLASSES
        told = ", ".join(map(str, classes.tolist())) if few else len(classes)
        things += f", classes: {told}"
    n_elements = len(getattr(model, "elements_", ()))
    if n_elements:
        things += f", of {n_elements} element{'s' * (n_elements > 1)}"
    return f"{type(model).__name__} has learned {things}."


def _units(model: Any) -> dict[str, str]:
    if hasattr(model, "unit_"):
        return {"Hamiltonian": model.unit_}
    return target_units(getattr(model, "target_names_", None) or [])


def _quantity(name: str, unit: str) -> str:
    words = f"{TARGETS[name].name} {name}" if name in TARGETS else name
    return f"{words} ({unit})" if unit not in ("", "-") else words

"""How objects of the registry are taken apart and put together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import __version__
from ._nets import net_of, parts_of_net
from ._registry import Form, Kind

__all__ = ["put_together", "take_apart"]

#: Parts of an object by name, each with values by name.
Parts = dict[str, dict[str, Any]]

#: Arguments of constructors, of what has no attributes of their names.
_ARGUMENTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "Basis": lambda basis: {"shells": dict(basis)},
    "Bunch": dict,
    "RandomState": lambda state: {"state": state.get_state()},
    "Template": lambda template: {"basis": template.basis},
}


def take_apart(value: Any, kind: Kind) -> Parts:
    """Parts of an object."""
    if kind.form is Form.NET:
        return {"fields": parts_of_net(value)}
    if kind.form is Form.MADE:
        return {"fields": _ARGUMENTS[kind.name](value)}
    if kind.form is Form.RECORD:
        return {"fields": {name: getattr(value, name) for name in _field_names(kind.type)}}
    if kind.form is Form.STATE:
        return {"fields": _attributes(value)}
    params = value.get_params(deep=False)
    fitted = {name: v for name, v in _attributes(value).items() if name not in params}
    return {"params": params, "fitted": fitted}


def put_together(kind: Kind, parts: Mapping[str, Mapping[str, Any]]) -> Any:
    """An object of its parts; parameters that are absent are the defaults of the class.

    Raises
    ------
    ValueError
        If it has parts, parameters or fields that the class does not know.
    """
    cls: Any = kind.type
    expected = {"params", "fitted"} if kind.form is Form.ESTIMATOR else {"fields"}
    if set(parts) != expected:
        raise ValueError(f"its {kind.name} has the parts {sorted(parts)}")
    if kind.form is Form.ESTIMATOR:
        _check_names(kind, parts["params"], set(cls._get_param_names()))
        estimator = cls(**parts["params"])
        _set(estimator, parts["fitted"])
        return estimator
    own = parts["fields"]
    if kind.form is Form.NET:
        return net_of(own)
    if kind.form is Form.STATE:
        state = cls.__new__(cls)
        _set(state, own)
        return state
    if kind.name == "RandomState":
        random_state = np.random.RandomState(0)
        random_state.set_state(own["state"])
        return random_state
    if kind.form is Form.RECORD:
        _check_names(kind, own, set(_field_names(cls)))
    return cls(**own)


def _field_names(cls: Any) -> tuple[str, ...]:
    return tuple(f.name for f in fields(cls)) if is_dataclass(cls) else cls._fields


def _attributes(value: Any) -> dict[str, Any]:
    """Attributes but for those that are computed when they are asked for."""
    static = inspect.getattr_static
    return {
        name: v for name, v in vars(value).items()
        if not isinstance(static(type(value), name, None), cached_property)
    }  # fmt: skip


def _check_names(kind: Kind, given: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        of = "scikit-learn" if kind.module.startswith("sklearn.") else "qcanvas_sklearn"
        raise ValueError(
            f"its {kind.name} has {unknown}, which {of} as it is installed does not know: "
            "the file was written by another version (read_card says which), this is "
            f"qcanvas_sklearn {__version__}"
        )


def _set(value: Any, attributes: Mapping[str, Any]) -> None:
    """Set attributes that take no method's or property's place."""
    for name in attributes:
        own = inspect.getattr_static(type(value), name, None)
        if not name.isidentifier() or name.startswith("__") or hasattr(type(own), "__get__"):
            raise ValueError(f"its {type(value).__name__} has an attribute {name!r:.40}")
    vars(value).update(attributes)

"""Models without what predictions do not need."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from skorch.history import History

from ..estimators._base import NetEstimator

__all__ = ["estimators_in", "networks_in", "trim"]

E = TypeVar("E", bound=BaseEstimator)


def trim(estimator: E) -> E:
    """A copy of a fitted model without what predictions do not need.

    Left out are what optimizers remember, the losses of the batches, and the rows that
    ``partial_fit`` has set aside. Predictions, standard deviations, ``history_`` and
    ``provenance_`` stay what they are, to the last bit.

    Parameters
    ----------
    estimator : estimator
        A fitted network estimator, or anything that holds some, such as a Pipeline; it is
        not changed.

    Returns
    -------
    estimator
        Of the same class. It cannot be continued: ``partial_fit``, and ``fit`` with
        ``warm_start=True``, raise a ValueError. ``fit`` begins anew.

    Raises
    ------
    TypeError
        If `estimator` is none.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    save_model : Trims by default.

    Examples
    --------
    >>> from qcanvas_sklearn import PairMLPRegressor, load_pairs, trim
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> model = PairMLPRegressor(n_hidden=16, random_state=0).partial_fit(X[:99], y[:99])
    >>> small = trim(model)
    >>> (small.predict(X[:5]) == model.predict(X[:5])).all()
    np.True_
    >>> small.partial_fit(X[:99], y[:99])
    Traceback (most recent call last):
        ...
    ValueError: PairMLPRegressor was trimmed to what predictions need and cannot be continued;
    call fit with warm_start=False, or keep the whole model with trim=False
    """
    if not isinstance(estimator, BaseEstimator):
        raise TypeError(f"{type(estimator).__name__} is no estimator")
    check_is_fitted(estimator)
    trimmed = copy.deepcopy(estimator)
    for model in networks_in(trimmed):
        model._held_back = None
        model._trimmed = True
        _forget(model.net_)
    return trimmed


def _forget(net: NeuralNet) -> None:
    net.initialize_optimizer()
    net.history_ = History()


def networks_in(estimator: Any) -> list[NetEstimator]:
    """Fitted network estimators in an estimator, wherever in it."""
    found = estimators_in(estimator)
    return [part for part in found if isinstance(part, NetEstimator) and hasattr(part, "net_")]


def estimators_in(value: Any, seen: set[int] | None = None) -> Iterator[BaseEstimator]:
    """An estimator and all that are in it, wherever, but for nets of skorch."""
    seen = set() if seen is None else seen
    if id(value) in seen or isinstance(value, NeuralNet):
        return
    seen.add(id(value))
    inner: Any = ()
    if isinstance(value, BaseEstimator):
        yield value
        inner = vars(value).values()
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    for item in inner:
        yield from estimators_in(item, seen)

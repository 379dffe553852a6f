"""How much worse a model is on pairs unlike those that it was trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone

from .._validation import Labels, check_n_rows, read_labels, take_rows
from ..elements import symbols
from ..metrics import masked_mean_absolute_error
from ..metrics._columns import read_columns
from ..targets import target_units
from ._base import elements_of

__all__ = ["generalization_gap"]

_COLUMNS = (
    "split", "target", "unit", "n_train", "n_in", "n_out", "mae_in", "mae_out", "gap", "ratio",
)  # fmt: skip


class _Fold(NamedTuple):
    name: str
    train: NDArray[np.int64]
    inside: NDArray[np.int64]
    outside: NDArray[np.int64]


def generalization_gap(
    estimator: Any,
    X: Any,
    y: Any,
    splits: Any,
    *,
    in_distribution_fraction: float = 0.1,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Errors on pairs like the training pairs and on pairs unlike them.

    For each split a clone of the estimator is fitted on the training pairs. Two sets of
    pairs that it has never seen are predicted: held-out ones from the training side (in
    distribution), and the test side of the split (out of distribution).

    Parameters
    ----------
    estimator : estimator
        Regressor or pipeline; it is cloned, not changed. Networks refuse elements that
        they were not trained on: give them ``unseen_elements="allow"`` where a split
        holds out elements.
    X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`, or Molecules
        Element pairs or molecules.
    y : array-like of shape (n,) or (n, t)
        Targets; NaN is a missing label.
    splits : splitter, list of splitters, or dict of str to splitter
        Splitters of this module. Names are those of the dict, or of the classes.
    in_distribution_fraction : float, default=0.1
        Part of the training pairs to hold out, between 0 and 1.
    random_state : int, RandomState instance or None, default=None
        Draws the held-out pairs; an int gives the same ones every time. The estimator
        has its own.
    n_jobs : int, default=None
        Number of fits at the same time; None for 1, -1 for one per core.

    Returns
    -------
    DataFrame
        One row per split and target:

        - ``split``: name; splitters with several splits add what each holds out, or its
          number.
        - ``target``, ``unit``: name of the target, or its column number, and its unit if
          known.
        - ``n_train``, ``n_in``, ``n_out``: labels of the target on each side.
        - ``mae_in``, ``mae_out``: mean absolute errors in and out of distribution, in the
          unit of the target; NaN where there is no label.
        - ``gap``, ``ratio``: ``mae_out - mae_in`` and ``mae_out / mae_in``; the ratio is NaN
          where ``mae_in`` is 0.

    Raises
    ------
    ValueError
        If the estimator refuses unseen elements and a split has some, two splitters have
        one name, or a splitter does not fit X. Nothing is trained then.
    TypeError
        If an entry of `splits` is not a splitter of this module.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import PairDescriptorTransformer, load_pairs
    >>> from qcanvas_sklearn.model_selection import PairTypeSplit, generalization_gap
    >>> X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    >>> model = make_pipeline(PairDescriptorTransformer(), Ridge())
    >>> errors = generalization_gap(model, X, y, {"metals to the rest": PairTypeSplit()},
    ...                             random_state=0)
    >>> print(errors.iloc[:, :6].to_string(index=False))
                 split    target unit  n_train  n_in  n_out
    metals to the rest e_homo_ev   eV     1193   133   1514
    >>> bool(errors["gap"][0] > 0)
    True
    """
    labels = read_labels(y)
    check_n_rows(labels.values, len(X))
    folds = [
        fold
        for name, splitter in _named(splits).items()
        for fold in _folds(
            name, splitter, X, labels.values, in_distribution_fraction, random_state
        )
    ]
    _check_unseen_elements(estimator, X, folds)
    predictions = Parallel(n_jobs=n_jobs)(
        delayed(_fit_and_predict)(clone(estimator), X, labels.plain(), fold)
        for fold in folds
    )
    rows = [
        (fold.name, *row)
        for fold, (inside, outside) in zip(folds, predictions, strict=True)
        for row in _errors(fold, labels, inside, outside)
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _named(splits: Any) -> dict[str, Any]:
    if isinstance(splits, Mapping):
        named = {str(name): splitter for name, splitter in splits.items()}
    else:
        splitters = list(splits) if isinstance(splits, Iterable) else [splits]
        counts = Counter(type(splitter).__name__ for splitter in splitters)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f"several splits are {twice}; name them, with a dict")
        named = {type(splitter).__name__: splitter for splitter in splitters}
    for name, splitter in named.items():
        if not hasattr(splitter, "split_three"):
            raise TypeError(
                f"split {name!r} must be a splitter of qcanvas_sklearn.model_selection, "
                f"got {splitter!r}"
            )
    if not named:
        raise ValueError("splits is empty; give at least one splitter")
    return named


def _folds(
    name: str, splitter: Any, X: Any, y: Any, fraction: float, random_state: Any
) -> list[_Fold]:
    parts = list(
        splitter.split_three(X, y, in_distribution_fraction=fraction, random_state=random_state)
    )
    if hasattr(splitter, "held_out"):
        labels = splitter.held_out(X)
    else:
        labels = range(len(parts)) if len(parts) > 1 else [None]
    return [
        _Fold(name if label is None else f"{name}: {label}", *part)
        for label, part in zip(labels, parts, strict=True)
    ]


def _check_unseen_elements(estimator: Any, X: Any, folds: list[_Fold]) -> None:
    strict = [
        name
        for name, value in estimator.get_params(deep=True).items()
        if name.endswith("unseen_elements") and value == "error"
    ]
    if not strict:
        return
    z = elements_of(X)
    for fold in folds:
        tested = z[np.concatenate([fold.inside, fold.outside])]
        unseen = np.setdiff1d(tested[tested > 0], z[fold.train])
        if len(unseen):
            setting = ", ".join(f'{name}="allow"' for name in strict)
            raise ValueError(
                f"split {fold.name!r} tests elements that are not among its training pairs, "
                f"{symbols(unseen).tolist()}, and the estimator refuses them; "
                f"use estimator.set_params({setting})"
            )


def _fit_and_predict(
    estimator: Any, X: Any, y: Any, fold: _Fold
) -> list[NDArray[np.float64]]:
    """Predictions for both sides, columns in the order of the targets."""
    estimator.fit(take_rows(X, fold.train), take_rows(y, fold.train))
    sides = (fold.inside, fold.outside)
    columns = [
        read_columns(take_rows(y, rows), estimator.predict(take_rows(X, rows)))
        for rows in sides
    ]
    return [predicted.values for _, predicted in columns]


def _errors(
    fold: _Fold, labels: Labels, inside: NDArray, outside: NDArray
) -> Iterator[tuple[Any, ...]]:
    """Rows of the result, one per target, without the name of the split."""
    for j, name in enumerate(labels.keys("0", "{}")):
        column = labels.values[:, j]
        sides = [column[rows] for rows in (fold.train, fold.inside, fold.outside)]
        counts = [int(np.isfinite(side).sum()) for side in sides]
        mae_in, mae_out = _mae(sides[1], inside[:, j]), _mae(sides[2], outside[:, j])
        ratio = mae_out / mae_in if mae_in else np.nan
        yield (
            name,
            target_units([name])[name],
            *counts,
            mae_in,
            mae_out,
            mae_out - mae_in,
            ratio,
        )


def _mae(true: NDArray, pred: NDArray) -> float:
    """Mean absolute error; NaN where there is no label."""
    return masked_mean_absolute_error(true, pred) if np.isfinite(true).any() else np.nan

"""Permutation importance of whole channels and of named groups of scalars."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring
from sklearn.utils import check_scalar

from .._validation import check_choice, read_observed
from .._warnings import each_warning_once
from ..metrics import get_scorer
from ._model import TableModel, table_model

__all__ = ["channel_importance"]

_GROUPS = ("channels", "scalars", "all", "blocks", "columns")


class _Regrouped(RegressorMixin, BaseEstimator):
    """A fitted model whose features are groups of columns.

    A table of this estimator holds, for each group, the row whose columns are to be
    taken, so that permuting one of its features permutes a whole group.
    """

    def __init__(self, seen: TableModel, groups: Sequence[NDArray]) -> None:
        self.seen = seen
        self.groups = groups

    def fit(self, X: Any, y: Any = None) -> _Regrouped:
        return self

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        source = self.seen.table
        table, in_place = np.array(source), np.arange(len(source))
        for columns, rows in zip(self.groups, X.T, strict=True):
            if not np.array_equal(rows, in_place):
                table[:, columns] = source[np.ix_(rows, columns)]
        predicted = self.seen.predict(table)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted


def channel_importance(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    groups: str | Mapping[str, Sequence[int | str]] = "channels",
    n_repeats: int = 5,
    scoring: Any = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Permutation importance of image channels and of groups of scalar columns.

    All pixels of a channel (all columns of a group) are permuted together over the rows,
    which leaves every image whole and hands it to another pair. What the error grows by
    is what the fitted model gets from the channel and from nothing else: channels that
    share information, and all of them do, can cover for each other.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor: a Pipeline in which a `PairImageTransformer` draws the pairs
        (columns are permuted between it and the steps behind), one of this package's
        estimators, or any model of a table.
    X : array-like of shape (n, p)
        Held-out rows, as the estimator takes them.
    y : array-like of shape (n,) or (n, t)
        Their targets; rows without any label are left out.
    groups : {"channels", "scalars", "all", "blocks", "columns"} or mapping, \
default="channels"
        What is permuted together:

        - ``"channels"``: the pixels of each channel.
        - ``"scalars"``: what :meth:`PairLayout.unpack` gives one name: ``z``,
          ``distance_ang``, ``population``, ...
        - ``"all"``: the scalars and the channels.
        - ``"blocks"``: ``atoms``, ``orbitals``, ``charges``, ``channel_means``, ``image``.
        - ``"columns"``: each column on its own, of any table.
        - a mapping from names to columns, by name or position.
    n_repeats : int, default=5
        Permutations of each group.
    scoring : str or scorer, default=None
        Score whose loss is measured, of one target or several: a name that
        :func:`qcanvas_sklearn.metrics.get_scorer` knows, or a scorer. None for the
        increase of the mean absolute error over the observed labels, in the unit of the
        target (the mean over several).
    random_state : int, RandomState instance or None, default=None
        Draws the permutations, the same for each group.
    n_jobs : int or None, default=None
        Groups to work on at once.

    Returns
    -------
    DataFrame
        One row a group, in the order of the columns:

        - ``feature``: name of the group.
        - ``importance_mean``, ``importance_std``: loss over the permutations; 0 for
          what the model does not use and for what does not vary.
        - ``baseline``: error, or score where one was asked for, of the rows as they are.

    Raises
    ------
    ValueError
        If the table has no such groups, or a column is not in it.

    References
    ----------
    .. [1] L. Breiman, Random Forests, Machine Learning 45, 5 (2001), section 10.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import PairImageTransformer, load_pairs
    >>> from qcanvas_sklearn.inspection import channel_importance
    >>> X, y = load_pairs(target="dipole_mag_d", return_X_y=True)
    >>> pipe = make_pipeline(PairImageTransformer(image_size=8), Ridge(10))
    >>> pipe = pipe.fit(X[::2], y[::2])
    >>> table = channel_importance(pipe, X[1::2], y[1::2], random_state=0)
    >>> table.feature[table.importance_mean.idxmax()]
    'rip_mtf_dipole'
    """
    check_scalar(n_repeats, "n_repeats", numbers.Integral, min_val=1)
    seen = table_model(estimator, X)
    members = _column_groups(groups, seen)
    labels = read_observed(y, len(seen.table))
    rows = labels.observed
    values = labels.values[rows]
    if labels.single:
        values = values[:, 0]
    seen = replace(seen, table=seen.table[rows])
    model = _Regrouped(seen, list(members.values()))
    name = "neg_masked_mean_absolute_error" if scoring is None else scoring
    scorer = get_scorer(name) if isinstance(name, str) else check_scoring(model, scoring=name)
    in_place = np.repeat(np.arange(len(values))[:, None], len(members), axis=1)
    baseline = scorer(model, in_place, values)
    with each_warning_once():
        result = permutation_importance(
            model, in_place, values, scoring=scorer, n_repeats=n_repeats,
            random_state=random_state, n_jobs=n_jobs,
        )  # fmt: skip
    return pd.DataFrame(
        {
            "feature": list(members),
            "importance_mean": result.importances_mean,
            "importance_std": result.importances_std,
            "baseline": -baseline if scoring is None else baseline,
        }
    )


def _column_groups(groups: Any, seen: TableModel) -> dict[str, NDArray[np.int64]]:
    """Positions of the columns of each group."""
    names = _column_names(seen)
    if isinstance(groups, Mapping):
        return {str(name): _positions(columns, names) for name, columns in groups.items()}
    check_choice("groups", groups, _GROUPS)
    if groups == "columns":
        return {name: np.array([k]) for k, name in enumerate(names)}
    if seen.layout is None or seen.pair_columns is None:
        raise ValueError(
            f"groups={groups!r} needs the columns of a PairImageTransformer; this table has "
            'others: use groups="columns" or name your own'
        )
    if groups == "blocks":
        places = seen.pair_columns.positions
        return {block: places[columns] for block, columns in seen.layout.slices.items()}
    views = seen.positions()
    n_channels = len(seen.layout.channels)
    of_channels = [
        views.pop(name).reshape(n_channels, -1)
        for name in ("channel_means", "image") if name in views
    ]  # fmt: skip
    found = {} if groups == "channels" else {name: v.ravel() for name, v in views.items()}
    if groups != "scalars" and of_channels:
        places = np.concatenate(of_channels, axis=1)
        found |= dict(zip(seen.layout.channel_names, places, strict=True))
    if not found:
        raise ValueError(
            f"groups={groups!r}: the table holds {list(seen.layout.include)} and none of these"
        )
    return found


def _column_names(seen: TableModel) -> list[str]:
    if seen.columns is not None:
        return [str(name) for name in seen.columns]
    names = [f"x{k}" for k in range(seen.table.shape[1])]
    if seen.layout is not None and seen.pair_columns is not None:
        for place, name in zip(
            seen.pair_columns.positions, seen.layout.feature_names, strict=True
        ):
            names[place] = name
    return names


def _positions(columns: Sequence[int | str], names: list[str]) -> NDArray[np.int64]:
    if isinstance(columns, (str, numbers.Integral)):
        columns = [columns]  # type: ignore[list-item]
    position = {name: k for k, name in enumerate(names)}
    found = [position.get(c, -1) if isinstance(c, str) else int(c) for c in columns]
    absent = [c for c, k in zip(columns, found, strict=True) if not 0 <= k < len(names)]
    if absent:
        raise ValueError(f"columns {absent} are not in the table of {len(names)} columns")
    return np.array(found, dtype=np.int64)

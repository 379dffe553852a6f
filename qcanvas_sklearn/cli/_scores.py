"""How good predictions are, beside those that take no look at the structure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from .._validation import take_rows
from ..estimators import CompositionRegressor
from ..metrics import target_report
from ..model_selection import ElementPairKFold, MoleculeKFold
from ..structures import PAIR_COLUMNS, Molecules, check_pairs

__all__ = ["composition_of", "folds", "n_units", "out_of_fold", "plain", "scores"]

_POINT = ["mae", "rmse", "r2"]
_SPREAD = ["coverage_90"]


def _bare(X: Any) -> Any:
    """Molecules, or the elements of pairs alone: what says which rows belong together."""
    return X if isinstance(X, Molecules) else X[list(PAIR_COLUMNS)]


def n_units(X: Any) -> int:
    """Number of pairs, or of groups of molecules, of which each lies in one fold."""
    if isinstance(X, Molecules):
        return int(X.group_ids.max(initial=-1)) + 1
    return len(np.unique(check_pairs(_bare(X)).z, axis=0))


def folds(X: Any, n_splits: int, seed: int) -> list[tuple[NDArray, NDArray]]:
    """Folds by pair, or by group of molecules: what belongs together is in one.

    Raises
    ------
    ValueError
        If there are more folds than pairs or groups, or fewer than two.
    """
    kind = MoleculeKFold if isinstance(X, Molecules) else ElementPairKFold
    splitter = kind(n_splits, shuffle=True, random_state=seed, missing="keep")
    return list(splitter.split(_bare(X)))


def out_of_fold(
    model: Any, X: Any, y: Any, splits: list[tuple[NDArray, NDArray]], n_jobs: int | None = None
) -> NDArray:
    """Predictions for each row by a model that has not seen it, (n, t).

    Rows with an element that the model has not seen either are left out, NaN or None, where
    it refuses these.

    Parameters
    ----------
    model : estimator
        Not fitted; clones of it are.
    X, y : DataFrame or Molecules, Series or DataFrame
        Rows with labels.
    splits : list of (train, test)
        Rows of each fold.
    n_jobs : int or None, default=None
        Processes.
    """
    elements = _elements(X)
    done = Parallel(n_jobs=n_jobs)(
        delayed(_one_fold)(model, X, y, train, _answerable(model, elements, train, test))
        for train, test in splits
    )
    n_targets = 1 if y.ndim == 1 else y.shape[1]
    out = np.full((len(y), n_targets), None if is_classifier(model) else np.nan)
    for rows, predicted in done:
        out[rows] = predicted.reshape(len(rows), n_targets)
    return out


def _one_fold(
    model: Any, X: Any, y: Any, train: NDArray, test: NDArray
) -> tuple[NDArray, NDArray]:
    if not len(test):
        return test, np.empty(0)
    fitted = clone(model).fit(take_rows(X, train), take_rows(y, train))
    return test, fitted.predict(take_rows(X, test))


def _elements(X: Any) -> NDArray[np.bool_]:
    """Which elements are in each row, (n, k)."""
    if isinstance(X, Molecules):
        return X.composition > 0
    z = check_pairs(_bare(X)).z
    found = np.zeros((len(z), z.max() + 1), dtype=bool)
    np.put_along_axis(found, z, True, axis=1)
    return found


def _answerable(
    model: Any, elements: NDArray[np.bool_], train: NDArray, test: NDArray
) -> NDArray:
    refuses = any(
        name.rpartition("__")[2] == "unseen_elements" and value == "error"
        for name, value in model.get_params().items()
    )
    if not refuses:
        return test
    unseen = ~elements[train].any(axis=0)
    return test[~elements[test][:, unseen].any(axis=1)]


def scores(
    y: pd.DataFrame,
    predicted: NDArray,
    *,
    units: Mapping[str, str],
    composition: NDArray | None = None,
    std: NDArray | None = None,
) -> pd.DataFrame:
    """One row a target: errors in its unit, and beside them those of the baselines.

    Parameters
    ----------
    y : DataFrame of shape (n, t)
        Labels; of classes one column.
    predicted : ndarray of shape (n, t)
        Predictions, NaN or None where there is none.
    units : mapping of str to str
        By target.
    composition : ndarray of shape (n, t), default=None
        What the composition says.
    std : ndarray of shape (n, t), default=None
        Standard deviations.

    Returns
    -------
    DataFrame
        ``unit``, ``n``, ``mae``, ``rmse``, ``r2``, ``coverage_90`` where there are standard
        deviations, ``mae_mean`` of the mean of the labels and ``mae_composition``; of classes
        ``n``, ``accuracy``, ``balanced_accuracy`` and ``accuracy_majority``.
    """
    if predicted.dtype == object:
        return _class_scores(y, predicted)
    known = y.where(np.isfinite(predicted))
    filled = np.where(np.isfinite(predicted), predicted, 0.0)
    usable = np.ones(y.shape[1], dtype=bool)
    if std is not None:  # a target without labels to calibrate on has none
        usable = (np.isfinite(std) & (std > 0)).all(axis=0)
        std = np.where(usable, std, 1.0)
    found = target_report(known, filled, y_std=std)
    table = found[["n", *_POINT, *(_SPREAD if std is not None else [])]].copy()
    table.loc[~usable, table.columns.intersection(_SPREAD)] = np.nan
    table.insert(0, "unit", [units.get(name, "") for name in table.index])
    table["mae_mean"] = found["mad"]
    if composition is not None:
        both = known.where(np.isfinite(composition))
        composed = target_report(both, np.where(np.isfinite(composition), composition, 0.0))
        table["mae_composition"] = composed["mae"]
    return table


def _class_scores(y: pd.DataFrame, predicted: NDArray) -> pd.DataFrame:
    name = y.columns[0]
    truth, found = y[name].astype(str).to_numpy(), predicted[:, 0]
    known = y[name].notna().to_numpy() & np.array([value is not None for value in found])
    truth, found = _alike(truth[known], found[known].astype(str))
    values = {"n": int(known.sum())}
    rates = dict.fromkeys(("accuracy", "balanced_accuracy", "accuracy_majority"), np.nan)
    if known.any():
        rates = {
            "accuracy": accuracy_score(truth, found),
            "balanced_accuracy": balanced_accuracy_score(truth, found),
            "accuracy_majority": float(np.unique(truth, return_counts=True)[1].max())
            / len(truth),
        }
    return pd.DataFrame(values | rates, index=pd.Index([name], name="target"))


def _alike(*classes: NDArray) -> list[NDArray]:
    """Names of classes; where all are numbers, 1 of a text is the 1.0 beside a missing one."""
    try:
        return [names.astype(np.float64).astype(str) for names in classes]
    except ValueError:
        return list(classes)


def plain(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Scores by target as JSON has them, None where there is none."""
    return {
        target: {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
        }
        for target, row in table.to_dict("index").items()
    }


def composition_of(X: Any, y: pd.DataFrame, splits: list[tuple[NDArray, NDArray]]) -> NDArray:
    """What the composition says of rows that it has not seen, (n, t)."""
    return out_of_fold(CompositionRegressor(unseen_elements="allow"), _bare(X), y, splits)

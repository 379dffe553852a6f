"""Predictions for the rows that a report is about, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score

from .._validation import (
    Labels,
    align_columns,
    check_n_rows,
    column_names,
    read_classes,
    read_labels,
    take_rows,
)
from ..elements import atomic_numbers, symbols
from ..metrics import target_report
from ..model_selection._base import elements_of
from ..structures import looks_like_molecules
from ._anatomy import Anatomy

__all__ = ["Classification", "Regression", "Rows", "classify", "read_rows", "regress"]


@dataclass(frozen=True)
class Rows:
    """Rows to evaluate.

    Attributes
    ----------
    X : array-like
        As the estimator takes them.
    y : DataFrame of shape (n, t)
        Their labels, columns named as the model's targets: numbers, NaN where missing,
        or classes, None where missing.
    z : ndarray of shape (n, 2) or None
        Atomic numbers, where the rows are pairs.
    refused : list of str
        Elements for which the model refuses to predict.
    n_refused : int
        Number of rows with these, which are left out.
    """

    X: Any
    y: pd.DataFrame
    z: NDArray[np.int64] | None
    refused: list[str]
    n_refused: int

    @property
    def pairs(self) -> NDArray | None:
        """Symbols (n, 2), where the rows are pairs."""
        return None if self.z is None else symbols(self.z)


@dataclass(frozen=True)
class Regression:
    """Predictions of numbers.

    Attributes
    ----------
    y : DataFrame of shape (n, t)
        Labels, NaN where missing.
    pred : DataFrame of shape (n, t)
        Predictions.
    std : DataFrame of shape (n, k)
        Standard deviations of the targets that have usable ones.
    scores : DataFrame
        :func:`~qcanvas_sklearn.metrics.target_report` of these.
    """

    y: pd.DataFrame
    pred: pd.DataFrame
    std: pd.DataFrame
    scores: pd.DataFrame

    @property
    def observed(self) -> list[str]:
        """Targets with a label at least."""
        return self.scores.index[self.scores["n"] > 0].tolist()


@dataclass(frozen=True)
class Classification:
    """Predictions of classes, over the rows with a label.

    Attributes
    ----------
    key : str
        Name of the label.
    classes : list
        Classes that the model knows.
    labelled : ndarray of bool
        Rows with a label.
    true, pred : ndarray of int
        Classes by their position.
    proba : ndarray of shape (n, n_classes) or None
        Probabilities, where the model gives any.
    """

    key: str
    classes: list[Any]
    labelled: NDArray[np.bool_]
    true: NDArray[np.int64]
    pred: NDArray[np.int64]
    proba: NDArray[np.float64] | None

    @property
    def scores(self) -> dict[str, float]:
        """Scores by name; the ROC AUC where it is defined."""
        present, counts = np.unique(self.true, return_counts=True)
        recalls = {"labels": present, "average": "macro", "zero_division": 0}
        scores = {
            "accuracy": accuracy_score(self.true, self.pred),
            "balanced accuracy": recall_score(self.true, self.pred, **recalls),
        }
        if self.proba is not None and len(present) == len(self.classes) > 1:
            binary = len(self.classes) == 2
            given = self.proba[:, 1] if binary else self.proba
            scores["ROC AUC"] = roc_auc_score(self.true, given, multi_class="ovr")
        scores["most frequent class"] = counts.max() / counts.sum()
        return {name: float(score) for name, score in scores.items()}

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Number of rows by true (axis 0) and predicted class."""
        labels = np.arange(len(self.classes))
        return confusion_matrix(self.true, self.pred, labels=labels)


def read_rows(anatomy: Anatomy, X: Any, y: Any) -> Rows:
    """Check the rows and leave out those that the model refuses to predict.

    Raises
    ------
    ValueError
        If X and y differ in length, y is not acceptable or of other targets than the
        model's, or no row is left.
    """
    frame = _label_table(anatomy, y)
    check_n_rows(frame, len(X))
    try:
        elements = elements_of(X)
    except ValueError:  # a plain table, or pairs that the estimator shall complain about
        return Rows(X, frame, None, [], 0)
    z = None if looks_like_molecules(X) else elements
    known = getattr(anatomy.network, "elements_", [])
    if not anatomy.refuses_unseen_elements or not known:
        return Rows(X, frame, z, [], 0)
    unseen = np.setdiff1d(elements[elements > 0], atomic_numbers(known))
    kept = np.asarray(np.isin(elements, unseen, invert=True).all(axis=1))
    if not kept.any():
        raise ValueError(
            f"every row holds an element that the model refuses, out of {_listed(unseen)}; "
            'set unseen_elements="allow" to extrapolate to them'
        )
    if not kept.all():
        frame = frame[kept].reset_index(drop=True)
        X, z = take_rows(X, kept), None if z is None else z[kept]
    return Rows(X, frame, z, _listed(unseen), int((~kept).sum()))


def _listed(z: NDArray[np.int64]) -> list[str]:
    return symbols(z).tolist()


def _label_table(anatomy: Anatomy, y: Any) -> pd.DataFrame:
    """y as a table whose columns are the model's targets, in its order."""
    if anatomy.is_classifier:
        single = isinstance(y, pd.DataFrame) and y.shape[1] == 1
        classes, observed = read_classes(y.iloc[:, 0] if single else y)
        column: Any = np.full((len(observed), 1), None, dtype=object)
        column[observed, 0] = classes.tolist()
        labels = Labels(column, column_names(y), True)
    else:
        labels = read_labels(y)
    known = anatomy.target_names
    if known is not None:
        labels = align_columns(labels, known, len(known))._replace(names=list(known))
    return pd.DataFrame(labels.values, columns=labels.keys("target", "target {}"))


def regress(anatomy: Anatomy, rows: Rows) -> Regression:
    """Predict numbers and score them.

    Raises
    ------
    ValueError
        If y has no label, or another number of targets than the model.
    """
    y = rows.y
    if not np.isfinite(y.to_numpy()).any():
        raise ValueError(f"y has no observed label of {list(y.columns)}: every value is NaN")
    if anatomy.gives_std:
        pred, std = (_columns(a, y) for a in anatomy.estimator.predict(rows.X, return_std=True))
    else:
        pred = _columns(anatomy.estimator.predict(rows.X), y)
        std = pd.DataFrame(index=y.index)
    usable = (np.isfinite(std) & (std > 0)).all() & y[std.columns].notna().any()
    std = std.loc[:, usable]
    scores = target_report(y, pred)
    if not std.empty:
        key = list(std.columns)
        sure = target_report(y[key], pred[key], y_std=std)
        scores = scores.join(sure[sure.columns.difference(scores.columns, sort=False)])
    return Regression(y, pred, std, scores)


def _columns(values: Any, y: pd.DataFrame) -> pd.DataFrame:
    labels = read_labels(values, input_name="the prediction", allow_infinite=True)
    n_targets = labels.values.shape[1]
    if n_targets != y.shape[1]:
        raise ValueError(f"y has {y.shape[1]} targets, the model predicts {n_targets}")
    if not labels.single:
        labels = align_columns(labels, list(y.columns), n_targets, input_name="the prediction")
    return pd.DataFrame(labels.values, columns=y.columns)


def classify(anatomy: Anatomy, rows: Rows) -> Classification:
    """Predict classes.

    Raises
    ------
    ValueError
        If y is not one label, has none, or holds a class that the model does not know.
    """
    classes = np.asarray(anatomy.estimator.classes_, dtype=object)
    if classes.ndim != 1 or rows.y.shape[1] != 1:
        raise ValueError(
            f"a report of a classifier is about one label; y has {rows.y.shape[1]}"
        )
    key, y = rows.y.columns[0], rows.y.iloc[:, 0]
    labelled = y.notna().to_numpy()
    if not labelled.any():
        raise ValueError(f"y has no observed label of {key!r}: every value is missing")
    position = {label: k for k, label in enumerate(classes.tolist())}
    unknown = set(y[labelled].tolist()) - set(position)
    if unknown:
        raise ValueError(
            f"y holds the classes {sorted(unknown, key=str)}, the model knows {list(position)}"
        )
    estimator, proba = anatomy.estimator, None
    pred = np.asarray(estimator.predict(rows.X))[labelled]
    if hasattr(estimator, "predict_proba"):
        proba = np.asarray(estimator.predict_proba(rows.X))[labelled]
    return Classification(
        key, list(position), labelled, np.array([position[c] for c in y[labelled].tolist()]),
        np.array([position[c] for c in pred.tolist()]), proba,
    )  # fmt: skip

"""What all network classifiers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array

from ..targets import LABELS
from ..training import TargetScaler
from ._checks import Targets, check_passed, check_rows

__all__ = ["NetClassifier"]

# As for regressors: a task has its own fields alone.
if TYPE_CHECKING:
    from ._base import NetEstimator as _Shell
else:
    _Shell = object


@dataclass(eq=False, repr=False, kw_only=True)
class NetClassifier(ClassifierMixin, _Shell):
    """Classes of one label and their probabilities."""

    _losses: ClassVar[tuple[str, ...]] = ("log_loss",)

    loss: str = "log_loss"
    class_weight: Mapping[Any, float] | str | None = None

    if TYPE_CHECKING:
        classes_: NDArray

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, *, sample_weight: Any = None
    ) -> NetClassifier:
        """Train for one epoch at constant learning rate, from the present weights.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`fit`.
        y : array-like of shape (n,)
            As for :meth:`fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes, for the first call, where `y` does not hold each of them.
        sample_weight : array-like of shape (n,), default=None
            As for :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        known = None if classes is None else np.unique(np.asarray(classes))
        self._learn_one_epoch(X, y, sample_weight, known)
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Of the kind that the estimator was fitted on.

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            In the order of ``classes_``; of an ensemble the mean over the members.

        Raises
        ------
        ValueError
            If X is of another kind, or holds an element that was not among the training
            pairs while ``unseen_elements="error"``.
        """
        probabilities = softmax(self._outputs(X), axis=-1)
        return probabilities.mean(axis=1) if probabilities.ndim == 3 else probabilities

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each row.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n,)
            Out of ``classes_``.
        """
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Accuracy over the observed labels.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict_proba`.
        y : array-like of shape (n,)
            True classes, missing where not known.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        labels, observed = _read_labels(self, y, len(predicted))
        weight = None if sample_weight is None else np.asarray(sample_weight)[observed]
        return float(accuracy_score(labels, predicted[observed], sample_weight=weight))

    def _read_targets(self, y: Any, n: int, classes: NDArray | None) -> Targets:
        names = [y.name] if isinstance(y, pd.Series) and isinstance(y.name, str) else None
        labels, observed = _read_labels(self, y, n)
        if classes is None:
            classes = np.unique(labels)
        unknown = sorted(set(labels.tolist()) - set(classes.tolist()), key=str)
        if unknown:
            raise ValueError(f"y holds the classes {unknown}, expected {classes.tolist()}")
        values = np.full((n, len(classes)), np.nan)
        values[observed] = labels[:, None] == classes
        weight = np.ones(n)
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=classes, y=labels)
            weight[observed] = weights[np.searchsorted(classes, labels)]
        is_known = names is not None and names[0] in LABELS
        parity = np.full(len(classes), int(is_known))
        return Targets(values, names, True, parity, weight, classes)

    def _fit_scaler(self, values: NDArray[np.float64], targets: Targets) -> TargetScaler:
        return TargetScaler.identity(values.shape[1])


def _read_labels(estimator: NetClassifier, y: Any, n: int) -> tuple[NDArray, NDArray[np.bool_]]:
    """The observed labels, and which of the n rows have one.

    Raises
    ------
    ValueError
        If y is absent, of another length, infinite, continuous, or has no observed label.
    """
    check_passed(estimator, y)
    column = column_or_1d(y, warn=True) if not isinstance(y, pd.Series) else y.to_numpy()
    if column.dtype.kind == "f":
        check_array(column, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y")
    check_rows(column, n)
    observed = ~pd.isna(column)
    if not observed.any():
        raise ValueError("y has no observed label: every value is missing")
    # Behind missing labels, booleans and integers come as objects.
    labels = pd.Series(column[observed]).infer_objects().to_numpy()
    check_classification_targets(labels)
    return labels, observed

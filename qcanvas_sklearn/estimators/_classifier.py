"""What all network classifiers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from .._validation import check_n_rows, check_weight, column_names, read_classes
from ..targets import LABELS, ODD_LABELS
from ..training import TargetScaler
from ._targets import TargetSpec

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
            All classes, for the first call, where `y` does not hold each of them; later
            the same ones.
        sample_weight : array-like of shape (n,), default=None
            As for :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            As :meth:`fit`, and if the classes are others than those of the first call.
        """
        known = None
        if classes is not None:
            known = np.unique(pd.Series(list(classes), dtype=object).dropna().to_list())
        if known is not None and hasattr(self, "net_") and set(known) != set(self.classes_):
            raise ValueError(
                f"classes={known.tolist()} are not those of the first call, "
                f"{self.classes_.tolist()}"
            )
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
        parts = []
        for rows in self._known_parts(X):
            found = softmax(self._outputs(rows), axis=-1)
            parts.append(found.mean(axis=1) if found.ndim == 3 else found)
        return np.concatenate(parts)

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
        labels, observed = read_classes(y)
        check_n_rows(observed, len(predicted))
        weight = check_weight(sample_weight, len(predicted))[observed]
        return float(accuracy_score(labels, predicted[observed], sample_weight=weight))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        weights = self.class_weight
        if isinstance(weights, Mapping):
            bad = {c: w for c, w in weights.items() if not (np.isfinite(w) and w >= 0)}
            if bad:
                raise ValueError(f"class_weight has the weights {bad}, accepted are 0 and more")
            if weights and not any(weights.values()):
                raise ValueError(f"class_weight={weights!r} is zero for every class")
        elif weights is not None and weights != "balanced":
            raise ValueError(f'class_weight={weights!r} is not a dict, "balanced" or None')

    def _first_targets(
        self, y: Any, classes: NDArray | None
    ) -> tuple[TargetSpec, NDArray[np.float64], list[int]]:
        labels, observed = read_classes(y)
        classes = np.unique(labels) if classes is None else classes
        n, names = len(classes), column_names(y)
        even = names is not None and names[0] in LABELS and names[0] not in ODD_LABELS
        counts = np.zeros(n, dtype=np.int64)
        spec = TargetSpec(names, n, True, counts, classes, counts)
        return spec, _one_hot(labels, observed, classes, "y"), [int(even)] * n

    def _further_targets(self, y: Any, spec: TargetSpec, name: str) -> NDArray[np.float64]:
        assert spec.classes is not None  # those of a classifier
        return _one_hot(*read_classes(y, input_name=name), spec.classes, name)

    def _counted(self, spec: TargetSpec, values: NDArray[np.float64]) -> TargetSpec:
        return replace(spec, counts=spec.counts + np.nansum(values, axis=0).astype(np.int64))

    def _strata(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        return values.argmax(axis=1)

    def _row_weight(self, spec: TargetSpec, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weight of each row's class; "balanced" by the labels learned from so far."""
        if self.class_weight is None:
            return np.ones(len(values))
        counts = spec.counts
        assert spec.classes is not None and counts is not None
        if isinstance(self.class_weight, Mapping):
            weights = compute_class_weight(
                self.class_weight, classes=spec.classes, y=spec.classes
            )
        else:
            weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights = weights / weights.max()
        return np.where(np.isfinite(values[:, 0]), np.nan_to_num(values) @ weights, 0.0)

    def _fit_scaler(self, values: NDArray[np.float64], spec: TargetSpec) -> TargetScaler:
        return TargetScaler.identity(values.shape[1])


def _one_hot(
    labels: NDArray, observed: NDArray[np.bool_], classes: NDArray, name: str
) -> NDArray[np.float64]:
    """Columns (n, n_classes), NaN in rows without a label.

    Raises
    ------
    ValueError
        If a label is none of the classes.
    """
    unknown = sorted(set(labels.tolist()) - set(classes.tolist()), key=str)
    if unknown:
        raise ValueError(f"{name} holds the classes {unknown}, expected {classes.tolist()}")
    values = np.full((len(observed), len(classes)), np.nan)
    values[observed] = labels[:, None] == classes
    return values

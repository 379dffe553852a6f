"""What a fitted model takes and gives, whatever it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..structures import PAIR_COLUMNS, Molecules

__all__ = ["FittedModel", "Predictions", "target_names"]

_DISTANCE = "distance_ang"
# Where meta-estimators of scikit-learn keep what they fitted.
_INNER = ("best_estimator_", "regressor_")


class Predictions(NamedTuple):
    """What a model says of some rows.

    Attributes
    ----------
    table : DataFrame of shape (n, k)
        The columns ``<target>_pred``, then ``<target>_std``; of a classifier
        ``<target>_pred`` and ``<target>_proba_<class>``.
    forces : ndarray of shape (N, 3) or None
        Forces on the atoms of molecules.
    """

    table: pd.DataFrame
    forces: NDArray[np.float64] | None


def target_names(model: Any) -> list[str]:
    """Names of the targets of a fitted model; y, or y0, y1, ..., where it kept none."""
    while model is not None and not hasattr(model, "target_names_"):
        inner = [getattr(model, name) for name in _INNER if hasattr(model, name)]
        model = model[-1] if isinstance(model, Pipeline) else next(iter(inner), None)
    names = getattr(model, "target_names_", None)
    if names is not None:
        return list(names)
    targets = getattr(model, "_targets", None)  # what this package's networks know of y
    n_targets = 1 if targets is None else targets.n_targets
    return ["y"] if n_targets == 1 else [f"y{j}" for j in range(n_targets)]


class FittedModel:
    """A fitted estimator, and which columns of a table it is to see.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier of pairs, of molecules or of a table.
    return_std, return_forces : bool, default=False
        Ask it for standard deviations, and for the forces on the atoms.

    Raises
    ------
    TypeError
        If it is no regressor or classifier.
    NotFittedError
        If it is not fitted.
    ValueError
        If it cannot give what it is asked for.
    """

    def __init__(
        self, model: Any, *, return_std: bool = False, return_forces: bool = False
    ) -> None:
        if not hasattr(model, "predict") or not (is_regressor(model) or is_classifier(model)):
            raise TypeError(
                f"model must be a fitted regressor or classifier, got {type(model).__name__}"
            )
        check_is_fitted(model)
        self.model = model
        self.asked = {
            name: True
            for name, asked in (("return_std", return_std), ("return_forces", return_forces))
            if asked
        }
        final = model[-1] if isinstance(model, Pipeline) else model
        accepted = signature(getattr(final, "best_estimator_", final).predict).parameters
        for name in self.asked:
            if name not in accepted:
                raise ValueError(f"{type(final).__name__} has no predict({name}=True)")

    def columns(self, available: Sequence[str]) -> list[str]:
        """Columns that the model takes out of those that a table has.

        Raises
        ------
        ValueError
            If some are absent.
        """
        names = getattr(self.model, "feature_names_in_", None)
        width = getattr(self.model, "n_features_in_", None)
        if names is not None:
            wanted = [str(name) for name in names]
        elif width in (2, 3):
            wanted = [*PAIR_COLUMNS, _DISTANCE][:width]
        elif width is None:
            wanted = [*PAIR_COLUMNS]
        else:
            raise ValueError(
                f"the model takes a table of {width} columns and knows none of their names; "
                "fit it on a DataFrame"
            )
        absent = [name for name in wanted if name not in available]
        if absent:
            raise ValueError(
                f"the model takes the columns {wanted}, of which {absent} are absent; there "
                f"are {list(available)}"
            )
        return wanted

    def take(self, block: pd.DataFrame | Molecules) -> Any:
        """X for the model: molecules as they are, of a table the columns that it takes."""
        if isinstance(block, Molecules):
            return block
        columns = self.columns([str(name) for name in block.columns])
        X = pd.DataFrame({
            name: block[name].to_numpy(dtype=object) if name in PAIR_COLUMNS
            else _numbers(block[name])
            for name in columns
        })  # fmt: skip
        if getattr(self.model, "feature_names_in_", None) is None:
            return X.to_numpy(dtype=object)
        return X

    def __call__(self, X: Any) -> Predictions:
        """Predict rows as the model takes them."""
        if len(X) == 0:
            return Predictions(self.empty(), np.empty((0, 3)) if self._forces else None)
        found = self.model.predict(X, **self.asked)
        values, *others = found if self.asked else (found,)
        forces = others[1 if "return_std" in self.asked else 0] if self._forces else None
        spread: list[NDArray] = others[:1] if "return_std" in self.asked else []
        if is_classifier(self.model):
            spread = [self.model.predict_proba(X)]
        if not isinstance(values, np.ndarray):
            raise TypeError(f"{type(self.model).__name__} predicts no numbers or classes")
        return self._named(values, spread)._replace(forces=forces)

    def empty(self) -> pd.DataFrame:
        """The table of no rows."""
        shape = (0, len(target_names(self.model)))
        n_classes = len(getattr(self.model, "classes_", ()))
        spread = (0, n_classes) if is_classifier(self.model) else shape
        return self._named(np.empty(shape), [np.empty(spread)]).table

    @property
    def _forces(self) -> bool:
        return "return_forces" in self.asked

    def _named(self, values: NDArray, spread: list[NDArray]) -> Predictions:
        values = _columns(values)
        names = target_names(self.model)
        if len(names) != values.shape[1]:  # of an estimator that is not this package's
            names = [f"y{j}" for j in range(values.shape[1])]
        table = pd.DataFrame(values, columns=[f"{name}_pred" for name in names])
        if is_classifier(self.model):
            table = table.astype(str)
            classes = [f"{names[0]}_proba_{c}" for c in self.model.classes_]
            return Predictions(table.join(pd.DataFrame(spread[0], columns=classes)), None)
        if "return_std" in self.asked:
            table[[f"{name}_std" for name in names]] = _columns(spread[0])
        return Predictions(table, None)


def _columns(values: NDArray) -> NDArray:
    return values[:, None] if values.ndim == 1 else values


def _numbers(column: pd.Series) -> NDArray[np.float64]:
    """A column as numbers, text being read.

    Raises
    ------
    ValueError
        If an entry is no number; the message names the row and the column.
    """
    numbers = pd.to_numeric(column.replace("", np.nan), errors="coerce")
    values = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isnan(values)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"row {row}: {column.iloc[row]!r} in {column.name} is no number")
    return values

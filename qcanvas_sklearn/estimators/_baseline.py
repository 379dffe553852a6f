"""What is known of molecules before a network learns: ridge on features of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ..hamiltonians import TwoCentreTransformer

__all__ = ["RidgeBaseline", "describer_of"]

Array = NDArray[np.float64]

#: Penalties that are tried, by leave-one-out: features that tell nothing get the largest.
_ALPHAS = np.logspace(-6, 8, 29)


def describer_of(baseline: Any) -> Any:
    """The transformer that a baseline stands for, or None.

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(baseline, str) and baseline == "two-centre":
        return TwoCentreTransformer()
    if baseline is None or all(hasattr(baseline, name) for name in ("fit", "transform")):
        return baseline
    raise TypeError(
        f'baseline={baseline!r} is neither None, "two-centre", nor a transformer of molecules, '
        "such as a MoleculeDescriptorTransformer"
    )


@dataclass(frozen=True)
class RidgeBaseline:
    """One ridge regression for each target, on features as they are or standardised.

    Which of the two, and the penalty, is what errs least on rows that are left out one by
    one. Features in units of their own tell by their size what counts; others do not.

    Attributes
    ----------
    models : sequence of Pipeline
        By target.
    """

    models: Sequence[Pipeline]

    @classmethod
    def fit(cls, features: Array, values: Array, weight: Array) -> RidgeBaseline:
        """Fit to labels.

        Parameters
        ----------
        features : ndarray of shape (n, k)
            Of the training rows.
        values : ndarray of shape (n, t)
            Labels, NaN where one is missing.
        weight : ndarray of shape (n,)
            Weights of the rows.

        Raises
        ------
        ValueError
            If a feature is no finite number, or a target has no label.
        """
        _check(features)
        models = []
        for j, column in enumerate(values.T):
            known = np.isfinite(column)
            if not known.any():
                raise ValueError(f"target {j} has no observed label among the training rows")
            models.append(_best(features[known], column[known], weight[known]))
        return cls(models)

    def predict(self, features: Array) -> Array:
        """What the features say of the targets, (n, t)."""
        _check(features)
        return np.column_stack([model.predict(features) for model in self.models])


def _best(features: Array, values: Array, weight: Array) -> Pipeline:
    """The ridge regression that errs less on rows left out, of both scalings."""
    models = [
        Pipeline([("scale", scale), ("ridge", RidgeCV(_ALPHAS))])
        for scale in (StandardScaler(), "passthrough")
    ]
    for model in models:
        model.fit(features, values, ridge__sample_weight=weight)
    return max(models, key=lambda model: model["ridge"].best_score_)


def _check(features: Array) -> None:
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"the baseline has features that are no finite numbers for {wrong.sum()} "
            f"molecules, the first in row {int(np.argmax(wrong))}"
        )

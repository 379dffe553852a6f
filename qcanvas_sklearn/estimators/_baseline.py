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

__all__ = ["RidgeBaseline", "check_baseline"]

Array = NDArray[np.float64]

#: Penalties that are tried, by leave-one-out: features that tell nothing get the largest.
_ALPHAS = np.logspace(-6, 8, 29)


def check_baseline(baseline: Any) -> None:
    """Raise a TypeError unless a baseline is a transformer, or None."""
    if baseline is None or all(hasattr(baseline, name) for name in ("fit", "transform")):
        return
    raise TypeError(
        f"baseline={baseline!r} is neither None nor a transformer of molecules, such as a "
        "MoleculeDescriptorTransformer"
    )


@dataclass(frozen=True)
class RidgeBaseline:
    """One ridge regression for each target, on standardised features.

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
            model = Pipeline([("scale", StandardScaler()), ("ridge", RidgeCV(_ALPHAS))])
            models.append(
                model.fit(features[known], column[known], ridge__sample_weight=weight[known])
            )
        return cls(models)

    def predict(self, features: Array) -> Array:
        """What the features say of the targets, (n, t)."""
        _check(features)
        return np.column_stack([model.predict(features) for model in self.models])


def _check(features: Array) -> None:
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"the baseline has features that are no finite numbers for {wrong.sum()} "
            f"molecules, the first in row {int(np.argmax(wrong))}"
        )

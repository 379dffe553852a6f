"""What all network regressors share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from ..metrics import masked_r2_score
from ._base import NetEstimator

__all__ = ["NetRegressor"]


class NetRegressor(RegressorMixin, NetEstimator):
    """Predictions in the user's units, and a score that knows missing labels."""

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Of the kind that the estimator was fitted on.

        Returns
        -------
        ndarray of shape (n,) or (n, t), float64
            Predictions in the units of the training targets, shaped like y in ``fit``.

        Raises
        ------
        ValueError
            If X is of another kind, or holds an element that was not among the training
            pairs while ``unseen_elements="error"``.
        """
        outputs = self._outputs(X)
        outputs = self.scaler_.inverse_transform(outputs)
        return outputs[:, 0] if self._single_output else outputs

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination over the observed labels, mean over the targets.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.
        y : array-like of shape (n,) or (n, t)
            True targets, NaN where missing.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
        """
        return masked_r2_score(y, self.predict(X), sample_weight=sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

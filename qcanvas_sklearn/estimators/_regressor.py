"""What all network regressors share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from skorch import NeuralNet

from ..metrics import masked_r2_score
from ..targets import consistent_targets
from ..training import SpreadCalibration, TargetScaler, TrainingData, predict
from ._checks import Targets, check_targets

__all__ = ["NetRegressor"]

Array = NDArray[np.float64]

# A task has its own fields alone: those of the shell that it inherited would hide the defaults
# of the family beside it.
if TYPE_CHECKING:
    from ._base import NetEstimator as _Shell
else:
    _Shell = object


@dataclass(eq=False, repr=False, kw_only=True)
class NetRegressor(RegressorMixin, _Shell):
    """Predictions in the user's units, their uncertainty, and a score that knows NaN."""

    _losses: ClassVar[tuple[str, ...]] = ("smooth_l1", "absolute_error", "squared_error")
    _calibrates: ClassVar[bool] = True

    derive: bool = False

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[Array, Array]: ...

    def predict(self, X: Any, return_std: bool = False) -> Array | tuple[Array, Array]:
        """Predict the targets.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Of the kind that the estimator was fitted on.
        return_std : bool, default=False
            Return standard deviations too; for ensembles (``n_members > 1``).

        Returns
        -------
        y_pred : ndarray of shape (n,) or (n, t), float64
            Predictions in the units of the training targets, shaped like y in ``fit``; of
            an ensemble the mean.
        y_std : ndarray of the same shape
            Standard deviations in the same units, if asked for: the spread of the members,
            scaled so that the 90 % intervals cover 90 % of the validation rows.

        Raises
        ------
        ValueError
            If X is of another kind, or holds an element that was not among the training
            pairs while ``unseen_elements="error"``; if standard deviations are asked of a
            single net.
        """
        outputs = self._outputs(X)
        is_ensemble = outputs.ndim == 3
        if return_std and not is_ensemble:
            raise ValueError(
                f"return_std=True needs an ensemble; this {type(self).__name__} was fitted "
                "with n_members=1"
            )
        mean = self.scaler_.inverse_transform(outputs.mean(axis=1) if is_ensemble else outputs)
        if self.derive:
            frame = pd.DataFrame(mean, columns=self.target_names_)
            mean = consistent_targets(frame).to_numpy()
        mean = mean[:, 0] if self._single_output else mean
        if not return_std:
            return mean
        assert self.calibration_ is not None  # fitted with every ensemble
        std = self.calibration_.std(outputs) * self.scaler_.scale
        return mean, std[:, 0] if self._single_output else std

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

    def _read_targets(self, y: Any, n: int, classes: NDArray | None) -> Targets:
        targets = check_targets(self, y, n)
        if self.derive:
            if targets.names is None:
                raise ValueError(
                    "derive=True needs targets with names: pass y as a DataFrame whose "
                    "columns are target keys"
                )
            consistent_targets(pd.DataFrame(targets.values[:1], columns=targets.names))
        return targets

    def _fit_scaler(self, values: Array, targets: Targets) -> TargetScaler:
        return TargetScaler.fit(values, targets.parity)

    def _calibrate(
        self, net: NeuralNet, valid: TrainingData | None, device: torch.device
    ) -> SpreadCalibration | None:
        if self.n_members == 1:
            return None
        assert valid is not None  # an ensemble always sets rows aside
        calibration = SpreadCalibration.fit(predict(net, valid.inputs, device), valid.y)
        unknown = np.flatnonzero(np.isnan(calibration.scale)).tolist()
        if unknown:
            warnings.warn(
                f"targets {unknown} have no label among the validation rows; their standard "
                "deviations are NaN",
                UserWarning,
                stacklevel=4,
            )
        return calibration

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

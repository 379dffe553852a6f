"""What all network regressors share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import check_scalar
from skorch import NeuralNet

from .._validation import align_columns, check_observed, read_labels
from ..metrics import masked_r2_score
from ..targets import consistent_targets, target_parity
from ..training import (
    ExtrapolationCalibration,
    Rows,
    SpreadCalibration,
    TargetScaler,
    TrainingData,
    TrainingPlan,
)
from ._extrapolation import (
    extrapolation_std,
    left_out_calibration,
    left_out_epochs,
    unseen_members,
)
from ._stream import TARGETS
from ._targets import TargetSpec

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

    _losses: ClassVar[tuple[str, ...]] = (
        "smooth_l1", "huber", "absolute_error", "squared_error",
    )  # fmt: skip
    _calibrates: ClassVar[bool] = True

    derive: bool = False

    @overload
    def predict(self, X: Any, return_std: Literal[False] = False) -> Array: ...

    @overload
    def predict(self, X: Any, return_std: Literal[True]) -> tuple[Array, Array]: ...

    @overload
    def predict(self, X: Any, return_std: bool) -> Array | tuple[Array, Array]: ...

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
            scaled so that the 90 % intervals cover 90 % of the validation rows; for pairs
            with unseen elements (see :meth:`count_unseen_elements`) at least what elements
            that were left out of training on purpose were mispredicted by.

        Raises
        ------
        ValueError
            If X is of another kind, or holds an element that was not among the training
            pairs while ``unseen_elements="error"``; if standard deviations are asked of a
            single net.

        Warns
        -----
        UserWarning
            If standard deviations of pairs with unseen elements are asked for, and there is
            nothing to calibrate them with: they are those of the training labels then.
        """
        found: list[Any] = []
        for rows in self._known_parts(X):
            found.append(self._summarised(self._outputs(rows), rows, return_std))
        if not return_std:
            return np.concatenate(found)
        means, stds = zip(*found, strict=True)
        return np.concatenate(means), np.concatenate(stds)

    def _summarised(
        self, outputs: Array, rows: Rows, return_std: bool
    ) -> Array | tuple[Array, Array]:
        """Predictions from the outputs of a net or an ensemble, and what they are worth."""
        is_ensemble = outputs.ndim == 3
        if return_std and not is_ensemble:
            raise ValueError(
                f"return_std=True needs an ensemble; this {type(self).__name__} was fitted "
                "with n_members=1"
            )
        mean = self._derived(self._centre(outputs) if is_ensemble else outputs)
        mean = mean[:, 0] if self._single_output else mean
        if not return_std:
            return mean
        assert self.calibration_ is not None  # fitted with every ensemble
        std = self._widened(self.calibration_.std(self._derived(outputs)), rows)
        return mean, std[:, 0] if self._single_output else std

    def _centre(self, outputs: Array) -> Array:
        """What an ensemble (n, m, k) predicts, (n, k)."""
        return outputs.mean(axis=1)

    def _widened(self, std: Array, rows: Rows) -> Array:
        """Standard deviations (n, t), where elements are new at least those at such ones."""
        members = self.reader_.members(rows)
        new = np.flatnonzero(unseen_members(members, self.elements_).any(axis=1))
        if not len(new):
            return std
        wide = np.full((len(new), std.shape[1]), np.nan)
        if self.extrapolation_ is not None:
            wide = extrapolation_std(self.extrapolation_, members[new], self.elements_)
        unknown = np.isnan(wide)
        if unknown.any():
            warnings.warn(
                f"standard deviations of {unknown.any(axis=1).sum()} pairs with unseen "
                "elements are those of the training labels: there are no errors of left-out "
                "elements to calibrate them with, which takes a fit from scratch with "
                'unseen_elements="allow" and enough pairs of two elements or more',
                UserWarning,
                stacklevel=3,
            )
            wide = np.where(unknown, self._label_spread(), wide)
        std[new] = np.fmax(std[new], wide)
        return std

    def _label_spread(self) -> Array:
        """Mean absolute deviation of each target's training labels (t,)."""
        return self.scaler_.scale

    def _derived(self, outputs: Array) -> Array:
        """Predictions (..., t) in the user's units, moved to where the identities hold."""
        if not self.derive:
            return outputs
        flat = pd.DataFrame(outputs.reshape(-1, outputs.shape[-1]), columns=self.target_names_)
        return consistent_targets(flat).to_numpy().reshape(outputs.shape)

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
        predicted = self.predict(X)
        labels = align_columns(read_labels(y), self.target_names_, self._targets.n_targets)
        return masked_r2_score(
            labels.values, predicted.reshape(len(predicted), -1), sample_weight=sample_weight
        )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.derive, "derive", (bool, np.bool_))

    def _first_targets(
        self, y: Any, classes: NDArray | None
    ) -> tuple[TargetSpec, Array, list[int]]:
        labels = read_labels(y)
        check_observed(labels)
        values, names = labels.values, labels.names
        if self.derive:
            if names is None:
                raise ValueError(
                    "derive=True needs targets with names: pass y as a DataFrame whose "
                    "columns are target keys"
                )
            consistent_targets(pd.DataFrame(values[:1], columns=names))
        unknown = np.zeros(values.shape[1], dtype=np.int64)
        spec = TargetSpec(names, values.shape[1], labels.single, unknown)
        return spec, values, [target_parity(name) for name in names or [""] * len(unknown)]

    def _further_targets(self, y: Any, spec: TargetSpec, name: str) -> Array:
        labels = read_labels(y, input_name=name)
        return align_columns(labels, spec.names, spec.n_targets, input_name=name).values

    def _needed(self, rows: Rows, values: Array) -> NDArray[np.int64]:
        # A target of few labels stays in training as an element does.
        known = np.isfinite(values)
        partly = np.flatnonzero(~known.all(axis=0))
        targets = known[:, partly] * (TARGETS + partly)
        return np.column_stack([super()._needed(rows, values), targets])

    def _fit_scaler(self, values: Array, spec: TargetSpec) -> TargetScaler:
        return TargetScaler.fit(values, spec.parity)

    def _labels(self, data: TrainingData) -> Array:
        """Labels (n, t) of training data, in the user's units."""
        return self.scaler_.inverse_transform(data.blocks[0].values)

    def _plan(self, **overrides: Any) -> TrainingPlan:
        plan = super()._plan(**overrides)
        further = left_out_epochs(plan) / self.n_members if self._meets_unseen else 0.0
        return replace(plan, further_epochs=further)

    @property
    def _meets_unseen(self) -> bool:
        """Whether standard deviations are asked for where elements are new."""
        return self.n_members > 1 and self.unseen_elements != "error"

    def _calibrate(self, net: NeuralNet, valid: TrainingData) -> SpreadCalibration | None:
        if self.n_members == 1:
            return None
        n_targets = self._targets.n_targets
        spread, mean = np.empty((0, self.n_members, n_targets)), np.empty((0, n_targets))
        labels = mean
        if len(valid):
            outputs, labels = self._outputs(valid.rows, net), self._labels(valid)
            spread, mean = self._derived(outputs), self._derived(self._centre(outputs))
        calibration = SpreadCalibration.fit(spread, mean, labels)
        unknown = np.flatnonzero(np.isnan(calibration.scale)).tolist()
        if unknown:
            warnings.warn(
                f"targets {unknown} have no label among the validation rows; their standard "
                "deviations are NaN",
                UserWarning,
                stacklevel=5,
            )
        return calibration

    def _calibrate_unseen(
        self, data: TrainingData, plan: TrainingPlan, device: torch.device
    ) -> tuple[ExtrapolationCalibration | None, bool]:
        if not self._meets_unseen:
            return None, False
        return left_out_calibration(
            data, self.reader_.members(data.rows), self._labels(data), self._single_net,
            self._left_out_errors, plan, device,
        )  # fmt: skip

    def _single_net(self, plan: TrainingPlan, data: TrainingData) -> NeuralNet:
        """A new net without an ensemble, ready to learn from some data."""
        net = self._build(data.rows, plan, n_members=1)
        self._prepare(net, data)
        return net

    def _left_out_errors(self, net: NeuralNet, data: TrainingData) -> Array:
        """Absolute errors (n, t) of another net for rows that it has not seen."""
        outputs = self._outputs(self._without_labels(data.rows), net)
        return np.abs(self._derived(outputs) - self._labels(data))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

"""The shell that all network estimators share."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from ..elements import MAX_Z
from ..nn import Ensemble, SwapSymmetric
from ..training import (
    SpreadCalibration,
    TargetScaler,
    TrainingData,
    TrainingPlan,
    build_net,
    feature_scaling,
    history_frame,
    predict,
    resolve_device,
    train,
)
from ._checks import (
    Targets,
    check_continued,
    check_elements,
    check_network_parameters,
    check_shared_parameters,
    check_weight,
)
from ._inputs import InputReader, element_names, standard_descriptors
from ._provenance import provenance
from ._rows import hold_out

__all__ = ["NetEstimator"]


@dataclass(eq=False, repr=False, kw_only=True)
class NetEstimator(BaseEstimator):
    """Base of all network estimators: validate, scale, seed, build, train.

    The fields are the hyperparameters that all share; a subclass is a dataclass too, whose
    fields are those of its network. So every constructor is explicit and only assigns. A
    subclass is a family, which names its network, in `_inputs` what the network maps, and
    where that is not the usual the blocks that raw pairs are read with, and whether it
    takes populations relative to the free atom and element descriptors. Public estimators
    add a task (regression, classification), which reads targets and says what outputs mean.
    """

    _network: ClassVar[type[nn.Module]]
    _inputs: ClassVar[tuple[str, ...]]
    _blocks: ClassVar[tuple[str, ...]] = ("atoms", "image")
    _relative_populations: ClassVar[bool] = False
    _descriptors: ClassVar[bool] = False
    _losses: ClassVar[tuple[str, ...]]
    _calibrates: ClassVar[bool] = False

    max_epochs: int = 100
    batch_size: int = 64
    lr: float = 3e-3
    lr_schedule: str = "one_cycle"
    weight_decay: float = 0.01
    loss: str = "smooth_l1"
    n_members: int = 1
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 20
    unseen_elements: str = "error"
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0
    warm_start: bool = False
    callbacks: Sequence[Any] | None = None

    if TYPE_CHECKING:
        net_: NeuralNet
        reader_: InputReader
        scaler_: TargetScaler
        elements_: list[str]
        target_names_: list[str] | None
        history_: pd.DataFrame

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> NetEstimator:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Element pairs, the output of a `PairImageTransformer`, or a numeric table.
        y : array-like of shape (n,) or (n, t)
            Targets in the user's units, or the classes (n,) of a classifier; NaN (for
            classes also None or NA) is a missing label.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the rows; rows of weight 0 are left out.
        X_val, y_val : array-like, default=None
            Validation rows of the same form, in place of a part of the training rows.

        Returns
        -------
        self : object
            The fitted estimator. Ctrl-C ends training early with a warning, and the
            model is usable as it is.

        Raises
        ------
        ValueError
            If a hyperparameter, X or y is not acceptable; the message says why.
        """
        self._check_parameters()
        continuing = self.warm_start and hasattr(self, "net_")
        return self._learn(X, y, sample_weight, (X_val, y_val), continuing, self._plan())

    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> NetEstimator:
        """Train for one epoch at constant learning rate, from the present weights.

        The scaling of inputs and targets is that of the first call.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`fit`.
        y : array-like of shape (n,) or (n, t)
            As for :meth:`fit`.
        sample_weight : array-like of shape (n,), default=None
            As for :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        return self._learn_one_epoch(X, y, sample_weight)

    def _learn_one_epoch(
        self, X: Any, y: Any, sample_weight: Any, classes: NDArray | None = None
    ) -> NetEstimator:
        self._check_parameters()
        plan = self._plan(max_epochs=1, lr_schedule="constant", patience=None)
        return self._learn(X, y, sample_weight, (None, None), hasattr(self, "net_"), plan,
                           keep_optimizer=True, classes=classes)  # fmt: skip

    def _check_parameters(self) -> None:
        check_shared_parameters(self, self._losses)
        check_network_parameters(self._network_parameters())

    def _network_parameters(self) -> dict[str, Any]:
        accepted = signature(self._network).parameters
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in accepted}

    @abstractmethod
    def _read_targets(self, y: Any, n: int, classes: NDArray | None) -> Targets:
        """Targets of n rows as the network learns them, with the classes where known."""

    @abstractmethod
    def _fit_scaler(self, values: NDArray[np.float64], targets: Targets) -> TargetScaler:
        """The scaling of the targets, from the values (n, t) of the training rows."""

    def _calibrate(
        self, net: NeuralNet, valid: TrainingData | None, device: torch.device
    ) -> SpreadCalibration | None:
        """What makes standard deviations of an ensemble's spread, where the task has any."""
        return None

    def _plan(self, **overrides: Any) -> TrainingPlan:
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max - 1)
        plan = TrainingPlan(
            max_epochs=self.max_epochs, batch_size=self.batch_size, lr=self.lr,
            lr_schedule=self.lr_schedule, weight_decay=self.weight_decay, loss=self.loss,
            patience=self.n_iter_no_change if self.early_stopping else None,
            verbose=int(self.verbose), callbacks=self.callbacks or (), seed=int(seed),
        )  # fmt: skip
        return replace(plan, **overrides)

    def _learn(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any],
        continuing: bool, plan: TrainingPlan, keep_optimizer: bool = False,
        classes: NDArray | None = None,
    ) -> NetEstimator:  # fmt: skip
        if continuing:
            reader, classes = self.reader_, getattr(self, "classes_", None)
        else:
            reader = InputReader(self._inputs, self._blocks, self._relative_populations)
            reader.fit(self, X)
        inputs = reader.read(self, X)
        targets = self._read_targets(y, len(inputs["z"]), classes)
        if continuing:
            check_continued(self, targets)
        weight = check_weight(sample_weight, len(inputs["z"])) * targets.weight
        labelled = np.isfinite(targets.values).any(axis=1)
        rows, held_out = self._split(np.flatnonzero(labelled & (weight > 0)), plan, validation)
        known = targets.values[rows]
        scaler = self.scaler_ if continuing else self._fit_scaler(known, targets)
        data = TrainingData(inputs, scaler.transform(targets.values), weight)
        learn, valid = data.take(rows), data.take(held_out) if len(held_out) else None
        if validation[0] is not None:
            val_inputs = reader.read(self, validation[0])
            val = self._read_targets(validation[1], len(val_inputs["z"]), targets.classes)
            valid = TrainingData(val_inputs, scaler.transform(val.values), val.weight)
        # A failure or a refused table leaves a fitted model as it was.
        net = (
            copy.deepcopy(self.net_)
            if continuing
            else self._build(learn.inputs, reader, targets, plan)
        )
        device = resolve_device(self.device)
        train(net, learn, valid, plan, device, keep_optimizer=keep_optimizer)
        if self._calibrates:
            self.calibration_ = self._calibrate(net, valid, device)
        self.net_, self.reader_, self.scaler_ = net, reader, scaler
        self._members = self.n_members
        if not continuing:
            self.target_names_, self._single_output = targets.names, targets.single
            if targets.classes is not None:
                self.classes_ = targets.classes
        self._describe(learn, set(self.elements_) if continuing else set())
        return self

    def _describe(self, learn: TrainingData, seen: set[str]) -> None:
        """Attributes that tell what was fitted, and on what."""
        self.elements_ = sorted(seen.union(element_names(learn.inputs["z"])))
        self.history_ = history_frame(self.net_)
        self.n_iter_ = len(self.history_)
        self.n_parameters_ = sum(p.numel() for p in self.net_.module_.parameters())
        self.provenance_ = provenance(
            self.target_names_, self.elements_, len(learn.y), self.reader_.source
        )

    def _split(
        self, rows: NDArray[np.int64], plan: TrainingPlan, validation: tuple[Any, Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val must be passed together")
        needed = plan.patience is not None or (self._calibrates and self.n_members > 1)
        if not needed or validation[0] is not None:
            return rows, rows[:0]
        return hold_out(rows, self.validation_fraction, plan.seed)

    def _build(
        self, inputs: Mapping[str, NDArray], reader: InputReader, targets: Targets,
        plan: TrainingPlan,
    ) -> NeuralNet:  # fmt: skip
        # The columns of a layout have known units; those of a plain table may be any.
        floor = 0.0 if reader.layout_ is None else 1e-6
        network_params: dict[str, Any] = {
            "n_elements": MAX_Z,
            "n_outputs": targets.values.shape[1],
            "atom_scaling": feature_scaling(inputs["atom"], floor=floor),
            "pair_scaling": feature_scaling(inputs["pair"], floor=floor),
            **self._network_parameters(),
        }
        if self._descriptors:
            network_params["descriptors"] = standard_descriptors()
        if "image" in self._inputs:
            image = inputs.get("image")
            scaling = None if image is None else feature_scaling(image, 1, floor)
            network_params["image_scaling"] = scaling
        params = {
            "network": self._network,
            "network_params": network_params,
            "parity": targets.parity.tolist(),
            "mirrored": reader.mirrored_channels(),
        }
        if self.n_members == 1:
            return build_net(SwapSymmetric, params, plan)
        stack = {"n_members": self.n_members, "network": SwapSymmetric}
        return build_net(Ensemble, {**stack, "network_params": params}, plan)

    def _outputs(self, X: Any) -> NDArray[np.float64]:
        check_is_fitted(self, "net_")
        inputs = self.reader_.read(self, X)
        if self.unseen_elements == "error":
            check_elements(element_names(inputs["z"]), self.elements_)
        return predict(self.net_, inputs, resolve_device(self.device, fallback=True))

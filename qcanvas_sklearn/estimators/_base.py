"""The shell that all network estimators share."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from .._fitting import whole_or_not_at_all
from .._validation import check_n_rows, check_weight
from ..inputs import InputSpec, Reader, open_reader
from ..nn import Ensemble
from ..training import (
    ExtrapolationCalibration,
    Rows,
    TargetBlock,
    TargetScaler,
    TrainingData,
    TrainingPlan,
    build_net,
    history_frame,
    predict,
    resolve_device,
    train,
    with_progress,
)
from ._caption import CaptionedEstimator
from ._checks import (
    check_architecture,
    check_elements,
    check_network_parameters,
    check_passed,
    check_set_aside,
    check_shared_parameters,
)
from ._extrapolation import unseen_members
from ._provenance import provenance
from ._stream import ENOUGH, HeldBack
from ._targets import TargetSpec, check_parity

__all__ = ["NetEstimator"]


@dataclass(eq=False, repr=False, kw_only=True)
class NetEstimator(CaptionedEstimator):
    """Base of all network estimators: validate, split, scale, seed, build, train.

    The fields are the hyperparameters that all share; a subclass is a dataclass too, whose
    fields are those of its network. So every constructor is explicit and only assigns. A
    subclass is a family, which names its network and in `_spec` what the network takes.
    Public estimators add a task (regression, classification), which reads targets and says
    what outputs mean. What X is made of, a reader knows.
    """

    _network: ClassVar[type[nn.Module]]
    _spec: ClassVar[InputSpec]
    _losses: ClassVar[tuple[str, ...]]
    _calibrates: ClassVar[bool] = False
    #: What a continued fit cannot change besides the architecture.
    _kept: ClassVar[tuple[str, ...]] = ()

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
    parity: Any = "auto"
    unseen_elements: str = "error"
    device: str = "auto"
    random_state: int | np.random.RandomState | None = None
    verbose: int = 0
    warm_start: bool = False
    callbacks: Sequence[Any] | None = None

    if TYPE_CHECKING:
        _held_back: HeldBack | None
        _built_with: dict[str, Any]
        _split_seed: int  # a continued fit sets the same rows aside
        _trimmed: bool  # whether no more is left than predictions need
        _targets: TargetSpec
        net_: NeuralNet
        reader_: Reader[Any]
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
        X : array-like of shape (n, p), or molecules
            Element pairs, the output of a `PairImageTransformer`, or a numeric table; of
            graph networks also a `Molecules`, or a list of ``ase.Atoms`` or of PyG ``Data``.
        y : array-like of shape (n,) or (n, t)
            Targets in the user's units, or the classes (n,) of a classifier; NaN, None, NA
            and masked values are missing labels.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the rows, of which the ratios count; rows of weight 0
            are left out.
        X_val, y_val : array-like, default=None
            Validation rows of the same form, in place of a part of the training rows, and
            of their elements with ``unseen_elements="error"``. Columns with names are
            matched by name.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter, X or y is not acceptable, or the training diverges; the
            message says why, and a fitted estimator is as it was before.
        KeyboardInterrupt
            Ctrl-C ends training early. The model is usable as it is then, and with
            ``verbose`` above 0 a warning takes the place of the error.
        """
        self._check_parameters()
        continuing = self.warm_start and hasattr(self, "net_")
        return self._learn(X, y, sample_weight, (X_val, y_val), self._plan(), continuing)

    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> NetEstimator:
        """Train for one epoch at constant learning rate, from the present weights.

        The scaling of inputs and targets is that of the first call. Of an ensemble's rows
        a fixed part, by pairs, is never learned from: it is collected over the calls to
        calibrate standard deviations, once it is as much as `fit` had, or 100 rows.

        Parameters
        ----------
        X, y, sample_weight : array-like
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
        return self._learn(X, y, sample_weight, (None, None), plan, hasattr(self, "net_"),
                           stream=True, classes=classes)  # fmt: skip

    def _check_parameters(self) -> None:
        check_shared_parameters(self, self._losses)
        check_network_parameters(self._stated(self._network_parameters()))

    def _input_spec(self) -> InputSpec:
        """What the network takes, as the hyperparameters say."""
        return self._spec

    def _network_class(self) -> type[nn.Module]:
        """The network for what was read."""
        return self._network

    def _network_parameters(self) -> dict[str, Any]:
        accepted = signature(self._network_class()).parameters
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name in accepted}

    def _stated(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters but for those that may be left to the network's own defaults, and are."""
        default = {f.name: f.default for f in fields(self)}
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in params.items()
            if value is not None or default[name] is not None
        }  # fmt: skip

    def _settled_parameters(self) -> dict[str, Any]:
        """The network's arguments that the hyperparameters decide."""
        return self._stated(self._network_parameters())

    def _architecture(self) -> dict[str, Any]:
        """What a continued fit cannot change."""
        return {
            **self._network_parameters(), "n_members": self.n_members, "parity": self.parity,
            **{name: getattr(self, name) for name in self._kept},
        }  # fmt: skip

    @abstractmethod
    def _first_targets(
        self, y: Any, classes: NDArray | None
    ) -> tuple[TargetSpec, NDArray[np.float64], list[int]]:
        """What y teaches: the targets, labels (n, t), and the parities that names tell."""

    @abstractmethod
    def _further_targets(self, y: Any, spec: TargetSpec, name: str) -> NDArray[np.float64]:
        """Labels (n, t) of known targets; a target without any is no fault."""

    def _labelled(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which rows have a label, (n,)."""
        return np.asarray(np.isfinite(values).any(axis=1))

    def _first_labels(
        self, rows: Rows, values: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> None:
        """Find out what does not take a network in the labels (n, t) of the first fit."""

    def _taught(self, rows: Rows, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the network learns of labels (n, t)."""
        return values

    def _without_labels(self, rows: Rows) -> Rows:
        """Rows of a fit as they would be if they were to be predicted."""
        return self.reader_.without_labels(rows)

    def _row_weight(self, spec: TargetSpec, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weight (n,) of each row besides the user's."""
        return np.ones(len(values))

    def _counted(self, spec: TargetSpec, values: NDArray[np.float64]) -> TargetSpec:
        """The targets with what these labels add to what is known of them."""
        return spec

    def _needed(self, rows: Rows, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """What of each row has to be learned from to be predicted, (n, k); 0 is nothing."""
        return self.reader_.members(rows)

    def _strata(self, values: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """Class (n,) of each row, where rows are set aside by class."""
        return None

    @abstractmethod
    def _fit_scaler(self, values: NDArray[np.float64], spec: TargetSpec) -> TargetScaler:
        """The scaling of the targets, from the values (n, t) of the training rows."""

    def _calibrate(self, net: NeuralNet, valid: TrainingData) -> Any:
        """What makes standard deviations of an ensemble's spread, where the task has any."""
        return None

    def _calibrate_unseen(
        self, data: TrainingData, plan: TrainingPlan, device: torch.device
    ) -> tuple[ExtrapolationCalibration | None, bool]:
        """What makes standard deviations where elements are new; whether it was broken off."""
        return None, False

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
        plan: TrainingPlan, continuing: bool, *, stream: bool = False,
        classes: NDArray | None = None,
    ) -> NetEstimator:  # fmt: skip
        with whole_or_not_at_all(self):
            if continuing:
                check_architecture(self, self._built_with, self._architecture())
                rows = self._read(X, learn=True)
            else:
                self._held_back, self._split_seed, self._trimmed = None, plan.seed, False
                self._n_calibrated = 0
                rows = self._first_read(X)
            weight = check_weight(sample_weight, len(rows))
            values = self._read_targets(y, weight, continuing, classes, rows)
            with with_progress(plan) as plan:
                interrupted = self._train(
                    rows, values, weight, validation, plan, continuing, stream
                )
        if interrupted and not plan.verbose:
            raise KeyboardInterrupt
        return self

    def _first_read(self, X: Any) -> Rows:
        """Rows of a first fit; sets the reader."""
        self.reader_ = open_reader(self._input_spec(), X)
        return self.reader_.fit(self, X)

    def _read(self, X: Any, *, learn: bool = False) -> Rows:
        """Further rows."""
        return self.reader_.read(self, X, learn=learn)

    def _read_targets(
        self, y: Any, weight: NDArray[np.float64], continuing: bool, classes: NDArray | None,
        rows: Rows,
    ) -> NDArray[np.float64]:  # fmt: skip
        """Labels (n, t); sets what the targets are."""
        check_passed(self, y)
        if continuing:
            values = self._further_targets(y, self._targets, "y")
            check_n_rows(values, len(rows))
            return values
        spec, values, told = self._first_targets(y, classes)
        check_n_rows(values, len(rows))
        parity = check_parity(self.parity, told, spec, values, self.reader_, rows, weight)
        self._targets = spec.with_parity(parity)
        self.target_names_, self._single_output = spec.names, spec.single
        if spec.classes is not None:
            self.classes_ = spec.classes
        return values

    def _train(
        self, rows: Rows, values: NDArray[np.float64], weight: NDArray[np.float64],
        validation: tuple[Any, Any], plan: TrainingPlan, continuing: bool, stream: bool,
    ) -> bool:  # fmt: skip
        """Train on rows with labels and set what is known then; whether it was broken off."""
        usable = np.flatnonzero(self._labelled(values) & (weight > 0))
        if not len(usable):
            raise ValueError("no row has both a label and a weight above zero")
        rows, values, weight = rows.take(usable), values[usable], weight[usable]
        learn, aside = self._split(rows, values, plan, validation, stream)
        rows = rows if continuing else self.reader_.settled(rows, learn)
        self._targets = self._counted(self._targets, values[learn])
        learned = rows.take(learn)
        seen = self.elements_ if continuing else []
        self.elements_ = sorted({*seen, *self.reader_.element_names(learned)})
        if not continuing:
            self._first_labels(learned, values[learn], weight[learn])
        values = self._taught(rows, values)
        set_aside = self._without_labels(rows.take(aside))
        if not continuing:
            self.reader_.fit_scaling(learned)
            self.scaler_ = self._fit_scaler(values[learn], self._network_targets())
        data = self._training_data(learned, values[learn], weight[learn])
        valid = self._training_data(set_aside, values[aside], weight[aside])
        if validation[0] is not None:
            valid = self._validation_data(*validation)
        elif stream and self._held_back is not None:
            valid = self._held_back.add(valid)
        net = copy.deepcopy(self.net_) if continuing else self._build(learned, plan)
        if not continuing:
            self._prepare(net, data)
        device = resolve_device(self.device)
        watched = valid if len(valid) and not stream else None
        interrupted = len(data) > 0 and train(
            net, data, watched, plan, device, keep_optimizer=stream
        )
        known = getattr(self, "_n_calibrated", 0)  # absent from models of earlier versions
        if not stream or len(valid) >= min(known, ENOUGH):
            self.calibration_, self._n_calibrated = self._calibrate(net, valid), len(valid)
        if not continuing:
            self.extrapolation_ = None
            if not (stream or interrupted):
                epochs = replace(plan, max_epochs=len(history_frame(net)))
                self.extrapolation_, interrupted = self._calibrate_unseen(data, epochs, device)
        self.net_, self._built_with = net, self._architecture()
        self._describe(learned)
        return interrupted

    def _training_data(
        self, rows: Rows, values: NDArray[np.float64], weight: NDArray[np.float64]
    ) -> TrainingData:
        # Their ratios count, and the product of two sets of large ones is no number.
        weight = weight / weight.max(initial=np.finfo(np.float64).tiny)
        weight = weight * self._row_weight(self._targets, values)
        rows = self.reader_.scaled(rows)
        return TrainingData(rows, [TargetBlock(self.scaler_.transform(values), weight)])

    def _validation_data(self, X: Any, y: Any, learn: bool = False) -> TrainingData:
        rows = self._read(X, learn=learn)
        present = self.reader_.element_names(rows)
        check_elements(self.unseen_elements, present, self.elements_, " of X_val")
        values = self._further_targets(y, self._targets, "y_val")
        check_n_rows(values, len(rows), input_name="y_val")
        data = self._training_data(rows, self._taught(rows, values), np.ones(len(rows)))
        if not any(np.isfinite(block.values).any() for block in data.blocks):
            raise ValueError("y_val has no label of what is learned: every value is missing")
        return data

    def _describe(self, rows: Rows) -> None:
        """Attributes that tell what was fitted, and on what."""
        self.history_ = history_frame(self.net_)
        self.n_iter_ = len(self.history_)
        self.n_parameters_ = sum(p.numel() for p in self.net_.module_.parameters())
        self.provenance_ = provenance(
            self.target_names_, self.elements_, len(rows), self.reader_.source
        )

    def _split(
        self, rows: Rows, values: NDArray[np.float64], plan: TrainingPlan,
        validation: tuple[Any, Any], stream: bool,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
        """Positions of rows to learn from and of rows to set aside."""
        if (validation[0] is None) != (validation[1] is None):
            raise ValueError("X_val and y_val must be passed together")
        given = validation[0] is not None
        calibrates = self._calibrates and self.n_members > 1
        if not calibrates and (given or plan.patience is None):
            return np.arange(len(rows)), np.arange(0)
        held = copy.deepcopy(self._held_back)
        self._held_back = held = held or HeldBack(self.validation_fraction, self._split_seed)
        groups = held.units(self.reader_.groups(rows), rows.keys)
        learn, aside = held.split(
            groups, self._needed(rows, values), self._strata(values), stream=stream, none=given
        )
        if not (given or stream):
            check_set_aside(aside, len(rows), self.validation_fraction)
        return learn, aside

    def _network_targets(self) -> TargetSpec:
        """What the outputs of the network are."""
        return self._targets

    def _build(
        self, rows: Rows, plan: TrainingPlan, n_members: int | None = None
    ) -> NeuralNet:
        spec, n_members = self._network_targets(), n_members or self.n_members
        network_params = {
            **self.reader_.network_params(rows),
            "n_outputs": spec.n_targets,
            **self._settled_parameters(),
        }
        module, params = self.reader_.wrap(
            self._network_class(), network_params, spec.parity.tolist()
        )
        if n_members > 1:
            params = {"n_members": n_members, "network": module, "network_params": params}
            module = Ensemble
        return build_net(*self._around(module, params), plan)

    def _around(
        self, module: type[nn.Module], params: dict[str, Any]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """What the task adds around the network or an ensemble: a class and its arguments."""
        return module, params

    def _prepare(self, net: NeuralNet, data: TrainingData) -> None:
        """Bring a new net to where its training starts."""

    def count_unseen_elements(self, X: Any) -> NDArray[np.int64]:
        """Number of elements of each row that were not among the training rows.

        Of a pair both atoms count, of a molecule each element once. Errors are larger where
        it is above zero, and predictions are refused there unless
        ``unseen_elements="allow"``.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Of the kind that the estimator was fitted on.

        Returns
        -------
        ndarray of int64, shape (n,)
            0, 1 or 2 for pairs; 0 for the rows of a plain table, which holds no elements.
        """
        check_is_fitted(self, "net_")
        members = self.reader_.members_of(self, X)
        return unseen_members(members, self.elements_).sum(axis=1)

    def _known_parts(self, X: Any) -> Iterator[Rows]:
        """Rows to predict, so many at a time that memory does not grow with their number."""
        check_is_fitted(self, "net_")
        return map(self._known_rows, self.reader_.parts(self, X))

    def _known_rows(self, X: Any, **how: bool) -> Rows:
        """Rows to predict, of elements that the model may be asked about."""
        check_is_fitted(self, "net_")
        rows = self._read(X, **how)
        check_elements(self.unseen_elements, self.reader_.element_names(rows), self.elements_)
        return rows

    def _outputs(self, rows: Rows, net: NeuralNet | None = None) -> NDArray[np.float64]:
        """Outputs of the fitted net, or of another, for rows; without the targets' scaling."""
        device = resolve_device(self.device, fallback=True)
        return self._unscaled(predict(net or self.net_, rows, device), rows)

    def _unscaled(self, outputs: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
        """Outputs of a net for rows, in the user's units."""
        return self.scaler_.inverse_transform(outputs)

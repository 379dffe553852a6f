"""QCanvas for regression: tight binding, and a network for what it leaves."""

from __future__ import annotations

import warnings
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from skorch import NeuralNet

from .._validation import check_choice, read_labels
from ..images.layout import find_columns
from ..inputs import InputSpec
from ..nn.cores.tight_binding import QUANTITIES
from ..structures import looks_like_pairs
from ..targets import TARGETS
from ..training import (
    DenseRows,
    ExtrapolationCalibration,
    TrainingData,
    TrainingPlan,
    progress_part,
    with_progress,
)
from ._correction import Correction, labels_of_state
from ._qcanvas import QCanvasFamily
from ._regressor import NetRegressor
from ._state_labels import GIVEN, NotCalculated
from ._targets import TargetSpec
from ._tight_binding import TightBindingRegressor

__all__ = ["QCanvasRegressor"]

Array = NDArray[np.float64]

_DEFAULT: TightBindingRegressor = TightBindingRegressor()  # type: ignore[call-arg]


@dataclass(eq=False, repr=False)
class QCanvasRegressionFamily(QCanvasFamily):
    """Tight binding, and a network for what it leaves: the one to reach for first.

    A :class:`TightBindingRegressor` learns the Hamiltonian of the pairs. An ensemble of the
    networks of :class:`PairMLPRegressor` is told its state (levels, populations, and by how
    much they miss the given ones) and learns by how much its levels, energies, charges and
    bond lengths are off, from states of members that have not seen the pair. All targets
    follow from the corrected state and agree with each other. It is the most accurate model
    of this package on pairs.

    Where there is no Hamiltonian to learn, because X is a plain table or y holds no targets
    of :data:`qcanvas_sklearn.targets.TARGETS`, it is the ensemble of networks alone.

    Parameters
    ----------
    n_hidden : int, default=128
        Width of the residual network; the atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    dropout : float, default=0.1
        Dropout in the residual blocks.
    given : {"populations", "distance", "elements"}, default="populations"
        What a prediction starts from, see :class:`TightBindingRegressor`: elements, bond
        length and populations of the calculated pair, less, or the elements alone.
    tight_binding : "auto", None or TightBindingRegressor, default="auto"
        The model of the Hamiltonian with its settings; of these `given`, `unseen_elements`,
        `device`, `verbose`, `validation_fraction` and `random_state` are taken from here.
        None for the networks alone.
    {shared_parameters}

    Attributes
    ----------
    tight_binding_ : TightBindingRegressor or None
        The fitted model of the Hamiltonian; None where there is none. A continued fit goes on
        with the networks alone: ``partial_fit`` fits it in full in its first call, to these
        rows, and warns of elements that come later.
    {shared_attributes}

    See Also
    --------
    TightBindingRegressor : The Hamiltonian alone, and what it knows of levels and orbitals.
    PairMLPRegressor : A single one of the networks.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Big Data Meets Quantum
       Chemistry Approximations: The Delta-Machine Learning Approach, J. Chem. Theory Comput.
       11, 2087 (2015).
    .. [2] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, TightBindingRegressor, load_pairs
    {>>>} X, y = load_pairs(target="e_g_ev", return_X_y=True)
    {>>>} short = TightBindingRegressor(n_members=2, max_epochs=2)
    {>>>} model = {name}(n_members=2, max_epochs=2, tight_binding=short, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    n_hidden: int = 128
    dropout: float = 0.1
    given: str = "populations"
    tight_binding: Any = "auto"
    _: KW_ONLY
    max_epochs: int = 60
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.1


@dataclass(eq=False, repr=False)
class QCanvasRegressor(NetRegressor, QCanvasRegressionFamily):
    """Tight binding, and a network for what it leaves: the one to reach for first.

    A :class:`TightBindingRegressor` learns the Hamiltonian of the pairs. An ensemble of the
    networks of :class:`PairMLPRegressor` is told its state (levels, populations, and by how
    much they miss the given ones) and learns by how much its levels, energies, charges and
    bond lengths are off, from states of members that have not seen the pair. All targets
    follow from the corrected state and agree with each other. It is the most accurate model
    of this package on pairs.

    Where there is no Hamiltonian to learn, because X is a plain table or y holds no targets
    of :data:`qcanvas_sklearn.targets.TARGETS`, it is the ensemble of networks alone.

    Parameters
    ----------
    n_hidden : int, default=128
        Width of the residual network; the atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    dropout : float, default=0.1
        Dropout in the residual blocks.
    given : {"populations", "distance", "elements"}, default="populations"
        What a prediction starts from, see :class:`TightBindingRegressor`: elements, bond
        length and populations of the calculated pair, less, or the elements alone.
    tight_binding : "auto", None or TightBindingRegressor, default="auto"
        The model of the Hamiltonian with its settings; of these `given`, `unseen_elements`,
        `device`, `verbose`, `validation_fraction` and `random_state` are taken from here.
        None for the networks alone.
    max_epochs : int, default=60
        Passes over the training rows.
    batch_size : int, default=128
        Rows a gradient step.
    lr : float, default=0.002
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.1
        Decoupled weight decay of AdamW.
    loss : {"smooth_l1", "huber", "absolute_error", "squared_error"}, default="absolute_error"
        Loss of the network, on what tight binding leaves, divided by its mean absolute
        deviation. Missing labels do not count.
    n_members : int, default=5
        Members of a deep ensemble, which train together.
        Tight binding has members of its own. It predicts the mean of both and, with
        ``return_std=True``, calibrated standard deviations from the spread of both, for which
        `validation_fraction` of the rows is set aside unless `X_val` is passed. They hold for
        pairs of elements that were seen in training.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
        and restore the weights of the best epoch.
    validation_fraction : float, default=0.05
        Part of the training rows that is set aside for early stopping and calibration,
        unless `X_val` is passed to ``fit``. Rows are set aside by pair: all those of one pair,
        in either order and at any distance, stay together (of a plain table, equal rows).
        An element that occurs in one pair only is learned from.
    n_iter_no_change : int, default=20
        Epochs without improvement before stopping.
    parity : {"auto"}, int, sequence of int, or dict of str to int, default="auto"
        Sign of each target under exchange of the atoms: 1, -1, or 0 where it is not known; one
        for all targets, one for each, or by name (of the rest, what their names tell). "auto"
        takes it from the target's name (:data:`qcanvas_sklearn.targets.TARGETS`) and leaves it
        out, with a warning, where the labels contradict it: those of an odd target all have
        one sign, or do not vanish for two equal atoms (where a stated -1 is refused). A plain
        table knows no exchange.
    unseen_elements : {"error", "allow"}, default="error"
        What ``predict`` does with an element that was not among the training pairs:
        refuse it by name, or extrapolate with an embedding that was never trained.
        Set it to "allow" to score element-disjoint splits.
        With an ensemble five further single nets are trained then, each for half the epochs
        and without a fifth of the elements, which takes a third of the time of five members.
        Their errors at these elements are what standard deviations of pairs with unseen
        elements come from (:meth:`count_unseen_elements` flags such pairs). A continued fit
        keeps these errors, and ``partial_fit`` measures none; without them the deviations are
        as large as those of the labels, with a warning.
    device : str, default="auto"
        Device to train and predict on, as torch names it; "auto" is CUDA where present.
        Training is in single precision, prediction on the CPU and on CUDA in double precision
        (but for convolutions). After ``fit`` the weights lie on the CPU, whatever trained them.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batches and validation rows; on the CPU to the last bit.
        Global random states are never touched.
    verbose : int, default=0
        1 shows a progress bar, 2 a line for every epoch. With either, Ctrl-C ends the training
        with a warning in place of the error; the model is usable as it is then.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit`` (on a table of the same columns and
        targets) in place of new ones. Random numbers go on too, rows stay set aside. Another
        architecture is refused: parameters of the network, `n_members` and `parity` stay.
    callbacks : list of skorch callbacks or None, default=None
        Further callbacks; they are copied before use.
    derive : bool, default=False
        Move predictions to where the identities between the targets hold
        (:func:`qcanvas_sklearn.targets.consistent_targets`): I = -HOMO, the gap is I - A,
        softness the reciprocal of the hardness (of
        :data:`~qcanvas_sklearn.targets.MIN_HARDNESS_EV` at least), and so on. An ensemble's
        mean is moved as a whole, and member by member for standard deviations. Needs targets
        with names.

    Attributes
    ----------
    tight_binding_ : TightBindingRegressor or None
        The fitted model of the Hamiltonian; None where there is none. A continued fit goes on
        with the networks alone: ``partial_fit`` fits it in full in its first call, to these
        rows, and warns of elements that come later.
    scaler_ : TargetScaler
        How targets are scaled for the network.
    calibration_ : SpreadCalibration or None
        What makes standard deviations of an ensemble's spread; None for a single net.
    extrapolation_ : ExtrapolationCalibration or None
        What makes standard deviations where elements were not seen; None for a single net,
        with ``unseen_elements="error"``, or where there are not two elements.
    net_ : skorch.NeuralNet
        The trained net, on the CPU.
    reader_ : PairReader or TableReader
        What turns X into rows of the network: the one for pairs, or the one for plain tables.
    history_ : DataFrame
        One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
    n_iter_ : int
        Number of epochs trained, those before a continued fit included.
    n_parameters_ : int
        Number of weights.
    target_names_ : list of str or None
        Names of the targets, where y had any.
    elements_ : list of str
        Elements of the training pairs; empty for a plain table.
    provenance_ : dict
        Package versions, targets with their units, elements and number of training rows,
        and the source of the pair data where the estimator rendered it itself.
    n_features_in_ : int
        Number of columns seen in ``fit``.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    TightBindingRegressor : The Hamiltonian alone, and what it knows of levels and orbitals.
    PairMLPRegressor : A single one of the networks.

    Notes
    -----
    Predictions of a target whose parity is known are exactly even (of ``dipole_z_d`` odd) under
    exchange of the atoms inside the network. Others are learned in the canonical order of the
    pair, without that constraint.

    X may be

    - element pairs, which a `PairImageTransformer` of the bundled table turns into the columns
      that the network takes;
    - a table with the columns of a `PairImageTransformer`, recognised by their names (in any
      order, with a prefix) or by the layout that the array carries
      (:class:`qcanvas_sklearn.images.PairTable`); further columns become scalars of the pair;
    - any other numeric table, whose columns all become scalars, without atoms or an image.

    References
    ----------
    .. [1] R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Big Data Meets Quantum
       Chemistry Approximations: The Delta-Machine Learning Approach, J. Chem. Theory Comput.
       11, 2087 (2015).
    .. [2] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    >>> from qcanvas_sklearn import QCanvasRegressor, TightBindingRegressor, load_pairs
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> short = TightBindingRegressor(n_members=2, max_epochs=2)
    >>> model = QCanvasRegressor(n_members=2, max_epochs=2, tight_binding=short, random_state=0)
    >>> model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _kept: ClassVar[tuple[str, ...]] = ("given",)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("given", self.given, tuple(GIVEN))
        own = self.tight_binding
        if not (own is None or isinstance(own, (str, TightBindingRegressor))):
            raise TypeError(
                f'tight_binding={own!r} is not "auto", None or a TightBindingRegressor'
            )
        if isinstance(own, str):
            check_choice("tight_binding", own, ("auto",))
        elif own is not None and own.n_members == 1:
            raise ValueError(
                "tight_binding has n_members=1, but what it leaves is learned from members "
                "that have not seen a pair: it takes 2 or more"
            )

    def _input_spec(self) -> InputSpec:
        if self.tight_binding_ is None:
            return self._spec
        known = ("others", *GIVEN[self.given])
        return replace(self._spec, names=known, known=known, relative_populations=False)

    def _learn(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any],
        plan: TrainingPlan, continuing: bool, *, stream: bool = False,
        classes: NDArray | None = None,
    ) -> QCanvasRegressor:  # fmt: skip
        before = dict(vars(self))
        interrupted = False
        try:
            with with_progress(plan) as plan:
                if not continuing:
                    interrupted = self._learn_states(X, y, sample_weight, validation, plan)
                super()._learn(
                    X, y, sample_weight, validation, plan, continuing, stream=stream
                )
        except BaseException:
            # Ctrl-C leaves a new net that can be used, or none.
            if self.__dict__.get("net_") is before.get("net_"):
                self.__dict__.clear()
                self.__dict__.update(before)
            raise
        model = self.tight_binding_
        known = self.elements_ if model is None else model.elements_
        new = set(self.elements_) - set(known)
        if continuing and new:
            warnings.warn(
                f"elements {sorted(new)} were not among the rows of the first call, the only "
                "ones that tight binding is fitted to; begin with rows of all elements",
                stacklevel=4,
            )
        if interrupted and not plan.verbose:
            raise KeyboardInterrupt
        return self

    def _learn_states(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any],
        plan: TrainingPlan,
    ) -> bool:  # fmt: skip
        """Fit tight binding where it applies; whether the user broke it off."""
        self.tight_binding_ = None
        self.__dict__.pop("_correction", None)
        why = self._why_not(X, y)
        if not why:
            try:
                return self._learn_hamiltonian(X, y, sample_weight, validation, plan)
            except NotCalculated as error:
                why = str(error)
        if self.given != "populations":
            raise ValueError(
                f'given="{self.given}" asks for tight binding, but {why}. For a network alone '
                "pass in X what it may see"
            )
        return False

    def _learn_hamiltonian(
        self, X: Any, y: Any, sample_weight: Any, validation: tuple[Any, Any],
        plan: TrainingPlan,
    ) -> bool:  # fmt: skip
        asked = self.tight_binding
        model = clone(_DEFAULT if isinstance(asked, str) else asked)
        model.set_params(
            given=self.given, unseen_elements=self.unseen_elements, device=self.device,
            verbose=self.verbose, validation_fraction=self.validation_fraction,
        )  # fmt: skip
        model._check_parameters()
        interrupted = False
        try:
            # One seed for both, so that one part of the pairs is set aside for both.
            own = model._plan(seed=plan.seed)
            n_epochs = own.max_epochs + own.further_epochs
            with progress_part(plan.progress, "tight binding", n_epochs) as progress:
                own = replace(own, progress=progress)
                model._learn(X, y, sample_weight, validation, own, continuing=False)
        except KeyboardInterrupt:
            if not hasattr(model, "net_"):
                raise
            interrupted = True
        self.tight_binding_ = model
        return interrupted

    def _why_not(self, X: Any, y: Any) -> str:
        """Why there is no tight binding for this data; empty where there is."""
        asked = self.tight_binding
        if asked is None:
            return "tight_binding is None"
        columns = None if looks_like_pairs(X) else find_columns(X)
        needed = {"atoms", "orbitals"} if self.given == "populations" else {"atoms"}
        if not looks_like_pairs(X) and (
            columns is None or not needed <= set(columns.layout.include)
        ):
            return f"X has no columns of pairs with the blocks {sorted(needed)}"
        names = None if isinstance(asked, str) else asked.targets
        if names is None and y is not None:
            names = read_labels(y).names
        unknown = [name for name in np.atleast_1d(names or [None]) if name not in TARGETS]
        return f"y holds {unknown}, which are not among {list(TARGETS)}" if unknown else ""

    def _first_read(self, X: Any) -> DenseRows:
        return self._described(super()._first_read(X), learn=True)

    def _read(self, X: Any, *, learn: bool = False) -> DenseRows:
        return self._described(super()._read(X, learn=learn), learn)

    def _described(self, rows: Any, learn: bool) -> DenseRows:
        """Rows of what tight binding says of the pairs, in place of what X does."""
        model = self.tight_binding_
        if model is None:
            return rows
        known = {name: array for name, array in rows.arrays.items() if name != "others"}
        states = model.describe_rows(
            DenseRows(known, n_atoms=2), out_of_fold=learn, device=self.device
        )
        vector = np.zeros((len(rows), 3))
        vector[:, 2] = states.centre[:, QUANTITIES.index("distance")]
        arrays = {
            "z": rows.arrays["z"], "atom": states.atoms, "vector": vector,
            "pair": np.concatenate([states.pair, rows.arrays["others"]], axis=1),
        }  # fmt: skip
        beside = {"quantities": states.quantities, "centre": states.centre}
        return replace(rows, arrays=arrays, beside=beside)

    def _split(self, rows: Any, values: Array, *args: Any) -> tuple[NDArray, NDArray]:  # type: ignore[override]
        if self.tight_binding_ is not None and not hasattr(self, "_correction"):
            labels = self._state_labels(rows, values)
            self._correction = Correction.of(labels, GIVEN[self.given])
        return super()._split(rows, values, *args)

    def _state_labels(self, rows: Any, values: Array) -> dict[str, Array]:
        assert self.tight_binding_ is not None
        names = self.tight_binding_.target_names_ or []
        return labels_of_state(names, values, rows.beside["centre"])

    def _network_targets(self) -> TargetSpec:
        return self._targets if self.tight_binding_ is None else self._correction.spec

    def _taught(self, rows: Any, values: Array) -> Array:
        if self.tight_binding_ is None:
            return values
        labels = self._state_labels(rows, values)
        return self._correction.differences(labels, rows.beside["centre"])

    def _without_labels(self, rows: Any) -> DenseRows:
        return rows  # what tight binding says of them came without labels

    def _outputs(self, rows: Any, net: NeuralNet | None = None) -> Array:
        outputs = super()._outputs(rows, net)
        if self.tight_binding_ is None:
            return outputs
        quantities, centre = rows.beside["quantities"], rows.beside["centre"]
        if outputs.ndim == 2:
            return self._correction.applied(centre, outputs)
        # The members' mean is the state's centre, corrected; their spread has both parts.
        member = np.arange(outputs.shape[1]) % quantities.shape[1]
        quantities = quantities[:, member]
        quantities = quantities + (centre - quantities.mean(axis=1))[:, None]
        return self._correction.applied(quantities, outputs)

    def _calibrate_unseen(
        self, data: TrainingData, plan: TrainingPlan, device: torch.device
    ) -> tuple[ExtrapolationCalibration | None, bool]:
        # Of elements that tight binding has not seen its states say all that is known.
        model = self.tight_binding_
        if model is None:
            return super()._calibrate_unseen(data, plan, device)
        return model.extrapolation_, False

    def _label_spread(self) -> Array:
        model = self.tight_binding_
        return super()._label_spread() if model is None else model._label_spread()

    def _derived(self, outputs: Array) -> Array:
        model = self.tight_binding_
        return super()._derived(outputs) if model is None else model._derived(outputs)

    def _labels(self, data: TrainingData) -> Array:
        labels = super()._labels(data)
        if self.tight_binding_ is None:
            return labels
        rows: Any = data.rows
        corrected = self._correction.applied(rows.beside["centre"], labels)
        return self.tight_binding_._derived(corrected)

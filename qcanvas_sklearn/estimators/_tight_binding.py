"""Tight binding: a pair's own Hamiltonian, learned."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_scalar
from skorch import NeuralNet

from .._validation import check_choice, check_observed, read_labels
from ..inputs import InputSpec
from ..nn.cores.tight_binding import (
    QUANTITIES,
    TightBindingMembers,
    shells_of,
    state_targets,
)
from ..targets import TARGETS, target_parity
from ..training import (
    DenseRows,
    ExtrapolationCalibration,
    TargetScaler,
    TrainingData,
    TrainingPlan,
    build_net,
    resolve_device,
)
from ._base import NetEstimator
from ._pair_states import CHUNK, PairStates
from ._regressor import NetRegressor
from ._state_labels import (
    GIVEN,
    RATES,
    calculated,
    fit_elements,
    lie_at_rest,
    state_blocks,
    valence_electrons,
)
from ._stream import uniform
from ._targets import TargetSpec

__all__ = ["TightBindingRegressor"]

Array = NDArray[np.float64]

_FOLD_SEED = 1


@dataclass(eq=False, repr=False)
class TightBindingFamily(NetEstimator):
    """The pair's own Hamiltonian, learned: every target from one physical state.

    Element parameters and two-centre integrals are the weights, an eigenproblem of at most
    8 x 8 for each angular momentum about the bond is the layer. Orbitals are sums of shared
    Gaussians, so that overlaps are those of functions in space; on-site energies, charges and
    potentials belong to shells; a small network corrects the integrals by up to 30 % and
    shifts the shells by what stands beside them. Levels, energies, charges and forces are
    those of one state, so all 18 targets agree with each other by construction, and distances
    that were never seen are computed as the seen ones are. It starts from tables of free
    atoms, not from the parameters of any method.

    Parameters
    ----------
    given : {"populations", "distance", "elements"}, default="populations"
        What a prediction starts from. With "populations" elements, bond length and shell
        populations of the calculated pair are read; charge, dipole and bond length are given
        then, not predicted. With "distance" the charges are solved self-consistently, and with
        "elements" the bond length is found as well, where the force vanishes. What is not
        given is a label of the training pairs, where X has it.
    targets : str, sequence of str or None, default=None
        Keys of the columns of y (:data:`qcanvas_sklearn.targets.TARGETS`), where y has no
        names of its own.
    electronic_temperature : float, default=0.0
        Temperature in K at which the data's levels are filled.
    relaxed : {"auto"} or bool, default="auto"
        Whether training pairs lie where the force vanishes, which teaches the slope of their
        energy. "auto" is True where y has energies and no pair occurs at two distances.
    n_gaussians : int, default=9
        Gaussians that all orbitals share.
    n_hidden : int, default=64
        Width of the network that corrects integrals.
    n_embedding : int, default=12
        Learned features of an element in that network.
    {shared_parameters}

    Attributes
    ----------
    element_parameters_ : DataFrame
        What was learned of the elements, with units.
    {shared_attributes}

    See Also
    --------
    QCanvasRegressor : Tight binding, and a network for what it leaves.
    PairMLPRegressor : A network on the same populations, without physics.

    Notes
    -----
    X may be element pairs, or a table with the columns of a `PairImageTransformer` (blocks
    "atoms" and, for populations, "orbitals"), recognised by their names or by the layout that
    the array carries. Plain tables are refused: there is no Hamiltonian of them. y may hold
    any of the 18 targets, with missing labels.

    The bundled pairs come from a tight-binding method themselves, so part of the accuracy on
    them is that the form is theirs; none of that method's parameters is used. On 3,729 pairs
    of another method (GFN1-xTB), with a form of its own, an ensemble of `PairMLP` has 1.9 times
    the error in the gap, 2.9 times in the HOMO and 8 times in the band.

    All arithmetic is in double precision, in training too. Unless populations are given, the
    loss of validation rows is computed for early stopping alone.

    Orbitals are quantities of the ensemble's members, of which each has its own; levels,
    populations and energies can be compared, and are averaged.

    References
    ----------
    .. [1] H. Li, C. Collins, M. Tanha, G. J. Gordon, D. J. Yaron, A Density Functional Tight
       Binding Layer for Deep Learning of Chemical Hamiltonians, J. Chem. Theory Comput. 14,
       5764 (2018), arXiv:1808.04526.
    .. [2] B. Hourahine et al., DFTB+, a software package for efficient approximate density
       functional theory based atomistic simulations, J. Chem. Phys. 152, 124101 (2020).
    .. [3] A. McSloy et al., TBMaLT, a flexible toolkit for combining tight-binding and machine
       learning, J. Chem. Phys. 158, 034801 (2023).
    .. [4] Q. Gu, Z. Zhouyin, S. K. Pandey, P. Zhang, L. Zhang, W. E, Deep learning
       tight-binding approach for large-scale electronic simulations, Nat. Commun. 15, 6772
       (2024), arXiv:2307.04638.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target=["e_g_ev", "e_homo_ev"], return_X_y=True)
    {>>>} model = {name}(n_members=2, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1, 2)
    {>>>} round(float(model.levels([["Al", "Ag"]])["electrons"].sum()), 6)
    14.0
    """

    _network: ClassVar[type] = TightBindingMembers
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "distance", "shells", "along"), ("atoms", "orbitals"), needs_atoms=True
    )

    given: str = "populations"
    targets: str | Sequence[str] | None = None
    electronic_temperature: float = 0.0
    relaxed: bool | str = "auto"
    n_gaussians: int = 9
    n_hidden: int = 64
    n_embedding: int = 12
    _: KW_ONLY
    max_epochs: int = 120
    batch_size: int = 256
    lr: float = 4e-3
    weight_decay: float = 1.0
    loss: str = "pseudo_huber"
    n_members: int = 5
    validation_fraction: float = 0.05


@dataclass(eq=False, repr=False)
class TightBindingRegressor(PairStates, NetRegressor, TightBindingFamily):
    """The pair's own Hamiltonian, learned: every target from one physical state.

    Element parameters and two-centre integrals are the weights, an eigenproblem of at most
    8 x 8 for each angular momentum about the bond is the layer. Orbitals are sums of shared
    Gaussians, so that overlaps are those of functions in space; on-site energies, charges and
    potentials belong to shells; a small network corrects the integrals by up to 30 % and
    shifts the shells by what stands beside them. Levels, energies, charges and forces are
    those of one state, so all 18 targets agree with each other by construction, and distances
    that were never seen are computed as the seen ones are. It starts from tables of free
    atoms, not from the parameters of any method.

    Parameters
    ----------
    given : {"populations", "distance", "elements"}, default="populations"
        What a prediction starts from. With "populations" elements, bond length and shell
        populations of the calculated pair are read; charge, dipole and bond length are given
        then, not predicted. With "distance" the charges are solved self-consistently, and with
        "elements" the bond length is found as well, where the force vanishes. What is not
        given is a label of the training pairs, where X has it.
    targets : str, sequence of str or None, default=None
        Keys of the columns of y (:data:`qcanvas_sklearn.targets.TARGETS`), where y has no
        names of its own.
    electronic_temperature : float, default=0.0
        Temperature in K at which the data's levels are filled.
    relaxed : {"auto"} or bool, default="auto"
        Whether training pairs lie where the force vanishes, which teaches the slope of their
        energy. "auto" is True where y has energies and no pair occurs at two distances.
    n_gaussians : int, default=9
        Gaussians that all orbitals share.
    n_hidden : int, default=64
        Width of the network that corrects integrals.
    n_embedding : int, default=12
        Learned features of an element in that network.
    max_epochs : int, default=120
        Passes over the training rows.
    batch_size : int, default=256
        Rows a gradient step.
    lr : float, default=0.004
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=1.0
        Decoupled weight decay of AdamW.
    loss : {"pseudo_huber"}, default="pseudo_huber"
        Weighted sum of absolute deviations, squares below a scale of each quantity (0.01 eV for
        HOMO and LUMO), over everything that y says of a state, the populations of the training
        pairs, and the force, which vanishes at the bond length. Missing labels do not count.
    n_members : int, default=5
        Members of a deep ensemble, which train together.
        Each starts from other orbitals and never learns from a part of the pairs, so that
        something of the model is new to each of its training pairs. It predicts the median of
        their levels and the mean of all else and, with ``return_std=True``, calibrated standard
        deviations, for which `validation_fraction` of the rows is set aside unless `X_val` is
        passed. They hold for pairs of elements that were seen in training.
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
        Checked as elsewhere. It changes nothing: what is odd and what is even follows from the
        Hamiltonian.
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
    element_parameters_ : DataFrame
        What was learned of the elements, with units.
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
    QCanvasRegressor : Tight binding, and a network for what it leaves.
    PairMLPRegressor : A network on the same populations, without physics.

    Notes
    -----
    X may be element pairs, or a table with the columns of a `PairImageTransformer` (blocks
    "atoms" and, for populations, "orbitals"), recognised by their names or by the layout that
    the array carries. Plain tables are refused: there is no Hamiltonian of them. y may hold
    any of the 18 targets, with missing labels.

    The bundled pairs come from a tight-binding method themselves, so part of the accuracy on
    them is that the form is theirs; none of that method's parameters is used. On 3,729 pairs
    of another method (GFN1-xTB), with a form of its own, an ensemble of `PairMLP` has 1.9 times
    the error in the gap, 2.9 times in the HOMO and 8 times in the band.

    All arithmetic is in double precision, in training too. Unless populations are given, the
    loss of validation rows is computed for early stopping alone.

    Orbitals are quantities of the ensemble's members, of which each has its own; levels,
    populations and energies can be compared, and are averaged.

    References
    ----------
    .. [1] H. Li, C. Collins, M. Tanha, G. J. Gordon, D. J. Yaron, A Density Functional Tight
       Binding Layer for Deep Learning of Chemical Hamiltonians, J. Chem. Theory Comput. 14,
       5764 (2018), arXiv:1808.04526.
    .. [2] B. Hourahine et al., DFTB+, a software package for efficient approximate density
       functional theory based atomistic simulations, J. Chem. Phys. 152, 124101 (2020).
    .. [3] A. McSloy et al., TBMaLT, a flexible toolkit for combining tight-binding and machine
       learning, J. Chem. Phys. 158, 034801 (2023).
    .. [4] Q. Gu, Z. Zhouyin, S. K. Pandey, P. Zhang, L. Zhang, W. E, Deep learning
       tight-binding approach for large-scale electronic simulations, Nat. Commun. 15, 6772
       (2024), arXiv:2307.04638.

    Examples
    --------
    >>> from qcanvas_sklearn import TightBindingRegressor, load_pairs
    >>> X, y = load_pairs(target=["e_g_ev", "e_homo_ev"], return_X_y=True)
    >>> model = TightBindingRegressor(n_members=2, max_epochs=2, random_state=0)
    >>> model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1, 2)
    >>> round(float(model.levels([["Al", "Ag"]])["electrons"].sum()), 6)
    14.0
    """

    _losses: ClassVar[tuple[str, ...]] = ("pseudo_huber",)
    _kept: ClassVar[tuple[str, ...]] = ("given",)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_choice("given", self.given, tuple(GIVEN))
        kelvin = self.electronic_temperature
        check_scalar(kelvin, "electronic_temperature", numbers.Real, min_val=0)
        if not math.isfinite(kelvin):
            raise ValueError(f"electronic_temperature={kelvin} is not finite")
        if not isinstance(self.relaxed, (bool, np.bool_)):
            check_choice("relaxed", self.relaxed, ("auto",))

    def _input_spec(self) -> InputSpec:
        return InputSpec(
            self._spec.names, self._spec.blocks, known=GIVEN[self.given], needs_atoms=True
        )

    def _plan(self, **overrides: Any) -> TrainingPlan:
        # A noisy gradient of few sharp terms: its scale is that of the last steps.
        own = {"rates": RATES, "warm_up": 0.1, "betas": (0.9, 0.98)}
        # To find charges and bond lengths of the rows that are set aside takes longer than
        # to learn from all others does.
        own["watches"] = self.given == "populations" or self.early_stopping
        return super()._plan(**{**own, **overrides})

    def _first_targets(
        self, y: Any, classes: NDArray | None
    ) -> tuple[TargetSpec, Array, list[int]]:
        labels = read_labels(y)
        check_observed(labels)
        names = labels.names if self.targets is None else np.atleast_1d(self.targets).tolist()
        n_targets = labels.values.shape[1]
        if names is None:
            raise ValueError(
                "y has no names that tell which targets it holds: pass a Series or a DataFrame "
                "named by target keys (qcanvas_sklearn.targets.TARGETS), or targets=..."
            )
        unknown = [name for name in names if name not in TARGETS]
        if unknown or len(names) != n_targets:
            raise ValueError(
                f"y has {n_targets} columns, named {names}: {type(self).__name__} predicts "
                f"what follows from a pair's Hamiltonian, {list(TARGETS)}"
            )
        parity = np.zeros(n_targets, dtype=np.int64)
        spec = TargetSpec(names, n_targets, labels.single, parity)
        return spec, labels.values, [target_parity(name) for name in names]

    def _fit_scaler(self, values: Array, spec: TargetSpec) -> TargetScaler:
        self._spread = TargetScaler.fit(values, spec.parity).scale
        return TargetScaler.identity(1)

    def _label_spread(self) -> Array:
        return self._spread

    def _training_data(self, rows: Any, values: Array, weight: Array) -> TrainingData:
        learned, blocks = state_blocks(
            rows, self._targets.names or [], values, weight, at_rest=self._at_rest,
            finds_distance=self.given == "elements",
        )  # fmt: skip
        arrays = {**learned.arrays, "fold": self._fold(rows)}
        return TrainingData(DenseRows(arrays, n_atoms=2), blocks)

    def _fold(self, rows: Any) -> NDArray[np.int64]:
        """The member that does not learn from a pair; -1 where there is one member alone."""
        if self.n_members == 1:
            return np.full(len(rows), -1)
        groups = self.reader_.groups(rows)
        fold = np.floor(uniform(groups, _FOLD_SEED) * self.n_members).astype(np.int64)
        return np.where(np.isin(groups, self._aside), -1, fold)

    def _split(
        self, rows: Any, *args: Any
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        learn, aside = super()._split(rows, *args)
        self._aside = self.reader_.groups(rows.take(aside))
        return learn, aside

    def _train(
        self, rows: Any, values: Array, weight: Array, validation: tuple[Any, Any],
        plan: TrainingPlan, continuing: bool, stream: bool,
    ) -> bool:  # fmt: skip
        rows = calculated(rows, self.given)
        if not continuing:
            used = rows.take(np.flatnonzero(self._labelled(values) & (weight > 0)))
            at = self.reader_.groups(used), used.arrays["distance"]
            self._at_rest = lie_at_rest(self.relaxed, self._targets.names or [], *at)
        return super()._train(rows, values, weight, validation, plan, continuing, stream)

    def _build(
        self, rows: Any, plan: TrainingPlan, n_members: int | None = None
    ) -> NeuralNet:
        z, shells = rows.arrays["z"], rows.arrays.get("shells")
        params = {
            "shells": shells_of(z, shells),
            "electrons": valence_electrons(z, shells),
            "elements": np.unique(z).tolist(),
            "seed": plan.seed,
            "finds_distance": self.given == "elements",
            "learns_force": self._at_rest,
            **self._network_parameters(),
            "n_members": n_members or self.n_members,
        }
        return build_net(TightBindingMembers, params, plan)

    def _prepare(self, net: NeuralNet, data: TrainingData) -> None:
        fit_elements(net.module_, data, resolve_device(self.device))

    def _calibrate_unseen(
        self, data: TrainingData, plan: TrainingPlan, device: torch.device
    ) -> tuple[ExtrapolationCalibration | None, bool]:
        # A net that stands alone learns from all rows that it is given.
        rows: Any = data.rows
        arrays = {**rows.arrays, "fold": np.full(len(rows), -1)}
        return super()._calibrate_unseen(
            TrainingData(replace(rows, arrays=arrays), data.blocks), plan, device
        )

    def _outputs(self, rows: Any, net: NeuralNet | None = None) -> Array:
        arrays = {name: array for name, array in rows.arrays.items() if name != "along"}
        outputs = super()._outputs(replace(rows, arrays=arrays, piece=CHUNK), net)
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs

    def _labels(self, data: TrainingData) -> Array:
        return data.blocks[0].values

    def _centre(self, outputs: Array) -> Array:
        # A single member that has a pair wrong has it very wrong, in its levels above all.
        centre = outputs.mean(axis=1)
        band = QUANTITIES.index("band")
        for name in ("homo", "lumo", "band"):
            at = QUANTITIES.index(name)
            centre[:, at] = np.median(outputs[..., at], axis=1)
        for name in ("total", "mermin"):
            at = QUANTITIES.index(name)
            centre[:, at] += centre[:, band] - outputs[..., band].mean(axis=1)
        return centre

    def _derived(self, outputs: Array) -> Array:
        state = {name: torch.as_tensor(outputs[..., k]) for k, name in enumerate(QUANTITIES)}
        targets = state_targets(state)
        return np.stack([targets[name].numpy() for name in self._targets.names or ()], axis=-1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # A table of numbers is no pair; scikit-learn's checks know nothing else.
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

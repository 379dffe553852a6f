"""Regression on molecules: references of the composition, forces, a calculator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from .._validation import check_weight
from ..inputs import InputSpec, MoleculeReader
from ..nn import EnergyForces
from ..nn.outputs import FORCES, OUTPUT
from ..structures import check_molecules, load_ase, looks_like_molecules
from ..training import (
    CompositionReference,
    ExtrapolationCalibration,
    GraphRows,
    Predictor,
    Rows,
    SpreadCalibration,
    TargetBlock,
    TargetScaler,
    TrainingData,
    TrainingPlan,
    count_elements,
    resolve_device,
)
from ._baseline import RidgeBaseline, Slopes, describer_of, has_forces
from ._forces import by_component, check_force_weight, energy_position, with_forces
from ._regressor import NetRegressor
from ._targets import TargetSpec

if TYPE_CHECKING:
    from ._calculator import QCanvasCalculator
    from ._graph import GraphFamily as _Family
else:
    _Family = object

__all__ = ["MoleculeRegressor"]

Array = NDArray[np.float64]

#: Weight of the forces where they are passed to ``fit`` and nothing is said of it.
_FORCE_WEIGHT = 10.0


@dataclass(eq=False, repr=False, kw_only=True)
class MoleculeRegressor(NetRegressor, _Family):
    """A regressor of a graph family, which on molecules knows energies and their slopes.

    What adds up over the atoms is learned as the difference from what the composition says;
    the forces are the negative gradient of the same network.
    """

    _kept: ClassVar[tuple[str, ...]] = ("baseline",)

    force_weight: float | None = None
    baseline: Any = None

    if TYPE_CHECKING:
        reference_: CompositionReference | None
        baseline_: RidgeBaseline | None
        force_calibration_: SpreadCalibration | None

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        forces: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> MoleculeRegressor:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n, p), or molecules
            Element pairs, the output of a `PairImageTransformer`, or a numeric table; or
            molecules: a `Molecules`, a list of ``ase.Atoms``, or of PyG ``Data``.
        y : array-like of shape (n,) or (n, t)
            Targets in the user's units; NaN, None, NA and masked values are missing labels.
        forces : array-like of shape (N, 3), or list of n arrays (n_i, 3), default=None
            Forces on the atoms of all molecules, in the unit of the energy per Å; NaN where
            they are missing. They are learned beside the energy, with `force_weight`. By
            default those that X carries are, where `force_weight` is a number above 0.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the rows, of which the ratios count; rows of weight 0
            are left out.
        X_val, y_val : array-like, default=None
            Validation rows of the same form, in place of a part of the training rows, and
            of their elements with ``unseen_elements="error"``. Columns with names are
            matched by name. Forces are those that `X_val` carries.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If a hyperparameter, X, y or the forces are not acceptable, or the training
            diverges; the message says why, and a fitted estimator is as it was before.
        KeyboardInterrupt
            Ctrl-C ends training early. The model is usable as it is then, and with
            ``verbose`` above 0 a warning takes the place of the error.
        """
        X = self._with_forces(X, forces)
        return super().fit(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)

    def partial_fit(
        self, X: Any, y: Any, *, forces: Any = None, sample_weight: Any = None
    ) -> MoleculeRegressor:
        """Train for one epoch at constant learning rate, from the present weights.

        The scaling of inputs and targets is that of the first call. Of an ensemble's rows
        a fixed part, by pairs or by the groups of molecules, is never learned from: it is
        collected over the calls to calibrate standard deviations, once it is as much as
        `fit` had, or 100 rows.

        Parameters
        ----------
        X : array-like of shape (n, p), or molecules
            As for :meth:`fit`.
        y : array-like of shape (n,) or (n, t)
            As for :meth:`fit`.
        forces : array-like, default=None
            As for :meth:`fit`.
        sample_weight : array-like of shape (n,), default=None
            As for :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        X = self._with_forces(X, forces)
        return super().partial_fit(X, y, sample_weight=sample_weight)

    def predict(  # type: ignore[override]
        self, X: Any, return_std: bool = False, return_forces: bool = False
    ) -> Any:
        """Predict the targets, and the forces on the atoms of molecules.

        Parameters
        ----------
        X : array-like of shape (n, p), or molecules
            Of the kind that the estimator was fitted on.
        return_std : bool, default=False
            Return standard deviations too; for ensembles (``n_members > 1``).
        return_forces : bool, default=False
            Return forces too; for molecules and a target that is an energy.

        Returns
        -------
        y_pred : ndarray of shape (n,) or (n, t), float64
            Predictions in the units of the training targets, shaped like y in ``fit``; of
            an ensemble the mean.
        y_std : ndarray of the same shape
            Standard deviations in the same units, if asked for: the spread of the members,
            scaled so that the 90 % intervals cover 90 % of the validation rows; where there
            are unseen elements (see :meth:`count_unseen_elements`) at least what elements
            that were left out of training on purpose were mispredicted by.
        forces : ndarray of shape (N, 3), float64
            If asked for: the negative gradient of the energy at the atoms of all rows, in
            its unit per Å.
        forces_std : ndarray of shape (N, 3), float64
            Standard deviations of the forces, if both are asked for: calibrated as those of
            the targets where forces were learned, and the spread of the members elsewhere.

        Raises
        ------
        ValueError
            If X is of another kind, or holds an element that was not among the training
            rows while ``unseen_elements="error"``; if standard deviations are asked of a
            single net; if forces are asked of a model of pairs, or of one without an energy
            that is a sum over atoms.

        Warns
        -----
        UserWarning
            If standard deviations of rows with unseen elements are asked for, and there is
            nothing to calibrate them with: they are those of the training labels then.
        """
        if not return_forces:
            return super().predict(X, return_std=return_std)
        check_is_fitted(self, "net_")
        self._energy_or_error()
        rows = self._known_rows(X, slopes=True)
        device = resolve_device(self.device, fallback=True)
        return self._summarised_both(Predictor(self.net_, device), rows, return_std)

    def _summarised_both(self, predictor: Predictor, rows: Rows, return_std: bool) -> Any:
        """Targets and forces, each with standard deviations behind it if asked for."""
        found = predictor(rows, (OUTPUT, FORCES))
        y = self._summarised(self._unscaled(found[OUTPUT], rows), rows, return_std)
        size = self.scaler_.scale[self._energy_or_error()]
        forces, forces_std = self._summarised_forces(found[FORCES], size)
        if self.baseline_ is not None:
            assert isinstance(rows, GraphRows)
            forces += self._forces_of_baseline(rows.force_features)
        return (*y, forces, forces_std) if return_std else (y, forces)

    def score_forces(
        self, X: Any, forces: ArrayLike | None = None, sample_weight: Any = None
    ) -> float:
        """Coefficient of determination of the forces, over all their components.

        Parameters
        ----------
        X : molecules
            As for :meth:`predict`.
        forces : array-like of shape (N, 3), or list of n arrays (n_i, 3), default=None
            True forces, by default those that X carries; NaN where they are missing.
        sample_weight : array-like of shape (n,), default=None
            Weights of the molecules.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there are no forces to compare with, or the model has none.
        """
        molecules = with_forces(check_molecules(X), forces)
        if molecules.forces is None:
            raise ValueError("X carries no forces; pass them as forces")
        predicted = self.predict(molecules, return_forces=True)[1]
        known = np.isfinite(molecules.forces)
        weight = check_weight(sample_weight, len(molecules))
        each = np.broadcast_to(weight[molecules.rows][:, None], known.shape)[known]
        return float(r2_score(molecules.forces[known], predicted[known], sample_weight=each))

    def as_calculator(self) -> QCanvasCalculator:
        """A calculator for ASE: energies and forces of any structure, in eV and eV/Å.

        Returns
        -------
        QCanvasCalculator
            An ``ase.calculators.calculator.Calculator`` with ``energy``, ``free_energy`` and
            ``forces``; of an ensemble also ``energy_std`` and ``forces_std`` in its results.

        Raises
        ------
        ImportError
            If ASE is not installed.
        ValueError
            If the model was not fitted on molecules, or on no energy.
        """
        check_is_fitted(self, "net_")
        load_ase()
        from ._calculator import QCanvasCalculator

        self._energy_or_error()
        return QCanvasCalculator(self)

    # ------------------------------------------------------------ what fit does

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_force_weight(self.force_weight)
        describer_of(self.baseline)

    def _input_spec(self) -> InputSpec:
        describe = describer_of(self.baseline, self._force_factor > 0)
        return replace(super()._input_spec(), describe=describe)

    def _with_forces(self, X: Any, forces: Any) -> Any:
        """Molecules with the forces that are to be learned; everything else as it is."""
        check_force_weight(self.force_weight)
        weight = self.force_weight
        if weight is None:
            weight = 0.0 if forces is None else _FORCE_WEIGHT
        self._force_factor = float(weight)
        if self.baseline is not None and not looks_like_molecules(X):
            raise ValueError(
                f"baseline={self.baseline!r} is for molecules: set baseline=None to learn "
                "pairs or tables"
            )
        describer_of(self.baseline, weight > 0)
        if not looks_like_molecules(X):
            if forces is not None or weight:
                raise ValueError(
                    f"forces and force_weight are for molecules, got {type(X).__name__}"
                )
            return X
        molecules = with_forces(check_molecules(X), forces)
        if weight and molecules.forces is None:
            raise ValueError(
                f"force_weight={self.force_weight!r}, but X carries no forces; pass them to "
                "fit as forces"
            )
        return molecules if weight else molecules.without_forces()

    def _read(self, X: Any, *, learn: bool = False, slopes: bool = False) -> Rows:
        if not slopes:
            return super()._read(X, learn=learn)
        assert isinstance(self.reader_, MoleculeReader)
        return self.reader_.read(self, X, slopes=True)

    def _around(
        self, module: type[nn.Module], params: dict[str, Any]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        position = self._energy_position()
        if position is None:
            return module, params
        around = {"network": module, "network_params": params, "energy": position}
        return EnergyForces, around

    def _adds_up(self) -> list[bool]:
        """Which targets are sums over the atoms of molecules."""
        return [kind == "sum" for kind in self._readouts(self._targets)]

    def _energy_position(self) -> int | None:
        """Which target the forces are the slope of; None where there is none."""
        if not self._on_molecules or not has_forces(getattr(self.reader_, "describer_", None)):
            return None
        return energy_position(self._readouts(self._targets), self._targets.names)

    def _energy_or_error(self) -> int:
        # Parameters may have changed since the fit; models of earlier versions know no more.
        known = "_energy_at" in vars(self)
        position = self._energy_at if known else self._energy_position()
        if position is None:
            kind = "molecules" if self._on_molecules else "pairs or a table"
            raise ValueError(
                f"this {type(self).__name__} was fitted on {kind}, targets "
                f"{self.target_names_}, baseline={self.baseline!r}: there is no energy, "
                "summed over the atoms of molecules, that forces are the slope of"
            )
        return position

    def _first_labels(self, rows: Rows, values: Array, weight: Array) -> None:
        super()._first_labels(rows, values, weight)
        self.reference_, self.baseline_ = None, None
        self._force_size: float | None = None
        self._energy_at = self._energy_position()
        if not isinstance(rows, GraphRows):
            return
        unknown = np.zeros(values.shape[1], dtype=np.int64)
        self._raw_spread = TargetScaler.fit(values, unknown).scale
        counts = count_elements(rows.z, rows.ptr)
        self.reference_ = CompositionReference.fit(*counts, values, weight, self._adds_up())
        if rows.features is not None:
            composition = self.reference_.predict(rows.z, rows.ptr)
            self.baseline_ = self._fit_baseline(rows, values, composition, weight)
            # A baseline that knows better leaves nothing to the composition.
            coefficients = self.reference_.coefficients * self.baseline_.behind
            self.reference_ = replace(self.reference_, coefficients=coefficients)
        if self._force_factor:
            position = self._energy_position()
            if position is None:
                raise ValueError(
                    "forces are the slope of an energy that is a sum over atoms; among the "
                    f"targets {self._targets.names} there is none, or more than one"
                )
            forces = self._forces_to_learn(rows)
            known = np.abs(forces[np.isfinite(forces).all(axis=1)])
            if not len(known):
                raise ValueError("force_weight is above 0, but no forces are known")
            self._force_size = max(float(known.mean()), float(np.finfo(np.float32).tiny))

    def _fit_baseline(
        self, rows: GraphRows, values: Array, composition: Array, weight: Array
    ) -> RidgeBaseline:
        """Ridge on the features of the rows, and on their slopes where forces are learned."""
        position, slopes = self._energy_position(), None
        if self._force_factor and position is not None:
            of_atoms = np.repeat(weight, np.diff(rows.ptr))
            slopes = Slopes(position, rows.force_features, rows.forces, of_atoms)
        return RidgeBaseline.fit(rows.features, values, composition, weight, slopes)

    def _forces_of_baseline(self, force_features: Array | None) -> Array:
        """What the baseline says of the forces, (N, 3), where there is one."""
        assert self.baseline_ is not None and force_features is not None
        return self.baseline_.forces(force_features, self._energy_or_error())

    def _forces_to_learn(self, rows: GraphRows) -> Array:
        """Forces on the atoms, less what the baseline says of them."""
        if self.baseline_ is None:
            return rows.forces
        if rows.force_features is None:
            raise ValueError(
                f"this model learned energies alone beside baseline={self.baseline!r}: fit it "
                "anew (warm_start=False) to learn forces, too"
            )
        return rows.forces - self._forces_of_baseline(rows.force_features)

    def _fit_scaler(self, values: Array, spec: TargetSpec) -> TargetScaler:
        if self.reference_ is None:
            return super()._fit_scaler(values, spec)
        # A constant beside a sum over atoms would not grow with their number.
        scaler = TargetScaler.fit(values, -np.array(self._adds_up(), dtype=np.int64))
        position = self._energy_position()
        if self._force_size is None or position is None:
            return scaler
        # One scale for both, since one is the slope of the other.
        scale = scaler.scale.copy()
        scale[position] = self._force_size
        return replace(scaler, scale=scale)

    def _known_terms(self, rows: Rows) -> Array | float:
        """What the composition and the baseline say of the targets, (n, t)."""
        if self.reference_ is None or not isinstance(rows, GraphRows):
            return 0.0
        terms = self.reference_.predict(rows.z, rows.ptr)
        if self.baseline_ is None:
            return terms
        return terms + self.baseline_.predict(rows.features)

    def _taught(self, rows: Rows, values: Array) -> Array:
        return super()._taught(rows, values) - self._known_terms(rows)

    def _unscaled(self, outputs: Array, rows: Rows) -> Array:
        values = super()._unscaled(outputs, rows)
        terms = self._known_terms(rows)
        if isinstance(terms, np.ndarray) and values.ndim == 3:
            terms = terms[:, None]
        return values + terms

    def _labels(self, data: TrainingData) -> Array:
        return super()._labels(data) + self._known_terms(data.rows)

    def _label_spread(self) -> Array:
        # Of a composition with an element that was never seen the reference knows nothing.
        return super()._label_spread() if self.reference_ is None else self._raw_spread

    def _training_data(self, rows: Rows, values: Array, weight: Array) -> TrainingData:
        data = super()._training_data(rows, values, weight)
        if not (isinstance(rows, GraphRows) and rows.forces is not None and self._force_factor):
            return data
        scaled = self._forces_to_learn(rows) / self.scaler_.scale[self._energy_or_error()]
        of_atom = np.repeat(data.blocks[0].weight, np.diff(rows.ptr))
        block = TargetBlock(scaled, of_atom, FORCES, "atom", self._force_factor)
        # What only the baseline needs is large.
        return TrainingData(replace(rows, force_features=None), [*data.blocks, block])

    def _validation_data(self, X: Any, y: Any, learn: bool = False) -> TrainingData:
        # Forces count among what is compared, too, where they are learned.
        return super()._validation_data(X, y, learn=learn or self._on_molecules)

    def _calibrate(self, net: NeuralNet, valid: TrainingData) -> SpreadCalibration | None:
        calibration = super()._calibrate(net, valid)
        self.force_calibration_ = None
        blocks = [block for block in valid.blocks if block.name == FORCES]
        if calibration is not None and blocks and len(valid):
            device = resolve_device(self.device, fallback=True)
            spread = by_component(Predictor(net, device)(valid.rows, (FORCES,))[FORCES])
            known = blocks[0].values.reshape(-1, 1)
            self.force_calibration_ = SpreadCalibration.fit(spread, spread.mean(axis=1), known)
        return calibration

    def _summarised_forces(self, forces: Array, size: float) -> tuple[Array, Array]:
        """Forces (N, 3) in the user's units, and their standard deviations."""
        if forces.ndim == 2:
            return forces * size, np.full(forces.shape, np.nan)
        spread = by_component(forces)
        if self.force_calibration_ is None:
            std = spread.std(axis=1, ddof=1)
        else:
            std = self.force_calibration_.std(spread)
        return forces.mean(axis=1) * size, std.reshape(-1, 3) * size

    def _calibrate_unseen(
        self, data: TrainingData, plan: TrainingPlan, device: torch.device
    ) -> tuple[ExtrapolationCalibration | None, bool]:
        if self._on_molecules and (self.baseline is not None or any(self._adds_up())):
            return None, False  # what is known beforehand has seen all elements
        return super()._calibrate_unseen(data, plan, device)

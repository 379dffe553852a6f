"""`HamiltonianRegressor`: molecules in, their Hamiltonians out."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from .._validation import check_choice, check_weight
from ..hamiltonians import Basis, Hamiltonians, TwoCentreTables, metrics
from ..hamiltonians._template import filled
from ..inputs import REFERENCES, HamiltonianReader, InputSpec, Structures
from ..nn import HamiltonianGotenNet, HamiltonianNetwork, HamiltonianPaiNN
from ..nn.outputs import OFF_SITE, ON_SITE
from ..structures import check_molecules
from ..targets import EV_PER
from ..training import (
    GraphRows,
    Predictor,
    Rows,
    TargetBlock,
    TargetScaler,
    TrainingData,
    resolve_device,
)
from ._block_calibration import BlockCalibration
from ._block_sizes import block_sizes
from ._checks import check_network_parameters
from ._hamiltonian_checks import check_shells, converged, matched, not_periodic, packed_overlaps
from ._overlap_terms import OverlapTerms
from ._pretrained import SavesEncoder, Trained, hamiltonian_encoder
from ._targets import TargetSpec

__all__ = ["HamiltonianRegressor"]

Array = NDArray[np.float64]

_BACKBONES: dict[str, type[HamiltonianNetwork]] = {
    "gotennet": HamiltonianGotenNet, "painn": HamiltonianPaiNN,
}  # fmt: skip


@dataclass(eq=False, repr=False)
class HamiltonianRegressor(RegressorMixin, SavesEncoder):
    r"""Equivariant network of Hamiltonians, on top of what two-centre physics knows.

    A Hamiltonian is learned as the difference from one that pairs of elements make
    (`reference`), after levels of the elements' shells, and multiples of the overlaps between
    any two of them, have been fitted by least squares. An equivariant network (`backbone`)
    passes messages between the atoms; blocks of each atom and of each pair of atoms are made
    of its scalars and steerable features. They turn with the molecule exactly, and are
    mirrored with it; the matrices are symmetric, and do not know in which order the atoms
    come.

    Overlaps are computed from tables, or required; never learned.

    Parameters
    ----------
    reference : str or None, default="two-centre-scc"
        What is known before anything is learned:

        - "two-centre-scc": Hamiltonians of the tables, whose charges are self-consistent; the
          network sees the electrons of each shell and the bond orders, too;
        - "two-centre": H0 of the tables, and the electrons and bond orders that it makes;
        - "minao": Hamiltonians of the densities of superposed atoms, by PySCF, which are
          kept on disk; the network sees the electrons and bond orders that they make;
        - "overlap": levels of the elements, and multiples of the overlaps;
        - None: levels of the elements.
    tables : str, path-like or TwoCentreTables, default="gfn2-xtb"
        Shipped tables (H, C, N, O, F, Ti), a file, or tables of other elements, see
        :meth:`~qcanvas_sklearn.hamiltonians.TwoCentreTables.from_engine`. The references
        "two-centre-scc" and "two-centre" need tables in the basis of the labels.
    n_hidden : int, default=64
        Features of an atom and of an edge, and channels of each degree.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Attention heads of GotenNet; must divide `n_hidden`.
    n_degrees : int, default=2
        Highest degree of the features that turn with the molecule, 1 to 6; at least that of
        the shells.
    n_radial : int, default=32
        Gaussians in which a distance is expanded.
    n_channels : int, default=16
        Tensors of each degree of which blocks are made.
    cutoff : float, default=5.0
        Distance at which messages end, Å.
    pair_cutoff : float, default=10.0
        Distance at which what is learned of pairs ends, Å; beyond it is the reference.
    method : str or None, default=None
        Functional and basis of the labels, such as "PBE/def2-SVP", as
        :func:`~qcanvas_sklearn.hamiltonians.compute_hamiltonians` takes them. The reference
        "minao" needs it, and overlaps that are not passed are computed of it.
    backbone : {"gotennet", "painn"}, default="gotennet"
        What passes messages between the atoms: GotenNet [1]_, whose features of all degrees
        attend to each other, or the plainer and faster PaiNN [2]_, of scalars and vectors,
        products of which make the higher degrees.
    max_epochs : int, default=100
        Passes over the training rows.
    batch_size : int, default=8
        Molecules a gradient step.
    lr : float, default=0.003
        Learning rate of AdamW; the peak of the schedule.
    lr_schedule : {"one_cycle", "constant"}, default="one_cycle"
        How the learning rate runs over `max_epochs`.
    weight_decay : float, default=0.01
        Decoupled weight decay of AdamW.
    loss : str, default="l1_mse"
        "l1_mse" (the sum of the next two), "absolute_error", "squared_error", "huber" or
        "smooth_l1" of the elements of the blocks, in units of their root mean square over
        the training rows. The means over on-site and off-site blocks are added.
    n_members : int, default=1
        Members of a deep ensemble, which train together. Predictions are their mean and, with
        ``return_std=True``, calibrated standard deviations, for which `validation_fraction`
        of the rows is set aside unless `X_val` is passed.
    early_stopping : bool, default=False
        Stop when the loss on validation rows has not improved for `n_iter_no_change` epochs,
        and restore the weights of the best epoch.
    validation_fraction : float, default=0.1
        Part of the training rows that is set aside for early stopping and calibration,
        unless `X_val` is passed to ``fit``: by the groups of the molecules, and where all are
        of one group, by row. An element that occurs in one group only is learned from.
    n_iter_no_change : int, default=20
        Epochs without improvement before stopping.
    unseen_elements : {"error", "allow"}, default="error"
        What ``predict`` does with an element of the basis that was not among the training
        molecules: refuse it by name, or extrapolate with an embedding that was never trained.
    device : str, default="auto"
        Device to train and predict on, as torch names it; "auto" is CUDA where present.
        Training is in single precision, prediction on the CPU and on CUDA in double precision.
    random_state : int, RandomState instance or None, default=None
        Fixes initial weights, batches and validation rows; on the CPU to the last bit.
        Global random states are never touched.
    verbose : int, default=0
        1 shows a progress bar, 2 a line for every epoch. With either, Ctrl-C ends the training
        with a warning in place of the error; the model is usable as it is then.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit`` in place of new ones. Another
        architecture or reference is refused.
    callbacks : list of skorch callbacks or None, default=None
        Further callbacks; they are copied before use.

    Attributes
    ----------
    basis_ : Basis
        Shells of the elements, as in the labels.
    unit_ : str
        Unit of the labels, and of predictions.
    terms_ : OverlapTerms
        Levels, and multiples of overlaps, that were fitted.
    sizes_ : dict of str to float
        Root mean square (eV) of what is left to the network ``"on_site"`` and ``"off_site"``.
    calibration_ : BlockCalibration or None
        What makes standard deviations of an ensemble's spread; None for a single net.
    net_ : skorch.NeuralNet
        The trained net, on the CPU.
    reader_ : HamiltonianReader
        What turns molecules into rows of the network, and makes references.
    history_ : DataFrame
        One row an epoch: ``epoch, train_loss, valid_loss, lr, seconds``.
    n_iter_ : int
        Number of epochs trained, those before a continued fit included.
    n_parameters_ : int
        Number of weights.
    elements_ : list of str
        Elements of the training rows.
    provenance_ : dict
        Package versions, elements, number of training rows.

    See Also
    --------
    qcanvas_sklearn.hamiltonians.metrics : What a prediction is worth.
    TwoCentreTransformer : Levels and charges of the reference as features, for any regressor.

    Notes
    -----
    A block between shells of degrees :math:`l_1` and :math:`l_2` is

    .. math::
        a\, \delta_{l_1 l_2} \mathbf{1} + \sum_{lc} w_{lc}\, G^{(l)} T_c^{(l)}
            + \sum_c w_c'\, U_c^{(l_1)} \otimes V_c^{(l_2)}

    with coefficients made of scalars, tensors T, U, V out of the harmonics of the bond and
    the steerable features of its atoms (of one atom, on-site), and integrals G of three
    harmonics, :math:`l + l_1 + l_2` even. What the network adds to the on-site blocks,
    :math:`\Delta`, also adds :math:`(\Delta_a S_{ab} + S_{ab} \Delta_b) / 2` to the
    off-site blocks, unless `reference` is None.

    References
    ----------
    .. [1] S. Aykent, T. Xia, GotenNet: Rethinking Efficient 3D Equivariant Graph Neural
       Networks, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.
    .. [2] K. T. Schütt, O. T. Unke, M. Gastegger, Equivariant message passing for the
       prediction of tensorial properties and molecular spectra, ICML 2021, arXiv:2102.03150.

    Examples
    --------
    >>> from qcanvas_sklearn import HamiltonianRegressor, load_molecules
    >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables, metrics
    >>> X = load_molecules().data[:12]
    >>> y = TwoCentreTables.load().self_consistent(X)
    >>> model = HamiltonianRegressor("two-centre", n_hidden=16, max_epochs=2, random_state=0)
    >>> predicted = model.fit(X[:10], y[:10]).predict(X[10:])
    >>> predicted.gap().shape, metrics.matrix_mae(y[10:], predicted) < 0.1
    ((2,), True)
    """

    _spec: ClassVar[InputSpec] = InputSpec(("z", "positions"))
    _losses: ClassVar[tuple[str, ...]] = (
        "l1_mse", "absolute_error", "squared_error", "huber", "smooth_l1",
    )  # fmt: skip
    _calibrates: ClassVar[bool] = True
    _kept: ClassVar[tuple[str, ...]] = ("reference", "tables", "method", "backbone")

    reference: str | None = "two-centre-scc"
    tables: str | os.PathLike[str] | TwoCentreTables = "gfn2-xtb"
    n_hidden: int = 64
    n_layers: int = 2
    n_heads: int = 4
    n_degrees: int = 2
    n_radial: int = 32
    n_channels: int = 16
    cutoff: float = 5.0
    pair_cutoff: float = 10.0
    method: str | None = None
    backbone: str = "gotennet"
    _: KW_ONLY
    max_epochs: int = 100
    batch_size: int = 8
    lr: float = 3e-3
    loss: str = "l1_mse"
    # Of pairs; molecules have no order that could be exchanged.
    parity: Any = field(default="auto", init=False)

    if TYPE_CHECKING:
        reader_: HamiltonianReader
        basis_: Basis
        unit_: str
        terms_: OverlapTerms
        calibration_: BlockCalibration

    def fit(
        self, X: Any, y: Any, *, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> HamiltonianRegressor:
        """Learn Hamiltonians of molecules.

        Parameters
        ----------
        X : Molecules, list of ase.Atoms, or PyG data
            The structures, none of them periodic.
        y : Hamiltonians
            Their Hamiltonians, a row a structure, of the same atoms in the same order. With
            overlaps where the tables do not have those of the basis, and `reference` is not
            None. Rows that are not ``y.converged`` are left out.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the rows, of which the ratios count; rows of weight 0
            are left out.
        X_val, y_val : molecules and Hamiltonians, default=None
            Validation rows, in place of a part of the training rows, and of their elements
            with ``unseen_elements="error"``.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        TypeError
            If X are no molecules, or y no Hamiltonians.
        ValueError
            If a hyperparameter is not acceptable, X and y are of other structures, a structure
            is periodic, the tables lack an element or have another basis, overlaps are
            missing, or the training diverges; the message says why, and a fitted estimator is
            as it was before.
        KeyboardInterrupt
            Ctrl-C ends training early. The model is usable as it is then, and with
            ``verbose`` above 0 a warning takes the place of the error.
        """
        X = matched(X, y, "y")
        if y_val is not None and X_val is not None:
            X_val, y_val = converged(matched(X_val, y_val, "y_val"))
        super().fit(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        return self

    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> HamiltonianRegressor:
        """Train for one epoch at constant learning rate, from the present weights.

        Levels, multiples of overlaps, and the scaling are those of the first call.

        Parameters
        ----------
        X : Molecules, list of ase.Atoms, or PyG data
            As for :meth:`fit`.
        y : Hamiltonians
            As for :meth:`fit`.
        sample_weight : array-like of shape (n,), default=None
            As for :meth:`fit`.

        Returns
        -------
        self : object
            The fitted estimator.
        """
        super().partial_fit(matched(X, y, "y"), y, sample_weight=sample_weight)
        return self

    def predict(self, X: Any, return_std: bool = False, overlaps: Any = None) -> Any:
        """Predict Hamiltonians.

        Parameters
        ----------
        X : Molecules, list of ase.Atoms, or PyG data
            The structures, none of them periodic.
        return_std : bool, default=False
            Return standard deviations too; for ensembles (``n_members > 1``).
        overlaps : Hamiltonians, or sequence of array-like of shape (n_i, n_i), default=None
            Overlaps of their orbitals in canonical order, or a record that has them. By
            default those of the tables, where these have the overlaps of the labels.

        Returns
        -------
        hamiltonians : Hamiltonians
            In the unit of the labels; with the overlaps that were computed or passed, and
            without any only where `reference` is None.
        std : ndarray
            If asked for, for each of ``hamiltonians.values`` the standard deviation: of the
            members, in the root mean square over the block of the two shells, which does not
            change where the molecule turns; calibrated on rows that were set aside. It is 0
            of atoms that are too far from each other for anything to be learned of them.

        Raises
        ------
        ValueError
            If a structure is periodic, an element was not among the training molecules while
            ``unseen_elements="error"``, the overlaps are missing, or none of these orbitals;
            if standard deviations are asked of a single net.
        """
        check_is_fitted(self, "net_")
        n_members = self._built_with["n_members"]
        if return_std and n_members == 1:
            raise ValueError(
                "return_std=True needs an ensemble; this HamiltonianRegressor was fitted with "
                "n_members=1"
            )
        molecules = not_periodic(check_molecules(X))
        packed = packed_overlaps(molecules, overlaps, self.basis_)
        rows = self._known_rows(Structures(molecules, packed))
        assert isinstance(rows, GraphRows)
        device = resolve_device(self.device, fallback=True)
        found = Predictor(self.net_, device)(rows, (ON_SITE, OFF_SITE))
        known: Hamiltonians = rows.features
        values = known.values + self.terms_.predict(known, self.reader_.pairs(rows))
        spread = np.zeros_like(values)
        for name, index in self._places(rows):
            there = index >= 0
            of_members = (len(index), n_members, *index.shape[1:])
            blocks = found[name].reshape(of_members) * self.sizes_[name]
            # On-site, two equal elements go to one place: they are not added up.
            values[index[there]] += blocks.mean(axis=1)[there]
            if return_std:
                std = self.calibration_.std(name, found[name].reshape(of_members), there)
                spread[index[there]] = std[there] * self.sizes_[name]
        record = known.with_values(values, provenance=self._provenance()).in_unit(self.unit_)
        return (record, spread * EV_PER["eV"] / EV_PER[self.unit_]) if return_std else record

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Negative mean absolute error of the elements of the matrices.

        Parameters
        ----------
        X : Molecules, list of ase.Atoms, or PyG data
            As for :meth:`predict`.
        y : Hamiltonians
            True Hamiltonians; their overlaps, where they have any, are those of the
            prediction. Rows that are not ``y.converged`` are left out.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
            In eV, at most 0; see :func:`~qcanvas_sklearn.hamiltonians.metrics.matrix_mae`.
        """
        X = matched(X, y, "y")
        found = self.predict(X.molecules, overlaps=None if y.overlap_values is None else y)
        check_shells(y, found.basis)
        weight = check_weight(sample_weight, len(y)) * y.converged
        predicted = y.with_values(found.in_unit(y.unit).values)
        y, predicted, weight = (rows[weight > 0] for rows in (y, predicted, weight))
        if (weight == weight[:1]).all():
            return -metrics.matrix_mae(y, predicted)
        errors = [metrics.matrix_mae(y[i], predicted[i]) for i in range(len(y))]
        return -float(np.average(errors, weights=weight * y.n_orbitals**2))

    # ------------------------------------------------------------ what fit does

    def _check_parameters(self) -> None:
        check_choice("backbone", self.backbone, tuple(_BACKBONES))
        super()._check_parameters()
        if self.reference is not None:
            check_choice("reference", self.reference, REFERENCES[:-1])
        if self.reference == "minao" and self.method is None:
            raise ValueError("reference='minao' needs the method, such as 'PBE/def2-SVP'")
        check_network_parameters({"cutoff": self.pair_cutoff})

    def _network_class(self) -> type[nn.Module]:
        return _BACKBONES[self.backbone]

    def _input_spec(self) -> InputSpec:
        return replace(self._spec, cutoff=max(self.cutoff, self.pair_cutoff))

    def _first_read(self, X: Structures) -> Rows:
        given = self.tables
        tables = given if isinstance(given, TwoCentreTables) else TwoCentreTables.load(given)
        assert X.labels is not None  # of every fit
        spec, reference = self._input_spec(), self.reference
        self.reader_ = HamiltonianReader(spec, X.labels, reference, tables, self.method)
        self.basis_, self.unit_ = X.labels.basis, X.labels.unit
        return self.reader_.fit(self, X)

    def _first_targets(
        self, y: Hamiltonians, classes: Any
    ) -> tuple[TargetSpec, Any, list[int]]:
        spec = TargetSpec(None, 1, True, np.zeros(1, dtype=np.int64))
        return spec, y.in_unit("eV"), [0]

    def _further_targets(self, y: Hamiltonians, spec: TargetSpec, name: str) -> Any:
        check_shells(y, self.basis_)
        return y.in_unit("eV")

    def _labelled(self, values: Any) -> NDArray[np.bool_]:
        return np.asarray(values.converged)

    def _first_labels(self, rows: Any, values: Any, weight: Array) -> None:
        """Levels and factors of overlaps, and the size of what they leave to the network."""
        template, pairs = self.reader_.template_, self.reader_.pairs(rows)
        known: Hamiltonians = rows.features
        rest = known.with_values(values.values - known.values)
        self.terms_ = OverlapTerms.fit(template, rest, pairs, self.reference is not None)
        left = self._taught(rows, values).values
        self.sizes_, self.relative_sizes_ = block_sizes(template, left, self._places(rows))

    def _taught(self, rows: Any, values: Any) -> Any:
        known: Hamiltonians = rows.features
        terms = self.terms_.predict(known, self.reader_.pairs(rows))
        return known.with_values(values.values - known.values - terms)

    def _places(self, rows: GraphRows) -> list[tuple[str, NDArray[np.int64]]]:
        """Where the blocks of each kind lie in packed arrays."""
        template, molecules = self.reader_.template_, rows.features.molecules
        atoms = np.arange(len(rows.z))
        return [
            (ON_SITE, template.index(molecules, atoms, atoms)),
            (OFF_SITE, template.index(molecules, *self.reader_.pairs(rows))),
        ]

    def _fit_scaler(self, values: Any, spec: TargetSpec) -> TargetScaler:
        return TargetScaler.identity(1)  # blocks have sizes of their own

    def _training_data(self, rows: Any, values: Any, weight: Array) -> TrainingData:
        blocks = []
        counts = {ON_SITE: np.diff(rows.ptr), OFF_SITE: np.diff(rows.edge_ptr)}
        levels: dict[str, Literal["atom", "pair"]] = {ON_SITE: "atom", OFF_SITE: "pair"}
        for name, index in self._places(rows):
            scaled = filled(values.values, index, np.nan) / self.sizes_[name]
            each = np.repeat(weight, counts[name])
            flat = scaled.reshape(len(index), self.reader_.template_.size**2)
            blocks.append(TargetBlock(flat, each, name, levels[name]))
        # No network sees the records of the reference.
        return TrainingData(replace(self.reader_.scaled(rows), features=None), blocks)

    def _settled_parameters(self) -> dict[str, Any]:
        return super()._settled_parameters() | {
            "on_scale": self.relative_sizes_[ON_SITE].tolist(),
            "off_scale": self.relative_sizes_[OFF_SITE].tolist(),
            "per_on": self.sizes_[ON_SITE] / self.sizes_[OFF_SITE],
        }

    def _calibrate(self, net: NeuralNet, valid: TrainingData) -> BlockCalibration | None:
        if self.n_members == 1:
            return None
        predictor = Predictor(net, resolve_device(self.device, fallback=True))
        return BlockCalibration.fit(self.reader_.template_, predictor, self.n_members, valid)

    def _provenance(self) -> str:
        return f"HamiltonianRegressor on {self.provenance_['n_training_rows']} molecules"

    def _trained_encoder(self) -> Trained:
        return hamiltonian_encoder(self.net_.module_)

    def _target_units(self) -> dict[str, str]:
        return {"hamiltonian": self.unit_}

"""`HamiltonianRegressor`: molecules in, their Hamiltonians out."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from .._validation import check_choice, check_n_rows, check_weight
from ..elements import symbols
from ..hamiltonians import Basis, Hamiltonians, TwoCentreTables, metrics
from ..hamiltonians._template import filled
from ..inputs import REFERENCES, HamiltonianReader, InputSpec, Structures
from ..nn import HamiltonianGotenNet
from ..nn.outputs import OFF_SITE, ON_SITE
from ..structures import Molecules, check_molecules
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
from ._base import NetEstimator
from ._checks import check_network_parameters
from ._overlap_terms import OverlapTerms
from ._targets import TargetSpec

__all__ = ["HamiltonianRegressor"]

Array = NDArray[np.float64]

#: Distance (Å) to which atoms of X and of y may differ, and size below which nothing is left.
_SAME_PLACE = 1e-4
_LEAST = 1e-6
#: Size, beside that of all blocks, that the network gives to any.
_SMALLEST = 1e-2


@dataclass(eq=False, repr=False)
class HamiltonianRegressor(RegressorMixin, NetEstimator):
    """TODO"""

    _network: ClassVar[type[nn.Module]] = HamiltonianGotenNet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "positions"))
    _losses: ClassVar[tuple[str, ...]] = (
        "l1_mse", "absolute_error", "squared_error", "huber", "smooth_l1",
    )  # fmt: skip
    _kept: ClassVar[tuple[str, ...]] = ("reference", "tables")

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
    _: KW_ONLY
    max_epochs: int = 100
    batch_size: int = 16
    lr: float = 3e-3
    loss: str = "l1_mse"
    # Of pairs; molecules have no order that could be exchanged.
    parity: Any = field(default="auto", init=False)

    if TYPE_CHECKING:
        reader_: HamiltonianReader
        basis_: Basis
        unit_: str
        terms_: OverlapTerms

    def fit(
        self, X: Any, y: Any, *, sample_weight: Any = None, X_val: Any = None, y_val: Any = None
    ) -> HamiltonianRegressor:
        """Learn Hamiltonians of molecules."""
        X = _matched(X, y, "y")
        if y_val is not None and X_val is not None:
            X_val = _matched(X_val, y_val, "y_val")
        super().fit(X, y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
        return self

    def partial_fit(self, X: Any, y: Any, *, sample_weight: Any = None) -> HamiltonianRegressor:
        """Train for one epoch."""
        super().partial_fit(_matched(X, y, "y"), y, sample_weight=sample_weight)
        return self

    def predict(self, X: Any, return_std: bool = False, overlaps: Any = None) -> Any:
        """Predict Hamiltonians."""
        check_is_fitted(self, "net_")
        if return_std and self.n_members == 1:
            raise ValueError(
                "return_std=True needs an ensemble; this HamiltonianRegressor was fitted with "
                "n_members=1"
            )
        molecules = _not_periodic(check_molecules(X))
        rows = self._known_rows(Structures(molecules, self._packed(molecules, overlaps)))
        assert isinstance(rows, GraphRows)
        device = resolve_device(self.device, fallback=True)
        found = Predictor(self.net_, device)(rows, (ON_SITE, OFF_SITE))
        known: Hamiltonians = rows.features
        values = known.values + self.terms_.predict(known, self.reader_.pairs(rows))
        spread = np.zeros_like(values)
        for name, index in self._places(rows):
            there = index >= 0
            of_members = (len(index), self._built_with["n_members"], *index.shape[1:])
            blocks = found[name].reshape(of_members) * self.sizes_[name]
            values[index[there]] += blocks.mean(axis=1)[there]
            if return_std:
                spread[index[there]] = self._spread(blocks, there)[there]
        record = known.with_values(values, provenance=self._provenance()).in_unit(self.unit_)
        return (record, spread * EV_PER["eV"] / EV_PER[self.unit_]) if return_std else record

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Negative score."""
        X = _matched(X, y, "y")
        found = self.predict(X.molecules, overlaps=None if y.overlap_values is None else y)
        _check_shells(y, found.basis)
        predicted = y.with_values(found.in_unit(y.unit).values)
        weight = check_weight(sample_weight, len(y))
        if (weight == weight[0]).all():
            return -metrics.matrix_mae(y, predicted)
        errors = [metrics.matrix_mae(y[i], predicted[i]) for i in range(len(y))]
        return -float(np.average(errors, weights=weight * y.n_orbitals**2))

    # ------------------------------------------------------------ what fit does

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.reference is not None:
            check_choice("reference", self.reference, REFERENCES[:-1])
        check_network_parameters({"cutoff": self.pair_cutoff})

    def _input_spec(self) -> InputSpec:
        return replace(self._spec, cutoff=max(self.cutoff, self.pair_cutoff))

    def _first_read(self, X: Structures) -> Rows:
        given = self.tables
        tables = given if isinstance(given, TwoCentreTables) else TwoCentreTables.load(given)
        assert X.labels is not None  # of every fit
        self.reader_ = HamiltonianReader(self._input_spec(), X.labels, self.reference, tables)
        self.basis_, self.unit_ = X.labels.basis, X.labels.unit
        return self.reader_.fit(self, X)

    def _first_targets(
        self, y: Hamiltonians, classes: Any
    ) -> tuple[TargetSpec, Any, list[int]]:
        spec = TargetSpec(None, 1, True, np.zeros(1, dtype=np.int64))
        return spec, y.in_unit("eV"), [0]

    def _further_targets(self, y: Hamiltonians, spec: TargetSpec, name: str) -> Any:
        _check_shells(y, self.basis_)
        return y.in_unit("eV")

    def _labelled(self, values: Any) -> NDArray[np.bool_]:
        return np.ones(len(values), dtype=bool)

    def _first_labels(self, rows: Any, values: Any, weight: Array) -> None:
        """Levels and factors of overlaps, and the size of what they leave to the network."""
        template, pairs = self.reader_.template_, self.reader_.pairs(rows)
        known: Hamiltonians = rows.features
        rest = known.with_values(values.values - known.values)
        self.terms_ = OverlapTerms.fit(template, rest, pairs, self.reference is not None)
        left = self._taught(rows, values)
        self.sizes_: dict[str, float] = {}
        self.relative_sizes_: dict[str, Array] = {}
        for name, index in self._places(rows):
            squares = template.sums(filled(left.values, index, 0.0) ** 2).sum(axis=0)
            counts = template.sums((index >= 0).astype(np.float64)).sum(axis=0)
            squares, counts = squares + squares.T, counts + counts.T
            size = np.sqrt(squares.sum() / max(counts.sum(), 1.0))
            self.sizes_[name] = max(float(size), _LEAST)
            each = np.sqrt(squares / np.maximum(counts, 1.0)) / self.sizes_[name]
            self.relative_sizes_[name] = np.clip(each, _SMALLEST, None)

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
        return TrainingData(self.reader_.scaled(rows), blocks)

    def _settled_parameters(self) -> dict[str, Any]:
        return super()._settled_parameters() | {
            "on_scale": self.relative_sizes_[ON_SITE].tolist(),
            "off_scale": self.relative_sizes_[OFF_SITE].tolist(),
            "per_on": self.sizes_[ON_SITE] / self.sizes_[OFF_SITE],
        }

    # -------------------------------------------------------- what predict does

    def _packed(self, molecules: Molecules, overlaps: Any) -> Array | None:
        """Overlaps that a user passes, as the records hold them."""
        if overlaps is None:
            return None
        if isinstance(overlaps, Hamiltonians):
            _check_matched(molecules, overlaps, "overlaps")
            _check_shells(overlaps, self.basis_)
            return overlaps.overlap_values
        check_n_rows(overlaps, len(molecules), input_name="overlaps")
        made = Hamiltonians.from_matrices(
            molecules, overlaps, overlaps, basis=self.basis_, convention="qcanvas",
            n_electrons=np.zeros(len(molecules)),
        )  # fmt: skip
        return made.values

    def _spread(self, blocks: Array, there: NDArray[np.bool_]) -> Array:
        """Spread of the members' blocks (k, m, o, o): one number for each two shells."""
        template = self.reader_.template_
        variance = template.sums(blocks.var(axis=1, ddof=1) * there)
        counts = np.maximum(template.sums(there.astype(np.float64)), 1.0)
        return template.spread(np.sqrt(variance / counts))

    def _provenance(self) -> str:
        return f"HamiltonianRegressor, {len(self.elements_)} elements, {self.n_iter_} epochs"


def _matched(X: Any, y: Any, name: str) -> Structures:
    """Molecules with the overlaps of their Hamiltonians, if these are theirs."""
    if y is None:
        raise ValueError(
            "HamiltonianRegressor requires y to be passed, but the target y is None"
        )
    if not isinstance(y, Hamiltonians):
        raise TypeError(
            f"{name} must be Hamiltonians (Hamiltonians.from_matrices makes a record of "
            f"matrices), got {type(y).__name__}"
        )
    molecules = _not_periodic(check_molecules(X))
    _check_matched(molecules, y, name)
    return Structures(molecules, y.overlap_values, y)


def _not_periodic(molecules: Molecules) -> Molecules:
    if molecules.pbc is not None and molecules.pbc.any():
        row = int(np.argmax(molecules.pbc.any(axis=1)))
        raise ValueError(
            f"structure {row} ({str(molecules.names[row])!r}) is periodic; Hamiltonians are "
            "those of molecules"
        )
    return molecules


def _check_matched(molecules: Molecules, record: Hamiltonians, name: str) -> None:
    """Raise a ValueError unless a record is of these molecules, row by row."""
    check_n_rows(record, len(molecules), input_name=name)
    own = record.molecules
    for row in range(len(molecules)):
        here, there = (slice(*m.ptr[row : row + 2]) for m in (molecules, own))
        same = np.array_equal(molecules.z[here], own.z[there])
        if same:
            gap = np.abs(molecules.positions[here] - own.positions[there]).max(initial=0.0)
            same = bool(gap < _SAME_PLACE)
        if not same or molecules.charge[row] != own.charge[row]:
            raise ValueError(
                f"row {row} of X ({str(molecules.names[row])!r}) is another structure than "
                f"that of {name} ({str(own.names[row])!r}): elements, positions and charges "
                "must agree, atom by atom"
            )


def _check_shells(record: Hamiltonians, basis: Basis) -> None:
    """Raise a ValueError that names the element whose shells are not those of the fit."""
    for symbol in symbols(record.molecules.elements).tolist():
        if symbol in basis and record.basis[symbol] != basis[symbol]:
            raise ValueError(
                f"{symbol} has the shells {record.basis[symbol]}, and {basis[symbol]} in the "
                "Hamiltonians that were learned from"
            )

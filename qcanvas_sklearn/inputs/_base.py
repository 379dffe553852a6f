"""What a reader is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from ..elements import MAX_Z
from ..images import PairLayout
from ..training import DenseRows, Pictures, Rows, Scaling, feature_scaling, picture_scaling
from ._elements import standard_descriptors

__all__ = ["DenseReader", "InputSpec", "Reader"]

#: Inputs that are standardised, and the axis of their features.
_SCALED = {"atom": -1, "pair": -1, "image": 1}


@dataclass(frozen=True)
class InputSpec:
    """What a network takes.

    Attributes
    ----------
    names : tuple of str
        Inputs, out of ``z`` (n, 2), ``atom`` (n, 2, k), ``pair`` (n, k), ``vector`` (n, 3)
        and ``image`` (n, C, S, S). Without ``image`` the mean of each channel is among the
        pair scalars. In units of their own: ``distance`` (n,) in Å, ``shells`` (n, 2, 4) and
        ``along`` (n, 2, 3), electrons of the shells and of their orbitals along the bond;
        ``others`` (n, k), what a table holds beside the columns of a pair.
    blocks : tuple of str
        Blocks of columns that element pairs are turned into; pixels only for a network that
        looks at them.
    relative_populations : bool
        Take populations less those of the free atom, as DFTB's parameters have it. A source
        with other valence electrons (of zinc, cadmium and lanthanides in xTB) has the same
        number of an element added everywhere, which tells no two of its rows apart.
    descriptors : bool
        Whether the network's constructor takes tabulated descriptors of the elements.
    known : tuple of str or None
        Inputs that predictions start from, where the others are labels of the training
        rows; None for all.
    needs_atoms : bool
        Whether a table that holds no pairs is refused.
    cutoff : float or None
        Distance up to which atoms of a molecule are neighbours, Å; None where molecules are
        refused.
    describe : transformer or None
        What makes features of molecules for a baseline.
    scaling : mapping of str to Scaling, or None
        How inputs are standardised; None to measure it on the training rows.
    """

    names: tuple[str, ...]
    blocks: tuple[str, ...] = ("atoms", "channel_means")
    relative_populations: bool = False
    descriptors: bool = False
    known: tuple[str, ...] | None = None
    needs_atoms: bool = False
    cutoff: float | None = None
    describe: Any = None
    scaling: Mapping[str, Scaling] | None = None


R = TypeVar("R", bound=Rows)


class Reader(ABC, Generic[R]):
    """Reads X of one kind into rows, and knows what holds for that kind.

    Parameters
    ----------
    spec : InputSpec
        What the network takes.

    Attributes
    ----------
    scaling_ : mapping of str to Scaling
        How inputs are standardised; set by :meth:`fit_scaling`.
    """

    #: Where raw pairs get their electronic structure; empty where none is looked up.
    source: str = ""
    #: What the columns of a pair hold, where there are any.
    layout_: PairLayout | None = None
    #: Whether the order of the atoms means anything, so that targets can have a parity.
    has_order: bool = False
    #: Standard deviation up to which a feature counts as constant.
    _floor: float = 0.0

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec
        self.scaling_: Mapping[str, Scaling] = {}

    @abstractmethod
    def fit(self, estimator: BaseEstimator, X: Any) -> R:
        """Find out what `X` is made of and read it.

        Sets ``n_features_in_`` of the estimator.
        """

    @abstractmethod
    def read(self, estimator: BaseEstimator, X: Any, *, learn: bool = False) -> R:
        """Read further rows, to be predicted or, with `learn`, to be learned from.

        Raises
        ------
        TypeError, ValueError
            If `X` is not of the kind that the reader was fitted on.
        """

    def parts(self, estimator: BaseEstimator, X: Any) -> Sequence[Any]:
        """`X` to be predicted, cut into what is read at a time to save memory.

        Raises
        ------
        TypeError, ValueError
            As :meth:`read`, unless that comes to it later.
        """
        return [X]

    def settled(self, rows: R, learned: NDArray[np.int64]) -> R:
        """Rows of a first fit, once it is known which of them are learned from.

        What has to be measured on rows before others can be read is measured on those alone.
        """
        return rows

    def without_labels(self, rows: R) -> R:
        """Rows with no more than what predictions start from."""
        return rows

    @abstractmethod
    def groups(self, rows: R) -> NDArray[np.int64]:
        """Which rows belong together, by a number that holds for every call, shape (n,)."""

    @abstractmethod
    def members(self, rows: R) -> NDArray[np.int64]:
        """What must be trained on to be predicted, shape (n, k): elements; 0 is nothing."""

    def members_of(self, estimator: BaseEstimator, X: Any) -> NDArray[np.int64]:
        """The same of `X` that is not read yet, shape (n, k)."""
        return self.members(self.read(estimator, X))

    @abstractmethod
    def element_names(self, rows: R) -> list[str]:
        """Sorted symbols of the elements in the rows."""

    @abstractmethod
    def network_params(self, rows: R) -> dict[str, Any]:
        """Arguments of the network's constructor that the input decides."""

    @abstractmethod
    def wrap(
        self, network: type[nn.Module], params: Mapping[str, Any], parity: Sequence[int]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """The network with the symmetry that the rows have: a class and its arguments."""

    @abstractmethod
    def fit_scaling(self, rows: R) -> None:
        """Measure how inputs are to be standardised, on training rows."""

    @abstractmethod
    def scaled(self, rows: R) -> R:
        """Rows that are standardised on the way to a device."""


class DenseReader(Reader[DenseRows]):
    """What readers of rows of one shape share: widths of the inputs, and their scales."""

    def network_params(self, rows: DenseRows) -> dict[str, Any]:
        """Widths of the inputs, and descriptors of the elements."""
        params: dict[str, Any] = {
            "n_elements": MAX_Z,
            "n_atom": rows.arrays["atom"].shape[-1],
            "n_pair": rows.arrays["pair"].shape[-1],
        }
        if self.spec.descriptors:
            params["descriptors"] = standard_descriptors()
        if "image" in self.spec.names:
            image = rows.arrays.get("image")
            if isinstance(rows.pictures, Pictures):
                params["n_channels"] = len(rows.pictures.channels)
            else:
                params["n_channels"] = 0 if image is None else image.shape[1]
        return params

    def fit_scaling(self, rows: DenseRows) -> None:
        """Measure how inputs are to be standardised, on training rows."""
        if self.spec.scaling:
            self.scaling_ = self.spec.scaling
            return
        measured = {
            name: feature_scaling(rows.arrays[name], axis, self._floor)
            for name, axis in _SCALED.items()
            if name in rows.arrays
        }
        if isinstance(rows.pictures, Pictures):
            amplitudes = rows.arrays["amplitudes"]
            measured["image"] = picture_scaling(amplitudes, rows.pictures, self._floor)
        self.scaling_ = measured

    def scaled(self, rows: DenseRows) -> DenseRows:
        """Rows that are standardised on the way to a device."""
        return replace(rows, scaling=self.scaling_)

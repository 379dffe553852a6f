"""Splits along a property of the pair: near values train, far values test."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from .._validation import check_choice
from ..datasets._bundled import bundled_pairs
from ..elements import atomic_numbers, property_values, symbols
from ._base import RowSplitter, SplitRows, check_fraction

__all__ = [
    "BondLengthSplit",
    "ElectronegativitySplit",
    "PairTypeSplit",
    "PeriodDifferenceSplit",
    "PeriodSplit",
    "ShiftSplit",
]

# Metalloids among them; every other element counts as a metal.
_NONMETALS = (
    "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar", "Ge", "As", "Se",
    "Br", "Kr", "Sb", "Te", "I", "Xe", "At", "Rn",
)  # fmt: skip
_METALS_IN_KIND = {"metal-metal": 2, "metal-nonmetal": 1, "nonmetal-nonmetal": 0}
_ELECTRONEGATIVITIES = {
    "mulliken": "electronegativity_mulliken_ev",
    "pauling": "electronegativity_pauling",
}
_NOBLE_GASES = 18


class ShiftSplit(RowSplitter):
    """One split into a near and a far side."""

    reverse: bool

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits, 1."""
        return 1

    def _test_masks(self, rows: SplitRows) -> Iterator[NDArray[np.bool_]]:
        check_scalar(self.reverse, "reverse", (bool, np.bool_))
        far = self._far(rows)
        yield ~far if self.reverse else far

    @abstractmethod
    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        """Rows that are tested unless the sides are reversed."""


class _RankedSplit(ShiftSplit):
    """The largest values are far: those above a threshold, or a fraction of the pairs."""

    test_fraction: float
    threshold: float | None

    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        # Tables of a transformer are in single precision; so must be what is compared.
        values = self._values(rows).astype(np.float32)
        if self.threshold is not None:
            check_scalar(self.threshold, "threshold", numbers.Real)
            if not np.isfinite(self.threshold):
                raise ValueError(f"threshold={self.threshold} is not finite")
            return np.asarray(values > np.float32(self.threshold))
        check_fraction("test_fraction", self.test_fraction)
        # Equal values are told apart by their elements, never by the order of the rows.
        ordered = np.column_stack([values, rows.z])[rows.labelled]
        distinct, rank = np.unique(ordered, axis=0, return_inverse=True)
        n_test = ceil(self.test_fraction * len(distinct))
        n_near = n_test if self.reverse else len(distinct) - n_test
        far = np.zeros(len(values), dtype=bool)
        far[rows.labelled] = rank >= n_near
        return far

    @abstractmethod
    def _values(self, rows: SplitRows) -> NDArray[np.float64]:
        """Value of each row."""


class PeriodSplit(ShiftSplit):
    """Train on pairs of light elements, test on pairs with a heavy one.

    Light elements are those of the first periods; a pair with one heavy atom is tested,
    whatever the other atom, and so is a molecule. On the bundled table and the gap the
    default has the published sizes of 660 training pairs (594 of them kept by
    :meth:`split_three`, 66 held out) and 2,180 tested ones. Estimators with
    ``unseen_elements="error"`` refuse the heavy elements: set it to ``"allow"``.

    Parameters
    ----------
    max_period : int, default=4
        Last period of the light elements, 1 to 6.
    reverse : bool, default=False
        Train on the pairs with a heavy element, test on those of light ones only.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    See Also
    --------
    LeaveElementGroupOut : One period after the other.
    PeriodDifferenceSplit : By the difference of the two periods.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6, split "by_period".

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import PeriodSplit
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [len(side) for side in next(PeriodSplit().split_three(X, y))]
    [594, 66, 2180]
    """

    _kinds = ("pairs", "molecules")

    def __init__(
        self, max_period: int = 4, *, reverse: bool = False, missing: str = "skip"
    ) -> None:
        self.max_period = max_period
        self.reverse = reverse
        self.missing = missing

    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        check_scalar(self.max_period, "max_period", numbers.Integral, min_val=1, max_val=6)
        return np.any(property_values("period")[rows.z] > self.max_period, axis=1)


class PeriodDifferenceSplit(ShiftSplit):
    """Train on pairs from the same period, test on pairs from different ones.

    Every element may occur on both sides; what is new is the combination.

    Parameters
    ----------
    max_difference : int, default=0
        Largest difference of the two periods on the training side, 0 to 5.
    reverse : bool, default=False
        Train on the larger differences, test on the smaller ones.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    See Also
    --------
    PeriodSplit : By the larger of the two periods.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6, split "by_period_difference".

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import PeriodDifferenceSplit
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [len(side) for side in next(PeriodDifferenceSplit().split(X, y))]
    [606, 2234]
    """

    def __init__(
        self, max_difference: int = 0, *, reverse: bool = False, missing: str = "skip"
    ) -> None:
        self.max_difference = max_difference
        self.reverse = reverse
        self.missing = missing

    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        check_scalar(self.max_difference, "max_difference", numbers.Integral,
                     min_val=0, max_val=5)  # fmt: skip
        period = property_values("period")[rows.z]
        return np.asarray(np.abs(period[:, 0] - period[:, 1]) > self.max_difference)


class PairTypeSplit(ShiftSplit):
    """Train on pairs of one kind, such as two metals, and test on the rest.

    Parameters
    ----------
    kind : {"metal-metal", "metal-nonmetal", "nonmetal-nonmetal"}, default="metal-metal"
        Pairs to train on. Metalloids (B, Si, Ge, As, Sb, Te, At) count as nonmetals,
        polonium as a metal.
    reverse : bool, default=False
        Train on all other pairs, test on this kind.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6, split "by_type".

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import PairTypeSplit
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [len(side) for side in next(PairTypeSplit("metal-metal").split(X, y))]
    [1326, 1514]
    """

    def __init__(
        self, kind: str = "metal-metal", *, reverse: bool = False, missing: str = "skip"
    ) -> None:
        self.kind = kind
        self.reverse = reverse
        self.missing = missing

    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        check_choice("kind", self.kind, list(_METALS_IN_KIND))
        n_metals = np.sum(~np.isin(rows.z, atomic_numbers(_NONMETALS)), axis=1)
        return np.asarray(n_metals != _METALS_IN_KIND[self.kind])


class ElectronegativitySplit(_RankedSplit):
    """Train on pairs of similar electronegativity, test on the most different ones.

    Parameters
    ----------
    scale : {"pauling", "mulliken"}, default="pauling"
        Electronegativity. Pauling's, that of the published split, has no value for He,
        Ne, Ar, Kr and Rn; they count as 0, as all of them but Kr do there, so that most
        of their pairs are tested. Mulliken's, (I + A) / 2 in eV, is known for every
        element.
    test_fraction : float, default=0.2
        Part of the pairs to test, between 0 and 1. Of equal differences some may be on
        either side, so that the fraction is met.
    threshold : float, default=None
        Largest difference on the near side, in place of a fraction.
    reverse : bool, default=False
        Train on the most different pairs, test on the most similar ones.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them. The fraction is
        that of the pairs which are not left out.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6, split "by_electronegativity".

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import ElectronegativitySplit
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [len(side) for side in next(ElectronegativitySplit().split(X, y))]
    [2272, 568]
    >>> ionic = ElectronegativitySplit(threshold=1.7)
    >>> [len(side) for side in next(ionic.split(X, y))]
    [2482, 358]
    """

    def __init__(
        self,
        scale: str = "pauling",
        *,
        test_fraction: float = 0.2,
        threshold: float | None = None,
        reverse: bool = False,
        missing: str = "skip",
    ) -> None:
        self.scale = scale
        self.test_fraction = test_fraction
        self.threshold = threshold
        self.reverse = reverse
        self.missing = missing

    def _values(self, rows: SplitRows) -> NDArray[np.float64]:
        check_choice("scale", self.scale, list(_ELECTRONEGATIVITIES))
        values = property_values(_ELECTRONEGATIVITIES[self.scale])
        no_bonds = np.isnan(values) & (property_values("group") == _NOBLE_GASES)
        of_atom = np.where(no_bonds, 0.0, values)[rows.z]
        unknown = np.unique(rows.z[np.isnan(of_atom)])
        if len(unknown):
            raise ValueError(
                f"elements {symbols(unknown).tolist()} have no Pauling electronegativity; "
                "use scale='mulliken'"
            )
        return np.abs(of_atom[:, 0] - of_atom[:, 1])


class BondLengthSplit(_RankedSplit):
    """Train on short bonds, test on the longest ones.

    The length is that of X: its third column of raw pairs, or the atom columns of a
    `PairImageTransformer`. For bare element pairs it is looked up in the bundled table.
    Rows of one pair at several lengths may be on both sides.

    Parameters
    ----------
    test_fraction : float, default=0.2
        Part of the bonds to test, between 0 and 1.
    threshold : float, default=None
        Largest length on the near side in Å, in place of a fraction.
    reverse : bool, default=False
        Train on the longest bonds, test on the shortest ones.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them. The fraction is
        that of the bonds which are not left out.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6, split "by_bond_distance".

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import BondLengthSplit
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [len(side) for side in next(BondLengthSplit().split(X, y))]
    [2272, 568]
    """

    def __init__(
        self,
        *,
        test_fraction: float = 0.2,
        threshold: float | None = None,
        reverse: bool = False,
        missing: str = "skip",
    ) -> None:
        self.test_fraction = test_fraction
        self.threshold = threshold
        self.reverse = reverse
        self.missing = missing

    def _values(self, rows: SplitRows) -> NDArray[np.float64]:
        if rows.distance is not None:
            return rows.distance
        table = bundled_pairs()
        found = table.find(rows.z)
        if (found < 0).any():
            pairs = symbols(np.unique(rows.z[found < 0], axis=0))
            some = ", ".join("-".join(pair) for pair in pairs[:5])
            raise ValueError(
                f"the bundled table has no bond length for {len(pairs)} of the pairs ({some}"
                f"{', ...' if len(pairs) > 5 else ''}); state it in angstrom in a third "
                "column distance_ang"
            )
        return table.bond_lengths[found]

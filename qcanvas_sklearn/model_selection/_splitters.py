"""Folds of pairs, folds of elements, and one element or group of them at a time."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, check_scalar

from .._validation import check_sequence, read_labels
from ..elements import SYMBOLS, block_letters, property_values, symbols
from ._base import RowSplitter, SplitRows, elements_of

__all__ = [
    "ElementGroupKFold",
    "ElementPairKFold",
    "LeaveElementGroupOut",
    "LeaveElementOut",
    "UnitKFold",
    "check_shuffle",
]


def _check_n_splits(n_splits: Any, n_items: int, what: str) -> None:
    check_scalar(n_splits, "n_splits", numbers.Integral, min_val=2)
    if n_splits > n_items:
        raise ValueError(f"n_splits={n_splits} is larger than the number of {what}, {n_items}")


def check_shuffle(shuffle: Any, random_state: Any) -> None:
    """Raise a ValueError where a random state has nothing to decide."""
    check_scalar(shuffle, "shuffle", (bool, np.bool_))
    if not shuffle and random_state is not None:
        raise ValueError(
            f"random_state={random_state!r} has no effect with shuffle=False; leave it None, "
            "or set shuffle=True"
        )


def _strata(
    y: Any, n_quantiles: int, pair_of_row: NDArray[np.int64], n_pairs: int
) -> NDArray[np.int64]:
    """Quantile bin of each pair's mean label; unlabelled pairs are a bin of their own."""
    values = None if y is None else read_labels(y).values
    if values is None or values.shape[1] != 1:
        raise ValueError("n_quantiles needs y with a single target")
    seen = np.isfinite(values[:, 0])
    counts = np.bincount(pair_of_row, weights=seen, minlength=n_pairs)
    sums = np.bincount(pair_of_row, np.where(seen, values[:, 0], 0.0), minlength=n_pairs)
    means = np.divide(sums, counts, out=np.full(n_pairs, np.nan), where=counts > 0)
    edges = np.nanquantile(means, np.linspace(0, 1, n_quantiles + 1)[1:-1])
    return np.asarray(np.where(counts > 0, np.searchsorted(edges, means), n_quantiles))


class UnitKFold(RowSplitter):
    """K folds of pairs or molecules, of which those that are one unit stay together."""

    n_splits: int
    shuffle: bool
    random_state: Any
    n_quantiles: int | None
    #: What the units are called.
    _what: str

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds."""
        return self.n_splits

    def _units(self, rows: SplitRows) -> NDArray[np.int64]:
        """Unit of each row, numbered in the order in which they are dealt."""
        return rows.unit

    def _test_masks(self, rows: SplitRows) -> Iterator[NDArray[np.bool_]]:
        unit_of_row = self._units(rows)
        n_units = int(unit_of_row.max()) + 1
        _check_n_splits(self.n_splits, n_units, self._what)
        order = np.arange(n_units)
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(n_units)
        if self.n_quantiles is not None:
            check_scalar(self.n_quantiles, "n_quantiles", numbers.Integral, min_val=2)
            strata = _strata(rows.y, self.n_quantiles, unit_of_row, n_units)
            order = order[np.argsort(strata[order], kind="stable")]
        fold = np.empty(n_units, dtype=np.int64)
        fold[order] = np.arange(n_units) % self.n_splits
        for k in range(self.n_splits):
            yield fold[unit_of_row] == k


class ElementPairKFold(UnitKFold):
    """K folds of pairs: all rows of one pair lie in the same fold.

    A pair is the same in either order and from whatever source, so none is both trained
    on and tested. The elements of the test pairs do occur in the training pairs: this
    measures interpolation in the table of pairs; see `LeaveElementOut` and
    `ElementGroupKFold` for extrapolation.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=False
        Deal the pairs in random order. Otherwise they are sorted by their elements and
        dealt in turn, one to each fold, whatever the order of the rows: no fold is a
        block of elements, and all are the same every time.
    random_state : int, RandomState instance or None, default=None
        Order of the pairs with ``shuffle=True``; an int gives the same folds every time.
    n_quantiles : int or None, default=None
        Stratify by this many quantiles of a single target, so that all folds have nearly
        the same distribution of labels.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    Raises
    ------
    ValueError
        If `random_state` is set with ``shuffle=False``.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import ElementPairKFold
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [(len(train), len(test)) for train, test in ElementPairKFold(5).split(X, y)][:2]
    [(2273, 567), (2273, 567)]
    """

    _what = "distinct pairs"

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: Any = None,
        n_quantiles: int | None = None,
        missing: str = "skip",
    ) -> None:
        check_shuffle(shuffle, random_state)
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_quantiles = n_quantiles
        self.missing = missing


class _LeaveOut(RowSplitter):
    """Hold out every row with an element of one class, for one class after the other."""

    _kinds = ("pairs", "molecules")

    def held_out(self, X: Any) -> list[Any]:
        """What each split holds out, in the order of the splits.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`, or Molecules
            Element pairs or molecules.

        Returns
        -------
        list of str or int

        Raises
        ------
        ValueError
            If a class asked for does not occur in `X`, or `X` holds a single one.
        """
        return self._held_out(elements_of(X))

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of classes to hold out; needs `X` where they are not named."""
        wanted = self._classes()[2]
        if wanted is not None:
            return len(wanted)
        if X is None:
            raise ValueError(f"X is needed to count the {self._classes()[0]}s")
        return len(self.held_out(X))

    def _held_out(self, z: NDArray[np.int64]) -> list[Any]:
        kind, class_of, asked = self._classes()
        wanted = None if asked is None else list(asked)
        present = set(class_of[np.unique(z[z > 0])].tolist())
        absent = [value for value in wanted or () if value not in present]
        if absent:
            raise ValueError(f"{kind}s {absent} do not occur in X")
        if len(present) < 2:
            raise ValueError(f"X holds the single {kind} {present.pop()!r}")
        if wanted is not None:
            return wanted
        # Along the periodic table: symbols and blocks by Z, numbers by value.
        known = np.unique(class_of[1:]) if class_of.dtype.kind == "i" else class_of[1:]
        return [value for value in dict.fromkeys(known.tolist()) if value in present]

    def _test_masks(self, rows: SplitRows) -> Iterator[NDArray[np.bool_]]:
        class_of_atom = self._classes()[1][rows.z]
        for value in self._held_out(rows.z):
            yield ((class_of_atom == value) & (rows.z > 0)).any(axis=1)

    @abstractmethod
    def _classes(self) -> tuple[str, NDArray, Sequence[Any] | None]:
        """Kind of the classes, class by atomic number, and those asked for."""


class LeaveElementOut(_LeaveOut):
    """Hold out one element at a time: every pair or molecule that contains it is tested.

    No training row holds the element, so this measures extrapolation to an element never
    seen. Estimators with ``unseen_elements="error"`` refuse that: set it to ``"allow"``.

    Parameters
    ----------
    elements : str, sequence of str or None, default=None
        Elements to hold out, one split each; None for all that occur, in order of Z.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    See Also
    --------
    LeaveElementGroupOut : Whole groups, blocks or periods of elements.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import LeaveElementOut
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> [len(test) for _, test in LeaveElementOut(["Ag", "O"]).split(X, y)]
    [75, 75]
    """

    def __init__(
        self, elements: str | Sequence[str] | None = None, *, missing: str = "skip"
    ) -> None:
        self.elements = elements
        self.missing = missing

    def _classes(self) -> tuple[str, NDArray, Sequence[Any] | None]:
        asked = [self.elements] if isinstance(self.elements, str) else self.elements
        if asked is not None:
            asked = check_sequence("elements", asked, "a symbol, a sequence of them or None")
        return "element", np.array(SYMBOLS), asked


class LeaveElementGroupOut(_LeaveOut):
    """Hold out one group, block or period of the periodic table at a time.

    Every pair or molecule with an element of it is tested, so no training row holds any
    of its elements. A row of elements from two groups is tested twice; the test sides overlap.
    Estimators with ``unseen_elements="error"`` refuse that: set it to ``"allow"``.

    Parameters
    ----------
    by : {"group", "block", "period"}, default="group"
        What is held out: a column of the periodic table, a block, or a row. Lanthanides
        and actinides belong to group 3.
    values : sequence of int or of str, default=None
        Groups (1 to 18), blocks (``"s"``, ``"p"``, ``"d"``, ``"f"``) or periods (1 to 7)
        to hold out, one split each; None for all that occur, in that order.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    See Also
    --------
    LeaveElementOut : One element at a time.
    ElementGroupKFold : Random groups of elements.
    PeriodSplit : All periods above a limit at once.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import LeaveElementGroupOut
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> cv = LeaveElementGroupOut("period")
    >>> sizes = [len(test) for _, test in cv.split(X, y)]
    >>> dict(zip(cv.held_out(X), sizes))
    {1: 149, 2: 572, 3: 572, 4: 1197, 5: 1197, 6: 1254, 7: 149}
    """

    def __init__(
        self,
        by: str = "group",
        *,
        values: Sequence[Any] | None = None,
        missing: str = "skip",
    ) -> None:
        self.by = by
        self.values = values
        self.missing = missing

    def _classes(self) -> tuple[str, NDArray, Sequence[Any] | None]:
        if not (isinstance(self.by, str) and self.by in ("block", "group", "period")):
            raise ValueError(
                f"by={self.by!r} is not one of ['block', 'group', 'period']; for single "
                "elements use LeaveElementOut"
            )
        asked = self.values
        if self.by == "block" and isinstance(asked, str):
            asked = list(asked)  # a block is a letter
        if asked is not None:
            asked = check_sequence("values", asked, f"a sequence of {self.by}s or None")
        if self.by == "block":
            return "block", block_letters(), asked
        return self.by, np.nan_to_num(property_values(self.by)).astype(int), asked


class ElementGroupKFold(RowSplitter):
    """Deal the elements into groups and hold out one group at a time.

    Every pair or molecule that contains an element of the held-out group goes to the test
    side, so no training row holds any of them. A row of elements from two groups is tested
    twice; the test sides overlap.

    Parameters
    ----------
    n_splits : int, default=5
        Number of element groups, at least 2.
    shuffle : bool, default=False
        Deal the elements in random order. Otherwise they are dealt in order of Z, one to
        each group in turn, so that neighbours in the periodic table are in different
        groups.
    random_state : int, RandomState instance or None, default=None
        Order of the elements with ``shuffle=True``; an int gives the same groups every
        time.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    Raises
    ------
    ValueError
        If `random_state` is set with ``shuffle=False``.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import ElementGroupKFold
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> [(len(train), len(test)) for train, test in ElementGroupKFold(5).split(X, y)][0]
    (1830, 1020)
    """

    _kinds = ("pairs", "molecules")

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = False,
        random_state: Any = None,
        missing: str = "skip",
    ) -> None:
        check_shuffle(shuffle, random_state)
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state
        self.missing = missing

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of element groups."""
        return self.n_splits

    def _test_masks(self, rows: SplitRows) -> Iterator[NDArray[np.bool_]]:
        elements = np.unique(rows.z[rows.z > 0])
        _check_n_splits(self.n_splits, len(elements), "elements")
        if self.shuffle:
            elements = check_random_state(self.random_state).permutation(elements)
        for k in range(self.n_splits):
            group = elements[k :: self.n_splits]
            test = np.any(np.isin(rows.z, group), axis=1)
            if test.all():
                what = "pair" if rows.molecules is None else "molecule"
                raise ValueError(
                    f"fold {k} leaves no training {what}: every {what} holds one of "
                    f"{symbols(np.sort(group)).tolist()}"
                )
            yield test

"""Splitters by pair and by element."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator
from sklearn.utils import check_array, check_random_state, check_scalar

from ..datasets import check_pairs, looks_like_pairs
from ..elements import atomic_numbers, symbols
from ..images import PairLayout

__all__ = ["ElementGroupKFold", "ElementPairKFold", "LeaveElementOut", "pairs_of"]

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


def pairs_of(X: Any) -> NDArray[np.int64]:
    """Atomic numbers (n, 2) of raw pairs, or of a `PairImageTransformer`'s output.

    Raises
    ------
    ValueError
        If `X` is neither.
    """
    if looks_like_pairs(X):
        return check_pairs(X).z
    layout = None if X is None else PairLayout.infer(X)
    if layout is None or "atoms" not in layout.include:
        raise ValueError(
            "X must hold element pairs, as symbols or as the output of PairImageTransformer "
            "with its atom columns; a plain table does not say which pair a row is"
        )
    return np.asarray(layout.unpack(X)["z"]).astype(np.int64)


class _PairSplitter(BaseCrossValidator):
    """Split by the pairs in X and leave out rows without any label."""

    missing: str

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Rows of the training and of the test side of each split.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        y : array-like of shape (n,) or (n, t), default=None
            Targets. With ``missing="skip"`` rows whose labels are all NaN are on
            neither side, so that any estimator and any score can be used.
        groups : object
            Ignored.

        Yields
        ------
        train : ndarray of int
        test : ndarray of int
        """
        if self.missing not in ("skip", "keep"):
            raise ValueError(f"missing={self.missing!r} is not one of ['keep', 'skip']")
        z = pairs_of(X)
        labels = _labels(y, len(z))
        labelled: NDArray[np.bool_] = np.ones(len(z), dtype=bool)
        if labels is not None and self.missing == "skip":
            labelled = np.any(np.isfinite(labels), axis=1)
        for test in self._test_masks(z, labels):
            yield np.flatnonzero(labelled & ~test), np.flatnonzero(labelled & test)

    @abstractmethod
    def _test_masks(
        self, z: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> Iterator[NDArray[np.bool_]]:
        """Test side of each split."""


def _labels(y: Any, n: int) -> NDArray[np.float64] | None:
    if y is None:
        return None
    options = {"ensure_2d": False, "dtype": None, "ensure_all_finite": "allow-nan"}
    array = check_array(y, input_name="y", **options)
    if len(array) != n:
        raise ValueError(f"X has {n} rows, y has {len(array)}")
    if array.dtype.kind not in "fiub":
        # Class labels: what matters here is only whether they are there.
        array = np.where(array == None, np.nan, 0.0)  # noqa: E711
    return array.astype(np.float64).reshape(n, -1)


def _check_n_splits(n_splits: Any, n_items: int, what: str) -> None:
    check_scalar(n_splits, "n_splits", numbers.Integral, min_val=2)
    if n_splits > n_items:
        raise ValueError(f"n_splits={n_splits} is larger than the number of {what}, {n_items}")


def _strata(
    y: NDArray[np.float64] | None,
    n_quantiles: int,
    pair_of_row: NDArray[np.int64],
    n_pairs: int,
) -> NDArray[np.int64]:
    """Quantile bin of each pair's mean label; unlabelled pairs are a bin of their own."""
    if y is None or y.shape[1] != 1:
        raise ValueError("n_quantiles needs y with a single target")
    seen = np.isfinite(y[:, 0])
    counts = np.bincount(pair_of_row, weights=seen, minlength=n_pairs)
    sums = np.bincount(pair_of_row, np.where(seen, y[:, 0], 0.0), minlength=n_pairs)
    means = np.divide(sums, counts, out=np.full(n_pairs, np.nan), where=counts > 0)
    edges = np.nanquantile(means, np.linspace(0, 1, n_quantiles + 1)[1:-1])
    return np.asarray(np.where(counts > 0, np.searchsorted(edges, means), n_quantiles))


class ElementPairKFold(_PairSplitter):
    """K folds of pairs: all rows of one pair lie in the same fold.

    A pair is the same in either order and from whatever source, so none is both trained
    on and tested. The elements of the test pairs do occur in the training pairs: this
    measures interpolation in the table of pairs; see `LeaveElementOut` and
    `ElementGroupKFold` for extrapolation.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    shuffle : bool, default=True
        Deal the pairs in random order. Tables are often sorted by element, so that
        unshuffled folds are blocks of elements.
    n_quantiles : int or None, default=None
        Stratify by this many quantiles of a single target, so that all folds have nearly
        the same distribution of labels.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.
    random_state : int, RandomState instance or None, default=0
        Order of the pairs. The default gives the same folds every time.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import ElementPairKFold
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> [(len(train), len(test)) for train, test in ElementPairKFold(5).split(X, y)][:2]
    [(2271, 569), (2273, 567)]
    """

    def __init__(
        self,
        n_splits: int = 5,
        *,
        shuffle: bool = True,
        n_quantiles: int | None = None,
        missing: str = "skip",
        random_state: Any = 0,
    ) -> None:
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.n_quantiles = n_quantiles
        self.missing = missing
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds."""
        return self.n_splits

    def _test_masks(
        self, z: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> Iterator[NDArray[np.bool_]]:
        pairs, pair_of_row = np.unique(z, axis=0, return_inverse=True)
        _check_n_splits(self.n_splits, len(pairs), "distinct pairs")
        order = np.arange(len(pairs))
        if self.shuffle:
            order = check_random_state(self.random_state).permutation(len(pairs))
        if self.n_quantiles is not None:
            check_scalar(self.n_quantiles, "n_quantiles", numbers.Integral, min_val=2)
            strata = _strata(y, self.n_quantiles, pair_of_row, len(pairs))
            order = order[np.argsort(strata[order], kind="stable")]
        fold = np.empty(len(pairs), dtype=np.int64)
        fold[order] = np.arange(len(pairs)) % self.n_splits
        for k in range(self.n_splits):
            yield fold[pair_of_row] == k


class LeaveElementOut(_PairSplitter):
    """Hold out one element at a time: every pair that contains it is tested.

    No training pair holds the element, so this measures extrapolation to an element never
    seen. Estimators with ``unseen_elements="error"`` refuse that: set it to ``"allow"``.

    Parameters
    ----------
    elements : sequence of str or None, default=None
        Elements to hold out, one split each; None for all that occur, in order of Z.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import LeaveElementOut
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> [len(test) for _, test in LeaveElementOut(["Ag", "O"]).split(X, y)]
    [75, 75]
    """

    def __init__(self, elements: Sequence[str] | None = None, *, missing: str = "skip") -> None:
        self.elements = elements
        self.missing = missing

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of elements to hold out; needs `X` where they are not named."""
        if self.elements is not None:
            return len(self.elements)
        if X is None:
            raise ValueError("X is needed to count the elements")
        return len(np.unique(pairs_of(X)))

    def _test_masks(
        self, z: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> Iterator[NDArray[np.bool_]]:
        present = np.unique(z)
        held_out = present if self.elements is None else atomic_numbers(list(self.elements))
        absent = [e for e, n in zip(self.elements or (), held_out, strict=False)
                  if n not in present]  # fmt: skip
        if absent:
            raise ValueError(f"elements {absent} do not occur in X")
        if len(present) < 2:
            raise ValueError(f"X holds the single element {symbols(present)[0]!r}")
        for element in held_out:
            yield (z == element).any(axis=1)


class ElementGroupKFold(_PairSplitter):
    """Deal the elements into groups and hold out one group at a time.

    Every pair that contains an element of the held-out group goes to the test side, so
    no training pair holds any of them. A pair of elements from two groups is tested
    twice; the test sides overlap.

    Parameters
    ----------
    n_splits : int, default=5
        Number of element groups, at least 2.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.
    random_state : int, RandomState instance or None, default=0
        Deals the elements. The default gives the same groups every time.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.model_selection import ElementGroupKFold
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> [(len(train), len(test)) for train, test in ElementGroupKFold(5).split(X, y)][0]
    (1830, 1020)
    """

    def __init__(
        self, n_splits: int = 5, *, missing: str = "skip", random_state: Any = 0
    ) -> None:
        self.n_splits = n_splits
        self.missing = missing
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of element groups."""
        return self.n_splits

    def _test_masks(
        self, z: NDArray[np.int64], y: NDArray[np.float64] | None
    ) -> Iterator[NDArray[np.bool_]]:
        elements = np.unique(z)
        _check_n_splits(self.n_splits, len(elements), "elements")
        shuffled = check_random_state(self.random_state).permutation(elements)
        for k in range(self.n_splits):
            test = np.any(np.isin(z, shuffled[k :: self.n_splits]), axis=1)
            if test.all():
                raise ValueError(
                    f"fold {k} leaves no training pair: every pair holds one of "
                    f"{symbols(np.sort(shuffled[k :: self.n_splits])).tolist()}"
                )
            yield test

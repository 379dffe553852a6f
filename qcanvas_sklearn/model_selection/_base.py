"""What all splitters share: reading pairs and labels, and whole pairs held out."""

from __future__ import annotations

import numbers
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import BaseCrossValidator, GroupShuffleSplit
from sklearn.utils import check_random_state, check_scalar

from .._validation import check_choice, check_n_rows, observed_rows
from ..images.layout import find_columns
from ..structures import CheckedPairs, check_pairs, looks_like_pairs

__all__ = ["PairRows", "PairSplitter", "Split", "pairs_of"]

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


class PairRows(NamedTuple):
    """What a splitter may look at.

    Attributes
    ----------
    z : ndarray of int64, shape (n, 2)
        Atomic numbers in canonical order.
    distance : ndarray of shape (n,), or None
        Bond lengths in Å where X states them.
    y : array-like of shape (n,) or (n, t), or None
        Targets, as they were passed.
    labelled : ndarray of bool, shape (n,)
        Rows that may be on a side.
    """

    z: NDArray[np.int64]
    distance: NDArray[np.float64] | None
    y: Any
    labelled: NDArray[np.bool_]


def _read_pairs(X: Any) -> CheckedPairs:
    if looks_like_pairs(X):
        return check_pairs(X)
    found = None if X is None else find_columns(X)
    if found is None or "atoms" not in found.layout.include:
        raise ValueError(
            "X must hold element pairs, as symbols or as the output of PairImageTransformer "
            "with its atom columns; a plain table does not say which pair a row is"
        )
    columns = found.layout.unpack(found.take(X)[0])
    return CheckedPairs(columns["z"].astype(np.int64), columns["distance_ang"].astype(float))


def pairs_of(X: Any) -> NDArray[np.int64]:
    """Atomic numbers (n, 2) of raw pairs, or of a `PairImageTransformer`'s output.

    Raises
    ------
    ValueError
        If `X` is neither.
    """
    return _read_pairs(X).z


class PairSplitter(BaseCrossValidator):
    """Split by the pairs in X and leave out rows without any label."""

    missing: str

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Rows of the training and of the test side of each split.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        y : array-like of shape (n,) or (n, t), default=None
            Targets, numbers or classes. With ``missing="skip"`` rows whose labels are
            all missing (NaN, None, NA or masked) are on neither side, so that any
            estimator and any score can be used.
        groups : object
            Ignored.

        Yields
        ------
        train : ndarray of int
        test : ndarray of int

        Raises
        ------
        ValueError
            If X holds no pairs, a parameter does not fit them, or a side is left empty.
        """
        rows = self._read(X, y)
        for k, tested in enumerate(self._test_masks(rows)):
            train = np.flatnonzero(rows.labelled & ~tested)
            test = np.flatnonzero(rows.labelled & tested)
            for side, members in (("training", train), ("test", test)):
                if len(members) == 0:
                    name = type(self).__name__
                    raise ValueError(f"split {k} of {name} leaves no {side} pair")
            yield train, test

    def split_three(
        self,
        X: Any,
        y: Any = None,
        *,
        in_distribution_fraction: float = 0.1,
        random_state: Any = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Rows of :meth:`split`, with a part of the training pairs held out as well.

        The error on the held-out part of the training side says how good the model is
        where it was trained; without it an error on the test side says nothing about the
        shift between the sides.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        y : array-like of shape (n,) or (n, t), default=None
            Targets, as for :meth:`split`.
        in_distribution_fraction : float, default=0.1
            Part of the training pairs to hold out, between 0 and 1. All rows of one pair
            stay together.
        random_state : int, RandomState instance or None, default=None
            Draws the held-out pairs; an int gives the same ones every time. Their number,
            which the published splits state, does not depend on it.

        Yields
        ------
        train : ndarray of int
        in_distribution_test : ndarray of int
        out_of_distribution_test : ndarray of int
            The test side of :meth:`split`.

        Raises
        ------
        ValueError
            As :meth:`split`; also if there are too few training pairs to hold any out.
        """
        check_scalar(in_distribution_fraction, "in_distribution_fraction", numbers.Real,
                     min_val=0, max_val=1, include_boundaries="neither")  # fmt: skip
        z = pairs_of(X)
        rng = check_random_state(random_state)
        for train, test in self.split(X, y):
            pairs, pair_of_row = np.unique(z[train], axis=0, return_inverse=True)
            if np.ceil(in_distribution_fraction * len(pairs)) == len(pairs):
                raise ValueError(
                    f"in_distribution_fraction={in_distribution_fraction} of the training "
                    f"pairs, {len(pairs)}, leaves none to train on"
                )
            held_out = GroupShuffleSplit(
                1, test_size=in_distribution_fraction, random_state=rng
            )
            kept, inside = next(held_out.split(train, groups=pair_of_row))
            yield train[kept], train[inside], test

    def _read(self, X: Any, y: Any) -> PairRows:
        check_choice("missing", self.missing, ("skip", "keep"))
        z, distance = _read_pairs(X)
        labelled: NDArray[np.bool_] = np.ones(len(z), dtype=bool)
        if y is not None:
            seen = observed_rows(y)
            check_n_rows(seen, len(z))
            labelled = seen if self.missing == "skip" else labelled
        return PairRows(z, distance, y, labelled)

    @abstractmethod
    def _test_masks(self, rows: PairRows) -> Iterator[NDArray[np.bool_]]:
        """Test side of each split."""

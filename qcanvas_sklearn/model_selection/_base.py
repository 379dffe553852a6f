"""What all splitters share: reading rows and labels, and whole pairs or groups held out."""

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
from ..images.layout import check_z, find_columns
from ..structures import (
    CheckedPairs,
    Molecules,
    canonical_order,
    check_molecules,
    check_pairs,
    looks_like_molecules,
    looks_like_pairs,
)

__all__ = ["RowSplitter", "Split", "SplitRows", "elements_of", "pairs_of"]

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


class SplitRows(NamedTuple):
    """What a splitter may look at.

    Attributes
    ----------
    z : ndarray of int64, shape (n, k)
        Elements of each row: of pairs both, in canonical order; of molecules each that
        occurs, and 0 in the place of those that do not.
    unit : ndarray of int64, shape (n,)
        What is the same pair, or the same group of molecules.
    molecules : Molecules or None
        The molecules, if the rows are such.
    distance : ndarray of shape (n,), or None
        Bond lengths in Å where X states them.
    y : array-like of shape (n,) or (n, t), or None
        Targets, as they were passed.
    labelled : ndarray of bool, shape (n,)
        Rows that may be on a side.
    """

    z: NDArray[np.int64]
    unit: NDArray[np.int64]
    molecules: Molecules | None
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
    # A table from elsewhere may name the atoms of a pair in either order.
    z = canonical_order(check_z(columns["z"].astype(float)))
    return CheckedPairs(z, columns["distance_ang"].astype(float))


def pairs_of(X: Any) -> NDArray[np.int64]:
    """Atomic numbers (n, 2) of raw pairs, or of a `PairImageTransformer`'s output.

    Raises
    ------
    ValueError
        If `X` is neither, or its columns of atomic numbers hold others.
    """
    return _read_pairs(X).z


def check_fraction(name: str, value: Any) -> None:
    """Raise an error that names `value` unless it lies between 0 and 1."""
    check_scalar(value, name, numbers.Real, min_val=0, max_val=1, include_boundaries="neither")
    if np.isnan(value):
        raise ValueError(f"{name}={value} is not a number between 0 and 1")


def _present(molecules: Molecules) -> NDArray[np.int64]:
    return np.where(molecules.composition > 0, molecules.elements, 0)


def elements_of(X: Any) -> NDArray[np.int64]:
    """Elements (n, k) of the rows of raw pairs, a `PairImageTransformer`'s output or
    molecules; 0 is none.

    Raises
    ------
    ValueError
        If `X` is none of these.
    """
    return _present(check_molecules(X)) if looks_like_molecules(X) else pairs_of(X)


class RowSplitter(BaseCrossValidator):
    """Split by what is in X and leave out rows without any label."""

    missing: str
    #: Kinds of rows that the splitter knows, out of "pairs" and "molecules".
    _kinds: tuple[str, ...] = ("pairs",)

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Rows of the training and of the test side of each split.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`, or Molecules
            Element pairs, or molecules where the splitter takes them.
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
            If X holds other rows than the splitter takes, a parameter does not fit them,
            or a side is left empty.
        """
        rows = self._read(X, y)
        for k, tested in enumerate(self._test_masks(rows)):
            train = np.flatnonzero(rows.labelled & ~tested)
            test = np.flatnonzero(rows.labelled & tested)
            for side, members in (("training", train), ("test", test)):
                if len(members) == 0:
                    name = type(self).__name__
                    what = "pair" if rows.molecules is None else "molecule"
                    raise ValueError(f"split {k} of {name} leaves no {side} {what}")
            yield train, test

    def split_three(
        self,
        X: Any,
        y: Any = None,
        *,
        in_distribution_fraction: float = 0.1,
        random_state: Any = None,
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
        """Rows of :meth:`split`, with a part of the training rows held out as well.

        The error on the held-out part of the training side says how good the model is
        where it was trained; without it an error on the test side says nothing about the
        shift between the sides.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`, or Molecules
            Element pairs, or molecules where the splitter takes them.
        y : array-like of shape (n,) or (n, t), default=None
            Targets, as for :meth:`split`.
        in_distribution_fraction : float, default=0.1
            Part of the training pairs, or groups of molecules, to hold out, between 0 and
            1. All rows of one pair or group stay together.
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
        check_fraction("in_distribution_fraction", in_distribution_fraction)
        rows = self._read(X, y)
        rng = check_random_state(random_state)
        for train, test in self.split(X, y):
            units, unit_of_row = np.unique(rows.unit[train], return_inverse=True)
            if np.ceil(in_distribution_fraction * len(units)) == len(units):
                what = "pairs" if rows.molecules is None else "groups"
                raise ValueError(
                    f"in_distribution_fraction={in_distribution_fraction} of the training "
                    f"{what}, {len(units)}, leaves none to train on"
                )
            held_out = GroupShuffleSplit(
                1, test_size=in_distribution_fraction, random_state=rng
            )
            kept, inside = next(held_out.split(train, groups=unit_of_row))
            yield train[kept], train[inside], test

    def _read(self, X: Any, y: Any) -> SplitRows:
        check_choice("missing", self.missing, ("skip", "keep"))
        molecules, distance = None, None
        if looks_like_molecules(X):
            self._check_kind("molecules")
            molecules = check_molecules(X)
            z, unit = _present(molecules), molecules.group_ids
        else:
            z, distance = _read_pairs(X)
            self._check_kind("pairs")
            unit = np.unique(z, axis=0, return_inverse=True)[1].reshape(-1)
        labelled: NDArray[np.bool_] = np.ones(len(z), dtype=bool)
        if y is not None:
            seen = observed_rows(y)
            check_n_rows(seen, len(z))
            labelled = seen if self.missing == "skip" else labelled
        return SplitRows(z, unit, molecules, distance, y, labelled)

    def _check_kind(self, kind: str) -> None:
        if kind not in self._kinds:
            raise ValueError(
                f"X holds {kind}, and {type(self).__name__} splits {' or '.join(self._kinds)}"
            )

    @abstractmethod
    def _test_masks(self, rows: SplitRows) -> Iterator[NDArray[np.bool_]]:
        """Test side of each split."""

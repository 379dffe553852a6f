"""Splits of molecules: by group, formula or size, and those that data sets come with."""

from __future__ import annotations

import numbers
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import BaseCrossValidator, ShuffleSplit
from sklearn.utils import check_scalar

from .._validation import check_choice
from ..structures import Molecules, check_molecules
from ._base import Split, SplitRows, check_fraction
from ._shift import ShiftSplit
from ._splitters import UnitKFold, check_shuffle

__all__ = ["CrysMTMSplit", "MD17Split", "MoleculeKFold", "MoleculeSizeSplit"]

#: Frames of one trajectory beyond which their authors ask not to train.
MD17_MAX_TRAIN = 1000


class MoleculeKFold(UnitKFold):
    """K folds of molecules: all rows of one group, formula or set of elements together.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    by : {"group", "formula", "elements"}, default="group"
        What stays together: the groups of the record (conformers, frames, rotations;
        without any, equal rows), all isomers of one formula, or all molecules made of
        the same elements.
    shuffle : bool, default=False
        Deal the groups in random order. Otherwise they are dealt in turn, one to each
        fold, groups in the order of the rows, formulas and elements in that of their
        composition.
    random_state : int, RandomState instance or None, default=None
        Order with ``shuffle=True``; an int gives the same folds every time.
    n_quantiles : int or None, default=None
        Stratify by this many quantiles of a single target, so that all folds have nearly
        the same distribution of labels.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them.

    Raises
    ------
    ValueError
        If `random_state` is set with ``shuffle=False``.

    See Also
    --------
    LeaveElementOut : One element held out at a time, of molecules too.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_molecules
    >>> from qcanvas_sklearn.model_selection import MoleculeKFold
    >>> X, y = load_molecules(target="e_g_ev", return_X_y=True)
    >>> train, test = next(MoleculeKFold(5, by="formula").split(X, y))
    >>> set(X[train].formulas) & set(X[test].formulas)
    set()
    """

    _kinds = ("molecules",)

    def __init__(
        self,
        n_splits: int = 5,
        *,
        by: str = "group",
        shuffle: bool = False,
        random_state: Any = None,
        n_quantiles: int | None = None,
        missing: str = "skip",
    ) -> None:
        check_shuffle(shuffle, random_state)
        self.n_splits = n_splits
        self.by = by
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_quantiles = n_quantiles
        self.missing = missing

    @property
    def _what(self) -> str:  # type: ignore[override]
        return {"group": "groups", "formula": "formulas"}.get(self.by, "sets of elements")

    def _units(self, rows: SplitRows) -> NDArray[np.int64]:
        check_choice("by", self.by, ("group", "formula", "elements"))
        assert rows.molecules is not None
        if self.by == "group":
            return rows.unit
        kinds = rows.molecules.composition if self.by == "formula" else rows.z
        return np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1)


class MoleculeSizeSplit(ShiftSplit):
    """Train on small molecules, test on the largest ones.

    Parameters
    ----------
    test_fraction : float, default=0.2
        Part of the molecules to test, between 0 and 1. Molecules of one size are on one
        side, so that it is met as nearly as this allows.
    threshold : int or None, default=None
        Number of atoms of the largest ones to train on, in place of a fraction.
    heavy_only : bool, default=False
        Count no hydrogen.
    reverse : bool, default=False
        Train on the largest molecules, test on the small ones.
    missing : {"skip", "keep"}, default="skip"
        Leave rows without any label out of both sides, or keep them. The fraction is
        that of the molecules which are not left out.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_molecules
    >>> from qcanvas_sklearn.model_selection import MoleculeSizeSplit
    >>> X, y = load_molecules(target="e_g_ev", return_X_y=True)
    >>> train, test = next(MoleculeSizeSplit().split(X, y))
    >>> bool(X[train].n_atoms.max() < X[test].n_atoms.min())
    True
    """

    _kinds = ("molecules",)

    def __init__(
        self,
        *,
        test_fraction: float = 0.2,
        threshold: int | None = None,
        heavy_only: bool = False,
        reverse: bool = False,
        missing: str = "skip",
    ) -> None:
        self.test_fraction = test_fraction
        self.threshold = threshold
        self.heavy_only = heavy_only
        self.reverse = reverse
        self.missing = missing

    def _far(self, rows: SplitRows) -> NDArray[np.bool_]:
        molecules = rows.molecules
        assert molecules is not None
        check_scalar(self.heavy_only, "heavy_only", (bool, np.bool_))
        counted = molecules.elements > (1 if self.heavy_only else 0)
        size = molecules.composition[:, counted].sum(axis=1)
        if self.threshold is not None:
            check_scalar(self.threshold, "threshold", numbers.Integral)
            return np.asarray(size > self.threshold)
        check_fraction("test_fraction", self.test_fraction)
        known = size[rows.labelled]
        borders = np.unique(known)[:-1]
        if not len(borders):
            raise ValueError("all molecules are of one size, which cannot be split by it")
        beyond = (known[:, None] > borders).mean(axis=0)
        # Of molecules to be tested the share is that of the large or of the small side.
        share = 1 - self.test_fraction if self.reverse else self.test_fraction
        return np.asarray(size > borders[np.argmin(np.abs(beyond - share))])


class MD17Split(BaseCrossValidator):
    """Splits of the frames of a trajectory: the official ones, or random ones of their size.

    Parameters
    ----------
    splits : sequence of (train, test) or None, default=None
        Rows of each split, as ``fetch_md17(molecule).splits`` holds the five official
        ones; None draws random ones.
    n_splits : int, default=5
        Number of random splits.
    train_size : int, default=1000
        Frames to train on in a random split.
    test_size : int, default=1000
        Frames to test on in a random split.
    random_state : int, RandomState instance or None, default=None
        Draws the random splits; an int gives the same ones every time.

    Warns
    -----
    UserWarning
        If more than 1,000 frames are trained on: neighbours in time resemble each other,
        and beyond that the test frames are no new ones.

    See Also
    --------
    sklearn.model_selection.LeaveOneGroupOut : Runs that are independent of each other.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_trajectory
    >>> from qcanvas_sklearn.model_selection import MD17Split
    >>> X, y = load_trajectory("ethanol", return_X_y=True)
    >>> cv = MD17Split(n_splits=2, train_size=200, test_size=100, random_state=0)
    >>> [(len(train), len(test)) for train, test in cv.split(X, y)]
    [(200, 100), (200, 100)]
    """

    def __init__(
        self,
        splits: Sequence[tuple[ArrayLike, ArrayLike]] | None = None,
        *,
        n_splits: int = 5,
        train_size: int = 1000,
        test_size: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.splits = splits
        self.n_splits = n_splits
        self.train_size = train_size
        self.test_size = test_size
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits."""
        return self.n_splits if self.splits is None else len(self._given())

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Rows of the training and of the test side of each split.

        Parameters
        ----------
        X : Molecules or array-like of shape (n, ...)
            The frames.
        y : object
            Ignored.
        groups : object
            Ignored.

        Yields
        ------
        train : ndarray of int
        test : ndarray of int

        Raises
        ------
        ValueError
            If a split names frames that X has not, or one on both sides, or X has too few
            frames.
        """
        n = len(X)
        for k, (train, test) in enumerate(self._splits(n)):
            rows = np.concatenate([train, test])
            if rows.size and not 0 <= rows.min() <= rows.max() < n:
                raise ValueError(f"split {k} has rows up to {rows.max()}, and X has {n} frames")
            if len(np.unique(rows)) < len(rows):
                raise ValueError(f"split {k} has a frame twice, or on both sides")
            if len(train) > MD17_MAX_TRAIN:
                warnings.warn(
                    f"{len(train)} frames of one trajectory are trained on, more than "
                    f"{MD17_MAX_TRAIN}: the test frames resemble them too much to measure "
                    "anything",
                    UserWarning,
                    stacklevel=2,
                )
            yield train, test

    def _splits(self, n: int) -> Iterator[Split]:
        if self.splits is None:
            for name in ("n_splits", "train_size", "test_size"):
                check_scalar(getattr(self, name), name, numbers.Integral, min_val=1)
            shuffle = ShuffleSplit(
                self.n_splits, train_size=self.train_size, test_size=self.test_size,
                random_state=self.random_state,
            )  # fmt: skip
            yield from shuffle.split(np.empty(n))
            return
        for split in self._given():
            train, test = (np.asarray(side, dtype=np.int64) for side in split)
            yield train, test

    def _given(self) -> list[Any]:
        """The splits passed, of two sides each."""
        try:
            splits = [tuple(split) for split in self.splits]  # type: ignore[union-attr]
        except TypeError:
            splits = []
        if not splits or any(len(split) != 2 for split in splits):
            raise ValueError(
                "splits must be a sequence of pairs (train, test) of rows, or None, got "
                f"{self.splits!r}"
            )
        return splits


_OUTSIDE, _INSIDE = (0, 50, 100, 900, 950, 1000), (250, 450, 650, 750, 800)
_GROUP = re.compile(r"(\w+), (\d+) K")


class CrysMTMSplit(BaseCrossValidator):
    """The splits of CrysMTM by temperature, and the one over rotations by its name.

    The published training set are ten temperatures from 150 to 850 K. Rotations of one
    structure have the same labels, and for whoever looks at distances the same inputs: a
    random split over rotations measures nothing, and is made only where it is asked for.

    Parameters
    ----------
    test : {"out-of-distribution", "in-distribution", "random-rotations"}, \
default="out-of-distribution"
        What is tested: the temperatures 0, 50, 100, 900, 950 and 1000 K; those of 250,
        450, 650, 750 and 800 K; or random rotations of all structures.
    test_fraction : float, default=0.2
        Part of the rotations to test with ``test="random-rotations"``.
    random_state : int, RandomState instance or None, default=None
        Draws the rotations; an int gives the same ones every time.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import fetch_crysmtm
    >>> from qcanvas_sklearn.model_selection import CrysMTMSplit
    >>> X, y = fetch_crysmtm(target="e_g_ev", return_X_y=True)  # doctest: +SKIP
    >>> [len(side) for side in next(CrysMTMSplit().split(X, y))]  # doctest: +SKIP
    [30, 18]
    """

    def __init__(
        self,
        test: str = "out-of-distribution",
        *,
        test_fraction: float = 0.2,
        random_state: Any = None,
    ) -> None:
        self.test = test
        self.test_fraction = test_fraction
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of splits, 1."""
        return 1

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[Split]:
        """Rows of the training and of the test side.

        Parameters
        ----------
        X : Molecules
            With the groups of CrysMTM, ``"anatase, 0 K"``.
        y : object
            Ignored.
        groups : object
            Ignored.

        Yields
        ------
        train : ndarray of int
        test : ndarray of int

        Raises
        ------
        ValueError
            If X has not these groups, or a side is left empty.
        """
        choices = ("out-of-distribution", "in-distribution", "random-rotations")
        check_choice("test", self.test, choices)
        kelvin = _temperatures(check_molecules(X))
        if self.test == "random-rotations":
            check_fraction("test_fraction", self.test_fraction)
            rotations = ShuffleSplit(
                1, test_size=self.test_fraction, random_state=self.random_state
            )
            yield from rotations.split(kelvin)
            return
        held_out = _OUTSIDE if self.test == "out-of-distribution" else _INSIDE
        train = np.flatnonzero(~np.isin(kelvin, _OUTSIDE + _INSIDE))
        test = np.flatnonzero(np.isin(kelvin, held_out))
        for side, rows in (("training", train), ("test", test)):
            if not len(rows):
                raise ValueError(f"X has no temperature of the {side} side of CrysMTMSplit")
        yield train, test


def _temperatures(molecules: Molecules) -> NDArray[np.int64]:
    groups = [] if molecules.groups is None else pd.unique(molecules.groups).tolist()
    matches = {group: _GROUP.fullmatch(str(group)) for group in groups}
    wrong = [group for group, match in matches.items() if match is None]
    if wrong or not groups:
        raise ValueError(
            "X must be the molecules of fetch_crysmtm, with groups such as 'anatase, 0 K'; got "
            f"{wrong[0]!r}" if wrong else "X has no groups, as those of fetch_crysmtm have"
        )
    kelvin = {group: int(match[2]) for group, match in matches.items() if match is not None}
    return np.array([kelvin[group] for group in molecules.groups.tolist()])  # type: ignore[union-attr]

"""Reading element pairs as users write them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..elements import alphabetical_rank, atomic_numbers

__all__ = ["CheckedPairs", "check_pairs", "looks_like_pairs", "validate_pairs"]

PAIR_COLUMNS = ("element_1", "element_2")
DISTANCE_COLUMN = "distance_ang"


class CheckedPairs(NamedTuple):
    """Element pairs in canonical order.

    Attributes
    ----------
    z : ndarray of int64, shape (n, 2)
        Atomic numbers, alphabetical by symbol within each row.
    distance : ndarray of float64, shape (n,), or None
        Bond lengths in Å where the user gave them.
    """

    z: NDArray[np.int64]
    distance: NDArray[np.float64] | None


def looks_like_pairs(X: Any) -> bool:
    """Whether `X` is meant as element pairs: named columns, or text in two or three."""
    if isinstance(X, pd.DataFrame) and set(PAIR_COLUMNS) <= set(X.columns):
        return True
    # Tables are wide, so their shape is asked for before they are converted.
    shape = getattr(X, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[1] not in (2, 3)):
        return False
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
    except ValueError:  # rows that differ in length
        return False
    if array.ndim != 2 or array.shape[1] not in (2, 3) or array.dtype.kind not in "OUT":
        return False
    return any(isinstance(value, str) for value in array[:, :2].ravel())


def check_pairs(X: Any) -> CheckedPairs:
    """Validate element pairs and bring them to canonical order.

    Parameters
    ----------
    X : array-like of shape (n, 2) or (n, 3), or DataFrame
        Element symbols, and optionally bond lengths in Å. A DataFrame is read by its
        columns ``element_1``, ``element_2`` and ``distance_ang`` where it has them, by
        position otherwise.

    Returns
    -------
    CheckedPairs
        Atomic numbers, and bond lengths or None.

    Raises
    ------
    TypeError
        If an entry that should be a symbol is not a string.
    ValueError
        If the shape is wrong, a symbol is unknown or missing, or a bond length is not a
        positive finite number. The message names the row.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import check_pairs
    >>> check_pairs([["Al", "Ag"]]).z
    array([[47, 13]])
    """
    if isinstance(X, pd.DataFrame) and set(PAIR_COLUMNS) <= set(X.columns):
        extra = [c for c in X.columns if c not in (*PAIR_COLUMNS, DISTANCE_COLUMN)]
        if extra:
            raise ValueError(f"unexpected columns {extra} beside the element pairs")
        columns = [c for c in (*PAIR_COLUMNS, DISTANCE_COLUMN) if c in X.columns]
        X = X[columns].to_numpy(dtype=object)
    try:
        array = np.asarray(X, dtype=object)
    except ValueError:
        raise ValueError(
            "element pairs must be an array of shape (n, 2); the rows differ in length"
        ) from None
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(
            "expected element pairs of shape (n, 2), or (n, 3) with bond lengths in "
            f"angstrom, as in [['Ag', 'Al']]; got shape {array.shape}. "
            "Reshape your data if it is a single pair."
        )
    if len(array) == 0:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    z = _check_symbols(array[:, :2])
    distance = _check_distances(array[:, 2]) if array.shape[1] == 3 else None
    rank = alphabetical_rank()[z]
    swapped = rank[:, 0] > rank[:, 1]
    z[swapped] = z[swapped, ::-1]
    return CheckedPairs(z, distance)


def validate_pairs(estimator: BaseEstimator, X: Any, *, reset: bool) -> CheckedPairs:
    """`check_pairs`, with scikit-learn's bookkeeping of columns on an estimator.

    Parameters
    ----------
    estimator : BaseEstimator
        Its ``n_features_in_`` and ``feature_names_in_`` are set or compared.
    X : array-like of shape (n, 2) or (n, 3), or DataFrame
        As for :func:`check_pairs`.
    reset : bool
        True in ``fit``.

    Returns
    -------
    CheckedPairs

    Raises
    ------
    TypeError, ValueError
        As :func:`check_pairs`; also if the columns are not those seen in ``fit``. A list
        of pairs has no names and is accepted behind a DataFrame.
    """
    pairs = check_pairs(X)
    if reset or hasattr(X, "columns"):
        validate_data(estimator, X, reset=reset, skip_check_array=True)
    else:
        n_columns = 2 if pairs.distance is None else 3
        if n_columns != estimator.n_features_in_:
            raise ValueError(
                f"X has {n_columns} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input"
            )
    return pairs


def _check_symbols(symbols: NDArray) -> NDArray[np.int64]:
    z = atomic_numbers(symbols)
    if (z == 0).any():
        row, column = np.argwhere(z == 0)[0]
        value = symbols[row, column]
        if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
            raise ValueError(f"row {row}: the element is missing (NaN)")
        if not isinstance(value, str):
            raise TypeError(
                f"row {row}: {value!r} ({type(value).__name__}) is not an element symbol; "
                "symbols are strings such as 'Ag'"
            )
        raise ValueError(
            f"row {row}: unknown element symbol {value!r}; symbols are capitalised as in "
            "'Ag', for Z = 1 to 103"
        )
    return z


def _check_distances(values: NDArray) -> NDArray[np.float64]:
    numbers = pd.to_numeric(pd.Series(values), errors="coerce")
    distance = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~(np.isfinite(distance) & (distance > 0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"row {row}: the bond length {values[row]!r} is not a positive number of angstrom"
        )
    return distance

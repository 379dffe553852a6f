"""Reading element pairs as users write them."""

from __future__ import annotations

from numbers import Integral, Number
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..elements import MAX_Z, alphabetical_rank, atomic_numbers

__all__ = [
    "CheckedPairs",
    "canonical_order",
    "check_pairs",
    "looks_like_pairs",
    "might_be_atomic_numbers",
    "validate_pairs",
]

PAIR_COLUMNS = ("element_1", "element_2")
DISTANCE_COLUMN = "distance_ang"
#: Kinds of arrays that are read as they are: text and whole numbers.
_FAST = "Uiu"


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
    """Whether `X` is meant as element pairs.

    Named columns say so, and so does text (or bytes) in two or three columns. Numbers do
    not: a table of whole numbers may be anything (see :func:`might_be_atomic_numbers`).
    Objects that all are missing, or of which there are none, can be no table of numbers.
    """
    if _pair_columns(X):
        return True
    # Tables are wide, so their shape is asked for before they are converted.
    array = _two_dimensional(X, widths=(2, 3), dtype=object)
    if array is None or array.dtype.kind not in "OUTS":
        return False
    entries = array[:, :2].ravel()
    if any(isinstance(value, (str, bytes)) for value in entries):
        return True
    return all(_is_missing(value) and not isinstance(value, Number) for value in entries)


def might_be_atomic_numbers(X: Any) -> bool:
    """Whether `X` could be element pairs written as atomic numbers.

    Values alone prove nothing: this is the question whether to ask the user, not what
    he means. Columns named ``element_1`` and ``element_2`` are his answer.

    Parameters
    ----------
    X : array-like

    Returns
    -------
    bool
        True for two columns of integers (by type, not by value) from 1 to 103.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import might_be_atomic_numbers
    >>> might_be_atomic_numbers([[47, 13]]), might_be_atomic_numbers([[47.0, 13.0]])
    (True, False)
    """
    array = _two_dimensional(X, widths=(2,))
    if array is None or not len(array):
        return False
    if array.dtype.kind == "O":  # as nullable integers of pandas are
        if not all(_is_integer(value) for value in array.ravel()):
            return False
    elif array.dtype.kind not in "iu":
        return False
    return bool(((array >= 1) & (array <= MAX_Z)).all())


def check_pairs(X: Any) -> CheckedPairs:
    """Validate element pairs and bring them to canonical order.

    Parameters
    ----------
    X : array-like of shape (n, 2) or (n, 3), or DataFrame
        Element symbols or atomic numbers, and optionally bond lengths in Å. A DataFrame,
        of pandas or polars, is read by its columns ``element_1``, ``element_2`` and
        ``distance_ang`` where it has them, by position otherwise. Atomic numbers are
        integers from 1 to 103; whole floats, into which pandas turns integers beside
        missing ones, pass in columns of these names only.

    Returns
    -------
    CheckedPairs
        Atomic numbers, and bond lengths or None.

    Raises
    ------
    TypeError
        If an element is neither text nor an integer, or numbers stand among symbols.
    ValueError
        If the shape is wrong, an element is unknown or missing, or a bond length is not a
        positive finite number. The message names the row.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import check_pairs
    >>> check_pairs([["Al", "Ag"]]).z
    array([[47, 13]])
    >>> check_pairs([[13, 47]]).z
    array([[47, 13]])
    """
    entries, lengths, named = _entries(X)
    if len(entries) == 0:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    z = _check_elements(entries, whole_floats=named)
    distance = None if lengths is None else _check_distances(lengths)
    return CheckedPairs(canonical_order(z), distance)


def canonical_order(z: NDArray[np.int64]) -> NDArray[np.int64]:
    """Atomic numbers (n, 2) of pairs, each in the order of the alphabet."""
    rank = alphabetical_rank()
    first, second = z[:, 0], z[:, 1]
    swapped = rank[first] > rank[second]
    out = np.empty_like(z)
    # Column by column: loops over two entries of a row are slow.
    out[:, 0], out[:, 1] = np.where(swapped, second, first), np.where(swapped, first, second)
    return out


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


def _pair_columns(X: Any) -> list[str]:
    """Columns of a table that is read by name, in our order; none where it is not."""
    names = [name for name in getattr(X, "columns", ()) if isinstance(name, str)]
    if not set(PAIR_COLUMNS) <= set(names):
        return []
    return [name for name in (*PAIR_COLUMNS, DISTANCE_COLUMN) if name in names]


def _two_dimensional(
    X: Any, *, widths: tuple[int, ...], dtype: type | None = None
) -> NDArray | None:
    """`X` as an array, itself if it is one; None unless it has one of these widths."""
    shape = getattr(X, "shape", None)
    if shape is not None and (len(shape) != 2 or shape[1] not in widths):
        return None
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=dtype)
    except ValueError:  # rows that differ in length
        return None
    return array if array.ndim == 2 and array.shape[1] in widths else None


def _entries(X: Any) -> tuple[NDArray, NDArray | None, bool]:
    """Elements (n, 2) of pairs, lengths (n,) or None, and whether columns were named.

    Arrays of text and of whole numbers stay what they are; all else are objects, masked ones
    None.
    """
    columns = _pair_columns(X)
    if columns:
        extra = [name for name in X.columns if name not in columns]
        if extra:
            raise ValueError(f"unexpected columns {extra} beside the element pairs")
        first, second, *lengths = (_of_column(X[name]) for name in columns)
        if first.dtype.kind != second.dtype.kind:
            first, second = first.astype(object), second.astype(object)
        return np.stack([first, second], axis=1), lengths[0] if lengths else None, True
    array = X
    if type(X) is not np.ndarray or X.dtype.kind not in _FAST:
        try:
            array = np.array(X, dtype=object)
        except ValueError:
            raise ValueError(
                "element pairs must be an array of shape (n, 2); the rows differ in length"
            ) from None
        if isinstance(X, np.ma.MaskedArray):
            array[np.ma.getmaskarray(X)] = None
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise ValueError(
            "expected element pairs of shape (n, 2), or (n, 3) with bond lengths in "
            f"angstrom, as in [['Ag', 'Al']]; got shape {array.shape}. "
            "Reshape your data if it is a single pair."
        )
    return array[:, :2], array[:, 2] if array.shape[1] == 3 else None, False


def _of_column(column: Any) -> NDArray:
    """A column as it is where it holds text or numbers that numpy knows, else as objects."""
    array = np.asarray(column)
    return array if array.dtype.kind in "f" + _FAST else np.asarray(column, dtype=object)


def _is_missing(value: Any) -> bool:
    return value is np.ma.masked or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _check_elements(entries: NDArray, whole_floats: bool) -> NDArray[np.int64]:
    """Atomic numbers of symbols or, where there is no text, of atomic numbers."""
    with_text = entries.dtype.kind == "U" or (
        entries.dtype.kind == "O" and any(isinstance(value, str) for value in entries.ravel())
    )
    if with_text:
        z = _numbers_of_symbols(entries)
    elif entries.dtype.kind in "iu":
        known = (entries >= 1) & (entries <= MAX_Z)
        z = np.where(known, entries, 0).astype(np.int64)
    else:
        values = entries.ravel().tolist()
        numbers = [_as_atomic_number(value, whole_floats) for value in values]
        z = np.array(numbers, dtype=np.int64).reshape(entries.shape)
    if (z == 0).any():
        row, column = np.argwhere(z == 0)[0]
        value = entries[row : row + 1, column].astype(object)[0]
        _refuse_element(f"row {row}: ", value, with_text)
    return z


def _numbers_of_symbols(entries: NDArray) -> NDArray[np.int64]:
    """Atomic numbers of symbols, each distinct one looked up once; 0 of all else."""
    if entries.dtype.kind == "O":
        try:
            places, distinct = pd.factorize(entries.ravel())
        except TypeError:  # what cannot be looked up, as a list
            return atomic_numbers(entries)
        # What is missing has the place -1, which is that of the last number.
        z = np.append(atomic_numbers(distinct), 0)
        return z[places].reshape(entries.shape)
    return atomic_numbers(entries)


def _as_atomic_number(value: Any, whole_floats: bool) -> int:
    """The number itself; 0 where it is none."""
    whole = whole_floats and isinstance(value, float) and value.is_integer()
    return int(value) if (whole or _is_integer(value)) and 1 <= value <= MAX_Z else 0


def _refuse_element(row: str, value: Any, with_text: bool) -> NoReturn:
    if _is_missing(value):
        raise ValueError(f"{row}the element is missing ({value!r})")
    if isinstance(value, str):
        raise ValueError(
            f"{row}unknown element symbol {value!r}; symbols are capitalised as in 'Ag', for "
            f"Z = 1 to {MAX_Z}"
        )
    if isinstance(value, bytes):
        raise TypeError(
            f"{row}{value!r} (bytes) is not text; decode it first, as in "
            "numpy.char.decode(X, 'ascii')"
        )
    if _is_integer(value) and not with_text:
        raise ValueError(f"{row}{value!r} is not an atomic number from 1 to {MAX_Z}")
    what = f"{row}{value!r} ({type(value).__name__}) is not an element symbol"
    if isinstance(value, Number) and with_text:
        raise TypeError(f"{what}; symbols and atomic numbers cannot be mixed")
    raise TypeError(f"{what} such as 'Ag', nor an atomic number, which is an integer")


def _check_distances(values: NDArray) -> NDArray[np.float64]:
    if values.dtype.kind in "fiu":
        distance = values.astype(np.float64)
    else:
        numbers = pd.to_numeric(pd.Series(values.astype(object)), errors="coerce")
        distance = numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = ~(np.isfinite(distance) & (distance > 0))
    if bad.any():
        row = int(np.argmax(bad))
        value = values[row : row + 1].astype(object)[0]
        raise ValueError(
            f"row {row}: the bond length {value!r} is not a positive number of angstrom"
        )
    return distance

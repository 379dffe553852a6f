"""What users pass beside X, read in one way throughout the package: labels, classes,
weights, names out of a few, and rows of whatever container.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import _safe_indexing, check_array
from sklearn.utils.multiclass import check_classification_targets

__all__ = [
    "Labels",
    "align_columns",
    "check_choice",
    "check_choices",
    "check_n_rows",
    "check_observed",
    "check_weight",
    "column_names",
    "observed_rows",
    "read_classes",
    "read_labels",
    "read_observed",
    "take_rows",
]

# What a list made of a masked array holds in place of a hidden value.
_IS_MASKED = np.frompyfunc(lambda value: value is np.ma.masked, 1, 1)


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Raise a ValueError unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r} is not one of {sorted(choices)}")


def check_choices(name: str, values: Any, choices: Iterable[str]) -> None:
    """Raise a ValueError unless `values` is a sequence of distinct ones of `choices`."""
    known = list(choices)
    if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
        raise ValueError(f"{name} must be a sequence out of {known}, got {values!r}")
    unknown = [value for value in values if value not in known]
    if unknown or len(values) == 0 or len(set(values)) < len(values):
        raise ValueError(f"{name} must be distinct and out of {known}, got {values!r}")


def check_sequence(name: str, value: Any, what: str) -> list[Any]:
    """`value` as a list, if it is a sequence of names or numbers with something in it.

    Raises
    ------
    TypeError, ValueError
        Naming the parameter, its value and `what` is accepted.
    """
    is_text = isinstance(value, (str, bytes, Mapping))
    items = [] if is_text or not isinstance(value, Iterable) else list(value)
    if not (isinstance(value, Iterable) and not is_text) or not all(map(np.isscalar, items)):
        raise TypeError(f"{name} must be {what}, got {value!r}")
    if not items:
        raise ValueError(f"{name} must be {what}, and is empty")
    return items


class Labels(NamedTuple):
    """Numbers to learn or to compare with, as a matrix.

    Attributes
    ----------
    values : ndarray of shape (n, t), float64
        NaN where a label is missing.
    names : list of str or None
        Names that the columns of a table, or a series, brought along.
    single : bool
        Whether they were one-dimensional.
    """

    values: NDArray[np.float64]
    names: list[str] | None
    single: bool

    @property
    def observed(self) -> NDArray[np.bool_]:
        """Rows with a label at least, shape (n,)."""
        return np.asarray(np.isfinite(self.values).any(axis=1))

    def keys(self, single: str = "y", several: str = "y{}") -> list[str]:
        """Names; without any `single`, or of more than one ``y0``, ``y1``, ..."""
        if self.names is not None:
            return self.names
        n_targets = self.values.shape[1]
        return [single] if n_targets == 1 else [several.format(j) for j in range(n_targets)]

    def plain(self) -> Any:
        """Labels for any estimator: NaN where one is missing, of the shape they came in.

        A table or a series of pandas where they had names, else an array.
        """
        import pandas as pd

        values = self.values[:, 0] if self.single else self.values
        if self.names is None:
            return values
        if self.single:
            return pd.Series(values, name=self.names[0])
        return pd.DataFrame(values, columns=self.names)


def column_names(y: Any) -> list[str] | None:
    """Names of a table's columns or of a series, of pandas, polars or whatever has them.

    None where there are none, or one is no text.
    """
    names = getattr(y, "columns", None)
    if names is None:
        name = getattr(y, "name", None)
        return [name] if isinstance(name, str) and name else None
    names = list(names)
    return names if names and all(isinstance(name, str) for name in names) else None


def _cells(y: Any) -> Any:
    """`y` as numpy reads it without turning integers beside a missing one into floats."""
    if isinstance(y, np.ndarray) or not hasattr(y, "to_numpy"):
        return y
    if hasattr(y, "to_list"):  # a series of whatever make
        return y.to_list()
    return y.rows() if hasattr(y, "rows") else y.to_numpy(dtype=object)


def _objects(y: Any) -> NDArray[np.object_]:
    """`y` as an array of Python objects, None where a value is missing in any make."""
    import pandas as pd

    array = np.array(_cells(y), dtype=object)
    missing = np.asarray(pd.isna(array)) | np.asarray(_IS_MASKED(array), dtype=bool)
    if isinstance(y, np.ma.MaskedArray):
        missing |= np.ma.getmaskarray(y)
    array[missing] = None
    return array


def _floats(y: Any, input_name: str, **options: Any) -> NDArray[np.float64]:
    """`y` as float64, NaN for whatever stands for a missing number."""
    if not isinstance(y, np.ndarray) and hasattr(y, "to_numpy"):
        y = y.to_numpy()
    if isinstance(y, (np.ndarray, list, tuple)):
        kind = getattr(y, "dtype", np.dtype(object)).kind
        if kind not in "fiub" or np.ma.isMaskedArray(y):
            y = _numbers(y, input_name)
    return check_array(
        y, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=input_name, **options
    )


def _numbers(y: Any, input_name: str) -> Any:
    try:
        objects = _objects(y)
    except ValueError:  # rows that differ in length: check_array says so
        return y
    objects[objects == None] = np.nan  # noqa: E711
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError):
        wrong = next((v for v in objects.ravel().tolist() if not _is_number(v)), objects)
        raise ValueError(f"{input_name} holds {wrong!r}, which is no number") from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def read_labels(y: Any, *, input_name: str = "y", allow_infinite: bool = False) -> Labels:
    """Read numeric labels of shape (n,) or (n, t).

    Parameters
    ----------
    y : array-like, Series or DataFrame of pandas or polars, or masked array
        Labels. NaN, None, NA and masked values are missing.
    input_name : str, default="y"
        What messages call it.
    allow_infinite : bool, default=False
        Read infinite values as well.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        If a value is infinite or no number, two columns have one name, or there are more
        than two axes.
    """
    finite = False if allow_infinite else "allow-nan"
    values = _floats(y, input_name, ensure_all_finite=finite)
    if values.ndim > 2:
        raise ValueError(
            f"{input_name} has shape {values.shape}, expected (n,) or (n, n_targets)"
        )
    names = column_names(y)
    if names is not None and len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"{input_name} has several columns of the name {twice}")
    single = values.ndim == 1
    return Labels(values.reshape(len(values), -1), names, single)


def read_classes(y: Any, *, input_name: str = "y") -> tuple[NDArray, NDArray[np.bool_]]:
    """Read class labels of shape (n,) or (n, 1).

    Parameters
    ----------
    y : array-like, Series of pandas or polars, or masked array
        Classes. NaN, None, NA and masked values are missing.
    input_name : str, default="y"
        What messages call it.

    Returns
    -------
    labels : ndarray of shape (m,)
        The observed ones.
    observed : ndarray of bool, shape (n,)
        Which they are.

    Raises
    ------
    ValueError
        If there is none, or the labels are of several columns, infinite or continuous.
    TypeError
        If they are of several kinds, such as numbers and text.
    """
    if hasattr(y, "dtype") and getattr(y.dtype, "kind", "O") == "f":
        check_array(
            y, ensure_2d=False, ensure_all_finite="allow-nan", allow_nd=True,
            input_name=input_name,
        )  # fmt: skip
    column = _objects(y)
    if column.ndim == 2 and column.shape[1] == 1:
        warnings.warn(
            f"A column-vector {input_name} was passed when a 1d array was expected. Please "
            "change its shape to (n_samples,), for example using ravel().",
            DataConversionWarning,
            stacklevel=2,
        )
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(
            f"{input_name} should be a 1d array, got an array of shape {column.shape} instead."
        )
    observed: NDArray[np.bool_] = np.array([value is not None for value in column], dtype=bool)
    if not observed.any():
        raise ValueError(f"{input_name} has no observed label: every value is missing")
    known = column[observed].tolist()
    kinds = {_kind(value) for value in known}
    if len(kinds) > 1:
        raise TypeError(
            f"{input_name} holds classes of several kinds, {sorted(kinds)}; "
            "make them all of one kind"
        )
    labels = np.array(known)
    check_classification_targets(labels)
    return labels, observed


def _kind(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, str):
        return "text"
    return "number" if np.isscalar(value) and np.isreal(value) else type(value).__name__


def observed_rows(y: Any) -> NDArray[np.bool_]:
    """Rows with a label at least, of numbers or classes, shape (n,)."""
    known = _objects(y) != None  # noqa: E711
    return np.asarray(known.reshape(len(known), -1).any(axis=1))


def check_n_rows(y: Any, n: int, *, input_name: str = "y") -> None:
    """Raise a ValueError unless `y` has as many rows as X."""
    if len(y) != n:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: X has {n} rows, "
            f"{input_name} has {len(y)}"
        )


def check_observed(
    labels: Labels, weight: NDArray[np.float64] | None = None, *, input_name: str = "y"
) -> None:
    """Raise a ValueError that names the targets without any label.

    Parameters
    ----------
    labels : Labels
        What was given.
    weight : ndarray of shape (n,) or None, default=None
        Weights of the rows; a row without any counts as one without labels.
    input_name : str, default="y"
        What messages call the labels.

    Raises
    ------
    ValueError
        If a target has no label.
    """
    observed = np.isfinite(labels.values)
    why = ": every value is NaN"
    if weight is not None and observed.any(axis=0).all():
        observed &= (weight > 0)[:, np.newaxis]
        why = " with a weight above zero"
    counts = observed.sum(axis=0)
    if not counts.all():
        keys: Iterable[Any] = labels.names or range(len(counts))
        which = [key for key, count in zip(keys, counts, strict=True) if count == 0]
        raise ValueError(f"targets {which} of {input_name} have no observed label{why}")


def read_observed(y: Any, n: int, *, input_name: str = "y") -> Labels:
    """Read the numeric labels of n rows, a label at least of each target.

    Parameters
    ----------
    y : array-like, Series or DataFrame of pandas or polars, or masked array
        As for :func:`read_labels`.
    n : int
        Number of rows of X.
    input_name : str, default="y"
        What messages call it.

    Returns
    -------
    Labels

    Raises
    ------
    ValueError
        As :func:`read_labels`, and if there are not n rows or a target has no label.
    """
    labels = read_labels(y, input_name=input_name)
    check_n_rows(labels.values, n, input_name=input_name)
    check_observed(labels, input_name=input_name)
    return labels


def align_columns(
    labels: Labels, names: Sequence[str] | None, n_targets: int, *, input_name: str = "y"
) -> Labels:
    """Bring labels to the targets that are expected: by name where both have names.

    Parameters
    ----------
    labels : Labels
        What was given.
    names : sequence of str or None
        Names of the expected targets.
    n_targets : int
        Their number.
    input_name : str, default="y"
        What messages call it.

    Returns
    -------
    Labels
        In the expected order.

    Raises
    ------
    ValueError
        If the number or the names of the targets differ.
    """
    if labels.names is not None and names is not None:
        if set(labels.names) != set(names):
            raise ValueError(
                f"{input_name} holds the targets {labels.names}, expected {list(names)}"
            )
        order = [labels.names.index(name) for name in names]
        return Labels(labels.values[:, order], list(names), labels.single)
    if labels.values.shape[1] != n_targets:
        raise ValueError(
            f"{input_name} has {labels.values.shape[1]} targets, expected {n_targets}"
        )
    return labels


def check_weight(sample_weight: Any, n: int) -> NDArray[np.float64]:
    """Weights of n rows, shape (n,); ones by default, a number for all.

    Raises
    ------
    ValueError
        If they are not n finite, non-negative numbers, or all zero.
    """
    if sample_weight is None:
        return np.ones(n)
    if np.isscalar(sample_weight):
        sample_weight = np.full(n, sample_weight)
    weight = _floats(sample_weight, "sample_weight")
    if weight.shape != (n,):
        raise ValueError(f"sample_weight has shape {weight.shape}, expected ({n},)")
    if (weight < 0).any():
        raise ValueError(f"sample_weight must not be negative, got {weight.min()}")
    if not weight.any():
        raise ValueError("sample_weight is zero in every row")
    return weight


def take_rows(data: Any, rows: NDArray) -> Any:
    """Rows of an array, a table, a series, a record, or a list, by position or mask."""
    if isinstance(data, (list, tuple)) or hasattr(data, "shape"):
        return _safe_indexing(data, rows)
    return data[rows]  # records of this package know what a row is

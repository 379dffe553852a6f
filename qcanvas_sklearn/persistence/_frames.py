"""Tables of pandas as columns and an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["frame_of", "parts_of"]

#: Types of pandas' own whose missing values are not among the values.
_NULLABLE = (
    "boolean", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64",
    "Float32", "Float64",
)  # fmt: skip


def parts_of(frame: pd.DataFrame, where: str) -> dict[str, Any]:
    """Columns, index and attributes of a table.

    Raises
    ------
    TypeError
        If it has levels of names, or columns of dates, categories or the like.
    """
    return {
        "names": _parts_of_names(frame.columns, where),
        "columns": [_parts(frame.iloc[:, k], where) for k in range(frame.shape[1])],
        "rows": _parts_of_names(frame.index, where),
        "attributes": dict(frame.attrs),
    }


def _parts_of_names(names: pd.Index, where: str) -> tuple[Any, Any]:
    """What names are, or how many there are of them, and what they are called."""
    if isinstance(names, pd.MultiIndex):
        raise TypeError(f"{where} has names of many levels, which a model file cannot hold")
    plain = type(names) is pd.RangeIndex and (names.start, names.step) == (0, 1)
    return len(names) if plain else _parts(names, where), names.name


def _parts(column: Any, where: str) -> tuple[str, NDArray]:
    """Type and values of a column."""
    if isinstance(column.dtype, np.dtype):
        return "numpy", column.to_numpy()
    if isinstance(column.dtype, pd.StringDtype):
        return "text", column.to_numpy(dtype=object, na_value=None)
    if column.dtype.name in _NULLABLE:
        return column.dtype.name, column.to_numpy(dtype=object, na_value=None)
    raise TypeError(
        f"{where} has a column of type {column.dtype}, which a model file cannot hold"
    )


def _column(parts: tuple[str, NDArray]) -> pd.Series:
    kind, values = parts
    if kind == "numpy":
        return pd.Series(values, dtype=values.dtype)
    if kind == "text":
        return pd.Series(values.tolist(), dtype=None if len(values) else str)
    if kind not in _NULLABLE:
        raise ValueError(f"it holds a column of type {kind!r:.40}")
    return pd.Series(pd.array(values, dtype=kind))


def _names(parts: tuple[Any, Any]) -> pd.Index:
    names, name = parts
    if isinstance(names, int):
        return pd.RangeIndex(names, name=name)
    return pd.Index(_column(names), name=name)


def frame_of(parts: Mapping[str, Any]) -> pd.DataFrame:
    """A table of its parts.

    Raises
    ------
    ValueError
        If the columns are not of one length.
    """
    columns = [_column(column) for column in parts["columns"]]
    names, rows = _names(parts["names"]), _names(parts["rows"])
    if len(names) != len(columns) or any(len(column) != len(rows) for column in columns):
        raise ValueError("it holds a table whose columns are not of one length")
    frame = pd.DataFrame({k: column.array for k, column in enumerate(columns)}, index=rows)
    frame.columns = names
    frame.attrs = dict(parts["attributes"])
    return frame

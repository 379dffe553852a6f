"""Tables of pandas as columns and an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["frame_of", "parts_of"]


def parts_of(frame: pd.DataFrame, where: str) -> dict[str, Any]:
    """Columns, index and attributes of a table.

    Raises
    ------
    TypeError
        If it has levels of names, or a column of a type that is pandas' own.
    """
    if any(isinstance(names, pd.MultiIndex) for names in (frame.index, frame.columns)):
        raise TypeError(f"{where} has names of many levels, which a model file cannot hold")
    index = frame.index
    plain = type(index) is pd.RangeIndex and (index.start, index.step) == (0, 1)
    return {
        "names": frame.columns.tolist(),
        "columns": [_values(frame.iloc[:, k], where) for k in range(frame.shape[1])],
        "index": len(index) if plain else _values(index, where),
        "index_name": index.name,
        "attributes": dict(frame.attrs),
    }


def _values(column: Any, where: str) -> NDArray:
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    if isinstance(column.dtype, pd.StringDtype):
        return column.to_numpy(dtype=object, na_value=None)
    raise TypeError(
        f"{where} has a column of type {column.dtype}, which a model file cannot hold"
    )


def frame_of(parts: Mapping[str, Any]) -> pd.DataFrame:
    """A table of its parts.

    Raises
    ------
    ValueError
        If the columns are not of one length.
    """
    names, columns, index = parts["names"], parts["columns"], parts["index"]
    index = pd.RangeIndex(index) if isinstance(index, int) else pd.Index(index)
    if len(names) != len(columns) or any(np.shape(c) != (len(index),) for c in columns):
        raise ValueError("it holds a table whose columns are not of one length")
    frame = pd.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = pd.Index(names)
    frame.index.name = parts["index_name"]
    frame.attrs = dict(parts["attributes"])
    return frame

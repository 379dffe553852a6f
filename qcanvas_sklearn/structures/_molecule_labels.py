"""Tables of labels of molecules, and the units of their columns."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from ..targets import target_units

__all__ = ["conform_table", "conform_units"]


def conform_table(name: str, table: Any, n: int) -> pd.DataFrame:
    """A table of n rows of float64, NaN where a value is missing.

    Raises
    ------
    TypeError
        If `table` is no DataFrame.
    ValueError
        If it has not n rows, names twice or none, or values that are no numbers.
    """
    if table is None:
        return pd.DataFrame(index=pd.RangeIndex(n))
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"{name} must be a DataFrame, got {type(table).__name__}")
    if len(table) != n:
        raise ValueError(f"{name} has {len(table)} rows, expected {n}")
    wrong = [column for column in table.columns if not isinstance(column, str) or not column]
    if wrong or table.columns.has_duplicates:
        raise ValueError(f"{name} needs distinct names of columns, got {list(table.columns)}")
    columns = {column: _numbers(name, table[column]) for column in table.columns}
    return pd.DataFrame(columns, index=pd.RangeIndex(n))


def _numbers(name: str, column: pd.Series) -> Any:
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} {column.name!r} does not hold numbers: {error}") from None
    if np.isinf(values).any():
        raise ValueError(f"{name} {column.name!r} holds infinite values")
    return values


def conform_units(
    units: Mapping[str, str] | None, *tables: pd.DataFrame
) -> Mapping[str, str]:
    """Unit of every column, ``""`` where nobody knows it; nobody can change it.

    Raises
    ------
    ValueError
        If a unit is given for a column that is not there, or is no text.
    """
    columns = [column for table in tables for column in table.columns]
    given = dict(units or {})
    strange = sorted(set(given) - set(columns))
    if strange:
        raise ValueError(f"units of {strange}, which are no columns; those are {columns}")
    wrong = [unit for unit in given.values() if not isinstance(unit, str)]
    if wrong:
        raise ValueError(f"units must be text, got {wrong[0]!r}")
    return MappingProxyType(target_units(columns) | given)

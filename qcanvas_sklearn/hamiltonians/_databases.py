"""SQLite files of published matrices: opened without writing, their blobs checked."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._files import open_regular
from ..structures._arrays import row_numbers
from ._basis import Basis

__all__ = [
    "BOHR_IN_ANGSTROM",
    "DEF2_SVP",
    "blob",
    "chosen",
    "columns",
    "opened",
    "reading",
]

BOHR_IN_ANGSTROM = 0.529177210903
#: Shells of def2-SVP for the elements of QM9.
DEF2_SVP = Basis(
    {"H": (0, 0, 1)} | {symbol: (0, 0, 0, 1, 1, 2) for symbol in ("C", "N", "O", "F")}
)


@contextmanager
def reading(path: str | os.PathLike[str], what: str) -> Iterator[None]:
    """Say of every error of what a file holds which file it is, and what it should be."""
    try:
        yield
    except (ValueError, KeyError, TypeError, OverflowError, sqlite3.Error) as error:
        raise ValueError(
            f"{os.fspath(path)!r} cannot be read as a file of {what}: {error}"
        ) from error


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[sqlite3.Connection]:
    """A connection to a database that is there, and that nobody writes to.

    Raises
    ------
    OSError
        If the file is absent, a directory or a pipe.
    """
    open_regular(path).close()
    address = f"{Path(path).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        yield connection


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """Names of the columns of a table, none if there is no such table."""
    names = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return [name for (name,) in names]


def chosen(n: int, rows: Any) -> NDArray[np.int64]:
    """Rows of n to read: all for None, else what an index of an array stands for."""
    return np.arange(n) if rows is None else row_numbers(n, rows)


def blob(what: str, value: Any, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray:
    """The array in a blob of little-endian numbers.

    Raises
    ------
    ValueError
        If it is none, or of another size.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    size = math.prod(shape) * kind.itemsize
    if not isinstance(value, bytes) or len(value) != size:
        has = f"{len(value)} bytes" if isinstance(value, bytes) else f"{value!r:.40}"
        raise ValueError(f"{what} holds {has}, expected {size} bytes of {kind.name} {shape}")
    return np.frombuffer(value, kind).astype(dtype).reshape(shape)

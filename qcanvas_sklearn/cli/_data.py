"""Data under a name: pairs or molecules, and the labels that they come with."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._files import open_regular
from .._npz import member_names
from .._validation import take_rows
from ..datasets import load_molecules, load_trajectory, read_npz
from ..datasets._bundled import bundled_pairs
from ..prediction._sources import SEPARATORS, load_pyarrow
from ..structures import PAIR_COLUMNS, Molecules, PairData, check_pairs
from ..targets import resolve_targets, target_units

if TYPE_CHECKING:
    from ..report._anatomy import Anatomy

__all__ = [
    "DATA_HELP",
    "WORDS",
    "Data",
    "check_rows",
    "is_table",
    "labelled_rows",
    "open_data",
    "open_record",
]

_DISTANCE = "distance_ang"

#: Data that ship with the package.
WORDS = ("bundled", "molecules", "ethanol", "aspirin")
DATA_HELP = (
    ".csv, .tsv or .parquet of pairs (columns element_1, element_2, and distance_ang in Å "
    "where there are several distances); .npz of PairData or Molecules; any file of "
    "structures that ASE reads; or what ships with the package: " + ", ".join(WORDS)
)


@dataclass(frozen=True)
class Data:
    """Rows and what is known of them.

    Attributes
    ----------
    name : str
        What the user calls them.
    kind : str
        What they are, in words.
    rows : DataFrame or Molecules
        Pairs with all their columns, or molecules.
    record : PairData, Molecules or None
        The record that they come from; None of a table.
    """

    name: str
    kind: str
    rows: Any
    record: PairData | Molecules | None

    @classmethod
    def of_record(cls, name: str, kind: str, record: PairData | Molecules) -> Data:
        """The rows of a record."""
        if isinstance(record, Molecules):
            return cls(name, kind, record, record)
        rows = pd.DataFrame(record.elements, columns=list(PAIR_COLUMNS), dtype=object)
        rows[_DISTANCE] = record.bond_lengths
        return cls(name, kind, rows, record)

    @property
    def of_molecules(self) -> bool:
        """Whether the rows are molecules."""
        return isinstance(self.rows, Molecules)

    @property
    def has_forces(self) -> bool:
        """Whether the rows are molecules with forces on their atoms."""
        return isinstance(self.rows, Molecules) and self.rows.forces is not None

    @property
    def what(self) -> str:
        """The data in one line."""
        origin = getattr(self.record, "provenance", "")
        unit = "molecules" if self.of_molecules else "pairs"
        name = "" if self.name in ("", *WORDS) else f" {os.path.basename(self.name)}"
        text = f"{self.kind}{name}, {len(self.rows)} {unit}"
        return f"{text}: {origin}" if origin else text

    @property
    def available(self) -> list[str]:
        """What can be learned."""
        if isinstance(self.record, PairData):
            return list(self.record.labels)
        if isinstance(self.rows, Molecules):
            return list(self.rows.labels)
        return [str(name) for name in self.rows if name not in PAIR_COLUMNS]

    def units(self, names: Sequence[str]) -> dict[str, str]:
        """Units by target."""
        known = target_units(names)
        if isinstance(self.rows, Molecules):
            known |= {name: self.rows.units.get(name, "") for name in names}
        return known

    def targets(self, names: Sequence[str] | None, *, classes: bool = False) -> pd.DataFrame:
        """Labels by name, missing ones NaN or None.

        Parameters
        ----------
        names : sequence of str or None
            Labels; of a record of pairs groups of them as well.
        classes : bool, default=False
            Leave them as they are, in place of numbers.

        Raises
        ------
        ValueError
            If there are no such labels, or a label is no number.
        """
        if not names:
            raise ValueError(
                f"name what to learn by --target; {self.name} has {', '.join(self.available)}"
            )
        if isinstance(self.record, PairData):
            table = self.record.labels[resolve_targets(list(names))]
        else:
            table = self.rows.labels if isinstance(self.rows, Molecules) else self.rows
            absent = [name for name in names if name not in self.available]
            if absent:
                raise ValueError(
                    f"{self.name} has no columns {absent}; it has {', '.join(self.available)}"
                )
            table = table[list(dict.fromkeys(names))]
        table = table.reset_index(drop=True)
        return _classes(table) if classes else table.apply(_as_numbers)


def is_table(name: str) -> bool:
    """Whether a name is that of a table of pairs."""
    return Path(name).suffix.lower() in (*SEPARATORS, ".parquet")


def open_record(name: str) -> tuple[str, PairData | Molecules]:
    """The record under a name, and what kind of source it is.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it cannot be read.
    ImportError
        If ASE is wanted and not installed.
    """
    if name == "bundled":
        return "bundled table", bundled_pairs()
    if name == "molecules":
        return "bundled molecules", load_molecules(return_X_y=True)[0]
    if name in WORDS:
        return f"bundled trajectory of {name}", load_trajectory(name, return_X_y=True)[0]
    if Path(name).is_dir():
        raise ValueError(
            f"{name!r} is a directory; 'qcanvas build {name} OUT.npz' makes a file of DFTB+ "
            "runs"
        )
    if Path(name).suffix.lower() != ".npz":
        return "structures", Molecules.read(name)
    with open_regular(name) as file:
        try:
            members = member_names(file)
        except ValueError as error:
            raise ValueError(f"{name!r} cannot be read: {error}") from None
    if "ptr" in members:
        return "Molecules", Molecules.load(name)
    if "positions" in members:
        return "PairData", PairData.load(name)
    return "archive", read_npz(name)


def open_data(name: str) -> Data:
    """The data under a name.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it cannot be read, or a table has no pairs.
    ImportError
        If a package for the format is not installed.
    """
    if is_table(name):
        return Data(name, "table", _read_table(name), None)
    return Data.of_record(name, *open_record(name))


def labelled_rows(
    data: Data, anatomy: Anatomy, target: Sequence[str] | None
) -> tuple[Any, pd.DataFrame]:
    """Rows that have a label of what a model predicts, and their labels.

    Parameters
    ----------
    data : Data
        The rows.
    anatomy : Anatomy
        The fitted model.
    target : sequence of str or None
        Names of what it predicts; None where the model knows.

    Raises
    ------
    ValueError
        If nobody knows what it predicts, or there is no label of it.
    """
    names = target or anatomy.target_names
    if not names:
        raise ValueError(
            "the model does not hold the names of its targets; name them with --target out of "
            + ", ".join(data.available)
        )
    labels = data.targets(names, classes=anatomy.is_classifier)
    rows = labels.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(rows):
        raise ValueError(f"{data.name} has no label of {', '.join(labels)}")
    check_rows(data.rows if data.of_molecules else data.rows[list(PAIR_COLUMNS)], rows)
    return take_rows(data.rows, rows), labels.iloc[rows].reset_index(drop=True)


def check_rows(X: Any, rows: NDArray[np.int64]) -> None:
    """See whether some rows of a table hold pairs.

    Parameters
    ----------
    X : DataFrame or Molecules
        What is taken of all rows; those of molecules have been checked.
    rows : ndarray of int
        Which ones.

    Raises
    ------
    TypeError, ValueError
        Of the first that holds none, by its number among all.
    """
    if isinstance(X, Molecules):
        return
    try:
        check_pairs(take_rows(X, rows))
    except (TypeError, ValueError) as error:
        found = re.match(r"row (\d+): ", str(error))
        if found is None:
            raise
        text = str(error)[found.end() :]
        raise type(error)(f"row {rows[int(found[1])]}: {text}") from None


def _read_table(name: str) -> pd.DataFrame:
    suffix = Path(name).suffix.lower()
    with open_regular(name) as file:
        try:
            if suffix == ".parquet":
                load_pyarrow()
                table = pd.read_parquet(file)
            else:
                # "NA" and the like are missing in columns of numbers only: see below.
                table = pd.read_csv(
                    file, sep=SEPARATORS[suffix], dtype=str, keep_default_na=False,
                    index_col=False, encoding="utf-8-sig",
                )  # fmt: skip
        except ImportError:
            raise
        except Exception as error:  # a parser may fail in many ways
            what = " ".join(str(error).split())
            raise ValueError(f"{name!r} cannot be read: {what}") from None
    absent = [column for column in PAIR_COLUMNS if column not in table]
    if absent:
        raise ValueError(f"{name!r} has no columns {absent}, but {list(table.columns)}")
    if not len(table):
        raise ValueError(f"{name!r} has no rows")
    table[list(PAIR_COLUMNS)] = table[list(PAIR_COLUMNS)].astype(object)
    if _DISTANCE in table:
        table[_DISTANCE] = _as_numbers(table[_DISTANCE])
    return table


_MISSING = ("", "na", "n/a", "nan", "none", "null")


def _as_numbers(column: pd.Series) -> pd.Series:
    """Labels as numbers, NaN where one is missing."""
    if column.dtype.kind in "iufb":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.Series(values, index=column.index, name=column.name)
    missing = column.isna() | column.astype(str).str.strip().str.lower().isin(_MISSING)
    numbers = pd.to_numeric(column.where(~missing, np.nan), errors="coerce")
    numbers = numbers.astype(np.float64)
    bad = (numbers.isna() & ~missing) | np.isinf(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"row {row}: {column.iloc[row]!r} in {column.name} is no number")
    return numbers


def _classes(table: pd.DataFrame) -> pd.DataFrame:
    objects = table.astype(object)
    missing = table.isna() | (table.astype(str).apply(lambda c: c.str.strip()) == "")
    return objects.where(~missing, None)

"""Label tables that lie beside raw DFTB+ runs, and take precedence over their output."""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..targets import IDENTITIES, LABELS, Label
from ._dftbplus_text import decoded
from ._labels import DIPOLE_LABELS, metal_like

__all__ = ["LabelTable", "find_label_tables", "merge_labels", "read_label_table"]

LABEL_FILES = ("dftb_ptbp_combined.csv", "bond_distances_all.csv")
_NAME_COLUMNS = ("run_dir", "pair_name", "system_id_guess")
# Columns beside the labels in the tables of the published builder, and an index.
_COMPANY = re.compile(r"natoms|pair|pair_sorted|(species_|[xyz])[12]|unnamed: 0|")
_TRUTH = {"true": 1.0, "false": 0.0}
_N_LISTED = 5


class LabelTable(NamedTuple):
    """A label table.

    Attributes
    ----------
    path : Path
        Where it was read.
    labels : DataFrame of shape (n, k)
        Its labels, by the name of the run.
    """

    path: Path
    labels: pd.DataFrame


def find_label_tables(root: Path, labels: str | os.PathLike[str] | None) -> list[Path]:
    """Paths of the tables that the parameter `labels` of `read_dftbplus` stands for."""
    if labels is None:
        return []
    if labels == "auto":
        found = []
        for name in LABEL_FILES:
            places = [place / name for place in (root, root.absolute().parent)]
            found += [path for path in places if path.is_file()][:1]
        return found
    if not isinstance(labels, (str, os.PathLike)):
        raise TypeError(f"labels must be 'auto', a path or None, got {type(labels).__name__}")
    path = Path(labels)
    if path.is_file():
        return [path]
    found = [path / name for name in LABEL_FILES if (path / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{os.fspath(labels)!r} is neither a label table nor a directory that holds "
            f"{' or '.join(LABEL_FILES)}"
        )
    return found


# ---------------------------------------------------------------------- reading


def read_label_table(path: Path) -> LabelTable:
    """Read a label table.

    Raises
    ------
    ValueError
        If it is damaged or names no runs, a column or a run stands there twice, or a
        value is not of its label's kind.

    Warns
    -----
    UserWarning
        If there are columns that mean nothing here.
    """
    try:
        # As text and without a header, pandas neither renames what is there twice nor
        # takes the first column for an index.
        text = StringIO(decoded(path))
        cells = pd.read_csv(text, header=None, dtype=str, skipinitialspace=True)
        cells = cells.apply(lambda column: column.str.strip()).replace("", np.nan)
        table = cells.iloc[1:].set_axis(_check_header(cells.iloc[0]), axis=1)
        names = _run_names(table)
        columns = {key: _read_column(table[key], LABELS[key]) for key in LABELS if key in table}
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{path}: not a usable label table: {error}") from error
    _report_unknown(path, table.columns)
    return LabelTable(path, pd.DataFrame(columns, index=names))


def _check_header(header: pd.Series) -> list[str]:
    written = header.fillna("").tolist()
    columns = [name.lower() for name in written]
    for name in columns:
        twins = [given for given in written if given.lower() == name]
        if len(twins) > 1 and name:
            raise ValueError(f"the columns {twins} are one and the same")
    return columns


def _run_names(table: pd.DataFrame) -> list[str]:
    keys = [column for column in _NAME_COLUMNS if column in table]
    if not keys:
        raise ValueError(f"none of the columns {list(_NAME_COLUMNS)}")
    unnamed = table[keys[0]].isna().to_numpy()
    if unnamed.any():
        raise ValueError(f"row {int(unnamed.argmax()) + 1} has no {keys[0]!r}")
    paths = [name.replace("\\", "/").rstrip("/") for name in table[keys[0]]]
    names = [path.rsplit("/", 1)[-1] for path in paths]
    seen = set()
    for name in names:
        if name in seen or _turned(name) in seen:
            raise ValueError(f"more than one row for {name!r}")
        seen.add(name)
    return names


def _turned(name: str) -> str:
    return "_".join(reversed(name.split("_")))


def _read_column(cells: pd.Series, label: Label) -> NDArray[np.object_]:
    values = [None if pd.isna(cell) else _read_cell(cell, label) for cell in cells]
    return np.fromiter(values, dtype=object, count=len(values))


def _read_cell(cell: str, label: Label) -> float | bool | str:
    if label.kind == "string":
        return cell
    text = cell.lower()
    try:
        value = _TRUTH[text] if label.kind == "bool" and text in _TRUTH else float(text)
    except ValueError:
        value = math.nan
    if math.isinf(value):
        raise ValueError(f"column {label.key!r} holds infinite values")
    if math.isnan(value) or (label.kind == "bool" and value not in (0.0, 1.0)):
        kind = "a number" if label.kind == "float" else "true or false, nor 1 or 0"
        raise ValueError(f"column {label.key!r} holds {cell!r}, which is not {kind}")
    return bool(value) if label.kind == "bool" else value


def _report_unknown(path: Path, columns: Iterable[str]) -> None:
    unknown = []
    for name in columns:
        if name not in LABELS and name not in _NAME_COLUMNS and not _COMPANY.fullmatch(name):
            meant = get_close_matches(name, LABELS, n=1, cutoff=0.8)
            unknown.append(repr(name) + (f" (is {meant[0]!r} meant?)" if meant else ""))
    if unknown:
        warnings.warn(f"{path}: columns that are no labels are left out: {', '.join(unknown)}")


# ---------------------------------------------------------------------- merging


def merge_labels(
    labels: pd.DataFrame,
    tables: Sequence[LabelTable],
    names: Sequence[str],
    turn: NDArray[np.float64],
    *,
    skipped: Sequence[str] = (),
) -> pd.DataFrame:
    """Put the values of tables in place of those of the output, with what follows from them.

    Parameters
    ----------
    labels : DataFrame of shape (n, k)
        Labels of the output.
    tables : sequence of LabelTable
        The later ones take precedence.
    names : sequence of str
        Names of the n runs.
    turn : ndarray of shape (n, 3)
        Signs by which directed labels change in canonical order.
    skipped : sequence of str, default=()
        Names of runs that were left out.

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If a table concerns none of the runs.

    Warns
    -----
    UserWarning
        If tables name pairs the other way round. The directions of their dipoles are then
        unknown, and those of the output remain.
    """
    out = labels.copy()
    given = pd.DataFrame(False, index=out.index, columns=list(LABELS))
    for path, table in tables:
        lines, turned = _lines_of_runs(path, table, names, skipped)
        rows = table.reindex(lines).reset_index(drop=True)
        for axis, key in enumerate(DIPOLE_LABELS):
            if key in rows:
                rows[key] = (rows[key] * turn[:, axis]).where(~turned)
        for key in rows:
            known = out[key].astype(object) if key in out else None
            out[key] = rows[key].where(rows[key].notna(), known)
            given[key] |= rows[key].notna()
    return _derive_anew(out, given) if tables else out


def _lines_of_runs(
    path: Path, table: pd.DataFrame, names: Sequence[str], skipped: Sequence[str]
) -> tuple[list[str], NDArray[np.bool_]]:
    """Names by which the table knows the runs, and whether it turns them round."""
    lines = [name if name in table.index else _turned(name) for name in names]
    known = np.isin(lines, table.index)
    if not known.any() and not set(skipped) & set(table.index):
        raise ValueError(
            f"{path}: none of its rows is of a run here: it is about "
            f"{_listed(table.index)}, the runs are {_listed(names)}; leave it out by "
            "labels=None"
        )
    turned = known & (np.array(lines) != np.array(names))
    if turned.any():
        what = _listed([line for line, other in zip(lines, turned, strict=True) if other])
        warnings.warn(
            f"{path}: names pairs the other way round than their runs do: {what}. Directions "
            "of their dipoles are those of the output"
        )
    return lines, turned


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _N_LISTED} more" if len(names) > _N_LISTED else ""
    return ", ".join(map(repr, names[:_N_LISTED])) + more if names else "none"


def _derive_anew(labels: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Compute what follows from given labels, unless that is given too."""
    out, touched = labels.copy(), given.copy()

    def follows(key: str, inputs: Sequence[str]) -> pd.Series:
        stale = touched[list(inputs)].any(axis=1) & ~given[key]
        touched[key] |= stale
        return stale

    for identity in IDENTITIES:
        # The dipole of an output is its own, not that of point charges.
        if identity.target != "dipole_mag_d" and all(key in out for key in identity.inputs):
            stale = follows(identity.target, identity.inputs)
            columns = [out[key].to_numpy(dtype=np.float64) for key in identity.inputs]
            derived = pd.Series(identity.function(*columns), index=out.index)
            out[identity.target] = derived.where(stale, out[identity.target])
    size = np.linalg.norm(out[DIPOLE_LABELS].to_numpy(dtype=np.float64), axis=1)
    stale = follows("dipole_mag_d", DIPOLE_LABELS)
    out["dipole_mag_d"] = out["dipole_mag_d"].where(~stale, size)
    stale = follows("metal_like", ["e_g_ev"])
    metal = metal_like(out["e_g_ev"].astype(np.float64))
    out["metal_like"] = out["metal_like"].where(~stale, metal)
    return out

"""Raw DFTB+ runs as a source of `PairData`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from numpy.typing import NDArray

from ..elements import alphabetical_rank, atomic_numbers
from ..structures import PairData
from ..targets import LABELS, derive_targets
from ._dftbplus_parser import RUN_FILES, Compat, Run, is_pair_name, parse_run
from ._labels import DIPOLE_LABELS, metal_like

__all__ = ["OnError", "read_dftbplus"]

OnError = Literal["raise", "warn"]

_LABEL_FILES = ("dftb_ptbp_combined.csv", "bond_distances_all.csv")
_NAME_COLUMNS = ("run_dir", "pair_name", "system_id_guess")
_TRUTH = {"True": 1.0, "False": 0.0}
# Half a turn about x turns a pair upside down and changes no orbital population, since
# it takes every real orbital to plus or minus itself.
_HALF_TURN_ABOUT_X = np.array([1.0, -1.0, -1.0])


class Failure(NamedTuple):
    """A run that could not be read, and why."""

    name: str
    reason: str


def read_dftbplus(
    raw_dir: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = "auto",
    n_jobs: int | None = None,
    on_error: OnError = "raise",
    compat: Compat = None,
) -> PairData:
    """Read raw DFTB+ runs of diatomics.

    Each directory ``<raw_dir>/<pair>`` is one run with ``detailed.out`` and
    ``geo_end.xyz``. Frontier levels come from ``band.out``, or from ``results.tag``;
    without either they are missing. Runs with and without spin polarisation, and the
    output of different versions of DFTB+, are read alike. All labels are read off the
    output; those of label tables take precedence.

    Parameters
    ----------
    raw_dir : path-like
        Directory of the runs.
    labels : "auto", path-like or None, default="auto"
        Label tables to merge, as the published builder reads them:
        ``dftb_ptbp_combined.csv`` and ``bond_distances_all.csv``, matched by the last part
        of ``run_dir``. ``"auto"`` looks for them in `raw_dir` and its parent; a path is
        one such file or a directory that holds at least one; None merges nothing.
    n_jobs : int or None, default=None
        Processes to read with, as in joblib; None is one.
    on_error : {"raise", "warn"}, default="raise"
        What to do about runs that are unfinished, damaged, not converged, or not of two
        atoms along z: raise, or leave them out with one warning and list them in
        ``skipped``.
    compat : {"published"} or None, default=None
        ``"published"`` reproduces a defect of the builder of the published archive: its
        pattern knows no minus sign, so that of each run the orbitals from the first
        negative population on are lost, those of the second atom included. About a third
        of the pairs are concerned. Such rows say so in ``quality``. Use it only to compare
        with the published images, which :func:`build_archive` draws from it: where an
        atom has lost all its orbitals they show the other alone, in the middle. Such an
        image is none of a pair: :func:`~qcanvas_sklearn.images.recover_amplitudes` refuses
        it, and it cannot be redrawn at other sizes.

    Returns
    -------
    PairData
        Sorted by name, atoms in canonical order. Where atom 1 then lies above atom 2, the
        pair is turned about the x axis, with its dipole. ``fermi_level_ev`` is the mean
        of both spins where they differ.

    Raises
    ------
    FileNotFoundError
        If `raw_dir` or `labels` does not exist.
    ValueError
        If there are no runs, or with ``on_error="raise"`` one that cannot be used; the
        message names its file.

    References
    ----------
    .. [1] B. Hourahine et al., J. Chem. Phys. 152, 124101 (2020).
    .. [2] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import read_dftbplus
    >>> pairs = read_dftbplus("raw_data", on_error="warn")  # doctest: +SKIP
    """
    if on_error not in get_args(OnError):
        raise ValueError(f"on_error must be 'raise' or 'warn', got {on_error!r}")
    if compat not in (None, "published"):
        raise ValueError(f"compat must be None or 'published', got {compat!r}")
    root = Path(raw_dir)
    directories = _find_runs(root)
    tables = [_read_label_table(path) for path in _find_label_tables(root, labels)]
    runs, failures = _read_runs(directories, n_jobs, on_error, compat)
    if failures and not runs:
        raise ValueError(f"none of {len(failures)} runs is usable: {failures[0].reason}")
    if failures:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in failures)
        warnings.warn(
            f"left out {len(failures)} of {len(directories)} runs: {reasons}",
            stacklevel=2,
        )
    return _assemble(runs, tables, failures, compat)


def _find_runs(root: Path) -> list[Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"no directory {os.fspath(root)!r} of DFTB+ runs")

    def is_run(path: Path) -> bool:
        return path.is_dir() and (
            is_pair_name(path.name) or any((path / name).exists() for name in RUN_FILES)
        )

    found = sorted(path for path in root.iterdir() if is_run(path))
    if not found:
        raise ValueError(
            f"{os.fspath(root)!r} holds no DFTB+ runs; expected <pair>/{RUN_FILES[0]} and "
            f"<pair>/{RUN_FILES[1]}, as in Ag_Al/{RUN_FILES[0]}"
        )
    return found


# ------------------------------------------------------------------------- runs


def _read_chunk(
    directories: Sequence[Path], on_error: OnError, compat: Compat
) -> list[Run | Failure]:
    outcomes: list[Run | Failure] = []
    for directory in directories:
        try:
            outcomes.append(parse_run(directory, compat))
        except ValueError as error:
            outcomes.append(Failure(directory.name, str(error)))
            if on_error == "raise":
                break
    return outcomes


def _read_runs(
    directories: list[Path], n_jobs: int | None, on_error: OnError, compat: Compat
) -> tuple[list[Run], list[Failure]]:
    n_chunks = min(effective_n_jobs(n_jobs), len(directories))
    size = -(-len(directories) // n_chunks)
    chunks = [directories[i : i + size] for i in range(0, len(directories), size)]
    parts = Parallel(n_jobs=n_jobs)(
        delayed(_read_chunk)(chunk, on_error, compat) for chunk in chunks
    )
    runs, failures = [], []
    first: dict[tuple[str, ...], str] = {}
    for outcome in (outcome for part in parts for outcome in part):
        if isinstance(outcome, Run):
            twin = first.setdefault(tuple(sorted(outcome.elements)), outcome.name)
            if twin == outcome.name:
                runs.append(outcome)
                continue
            outcome = Failure(outcome.name, f"{outcome.name}: the same pair as {twin}")
        if on_error == "raise":
            raise ValueError(outcome.reason)
        failures.append(outcome)
    return runs, failures


def _assemble(
    runs: list[Run], tables: list[pd.DataFrame], failures: list[Failure], compat: Compat
) -> PairData:
    """Stack the runs in canonical order and complete their labels."""
    elements = np.array([run.elements for run in runs])
    rank = alphabetical_rank()[atomic_numbers(elements)]
    order = np.argsort(rank, axis=1, kind="stable")

    def canonical(name: str) -> NDArray:
        values = np.stack([getattr(run, name) for run in runs])
        return values[np.arange(len(runs))[:, None], order]

    elements = canonical("elements")
    positions = canonical("positions")
    upside_down = positions[:, 0, 2] > positions[:, 1, 2]
    turn = np.where(upside_down[:, None], _HALF_TURN_ABOUT_X, 1.0)
    dipole = np.stack([run.dipole for run in runs]) * turn
    labels = pd.DataFrame([run.labels for run in runs])
    labels[DIPOLE_LABELS] = dipole
    labels["system_id_guess"] = [f"{a}_{b}" for a, b in elements]
    labels = _merge_labels(_complete_labels(labels), tables, [run.name for run in runs], turn)
    provenance = "raw DFTB+ runs"
    if compat == "published":
        provenance += ", orbitals cut at the first negative population as published"
    pairs = PairData(
        elements,
        # Adding zero turns -0.0 into 0.0.
        positions * turn[:, None] + 0.0,
        canonical("orbital_populations"),
        canonical("charges"),
        dipole + 0.0,
        labels,
        provenance,
        populations=canonical("populations"),
        quality=np.array([_quality(run) for run in runs]),
        skipped=tuple((name, reason) for name, reason in failures),
    )
    return pairs[np.argsort(pairs.names, kind="stable")]


def _quality(run: Run) -> str:
    return f"{run.n_lost} orbitals lost in the published reading" if run.n_lost else "ok"


# ----------------------------------------------------------------------- labels


def _complete_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Add the labels that follow from those of the output."""
    for key in ("e_homo_ev", "e_lumo_ev"):
        values = labels[key] if key in labels else pd.Series(np.nan, labels.index)
        labels[key] = values.astype(np.float64)
    labels = derive_targets(labels)
    labels["metal_like"] = metal_like(labels["e_g_ev"])
    return labels


def _find_label_tables(root: Path, labels: str | os.PathLike[str] | None) -> list[Path]:
    if labels is None:
        return []
    if labels == "auto":
        found = []
        for name in _LABEL_FILES:
            places = [place / name for place in (root, root.absolute().parent)]
            found += [path for path in places if path.is_file()][:1]
        return found
    if not isinstance(labels, (str, os.PathLike)):
        raise TypeError(f"labels must be 'auto', a path or None, got {type(labels).__name__}")
    path = Path(labels)
    if path.is_file():
        return [path]
    found = [path / name for name in _LABEL_FILES if (path / name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{os.fspath(labels)!r} is neither a label table nor a directory that holds "
            f"{' or '.join(_LABEL_FILES)}"
        )
    return found


def _read_label_table(path: Path) -> pd.DataFrame:
    """Labels of a table, indexed by the name of the run."""
    try:
        table = pd.read_csv(path)
        table.columns = [str(column).lower() for column in table.columns]
        keys = [column for column in _NAME_COLUMNS if column in table]
        if not keys:
            raise ValueError(f"none of the columns {list(_NAME_COLUMNS)}")
        index = [str(name).replace("\\", "/").rstrip("/") for name in table[keys[0]]]
        out = pd.DataFrame(index=[name.rsplit("/", 1)[-1] for name in index])
        for key in (key for key in LABELS if key in table):
            values = table[key]
            if LABELS[key].kind == "string":
                values = values.astype(object).where(values.notna(), None)
            else:
                if values.dtype.kind not in "biuf":
                    values = values.map(lambda value: _TRUTH.get(value, value))
                values = pd.to_numeric(values).astype(np.float64)
                if np.isinf(values).any():
                    raise ValueError(f"column {key!r} holds infinite values")
            out[key] = values.to_numpy()
        if out.index.has_duplicates:
            name = out.index[out.index.duplicated()][0]
            raise ValueError(f"more than one row for {name!r}")
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{path}: not a usable label table: {error}") from error
    return out


def _merge_labels(
    labels: pd.DataFrame, tables: list[pd.DataFrame], names: list[str], turn: NDArray
) -> pd.DataFrame:
    """Put the values of the tables in place of those of the output."""
    out = labels.copy()
    for table in tables:
        rows = table.reindex(names)
        for axis, key in enumerate(DIPOLE_LABELS):
            if key in rows:
                rows[key] = rows[key] * turn[:, axis]
        for key in rows:
            given = rows[key].reset_index(drop=True).astype(object)
            known = out[key].astype(object) if key in out else None
            out[key] = given.where(given.notna(), known)
            if LABELS[key].kind == "bool":
                out[key] = out[key].map(lambda value: None if pd.isna(value) else bool(value))
    return out

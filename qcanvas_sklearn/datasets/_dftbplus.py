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
from ..targets import derive_targets
from ._dftbplus_parser import RUN_FILES, Compat, Run, is_pair_name, parse_run
from ._label_tables import LabelTable, find_label_tables, merge_labels, read_label_table
from ._labels import DIPOLE_LABELS, metal_like
from ._summary import check_pair_data

__all__ = ["OnError", "read_dftbplus"]

OnError = Literal["raise", "warn"]

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
        of ``run_dir``, in whichever order it names the elements. What follows from a
        merged value is computed anew. ``"auto"`` looks for them in `raw_dir` and its
        parent; a path is one such file or a directory that holds at least one; None
        merges nothing.
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
        If there are no runs, or with ``on_error="raise"`` one that cannot be used; if a
        label table is damaged, is about other pairs only, or contradicts the output. The
        message names the file.

    Warns
    -----
    UserWarning
        If runs are left out, or if a label table has columns that are no labels, or names
        pairs the other way round: then directions of their dipoles are not taken from it.

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
    tables = [read_label_table(path) for path in find_label_tables(root, labels)]
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
    runs: list[Run], tables: list[LabelTable], failures: list[Failure], compat: Compat
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
    labels = merge_labels(
        _complete_labels(labels), tables, [run.name for run in runs], turn,
        skipped=[failure.name for failure in failures],
    )  # fmt: skip
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
    if tables:
        _check_tables(tables, pairs)
    return pairs[np.argsort(pairs.names, kind="stable")]


def _check_tables(tables: list[LabelTable], pairs: PairData) -> None:
    """Refuse labels that contradict the runs or each other."""
    for check, passed, detail in check_pair_data(pairs):
        if passed is False:
            paths = " and ".join(str(table.path) for table in tables)
            raise ValueError(
                f"{paths}: labels that contradict the output or each other: {check}: {detail}"
            )


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

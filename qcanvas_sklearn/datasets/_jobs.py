"""Jobs of a program: computed in parallel, each kept on disk as soon as it is done."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from .._files import data_home
from .._progress import tqdm
from ..structures import save_atomically

__all__ = ["Job", "Settings", "cache_directory", "chunks", "run_jobs"]

#: Single points of a diatomic in xTB that a worker takes on at a time.
CHUNK_POINTS = 256


class Settings(Protocol):
    """What a result depends on beside the atoms and their places."""

    @property
    def program(self) -> str:
        """Name of what computes."""

    @property
    def folder(self) -> Path:
        """Where results of these settings lie, below the folder of all data."""

    def alone(self) -> AbstractContextManager[object]:
        """The library, loaded and kept to one thread while the context lasts."""


class Job(Protocol):
    """Something to compute, equal to what gives the same records."""

    def __hash__(self) -> int: ...

    @property
    def points(self) -> int:
        """About how many single points of a diatomic it takes as long as."""

    @property
    def dtype(self) -> np.dtype:
        """Type of its records."""

    def path(self, directory: Path) -> Path:
        """Where its records lie in the cache."""

    def key(self, settings: Any) -> str:
        """What a cached file must state to be this job's."""

    def compute(self, settings: Any) -> NDArray[np.void]:
        """Its records."""


def cache_directory(
    cache: bool | str | os.PathLike[str], settings: Settings, folders: Sequence[str]
) -> Path | None:
    """Folder of the results of these settings, with some folders in it.

    None where there is to be none, or can be none, which is said in a warning.
    """
    if cache is False:
        return None
    try:
        directory = data_home(None if cache is True else cache) / settings.folder
        for folder in folders:
            (directory / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _warn_of_no_cache(error, settings)
        return None
    return directory


def _warn_of_no_cache(error: OSError, settings: Settings) -> None:
    warnings.warn(
        f"results of {settings.program} are not kept and will be computed again: {error}. Name "
        "a folder that can be written to by cache or by the environment variable QCANVAS_DATA",
        UserWarning,
        stacklevel=2,
    )


def run_jobs(
    jobs: Sequence[Job],
    settings: Settings,
    directory: Path | None,
    n_jobs: int | None,
    verbose: int,
    what: str,
) -> list[NDArray[np.void]]:
    """Records of all jobs in order, from the cache where it has them.

    Parameters
    ----------
    jobs : sequence of Job
        What to compute; equal ones are computed once.
    settings : Settings
        How.
    directory : Path or None
        Cache; None for none.
    n_jobs : int or None
        Processes, as in joblib.
    verbose : int
        Show a progress bar where it is not 0.
    what : str
        What the bar calls the jobs.

    Returns
    -------
    list of ndarray
    """
    results: dict[Job, NDArray[np.void]] = {}
    distinct = list(dict.fromkeys(jobs))
    if directory is not None:
        cached = {job: _read_cached(job, settings, directory) for job in distinct}
        results = {job: records for job, records in cached.items() if records is not None}
    missing = [job for job in distinct if job not in results]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    calls = (delayed(_compute_chunk)(chunk, settings) for chunk in chunks(missing))
    # A disabled bar would start a thread all the same.
    shown: Any = nullcontext() if not verbose else tqdm(
        total=len(distinct), initial=len(results), desc=settings.program, unit=f" {what}"
    )  # fmt: skip
    with shown as bar:
        for finished in parallel(calls) if missing else ():
            results.update(finished)
            if directory is not None:
                try:
                    _keep(finished, settings, directory)
                except OSError as error:
                    _warn_of_no_cache(error, settings)
                    directory = None
            if bar is not None:
                bar.update(len(finished))
    return [results[job] for job in jobs]


def _read_cached(job: Job, settings: Settings, directory: Path) -> NDArray[np.void] | None:
    """Records of a cached file; None where it is absent, damaged or of another kind."""
    try:
        with np.load(job.path(directory), allow_pickle=False) as file:
            records = file["records"]
            fits = str(file["key"]) == job.key(settings) and records.dtype == job.dtype
    except Exception:  # whatever a damaged file may raise, it is computed anew
        return None
    return records if fits else None


def _keep(
    finished: list[tuple[Job, NDArray[np.void]]], settings: Settings, directory: Path
) -> None:
    for job, records in finished:
        content = {"key": np.array(job.key(settings)), "records": records}
        save_atomically(job.path(directory), content)


def chunks(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Jobs for one worker at a time, large enough that handing over costs little."""
    chunk: list[Job] = []
    points = 0
    for job in jobs:
        chunk.append(job)
        points += job.points
        if points >= CHUNK_POINTS:
            yield chunk
            chunk, points = [], 0
    if chunk:
        yield chunk


def _compute_chunk(
    jobs: list[Job], settings: Settings
) -> list[tuple[Job, NDArray[np.void]]]:
    # Matrices this small run up to a hundred times slower on more than one thread.
    with settings.alone():
        return [(job, job.compute(settings)) for job in jobs]

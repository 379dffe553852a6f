"""From a file of rows to a file of predictions, resumable."""

from __future__ import annotations

import os
import pickle
import platform
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from .._progress import tqdm
from ._blocks import check_keep
from ._journal import Journal
from ._model import FittedModel
from ._sinks import Piece, Sink, open_sink
from ._sources import Block, Source, open_source

__all__ = ["predict_file"]

#: Blocks under way for each process: enough that none waits, few enough for memory.
_AHEAD = 4
#: How a message begins that names a row.
_ROW = re.compile(r"(row|structure) (\d+)\b")


class _Options(NamedTuple):
    """How a block is predicted."""

    sink: Sink
    keep: str | tuple[str, ...]
    return_std: bool
    return_forces: bool


class _Outcome(NamedTuple):
    """What became of a block: bytes and the number of rows, or why not; and warnings."""

    piece: Piece
    rows: int
    error: str
    warnings: list[str]


def predict_file(
    model: Any,
    source: Any,
    out: str | os.PathLike[str],
    *,
    block_size: int = 5000,
    n_jobs: int | None = None,
    keep: str | Sequence[str] = "all",
    return_std: bool = False,
    return_forces: bool = False,
    restart: bool = False,
    verbose: int = 0,
    model_id: str | None = None,
) -> int:
    """Predict the rows of a file into another file, in bounded memory.

    Rows stay in order. While it runs there are ``<out>.part`` and ``<out>.journal`` beside
    `out`; a call that was killed goes on from there when it is made again, and the file is
    the same to the last bit as that of a call that was not. `out` appears under its name only
    when it is complete.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier, or a pipeline that ends in one.
    source : path-like, Molecules or PairData
        ``.csv``, ``.tsv`` and ``.parquet`` of the columns that the model takes
        (``element_1``, ``element_2``, and ``distance_ang`` in Å where it was fitted with
        it); ``.xyz`` and ``.extxyz`` of molecules; or a record in memory.
    out : path-like
        ``.csv``, ``.tsv`` or ``.parquet``; of molecules also ``.extxyz``.
    block_size : int, default=5000
        Rows at a time. Behind a `PairImageTransformer` of images a row takes 40 kB.
    n_jobs : int or None, default=None
        Processes, as in joblib: None is 1 unless a ``joblib.parallel_config`` is active,
        such as that of a Dask cluster; -1 uses all cores.
    keep : {"all", "none"} or sequence of str, default="all"
        Columns of the input to keep in a table. Of molecules "all" are ``name``,
        ``formula``, ``n_atoms`` and ``charge``. A file of structures keeps all that is read.
    return_std : bool, default=False
        Add standard deviations; for ensembles.
    return_forces : bool, default=False
        Add forces, in the energy's unit per Å; for molecules, into ``.extxyz``.
    restart : bool, default=False
        Begin anew where a part of `out` is there.
    verbose : int, default=0
        Show progress on standard error where it is not 0.
    model_id : str, default=None
        Tells the model from others when a call goes on, such as the digest of its file; None
        takes a digest of the model.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    OSError
        If a file cannot be read or written, or another process writes `out`.
    TypeError, ValueError
        If an argument is not acceptable, or a row, which the message names; if a part of
        `out` was begun with another input, model, version or option.
    ImportError
        If a package that a format needs is not installed.

    Warns
    -----
    UserWarning
        What the model warns of, once.

    Examples
    --------
    >>> from qcanvas_sklearn.prediction import predict_file
    >>> predict_file(model, "pairs.csv", "predicted.csv", n_jobs=-1)  # doctest: +SKIP
    5000000
    """
    check_scalar(block_size, "block_size", (int, np.integer), min_val=1)
    check_keep(keep)
    out = Path(out)
    FittedModel(model, return_std=return_std, return_forces=return_forces)
    rows = open_source(source)
    sink = open_sink(out, rows.holds, return_forces)
    kept = keep if isinstance(keep, str) else tuple(keep)
    options = _Options(sink, kept, return_std, return_forces)
    task = _task(model_id or str(joblib.hash(model)), rows, options, block_size)
    journal = Journal(out, task)
    with ExitStack() as stack:
        part = stack.enter_context(journal.opened(restart=restart))
        start = journal.progress
        bar = stack.enter_context(tqdm(
            total=rows.length, initial=start.offset, unit=rows.unit, unit_scale=True,
            desc=out.name, disable=not verbose,
        ))  # fmt: skip
        run = _runner(model, options, n_jobs)
        seen: set[str] = set()
        for block, outcome in run(rows.blocks(start.offset, block_size)):
            if outcome.error:
                raise ValueError(_placed(outcome.error, journal.progress.rows))
            for message in set(outcome.warnings) - seen:
                warnings.warn(message, UserWarning, stacklevel=2)
            seen.update(outcome.warnings)
            head = b"" if journal.progress.size else outcome.piece.head
            journal.append(part, head + outcome.piece.body, block.end, outcome.rows)
            bar.update(block.end - bar.n)
            bar.set_postfix(rows=journal.progress.rows, refresh=False)
        if not journal.progress.rows:
            raise ValueError(f"there are no rows in {source!r}")
        if open_source(source).digest != rows.digest:
            raise ValueError("the input changed while it was read; begin anew with restart")
    sink.finish(journal.part, out)
    journal.close()
    return journal.progress.rows


def _task(model: str, rows: Source, options: _Options, block_size: int) -> dict[str, str]:
    """All that the bytes depend on."""
    import torch

    from .. import __version__

    versions = (__version__, np.__version__, str(torch.__version__), platform.machine())
    return {
        "input": rows.digest, "model": model, "version": " ".join(versions),
        "options": repr((type(options.sink).__name__, *options[1:])),
        "block size": str(block_size),
    }  # fmt: skip


def _placed(message: str, before: int) -> str:
    """A message about a block, in which rows count from the beginning of the input."""
    if found := _ROW.match(message):
        return f"{found[1]} {int(found[2]) + before}{message[found.end() :]}"
    return f"in the rows from {before} on: {message}" if before else message


# ------------------------------------------------------------------ one block


def _predict_block(fitted: FittedModel, block: Block, options: _Options) -> _Outcome:
    empty = Piece(b"", b"")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            content = block.payload.read(fitted, options.keep)
            piece = options.sink.encode(content, fitted(content.X))
        except (ValueError, TypeError) as error:
            return _Outcome(empty, 0, str(error), [])
    told = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return _Outcome(piece, len(content.kept), "", told)


@lru_cache(maxsize=1)
def _unpickled(digest: str) -> list[FittedModel]:
    """A place for the model of a process."""
    return []


def _predict_elsewhere(
    pickled: NDArray[np.uint8], digest: str, block: Block, options: _Options
) -> _Outcome:
    """Predict a block in a process that unpickles the model once."""
    place = _unpickled(digest)
    if not place:
        model = pickle.loads(pickled.tobytes())
        place.append(_fitted(model, options))
    return _predict_block(place[0], block, options)


def _fitted(model: Any, options: _Options) -> FittedModel:
    return FittedModel(
        model, return_std=options.return_std, return_forces=options.return_forces
    )


Run = Callable[[Iterator[Block]], Iterator[tuple[Block, _Outcome]]]


def _runner(model: Any, options: _Options, n_jobs: int | None) -> Run:
    """What predicts blocks, in their order."""
    fitted = _fitted(model, options)

    def here(blocks: Iterator[Block]) -> Iterator[tuple[Block, _Outcome]]:
        return ((block, _predict_block(fitted, block, options)) for block in blocks)

    def elsewhere(blocks: Iterator[Block]) -> Iterator[tuple[Block, _Outcome]]:
        # As an array it is written once for all processes of a machine, or sent once to each
        # of a cluster, by joblib.
        data = pickle.dumps(model)
        pickled = np.frombuffer(data, dtype=np.uint8)
        digest = blake2b(data, digest_size=16).hexdigest() + repr(options[2:])
        with joblib.Parallel(n_jobs=n_jobs) as parallel:
            while some := list(islice(blocks, _AHEAD * n_workers)):
                outcomes = parallel(
                    joblib.delayed(_predict_elsewhere)(pickled, digest, block, options)
                    for block in some
                )
                yield from zip(some, outcomes, strict=True)

    n_workers = joblib.effective_n_jobs(n_jobs)
    return here if n_workers == 1 else elsewhere

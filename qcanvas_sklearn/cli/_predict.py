"""``predict``: a table or structures in, the same with predictions out."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .._optional import require
from ._command import Command
from ._config import Names
from ._console import say, shows_progress

__all__ = ["COMMAND"]


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._models import MODEL_HELP, add_unseen_elements

    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument(
        "source", metavar="IN",
        help=".csv, .tsv, .parquet of pairs; .xyz, .extxyz of molecules, all of these read in "
        "blocks; or other data that `fit` takes, read as a whole",
    )  # fmt: skip
    parser.add_argument(
        "out", metavar="OUT",
        help=".csv, .tsv or .parquet; of molecules also .extxyz. Until it is complete there "
        "are OUT.part and OUT.journal, from which the same command goes on when it was killed",
    )  # fmt: skip
    parser.add_argument(
        "--block-size", metavar="N", type=int, default=5000, help="rows at a time (5000)"
    )
    parser.add_argument(
        "--keep", metavar="COLUMNS", action=Names,
        help="columns of the input to keep: all (default), none, or names between commas",
    )  # fmt: skip
    parser.add_argument(
        "--return-std", action="store_true", help="add standard deviations; of ensembles"
    )
    parser.add_argument(
        "--forces", action="store_true", help="add forces; of molecules, into .extxyz"
    )
    parser.add_argument("--n-jobs", metavar="N", type=int, help="processes; -1 for all cores")
    parser.add_argument("--dask", metavar="ADDRESS", help="scheduler of a Dask cluster")
    parser.add_argument("--device", help="auto, cpu, cuda, ... (default: that of the model)")
    add_unseen_elements(parser)
    parser.add_argument(
        "--restart", action="store_true", help="begin anew where a part of OUT is there"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _run(args: argparse.Namespace) -> int:
    from .._files import check_writable
    from ..prediction import predict_file
    from ..prediction._sources import file_digest
    from ._models import load, on_device

    check_writable(args.out)
    model = on_device(load(args.model), args.device, args.unseen_elements)
    settings = file_digest(args.model), args.device or "", args.unseen_elements or ""
    keep = args.keep or ["all"]
    with _cluster(args.dask):
        n_rows = predict_file(
            model, _source(args.source), args.out, block_size=args.block_size,
            n_jobs=-1 if args.dask and args.n_jobs is None else args.n_jobs,
            keep=keep[0] if keep in (["all"], ["none"]) else keep,
            return_std=args.return_std, return_forces=args.forces, restart=args.restart,
            verbose=int(shows_progress(args.quiet)), model_id=" ".join(settings),
        )  # fmt: skip
    say(f"{args.out}: {n_rows} rows predicted")
    return 0


def _source(name: str) -> Any:
    """The file itself where it is read in blocks, or the record that it holds."""
    from ..prediction._sources import SUFFIXES
    from ._data import WORDS, open_record

    if name not in WORDS and name.lower().endswith(SUFFIXES):
        return name
    return open_record(name)[1]


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Let joblib work on a cluster."""
    if address is None:
        yield
        return
    import joblib

    client = require("a Dask cluster", "distributed").Client
    with client(address), joblib.parallel_config(backend="dask"):
        yield


COMMAND = Command(
    "predict", "predict pairs or molecules, however many",
    "predict gap.qcm pairs.csv predicted.csv --n-jobs -1", _configure, _run,
)  # fmt: skip

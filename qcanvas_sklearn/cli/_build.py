"""``build``: raw DFTB+ runs into an archive."""

from __future__ import annotations

import argparse

from ._command import Command
from ._console import say

__all__ = ["COMMAND"]


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("raw_dir", metavar="RAW_DIR", help="directory of <pair>/detailed.out")
    parser.add_argument("out", metavar="OUT.npz", help="archive to write")
    parser.add_argument("--analysis", metavar="DIR", help="write label tables here too")
    parser.add_argument(
        "--on-error", choices=("raise", "warn"), default="raise",
        help="stop at a run that cannot be used, or leave it out (default: raise)",
    )  # fmt: skip
    parser.add_argument("--n-jobs", metavar="N", type=int, help="processes (default: 1)")
    parser.add_argument(
        "--compat", choices=("published",),
        help="reproduce the reading of the published archive, which loses the orbitals "
        "behind a negative population",
    )  # fmt: skip


def _run(args: argparse.Namespace) -> int:
    from ..datasets import build_archive

    pairs = build_archive(
        args.raw_dir, args.out, analysis=args.analysis, on_error=args.on_error,
        n_jobs=args.n_jobs, compat=args.compat,
    )  # fmt: skip
    say(f"{args.out}: {len(pairs)} pairs written, {len(pairs.skipped)} runs left out")
    return 0


COMMAND = Command(
    "build", "turn raw DFTB+ runs into an archive",
    "build runs/ archive.npz --analysis tables/", _configure, _run,
)  # fmt: skip

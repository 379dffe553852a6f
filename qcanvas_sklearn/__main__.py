"""Command line: ``python -m qcanvas_sklearn <command>``."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .structures import PairData

__all__ = ["COMMANDS", "Command", "main"]

PROGRAM = "python -m qcanvas_sklearn"

#: Exit status where a check fails, and where there is nothing to check or to write.
CHECK_FAILED, UNUSABLE = 1, 2


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes
    ----------
    name : str
        What the user types.
    help : str
        One line of help.
    configure : callable
        Adds the arguments to a parser.
    run : callable
        Does the work, returns the exit status. A ValueError, TypeError, OSError or
        ImportError becomes a message.
    """

    name: str
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def _say(text: str, *, error: bool = False) -> None:
    """Print one line, whatever is in it and whatever the console can show.

    What a file states must neither steer the terminal nor look like another line of ours.
    """
    stream = sys.stderr if error else sys.stdout
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(plain.encode(encoding, "backslashreplace").decode(encoding), file=stream)


# ----------------------------------------------------------------------- build


def _configure_build(parser: argparse.ArgumentParser) -> None:
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


def _run_build(args: argparse.Namespace) -> int:
    from .datasets._build import build_archive

    pairs = build_archive(
        args.raw_dir, args.out, analysis=args.analysis, on_error=args.on_error,
        n_jobs=args.n_jobs, compat=args.compat,
    )  # fmt: skip
    _say(f"{args.out}: {len(pairs)} pairs written, {len(pairs.skipped)} runs left out")
    return 0


# ------------------------------------------------------------------------ info


def _configure_info(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE",
        help="archive (.npz), file of PairData.save, or 'bundled' for the bundled table",
    )  # fmt: skip


def _open_pairs(name: str) -> tuple[str, PairData]:
    """The data under a name, and what kind of source it is."""
    from ._files import open_regular
    from ._npz import member_names
    from .datasets import read_npz
    from .datasets._bundled import bundled_pairs
    from .structures import PairData

    if name == "bundled":
        return "bundled table", bundled_pairs()
    with open_regular(name) as file:
        try:
            members = member_names(file)
        except ValueError as error:
            raise ValueError(f"{name!r} cannot be read: {error}") from None
    if "orbital_populations" in members:
        return "PairData", PairData.load(name)
    return "archive", read_npz(name)


def _run_info(args: argparse.Namespace) -> int:
    from .datasets._summary import check_pair_data

    kind, pairs = _open_pairs(args.file)
    quality = Counter(pairs.quality.tolist()).most_common(10)
    coverage = pairs.labels.notna().sum()
    partial = [f"{key} {n}" for key, n in coverage.items() if n < len(pairs)]
    facts = {
        "kind": kind,
        "pairs": len(pairs),
        "elements": len(set(pairs.elements.ravel().tolist())),
        "provenance": pairs.provenance or "unknown",
        "images": "none" if pairs.images is None else "x".join(map(str, pairs.images.shape)),
        "quality": ", ".join(f"{n} {what}" for what, n in quality) or "-",
        "labels": f"{(coverage == len(pairs)).sum()} of {len(coverage)} complete",
        "incomplete": ", ".join(partial) or "none",
        "skipped": len(pairs.skipped),
    }
    for name, value in facts.items():
        _say(f"{name + ':':12} {value}")
    _say("checks:")
    words = {True: "ok", False: "FAILED", None: "note"}
    failures = 0
    for check, passed, detail in check_pair_data(pairs):
        _say(f"  {words[passed]:7} {check}: {detail}")
        if passed is False:
            failures += 1
            _say(f"{args.file}: check failed: {check}: {detail}", error=True)
    return CHECK_FAILED if failures else 0


# ---------------------------------------------------------------------- report


def _configure_report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", metavar="MODEL.joblib",
        help="fitted model of element pairs, saved by joblib. Loading it runs code: open "
        "only files that you trust",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE.html", required=True, help="page to write")
    parser.add_argument(
        "--data", metavar="FILE", default="bundled",
        help="labels to compare with: archive (.npz), file of PairData.save, or 'bundled' "
        "for the bundled table (default)",
    )  # fmt: skip
    parser.add_argument(
        "--rows",
        metavar="FILE",
        help="text or CSV file of the pairs to evaluate, two symbols a line (default: all)",
    )
    parser.add_argument(
        "--target", metavar="KEY", action="append",
        help="name of a target, in the order of the model's outputs, where the model does "
        "not hold it; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--split-note",
        metavar="TEXT",
        help="what the pairs are to the model, as 'held-out: fold 0 of 5'; the page warns of "
        "rows that the model may have seen unless it begins with 'held-out'",
    )
    parser.add_argument("--title", help="heading of the page")


def _run_report(args: argparse.Namespace) -> int:
    from ._files import check_writable
    from .report import model_report
    from .report._inputs import choose_pairs, labelled_pairs, load_model

    check_writable(args.out)
    model = load_model(args.model)
    kind, pairs = _open_pairs(args.data)
    source = kind if args.data == "bundled" else f"{kind} {os.path.basename(args.data)}"
    data = f"{source}, {len(pairs)} pairs: {pairs.provenance or 'origin unknown'}"
    if args.rows is not None:
        pairs = choose_pairs(pairs, args.rows)
        data = f"pairs listed in {os.path.basename(args.rows)}, out of {data}"
    X, y = labelled_pairs(model, pairs, args.target)
    model_report(model, X, y, out=args.out, title=args.title, data=data, split=args.split_note)
    _say(f"{args.out}: report on {len(X)} pairs written")
    return 0


# ------------------------------------------------------------------------ main

#: The sub-commands, in the order of the help text.
COMMANDS: tuple[Command, ...] = (
    Command("build", "turn raw DFTB+ runs into an archive", _configure_build, _run_build),
    Command("info", "show what a file holds and check it", _configure_info, _run_info),
    Command("report", "write a page about a fitted model", _configure_report, _run_report),
)


def _make_parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(
        PROGRAM, description="Data sets of element pairs, and models of them."
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(
            command.name, help=command.help, description=command.help
        )
        command.configure(subparser)
        subparser.set_defaults(command=command)
    return parser


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None for those of the process.

    Returns
    -------
    int
        0, 1 where a check failed, or 2 where an input or output is unusable.

    Examples
    --------
    >>> from qcanvas_sklearn.__main__ import main
    >>> main(["info", "bundled"])  # doctest: +ELLIPSIS
    kind:        bundled table
    pairs:       2850
    ...
    0
    """
    args = _make_parser().parse_args(argv)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            status = args.command.run(args)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader, as in `| head`, has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (ValueError, TypeError, OSError, ImportError) as error:
            _say(f"{PROGRAM} {args.command.name}: {_message(error)}", error=True)
            status = UNUSABLE
    for warning in caught:
        _say(f"warning: {warning.message}", error=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

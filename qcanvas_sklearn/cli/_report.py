"""``report``: a page about a fitted model."""

from __future__ import annotations

import argparse
import os

from ._command import Command
from ._console import say

__all__ = ["COMMAND"]


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._models import MODEL_HELP

    parser.add_argument("model", metavar="MODEL", help=f"model of element pairs: {MODEL_HELP}")
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


def _run(args: argparse.Namespace) -> int:
    from .._files import check_writable
    from ..report import model_report
    from ..report._inputs import choose_pairs, labelled_pairs
    from ._data import open_pairs
    from ._models import load

    check_writable(args.out)
    model = load(args.model)
    kind, pairs = open_pairs(args.data)
    source = kind if args.data == "bundled" else f"{kind} {os.path.basename(args.data)}"
    data = f"{source}, {len(pairs)} pairs: {pairs.provenance or 'origin unknown'}"
    if args.rows is not None:
        pairs = choose_pairs(pairs, args.rows)
        data = f"pairs listed in {os.path.basename(args.rows)}, out of {data}"
    X, y = labelled_pairs(model, pairs, args.target)
    model_report(model, X, y, out=args.out, title=args.title, data=data, split=args.split_note)
    say(f"{args.out}: report on {len(X)} pairs written")
    return 0


COMMAND = Command(
    "report", "write a page about a fitted model",
    "report gap.joblib --out gap.html --rows test_pairs.csv --split-note 'held-out: fold 0'",
    _configure, _run,
)  # fmt: skip

"""``report``: a page about a fitted model."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING, Any

from ._command import Command
from ._console import say

if TYPE_CHECKING:
    from ..structures import PairData

__all__ = ["COMMAND"]


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._models import MODEL_HELP

    parser.add_argument("model", metavar="MODEL", help=f"model of element pairs: {MODEL_HELP}")
    parser.add_argument("--out", metavar="FILE.html", required=True, help="page to write")
    parser.add_argument(
        "--data", metavar="FILE",
        help="labels to compare with: archive (.npz), file of PairData.save, or 'bundled' "
        "for the bundled table (default: what the model draws pairs from, where that is in "
        "it, or the bundled table)",
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
    from ._models import load

    check_writable(args.out)
    model = load(args.model)
    source, pairs = _data(args.data, model)
    data = f"{source}, {len(pairs)} pairs: {pairs.provenance or 'origin unknown'}"
    if args.rows is not None:
        pairs = choose_pairs(pairs, args.rows)
        data = f"pairs listed in {os.path.basename(args.rows)}, out of {data}"
    X, y = labelled_pairs(model, pairs, args.target)
    model_report(model, X, y, out=args.out, title=args.title, data=data, split=args.split_note)
    say(f"{args.out}: report on {len(X)} pairs written")
    return 0


def _data(name: str | None, model: Any) -> tuple[str, PairData]:
    """The pairs to compare with, and what they are."""
    from ..report._anatomy import Anatomy
    from ..structures import PairData
    from ._data import open_pairs

    if name is None:
        own = Anatomy.of(model).source
        if isinstance(own, PairData):
            return "the data that the model draws from", own
    kind, pairs = open_pairs(name or "bundled")
    return (kind if name in (None, "bundled") else f"{kind} {os.path.basename(name)}"), pairs


COMMAND = Command(
    "report", "write a page about a fitted model",
    "report gap.joblib --out gap.html --rows test_pairs.csv --split-note 'held-out: fold 0'",
    _configure, _run,
)  # fmt: skip

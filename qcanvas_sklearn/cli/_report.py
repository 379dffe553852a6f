"""``report``: a page about a fitted model."""

from __future__ import annotations

import argparse
import os
from typing import Any

from ._command import Command
from ._console import say

__all__ = ["COMMAND"]


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._data import DATA_HELP
    from ._models import MODEL_HELP

    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--out", metavar="FILE.html", required=True, help="page to write")
    parser.add_argument(
        "--data", metavar="DATA",
        help=f"rows with labels to compare with: {DATA_HELP} (default: what the model draws "
        "pairs from, where it holds that, or bundled)",
    )  # fmt: skip
    parser.add_argument(
        "--rows",
        metavar="FILE",
        help="text or CSV file of the pairs to evaluate out of a record, two symbols a line "
        "(default: all)",
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
    from ._models import load

    check_writable(args.out)
    model = load(args.model)
    X, y, data = _rows(args, model)
    model_report(model, X, y, out=args.out, title=args.title, data=data, split=args.split_note)
    unit = "molecules" if hasattr(X, "ptr") else "pairs"
    say(f"{args.out}: report on {len(X)} {unit} written")
    return 0


def _rows(args: argparse.Namespace, model: Any) -> tuple[Any, Any, str]:
    """What to evaluate a model on, its labels, and where they come from."""
    from ..prediction._model import FittedModel
    from ..report._anatomy import Anatomy
    from ..report._inputs import choose_pairs, labelled_pairs
    from ..structures import PairData
    from ._data import Data, labelled_rows, open_data

    anatomy = Anatomy.of(model)
    if args.data is None and isinstance(anatomy.source, PairData):
        data = Data.of_record("", "the data that the model draws from", anatomy.source)
    else:
        data = open_data(args.data or "bundled")
    if not isinstance(data.record, PairData):
        if args.rows is not None:
            raise ValueError(f"--rows chooses pairs of a record, and {data.name} is none")
        rows, y = labelled_rows(data, anatomy, args.target)
        return FittedModel(model).take(rows), y, data.what
    pairs, what = data.record, data.what
    if args.rows is not None:
        pairs = choose_pairs(pairs, args.rows)
        what = f"pairs listed in {os.path.basename(args.rows)}, out of {what}"
    return *labelled_pairs(model, pairs, args.target), what


COMMAND = Command(
    "report", "write a page about a fitted model",
    "report gap.joblib --out gap.html --rows test_pairs.csv --split-note 'held-out: fold 0'",
    _configure, _run,
)  # fmt: skip

"""``info``: what a file holds, and whether it agrees with itself."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._command import CHECK_FAILED, Command
from ._console import say, say_facts, say_table

if TYPE_CHECKING:
    from ..structures import Molecules, PairData
    from ._data import Data

__all__ = ["COMMAND"]

#: Entries of a card that the model itself is asked for.
_OF_THE_MODEL = ("estimator", "parameters", "targets", "units", "classes", "elements",
                 "provenance", "versions")  # fmt: skip


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._data import DATA_HELP
    from ._models import MODEL_HELP

    parser.add_argument(
        "file", metavar="FILE", help=f"a model: {MODEL_HELP}. Or data: {DATA_HELP}"
    )


def _run(args: argparse.Namespace) -> int:
    from ..structures import PairData
    from ._data import is_table, open_data, open_record
    from ._models import SAFE, TRUSTED

    if Path(args.file).suffix in (*SAFE, *TRUSTED):
        _show_model(args.file)
        return 0
    if is_table(args.file):
        _show_table(open_data(args.file))
        return 0
    kind, record = open_record(args.file)
    if not isinstance(record, PairData):
        _show_molecules(kind, record)
        return 0
    _show_pairs(kind, record)
    return _check_pairs(args.file, record)


def _show_pairs(kind: str, pairs: PairData) -> None:
    quality = Counter(pairs.quality.tolist()).most_common(10)
    coverage = pairs.labels.notna().sum()
    partial = [f"{key} {n}" for key, n in coverage.items() if n < len(pairs)]
    say_facts({
        "kind": kind,
        "pairs": len(pairs),
        "elements": len(set(pairs.elements.ravel().tolist())),
        "provenance": pairs.provenance or "unknown",
        "images": "none" if pairs.images is None else "x".join(map(str, pairs.images.shape)),
        "quality": ", ".join(f"{n} {what}" for what, n in quality) or "-",
        "labels": f"{(coverage == len(pairs)).sum()} of {len(coverage)} complete",
        "incomplete": ", ".join(partial) or "none",
        "skipped": len(pairs.skipped),
    })  # fmt: skip


def _check_pairs(name: str, pairs: PairData) -> int:
    from ..datasets._summary import check_pair_data

    say("checks:")
    words = {True: "ok", False: "FAILED", None: "note"}
    failures = 0
    for check, passed, detail in check_pair_data(pairs):
        say(f"  {words[passed]:7} {check}: {detail}")
        if passed is False:
            failures += 1
            say(f"{name}: check failed: {check}: {detail}", error=True)
    return CHECK_FAILED if failures else 0


def _show_molecules(kind: str, molecules: Molecules) -> None:
    from ..elements import symbols

    sizes = molecules.n_atoms
    quality = Counter(molecules.quality.tolist()).most_common(10)
    say_facts({
        "kind": kind,
        "structures": len(molecules),
        "groups": int(molecules.group_ids.max(initial=-1)) + 1,
        "atoms": f"{sizes.min(initial=sizes.max(initial=0))} to {sizes.max(initial=0)}",
        "elements": ", ".join(symbols(molecules.elements)),
        "provenance": molecules.provenance or "unknown",
        "forces": "none" if molecules.forces is None else "eV/Å",
        "quality": ", ".join(f"{n} {what}" for what, n in quality) or "-",
        "labels": _labels(molecules.labels.notna().sum().to_dict(), molecules.units),
    })  # fmt: skip


def _labels(counts: Mapping[Any, int], units: Mapping[str, str]) -> str:
    named = [f"{k} ({units.get(k) or '-'}) {n}" for k, n in counts.items()]
    return ", ".join(named) or "none"


def _show_table(data: Data) -> None:
    from ..structures import check_pairs

    rows = data.rows
    z = check_pairs(rows[["element_1", "element_2"]]).z
    filled = rows[data.available].replace("", None).notna().sum()
    say_facts({
        "kind": "table of pairs",
        "rows": len(rows),
        "pairs": len({tuple(pair) for pair in z.tolist()}),
        "elements": len(set(z.ravel().tolist())),
        "columns": _labels(filled.to_dict(), data.units(data.available)),
    })  # fmt: skip


def _show_model(name: str) -> None:
    import pandas as pd

    from ..report._anatomy import Anatomy
    from ._models import card_of, load

    model = load(name)
    anatomy = Anatomy.of(model)
    made = dict(getattr(anatomy.network, "provenance_", {}))
    units = made.pop("targets", None) or {}
    elements = made.pop("elements", None) or getattr(anatomy.final, "elements_", [])
    card = {key: value for key, value in card_of(name).items() if key not in _OF_THE_MODEL}
    scores = card.pop("cross_validation", None)
    say_facts({
        "kind": type(anatomy.final).__name__ + (" behind a pipeline" if anatomy.steps else ""),
        "targets": ", ".join(f"{k} ({unit or '-'})" for k, unit in units.items())
        or ", ".join(anatomy.target_names or ["unknown"]),
        "elements": ", ".join(elements) or "unknown",
        "parameters": " ".join(repr(model).split()),
        **made,
        **card,
    })  # fmt: skip
    if scores is not None:
        say(f"{scores['folds']} folds by {scores['by']}, seed {scores['seed']}:")
        say_table(pd.DataFrame.from_dict(scores["targets"], orient="index"))


COMMAND = Command(
    "info", "show what a file of data or a model holds, and check it",
    "info gap.qcm", _configure, _run,
)  # fmt: skip

"""The table of finished arms."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["load", "table"]

NOTES = """\
python benchmarks/bench_molecules.py
Trajectories: 200 frames of one run, tested on 200 of an independent one. Molecules: 200 random
ones tested. Settings were chosen on the part "valid", but for those of the peers, which are as
published apart from one cycle of the learning rate. The charges of the two-centre tables were
fitted to other molecules by the method that made these labels; a few, ethanol among them,
share a formula with what is tested. "CPU s" is the fit alone, with two-centre features.
Errors in meV, mD and meV/Å, of the test part, and behind them of the validation part."""


def load(path: Path) -> list[dict[str, Any]]:
    """Records of a file of one JSON object a line; of each task and arm the last one."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return list({(line["task"], line["arm"]): line for line in lines}.values())


def table(records: Sequence[dict[str, Any]], order: Sequence[str]) -> str:
    """What was measured, as text; arms in some order, tasks as they come."""
    head = (f"{'task':22} {'arm':24} {'CPU s':>6} {'s/epoch':>8} {'epochs':>6} "
            f"{'label':>9} {'forces':>7}  {'valid':>9} {'forces':>7}")  # fmt: skip
    lines = [
        NOTES, f"Made by {'; '.join(distinct(records, 'machine'))}, one thread an arm",
        f"with {'; '.join(distinct(records, 'versions'))}.", "",
    ]  # fmt: skip
    for task in distinct(records, "task"):
        lines.append(head)
        own = [record for record in records if record["task"] == task]
        lines += [_line(record) for record in sorted(own, key=lambda r: order.index(r["arm"]))]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def distinct(records: Iterable[dict[str, Any]], key: str) -> list[str]:
    """The different values of a key, as they come."""
    return list(dict.fromkeys(record[key] for record in records if key in record))


def _line(record: dict[str, Any]) -> str:
    start = f"{record['case']:22} {record['arm']:24}"
    if "error" in record:
        return f"{start} {record['error']}"
    seconds, epochs = record["cpu_s"], record["epochs"]
    each = f"{seconds / epochs:8.3f} {epochs:6}" if epochs else " " * 15
    parts = [
        f"{_thousandths(part.get('label'), 9)} {_thousandths(part.get('force'), 7)}"
        for part in (record["test"], record["valid"])
    ]
    return f"{start} {seconds:6.0f} {each} {'  '.join(parts)}".rstrip()


def _thousandths(value: float | None, width: int) -> str:
    return f"{'':>{width}}" if value is None else f"{1000 * value:{width}.1f}"

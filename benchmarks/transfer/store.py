"""Finished cells: one line of JSON each, in one file, written as soon as a cell is finished."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["Store"]

Record = dict[str, Any]


class Store:
    """Records by key, in a file that other runs may write to at the same time.

    Parameters
    ----------
    path : Path
        The file; it need not be there yet.
    known : iterable of Path
        Files of other runs, whose records are known, too, and stay where they are.
    """

    def __init__(self, path: Path, known: Iterable[Path] = ()) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        for file in (*known, path):
            self.records |= _read(file)

    def __contains__(self, key: str) -> bool:
        return key in self.records

    def add(self, key: str, record: Record) -> None:
        """Keep a record, in one write to the end of the file."""
        self.records[key] = record
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"key": key, **record}) + "\n"
        # A line that a killed run left unfinished ends here.
        torn = self.path.exists() and self.path.read_bytes()[-1:] not in (b"", b"\n")
        with open(self.path, "ab", buffering=0) as file:
            file.write(("\n" * torn + line).encode())
            os.fsync(file.fileno())

    def merge(self, paths: Iterable[Path]) -> int:
        """Take over the records of other runs that are new; returns how many.

        Raises
        ------
        FileNotFoundError
            If a file is not there.
        """
        before = len(self.records)
        for path in paths:
            if not path.exists():
                raise FileNotFoundError(f"there are no cells to merge in {path}")
            for key, record in _read(path).items():
                if key not in self:
                    self.add(key, record)
        return len(self.records) - before


def _read(path: Path) -> dict[str, Record]:
    """Records of a file, none where it is not there; an unfinished line is left out."""
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
            records[record.pop("key")] = record
        except (json.JSONDecodeError, KeyError, AttributeError):
            continue
    return records

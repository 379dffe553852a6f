"""Records of finished work in one file, which several processes may write.

A run that is killed loses what is not finished, and nothing else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["append", "read"]


def append(record: dict[str, Any], path: Path) -> None:
    """Add a record to a file, in one write."""
    # A record begins a line of its own, also behind one that was cut short.
    line = b"\n" + json.dumps(record).encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(file, line)
    finally:
        os.close(file)


def read(path: Path) -> list[dict[str, Any]]:
    """The records of a file, none where there is no file; one cut short is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return records

"""Lines for a terminal, whatever is in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["say", "say_facts", "say_table", "shows_progress"]


def say(text: str, *, error: bool = False) -> None:
    """Print one line, whatever is in it and whatever the console can show.

    What a file states must neither steer the terminal nor look like another line of ours.
    """
    stream = sys.stderr if error else sys.stdout
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(plain.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def say_facts(facts: Mapping[str, Any]) -> None:
    """A line for each fact, the values below each other."""
    width = max(12, *(len(name) + 2 for name in facts))
    for name, value in facts.items():
        say(f"{name + ':':{width}} {value}")


def say_table(table: pd.DataFrame) -> None:
    """A table, numbers to four digits."""
    text = table.to_string(float_format=lambda value: f"{value:.4g}", na_rep="-")
    for line in text.splitlines():
        say(line.rstrip())


def shows_progress(quiet: bool) -> bool:
    """Whether bars are shown: on terminals, unless the user wants none."""
    return not quiet and sys.stderr.isatty()

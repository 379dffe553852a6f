"""What a sub-command is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["BROKEN_OFF", "CHECK_FAILED", "UNUSABLE", "Command"]

#: Exit status where a check fails; where there is nothing to check or to write; on Ctrl-C.
CHECK_FAILED, UNUSABLE, BROKEN_OFF = 1, 2, 130


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes
    ----------
    name : str
        What the user types.
    help : str
        One line of help.
    example : str
        A call, without the program's name.
    configure : callable
        Adds the arguments to a parser.
    run : callable
        Does the work, returns the exit status. A ValueError, TypeError, OSError or
        ImportError becomes a message.
    """

    name: str
    help: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]

"""The program: which command, and what becomes of its errors."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from . import _build, _compute, _evaluate, _fit, _info, _predict, _report
from ._command import BROKEN_OFF, UNUSABLE, Command
from ._config import with_config
from ._console import say

__all__ = ["COMMANDS", "main"]

PROGRAM = "qcanvas"

#: The sub-commands, in the order of the help text.
COMMANDS: tuple[Command, ...] = (
    _fit.COMMAND, _predict.COMMAND, _evaluate.COMMAND, _report.COMMAND, _build.COMMAND,
    _compute.COMMAND, _info.COMMAND,
)  # fmt: skip

_STATUSES = (
    "exit status: 0; 1 where a check failed; 2 where an argument, an input or an output is "
    "unusable; 130 where it was broken off by Ctrl-C"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        Arguments; None for those of the process.

    Returns
    -------
    int
        0; 1 where a check failed; 2 where an input or output is unusable; 130 on Ctrl-C.

    Raises
    ------
    SystemExit
        After the help text, with 0, and where the arguments are wrong, with 2.

    Examples
    --------
    >>> from qcanvas_sklearn.cli import main
    >>> main(["info", "bundled"])  # doctest: +ELLIPSIS
    kind:        bundled table
    pairs:       2850
    ...
    0
    """
    words = sys.argv[1:] if argv is None else list(argv)
    command: Command = _make_parser().parse_args(words[:1]).command
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        # What one library says to another is of no use at a command line.
        warnings.simplefilter("ignore", DeprecationWarning)
        status = _run(command, words[1:])
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        say(f"warning: {message}", error=True)
    return status


def _run(command: Command, words: Sequence[str]) -> int:
    try:
        args = with_config(lambda: _command_parser(command), words)
        status = command.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader, as in `| head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError) as error:
        say(f"{PROGRAM} {command.name}: {_message(error)}", error=True)
        return UNUSABLE
    except KeyboardInterrupt:
        say(f"{PROGRAM} {command.name}: broken off", error=True)
        return BROKEN_OFF


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _make_parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = argparse.ArgumentParser(
        PROGRAM, description="Quantum interactions of atoms: data, models and predictions.",
        epilog=_STATUSES,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        known = subparsers.add_parser(command.name, help=command.help, add_help=False)
        known.set_defaults(command=command)
    return parser


def _command_parser(command: Command) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"{PROGRAM} {command.name}", description=command.help, allow_abbrev=False,
        epilog=f"example:\n  {PROGRAM} {command.example}\n\n{_STATUSES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.configure(parser)
    parser.add_argument(
        "--config", metavar="FILE.toml",
        help="defaults of these options by their names, as in cv = 5; -p is a table [param]",
    )  # fmt: skip
    return parser

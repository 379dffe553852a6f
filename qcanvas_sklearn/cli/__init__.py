"""The command line: ``qcanvas <command>``, or ``python -m qcanvas_sklearn <command>``.

Exit statuses are 0; 1 where a check failed; 2 where an argument, an input or an output is
unusable, which one line on standard error explains; 130 where the user broke off.
"""

from ._command import Command
from ._main import COMMANDS, main

__all__ = ["COMMANDS", "Command", "main"]

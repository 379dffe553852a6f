"""``python -m qcanvas_sklearn``, the same as ``qcanvas``."""

import sys

from .cli import COMMANDS, main

__all__ = ["COMMANDS", "main"]

if __name__ == "__main__":
    sys.exit(main())

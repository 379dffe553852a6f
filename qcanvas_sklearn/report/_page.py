"""The page, from templates that escape whatever they are given."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .._optional import require
from ..plotting._common import name_of

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["environment", "short"]


def environment() -> Environment:
    """Where the templates are found and what they can use.

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    jinja2 = require("a report", "jinja2")
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("qcanvas_sklearn.report"), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )  # fmt: skip
    made.filters |= {"short": short, "name_of": name_of}
    made.tests["nan"] = math.isnan
    return made


def short(value: float) -> str:
    """A number to three significant digits."""
    if math.isinf(value):
        text = "∞" if value > 0 else "-∞"
    elif value == 0 or abs(value) >= 1e-4:
        magnitude = math.floor(math.log10(abs(value))) if value else 2
        text = f"{value:.{max(0, 2 - magnitude)}f}"
    else:
        text = f"{value:.2e}"
    return text.replace("-", "\N{MINUS SIGN}")

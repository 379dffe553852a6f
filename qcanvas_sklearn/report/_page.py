"""The page, from templates that escape whatever they are given."""

from __future__ import annotations

import math
import re
from html import escape, unescape
from typing import TYPE_CHECKING

from .._optional import require
from ..plotting._common import name_of

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["ReportPage", "environment", "short"]


class ReportPage(str):
    """HTML that a prompt names in one line, and a notebook shows in a frame of its own."""

    __slots__ = ()

    def __repr__(self) -> str:
        title = re.search("<title>(.*?)</title>", self)
        name = unescape(title[1]) if title else ""
        return f"<report {name!r}, {len(self) / 1000:.0f} kB of HTML>"

    def _repr_html_(self) -> str:
        """The page; its style is for itself alone."""
        style = "width: 100%; height: 36em; border: 1px solid #d9dee3"
        return f'<iframe srcdoc="{escape(self)}" style="{style}"></iframe>'


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

"""Fits that end in time, or do not begin; an error of one stops no other."""

from __future__ import annotations

import time
import traceback
from typing import Any, NamedTuple

from .cells import Cell, fit_cell

__all__ = ["LATE", "Outcome", "attempt"]

LATE = "late"
#: What is left for a fit to end in, above what such fits have taken.
_MARGIN = 1.25
#: How many times longer than planned the last fits of this process have taken.
_pace = [1.0]


class Outcome(NamedTuple):
    """What became of a cell.

    Attributes
    ----------
    key : str
        Of the cell.
    record : dict or None
        None where there is nothing to fit, no time left, or an error.
    error : str
        The traceback, or `LATE`.
    """

    key: str
    record: dict[str, Any] | None
    error: str = ""


def attempt(key: str, cell: Cell, device: str, deadline: float) -> Outcome:
    """Fit a cell if it is done in time; an error stops no other one."""
    start = time.time()
    if start + _MARGIN * max(_pace) * cell.seconds > deadline:
        return Outcome(key, None, LATE)
    try:
        record = fit_cell(cell, device)
    except Exception:
        return Outcome(key, None, traceback.format_exc())
    if cell.family and record is not None:
        _pace[:] = [*_pace[-4:], (time.time() - start) / cell.seconds]
    return Outcome(key, record)

"""Warnings of work that asks the same thing many times."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["each_warning_once"]


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Issue what is warned of inside once, at the end.

    Python forgets what it has shown whenever a filter changes, which scikit-learn's checks of
    inputs do: hundreds of predictions would show one warning hundreds of times. The filters
    hold inside too: what they make an error is one at once.
    """
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield
    finally:
        distinct = {(str(w.message), w.category): w for w in caught}
        for w in distinct.values():
            warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)

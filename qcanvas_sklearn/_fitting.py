"""Fits that end well, or leave everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["whole_or_not_at_all"]


@contextmanager
def whole_or_not_at_all(estimator: Any) -> Iterator[None]:
    """A fit: where the block raises, the estimator has the attributes that it had before.

    So one that was fitted can still be used, and one that was not does not look as if it were.

    Parameters
    ----------
    estimator : estimator
        What is fitted in the block. Attributes are set anew there, not changed in place.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise

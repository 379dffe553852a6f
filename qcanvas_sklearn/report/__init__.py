"""One page about a fitted model: what it is, how good it is, and what that is worth."""

from ._report import model_report

__all__ = ["model_report"]

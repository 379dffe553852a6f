"""Pair data and its sources."""

from ._bundled import bundled_pairs, load_pairs
from ._check import CheckedPairs, check_pairs, looks_like_pairs
from ._pairs import PairData

__all__ = [
    "CheckedPairs",
    "PairData",
    "bundled_pairs",
    "check_pairs",
    "load_pairs",
    "looks_like_pairs",
]

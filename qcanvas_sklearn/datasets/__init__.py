"""Pair data and its sources."""

from ._archive import read_npz, write_npz
from ._build import build_archive
from ._bundled import bundled_pairs, load_pairs
from ._check import CheckedPairs, check_pairs, looks_like_pairs, validate_pairs
from ._dftbplus import read_dftbplus
from ._fetch import fetch_quantumcanvas
from ._pairs import PairData
from ._summary import compare
from ._xtb import compute_pairs, xtb_source

__all__ = [
    "CheckedPairs",
    "PairData",
    "build_archive",
    "bundled_pairs",
    "check_pairs",
    "compare",
    "compute_pairs",
    "fetch_quantumcanvas",
    "load_pairs",
    "looks_like_pairs",
    "read_dftbplus",
    "read_npz",
    "validate_pairs",
    "write_npz",
    "xtb_source",
]

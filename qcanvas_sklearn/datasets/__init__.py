"""Sources of pair data."""

from ..structures import PairData
from ._archive import read_npz, write_npz
from ._build import build_archive
from ._bundled import bundled_pairs, load_pairs
from ._dftbplus import read_dftbplus
from ._fetch import fetch_quantumcanvas
from ._summary import compare
from ._xtb import compute_pairs

__all__ = [
    "PairData",
    "build_archive",
    "bundled_pairs",
    "compare",
    "compute_pairs",
    "fetch_quantumcanvas",
    "load_pairs",
    "read_dftbplus",
    "read_npz",
    "write_npz",
]

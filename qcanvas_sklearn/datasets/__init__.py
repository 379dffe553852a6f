"""Sources of pairs and molecules.

What is there already comes as scikit-learn's `Bunch` (or ``X, y``): `load_pairs` and
`fetch_quantumcanvas`, whose ``pairs`` is the `PairData`. What the user brings or has
computed comes as a `PairData`: `read_dftbplus`, `read_npz`, `compute_pairs`,
`build_archive`.
"""

from ..structures import Molecules, PairData
from ._archive import read_npz, write_npz
from ._build import build_archive
from ._bundled import load_pairs
from ._dftbplus import read_dftbplus
from ._fetch import fetch_quantumcanvas
from ._summary import compare
from ._xtb import compute_pairs
from ._xtb_molecules import compute_molecules

__all__ = [
    "Molecules",
    "PairData",
    "build_archive",
    "compare",
    "compute_molecules",
    "compute_pairs",
    "fetch_quantumcanvas",
    "load_pairs",
    "read_dftbplus",
    "read_npz",
    "write_npz",
]

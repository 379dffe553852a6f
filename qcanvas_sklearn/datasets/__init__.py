"""Sources of pairs and molecules.

What is there already comes as scikit-learn's `Bunch` (or ``X, y``): `load_pairs` and
`fetch_quantumcanvas`, whose ``pairs`` is the `PairData`; `load_molecules` and
`load_trajectory`, `fetch_qm9`, `fetch_md17` and `fetch_crysmtm`, whose ``data`` is the
`Molecules`. What the user brings or has computed
comes as a `PairData`: `read_dftbplus`, `read_npz`, `compute_pairs`, `build_archive`; or as
a `Molecules`: `compute_molecules`, `read_qm9`, `read_md17`, `read_crysmtm`. `TorchPairs` and
`TorchPairGraphs` hand pairs to loops that are written in torch.
"""

from typing import TYPE_CHECKING, Any

from ..structures import Molecules, PairData
from ._archive import read_npz, write_npz
from ._build import build_archive
from ._bundled import load_pairs
from ._bundled_molecules import load_molecules, load_trajectory
from ._crysmtm import fetch_crysmtm, read_crysmtm
from ._dftbplus import read_dftbplus
from ._fetch import fetch_quantumcanvas
from ._md17 import fetch_md17, read_md17
from ._qm9 import fetch_qm9, read_qm9
from ._summary import compare
from ._xtb import compute_pairs
from ._xtb_molecules import compute_molecules

if TYPE_CHECKING:
    from ._torch_pairs import TorchPairGraphs, TorchPairs

__all__ = [
    "Molecules",
    "PairData",
    "TorchPairGraphs",
    "TorchPairs",
    "build_archive",
    "compare",
    "compute_molecules",
    "compute_pairs",
    "fetch_crysmtm",
    "fetch_md17",
    "fetch_qm9",
    "fetch_quantumcanvas",
    "load_molecules",
    "load_pairs",
    "load_trajectory",
    "read_crysmtm",
    "read_dftbplus",
    "read_md17",
    "read_npz",
    "read_qm9",
    "write_npz",
]


def __getattr__(name: str) -> Any:
    # The only names here that need torch, which the sources of data do without.
    if name in ("TorchPairGraphs", "TorchPairs"):
        from . import _torch_pairs

        return getattr(_torch_pairs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

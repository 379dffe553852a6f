"""Hamiltonians of molecules: orbital bases, records of matrices, two-centre physics."""

from typing import TYPE_CHECKING, Any

from . import metrics
from ._basis import Basis, Orbitals
from ._blocks import Blocks, ElementBlocks, element_blocks
from ._compute import compute_hamiltonians
from ._conventions import CONVENTIONS
from ._harmonics import rotation
from ._nabladft import read_nabladft
from ._omol import read_omol
from ._qh9 import read_qh9
from ._record import Hamiltonians
from ._rotations import rotated
from ._schnorb import read_schnorb
from ._tables import TwoCentreTables
from ._transformer import TwoCentreTransformer

if TYPE_CHECKING:
    from ._torch_states import TwoCentreStates, two_centre_states

__all__ = [
    "Basis",
    "Blocks",
    "CONVENTIONS",
    "ElementBlocks",
    "Hamiltonians",
    "Orbitals",
    "TwoCentreStates",
    "TwoCentreTables",
    "TwoCentreTransformer",
    "compute_hamiltonians",
    "element_blocks",
    "metrics",
    "read_nabladft",
    "read_omol",
    "read_qh9",
    "read_schnorb",
    "rotated",
    "rotation",
    "two_centre_states",
]


def __getattr__(name: str) -> Any:
    # The only names here that need torch, which two-centre physics does without.
    if name in ("TwoCentreStates", "two_centre_states"):
        from . import _torch_states

        return getattr(_torch_states, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

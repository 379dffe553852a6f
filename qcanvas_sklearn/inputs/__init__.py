"""From what a user passes as X to the rows that networks take: one reader for each kind."""

from ._base import InputSpec, Reader
from ._elements import standard_descriptors
from ._open import open_reader
from .hamiltonians import REFERENCES, HamiltonianReader, Structures
from .molecules import MoleculeReader
from .pairs import PairReader
from .tables import TableReader

__all__ = [
    "REFERENCES",
    "HamiltonianReader",
    "InputSpec",
    "MoleculeReader",
    "PairReader",
    "Reader",
    "Structures",
    "TableReader",
    "open_reader",
    "standard_descriptors",
]

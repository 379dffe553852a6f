"""From what a user passes as X to the rows that networks take: one reader for each kind."""

from ._base import InputSpec, Reader
from ._elements import standard_descriptors
from ._open import open_reader
from .molecules import MoleculeReader
from .pairs import PairReader
from .tables import TableReader

__all__ = [
    "InputSpec",
    "MoleculeReader",
    "PairReader",
    "Reader",
    "TableReader",
    "open_reader",
    "standard_descriptors",
]

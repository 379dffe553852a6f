"""Hamiltonians of molecules: orbital bases, records of matrices, two-centre physics."""

from ._basis import Basis, Orbitals
from ._harmonics import rotation

__all__ = [
    "Basis",
    "Orbitals",
    "rotation",
]

"""Records of arrays: what is known about atoms, pairs and molecules of them."""

from ._arrays import save_atomically
from ._ase import load_ase
from ._check import (
    PAIR_COLUMNS,
    CheckedPairs,
    canonical_order,
    check_pairs,
    looks_like_pairs,
    might_be_atomic_numbers,
    validate_pairs,
)
from ._check_molecules import check_molecules, looks_like_molecules
from ._molecules import Molecules
from ._neighbours import Neighbours, neighbour_list
from ._pairs import N_ORBITALS, PairData, empty_labels, pair_amplitudes

__all__ = [
    "N_ORBITALS",
    "PAIR_COLUMNS",
    "CheckedPairs",
    "Molecules",
    "Neighbours",
    "PairData",
    "canonical_order",
    "check_molecules",
    "check_pairs",
    "empty_labels",
    "load_ase",
    "looks_like_molecules",
    "looks_like_pairs",
    "might_be_atomic_numbers",
    "neighbour_list",
    "pair_amplitudes",
    "save_atomically",
    "validate_pairs",
]

"""Records of arrays: what is known about atoms and pairs of them."""

from ._check import (
    PAIR_COLUMNS,
    CheckedPairs,
    check_pairs,
    looks_like_pairs,
    might_be_atomic_numbers,
    validate_pairs,
)
from ._pairs import N_ORBITALS, PairData, empty_labels, pair_amplitudes, save_atomically

__all__ = [
    "N_ORBITALS",
    "PAIR_COLUMNS",
    "CheckedPairs",
    "PairData",
    "check_pairs",
    "empty_labels",
    "looks_like_pairs",
    "might_be_atomic_numbers",
    "pair_amplitudes",
    "save_atomically",
    "validate_pairs",
]

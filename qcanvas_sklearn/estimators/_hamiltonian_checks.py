"""Whether molecules and Hamiltonians belong together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._validation import check_n_rows
from ..elements import symbols
from ..hamiltonians import Basis, Hamiltonians
from ..inputs import Structures
from ..structures import Molecules, check_molecules

__all__ = [
    "check_matched",
    "check_shells",
    "converged",
    "matched",
    "not_periodic",
    "packed_overlaps",
]

#: Distance (Å) to which atoms of X and of y may differ.
_SAME_PLACE = 1e-4


def matched(X: Any, y: Any, name: str) -> Structures:
    """Molecules with the overlaps of their Hamiltonians, if these are theirs."""
    if y is None:
        raise ValueError(
            "HamiltonianRegressor requires y to be passed, but the target y is None"
        )
    if not isinstance(y, Hamiltonians):
        raise TypeError(
            f"{name} must be Hamiltonians (Hamiltonians.from_matrices makes a record of "
            f"matrices), got {type(y).__name__}"
        )
    molecules = not_periodic(check_molecules(X))
    check_matched(molecules, y, name)
    return Structures(molecules, y.overlap_values, y)


def converged(X: Structures) -> tuple[Structures, Hamiltonians]:
    """Molecules and their Hamiltonians, of self-consistent states alone."""
    assert X.labels is not None  # of what was matched
    kept = np.flatnonzero(X.labels.converged)
    labels = X.labels[kept]
    return Structures(X.molecules[kept], labels.overlap_values, labels), labels


def not_periodic(molecules: Molecules) -> Molecules:
    if molecules.pbc is not None and molecules.pbc.any():
        row = int(np.argmax(molecules.pbc.any(axis=1)))
        raise ValueError(
            f"structure {row} ({str(molecules.names[row])!r}) is periodic; Hamiltonians are "
            "those of molecules"
        )
    return molecules


def check_matched(molecules: Molecules, record: Hamiltonians, name: str) -> None:
    """Raise a ValueError unless a record is of these molecules, row by row."""
    check_n_rows(record, len(molecules), input_name=name)
    own = record.molecules
    for row in range(len(molecules)):
        here, there = (slice(*m.ptr[row : row + 2]) for m in (molecules, own))
        same = np.array_equal(molecules.z[here], own.z[there])
        if same:
            gap = np.abs(molecules.positions[here] - own.positions[there]).max(initial=0.0)
            same = bool(gap < _SAME_PLACE)
        if not same or molecules.charge[row] != own.charge[row]:
            raise ValueError(
                f"row {row} of X ({str(molecules.names[row])!r}) is another structure than "
                f"that of {name} ({str(own.names[row])!r}): elements, positions and charges "
                "must agree, atom by atom"
            )


def packed_overlaps(
    molecules: Molecules, overlaps: Any, basis: Basis
) -> NDArray[np.float64] | None:
    """Overlaps that a user passes, as the records hold them."""
    if overlaps is None:
        return None
    if isinstance(overlaps, Hamiltonians):
        check_matched(molecules, overlaps, "overlaps")
        check_shells(overlaps, basis)
        return overlaps.overlap_values
    check_n_rows(overlaps, len(molecules), input_name="overlaps")
    made = Hamiltonians.from_matrices(
        molecules, overlaps, overlaps, basis=basis, convention="qcanvas",
        n_electrons=np.zeros(len(molecules)),
    )  # fmt: skip
    return made.values


def check_shells(record: Hamiltonians, basis: Basis) -> None:
    """Raise a ValueError that names the element whose shells are not those of the fit."""
    for symbol in symbols(record.molecules.elements).tolist():
        if symbol in basis and record.basis[symbol] != basis[symbol]:
            raise ValueError(
                f"{symbol} has the shells {record.basis[symbol]}, and {basis[symbol]} in the "
                "Hamiltonians that were learned from"
            )

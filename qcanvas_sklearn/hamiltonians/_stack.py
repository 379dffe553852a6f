"""Records of Hamiltonians below each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..structures import Molecules
from ..structures._arrays import freeze
from ._basis import Basis

if TYPE_CHECKING:
    from ._record import Hamiltonians

__all__ = ["stack"]


def stack(parts: Sequence[Hamiltonians]) -> dict[str, Any]:
    """Fields of the record of all rows of the parts, which are in one unit.

    Raises
    ------
    ValueError
        If there are none, an element has different shells in two of them, or some have
        overlaps and others none.
    """
    if not parts:
        raise ValueError("concat needs at least one Hamiltonians")
    known = [part.overlap_values for part in parts if part.overlap_values is not None]
    if known and len(known) < len(parts):
        raise ValueError("some parts have overlaps and others none")
    sources = dict.fromkeys(part.provenance for part in parts if part.provenance)
    return {
        "molecules": Molecules.concat([part.molecules for part in parts]),
        "basis": _union([part.basis for part in parts]),
        "values": freeze(np.concatenate([part.values for part in parts])),
        "overlap_values": freeze(np.concatenate(known)) if known else None,
        "unit": parts[0].unit,
        "n_electrons": freeze(np.concatenate([part.n_electrons for part in parts])),
        "provenance": " + ".join(sources),
    }


def _union(bases: Sequence[Basis]) -> Basis:
    shells: dict[str, tuple[int, ...]] = {}
    for basis in bases:
        for symbol, momenta in basis.items():
            if shells.setdefault(symbol, momenta) != momenta:
                raise ValueError(
                    f"{symbol} has the shells {shells[symbol]} in one part and {momenta} in "
                    "another"
                )
    return Basis(shells)

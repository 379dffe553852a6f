"""The ``.npz`` file of a record of Hamiltonians: that of its molecules, and the matrices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._files import open_regular
from .._npz import Spec, read_arrays
from ..elements import MAX_Z, SYMBOLS
from ..structures import Molecules
from ..structures import _molecule_files as molecule_files
from ._basis import Basis

__all__ = ["load_fields", "members"]

#: More elements than any file can hold that is not too large as a whole.
_MAX_ROWS = 10**10
_PREFIX = "hamiltonian_"
_LAYOUT = {
    "n_electrons": Spec("iu", ("n",)),
    "values": Spec("f", (None,)),
    "overlap_values": Spec("f", (None,), optional=True),
    "shells": Spec("u", (None, 2)),
    "unit": Spec("U", (), width=16),
    "provenance": Spec("U", ()),
}


def members(fields: Mapping[str, Any]) -> dict[str, NDArray]:
    """Arrays of a file from the fields of a record."""
    molecules = fields["molecules"].__getstate__()
    arrays = molecule_files.members(molecules | {"z": fields["molecules"].z})
    basis = fields["basis"]
    shells = [(z, l) for z in basis.elements.tolist() for l in basis.shells(z)]
    own = {
        "shells": np.array(shells, dtype=np.uint8).reshape(-1, 2),
        "unit": np.array(fields["unit"]),
        "provenance": np.array(fields["provenance"]),
    }
    for name in ("n_electrons", "values", "overlap_values"):
        if fields[name] is not None:
            own[name] = fields[name]
    return arrays | {_PREFIX + name: array for name, array in own.items()}


def load_fields(path: str | os.PathLike[str], max_bytes: int) -> dict[str, Any]:
    """Fields of a record from a file; each array's size is checked before it is read.

    Raises
    ------
    ValueError
        If the file is damaged or too large. Other exceptions mean that it is damaged too.
    """
    layout = {_PREFIX + name: spec for name, spec in _LAYOUT.items()}
    with open_regular(path) as file:
        read = read_arrays(file, layout, max_bytes=max_bytes, max_rows=_MAX_ROWS)
    arrays: dict[str, Any] = {name.removeprefix(_PREFIX): a for name, a in read.items()}
    shells: dict[str, list[int]] = {}
    for z, l in arrays.pop("shells").tolist():
        if not 0 < z <= MAX_Z:
            raise ValueError(f"{z} is not an atomic number from 1 to {MAX_Z}")
        shells.setdefault(SYMBOLS[z], []).append(l)
    texts = {name: str(arrays.pop(name)) for name in ("unit", "provenance")}
    molecules = Molecules.load(path, max_bytes=max_bytes)
    return {"molecules": molecules, "basis": Basis(shells)} | arrays | texts

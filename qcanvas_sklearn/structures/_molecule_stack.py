"""Records of molecules below each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ._arrays import freeze
from ._ragged import pointers

if TYPE_CHECKING:
    from ._molecules import Molecules

__all__ = ["stack", "unused_prefix"]


def stack(parts: Sequence[Molecules]) -> dict[str, Any]:
    """Fields of the record of all rows of the parts, in order.

    Raises
    ------
    ValueError
        If there are none, or two state different units of a label.
    """
    if not parts:
        raise ValueError("concat needs at least one Molecules")
    n, n_atoms = [len(part) for part in parts], [len(part.z) for part in parts]
    fields: dict[str, Any] = {
        name: freeze(np.concatenate([getattr(part, name) for part in parts]))
        for name in ("z", "positions", "charge", "names", "quality")
    }
    fields["ptr"] = freeze(pointers(np.concatenate([part.n_atoms for part in parts])))
    fields["forces"] = _filled([p.forces for p in parts], n_atoms, (3,), np.nan)
    fields["cell"] = _filled([p.cell for p in parts], n, (3, 3), 0.0)
    fields["pbc"] = _filled([p.pbc for p in parts], n, (3,), False)
    fields["groups"] = _groups(parts)
    fields["units"] = _units(parts)
    for table in ("labels", "atom_labels"):
        frames = [getattr(part, table) for part in parts]
        # Without an index that tells the parts apart, tables without columns lose rows.
        whole = pd.concat(frames, keys=range(len(frames))).reset_index(drop=True)
        fields[table] = whole.astype(np.float64)
    sources = dict.fromkeys(part.provenance for part in parts if part.provenance)
    fields["provenance"] = " + ".join(sources)
    return fields


def _filled(
    arrays: Sequence[NDArray | None], lengths: Sequence[int], shape: tuple[int, ...], fill: Any
) -> NDArray | None:
    if all(array is None for array in arrays):
        return None
    return freeze(
        np.concatenate([
            np.full((length, *shape), fill) if array is None else array
            for array, length in zip(arrays, lengths, strict=True)
        ])
    )  # fmt: skip


def _groups(parts: Sequence[Molecules]) -> NDArray | None:
    """Groups by their names; rows of a record without any become groups of their own."""
    if all(part.groups is None for part in parts):
        return None
    named = [part.groups for part in parts if part.groups is not None]
    if len(named) == len(parts) and len({groups.dtype.kind for groups in named}) == 1:
        return freeze(np.concatenate(named))
    taken = {str(name) for groups in named for name in groups.tolist()}
    out: list[str] = []
    for k, part in enumerate(parts):
        if part.groups is not None:
            out += [str(name) for name in part.groups.tolist()]
            continue
        prefix = unused_prefix(f"part {k}, row ", taken)
        out += [f"{prefix}{i}" for i in part.group_ids]
    return freeze(np.array(out, dtype=np.str_))


def unused_prefix(prefix: str, taken: Iterable[str]) -> str:
    """A beginning of names that none of those taken has."""
    while any(name.startswith(prefix) for name in taken):
        prefix = f"another {prefix}"
    return prefix


def _units(parts: Sequence[Molecules]) -> MappingProxyType[str, str]:
    units: dict[str, str] = {}
    for part in parts:
        for column, unit in part.units.items():
            if units.setdefault(column, unit) != unit:
                raise ValueError(
                    f"label {column!r} is in {units[column]!r} in one part and in {unit!r} in "
                    "another; bring them to one unit"
                )
    return MappingProxyType(units)

"""What makes arrays a record of molecules, and what no structure may be like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..elements import MAX_Z
from ._arrays import read_only
from ._neighbours import closest_pairs

__all__ = ["MIN_DISTANCE", "check_arrays", "check_geometry"]

#: Distance in Å below which two atoms are one that is there twice, or units are wrong.
MIN_DISTANCE = 0.1
#: Smallest height in Å of a cell that repeats.
_MIN_HEIGHT = 0.5
_DEFAULTS = {"charge": 0.0, "quality": "ok"}


def check_arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read-only arrays of a record, of the right types and shapes.

    Parameters
    ----------
    given : mapping of str to array-like or None
        The fields of a record that are arrays.

    Returns
    -------
    dict of str to ndarray or None

    Raises
    ------
    ValueError
        If a shape is wrong, or values are of another kind.
    """
    ptr = _integers("ptr", given["ptr"])
    z = _integers("z", given["z"])
    if ptr.ndim != 1 or not len(ptr) or ptr[0] != 0 or (np.diff(ptr) < 0).any():
        raise ValueError("ptr must begin with 0 and never decrease")
    if z.shape != (ptr[-1],):
        raise ValueError(f"z has shape {z.shape}, expected {(int(ptr[-1]),)}, as ptr ends")
    n, n_atoms = len(ptr) - 1, len(z)
    shapes: dict[str, tuple[tuple[int, ...], Any]] = {
        "positions": ((n_atoms, 3), np.float64), "forces": ((n_atoms, 3), np.float64),
        "cell": ((n, 3, 3), np.float64), "pbc": ((n, 3), np.bool_),
        "charge": ((n,), np.float64), "names": ((n,), np.str_), "quality": ((n,), np.str_),
    }  # fmt: skip
    arrays: dict[str, Any] = {"ptr": ptr, "z": z, "groups": _groups(given["groups"], n)}
    for name, (shape, dtype) in shapes.items():
        value = given[name]
        if value is None and name in _DEFAULTS:
            value = np.full(shape, _DEFAULTS[name])
        array = None if value is None else _array(name, value, dtype)
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has shape {array.shape}, expected {shape}")
        arrays[name] = array
    if not np.isfinite(arrays["charge"]).all():
        row = int(np.argmin(np.isfinite(arrays["charge"])))
        _refuse(row, arrays["names"], f"the charge is {arrays['charge'][row]}")
    forces = arrays["forces"]
    if forces is not None and np.isinf(forces).any():
        atom = int(np.argmax(np.isinf(forces).any(axis=1)))
        row = _row(ptr, atom)
        _refuse(
            row, arrays["names"],
            f"the force on atom {atom - ptr[row]} is {forces[atom].tolist()}; NaN where it is "
            "not known",
        )  # fmt: skip
    return arrays


def _array(name: str, value: Any, dtype: Any) -> NDArray:
    try:
        return read_only(value, dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of {np.dtype(dtype).name}: {error}") from None


def _integers(name: str, value: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"{name} must be integers, got values of type {array.dtype}")
    return read_only(value, np.int64)


def _groups(value: Any, n: int) -> NDArray | None:
    if value is None:
        return None
    groups = np.asarray(value)
    if groups.dtype.kind == "O":
        groups = np.asarray(groups.tolist())
    if groups.dtype.kind not in "iuU":
        raise ValueError(f"groups must be integers or text, got values of {groups.dtype}")
    if groups.shape != (n,):
        raise ValueError(f"groups has shape {groups.shape}, expected {(n,)}")
    return read_only(groups, np.str_ if groups.dtype.kind == "U" else np.int64)


def check_geometry(
    z: NDArray[np.int64],
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    cell: NDArray[np.float64] | None,
    pbc: NDArray[np.bool_] | None,
    names: NDArray[np.str_] | None,
) -> None:
    """Raise a ValueError that names the first structure that is none.

    Without atoms, with an unknown element, a position that is not finite, a cell that
    cannot repeat, or two atoms in one place.
    """
    empty = np.diff(ptr) == 0
    if empty.any():
        _refuse(int(np.argmax(empty)), names, "it has no atoms")
    unknown = (z < 1) | (z > MAX_Z)
    if unknown.any():
        atom = int(np.argmax(unknown))
        _refuse(
            _row(ptr, atom), names, f"{z[atom]} is not an atomic number from 1 to {MAX_Z}"
        )
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
        atom = int(np.argmin(finite))
        row = _row(ptr, atom)
        _refuse(
            row, names, f"the position of atom {atom - ptr[row]} is {positions[atom].tolist()}"
        )
    _check_cells(cell, pbc, names)
    _check_distances(positions, ptr, cell, pbc, names)


def _check_cells(
    cell: NDArray[np.float64] | None,
    pbc: NDArray[np.bool_] | None,
    names: NDArray[np.str_] | None,
) -> None:
    repeats = np.zeros(0, bool) if pbc is None else pbc.any(axis=1)
    if cell is None:
        if repeats.any():
            _refuse(int(np.argmax(repeats)), names, "it is periodic (pbc) but has no cell")
        return
    finite = np.isfinite(cell).all(axis=(1, 2))
    if not finite.all():
        _refuse(int(np.argmin(finite)), names, "a cell vector is not finite")
    if not repeats.any():
        return
    flat = repeats & (_heights(cell).min(axis=1) < _MIN_HEIGHT)
    if flat.any():
        row = int(np.argmax(flat))
        _refuse(
            row, names,
            f"it is periodic (pbc), and its cell {cell[row].tolist()} has no volume: no "
            f"height may be below {_MIN_HEIGHT} Å, in directions that do not repeat either",
        )  # fmt: skip


def _heights(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of opposite faces of each cell, (n, 3); 0 where it is flat."""
    normal = np.cross(np.roll(cell, -1, axis=1), np.roll(cell, -2, axis=1))
    area = np.linalg.norm(normal, axis=-1)
    volume = np.abs(np.einsum("nk,nk->n", cell[:, 0], normal[:, 0]))
    return np.divide(volume[:, None], area, out=np.zeros_like(area), where=area > 0)


def _check_distances(
    positions: NDArray[np.float64],
    ptr: NDArray[np.int64],
    cell: NDArray[np.float64] | None,
    pbc: NDArray[np.bool_] | None,
    names: NDArray[np.str_] | None,
) -> None:
    i, j, distance = closest_pairs(positions, ptr, MIN_DISTANCE, cell, pbc)
    if len(i):
        row = _row(ptr, i[0])
        _refuse(
            row, names,
            f"atoms {i[0] - ptr[row]} and {j[0] - ptr[row]} are {distance[0]:.3g} Å apart, "
            f"less than {MIN_DISTANCE} Å; positions are to be in Å",
        )  # fmt: skip


def _row(ptr: NDArray[np.int64], atom: int) -> int:
    return int(np.searchsorted(ptr, atom, side="right")) - 1


def _refuse(row: int, names: NDArray[np.str_] | None, reason: str) -> NoReturn:
    name = "" if names is None else f" ({str(names[row])!r})"
    raise ValueError(f"structure {row}{name}: {reason}")

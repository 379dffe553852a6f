"""Molecules from and to torch-geometric, which is imported where it is asked for only."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._optional import require
from .._validation import check_choice
from ..targets import EV_PER
from ._molecules import Molecules
from ._ragged import pointers

__all__ = ["data_class", "data_of_molecules", "molecules_of_data"]

_NUMBERS = ("z", "atomic_numbers")
_FORCES = ("force", "forces")


def molecules_of_data(data: Any, *, energy_unit: str | None, **fields: Any) -> Molecules:
    """The record of some ``Data``, see :meth:`Molecules.from_pyg`."""
    if energy_unit is not None:
        check_choice("energy_unit", energy_unit, tuple(EV_PER))
    items = _items(data)
    z = [_array(i, item, _NUMBERS) for i, item in enumerate(items)]
    positions = [_array(i, item, ("pos",)) for i, item in enumerate(items)]
    found: dict[str, Any] = {
        "z": np.concatenate([np.empty(0, np.int64), *z]),
        "positions": np.concatenate([np.empty((0, 3)), *positions]).astype(np.float64),
        "ptr": pointers([len(part) for part in z]),
        "charge": [_number(item, ("charge", "total_charge"), 0.0) for item in items],
    }
    _add_cells(found, items)
    names = [getattr(item, "name", None) for item in items]
    if items and all(isinstance(name, str) for name in names):
        found["names"] = names
    if energy_unit is not None:
        factor = EV_PER[energy_unit]
        energy = [_number(item, ("energy",), np.nan) for item in items]
        if np.isfinite(energy).any():
            found["labels"] = pd.DataFrame({"total_energy_ev": np.array(energy) * factor})
        forces = [_value(item, _FORCES) for item in items]
        if any(force is not None for force in forces):
            found["forces"] = factor * np.concatenate([
                np.full((len(part), 3), np.nan) if force is None else force
                for part, force in zip(z, forces, strict=True)
            ])  # fmt: skip
    return Molecules(**found | fields)


def _items(data: Any) -> list[Any]:
    """Single structures of a ``Data``, a ``Batch``, a data set or a list."""
    if hasattr(data, "to_data_list"):
        return list(data.to_data_list())
    # A data set hands on the attributes of its members, so that these tell nothing.
    loaded = sys.modules.get("torch_geometric.data")
    single = loaded is not None and isinstance(data, loaded.Data)
    return [data] if single else list(data)


def _value(item: Any, names: Iterable[str]) -> NDArray | None:
    for name in names:
        value = getattr(item, name, None)
        if value is not None:
            value = value.detach().cpu() if hasattr(value, "detach") else value
            return np.asarray(value)
    return None


def _array(row: int, item: Any, names: tuple[str, ...]) -> NDArray:
    value = _value(item, names)
    if value is None:
        raise ValueError(
            f"structure {row} has no {' or '.join(repr(name) for name in names)}: "
            f"{type(item).__name__} must hold atomic numbers 'z' and positions 'pos' in Å"
        )
    return value.reshape(-1) if names == _NUMBERS else value


def _number(item: Any, names: tuple[str, ...], default: float) -> float:
    """A number of the whole structure; what is there by atom is not it."""
    value = _value(item, names)
    return default if value is None or value.size != 1 else float(value.reshape(-1)[0])


def _add_cells(found: dict[str, Any], items: list[Any]) -> None:
    cells = [_value(item, ("cell",)) for item in items]
    if all(cell is None for cell in cells):
        return
    flags = [_value(item, ("pbc",)) for item in items]
    found["cell"] = [np.zeros((3, 3)) if c is None else c.reshape(3, 3) for c in cells]
    # A cell that nothing is said about is one that repeats.
    found["pbc"] = [
        np.full(3, cell is not None) if pbc is None else pbc.reshape(3)
        for cell, pbc in zip(cells, flags, strict=True)
    ]


def data_class() -> Any:
    """``torch_geometric.data.Data``, or an ImportError that says how to get it."""
    return require("PyG's Data", "torch_geometric.data").Data


def data_of_molecules(molecules: Molecules) -> list[Any]:
    """A list of ``Data``, see :meth:`Molecules.to_pyg`."""
    data = data_class()
    import torch

    out = []
    atom_labels = {k: c.to_numpy() for k, c in molecules.atom_labels.items()}
    for i, (start, end) in enumerate(zip(molecules.ptr[:-1], molecules.ptr[1:], strict=True)):
        fields: dict[str, Any] = {
            "z": molecules.z[start:end], "pos": molecules.positions[start:end],
            "charge": molecules.charge[i : i + 1],
        }  # fmt: skip
        if molecules.cell is not None and molecules.pbc is not None:
            fields |= {"cell": molecules.cell[i : i + 1], "pbc": molecules.pbc[i : i + 1]}
        if molecules.forces is not None:
            fields["force"] = molecules.forces[start:end]
        if "total_energy_ev" in molecules.labels:
            fields["energy"] = molecules.labels["total_energy_ev"].to_numpy()[i : i + 1]
        if len(molecules.labels.columns):
            fields["y"] = molecules.labels.to_numpy()[i : i + 1]
        fields |= {k: array[start:end] for k, array in atom_labels.items()}
        tensors = {k: torch.from_numpy(np.array(array)) for k, array in fields.items()}
        out.append(data(**tensors, name=str(molecules.names[i])))
    return out

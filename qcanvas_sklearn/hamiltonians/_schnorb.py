"""Hamiltonians along trajectories of MD17: the data of SchNOrb, in ASE's databases."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._validation import check_choice
from ..structures import Molecules, load_ase
from ..targets import HARTREE_IN_EV
from ._basis import Basis
from ._databases import BOHR_IN_ANGSTROM, DEF2_SVP, chosen, columns, opened, reading
from ._record import Hamiltonians

__all__ = ["read_schnorb"]

_PROVENANCE = "SchNOrb's MD17 ({}), doi:10.1038/s41467-019-12875-2: by ORCA"
#: Units of forces by their factor to eV/Å.
_FORCES = {
    "hartree/bohr": HARTREE_IN_EV / BOHR_IN_ANGSTROM,
    "hartree/angstrom": HARTREE_IN_EV,
}


def read_schnorb(
    path: str | os.PathLike[str],
    rows: Any = None,
    *,
    basis: Basis | Mapping[str, Sequence[int]] = DEF2_SVP,
    forces_unit: str | None = None,
    tolerance: float = 2e-5,
) -> Bunch:
    """Read Hamiltonians of SchNOrb [1]_: ``schnorb_hamiltonian_water.db`` and its like.

    Parameters
    ----------
    path : path-like
        The database of ASE, whose rows have ``hamiltonian``, ``overlap`` and ``energy`` in
        their data, as arrays or encoded as SchNetPack did. It needs ase.
    rows : slice, mask, array-like of int or None, default=None
        Rows to read, counted from 0; by default all.
    basis : Basis or mapping of str to sequence of int, default=def2-SVP
        Shells of the elements.
    forces_unit : {"hartree/bohr", "hartree/angstrom"} or None, default=None
        Unit of the forces, which the files do not state; None leaves the forces out.
    tolerance : float, default=2e-5
        As for :meth:`Hamiltonians.from_matrices`; the matrices were printed by ORCA, and
        have the digits of that.

    Returns
    -------
    Bunch
        ``data``, the molecules, with energies in eV; ``target``, their
        :class:`Hamiltonians` in hartree, with overlaps; ``groups``, one for all frames;
        ``rows``, their numbers in the file.

    Raises
    ------
    ImportError
        If ase is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or in another layout, the message names the row; or if there is no
        such unit.

    References
    ----------
    .. [1] K. T. Schütt et al., Nat. Commun. 10, 5024 (2019),
       doi:10.1038/s41467-019-12875-2.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import read_schnorb
    >>> water = read_schnorb("schnorb_hamiltonian_water.db")  # doctest: +SKIP
    >>> water.target  # doctest: +SKIP
    Hamiltonians(4999 molecules, 24 orbitals; overlaps; hartree; ...)
    """
    if forces_unit is not None:
        check_choice("forces_unit", forces_unit, list(_FORCES))
    load_ase()
    from ase.db import connect

    shells = basis if isinstance(basis, Basis) else Basis(basis)
    with reading(path, "SchNOrb"):
        with opened(path) as connection:
            # Where there is no table, ase would write one.
            if not columns(connection, "systems"):
                raise ValueError("it is no database of ase")
        database = connect(os.fspath(path), type="db")
        ids = [row.id for row in database.select(include_data=False)]
        taken = chosen(len(ids), rows)
        read = [_row(database.get(id=ids[k]), int(k)) for k in taken]
        if forces_unit is not None and any("forces" not in data for _, data in read):
            raise ValueError("its rows have no forces")
        molecules = _molecules(path, read, taken, forces_unit)
        target = Hamiltonians.from_matrices(
            molecules,
            [data["hamiltonian"] for _, data in read],
            [data["overlap"] for _, data in read],
            basis=shells, convention="orca", unit="hartree", tolerance=tolerance,
            provenance=molecules.provenance,
        )  # fmt: skip
    return Bunch(data=molecules, target=target, groups=molecules.group_ids, rows=taken)


def _row(row: Any, k: int) -> tuple[Any, dict[str, NDArray]]:
    """A row of the database, and the arrays in its data."""
    data: dict[str, NDArray] = {}
    for name in ("hamiltonian", "overlap", "energy", "forces"):
        if name in row.data:
            data[name] = _array(row.data, name, k)
        elif name in ("hamiltonian", "overlap"):
            raise ValueError(f"row {k} has no {name!r} in its data, only {sorted(row.data)}")
    if "forces" in data and data["forces"].shape != (row.natoms, 3):
        raise ValueError(
            f"row {k}: forces have shape {data['forces'].shape}, expected {(row.natoms, 3)}"
        )
    if "energy" in data and data["energy"].size != 1:
        raise ValueError(f"row {k}: energy has shape {data['energy'].shape}, expected one")
    return row, data


def _array(data: Mapping[str, Any], name: str, k: int) -> NDArray:
    """An array as it is, or as SchNetPack encoded it: base64, with its shape and type."""
    value = data[name]
    try:
        if isinstance(value, str):
            raw = b64decode(value, validate=True)
            dtype = np.dtype(data[f"_dtype_{name}"])
            return np.frombuffer(raw, dtype).reshape(data[f"_shape_{name}"])
        return np.asarray(value, dtype=getattr(value, "dtype", np.float64))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"row {k}: {name} is no array: {error}") from None


def _molecules(
    path: str | os.PathLike[str],
    read: list[tuple[Any, dict[str, NDArray]]],
    taken: NDArray[np.int64],
    forces_unit: str | None,
) -> Molecules:
    name = os.path.splitext(os.path.basename(os.fspath(path)))[0]
    name = name.removeprefix("schnorb_hamiltonian_")
    fields: dict[str, Any] = {}
    if read and all("energy" in data for _, data in read):
        energies = [float(data["energy"].reshape(-1)[0]) * HARTREE_IN_EV for _, data in read]
        fields["labels"] = pd.DataFrame({"total_energy_ev": energies})
    if forces_unit is not None:
        factor = _FORCES[forces_unit]
        fields["forces"] = [data["forces"].astype(np.float64) * factor for _, data in read]
    return Molecules.from_lists(
        [row.numbers for row, _ in read], [row.positions for row, _ in read],
        names=np.array([f"{name}:{k}" for k in taken.tolist()], dtype=np.str_),
        groups=np.full(len(read), name), provenance=_PROVENANCE.format(name), **fields,
    )  # fmt: skip

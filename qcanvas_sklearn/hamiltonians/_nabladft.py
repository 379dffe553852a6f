"""nablaDFT: ωB97X-D/def2-SVP Hamiltonians of drug-like molecules."""

from __future__ import annotations

import os
import sqlite3
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..elements import MAX_Z, SYMBOLS
from ..structures import Molecules
from ..targets import HARTREE_IN_EV
from ._basis import Basis
from ._conventions import check_convention
from ._databases import BOHR_IN_ANGSTROM, blob, chosen, columns, opened, reading
from ._import import SINGLE_PRECISION
from ._proof import fitting_conventions
from ._record import Hamiltonians

__all__ = ["read_nabladft"]

_PROVENANCE = "nablaDFT, doi:10.1039/D2CP03966D: wB97X-D/def2-SVP by Psi4"
#: Molecules whose overlaps tell the order.
_TRIALS = 50
_DATA = ("id", "Z", "R", "E", "F", "H", "S", "C")


class _Row(NamedTuple):
    """One molecule as it is stored: atomic units, single precision."""

    z: NDArray[np.int64]
    positions: NDArray[np.float32]
    energy: float
    forces: NDArray[np.float32] | None
    matrix: NDArray[np.float32]
    overlap: NDArray[np.float32]
    core: NDArray[np.float32] | None


def read_nabladft(
    path: str | os.PathLike[str],
    rows: Any = None,
    *,
    core: bool = False,
    convention: str | None = None,
    tolerance: float | None = None,
) -> Bunch:
    """Read Hamiltonians of nablaDFT [1]_ [2]_, or of another file in its layout.

    The files of PhiSNet have the same layout, but hold matrices in canonical order in place of
    that of Psi4; the overlaps tell which.

    Parameters
    ----------
    path : path-like
        The SQLite file with the tables ``data(id, Z, R, E, F, H, S, C)`` and
        ``basisset(Z, orbitals)``.
    rows : slice, mask, array-like of int or None, default=None
        Rows to read, counted from 0 in the order of the table; by default all.
    core : bool, default=False
        Read the core Hamiltonians as well.
    convention : str, optional
        Order and signs of the orbitals, as for :meth:`Hamiltonians.from_matrices`. By default
        ``"psi4"``, or ``"qcanvas"`` where the overlaps are in that.
    tolerance : float, optional
        As for :meth:`Hamiltonians.from_matrices`.

    Returns
    -------
    Bunch
        ``data``, the molecules, with energies and forces in eV and eV/Å; ``target``, their
        :class:`Hamiltonians` in hartree, with overlaps; ``groups``, which conformers are of
        one molecule, where the file knows; ``rows``, their numbers in the file; ``core``,
        the core Hamiltonians, or None.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or in another layout, if the overlaps are in another order, or if
        core Hamiltonians are asked for and one is missing. The message names the row.

    References
    ----------
    .. [1] K. Khrabrov et al., Phys. Chem. Chem. Phys. 24, 25853 (2022),
       doi:10.1039/D2CP03966D.
    .. [2] K. Khrabrov et al., NeurIPS 2024 Datasets and Benchmarks, arXiv:2406.14347.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import read_nabladft
    >>> nabla = read_nabladft("train_2k.db", rows=slice(100))  # doctest: +SKIP
    >>> nabla.target.gap()  # doctest: +SKIP
    """
    if convention is not None:
        check_convention(convention)
    with opened(path) as connection, reading(path, "nablaDFT"):
        missing = [name for name in _DATA if name not in columns(connection, "data")]
        if missing:
            raise ValueError(f"its table 'data' has no columns {missing}")
        basis = _basis(connection)
        ids = [k for (k,) in connection.execute("SELECT id FROM data ORDER BY id")]
        taken = chosen(len(ids), rows)
        read = [_row(connection, basis, ids[k], int(k), core) for k in taken]
        molecules = _molecules(read, [ids[k] for k in taken], _groups(connection, ids, taken))
        overlaps = [row.overlap for row in read]
        convention = convention or _convention(molecules, basis, overlaps, tolerance)
        target = Hamiltonians.from_matrices(
            molecules, [row.matrix for row in read], overlaps,
            basis=basis, convention=convention, unit="hartree", tolerance=tolerance,
            provenance=_PROVENANCE,
        )  # fmt: skip
        cores = _cores(target, read, convention) if core else None
    return Bunch(
        data=molecules, target=target, groups=molecules.group_ids, rows=taken, core=cores
    )


def _basis(connection: sqlite3.Connection) -> Basis:
    if not columns(connection, "basisset"):
        raise ValueError("it has no table 'basisset'")
    shells: dict[str, list[int]] = {}
    for z, value in connection.execute("SELECT Z, orbitals FROM basisset"):
        if not (isinstance(z, int) and 0 < z <= MAX_Z):
            raise ValueError(f"its basis is of the atomic number {z!r}")
        n = len(value) // 4 if isinstance(value, bytes) else 0
        shells[SYMBOLS[z]] = blob(f"basisset {z}", value, np.int32, (n,)).tolist()
    return Basis(shells)


def _row(
    connection: sqlite3.Connection, basis: Basis, name: int, k: int, core: bool
) -> _Row:
    query = f"SELECT Z, R, E, F, H, S, {'C' if core else 'NULL'} FROM data WHERE id = ?"
    z, r, energy, f, h, s, c = connection.execute(query, (name,)).fetchone()
    n = len(z) // 4 if isinstance(z, bytes) else 0
    if not n:
        raise ValueError(f"row {k}: Z holds no atoms")
    numbers = blob(f"row {k}: Z", z, np.int32, (n,)).astype(np.int64)
    size = int(basis.n_orbitals(numbers).sum())
    if core and c is None:
        raise ValueError(f"row {k} has no core Hamiltonian")
    if not isinstance(energy, (int, float, type(None))):
        raise ValueError(f"row {k}: E is {energy!r}, no energy")
    return _Row(
        numbers,
        blob(f"row {k}: R", r, np.float32, (n, 3)),
        np.nan if energy is None else energy,
        None if f is None else blob(f"row {k}: F", f, np.float32, (n, 3)),
        blob(f"row {k}: H", h, np.float32, (size, size)),
        blob(f"row {k}: S", s, np.float32, (size, size)),
        None if c is None else blob(f"row {k}: C", c, np.float32, (size, size)),
    )


def _groups(
    connection: sqlite3.Connection, ids: list[int], taken: NDArray[np.int64]
) -> NDArray[np.int64] | None:
    """Numbers of the molecules whose conformers the rows are, where the file has them."""
    if "MOSES_ID" not in columns(connection, "dataset_ids"):
        return None
    molecule = dict(connection.execute("SELECT id, MOSES_ID FROM dataset_ids").fetchall())
    groups = [molecule.get(ids[k]) for k in taken]
    if not all(isinstance(group, int) for group in groups):
        return None
    return np.array(groups, dtype=np.int64)


def _molecules(
    read: list[_Row], names: list[int], groups: NDArray[np.int64] | None
) -> Molecules:
    fields: dict[str, Any] = {}
    if any(row.forces is not None for row in read):
        scale = HARTREE_IN_EV / BOHR_IN_ANGSTROM
        fields["forces"] = [
            np.full((len(row.z), 3), np.nan)
            if row.forces is None
            else row.forces.astype(np.float64) * scale
            for row in read
        ]
    energies = HARTREE_IN_EV * np.array([row.energy for row in read], dtype=np.float64)
    if np.isfinite(energies).any():
        fields["labels"] = pd.DataFrame({"total_energy_ev": energies})
    return Molecules.from_lists(
        [row.z for row in read],
        [row.positions.astype(np.float64) * BOHR_IN_ANGSTROM for row in read],
        names=np.array([f"nabladft:{name}" for name in names], dtype=np.str_),
        groups=groups, provenance=_PROVENANCE, **fields,
    )  # fmt: skip


def _convention(
    molecules: Molecules,
    basis: Basis,
    overlaps: list[NDArray[np.float32]],
    tolerance: float | None,
) -> str:
    """The one of the two that the first overlaps are in; that of Psi4 if neither."""
    fitting = fitting_conventions(
        molecules[:_TRIALS], basis, overlaps[:_TRIALS], ("psi4", "qcanvas"),
        SINGLE_PRECISION if tolerance is None else tolerance,
    )  # fmt: skip
    return fitting[0] if fitting else "psi4"


def _cores(target: Hamiltonians, read: list[_Row], convention: str) -> Hamiltonians:
    """Core Hamiltonians in the order that the overlaps have proved."""
    matrices = Hamiltonians.from_matrices(
        target.molecules, [row.core for row in read], basis=target.basis,  # type: ignore[misc]
        convention=convention, unit="hartree", n_electrons=target.n_electrons,
    )  # fmt: skip
    return target.with_values(matrices.values, f"{_PROVENANCE}, core Hamiltonian")

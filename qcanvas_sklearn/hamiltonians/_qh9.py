"""QH9: B3LYP/def2-SVP Hamiltonians of the molecules of QM9."""

from __future__ import annotations

import os
import random
import sqlite3
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from ..structures import Molecules
from ._databases import (
    BOHR_IN_ANGSTROM,
    DEF2_SVP,
    blob,
    chosen,
    columns,
    opened,
    reading,
)
from ._record import Hamiltonians

__all__ = ["read_qh9"]

_PROVENANCE = "QH9, arXiv:2306.09549: B3LYP/def2-SVP by PySCF"
#: Geometries of a molecule of QH9Dynamic, which the official splits count on.
_GEOMETRIES = 100

Split = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def read_qh9(path: str | os.PathLike[str], rows: Any = None) -> Bunch:
    """Read Hamiltonians of QH9 [1]_: ``QH9Stable.db`` or ``QH9Dynamic_300k.db``.

    The files hold no overlaps. The order of the orbitals is therefore checked on the
    Hamiltonians alone, see :meth:`Hamiltonians.from_matrices`, and levels need overlaps of
    another source.

    Parameters
    ----------
    path : path-like
        The SQLite file, as unpacked. Of its table ``data`` the columns ``id, N, Z, pos, Ham``
        are read; with ``geo_id`` it is QH9Dynamic, whose positions are in bohr.
    rows : slice, mask, array-like of int or None, default=None
        Rows to read, counted from 0 in the order of the table. By default all, which takes
        30 GB.

    Returns
    -------
    Bunch
        ``data``, the molecules; ``target``, their :class:`Hamiltonians` in hartree;
        ``groups``, which geometries are of one molecule; ``rows``, their numbers in the
        file; ``splits``, the official ones as (train, validation, test) of positions in
        `data`: ``"id"`` and ``"ood"`` of QH9Stable, ``"geo"`` and ``"mol"`` of QH9Dynamic.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or in another layout; the message names the row.

    References
    ----------
    .. [1] H. Yu et al., NeurIPS 2023 Datasets and Benchmarks, arXiv:2306.09549.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import read_qh9
    >>> qh9 = read_qh9("QH9Stable.db", rows=slice(1000))  # doctest: +SKIP
    >>> qh9.target  # doctest: +SKIP
    Hamiltonians(1000 molecules, 24 to 132 orbitals; no overlaps; hartree; ...)
    """
    with opened(path) as connection, reading(path, "QH9"):
        names = columns(connection, "data")
        missing = [name for name in ("id", "N", "Z", "pos") if name not in names]
        if missing:
            raise ValueError(f"its table 'data' has no columns {missing}, only {names}")
        dynamic = "geo_id" in names
        # The Hamiltonians of QH9Dynamic are documented by their place alone.
        matrix = "Ham" if "Ham" in names else names[9] if len(names) > 9 else ""
        if not matrix:
            raise ValueError(f"its table 'data' has no column 'Ham', only {names}")
        sizes = connection.execute("SELECT rowid, N FROM data ORDER BY rowid").fetchall()
        taken = chosen(len(sizes), rows)
        read = [_row(connection, matrix, sizes[k][0], int(k), dynamic) for k in taken]
        molecules = _molecules(read, taken, dynamic)
        target = Hamiltonians.from_matrices(
            molecules, [h for *_, h in read], basis=DEF2_SVP, convention="pyscf",
            unit="hartree", provenance=_PROVENANCE,
        )  # fmt: skip
        splits = _dynamic_splits(len(sizes)) if dynamic else _stable_splits(sizes)
    return Bunch(
        data=molecules, target=target, groups=molecules.group_ids, rows=taken,
        splits={name: _within(split, taken) for name, split in splits.items()},
    )  # fmt: skip


def _row(
    connection: sqlite3.Connection, matrix: str, rowid: int, k: int, dynamic: bool
) -> tuple[int, NDArray, NDArray, NDArray]:
    """Molecule, atomic numbers, positions in Å and Hamiltonian of one row."""
    query = f'SELECT id, N, Z, pos, "{matrix}" FROM data WHERE rowid = ?'
    name, n, z, positions, values = connection.execute(query, (rowid,)).fetchone()
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"row {k}: N is {n!r}, no number of atoms")
    numbers = blob(f"row {k}: Z", z, np.int32, (n,)).astype(np.int64)
    size = int(DEF2_SVP.n_orbitals(numbers).sum())
    # numpy's integers became blobs when the file was written.
    label = int.from_bytes(name, "little") if isinstance(name, bytes) else name
    unit = BOHR_IN_ANGSTROM if dynamic else 1.0
    return (
        label, numbers, blob(f"row {k}: pos", positions, np.float64, (n, 3)) * unit,
        blob(f"row {k}: {matrix}", values, np.float64, (size, size)),
    )  # fmt: skip


def _molecules(read: list[Any], taken: NDArray[np.int64], dynamic: bool) -> Molecules:
    names = [f"qh9:{name}" for name, *_ in read]
    groups = np.array(names, dtype=np.str_) if dynamic else None
    if dynamic:
        names = [f"{name}:{k}" for name, k in zip(names, taken.tolist(), strict=True)]
    return Molecules.from_lists(
        [z for _, z, _, _ in read], [positions for _, _, positions, _ in read],
        names=np.array(names, dtype=np.str_), groups=groups, provenance=_PROVENANCE,
    )  # fmt: skip


def _stable_splits(sizes: list[tuple[int, int]]) -> dict[str, Split]:
    """At random, and by size: up to 20 atoms, 21 and 22, more."""
    n, n_atoms = len(sizes), np.array([size for _, size in sizes])
    order = np.random.RandomState(seed=43).permutation(n)
    first, second = int(n * 0.8), int(n * 0.8) + int(n * 0.1)
    small, large = n_atoms <= 20, n_atoms >= 23
    return {
        "id": (order[:first], order[first:second], order[second:]),
        "ood": (
            np.flatnonzero(small), np.flatnonzero(~small & ~large), np.flatnonzero(large),
        ),
    }  # fmt: skip


def _dynamic_splits(n: int) -> dict[str, Split]:
    """By geometries of each molecule, and by molecules; none of a part of the file."""
    if n % _GEOMETRIES:
        return {}
    parts: tuple[list[NDArray], ...] = ([], [], [])
    for start in range(0, n, _GEOMETRIES):
        seed = start + _GEOMETRIES - 1
        order = start + np.random.RandomState(seed=seed).permutation(_GEOMETRIES)
        for part, rows in zip(parts, np.split(order, [80, 90]), strict=True):
            part.append(rows)
    molecules = list(range(n // _GEOMETRIES))
    random.Random(43).shuffle(molecules)
    cuts = [int(len(molecules) * 0.8)]
    cuts.append(cuts[0] + int(len(molecules) * 0.1))
    of_rows = np.arange(n) // _GEOMETRIES
    geo, mol = (
        [np.concatenate([np.zeros(0, np.int64), *part]) for part in parts],
        [np.flatnonzero(np.isin(of_rows, part)) for part in np.split(molecules, cuts)],
    )
    return {"geo": (geo[0], geo[1], geo[2]), "mol": (mol[0], mol[1], mol[2])}


def _within(split: Split, taken: NDArray[np.int64]) -> Split:
    """A split of the file as positions among the rows that were read."""
    place = {row: k for k, row in enumerate(taken.tolist())}
    train, validation, test = (
        np.array([place[row] for row in part.tolist() if row in place], dtype=np.int64)
        for part in split
    )
    return train, validation, test

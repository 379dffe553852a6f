"""OMol_CSH_58k: ωB97M-V/def2-TZVPD Hamiltonians of closed-shell molecules."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .._files import open_regular
from .._optional import require
from ..structures import Molecules
from ._basis import Basis
from ._conventions import orbital_order, to_convention
from ._databases import chosen, reading
from ._packed import packed_sizes
from ._record import Hamiltonians

__all__ = ["read_omol"]

_PROVENANCE = "OMol_CSH_58k, arXiv:2505.08762: wB97M-V/def2-TZVPD by ORCA"
#: Electrons that the pseudopotentials of the def2 bases stand for, up to each element.
_CORES = ((36, 0), (54, 28), (57, 46), (71, 28), (86, 60))


class _Group(NamedTuple):
    """One molecule as it is stored."""

    name: str
    z: NDArray[np.int64]
    positions: NDArray[np.float64]
    charge: float
    packed: NDArray[np.floating]


def read_omol(
    path: str | os.PathLike[str],
    rows: Any = None,
    *,
    basis: Basis | Mapping[str, Sequence[int]],
) -> Bunch:
    """Read Hamiltonians of OMol_CSH_58k [1]_ [2]_.

    The released matrices were brought from ORCA's order into that of m = -l, ..., l as if the
    shells of each element were sorted by l, while the diffuse ones stand behind the others.
    That is undone here, for which the true order of the shells is needed. The files hold no
    overlaps: on the Hamiltonians it is checked that most of them is of two centres, which
    another order of the shells does not give.

    Parameters
    ----------
    path : path-like
        The HDF5 file, with a group for each molecule: ``fock``, the upper triangle line by
        line, ``elements`` and ``coords``, and the attribute ``charge``. It needs h5py.
    rows : slice, mask, array-like of int or None, default=None
        Rows to read, counted from 0 in alphabetical order of the groups; by default all.
    basis : Basis or mapping of str to sequence of int
        Shells of the elements in def2-TZVPD, in the order in which ORCA has them.

    Returns
    -------
    Bunch
        ``data``, the molecules, called as their groups; ``target``, their
        :class:`Hamiltonians` in hartree, without overlaps; ``rows``, their numbers in the
        file.

    Raises
    ------
    ImportError
        If h5py is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged or in another layout, or if the order of the shells is another. The
        message names the molecule.

    References
    ----------
    .. [1] D. S. Levine et al., arXiv:2505.08762.
    .. [2] M. Kaniselvan et al., "Learning from the electronic structure of molecules across
       the periodic table", 2025.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import read_omol
    >>> shells = {"H": (0, 0, 0, 1, 1), "C": (0,) * 5 + (1,) * 3 + (2, 2, 3, 0, 2)}
    >>> omol = read_omol("omol_csh_58k.h5", slice(100), basis=shells)  # doctest: +SKIP
    """
    shells = basis if isinstance(basis, Basis) else Basis(basis)
    h5py = require("a file of OMol_CSH_58k", "h5py")
    open_regular(path).close()
    with reading(path, "OMol_CSH_58k"):
        with _opened(h5py, path) as file:
            names = _groups(h5py, file)
            taken = chosen(len(names), rows)
            read = [_group(file, names[k], shells) for k in taken.tolist()]
        molecules = Molecules.from_lists(
            [group.z for group in read], [group.positions for group in read],
            charge=np.array([group.charge for group in read], dtype=np.float64),
            names=np.array([group.name for group in read], dtype=np.str_),
            provenance=_PROVENANCE,
        )  # fmt: skip
        target = Hamiltonians.from_matrices(
            molecules, [_restored(group, shells) for group in read], basis=shells,
            convention="orca", unit="hartree", n_electrons=_electrons(molecules),
            provenance=_PROVENANCE,
        )  # fmt: skip
    return Bunch(data=molecules, target=target, rows=taken)


def _opened(h5py: ModuleType, path: str | os.PathLike[str]) -> Any:
    try:
        return h5py.File(os.fspath(path), "r")
    except OSError as error:
        raise ValueError(f"it is no complete HDF5 file: {error}") from error


def _groups(h5py: ModuleType, file: Any) -> list[str]:
    """Names of all groups that hold a matrix, however deep."""
    found: list[str] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and "fock" in item:
            found.append(name)

    file.visititems(visit)
    if not found:
        raise ValueError("it has no group with a 'fock'")
    return sorted(found)


def _group(file: Any, name: str, basis: Basis) -> _Group:
    group = file[name]
    missing = [key for key in ("elements", "coords") if key not in group]
    if missing:
        raise ValueError(f"molecule {name!r} lacks {missing}")
    n = group["elements"].size
    z = _array(name, group, "elements", (n,)).astype(np.int64)
    size = int(packed_sizes(basis.n_orbitals(z).sum()))
    charge = float(group.attrs.get("charge", 0.0))
    return _Group(
        name, z, _array(name, group, "coords", (n, 3)).astype(np.float64), charge,
        _array(name, group, "fock", (size,)),
    )  # fmt: skip


def _array(name: str, group: Any, key: str, shape: tuple[int, ...]) -> NDArray:
    """A data set of the group, whose shape is checked before it is read."""
    data = group[key]
    if data.shape != shape or data.dtype.kind not in "iuf":
        raise ValueError(
            f"molecule {name!r}: {key} has shape {data.shape} of {data.dtype}, expected "
            f"numbers of shape {shape}"
        )
    try:
        return np.asarray(data[()])
    except OSError as error:
        raise ValueError(f"molecule {name!r}: {key} is damaged: {error}") from error


def _restored(group: _Group, basis: Basis) -> NDArray[np.floating]:
    """The matrix as ORCA wrote it: the order of sorted shells undone."""
    n = int(basis.n_orbitals(group.z).sum())
    matrix = np.zeros((n, n), group.packed.dtype)
    rows, columns = np.triu_indices(n)
    matrix[rows, columns] = matrix[columns, rows] = group.packed
    assumed = Basis({symbol: sorted(momenta) for symbol, momenta in basis.items()})
    return to_convention(matrix, *orbital_order(assumed, group.z, "orca"))


def _electrons(molecules: Molecules) -> NDArray[np.float64]:
    """Electrons that no pseudopotential stands for."""
    last, cores = np.array(_CORES).T
    heaviest = int(molecules.z.max(initial=0))
    if heaviest > last[-1]:
        raise ValueError(f"the def2 bases end with element {last[-1]}, got {heaviest}")
    explicit = molecules.z - cores[np.searchsorted(last, molecules.z)]
    n = np.bincount(molecules.rows, weights=explicit, minlength=len(molecules))
    return n - molecules.charge

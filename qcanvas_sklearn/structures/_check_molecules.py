"""Reading molecules as users hold them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ._ase import molecules_of_atoms
from ._molecules import Molecules
from ._pairs import PairData
from ._pyg import molecules_of_data

__all__ = ["check_molecules", "looks_like_molecules"]

_ACCEPTED = (
    "accepted are a Molecules, a list of ase.Atoms, and a list, a Batch or a data set of "
    "torch-geometric's Data"
)


def _is_of(item: Any, module: str, *names: str) -> bool:
    """Whether `item` is of a class of a library, which is not imported to find out."""
    loaded = sys.modules.get(module)
    return any(isinstance(item, getattr(loaded, name)) for name in names if loaded)


def _is_atoms(item: Any) -> bool:
    return _is_of(item, "ase", "Atoms")


def _is_data(item: Any) -> bool:
    return _is_of(item, "torch_geometric.data", "Data")


def _members(X: Any) -> Sequence[Any] | None:
    """What a list, an array or a series of objects holds; None where `X` is none."""
    if isinstance(X, (list, tuple)):
        return X
    if isinstance(X, np.ndarray) and (X.dtype != object or X.ndim != 1):
        return None
    if isinstance(X, np.ndarray) or (hasattr(X, "to_list") and not hasattr(X, "columns")):
        return list(X)
    return None


def _is_dataset(X: Any) -> bool:
    return _is_of(X, "torch_geometric.data", "Dataset", "Batch")


def looks_like_molecules(X: Any) -> bool:
    """Whether `X` is meant as molecules, by the types of what it holds.

    Parameters
    ----------
    X : object

    Returns
    -------
    bool
        True for what :func:`check_molecules` reads, single structures too, although it
        refuses them.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules, looks_like_molecules
    >>> looks_like_molecules(Molecules.from_lists([["He"]], [[[0, 0, 0]]]))
    True
    >>> looks_like_molecules([["Ag", "Al"]])
    False
    """
    if isinstance(X, Molecules) or _is_dataset(X) or _is_atoms(X) or _is_data(X):
        return True
    members = _members(X)
    return members is not None and len(members) > 0 and all(
        isinstance(item, Molecules) or _is_atoms(item) or _is_data(item) for item in members
    )


def check_molecules(X: Any) -> Molecules:
    """Read molecules of any make into a record.

    Parameters
    ----------
    X : Molecules, PairData, list of ase.Atoms, or PyG data
        What is a record is returned as it is. Of ``ase.Atoms`` the results of a
        calculator are read as well, see :meth:`Molecules.from_ase`. Of PyG, a list of
        ``Data``, a ``Batch`` or a data set; energies and forces, whose unit PyG does not
        state, are left to :meth:`Molecules.from_pyg`. Arrays and series of such objects,
        and lists of `Molecules`, are read as well.

    Returns
    -------
    Molecules

    Raises
    ------
    TypeError
        If `X` is none of these, or a single structure in place of a list of them.
    ValueError
        If there is none, or a structure is not one that can be, see :class:`Molecules`.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.structures import check_molecules
    >>> len(check_molecules(load_pairs().pairs))
    2850
    """
    if isinstance(X, Molecules):
        molecules = X
    elif isinstance(X, PairData):
        molecules = X.to_molecules()
    elif _is_atoms(X) or _is_data(X) and not _is_dataset(X):
        raise TypeError(f"X is a single {type(X).__name__}; pass a list of them, [X]")
    elif _is_dataset(X):
        molecules = molecules_of_data(X, energy_unit=None)
    else:
        molecules = _read(_members(X), X)
    if not len(molecules):
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    return molecules


def _read(members: Iterable[Any] | None, X: Any) -> Molecules:
    if members is None:
        raise TypeError(f"X holds no molecules, got {type(X).__name__}; {_ACCEPTED}")
    items = list(members)
    readers = (
        (lambda item: isinstance(item, Molecules), Molecules.concat),
        (_is_atoms, molecules_of_atoms),
        (_is_data, lambda data: molecules_of_data(data, energy_unit=None)),
    )
    for belongs, read in readers:
        if items and belongs(items[0]):
            strange = [type(item).__name__ for item in items if not belongs(item)]
            if strange:
                raise TypeError(
                    f"X holds a {strange[0]} among {type(items[0]).__name__}; {_ACCEPTED}"
                )
            return read(items)
    if not items:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    raise TypeError(f"structure 0 is of type {type(items[0]).__name__}; {_ACCEPTED}")

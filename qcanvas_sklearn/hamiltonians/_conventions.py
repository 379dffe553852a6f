"""In which order and with which signs programs write the orbitals of a shell."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._basis import MAX_L, Basis

__all__ = ["CONVENTIONS", "check_convention", "orbital_order", "to_canonical", "to_convention"]


def _ascending(l: int) -> list[int]:
    return list(range(-l, l + 1))


def _alternating(l: int) -> list[int]:
    return [0, *(sign * m for m in range(1, l + 1) for sign in (1, -1))]


def _cartesian_p(l: int) -> list[int]:
    return [1, -1, 0] if l == 1 else _ascending(l)


def _plain(m: int) -> int:
    return 1


def _orca(m: int) -> int:
    return -1 if abs(m) in (3, 4) else 1


def _condon_shortley(m: int) -> int:
    return -1 if m > 0 and m % 2 else 1


#: By name: the quantum numbers m of a shell in the program's order, and the sign that its
#: orbitals have beside the canonical ones.
CONVENTIONS: dict[str, tuple[Callable[[int], list[int]], Callable[[int], int]]] = {
    "qcanvas": (_ascending, _plain),
    "pyscf": (_cartesian_p, _plain),
    "psi4": (_alternating, _plain),
    "orca": (_alternating, _orca),
    "fhi-aims": (_ascending, _condon_shortley),
    "tblite": (_ascending, _plain),
}
_SHELLS = {
    name: [
        # Where each canonical orbital stands in the program's shell, and its sign there.
        (np.argsort(order(l)), np.array([sign(m) for m in _ascending(l)], dtype=np.float64))
        for l in range(MAX_L + 1)
    ]
    for name, (order, sign) in CONVENTIONS.items()
}


def check_convention(name: str) -> None:
    """Raise a ValueError that names the known conventions unless `name` is one."""
    if name not in CONVENTIONS:
        raise ValueError(f"unknown convention {name!r}; known are {list(CONVENTIONS)}")


def orbital_order(
    basis: Basis, z: ArrayLike, convention: str
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the canonical orbitals of a molecule stand in a program's matrices.

    Parameters
    ----------
    basis : Basis
        Shells of the elements, in the program's order.
    z : array-like of int, shape (n_atoms,)
        Atomic numbers.
    convention : {"qcanvas", "pyscf", "psi4", "orca", "fhi-aims", "tblite"}
        Order and signs within a shell.

    Returns
    -------
    order : ndarray of int, shape (n_orbitals,)
        The place of each canonical orbital in the program's order.
    signs : ndarray of shape (n_orbitals,)
        1 or -1, by which the program's orbital is multiplied to give the canonical one.

    Raises
    ------
    ValueError
        If the convention is unknown, or the basis lacks an element.
    """
    check_convention(convention)
    orbitals = basis.orbitals(z)
    if not len(orbitals):
        return np.zeros(0, np.int64), np.zeros(0)
    shells = _SHELLS[convention]
    # The first orbital of every shell has m = -l.
    momenta = orbitals.l[orbitals.m == -orbitals.l]
    first = np.flatnonzero(orbitals.m == -orbitals.l)
    order = [start + shells[l][0] for start, l in zip(first, momenta, strict=True)]
    return np.concatenate(order), np.concatenate([shells[l][1] for l in momenta])


def to_canonical(
    matrix: NDArray, order: NDArray[np.int64], signs: NDArray[np.float64]
) -> NDArray:
    """A program's matrix in canonical order and signs; nothing is rounded."""
    taken = matrix[np.ix_(order, order)]
    return taken * signs[:, None] * signs


def to_convention(
    matrix: NDArray, order: NDArray[np.int64], signs: NDArray[np.float64]
) -> NDArray:
    """A canonical matrix as the program writes it; the inverse of :func:`to_canonical`."""
    out = np.empty_like(matrix)
    out[np.ix_(order, order)] = matrix * signs[:, None] * signs
    return out

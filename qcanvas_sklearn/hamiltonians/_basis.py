"""Which atomic orbitals the elements carry, and their canonical order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..elements import MAX_Z, SYMBOLS, atomic_numbers, symbols

__all__ = ["LETTERS", "MAX_L", "Basis", "Orbitals"]

#: Letters of the angular momenta l = 0, 1, ...
LETTERS = "spdfghi"
#: Highest angular momentum of a shell.
MAX_L = len(LETTERS) - 1

_NAMES = {1: ("y", "z", "x"), 2: ("xy", "yz", "z2", "xz", "x2-y2")}


@dataclass(frozen=True, eq=False)
class Orbitals:
    """The orbitals of a list of atoms, in canonical order.

    Attributes
    ----------
    z : ndarray of int, shape (n_atoms,)
        Atomic numbers.
    ptr : ndarray of int, shape (n_atoms + 1,)
        First orbital of every atom, and the number of all.
    atom, shell, l, m : ndarray of int, shape (n_orbitals,)
        Of each orbital: its atom, the number of its shell within the atom, and the
        quantum numbers.
    """

    z: NDArray[np.int64]
    ptr: NDArray[np.int64]
    atom: NDArray[np.int64]
    shell: NDArray[np.int64]
    l: NDArray[np.int64]
    m: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.atom)

    @cached_property
    def labels(self) -> list[str]:
        """Names such as ``"C1 p_x"``; a second shell of one l on an atom is ``"p_x(2)"``."""
        by_element: dict[int, list[str]] = {}
        out = []
        names = symbols(self.z).tolist() if len(self.z) else []
        for i, z in enumerate(self.z.tolist()):
            if z not in by_element:
                by_element[z] = self._names(slice(self.ptr[i], self.ptr[i + 1]))
            out += [f"{names[i]}{i + 1} {name}" for name in by_element[z]]
        return out

    def _names(self, of: slice) -> list[str]:
        names: list[str] = []
        seen: dict[str, int] = {}
        for l, m in zip(self.l[of].tolist(), self.m[of].tolist(), strict=True):
            name = LETTERS[l]
            if l:
                name += "_" + (_NAMES[l][l + m] if l in _NAMES else f"{m:+d}" if m else "0")
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}({seen[name]})")
        return names


class Basis(Mapping[str, tuple[int, ...]]):
    """Shells of atomic orbitals by element.

    The canonical order of the orbitals of a molecule is: its atoms, the shells of each, and
    within a shell m = -l, ..., l, with the signs of the real solid harmonics without the
    factor (-1)^m: a p shell is y, z, x, a d shell xy, yz, z², xz, x²-y².

    Parameters
    ----------
    shells : mapping of str to sequence of int
        Angular momenta of the shells of each element, in the order in which they come.

    Raises
    ------
    ValueError
        If a symbol is no element, an element has no shells, or a shell is no integer from
        0 to 6.

    Notes
    -----
    Two bases are equal if their elements have the same shells; they can be keys.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import Basis
    >>> basis = Basis({"H": [0], "O": [0, 1]})
    >>> basis["O"], basis.n_orbitals([8, 1, 1]).tolist()
    ((0, 1), [4, 1, 1])
    >>> basis.orbitals([8, 1]).labels
    ['O1 s', 'O1 p_y', 'O1 p_z', 'O1 p_x', 'H2 s']
    """

    def __init__(self, shells: Mapping[str, Sequence[int]]) -> None:
        self._shells = dict(sorted(_checked(shells).items(), key=lambda item: _z(item[0])))

    # ------------------------------------------------------------- a mapping

    def __getitem__(self, symbol: str) -> tuple[int, ...]:
        return self._shells[symbol]

    def __iter__(self) -> Iterator[str]:
        return iter(self._shells)

    def __len__(self) -> int:
        return len(self._shells)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Basis):
            return NotImplemented
        return self._shells == other._shells

    def __hash__(self) -> int:
        return hash(tuple(self._shells.items()))

    def __repr__(self) -> str:
        return f"Basis({self._shells})"

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_shells" and "_shells" in self.__dict__:
            raise AttributeError("a Basis cannot be changed")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        return {"_shells": self._shells}

    # ------------------------------------------------------------ its orbitals

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Sorted atomic numbers."""
        return atomic_numbers(list(self._shells))

    @cached_property
    def max_l(self) -> int:
        """Highest angular momentum, -1 without any element."""
        return max((max(shells) for shells in self._shells.values()), default=-1)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        """Orbitals by atomic number, 0 where the element has none."""
        counts = np.zeros(MAX_Z + 1, dtype=np.int64)
        for symbol, shells in self._shells.items():
            counts[_z(symbol)] = sum(2 * l + 1 for l in shells)
        return counts

    @cached_property
    def _table(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(shell, l, m) of the orbitals of all elements, and where each starts."""
        lines = [
            (shell, l, m)
            for shells in self._shells.values()
            for shell, l in enumerate(shells)
            for m in range(-l, l + 1)
        ]
        start = np.zeros(MAX_Z + 1, dtype=np.int64)
        of_elements = self._counts[self.elements]
        start[self.elements] = np.cumsum(of_elements) - of_elements
        return np.array(lines, dtype=np.int64).reshape(-1, 3), start

    def shells(self, z: int) -> tuple[int, ...]:
        """Shells of an element by its atomic number; a ValueError if it has none."""
        self._numbers(z)
        return self._shells[SYMBOLS[z]]

    def n_orbitals(self, z: ArrayLike) -> NDArray[np.int64]:
        """Number of orbitals of each atom.

        Parameters
        ----------
        z : array-like of int
            Atomic numbers, of any shape.

        Returns
        -------
        ndarray of int
            Same shape as `z`.

        Raises
        ------
        ValueError
            If the basis has no shells for an element.
        """
        return self._counts[self._numbers(z)]

    def orbitals(self, z: ArrayLike) -> Orbitals:
        """The orbitals of a list of atoms, in canonical order.

        Parameters
        ----------
        z : array-like of int, shape (n_atoms,)
            Atomic numbers; of one molecule, or of many one behind the other.

        Returns
        -------
        Orbitals

        Raises
        ------
        ValueError
            If the basis has no shells for an element.

        Examples
        --------
        >>> from qcanvas_sklearn.hamiltonians import Basis
        >>> orbitals = Basis({"H": (0,), "C": (0, 1)}).orbitals([6, 1])
        >>> orbitals.ptr.tolist(), orbitals.l.tolist(), orbitals.m.tolist()
        ([0, 4, 5], [0, 1, 1, 1, 0], [0, -1, 0, 1, 0])
        """
        numbers = np.atleast_1d(self._numbers(z))
        counts = self._counts[numbers]
        ptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        atom = np.repeat(np.arange(len(numbers)), counts)
        lines, start = self._table
        shell, l, m = lines[np.arange(len(atom)) + (start[numbers] - ptr[:-1])[atom]].T
        return Orbitals(numbers, ptr, atom, shell, l, m)

    def _numbers(self, z: ArrayLike) -> NDArray[np.int64]:
        numbers = np.asarray(z)
        if numbers.size == 0:
            return numbers.astype(np.int64)
        names = symbols(numbers)  # refuses what is no atomic number
        missing = sorted(set(names.ravel().tolist()) - set(self._shells))
        if missing:
            raise ValueError(
                f"the basis has no shells for {missing}, only for {list(self._shells)}"
            )
        return numbers.astype(np.int64)


def _z(symbol: str) -> int:
    return int(atomic_numbers(symbol))


def _checked(shells: Mapping[str, Sequence[int]]) -> dict[str, tuple[int, ...]]:
    if not isinstance(shells, Mapping):
        raise TypeError(
            "a basis is a mapping of element symbols to angular momenta, such as "
            f"{{'H': (0,), 'C': (0, 1)}}; got {type(shells).__name__}"
        )
    checked = {}
    for symbol, momenta in shells.items():
        if not isinstance(symbol, str) or not _z(symbol):
            raise ValueError(f"unknown element symbol {symbol!r} in the basis")
        values = np.asarray(momenta)
        if values.ndim != 1 or not values.size or values.dtype.kind not in "iu":
            raise ValueError(
                f"the shells of {symbol} must be a sequence of integers, got {momenta!r}"
            )
        if values.min() < 0 or values.max() > MAX_L:
            raise ValueError(
                f"the shells of {symbol} must have l from 0 to {MAX_L}, got {momenta!r}"
            )
        checked[symbol] = tuple(values.tolist())
    return checked

"""`Molecules`: one frozen record of structures of any size."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._files import open_regular
from .._npz import MAX_BYTES
from ..elements import symbols
from ._arrays import freeze, read_only, row_numbers, save_atomically
from ._conversions import Convertible
from ._molecule_checks import check_arrays, check_geometry
from ._molecule_files import from_members, members, read_members
from ._molecule_labels import conform_table, conform_units
from ._neighbours import Neighbours, neighbour_list
from ._ragged import atoms_of, fields_of_lists, pointers, rows_of_atoms
from ._rows import RowRecord

__all__ = ["Molecules"]

#: Fields by what their first axis counts.
_BY_ROW = ("cell", "pbc", "charge", "names", "groups", "quality")
_BY_ATOM = ("z", "positions", "forces")


@dataclass(frozen=True, eq=False, repr=False)
class Molecules(RowRecord, Convertible):
    """Structures of any number of atoms: molecules, clusters, crystals; one row each.

    The atoms of all rows lie one behind the other in `z`, `positions` and `forces`;
    those of row i are ``ptr[i]`` to ``ptr[i + 1]``. A record is X for every splitter,
    search and score of scikit-learn: it has a length and a shape, and is indexed by
    integers, slices, masks and arrays. An integer gives a record of one row.

    Parameters
    ----------
    z : ndarray of int, shape (N,)
        Atomic numbers.
    positions : ndarray of shape (N, 3)
        Cartesian coordinates in Å.
    ptr : ndarray of int, shape (n + 1,)
        First atom of every row, and the number of all atoms.
    cell : ndarray of shape (n, 3, 3), optional
        Cell vectors in Å, one a line; zeros where a row has none.
    pbc : ndarray of bool, shape (n, 3), optional
        Directions in which the cell repeats.
    charge : ndarray of shape (n,), optional
        Total charge in e, by default 0.
    forces : ndarray of shape (N, 3), optional
        Forces in eV/Å. NaN where a row has none.
    labels : DataFrame of shape (n, k), optional
        Numbers by row, NaN where one is missing.
    atom_labels : DataFrame of shape (N, k), optional
        Numbers by atom, such as partial charges.
    units : mapping of str to str, optional
        Unit by column of `labels` and `atom_labels`. Those of
        :data:`qcanvas_sklearn.targets.LABELS` and
        :data:`qcanvas_sklearn.targets.MOLECULE_LABELS` are known without.
    names : ndarray of str, shape (n,), optional
        What the rows are called; by default their formulas.
    groups : ndarray of int or str, shape (n,), optional
        Which rows belong together: conformers of one molecule, frames of one trajectory,
        rotations of one structure. By default only rows that are equal do.
    quality : ndarray of str, shape (n,), optional
        ``"ok"``, or what is to be known about the row. By default ``"ok"``.
    provenance : str, default=""
        Method, program and citation of the data.

    Raises
    ------
    TypeError
        If `labels` or `atom_labels` is no DataFrame.
    ValueError
        If a shape is wrong, an element unknown, a position not finite, a row without
        atoms, a cell without volume or absent where `pbc` asks for it, or if two atoms
        are closer than 0.1 Å. The message names the row.

    See Also
    --------
    check_molecules : Reads what users have: a list of ase.Atoms, of PyG Data.
    PairData : Diatomics with the electronic structure that images are made of.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules
    >>> water = [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]
    >>> molecules = Molecules.from_lists([["O", "H", "H"], ["H", "F"]],
    ...                                  [water, [[0, 0, 0], [0, 0, 0.92]]])
    >>> molecules
    Molecules(2 structures, 2 to 3 atoms of H, O, F)
    >>> molecules[1].formulas.tolist(), molecules.shape
    (['FH'], (2,))
    """

    _rows_are: ClassVar[str] = "structures"

    z: NDArray[np.int64]
    positions: NDArray[np.float64]
    ptr: NDArray[np.int64]
    cell: NDArray[np.float64] | None = None
    pbc: NDArray[np.bool_] | None = None
    charge: NDArray[np.float64] = None  # type: ignore[assignment]
    forces: NDArray[np.float64] | None = None
    labels: pd.DataFrame = None  # type: ignore[assignment]
    atom_labels: pd.DataFrame = None  # type: ignore[assignment]
    units: Mapping[str, str] = None  # type: ignore[assignment]
    names: NDArray[np.str_] = None  # type: ignore[assignment]
    groups: NDArray[Any] | None = None
    quality: NDArray[np.str_] = None  # type: ignore[assignment]
    provenance: str = ""

    def __post_init__(self) -> None:
        given = {name: getattr(self, name) for name in (*_BY_ROW, *_BY_ATOM, "ptr")}
        arrays = check_arrays(given)
        n, n_atoms = len(arrays["ptr"]) - 1, len(arrays["z"])
        self._set(arrays)
        self._set({
            "labels": conform_table("labels", self.labels, n),
            "atom_labels": conform_table("atom_labels", self.atom_labels, n_atoms),
        })  # fmt: skip
        self._set({"units": conform_units(self.units, self.labels, self.atom_labels)})
        check_geometry(
            self.z, self.positions, self.ptr, self.cell, self.pbc,
            None if self.names is None else self.names,
        )  # fmt: skip
        if self.names is None:
            self._set({"names": read_only(self.formulas, np.str_)})

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def _of(cls, values: Mapping[str, Any]) -> Molecules:
        """A record of values that have been checked before."""
        record = object.__new__(cls)
        record._set(values)
        return record

    @classmethod
    def from_lists(
        cls, elements: Iterable[ArrayLike], positions: Iterable[ArrayLike], **others: Any
    ) -> Molecules:
        """A record of structures that come one by one.

        Parameters
        ----------
        elements : iterable of array-like of shape (n_i,)
            Element symbols or atomic numbers of each structure.
        positions : iterable of array-like of shape (n_i, 3)
            Their coordinates in Å.
        **others
            Further fields of the record. `forces` may be a list by structure too.

        Returns
        -------
        Molecules

        Raises
        ------
        ValueError
            As the class; also if a structure has not as many positions as elements.

        Examples
        --------
        >>> from qcanvas_sklearn.structures import Molecules
        >>> Molecules.from_lists([["C", "O"]], [[[0, 0, 0], [0, 0, 1.13]]]).z
        array([6, 8])
        """
        return cls(**fields_of_lists(elements, positions, others))

    # ------------------------------------------------------------------ rows

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def __getitem__(self, index: Any) -> Molecules:
        rows = row_numbers(len(self), index)
        atoms = atoms_of(self.ptr, rows)
        taken: dict[str, Any] = {"ptr": freeze(pointers(np.diff(self.ptr)[rows]))}
        for names, chosen in ((_BY_ROW, rows), (_BY_ATOM, atoms)):
            for name in names:
                array = getattr(self, name)
                taken[name] = None if array is None else freeze(array[chosen])
        taken["labels"] = self.labels.take(rows).reset_index(drop=True)
        taken["atom_labels"] = self.atom_labels.take(atoms).reset_index(drop=True)
        return self._of(taken | {"units": self.units, "provenance": self.provenance})

    def __repr__(self) -> str:
        parts = [f"{len(self)} structures"]
        if len(self):
            few, many = self.n_atoms.min(), self.n_atoms.max()
            size = f"{few}" if few == many else f"{few} to {many}"
            parts[0] += f", {size} atoms of {', '.join(symbols(self.elements))}"
        if self.pbc is not None and self.pbc.any():
            parts.append("periodic")
        if self.forces is not None:
            parts.append("forces")
        if len(self.labels.columns):
            parts.append(f"labels {list(self.labels.columns)}")
        if self.provenance:
            parts.append(f"provenance={self.provenance!r}")
        return f"Molecules({'; '.join(parts)})"

    def __getstate__(self) -> dict[str, Any]:
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        return state | {"z": self.z.astype(np.uint8), "units": dict(self.units)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Neither pickle nor deepcopy keeps the flag of an array that nobody may write to.
        state = state | {
            "z": state["z"].astype(np.int64), "units": MappingProxyType(state["units"])
        }  # fmt: skip
        for value in state.values():
            if isinstance(value, np.ndarray):
                freeze(value)
        self._set(state)

    # --------------------------------------------------------- what they are

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms of each row, shape (n,)."""
        return np.diff(self.ptr)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Row that each atom belongs to, shape (N,)."""
        return freeze(rows_of_atoms(self.ptr))

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Sorted atomic numbers of the elements that occur."""
        return freeze(np.unique(self.z))

    @cached_property
    def composition(self) -> NDArray[np.int64]:
        """Atoms of each of :attr:`elements` in each row, shape (n, n_elements)."""
        k = len(self.elements)
        place = self.rows * k + np.searchsorted(self.elements, self.z)
        return freeze(np.bincount(place, minlength=len(self) * k).reshape(len(self), k))

    @cached_property
    def formulas(self) -> NDArray[np.str_]:
        """Formulas in Hill's order, ``"C2H6O"``, shape (n,)."""
        distinct, inverse = np.unique(self.composition, axis=0, return_inverse=True)
        names = symbols(self.elements).tolist() if len(self.elements) else []
        formulas = [_hill(dict(zip(names, row, strict=True))) for row in distinct.tolist()]
        return freeze(np.array(formulas, dtype=np.str_)[inverse.reshape(-1)])

    @cached_property
    def group_ids(self) -> NDArray[np.int64]:
        """Which rows belong together, numbered from 0 in order of appearance, shape (n,).

        By `groups`; without them, rows that are equal to the last bit.
        """
        keys = self._digests() if self.groups is None else self.groups
        return freeze(pd.factorize(keys)[0].astype(np.int64))

    def _digests(self) -> NDArray[np.object_]:
        z = self.z.astype(np.uint8)
        out = np.empty(len(self), dtype=object)
        for i, (start, end) in enumerate(zip(self.ptr[:-1], self.ptr[1:], strict=True)):
            digest = blake2b(z[start:end].tobytes(), digest_size=16)
            digest.update(self.positions[start:end].tobytes())
            for array in (self.cell, self.charge):
                if array is not None:
                    digest.update(array[i].tobytes())
            out[i] = digest.digest()
        return out

    def neighbours(self, cutoff: float, *, half: bool = False) -> Neighbours:
        """Pairs of atoms of the same row that are no further apart than `cutoff`.

        Parameters
        ----------
        cutoff : float
            Largest distance in Å.
        half : bool, default=False
            Give every pair once, in place of i-j and j-i.

        Returns
        -------
        Neighbours
            As :func:`neighbour_list` gives them.

        Raises
        ------
        ImportError
            If a row is periodic and vesin is not installed.
        ValueError
            If `cutoff` is not a positive number.

        Examples
        --------
        >>> from qcanvas_sklearn.structures import Molecules
        >>> pair = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
        >>> pair.neighbours(2.0).j.tolist()
        [1, 0]
        """
        return neighbour_list(
            self.positions, self.ptr, cutoff, cell=self.cell, pbc=self.pbc, half=half
        )

    def without_forces(self) -> Molecules:
        """The same structures and labels, but no forces."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return self._of(kept | {"forces": None})

    # ------------------------------------------------------- together, on disk

    @staticmethod
    def concat(parts: Sequence[Molecules]) -> Molecules:
        """Stack records below each other.

        Parameters
        ----------
        parts : sequence of Molecules
            At least one. What some of them lack is missing in their rows: NaN in forces
            and labels, no cell. Groups of the same name are one group; rows of a record
            without any stay by themselves.

        Returns
        -------
        Molecules
            All rows in order. The provenances are joined by ``" + "``: labels of
            different methods are not interchangeable, and the joined text says so.

        Raises
        ------
        ValueError
            If there is nothing to stack, or two parts state different units of a label.
        """
        from ._molecule_stack import stack

        return Molecules._of(stack(list(parts)))

    def to_frame(self) -> pd.DataFrame:
        """One flat table, a line for each row.

        Returns
        -------
        DataFrame
            ``name, formula, n_atoms, charge, group, quality``, then the labels.
        """
        groups = self.group_ids if self.groups is None else self.groups
        facts = {
            "name": self.names, "formula": self.formulas, "n_atoms": self.n_atoms,
            "charge": self.charge, "group": groups, "quality": self.quality,
        }  # fmt: skip
        return pd.concat([pd.DataFrame(facts), self.labels], axis=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compact ``.npz`` without pickled objects.

        Numbers that single precision holds exactly take half the space.

        Parameters
        ----------
        path : path-like
            File to write; it appears under its name only when it is complete.
        """
        save_atomically(path, members({f.name: getattr(self, f.name) for f in fields(self)}))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Molecules:
        """Read a file that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
            The ``.npz`` file. Members that :meth:`save` does not write are left alone.
        max_bytes : int, default=1 GiB
            Largest accepted size of the decompressed arrays, which is known, and checked,
            before the memory for them is taken.

        Returns
        -------
        Molecules

        Raises
        ------
        ValueError
            If the file is not a complete one of this kind, or too large.
        """
        with open_regular(path) as file:
            try:
                return cls(**from_members(read_members(file, max_bytes)))
            except Exception as error:
                # zipfile and zlib fail in many ways on damaged files; all mean the same.
                raise ValueError(
                    f"{os.fspath(path)!r} is not a complete Molecules file, or too large: "
                    f"{error}"
                ) from error


def _hill(counts: dict[str, int]) -> str:
    """Formula of the counts by symbol: carbon, hydrogen, then the alphabet."""
    present = {symbol: count for symbol, count in counts.items() if count}
    first = [symbol for symbol in ("C", "H") if "C" in present and symbol in present]
    order = [*first, *sorted(set(present) - set(first))]
    return "".join(s if present[s] == 1 else f"{s}{present[s]}" for s in order)

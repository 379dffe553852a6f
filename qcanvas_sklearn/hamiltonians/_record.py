"""`Hamiltonians`: one frozen record of the matrices of molecules."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._npz import MAX_BYTES
from ..structures import Molecules, save_atomically
from ..structures._arrays import freeze, read_only, row_numbers
from ..structures._ragged import atoms_of
from ..structures._rows import RowRecord
from ..targets import EV_PER
from ._basis import Basis
from ._blocks import ElementBlocks, Layout, element_blocks, layout_of
from ._conventions import orbital_order, to_convention
from ._electrons import count_electrons, whole_electrons
from ._files import load_fields, members
from ._import import read_matrices
from ._packed import unpack
from ._spectra import Spectra
from ._stack import stack

__all__ = ["UNITS", "Hamiltonians"]

#: Units of the matrices.
UNITS = ("eV", "hartree")


@dataclass(frozen=True, eq=False, repr=False)
class Hamiltonians(RowRecord, Spectra):
    """Matrices of molecules in a basis of atomic orbitals; one row a molecule.

    They are in canonical order (:class:`Basis`), and their lower triangles lie one behind
    the other in `values` and `overlap_values`. A record is y, or X, for every splitter,
    search and score of scikit-learn: it has a length and a shape, and is indexed by integers,
    slices, masks and arrays. An integer gives a record of one row. :meth:`from_matrices`
    makes one of the matrices of any program and proves their order.

    Parameters
    ----------
    molecules : Molecules
        Structures, none of them periodic.
    basis : Basis or mapping of str to sequence of int
        Angular momenta of the shells of each element.
    values : ndarray
        Lower triangles of the Hamiltonians, line by line.
    overlap_values : ndarray, optional
        Those of the overlaps. Without them there are no levels.
    unit : {"eV", "hartree"}, default="eV"
        Unit of `values`, and of all energies that follow from them.
    n_electrons : array-like of int, shape (n,), optional
        Electrons of each molecule. By default as :meth:`from_matrices` counts them.
    provenance : str, default=""
        Method, program and citation of the matrices.

    Raises
    ------
    ValueError
        If a size is wrong, a value not finite, the unit unknown, the basis lacks an element,
        or the electrons cannot be counted or find no place.

    See Also
    --------
    qcanvas_sklearn.hamiltonians.metrics : What a prediction is worth.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import Hamiltonians
    >>> h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.74]]])
    >>> hamiltonians = Hamiltonians.from_matrices(
    ...     h2, [[[-10.0, -9.0], [-9.0, -10.0]]], [[[1.0, 0.6], [0.6, 1.0]]], basis={"H": (0,)})
    >>> hamiltonians
    Hamiltonians(1 molecule, 2 orbitals; overlaps; eV)
    >>> hamiltonians.orbital_energies()[0].round(3).tolist(), hamiltonians.gap().round(3)
    ([-11.875, -2.5], array([9.375]))
    """

    _rows_are: ClassVar[str] = "Hamiltonians"

    molecules: Molecules
    basis: Basis
    values: NDArray[np.float64]
    overlap_values: NDArray[np.float64] | None = None
    unit: str = "eV"
    n_electrons: NDArray[np.int64] = None  # type: ignore[assignment]
    provenance: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.molecules, Molecules):
            raise TypeError(f"molecules must be Molecules, got {type(self.molecules).__name__}")
        basis = self.basis if isinstance(self.basis, Basis) else Basis(self.basis)
        if self.unit not in UNITS:
            raise ValueError(f"unit must be one of {list(UNITS)}, got {self.unit!r}")
        size = int(layout_of(self.molecules, basis).ptr[-1])
        arrays = {"values": self.values, "overlap_values": self.overlap_values}
        for name, given in arrays.items():
            if given is not None:
                arrays[name] = array = read_only(given, np.float64)
                if array.shape != (size,):
                    raise ValueError(f"{name} has shape {array.shape}, expected {(size,)}")
                if not np.isfinite(array).all():
                    raise ValueError(f"{name} has elements that are not finite")
        self._set(arrays | {"basis": basis})
        electrons = self.n_electrons
        if electrons is None:
            electrons = count_electrons(self.molecules, basis)
        self._set({"n_electrons": whole_electrons(electrons, self._layout.sizes)})

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _replace(self, **values: Any) -> Hamiltonians:
        """The record with other values, which have been checked before."""
        record = object.__new__(Hamiltonians)
        record._set({field.name: getattr(self, field.name) for field in fields(self)} | values)
        return record

    @classmethod
    def from_matrices(
        cls,
        molecules: Molecules,
        matrices: Sequence[ArrayLike] | NDArray,
        overlaps: Sequence[ArrayLike] | NDArray | str | None = None,
        *,
        basis: Basis | Mapping[str, Sequence[int]],
        convention: str | None = None,
        unit: str = "eV",
        n_electrons: ArrayLike | None = None,
        tolerance: float | None = None,
        provenance: str = "",
    ) -> Hamiltonians:
        """A record of matrices as a program writes them.

        Overlaps prove the order. In the frame of each bond their blocks must vanish unless
        m = m', be the same for ±m, and for like elements change with parity; on-site, they
        must be proportional to 1 for each two shells of one l, and vanish else. What this
        cannot see changes nothing: a sign of a whole shell of all atoms of an element, and
        orders that a symmetry of all the molecules makes equal.

        Without overlaps less can be said. Most of each off-site block of a Hamiltonian is of
        two centres, in the right order only: a stated one in which far less is than in
        another, or less than 80 %, is refused, which finds wrong conventions and shells but
        not every wrong sign. Where a structure is there twice, turned, its Hamiltonians must
        turn with it, which finds all. The levels are out of reach.

        Parameters
        ----------
        molecules : Molecules
            Structures, none of them periodic.
        matrices : sequence of array-like of shape (n_i, n_i)
            A symmetric matrix by molecule: Hamiltonian, Fock or Kohn-Sham.
        overlaps : sequence of array-like of shape (n_i, n_i), "orthogonal" or None
            Overlaps of the orbitals; ``"orthogonal"`` states that they are 1.
        basis : Basis or mapping of str to sequence of int
            Angular momenta of the shells of each element, in the program's order.
        convention : {"qcanvas", "pyscf", "psi4", "orca", "fhi-aims", "tblite"}, optional
            Order and signs within a shell. By default ``"qcanvas"``, which is to be stated
            where there are no overlaps.
        unit : {"eV", "hartree"}, default="eV"
            Unit of `matrices`; they are kept as they are.
        n_electrons : array-like of int, shape (n,), optional
            Electrons of each molecule. By default all, where the basis of each element has a
            shell for every occupied one of the free atom, or the valence electrons, where
            it has one shell of each l at most; less the charge.
        tolerance : float, optional
            Largest rest of an overlap that is accepted. By default 1e-10, or 1e-5 for
            overlaps in single precision.
        provenance : str, default=""
            Method, program and citation.

        Returns
        -------
        Hamiltonians

        Raises
        ------
        ValueError
            If a matrix has another size than the basis says, is not symmetric or not finite;
            if the orbitals are not in the stated order, with the molecule, the atoms and the
            shells at fault and the conventions that would fit; or as the class.

        Examples
        --------
        >>> import numpy as np
        >>> from qcanvas_sklearn.structures import Molecules
        >>> from qcanvas_sklearn.hamiltonians import Hamiltonians
        >>> hf = Molecules.from_lists([["F", "H"]], [[[0, 0, 0], [0.92, 0, 0]]])
        >>> s = np.eye(5)
        >>> s[1, 4] = s[4, 1] = 0.3  # p_x of PySCF points to the hydrogen
        >>> basis = {"H": (0,), "F": (0, 1)}
        >>> hamiltonians = Hamiltonians.from_matrices(
        ...     hf, [-10 * s], [s], basis=basis, convention="pyscf")
        >>> hamiltonians.overlap(0)[4]
        array([0. , 0. , 0. , 0.3, 1. ])
        >>> Hamiltonians.from_matrices(hf, [-10 * s], [s], basis=basis)
        Traceback (most recent call last):
            ...
        ValueError: overlap 0 ('FH'): the block of shell 0 (s) of atom 1 (H) and shell 1 (p)
        of atom 0 (F) is not of Slater-Koster form, 0.3 is left where 1e-10 is accepted; the
        orbitals are not in the order and signs of convention 'qcanvas'; the overlaps would
        be right as convention 'pyscf'
        """
        shells = basis if isinstance(basis, Basis) else Basis(basis)
        values, overlap_values = read_matrices(
            molecules, matrices, overlaps,
            basis=shells, convention=convention, tolerance=tolerance,
        )  # fmt: skip
        return cls(
            molecules, shells, freeze(values),
            None if overlap_values is None else freeze(overlap_values),
            unit, n_electrons, provenance,  # type: ignore[arg-type]
        )  # fmt: skip

    # ------------------------------------------------------------------ rows

    def __len__(self) -> int:
        return len(self.molecules)

    def __getitem__(self, index: Any) -> Hamiltonians:
        rows = row_numbers(len(self), index)
        elements = atoms_of(self._layout.ptr, rows)
        overlaps = self.overlap_values
        return self._replace(
            molecules=self.molecules[rows],
            values=freeze(self.values[elements]),
            overlap_values=None if overlaps is None else freeze(overlaps[elements]),
            n_electrons=freeze(self.n_electrons[rows]),
        )

    def __repr__(self) -> str:
        parts = [f"{len(self)} molecule{'s' * (len(self) != 1)}"]
        if len(self):
            few, many = self.n_orbitals.min(), self.n_orbitals.max()
            size = f"{few}" if few == many else f"{few} to {many}"
            parts[0] += f", {size} orbitals"
        parts += ["overlaps" if self.overlap_values is not None else "no overlaps", self.unit]
        if self.provenance:
            parts.append(f"provenance={self.provenance!r}")
        return f"Hamiltonians({'; '.join(parts)})"

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Neither pickle nor deepcopy keeps the flag of an array that nobody may write to.
        for value in state.values():
            if isinstance(value, np.ndarray):
                freeze(value)
        self._set(state)

    # --------------------------------------------------------- what they are

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.molecules, self.basis)

    @property
    def ptr(self) -> NDArray[np.int64]:
        """First element of each row in `values`, and the number of all, shape (n + 1,)."""
        return self._layout.ptr

    @property
    def n_orbitals(self) -> NDArray[np.int64]:
        """Number of orbitals of each molecule, shape (n,)."""
        return self._layout.sizes

    @cached_property
    def blocks(self) -> ElementBlocks:
        """Where the blocks by pair of elements lie, on-site and off-site.

        ``hamiltonians.values[hamiltonians.blocks.off_site["H", "C"].index]`` are the blocks
        of all pairs of hydrogen and carbon, (k, n_H, n_C).
        """
        return element_blocks(self.molecules, self.basis)

    def _z(self, i: int) -> NDArray[np.int64]:
        return self.molecules.z[self.molecules.ptr[i] : self.molecules.ptr[i + 1]]

    def _matrix(
        self, flat: NDArray[np.float64], i: int, convention: str
    ) -> NDArray[np.float64]:
        if not -len(self) <= i < len(self):
            raise IndexError(f"no molecule {i} of {len(self)}")
        i = int(i) % len(self)
        matrix = unpack(flat[self.ptr[i] : self.ptr[i + 1]], int(self.n_orbitals[i]))
        if convention == "qcanvas":
            return matrix
        return to_convention(matrix, *orbital_order(self.basis, self._z(i), convention))

    def matrix(self, i: int, convention: str = "qcanvas") -> NDArray[np.float64]:
        """The Hamiltonian of one molecule.

        Parameters
        ----------
        i : int
            Row of the record.
        convention : str, default="qcanvas"
            Order and signs, as in :meth:`from_matrices`, whose inverse this is.

        Returns
        -------
        ndarray of shape (n_i, n_i)
            In the record's unit.
        """
        return self._matrix(self.values, i, convention)

    def overlap(self, i: int, convention: str = "qcanvas") -> NDArray[np.float64]:
        """The overlap of the orbitals of one molecule.

        Parameters
        ----------
        i : int
            Row of the record.
        convention : str, default="qcanvas"
            Order and signs, as in :meth:`from_matrices`.

        Returns
        -------
        ndarray of shape (n_i, n_i)

        Raises
        ------
        ValueError
            If the record has no overlaps.
        """
        if self.overlap_values is None:
            raise ValueError(
                "these Hamiltonians have no overlaps, which levels and populations need; pass "
                "overlaps, or overlaps='orthogonal' where the orbitals are orthonormal"
            )
        return self._matrix(self.overlap_values, i, convention)

    # ------------------------------------------------- others like it, on disk

    def in_unit(self, unit: str) -> Hamiltonians:
        """The record with its matrices in ``"eV"`` or ``"hartree"``.

        Raises
        ------
        ValueError
            If there is no such unit.
        """
        if unit not in UNITS:
            raise ValueError(f"unit must be one of {list(UNITS)}, got {unit!r}")
        if unit == self.unit:
            return self
        factor = EV_PER[self.unit] / EV_PER[unit]
        return self._replace(values=freeze(self.values * factor), unit=unit)

    def with_overlaps(self, overlap_values: ArrayLike | None) -> Hamiltonians:
        """The record with other overlaps.

        Parameters
        ----------
        overlap_values : array-like or None
            Lower triangles, as the class has them; None for no overlaps.

        Returns
        -------
        Hamiltonians
        """
        return replace(self, overlap_values=overlap_values)  # type: ignore[arg-type]

    def with_values(self, values: ArrayLike, provenance: str = "") -> Hamiltonians:
        """Other Hamiltonians of the same molecules, such as predicted ones.

        Parameters
        ----------
        values : array-like
            Lower triangles, as the class has them, in this record's unit.
        provenance : str, default=""
            Where they come from.

        Returns
        -------
        Hamiltonians
            With the overlaps and electrons of this record.

        Raises
        ------
        ValueError
            As the class.
        """
        return replace(self, values=values, provenance=provenance)  # type: ignore[arg-type]

    @staticmethod
    def concat(parts: Sequence[Hamiltonians]) -> Hamiltonians:
        """Stack records below each other.

        Parameters
        ----------
        parts : sequence of Hamiltonians
            At least one. An element has the same shells in all of them.

        Returns
        -------
        Hamiltonians
            All rows in order, in the first record's unit.

        Raises
        ------
        ValueError
            If there is nothing to stack, an element has different shells in two parts, or
            some have overlaps and others none.
        """
        parts = [part.in_unit(parts[0].unit) for part in parts]
        return Hamiltonians(**stack(parts))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compressed ``.npz`` without pickled objects.

        :meth:`Molecules.load` reads the structures alone from it.

        Parameters
        ----------
        path : path-like
            File to write; it appears under its name only when it is complete.
        """
        save_atomically(path, members(self.__getstate__()))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Hamiltonians:
        """Read a file that :meth:`save` wrote.

        Parameters
        ----------
        path : path-like
            The ``.npz`` file.
        max_bytes : int, default=1 GiB
            Largest accepted size of the decompressed arrays, which is known, and checked,
            before the memory for them is taken.

        Returns
        -------
        Hamiltonians

        Raises
        ------
        ValueError
            If the file is not a complete one of this kind, or too large.
        """
        try:
            return cls(**load_fields(path, max_bytes))
        except OSError:
            raise
        except Exception as error:
            # zipfile and zlib fail in many ways on damaged files; all mean the same.
            raise ValueError(
                f"{os.fspath(path)!r} is not a complete Hamiltonians file, or too large: "
                f"{error}"
            ) from error

"""What molecules are called elsewhere: ase.Atoms, PyG Data, files. The libraries that know
these are imported where they are asked for only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from ._molecules import Molecules

__all__ = ["Convertible"]


class Convertible:
    """Conversions of a record of molecules from and to other makes."""

    def _record(self) -> Molecules:
        return cast("Molecules", self)

    @classmethod
    def from_ase(cls, atoms: Iterable[Any], **others: Any) -> Molecules:
        """A record of ``ase.Atoms``.

        What a calculator has computed for a structure as it is now is read: energy
        (``total_energy_ev``), forces, dipole moment (``dipole_mag_d``), charges and magnetic
        moments of atoms. Nothing is computed. Where there is no energy or force of a
        calculator, ``REF_energy`` and ``REF_forces`` count, as MACE names them in files; an
        energy that is called ``total_energy_ev`` goes before ``REF_energy``. Numbers in
        ``Atoms.info`` and arrays of numbers become labels; the entries ``name``, ``group``,
        ``charge`` (or ``total_charge``) and ``quality`` are the fields of these names. The
        charge is else the sum of the initial charges, a whole number where it is one but for
        0.01. Where some structures have a group, those without are by themselves.

        Parameters
        ----------
        atoms : iterable of ase.Atoms
            The structures.
        **others
            Fields of the record to set, or to replace what was read.

        Returns
        -------
        Molecules

        Raises
        ------
        TypeError
            If an item is no ``ase.Atoms``.
        ValueError
            As the class.

        Examples
        --------
        >>> from ase.build import molecule  # doctest: +SKIP
        >>> Molecules.from_ase([molecule("CH4"), molecule("H2O")])  # doctest: +SKIP
        Molecules(2 structures, 3 to 5 atoms of H, C, O)
        """
        from ._ase import molecules_of_atoms

        return molecules_of_atoms(atoms, **others)

    def to_ase(self) -> list[Any]:
        """The structures as ``ase.Atoms``, from which :meth:`from_ase` reads all back.

        Returns
        -------
        list of ase.Atoms
            Energies and forces are those of a ``SinglePointCalculator``.

        Raises
        ------
        ImportError
            If ase is not installed.
        """
        from ._ase import atoms_of_molecules

        return atoms_of_molecules(self._record())

    @classmethod
    def from_pyg(
        cls, data: Any, *, energy_unit: str | None = None, **others: Any
    ) -> Molecules:
        """A record of torch-geometric's ``Data``.

        Read are ``z`` (or ``atomic_numbers``), ``pos`` in Å, ``cell``, ``pbc``,
        ``charge`` and ``name``.

        Parameters
        ----------
        data : iterable of Data, Batch or Dataset
            The structures.
        energy_unit : {"eV", "kcal/mol", "hartree"} or None, default=None
            Unit of ``energy`` and, per Å, of ``force``, which PyG does not state (its MD17
            is in kcal/mol). They are converted to eV; None leaves them out.
        **others
            Fields of the record to set, or to replace what was read.

        Returns
        -------
        Molecules

        Raises
        ------
        ValueError
            If a structure lacks elements or positions, and as the class.
        """
        from ._pyg import molecules_of_data

        return molecules_of_data(data, energy_unit=energy_unit, **others)

    def to_pyg(self) -> list[Any]:
        """The structures as torch-geometric's ``Data``.

        Returns
        -------
        list of Data
            ``z``, ``pos``, ``charge``, ``name``, and where there are any ``cell``,
            ``pbc``, ``force``, ``energy`` in eV, all labels as ``y`` (1, k), and labels of
            atoms by their names. Numbers are of double precision.

        Raises
        ------
        ImportError
            If torch-geometric is not installed.
        """
        from ._pyg import data_of_molecules

        return data_of_molecules(self._record())

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        groups: str | None = None,
        **options: Any,
    ) -> Molecules:
        """Read the structures of files, in any format that ASE knows.

        Parameters
        ----------
        path : path-like, pattern, or iterable of these
            Such as ``"frames.xyz"``, ``"*.cif"`` or ``"structures.db"``. All structures
            of a file are read, and files of a pattern in the order of their names.
        groups : {"file", "formula"} or None, default=None
            What belongs together: structures of one file (a trajectory), or of one formula.
            None leaves that to entries ``group`` in the files.
        **options
            Passed to ``ase.io.iread``, such as `format` and `index`.

        Returns
        -------
        Molecules
            Named by their files unless these name them. Labels as :meth:`from_ase` reads
            them.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ImportError
            If ase is not installed.
        ValueError
            If ASE cannot read a file, and as the class.
        """
        from ._ase import read_files

        return read_files(path, groups, options)

    def write(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write all structures to one file, in any format that ASE knows.

        Extended xyz (``"x.xyz"``) and ASE's databases (``"x.db"``) keep all that
        :meth:`read` knows; other formats keep what they can.

        Parameters
        ----------
        path : path-like
            File to write; it appears under its name only when it is complete.
        **options
            Passed to ``ase.io.write``, such as `format`.

        Raises
        ------
        ImportError
            If ase is not installed.
        ValueError
            If a label is called as a result of ASE's calculators is, such as "energy".
        """
        from ._ase import write_file

        write_file(self._record(), path, options)

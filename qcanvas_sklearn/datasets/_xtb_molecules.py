"""Molecules computed on the spot with extended tight binding (xTB)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._validation import check_choices
from ..structures import Molecules, check_molecules
from ..targets import DEBYE_PER_E_ANGSTROM, HARTREE_IN_EV
from ._jobs import cache_directory, run_jobs
from ._labels import DIPOLE_LABELS
from ._xtb_settings import check_elements, check_settings
from ._xtb_states import BOHR_ANG, SCFError, States, valence_electrons

__all__ = [
    "MOLECULE_PROPERTIES",
    "MoleculeJob",
    "check_charges",
    "check_no_cells",
    "check_structures",
    "compute_molecules",
    "job_fields",
    "labelled",
    "named",
]

#: Part of the cache's key: raise it when results change.
CACHE_FORMAT = 1

_LABELS = {
    "energy": ("total_energy_ev", "mermin_free_energy_ev"),
    "levels": ("e_homo_ev", "e_lumo_ev", "e_g_ev"),
    "dipole": ("dipole_mag_d", *DIPOLE_LABELS),
}
#: What can be computed.
MOLECULE_PROPERTIES = ("energy", "forces", "levels", "charges", "dipole")


def compute_molecules(
    molecules: Any,
    *,
    method: str = "GFN2-xTB",
    properties: Sequence[str] = MOLECULE_PROPERTIES,
    electronic_temperature: float = 300.0,
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    verbose: int = 0,
) -> Molecules:
    """Compute the electronic structure of molecules with xTB, at the given geometries.

    Elements H to Rn, in the lowest multiplicity that the charge allows. Needs the optional
    package tblite: ``pip install "qcanvas-sklearn[xtb]"``.

    Labels of xTB and of other methods are not interchangeable, nor are those of its two
    parametrisations. Train and test on one source.

    Parameters
    ----------
    molecules : Molecules, list of ase.Atoms, or PyG data
        The structures, with their total charges, which must be whole.
    method : {"GFN2-xTB", "GFN1-xTB"}, default="GFN2-xTB"
        Parametrisation, [1]_ or [2]_.
    properties : sequence of str, default=("energy", "forces", "levels", "charges", "dipole")
        What the result holds. All take one and the same calculation.
    electronic_temperature : float, default=300.0
        Temperature of the Fermi filling in K.
    n_jobs : int or None, default=None
        Processes, as in joblib: None is 1 unless a ``joblib.parallel_config`` is
        active, -1 uses all cores.
    cache : bool or path-like, default=True
        Keep results on disk and reuse them: one file for every structure, written as soon
        as it is done, as :func:`compute_pairs` does.
    verbose : int, default=0
        Show a progress bar, on standard error in a terminal, where it is not 0.

    Returns
    -------
    Molecules
        The same structures, charges, names and groups; other labels and forces than the
        computed ones are dropped. ``labels`` holds

        - energy: ``total_energy_ev`` of the valence electrons, dispersion included, and
          ``mermin_free_energy_ev``, that energy less T S, which differs where levels are
          partly filled;
        - levels: ``e_homo_ev``, ``e_lumo_ev``, ``e_g_ev``; a half-filled level is HOMO
          and LUMO at once;
        - dipole: ``dipole_mag_d`` and its components, of ions about the mean of the
          positions, so that it does not depend on where they are;

        ``atom_labels`` the Mulliken charges, ``charge_mulliken``. Forces are the negative
        gradient of ``mermin_free_energy_ev``. ``quality`` is ``"ok"``; or else
        ``"not-converged"`` where no self-consistent state was found, or
        ``"unphysical-charges"`` where only states with a charge of an atom beyond that
        of the molecule by 1.5 e were, and the row has no values but NaN.

    Raises
    ------
    ImportError
        If tblite is not installed.
    TypeError, ValueError
        If a structure is periodic, has an element beyond radon or no electrons, a charge
        is not whole, or an argument is out of range. The message names the structure.

    Warns
    -----
    UserWarning
        If results cannot be kept.

    See Also
    --------
    compute_pairs : Diatomics, at the bond length that it finds.

    References
    ----------
    .. [1] C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019),
       doi:10.1021/acs.jctc.8b01176.
    .. [2] S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989 (2017),
       doi:10.1021/acs.jctc.7b00118.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import compute_molecules
    >>> from qcanvas_sklearn.structures import Molecules
    >>> water = Molecules.from_lists(
    ...     [["O", "H", "H"]], [[[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]])
    >>> computed = compute_molecules(water, cache=False)  # doctest: +SKIP
    >>> computed.labels["e_g_ev"].round(2).tolist()  # doctest: +SKIP
    [14.22]
    """
    check_choices("properties", properties, MOLECULE_PROPERTIES)
    settings = check_settings(method, electronic_temperature)
    checked = check_structures(molecules, method)
    jobs = [MoleculeJob(*fields) for fields in job_fields(checked)]
    directory = cache_directory(cache, settings, MoleculeJob.folders())
    records = run_jobs(jobs, settings, directory, n_jobs, verbose, "molecules")
    return labelled(checked, [record[0] for record in records], set(properties), settings)


def check_structures(molecules: Any, method: str) -> Molecules:
    """Read molecules that a method of xTB can compute.

    Raises
    ------
    TypeError, ValueError
        As :func:`compute_molecules`.
    """
    checked = check_molecules(molecules)
    check_elements(checked.z, method)
    valence = [valence_electrons(method, z) for z in checked.elements.tolist()]
    check_charges(checked, np.array(valence), "valence electrons")
    check_no_cells(checked, "xTB")
    return checked


def job_fields(molecules: Molecules) -> Iterator[tuple[tuple[int, ...], bytes, int]]:
    """Atomic numbers, bytes of the positions and charge of each structure."""
    for z, positions, charge in zip(
        np.split(molecules.z, molecules.ptr[1:-1]),
        np.split(molecules.positions, molecules.ptr[1:-1]),
        molecules.charge, strict=True,
    ):  # fmt: skip
        yield tuple(z.tolist()), positions.tobytes(), int(charge)


@dataclass(frozen=True)
class MoleculeJob:
    """One structure: atomic numbers, the bytes of its positions in Å, its charge."""

    FOLDER: ClassVar[str] = "molecules"
    INTEGRALS: ClassVar[bool] = False

    z: tuple[int, ...]
    positions: bytes
    charge: int

    @classmethod
    def folders(cls) -> list[str]:
        """Folders of the cache that such jobs keep their records in."""
        return [f"{cls.FOLDER}/{digit:x}" for digit in range(16)]

    @property
    def points(self) -> int:
        # A molecule of n atoms takes about as long as n / 2 pairs of them.
        return 1 + len(self.z) // 2

    @property
    def dtype(self) -> np.dtype:
        n = len(self.z)
        scalars = [name for kind in ("energy", "levels") for name in _LABELS[kind]]
        return np.dtype([
            ("quality", "<U24"), *((name, "f8") for name in scalars), ("dipole_d", "f8", (3,)),
            ("charges", "f8", (n,)), ("forces", "f8", (n, 3)),
        ])  # fmt: skip

    def _digest(self) -> str:
        content = blake2b(np.array(self.z).tobytes(), digest_size=16)
        content.update(self.positions)
        content.update(str(self.charge).encode())
        return content.hexdigest()

    def path(self, directory: Path) -> Path:
        digest = self._digest()
        return directory / self.FOLDER / digest[0] / f"{digest}.npz"

    def key(self, settings: Any) -> str:
        return f"{CACHE_FORMAT}|{astuple(settings)}|{self.z}|{self._digest()}"

    def compute(self, settings: Any) -> NDArray[np.void]:
        record = np.full(1, np.nan, self.dtype)
        states = States(
            self.z, settings.method, settings.temperature, self.charge, self.INTEGRALS
        )
        positions = np.frombuffer(self.positions).reshape(-1, 3)
        try:
            result = states.state(positions)
        except SCFError as error:
            record["quality"] = error.reason
            return record
        self._fill(record, states, result)
        return record

    def _fill(self, record: NDArray[np.void], states: States, result: Any) -> None:
        """Write what a state (a tblite ``Result``) tells into the record."""
        facts = states.facts(result)
        record["quality"] = "ok"
        for name in ("total_energy_ev", "mermin_free_energy_ev", "e_homo_ev", "e_lumo_ev",
                     "charges", "dipole_d"):  # fmt: skip
            record[name] = facts[name]
        record["e_g_ev"] = record["e_lumo_ev"] - record["e_homo_ev"]
        record["forces"] = -result.get("gradient") * HARTREE_IN_EV / BOHR_ANG


def _dipole_of_charge(molecules: Molecules) -> NDArray[np.float64]:
    """Dipoles (debye) of the total charges at the means of the positions, (n, 3)."""
    middle = np.add.reduceat(molecules.positions, molecules.ptr[:-1], axis=0)
    middle = middle / molecules.n_atoms[:, None]
    return DEBYE_PER_E_ANGSTROM * molecules.charge[:, None] * middle


def check_charges(molecules: Molecules, electrons: NDArray, what: str) -> NDArray[np.int64]:
    """Electrons of molecules, by the numbers of their elements.

    Raises
    ------
    ValueError
        If a charge is not whole, or a molecule has no electrons.
    """
    whole = molecules.charge == np.round(molecules.charge)
    if not whole.all():
        row = int(np.argmin(whole))
        raise ValueError(
            f"{named(molecules, row)}: the charge {molecules.charge[row]} is not whole"
        )
    counts = molecules.composition @ electrons - molecules.charge
    if counts.min(initial=1) < 1:
        row = int(np.argmin(counts))
        raise ValueError(
            f"{named(molecules, row)}: with the charge {molecules.charge[row]:g} it has no "
            f"{what}"
        )
    return counts.astype(np.int64)


def check_no_cells(molecules: Molecules, program: str) -> None:
    """Raise a ValueError that names a periodic structure."""
    if molecules.pbc is not None and molecules.pbc.any():
        row = int(np.argmax(molecules.pbc.any(axis=1)))
        raise ValueError(
            f"{named(molecules, row)} is periodic, and {program} has no Brillouin zone here, "
            "only its centre; accepted are molecules"
        )


def named(molecules: Molecules, row: int) -> str:
    """What messages call a row."""
    return f"structure {row} ({str(molecules.names[row])!r})"


def labelled(
    molecules: Molecules, records: Sequence[Any], wanted: set[str], settings: object
) -> Molecules:
    """The structures with what was computed for them, as far as it is wanted.

    Parameters
    ----------
    molecules : Molecules
        Checked structures.
    records : sequence of one-row records
        Of their jobs.
    wanted : set of str
        Some of :data:`MOLECULE_PROPERTIES`.
    settings : object
        How they were computed, as text.
    """
    columns: dict[str, Any] = {}
    for kind in ("energy", "levels"):
        for name in _LABELS[kind] if kind in wanted else ():
            columns[name] = np.array([record[name] for record in records])
    if "dipole" in wanted:
        dipole = np.array([record["dipole_d"] for record in records])
        dipole = dipole - _dipole_of_charge(molecules)
        columns["dipole_mag_d"] = np.linalg.norm(dipole, axis=1)
        columns |= dict(zip(DIPOLE_LABELS, dipole.T, strict=True))
    charges = np.concatenate([record["charges"] for record in records])
    kept = {"charge_mulliken": charges} if "charges" in wanted else {}
    return Molecules(
        molecules.z, molecules.positions, molecules.ptr, molecules.cell, molecules.pbc,
        molecules.charge,
        forces=np.concatenate([r["forces"] for r in records]) if "forces" in wanted else None,
        labels=pd.DataFrame(columns, index=range(len(records))),
        atom_labels=pd.DataFrame(kept, index=range(len(charges))),
        names=molecules.names, groups=molecules.groups,
        quality=np.array([str(record["quality"]) for record in records]),
        provenance=f"{settings}, given geometry",
    )  # fmt: skip

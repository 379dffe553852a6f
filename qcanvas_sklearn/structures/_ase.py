"""Molecules from and to the Atomic Simulation Environment, and the files that it reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from glob import glob, has_magic
from numbers import Real
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._files import replaced_whole
from .._optional import require
from .._validation import check_choice
from ..targets import DEBYE_PER_E_ANGSTROM
from ._molecule_stack import unused_prefix
from ._molecules import Molecules
from ._ragged import pointers

__all__ = [
    "atoms_of_molecules",
    "load_ase",
    "molecules_of_atoms",
    "read_files",
    "total_charge",
    "write_file",
]

#: Names under which ``Atoms.info`` has the total charge; columns of an ASE database may not
#: be called "charge".
_CHARGES = ("charge", "total_charge")
#: What ``Atoms.info`` says about a row that is no label.
_FACTS = ("name", "group", "quality", *_CHARGES)
#: Distance from a whole number up to which a sum of partial charges is that number.
_WHOLE = 0.01
#: Numbers by atom among the results of a calculator.
_OF_ATOMS = ("charges", "energies", "magmoms")
#: Arrays of ``Atoms`` that are no labels of atoms.
_ARRAYS = ("numbers", "positions", "initial_charges", "initial_magmoms", "momenta", "masses",
           "tags")  # fmt: skip
#: Names under which labels to train potentials on lie where ASE keeps results of
#: calculators from being taken for them, as MACE has them.
_REFERENCE_ENERGY, _REFERENCE_FORCES = "REF_energy", "REF_forces"
_DATABASES = (".db", ".json")
#: Files that keep labels, in which ASE has names of its own for some.
_KEEPING = (".xyz", ".extxyz", *_DATABASES)


def load_ase() -> ModuleType:
    """The ``ase`` package.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    return require("reading or writing structures", "ase", "ase.io")


def molecules_of_atoms(atoms: Iterable[Any], **fields: Any) -> Molecules:
    """The record of some ``ase.Atoms``, see :meth:`Molecules.from_ase`."""
    images = list(atoms)
    for i, image in enumerate(images):
        if not hasattr(image, "get_atomic_numbers"):
            raise TypeError(f"structure {i} is no ase.Atoms but {type(image).__name__}")
    n = len(images)
    facts = [_facts(image) for image in images]
    found: dict[str, Any] = {
        "z": _joined([image.numbers for image in images], np.int64, ()),
        "positions": _joined([image.positions for image in images], np.float64, (3,)),
        "ptr": pointers([len(image) for image in images]),
        "charge": np.array([total_charge(image) for image in images], dtype=np.float64),
        "forces": _forces(images),
        "labels": _table([_labels(image) for image in images], n),
        "atom_labels": _atom_table(images),
        "quality": [str(fact.get("quality", "ok")) for fact in facts],
    }
    if any(image.pbc.any() for image in images):
        found["pbc"] = np.array([image.pbc for image in images])
        # Of a slab or a wire the missing vectors are made up; of a molecule there are none.
        found["cell"] = np.array([
            (image.cell.complete() if image.pbc.any() else image.cell).array for image in images
        ])  # fmt: skip
    names = [fact.get("name") for fact in facts]
    if any(name is not None for name in names):
        formulas = [image.get_chemical_formula("hill") for image in images]
        found["names"] = [
            formula if name is None else str(name)
            for name, formula in zip(names, formulas, strict=True)
        ]
    groups = [fact.get("group") for fact in facts]
    named = [group is not None for group in groups]
    if n and all(named):
        found["groups"] = np.array(groups)
    record = Molecules(**found | fields)
    if any(named) and not all(named) and "groups" not in fields:
        return replace(record, groups=_completed(groups, record.group_ids))
    return record


def _completed(groups: Sequence[Any], ids: NDArray[np.int64]) -> NDArray[np.str_]:
    """Groups by their names; structures without any are groups of their own."""
    names = [None if group is None else str(group) for group in groups]
    prefix = unused_prefix("structure ", {name for name in names if name is not None})
    named = [
        f"{prefix}{i}" if name is None else name for name, i in zip(names, ids, strict=True)
    ]
    return np.array(named, dtype=np.str_)


def _joined(parts: Sequence[Any], dtype: Any, shape: tuple[int, ...]) -> Any:
    return np.concatenate([np.empty((0, *shape), dtype), *parts])


def _facts(image: Any) -> dict[str, Any]:
    return {key: image.info[key] for key in _FACTS if key in image.info}


def total_charge(image: Any) -> float:
    """Charge (e) that an ``ase.Atoms`` states, or else the sum of its initial charges.

    Those may be partial charges of a few digits, whose sum is not quite whole.
    """
    for name in _CHARGES:
        if name in image.info:
            return float(image.info[name])
    total = float(np.sum(image.get_initial_charges()))
    whole = float(round(total))
    return whole if abs(total - whole) < _WHOLE else total


def _results(image: Any) -> dict[str, Any]:
    """What a calculator has computed for exactly this structure; nothing is computed here."""
    changes = getattr(image.calc, "check_state", None)
    return {} if changes is None or changes(image) else dict(image.calc.results)


def _labels(image: Any) -> dict[str, float]:
    labels = {
        key: float(value)
        for key, value in image.info.items()
        if isinstance(key, str) and key not in _FACTS and _is_number(value)
    }
    results = _results(image)
    if results.get("energy") is not None:
        labels["total_energy_ev"] = float(results["energy"])
    elif _REFERENCE_ENERGY in labels:
        labels.setdefault("total_energy_ev", labels[_REFERENCE_ENERGY])
    if results.get("dipole") is not None:
        labels["dipole_mag_d"] = float(np.linalg.norm(results["dipole"])) * DEBYE_PER_E_ANGSTROM
    return labels


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _table(rows: Sequence[dict[str, Any]], n: int) -> pd.DataFrame:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    values = [[row.get(column, np.nan) for column in columns] for row in rows]
    return pd.DataFrame(np.array(values, dtype=float).reshape(n, len(columns)), columns=columns)


def _forces(images: Sequence[Any]) -> Any:
    forces = [_forces_of(image) for image in images]
    if all(force is None for force in forces):
        return None
    return np.concatenate([
        np.full((len(image), 3), np.nan) if force is None else force
        for image, force in zip(images, forces, strict=True)
    ])  # fmt: skip


def _forces_of(image: Any) -> Any:
    """Forces (n, 3) that a calculator has computed, or else those to learn; or None."""
    computed, given = _results(image).get("forces"), image.arrays.get(_REFERENCE_FORCES)
    if computed is None and given is not None and given.shape == (len(image), 3):
        return given
    return computed


def _atom_labels(image: Any) -> dict[str, Any]:
    results = _results(image)
    computed = {key: np.asarray(results[key]) for key in _OF_ATOMS if key in results}
    own = {key: array for key, array in image.arrays.items() if key not in _ARRAYS}
    return {
        key: array.astype(float)
        for key, array in (computed | own).items()
        if array.ndim == 1 and array.dtype.kind in "iuf"
    }


def _atom_table(images: Sequence[Any]) -> pd.DataFrame:
    frames = [pd.DataFrame(_atom_labels(image), index=range(len(image))) for image in images]
    empty = pd.DataFrame(index=range(0))
    return pd.concat([empty, *frames], keys=range(len(frames) + 1)).reset_index(drop=True)


def atoms_of_molecules(molecules: Molecules) -> list[Any]:
    """A list of ``ase.Atoms``, see :meth:`Molecules.to_ase`."""
    ase = load_ase()
    from ase.calculators.singlepoint import SinglePointCalculator

    images = []
    labels = molecules.labels.to_dict("records") or [{}] * len(molecules)
    for i, (start, end) in enumerate(zip(molecules.ptr[:-1], molecules.ptr[1:], strict=True)):
        image = ase.Atoms(molecules.z[start:end], molecules.positions[start:end])
        if molecules.cell is not None and molecules.pbc is not None:
            image.set_cell(molecules.cell[i])
            image.set_pbc(molecules.pbc[i])
        image.info["name"] = str(molecules.names[i])
        if molecules.groups is not None:
            image.info["group"] = molecules.groups[i].item()
        if molecules.charge[i]:
            image.info["charge"] = float(molecules.charge[i])
        if molecules.quality[i] != "ok":
            image.info["quality"] = str(molecules.quality[i])
        known = {key: value for key, value in labels[i].items() if not np.isnan(value)}
        results = {"energy": known.pop("total_energy_ev", None)}
        if molecules.forces is not None and np.isfinite(molecules.forces[start:end]).all():
            results["forces"] = molecules.forces[start:end].copy()
        image.info |= known
        for key, column in molecules.atom_labels.items():
            image.set_array(key, column.to_numpy()[start:end].copy())
        if any(value is not None for value in results.values()):
            image.calc = SinglePointCalculator(image, **results)
        images.append(image)
    return images


def read_files(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    groups: str | None,
    options: dict[str, Any],
) -> Molecules:
    """The record of all structures of some files, see :meth:`Molecules.read`."""
    if groups is not None:
        check_choice("groups", groups, ("file", "formula"))
    load_ase()
    images: list[Any] = []
    files: list[str] = []
    for file in _paths(path):
        found = list(_images(file, options))
        for k, image in enumerate(found):
            image.info.setdefault("name", file.stem if len(found) == 1 else f"{file.stem}:{k}")
        images += found
        files += [str(file)] * len(found)
    molecules = molecules_of_atoms(images, **{} if groups != "file" else {"groups": files})
    if groups == "formula":
        molecules = molecules_of_atoms(images, groups=molecules.formulas)
    return molecules


def _paths(path: Any) -> list[Path]:
    if not isinstance(path, (str, os.PathLike)):
        return [file for part in path for file in _paths(part)]
    text = os.fspath(path)
    # A file may have brackets in its name, and is then meant itself.
    if has_magic(text) and not os.path.exists(text):
        found = sorted(glob(os.path.expanduser(text), recursive=True))
        if not found:
            raise FileNotFoundError(f"no file matches {text!r}")
        return [Path(file) for file in found]
    file = Path(text).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"no file {text!r}")
    return [file]


def _images(file: Path, options: dict[str, Any]) -> Iterator[Any]:
    ase = load_ase()
    try:
        if file.suffix in _DATABASES and "format" not in options:
            yield from _database(file)
        else:
            yield from ase.io.iread(file, **{"index": ":"} | options)
    except ImportError:
        raise
    except Exception as error:
        # Readers of some eighty formats fail in as many ways; all mean the same.
        raise ValueError(f"{str(file)!r} is not a file that ASE reads: {error}") from error


def _database(file: Path) -> Iterator[Any]:
    from ase.db import connect

    with connect(file) as database:
        for row in database.select():
            image = row.toatoms()
            image.info |= row.key_value_pairs
            for key, values in row.data.items():
                array = np.asarray(values)
                if array.shape == (len(image),) and key not in image.arrays:
                    image.set_array(key, array)
            yield image


def write_file(
    molecules: Molecules, path: str | os.PathLike[str], options: dict[str, Any]
) -> None:
    """Write all structures to one file, see :meth:`Molecules.write`."""
    ase = load_ase()
    if Path(path).suffix in _KEEPING:
        _check_names([*molecules.labels, *molecules.atom_labels])
    images = atoms_of_molecules(molecules)
    with replaced_whole(path) as temporary:
        if temporary.suffix in _DATABASES and "format" not in options:
            _write_database(images, temporary)
        else:
            ase.io.write(temporary, images, **options)


def _check_names(labels: Sequence[str]) -> None:
    """Raise a ValueError if a label would be read back as a result of a calculator."""
    from ase.calculators.calculator import all_properties

    taken = [name for name in labels if name in all_properties and name not in _OF_ATOMS]
    if taken:
        raise ValueError(
            f"labels {taken} have names that ASE keeps for results of calculators, as which "
            "they would be read; rename them"
        )


def _write_database(images: Sequence[Any], path: Path) -> None:
    from ase.db import connect

    with connect(path, use_lock_file=False) as database:
        for image in images:
            facts = dict(image.info)
            if "charge" in facts:
                facts["total_charge"] = facts.pop("charge")
            data = {key: a for key, a in image.arrays.items() if key not in _ARRAYS}
            database.write(image, key_value_pairs=facts, data=data)

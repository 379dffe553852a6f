"""`PairData`: one frozen record of everything known about a set of diatomics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._files import open_regular
from .._npz import MAX_BYTES, Spec, read_arrays
from ..elements import MAX_Z, alphabetical_rank, atomic_numbers
from ..rendering import channel_amplitudes, recover_amplitudes
from ..targets import LABELS, Label
from ._arrays import freeze, read_only, row_numbers, save_atomically
from ._molecules import Molecules

__all__ = ["N_ORBITALS", "PairData", "empty_labels", "pair_amplitudes"]

#: Orbitals s, p, d, f of one atom, at index l² + l + m.
N_ORBITALS = 16
_SHELL_STARTS = (0, 1, 4, 9)
_ARRAYS = (
    "elements", "positions", "orbital_populations", "charges", "dipole", "populations",
    "quality",
)  # fmt: skip
_LAYOUT = {
    "elements": Spec("U", ("n", 2), width=64),
    "positions": Spec("f", ("n", 2, 3)),
    "orbital_populations": Spec("f", ("n", 2, N_ORBITALS)),
    "charges": Spec("f", ("n", 2)),
    "dipole": Spec("f", ("n", 3)),
    "populations": Spec("f", ("n", 2)),
    "quality": Spec("U", ("n",)),
    "images": Spec("f", ("n", 10, 32, 32), optional=True),
    **{
        f"label_{key}": Spec("U" if label.kind == "string" else "f", ("n",))
        for key, label in LABELS.items()
    },
    "provenance": Spec("U", ()),
    "skipped": Spec("U", (None, 2)),
}


def empty_labels(n: int) -> pd.DataFrame:
    """Label table of `n` rows with the 37 columns in order and every value missing."""
    return conform_labels(pd.DataFrame(index=range(n)))


def conform_labels(labels: pd.DataFrame) -> pd.DataFrame:
    """Bring a label table to the 37 columns and their types; absent ones are missing."""
    if not isinstance(labels, pd.DataFrame):
        raise TypeError(f"labels must be a DataFrame, got {type(labels).__name__}")
    unknown = [column for column in labels.columns if column not in LABELS]
    if unknown:
        raise ValueError(f"unknown label columns {unknown}; known are {list(LABELS)}")
    missing = pd.Series([None] * len(labels), dtype="object")
    return pd.DataFrame(
        {key: _conform_column(labels.get(key, missing), label) for key, label in LABELS.items()}
    )


def _conform_column(values: pd.Series, label: Label) -> Any:
    try:
        if label.kind == "float":
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        objects = values.astype("object").where(values.notna(), None).array
        dtype = "boolean" if label.kind == "bool" else "object"
        return pd.Series(objects, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"label {label.key!r} does not hold values of kind {label.kind!r}: {error}"
        ) from error


def _unordered_code(z: NDArray[np.int64]) -> NDArray[np.int64]:
    first, second = z[:, 0], z[:, 1]
    return np.minimum(first, second) * (MAX_Z + 1) + np.maximum(first, second)


@dataclass(frozen=True, eq=False, repr=False)
class PairData:
    """Electronic structure of `n` diatomics, one row a pair.

    Atom 1 (index 0) comes first in the alphabet and lies below atom 2 on the z axis.

    Parameters
    ----------
    elements : ndarray of str, shape (n, 2)
        Element symbols in canonical (alphabetical) order.
    positions : ndarray of shape (n, 2, 3)
        Cartesian coordinates in Å.
    orbital_populations : ndarray of shape (n, 2, 16)
        Mulliken populations in electrons at index l² + l + m, l = 0 ... 3. Small
        negative values are real. NaN where a source has images only.
    charges : ndarray of shape (n, 2)
        Gross Mulliken charges in e, positive where electrons are lost.
    dipole : ndarray of shape (n, 3)
        Dipole moment in debye.
    labels : DataFrame of shape (n, 37), optional
        The archive's labels (:data:`qcanvas_sklearn.targets.LABELS`). Absent columns
        are filled with missing values; by default all are missing.
    provenance : str, default=""
        Method, program and citation of the data.
    images : ndarray of shape (n, 10, 32, 32), float32, optional
        Rendered images, from sources that hold them in place of populations.
    populations : ndarray of shape (n, 2), optional
        Electrons per atom. Derived from `orbital_populations` unless a source
        states them without these.
    quality : ndarray of str, shape (n,), optional
        ``"ok"``, or what is to be known about the row. By default ``"ok"``.
    skipped : tuple of (str, str), default=()
        Items that the source could not read, each with the reason.

    Raises
    ------
    ValueError
        If a shape is wrong, an element unknown, a pair not in canonical order, a label
        of the wrong kind, or a value of an array infinite.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> pairs = load_pairs().pairs
    >>> len(pairs), pairs[pairs.find([["Al", "Ag"]])].names.tolist()
    (2850, ['Ag_Al'])
    """

    elements: NDArray[np.str_]
    positions: NDArray[np.float64]
    orbital_populations: NDArray[np.float64]
    charges: NDArray[np.float64]
    dipole: NDArray[np.float64]
    labels: pd.DataFrame = None  # type: ignore[assignment]
    provenance: str = ""
    images: NDArray[np.float32] | None = None
    populations: NDArray[np.float64] = None  # type: ignore[assignment]
    quality: NDArray[np.str_] = None  # type: ignore[assignment]
    skipped: tuple[tuple[str, str], ...] = field(default=())

    def __post_init__(self) -> None:
        arrays = {"elements": read_only(self.elements, np.str_)}
        for name in ("positions", "orbital_populations", "charges", "dipole"):
            arrays[name] = read_only(getattr(self, name), np.float64)
        if self.images is not None:
            arrays["images"] = read_only(self.images, np.float32)
        populations = self.populations
        if populations is None:
            populations = arrays["orbital_populations"].sum(axis=-1)
        arrays["populations"] = read_only(populations, np.float64)
        n = arrays["elements"].shape[0] if arrays["elements"].ndim else 0
        quality = ["ok"] * n if self.quality is None else self.quality
        arrays["quality"] = read_only(quality, np.str_)
        shapes = {
            "elements": (n, 2), "positions": (n, 2, 3), "charges": (n, 2), "dipole": (n, 3),
            "orbital_populations": (n, 2, N_ORBITALS), "populations": (n, 2),
            "images": (n, 10, 32, 32), "quality": (n,),
        }  # fmt: skip
        for name, array in arrays.items():
            if array.shape != shapes[name]:
                raise ValueError(f"{name} has shape {array.shape}, expected {shapes[name]}")
            if array.dtype.kind == "f" and np.isinf(array).any():
                raise ValueError(f"{name} holds infinite values")
            object.__setattr__(self, name, array)
        self._check_elements()
        object.__setattr__(self, "elements", read_only(self.elements, "<U2"))
        labels = empty_labels(n) if self.labels is None else conform_labels(self.labels)
        if len(labels) != n:
            raise ValueError(f"labels has {len(labels)} rows, expected {n}")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "skipped", tuple(self.skipped))

    def _check_elements(self) -> None:
        if (self.z == 0).any():
            row = int(np.argmax((self.z == 0).any(axis=1)))
            raise ValueError(f"row {row}: unknown element in {self.elements[row].tolist()}")
        rank = alphabetical_rank()[self.z]
        if (rank[:, 0] > rank[:, 1]).any():
            row = int(np.argmax(rank[:, 0] > rank[:, 1]))
            raise ValueError(
                f"row {row}: {self.elements[row].tolist()} is not in alphabetical order"
            )

    def __len__(self) -> int:
        return len(self.elements)

    @property
    def shape(self) -> tuple[int]:
        """``(n,)``, as of a one-dimensional array."""
        return (len(self),)

    def __repr__(self) -> str:
        return f"PairData({len(self)} pairs, provenance={self.provenance!r})"

    def __getitem__(self, index: int | slice | ArrayLike) -> PairData:
        rows = row_numbers(len(self), index)
        arrays: dict[str, Any] = {
            name: freeze(getattr(self, name)[rows]) for name in self._array_names()
        }
        return replace(self, labels=self.labels.iloc[rows], **arrays)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Neither pickle nor deepcopy keeps the flag of an array that nobody may write to.
        self.__dict__.update(state)
        for value in state.values():
            if isinstance(value, np.ndarray):
                freeze(value)

    def __sklearn_clone__(self) -> PairData:
        return self

    def _array_names(self) -> tuple[str, ...]:
        return _ARRAYS if self.images is None else (*_ARRAYS, "images")

    @cached_property
    def z(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (n, 2)."""
        return freeze(atomic_numbers(self.elements))

    @property
    def names(self) -> NDArray[np.str_]:
        """Names of the pairs, ``"Ag_Al"``, shape (n,)."""
        return np.array([f"{a}_{b}" for a, b in self.elements], dtype=np.str_)

    @property
    def computed(self) -> NDArray[np.bool_]:
        """Rows that hold values, shape (n,): of others `quality` says why there are none."""
        return (self.quality == "ok") | np.isfinite(self.populations).any(axis=1)

    @property
    def bond_lengths(self) -> NDArray[np.float64]:
        """Distance of the two nuclei in Å, shape (n,)."""
        return np.linalg.norm(self.positions[:, 1] - self.positions[:, 0], axis=-1)

    @property
    def shell_populations(self) -> NDArray[np.float64]:
        """Populations of the s, p, d and f shells in electrons, shape (n, 2, 4)."""
        return np.add.reduceat(self.orbital_populations, _SHELL_STARTS, axis=-1)

    @property
    def dipole_magnitudes(self) -> NDArray[np.float64]:
        """Magnitude of the dipole moment in debye, shape (n,)."""
        return np.linalg.norm(self.dipole, axis=-1)

    def find(self, pairs: ArrayLike) -> NDArray[np.int64]:
        """Rows of the given pairs.

        Parameters
        ----------
        pairs : array-like of shape (m, 2)
            Element symbols or atomic numbers, in either order.

        Returns
        -------
        ndarray of int64, shape (m,)
            First row that holds the pair; -1 where there is none.

        Raises
        ------
        ValueError
            If `pairs` is not of shape (m, 2).
        """
        z = np.asarray(pairs)
        if z.ndim != 2 or z.shape[1] != 2:
            raise ValueError(f"pairs must have shape (m, 2), got {z.shape}")
        if z.dtype.kind == "O" and all(isinstance(value, Real) for value in z.ravel()):
            z = z.astype(np.float64)
        if z.dtype.kind not in "iuf":  # columns of a table are floats
            z = atomic_numbers(z)
        whole = (z > 0) & (z <= MAX_Z)
        if z.dtype.kind == "f":
            whole &= z == np.floor(z)
        if not whole.all():
            z = np.where(whole, z, 0)
        z = z.astype(np.int64, copy=False)
        known, first = np.unique(_unordered_code(self.z), return_index=True)
        rows = np.full((MAX_Z + 1) ** 2, -1, dtype=np.int64)
        rows[known] = first
        return rows[_unordered_code(z)]

    @staticmethod
    def concat(parts: Sequence[PairData]) -> PairData:
        """Stack data sets below each other.

        Parameters
        ----------
        parts : sequence of PairData
            At least one. Either all or none must carry images.

        Returns
        -------
        PairData
            All rows in order. The provenances are joined by ``" + "``: labels of
            different methods are not interchangeable, and the joined text says so.

        Raises
        ------
        ValueError
            If there is nothing to stack, or images are present in some parts only.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("concat needs at least one PairData")
        with_images = [part.images is not None for part in parts]
        if any(with_images) and not all(with_images):
            raise ValueError("some parts carry images, others do not; they cannot be stacked")
        arrays: dict[str, Any] = {
            name: freeze(np.concatenate([getattr(part, name) for part in parts]))
            for name in parts[0]._array_names()
        }
        return PairData(
            **arrays,
            labels=pd.concat([part.labels for part in parts], ignore_index=True),
            provenance=" + ".join(
                dict.fromkeys(part.provenance for part in parts if part.provenance)
            ),
            skipped=tuple(item for part in parts for item in part.skipped),
        )

    def to_molecules(self) -> Molecules:
        """The pairs as molecules of two atoms.

        Returns
        -------
        Molecules
            With the labels that are numbers, the total charge (0 where it is missing), the
            charges of the atoms as ``charge_mulliken``, and all rows of one pair in one
            group.

        Raises
        ------
        ValueError
            If the geometry of a pair is not known.

        Examples
        --------
        >>> from qcanvas_sklearn.datasets import load_pairs
        >>> load_pairs().pairs[:2].to_molecules().formulas.tolist()
        ['Ag2', 'AgAl']
        """
        numeric = [key for key, label in LABELS.items() if label.kind != "string"]
        return Molecules(
            self.z.reshape(-1), self.positions.reshape(-1, 3), 2 * np.arange(len(self) + 1),
            charge=self.labels["total_charge"].fillna(0.0).round(6).to_numpy() + 0.0,
            labels=self.labels[numeric].dropna(axis="columns", how="all"),
            atom_labels=pd.DataFrame({"charge_mulliken": self.charges.reshape(-1)}),
            names=self.names, groups=self.names, quality=self.quality,
            provenance=self.provenance,
        )  # fmt: skip

    def to_frame(self) -> pd.DataFrame:
        """One flat table: elements, geometry, charges, populations, labels.

        Returns
        -------
        DataFrame of shape (n, 54)
            ``element_1, element_2, quality``, the 37 labels, and for each atom its z
            coordinate (Å), charge, population and shell populations (e).
        """
        out: dict[str, Any] = {
            "element_1": self.elements[:, 0],
            "element_2": self.elements[:, 1],
        }
        out["quality"] = self.quality
        out |= {key: self.labels[key] for key in self.labels}
        shells = self.shell_populations
        for atom in (0, 1):
            suffix = str(atom + 1)
            out["z_ang_" + suffix] = self.positions[:, atom, 2]
            out["charge_" + suffix] = self.charges[:, atom]
            out["population_" + suffix] = self.populations[:, atom]
            for l, letter in enumerate("spdf"):
                out[f"{letter}_population_{suffix}"] = shells[:, atom, l]
        return pd.DataFrame(out)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compact ``.npz`` without pickled objects.

        Parameters
        ----------
        path : path-like
            File to write; it appears under its name only when it is complete.
        """
        arrays = {name: getattr(self, name) for name in self._array_names()}
        for key, label in LABELS.items():
            column = self.labels[key]
            if label.kind == "string":
                arrays["label_" + key] = column.where(column.notna(), "").to_numpy(np.str_)
            else:
                arrays["label_" + key] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        arrays["provenance"] = np.array(self.provenance)
        arrays["skipped"] = np.array(self.skipped, dtype=np.str_).reshape(-1, 2)
        save_atomically(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> PairData:
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
        PairData

        Raises
        ------
        ValueError
            If the file is not a complete one of this kind, or too large.
        """
        with open_regular(path) as file:
            try:
                arrays = read_arrays(file, _LAYOUT, max_bytes=max_bytes)
                return cls._from_members({k: freeze(array) for k, array in arrays.items()})
            except Exception as error:
                # zipfile and zlib fail in many ways on damaged files; all mean the same.
                raise ValueError(
                    f"{os.fspath(path)!r} is not a complete PairData file, or too large: "
                    f"{error}"
                ) from error

    @classmethod
    def _from_members(cls, arrays: dict[str, NDArray]) -> PairData:
        columns = {}
        for key in LABELS:
            column = arrays.pop("label_" + key)
            if column.dtype.kind == "U":
                column = column.astype(object)
                column[column == ""] = None
            columns[key] = column
        provenance, skipped = str(arrays.pop("provenance")), arrays.pop("skipped")
        return cls(
            **arrays,  # type: ignore[arg-type]
            labels=pd.DataFrame(columns, copy=False),
            provenance=provenance,
            skipped=tuple((str(item), str(why)) for item, why in skipped),
        )


def pair_amplitudes(pairs: PairData) -> NDArray[np.float64]:
    """Linear amplitudes of the ten channels.

    Parameters
    ----------
    pairs : PairData
        The pairs. Where it carries images in place of orbital populations, the
        amplitudes are fitted to these.

    Returns
    -------
    ndarray of shape (n, 16)
        As :func:`qcanvas_sklearn.rendering.channel_amplitudes` gives them.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.images import pair_amplitudes
    >>> pairs = load_pairs().pairs
    >>> pair_amplitudes(pairs[pairs.find([["Ag", "Al"]])])[0, 10:12].round(3)
    array([11.07,  2.93])
    """
    if pairs.images is not None:
        return recover_amplitudes(pairs.images)
    return channel_amplitudes(
        pairs.orbital_populations, pairs.populations, pairs.charges, pairs.dipole_magnitudes
    )

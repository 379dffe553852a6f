"""The layout of the public QuantumCanvas archive, ``dataset_combined.npz``."""

from __future__ import annotations

import math
import os
import reprlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._files import open_regular
from .._npz import MAX_BYTES, Spec, read_arrays
from ..elements import alphabetical_rank, atomic_numbers, valence_orbital_populations
from ..rendering import (
    AMPLITUDES_OF_CHANNEL,
    DEBYE_PER_ATOMIC_UNIT,
    recover_amplitudes,
    render,
)
from ..structures import N_ORBITALS, PairData, pair_amplitudes, save_atomically
from ..targets import HARTREE_IN_EV, LABELS, Label
from ._labels import DIPOLE_LABELS
from ._safe_pickle import read_object_array

__all__ = ["DOI", "read_archive", "read_npz", "write_npz"]

DOI = "10.5281/zenodo.20631934"

_LAYOUT = {
    "images": Spec("f", ("n", 10, 32, 32)),
    "geometries": Spec("f", ("n", 2, 4)),
    "elements": Spec("UO", ("n", 2), width=64),
    "labels": Spec("O", ("n",)),
    "metadata": Spec("O", ("n",)),
    "pair_names": Spec("UO", ("n",), width=64),
    # Not of the published layout, whose loaders leave them alone; see write_npz.
    "orbital_populations": Spec("f", ("n", 2, N_ORBITALS), optional=True),
    "quality": Spec("U", ("n",), optional=True),
    "valence_electrons": Spec("f", ("n", 2), optional=True),
}
# Images that are redrawn at a time take several times their memory.
_REDRAWN_ROWS = 256
# Populations are stored with seven digits; an atom lacks or gains whole electrons where
# its number of valence electrons is another one.
_CHARGE_TOLERANCE = 1e-3


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> PairData:
    """Read a file in the layout of the QuantumCanvas archive, safely.

    The archive holds pickled Python objects. They are rebuilt from plain values only: a
    file that asks for anything else is refused by name, and nothing in it is ever run.

    Parameters
    ----------
    path : path-like
        The ``.npz`` file, as the archive's authors, their builder or :func:`write_npz`
        wrote it.
    max_bytes : int, default=1 GiB
        Largest accepted size of the decompressed arrays, which is known, and checked,
        before the memory for them is taken.

    Returns
    -------
    PairData
        With `images` and `populations`. Orbital populations and `quality` are those that
        :func:`write_npz` adds; the published archive has none, and they are NaN and
        ``"ok"``. Charges are the valence electrons of the neutral atoms less the
        populations, and NaN, with ``quality`` ``"charges-unknown"``, where they do not add
        up to the total charge; how many electrons a method counts to the valence
        :func:`write_npz` adds, too, and without it they are those of DFTB. Atoms in reverse
        order are exchanged, together with their images, and pairs that stand on their heads
        are turned about the x axis, with their dipoles.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, too large, of another layout, contradicts itself, or its
        pickled data ask for anything but plain values.

    Warns
    -----
    UserWarning
        If there are labels beyond the 37 known ones. They are left out.

    See Also
    --------
    fetch_quantumcanvas : Download the archive and read it.

    References
    ----------
    .. [1] QuantumCanvas data set, doi:10.5281/zenodo.20631934.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from qcanvas_sklearn.datasets import load_pairs, read_npz, write_npz
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "three.npz"
    ...     write_npz(load_pairs().pairs[:3], path)
    ...     pairs = read_npz(path)
    >>> pairs.names.tolist(), pairs.images.shape
    (['Ag_Ag', 'Ag_Al', 'Ag_Ar'], (3, 10, 32, 32))
    """
    return read_archive(path, max_bytes=max_bytes)


def read_archive(
    path: str | os.PathLike[str], *, provenance: str | None = None, max_bytes: int = MAX_BYTES
) -> PairData:
    """:func:`read_npz` of a file whose `provenance` may be known otherwise."""
    path = Path(path)
    with open_regular(path) as file:
        try:
            arrays = read_arrays(
                file, _LAYOUT, max_bytes=max_bytes, unpickle=read_object_array
            )
            pairs = _to_pairs(arrays, provenance or _provenance(arrays["metadata"], path))
        except Exception as error:
            # zipfile and zlib fail in many ways on damaged files; all mean the same here.
            reason = str(error) or type(error).__name__
            raise ValueError(
                f"{os.fspath(path)!r} cannot be read as a QuantumCanvas archive: {reason}"
            ) from error
    unknown = sorted({key for row in arrays["labels"] for key in row} - LABELS.keys())
    if unknown:
        warnings.warn(
            f"left out labels of {path.name} that are not among the 37 known ones: "
            f"{unknown[:20]}",
            UserWarning,
            stacklevel=3,
        )
    return pairs


def _provenance(metadata: NDArray[np.object_], path: Path) -> str:
    named = [row.get("provenance") for row in metadata if isinstance(row, dict)]
    texts = dict.fromkeys(text for text in named if isinstance(text, str))
    return " + ".join(texts) or (
        f"{path.name}, in the layout of the QuantumCanvas archive (doi:{DOI})"
    )


def _to_pairs(arrays: dict[str, NDArray], provenance: str) -> PairData:
    elements = _check_elements(arrays["elements"], arrays["pair_names"])
    labels = _label_table(arrays["labels"])
    geometries = arrays["geometries"].astype(np.float64)
    images = arrays["images"]
    n_rows = len(elements)
    orbitals = arrays.get("orbital_populations", np.full((n_rows, 2, N_ORBITALS), np.nan))
    valence = arrays.get("valence_electrons", np.full((n_rows, 2), np.nan))
    rank = alphabetical_rank()[atomic_numbers(elements)]
    reverse = rank[:, 0] > rank[:, 1]
    if reverse.any():
        images = images.astype(np.float32, copy=False)
        for start in range(0, len(images), _REDRAWN_ROWS):
            rows = start + np.flatnonzero(reverse[start : start + _REDRAWN_ROWS])
            images[rows] = _exchange_atoms(images[rows])
        for array in (elements, geometries, orbitals, valence):
            array[reverse] = array[reverse, ::-1]
    first, second = geometries[..., 2].T
    # A half turn about x brings the first atom below the second. Where heights are unknown, it
    # was so in the order of the file.
    turn = (first > second) | (reverse & ~(first < second))
    geometries[turn] *= [1, -1, -1, 1]
    labels.loc[turn, DIPOLE_LABELS[1:]] *= -1
    images.flags.writeable = False  # so that it is taken as it is, without a copy
    populations = geometries[..., 3]
    tabulated = valence_orbital_populations(atomic_numbers(elements)).sum(axis=-1)
    valence = np.where(np.isnan(valence), tabulated, valence)
    charges = _charges(valence - populations, labels["total_charge"].to_numpy())
    return PairData(
        elements=elements,
        positions=geometries[..., :3],
        orbital_populations=orbitals,
        charges=charges,
        dipole=labels[DIPOLE_LABELS].to_numpy(),
        labels=labels,
        provenance=provenance,
        images=images,
        populations=populations,
        quality=np.where(
            np.isnan(charges[:, 0]), "charges-unknown", arrays.get("quality", "ok")
        ),
    )


def _check_elements(elements: NDArray, names: NDArray) -> NDArray[np.str_]:
    """Symbols as text, after a look at whether they are elements and fit the names."""
    unknown = (atomic_numbers(elements) == 0).any(axis=1)
    for row, (pair, name) in enumerate(zip(elements.tolist(), names.tolist(), strict=True)):
        if unknown[row]:
            raise ValueError(f"row {row}: unknown element in {reprlib.repr(pair)}")
        if not isinstance(name, str) or sorted(name.split("_")) != sorted(pair):
            raise ValueError(f"row {row}: {reprlib.repr(name)} is no name of {pair}")
    return elements.astype("<U2")


def _label_table(rows: NDArray[np.object_]) -> pd.DataFrame:
    for row, values in enumerate(rows):
        if not isinstance(values, dict):
            raise ValueError(f"row {row}: labels are {reprlib.repr(values)}, not a dict")
    return pd.DataFrame(
        {
            key: pd.Series(
                [_label_value(values.get(key), label, row) for row, values in enumerate(rows)],
                dtype=float if label.kind == "float" else object,
            )
            for key, label in LABELS.items()
        }
    )


def _label_value(value: Any, label: Label, row: int) -> float | bool | str | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    number = isinstance(value, (bool, int, float))
    if label.kind == "float" and number:
        return float(value)
    if label.kind == "bool" and number and value in (0, 1):
        return bool(value)
    if label.kind == "string" and isinstance(value, str):
        return value
    raise ValueError(
        f"row {row}: label {label.key!r} is {reprlib.repr(value)}, expected a {label.kind}"
    )


def _charges(charges: NDArray[np.float64], total: NDArray) -> NDArray[np.float64]:
    """Charges of atoms, NaN where they are not those of a pair with this total."""
    known = np.abs(charges.sum(axis=1) - np.nan_to_num(total)) <= _CHARGE_TOLERANCE
    return np.where(known[:, None], charges, np.nan)


def _exchange_atoms(images: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        amplitudes = recover_amplitudes(images)
    except ValueError as error:
        raise ValueError(f"among the pairs in reverse order, {error}") from error
    for columns in AMPLITUDES_OF_CHANNEL:
        amplitudes[:, columns] = amplitudes[:, columns][:, ::-1]
    return render(amplitudes)


def write_npz(pairs: PairData, path: str | os.PathLike[str]) -> None:
    """Write a file in the layout of the QuantumCanvas archive.

    The published loaders (``numpy.load(path, allow_pickle=True)``) read it unchanged, and
    :func:`read_npz` without pickle. Orbital populations, `quality` and the electrons that
    the charges are counted from have no place in the published layout. They are added as
    arrays of their own, which its loaders leave alone, so that every estimator can learn from
    what :func:`read_npz` reads again.

    Parameters
    ----------
    pairs : PairData
        The pairs. Images are written as they are, or rendered where there are none.
    path : path-like
        File to write; it appears under its name only when it is complete.

    Raises
    ------
    TypeError
        If `pairs` is no PairData.
    ValueError
        If there are neither images nor populations to render them from.

    Notes
    -----
    The file holds ``images`` (float32, shape (n, 10, 32, 32)), ``geometries`` (x, y, z in
    Å and population in electrons, shape (n, 2, 4); float64, where the archive rounds to
    float32), ``elements``, ``pair_names``, and one dict a row in ``labels`` (values are
    float, bool and str; NaN where missing) and ``metadata`` (dipole in atomic units,
    energies in hartree, and the provenance). Added are ``orbital_populations`` (electrons,
    shape (n, 2, 16)), ``valence_electrons`` (of the neutral atoms: populations and charges
    together, shape (n, 2)) and ``quality``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from qcanvas_sklearn.datasets import load_pairs, write_npz
    >>> pairs = load_pairs().pairs
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "one.npz"
    ...     write_npz(pairs[pairs.find([["Ag", "Al"]])], path)
    ...     with np.load(path, allow_pickle=True) as file:
    ...         file["labels"][0]["e_homo_ev"], file["elements"][0].tolist()
    (-4.2628, ['Ag', 'Al'])
    """
    if not isinstance(pairs, PairData):
        raise TypeError(f"pairs must be a PairData, got {type(pairs).__name__}")
    geometries = np.concatenate([pairs.positions, pairs.populations[..., None]], axis=-1)
    save_atomically(
        path,
        {
            "images": _images(pairs),
            "geometries": geometries,
            "elements": pairs.elements,
            "labels": _object_array(_label_dicts(pairs)),
            "metadata": _object_array(_metadata_dicts(pairs)),
            "pair_names": pairs.names,
            "orbital_populations": pairs.orbital_populations,
            "quality": pairs.quality,
            "valence_electrons": pairs.populations + pairs.charges,
        },
    )


def _images(pairs: PairData) -> NDArray[np.float32]:
    if pairs.images is not None:
        return pairs.images
    images = render(pair_amplitudes(pairs))
    if not np.isfinite(images).all():
        row = int(np.argmin(np.isfinite(images).all(axis=(1, 2, 3))))
        raise ValueError(f"row {row}: {pairs.names[row]} lacks what an image is rendered from")
    return images


def _object_array(items: list[dict[str, Any]]) -> NDArray[np.object_]:
    return np.fromiter(items, dtype=object, count=len(items))


def _label_dicts(pairs: PairData) -> list[dict[str, Any]]:
    columns = {
        key: column.astype(object).where(column.notna(), math.nan).tolist()
        for key, column in pairs.labels.items()
    }
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _metadata_dicts(pairs: PairData) -> list[dict[str, Any]]:
    dipole = pairs.dipole / DEBYE_PER_ATOMIC_UNIT
    columns = {
        "pair_name": pairs.names,
        "total_charge": pairs.labels["total_charge"],
        "fermi_level": pairs.labels["fermi_level_ev"] / HARTREE_IN_EV,
        "total_energy": pairs.labels["total_energy_ev"] / HARTREE_IN_EV,
        "bond_length": pairs.bond_lengths,
    }
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        dict(zip(columns, row, strict=True))
        | {"dipole_moment": tuple(d), "num_atoms": 2, "provenance": pairs.provenance}
        for row, d in zip(rows, dipole.tolist(), strict=True)
    ]

"""CrysMTM: nanoparticles of three phases of TiO2 at 21 temperatures, rotated."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from ..elements import atomic_numbers
from ..structures import Molecules
from ._bunch import description, make_molecule_bunch
from ._fetch import RemoteFile, local_file
from ._members import file_members

__all__ = ["fetch_crysmtm", "read_crysmtm"]

ARCHIVE = RemoteFile(
    filename="crysmtm.zip",
    url="https://ndownloader.figshare.com/articles/29497604/versions/1",
    md5=None,
    max_bytes=20 * 10**9,
)
PHASES = ("anatase", "brookite", "rutile")
TEMPERATURES = tuple(range(0, 1001, 50))
#: Labels by the parameters of ``labels.csv``, and their units.
_LABELS = {
    "HOMO": ("e_homo_ev", "eV"), "LUMO": ("e_lumo_ev", "eV"), "Eg": ("e_g_ev", "eV"),
    "Ef": ("fermi_level_ev", "eV"), "Et": ("total_energy_ev", "eV"),
    "Eta": ("energy_per_atom_ev", "eV"), "disp": ("displacement_ang", "angstrom"),
    "vol": ("expansion_ang3", "angstrom^3"), "bond": ("bond_change_ang", "angstrom"),
}  # fmt: skip
_PROVENANCE = "CrysMTM, doi:10.6084/m9.figshare.29497604.v1, CC-BY-4.0"
_NAME = re.compile(rf"(?:.*/)?({'|'.join(PHASES)})/(\d+)K/xyz/rot_(\d+)\.xyz")
_TABLE = re.compile(r"(?:.*/)?labels\.csv")
_MAX_BYTES = 10**7

#: Phase, temperature in K and number of the rotation.
_Key = tuple[str, int, int]


def fetch_crysmtm(
    data_home: str | os.PathLike[str] | None = None,
    *,
    target: str | Sequence[str] | None = None,
    n_rotations: int | None = 1,
    return_X_y: bool = False,
    as_frame: bool = True,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: int = 1,
) -> Bunch | tuple[Any, Any]:
    """Load CrysMTM, three phases of TiO2 from 0 to 1000 K, downloading it if needed.

    The data [1]_ (CC-BY-4.0) hold 13,032 rotated copies of 63 structures, with one vector
    of nine labels for each phase and temperature. Rotations of one structure are no new
    data: whoever deals them to both sides of a split tests on what was trained on. They are
    one group in ``groups``, and :class:`qcanvas_sklearn.model_selection.CrysMTMSplit` holds
    whole temperatures out; split by ``groups`` or with it, never at random.

    One archive is fetched from figshare once and kept; no checksum is published, for the
    site packs it on demand.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder to keep the archive in. By default the environment variable
        ``QCANVAS_DATA``, or else ``~/qcanvas_data``.
    target : str, sequence of str or None, default=None
        A label, or a sequence of these; None for all nine.
    n_rotations : int or None, default=1
        Rotations of each structure to load, the first ones; None for all.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `target` as Series or DataFrame; otherwise as arrays.
    download_if_missing : bool, default=True
        If False, or if the environment variable ``QCANVAS_OFFLINE`` is set to anything
        but 0, only an archive that is already there is used.
    n_retries : int, default=3
        Further tries after a failed one.
    delay : float, default=1.0
        Seconds before the first further try; they double with each.
    verbose : int, default=1
        If positive, show progress on standard error.

    Returns
    -------
    data : Bunch
        As :func:`load_molecules` returns it, with the clusters as they are in the files,
        without cells, and the groups ``"anatase, 0 K"`` and so on; further

        phase : ndarray of str, shape (n,)
        temperature : ndarray of int, shape (n,), in K
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    OSError
        If the archive is neither there nor to be had. The message says where to get it
        by other means, and where to put it.
    ValueError
        If `n_retries` or `delay` is negative, `target` is no label of the data, or the
        archive is damaged.

    References
    ----------
    .. [1] C. Polat, E. Serpedin, M. Kurban, H. Kurban, CrysMTM,
       doi:10.6084/m9.figshare.29497604.v1.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import fetch_crysmtm
    >>> fetch_crysmtm().data.shape  # doctest: +SKIP
    (63,)
    """
    path = local_file(
        ARCHIVE, data_home, download_if_missing=download_if_missing, n_retries=n_retries,
        delay=delay, verbose=verbose,
    )  # fmt: skip
    molecules = read_crysmtm(path, n_rotations=n_rotations)
    crystals = make_molecule_bunch(
        molecules, target, return_X_y=return_X_y, as_frame=as_frame,
        descr=description("crysmtm"),
    )  # fmt: skip
    if isinstance(crystals, Bunch):
        parts = [group.removesuffix(" K").split(", ") for group in molecules.groups.tolist()]  # type: ignore[union-attr]
        crystals.phase = np.array([phase for phase, _ in parts])
        crystals.temperature = np.array([int(kelvin) for _, kelvin in parts])
    return crystals


def read_crysmtm(
    path: str | os.PathLike[str], *, n_rotations: int | None = None
) -> Molecules:
    """Read files in the layout of CrysMTM.

    Parameters
    ----------
    path : path-like
        A folder, zip or tar with ``labels.csv`` and ``<phase>/<T>K/xyz/rot_<k>.xyz``.
    n_rotations : int or None, default=None
        Rotations of each structure to read, the first ones; None for all.

    Returns
    -------
    Molecules
        By phase, temperature and rotation; named ``"anatase, 0 K, rotation 0"``, and all
        rotations of one structure in one group, ``"anatase, 0 K"``.

    Raises
    ------
    ValueError
        If a file is damaged or in another layout, or labels are missing; the message names
        it.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import read_crysmtm
    >>> read_crysmtm("crysmtm.zip", n_rotations=1).formulas[0]  # doctest: +SKIP
    'O2Ti'
    """
    if n_rotations is not None and n_rotations < 1:
        raise ValueError(f"n_rotations must be a positive number or None, got {n_rotations!r}")
    kept = _first_rotations(_rotations(path), n_rotations)
    wanted = set(kept)
    labels: dict[tuple[str, int], dict[str, float]] = {}
    found: dict[_Key, tuple[Any, Any]] = {}
    for name, content in file_members(
        path, lambda name: _is_table(name) or _key(name) in wanted, max_bytes=_MAX_BYTES
    ):
        key = _key(name)
        if key is None:
            labels = _read_labels(name, content)
        else:
            found[key] = _parsed(name, content)
    if not found or not labels:
        raise ValueError(
            f"{os.fspath(path)!r} must hold labels.csv and <phase>/<T>K/xyz/rot_<k>.xyz, of "
            f"the phases {list(PHASES)}"
        )
    return _molecules(labels, found, kept)


def _is_table(name: str) -> bool:
    return _TABLE.fullmatch(name) is not None


def _key(name: str) -> _Key | None:
    """Phase, temperature and rotation of a file of coordinates; None for any other."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], int(match[2]), int(match[3]))


def _rotations(path: str | os.PathLike[str]) -> list[_Key]:
    """All rotations that there are, by their names alone."""
    keys: list[_Key] = []

    def note(name: str) -> bool:
        key = _key(name)
        if key is not None:
            keys.append(key)
        return False

    for _ in file_members(path, note, max_bytes=_MAX_BYTES):
        pass
    return keys


def _first_rotations(keys: Iterable[_Key], n_rotations: int | None) -> list[_Key]:
    seen: Counter[tuple[str, int]] = Counter()
    kept = []
    for key in sorted(keys):
        seen[key[:2]] += 1
        if n_rotations is None or seen[key[:2]] <= n_rotations:
            kept.append(key)
    return kept


def _molecules(
    labels: dict[tuple[str, int], dict[str, float]],
    found: dict[_Key, tuple[Any, Any]],
    keys: Sequence[_Key],
) -> Molecules:
    rows = []
    for phase, kelvin, _ in keys:
        row = labels.get((phase, kelvin), {})
        missing = [parameter for parameter in _LABELS if parameter not in row]
        if missing:
            raise ValueError(f"labels.csv lacks {missing} of {phase} at {kelvin}K")
        rows.append([row[parameter] for parameter in _LABELS])
    columns = [column for column, _ in _LABELS.values()]
    groups = [f"{phase}, {kelvin} K" for phase, kelvin, _ in keys]
    return Molecules.from_lists(
        [found[key][0] for key in keys], [found[key][1] for key in keys],
        labels=pd.DataFrame(np.array(rows), columns=columns),
        units=dict(_LABELS.values()),
        names=[f"{group}, rotation {key[2]}" for group, key in zip(groups, keys, strict=True)],
        groups=groups, provenance=_PROVENANCE,
    )  # fmt: skip


def _read_labels(name: str, content: bytes) -> dict[tuple[str, int], dict[str, float]]:
    labels: dict[tuple[str, int], dict[str, float]] = {}
    try:
        header, *lines = content.decode("utf-8-sig").split()
        if header != "Polymorph,Temperature,Parameter,Value":
            raise ValueError(f"its first line is {header!r}")
        for line in lines:
            phase, temperature, parameter, value = line.split(",")
            kelvin, number = int(temperature.removesuffix("K")), float(value)
            if phase.lower() not in PHASES or not np.isfinite(number):
                raise ValueError(f"its line {line!r}")
            labels.setdefault((phase.lower(), kelvin), {})[parameter] = number
    except ValueError as error:
        raise ValueError(f"{name!r} is not in the layout of CrysMTM: {error}") from None
    return labels


def _parsed(name: str, content: bytes) -> tuple[Any, Any]:
    """Elements and positions of one file."""
    try:
        lines = content.decode("utf-8").splitlines()
        n = int(lines[0])
        rows = [line.split() for line in lines[2:] if line.strip()]
        if n < 1 or len(rows) != n or any(len(row) != 4 for row in rows):
            raise ValueError(f"it has not {n} lines of an element and three coordinates")
        z = atomic_numbers([row[0] for row in rows])
        positions = np.array([row[1:] for row in rows], dtype=np.float64)
        if not (z.all() and np.isfinite(positions).all()):
            raise ValueError("an element is unknown or a coordinate not finite")
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name!r} is not in the layout of CrysMTM: {error}") from None
    return z, positions

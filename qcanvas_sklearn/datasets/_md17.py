"""MD17 and its revision: molecules in motion by density functional theory."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import Bunch

from .. import _files
from .._files import open_regular, written_whole
from .._npz import Spec, member_names, read_arrays
from .._validation import check_choice
from ..structures import Molecules
from ..targets import EV_PER
from ._bunch import description, make_molecule_bunch
from ._fetch import RemoteFile, local_file
from ._members import file_members

__all__ = ["MD17_MOLECULES", "RMD17_MOLECULES", "fetch_md17", "read_md17"]

ARCHIVE = RemoteFile(
    filename="rmd17.tar.bz2",
    url="https://ndownloader.figshare.com/files/23950376",
    md5="cb1a927628d96f2e966025da4fb63d18",
    max_bytes=1_066_301_513,
)
#: Molecules of the revised data set.
RMD17_MOLECULES = (
    "aspirin", "azobenzene", "benzene", "ethanol", "malonaldehyde", "naphthalene",
    "paracetamol", "salicylic", "toluene", "uracil",
)  # fmt: skip
#: Molecules of the original one, and their files.
MD17_MOLECULES = {name: f"md17_{name}.npz" for name in RMD17_MOLECULES} | {
    "benzene": "md17_benzene2017.npz"
}

_REVISED = {
    "coords": Spec("f", ("n", None, 3)),
    "nuclear_charges": Spec("iuf", (None,)),
    "energies": Spec("f", ("n",)),
    "forces": Spec("f", ("n", None, 3)),
}
_ORIGINAL = {
    "R": Spec("f", ("n", None, 3)),
    "z": Spec("iuf", (None,)),
    "E": Spec("f", ("n", None)),
    "F": Spec("f", ("n", None, 3)),
}
_PROVENANCE = {
    True: "rMD17 ({}), doi:10.6084/m9.figshare.12672038.v3: PBE/def2-SVP, 500 K",
    False: "MD17 ({}), doi:10.1126/sciadv.1603015: PBE+vdW-TS, 500 K",
}
_N_SPLITS = 5
_SPLIT = re.compile(r"(?:.*/)?splits/(index_(?:train|test)_0[1-5]\.csv)")
_MAX_BYTES = 2**31


def fetch_md17(
    molecule: str,
    data_home: str | os.PathLike[str] | None = None,
    *,
    revised: bool = True,
    target: str | Sequence[str] | None = "total_energy_ev",
    return_X_y: bool = False,
    as_frame: bool = True,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: int = 1,
) -> Bunch | tuple[Any, Any]:
    """Load frames of a molecule at 500 K with energies and forces, downloading if needed.

    The revised data [1]_ are 100,000 frames of each molecule, recomputed with tight
    convergence; one archive (1.07 GB, CC0) of all is fetched once from figshare, checked
    and kept, and what is asked for is taken from it, which takes a while the first time.
    The original data [2]_ have noise in their energies, and come as one file for each
    molecule, without a published checksum.

    Frames of one trajectory resemble each other: the authors ask not to train on more than
    1,000. See :class:`qcanvas_sklearn.model_selection.MD17Split`.

    Parameters
    ----------
    molecule : str
        ``"aspirin"``, ``"azobenzene"``, ``"benzene"``, ``"ethanol"``,
        ``"malonaldehyde"``, ``"naphthalene"``, ``"paracetamol"``, ``"salicylic"``,
        ``"toluene"`` or ``"uracil"``.
    data_home : path-like, default=None
        Folder to keep the files in. By default the environment variable
        ``QCANVAS_DATA``, or else ``~/qcanvas_data``.
    revised : bool, default=True
        Whether to load the revised data.
    target : str, sequence of str or None, default="total_energy_ev"
        The only label, in eV.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `target` as Series or DataFrame; otherwise as arrays.
    download_if_missing : bool, default=True
        If False, or if the environment variable ``QCANVAS_OFFLINE`` is set to anything
        but 0, only files that are already there are used.
    n_retries : int, default=3
        Further tries after a failed one.
    delay : float, default=1.0
        Seconds before the first further try; they double with each.
    verbose : int, default=1
        If positive, show progress on standard error.

    Returns
    -------
    data : Bunch
        As :func:`load_trajectory` returns it, with energies in eV, of double precision,
        and forces in eV/Å. Of the revised data ``splits`` are the five official ones, a
        list of (train, test) that any `cv` of scikit-learn takes.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    OSError
        If a file is neither there nor to be had. The message says where to get it by
        other means, and where to put it.
    ValueError
        If there is no such molecule, `n_retries` or `delay` is negative, or a file is
        damaged.

    Warns
    -----
    UserWarning
        If a file that is there has another checksum. It is replaced once the download
        is complete.

    References
    ----------
    .. [1] A. S. Christensen, O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1, 045018
       (2020), doi:10.1088/2632-2153/abba6f.
    .. [2] S. Chmiela et al., Sci. Adv. 3, e1603015 (2017), doi:10.1126/sciadv.1603015.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import fetch_md17
    >>> frames = fetch_md17("ethanol")  # doctest: +SKIP
    >>> [(len(train), len(test)) for train, test in frames.splits][0]  # doctest: +SKIP
    (1000, 1000)
    """
    check_choice("molecule", molecule, RMD17_MOLECULES)
    options: dict[str, Any] = {
        "download_if_missing": download_if_missing, "n_retries": n_retries, "delay": delay,
        "verbose": verbose,
    }  # fmt: skip
    splits = None
    if revised:
        folder = _files.data_home(data_home) / "rmd17"
        path = folder / f"rmd17_{molecule}.npz"
        if not path.is_file() or len(_split_files(folder)) < 2 * _N_SPLITS:
            _unpack(local_file(ARCHIVE, data_home, **options), molecule, folder)
        splits = _read_splits(folder)
    else:
        name = MD17_MOLECULES[molecule]
        url = f"https://www.quantum-machine.org/gdml/data/npz/{name}"
        path = local_file(RemoteFile(name, url, None, _MAX_BYTES), data_home, **options)
    frames = make_molecule_bunch(
        read_md17(path), target, return_X_y=return_X_y, as_frame=as_frame,
        descr=description("md17"),
    )  # fmt: skip
    if splits is not None and isinstance(frames, Bunch):
        frames.splits = splits
    return frames


def _split_files(folder: Path) -> list[Path]:
    return sorted((folder / "splits").glob("index_*.csv"))


def _unpack(archive: Path, molecule: str, folder: Path) -> None:
    """Take one molecule and the splits from the archive; each file is whole or absent."""
    wanted = f"rmd17_{molecule}.npz"
    (folder / "splits").mkdir(parents=True, exist_ok=True)
    found = set()
    for name, content in file_members(
        archive,
        lambda name: name.endswith(f"npz_data/{wanted}") or _SPLIT.fullmatch(name) is not None,
        max_bytes=_MAX_BYTES,
    ):
        split = _SPLIT.fullmatch(name)
        target = folder / wanted if split is None else folder / "splits" / split[1]
        with written_whole(target) as file:
            file.write(content)
        found.add(target.name)
    missing = [] if wanted in found else [f"npz_data/{wanted}"]
    missing += [] if len(found) == 2 * _N_SPLITS + 1 else ["all of splits/index_*.csv"]
    if missing:
        raise ValueError(f"'{archive}' lacks {' and '.join(missing)}")


def _read_splits(folder: Path) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return [
        (_read_rows(folder / "splits" / f"index_train_0{k}.csv"),
         _read_rows(folder / "splits" / f"index_test_0{k}.csv"))
        for k in range(1, _N_SPLITS + 1)
    ]  # fmt: skip


def _read_rows(path: Path) -> NDArray[np.int64]:
    words = path.read_text(encoding="ascii").split()
    if not words or not all(word.isdecimal() for word in words):
        raise ValueError(f"'{path}' is no list of rows, one a line")
    return np.array(words, dtype=np.int64)


def read_md17(path: str | os.PathLike[str]) -> Molecules:
    """Read a file in the layout of MD17 or of its revision.

    Parameters
    ----------
    path : path-like
        An ``.npz`` with the arrays ``nuclear_charges, coords, energies, forces``, or
        ``z, R, E, F``, in Å, kcal/mol and kcal/(mol Å).

    Returns
    -------
    Molecules
        All frames as one group, with energies in eV, of double precision, and forces in
        eV/Å.

    Raises
    ------
    ValueError
        If the file is damaged or in another layout.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import read_md17
    >>> read_md17("md17_ethanol.npz").formulas[0]  # doctest: +SKIP
    'C2H6O'
    """
    with open_regular(path) as file:
        try:
            revised = "coords" in member_names(file)
            file.seek(0)
            layout = _REVISED if revised else _ORIGINAL
            arrays = read_arrays(file, layout, max_bytes=_MAX_BYTES, max_rows=10**7)
            return _molecules(*arrays.values(), revised=revised, name=Path(path).stem)
        except Exception as error:
            # zipfile and zlib fail in many ways on damaged files; all mean the same.
            raise ValueError(
                f"{os.fspath(path)!r} is not a complete file of MD17: {error}"
            ) from error


def _molecules(
    positions: NDArray,
    z: NDArray,
    energy: NDArray,
    forces: NDArray,
    *,
    revised: bool,
    name: str,
) -> Molecules:
    n, n_atoms = positions.shape[:2]
    if z.shape != (n_atoms,) or forces.shape != positions.shape or energy.size != n:
        raise ValueError(
            f"shapes {positions.shape}, {z.shape}, {energy.shape} and {forces.shape} of "
            "positions, elements, energies and forces do not fit each other"
        )
    if (z != np.round(z)).any() or not np.isfinite(forces).all():
        raise ValueError("an atomic number is not whole, or a force not finite")
    molecule = re.sub(r"^r?md17_", "", name)
    return Molecules(
        np.tile(z.astype(np.int64), n), positions.reshape(-1, 3).astype(np.float64),
        n_atoms * np.arange(n + 1),
        forces=forces.reshape(-1, 3).astype(np.float64) * EV_PER["kcal/mol"],
        labels=pd.DataFrame(
            {"total_energy_ev": energy.reshape(-1).astype(np.float64) * EV_PER["kcal/mol"]}
        ),
        names=np.array([f"{molecule}:{k}" for k in range(n)]),
        groups=np.full(n, molecule), provenance=_PROVENANCE[revised].format(molecule),
    )  # fmt: skip

"""QM9: 130,831 small organic molecules by B3LYP."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._files import open_regular
from ..elements import atomic_numbers
from ..structures import Molecules
from ..targets import EV_PER
from ._bunch import description, make_molecule_bunch
from ._fetch import RemoteFile, local_file
from ._members import file_members

__all__ = ["fetch_qm9", "read_qm9"]

ARCHIVE = RemoteFile(
    filename="dsgdb9nsd.xyz.tar.bz2",
    url="https://ndownloader.figshare.com/files/3195389",
    md5="ad1ebd51ee7f5b3a6e32e974e5d54012",
    max_bytes=86_144_227,
)
UNCHARACTERIZED = RemoteFile(
    filename="uncharacterized.txt",
    url="https://ndownloader.figshare.com/files/3195404",
    md5="a361887bacb427b8a0ce7903d92a53b4",
    max_bytes=486_752,
)

_PROVENANCE = (
    "QM9, doi:10.6084/m9.figshare.c.978904.v5: B3LYP/6-31G(2df,p), geometry optimised"
)
_BOHR_ANG = 0.529177210903
_EV = EV_PER["hartree"]
#: Labels in the order of the second line of a file, and what they are multiplied with.
_COLUMNS = (
    ("rotational_a_ghz", 1.0), ("rotational_b_ghz", 1.0), ("rotational_c_ghz", 1.0),
    ("dipole_mag_d", 1.0), ("polarizability_ang3", _BOHR_ANG**3), ("e_homo_ev", _EV),
    ("e_lumo_ev", _EV), ("e_g_ev", _EV), ("r2_ang2", _BOHR_ANG**2), ("zpve_ev", _EV),
    ("u0_ev", _EV), ("u_ev", _EV), ("h_ev", _EV), ("g_ev", _EV), ("cv_cal_molk", 1.0),
)  # fmt: skip
_NAME = re.compile(r"(?:.*/)?dsgdb9nsd_(\d{6})\.xyz")
#: A file of the largest molecule has some 3 kB.
_MAX_BYTES = 100_000
_HEADER_LINES = 9


def fetch_qm9(
    data_home: str | os.PathLike[str] | None = None,
    *,
    target: str | Sequence[str] | None = None,
    return_X_y: bool = False,
    as_frame: bool = True,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: int = 1,
) -> Bunch | tuple[Any, Any]:
    """Load QM9, the small organic molecules of [1]_, downloading them if needed.

    130,831 molecules of up to nine atoms of C, N, O and F and their hydrogen: of the
    133,885 those whose geometry agrees with their formula. Two files (86.6 MB, CC0) are
    fetched from figshare once, checked, and kept, as :func:`fetch_quantumcanvas` does.
    Reading them takes a while: :meth:`Molecules.save` what you use often.

    The order of the molecules is that of their size: shuffle before splitting, or use
    ``groups``.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder to keep the files in. By default the environment variable
        ``QCANVAS_DATA``, or else ``~/qcanvas_data``.
    target : str, sequence of str or None, default=None
        A label, or a sequence of these; None for all 15.
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
        As :func:`load_molecules` returns it. ``data`` holds the structures, named
        ``"gdb_1"`` to ``"gdb_133885"``, the labels in eV, Å, D, GHz and cal/(mol K), and
        the Mulliken charges as labels of the atoms.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    OSError
        If a file is neither there nor to be had. The message says where to get it by
        other means, and where to put it.
    ValueError
        If `n_retries` or `delay` is negative, or `target` is no label of the data.

    Warns
    -----
    UserWarning
        If a file that is there has another checksum. It is replaced once the download
        is complete.

    References
    ----------
    .. [1] R. Ramakrishnan, P. O. Dral, M. Rupp, O. A. von Lilienfeld, Sci. Data 1, 140022
       (2014), doi:10.1038/sdata.2014.22.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import fetch_qm9
    >>> fetch_qm9().data.shape  # doctest: +SKIP
    (130831,)
    """
    paths = [
        local_file(
            remote, data_home, download_if_missing=download_if_missing, n_retries=n_retries,
            delay=delay, verbose=verbose,
        )
        for remote in (UNCHARACTERIZED, ARCHIVE)
    ]  # fmt: skip
    return make_molecule_bunch(
        read_qm9(paths[1], paths[0]), target, return_X_y=return_X_y, as_frame=as_frame,
        descr=description("qm9"),
    )  # fmt: skip


def read_qm9(
    path: str | os.PathLike[str], uncharacterized: str | os.PathLike[str] | None = None
) -> Molecules:
    """Read files in the layout of QM9.

    Parameters
    ----------
    path : path-like
        ``dsgdb9nsd.xyz.tar.bz2``, or a folder of its files.
    uncharacterized : path-like or None, default=None
        ``uncharacterized.txt``, whose molecules are left out; None leaves none out.

    Returns
    -------
    Molecules
        In the order of their numbers, see :func:`fetch_qm9`.

    Raises
    ------
    ValueError
        If a file is damaged or in another layout; the message names it.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import read_qm9
    >>> read_qm9("dsgdb9nsd.xyz.tar.bz2")[0].formulas[0]  # doctest: +SKIP
    'CH4'
    """
    left_out = set() if uncharacterized is None else _read_numbers(uncharacterized)
    found: dict[int, tuple[Any, ...]] = {}
    for name, content in file_members(
        path, lambda name: _NAME.fullmatch(name) is not None, max_bytes=_MAX_BYTES
    ):
        number = int(_NAME.fullmatch(name)[1])  # type: ignore[index]
        if number not in left_out:
            found[number] = _parsed(name, number, content)
    if not found:
        raise ValueError(f"{os.fspath(path)!r} holds no files dsgdb9nsd_<number>.xyz")
    numbers = sorted(found)
    elements, positions, charges, labels, smiles = zip(
        *(found[number] for number in numbers), strict=True
    )
    factors = np.array([factor for _, factor in _COLUMNS])
    return Molecules.from_lists(
        elements, positions,
        labels=pd.DataFrame(
            np.array(labels) * factors, columns=[name for name, _ in _COLUMNS]
        ),
        atom_labels=pd.DataFrame({"charge_mulliken": np.concatenate(charges)}),
        names=[f"gdb_{number}" for number in numbers], groups=list(smiles),
        provenance=_PROVENANCE,
    )  # fmt: skip


def _read_numbers(path: str | os.PathLike[str]) -> set[int]:
    """Numbers of the molecules that are not what they are said to be."""
    with open_regular(path) as file:
        lines = file.read().decode("latin-1").splitlines()
    first = [line.split()[0] for line in lines[_HEADER_LINES:] if line.strip()]
    numbers = {int(word) for word in first if word.isdecimal()}
    if not numbers:
        raise ValueError(
            f"{os.fspath(path)!r} is no list of molecules behind {_HEADER_LINES} lines"
        )
    return numbers


def _parsed(name: str, number: int, content: bytes) -> tuple[Any, ...]:
    """Elements, positions, charges, labels and SMILES of one file."""
    try:
        # Some numbers are written as by Mathematica, "1.5*^-6".
        lines = content.decode("ascii").replace("*^", "e").splitlines()
        n = int(lines[0])
        tag, key, *labels = lines[1].split()
        if (tag, int(key)) != ("gdb", number) or len(labels) != len(_COLUMNS):
            raise ValueError(f"its second line is {lines[1]!r}")
        rows = [line.split() for line in lines[2 : 2 + n]]
        if len(rows) != n or any(len(row) != 5 for row in rows) or len(lines) < n + 4:
            raise ValueError(f"it has not {n} lines of atoms and three behind them")
        z = atomic_numbers([row[0] for row in rows])
        numbers = np.array([row[1:] for row in rows], dtype=np.float64)
        values = [float(label) for label in labels]
        if not (z.all() and np.isfinite(numbers).all() and np.isfinite(values).all()):
            raise ValueError("an element is unknown or a number not finite")
        smiles = lines[n + 3].split()[-1]
    except (ValueError, IndexError) as error:
        raise ValueError(f"{name!r} is not in the layout of QM9: {error}") from None
    return z, numbers[:, :3], numbers[:, 3], values, smiles

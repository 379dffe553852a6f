"""From raw DFTB+ runs to an archive in the published layout."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._files import check_writable, written_whole
from ..rendering import AMPLITUDES_OF_CHANNEL, CHANNEL_NAMES, render, templates
from ..structures import PairData, pair_amplitudes
from ._archive import write_npz
from ._dftbplus import OnError, read_dftbplus
from ._dftbplus_parser import Compat
from ._summary import summarize_labels

__all__ = ["build_archive", "geometry_table"]


def build_archive(
    raw_dir: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    analysis: str | os.PathLike[str] | None = None,
    on_error: OnError = "raise",
    n_jobs: int | None = None,
    compat: Compat = None,
) -> PairData:
    """Turn raw DFTB+ runs into an archive of images, geometries and labels.

    Parameters
    ----------
    raw_dir : path-like
        Directory of the runs, see :func:`read_dftbplus`.
    out : path-like
        Archive to write, in the layout of the published ``dataset_combined.npz``.
    analysis : path-like or None, default=None
        Directory for ``all_labels.csv``, ``geometry_data.csv`` and
        ``labels_detailed_summary.txt``; made if need be. None writes none of them.
    on_error : {"raise", "warn"}, default="raise"
        What to do about runs that cannot be used.
    n_jobs : int or None, default=None
        Processes to read with; None is one.
    compat : {"published"} or None, default=None
        ``"published"`` draws the images of the published archive, with the defect of its
        reading that :func:`read_dftbplus` describes: where an atom has lost all orbitals,
        the other stands alone in the middle. Such an archive is to be used at 32 x 32
        pixels, since :func:`~qcanvas_sklearn.images.recover_amplitudes` refuses these
        images.

    Returns
    -------
    PairData
        What was written.

    Raises
    ------
    FileNotFoundError
        If `raw_dir` or the directory of `out` does not exist.
    IsADirectoryError, NotADirectoryError
        If `out` is a directory, or `analysis` is none.
    ValueError
        If there are no runs, or with ``on_error="raise"`` one that cannot be used.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import build_archive
    >>> pairs = build_archive("raw_data", "dataset_combined.npz")  # doctest: +SKIP
    """
    # Reading takes a while: what cannot be written should be known before.
    out = check_writable(out)
    directory = None if analysis is None else Path(analysis)
    if directory is not None and directory.exists() and not directory.is_dir():
        raise NotADirectoryError(f"{os.fspath(directory)!r} is a file, not a directory")
    pairs = read_dftbplus(raw_dir, n_jobs=n_jobs, on_error=on_error, compat=compat)
    if compat == "published":
        pairs = replace(pairs, images=_draw_as_published(pairs))
    write_npz(pairs, out)
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        labels = pairs.labels.copy()
        labels.insert(0, "pair_name", pairs.names)
        _write_text(directory / "all_labels.csv", labels.to_csv(index=False))
        _write_text(directory / "geometry_data.csv", geometry_table(pairs).to_csv(index=False))
        _write_text(directory / "labels_detailed_summary.txt", summarize_labels(pairs.labels))
    return pairs


def _draw_as_published(pairs: PairData) -> NDArray[np.float32]:
    """Images without the atoms that lost all orbitals: a single one stands in the middle."""
    amplitudes = pair_amplitudes(pairs)
    images = render(amplitudes)
    kept = (pairs.orbital_populations != 0).any(axis=-1)
    rows = np.flatnonzero(~kept.all(axis=1))
    for channel, columns in enumerate(AMPLITUDES_OF_CHANNEL):
        if columns.stop - columns.start == kept.shape[1]:
            picture = templates()[columns.start]
            # A Gaussian on the middle row: its vertical profile is that of the middle.
            profile = picture[:, picture.max(axis=0).argmax()]
            strength = (amplitudes[rows, columns] * kept[rows]).sum(axis=1)
            images[rows, channel] = strength[:, None, None] * np.outer(profile, profile)
    # There is no difference of charges to draw.
    images[rows, CHANNEL_NAMES.index("rip_mtf_quadrupole")] = 0
    return images


def geometry_table(pairs: PairData) -> pd.DataFrame:
    """Elements, coordinates (Å) and populations (e), columns as published."""
    columns: dict[str, object] = {"pair_name": pairs.names}
    for atom in (0, 1):
        columns[f"element_{atom + 1}"] = pairs.elements[:, atom]
    for atom in (0, 1):
        for axis, letter in enumerate("xyz"):
            columns[f"{letter}{atom + 1}"] = pairs.positions[:, atom, axis]
        columns[f"population_{atom + 1}"] = pairs.populations[:, atom]
    columns["bond_length_ang"] = pairs.bond_lengths
    return pd.DataFrame(columns)


def _write_text(path: Path, text: str) -> None:
    with written_whole(path) as file:
        file.write(text.encode())

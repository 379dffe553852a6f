"""From rows of a data set to the columns of a table, each distinct row once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..rendering import (
    N_AMPLITUDES,
    channel_means,
    mean_pixels,
    recover_amplitudes,
    render,
    row_blocks,
)
from ..structures import PairData, pair_amplitudes
from .layout import PairLayout

__all__ = ["Part", "amplitudes_of", "fill"]

# l² + l for l = 1, 2, 3: the orbitals along the bond.
_M0_ORBITALS = (2, 6, 12)

_SCALARS: dict[str, Callable[[PairData], NDArray]] = {
    "z": lambda pairs: pairs.z,
    "distance_ang": lambda pairs: pairs.bond_lengths,
    "population": lambda pairs: pairs.populations,
    "shell_populations": lambda pairs: pairs.shell_populations,
    "m0_populations": lambda pairs: pairs.orbital_populations[..., _M0_ORBITALS],
    "charge": lambda pairs: pairs.charges,
    "dipole_mag": lambda pairs: pairs.dipole_magnitudes,
}


class Part(NamedTuple):
    """Rows of a data set, and the rows of the output that they fill.

    Attributes
    ----------
    pairs : PairData
        The data set.
    rows : ndarray of int64, shape (k,)
        Rows of it.
    target : ndarray of int64, shape (k,)
        Rows of the output; all of them in order where they are as many.
    distance : ndarray of shape (k,) or None
        Bond lengths in Å that take the place of those of the data set.
    """

    pairs: PairData
    rows: NDArray[np.int64]
    target: NDArray[np.int64]
    distance: NDArray[np.float64] | None = None


def _distinct(
    numbers: NDArray[np.int64], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which numbers there are, and which of them each one is.

    Parameters
    ----------
    numbers : ndarray of int64, shape (k,)
        From 0 to n - 1.
    n : int
        How many there could be.

    Returns
    -------
    found : ndarray of int64, shape (m,)
        Increasing.
    place : ndarray of int64, shape (k,)
        Positions in `found`. Nothing is sorted, so that millions take milliseconds.
    """
    present = np.zeros(n, dtype=bool)
    present[numbers] = True
    found = np.flatnonzero(present)
    place = np.zeros(n, dtype=np.int64)
    place[found] = np.arange(len(found))
    return found, place[numbers]


def fill(out: NDArray, layout: PairLayout, image_size: int, part: Part) -> None:
    """Write the columns of a part into its rows of a table.

    Parameters
    ----------
    out : ndarray of shape (n, layout.n_columns)
        Where to write.
    layout : PairLayout
        What the columns hold.
    image_size : int
        Pixels a side of images, and of those whose means are asked for.
    part : Part
        What to write, and where.

    Raises
    ------
    ValueError
        If the data set lacks a quantity of a row.
    """
    found, place = _distinct(part.rows, len(part.pairs))
    whole = len(part.target) == len(out)
    # A second table is made where it is no larger than half of the first.
    if whole and 2 * len(found) > len(out):
        _describe(out, layout, image_size, part.pairs, part.rows)
    else:
        table = np.empty((len(found), out.shape[1]), dtype=out.dtype)
        _describe(table, layout, image_size, part.pairs, found)
        for rows in row_blocks(len(place), max(layout.image_size, 1)):
            target = rows if whole else part.target[rows]
            out[target] = table[place[rows]]
    if part.distance is not None and "atoms" in layout.include:
        layout.unpack(out)["distance_ang"][part.target] = part.distance


def amplitudes_of(part: Part) -> NDArray[np.float64]:
    """Amplitudes (k, 16) of the images of a part.

    Raises
    ------
    ValueError
        If the data set lacks them for a row.
    """
    found, place = _distinct(part.rows, len(part.pairs))
    return _amplitudes(part.pairs, found, "image")[place]


def _describe(
    out: NDArray, layout: PairLayout, image_size: int, pairs: PairData, rows: NDArray[np.int64]
) -> None:
    """Write the columns of rows of a data set."""
    for name, view in layout.unpack(out).items():
        if name == "image":
            _draw(view, layout, pairs, rows)
        elif name == "channel_means":
            view[:] = _means(layout, image_size, pairs, rows)
        else:
            view[:] = _required(_SCALARS[name](pairs)[rows], name, pairs, rows)


def _means(
    layout: PairLayout, image_size: int, pairs: PairData, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    images = _images_of_size(pairs, image_size)
    if images is not None:
        means = np.empty((len(rows), images.shape[1]))
        for block in row_blocks(len(rows), image_size):
            means[block] = mean_pixels(images[rows[block]])
        return means[:, layout.channels]
    amplitudes = _amplitudes(pairs, rows, "channel_means")
    return channel_means(amplitudes, image_size, layout.channels)


def _draw(out: NDArray, layout: PairLayout, pairs: PairData, rows: NDArray[np.int64]) -> None:
    size, channels = layout.image_size, layout.channels
    images = _images_of_size(pairs, size)
    if images is None:
        render(_amplitudes(pairs, rows, "image"), size, channels, out)
        return
    for block in row_blocks(len(rows), size):
        for slot, channel in enumerate(channels):
            out[block, slot] = images[rows[block], channel]


def _images_of_size(pairs: PairData, image_size: int) -> NDArray[np.float32] | None:
    """Images that need no drawing."""
    images = pairs.images
    return images if images is not None and images.shape[-1] == image_size else None


def _amplitudes(pairs: PairData, rows: NDArray[np.int64], name: str) -> NDArray[np.float64]:
    """Amplitudes (k, 16) of rows of a data set, which what is called `name` is made of."""
    if pairs.images is None:
        return _required(pair_amplitudes(pairs)[rows], name, pairs, rows)
    blocks = row_blocks(len(rows), pairs.images.shape[-1])
    parts = [recover_amplitudes(pairs.images[rows[block]]) for block in blocks]
    found = np.concatenate(parts) if parts else np.empty((0, N_AMPLITUDES))
    return _required(found, name, pairs, rows)


def _required(values: NDArray, name: str, pairs: PairData, rows: NDArray[np.int64]) -> NDArray:
    """`values`, or a ValueError where the source does not have them."""
    missing = np.isnan(values).any(axis=tuple(range(1, values.ndim)))
    if missing.any():
        first = rows[int(np.argmax(missing))]
        raise ValueError(
            f"the source has no {name.replace('_', ' ')} for {int(missing.sum())} of the "
            f"pairs, {pairs.names[first]} the first; leave it out with the parameter include"
        )
    return values

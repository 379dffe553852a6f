"""The ten image channels: fixed templates times at most sixteen amplitudes.

Every image is linear in a handful of numbers of the pair (`pair_amplitudes`). Rendering
is the product of these amplitudes with templates that depend on the image size only; its
inverse is a least-squares fit (`recover_amplitudes`). An image therefore holds no more
information than its amplitudes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..datasets import PairData

__all__ = [
    "AMPLITUDES_OF_CHANNEL",
    "CHANNEL_NAMES",
    "DEBYE_PER_ATOMIC_UNIT",
    "MIN_IMAGE_SIZE",
    "N_AMPLITUDES",
    "check_image_size",
    "orthonormal_templates",
    "pair_amplitudes",
    "recover_amplitudes",
    "render",
    "resolve_channels",
    "row_blocks",
    "templates",
]

#: Names of the ten channels, in the order of the images.
CHANNEL_NAMES: tuple[str, ...] = (
    "omap_radial",
    "omap_angular",
    "rip_gaf_sp",
    "rip_gaf_df",
    "rip_mtf_dipole",
    "rip_mtf_quadrupole",
    "com_charge",
    "com_orbital",
    "qimage_positive",
    "qimage_negative",
)

#: Amplitudes of each channel: one a molecule (channels 2 to 5), or one an atom.
AMPLITUDES_OF_CHANNEL: tuple[slice, ...] = (
    slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 6), slice(6, 7), slice(7, 8),
    slice(8, 10), slice(10, 12), slice(12, 14), slice(14, 16),
)  # fmt: skip

N_AMPLITUDES = 16
#: Below four pixels the two atoms would share a place.
MIN_IMAGE_SIZE = 4
#: One atomic unit of the dipole moment in debye.
DEBYE_PER_ATOMIC_UNIT = 2.541746473

_N_ATOMS = 2
# A block of rows should fit the second-level cache.
_BLOCK_PIXELS = 2**16
# Images whose distance from the span of the templates exceeds this fraction of their
# norm were not rendered by these channels.
_SPAN_TOLERANCE = 1e-3

_L = np.repeat(np.arange(4), [1, 3, 5, 7])
_M = np.concatenate([np.arange(-l, l + 1) for l in range(4)])


def resolve_channels(channels: Iterable[int | str] | None) -> tuple[int, ...]:
    """Channel numbers, in increasing order, of numbers or names.

    Parameters
    ----------
    channels : iterable of int or str, or None
        Channel numbers 0 to 9 or entries of `CHANNEL_NAMES`; None for all ten.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If `channels` is empty, names a channel twice, or one that does not exist.

    Examples
    --------
    >>> from qcanvas_sklearn.images.rendering import resolve_channels
    >>> resolve_channels(["com_charge", 0])
    (0, 6)
    """
    if channels is None:
        return tuple(range(len(CHANNEL_NAMES)))
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise ValueError(
            f"channels must be None or a sequence of channel numbers or names, got {channels!r}"
        )
    numbers = []
    for channel in channels:
        if isinstance(channel, str) and channel in CHANNEL_NAMES:
            numbers.append(CHANNEL_NAMES.index(channel))
        elif (
            isinstance(channel, Integral)
            and not isinstance(channel, bool)
            and 0 <= channel < len(CHANNEL_NAMES)
        ):
            numbers.append(int(channel))
        else:
            raise ValueError(
                f"unknown channel {channel!r}; channels are 0 to {len(CHANNEL_NAMES) - 1} or "
                f"{list(CHANNEL_NAMES)}"
            )
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"channels must be distinct and at least one, got {channels!r}")
    return tuple(sorted(numbers))


def check_image_size(image_size: int) -> int:
    """`image_size` as an int, or a ValueError."""
    valid = isinstance(image_size, Integral) and not isinstance(image_size, bool)
    if not valid or image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"image_size must be an integer of at least {MIN_IMAGE_SIZE}, got {image_size!r}"
        )
    return int(image_size)


def row_blocks(n_rows: int, image_size: int) -> Iterator[slice]:
    """Slices that cover `n_rows` images, small enough to stay in the cache."""
    step = max(1, _BLOCK_PIXELS // image_size**2)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


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
        Amplitudes; ``AMPLITUDES_OF_CHANNEL[c]`` are the columns of channel ``c``, in the
        order of the atoms where a channel has one for each.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.

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
    orbitals = pairs.orbital_populations
    charges = pairs.charges
    shells = pairs.shell_populations.sum(axis=1)
    size = 10 * np.abs(charges)
    out = np.empty((len(pairs), N_AMPLITUDES))
    values = (
        (orbitals * ((_L + 1) / 3)).sum(axis=-1),
        np.abs((orbitals * _M).sum(axis=-1)),
        shells[:, 0] + shells[:, 1],
        shells[:, 2] + shells[:, 3],
        pairs.dipole_magnitudes / DEBYE_PER_ATOMIC_UNIT,
        np.abs(charges[:, 0] - charges[:, 1]),
        size,
        pairs.populations,
        np.where(charges > 0, size, 0.0),
        np.where(charges > 0, 0.0, size),
    )
    for columns, value in zip(AMPLITUDES_OF_CHANNEL, values, strict=True):
        out[:, columns] = value.reshape(len(pairs), columns.stop - columns.start)
    return out


@lru_cache(maxsize=8)
def _templates(image_size: int, dtype: np.dtype) -> NDArray:
    pixel = np.arange(image_size)
    row = image_size // 2
    centres = [
        row + (k - _N_ATOMS / 2 + 0.5) * (image_size // (_N_ATOMS + 1)) for k in range(_N_ATOMS)
    ]

    def gaussians(sigma: float) -> list[NDArray]:
        dy = (pixel - row)[:, None]
        return [np.exp(-((pixel - x) ** 2 + dy**2) / (2 * sigma**2)) for x in centres]

    axis = np.linspace(-1, 1, image_size)
    x, y = np.meshgrid(axis, axis)
    r, theta = np.hypot(x, y), np.arctan2(y, x)
    # The dipole channel alone is defined with a small offset of the radius.
    shifted = r + 1e-6
    molecular = [
        np.exp(-(r**2) / 0.3),
        np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta)),
        shifted * np.exp(-(shifted**2) / 0.4),
        (3 * np.cos(theta) ** 2 - 1) * np.exp(-(r**2) / 0.4),
    ]
    out = np.array(
        [*gaussians(3) * 2, *molecular, *gaussians(4) * 2, *gaussians(3.5) * 2]
    ).astype(dtype)
    # Subnormal tails carry no information, and arithmetic on them is slow.
    out[np.abs(out) < np.finfo(dtype).tiny] = 0
    out.flags.writeable = False
    return out


def templates(image_size: int = 32, dtype: DTypeLike = np.float32) -> NDArray:
    """Fixed pictures that the amplitudes multiply.

    Parameters
    ----------
    image_size : int, default=32
        Pixels a side, at least 4.
    dtype : dtype, default=float32
        ``float32`` or ``float64``; computed in float64 either way.

    Returns
    -------
    ndarray of shape (16, image_size, image_size)
        Read-only. Channel ``c`` is the sum of ``AMPLITUDES_OF_CHANNEL[c]`` of them, each
        times its amplitude.

    Examples
    --------
    >>> from qcanvas_sklearn.images import templates
    >>> templates(32)[0, 16, 11]  # unit height at the first atom
    np.float32(1.0)
    """
    return _templates(check_image_size(image_size), np.dtype(dtype))


def render(
    amplitudes: ArrayLike,
    image_size: int = 32,
    channels: Iterable[int | str] | None = None,
    out: NDArray | None = None,
) -> NDArray:
    """Images of the given amplitudes.

    Parameters
    ----------
    amplitudes : array-like of shape (n, 16)
        As :func:`pair_amplitudes` returns them.
    image_size : int, default=32
        Pixels a side, at least 4. Widths of the atoms' Gaussians are in pixels and stay
        as they are.
    channels : iterable of int or str, default=None
        Channels to render, in increasing order whatever the order here; None for all.
    out : ndarray of shape (n, n_channels, image_size, image_size), default=None
        Where to write, float32 or float64, a view for instance; by default a new float32
        array.

    Returns
    -------
    ndarray of shape (n, n_channels, image_size, image_size)
        `out`. The memory needed beside it is a fraction of a megabyte. An image has the
        same bits whatever is rendered beside it.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.images import render
    >>> render(np.ones((3, 16)), 8, channels=["com_charge"]).shape
    (3, 1, 8, 8)
    """
    numbers = resolve_channels(channels)
    image_size = check_image_size(image_size)
    values = np.asarray(amplitudes)
    if values.ndim != 2 or values.shape[1] != N_AMPLITUDES:
        raise ValueError(f"amplitudes must have shape (n, {N_AMPLITUDES}), got {values.shape}")
    shape = (len(values), len(numbers), image_size, image_size)
    if out is None:
        out = np.empty(shape, dtype=np.float32)
    elif out.shape != shape or out.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"out must be a float32 or float64 array of shape {shape}, got {out.dtype} "
            f"of shape {out.shape}"
        )
    pictures = templates(image_size, out.dtype)
    values = values.astype(out.dtype)[..., None, None]
    scratch: NDArray | None = None
    # Elementwise products, not BLAS calls: the latter round differently with the number
    # of rows, and a pair's image must not depend on its neighbours.
    for rows in row_blocks(len(values), image_size):
        for slot, channel in enumerate(numbers):
            target = out[rows, slot]
            first, *rest = range(N_AMPLITUDES)[AMPLITUDES_OF_CHANNEL[channel]]
            np.multiply(values[rows, first], pictures[first], out=target)
            for k in rest:
                if scratch is None:
                    scratch = np.empty(target.shape, dtype=out.dtype)
                term = scratch[: len(target)]
                np.multiply(values[rows, k], pictures[k], out=term)
                target += term
    return out


@lru_cache(maxsize=8)
def orthonormal_templates(image_size: int) -> tuple[tuple[NDArray, NDArray], ...]:
    """QR factors of each channel's templates.

    Parameters
    ----------
    image_size : int
        Pixels a side.

    Returns
    -------
    tuple of (ndarray of shape (k, image_size²), ndarray of shape (k, k))
        For each channel an orthonormal basis of its k templates, one a row, and the upper
        triangular factor that takes amplitudes to coordinates in it.
    """
    pictures = templates(image_size, np.float64).reshape(N_AMPLITUDES, -1)
    factors = []
    for columns in AMPLITUDES_OF_CHANNEL:
        q, r = np.linalg.qr(pictures[columns].T)
        factors.append((np.ascontiguousarray(q.T), r))
    return tuple(factors)


def recover_amplitudes(images: ArrayLike) -> NDArray[np.float64]:
    """Amplitudes that generate the given images, by least squares.

    Parameters
    ----------
    images : array-like of shape (n, 10, image_size, image_size)
        All ten channels, of any size from 4 pixels on.

    Returns
    -------
    ndarray of shape (n, 16)
        Exact to the round-off of the images.

    Raises
    ------
    ValueError
        If the shape is wrong or an image is not one of these channels.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.images import recover_amplitudes, render
    >>> recover_amplitudes(render(np.full((1, 16), 2.5)))[0, :3].round(6)
    array([2.5, 2.5, 2.5])
    """
    images = np.asarray(images)
    size = images.shape[-1] if images.ndim == 4 else 0
    if images.ndim != 4 or images.shape[1:] != (len(CHANNEL_NAMES), size, size):
        raise ValueError(
            f"images must have shape (n, {len(CHANNEL_NAMES)}, S, S), got {images.shape}"
        )
    factors = orthonormal_templates(check_image_size(size))
    out = np.empty((len(images), N_AMPLITUDES))
    for rows in row_blocks(len(images), size):
        for channel, (basis, triangle) in enumerate(factors):
            pixels = images[rows, channel].reshape(-1, size**2).astype(np.float64)
            coordinates = np.stack([(pixels * vector).sum(axis=-1) for vector in basis])
            norm = (pixels**2).sum(axis=-1)
            foreign = ~(norm - (coordinates**2).sum(axis=0) <= _SPAN_TOLERANCE**2 * norm)
            if foreign.any():
                raise ValueError(
                    f"row {rows.start + int(np.argmax(foreign))}: channel {channel} "
                    f"({CHANNEL_NAMES[channel]}) is not an image rendered by this definition"
                )
            values = out[rows, AMPLITUDES_OF_CHANNEL[channel]]
            for k in reversed(range(len(triangle))):
                known = sum(triangle[k, j] * values[:, j] for j in range(k + 1, len(triangle)))
                values[:, k] = (coordinates[k] - known) / triangle[k, k]
    return out

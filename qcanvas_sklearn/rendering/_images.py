"""Images from amplitudes, and amplitudes from images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._channels import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    N_AMPLITUDES,
    check_image_size,
    resolve_channels,
)
from ._templates import orthonormal_templates, templates

__all__ = ["channel_means", "mean_pixels", "recover_amplitudes", "render", "row_blocks"]

# A block of rows should fit the second-level cache.
_BLOCK_PIXELS = 2**16
# Images whose distance from the span of the templates exceeds this fraction of their
# norm were not rendered by these channels.
_SPAN_TOLERANCE = 1e-3


def row_blocks(n_rows: int, image_size: int) -> Iterator[slice]:
    """Slices that cover `n_rows` images, small enough to stay in the cache."""
    step = max(1, _BLOCK_PIXELS // image_size**2)
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


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
    values = _checked(amplitudes)
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


def channel_means(
    amplitudes: ArrayLike, image_size: int = 32, channels: Iterable[int | str] | None = None
) -> NDArray[np.float64]:
    """Mean of each channel's pixels, without the pixels.

    An image is linear in its amplitudes, and so are its means.

    Parameters
    ----------
    amplitudes : array-like of shape (n, 16)
        As :func:`pair_amplitudes` returns them.
    image_size : int, default=32
        Pixels a side of the images whose means these are, at least 4.
    channels : iterable of int or str, default=None
        Channels, in increasing order whatever the order here; None for all.

    Returns
    -------
    ndarray of shape (n, n_channels), float64
        Equal to the means of :func:`render` to the round-off of the latter, and the same
        to the last bit whatever stands beside a row.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.images import channel_means, render
    >>> amplitudes = np.ones((3, 16))
    >>> means = channel_means(amplitudes, 8)
    >>> np.allclose(means, render(amplitudes, 8).mean(axis=(2, 3)))
    True
    """
    numbers, values = resolve_channels(channels), _checked(amplitudes)
    of_templates = templates(image_size, np.float64).mean(axis=(1, 2))
    out = np.zeros((len(values), len(numbers)))
    for slot, channel in enumerate(numbers):
        for k in range(N_AMPLITUDES)[AMPLITUDES_OF_CHANNEL[channel]]:
            out[:, slot] += values[:, k] * of_templates[k]
    return out


def mean_pixels(images: NDArray) -> NDArray[np.float64]:
    """Mean of each channel of images that are there already.

    Parameters
    ----------
    images : ndarray of shape (n, n_channels, image_size, image_size)
        Of any channels; a view of a table's columns, for instance.

    Returns
    -------
    ndarray of shape (n, n_channels), float64
        Summed in double precision, some rows at a time, so that no second table of pixels
        is made.
    """
    n, n_channels, size, _ = images.shape
    out = np.empty((n, n_channels))
    for rows in row_blocks(n, size):
        for channel in range(n_channels):
            pixels = images[rows, channel].astype(np.float64)
            out[rows, channel] = pixels.reshape(-1, size**2).mean(axis=1)
    return out


def _checked(amplitudes: ArrayLike) -> NDArray:
    values = np.asarray(amplitudes)
    if values.ndim != 2 or values.shape[1] != N_AMPLITUDES:
        raise ValueError(f"amplitudes must have shape (n, {N_AMPLITUDES}), got {values.shape}")
    return values


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

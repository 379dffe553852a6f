"""The fixed pictures that amplitudes multiply."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._channels import AMPLITUDES_OF_CHANNEL, N_AMPLITUDES, check_image_size

__all__ = ["orthonormal_templates", "templates"]

_N_ATOMS = 2


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

"""Real solid harmonics in numpy, and how they turn with the axes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bond_frames", "rotation", "solid_harmonics"]


def solid_harmonics(l: int, vectors: ArrayLike) -> NDArray[np.float64]:
    r"""Real solid harmonics of one degree, without the factor :math:`(-1)^m`.

    Parameters
    ----------
    l : int
        Degree.
    vectors : array-like of shape (..., 3)
        Arguments.

    Returns
    -------
    ndarray of shape (..., 2 l + 1)
        In the order m = -l, ..., l; on unit vectors their squares sum to 1. They are those
        of :func:`qcanvas_sklearn.nn.harmonics.spherical_harmonics`.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians._harmonics import solid_harmonics
    >>> solid_harmonics(1, [1.0, 2.0, 3.0])
    array([2., 3., 1.])
    """
    xyz = np.asarray(vectors, dtype=np.float64)
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    squared = (xyz**2).sum(axis=-1)
    out = np.empty((*xyz.shape[:-1], 2 * l + 1))
    real, imaginary = np.ones_like(x), np.zeros_like(x)  # of (x + iy)^m
    for m in range(l + 1):
        below, legendre = np.zeros_like(x), np.full_like(x, math.prod(range(1, 2 * m, 2)))
        for k in range(m + 1, l + 1):
            above = (2 * k - 1) * z * legendre - (k + m - 1) * squared * below
            below, legendre = legendre, above / (k - m)
        norm = math.sqrt(math.factorial(l - m) / math.factorial(l + m) * (2 if m else 1))
        out[..., l - m] = norm * legendre * imaginary
        out[..., l + m] = norm * legendre * real
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    return out


@lru_cache
def _samples(l: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors whose harmonics of degree l have full rank, and the inverse of those."""
    n = 6 * l + 6
    height = 1 - (2 * np.arange(n) + 1) / n
    angle = np.arange(n) * math.pi * (3 - math.sqrt(5))
    flat = np.sqrt(1 - height**2)
    points = np.stack([flat * np.cos(angle), flat * np.sin(angle), height], axis=1)
    return points, np.asarray(np.linalg.pinv(solid_harmonics(l, points)), np.float64)


def rotation(l: int, matrix: ArrayLike) -> NDArray[np.float64]:
    r"""How the real harmonics of one degree turn with the space.

    Parameters
    ----------
    l : int
        Degree.
    matrix : array-like of shape (..., 3, 3)
        Rotations or reflections R, which take a vector v to R v.

    Returns
    -------
    ndarray of shape (..., 2 l + 1, 2 l + 1)
        Orthogonal matrices D with :math:`r(R v) = D\, r(v)`. An orbital block of atoms a
        and b turns with the molecule: :math:`H' = D_a H D_b^T`.

    Raises
    ------
    ValueError
        If a matrix is not orthogonal.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import rotation
    >>> quarter = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # x to y, y to -x
    >>> rotation(1, quarter).round(12) + 0.0  # of y, z, x
    array([[ 0.,  0.,  1.],
           [ 0.,  1.,  0.],
           [-1.,  0.,  0.]])
    """
    turns = np.asarray(matrix, dtype=np.float64)
    if turns.shape[-2:] != (3, 3):
        raise ValueError(f"rotations have shape (..., 3, 3), got {turns.shape}")
    deviation = np.abs(turns @ np.swapaxes(turns, -1, -2) - np.eye(3)).max(initial=0.0)
    if not deviation < 1e-6:
        raise ValueError(f"the matrix is not orthogonal: R Rᵀ is off by {deviation:.2g}")
    points, inverse = _samples(l)
    turned = np.swapaxes(turns @ points.T, -1, -2)
    return np.swapaxes(inverse @ solid_harmonics(l, turned), -1, -2)


def bond_frames(vectors: ArrayLike) -> NDArray[np.float64]:
    """Rotations that take each vector onto the z axis.

    Parameters
    ----------
    vectors : array-like of shape (..., 3)
        Not zero.

    Returns
    -------
    ndarray of shape (..., 3, 3)
        Proper rotations R with R v = (0, 0, ‖v‖).
    """
    xyz = np.asarray(vectors, dtype=np.float64)
    along = xyz / np.linalg.norm(xyz, axis=-1, keepdims=True)
    # The axis that lies least along the bond is never parallel to it.
    helper = np.eye(3)[np.abs(along).argmin(axis=-1)]
    across = np.cross(helper, along)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.stack([across, np.cross(along, across), along], axis=-2)

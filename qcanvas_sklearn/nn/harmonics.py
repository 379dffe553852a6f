"""Steerable features: solid harmonics, and what may be done to them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["MAX_DEGREE", "by_degree", "soft_norm", "spherical_harmonics"]

#: Highest degree of the steerable features; their number grows with its square.
MAX_DEGREE = 6


def spherical_harmonics(vectors: Tensor, n_degrees: int) -> Tensor:
    r"""Real solid harmonics of the degrees 1 to `n_degrees`.

    .. math::
        r^{(l)}_{\pm m} = \sqrt{(2 - \delta_{m0}) \frac{(l - m)!}{(l + m)!}}\;
            Q_l^m(z, \lVert r \rVert)\,
            \begin{cases} \Re\,(x + iy)^m \\ \Im\,(x + iy)^m \end{cases}

    with the associated Legendre polynomials :math:`Q_l^m`, made homogeneous, without the
    factor :math:`(-1)^m`. On unit vectors they are
    :math:`\sqrt{4 \pi / (2 l + 1)}\, Y_{lm}`, and those of one degree have unit norm. They
    are polynomials: zero, with finite gradients, at the zero vector.

    Parameters
    ----------
    vectors : Tensor of shape (..., 3)
        Arguments.
    n_degrees : int
        Highest degree.

    Returns
    -------
    Tensor of shape (..., (n_degrees + 1)**2 - 1)
        In the order l = 1, 2, ... and, for each, m = -l, ..., l.
    """
    x, y, z = vectors.unbind(-1)
    squared = vectors.square().sum(-1)
    values: dict[tuple[int, int], Tensor] = {}
    real, imaginary = torch.ones_like(x), torch.zeros_like(x)  # of (x + iy)^m
    for m in range(n_degrees + 1):
        below = torch.zeros_like(x)
        legendre = torch.full_like(x, math.prod(range(1, 2 * m, 2)))
        for l in range(m, n_degrees + 1):
            if l > m:
                above = (2 * l - 1) * z * legendre - (l + m - 1) * squared * below
                below, legendre = legendre, above / (l - m)
            norm = math.sqrt(math.factorial(l - m) / math.factorial(l + m) * (2 if m else 1))
            values[l, -m] = norm * legendre * imaginary
            values[l, m] = norm * legendre * real
        real, imaginary = x * real - y * imaginary, x * imaginary + y * real
    return torch.stack(
        [values[l, m] for l in range(1, n_degrees + 1) for m in range(-l, l + 1)], dim=-1
    )


def by_degree(steerable: Tensor, n_degrees: int) -> tuple[Tensor, ...]:
    """Split features (n, M, ...), M = (n_degrees + 1)**2 - 1, into (n, 2 l + 1, ...)."""
    return steerable.split([2 * l + 1 for l in range(1, n_degrees + 1)], dim=1)


def soft_norm(steerable: Tensor) -> Tensor:
    """Steerable features (..., M, k), small ones as they are, large ones of unit size.

    The size is the root mean square, over the k channels, of the norm over the components.
    """
    squared = steerable.square().sum(-2, keepdim=True).mean(-1, keepdim=True)
    return steerable * (1 + squared).rsqrt()

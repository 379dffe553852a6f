"""Bases in which networks see distances and angles, and the cutoffs that end them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor, nn

__all__ = [
    "BesselBasis",
    "CutoffFunction",
    "GaussianBasis",
    "SphericalBasis",
    "cosine_cutoff",
    "polynomial_cutoff",
    "polynomial_envelope",
    "spherical_bessel",
]

#: Maps distances and the cutoff, Å, to what is left of an interaction, 1 to 0.
CutoffFunction: TypeAlias = Callable[[Tensor, float], Tensor]


def cosine_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    r"""Half a cosine wave from 1 at zero to 0 at the cutoff, and 0 behind it.

    References
    ----------
    .. [1] J. Behler, Atom-centered symmetry functions for constructing high-dimensional
       neural network potentials, J. Chem. Phys. 134, 074106 (2011), equation 4.
    """
    # At the cutoff itself the cosine is -1 to the last bit.
    return (torch.cos(distance.clamp(max=cutoff) * (math.pi / cutoff)) + 1) / 2


def polynomial_envelope(x: Tensor, p: int = 6) -> Tensor:
    r"""Polynomial that falls from 1 to 0 with two vanishing derivatives at x = 1.

    .. math::
        u(x) = 1 - \tfrac{(p+1)(p+2)}{2} x^p + p(p+2) x^{p+1} - \tfrac{p(p+1)}{2} x^{p+2}

    References
    ----------
    .. [1] J. Gasteiger, J. Groß, S. Günnemann, Directional Message Passing for Molecular
       Graphs, ICLR 2020, equation 8, arXiv:2003.03123.
    """
    a, b, c = (p + 1) * (p + 2) / 2, p * (p + 2), p * (p + 1) / 2
    return torch.where(x < 1, 1 - x**p * (a - b * x + c * x**2), 0.0)


def polynomial_cutoff(distance: Tensor, cutoff: float) -> Tensor:
    """The polynomial envelope of distances: forces and their slopes have no jump either."""
    return polynomial_envelope(distance / cutoff)


class GaussianBasis(nn.Module):
    r"""Gaussians on an even grid of distances, :math:`\exp[-(d - \mu_k)^2 / 2 \Delta^2]`.

    The centres run from 0 to the cutoff, the width :math:`\Delta` is their spacing.

    Parameters
    ----------
    n_radial : int
        Number of Gaussians.
    cutoff : float
        Last centre, Å.
    """

    centers: Tensor

    def __init__(self, n_radial: int, cutoff: float) -> None:
        super().__init__()
        self.width = cutoff / max(n_radial - 1, 1)
        self.register_buffer("centers", torch.linspace(0, cutoff, n_radial))

    def forward(self, distance: Tensor) -> Tensor:
        """Map distances (...) to (..., n_radial)."""
        rate = -0.5 / self.width**2
        return torch.exp((distance[..., None] - self.centers).square() * rate)


class BesselBasis(nn.Module):
    r"""Radial waves with a node at the cutoff, damped to vanish there smoothly.

    .. math::
        e_n(d) = u(x) \sin(k_n x) / x, \qquad x = d / c

    with :math:`k_n = n \pi` to begin with, learned, and the envelope :math:`u`. It is
    finite at distance zero.

    Parameters
    ----------
    n_radial : int
        Number of waves.
    cutoff : float
        Distance c at which they end, Å.

    References
    ----------
    .. [1] J. Gasteiger, J. Groß, S. Günnemann, ICLR 2020, equation 7, arXiv:2003.03123;
       without the constant factor, which the next linear layer holds.
    """

    def __init__(self, n_radial: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.wavenumbers = nn.Parameter(torch.arange(1, n_radial + 1) * math.pi)

    def forward(self, distance: Tensor) -> Tensor:
        """Map distances (...) to (..., n_radial)."""
        x = distance[..., None] / self.cutoff
        phase = self.wavenumbers * x / math.pi
        # Second derivatives of torch.sinc have no end at zero.
        zero = phase == 0
        wave = torch.where(zero, 1.0, torch.sinc(torch.where(zero, 1.0, phase)))
        return polynomial_envelope(x) * (self.wavenumbers * wave)


#: Terms of the power series; enough for double precision wherever it is used.
_N_TERMS = 24


def spherical_bessel(order: int, x: Tensor) -> Tensor:
    """Spherical Bessel function of the first kind at non-negative x, differentiable.

    By its power series below ``order + 1``, where the recurrence in the order loses
    digits, and by that recurrence above.

    Parameters
    ----------
    order : int
        Order l, not negative.
    x : Tensor
        Arguments, at least 0.

    Returns
    -------
    Tensor
        Of the shape of `x`.
    """
    small = x < order + 1
    y = torch.where(small, x, 0.0)
    term = y**order / math.prod(range(1, 2 * order + 2, 2))
    series = term
    for k in range(1, _N_TERMS):
        term = term * (-y.square() / (2 * k * (2 * order + 2 * k + 1)))
        series = series + term
    y = torch.where(small, float(order + 1), x)
    below, value = y.cos() / y, y.sin() / y
    for l in range(order):
        below, value = value, (2 * l + 1) / y * value - below
    return torch.where(small, series, value)


def _bessel_zeros(n_orders: int, n_zeros: int) -> NDArray[np.float64]:
    """The first positive zeros (n_orders, n_zeros) of the spherical Bessel functions."""
    zeros = np.arange(1, n_zeros + n_orders) * np.pi
    rows = [zeros[:n_zeros]]
    for order in range(1, n_orders):
        # Between two zeros of one order lies one of the next.
        zeros = np.array([
            brentq(lambda x, order=order: spherical_jn(order, x), a, b, xtol=1e-13)
            for a, b in zip(zeros[:-1], zeros[1:], strict=True)
        ])  # fmt: skip
        rows.append(zeros[:n_zeros])
    return np.stack(rows)


class SphericalBasis(nn.Module):
    r"""Joint basis of a distance and an angle.

    .. math::
        a_{ln}(d, \alpha) = u(x) \sqrt{\frac{2}{j_{l+1}^2(z_{ln})}}\,
            j_l(z_{ln} x)\, Y_l^0(\alpha), \qquad x = d / c

    with the n-th zero :math:`z_{ln}` of the spherical Bessel function :math:`j_l` and the
    envelope :math:`u`.

    Parameters
    ----------
    n_spherical : int
        Number of angular orders, l = 0 ... n_spherical - 1.
    n_radial : int
        Number of waves of each order.
    cutoff : float
        Distance c at which they end, Å.

    References
    ----------
    .. [1] J. Gasteiger, J. Groß, S. Günnemann, Directional Message Passing for Molecular
       Graphs, ICLR 2020, equation 6, arXiv:2003.03123; in units of the cutoff.
    """

    zeros: Tensor
    norms: Tensor

    def __init__(self, n_spherical: int, n_radial: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        zeros = _bessel_zeros(n_spherical, n_radial)
        orders = np.arange(n_spherical)[:, None]
        radial = np.sqrt(2) / np.abs(spherical_jn(orders + 1, zeros))
        norms = radial * np.sqrt((2 * orders + 1) / (4 * np.pi))
        self.register_buffer("zeros", torch.tensor(zeros, dtype=torch.float32))
        self.register_buffer("norms", torch.tensor(norms, dtype=torch.float32))

    def radial(self, distance: Tensor) -> Tensor:
        """Radial part, distances (E,) to (E, n_spherical, n_radial)."""
        x = distance[:, None] / self.cutoff
        waves = [spherical_bessel(l, zeros * x) for l, zeros in enumerate(self.zeros)]
        return polynomial_envelope(x)[..., None] * self.norms * torch.stack(waves, dim=1)

    def angular(self, cosine: Tensor) -> Tensor:
        """Legendre polynomials, cosines (T,) of angles to (T, n_spherical)."""
        polynomials = [torch.ones_like(cosine), cosine]
        for l in range(1, len(self.zeros) - 1):
            above = ((2 * l + 1) * cosine * polynomials[l] - l * polynomials[l - 1]) / (l + 1)
            polynomials.append(above)
        return torch.stack(polynomials[: len(self.zeros)], dim=-1)

    def forward(self, distance: Tensor, cosine: Tensor, edge: Tensor) -> Tensor:
        """Basis (T, n_spherical * n_radial) of triplets.

        Parameters
        ----------
        distance : Tensor of shape (E,)
            Lengths of the edges.
        cosine : Tensor of shape (T,)
            Cosine of the angle of each triplet.
        edge : Tensor of shape (T,), int64
            The edge whose length counts in each triplet.
        """
        radial = self.radial(distance).index_select(0, edge)
        return (radial * self.angular(cosine)[..., None]).flatten(1)

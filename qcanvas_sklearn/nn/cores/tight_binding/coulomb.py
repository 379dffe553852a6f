"""Coulomb interaction of the charges of two shells, in Hartree atomic units.

Both forms go over into 1/R far away and into a mean of the hardnesses at R = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["damped_coulomb", "slater_coulomb"]

#: Relative difference to which equal exponents are spread: the closed form divides by it.
SPREAD = 0.02


def slater_coulomb(left: Tensor, right: Tensor, r: Tensor) -> Tensor:
    """Interaction of two spherical clouds ``exp(-τ r)`` of one electron, τ = 16/5 U.

    Parameters
    ----------
    left, right : Tensor
        Hardness U of both shells.
    r : Tensor
        Distance, larger than 0.

    Returns
    -------
    Tensor
        The interaction, of the common shape.

    References
    ----------
    M. Elstner et al., Phys. Rev. B 58, 7260 (1998), doi:10.1103/PhysRevB.58.7260.
    """
    mean, half = 1.6 * (left + right), 1.6 * (left - right)
    half = torch.sqrt(half**2 + (SPREAD / 2 * mean) ** 2)
    a, b = mean + half, mean - half

    def one(x: Tensor, y: Tensor) -> Tensor:
        gap = (x - y) * (x + y)
        slope = y**4 * x / (2 * gap**2)
        return torch.exp(-x * r) * (slope - (y**6 - 3 * y**4 * x**2) / (gap**3 * r))

    return 1 / r - one(a, b) - one(b, a)


def damped_coulomb(left: Tensor, right: Tensor, r: Tensor, order: Tensor) -> Tensor:
    """Interaction ``(R^k + η^-k)^(-1/k)`` with the harmonic mean η of the hardnesses.

    Parameters
    ----------
    left, right, r
        As in :func:`slater_coulomb`.
    order : Tensor
        k; the larger, the sooner 1/R is reached.

    Returns
    -------
    Tensor
        The interaction, of the common shape.

    References
    ----------
    G. Klopman, J. Am. Chem. Soc. 86, 4550 (1964), doi:10.1021/ja01075a008, with k = 2.
    """
    size = (1 / left + 1 / right) / 2
    return torch.exp(-torch.logaddexp(order * r.log(), order * size.log()) / order)

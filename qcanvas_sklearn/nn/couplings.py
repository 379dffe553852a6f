"""How tensors of two degrees make one of a third: blocks between orbitals from features."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .harmonics import spherical_harmonics

__all__ = ["Coupling", "TensorProduct", "coupled_degrees", "coupling"]


def coupled_degrees(l1: int, l2: int, highest: int) -> list[int]:
    """Degrees above 0 of the tensors that a block between degrees l1 and l2 is made of.

    Those of the block's own parity: the others would turn their sign in a mirror.
    """
    return [l for l in range(abs(l1 - l2), l1 + l2 + 1, 2) if 0 < l <= highest]


@lru_cache
def coupling(l1: int, l2: int, l: int) -> NDArray[np.float64]:
    """Integrals of three real harmonics over the sphere, (2 l1 + 1, 2 l2 + 1, 2 l + 1).

    They are zero but where l1 + l2 + l is even and no degree exceeds the sum of the others.
    Scaled so that tensors of norm 1 make blocks of norm 1.
    """
    # Exact: the product is a polynomial of degree l1 + l2 + l in the direction.
    order = l1 + l2 + l + 1
    height, weight = np.polynomial.legendre.leggauss(order)
    angle = 2 * np.pi * (np.arange(2 * order) + 0.5) / (2 * order)
    flat = np.sqrt(1 - height**2)[:, None]
    points = np.stack(
        [flat * np.cos(angle), flat * np.sin(angle), height[:, None] + 0 * angle], axis=-1
    )
    parts = [_harmonics(k, points.reshape(-1, 3)) for k in (l1, l2, l)]
    found = np.einsum("p,pa,pb,pc->abc", np.repeat(weight, 2 * order), *parts)
    found[np.abs(found) < 1e-12 * order] = 0.0
    norm = np.sqrt((found**2).sum() / (2 * l + 1))
    found = found / norm if norm > 0 else found
    found.flags.writeable = False
    return found


def _harmonics(l: int, points: NDArray[np.float64]) -> NDArray[np.float64]:
    if l == 0:
        return np.ones((len(points), 1))
    return spherical_harmonics(torch.tensor(points), l)[:, -(2 * l + 1) :].numpy()


class Coupling(nn.Module):
    """Tensors of degree l, one or more a line, as blocks between degrees l1 and l2.

    The integrals are rounded to the precision of the network that holds them, and taken
    anew where it changes: those of single precision would be wrong in double precision.

    Parameters
    ----------
    l1, l2, l : int
        Degrees.
    """

    integrals: Tensor

    def __init__(self, l1: int, l2: int, l: int) -> None:
        super().__init__()
        self.degrees = l1, l2, l
        exact = torch.tensor(coupling(*self.degrees))
        self.register_buffer("integrals", exact.to(torch.get_default_dtype()), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        super()._apply(fn, recurse)
        self.integrals = torch.tensor(coupling(*self.degrees)).to(self.integrals)
        return self

    def forward(self, tensors: Tensor) -> Tensor:
        """Map (..., 2 l + 1) to (..., 2 l1 + 1, 2 l2 + 1)."""
        return torch.einsum("...c,abc->...ab", tensors, self.integrals)


class TensorProduct(Coupling):
    """What of the product of tensors of degrees l1 and l2 is a tensor of degree l.

    Where l = l1 + l2, the symmetric part without traces.

    Parameters
    ----------
    l1, l2, l : int
        Degrees.
    """

    def forward(self, first: Tensor, second: Tensor) -> Tensor:  # type: ignore[override]
        """Map (n, 2 l1 + 1, k) and (n, 2 l2 + 1, k), channel by channel, to (n, 2 l + 1, k)."""
        products = first[:, :, None] * second[:, None]
        integrals = self.integrals.flatten(0, 1)
        return torch.einsum("npk,pc->nck", products.flatten(1, 2), integrals)

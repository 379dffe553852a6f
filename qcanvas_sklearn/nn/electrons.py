"""Electrons in the levels of matrices, and what is self-consistent, with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, gmres
from torch import Tensor

__all__ = ["filled_levels", "implicit_fixed_point"]

#: Levels (in units of the temperature) that are this far apart are full and empty.
_SHARP = 40.0
#: Levels (likewise) between which a difference quotient is a derivative.
_EQUAL = 1e-5
_BISECTIONS = 80
#: What is left of the linear equations of a gradient, beside their right-hand side.
_RESIDUAL = 1e-11


def filled_levels(
    matrices: Tensor, electrons: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Levels of symmetric matrices, filled with electrons at a temperature.

    Gradients of the density matrices are those of a function of the matrices [1]_,

    .. math::
        \mathrm{d}P = U \bigl[ F \circ U^\top \mathrm{d}H\, U \bigr] U^\top, \qquad
        F_{ij} = \frac{f_i - f_j}{\varepsilon_i - \varepsilon_j}

    at a fixed number of electrons: they have an end where levels are degenerate, which the
    gradients of single orbitals have not.

    Parameters
    ----------
    matrices : Tensor of shape (b, n, n)
        Symmetric.
    electrons : Tensor of shape (b,)
        How many there are, two at most in a level.
    temperature : float
        In the unit of the matrices. Where whole pairs are divided from empty levels by forty
        times as much, these are sharply filled.

    Returns
    -------
    levels : Tensor of shape (b, n)
        Ascending.
    occupations : Tensor of shape (b, n)
        Electrons in each; without gradients.
    densities : Tensor of shape (b, n, n)
        Density matrices.

    References
    ----------
    .. [1] R. Bhatia, Matrix Analysis, Springer (1997), section V.3.
    """
    return _FilledLevels.apply(matrices, electrons, temperature)


class _FilledLevels(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, matrices: Tensor, electrons: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        levels, vectors = torch.linalg.eigh(matrices)
        occupations, slopes = _fill(levels, electrons, temperature)
        densities = (vectors * occupations[:, None]) @ vectors.mT
        ctx.save_for_backward(levels, vectors, occupations, slopes)
        ctx.near = _EQUAL * temperature
        ctx.mark_non_differentiable(occupations)
        return levels, occupations, densities

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, of_levels: Tensor, _: Tensor, of_densities: Tensor
    ) -> tuple[Tensor, None, None]:
        levels, vectors, occupations, slopes = ctx.saved_tensors
        turned = vectors.mT @ (of_densities + of_densities.mT) @ vectors / 2
        gaps = levels[:, :, None] - levels[:, None]
        apart = gaps.abs() > ctx.near
        rise = occupations[:, :, None] - occupations[:, None]
        mean = (slopes[:, :, None] + slopes[:, None]) / 2
        turned = turned * torch.where(apart, rise / torch.where(apart, gaps, 1.0), mean)
        # The number of electrons is fixed: what lifts all levels does nothing.
        lost = turned.diagonal(dim1=1, dim2=2).sum(-1, keepdim=True)
        total = slopes.sum(-1, keepdim=True)
        shared = torch.where(total < 0, slopes / torch.where(total < 0, total, 1.0), 0.0)
        turned = turned + torch.diag_embed(of_levels - shared * lost)
        return vectors @ turned @ vectors.mT, None, None


def _fill(levels: Tensor, electrons: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Electrons of each level, and how they change as it rises."""
    n = levels.shape[1]
    pairs = torch.div(electrons, 2, rounding_mode="floor").to(torch.int64)[:, None]
    sharp = (torch.arange(n, device=levels.device) < pairs) * 2.0
    below = levels.gather(1, (pairs - 1).clamp(min=0))
    above = levels.gather(1, pairs.clamp(max=n - 1))
    edge = (pairs == 0) | (pairs == n) | (above - below > _SHARP * temperature)
    is_sharp = edge & (electrons[:, None] == 2 * pairs)
    low = levels[:, :1] - 50 * temperature
    high = levels[:, -1:] + 50 * temperature
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        few = _fermi(levels, middle, temperature).sum(1, keepdim=True) < electrons[:, None]
        low, high = torch.where(few, middle, low), torch.where(few, high, middle)
    soft = _fermi(levels, (low + high) / 2, temperature)
    slopes = -soft * (2 - soft) / (2 * temperature)
    return torch.where(is_sharp, sharp, soft), torch.where(is_sharp, 0.0, slopes)


def _fermi(levels: Tensor, potential: Tensor, temperature: float) -> Tensor:
    return 2 * torch.sigmoid((potential - levels) / temperature)


def implicit_fixed_point(function: Callable[[Tensor], Tensor], solution: Tensor) -> Tensor:
    r"""The solution of x = f(x), with its gradients by what else f depends on.

    With the derivative J of f at the solution the gradient is that of f times
    :math:`(1 - J)^{-\top}`, found by iteration (GMRES); how the solution was found does not
    matter, and nothing of it is kept.

    Parameters
    ----------
    function : callable
        Maps (k,) to (k,).
    solution : Tensor of shape (k,)
        What it maps to itself.

    Returns
    -------
    Tensor of shape (k,)
        The function at the solution.
    """
    value = function(solution.detach())
    if not value.requires_grad:
        return value
    at = value.detach().requires_grad_()
    again = function(at)

    def without_feedback(flat: np.ndarray) -> np.ndarray:
        vector = torch.as_tensor(flat, dtype=at.dtype, device=at.device)
        (back,) = torch.autograd.grad(again, at, vector, retain_graph=True)
        return (vector - back).cpu().numpy()

    def through(gradient: Tensor) -> Tensor:
        operator = LinearOperator((len(at), len(at)), matvec=without_feedback, dtype=np.float64)
        right = gradient.detach().cpu().numpy().astype(np.float64)
        found, left = gmres(operator, right, rtol=_RESIDUAL, atol=0.0, restart=200, maxiter=5)
        if left:
            raise RuntimeError(
                "the gradient of the self-consistent charges was not found: the linear "
                "equations did not converge"
            )
        return torch.as_tensor(found, dtype=gradient.dtype, device=gradient.device)

    value.register_hook(through)
    return value

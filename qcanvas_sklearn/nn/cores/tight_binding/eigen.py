"""The generalised eigenproblem ``H C = S C e`` as a differentiable layer.

Levels are differentiated by Hellmann and Feynman, functions of the whole spectrum by
divided differences, so that degenerate levels are no special case: neither needs the
derivative of a single eigenvector.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = [
    "BOLTZMANN_EV",
    "Filling",
    "density_matrices",
    "entropy",
    "fermi_filling",
    "generalized_eigh",
    "levels",
    "symmetric_eigh",
]

#: Boltzmann's constant in eV/K (exact in the SI).
BOLTZMANN_EV = 8.617333262e-5
#: Of the search for a chemical potential.
NEWTON_STEPS = 5


@torch.no_grad()
def generalized_eigh(hamiltonian: Tensor, overlap: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a batch of symmetric definite pencils.

    Parameters
    ----------
    hamiltonian, overlap : Tensor of shape (n, k, k)
        Symmetric; `overlap` is positive definite.

    Returns
    -------
    energies : Tensor of shape (n, k)
        In ascending order. They carry no gradient; see :func:`levels`.
    vectors : Tensor of shape (n, k, k)
        In columns, with ``Cᵀ S C = 1``.
    """
    lower = torch.linalg.cholesky(overlap)
    half = torch.linalg.solve_triangular(lower, hamiltonian, upper=False)
    reduced = torch.linalg.solve_triangular(lower, half.mT, upper=False)
    energies, vectors = symmetric_eigh(reduced)
    return energies, torch.linalg.solve_triangular(lower.mT, vectors, upper=True)


def symmetric_eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenpairs of the symmetric part of a batch (n, k, k), without gradients."""
    matrix = (matrix + matrix.mT) / 2
    return _rotation(matrix) if matrix.shape[-1] == 2 else torch.linalg.eigh(matrix)


def _rotation(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenpairs of symmetric 2 × 2 matrices: one rotation each."""
    a, b, c = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    mean, half = (a + c) / 2, torch.hypot((a - c) / 2, b)
    angle = torch.atan2(2 * b, a - c) / 2
    cos, sin = angle.cos(), angle.sin()
    upper, lower = torch.stack([cos, sin], dim=-1), torch.stack([-sin, cos], dim=-1)
    return torch.stack([mean - half, mean + half], -1), torch.stack([lower, upper], -1)


def levels(hamiltonian: Tensor, overlap: Tensor, energies: Tensor, vectors: Tensor) -> Tensor:
    """The energies once more, differentiable: ``de = Cᵀ (dH - e dS) C``.

    Parameters
    ----------
    hamiltonian, overlap, energies, vectors : Tensor
        A pencil and what :func:`generalized_eigh` says of it.

    Returns
    -------
    Tensor of shape (n, k)
        Equal to `energies`.
    """
    h = (vectors * (hamiltonian @ vectors)).sum(dim=1)
    s = (vectors * (overlap @ vectors)).sum(dim=1)
    return h - energies * (s - 1)


class Filling(NamedTuple):
    """Fermi filling of both spins.

    Attributes
    ----------
    mu : Tensor of shape (n, 2)
        Chemical potential of each spin in eV.
    occupations : Tensor of shape (n, k)
        Electrons per orbital, 0 to 2.
    """

    mu: Tensor
    occupations: Tensor


def fermi_filling(
    energies: Tensor, weights: Tensor, electrons: Tensor, kt: float | Tensor
) -> Filling:
    """Fill levels with as many electrons of each spin as there are.

    The chemical potential is differentiated implicitly.

    Parameters
    ----------
    energies : Tensor of shape (n, k)
        Levels in eV.
    weights : Tensor of shape (k,)
        Orbitals per level: 1 for σ, 2 for π, δ and φ.
    electrons : Tensor of shape (n, 2)
        Electrons of each spin.
    kt : float or Tensor
        Electronic temperature times k_B in eV.

    Returns
    -------
    Filling
        Chemical potentials and occupations.
    """
    with torch.no_grad():
        mu = _chemical_potential(energies, weights, electrons, kt)
        spin = torch.sigmoid((mu[..., None] - energies[:, None]) / kt)
        slope = weights * spin * (1 - spin) / kt
        response = slope / slope.sum(-1, keepdim=True).clamp_min(1e-9 / kt)
    mu = mu + (response * (energies - energies.detach())[:, None]).sum(-1)
    occupations = torch.sigmoid((mu[..., None] - energies[:, None]) / kt).sum(1)
    return Filling(mu, occupations)


def _chemical_potential(
    energies: Tensor, weights: Tensor, electrons: Tensor, kt: float | Tensor
) -> Tensor:
    """Where as many electrons are above the edge of the cold filling as are missing below.

    The logarithm of their ratio is almost linear in the potential, however cold: Newton's
    steps converge to the last bits in four. Exponentials are taken relative to the edges, so
    that none of them vanishes.
    """
    e, order = energies.sort(dim=-1)
    e, w = e[:, None], weights[order][:, None]
    below = (electrons[..., None] - w.cumsum(-1) + w).clamp_min(0.0).minimum(w)
    share = torch.stack([w - below, below])
    reach = 40 * kt
    lumo = torch.where(share[0] > 0, e, torch.inf).amin(-1).minimum(e[..., -1] + reach + 1.0)
    homo = torch.where(share[1] > 0, e, -torch.inf).amax(-1).maximum(e[..., 0] - reach - 1.0)
    edge = torch.stack([lumo, -homo])
    far = torch.stack([e.expand_as(below), -e.expand_as(below)]) - edge[..., None]
    far = (far / kt).exp().clamp_min(1.0)
    # Nothing to be emptied, or to be filled, is still something to divide by.
    share = share.clamp_min(1e-300)
    mu, low, high = (homo + lumo) / 2, homo - reach, lumo + reach
    for _ in range(NEWTON_STEPS):
        depth = (torch.stack([mu, -mu]) - edge) / kt
        near = depth.exp()
        sums = far + near[..., None]
        parts = share / sums
        count = parts.sum(-1)
        slope = (1 - near * (parts / sums).sum(-1) / count).sum(0)
        excess = depth + count.log()
        excess = excess[0] - excess[1]
        low, high = torch.where(excess > 0, low, mu), torch.where(excess > 0, mu, high)
        trial = mu - kt * excess / slope
        mu = torch.where((trial < low) | (trial > high), (low + high) / 2, trial)
    return mu


def entropy(energies: Tensor, weights: Tensor, mu: Tensor, kt: float) -> Tensor:
    """T S of the filling in eV.

    Parameters
    ----------
    energies, weights, kt
        As in :func:`fermi_filling`.
    mu : Tensor of shape (n, 2)
        Chemical potentials.

    Returns
    -------
    Tensor of shape (n,)
        Never negative.
    """
    spin = torch.sigmoid((mu[..., None] - energies[:, None]) / kt)
    each = -(torch.xlogy(spin, spin) + torch.xlogy(1 - spin, 1 - spin)).sum(1)
    return kt * (weights * each).sum(-1)


class _Density(torch.autograd.Function):
    """``P = C f(e) Cᵀ`` and ``W = C e f(e) Cᵀ`` of H, S and μ.

    With δh = Cᵀ δH C and δs = Cᵀ δS C, a function of the spectrum changes by
    ``C (F ∘ δh - G ∘ δs) Cᵀ``, F and G the divided differences of φ(e) and e φ(e).
    """

    @staticmethod
    def forward(
        ctx: Any, h: Tensor, s: Tensor, mu: Tensor, energies: Tensor, vectors: Tensor,
        kt: float | Tensor,
    ) -> tuple[Tensor, Tensor]:
        spin = torch.sigmoid((mu[..., None] - energies[:, None]) / kt)
        f = spin.sum(1)
        ctx.save_for_backward(energies, vectors, spin)
        ctx.kt = kt
        scaled = vectors * f[:, None]
        return scaled @ vectors.mT, (scaled * energies[:, None]) @ vectors.mT

    @staticmethod
    def backward(ctx: Any, grad_p: Tensor, grad_w: Tensor) -> tuple[Tensor | None, ...]:
        e, vectors, spin = ctx.saved_tensors
        f, slope = spin.sum(1), spin * (1 - spin) / ctx.kt
        symmetric = lambda g: vectors.mT @ (g + g.mT) @ vectors / 2  # noqa: E731
        p, w = symmetric(grad_p), symmetric(grad_w)
        gap = e[:, :, None] - e[:, None]
        near = gap.abs() < 1e-5 * ctx.kt
        drop = -slope.sum(1)
        first = torch.where(
            near, (drop[:, :, None] + drop[:, None]) / 2,
            (f[:, :, None] - f[:, None]) / torch.where(near, 1.0, gap),
        )  # fmt: skip
        mean = lambda x: (x[:, :, None] + x[:, None]) / 2  # noqa: E731
        second = first * mean(e) + mean(f)
        third = second * mean(e) + mean(e * f)
        grad_h = vectors @ (first * p + second * w) @ vectors.mT
        grad_s = -vectors @ (second * p + third * w) @ vectors.mT
        along = p.diagonal(dim1=1, dim2=2) + e * w.diagonal(dim1=1, dim2=2)
        return grad_h, grad_s, (slope * along[:, None]).sum(-1), None, None, None


def density_matrices(
    hamiltonian: Tensor,
    overlap: Tensor,
    mu: Tensor,
    energies: Tensor,
    vectors: Tensor,
    kt: float | Tensor,
) -> tuple[Tensor, Tensor]:
    """Density matrix and energy-weighted density matrix of one block, differentiable.

    Parameters
    ----------
    hamiltonian, overlap : Tensor of shape (n, k, k)
        The pencil.
    mu : Tensor of shape (n, 2)
        Chemical potentials of both spins in eV.
    energies, vectors : Tensor
        From :func:`generalized_eigh`.
    kt : float or Tensor
        Electronic temperature times k_B in eV.

    Returns
    -------
    density, weighted : Tensor of shape (n, k, k)
        ``C f Cᵀ`` and ``C e f Cᵀ``.
    """
    return _Density.apply(hamiltonian, overlap, mu, energies, vectors, kt)

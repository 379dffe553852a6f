"""Two-centre overlaps between Gaussians with solid harmonics, in closed form.

An orbital about the bond (the z axis) is ``r^l Y_lm exp(-a r²)``. Written as a polynomial
in z and ρ² times ``ρ^m cos(mφ)``, its overlap with one of the same m on another centre of
the axis is a sum of products of moments of one-dimensional Gaussians: a polynomial in the
distance times a Gaussian of it, smooth everywhere. The polynomials are worked out once.
"""

from __future__ import annotations

from math import comb, factorial, perm, pi

import torch
from torch import Tensor, nn

__all__ = ["GaussianBasis", "integral_list", "integral_shells"]


def integral_list(l_max: int) -> list[tuple[int, int, int]]:
    """Two-centre integrals ``(m, l_a, l_b)``, ordered by m, then l_a, then l_b.

    Parameters
    ----------
    l_max : int
        Largest angular momentum.

    Returns
    -------
    list of (int, int, int)
        m = 0 is σ, 1 is π, 2 is δ, 3 is φ.

    Examples
    --------
    >>> integral_list(1)
    [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 1, 1)]
    """
    return [
        (m, a, b)
        for m in range(l_max + 1)
        for a in range(m, l_max + 1)
        for b in range(m, l_max + 1)
    ]


def integral_shells(l_max: int) -> tuple[Tensor, Tensor]:
    """Shells of the first and of the second atom in each of the integrals."""
    _, first, second = torch.tensor(integral_list(l_max)).unbind(1)
    return first, second


def _harmonic(l: int, m: int) -> dict[tuple[int, int], float]:
    """Coefficients of ``z^i ρ^(2j)`` in ``r^l Y_lm / (ρ^m cos mφ)``, up to a factor."""
    terms: dict[tuple[int, int], float] = {}
    for k in range((l - m) // 2 + 1):
        legendre = (-1) ** k * comb(l, k) * comb(2 * l - 2 * k, l) * perm(l - 2 * k, m)
        for j in range(k + 1):
            power = (l - m - 2 * j, j)
            terms[power] = terms.get(power, 0.0) + legendre * comb(k, j)
    return terms


class GaussianBasis(nn.Module):
    """Normalised primitive Gaussians that all elements share.

    Parameters
    ----------
    l_max : int
        Largest angular momentum, 0 to 3.
    n_gaussians : int, default=9
        Number of exponents.
    smallest : float, default=0.025
        Smallest exponent in bohr⁻²; each next one is twice as large.

    Attributes
    ----------
    exponents : Tensor of shape (n_gaussians,)
        Exponents in bohr⁻².
    same_centre : Tensor of shape (l_max + 1, n_gaussians, n_gaussians)
        Overlaps between primitives of equal l on one centre.
    """

    exponents: Tensor
    same_centre: Tensor
    _decay: Tensor
    _values: Tensor
    _slopes: Tensor

    def __init__(self, l_max: int, n_gaussians: int = 9, smallest: float = 0.025) -> None:
        super().__init__()
        self.l_max = l_max
        exponents = smallest * 2.0 ** torch.arange(n_gaussians, dtype=torch.float64)
        self.register_buffer("exponents", exponents, persistent=False)
        self.integrals = integral_list(l_max)
        alpha, beta = self.exponents[:, None], self.exponents[None]
        decay = alpha * beta / (alpha + beta)
        self.register_buffer("_decay", decay, persistent=False)
        polynomials = self._polynomials()
        norms = torch.ones(l_max + 1, l_max + 1, n_gaussians, dtype=torch.float64)
        for q, (m, a, b) in enumerate(self.integrals):
            if a == b:
                norms[m, a] = polynomials[0, q].diagonal().rsqrt()
        scale = [norms[m, a][:, None] * norms[m, b][None] for m, a, b in self.integrals]
        values = polynomials * torch.stack(scale)
        self.register_buffer("_values", values, persistent=False)
        self.register_buffer("_slopes", self._differentiated(values), persistent=False)
        sigma = [self.integrals.index((0, l, l)) for l in range(l_max + 1)]
        self.register_buffer("same_centre", values[0, sigma], persistent=False)

    def overlaps(self, distance: Tensor) -> Tensor:
        """Overlaps between primitives whose centres are apart.

        Parameters
        ----------
        distance : Tensor of shape (n,)
            Distances in bohr, from atom a up to atom b on the z axis.

        Returns
        -------
        Tensor of shape (n, n_integrals, n_gaussians, n_gaussians)
            Rows are Gaussians of atom a, columns of atom b, in the order of
            :func:`integral_list`.
        """
        return self._evaluated(self._values, distance)

    def slopes(self, distance: Tensor) -> Tensor:
        """Derivatives of :meth:`overlaps` by the distance, per bohr and of the same shape."""
        return self._evaluated(self._slopes, distance)

    def _evaluated(self, polynomials: Tensor, distance: Tensor) -> Tensor:
        r = distance[:, None]
        powers = r ** torch.arange(len(polynomials), device=r.device)
        flat = powers @ polynomials.flatten(1).to(distance)
        envelope = torch.exp(-self._decay.to(distance) * r[..., None] ** 2)
        return flat.view(-1, *polynomials.shape[1:]) * envelope[:, None]

    def _polynomials(self) -> Tensor:
        """Coefficients of R^0, R^1, … of every integral, not normalised."""
        alpha, beta = self.exponents[:, None], self.exponents[None]
        total = alpha + beta
        moments = _moments(beta / total, -alpha / total, 0.5 / total, self.l_max)
        harmonics = {(l, m): _harmonic(l, m) for m, l, _ in self.integrals}
        out = []
        for m, a, b in self.integrals:
            value = torch.zeros_like(moments[0, 0])
            for (i, j), left in harmonics[a, m].items():
                for (k, n), right in harmonics[b, m].items():
                    across = factorial(m + j + n) / total ** (m + j + n)
                    value = value + left * right * across * moments[i, k]
            out.append(value * (pi / total) ** 1.5)
        return torch.stack(out, dim=1)

    def _differentiated(self, values: Tensor) -> Tensor:
        """Polynomials of the derivatives of polynomials times ``exp(-decay R²)``."""
        powers = torch.arange(len(values), dtype=values.dtype)
        out = values.new_zeros(len(values) + 1, *values.shape[1:])
        out[:-2] += powers[1:, None, None, None] * values[1:]
        out[1:] -= 2 * self._decay * values
        return out


def _moments(
    a: Tensor, b: Tensor, variance: Tensor, order: int
) -> dict[tuple[int, int], Tensor]:
    """Mean of ``(x + a R)^i (x + b R)^j`` over a Gaussian x, by the recursion in i and j.

    Coefficients of R^0 to R^(2 order), along the first axis.
    """

    def times_r(factor: Tensor, polynomial: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(polynomial[:1]), factor * polynomial[:-1]])

    one = a.new_zeros(2 * order + 1, *a.shape)
    one[0] = 1.0
    out = {(0, 0): one}
    for i in range(order + 1):
        for j in range(order + 1):
            if i:
                value = times_r(a, out[i - 1, j])
                value = value + variance * (i - 1) * out[i - 2, j] if i > 1 else value
                value = value + variance * j * out[i - 1, j - 1] if j else value
                out[i, j] = value
            elif j:
                value = times_r(b, out[0, j - 1])
                out[0, j] = value + variance * (j - 1) * out[0, j - 2] if j > 1 else value
    return out

"""Overlaps of solid-harmonic Gaussians, by a quadrature that is exact for them."""

import numpy as np

from qcanvas_sklearn.hamiltonians import Basis
from qcanvas_sklearn.hamiltonians._harmonics import solid_harmonics

_X, _W = np.polynomial.hermite.hermgauss(8)
_POINTS = np.stack(np.meshgrid(_X, _X, _X, indexing="ij"), axis=-1).reshape(-1, 3)
_WEIGHTS = (_W[:, None, None] * _W[:, None] * _W).reshape(-1)


def gaussian_overlap(z, positions, shells):
    """Overlap matrix in canonical order; the widths depend on l, the shell and z."""
    basis = Basis(shells)
    functions = [
        (center, l, 0.25 + 0.1 * l + 0.17 * k + 0.01 * element)
        for element, center in zip(z, np.asarray(positions, float), strict=True)
        for k, l in enumerate(basis.shells(int(element)))
    ]
    rows = []
    for a, l, alpha in functions:
        row = []
        for b, k, beta in functions:
            total = alpha + beta
            middle = (alpha * a + beta * b) / total
            points = middle + _POINTS / np.sqrt(total)
            left, right = solid_harmonics(l, points - a), solid_harmonics(k, points - b)
            factor = np.exp(-alpha * beta / total * ((a - b) ** 2).sum()) / total**1.5
            row.append(factor * np.einsum("p,pi,pj->ij", _WEIGHTS, left, right))
        rows.append(np.concatenate(row, axis=1))
    matrix = np.concatenate(rows)
    matrix = (matrix + matrix.T) / 2
    norm = 1 / np.sqrt(np.diag(matrix))
    return matrix * norm[:, None] * norm

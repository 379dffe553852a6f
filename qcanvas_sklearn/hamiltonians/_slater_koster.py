"""Blocks between the shells of two atoms from their integrals along the bond, and back.

A two-centre matrix is diagonal in m where the bond lies along z, and equal for m and -m.
As a function of the direction u of the bond, a block is then a sum of the real harmonics of
u up to degree l₁ + l₂: polynomials, without a frame to choose and smooth in all directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._basis import LETTERS
from ._harmonics import bond_frames, rotation, solid_harmonics

__all__ = [
    "along_bond",
    "bond_integrals",
    "integral_names",
    "offsets",
    "sk_coefficients",
    "slater_koster",
]

_GREEK = "σπδφγηι"


def integral_names(l1: int, l2: int) -> list[str]:
    """Names of the integrals between two shells, by |m|: ``["ppσ", "ppπ"]``."""
    return [LETTERS[l1] + LETTERS[l2] + _GREEK[m] for m in range(min(l1, l2) + 1)]


@lru_cache
def along_bond(l1: int, l2: int) -> NDArray[np.float64]:
    """Blocks of a bond along z for an integral of 1 each, shape (n, 2 l1 + 1, 2 l2 + 1)."""
    blocks = np.zeros((min(l1, l2) + 1, 2 * l1 + 1, 2 * l2 + 1))
    for m in range(len(blocks)):
        blocks[m, [l1 - m, l1 + m], [l2 - m, l2 + m]] = 1.0
    blocks.flags.writeable = False
    return blocks


def _even_harmonics(l1: int, l2: int, directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Harmonics of degree \\|l1 - l2\\|, ..., l1 + l2 in steps of two, shape (p, k)."""
    degrees = range(abs(l1 - l2), l1 + l2 + 1, 2)
    return np.concatenate([solid_harmonics(l, directions) for l in degrees], axis=-1)


@lru_cache
def sk_coefficients(l1: int, l2: int) -> NDArray[np.float64]:
    """Of the harmonics in the elements of a block, shape (n * k, (2 l1 + 1) * (2 l2 + 1))."""
    # Of many directions of any kind, blocks that are turned there determine them.
    n_terms = sum(2 * l + 1 for l in range(abs(l1 - l2), l1 + l2 + 1, 2))
    directions = np.random.default_rng(0).normal(size=(4 * n_terms, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    frames = bond_frames(directions)
    turned = np.einsum(
        "pia,nij,pjb->pnab", rotation(l1, frames), along_bond(l1, l2), rotation(l2, frames)
    )
    harmonics = _even_harmonics(l1, l2, directions)
    found = np.linalg.lstsq(harmonics, turned.reshape(len(harmonics), -1), rcond=None)[0]
    found[np.abs(found) < 1e-12] = 0.0
    by_integral = found.reshape(n_terms, turned.shape[1], -1).transpose(1, 0, 2)
    coefficients = np.ascontiguousarray(by_integral.reshape(-1, by_integral.shape[-1]))
    coefficients.flags.writeable = False
    return coefficients


def slater_koster(
    l1: int, l2: int, integrals: NDArray[np.float64], directions: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Blocks between shells of two atoms in the axes of the molecule.

    Parameters
    ----------
    l1, l2 : int
        Angular momenta of the shells of the first and the second atom.
    integrals : ndarray of shape (p, min(l1, l2) + 1)
        Along the bond, by |m|: σ, π, δ, ...
    directions : ndarray of shape (p, 3)
        Unit vectors from the first atom to the second.

    Returns
    -------
    ndarray of shape (p, 2 l1 + 1, 2 l2 + 1)
        The orbitals of a shell in the order m = -l, ..., l.

    References
    ----------
    .. [1] J. C. Slater, G. F. Koster, Phys. Rev. 94, 1498 (1954),
       doi:10.1103/PhysRev.94.1498.

    Examples
    --------
    A σ bond of two p shells along x, in the order y, z, x:

    >>> import numpy as np
    >>> from qcanvas_sklearn.hamiltonians._slater_koster import slater_koster
    >>> block = slater_koster(1, 1, np.array([[1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]))
    >>> block[0].round(12) + 0.0
    array([[0., 0., 0.],
           [0., 0., 0.],
           [0., 0., 1.]])
    """
    harmonics = _even_harmonics(l1, l2, directions)
    terms = (integrals[:, :, None] * harmonics[:, None]).reshape(len(harmonics), -1)
    return (terms @ sk_coefficients(l1, l2)).reshape(-1, 2 * l1 + 1, 2 * l2 + 1)


def bond_integrals(l1: int, l2: int, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integrals along the bond from blocks of bonds along z.

    Parameters
    ----------
    l1, l2 : int
        Angular momenta of the shells.
    blocks : ndarray of shape (p, 2 l1 + 1, 2 l2 + 1)
        The second atom above the first.

    Returns
    -------
    ndarray of shape (p, min(l1, l2) + 1)

    Raises
    ------
    ValueError
        If a block is not that of two centres alone, to 1e-8 of its largest element.
    """
    units = along_bond(l1, l2)
    counts = (units**2).sum(axis=(1, 2))
    integrals = np.einsum("pab,nab->pn", blocks, units) / counts
    left = np.abs(blocks - np.einsum("pn,nab->pab", integrals, units)).max(initial=0.0)
    if left > 1e-8 * max(np.abs(blocks).max(initial=0.0), 1.0):
        raise ValueError(
            f"a block of {LETTERS[l1]} and {LETTERS[l2]} orbitals along z is not of "
            f"two-centre form: {left:.2g} of it depends on the sign of m or mixes them"
        )
    return integrals


def offsets(shells: Sequence[int]) -> list[int]:
    """First orbital of each shell of an atom, and the number of all."""
    return np.cumsum([0, *(2 * l + 1 for l in shells)]).tolist()

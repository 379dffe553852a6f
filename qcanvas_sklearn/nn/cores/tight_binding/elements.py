"""Where the parameters of the elements start: tables of free atoms, no method's parameters.

Every table is indexed by atomic number, as in :mod:`qcanvas_sklearn.elements`; row 0 is
unused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ....elements import MAX_Z, block_letters, property_values
from .gaussians import GaussianBasis

__all__ = ["BOHR_PER_ANGSTROM", "ElementTables", "radial_coefficients", "shells_of"]

#: Bohr radii in one Å (CODATA 2018).
BOHR_PER_ANGSTROM = 1.889726124626
_SHELLS = ("valence_s", "valence_p", "valence_d", "valence_f")
_NUMERIC = (
    "electronegativity_pauling", "covalent_radius_ang", "ionization_energy_ev",
    "electron_affinity_ev", "pettifor_number", "period", "group", *_SHELLS,
)  # fmt: skip


def _table(name: str) -> NDArray[np.float64]:
    """A property with the mean of the elements in place of missing values; 0 at Z = 0."""
    values = property_values(name)[1:].astype(float)
    return np.concatenate([[0.0], np.where(np.isnan(values), np.nanmean(values), values)])


def shells_of(
    z: ArrayLike | None = None, shell_populations: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Which shells the elements have in a set of pairs.

    Parameters
    ----------
    z : array-like of int, shape (n, 2), optional
        Atomic numbers.
    shell_populations : array-like of shape (n, 2, 4), optional
        Electrons in s, p, d, f. A shell that holds none in any pair is absent.

    Returns
    -------
    ndarray of bool, shape (104, 4)
        Elements that do not occur have the shells that are usual in a minimal valence
        basis: s; p from Li on; d in the d block, from Al to Kr, and in heavier noble gases,
        whose pairs would have no empty orbital else; f in the f block. A shell that no given
        element has is left out.

    Examples
    --------
    >>> shells_of()[[1, 6, 26]].astype(int).tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    """
    number = np.arange(MAX_Z + 1)
    block, period = block_letters(), np.nan_to_num(property_values("period"))
    group = np.nan_to_num(property_values("group"))
    usual = np.zeros((MAX_Z + 1, 4), dtype=bool)
    usual[1:, 0] = True
    usual[3:, 1] = True
    usual[:, 2] = (block == "d") | (block == "f")
    usual[:, 2] |= (group >= 13) & np.isin(period, (3, 4)) & (number > 13)
    usual[:, 2] |= (group == 18) & (period > 4)
    usual[:, 3] = property_values(_SHELLS[3]) > 0
    if z is None or shell_populations is None:
        return usual
    z, populations = np.asarray(z), np.nan_to_num(np.asarray(shell_populations, dtype=float))
    present = np.zeros_like(usual)
    np.logical_or.at(present, z.ravel(), np.abs(populations).reshape(-1, 4) > 1e-8)
    seen = np.unique(z)
    usual &= present.any(axis=0)
    usual[seen] = present[seen]
    usual[1:, 0] = True
    return usual


@dataclass(frozen=True)
class ElementTables:
    """Free-atom tables from which a tight-binding model starts.

    Attributes
    ----------
    shells : Tensor of shape (104, l_max + 1)
        1 where an element has the shell, else 0.
    reference : Tensor of shape (104, l_max + 1)
        Electrons by shell of the neutral free atom.
    onsite : Tensor of shape (104, l_max + 1)
        Energies of the shells in eV, up to one factor that all elements share.
    hardness : Tensor of shape (104,)
        I - A in eV.
    radius : Tensor of shape (104,)
        Covalent radius in bohr.
    features : Tensor of shape (104, k)
        Standardised descriptors for networks.
    """

    shells: Tensor
    reference: Tensor
    onsite: Tensor
    hardness: Tensor
    radius: Tensor
    features: Tensor

    @classmethod
    def build(cls, shells: ArrayLike, electrons: ArrayLike | None = None) -> ElementTables:
        """Tables for given shells.

        Parameters
        ----------
        shells : array-like of bool, shape (104, 4)
            From :func:`shells_of`.
        electrons : array-like of shape (104,), optional
            Valence electrons of the neutral atoms; NaN, and by default all, for the
            table's. The difference goes to the highest shell that can hold it.
        """
        shells = np.asarray(shells, dtype=bool)
        l_max = int(np.flatnonzero(shells.any(axis=0)).max())
        mask = shells[:, : l_max + 1]
        as_tensor = lambda x: torch.as_tensor(np.asarray(x, dtype=np.float64))  # noqa: E731
        hardness = _table("ionization_energy_ev") - np.maximum(
            _table("electron_affinity_ev"), 0
        )
        return cls(
            shells=as_tensor(mask),
            reference=as_tensor(_reference(mask, electrons)),
            onsite=as_tensor(_onsite(l_max)),
            hardness=as_tensor(np.maximum(hardness, 1.0)),
            radius=as_tensor(_table("covalent_radius_ang") * BOHR_PER_ANGSTROM),
            features=as_tensor(_features()),
        )


def _reference(mask: NDArray[np.bool_], electrons: ArrayLike | None) -> NDArray[np.float64]:
    free = np.stack([_table(name) for name in _SHELLS], axis=1)
    total = free.sum(axis=1)
    if electrons is not None:
        given = np.asarray(electrons, dtype=float)
        total = np.where(np.isfinite(given), given, total)
    room = mask * (4.0 * np.arange(mask.shape[1]) + 2)
    reference = np.minimum(free[:, : mask.shape[1]], room)
    # Electrons beyond the table's fill the shells from d and f down; missing ones leave so.
    for l in reversed(range(mask.shape[1])):
        missing = total - reference.sum(axis=1)
        reference[:, l] = np.clip(reference[:, l] + missing, 0.0, room[:, l])
    return reference


def _onsite(l_max: int) -> NDArray[np.float64]:
    """Shell energies: the ionization energy times a factor of the block and the shell."""
    ionization = _table("ionization_energy_ev")
    block, d_electrons = block_letters(), _table("valence_d")
    factors = np.zeros((MAX_Z + 1, 4))
    factors[block == "s"] = (1.0, 0.4, 0.1, 0.0)
    factors[block == "p"] = (2.3, 1.0, 0.1, 0.0)
    inner = (block == "d") | (block == "f")
    factors[inner] = (1.15, 0.3, 0.8, 1.0)
    factors[inner, 2] += 0.06 * d_electrons[inner]
    return -(factors * ionization[:, None])[:, : l_max + 1]


def _features() -> NDArray[np.float64]:
    columns = [_table(name) for name in _NUMERIC]
    columns += [
        np.log(np.maximum(_table("polarizability_au"), 0.5)),
        1.0 / (1 + np.arange(104)),
    ]
    columns += [(block_letters() == letter).astype(float) for letter in "spd"]
    features = np.stack(columns, axis=1)[1:]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.concatenate([np.zeros((1, features.shape[1])), features])


def radial_coefficients(tables: ElementTables, basis: GaussianBasis) -> Tensor:
    """Expansion of Slater functions of the atoms' size in the shared Gaussians.

    Parameters
    ----------
    tables : ElementTables
        Tables of the elements.
    basis : GaussianBasis
        The Gaussians.

    Returns
    -------
    Tensor of shape (104, l_max + 1, n_gaussians)
        Coefficients of normalised orbitals. ``r R(r)`` is largest near the covalent
        radius, for d and f shells of the d and f blocks at half of it.
    """
    radius = tables.radius.numpy()
    inner = (block_letters() == "d") | (block_letters() == "f")
    r = np.linspace(0.02, 25.0, 700)
    alpha = basis.exponents.numpy()
    out = np.zeros((MAX_Z + 1, basis.l_max + 1, len(alpha)))
    for l in range(basis.l_max + 1):
        primitives = r[:, None] ** l * np.exp(-alpha * r[:, None] ** 2)
        primitives = primitives * alpha ** ((2 * l + 3) / 4) * r[:, None]
        gram = primitives.T @ primitives
        for z in range(1, MAX_Z + 1):
            power = 1 if l == 0 and z > 2 else l
            peak = max(radius[z], 0.8) * (0.5 if l > 1 and inner[z] else 1.0)
            shape = r ** (power + 1) * np.exp(-(power + 1) / peak * r)
            out[z, l] = np.linalg.solve(
                gram + 1e-5 * np.trace(gram) * np.eye(len(alpha)), primitives.T @ shape
            )
    coefficients = torch.as_tensor(out)
    coefficients[0] = coefficients[1]
    norm = torch.einsum("zlk,lkj,zlj->zl", coefficients, basis.same_centre, coefficients)
    return coefficients / norm.sqrt()[..., None]

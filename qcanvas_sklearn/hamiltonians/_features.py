"""Numbers that describe the electrons of a molecule, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import SYMBOLS, symbols
from ..targets import DEBYE_PER_E_ANGSTROM
from ._basis import LETTERS, Basis, Orbitals
from ._charges import ChargeModel, Moments
from ._scc import State

__all__ = ["FEATURES", "Columns", "Electrons", "feature_names", "feature_values"]

#: Energy (eV) over which levels count as one with HOMO or LUMO, so that degenerate ones and
#: those that are nearly so are treated alike.
_FRONTIER_EV = 0.1


class Columns(NamedTuple):
    """What the columns are for: elements, their shells, and levels on each side of the gap."""

    elements: tuple[int, ...]
    basis: Basis
    n_levels: int


@dataclass(frozen=True, eq=False)
class Electrons:
    """The electrons of one molecule.

    Attributes
    ----------
    state : State
        Levels, orbitals, moments.
    orbitals : Orbitals
        Which atoms and shells they are made of.
    positions : ndarray of shape (n_atoms, 3)
        In Å.
    n_electrons : int
        How many there are.
    charges : ChargeModel or None
        What tells how far dipoles reach.
    repulsion : float
        Energy (eV) with which the cores repel each other.
    """

    state: State
    orbitals: Orbitals
    positions: NDArray[np.float64]
    n_electrons: int
    charges: ChargeModel | None
    repulsion: float

    @cached_property
    def moments(self) -> Moments:
        """Moments that the state has values of."""
        return Moments.of(self.orbitals)

    @cached_property
    def atom_charges(self) -> NDArray[np.float64]:
        """Mulliken charges in e, shape (n_atoms,)."""
        shell_atom = self.moments.shell_atom
        more = self.state.moments[: len(shell_atom)]
        return np.asarray(-np.bincount(shell_atom, more, len(self.orbitals.z)), np.float64)

    @cached_property
    def gross(self) -> NDArray[np.float64]:
        """Density times overlap."""
        return self.state.density @ self.state.overlap

    @cached_property
    def bond_orders(self) -> NDArray[np.float64]:
        """Mayer's bond orders, shape (n_atoms, n_atoms), zero on the diagonal."""
        n = len(self.orbitals.z)
        starts = self.orbitals.ptr[:-1]
        shared = self.gross * self.gross.T
        orders = np.add.reduceat(np.add.reduceat(shared, starts, axis=0), starts, axis=1)
        return orders * (1 - np.eye(n))

    @property
    def frontier(self) -> tuple[int, int]:
        """Numbers of HOMO and LUMO, one and the same where it is half filled."""
        return (self.n_electrons + 1) // 2 - 1, self.n_electrons // 2

    def level(self, number: int) -> float:
        """A level in eV; the lowest one below all, that of a free electron above all."""
        levels = self.state.levels
        if number >= len(levels):
            return max(0.0, float(levels[-1]))
        return float(levels[max(number, 0)])

    def weights(self, number: int) -> NDArray[np.float64]:
        """How much of a level, and those on its side of the gap near it, is at each atom."""
        levels = self.state.levels
        number = min(max(number, 0), len(levels) - 1)
        side = np.arange(len(levels)) <= self.frontier[0]
        same = side == side[number]
        near = np.where(same, np.exp(-np.abs(levels - levels[number]) / _FRONTIER_EV), 0.0)
        populations = self.state.orbitals * (self.state.overlap @ self.state.orbitals)
        of_orbitals = populations @ (near / near.sum())
        return np.add.reduceat(of_orbitals, self.orbitals.ptr[:-1])


def _level_names(columns: Columns) -> list[str]:
    k = columns.n_levels
    below = [f"homo-{i}_ev" for i in range(k, 0, -1)]
    above = [f"lumo+{i}_ev" for i in range(1, k + 1)]
    return [*below, "homo_ev", "lumo_ev", *above, "gap_ev", "fermi_level_ev"]


def _levels(electrons: Electrons, columns: Columns) -> list[float]:
    homo, lumo = electrons.frontier
    k = columns.n_levels
    numbers = [*range(homo - k, homo + 1), *range(lumo, lumo + k + 1)]
    top, bottom = electrons.level(homo), electrons.level(lumo)
    return [*map(electrons.level, numbers), bottom - top, (top + bottom) / 2]


def _by_element(columns: Columns, *kinds: str) -> list[str]:
    return [f"{kind}_{symbol}" for symbol in symbols(columns.elements) for kind in kinds]


def _charges(electrons: Electrons, columns: Columns) -> list[float]:
    values: list[float] = []
    for z in columns.elements:
        of = electrons.atom_charges[electrons.orbitals.z == z]
        values += [of.mean(), of.min(), of.max()] if of.size else [0.0, 0.0, 0.0]
    return values


def _momenta(columns: Columns) -> list[tuple[int, int]]:
    return [(z, l) for z in columns.elements for l in sorted(set(columns.basis.shells(z)))]


def _population_names(columns: Columns) -> list[str]:
    return [f"population_{SYMBOLS[z]}_{LETTERS[l]}" for z, l in _momenta(columns)]


def _populations(electrons: Electrons, columns: Columns) -> list[float]:
    of, l = electrons.orbitals.z[electrons.orbitals.atom], electrons.orbitals.l
    gross = np.diag(electrons.gross)
    return [float(gross[(of == z) & (l == k)].sum()) for z, k in _momenta(columns)]


def _bond_names(columns: Columns) -> list[str]:
    names = symbols(columns.elements).tolist()
    return [f"bond_order_{a}-{b}" for a, b in combinations_with_replacement(names, 2)]


def _bonds(electrons: Electrons, columns: Columns) -> NDArray[np.float64]:
    kind = np.searchsorted(columns.elements, electrons.orbitals.z)
    n = len(columns.elements)
    place = np.minimum.outer(kind, kind) * n + np.maximum.outer(kind, kind)
    summed = np.bincount(place.ravel(), electrons.bond_orders.ravel() / 2, n * n)
    return np.asarray(summed.reshape(n, n)[np.triu_indices(n)], np.float64)


def _frontier(electrons: Electrons, columns: Columns) -> list[float]:
    values: list[float] = []
    for number in electrons.frontier:
        weights = electrons.weights(number)
        values += [float(weights[electrons.orbitals.z == z].sum()) for z in columns.elements]
        values.append(float((weights**2).sum()))
    return values


def _frontier_names(columns: Columns) -> list[str]:
    return [
        f"{level}_{part}"
        for level in ("homo", "lumo")
        for part in [*_by_element(columns, "on"), "participation"]
    ]


def _energies(electrons: Electrons, columns: Columns) -> list[float]:
    state = electrons.state
    parts = [state.core_energy, state.charge_energy, electrons.repulsion]
    return [*parts, sum(parts), float(state.occupations @ state.levels)]


_ENERGY_NAMES = [
    f"{kind}_energy_ev" for kind in ("core", "charge", "repulsion", "two_centre", "band")
]


def _dipole(electrons: Electrons, columns: Columns) -> list[float]:
    about = electrons.positions - electrons.positions.mean(axis=0)
    vectors = [electrons.atom_charges @ about]
    if electrons.charges is None:
        vectors *= 2
    else:
        vectors.append(electrons.charges.dipole(
            electrons.orbitals.z, electrons.positions, electrons.moments,
            electrons.state.moments,
        ))  # fmt: skip
    return [DEBYE_PER_E_ANGSTROM * float(np.linalg.norm(vector)) for vector in vectors]


class _Kind(NamedTuple):
    names: Callable[[Columns], list[str]]
    values: Callable[[Electrons, Columns], Sequence[float] | NDArray[np.float64]]


#: Groups of columns by name.
FEATURES = {
    "levels": _Kind(_level_names, _levels),
    "charges": _Kind(
        lambda c: _by_element(c, "charge_mean", "charge_min", "charge_max"), _charges
    ),
    "populations": _Kind(_population_names, _populations),
    "bond_orders": _Kind(_bond_names, _bonds),
    "frontier": _Kind(_frontier_names, _frontier),
    "energies": _Kind(lambda c: _ENERGY_NAMES, _energies),
    "dipole": _Kind(lambda c: ["charge_dipole_d", "dipole_d"], _dipole),
    "composition": _Kind(
        lambda c: _by_element(c, "n"),
        lambda e, c: [float((e.orbitals.z == z).sum()) for z in c.elements],
    ),
}


def feature_names(kinds: Sequence[str], columns: Columns) -> list[str]:
    """Names of the columns of some kinds of features."""
    return [name for kind in kinds for name in FEATURES[kind].names(columns)]


def feature_values(
    kinds: Sequence[str], electrons: Electrons, columns: Columns
) -> NDArray[np.float64]:
    """One row of features."""
    return np.concatenate(
        [np.asarray(FEATURES[kind].values(electrons, columns), float) for kind in kinds]
    )

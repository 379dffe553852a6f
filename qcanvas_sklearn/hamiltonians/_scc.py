"""Self-consistent charges: levels of a molecule that know where its electrons are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ._charges import Moments, Response

__all__ = ["KT", "TOLERANCE", "State", "fill", "solve"]

#: k_B T at 300 K in eV.
KT = 0.0258520
#: Change of a moment (e) from one cycle to the next at which they are self-consistent.
TOLERANCE = 1e-6
MAX_CYCLES = 100
_MEMORY, _DAMPING = 6, 0.4


@dataclass(frozen=True, eq=False)
class State:
    """Electrons of a molecule.

    Attributes
    ----------
    levels : ndarray of shape (n,)
        In eV, ascending.
    orbitals : ndarray of shape (n, n)
        Coefficients, an orbital a column.
    occupations : ndarray of shape (n,)
        Electrons of each.
    overlap, core, hamiltonian : ndarray of shape (n, n)
        Overlap, H0 and converged Hamiltonian (eV).
    moments : ndarray
        Charges of shells in electrons more than in the free atom, dipoles, quadrupoles.
    charge_energy : float
        Energy of the moments in eV; 0 without self-consistency.
    converged : bool
        Whether they are self-consistent.
    cycles : int
        How many it took.
    """

    levels: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    occupations: NDArray[np.float64]
    overlap: NDArray[np.float64]
    core: NDArray[np.float64]
    hamiltonian: NDArray[np.float64]
    moments: NDArray[np.float64]
    charge_energy: float
    converged: bool
    cycles: int

    @cached_property
    def density(self) -> NDArray[np.float64]:
        """Density matrix."""
        return (self.orbitals * self.occupations) @ self.orbitals.T

    @cached_property
    def core_energy(self) -> float:
        """Tr(P H0) in eV."""
        return float(np.sum(self.density * self.core))


def fill(levels: NDArray[np.float64], n_electrons: float) -> NDArray[np.float64]:
    """Electrons of each level at 300 K, two at most.

    Parameters
    ----------
    levels : ndarray of shape (n,)
        In eV, ascending.
    n_electrons : float
        How many, at most 2 n.
    """
    pairs = int(n_electrons // 2)
    occupations = np.zeros(len(levels))
    occupations[:pairs] = 2.0
    whole = n_electrons == 2 * pairs
    if whole and (pairs in (0, len(levels)) or levels[pairs] - levels[pairs - 1] > 40 * KT):
        return occupations
    low, high = levels[0] - 50 * KT, levels[-1] + 50 * KT
    for _ in range(60):  # halves a range of some 100 eV to 1e-16
        potential = (low + high) / 2
        occupations = 2 / (1 + np.exp(np.clip((levels - potential) / KT, -500, 500)))
        low, high = (potential, high) if occupations.sum() < n_electrons else (low, potential)
    return occupations


def solve(
    overlap: NDArray[np.float64],
    core: NDArray[np.float64],
    n_electrons: float,
    moments: Moments,
    free: NDArray[np.float64],
    response: Response | None,
    tolerance: float = TOLERANCE,
) -> State:
    """Fill the levels of a molecule, self-consistently where a response is given.

    The Hamiltonian is H0 + (Δ S + S Δ) / 2, where Δ are the potentials of the moments
    within each atom. Of scalar potentials V that is H0 + S (V_a + V_b) / 2.

    Parameters
    ----------
    overlap, core : ndarray of shape (n, n)
        Overlap and H0 in eV.
    n_electrons : float
        Number of electrons.
    moments : Moments
        Those of the molecule.
    free : ndarray of shape (n_moments,)
        Moments of the free atoms.
    response : Response or None
        What the moments do; None for nothing.
    tolerance : float, default=1e-6
        Change of a moment from one cycle to the next at which they are self-consistent.

    Returns
    -------
    State
        Where `converged` is False, the state of the last cycle.

    Raises
    ------
    ValueError
        If the overlap is not positive definite.
    """
    values, vectors = np.linalg.eigh(overlap)
    if values[0] <= 0:
        raise ValueError(
            "the overlap is not positive definite, its smallest eigenvalue is "
            f"{values[0]:.2g}; atoms are too close"
        )
    root = (vectors / np.sqrt(values)) @ vectors.T
    mixer, x = _Mixer(), np.zeros(len(free))
    hamiltonian, converged, cycles = core, False, 0
    while not converged and cycles < MAX_CYCLES:
        if response is not None:
            within = moments.operator(response.potentials(x), len(core)) @ overlap
            hamiltonian = core + (within + within.T) / 2
        levels, turned = np.linalg.eigh(root @ hamiltonian @ root)
        orbitals = root @ turned
        occupations = fill(levels, n_electrons)
        gross = (orbitals * occupations) @ (overlap @ orbitals).T
        found = moments.expectations((gross + gross.T) / 2) - free
        converged = response is None or bool(np.abs(found - x).max() < tolerance)
        x = mixer.next(x, found - x)
        cycles += 1
    energy = 0.0 if response is None else response.energy(found)
    return State(
        levels, orbitals, occupations, overlap, core, hamiltonian, found, energy, converged,
        cycles,
    )  # fmt: skip


class _Mixer:
    """Anderson's: the best mean of what was tried, and a step along what is left."""

    def __init__(self) -> None:
        self._tried: list[NDArray[np.float64]] = []
        self._left: list[NDArray[np.float64]] = []

    def next(self, x: NDArray[np.float64], left: NDArray[np.float64]) -> NDArray[np.float64]:
        """What to try after `x`, from which the outcome differs by `left`."""
        self._tried = [*self._tried[1 - _MEMORY :], x]
        self._left = [*self._left[1 - _MEMORY :], left]
        step = x + _DAMPING * left
        if len(self._left) > 1:
            changes = np.stack([left - before for before in self._left[:-1]], axis=1)
            moves = np.stack([x - before for before in self._tried[:-1]], axis=1)
            weights = np.linalg.lstsq(changes, left, rcond=1e-8)[0]
            step = step - (moves + _DAMPING * changes) @ weights
        return step

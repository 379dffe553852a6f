"""From the integrals of a pair to its blocks by m, and from their eigenvectors back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .eigen import (
    density_matrices,
    fermi_filling,
    generalized_eigh,
    levels,
    symmetric_eigh,
)
from .gaussians import integral_list, integral_shells
from .hamiltonian import ABSENT_EV
from .jacobi import Jacobi, inverse_cholesky

__all__ = ["Blocks", "Factor", "JoinedBlocks", "Pencil", "Spectrum"]

#: Added to the diagonal of S, so that orbitals on top of each other stay independent.
RIDGE = 1e-6
#: Energy in eV of what fills blocks up to one size.
FILLER_EV = 1e6


class Pencil(NamedTuple):
    """H in eV and S of the orbitals with one m, those of atom a first."""

    hamiltonian: Tensor
    overlap: Tensor


class Factor(NamedTuple):
    """Cholesky's factor L of an overlap ``S = L Lᵀ``, and its inverse."""

    lower: Tensor
    inverse: Tensor


class Spectrum(NamedTuple):
    """Levels of all blocks and their filling.

    Attributes
    ----------
    energies : Tensor of shape (n, n_levels)
        Levels in eV, by block, ascending in each. Absent shells lie above
        ``ABSENT_EV / 2``.
    mu : Tensor of shape (n, 2)
        Chemical potentials of both spins in eV.
    occupations : Tensor of shape (n, n_levels)
        Electrons per orbital, 0 to 2.
    populations : Tensor of shape (n, 2, n_shells, n_shells)
        Mulliken populations by atom, l and m; +m and -m together.
    densities, weighted : list of Tensor
        Density and energy-weighted density matrix of each block.
    """

    energies: Tensor
    mu: Tensor
    occupations: Tensor
    populations: Tensor
    densities: list[Tensor]
    weighted: list[Tensor]


class Blocks(nn.Module):
    """Arrangement of integrals in blocks of one m each.

    Parameters
    ----------
    shells : Tensor of shape (104, n_shells)
        1 where an element has the shell.
    """

    shells: Tensor
    level_m: Tensor
    degeneracy: Tensor
    orbitals: Tensor
    _absent: Tensor
    _map: Tensor
    _left: Tensor
    _right: Tensor

    def __init__(self, shells: Tensor) -> None:
        super().__init__()
        self.n_shells = shells.shape[1]
        start = 2 * self.n_shells
        maps = [index.flatten() for index in _sources(self.n_shells)]
        self.register_buffer("_map", torch.cat(maps), persistent=False)
        absent = ABSENT_EV + 10.0 * torch.arange(start, dtype=torch.float64).view(2, -1)
        self.register_buffer("_absent", absent, persistent=False)
        self.register_buffer("shells", shells, persistent=False)
        orders = torch.arange(self.n_shells)
        sizes = [2 * (self.n_shells - k) for k in range(self.n_shells)]
        level_m = orders.repeat_interleave(torch.tensor(sizes))
        self.register_buffer("level_m", level_m, persistent=False)
        self.register_buffer(
            "degeneracy", torch.where(level_m == 0, 1.0, 2.0).double(), persistent=False
        )
        # Levels by orbital: +m and -m have one.
        orbitals = torch.arange(len(level_m)).repeat_interleave(1 + (level_m > 0).long())
        self.register_buffer("orbitals", orbitals, persistent=False)
        for name, shell in zip(
            ("_left", "_right"), integral_shells(self.n_shells - 1), strict=True
        ):
            self.register_buffer(name, shell, persistent=False)

    def _arrange(self, diagonal: Tensor, integrals: Tensor, filler: float) -> list[Tensor]:
        zero = integrals.new_zeros(len(integrals), 1)
        flat = torch.cat([diagonal.flatten(1), integrals, zero], dim=1)
        sizes = [2 * (self.n_shells - m) for m in range(self.n_shells)]
        parts = flat.index_select(1, self._map).split([k * k for k in sizes], dim=1)
        return [part.unflatten(1, (k, k)) for part, k in zip(parts, sizes, strict=True)]

    def pencils(
        self, z: Tensor, onsite: Tensor, hopping: Tensor, overlap: Tensor, potential: Tensor
    ) -> list[Pencil]:
        """Blocks of H and S.

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers.
        onsite : Tensor of shape (n, 2, n_shells)
            Shell energies in eV.
        hopping, overlap : Tensor of shape (n, n_integrals)
            Two-centre integrals.
        potential : Tensor of shape (n, 2, n_shells)
            Potential of the charges at the shells in eV.

        Returns
        -------
        list of Pencil
            One for each m, from 0.
        """
        h = self._hamiltonians(z, onsite, hopping, overlap, potential)
        return [Pencil(*p) for p in zip(h, self._overlaps(overlap), strict=True)]

    def _overlaps(self, overlap: Tensor) -> list[Tensor]:
        diagonal = overlap.new_full((len(overlap), 2, self.n_shells), 1 + RIDGE)
        return self._arrange(diagonal, overlap, 1.0)

    def _hamiltonians(
        self, z: Tensor, onsite: Tensor, hopping: Tensor, overlap: Tensor, potential: Tensor
    ) -> list[Tensor]:
        energy = torch.where(self.shells[z] > 0, onsite + potential, self._absent)
        between = (potential[:, 0, self._left] + potential[:, 1, self._right]) / 2
        return self._arrange(energy, hopping + overlap * between, FILLER_EV)

    def derivatives(
        self, onsite: Tensor, hopping: Tensor, overlap: Tensor, potential: Tensor
    ) -> list[Pencil]:
        """Rates of change of the blocks with the distance, at a fixed potential.

        Parameters
        ----------
        onsite, hopping, overlap : Tensor
            Derivatives of what :meth:`pencils` takes.
        potential
            As in :meth:`pencils`.
        """
        between = (potential[:, 0, self._left] + potential[:, 1, self._right]) / 2
        h = self._arrange(onsite, hopping + overlap * between, 0.0)
        s = self._arrange(torch.zeros_like(onsite), overlap, 0.0)
        return [Pencil(*block) for block in zip(h, s, strict=True)]

    def traces(self, spectrum: Spectrum, changes: Sequence[Pencil]) -> list[Tensor]:
        """By how much changes of the blocks change the energy of the levels, in parts (n,)."""
        out = []
        for m, change in enumerate(changes):
            h = (spectrum.densities[m] * change.hamiltonian).sum((1, 2))
            s = (spectrum.weighted[m] * change.overlap).sum((1, 2))
            out.append((1.0 if m == 0 else 2.0) * (h - s))
        return out

    def solve(
        self, pencils: Sequence[Pencil], electrons: Tensor, kt: float | Tensor
    ) -> Spectrum:
        """Eigenproblem, filling and populations.

        Parameters
        ----------
        pencils : sequence of Pencil
            From :meth:`pencils`.
        electrons : Tensor of shape (n, 2)
            Electrons of each spin.
        kt : float or Tensor
            Electronic temperature times k_B in eV.
        """
        solved = [generalized_eigh(*pencil) for pencil in pencils]
        energies = torch.cat(
            [levels(*p, *s) for p, s in zip(pencils, solved, strict=True)], dim=1
        )
        filling = fermi_filling(energies, self.degeneracy, electrons, kt)
        populations, densities, weighted = [], [], []
        for m, (pencil, pair) in enumerate(zip(pencils, solved, strict=True)):
            density, energy = density_matrices(*pencil, filling.mu, *pair, kt)
            count = (density * pencil.overlap).sum(-1) * (1.0 if m == 0 else 2.0)
            by_atom = count.unflatten(1, (2, -1))
            populations.append(nn.functional.pad(by_atom, (m, 0)))
            densities.append(density)
            weighted.append(energy)
        stacked = torch.stack(populations, dim=-1)
        return Spectrum(energies, filling.mu, filling.occupations, stacked, densities, weighted)

    @torch.no_grad()
    def factors(self, overlap: Tensor) -> list[Factor]:
        """Factors of the overlap of each block, from the integrals (n, n_integrals)."""
        lower = [torch.linalg.cholesky(s) for s in self._overlaps(overlap)]
        units = [torch.eye(x.shape[-1]).to(x) for x in lower]
        inverse = torch.linalg.solve_triangular
        return [
            Factor(x, inverse(x, unit, upper=False))
            for x, unit in zip(lower, units, strict=True)
        ]

    @torch.no_grad()
    def shell_populations(
        self, z: Tensor, onsite: Tensor, hopping: Tensor, overlap: Tensor, potential: Tensor,
        factors: list[Factor], electrons: Tensor, kt: float | Tensor,
    ) -> Tensor:  # fmt: skip
        """Mulliken populations by shell alone, as a search for charges asks for them.

        Parameters
        ----------
        z, onsite, hopping, overlap, potential
            As in :meth:`pencils`.
        factors : list of Factor
            From :meth:`factors`, once for all potentials.
        electrons, kt
            As in :meth:`solve`.

        Returns
        -------
        Tensor of shape (n, 2, n_shells)
            What :meth:`solve` says, summed over m.
        """
        h = self._hamiltonians(z, onsite, hopping, overlap, potential)
        solved = [
            symmetric_eigh(own.inverse @ x @ own.inverse.mT)
            for x, own in zip(h, factors, strict=True)
        ]
        energies = torch.cat([energy for energy, _ in solved], dim=1)
        filled = fermi_filling(energies, self.degeneracy, electrons, kt).occupations
        filled = self.degeneracy * filled
        out = torch.zeros_like(potential)
        split = filled.split([energy.shape[1] for energy, _ in solved], dim=1)
        for m, (own, (_, x), count) in enumerate(zip(factors, solved, split, strict=True)):
            # S C = L x, and C = L⁻ᵀ x.
            shares = (own.inverse.mT @ x) * (own.lower @ x)
            out[..., m:] += (shares @ count[..., None]).view(len(z), 2, -1)
        return out


class JoinedBlocks(Blocks):
    """All blocks filled up to one size and solved in one batch, without asking the host.

    Few operations on large arrays, none of which looks at its results: what a CUDA graph can
    hold. There is one pencil then, in which the blocks of a pair follow each other, and the
    results are those of :class:`Blocks` to rounding.

    Parameters
    ----------
    shells : Tensor of shape (104, n_shells)
        1 where an element has the shell.
    """

    _spread: Tensor
    _filler: Tensor
    _levels: Tensor
    _twice: Tensor
    _by_shell: Tensor

    def __init__(self, shells: Tensor) -> None:
        super().__init__(shells)
        n, size = self.n_shells, 2 * self.n_shells
        self.size = size
        sources = _sources(n)
        n_values = size + len(self._left)
        spread = torch.zeros(n_values + 1, n, size, size, dtype=torch.float64)
        by_shell = torch.zeros(n, size, 2, n, n, dtype=torch.float64)
        for m, index in enumerate(sources):
            k = len(index)
            spread[:, m, :k, :k] = torch.eye(n_values + 1)[:, index].to(spread)
            for i in range(k):
                atom, l = divmod(i, k // 2)
                by_shell[m, i, atom, m + l, m] = 1.0 if m == 0 else 2.0
        kept = torch.tensor([[i < len(index) for i in range(size)] for index in sources])
        filler = torch.diag_embed((~kept).double())
        twice = torch.ones(n, dtype=torch.float64)
        twice[1:] = 2.0
        for name, value in {
            # A product with ones and zeros: its derivative adds in a fixed order.
            "_spread": spread[:-1].flatten(1), "_filler": filler.flatten(),
            "_levels": torch.nonzero(kept.flatten())[:, 0], "_twice": twice,
            "_by_shell": by_shell.flatten(0, 1).flatten(1),
        }.items():  # fmt: skip
            self.register_buffer(name, value, persistent=False)
        self.eigen = Jacobi(size)

    def _arrange(self, diagonal: Tensor, integrals: Tensor, filler: float) -> list[Tensor]:
        flat = torch.cat([diagonal.flatten(1), integrals], dim=1)
        joined = torch.addmm(self._filler, flat, self._spread, beta=filler)
        return [joined.view(-1, self.size, self.size)]

    def traces(self, spectrum: Spectrum, changes: Sequence[Pencil]) -> list[Tensor]:
        """By how much changes of the blocks change the energy of the levels, in parts (n,)."""
        (change,), (density,), (weighted,) = changes, spectrum.densities, spectrum.weighted
        each = density * change.hamiltonian - weighted * change.overlap
        return [each.sum((1, 2)).view(-1, self.n_shells) @ self._twice]

    def solve(
        self, pencils: Sequence[Pencil], electrons: Tensor, kt: float | Tensor
    ) -> Spectrum:
        """As :meth:`Blocks.solve`."""
        (pencil,) = pencils
        n = len(electrons)
        with torch.no_grad():
            inverse = inverse_cholesky(pencil.overlap)
            reduced = inverse @ pencil.hamiltonian @ inverse.mT
        values, vectors = self.eigen(reduced, inverse.mT)
        energies = levels(*pencil, values, vectors).view(n, -1).index_select(1, self._levels)
        filling = fermi_filling(energies, self.degeneracy, electrons, kt)
        mu = filling.mu[:, None].expand(-1, self.n_shells, -1).reshape(-1, 2)
        density, weighted = density_matrices(*pencil, mu, values, vectors, kt)
        count = (density * pencil.overlap).sum(-1).view(n, -1)
        populations = (count @ self._by_shell).view(n, 2, self.n_shells, self.n_shells)
        return Spectrum(
            energies, filling.mu, filling.occupations, populations, [density], [weighted]
        )


def _sources(n_shells: int) -> list[Tensor]:
    """Where the elements of each block are found among diagonal, integrals and a zero."""
    integrals = integral_list(n_shells - 1)
    start = 2 * n_shells
    out = []
    for m in range(n_shells):
        kept = range(m, n_shells)
        own = [*kept, *(n_shells + l for l in kept)]
        index = torch.full((len(own), len(own)), start + len(integrals))
        for i, source in enumerate(own):
            index[i, i] = source
        for i, la in enumerate(kept):
            for j, lb in enumerate(kept):
                at = start + integrals.index((m, la, lb))
                index[i, len(kept) + j] = index[len(kept) + j, i] = at
        out.append(index)
    return out

"""`two_centre_states`: levels, charges and energies of molecules with gradients, in torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..elements import SYMBOLS
from ..nn.electrons import filled_levels, implicit_fixed_point
from ..structures import Molecules
from ._basis import Basis, Orbitals
from ._blocks import layout_of
from ._charges import AXES, COULOMB, TRACELESS, ChargeModel, Moments, free_moments
from ._packed import packed_index
from ._scc import KT
from ._tables import TwoCentreTables
from ._torch_assembly import assembled

__all__ = ["TwoCentreStates", "energy_slopes", "two_centre_states"]

#: Level (eV) of places of the matrices that belong to no orbital.
_NOWHERE = 1e4
#: Change of a moment (e) in one cycle up to which gradients are those of self-consistency.
_TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class TwoCentreStates:
    """Electrons of b molecules, as tensors that know how they depend on the positions.

    Matrices have the size n of the largest molecule; where one has fewer orbitals, the rest
    is a unit matrix (overlap), far above all levels on the diagonal (Hamiltonians), or zero.

    Attributes
    ----------
    overlap, core, hamiltonian : Tensor of shape (b, n, n)
        Overlap, H0 and Hamiltonian, eV.
    levels : Tensor of shape (b, n)
        In eV, ascending; NaN where there is none.
    occupations : Tensor of shape (b, n)
        Electrons of each, without gradients.
    density : Tensor of shape (b, n, n)
        Density matrices.
    charges : Tensor of shape (N,)
        Mulliken charges of all atoms, e.
    core_energy, charge_energy, repulsion : Tensor of shape (b,)
        Tr(P H0), energy of the charges and moments, repulsion of the cores, eV.
    n_electrons : Tensor of shape (b,)
        Electrons of each molecule.
    converged : ndarray of bool, shape (b,)
        Whether the charges are self-consistent.
    """

    overlap: Tensor
    core: Tensor
    hamiltonian: Tensor
    levels: Tensor
    occupations: Tensor
    density: Tensor
    charges: Tensor
    core_energy: Tensor
    charge_energy: Tensor
    repulsion: Tensor
    n_electrons: Tensor
    converged: NDArray[np.bool_]

    @property
    def band_energy(self) -> Tensor:
        """Energy of the filled levels in eV, shape (b,)."""
        return (self.density * self.hamiltonian).sum((1, 2))

    @property
    def energy(self) -> Tensor:
        """Sum of the three energies in eV, shape (b,)."""
        return self.core_energy + self.charge_energy + self.repulsion

    @property
    def homo(self) -> Tensor:
        """Highest level with an electron in eV, NaN without electrons, shape (b,)."""
        return self._level(torch.div(self.n_electrons + 1, 2, rounding_mode="floor") - 1)

    @property
    def lumo(self) -> Tensor:
        """Lowest level with room in eV, NaN where there is none, shape (b,)."""
        return self._level(torch.div(self.n_electrons, 2, rounding_mode="floor"))

    @property
    def gap(self) -> Tensor:
        """LUMO less HOMO in eV, shape (b,)."""
        return self.lumo - self.homo

    def _level(self, number: Tensor) -> Tensor:
        framed = torch.nn.functional.pad(self.levels, (1, 1), value=torch.nan)
        return framed.gather(1, number.to(torch.int64)[:, None] + 1)[:, 0]


class _Electrons(NamedTuple):
    """What charges and potentials need to know of all molecules together."""

    moments: Moments
    moment: Tensor  # of each element of their matrices,
    place: Tensor  # its place in (b, n, n), flat,
    weight: Tensor  # and its value
    free: Tensor
    row: Tensor  # molecule of each moment
    overlap: Tensor
    core: Tensor
    electrons: Tensor

    def expectations(self, density: Tensor) -> Tensor:
        """Moments less those of the free atoms."""
        gross = density @ self.overlap
        values = ((gross + gross.mT) / 2).flatten()[self.place] * self.weight
        return (-self.free).index_add(0, self.moment, values)

    def hamiltonian(self, potentials: Tensor) -> Tensor:
        """H0 and what potentials of the moments add to it."""
        values = self.weight * potentials[self.moment]
        flat = torch.zeros_like(self.core).flatten().index_add(0, self.place, values)
        within = flat.view_as(self.core) @ self.overlap
        return self.core + (within + within.mT) / 2

    def filled(self, hamiltonian: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Levels, occupations and density matrices of non-orthogonal orbitals."""
        factor = torch.linalg.cholesky(self.overlap)
        half = torch.linalg.solve_triangular(factor, hamiltonian, upper=False)
        whole = torch.linalg.solve_triangular(factor, half.mT, upper=False)
        levels, occupations, density = filled_levels(
            (whole + whole.mT) / 2, self.electrons, KT
        )
        half = torch.linalg.solve_triangular(factor.mT, density, upper=True)
        density = torch.linalg.solve_triangular(factor.mT, half.mT, upper=True)
        return levels, occupations, density


class _Response(NamedTuple):
    """Potentials (eV) of the moments of all molecules, A x - G x² + δ."""

    owned: Tensor  # (b, m) moments of each molecule, the number of all where there is none
    matrices: Tensor  # (b, m, m)
    cubic: Tensor
    shift: Tensor

    def coupled(self, x: Tensor) -> Tensor:
        """A x."""
        inside = torch.nn.functional.pad(x, (0, 1))[self.owned]
        found = (self.matrices @ inside[..., None])[..., 0]
        out = x.new_zeros(len(x) + 1).index_add(0, self.owned.flatten(), found.flatten())
        return out[:-1]

    def potentials(self, x: Tensor) -> Tensor:
        return self.coupled(x) - self.cubic * x**2 + self.shift

    def energies(self, x: Tensor) -> Tensor:
        """What each moment has part in."""
        return x * self.coupled(x) / 2 - self.cubic * x**3 / 3 + self.shift * x


def two_centre_states(
    tables: TwoCentreTables, X: Any, positions: Tensor | None = None, *, scc: bool = True
) -> TwoCentreStates:
    r"""Electrons of molecules by two-centre tables, differentiable in the positions.

    The numbers of :meth:`TwoCentreTables.states`, for torch: splines of the distances,
    rotations in Cartesian form, levels filled at 300 K. Where charges are self-consistent,
    they are found without gradients, to 1e-10 e, and gradients follow from the condition that
    they meet (implicit differentiation), so that nothing of the way there is kept:

    .. math::
        x = f(x, R), \qquad
        \frac{\mathrm{d}x}{\mathrm{d}R} = (1 - \partial_x f)^{-1}\, \partial_R f

    First derivatives only. Those of single levels that are degenerate are not defined; those
    of energies, charges and density matrices are.

    Parameters
    ----------
    tables : TwoCentreTables
        Of their elements.
    X : Molecules, PairData, list of ase.Atoms, or PyG data
        The structures, none of them periodic.
    positions : Tensor of shape (N, 3), default=None
        Positions of all atoms in Å, in place of those of `X`; any precision, on any device.
        Everything is computed in double precision.
    scc : bool, default=True
        Make charges and levels self-consistent; otherwise fill the levels of H0.

    Returns
    -------
    TwoCentreStates

    Raises
    ------
    TypeError, ValueError
        As :meth:`TwoCentreTables.states`; or if the positions are of another shape.
    RuntimeError
        While going backwards, if the gradient of the charges is not found.

    Examples
    --------
    Forces on the atoms of hydrogen fluoride, eV/Å:

    >>> import torch
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables, two_centre_states
    >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> positions = torch.tensor(hf.positions, requires_grad=True)
    >>> states = two_centre_states(TwoCentreTables.load(), hf, positions)
    >>> states.gap.detach().numpy().round(1)
    array([17.8])
    >>> (forces,) = torch.autograd.grad(-states.energy.sum(), positions)
    >>> bool(forces.sum(0).abs().max() < 1e-9)
    True
    """
    molecules = tables.check(X, charges=scc)
    if positions is None:
        return _states_at(tables, molecules, torch.tensor(molecules.positions), scc)
    at = _checked(molecules, positions)
    molecules = replace(molecules, positions=at.detach().cpu().numpy())
    return _states_at(tables, molecules, at, scc)


def _states_at(
    tables: TwoCentreTables, molecules: Molecules, at: Tensor, scc: bool
) -> TwoCentreStates:
    """Electrons of checked molecules, as functions of their positions."""
    core = tables.hamiltonians(molecules)
    orbitals = tables.basis.orbitals(molecules.z)
    overlap, bare, repulsion = assembled(
        molecules, tables.basis, tables.levels, tables.pairs, at
    )
    index, placed = _padding(molecules, tables, orbitals)
    free = {symbol: tables.free_populations(symbol) for symbol in tables.basis}
    known = _electrons(molecules, orbitals, placed, free, (
        _padded(overlap, index, 1.0), _padded(bare, index, _NOWHERE),
        at.new_tensor(core.n_electrons),
    ))  # fmt: skip
    converged = np.ones(len(molecules), dtype=bool)
    hamiltonian, energies = known.core, None
    if scc and tables.charges is not None:
        owned = _owned(known)
        response = _response(tables.charges, molecules, tables.basis, owned, at)
        states = list(tables._states(core, True, _TOLERANCE))
        converged = np.array([state.converged for state in states])
        start = torch.zeros_like(known.free)
        for own, state in zip(owned, states, strict=True):
            start[own] = at.new_tensor(state.moments)

        def cycle(x: Tensor) -> Tensor:
            shifted = known.hamiltonian(response.potentials(x))
            return known.expectations(known.filled(shifted)[2])

        x = implicit_fixed_point(cycle, start)
        hamiltonian, energies = known.hamiltonian(response.potentials(x)), response.energies(x)
    levels, occupations, density = known.filled(hamiltonian)
    found = known.expectations(density)
    return _summarised(
        known, index, hamiltonian, (levels, occupations, density), found, energies, repulsion,
        converged,
    )  # fmt: skip


def energy_slopes(
    tables: TwoCentreTables, molecules: Molecules, *, scc: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Energies of a `TwoCentreTransformer` (n, 5) in eV, and their forces (N, 3, 5) in eV/Å.

    Also, which molecules have self-consistent charges, (n,).
    """
    positions = torch.tensor(molecules.positions, requires_grad=True)
    found = _states_at(tables, molecules, positions, scc)
    parts = (found.core_energy, found.charge_energy, found.repulsion, found.band_energy)
    kinds = zip(parts, [_pull_of(part, positions) for part in parts], strict=True)
    of_energies, of_forces = (
        torch.stack([core, charge, repulsion, core + charge + repulsion, band], dim=-1)
        for core, charge, repulsion, band in zip(*kinds, strict=True)
    )
    return of_energies.detach().numpy(), of_forces.numpy(), found.converged


def _pull_of(energies: Tensor, positions: Tensor) -> Tensor:
    if not energies.requires_grad:
        return torch.zeros_like(positions)
    return -torch.autograd.grad(energies.sum(), positions, retain_graph=True)[0]


def _summarised(
    known: _Electrons, index: Tensor, hamiltonian: Tensor, filled: tuple[Tensor, ...],
    found: Tensor, energies: Tensor | None, repulsion: Tensor, converged: NDArray[np.bool_],
) -> TwoCentreStates:  # fmt: skip
    levels, occupations, density = filled
    index = index.to(hamiltonian.device)
    there = (index >= 0).diagonal(dim1=1, dim2=2)
    # Levels of no orbital lie above all others.
    first = there.sum(1, keepdim=True) > torch.arange(index.shape[1], device=index.device)
    nothing = torch.zeros_like(repulsion)
    charge_energy = nothing if energies is None else nothing.index_add(0, known.row, energies)
    shells = torch.tensor(known.moments.shell_atom, device=index.device)
    n_atoms = int(known.moments.shell_atom.max(initial=-1)) + 1
    charges = nothing.new_zeros(n_atoms).index_add(0, shells, -found[: len(shells)])
    return TwoCentreStates(
        known.overlap, known.core, hamiltonian, torch.where(first, levels, torch.nan),
        occupations, density, charges, (density * known.core).sum((1, 2)), charge_energy,
        repulsion, known.electrons, converged,
    )  # fmt: skip


def _checked(molecules: Molecules, positions: Tensor) -> Tensor:
    if positions.shape != molecules.positions.shape:
        raise ValueError(
            f"positions have shape {tuple(positions.shape)}, and the molecules "
            f"{molecules.positions.shape}"
        )
    return positions.to(torch.float64)


def _padding(
    molecules: Molecules, tables: TwoCentreTables, orbitals: Orbitals
) -> tuple[Tensor, NDArray[np.int64]]:
    """Where in packed arrays the elements of matrices (b, n, n) lie, -1 for nowhere.

    And the place of each orbital, counted over all molecules, in (b, n).
    """
    first = orbitals.ptr[molecules.ptr]
    counts = np.diff(first)
    n = int(counts.max(initial=0))
    number = np.arange(n)
    there = number < counts[:, None]
    packed = packed_index(number[:, None], number)
    start = layout_of(molecules, tables.basis).ptr[:-1]
    index = np.where(there[:, :, None] & there[:, None], start[:, None, None] + packed, -1)
    row = molecules.rows[orbitals.atom]
    return torch.as_tensor(index), row * n + np.arange(len(orbitals)) - first[row]


def _padded(packed: Tensor, index: Tensor, diagonal: float) -> Tensor:
    """Matrices of packed elements; beyond the orbitals a number on the diagonal."""
    index = index.to(packed.device)
    unit = torch.eye(index.shape[1], dtype=packed.dtype, device=packed.device)
    return torch.where(index >= 0, packed[index.clamp(min=0)], diagonal * unit)


def _electrons(
    molecules: Molecules, orbitals: Orbitals, placed: NDArray[np.int64], free: dict[str, Any],
    matrices: tuple[Tensor, Tensor, Tensor],
) -> _Electrons:  # fmt: skip
    moments, n = Moments.of(orbitals), matrices[0].shape[1]
    # A row of (b, n, n) is a place of (b, n), and its column the number within the molecule.
    place = placed[moments.row] * n + placed[moments.column] % n
    atom = moments.shell_atom
    of_sites = atom[moments.sites]
    owner = np.concatenate([atom, np.repeat(of_sites, 3), np.repeat(of_sites, 5)])
    overlap, core, electrons = matrices
    moment, where, weight, nothing, row = (
        torch.tensor(array, device=core.device)
        for array in (
            moments.moment, place, moments.weight, free_moments(moments, orbitals, free),
            molecules.rows[owner],
        )
    )  # fmt: skip
    return _Electrons(
        moments, moment, where, weight, nothing, row, overlap, core, electrons
    )


def _owned(known: _Electrons) -> list[Tensor]:
    """Moments of each molecule, in the order in which it would number them alone."""
    return [
        torch.nonzero(known.row == row)[:, 0] for row in range(len(known.electrons))
    ]


def _response(
    charges: ChargeModel, molecules: Molecules, basis: Basis, owned: list[Tensor],
    positions: Tensor,
) -> _Response:  # fmt: skip
    """What the moments of all molecules do."""
    total, device = sum(map(len, owned)), positions.device
    index = torch.nn.utils.rnn.pad_sequence(owned, batch_first=True, padding_value=total)
    of_shells = np.concatenate([charges.shells[SYMBOLS[z]] for z in molecules.z.tolist()])
    cubic, shift = np.zeros((2, total))
    cubic[: len(of_shells)], shift[: len(of_shells)] = of_shells[:, 1], of_shells[:, 2]
    matrices = []
    for row, own in enumerate(owned):
        atoms = slice(*molecules.ptr[row : row + 2])
        orbitals = basis.orbitals(molecules.z[atoms])
        matrix = _interactions(charges, orbitals, positions[atoms])
        room = index.shape[1] - len(own)
        matrices.append(torch.nn.functional.pad(matrix, (0, room, 0, room)))
    return _Response(
        index, torch.stack(matrices), torch.tensor(cubic, device=device),
        torch.tensor(shift, device=device),
    )  # fmt: skip


def _interactions(charges: ChargeModel, orbitals: Orbitals, positions: Tensor) -> Tensor:
    """The matrix A of one molecule, as :meth:`ChargeModel.response` makes it."""
    moments = Moments.of(orbitals)
    atom, sites = moments.shell_atom, moments.sites
    names = [SYMBOLS[z] for z in orbitals.z.tolist()]
    hardness = np.concatenate([charges.shells[name][:, 0] for name in names])
    of_sites = np.array([charges.moments[names[a]] for a in atom[sites]]).reshape(-1, 4)
    length, stiffness, area, quadrupole_stiffness = positions.new_tensor(of_sites).T
    squared_radius = positions.new_tensor((2 * COULOMB / np.add.outer(hardness, hardness)) ** 2)
    xyz = positions[:, AXES][atom]
    vectors = xyz[None, :] - xyz[sites][:, None]
    squared = (xyz[None, :] - xyz[:, None]).square().sum(-1) + squared_radius
    gamma = COULOMB * squared.rsqrt()
    # Derivatives by the place of the site, (t, s, ...).
    cubed = (gamma / squared)[sites]
    first = cubed[..., None] * vectors
    outer = 3 * vectors[..., :, None] * vectors[..., None, :] / squared[sites][..., None, None]
    unit = torch.eye(3, dtype=positions.dtype, device=positions.device)
    second = cubed[..., None, None] * (outer - unit)
    dipole = torch.einsum("t,tsa->tas", length, first).flatten(0, 1)
    traceless = positions.new_tensor(TRACELESS)
    quadrupole = torch.einsum("t,tsab,kab->tks", area, second, traceless).flatten(0, 1)
    other = positions.new_tensor(np.not_equal.outer(atom[sites], atom[sites]))
    between = -second[:, sites] * (length[:, None] * length * other)[..., None, None]
    dipoles = between.transpose(1, 2).flatten(2, 3).flatten(0, 1)
    dipoles = dipoles + torch.diag(stiffness.repeat_interleave(3))
    quadrupoles = torch.diag(quadrupole_stiffness.repeat_interleave(5))
    nothing = dipoles.new_zeros(len(dipoles), len(quadrupoles))
    return torch.cat([
        torch.cat([gamma, dipole.T, quadrupole.T], dim=1),
        torch.cat([dipole, dipoles, nothing], dim=1),
        torch.cat([quadrupole, nothing.T, quadrupoles], dim=1),
    ])  # fmt: skip

"""The tight-binding model of a pair: from elements, distance and charges to its state.

The state is a dict of tensors with n rows; energies are in eV, charges in e, lengths in Å.

=========================  =====================  ==========================================
name                       shape                  meaning
=========================  =====================  ==========================================
``homo``, ``lumo``         (n,)                   frontier levels; ``lumo`` is NaN where all
                                                  orbitals are occupied
``levels``                 (n, n_orbitals)        orbital energies, ascending; those of absent
                                                  shells lie above ``ABSENT_EV / 2``
``level_energies``         (n, n_levels)          the same by block of m, degenerate ones once
``occupations``            (n, n_levels)          electrons per orbital, 0 to 2
``mu``                     (n, 2)                 chemical potential of each spin
``band``                   (n,)                   sum of occupied levels
``double_counting``        (n,)                   what the band energy counts twice
``repulsion``              (n,)                   of the cores
``dispersion``             (n,)                   what else the pair's total energy has
``remainder``              (n,)                   double counting and dispersion
``total``, ``mermin``      (n,)                   total energy, and less T S
``populations``            (n, 2, n_shells)       by shell, given or self-consistent
``orbital_populations``    (n, 2, n_shells, n_m)  by l and m, computed; +m and -m together
``potential``              (n, 2, n_shells)       of the charges at the shells
``onsite``                 (n, 2, n_shells)       energies of the shells without potential
``hopping``, ``overlap``   (n, n_integrals)       two-centre integrals without potential
``charge``                 (n,)                   of the first atom
``dipole``                 (n,)                   along the bond, in debye
``distance``               (n,)                   as given
``force``                  (n,)                   -dE/dR in eV/Å, where asked for
=========================  =====================  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ....targets import DEBYE_PER_E_ANGSTROM
from .blocks import Blocks, Spectrum
from .charges import self_consistent
from .eigen import BOLTZMANN_EV, entropy
from .elements import BOHR_PER_ANGSTROM, ElementTables
from .hamiltonian import ABSENT_EV, Geometry, PairHamiltonian

__all__ = ["State", "TightBinding"]

#: State of a batch of pairs by name.
State = dict[str, Tensor]


class TightBinding(nn.Module):
    """Learned two-centre tight binding with charges by shell.

    Parameters
    ----------
    shells : array-like of bool, shape (104, 4)
        Shells of the elements, see :func:`elements.shells_of`.
    electrons : array-like of shape (104,), optional
        Valence electrons of the neutral atoms; NaN and None stand for the table's.
    electronic_temperature : float, default=0.0
        Temperature of the data's filling in K.
    seed : int, default=0
        Of the network's weights and the perturbed start.
    smallest_kt : float, default=0.01
        Smearing in eV that is used at lower temperatures, for steps have no slope.
    **hamiltonian
        Of :class:`PairHamiltonian`: `n_gaussians`, `hidden`, `embedding`, `perturbation`,
        `onsite_scale`.

    Notes
    -----
    All inner arithmetic is float64. ``forward`` of (B, A) is that of (A, B) with the atoms
    exchanged, to rounding.

    Examples
    --------
    >>> import torch
    >>> from qcanvas_sklearn.nn.cores.tight_binding import TightBinding, shells_of
    >>> model = TightBinding(shells_of())
    >>> carbon_monoxide = torch.tensor([[6, 8]])
    >>> state = model(carbon_monoxide, torch.tensor([1.13]))
    >>> state["populations"].sum().round().item()
    10.0

    References
    ----------
    H. Li, C. Collins, M. Tanha, G. J. Gordon, D. J. Yaron, J. Chem. Theory Comput. 14,
    5764 (2018), arXiv:1808.04526; B. Hourahine et al., J. Chem. Phys. 152, 124101
    (2020).
    """

    def __init__(
        self,
        shells: ArrayLike,
        electrons: ArrayLike | None = None,
        *,
        electronic_temperature: float = 0.0,
        seed: int = 0,
        smallest_kt: float = 0.01,
        **hamiltonian: Any,
    ) -> None:
        super().__init__()
        tables = ElementTables.build(shells, electrons)
        generator = torch.Generator().manual_seed(seed)
        self.hamiltonian = PairHamiltonian(tables, generator, **hamiltonian)
        self.blocks = Blocks(tables.shells)
        self.electronic_temperature = electronic_temperature
        self.smallest_kt = smallest_kt

    @property
    def n_shells(self) -> int:
        """Shells by atom, with those that an element lacks."""
        return self.blocks.n_shells

    def primitives(
        self, distance: Tensor, rates: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Overlaps of the Gaussians at these distances (Å) and their rates, to be kept."""
        basis = self.hamiltonian.basis
        r = distance.double() * BOHR_PER_ANGSTROM
        with torch.no_grad():
            slopes = BOHR_PER_ANGSTROM * basis.slopes(r) if rates else None
            return basis.overlaps(r), slopes

    def forward(
        self,
        z: Tensor,
        distance: Tensor,
        populations: Tensor | None = None,
        *,
        kt: float | Tensor | None = None,
        forces: bool = False,
        primitives: tuple[Tensor, Tensor | None] | None = None,
        start: Tensor | None = None,
        blocks: Blocks | None = None,
    ) -> State:
        """State of pairs.

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers.
        distance : Tensor of shape (n,)
            Distances in Å.
        populations : Tensor of shape (n, 2, k), optional
            Electrons by shell. By default the charges are solved self-consistently.
        kt : float or Tensor, optional
            Smearing in eV; by default that of the data, but not below `smallest_kt`.
        forces : bool, default=False
            Add ``force`` = -dE/dR in eV/Å.
        primitives : tuple of Tensor, optional
            From :meth:`primitives`, to save time where distances come again.
        start : Tensor of shape (n, 2, n_shells), optional
            Populations at which a self-consistent search starts.
        blocks : Blocks, optional
            What solves the eigenproblem; by default :attr:`blocks`.

        Returns
        -------
        dict of str to Tensor
            The state, as the head of this module lists it.
        """
        kt = self.filling_kt if kt is None else kt
        geometry, rates = self.geometry(z, distance, forces, primitives)
        electrons = self.electrons(z)
        if populations is None:
            populations = self_consistent(self, z, geometry, electrons, kt, start)
        else:
            populations = populations[..., : self.n_shells].to(geometry.onsite)
        potential = self.hamiltonian.potential(z, geometry.gamma, populations)
        blocks = blocks or self.blocks
        pencils = blocks.pencils(
            z, geometry.onsite, geometry.hopping, geometry.overlap, potential
        )
        spectrum = blocks.solve(pencils, electrons, kt)
        state = self._state(z, distance, geometry, populations, potential, spectrum)
        if rates is not None:
            changes = blocks.derivatives(
                rates.onsite, rates.hopping, rates.overlap, potential
            )
            slopes = blocks.traces(spectrum, changes)
            state["force"] = self._force(z, rates, populations, slopes)
        return state

    @property
    def filling_kt(self) -> float:
        """Smearing of a filling at the data's temperature in eV."""
        return max(self.smallest_kt, BOLTZMANN_EV * self.electronic_temperature)

    def electrons(self, z: Tensor) -> Tensor:
        """Electrons of each spin in the lowest multiplicity, shape (n, 2)."""
        total = self.hamiltonian.reference.sum(1).round()[z].sum(1)
        return torch.stack([torch.ceil(total / 2), torch.floor(total / 2)], dim=1)

    def geometry(
        self,
        z: Tensor,
        distance: Tensor,
        rates: bool = False,
        primitives: tuple[Tensor, Tensor | None] | None = None,
    ) -> tuple[Geometry, Geometry | None]:
        """What elements and distance determine, and its derivative by the distance.

        Parameters
        ----------
        z, distance, primitives
            As in :meth:`forward`.
        rates : bool, default=False
            Whether derivatives (per Å) are wanted.
        """
        distance = distance.to(self.hamiltonian.energy)
        if not rates:
            kept = None
            if primitives is not None:
                (kept,) = self.hamiltonian.integrals(z, primitives[0])
            return self.hamiltonian(z, distance, kept), None
        overlaps, slopes = primitives or (None, None)
        if overlaps is None or slopes is None:
            overlaps, slopes = self.primitives(distance)
        assert slopes is not None
        (overlap, hopping), (slope, rate) = self.hamiltonian.integrals(z, overlaps, slopes)
        learns = torch.is_grad_enabled()
        with torch.enable_grad():
            r = distance if distance.requires_grad else distance.detach().requires_grad_()
            moved = (r - r.detach())[:, None]
            integrals = overlap + slope * moved, hopping + rate * moved
            out = Geometry(*self.hamiltonian(z, r, integrals))
            # Backwards, and backwards once more: there are many quantities of one distance.
            weights = [torch.zeros_like(value, requires_grad=True) for value in out]
            (pulled,) = torch.autograd.grad(out, r, weights, create_graph=True)
            rates_of = torch.autograd.grad(pulled.sum(), weights, create_graph=learns)
        if not learns:
            out = Geometry(*(value.detach() for value in out))
        return out, Geometry(*rates_of)

    def _state(
        self, z: Tensor, distance: Tensor, geometry: Geometry, populations: Tensor,
        potential: Tensor, spectrum: Spectrum,
    ) -> State:  # fmt: skip
        weights = self.blocks.degeneracy
        band = (weights * spectrum.occupations * spectrum.energies).sum(1)
        double_counting = self.hamiltonian.double_counting(z, geometry.gamma, populations)
        total = band + double_counting + geometry.repulsion + geometry.dispersion
        kt = BOLTZMANN_EV * self.electronic_temperature
        heat = entropy(spectrum.energies, weights, spectrum.mu, kt) if kt else 0.0
        homo, lumo, orbitals = self._frontier(z, spectrum.energies)
        charge = self.hamiltonian.reference.sum(1)[z] - populations.sum(-1)
        charge = (charge[:, 0] - charge[:, 1]) / 2
        return {
            "homo": homo, "lumo": lumo, "levels": orbitals, "level_energies": spectrum.energies,
            "occupations": spectrum.occupations, "mu": spectrum.mu, "band": band,
            "double_counting": double_counting, "repulsion": geometry.repulsion,
            "remainder": double_counting + geometry.dispersion,
            "dispersion": geometry.dispersion, "total": total, "mermin": total - heat,
            "populations": populations, "orbital_populations": spectrum.populations,
            "potential": potential, "onsite": geometry.onsite, "hopping": geometry.hopping,
            "overlap": geometry.overlap, "charge": charge,
            "dipole": -DEBYE_PER_E_ANGSTROM * charge * distance, "distance": distance,
        }  # fmt: skip

    def _frontier(self, z: Tensor, energies: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """HOMO, LUMO (NaN where all orbitals are full) and orbital energies, ascending."""
        orbitals = energies.index_select(1, self.blocks.orbitals).sort(dim=1).values
        alpha, beta = self.electrons(z).long().unbind(1)
        homo = orbitals.gather(1, alpha[:, None] - 1)[:, 0]
        last = orbitals.shape[1] - 1
        lumo = orbitals.gather(1, beta[:, None].clamp_max(last))[:, 0]
        full = (beta > last) | (lumo > ABSENT_EV / 2)
        return homo, lumo.masked_fill(full, torch.nan), orbitals

    def _force(
        self, z: Tensor, rates: Geometry, populations: Tensor, of_band: Sequence[Tensor]
    ) -> Tensor:
        """-dE/dR at the given charges; that of the minimum where they are consistent."""
        gained = self.hamiltonian.gained(z, populations).flatten(1)
        slope = 0.5 * (gained * (rates.gamma @ gained[..., None])[..., 0]).sum(1)
        slope = slope + rates.repulsion + rates.dispersion
        for own in of_band:
            slope = slope + own
        return -slope

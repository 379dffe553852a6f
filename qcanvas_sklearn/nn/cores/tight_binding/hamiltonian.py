"""What a pair of elements at a distance has before its electrons move: H, S, γ, repulsion."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ....targets import HARTREE_IN_EV
from .coulomb import damped_coulomb, slater_coulomb
from .elements import BOHR_PER_ANGSTROM, ElementTables, radial_coefficients
from .gaussians import GaussianBasis, integral_shells
from .pair_net import PairNet

__all__ = ["Geometry", "PairHamiltonian"]

#: Energy in eV of the orbitals that stand in for absent shells, far above all others.
ABSENT_EV = 200.0
#: Largest relative correction of an integral and largest shift of a shell in eV.
HOPPING_REACH, ONSITE_REACH = 0.3, 3.0


class Geometry(NamedTuple):
    """Quantities of pairs that depend on the elements and the distance alone.

    Attributes
    ----------
    overlap, hopping : Tensor of shape (n, n_integrals)
        Two-centre integrals, in the order of :func:`gaussians.integral_list`; eV.
    onsite : Tensor of shape (n, 2, l_max + 1)
        Energies of the shells in the presence of the other atom, in eV.
    gamma : Tensor of shape (n, 2 k, 2 k)
        Coulomb interaction between shells, those of atom a first, in eV/e².
    repulsion, dispersion : Tensor of shape (n,)
        Energies in eV.
    """

    overlap: Tensor
    hopping: Tensor
    onsite: Tensor
    gamma: Tensor
    repulsion: Tensor
    dispersion: Tensor


def _whitening(gram: Tensor, ridge: float = 0.01) -> tuple[Tensor, Tensor]:
    """Coordinates in which almost dependent Gaussians are about orthonormal, and back."""
    values, vectors = torch.linalg.eigh(gram)
    root = (values + ridge).sqrt()[:, None, :]
    return vectors / root @ vectors.mT, vectors * root @ vectors.mT


class PairHamiltonian(nn.Module):
    """Element parameters, and the two-centre Hamiltonian made from them.

    Parameters
    ----------
    tables : ElementTables
        Where the parameters start.
    generator : torch.Generator
        Source of the network's weights and of the perturbation.
    n_gaussians : int, default=9
        Gaussians shared by all orbitals.
    hidden, embedding : int, default=64, 12
        Of the network of corrections.
    perturbation : float, default=0.15
        Relative standard deviation by which the start of the orbitals is perturbed, so
        that members of an ensemble differ.
    onsite_scale : float, default=0.6
        Factor of the table's shell energies.
    """

    shells: Tensor
    reference: Tensor
    radius: Tensor
    core: Tensor
    white: Tensor
    amplitudes: Tensor
    _left: Tensor
    _right: Tensor
    _energy_0: Tensor
    _orbital_0: Tensor
    _transfer_0: Tensor
    _hardness_0: Tensor

    def __init__(
        self,
        tables: ElementTables,
        generator: torch.Generator,
        *,
        n_gaussians: int = 9,
        hidden: int = 64,
        embedding: int = 12,
        perturbation: float = 0.15,
        onsite_scale: float = 0.6,
    ) -> None:
        super().__init__()
        self.n_shells = tables.shells.shape[1]
        self.basis = GaussianBasis(self.n_shells - 1, n_gaussians)
        for name in ("shells", "reference", "radius"):
            self.register_buffer(name, getattr(tables, name), persistent=False)
        white, color = _whitening(self.basis.same_centre)
        core = torch.arange(len(tables.shells), dtype=torch.float64)
        self.register_buffer("core", core, persistent=False)
        self.register_buffer("white", white, persistent=False)
        for name, shell in zip(
            ("_left", "_right"), integral_shells(self.basis.l_max), strict=True
        ):
            self.register_buffer(name, shell, persistent=False)
        energy = tables.onsite * onsite_scale
        orbital = radial_coefficients(tables, self.basis)
        noise = torch.randn(2, *orbital.shape, generator=generator, dtype=torch.float64)
        orbital = torch.einsum("lij,zlj->zli", color, orbital)
        orbital = orbital * (1 + perturbation * noise[0])
        # Half of Wolfsberg and Helmholz's 1.75, for H holds the sum of both atoms.
        transfer = 0.875 * energy.clamp_max(-1.5)[..., None] * orbital
        transfer = transfer * (1 + perturbation * noise[1])
        zeros = torch.zeros_like(tables.shells)
        # Beside the shells' own energies one for all of an element: the sum of occupied
        # levels fixes it early, the distances between the shells come slowly.
        self.energy = nn.Parameter(energy)
        self.level = nn.Parameter(torch.zeros(len(energy), dtype=torch.float64))
        self.orbital = nn.Parameter(orbital)
        self.transfer = nn.Parameter(transfer)
        self.log_hardness = nn.Parameter((0.9 * tables.hardness).log())
        self.shell_hardness = nn.Parameter(zeros.clone())
        self.screening = nn.Parameter(torch.zeros(len(zeros), dtype=torch.float64))
        self.cloud = nn.Parameter(torch.zeros(len(zeros), dtype=torch.float64))
        self.common = nn.Parameter(torch.tensor([1.5, 0.0], dtype=torch.float64))
        self.third_order = nn.Parameter(torch.zeros(len(zeros), dtype=torch.float64))
        self.reference_shift = nn.Parameter(zeros.clone())
        self.log_width = nn.Parameter((0.35 * tables.radius.clamp_min(0.5)).log())
        self.log_core = nn.Parameter(torch.zeros(len(zeros), dtype=torch.float64))
        # How far the network may correct repulsion (relative), dispersion (eV) and screening:
        # as far as the forms leave something, see `prefit`.
        amplitudes = torch.tensor([0.5, 0.5, 1.0], dtype=torch.float64)
        self.register_buffer("amplitudes", amplitudes)
        self.register_buffer("_energy_0", energy.clone(), persistent=False)
        self.register_buffer("_orbital_0", orbital.clone(), persistent=False)
        self.register_buffer("_transfer_0", transfer.clone(), persistent=False)
        self.register_buffer(
            "_hardness_0", self.log_hardness.detach().clone(), persistent=False
        )
        self.net = PairNet(
            tables.features, self.n_shells - 1, generator, hidden=hidden, embedding=embedding
        )

    def shell_energies(self) -> Tensor:
        """Energies of the shells of free atoms in eV, shape (104, n_shells)."""
        return self.energy + self.level[:, None]

    def neutral(self, z: Tensor) -> Tensor:
        """Electrons by shell of free atoms, from which charges are counted.

        Parameters
        ----------
        z : Tensor of int64
            Atomic numbers, of any shape.

        Returns
        -------
        Tensor of shape (..., n_shells)
        """
        shells = self.shells
        shift = self.reference_shift * shells
        shift = shift - shells * (shift.sum(1) / shells.sum(1).clamp_min(1))[:, None]
        return (self.reference + shift)[z]

    def forward(
        self, z: Tensor, distance: Tensor, integrals: tuple[Tensor, Tensor] | None = None
    ) -> Geometry:
        """Everything that follows from the elements and the distance.

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers.
        distance : Tensor of shape (n,)
            Distances in Å.
        integrals : tuple of Tensor, optional
            From :meth:`integrals`, where overlaps of primitives are at hand.
        """
        r = distance * BOHR_PER_ANGSTROM
        a, b = z.unbind(1)
        correction = self.net(a, b, r)
        overlap, hopping = integrals or self.integrals(z, self.basis.overlaps(r))[0]
        hopping = hopping * (1 + HOPPING_REACH * torch.tanh(correction["hopping"]))
        reach = 1.5 * self.radius[z].sum(1)
        near = 1 / (1 + (r / reach) ** 6)
        shift = ONSITE_REACH * torch.tanh(correction["onsite"]) * near[:, None, None]
        most = self.amplitudes
        repulsion = self.bare_repulsion(a, b, r)
        return Geometry(
            overlap=overlap,
            hopping=hopping,
            onsite=self.shell_energies()[z] + shift,
            gamma=self.gamma(a, b, r, most[2] * torch.tanh(correction["screening"])),
            repulsion=repulsion * torch.exp(most[0] * torch.tanh(correction["repulsion"])),
            dispersion=most[1] * torch.tanh(correction["dispersion"]) * near,
        )

    def _coefficients(self) -> tuple[Tensor, Tensor]:
        shells = self.shells[..., None]
        orbital = torch.einsum("lij,zlj->zli", self.white, self.orbital)
        norm = torch.einsum("zlk,lkj,zlj->zl", orbital, self.basis.same_centre, orbital)
        orbital = orbital * norm.rsqrt()[..., None] * shells
        return orbital, torch.einsum("lij,zlj->zli", self.white, self.transfer) * shells

    def integrals(self, z: Tensor, *primitives: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Overlaps and hopping before its correction, (n, n_integrals) each.

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers.
        *primitives : Tensor
            ``basis.overlaps`` of the distances, and their derivatives: both are linear in it.
        """
        a, b = z.unbind(1)
        both = torch.stack(self._coefficients(), dim=-1)
        left, right = both[:, self._left][a], both[:, self._right][b]
        tables = [left.mT @ (kept @ right) for kept in primitives]
        # Rows: orbital and transfer vector of a; columns: those of b.
        return [(x[..., 0, 0], x[..., 0, 1] + x[..., 1, 0]) for x in tables]

    def gamma(self, a: Tensor, b: Tensor, r: Tensor, correction: Tensor) -> Tensor:
        """1/R far away, the hardness where both shells are on one atom."""
        hardness = torch.exp(self.log_hardness[:, None] + self.shell_hardness) / HARTREE_IN_EV
        left, right = hardness[a][:, :, None], hardness[b][:, None]
        bare = self.cloud[a] + self.cloud[b] + self.common[0] + correction
        share = torch.sigmoid(2 * bare)[:, None, None]
        order = self.screening[a] + self.screening[b] + self.common[1]
        order = 2 * order.exp()[:, None, None]
        far = r[:, None, None]
        between = share * slater_coulomb(left, right, far)
        between = between + (1 - share) * damped_coulomb(left, right, far, order)
        same = [2 / (1 / x[:, :, None] + 1 / x[:, None]) for x in (hardness[a], hardness[b])]
        top = torch.cat([same[0], between], dim=2)
        bottom = torch.cat([between.mT, same[1]], dim=2)
        return HARTREE_IN_EV * torch.cat([top, bottom], dim=1)

    def bare_repulsion(self, a: Tensor, b: Tensor, r: Tensor) -> Tensor:
        """Coulomb energy of two nuclei, less that of two Gaussian clouds of their charge."""
        core = self.core * self.log_core.exp()
        width = self.log_width.exp() ** 2
        argument = r * torch.rsqrt(2 * (width[a] + width[b]))
        return HARTREE_IN_EV * core[a] * core[b] * torch.erfc(argument) / r

    def gained(self, z: Tensor, populations: Tensor) -> Tensor:
        """Electrons gained by shell, shape (n, 2, n_shells)."""
        return populations - self.neutral(z)

    def potential(self, z: Tensor, gamma: Tensor, populations: Tensor) -> Tensor:
        """Potential of the charges at the shells in eV, shape (n, 2, n_shells)."""
        gained = self.gained(z, populations)
        second = (gamma @ gained.flatten(1)[..., None])[..., 0].view_as(gained)
        third = self.third_order[z] * gained.sum(-1) ** 2
        return second + third[..., None]

    def coulomb(self, z: Tensor, gamma: Tensor, populations: Tensor) -> Tensor:
        """Energy of the charges in eV, of second and third order."""
        gained = self.gained(z, populations)
        flat = gained.flatten(1)
        second = 0.5 * (flat * (gamma @ flat[..., None])[..., 0]).sum(1)
        return second + (self.third_order[z] * gained.sum(-1) ** 3).sum(1) / 3

    def double_counting(self, z: Tensor, gamma: Tensor, populations: Tensor) -> Tensor:
        """What the sum of levels counts twice of the charges' energy, in eV."""
        potential = self.potential(z, gamma, populations)
        return self.coulomb(z, gamma, populations) - (populations * potential).sum((1, 2))

    def prior(self, z: Tensor) -> Tensor:
        """Penalty on departures of the parameters from where they started.

        Parameters
        ----------
        z : Tensor of int64
            Atomic numbers of the elements that count, each once.
        """
        shells = self.shells[z]
        mean = lambda x: (x**2 * shells).sum() / shells.sum()  # noqa: E731
        vector = lambda x: (x**2).mean(-1)  # noqa: E731
        orbital = vector(self.orbital[z] - self._orbital_0[z])
        transfer = vector(self.transfer[z] - self._transfer_0[z])
        return (
            0.02 * mean(self.energy[z] - self._energy_0[z] + self.level[z][:, None])
            + ((orbital + 0.02 * transfer) * shells).sum() / shells.sum()
            + (self.log_hardness[z] - self._hardness_0[z]).square().mean()
            + mean(self.shell_hardness[z]) + mean(self.reference_shift[z])
            + self.screening[z].square().mean() + 0.1 * self.cloud[z].square().mean()
            + 0.1 * self.third_order[z].square().mean()
        )  # fmt: skip

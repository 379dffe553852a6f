"""The bond length of a pair: where the force vanishes, near what a network expects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .elements import BOHR_PER_ANGSTROM
from .hamiltonian import PairHamiltonian
from .module import TightBinding

__all__ = ["BondLengthStart", "bond_length"]

#: Shortest and longest bond length in Å that is looked at.
RANGE = (0.5, 10.0)
#: Size of an element's own column beside standardised ones.
OWN_COLUMN = 3.0
#: Largest size of a column: unusual elements must not lie far from all others.
LARGEST_COLUMN = 6.0
#: Widths of the hidden layers of a start.
HIDDEN = (96, 96)
#: Typical departure in Å of a bond length from the sum of the radii.
DEPARTURE = 0.4


# Forces are derivatives, and tensors of the inference mode have none.
@torch.inference_mode(False)
@torch.no_grad()
def bond_length(
    model: TightBinding, z: Tensor, start: Tensor, *, stiffness: float = 6.0,
    reach: float = 0.3, n_steps: int = 8, tolerance: float = 2e-3,
    populations: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Root of ``F(R) - k (R - R0)`` next to R0, with charges solved at every R.

    A curve of a pair can have several minima; the spring keeps the search at the one
    that is meant. Newton's steps, with the slope from the last two points; where these
    bracket the root, steps that leave the bracket bisect it.

    Parameters
    ----------
    model : TightBinding
        The model.
    z : Tensor of shape (n, 2), int64
        Atomic numbers.
    start : Tensor of shape (n,)
        R0 in Å.
    stiffness : float, default=6.0
        k in eV/Å².
    reach : float, default=0.3
        Largest departure from R0 in Å; a search that would go beyond stays at R0.
    n_steps : int, default=8
        Evaluations of the force.
    tolerance : float, default=2e-3
        Step in Å below which a pair is done.
    populations : Tensor of shape (n, 2, n_shells), optional
        Where the search for charges starts; by default at the free atoms.

    Returns
    -------
    length : Tensor of shape (n,)
        Bond lengths in Å.
    populations : Tensor of shape (n, 2, n_shells)
        Electrons by shell next to there.
    """
    z, start = z.clone(), start.to(model.hamiltonian.energy).clamp(*RANGE).clone()
    out = start.clone()
    rows = torch.arange(len(z), device=z.device)
    r, low, high = start.clone(), start - reach, start + reach
    old_r = old_f = None
    found = model.hamiltonian.neutral(z) if populations is None else populations.clone()
    for _ in range(n_steps):
        state = model(z[rows], r, forces=True, start=found[rows])
        found[rows] = state["populations"]
        force = state["force"] - stiffness * (r - start[rows])
        # A positive force drives the atoms apart: the root lies at a larger distance.
        low = torch.where(force > 0, r, low)
        high = torch.where(force > 0, high, r)
        slope = torch.full_like(r, 10.0 + stiffness)
        if old_r is not None:
            change = r - old_r
            secant = -(force - old_f) / torch.where(change.abs() < 1e-9, 1.0, change)
            slope = torch.where((secant > 0.1) & (change.abs() > 1e-9), secant, slope)
        trial = r + (force / slope).clamp(-0.1, 0.1)
        outside = (trial <= low) | (trial >= high)
        trial = torch.where(outside, (low + high) / 2, trial).clamp(*RANGE)
        out[rows] = trial
        moving = (trial - r).abs() > tolerance
        old_r, old_f = r[moving], force[moving]
        rows, r, low, high = rows[moving], trial[moving], low[moving], high[moving]
        if not len(rows):
            break
    lost = (out - start).abs() > 0.98 * reach
    return torch.where(lost, start, out), found


class BondLengthStart(nn.Module):
    """Bond lengths from the elements: sums of covalent radii, corrected by a network.

    Parameters
    ----------
    hamiltonian : PairHamiltonian
        Tables of the elements.
    elements : sequence of int
        Atomic numbers that are learned from; each has a column of its own.
    seed : int, default=0
        Of the initial weights.
    """

    columns: Tensor
    radius: Tensor
    electrons: Tensor

    def __init__(
        self, hamiltonian: PairHamiltonian, elements: Sequence[int], *, seed: int = 0
    ) -> None:
        super().__init__()
        own = torch.eye(len(hamiltonian.shells), dtype=torch.float64)[:, list(elements)]
        known = [hamiltonian.net.features, hamiltonian.shells, OWN_COLUMN * own]
        radius = hamiltonian.radius / BOHR_PER_ANGSTROM
        electrons = hamiltonian.reference.sum(1).round()
        self.register_buffer("columns", torch.cat(known, 1), persistent=False)
        self.register_buffer("radius", radius, persistent=False)
        self.register_buffer("electrons", electrons, persistent=False)
        self.layers = _layers(2 * self.columns.shape[1] + 2, seed)

    def forward(self, z: Tensor) -> Tensor:
        """Bond lengths (n,) in Å of pairs z (n, 2), float64."""
        sums = self.radius[z].sum(1)
        odd = self.electrons[z].sum(1) % 2
        pair = torch.stack([sums - 2.5, odd - 0.5], dim=1)
        left, right = self.columns[z].unbind(1)
        out = self._seen(left, right, pair) + self._seen(right, left, pair)
        return sums + (out * DEPARTURE).double() / 2

    def _seen(self, first: Tensor, second: Tensor, pair: Tensor) -> Tensor:
        columns = torch.cat([first, second, pair], dim=1).clamp(-LARGEST_COLUMN, LARGEST_COLUMN)
        return self.layers(columns.to(next(self.layers.parameters())))[:, 0]


def _layers(n_columns: int, seed: int) -> nn.Sequential:
    """Dense layers with one output, which is zero at first."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (n_columns, *HIDDEN, 1)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
        nn.init.kaiming_uniform_(layer.weight, 5**0.5, generator=generator)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.SiLU()]
    nn.init.zeros_(layer.weight)
    return nn.Sequential(*layers[:-1])

"""The bond length of a pair: where the force vanishes, near what a network expects."""

from __future__ import annotations

import torch
from torch import Tensor

from .module import TightBinding

__all__ = ["bond_length"]

#: Shortest and longest bond length in Å that is looked at.
RANGE = (0.5, 10.0)


@torch.no_grad()
def bond_length(
    model: TightBinding, z: Tensor, start: Tensor, *, stiffness: float = 6.0,
    reach: float = 0.3, n_steps: int = 8, tolerance: float = 2e-3,
) -> Tensor:  # fmt: skip
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

    Returns
    -------
    Tensor of shape (n,)
        Bond lengths in Å.
    """
    start = start.to(model.hamiltonian.energy).clamp(*RANGE)
    out = start.clone()
    rows = torch.arange(len(z), device=z.device)
    r, low, high = start.clone(), start - reach, start + reach
    old_r = old_f = populations = None
    for _ in range(n_steps):
        state = model(z[rows], r, forces=True, start=populations)
        populations = state["populations"]
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
        populations = populations[moving]
        if not len(rows):
            break
    lost = (out - start).abs() > 0.98 * reach
    return torch.where(lost, start, out)

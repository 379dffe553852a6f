"""Charges that agree with the Hamiltonian that they make.

The search is without gradients; the solution is differentiated implicitly. Shells are
mixed after Anderson from the free atoms on. Where that does not settle within the steps
allowed (levels that cross as charge flows), the charge transfer is bracketed: with a
positive effective hardness the computed transfer falls as the assumed one rises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .blocks import Factor
from .hamiltonian import Geometry

if TYPE_CHECKING:
    from .module import TightBinding

__all__ = ["TOLERANCE", "anderson", "bracketed", "self_consistent"]

#: Largest change of a shell's population in e at which charges count as consistent.
TOLERANCE = 1e-6
#: Steps of the mixing, and of the bracketing where the mixing has failed.
MIXING_STEPS, BRACKET_STEPS = 40, 40

_Map = Callable[[Tensor, Tensor], Tensor]


def self_consistent(
    model: TightBinding, z: Tensor, geometry: Geometry, electrons: Tensor, kt: float | Tensor,
    start: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Shell populations at self-consistency.

    Parameters
    ----------
    model : TightBinding
        The model.
    z : Tensor of shape (n, 2), int64
        Atomic numbers.
    geometry : Geometry
        Of the pairs; may carry gradients.
    electrons : Tensor of shape (n, 2)
        Electrons of each spin.
    kt : float or Tensor
        Smearing in eV.
    start : Tensor of shape (n, 2, n_shells), optional
        Where the search starts; by default at the free atoms.

    Returns
    -------
    Tensor of shape (n, 2, n_shells)
        Populations, differentiable where the geometry or the parameters are.
    """

    def respond(populations: Tensor) -> Tensor:
        potential = model.hamiltonian.potential(z, geometry.gamma, populations)
        known = geometry.onsite, geometry.hopping, geometry.overlap
        pencils = model.blocks.pencils(z, *known, potential)
        return model.blocks.solve(pencils, electrons, kt).populations.sum(-1)

    on_rows = _Response(model, z, geometry, electrons, kt)
    with torch.no_grad():
        first = model.hamiltonian.neutral(z) if start is None else start.to(geometry.onsite)
        found, settled = anderson(on_rows, first)
        rest = torch.nonzero(~settled)[:, 0]
        if len(rest):
            neutral = model.hamiltonian.neutral(z[rest])
            found[rest] = bracketed(lambda at, p: on_rows(rest[at], p), neutral)
    if not torch.is_grad_enabled():
        return found
    return _implicit(respond, found)


class _Response:
    """Populations that follow from populations, of some of the rows and without gradients."""

    def __init__(
        self, model: TightBinding, z: Tensor, geometry: Geometry, electrons: Tensor,
        kt: float | Tensor,
    ) -> None:
        self._model, self._kt = model, kt
        known = geometry.onsite, geometry.hopping, geometry.overlap
        self._whole = [z, electrons, geometry.gamma, *(x.detach() for x in known)]
        for factor in model.blocks.factors(geometry.overlap):
            self._whole += [*factor]

    @torch.no_grad()
    def __call__(self, rows: Tensor, populations: Tensor) -> Tensor:
        everything = len(rows) == len(self._whole[0])
        part = self._whole if everything else [value[rows] for value in self._whole]
        z, electrons, gamma, onsite, hopping, overlap, *rest = part
        factors = [Factor(*pair) for pair in zip(rest[::2], rest[1::2], strict=True)]
        potential = self._model.hamiltonian.potential(z, gamma, populations)
        return self._model.blocks.shell_populations(
            z, onsite, hopping, overlap, potential, factors, electrons, self._kt
        )


def anderson(
    on_rows: _Map, start: Tensor, *, depth: int = 5, damping: float = 0.4
) -> tuple[Tensor, Tensor]:
    """Fixed points of a batch of maps by Anderson mixing.

    Parameters
    ----------
    on_rows : callable
        Of row numbers (k,) and populations (k, 2, s): the populations that follow.
    start : Tensor of shape (n, 2, s)
        Where to start.
    depth : int, default=5
        Steps that are remembered.
    damping : float, default=0.4
        Share of the residual that is mixed in.

    Returns
    -------
    found : Tensor of shape (n, 2, s)
        The last iterates.
    settled : Tensor of bool, shape (n,)
        Where the residual is below the tolerance.
    """
    found, settled = (
        start.clone(),
        torch.zeros(len(start), dtype=torch.bool, device=start.device),
    )
    rows = torch.arange(len(start), device=start.device)
    x = start.flatten(1)
    points: list[Tensor] = []
    residuals: list[Tensor] = []
    for _ in range(MIXING_STEPS):
        f = on_rows(rows, x.view(-1, *start.shape[1:])).flatten(1) - x
        done = f.abs().amax(1) < TOLERANCE
        found[rows] = (x + torch.where(done[:, None], f, 0.0)).view(-1, *start.shape[1:])
        settled[rows] = done
        keep = ~done
        rows, x, f = rows[keep], x[keep], f[keep]
        points = [p[keep] for p in points[1 - depth :]] + [x]
        residuals = [r[keep] for r in residuals[1 - depth :]] + [f]
        if not len(rows):
            break
        x = _mixed(points, residuals, damping)
    return found, settled


def _mixed(points: list[Tensor], residuals: list[Tensor], damping: float) -> Tensor:
    x, f = points[-1], residuals[-1]
    if len(points) == 1:
        return x + damping * f
    dx = torch.stack([x - p for p in points[:-1]], dim=-1)
    df = torch.stack([f - r for r in residuals[:-1]], dim=-1)
    gram = df.mT @ df
    size = gram.diagonal(dim1=1, dim2=2).mean(-1)[:, None, None].clamp_min(1e-30)
    gram = gram + 1e-6 * size * torch.eye(gram.shape[-1], dtype=x.dtype, device=x.device)
    weights = torch.linalg.solve(gram, df.mT @ f[..., None])
    step = damping * f - ((dx + damping * df) @ weights)[..., 0]
    return x + step.clamp(-1.0, 1.0)


def bracketed(on_rows: _Map, neutral: Tensor) -> Tensor:
    """Fixed points of a batch of maps by bisection of the charge transfer.

    Parameters
    ----------
    on_rows : callable
        As in :func:`anderson`.
    neutral : Tensor of shape (n, 2, s)
        Populations of the free atoms.

    Returns
    -------
    Tensor of shape (n, 2, s)
        Populations whose sums by atom agree; the shells follow by damped steps.
    """
    rows = torch.arange(len(neutral), device=neutral.device)
    electrons = neutral.sum(-1)
    low, high = -electrons[:, 0], electrons[:, 1].clone()
    populations = neutral.clone()
    for _ in range(BRACKET_STEPS):
        transfer = (low + high) / 2
        target = torch.stack([electrons[:, 0] + transfer, electrons[:, 1] - transfer], dim=1)
        populations = _with_sums(populations, target)
        out = on_rows(rows, populations)
        more = out[:, 0].sum(-1) > target[:, 0]
        low, high = torch.where(more, transfer, low), torch.where(more, high, transfer)
        populations = 0.5 * populations + 0.5 * out
    return _with_sums(populations, target)


def _with_sums(populations: Tensor, target: Tensor) -> Tensor:
    """Populations scaled to given sums by atom; never divided by next to nothing."""
    sums = populations.sum(-1)
    share = populations / sums.clamp_min(1e-6)[..., None]
    return torch.where((sums > 1e-6)[..., None], share * target[..., None], populations)


def _implicit(respond: Callable[[Tensor], Tensor], found: Tensor) -> Tensor:
    """The fixed point with its derivative: ``dx = (1 - J)⁻¹ ∂f`` at the solution."""
    probe = found.detach().requires_grad_()
    out = respond(probe).flatten(1)
    columns = []
    for k in range(out.shape[1]):
        (row,) = torch.autograd.grad(out[:, k].sum(), probe, retain_graph=True)
        columns.append(row.flatten(1))
    jacobian = torch.stack(columns, dim=1)
    unit = torch.eye(out.shape[1], dtype=out.dtype, device=out.device)
    inverse = torch.linalg.inv(unit - jacobian)
    step = respond(found.detach()).flatten(1)
    change = (inverse @ (step - step.detach())[..., None])[..., 0]
    return found + change.view_as(found)

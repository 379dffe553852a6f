"""Overlaps and H0 of molecules as functions of the positions, in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..elements import SYMBOLS
from ..nn.harmonics import spherical_harmonics
from ..structures import Molecules
from ._basis import Basis
from ._blocks import Blocks, element_blocks, layout_of
from ._pair_table import PairTable, ShellPair
from ._slater_koster import offsets, sk_coefficients

__all__ = ["assembled"]


class _Meeting(NamedTuple):
    """All pairs of atoms of two elements: directions, and what their table says there."""

    pair: PairTable
    blocks: Blocks
    atoms: tuple[Tensor, Tensor]
    directions: Tensor
    overlap: Tensor
    coupling: Tensor
    shifts: tuple[Tensor, Tensor]
    repulsion: Tensor


def assembled(
    molecules: Molecules,
    basis: Basis,
    free: Mapping[str, NDArray[np.float64]],
    pairs: Mapping[tuple[str, str], PairTable],
    positions: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Overlaps, H0 (eV) as packed arrays of a record, and repulsion (eV) of molecules.

    Parameters
    ----------
    molecules, basis, free, pairs
        As of :func:`qcanvas_sklearn.hamiltonians._assembly.assemble`, whose numbers these are.
    positions : Tensor of shape (N, 3), float64
        In Å, in place of those of the molecules.
    """
    blocks = element_blocks(molecules, basis)
    met = [_meeting(pairs[kind], of, positions) for kind, of in blocks.off_site.items()]
    levels = _levels(molecules, free, met, positions)
    packed = positions.new_zeros(2, int(layout_of(molecules, basis).ptr[-1]))
    repulsion = positions.new_zeros(len(molecules))
    places, values = [], []
    for symbol, on_site in blocks.on_site.items():
        shells = basis[symbol]
        diagonal = np.einsum("pii->pi", on_site.index)
        width = torch.tensor(np.diff(offsets(shells)), device=positions.device)
        atoms = torch.tensor(on_site.i, device=positions.device)
        own = levels[atoms, : len(shells)].repeat_interleave(width, dim=1)
        places.append(diagonal.ravel())
        values.append(torch.stack([torch.ones_like(own), own]).flatten(1))
    for meeting in met:
        of = meeting.blocks
        places.append(of.index.ravel())
        values.append(_blocks(meeting, levels).flatten(1))
        rows = torch.tensor(of.row, device=positions.device)
        repulsion = repulsion.index_add(0, rows, meeting.repulsion)
    where = torch.tensor(np.concatenate(places), device=positions.device)
    overlap, core = packed.index_copy(1, where, torch.cat(values, dim=1)).unbind(0)
    return overlap, core, repulsion


def _meeting(pair: PairTable, of: Blocks, positions: Tensor) -> _Meeting:
    i, j = (torch.tensor(atoms, device=positions.device) for atoms in (of.i, of.j))
    vectors = positions[j] - positions[i]
    distances = vectors.square().sum(-1).sqrt()
    within = distances.clamp(float(pair.distances[0]), float(pair.distances[-1]))
    n, s = pair.overlap.shape[1], len(pair.shells[0])
    overlap, coupling, shifts, repulsion = _spline(pair, within).tensor_split(
        [n, 2 * n, 2 * n + pair.shifts.shape[1]], dim=1
    )
    return _Meeting(
        pair, of, (i, j), vectors / distances[:, None], overlap, coupling,
        (shifts[:, :s], shifts[:, s:]), repulsion[:, 0],
    )  # fmt: skip


def _spline(pair: PairTable, x: Tensor) -> Tensor:
    """All columns (p, c) of a table at distances (p,)."""
    knots, coefficients = (x.new_tensor(array) for array in pair.polynomials)
    piece = (torch.searchsorted(knots, x.detach(), right=True) - 1).clamp(0, len(knots) - 2)
    beyond = (x - knots[piece])[:, None]
    value = coefficients[0, piece]
    for power in coefficients[1:]:
        value = value * beyond + power[piece]
    return value


def _levels(
    molecules: Molecules,
    free: Mapping[str, NDArray[np.float64]],
    met: list[_Meeting],
    positions: Tensor,
) -> Tensor:
    """Levels of the shells in the molecules, (N, most shells of an element) in eV."""
    of_atoms = [free[SYMBOLS[z]] for z in molecules.z.tolist()]
    most = max(map(len, of_atoms))
    padded = np.stack([np.pad(levels, (0, most - len(levels))) for levels in of_atoms])
    levels = torch.tensor(padded, device=positions.device)
    for meeting in met:
        for atoms, shift in zip(meeting.atoms, meeting.shifts, strict=True):
            wide = torch.nn.functional.pad(shift, (0, most - shift.shape[1]))
            levels = levels.index_add(0, atoms, wide)
    return levels


def _blocks(meeting: _Meeting, levels: Tensor) -> Tensor:
    """Overlap and H0 of all orbitals of the two atoms, (2, p, n1, n2)."""
    pair, (i, j) = meeting.pair, meeting.atoms
    first, second = pair.level_columns
    mean = (levels[i][:, first] + levels[j][:, second]) / 2
    direct = torch.tensor(pair.direct, device=levels.device)
    core = meeting.coupling * torch.where(direct, 1.0, meeting.overlap * mean)
    integrals = torch.stack([meeting.overlap, core])
    highest = max(sum(each.momenta) for each in pair.pairs)
    harmonics = _harmonics(highest, meeting.directions)
    lines = []
    for a in range(len(pair.shells[0])):
        of_shell = [each for each in pair.pairs if each.shells[0] == a]
        lines.append(torch.cat([_turned(e, integrals, harmonics) for e in of_shell], dim=3))
    return torch.cat(lines, dim=2)


def _harmonics(highest: int, directions: Tensor) -> list[Tensor]:
    """Harmonics of the degrees from 0 on, (p, 2 l + 1) each."""
    constant = torch.ones_like(directions[:, :1])
    if not highest:
        return [constant]
    sizes = [2 * l + 1 for l in range(1, highest + 1)]
    return [constant, *spherical_harmonics(directions, highest).split(sizes, dim=1)]


def _turned(each: ShellPair, integrals: Tensor, harmonics: list[Tensor]) -> Tensor:
    """Blocks (2, p, 2 l1 + 1, 2 l2 + 1) between two shells, in the axes of the molecule."""
    l1, l2 = each.momenta
    even = torch.cat(harmonics[abs(l1 - l2) : l1 + l2 + 1 : 2], dim=1)
    terms = integrals[:, :, each.columns, None] * even[:, None]
    coefficients = torch.tensor(sk_coefficients(l1, l2), device=even.device)
    return (terms.flatten(2) @ coefficients).unflatten(2, (2 * l1 + 1, 2 * l2 + 1))

"""What two elements do to each other's orbitals, as functions of their distance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import factorial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from ._slater_koster import bond_integrals, integral_names, offsets, slater_koster

__all__ = ["Dimers", "PairTable", "ShellPair", "shell_pairs"]

#: Overlaps (of 1) and what they would do to an H0 (eV) that are as good as nothing.
_NEGLIGIBLE = 1e-10
#: H0 (eV) to which the form k S ē has to hold where it is used.
_FORM_TOLERANCE = 1e-6
#: Between one distance and the next, couplings that are smooth change by less.
_LARGEST_STEP = 1.0
#: Degree of the splines: between points of 7 % more distance each, the quintic ones of an
#: overlap are right to 1e-8, cubic ones to 2e-6.
_DEGREE = 5


class ShellPair(NamedTuple):
    """A shell of the first element and one of the second, and their columns in a table."""

    shells: tuple[int, int]
    momenta: tuple[int, int]
    orbitals: tuple[slice, slice]
    columns: slice


def shell_pairs(first: Sequence[int], second: Sequence[int]) -> Iterator[ShellPair]:
    """All pairs of shells of two elements, given by their angular momenta."""
    starts, column = (offsets(first), offsets(second)), 0
    for a, l1 in enumerate(first):
        for b, l2 in enumerate(second):
            end = column + min(l1, l2) + 1
            orbitals = (
                slice(starts[0][a], starts[0][a + 1]), slice(starts[1][b], starts[1][b + 1])
            )  # fmt: skip
            yield ShellPair((a, b), (l1, l2), orbitals, slice(column, end))
            column = end


class Dimers(NamedTuple):
    """Matrices of two atoms, the second above the first at each of r distances.

    Attributes
    ----------
    distances : ndarray of shape (r,)
        In Å, increasing.
    overlaps, cores : ndarray of shape (r, n, n)
        Of all orbitals of both atoms; H0 in eV.
    repulsion : ndarray of shape (r,)
        Energy (eV) of the cores.
    """

    distances: NDArray[np.float64]
    overlaps: NDArray[np.float64]
    cores: NDArray[np.float64]
    repulsion: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PairTable:
    """Overlaps, couplings and shifts of levels of two elements.

    Attributes
    ----------
    shells : tuple of two tuples of int
        Angular momenta of the shells of the first and the second element.
    distances : ndarray of shape (r,)
        In Å; at the last one everything has come to its end.
    overlap : ndarray of shape (r, c)
        Integrals of the overlap along the bond, in the order of :func:`shell_pairs`.
    coupling : ndarray of shape (r, c)
        H0 over overlap times mean of the two levels, a pure number; of the columns that
        are `direct` H0 itself in eV.
    direct : ndarray of bool, shape (c,)
        Columns whose overlap is too small, or too little like H0, to carry it.
    shifts : ndarray of shape (r, s1 + s2)
        What the other atom adds to the level of each shell of the first and of the second
        element, in eV.
    repulsion : ndarray of shape (r,)
        Energy (eV) with which the cores repel each other.
    """

    shells: tuple[tuple[int, ...], tuple[int, ...]]
    distances: NDArray[np.float64]
    overlap: NDArray[np.float64]
    coupling: NDArray[np.float64]
    direct: NDArray[np.bool_]
    shifts: NDArray[np.float64]
    repulsion: NDArray[np.float64]

    @property
    def names(self) -> list[str]:
        """Names of the columns, ``"ssσ"``; a shell of an l that came before has a number."""
        names = []
        for pair in self.pairs:
            of_shells = [
                _number(momenta, shell)
                for momenta, shell in zip(self.shells, pair.shells, strict=True)
            ]
            mark = "" if max(of_shells) == 1 else f"({of_shells[0]}, {of_shells[1]})"
            names += [name + mark for name in integral_names(*pair.momenta)]
        return names

    @cached_property
    def pairs(self) -> list[ShellPair]:
        """The pairs of shells."""
        return list(shell_pairs(*self.shells))

    @classmethod
    def from_dimers(
        cls,
        shells: tuple[tuple[int, ...], tuple[int, ...]],
        levels: tuple[NDArray[np.float64], NDArray[np.float64]],
        dimers: Dimers,
    ) -> PairTable:
        """A table from the matrices of dimers.

        Parameters
        ----------
        shells : tuple of two tuples of int
            Angular momenta of the shells of the two elements.
        levels : tuple of two ndarray
            Levels (eV) of the shells of the free atoms.
        dimers : Dimers
            Matrices at the distances.

        Returns
        -------
        PairTable

        Raises
        ------
        ValueError
            If the matrices are not of two-centre form.
        """
        split = offsets(shells[0])[-1]
        overlap, core = (
            _integrals(shells, m[:, :split, split:]) for m in (dimers.overlaps, dimers.cores)
        )
        on_site = [
            _levels(shells[0], dimers.cores[:, :split, :split]),
            _levels(shells[1], dimers.cores[:, split:, split:]),
        ]
        means = _mean_levels(shells, *on_site)
        shifts = np.concatenate(
            [found - free for found, free in zip(on_site, levels, strict=True)], axis=1
        )
        coupling, direct = _couplings(overlap, core, means)
        repulsion = dimers.repulsion.copy()
        overlap[-1], shifts[-1], coupling[-1, direct], repulsion[-1] = 0.0, 0.0, 0.0, 0.0
        return cls(shells, dimers.distances, overlap, coupling, direct, shifts, repulsion)

    @cached_property
    def _spline(self) -> Any:
        columns = np.concatenate(
            [self.overlap, self.coupling, self.shifts, self.repulsion[:, None]], axis=1
        )
        degree = min(_DEGREE, (len(self.distances) - 1) // 2 * 2 - 1)
        return make_interp_spline(self.distances, columns, k=max(degree, 1))

    @cached_property
    def polynomials(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Knots (q + 1,) in Å, and coefficients (k + 1, q, ...), the highest power first.

        The columns are overlaps, couplings, shifts of either element's levels, repulsion.
        """
        spline = self._spline
        knots = np.unique(spline.t)
        slopes = [spline(knots[:-1], nu=m) / factorial(m) for m in range(spline.k + 1)]
        return knots, np.stack(slopes[::-1])

    @cached_property
    def level_columns(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Shell of the first and of the second element that each integral joins."""
        return _level_columns(self.shells)

    def _at(self, distances: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Overlaps, couplings, shifts and repulsion at distances, each of shape (p, ...)."""
        within = np.clip(distances, self.distances[0], self.distances[-1])
        n = self.overlap.shape[1]
        return np.split(self._spline(within), [n, 2 * n, 2 * n + self.shifts.shape[1]], axis=1)

    def repulsion_at(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Repulsion of the cores in eV, shape (p,)."""
        return self._at(distances)[3][:, 0]

    def shifts_at(
        self, distances: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shifts of the first and of the second atom's levels, (p, s1) and (p, s2) in eV."""
        shifts = self._at(distances)[2]
        n = len(self.shells[0])
        return shifts[:, :n], shifts[:, n:]

    def integrals_at(
        self,
        distances: NDArray[np.float64],
        first: NDArray[np.float64],
        second: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Integrals of overlap and H0 (eV) along the bond, shape (p, c).

        Parameters
        ----------
        distances : ndarray of shape (p,)
            In Å; shorter than the shortest of the table count as that.
        first, second : ndarray of shape (p, s1) and (p, s2)
            Levels (eV) of the shells of the two atoms, where they are.
        """
        overlap, coupling, _, _ = self._at(distances)
        carried = overlap * _mean_levels(self.shells, first, second)
        return overlap, coupling * np.where(self.direct, 1.0, carried)

    def blocks(
        self, integrals: NDArray[np.float64], directions: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Blocks of all orbitals of the two atoms, (p, n1, n2), from integrals (p, c)."""
        shape = [offsets(shells)[-1] for shells in self.shells]
        blocks = np.empty((len(integrals), *shape))
        for pair in self.pairs:
            blocks[:, pair.orbitals[0], pair.orbitals[1]] = slater_koster(
                *pair.momenta, integrals[:, pair.columns], directions
            )
        return blocks


def _number(momenta: Sequence[int], shell: int) -> int:
    """Whether a shell is the first, second, ... one of its l."""
    return list(momenta[: shell + 1]).count(momenta[shell])


def _integrals(
    shells: tuple[tuple[int, ...], tuple[int, ...]], blocks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Integrals along the bond, (r, c), from blocks of all orbitals of bonds along z."""
    return np.concatenate(
        [
            bond_integrals(*pair.momenta, blocks[:, pair.orbitals[0], pair.orbitals[1]])
            for pair in shell_pairs(*shells)
        ],
        axis=1,
    )


def _levels(shells: Sequence[int], blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels of the shells, (r, s), from blocks of one atom's orbitals.

    Raises
    ------
    ValueError
        If orbitals of a shell differ, or different ones couple.
    """
    starts = offsets(shells)
    diagonal = np.einsum("pii->pi", blocks)
    levels = np.stack([diagonal[:, a:b].mean(axis=1) for a, b in pairwise(starts)], axis=1)
    spread = blocks - np.einsum("pi,ij->pij", np.repeat(levels, np.diff(starts), axis=1),
                                np.eye(starts[-1]))  # fmt: skip
    left = np.abs(spread).max(initial=0.0)
    if left > _FORM_TOLERANCE:
        raise ValueError(
            f"the other atom splits or mixes the levels of an atom by {left:.2g} eV; tables "
            "hold shifts that are equal for all orbitals of a shell"
        )
    return levels


def _mean_levels(
    shells: tuple[tuple[int, ...], tuple[int, ...]],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean of the two levels that each integral joins, (p, c)."""
    a, b = _level_columns(shells)
    return (first[:, a] + second[:, b]) / 2


def _level_columns(
    shells: tuple[tuple[int, ...], tuple[int, ...]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Shell of either element that each integral joins, (c,) both."""
    pairs = list(shell_pairs(*shells))
    counts = [min(pair.momenta) + 1 for pair in pairs]
    a, b = (np.repeat([pair.shells[k] for pair in pairs], counts) for k in (0, 1))
    return a, b


def _couplings(
    overlap: NDArray[np.float64], core: NDArray[np.float64], means: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Columns of couplings, and which of them are H0 itself."""
    coupling, direct = core.copy(), np.ones(core.shape[1], dtype=bool)
    carried, rows = overlap * means, np.arange(len(core))
    for c in range(core.shape[1]):
        good = np.abs(carried[:, c]) > _NEGLIGIBLE
        if good.sum() < 2:
            continue
        ratio = np.interp(rows, rows[good], core[good, c] / carried[good, c])
        holds = np.abs(ratio * carried[:, c] - core[:, c]).max() < _FORM_TOLERANCE
        # Where the overlap passes through zero and H0 does not, their ratio has a pole.
        if holds and np.abs(np.diff(ratio)).max() < _LARGEST_STEP:
            coupling[:, c], direct[c] = ratio, False
    return coupling, direct

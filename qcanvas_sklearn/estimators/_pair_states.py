"""What a fitted tight-binding model knows of a pair besides its targets."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._validation import check_n_rows
from ..elements import symbols
from ..nn.cores.tight_binding import (
    ABSENT_EV,
    BOHR_PER_ANGSTROM,
    MemberState,
    Pencil,
    State,
    TightBinding,
    TightBindingMembers,
    generalized_eigh,
    in_order,
    quantities_of,
    state_features,
)
from ..training import DenseRows, evaluation_module, repeatable, resolve_device
from ._correction import Description
from ._state_labels import given_populations, mean_by_row

__all__ = ["OrbitalBlock", "PairStates"]

Array = NDArray[np.float64]

SHELLS = ("s", "p", "d", "f")
#: Names of the levels by m, the angular momentum about the bond.
SYMMETRIES = ("sigma", "pi", "delta", "phi")
#: Shortest and longest distance in Å that is computed.
_DISTANCES = (0.2, 50.0)
#: Pairs that are computed at a time: matrices are small, and operations on them many.
CHUNK = 2048

if TYPE_CHECKING:
    from ._base import NetEstimator

    class _Shell(NetEstimator):
        def _fold(self, rows: DenseRows) -> NDArray[np.int64]: ...

        def _centre(self, outputs: Array) -> Array: ...
else:
    _Shell = object


class OrbitalBlock(NamedTuple):
    """Hamiltonian of the orbitals of a pair with one angular momentum about the bond.

    Attributes
    ----------
    symmetry : {"sigma", "pi", "delta", "phi"}
        m = 0, 1, 2, 3; all but the first occur twice, with m and -m.
    labels : tuple of str
        The k orbitals, as in ``"C1 s"``: element, place in the pair, shell.
    hamiltonian : ndarray of shape (k, k)
        In eV.
    overlap : ndarray of shape (k, k)
        Orbitals are normalised.
    """

    symmetry: str
    labels: tuple[str, ...]
    hamiltonian: Array
    overlap: Array


class PairStates(_Shell):
    """Levels, populations, Hamiltonians, energy curves and parameters of the elements."""

    def levels(self, X: Any) -> pd.DataFrame:
        """Orbital energies of pairs, and where the orbitals are.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.

        Returns
        -------
        DataFrame
            One row a level, by pair from the lowest: ``pair`` (number of the row of X),
            ``symmetry`` ("sigma", "pi", "delta", "phi"), ``energy_ev`` (the median of the
            members), ``degeneracy`` (1, or 2 for all but sigma), ``electrons`` in all its
            orbitals, and the shares of the shells of both atoms in it, ``first_s`` to
            ``second_f``, by Mulliken.
        """
        states = self._states(X)
        energy, electrons, shares = (
            torch.stack(parts) for parts in zip(*map(_levels, states), strict=True)
        )
        n, blocks = energy.shape[1], states[0].model.blocks
        frame = pd.DataFrame(
            {
                "pair": np.repeat(np.arange(n), len(blocks.level_m)),
                "symmetry": np.tile(np.array(SYMMETRIES)[blocks.level_m], n),
                "energy_ev": energy.median(0).values.flatten(),
                "degeneracy": np.tile(blocks.degeneracy.int(), n),
                "electrons": electrons.mean(0).flatten(),
            }
        )
        names = [f"{atom}_{shell}" for atom in ("first", "second") for shell in SHELLS]
        frame[names] = shares.mean(0).flatten(0, 1).numpy()
        frame = frame[frame["energy_ev"] < ABSENT_EV / 2]
        return frame.sort_values(["pair", "energy_ev"], kind="stable", ignore_index=True)

    def populations(self, X: Any) -> Array:
        """Electrons by shell, computed from the occupied orbitals (Mulliken).

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.

        Returns
        -------
        ndarray of shape (n, 2, 4)
            In s, p, d and f of both atoms, in e; the mean of the members. Where charges are
            solved they are those that the potential was made of; where populations are given
            the difference to them says how well the model explains the pair.
        """
        parts = []
        for states in self._states(X):
            by_shell = states.state["orbital_populations"].sum(-1)
            missing = 4 - by_shell.shape[-1]
            parts.append(states.restored(torch.nn.functional.pad(by_shell, (0, missing))))
        return torch.stack(parts).mean(0).numpy()

    def hamiltonian(
        self, X: Any, distance: ArrayLike | None = None, *, member: int = 0,
        potential: bool = True,
    ) -> list[list[OrbitalBlock]]:  # fmt: skip
        """Hamiltonian and overlap of pairs in their blocks.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.
        distance : float or array-like of shape (n,), default=None
            Distances in Å in place of those of the pairs; charges are solved there.
        member : int, default=0
            Member of the ensemble: each has orbitals of its own.
        potential : bool, default=True
            Whether the potential of the charges is in the Hamiltonian.

        Returns
        -------
        list of list of OrbitalBlock
            For each pair its blocks, from sigma. The orbitals are those of a bond that
            points from the lighter element to the heavier one, whichever comes first in X.
        """
        states = self._states_at(X, distance, member)
        pencils = states.pencils(potential)
        return [_blocks(states, row, pencils) for row in range(len(states.state["z"]))]

    def repulsion(
        self, X: Any, distance: ArrayLike | None = None, *, member: int = 0
    ) -> Array:
        """Energy with which the cores of pairs repel each other.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.
        distance : float or array-like of shape (n,), default=None
            Distances in Å in place of those of the pairs.
        member : int, default=0
            Member of the ensemble.

        Returns
        -------
        ndarray of shape (n,)
            In eV.
        """
        return self._states_at(X, distance, member).state["repulsion"].numpy()

    def _states_at(self, X: Any, distance: ArrayLike | None, member: int) -> States:
        """States of one member, at other distances than those of the pairs if there are any."""
        n = self._n_rows(X)
        last = self._built_with["n_members"] - 1
        check_scalar(member, "member", numbers.Integral, min_val=0, max_val=last)
        at = None if distance is None else _checked_distances(distance, n)
        return self._states(X, at)[member]

    def potential_curve(self, X: Any, distances: ArrayLike) -> Array:
        """Total energy of pairs at other distances, with charges solved at each.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As for :meth:`predict`.
        distances : array-like of shape (k,)
            Distances in Å.

        Returns
        -------
        ndarray of shape (n, k)
            Total energies in eV, the mean of the members. A model that has seen pairs at their
            bond lengths alone knows their slopes there, and extrapolates from that.
        """
        grid = np.atleast_1d(np.asarray(distances, dtype=np.float64))
        if grid.ndim != 1:
            raise ValueError(f"distances has shape {grid.shape}, expected (k,)")
        n = self._n_rows(X)
        at = _checked_distances(np.tile(grid, n), n * len(grid))
        total = [states.state["total"] for states in self._states(X, at, len(grid))]
        return torch.stack(total).mean(0).view(n, len(grid)).numpy()

    @property
    def element_parameters_(self) -> pd.DataFrame:
        """Parameters of the elements that were learned from, the mean of the members.

        Returns
        -------
        DataFrame
            One row an element: valence ``electrons``; energies of the shells of the free atom
            ``s_ev`` to ``f_ev`` (NaN where there is none); ``hardness_ev``, the change of a
            level by an electron; charge ``core_e`` and width ``core_width_ang`` of the cores
            whose repulsion is learned. ``attrs["units"]`` has the units.
        """
        check_is_fitted(self, "net_")
        members = self.net_.module_
        z = members.elements
        columns = []
        for k in range(len(members)):
            h = members[k].hamiltonian
            energies = torch.where(h.shells > 0, h.shell_energies(), torch.nan)
            energies = torch.nn.functional.pad(
                energies, (0, 4 - energies.shape[1]), value=torch.nan
            )
            own = torch.stack([
                h.reference.sum(1), h.log_hardness.exp(), h.core * h.log_core.exp(),
                h.log_width.exp() / BOHR_PER_ANGSTROM,
            ], dim=1)  # fmt: skip
            columns.append(torch.cat([own[:, :1], energies, own[:, 1:]], dim=1)[z])
        names = ["electrons", *(f"{shell}_ev" for shell in SHELLS), "hardness_ev", "core_e",
                 "core_width_ang"]  # fmt: skip
        values = torch.stack(columns).mean(0).detach().numpy()
        frame = pd.DataFrame(values, pd.Index(symbols(z.numpy()), name="element"), names)
        units = ("e", *4 * ("eV",), "eV", "e", "Å")
        frame.attrs["units"] = dict(zip(names, units, strict=True))
        return frame

    def describe(self, X: Any, *, out_of_fold: bool = False) -> Description:
        """Pairs as the model sees them, for a network that learns what it leaves.

        Out of fold, a training pair is seen by the member that did not learn from it; a pair
        that none did by all.
        """
        return self.describe_rows(self._read(X), out_of_fold=out_of_fold)

    def describe_rows(
        self, rows: Any, *, out_of_fold: bool = False, device: str | None = None
    ) -> Description:
        """As :meth:`describe`, of rows with what predictions start from; on another device."""
        states = self._states_of(rows, forces=True, out_of_fold=out_of_fold, device=device)
        known = dict(rows.arrays)
        n, own_rows = len(known["z"]), [part.own.rows.numpy() for part in states]
        columns = []
        for own, part in zip(own_rows, states, strict=True):
            given = given_populations(known, own)
            given = None if given is None else part.restored(given)
            with torch.no_grad():
                atoms, pair = state_features(part.model, part.state["z"], part.state, given)
            columns.append((part.quantities(), part.restored(atoms).numpy(), pair.numpy()))
        means = [mean_by_row(n, own_rows, c) for c in zip(*columns, strict=True)]
        quantities = np.repeat(means[0][:, None], len(states), axis=1)
        for k, own in enumerate(own_rows):
            quantities[own, k] = columns[k][0]
        return Description(quantities, self._centre(quantities), *means[1:])

    def _n_rows(self, X: Any) -> int:
        check_is_fitted(self, "net_")
        return len(X)

    def _states(
        self, X: Any, distance: Array | None = None, repeats: int = 1
    ) -> list[States]:
        return self._states_of(self._known_rows(X), distance, repeats)

    def _states_of(
        self, rows: Any, distance: Array | None = None, repeats: int = 1, *,
        out_of_fold: bool = False, forces: bool = False, device: str | None = None,
    ) -> list[States]:  # fmt: skip
        """States of pairs, each repeated, by member.

        Out of fold, a member has the states of those rows alone that it did not learn from.
        """
        arrays = {name: np.repeat(a, repeats, axis=0) for name, a in rows.arrays.items()}
        if distance is not None:
            arrays["distance"] = distance
            arrays.pop("shells", None)
        if out_of_fold:
            arrays["fold"] = np.repeat(self._fold(rows), repeats)
        place = resolve_device(device or self.device, fallback=True)
        members = evaluation_module(self.net_, place)
        assert isinstance(members, TightBindingMembers)
        parts = []
        with repeatable(place), torch.no_grad():
            for start in range(0, len(arrays["z"]), CHUNK):
                part = {
                    name: torch.as_tensor(np.array(a[start : start + CHUNK])).to(place)
                    for name, a in arrays.items()
                }
                parts.append(_part_states(members, part, start, forces))
        members = members.cpu()
        return [States(members, *_joined(own)) for own in zip(*parts, strict=True)]


class States(NamedTuple):
    """States of pairs as one member has them.

    Attributes
    ----------
    members : TightBindingMembers
        The ensemble, on the CPU in double precision.
    own : MemberState
        Which member, rows and states; in these the smaller atomic number comes first.
    turned : Tensor of bool, shape (k,)
        Where the atoms are in another order than in the row.
    """

    members: TightBindingMembers
    own: MemberState
    turned: torch.Tensor

    @property
    def model(self) -> TightBinding:
        """The member."""
        return self.members[self.own.member]

    @property
    def state(self) -> State:
        """The states."""
        return self.own.state

    def restored(self, by_atom: torch.Tensor) -> torch.Tensor:
        """Quantities (k, 2, ...) of atoms in the order of the rows."""
        turned = self.turned.view(-1, *(1 for _ in by_atom.shape[1:]))
        return torch.where(turned, by_atom.flip(1), by_atom)

    def quantities(self) -> Array:
        """`QUANTITIES` of the rows, (k, 8), with the sign of their own order."""
        sign = torch.where(self.turned, -1.0, 1.0)
        return quantities_of(self.state, sign).numpy()

    def pencils(self, potential: bool = True) -> list[Pencil]:
        """H and S of the blocks by m, with the potential of the charges or without."""
        state = self.state
        known = [state[key] for key in ("onsite", "hopping", "overlap", "potential")]
        if not potential:
            known[-1] = torch.zeros_like(known[-1])
        return self.model.blocks.pencils(state["z"], *known)


def _part_states(
    members: TightBindingMembers, part: dict[str, torch.Tensor], start: int, forces: bool
) -> list[tuple[MemberState, torch.Tensor]]:
    shells = part.get("shells")
    z, shells, sign = in_order(part["z"], None if shells is None else shells.double())
    distance, rows_of = part.get("distance"), None
    if "fold" in part:
        fold = part["fold"]
        rows_of = [torch.nonzero((fold == k) | (fold < 0))[:, 0] for k in range(len(members))]
    if distance is not None:
        distance = distance.double()
    out = []
    for k, rows, state in members.states(z, distance, shells, rows_of, forces=forces):
        known = {"z": z[rows], **state}
        own = MemberState(k, rows.cpu() + start, {n: v.cpu() for n, v in known.items()})
        out.append((own, (sign < 0)[rows].cpu()))
    return out


def _joined(
    parts: Sequence[tuple[MemberState, torch.Tensor]],
) -> tuple[MemberState, torch.Tensor]:
    states = [own.state for own, _ in parts]
    state = {name: torch.cat([part[name] for part in states]) for name in states[0]}
    rows = torch.cat([own.rows for own, _ in parts])
    turned = torch.cat([turned for _, turned in parts])
    return MemberState(parts[0][0].member, rows, state), turned


class _Levels(NamedTuple):
    energy: torch.Tensor  # (n, n_levels), by block
    electrons: torch.Tensor
    shares: torch.Tensor  # (n, n_levels, 8)


def _levels(states: States) -> _Levels:
    """Levels of all blocks, the electrons in them, and the shares of the shells."""
    n_shells = states.model.n_shells
    energies, shares = [], []
    for m, (h, s) in enumerate(states.pencils()):
        energy, vectors = generalized_eigh(h, s)
        by_orbital = (vectors * (s @ vectors)).mT
        by_shell = by_orbital.unflatten(-1, (2, n_shells - m))
        by_shell = torch.nn.functional.pad(by_shell, (m, 4 - n_shells))
        shares.append(states.restored(by_shell.movedim(2, 1)).movedim(1, 2).flatten(2))
        energies.append(energy)
    electrons = states.state["occupations"] * states.model.blocks.degeneracy
    return _Levels(torch.cat(energies, 1), electrons, torch.cat(shares, 1))


def _blocks(states: States, row: int, pencils: Sequence[Pencil]) -> list[OrbitalBlock]:
    """Blocks of a pair without the orbitals that stand in for absent shells."""
    n_shells = states.model.n_shells
    z, turned = states.state["z"][row], bool(states.turned[row])
    shells = states.model.hamiltonian.shells[z] > 0
    names = symbols(z.numpy())
    out = []
    for m, (h, s) in enumerate(pencils):
        kept = [(i, l) for i in ((1, 0) if turned else (0, 1))
                for l in range(m, n_shells) if shells[i, l]]  # fmt: skip
        if not kept:
            continue
        at = [i * (n_shells - m) + l - m for i, l in kept]
        labels = tuple(f"{names[i]}{1 + (i != turned)} {SHELLS[l]}" for i, l in kept)
        ordered = [x[row][at][:, at].numpy() for x in (h, s)]
        out.append(OrbitalBlock(SYMMETRIES[m], labels, *ordered))
    return out


def _checked_distances(distances: ArrayLike, n: int) -> Array:
    values = np.asarray(distances, dtype=np.float64)
    if values.ndim == 0:
        values = np.full(n, values)
    check_n_rows(values, n, input_name="distance")
    low, high = _DISTANCES
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        raise ValueError(f"distance {values[bad][0]} is not between {low} and {high} Å")
    return values

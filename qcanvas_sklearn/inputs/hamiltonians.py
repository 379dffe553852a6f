"""Molecules with what is known of their Hamiltonians before anything is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from ..elements import MAX_Z, symbols
from ..hamiltonians import Hamiltonians, TwoCentreTables, compute_hamiltonians
from ..hamiltonians._blocks import layout_of
from ..hamiltonians._electrons import count_electrons, holds_all_electrons
from ..hamiltonians._packed import pack
from ..hamiltonians._template import Template, filled
from ..structures import Molecules
from ..training import GraphRows
from ._base import InputSpec
from .molecules import MoleculeReader

__all__ = ["REFERENCES", "HamiltonianReader", "Structures"]

#: What a Hamiltonian can be learned as the difference from.
REFERENCES = ("two-centre-scc", "two-centre", "minao", "overlap", None)
#: Deviation up to which overlaps of tables or of a method are those of the labels.
_SAME_OVERLAP = 1e-5
_LEAST = 1e-6


class Structures(NamedTuple):
    """Molecules, packed overlaps of their orbitals where they are known, and their labels."""

    molecules: Molecules
    overlap_values: NDArray[np.float64] | None = None
    labels: Hamiltonians | None = None


class _Known(NamedTuple):
    """What a reference tells: packed arrays, electrons by atom and place, bond orders."""

    values: NDArray[np.float64]
    overlap_values: NDArray[np.float64]
    electrons: NDArray[np.float64]
    orders: list[NDArray[np.float64]]


class _State(NamedTuple):
    """One molecule: arrays (n_orbitals, n_orbitals) of the reference."""

    hamiltonian: NDArray[np.float64]
    overlap: NDArray[np.float64]
    density: NDArray[np.float64]


class HamiltonianReader(MoleculeReader):
    """Read molecules, and make reference Hamiltonians and overlaps of them.

    The `features` of the rows are a record of the reference, in eV.

    Parameters
    ----------
    spec : InputSpec
        What the network takes.
    labels : Hamiltonians
        What is to be learned: its basis, and how it counts electrons, are those of the
        references.
    reference : {"two-centre-scc", "two-centre", "minao", "overlap"} or None
        What is known beforehand.
    tables : TwoCentreTables or None
        Where references and overlaps come from.
    method : str, optional
        Functional and basis, of which PySCF computes the reference "minao", and overlaps
        where they are not given.

    Attributes
    ----------
    template_ : Template
        Places of the shells.
    computes_overlaps_ : bool
        Whether the tables' overlaps are those of the orbitals that are learned.
    typical_ : dict of int to ndarray
        Electrons by place of the elements' atoms, beside which those of an atom are seen:
        those of the free atom in tables, else the mean over what is learned from.
    """

    def __init__(
        self, spec: InputSpec, labels: Hamiltonians, reference: str | None,
        tables: TwoCentreTables | None, method: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(spec)
        self.basis, self.reference, self.tables = labels.basis, reference, tables
        self.method = method
        self.template_ = Template(labels.basis)
        self.core_electrons_ = _core_electrons(labels)
        self.computes_overlaps_ = tables is not None
        self.typical_: dict[int, NDArray[np.float64]] = {}

    def fit(self, estimator: BaseEstimator, X: Structures) -> GraphRows:
        """Read molecules to learn from, and find out whether the overlaps are the tables'."""
        self.source = X.molecules.provenance
        self.computes_overlaps_ = self._tables_fit(X)
        return self._read(X)

    def settled(self, rows: GraphRows, learned: NDArray[np.int64]) -> GraphRows:
        """Rows of a first fit, their electrons beside those of the rows learned from."""
        if rows.atom is None:
            return rows
        self.typical_ = self._typical(rows.take(learned))
        return replace(rows, atom=self._relative(rows.z, rows.atom))

    def read(
        self, estimator: BaseEstimator, X: Any, *, learn: bool = False, slopes: bool = False
    ) -> GraphRows:
        """Read further molecules; the graphs alone of those that are no `Structures`."""
        return self._read(X) if isinstance(X, Structures) else super().read(estimator, X)

    def _tables_fit(self, X: Structures) -> bool:
        """Whether the tables hold the elements, with the shells and overlaps of the labels."""
        if self.tables is None or self.reference == "minao":
            return False
        present = symbols(X.molecules.elements).tolist()
        lacking = [s for s in present if s not in self.tables.basis]
        other = [
            s for s in present
            if s not in lacking and self.basis[s] != self.tables.basis[s]
        ]  # fmt: skip
        if self.reference in ("two-centre", "two-centre-scc"):
            self.tables.check(X.molecules, charges=self.reference == "two-centre-scc")
            if other:
                raise ValueError(
                    f"reference={self.reference!r}: {other[0]} has the shells "
                    f"{self.tables.basis[other[0]]} in the tables and {self.basis[other[0]]} "
                    "in the Hamiltonians; use reference='overlap', or tables of their basis"
                )
        if lacking or other:
            return False
        if X.overlap_values is None:
            return True
        found = self.tables.hamiltonians(X.molecules).overlap_values
        assert found is not None  # tables hold overlaps
        return bool(np.abs(found - X.overlap_values).max(initial=0.0) < _SAME_OVERLAP)

    def _read(self, X: Structures) -> GraphRows:
        molecules, overlaps, _ = X
        rows = super()._rows(molecules)
        if self.reference in ("two-centre", "two-centre-scc", "minao"):
            minao = self.reference == "minao"
            states = (
                self._superposed(molecules, overlaps) if minao else self._two_centre(molecules)
            )
            known = self._known(molecules, states)
            values = known.values
            rows = replace(rows, **self._described(molecules, rows, known))
            if overlaps is None and (minao or self.computes_overlaps_):
                overlaps = known.overlap_values
        else:
            values = np.zeros(layout_of(molecules, self.basis).ptr[-1])
            if overlaps is None:
                overlaps = self._overlaps(molecules)
        if overlaps is None and self.reference is not None:
            raise ValueError(
                f"reference={self.reference!r} needs the overlaps of the orbitals, which the "
                "tables do not hold for this basis: pass Hamiltonians with overlaps to fit, "
                "and overlaps to predict, or the method of which PySCF can compute them"
            )
        record = Hamiltonians(
            molecules, self.basis, values, overlaps, "eV",
            self._electrons(molecules),  # type: ignore[arg-type]
        )  # fmt: skip
        rows = replace(rows, features=record)
        if self.reference is None or overlaps is None:
            return rows
        index = self.template_.index(molecules, *self.pairs(rows))
        flat = filled(overlaps, index, 0.0).reshape(len(index), self.template_.size**2)
        return replace(rows, overlap=flat)

    def _electrons(self, molecules: Molecules) -> NDArray[np.float64] | None:
        """Electrons of each molecule, None where the basis says how many."""
        if self.core_electrons_ is None:
            return None
        core = molecules.composition @ self.core_electrons_[molecules.elements]
        return np.round(molecules.composition @ molecules.elements - molecules.charge - core)

    def pairs(self, rows: GraphRows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The atoms of each pair, counted over all rows."""
        first = np.repeat(rows.ptr[:-1], np.diff(rows.edge_ptr))
        return rows.source + first, rows.target + first

    def _overlaps(self, molecules: Molecules) -> NDArray[np.float64] | None:
        """Packed overlaps, where tables hold them or a method is named."""
        if self.computes_overlaps_ and self.tables is not None:
            return self.tables.hamiltonians(molecules).overlap_values
        return None if self.method is None else self._computed(molecules, "core").overlap_values

    def _computed(self, molecules: Molecules, state: str) -> Hamiltonians:
        """Hamiltonians of the method, if they are in the basis of the labels."""
        assert self.method is not None  # checked with the reference
        found = compute_hamiltonians(molecules, method=self.method, state=state)
        for symbol in symbols(molecules.elements).tolist():
            if symbol in self.basis and found.basis[symbol] != self.basis[symbol]:
                raise ValueError(
                    f"method={self.method!r}: {symbol} has the shells {found.basis[symbol]} "
                    f"there and {self.basis[symbol]} in the Hamiltonians"
                )
        return found

    def _superposed(
        self, molecules: Molecules, overlaps: NDArray[np.float64] | None
    ) -> Iterator[_State]:
        """States of superposed atoms, if their overlaps are those that are given."""
        found = self._computed(molecules, "minao")
        assert found.overlap_values is not None  # computed with them
        if overlaps is not None:
            off = np.abs(found.overlap_values - overlaps).max(initial=0.0)
            if off > _SAME_OVERLAP:
                raise ValueError(
                    f"method={self.method!r}: its overlaps are not those of the Hamiltonians, "
                    f"from which they differ by {off:.2g}"
                )
        for i in range(len(found)):
            yield _State(found.matrix(i), found.overlap(i), found.density(i))

    def _two_centre(self, molecules: Molecules) -> Iterator[_State]:
        """States that the tables make."""
        assert self.tables is not None  # checked with the reference
        scc = self.reference == "two-centre-scc"
        for state in self.tables.states(molecules, scc=scc):
            yield _State(state.hamiltonian, state.overlap, state.density)

    def _known(self, molecules: Molecules, states: Iterator[_State]) -> _Known:
        """Matrices of molecules, and their electrons as those place them."""
        nothing = np.zeros(0)
        values, overlaps, gross, orders = [nothing], [nothing], [nothing], []
        for i, state in enumerate(states):
            z = molecules.z[molecules.ptr[i] : molecules.ptr[i + 1]]
            shared = state.density @ state.overlap
            start = self.basis.orbitals(z).ptr[:-1]
            bonds = np.add.reduceat(np.add.reduceat(shared * shared.T, start, 0), start, 1)
            values.append(pack(state.hamiltonian))
            overlaps.append(pack(state.overlap))
            gross.append(np.diag(shared))
            orders.append(bonds)
        found = self._by_place(molecules, np.concatenate(gross))
        electrons = self._relative(molecules.z, found)
        return _Known(np.concatenate(values), np.concatenate(overlaps), electrons, orders)

    def _by_place(
        self, molecules: Molecules, gross: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Electrons of each shell, (N, n_places)."""
        orbitals = self.basis.orbitals(molecules.z)
        found = np.zeros((len(molecules.z), len(self.template_.momenta)))
        for z in molecules.elements.tolist():
            places = self.template_.places(str(symbols([z])[0]))
            of_element = molecules.z[orbitals.atom] == z
            shell = places[orbitals.shell[of_element]]
            np.add.at(found, (orbitals.atom[of_element], shell), gross[of_element])
        return found

    def _relative(
        self, z: NDArray[np.int64], electrons: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Electrons by place beside those that are typical, where these are known."""
        relative = electrons.copy()
        for number, typical in self.typical_.items():
            relative[z == number] -= typical
        return relative

    def _typical(self, rows: GraphRows) -> dict[int, NDArray[np.float64]]:
        """Electrons by place of an element: of the free atom in tables, else in the mean."""
        if self.reference == "minao":
            numbers = np.unique(rows.z).tolist()
            return {z: rows.atom[rows.z == z].mean(axis=0) for z in numbers}
        assert self.tables is not None  # checked with the reference
        typical = {}
        for z, symbol in zip(self.basis.elements.tolist(), self.basis, strict=True):
            if symbol in self.tables.basis:
                typical[z] = np.zeros(rows.atom.shape[1])
                places = self.template_.places(symbol)
                typical[z][places] = self.tables.free_populations(symbol)
        return typical

    def _described(
        self, molecules: Molecules, rows: GraphRows, known: _Known
    ) -> dict[str, NDArray[np.float64]]:
        """Numbers that describe atoms and pairs: electrons, and bond orders."""
        edges = np.split(np.arange(len(rows.source)), rows.edge_ptr[1:-1])
        orders = [
            order[rows.source[of], rows.target[of]]
            for order, of in zip(known.orders, edges, strict=True)
        ]
        return {
            "atom": known.electrons,
            "pair": np.concatenate([np.zeros(0), *orders])[:, None],
        }

    def network_params(self, rows: GraphRows) -> dict[str, Any]:
        """Number of elements, places of shells, and sizes of the numbers that describe."""
        scales = {
            f"{name}_scale": _root_mean_square(getattr(rows, name))
            for name in ("atom", "pair")
            if getattr(rows, name) is not None
        }
        return super().network_params(rows) | {"momenta": self.template_.momenta} | scales

    def wrap(
        self, network: type[nn.Module], params: Mapping[str, Any], parity: Sequence[int]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """The network as it is; what it puts out are blocks, whose number it knows."""
        return network, {name: value for name, value in params.items() if name != "n_outputs"}


def _root_mean_square(values: NDArray[np.float64]) -> list[float]:
    if not len(values):
        return [1.0] * values.shape[1]
    return np.maximum(np.sqrt((values**2).mean(axis=0)), _LEAST).tolist()


def _core_electrons(labels: Hamiltonians) -> NDArray[np.float64] | None:
    """Electrons by atomic number that labels leave out; None where the basis tells.

    Where the molecules do not tell elements apart, as those of one formula, only the sums over
    such molecules mean anything, and are whole.
    """
    molecules, elements = labels.molecules, labels.molecules.elements
    with suppress(ValueError):
        if np.array_equal(count_electrons(molecules, labels.basis), labels.n_electrons):
            return None
    left = molecules.composition @ elements - molecules.charge - labels.n_electrons
    core = np.zeros(MAX_Z + 1)
    # Elements with shells for all their electrons have no core, if that explains the labels.
    lacking = ~np.array([holds_all_electrons(z, labels.basis.shells(z)) for z in elements])
    for some in (lacking, np.ones_like(lacking)):
        counts = molecules.composition[:, some]
        core[elements[some]] = np.linalg.lstsq(counts, left, rcond=None)[0]
        if np.allclose(counts @ core[elements[some]], left):
            break
    return core

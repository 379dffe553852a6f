"""Molecules with what is known of their Hamiltonians before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from ..elements import MAX_Z, symbols
from ..hamiltonians import Hamiltonians, TwoCentreTables
from ..hamiltonians._blocks import layout_of
from ..hamiltonians._electrons import count_electrons
from ..hamiltonians._packed import pack
from ..hamiltonians._template import Template, filled
from ..structures import Molecules
from ..training import GraphRows
from ._base import InputSpec
from .molecules import MoleculeReader

__all__ = ["REFERENCES", "HamiltonianReader", "Structures"]

#: What a Hamiltonian can be learned as the difference from.
REFERENCES = ("two-centre-scc", "two-centre", "overlap", None)
#: Deviation up to which the overlaps of tables are those of the labels.
_SAME_OVERLAP = 1e-5
_LEAST = 1e-6


class Structures(NamedTuple):
    """Molecules, packed overlaps of their orbitals where they are known, and their labels."""

    molecules: Molecules
    overlap_values: NDArray[np.float64] | None = None
    labels: Hamiltonians | None = None


class _Known(NamedTuple):
    """What tables tell: packed arrays, electrons by atom and place, bond orders (n_i, n_i)."""

    values: NDArray[np.float64]
    overlap_values: NDArray[np.float64]
    electrons: NDArray[np.float64]
    orders: list[NDArray[np.float64]]


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
    reference : {"two-centre-scc", "two-centre", "overlap"} or None
        What is known beforehand.
    tables : TwoCentreTables or None
        Where references and overlaps come from.

    Attributes
    ----------
    template_ : Template
        Places of the shells.
    computes_overlaps_ : bool
        Whether the tables' overlaps are those of the orbitals that are learned.
    """

    def __init__(
        self, spec: InputSpec, labels: Hamiltonians, reference: str | None,
        tables: TwoCentreTables | None,
    ) -> None:  # fmt: skip
        super().__init__(spec)
        self.basis, self.reference, self.tables = labels.basis, reference, tables
        self.template_ = Template(labels.basis)
        self.core_electrons_ = _core_electrons(labels)
        self.computes_overlaps_ = tables is not None

    def fit(self, estimator: BaseEstimator, X: Structures) -> GraphRows:
        """Read molecules to learn from, and find out whether the overlaps are the tables'."""
        self.source = X.molecules.provenance
        self.computes_overlaps_ = self._tables_fit(X)
        return self._read(X)

    def read(self, estimator: BaseEstimator, X: Any, *, learn: bool = False) -> GraphRows:
        """Read further molecules; the graphs alone of those that are no `Structures`."""
        return self._read(X) if isinstance(X, Structures) else super().read(estimator, X)

    def _tables_fit(self, X: Structures) -> bool:
        """Whether the tables hold the elements, with the shells and overlaps of the labels."""
        if self.tables is None:
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
        if self.reference in ("two-centre", "two-centre-scc"):
            known = self._states(molecules)
            values = known.values
            rows = replace(rows, **self._described(molecules, rows, known))
            if overlaps is None and self.computes_overlaps_:
                overlaps = known.overlap_values
        else:
            values = np.zeros(layout_of(molecules, self.basis).ptr[-1])
            if overlaps is None and self.computes_overlaps_ and self.tables is not None:
                overlaps = self.tables.hamiltonians(molecules).overlap_values
        if overlaps is None and self.reference is not None:
            raise ValueError(
                f"reference={self.reference!r} needs the overlaps of the orbitals, which the "
                "tables do not hold for this basis: pass Hamiltonians with overlaps to fit, "
                "and overlaps to predict"
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
        return molecules.composition @ molecules.elements - molecules.charge - core

    def pairs(self, rows: GraphRows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The atoms of each pair, counted over all rows."""
        first = np.repeat(rows.ptr[:-1], np.diff(rows.edge_ptr))
        return rows.source + first, rows.target + first

    def _states(self, molecules: Molecules) -> _Known:
        """Electrons of molecules as the tables place them."""
        tables = self.tables
        assert tables is not None  # checked with the reference
        values, overlaps, gross, orders = [], [], [], []
        states = tables.states(molecules, scc=self.reference == "two-centre-scc")
        for i, state in enumerate(states):
            z = molecules.z[molecules.ptr[i] : molecules.ptr[i + 1]]
            shared = state.density @ state.overlap
            first = self.basis.orbitals(z).ptr[:-1]
            bonds = np.add.reduceat(np.add.reduceat(shared * shared.T, first, 0), first, 1)
            values.append(pack(state.hamiltonian))
            overlaps.append(pack(state.overlap))
            gross.append(np.diag(shared))
            orders.append(bonds)
        electrons = self._by_place(molecules, np.concatenate([np.zeros(0), *gross]))
        return _Known(
            np.concatenate([np.zeros(0), *values]), np.concatenate([np.zeros(0), *overlaps]),
            electrons, orders,
        )  # fmt: skip

    def _by_place(
        self, molecules: Molecules, gross: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Electrons of each shell more than in the free atom, (N, n_places)."""
        assert self.tables is not None
        orbitals = self.basis.orbitals(molecules.z)
        found = np.zeros((len(molecules.z), len(self.template_.momenta)))
        for z in molecules.elements.tolist():
            symbol = str(symbols([z])[0])
            places = self.template_.places(symbol)
            of_element = molecules.z[orbitals.atom] == z
            shell = places[orbitals.shell[of_element]]
            np.add.at(found, (orbitals.atom[of_element], shell), gross[of_element])
            found[np.ix_(molecules.z == z, places)] -= self.tables.free_populations(symbol)
        return found

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
    """Electrons by atomic number that labels leave out; None where the basis tells."""
    molecules = labels.molecules
    with suppress(ValueError):
        if np.array_equal(count_electrons(molecules, labels.basis), labels.n_electrons):
            return None
    every = molecules.composition @ molecules.elements - molecules.charge
    found = np.linalg.lstsq(molecules.composition, every - labels.n_electrons, rcond=None)[0]
    core = np.zeros(MAX_Z + 1)
    core[molecules.elements] = np.round(found)
    return core

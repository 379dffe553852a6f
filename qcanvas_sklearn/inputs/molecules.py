"""Structures of any size, turned into graphs of near atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from torch import nn

from ..elements import MAX_Z, symbols
from ..structures import Molecules, check_molecules, looks_like_molecules
from ..training import GraphRows
from ._base import Reader

__all__ = ["MoleculeReader"]


class MoleculeReader(Reader[GraphRows]):
    """Read molecules: atoms, and which of them are near each other.

    Neighbours are searched once, on the host. What networks see has its own units and is
    not standardised.

    Attributes
    ----------
    describer_ : transformer or None
        What makes features for a baseline, fitted on the molecules that are learned from.
    """

    describer_: Any = None

    def fit(self, estimator: BaseEstimator, X: Any) -> GraphRows:
        """Read molecules to learn from."""
        molecules = check_molecules(X)
        self.source = molecules.provenance
        self.describer_ = None  # of an earlier fit
        # A refit on molecules of a model of columns: there are none any more.
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(estimator, name):
                delattr(estimator, name)
        rows = self._rows(molecules)
        return rows if self.spec.describe is None else replace(rows, features=molecules)

    def settled(self, rows: GraphRows, learned: NDArray[np.int64]) -> GraphRows:
        """Rows of a first fit, with features by what was fitted on those learned from."""
        if self.spec.describe is None:
            return rows
        molecules = rows.features
        self.describer_ = clone(self.spec.describe).fit(molecules[learned])
        features, slopes = self._features(molecules, rows.forces is not None)
        return replace(rows, features=features, force_features=slopes)

    def read(
        self, estimator: BaseEstimator, X: Any, *, learn: bool = False, slopes: bool = False
    ) -> GraphRows:
        """Read further molecules; with `slopes` what forces by a baseline are made of, too."""
        molecules = self._checked(estimator, X)
        return self._rows(molecules if learn else molecules.without_forces(), slopes)

    def _features(
        self, molecules: Molecules, slopes: bool
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Features for a baseline (n, k); their negative gradients (N, 3, k), if asked for."""
        describer = self.describer_
        if not (slopes and hasattr(describer, "force_features")):
            return _numbers(describer.transform(molecules)), None
        if hasattr(describer, "transform_with_forces"):
            features, pulls = describer.transform_with_forces(molecules)
        else:
            features = describer.transform(molecules)
            pulls = describer.force_features(molecules)
        return _numbers(features), np.asarray(pulls, dtype=np.float64)

    def _checked(self, estimator: BaseEstimator, X: Any) -> Molecules:
        if not looks_like_molecules(X):
            raise TypeError(
                f"this {type(estimator).__name__} was fitted on molecules, got "
                f"{type(X).__name__}; pass a Molecules, a list of ase.Atoms or of "
                "torch-geometric's Data (PairData.to_molecules() makes molecules of pairs)"
            )
        return check_molecules(X)

    def _rows(self, molecules: Molecules, slopes: bool = False) -> GraphRows:
        cutoff = self.spec.cutoff
        assert cutoff is not None  # of a network that takes molecules
        near = molecules.neighbours(cutoff, half=True)
        first = molecules.ptr[molecules.rows[near.i]]
        n_atoms = molecules.n_atoms[:, None]
        centre = np.add.reduceat(molecules.positions, molecules.ptr[:-1], axis=0) / n_atoms
        offset = None if near.shift is None else near.offsets(molecules.cell)
        rows = GraphRows(
            z=molecules.z,
            positions=molecules.positions - centre[molecules.rows],
            ptr=molecules.ptr,
            source=(near.i - first).astype(np.int32),
            target=(near.j - first).astype(np.int32),
            offset=offset,
            edge_ptr=near.ptr,
            charge=molecules.charge,
            group=np.zeros(len(molecules), dtype=np.int64),
            forces=molecules.forces,
        )
        if self.describer_ is not None:
            wanted = slopes or molecules.forces is not None
            features, pulls = self._features(molecules, wanted)
            rows = replace(rows, features=features, force_features=pulls)
        groups = molecules.groups
        return replace(rows, group=rows.keys() if groups is None else _hashed(groups))

    def groups(self, rows: GraphRows) -> NDArray[np.int64]:
        """By the groups of the record; without any, only equal rows belong together."""
        return np.asarray(rows.group)

    def members_of(self, estimator: BaseEstimator, X: Any) -> NDArray[np.int64]:
        """The different elements of each molecule, without its neighbours and features."""
        return self.members(self._checked(estimator, X))

    def members(self, rows: GraphRows | Molecules) -> NDArray[np.int64]:
        """The different elements of each row, in increasing order."""
        row_of_atom = np.repeat(np.arange(len(rows)), np.diff(rows.ptr))
        present = np.zeros((len(rows), MAX_Z + 1), dtype=bool)
        present[row_of_atom, rows.z] = True
        row, element = np.nonzero(present)
        counts = present.sum(axis=1)
        place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        out = np.zeros((len(rows), counts.max(initial=1)), dtype=np.int64)
        out[row, place] = element
        return out

    def element_names(self, rows: GraphRows) -> list[str]:
        """Sorted symbols of the elements in the rows."""
        return sorted(symbols(np.unique(rows.z)).tolist())

    def network_params(self, rows: GraphRows) -> dict[str, Any]:
        """Number of elements that can be told apart."""
        return {"n_elements": MAX_Z}

    def wrap(
        self, network: type[nn.Module], params: Mapping[str, Any], parity: Sequence[int]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """The network as it is: it knows no order of the atoms."""
        return network, dict(params)

    def fit_scaling(self, rows: GraphRows) -> None:
        """Nothing is standardised."""

    def scaled(self, rows: GraphRows) -> GraphRows:
        """The rows as they are."""
        return rows


def _numbers(features: Any) -> NDArray[np.float64]:
    """Features of any make as a plain array."""
    return np.asarray(features, dtype=np.float64).reshape(len(features), -1)


def _hashed(names: NDArray) -> NDArray[np.int64]:
    """A number for each name, the same wherever it occurs, shape (n,)."""
    distinct, inverse = np.unique(names.astype(str), return_inverse=True)
    digests = [blake2b(name.encode(), digest_size=8).digest() for name in distinct.tolist()]
    return np.frombuffer(b"".join(digests), dtype=np.int64)[inverse]

"""From what a user passes as X to the arrays that networks take."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..elements import (
    MAX_Z,
    element_properties,
    property_values,
    symbols,
    valence_orbital_populations,
)
from ..images import PairImageTransformer, PairLayout
from ..structures import looks_like_pairs, validate_pairs
from ..training import feature_scaling

__all__ = ["InputReader", "element_names", "standard_descriptors"]


class InputReader:
    """Read raw pairs, a transformer's output, or a plain table into network inputs.

    Parameters
    ----------
    names : tuple of str
        Inputs that the network takes, out of ``z`` (n, 2), ``atom`` (n, 2, k), ``pair``
        (n, k), ``vector`` (n, 3) and ``image`` (n, C, S, S). Without ``image`` the mean
        of each channel is among the pair scalars.
    blocks : tuple of str
        Blocks of columns that raw pairs are turned into.
    relative_populations : bool
        Take populations less those of the free atom.

    Attributes
    ----------
    transformer_ : PairImageTransformer or None
        What turns raw pairs into a table; None where the estimator was given a table.
    layout_ : PairLayout or None
        Columns of the table; None for a plain one, whose columns are all pair scalars.
    """

    def __init__(
        self, names: tuple[str, ...], blocks: tuple[str, ...], relative_populations: bool
    ) -> None:
        self.names = names
        self.blocks = blocks
        self.relative_populations = relative_populations
        self.transformer_: PairImageTransformer | None = None
        self.layout_: PairLayout | None = None

    @property
    def source(self) -> str:
        """Where raw pairs get their electronic structure; empty for a table."""
        return "" if self.transformer_ is None else str(self.transformer_.source)

    def fit(self, estimator: BaseEstimator, X: Any) -> InputReader:
        """Find out what `X` is; sets ``n_features_in_`` of the estimator."""
        if looks_like_pairs(X):
            validate_pairs(estimator, X, reset=True)
            self.transformer_ = PairImageTransformer(include=self.blocks).fit(X)
            self.layout_ = self.transformer_.layout_
        else:
            table = _check_table(estimator, X, reset=True)
            self.transformer_ = None
            self.layout_ = PairLayout.infer(
                table, getattr(estimator, "feature_names_in_", None)
            )
        return self

    def read(self, estimator: BaseEstimator, X: Any) -> dict[str, NDArray]:
        """The network's inputs; ``image`` is absent where the table holds none.

        Raises
        ------
        TypeError, ValueError
            If `X` is not of the kind that the reader was fitted on.
        """
        if self.transformer_ is not None:
            if not looks_like_pairs(X):
                raise ValueError(
                    f"this {type(estimator).__name__} was fitted on element pairs; got "
                    f"{type(X).__name__} without element symbols"
                )
            validate_pairs(estimator, X, reset=False)
            table = self.transformer_.transform(X)
        else:
            if looks_like_pairs(X):
                raise ValueError(
                    f"this {type(estimator).__name__} was fitted on a numeric table, got "
                    "element pairs; pass them through the transformer that made the table, "
                    "or fit on pairs"
                )
            table = _check_table(estimator, X, reset=False)
        inputs = self._split(np.asarray(table))
        return {name: inputs[name] for name in self.names if name in inputs}

    def _split(self, table: NDArray) -> dict[str, NDArray]:
        n = len(table)
        if self.layout_ is None:
            return {
                "z": np.zeros((n, 2), dtype=np.int64),
                "atom": np.zeros((n, 2, 0), dtype=table.dtype),
                "pair": table,
                "vector": np.zeros((n, 3), dtype=table.dtype),
            }
        blocks = self.layout_.unpack(table)
        z = self._check_z(blocks["z"]) if "z" in blocks else np.zeros((n, 2), np.int64)
        if self.relative_populations and "z" in blocks:
            blocks = _relative_to_free_atoms(blocks, z)
        atom = [blocks[k][..., None] for k in ("population", "charge") if k in blocks]
        atom += [blocks[k] for k in ("shell_populations", "m0_populations") if k in blocks]
        pair = [blocks[k][:, None] for k in ("distance_ang", "dipole_mag") if k in blocks]
        if "image" in blocks and "image" not in self.names:
            pair.append(blocks["image"].mean(axis=(2, 3)))
        vector = np.zeros((n, 3), dtype=table.dtype)
        if "distance_ang" in blocks:
            vector[:, 2] = blocks["distance_ang"]
        inputs = {
            "z": z,
            "atom": _join(atom, (n, 2), table.dtype),
            "pair": _join(pair, (n,), table.dtype),
            "vector": vector,
        }
        if "image" in blocks:
            inputs["image"] = blocks["image"]
        return inputs

    @staticmethod
    def _check_z(columns: NDArray) -> NDArray[np.int64]:
        bad = ~((columns >= 1) & (columns <= MAX_Z) & (columns == np.floor(columns)))
        if bad.any():
            row, atom = np.argwhere(bad)[0]
            raise ValueError(
                f"row {row}: {columns[row, atom]} in column z_{'ab'[atom]} is not an atomic "
                f"number between 1 and {MAX_Z}"
            )
        return columns.astype(np.int64)

    def mirrored_channels(self) -> tuple[bool, ...]:
        """For each channel of the image input, whether its features sit on the atoms."""
        if self.layout_ is None or "image" not in self.names:
            return ()
        return tuple(channel not in (2, 3, 4, 5) for channel in self.layout_.channels)


def _relative_to_free_atoms(
    blocks: Mapping[str, NDArray], z: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Blocks in which populations are those less the free atom's.

    Next to the element nothing is lost; but the tenth of an electron that bonding moves
    is no longer small beside the ten electrons by which elements differ.
    """
    free = valence_orbital_populations(z)
    shells = [slice(l**2, (l + 1) ** 2) for l in range(4)]
    references = {
        "population": free.sum(axis=-1),
        "shell_populations": np.stack([free[..., s].sum(axis=-1) for s in shells], axis=-1),
        "m0_populations": free[..., [l**2 + l for l in range(1, 4)]],
    }
    relative = {
        name: (blocks[name] - reference).astype(blocks[name].dtype)
        for name, reference in references.items()
        if name in blocks
    }
    return {**blocks, **relative}


def _check_table(estimator: BaseEstimator, X: Any, *, reset: bool) -> NDArray:
    return validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32])


def _join(parts: list[NDArray], lead: tuple[int, ...], dtype: np.dtype) -> NDArray:
    return np.concatenate(parts, axis=-1) if parts else np.zeros((*lead, 0), dtype=dtype)


def element_names(z: NDArray[np.int64]) -> list[str]:
    """Sorted symbols of the elements in an array of atomic numbers; 0 is none."""
    present = np.unique(z)
    return symbols(present[present > 0]).tolist()


@lru_cache(maxsize=1)
def standard_descriptors() -> NDArray[np.float32]:
    """Tabulated properties (104, k) of the elements, standardised; 0 for no element.

    All properties that have a value for every element, and whether the valence electrons
    are even (1) or odd (-1) in number: a pair with an odd number of electrons has no gap.
    """
    values = np.stack([property_values(name) for name in element_properties()], axis=-1)[1:]
    values = values[:, ~np.isnan(values).any(axis=0)]
    mean, scale = feature_scaling(values)
    n_electrons = valence_orbital_populations(np.arange(1, MAX_Z + 1)).sum(axis=-1)
    parity = 1 - 2 * (n_electrons.round() % 2)
    columns = np.column_stack([(values - mean) / scale, parity])
    table = np.pad(columns, ((1, 0), (0, 0))).astype(np.float32)
    table.flags.writeable = False
    return table

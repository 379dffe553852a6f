"""Element pairs, as symbols or as the columns that a `PairImageTransformer` makes of them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from torch import nn

from ..elements import MAX_Z, symbols, valence_orbital_populations
from ..images import PairImageTransformer, PairLayout
from ..images.layout import PairColumns, check_z
from ..nn import SwapSymmetric
from ..rendering import channel_means, mean_pixels
from ..structures import CheckedPairs, looks_like_molecules, looks_like_pairs, validate_pairs
from ..training import DenseRows, Pictures
from ._base import DenseReader
from .tables import check_table, refuse_atoms

__all__ = ["PairReader"]

#: Inputs of a pair that nothing has to be calculated for.
_ELEMENTARY = {"z", "distance", "others"}
#: Element pairs that are described at a time.
_PART = 2**17
#: Pairs whose free atoms are looked up at a time.
_LOOKED_UP = 2**12
#: Channels whose features do not sit on the atoms.
_MOLECULAR_CHANNELS = (2, 3, 4, 5)


class PairReader(DenseReader):
    """Read pairs of atoms.

    Attributes
    ----------
    transformer_ : PairImageTransformer or None
        What turns raw pairs into a table; None where the estimator was given a table.
    columns_ : PairColumns
        Where in the table the columns of a pair are; further ones are scalars of the pair.
    """

    has_order = True
    # The columns of a layout have known units: less is the rounding of printed numbers.
    _floor = 1e-6

    transformer_: PairImageTransformer | None
    columns_: PairColumns

    @property
    def layout_(self) -> PairLayout:  # type: ignore[override]
        """What the columns of a pair hold."""
        return self.columns_.layout

    @property
    def source(self) -> str:  # type: ignore[override]
        """Where raw pairs get their electronic structure; empty for a table."""
        return "" if self.transformer_ is None else str(self.transformer_.source)

    def fit(self, estimator: BaseEstimator, X: Any) -> DenseRows:
        """Find out what `X` holds, symbols or columns, and read it."""
        if looks_like_pairs(X):
            checked = validate_pairs(estimator, X, reset=True)
            self._free_atoms = PairImageTransformer("free-atom", include=self.spec.blocks)
            self._free_atoms.fit(X)
            if checked.distance is not None and not self._needs_state:
                self.transformer_ = self._free_atoms
            else:
                self.transformer_ = PairImageTransformer(include=self.spec.blocks).fit(X)
            layout = self.transformer_.layout_
            self.columns_ = PairColumns(layout, np.arange(layout.n_columns))
            return self._drawn_later(self.transformer_, checked)
        self.transformer_ = None
        table, columns = check_table(estimator, X, reset=True)
        assert columns is not None  # why this reader was chosen
        self.columns_ = columns
        return self._of_table(table, columns)

    def read(self, estimator: BaseEstimator, X: Any, *, learn: bool = False) -> DenseRows:
        """Read pairs given in the same way, or a part of them."""
        if self.transformer_ is None:
            rows = self._of_table(*self._checked_table(estimator, X))
        else:
            pairs = self._checked_pairs(estimator, X)
            transformer = self.transformer_ if learn else self._transformer_for(pairs)
            rows = self._drawn_later(transformer, pairs)
        rows = self.scaled(rows)
        return rows if learn else self.without_labels(rows)

    def parts(self, estimator: BaseEstimator, X: Any) -> Sequence[Any]:
        """Element pairs, checked, some at a time; a table is there as a whole already."""
        if self.transformer_ is None:
            return [X]
        z, distance = self._checked_pairs(estimator, X)
        cuts = [slice(start, start + _PART) for start in range(0, len(z), _PART)]
        return [
            CheckedPairs(z[cut], None if distance is None else distance[cut]) for cut in cuts
        ]

    def _checked_table(
        self, estimator: BaseEstimator, X: Any
    ) -> tuple[NDArray, PairColumns]:
        refuse_atoms(estimator, X)
        table, columns = check_table(estimator, X, reset=False)
        if columns is not None and columns.layout != self.layout_:
            raise ValueError(
                f"X has the columns of {columns.layout}, "
                f"{type(estimator).__name__} was fitted on those of {self.layout_}"
            )
        # A table without names or layout is read by position.
        return table, self.columns_ if columns is None else columns

    def _checked_pairs(self, estimator: BaseEstimator, X: Any) -> CheckedPairs:
        if isinstance(X, CheckedPairs):
            return X
        if looks_like_molecules(X) or not looks_like_pairs(X := _converted(X)):
            raise ValueError(
                f"this {type(estimator).__name__} was fitted on element pairs; got "
                f"{type(X).__name__} without element symbols"
            )
        return validate_pairs(estimator, X, reset=False)

    def without_labels(self, rows: DenseRows) -> DenseRows:
        """Rows with no more than what predictions start from."""
        known = self.spec.known
        if known is None:
            return rows
        return replace(rows, arrays={k: a for k, a in rows.arrays.items() if k in known})

    def _transformer_for(self, pairs: CheckedPairs) -> PairImageTransformer:
        """What turns further pairs into columns; looks up no more than is needed of them."""
        assert self.transformer_ is not None
        looked_up = "distance" in (self.spec.known or ()) and pairs.distance is None
        return self.transformer_ if self._needs_state or looked_up else self._free_atoms

    @property
    def _needs_state(self) -> bool:
        """Whether predictions start from more of a pair than elements and distance."""
        return self.spec.known is None or not set(self.spec.known) <= _ELEMENTARY

    def behind_drawing(self) -> PairReader:
        """The same reader for the table that it draws of raw pairs."""
        reader = copy.copy(self)
        reader.transformer_ = None
        return reader

    def _of_table(self, table: Any, columns: PairColumns) -> DenseRows:
        own, others = columns.take(table)
        blocks = self.layout_.unpack(own)
        return self._rows(blocks, others, check_z(blocks["z"]) if "z" in blocks else None)

    def _drawn_later(self, transformer: PairImageTransformer, pairs: CheckedPairs) -> DenseRows:
        """Rows of raw pairs; whoever looks at pixels draws them where the network computes."""
        none = np.empty((len(pairs.z), 0), dtype=transformer.dtype)
        blocks = transformer.undrawn(pairs)
        return self._rows(blocks, none, pairs.z if "z" in blocks else None)

    def _rows(
        self, blocks: dict[str, NDArray], others: NDArray, z: NDArray[np.int64] | None
    ) -> DenseRows:
        n, dtype = len(others), others.dtype
        z = np.zeros((n, 2), np.int64) if z is None else z
        if self.spec.relative_populations and "z" in blocks:
            blocks = _relative_to_free_atoms(blocks, z)
        atom = [blocks[k][..., None] for k in ("population", "charge") if k in blocks]
        atom += [blocks[k] for k in ("shell_populations", "m0_populations") if k in blocks]
        pair = [blocks[k][:, None] for k in ("distance_ang", "dipole_mag") if k in blocks]
        # A network that looks at the pixels takes their means by itself.
        looks = "image" in self.spec.names
        if not looks or not {"image", "amplitudes"} & blocks.keys():
            pair += _channel_means(blocks, self.layout_)
        vector = np.zeros((n, 3), dtype=dtype)
        if "distance_ang" in blocks:
            vector[:, 2] = blocks["distance_ang"]
        inputs = {
            "z": z,
            "atom": np.concatenate([np.zeros((n, 2, 0), dtype), *atom], axis=-1),
            "pair": np.concatenate([np.zeros((n, 0), dtype), *pair, others], axis=-1),
            "vector": vector,
            "distance": blocks.get("distance_ang"),
            "shells": blocks.get("shell_populations"),
            "along": blocks.get("m0_populations"),
            "others": others,
        }
        if "image" in blocks:
            inputs["image"] = blocks["image"]
        arrays = {k: inputs[k] for k in self.spec.names if inputs.get(k) is not None}
        pictures = None
        if looks and "amplitudes" in blocks:
            arrays["amplitudes"] = blocks["amplitudes"]
            pictures = Pictures(self.layout_.image_size, self.layout_.channels)
        return DenseRows(arrays, n_atoms=2, pictures=pictures)

    def groups(self, rows: DenseRows) -> NDArray[np.int64]:
        """A pair belongs to itself, in either order, at any distance, however often."""
        z = rows.arrays["z"]
        if z.any():
            return np.asarray(z.min(axis=1) * (MAX_Z + 1) + z.max(axis=1))
        return rows.keys()

    def members(self, rows: DenseRows) -> NDArray[np.int64]:
        """The two elements of each row."""
        return np.asarray(rows.arrays["z"])

    def element_names(self, rows: DenseRows) -> list[str]:
        """Sorted symbols of the elements in the rows."""
        counts = np.bincount(rows.arrays["z"].ravel())
        return symbols(1 + np.flatnonzero(counts[1:])).tolist()

    def wrap(
        self, network: type[nn.Module], params: Mapping[str, Any], parity: Sequence[int]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """The network made even or odd under exchange of the atoms."""
        channels = self.layout_.channels if "image" in self.spec.names else ()
        return SwapSymmetric, {
            "network": network,
            "network_params": dict(params),
            "parity": list(parity),
            "mirrored": [channel not in _MOLECULAR_CHANNELS for channel in channels],
        }


def _converted(X: Any) -> Any:
    """A list of pairs as an array, so that millions of rows become one no more than once."""
    if not isinstance(X, (list, tuple)):
        return X
    try:
        return np.array(X, dtype=object)
    except ValueError:  # rows that differ in length
        return X


def _channel_means(blocks: Mapping[str, NDArray], layout: PairLayout) -> list[NDArray]:
    """The mean of each channel (n, n_channels), where there are channels."""
    if "channel_means" in blocks:
        return [blocks["channel_means"]]
    if "amplitudes" in blocks:
        return [channel_means(blocks["amplitudes"], layout.image_size, layout.channels)]
    return [mean_pixels(blocks["image"])] if "image" in blocks else []


def _relative_to_free_atoms(
    blocks: Mapping[str, NDArray], z: NDArray[np.int64]
) -> dict[str, NDArray]:
    """Blocks in which populations are those less the free atom's.

    Next to the element nothing is lost; but the tenth of an electron that bonding moves
    is no longer small beside the ten electrons by which elements differ.
    """
    places = z - 1
    relative = {}
    for name in _free_atoms().keys() & blocks.keys():
        block, reference = blocks[name], _free_atoms()[name]
        relative[name] = out = np.empty(block.shape, block.dtype)
        # Some at a time, so that what is looked up is still in the caches.
        for start in range(0, len(z), _LOOKED_UP):
            rows = slice(start, start + _LOOKED_UP)
            free = reference.take(places[rows], axis=0)
            np.subtract(block[rows], free, out=out[rows], casting="same_kind")
    return {**blocks, **relative}


@lru_cache(maxsize=1)
def _free_atoms() -> dict[str, NDArray[np.float64]]:
    """Populations of the free atom of each element, as the blocks hold them."""
    free = valence_orbital_populations(np.arange(1, MAX_Z + 1))
    shells = [slice(l**2, (l + 1) ** 2) for l in range(4)]
    return {
        "population": free.sum(axis=-1),
        "shell_populations": np.stack([free[..., s].sum(axis=-1) for s in shells], axis=-1),
        "m0_populations": free[..., [l**2 + l for l in range(1, 4)]],
    }

"""Plain numeric tables: every column is a scalar."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data
from torch import nn

from ..images.layout import PairColumns, find_columns
from ..structures import looks_like_molecules, looks_like_pairs, might_be_atomic_numbers
from ..training import DenseRows
from ._base import DenseReader

__all__ = ["TableReader", "check_table"]

#: The narrowest image has ten channels of four pixels a side.
_MANY_COLUMNS = 160


def check_table(
    estimator: BaseEstimator, X: Any, *, reset: bool
) -> tuple[NDArray, PairColumns | None]:
    """A numeric table in its own precision, and where the columns of a pair are in it.

    Raises
    ------
    ValueError
        If `X` is no finite table of numbers, or has not the columns seen in ``fit``.
    """
    columns = find_columns(X)
    table = validate_data(estimator, X, reset=reset, dtype=[np.float64, np.float32])
    return table, columns


def refuse_atoms(estimator: BaseEstimator, X: Any) -> None:
    """Raise an error where a table is expected and pairs or molecules are given."""
    if looks_like_molecules(X):
        raise TypeError(
            f"this {type(estimator).__name__} was fitted on a numeric table, got molecules"
        )
    if looks_like_pairs(X):
        raise ValueError(
            f"this {type(estimator).__name__} was fitted on a numeric table, got "
            "element pairs; pass them through the transformer that made the table, "
            "or fit on pairs"
        )


class TableReader(DenseReader):
    """Read a table whose columns mean nothing to the package; there are no atoms in it."""

    def fit(self, estimator: BaseEstimator, X: Any) -> DenseRows:
        """Read the table; warns where it may have been more than a table once."""
        table, _ = check_table(estimator, X, reset=True)
        name = type(estimator).__name__
        if might_be_atomic_numbers(X):
            warnings.warn(
                f"{name} takes the two integer columns of X for two numbers, not for atomic "
                "numbers; pass element symbols, or a DataFrame with the columns element_1 and "
                "element_2, if they are meant",
                UserWarning,
                stacklevel=5,
            )
        elif table.shape[1] >= _MANY_COLUMNS:
            warnings.warn(
                f"{name} takes the {table.shape[1]} columns of X for scalars of a plain table: "
                "no atom, no bond and no image is seen. If they come from a "
                "PairImageTransformer, a step behind it has lost what they are; keep their "
                'names, with set_output(transform="pandas")',
                UserWarning,
                stacklevel=5,
            )
        return self._rows(table)

    def read(
        self, estimator: BaseEstimator, X: Any, *, learn: bool = False
    ) -> DenseRows:
        """Read a table of the same columns."""
        refuse_atoms(estimator, X)
        table, _ = check_table(estimator, X, reset=False)
        return self.scaled(self._rows(table))

    def _rows(self, table: NDArray) -> DenseRows:
        n = len(table)
        inputs = {
            "z": np.zeros((n, 2), dtype=np.int64),
            "atom": np.zeros((n, 2, 0), dtype=table.dtype),
            "pair": table,
            "vector": np.zeros((n, 3), dtype=table.dtype),
        }
        return DenseRows({name: inputs[name] for name in self.spec.names if name in inputs})

    def groups(self, rows: DenseRows) -> NDArray[np.int64]:
        """Equal rows belong together."""
        return rows.keys()

    def members(self, rows: DenseRows) -> NDArray[np.int64]:
        """None."""
        return np.zeros((len(rows), 0), dtype=np.int64)

    def element_names(self, rows: DenseRows) -> list[str]:
        """None."""
        return []

    def wrap(
        self, network: type[nn.Module], params: Mapping[str, Any], parity: Sequence[int]
    ) -> tuple[type[nn.Module], dict[str, Any]]:
        """The network as it is."""
        return network, dict(params)

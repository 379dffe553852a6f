"""Blocks of rows, one after another: what is predicted of a block stands behind its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from ..structures import Molecules, looks_like_molecules
from ._model import FittedModel

__all__ = ["FACTS", "beside", "check_keep", "facts_of", "kept_columns", "predict_blocks"]

#: What is kept of molecules in a table, unless it is chosen.
FACTS = ("name", "formula", "n_atoms", "charge")


def check_keep(keep: str | Sequence[str]) -> None:
    """Raise an error unless `keep` is "all", "none" or a sequence of names.

    Raises
    ------
    ValueError
        If it is another text.
    """
    if isinstance(keep, str) and keep not in ("all", "none"):
        raise ValueError(f"keep must be 'all', 'none' or a list of columns, got {keep!r}")


def kept_columns(available: Sequence[str], keep: str | Sequence[str]) -> list[str]:
    """Columns of the input that are kept, in the order of the input or of `keep`.

    Raises
    ------
    ValueError
        If one is not there.
    """
    check_keep(keep)
    if isinstance(keep, str):
        return list(available) if keep == "all" else []
    absent = [name for name in keep if name not in available]
    if absent:
        raise ValueError(f"keep: there are no columns {absent}, but {list(available)}")
    return list(keep)


def facts_of(molecules: Molecules, keep: str | Sequence[str]) -> pd.DataFrame:
    """What is kept of molecules in a table.

    Parameters
    ----------
    molecules : Molecules
        The rows.
    keep : str or sequence of str
        "all" for :data:`FACTS`; or out of the columns of :meth:`Molecules.to_frame`.

    Raises
    ------
    ValueError
        If a column is not there.
    """
    frame = molecules.to_frame()
    available = FACTS if isinstance(keep, str) else [str(name) for name in frame.columns]
    return frame[kept_columns(available, keep)]


def beside(kept: pd.DataFrame, predicted: pd.DataFrame) -> pd.DataFrame:
    """Kept columns, and those that were predicted of the same rows behind them.

    Raises
    ------
    ValueError
        If a name is taken.
    """
    taken = [name for name in predicted.columns if name in kept.columns]
    if taken:
        raise ValueError(f"the input has columns {taken} itself; leave them out with keep")
    return pd.concat([kept, predicted.set_index(kept.index)], axis=1)


def predict_blocks(
    model: Any,
    blocks: Iterable[Any],
    *,
    keep: str | Sequence[str] = "all",
    return_std: bool = False,
) -> Iterator[pd.DataFrame]:
    """Predict blocks of rows as they come, one at a time in memory.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier, or a pipeline that ends in one.
    blocks : iterable of DataFrame or Molecules
        Tables with the columns that the model takes (``element_1``, ``element_2``, and
        ``distance_ang`` where it was fitted with it), such as those of
        ``pandas.read_csv(..., chunksize=10_000)``; or molecules.
    keep : {"all", "none"} or sequence of str, default="all"
        Columns of the blocks to keep; of molecules "all" are ``name``, ``formula``,
        ``n_atoms`` and ``charge``.
    return_std : bool, default=False
        Add standard deviations; for ensembles.

    Yields
    ------
    DataFrame
        The kept columns and index of each block, and behind them ``<target>_pred`` and
        ``<target>_std``; of a classifier ``<target>_pred`` and ``<target>_proba_<class>``.
        Targets without names are called ``y``, or ``y0``, ``y1``, ...

    Raises
    ------
    TypeError
        If `model` is no regressor or classifier.
    ValueError
        If it cannot give standard deviations, a column is absent, or as its ``predict``.

    See Also
    --------
    predict_file : From file to file, and on from where it was killed.
    predict_dask : The same for a ``dask.dataframe``.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn import CompositionRegressor, load_pairs
    >>> from qcanvas_sklearn.prediction import predict_blocks
    >>> X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    >>> model = CompositionRegressor().fit(X, y)
    >>> blocks = (X.iloc[start : start + 1000] for start in range(0, len(X), 1000))
    >>> pd.concat(predict_blocks(model, blocks)).shape
    (2850, 3)
    """
    check_keep(keep)
    fitted = FittedModel(model, return_std=return_std)
    return (_extended(fitted, block, keep) for block in blocks)


def _extended(fitted: FittedModel, block: Any, keep: str | Sequence[str]) -> pd.DataFrame:
    if isinstance(block, Molecules):
        kept = facts_of(block, keep)
    elif isinstance(block, pd.DataFrame):
        kept = block[kept_columns(list(block.columns), keep)]
    else:
        hint = "; pass a Molecules" if looks_like_molecules(block) else ""
        raise TypeError(
            f"blocks must be of DataFrames or Molecules, got {type(block).__name__}{hint}"
        )
    return beside(kept, fitted(fitted.take(block)).table)

"""Predictions for a ``dask.dataframe``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from .._optional import require
from ._blocks import check_keep, kept_columns, predict_blocks
from ._model import FittedModel

__all__ = ["predict_dask"]


def predict_dask(
    model: Any,
    frame: Any,
    *,
    keep: str | Sequence[str] = "all",
    return_std: bool = False,
) -> Any:
    """Predict the rows of a ``dask.dataframe``, partition by partition, where they lie.

    Nothing is computed before the result is asked for. The model is sent to each worker once.

    Parameters
    ----------
    model : estimator
        A fitted regressor or classifier, or a pipeline that ends in one.
    frame : dask.dataframe.DataFrame
        Rows with the columns that the model takes.
    keep : {"all", "none"} or sequence of str, default="all"
        Columns of `frame` to keep.
    return_std : bool, default=False
        Add standard deviations; for ensembles.

    Returns
    -------
    dask.dataframe.DataFrame
        Of the same partitions and index: the kept columns, and those that
        :func:`predict_blocks` puts behind them.

    Raises
    ------
    ImportError
        If dask is not installed.
    TypeError, ValueError
        As :func:`predict_blocks`.

    Examples
    --------
    >>> import dask.dataframe as dd  # doctest: +SKIP
    >>> frame = dd.read_parquet("pairs/*.parquet")  # doctest: +SKIP
    >>> predict_dask(model, frame).to_parquet("predicted")  # doctest: +SKIP
    """
    delayed = require("predict_dask", "dask").delayed
    check_keep(keep)
    columns = [str(name) for name in frame.columns]
    fitted = FittedModel(model, return_std=return_std)
    fitted.columns(columns)
    kept = frame._meta[kept_columns(columns, keep)]
    meta = pd.concat([kept, fitted.empty().set_index(kept.index)], axis=1)
    return frame.map_partitions(
        _predict_partition, delayed(model), keep=keep, return_std=return_std, meta=meta
    )


def _predict_partition(
    frame: pd.DataFrame, model: Any, keep: str | Sequence[str], return_std: bool
) -> pd.DataFrame:
    return next(predict_blocks(model, [frame], keep=keep, return_std=return_std))

"""A fitted estimator taken apart: the table that its model sees, and its network."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..images import PairLayout
from ..structures import looks_like_pairs
from ..training.data import as_tensors

__all__ = [
    "TableModel",
    "check_target",
    "network_inputs",
    "network_model",
    "table_model",
    "taking_tables",
]


@dataclass(frozen=True)
class TableModel:
    """A fitted model and the table of numbers that it sees.

    Attributes
    ----------
    model : estimator
        Takes tables.
    table : ndarray of shape (n, p)
        What it sees of the rows that were passed.
    columns : Index or None
        Names of the columns, where the model is given a DataFrame.
    layout : PairLayout or None
        What the columns hold, where they are those of a pair.
    """

    model: Any
    table: NDArray
    columns: pd.Index | None
    layout: PairLayout | None

    def wrap(self, table: NDArray) -> Any:
        """A table of the same columns in the container that the model knows."""
        return table if self.columns is None else pd.DataFrame(table, columns=self.columns)

    def predict(self, table: NDArray) -> NDArray[np.float64]:
        """The model's predictions (n, t) for a table of the same columns."""
        predicted = np.asarray(self.model.predict(self.wrap(table)), dtype=np.float64)
        return predicted.reshape(len(table), -1)


def table_model(estimator: Any, X: Any) -> TableModel:
    """Take a fitted estimator apart behind the step that draws the pairs.

    Parameters
    ----------
    estimator : estimator
        A fitted Pipeline, a fitted estimator of pairs or of tables, or a fitted search
        over these.
    X : array-like
        Rows as the estimator takes them.

    Returns
    -------
    TableModel

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If `X` holds element pairs and the estimator does not show what it makes of them.
    """
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    table, model, layout = X, estimator, None
    if isinstance(estimator, Pipeline):
        start, layout = _end_of_drawing(estimator, X)
        if start:
            table, model = estimator[:start].transform(X), estimator[start:]
            model = model[0] if len(model) == 1 else model
    if looks_like_pairs(table):
        reader = getattr(model, "reader_", None)
        if reader is None or reader.transformer_ is None:
            raise ValueError(
                f"{type(model).__name__} takes element pairs without showing the table that "
                "it makes of them; pass a Pipeline whose first step is a PairImageTransformer"
            )
        table, model = reader.transformer_.transform(table), taking_tables(model)
    columns = table.columns if isinstance(table, pd.DataFrame) else None
    values = check_array(
        table, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", input_name="X"
    )
    if layout is None:
        reader = getattr(model, "reader_", None)
        layout = PairLayout.infer(values, columns) if reader is None else reader.layout_
    return TableModel(model, values, columns, layout)


def _end_of_drawing(pipe: Pipeline, X: Any) -> tuple[int, PairLayout | None]:
    """Number of steps up to the last that has a pair layout, and that layout.

    Without any, the first step of a pipeline of raw pairs makes the table.
    """
    for k in reversed(range(len(pipe) - 1)):
        layout = getattr(pipe[k], "layout_", None)
        if isinstance(layout, PairLayout):
            return k + 1, layout
    return int(len(pipe) > 1 and looks_like_pairs(X)), None


def taking_tables(model: Any) -> Any:
    """A fitted network of raw pairs as one of the table that it draws inside.

    Raises
    ------
    ValueError
        If the model is no network of this package.
    """
    transformer = network_model(model).reader_.transformer_
    if transformer is None:
        return model
    model = copy.copy(model)
    model.reader_ = copy.copy(model.reader_)
    model.reader_.transformer_ = None
    model.n_features_in_ = transformer.layout_.n_columns
    vars(model).pop("feature_names_in_", None)  # those of the pairs
    return model


def network_model(model: Any) -> Any:
    """`model`, if it is a fitted network estimator of this package.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not hasattr(model, "net_") or not hasattr(model, "reader_"):
        steps = " (between the images and the network)" if isinstance(model, Pipeline) else ""
        raise ValueError(
            f"{type(model).__name__}{steps} is not one of this package's fitted networks"
        )
    return model


def check_target(target: int | str, model: Any, n_targets: int) -> int:
    """Position of a target, given by position or by the name it had in fit.

    Raises
    ------
    ValueError
        If there is no such target.
    """
    names = getattr(model, "target_names_", None) or []
    if isinstance(target, str):
        if target not in names:
            raise ValueError(f"target={target!r} is not one of {list(names)}")
        return int(list(names).index(target))
    if not isinstance(target, (int, np.integer)) or not 0 <= target < n_targets:
        raise ValueError(f"target={target!r} is not a position from 0 to {n_targets - 1}")
    return int(target)


def network_inputs(
    seen: TableModel, batch_size: int = 256
) -> tuple[nn.Module, Iterator[dict[str, Tensor]]]:
    """A copy of the network for evaluation in double precision, and batches of its inputs.

    Raises
    ------
    ValueError
        If the model is no network, or refuses the rows.
    """
    model = network_model(seen.model)
    model.predict(seen.wrap(seen.table))  # refuses what cannot be predicted
    module = copy.deepcopy(model.net_.module_).to(device="cpu", dtype=torch.float64).eval()
    inputs = model.reader_.read(model, seen.wrap(seen.table))

    def batches() -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(seen.table), batch_size):
            batch = {name: array[start : start + batch_size] for name, array in inputs.items()}
            yield as_tensors(batch, torch.device("cpu"), torch.float64)

    return module, batches()

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
from ..images.layout import PairColumns, find_columns
from ..structures import looks_like_molecules, looks_like_pairs
from ..training import evaluation_module, precision

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
    pair_columns : PairColumns or None
        Where in the table the columns of a pair are, if it has any.
    """

    model: Any
    table: NDArray
    columns: pd.Index | None
    pair_columns: PairColumns | None

    @property
    def layout(self) -> PairLayout | None:
        """What the columns of a pair hold."""
        return None if self.pair_columns is None else self.pair_columns.layout

    def positions(self) -> dict[str, NDArray[np.int64]]:
        """Positions in the table of what :meth:`PairLayout.unpack` gives a name."""
        if self.pair_columns is None:
            return {}
        views = self.pair_columns.layout.unpack(self.pair_columns.positions[None])
        return {name: view[0] for name, view in views.items()}

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
    TypeError
        If `X` holds molecules.
    ValueError
        If `X` holds element pairs and the estimator does not show what it makes of them.
    """
    check_is_fitted(estimator)
    estimator = getattr(estimator, "best_estimator_", estimator)
    table, model, drawing = X, estimator, None
    if isinstance(estimator, Pipeline):
        start, drawing = _end_of_drawing(estimator, X)
        if start:
            table, model = estimator[:start].transform(X), estimator[start:]
            model = model[0] if len(model) == 1 else model
    if looks_like_molecules(table):
        raise TypeError(
            f"X ({type(table).__name__}) holds molecules; what is looked at here are the "
            "columns and channels of pairs and tables"
        )
    if looks_like_pairs(table):
        reader = getattr(model, "reader_", None)
        if reader is None or getattr(reader, "transformer_", None) is None:
            raise ValueError(
                f"{type(model).__name__} takes element pairs without showing the table that "
                "it makes of them; pass a Pipeline whose first step is a PairImageTransformer"
            )
        table, model = reader.transformer_.transform(table), taking_tables(model)
    columns = table.columns if isinstance(table, pd.DataFrame) else None
    values = check_array(
        table, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", input_name="X"
    )
    pair_columns = find_columns(table)
    if pair_columns is None:
        pair_columns = getattr(getattr(model, "reader_", None), "columns_", None)
    if pair_columns is None and drawing is not None:
        pair_columns = PairColumns(drawing, np.arange(drawing.n_columns))
    return TableModel(model, values, columns, pair_columns)


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
    reader = network_model(model).reader_
    if getattr(reader, "transformer_", None) is None:
        return model
    model = copy.copy(model)
    model.reader_ = reader.behind_drawing()
    model.n_features_in_ = reader.columns_.n_columns
    vars(model).pop("feature_names_in_", None)  # those of the pairs
    if getattr(model, "tight_binding_", None) is not None:
        model.tight_binding_ = taking_tables(model.tight_binding_)
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
    device = torch.device("cpu")
    rows = model._read(seen.wrap(seen.table))

    def batches() -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(rows), batch_size):
            batch = rows.take(slice(start, start + batch_size))
            yield batch.to(device, precision(device)).batch(slice(None))

    return evaluation_module(model.net_, device), batches()

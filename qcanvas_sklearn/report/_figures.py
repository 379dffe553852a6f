"""Figures of the page, as images that are part of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import make_scorer
from sklearn.utils import check_random_state

from .._optional import require
from .._validation import take_rows
from ..inspection import channel_importance
from ..metrics import masked_mae_over_mad
from ..plotting import (
    CalibrationDisplay,
    ChannelImportanceDisplay,
    PairMatrixDisplay,
    ParityDisplay,
    PeriodicTableDisplay,
    TrainingCurveDisplay,
)
from ..plotting._common import COLUMN, name_of, quantity, unit_of
from ._anatomy import Anatomy
from ._evaluation import Classification, Regression, Rows

__all__ = [
    "Figure",
    "calibration",
    "drawing",
    "error_rates_by_element",
    "errors_by_element",
    "importances",
    "parity",
    "training_curve",
]

_DPI = 200
# CSS pixels an inch of paper takes on the screen: print sizes are small there.
_PIXELS = 120
# Panels of a figure, which must not be cut by the end of a page.
_MAX_PANELS = 6
#: Rows on which importances are measured.
MAX_IMPORTANCE_ROWS = 500


@dataclass(frozen=True)
class Figure:
    """A PNG in base64, what stands for it, CSS pixels, whether two fit beside each other."""

    png: str
    alt: str
    width: int
    height: int
    half: bool


@contextmanager
def drawing() -> Iterator[None]:
    """matplotlib's own style, whatever the user's is, and no windows.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    plt = require("a report", "matplotlib.pyplot")
    with plt.ioff(), plt.style.context("default"):
        yield


def _figure(display: Any, alt: str) -> Figure:
    """The figure of a display, which is closed."""
    import matplotlib.pyplot as plt

    figure, buffer = display.figure_, BytesIO()
    try:
        # Without a version in the file, equal figures are equal bytes.
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
        width, height = figure.get_size_inches()
    finally:
        plt.close(figure)
    png = b64encode(buffer.getvalue()).decode("ascii")
    return Figure(png, alt, round(_PIXELS * width), round(_PIXELS * height), width <= COLUMN)


def parity(rows: Rows, found: Regression) -> list[Figure]:
    """Predicted against computed targets; the error of every pair, of a single target."""
    keys, shown = found.observed, []
    for start in range(0, len(keys), _MAX_PANELS):
        some = keys[start : start + _MAX_PANELS]
        panels = ParityDisplay.from_predictions(found.y[some], found.pred[some])
        names = ", ".join(map(name_of, some))
        shown.append(_figure(panels, f"Predicted against computed values: {names}"))
    if len(keys) == 1 and rows.pairs is not None:
        true, pred = found.y[keys[0]], found.pred[keys[0]]
        matrix = PairMatrixDisplay.from_predictions(
            rows.pairs, true, pred, norm=_error_scale((true - pred).abs())
        )
        shown.append(_figure(matrix, f"Absolute error of every pair: {name_of(keys[0])}"))
    return shown


def _error_scale(errors: pd.Series) -> Any:
    """Logarithmic colours, so that a few large errors do not hide all others."""
    from matplotlib.colors import LogNorm

    low, high = errors.quantile(0.05), errors.max()
    return LogNorm(low, high) if 0 < low < high else None


def errors_by_element(pairs: NDArray, found: Regression) -> list[Figure]:
    """Mean absolute errors on the periodic table, one table a target."""
    tables = []
    for key in found.observed:
        display = PeriodicTableDisplay.from_predictions(
            pairs, found.y[key], found.pred[key], include_values=len(found.observed) == 1
        )
        tables.append(_figure(display, _highest(display.values, f"MAE, {name_of(key)}")))
    return tables


def error_rates_by_element(pairs: NDArray, found: Classification) -> list[Figure]:
    """Shares of wrong classes on the periodic table."""
    wrong = found.true != found.pred
    seen = pairs[found.labelled]
    rates = pd.Series(
        {symbol: wrong[(seen == symbol).any(axis=1)].mean() for symbol in np.unique(seen)}
    )
    display = PeriodicTableDisplay.from_values(rates, label="error rate", include_values=True)
    return [_figure(display, _highest(rates, "error rate"))]


def _highest(values: pd.Series, what: str) -> str:
    first = values.nlargest(3)
    named = ", ".join(f"{symbol} {value:.2g}" for symbol, value in first.items())
    return f"Periodic table of the {what}. Largest: {named}"


def calibration(found: Regression) -> Figure:
    """Observed against expected coverage."""
    keys = list(found.std.columns)
    display = CalibrationDisplay.from_predictions(found.y[keys], found.pred[keys], found.std)
    names = ", ".join(map(name_of, keys))
    return _figure(display, f"Observed against expected coverage of intervals: {names}")


def training_curve(history: pd.DataFrame) -> Figure:
    """Losses by epoch."""
    display = TrainingCurveDisplay(history=history).plot()
    last = history["train_loss"].iloc[-1]
    return _figure(display, f"Loss by epoch; {len(history)} epochs, training loss {last:.3g}")


def importances(
    anatomy: Anatomy, rows: Rows, n_repeats: int, random_state: Any
) -> tuple[Figure, int] | None:
    """What permuting each channel costs, and the number of rows that this was measured on.

    None where no importance can be measured: names of classes are no numbers, and every
    target needs a label.
    """
    y = rows.y
    if anatomy.is_classifier and np.asarray(anatomy.estimator.classes_).dtype.kind not in "bif":
        return None
    labelled = np.flatnonzero(y.notna().any(axis=1))
    rng = check_random_state(random_state)
    chosen = np.sort(rng.permutation(labelled)[:MAX_IMPORTANCE_ROWS])
    values = y.iloc[chosen].to_numpy(dtype=np.float64, na_value=np.nan)
    if not np.isfinite(values).any(axis=0).all():
        return None
    key, scoring = y.columns[0], None
    label = quantity("increase of the MAE", unit_of(key))
    if anatomy.is_classifier:
        scoring, label = "accuracy", "decrease of the accuracy"
    elif y.shape[1] > 1:
        scoring = make_scorer(masked_mae_over_mad, greater_is_better=False)
        label = "increase of the mean MAE/MAD"
    found = channel_importance(
        anatomy.estimator, take_rows(rows.X, chosen),
        values if y.shape[1] > 1 else values[:, 0],
        n_repeats=n_repeats, scoring=scoring, random_state=rng,
    )  # fmt: skip
    display = ChannelImportanceDisplay(importances=found, label=label).plot()
    order = found.sort_values("importance_mean", ascending=False)["feature"]
    return _figure(display, f"Bars: {label}, from the largest: {', '.join(order)}"), len(chosen)

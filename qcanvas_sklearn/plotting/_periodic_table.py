"""`PeriodicTableDisplay`: one value an element, on the periodic table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._validation import read_labels
from ..elements import MAX_Z, SYMBOLS, atomic_numbers, property_values
from ._common import COLUMN, GREY, PAGE, canvas, require_matplotlib
from ._outcomes import absolute_errors

__all__ = ["PeriodicTableDisplay", "table_positions"]

_N_GROUPS = 18
# Distance of the lanthanides from their period, and of the actinides from theirs.
_ROWS_DOWN = 2.4
_CELL = 0.92
# First element of each row below the table, by its period.
_FIRST_BELOW = {6: 57, 7: 89}


def table_positions() -> NDArray[np.float64]:
    """Column and row of every element in the periodic table, NaN at atomic number 0.

    Columns are the groups 1 to 18 and rows the periods, counted downwards; La to Lu and
    Ac to Lr stand in two rows below, from column 3 on.

    Returns
    -------
    ndarray of shape (104, 2)
        Indexed by atomic number.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting._periodic_table import table_positions
    >>> table_positions()[[1, 2, 57]].tolist()
    [[1.0, 1.0], [18.0, 1.0], [3.0, 8.4]]
    """
    column, row = property_values("group").copy(), property_values("period").copy()
    for period, first in _FIRST_BELOW.items():
        below = np.flatnonzero((property_values("period") == period) & (column == 3))
        column[below] = 3 + below - first
        row[below] += _ROWS_DOWN
    return np.c_[column, row]


class PeriodicTableDisplay:
    """One value an element, drawn on the periodic table.

    Elements without a value are grey. The lanthanides La to Lu and the actinides Ac to Lr
    stand in two rows below the table.

    Parameters
    ----------
    values : Series
        Values by element symbol; NaN counts as no value.
    label : str, default=""
        What the values are, with their unit.

    Attributes
    ----------
    cells_ : PatchCollection
        Coloured cells of the elements with a value, in order of atomic number.
    texts_ : dict of str to Text
        Symbols by element.
    colorbar_ : Colorbar or None
        Scale of the values.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    See Also
    --------
    PairMatrixDisplay : One value a pair.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting import PeriodicTableDisplay
    >>> display = PeriodicTableDisplay.from_values({"H": 0.1, "La": 0.3}, label="MAE (eV)")
    >>> [float(place) for place in display.texts_["La"].get_position()]
    [3.0, 8.4]
    """

    def __init__(self, *, values: pd.Series, label: str = "") -> None:
        self.values = values
        self.label = label

    @classmethod
    def from_values(
        cls,
        values: Mapping[str, float] | pd.Series,
        *,
        label: str = "",
        ax: Any = None,
        **kwargs: Any,
    ) -> PeriodicTableDisplay:
        """Plot given values.

        Parameters
        ----------
        values : mapping or Series
            Values by element symbol; NaN counts as no value.
        label : str, default=""
            What the values are, with their unit.
        ax : Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a symbol is unknown or repeated, or no value is a finite number.
        """
        require_matplotlib(cls)
        given = pd.Series(values)
        labels = read_labels(given, input_name="values", allow_infinite=True)
        series = pd.Series(labels.values[:, 0], index=given.index)
        unknown = [symbol for symbol in series.index if not atomic_numbers(symbol)]
        if unknown:
            raise ValueError(f"{unknown} are not symbols of elements up to {SYMBOLS[MAX_Z]}")
        if not series.index.is_unique:
            repeated = series.index[series.index.duplicated()].tolist()
            raise ValueError(f"several values for the elements {repeated}")
        if not np.isfinite(series).any() or np.isinf(series).any():
            raise ValueError("values must be finite or NaN, and one must be a number")
        return cls(values=series, label=label).plot(ax, **kwargs)

    @classmethod
    def from_predictions(
        cls,
        X: Any,
        y_true: Any,
        y_pred: Any,
        *,
        target: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PeriodicTableDisplay:
        """Plot the mean absolute error of the pairs that hold each element.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        y_true : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        y_pred : array-like of the same shape
            Predictions.
        target : str, default=None
            Column of a DataFrame to show, or an array's name; None where there is one
            target.
        ax : Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `X` holds no pairs, rows do not match, or there are several targets.
        """
        require_matplotlib(cls)
        z, errors, label = absolute_errors(X, y_true, y_pred, target)
        means = {
            SYMBOLS[element]: errors[(z == element).any(axis=1)].mean()
            for element in np.unique(z)
        }
        return cls.from_values(means, label=label, ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        target: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PeriodicTableDisplay:
        """Predict and plot the mean absolute error of the pairs that hold each element.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or pipeline.
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs, best ones that it has not seen.
        y : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        target : str, default=None
            As in :meth:`from_predictions`.
        ax : Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PeriodicTableDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            As :meth:`from_predictions`.
        """
        require_matplotlib(cls)
        pred = estimator.predict(X)
        return cls.from_predictions(X, y, pred, target=target, ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: str = "viridis",
        norm: Any = None,
        colorbar: bool = True,
        include_values: bool = False,
        values_format: str = ".2g",
    ) -> PeriodicTableDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None for a new figure.
        cmap : str or Colormap, default="viridis"
            Colours of the values.
        norm : str or Normalize, default=None
            Scale of the colours, ``"log"`` for example.
        colorbar : bool, default=True
            Draw the scale of the values.
        include_values : bool, default=False
            Write the values into the cells; a new figure is twice as wide then.
        values_format : str, default=".2g"
            Format of the values in the cells.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `ax` is not one Axes.
        """
        width = PAGE if include_values else COLUMN
        with canvas(self, ax, size=(width, 0.56 * width)) as (panel,):
            self._draw_cells(panel, cmap, norm)
            self._write(panel, values_format if include_values else None)
            last_row = max(_FIRST_BELOW) + _ROWS_DOWN
            panel.set(xlim=(0.5, _N_GROUPS + 0.5), ylim=(last_row + 0.5, 0.5), aspect="equal")
            panel.set_axis_off()
            self.colorbar_ = None
            if colorbar:
                # The room above the transition metals is free.
                inset = panel.inset_axes((3.3, 1.7, 8.4, 0.5), transform=panel.transData)
                self.colorbar_ = panel.figure.colorbar(
                    self.cells_, cax=inset, orientation="horizontal", label=self.label
                )
                inset.xaxis.set_label_position("top")
                inset.tick_params(labelsize=7)
        return self

    def _draw_cells(self, ax: Any, cmap: str, norm: Any) -> None:
        from matplotlib.collections import PatchCollection
        from matplotlib.patches import Rectangle

        by_z = np.full(MAX_Z + 1, np.nan)
        by_z[atomic_numbers(self.values.index)] = self.values
        corners = table_positions() - _CELL / 2
        known, unknown = np.isfinite(by_z), ~np.isfinite(by_z)
        unknown[0] = False

        def squares(chosen: NDArray[np.bool_], **style: Any) -> Any:
            patches = [Rectangle(tuple(corner), _CELL, _CELL) for corner in corners[chosen]]
            return ax.add_collection(PatchCollection(patches, linewidths=0, **style))

        squares(unknown, facecolor=GREY)
        self.cells_ = squares(known, cmap=cmap, norm=norm)
        self.cells_.set_array(by_z[known])
        self.cells_.autoscale_None()

    def _write(self, ax: Any, values_format: str | None) -> None:
        style = {"ha": "center", "va": "center", "fontsize": 7}
        self.texts_ = {}
        for symbol, (column, row) in zip(SYMBOLS[1:], table_positions()[1:], strict=True):
            value = self.values.get(symbol, np.nan)
            colour = "black"
            if np.isfinite(value):
                colour = _contrasting(self.cells_.to_rgba(value))
            if values_format is None or not np.isfinite(value):
                self.texts_[symbol] = ax.text(column, row, symbol, color=colour, **style)
            else:
                self.texts_[symbol] = ax.text(column, row - 0.2, symbol, color=colour, **style)
                ax.text(column, row + 0.22, format(value, values_format), color=colour, **style)
        for period, mark in zip(_FIRST_BELOW, ("*", "**"), strict=True):
            ax.text(3, period, mark, **style)
            ax.text(2, period + _ROWS_DOWN, mark, **style)


def _contrasting(background: tuple[float, float, float, float]) -> str:
    """Black or white, whichever is read more easily on a colour (WCAG 2.2, contrast)."""
    luminance = np.dot(np.array(background[:3]) ** 2.2, (0.2126, 0.7152, 0.0722))
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"

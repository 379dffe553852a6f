"""`PairMatrixDisplay`: one value a pair, elements against elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from .._validation import check_choice
from ..elements import atomic_numbers, property_values, symbols
from ._common import COLUMN, GREY, add_scale, canvas, require_matplotlib
from ._outcomes import absolute_errors, mean_of_pairs, read_values

__all__ = ["PairMatrixDisplay"]

# Order of the elements, and the property whose sections the axes name.
_ORDERS = {"period": ("period", "z"), "group": ("group", "period", "z")}
# Room in points that a symbol takes on an axis.
_SYMBOL_ROOM = 8.0


class PairMatrixDisplay:
    """One value a pair, as a symmetric map of elements against elements.

    Pairs without a value are grey.

    Parameters
    ----------
    matrix : DataFrame of shape (n_elements, n_elements)
        Symmetric values by symbols, NaN where there is none.
    label : str, default=""
        What the values are, with their unit.

    Attributes
    ----------
    im_ : AxesImage
        The map, in the order of `elements_`.
    elements_ : list of str
        Symbols along both axes.
    colorbar_ : Colorbar or None
        Scale of the values.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    See Also
    --------
    PeriodicTableDisplay : One value an element.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting import PairMatrixDisplay
    >>> pairs = [["Ag", "Al"], ["Ag", "H"], ["H", "H"]]
    >>> display = PairMatrixDisplay.from_values(pairs, [1.6, 2.5, 9.1], label="gap (eV)")
    >>> display.matrix
           H   Al   Ag
    H    9.1  NaN  2.5
    Al   NaN  NaN  1.6
    Ag   2.5  1.6  NaN
    """

    def __init__(self, *, matrix: pd.DataFrame, label: str = "") -> None:
        self.matrix = matrix
        self.label = label

    @classmethod
    def from_values(
        cls, X: Any, values: ArrayLike, *, label: str = "", ax: Any = None, **kwargs: Any
    ) -> PairMatrixDisplay:
        """Plot given values, the mean where a pair has several.

        Parameters
        ----------
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        values : array-like of shape (n,)
            One value a pair; NaN counts as no value.
        label : str, default=""
            What the values are, with their unit.
        ax : Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PairMatrixDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `X` holds no pairs, or rows do not match.
        """
        require_matplotlib(cls)
        matrix = mean_of_pairs(*read_values(X, values))
        return cls(matrix=matrix, label=label).plot(ax, **kwargs)

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
    ) -> PairMatrixDisplay:
        """Plot the absolute error of every pair.

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
        PairMatrixDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `X` holds no pairs, rows do not match, or there are several targets.
        """
        require_matplotlib(cls)
        z, errors, label = absolute_errors(X, y_true, y_pred, target)
        return cls(matrix=mean_of_pairs(z, errors), label=label).plot(ax, **kwargs)

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
    ) -> PairMatrixDisplay:
        """Predict and plot the absolute error of every pair.

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
        PairMatrixDisplay

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
        order: str = "period",
        cmap: str = "viridis",
        norm: Any = None,
        colorbar: bool = True,
    ) -> PairMatrixDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None for a new figure. Where they have no room for all
            symbols, periods or groups are named in their place.
        order : {"period", "group"}, default="period"
            Order of the elements: by period, which is that of Z, or by group.
        cmap : str or Colormap, default="viridis"
            Colours of the values.
        norm : str or Normalize, default=None
            Scale of the colours, ``"log"`` for example.
        colorbar : bool, default=True
            Draw the scale of the values.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `order` is unknown, or `ax` is not one Axes.
        """
        check_choice("order", order, list(_ORDERS))
        z = atomic_numbers(self.matrix.index)
        z = z[np.lexsort([property_values(name)[z] for name in _ORDERS[order][::-1]])]
        self.elements_ = symbols(z).tolist()
        with canvas(self, ax, size=(COLUMN, 2.9)) as (panel,):
            import matplotlib

            ordered = self.matrix.loc[self.elements_, self.elements_].to_numpy(float)
            colours = matplotlib.colormaps[cmap] if isinstance(cmap, str) else cmap
            self.im_ = panel.imshow(
                np.ma.masked_invalid(ordered), cmap=colours.with_extremes(bad=GREY), norm=norm,
                interpolation="nearest",
            )  # fmt: skip
            _name_elements(panel, z, self.elements_, order)
            self.colorbar_ = None
            if colorbar:
                self.colorbar_ = add_scale(panel, self.im_, self.label)
        return self


def _name_elements(ax: Any, z: NDArray[np.int64], names: list[str], order: str) -> None:
    """Symbols on both axes or, without room for them, the sections' numbers."""
    extent = ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())
    room = 72 * min(extent.width, extent.height) / len(z)
    places: Any = np.arange(len(z))
    labels, title = names, "element"
    style: dict[str, Any] = {"fontsize": 7} if room < 2 * _SYMBOL_ROOM else {}
    rotation = 90 if style else 0
    if room < _SYMBOL_ROOM:
        sections = property_values(order)[z].astype(int)
        numbers, starts = np.unique(sections, return_index=True)
        edges = np.append(starts, len(z))
        places, labels, title = (edges[:-1] + edges[1:] - 1) / 2, numbers.tolist(), order
        # Groups are narrow and have two digits; periods are wide and have one.
        rotation = 90 if order == "group" else 0
        for edge in starts[1:] - 0.5:
            ax.axhline(edge, color="white", linewidth=0.4)
            ax.axvline(edge, color="white", linewidth=0.4)
    ax.set_xticks(places, labels, rotation=rotation, **style)
    ax.set_yticks(places, labels, **style)
    ax.tick_params(length=0)
    ax.set(xlabel=title, ylabel=title)

"""`ParityDisplay`: predicted against computed targets."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .._validation import check_choice
from ..metrics import masked_mean_absolute_error
from ._common import (
    COLUMN,
    PAGE,
    add_scale,
    canvas,
    format_number,
    name_of,
    quantity,
    require_matplotlib,
    unit_of,
)
from ._outcomes import read_outcomes

__all__ = ["ParityDisplay"]

_KINDS = ("scatter", "hexbin")
_N_COLUMNS = 3
_GRID_SIZE = 50
# Part of the axes' range within which other points count as neighbours.
_NEIGHBOURHOOD = 0.02


class ParityDisplay:
    """Predicted against computed targets, one panel a target.

    Points are coloured by how many others are near, so that two thousand pairs on the
    diagonal do not look like fifty. Pairs without a label are left out.

    Parameters
    ----------
    y_true : ndarray of shape (n, t)
        Computed targets, NaN where a label is missing.
    y_pred : ndarray of shape (n, t)
        Predictions.
    keys : sequence of str of length t
        Names of the targets; those of :data:`qcanvas_sklearn.targets.TARGETS` are
        written out with their units.

    Attributes
    ----------
    mae_ : ndarray of shape (t,)
        Mean absolute errors over the observed labels, in the targets' units.
    artists_ : list of PathCollection or PolyCollection
        Points or cells, one a target.
    lines_ : list of Line2D
        Identity lines, one a target.
    ax_ : Axes or ndarray of Axes
        Axes drawn on; an array for several targets.
    figure_ : Figure
        Figure that holds them.

    See Also
    --------
    PeriodicTableDisplay : Which elements the errors come from.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting import ParityDisplay
    >>> y = [1.0, 2.0, float("nan"), 4.0]
    >>> display = ParityDisplay.from_predictions(y, [1.1, 1.8, 3.0, 4.0], target="e_g_ev")
    >>> display.ax_.get_title()
    'MAE 0.1 eV (n = 3)'
    """

    def __init__(
        self, *, y_true: NDArray[np.float64], y_pred: NDArray[np.float64], keys: Sequence[str]
    ) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.keys = keys

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        *,
        target: str | Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ParityDisplay:
        """Plot given predictions.

        Parameters
        ----------
        y_true : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        y_pred : array-like of the same shape
            Predictions.
        target : str, sequence of str or None, default=None
            Columns of a DataFrame to show, or the names of an array's columns; groups of
            targets stand for their members. None shows all.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        ParityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If shapes or names do not match, or a target has no observed label.
        """
        require_matplotlib(cls)
        keys, true, (pred,) = read_outcomes(y_true, y_pred, target=target)
        return cls(y_true=true, y_pred=pred, keys=keys).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        target: str | Sequence[str] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> ParityDisplay:
        """Predict and plot.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or pipeline.
        X : array-like of shape (n, p)
            What it predicts from, best pairs that it has not seen.
        y : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        target : str, sequence of str or None, default=None
            As in :meth:`from_predictions`.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        ParityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            As :meth:`from_predictions`.
        """
        require_matplotlib(cls)
        return cls.from_predictions(y, estimator.predict(X), target=target, ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "scatter",
        cmap: str = "viridis",
        colorbar: bool | None = None,
    ) -> ParityDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            One a target, or one that is divided among them; None for a new figure.
        kind : {"scatter", "hexbin"}, default="scatter"
            Points coloured by the number of points around them, or counts in hexagonal
            cells, for more points than a file should hold.
        cmap : str or Colormap, default="viridis"
            Colours of the counts.
        colorbar : bool, default=None
            Draw the scale of the counts; None draws it for a single target only.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `kind` is unknown, or the number of axes is not that of the targets.
        """
        check_choice("kind", kind, _KINDS)
        n = len(self.keys)
        with_scale = n == 1 if colorbar is None else colorbar
        rows = -(-n // _N_COLUMNS)
        size = (COLUMN, 2.9) if n == 1 else (min(n, _N_COLUMNS) * PAGE / 3, 2.3 * rows)
        self.mae_ = np.empty(n)
        self.artists_: list[Any] = []
        self.lines_: list[Any] = []
        with canvas(self, ax, n, n_columns=_N_COLUMNS, size=size) as panels:
            for k, panel in enumerate(panels):
                self._draw(panel, k, kind, cmap, with_scale)
        return self

    def _draw(self, ax: Any, k: int, kind: str, cmap: str, colorbar: bool) -> None:
        key, alone = self.keys[k], len(self.keys) == 1
        seen = np.isfinite(self.y_true[:, k])
        points = np.c_[self.y_true[seen, k], self.y_pred[seen, k]]
        low, high = points.min(), points.max()
        margin = 0.04 * (high - low) or 0.5
        limits = (low - margin, high + margin)
        self.mae_[k] = masked_mean_absolute_error(*points.T)
        line = ax.plot(limits, limits, color="0.5", linewidth=0.8, label="identity", zorder=1)
        self.lines_ += line
        draw = _draw_points if kind == "scatter" else _draw_cells
        artist, counted = draw(ax, points, limits, cmap, unit_of(key))
        self.artists_.append(artist)
        if colorbar:
            add_scale(ax, artist, counted)
        error = f"{format_number(self.mae_[k])} {unit_of(key)}".rstrip()
        name = quantity(name_of(key), unit_of(key))
        ax.locator_params(nbins=5 if alone else 4)
        ax.set(
            xlim=limits, ylim=limits, aspect="equal", title=f"MAE {error} (n = {seen.sum()})",
            xlabel=_wrapped(f"computed {name}", 40 if alone else 25),
            ylabel=_wrapped(f"predicted {name}", 40 if alone else 26),
        )  # fmt: skip


def _wrapped(label: str, width: int) -> str:
    """Lines of at most `width` characters, the unit beside the name's last word."""
    kept = "\N{NO-BREAK SPACE}("
    return textwrap.fill(label.replace(" (", kept), width).replace(kept, " (")


def _draw_points(
    ax: Any, points: NDArray, limits: tuple[float, float], cmap: str, unit: str
) -> tuple[Any, str]:
    radius = float(f"{_NEIGHBOURHOOD * (limits[1] - limits[0]):.1g}")
    # A point is its own neighbour, which leaves no count at zero.
    counts = KDTree(points).query_ball_point(points, radius, return_length=True)
    order = np.argsort(counts, kind="stable")  # the crowded ones on top
    artist = ax.scatter(
        *points[order].T, c=counts[order], s=5, linewidths=0, cmap=cmap,
        norm=_count_scale(counts.max()), rasterized=True, zorder=2,
    )  # fmt: skip
    return artist, f"pairs within {radius:g} {unit}".rstrip()


def _draw_cells(
    ax: Any, points: NDArray, limits: tuple[float, float], cmap: str, unit: str
) -> tuple[Any, str]:
    artist = ax.hexbin(
        *points.T, gridsize=_GRID_SIZE, extent=(*limits, *limits), mincnt=1, cmap=cmap,
        linewidths=0.1, zorder=2,
    )  # fmt: skip
    artist.set_norm(_count_scale(artist.get_array().max()))
    return artist, "pairs in a cell"


def _count_scale(largest: float) -> Any:
    from matplotlib.colors import LogNorm

    return LogNorm(1, max(largest, 10))

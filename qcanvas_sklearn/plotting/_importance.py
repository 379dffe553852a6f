"""`ChannelImportanceDisplay`: what a model looks at."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .._validation import column_names
from ._common import BLUE, COLUMN, canvas, check_frame, quantity, require_matplotlib, unit_of

__all__ = ["ChannelImportanceDisplay"]

_COLUMNS = ("feature", "importance_mean", "importance_std")


class ChannelImportanceDisplay:
    """Importance of each channel and block of columns, the largest on top.

    Parameters
    ----------
    importances : DataFrame of shape (n_features, 3 or more)
        Columns ``feature``, ``importance_mean`` and ``importance_std``, as
        :func:`qcanvas_sklearn.inspection.channel_importance` gives them.
    label : str, default="importance"
        What the importances are, with their unit.

    Attributes
    ----------
    bars_ : BarContainer
        Bars from top to bottom, with their error bars.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.plotting import ChannelImportanceDisplay
    >>> importances = pd.DataFrame({
    ...     "feature": ["com_charge", "com_orbital"], "importance_mean": [0.1, 0.4],
    ...     "importance_std": [0.01, 0.02]})
    >>> display = ChannelImportanceDisplay(importances=importances).plot()
    >>> [text.get_text() for text in display.ax_.get_yticklabels()]
    ['com_orbital', 'com_charge']
    """

    def __init__(self, *, importances: pd.DataFrame, label: str = "importance") -> None:
        self.importances = importances
        self.label = label

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, ax: Any = None, **kwargs: Any
    ) -> ChannelImportanceDisplay:
        """Compute the importances and plot them.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor or pipeline.
        X : array-like of shape (n, p)
            What it predicts from, best pairs that it has not seen.
        y : array-like of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        ax : Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :func:`qcanvas_sklearn.inspection.channel_importance`.

        Returns
        -------
        ChannelImportanceDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        from ..inspection import channel_importance

        importances = channel_importance(estimator, X, y, **kwargs)
        label = "decrease of the score"
        if kwargs.get("scoring") is None:
            names = column_names(y) or [""]
            unit = unit_of(names[0]) if len(names) == 1 else "mean over the targets"
            label = quantity("increase of the MAE", unit)
        return cls(importances=importances, label=label).plot(ax)

    def plot(self, ax: Any = None) -> ChannelImportanceDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to draw on; None for a new figure.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the importances are no DataFrame.
        ValueError
            If they lack a column or have no rows, or `ax` is not one Axes.
        """
        frame = check_frame("importances", self.importances, _COLUMNS)
        frame = frame.sort_values("importance_mean", ascending=False)
        with canvas(self, ax, size=(COLUMN, 0.6 + 0.18 * len(frame))) as (panel,):
            self.bars_ = panel.barh(
                range(len(frame)), frame["importance_mean"], xerr=frame["importance_std"],
                color=BLUE, height=0.7, error_kw={"linewidth": 0.8, "capsize": 1.5},
            )  # fmt: skip
            panel.axvline(0, color="black", linewidth=0.8)
            panel.set_yticks(range(len(frame)), frame["feature"].astype(str))
            panel.set(ylim=(len(frame) - 0.4, -0.6), xlabel=self.label)
        return self

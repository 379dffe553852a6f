"""`GeneralizationGapDisplay`: errors inside and outside of the training distribution."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..model_selection import generalization_gap
from ._common import (
    BLUE,
    COLUMN,
    ORANGE,
    PAGE,
    canvas,
    check_frame,
    name_of,
    printed,
    quantity,
    require_matplotlib,
)

__all__ = ["GeneralizationGapDisplay"]

_COLUMNS = ("split", "target", "unit", "mae_in", "mae_out", "ratio")


class GeneralizationGapDisplay:
    """Errors for pairs like the training pairs and for others, split by split.

    Two dots a split: the mean absolute error in distribution and out of distribution. The
    number beside them is their ratio. One panel a target.

    Parameters
    ----------
    gaps : DataFrame of shape (n_splits, 6 or more)
        Columns ``split``, ``target``, ``unit``, ``mae_in``, ``mae_out`` and ``ratio``, as
        :func:`qcanvas_sklearn.model_selection.generalization_gap` gives them.

    Attributes
    ----------
    inside_ : list of PathCollection
        Errors in distribution, one a target.
    outside_ : list of PathCollection
        Errors out of distribution, one a target.
    ax_ : Axes or ndarray of Axes
        Axes drawn on; an array for several targets.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.plotting import GeneralizationGapDisplay
    >>> gaps = pd.DataFrame({
    ...     "split": ["Ag"], "target": ["e_g_ev"], "unit": ["eV"], "mae_in": [0.08],
    ...     "mae_out": [0.24], "ratio": [3.0]})
    >>> GeneralizationGapDisplay(gaps=gaps).plot().ax_.get_xlabel()
    'MAE, HOMO-LUMO gap (eV)'
    """

    def __init__(self, *, gaps: pd.DataFrame) -> None:
        self.gaps = gaps

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, splits: Any, *, ax: Any = None, **kwargs: Any
    ) -> GeneralizationGapDisplay:
        """Compute the gaps and plot them.

        Parameters
        ----------
        estimator : estimator
            Regressor or pipeline; clones of it are fitted.
        X : array-like of shape (n, 2), or (n, p) from a `PairImageTransformer`
            Element pairs.
        y : array-like of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        splits : splitter, list of splitters, or dict of str to splitter
            Splitters of :mod:`qcanvas_sklearn.model_selection`.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :func:`qcanvas_sklearn.model_selection.generalization_gap`.

        Returns
        -------
        GeneralizationGapDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        require_matplotlib(cls)
        return cls(gaps=generalization_gap(estimator, X, y, splits, **kwargs)).plot(ax)

    def plot(self, ax: Any = None) -> GeneralizationGapDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            One a target, or one that is divided among them; None for a new figure.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the gaps are no DataFrame.
        ValueError
            If they lack a column or have no rows, or the number of axes is not that of
            the targets.
        """
        gaps = check_frame("gaps", self.gaps, _COLUMNS)
        targets = list(gaps.groupby("target", sort=False))
        n_columns = min(len(targets), 2)
        rows = -(-len(targets) // n_columns)
        most = max(len(part) for _, part in targets)
        size = (COLUMN if n_columns == 1 else PAGE, rows * (0.85 + 0.19 * most))
        self.inside_: list[Any] = []
        self.outside_: list[Any] = []
        with canvas(self, ax, len(targets), n_columns=n_columns, size=size) as panels:
            for panel, (target, part) in zip(panels, targets, strict=True):
                self._draw(panel, str(target), part)
        return self

    def _draw(self, ax: Any, target: str, part: pd.DataFrame) -> None:
        places = range(len(part))
        low, high = part["mae_in"], part["mae_out"]
        ax.hlines(places, low, high, color="0.7", linewidth=1.5, zorder=1)
        style = {"s": 20, "zorder": 2, "linewidths": 0}
        self.inside_.append(
            ax.scatter(low, places, color=BLUE, label="in distribution", **style)
        )
        self.outside_.append(
            ax.scatter(
                high, places, color=ORANGE, marker="D", label="out of distribution", **style
            )
        )
        ends = part[["mae_in", "mae_out"]].max(axis=1)
        name = f"target {target}" if target.isdigit() else name_of(target)
        for place, end, ratio in zip(places, ends, part["ratio"], strict=True):
            if pd.notna(ratio):
                ax.annotate(
                    f"×{ratio:.2f}", (end, place), (5, 0), va="center",
                    textcoords="offset points", fontsize=7,
                )  # fmt: skip
        ax.set_yticks(places, part["split"].astype(str))
        unit = printed(str(part["unit"].iloc[0]))
        ax.set(
            xlim=(0, 1.3 * ends.max()) if ends.max() > 0 else None,
            ylim=(len(part) - 0.4, -0.6),
            xlabel=f"MAE, {quantity(name, unit)}",
        )  # fmt: skip
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False,
            handletextpad=0.2, columnspacing=1,
        )  # fmt: skip

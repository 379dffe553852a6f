"""`TrainingCurveDisplay`: losses by epoch."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ._common import BLUE, COLUMN, ORANGE, canvas, check_frame, require_matplotlib

__all__ = ["TrainingCurveDisplay"]

_COLUMNS = ("epoch", "train_loss", "valid_loss")
# Where meta-estimators of scikit-learn keep the one that they fitted.
_INNER = ("best_estimator_", "regressor_", "estimator_")


class TrainingCurveDisplay:
    """Training and validation loss by epoch, on a logarithmic scale where they are positive.

    Parameters
    ----------
    history : DataFrame of shape (n_epochs, 3 or more)
        Columns ``epoch``, ``train_loss`` and ``valid_loss``, as the networks have it in
        ``history_``; NaN where nothing was validated.

    Attributes
    ----------
    lines_ : list of Line2D
        Training loss and, where there is one, validation loss.
    best_ : PathCollection or None
        Mark of the epoch with the smallest validation loss.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.plotting import TrainingCurveDisplay
    >>> history = pd.DataFrame(
    ...     {"epoch": [1, 2], "train_loss": [0.5, 0.2], "valid_loss": [0.6, 0.4]})
    >>> len(TrainingCurveDisplay(history=history).plot().lines_)
    2
    """

    def __init__(self, *, history: pd.DataFrame) -> None:
        self.history = history

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> TrainingCurveDisplay:
        """Plot the history of a fitted network.

        Parameters
        ----------
        estimator : estimator
            Fitted network regressor, or a pipeline or search that ends in one.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        TrainingCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        sklearn.exceptions.NotFittedError
            If the network is not fitted.
        TypeError
            If there is no network in the estimator.
        """
        require_matplotlib(cls)
        return cls(history=_network_in(estimator).history_).plot(ax)

    def plot(self, ax: Any = None) -> TrainingCurveDisplay:
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
            If the history is no DataFrame.
        ValueError
            If it lacks a column or has no rows, or `ax` is not one Axes.
        """
        history = check_frame("history", self.history, _COLUMNS)
        epochs, valid = history["epoch"], history["valid_loss"]
        with canvas(self, ax, size=(COLUMN, 2.4)) as (panel,):
            self.lines_ = panel.plot(
                epochs, history["train_loss"], color=BLUE, linewidth=1.2, label="training"
            )
            self.best_ = None
            if valid.notna().any():
                self.lines_ += panel.plot(
                    epochs, valid, color=ORANGE, linewidth=1.2, label="validation"
                )
                best = valid.idxmin()
                self.best_ = panel.scatter(
                    epochs[best], valid[best], color=ORANGE, s=18, zorder=3,
                    label=f"best, epoch {epochs[best]}",
                )  # fmt: skip
            panel.set(xlabel="epoch", ylabel="loss")
            if history[["train_loss", "valid_loss"]].min().min() > 0:
                _logarithmic(panel)
            panel.locator_params(axis="x", integer=True)
            panel.legend(frameon=False)
        return self


def _logarithmic(ax: Any) -> None:
    """Logarithmic losses, with plain numbers where they span less than a decade."""
    from matplotlib.ticker import AutoLocator, NullLocator, ScalarFormatter

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 10 * low:
        ax.yaxis.set_major_locator(AutoLocator())
        ax.yaxis.set_major_formatter(ScalarFormatter())
        ax.yaxis.set_minor_locator(NullLocator())


def _network_in(estimator: Any) -> Any:
    """The network behind pipelines and meta-estimators."""
    inner = estimator
    while not hasattr(inner, "history_"):
        if isinstance(inner, Pipeline):
            inner = inner[-1]
            continue
        names = [name for name in _INNER if hasattr(inner, name)]
        if not names:
            check_is_fitted(inner)
            raise TypeError(
                f"{type(inner).__name__} keeps no history_ of its training; there is one of "
                "the network regressors only"
            )
        inner = getattr(inner, names[0])
    return inner

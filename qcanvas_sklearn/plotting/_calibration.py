"""`CalibrationDisplay`: whether predicted standard deviations can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline

from .._validation import check_n_rows
from ..metrics import calibration_error, coverage_curve, interval_coverage
from ._common import COLOURS, COLUMN, canvas, name_of, require_matplotlib
from ._outcomes import Outcomes, read_outcomes

__all__ = ["CalibrationDisplay"]

# One for each round of the colours.
_MARKERS = "os^"


class CalibrationDisplay:
    """Observed against expected coverage of a regressor's central intervals.

    A calibrated regressor's 90 % intervals hold 90 % of the labels. Below the diagonal it
    is too sure of itself, above it too cautious. (For the probabilities of a classifier
    see :class:`sklearn.calibration.CalibrationDisplay`.)

    Parameters
    ----------
    expected : ndarray of shape (k,)
        Nominal levels of the intervals, 0 to 1.
    observed : ndarray of shape (t, k)
        Shares of the labels inside them, by target.
    calibration_error : ndarray of shape (t,)
        Mean absolute differences of the two, see
        :func:`qcanvas_sklearn.metrics.calibration_error`.
    coverage_90 : ndarray of shape (t,)
        Shares of the labels inside the 90 % intervals.
    keys : sequence of str of length t
        Names of the targets, with those of groups behind them where rows are split.

    Attributes
    ----------
    lines_ : list of Line2D
        Curves, one a target.
    line_ : Line2D
        Diagonal of perfect calibration.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    See Also
    --------
    qcanvas_sklearn.metrics.coverage_curve : The numbers behind it.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.plotting import CalibrationDisplay
    >>> y = np.random.default_rng(0).normal(size=500)
    >>> display = CalibrationDisplay.from_predictions(y, np.zeros(500), np.ones(500))
    >>> bool(display.calibration_error[0] < 0.05)
    True
    """

    def __init__(
        self,
        *,
        expected: NDArray[np.float64],
        observed: NDArray[np.float64],
        calibration_error: NDArray[np.float64],
        coverage_90: NDArray[np.float64],
        keys: Sequence[str],
    ) -> None:
        self.expected = expected
        self.observed = observed
        self.calibration_error = calibration_error
        self.coverage_90 = coverage_90
        self.keys = keys

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_pred: Any,
        y_std: Any,
        *,
        levels: ArrayLike | None = None,
        target: str | Sequence[str] | None = None,
        groups: ArrayLike | None = None,
        ax: Any = None,
    ) -> CalibrationDisplay:
        """Plot given predictions and their standard deviations.

        Parameters
        ----------
        y_true : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        y_pred : array-like of the same shape
            Predictions.
        y_std : array-like of the same shape
            Predicted standard deviations, in the targets' units.
        levels : array-like of shape (k,), default=None
            Levels of the intervals, as in
            :func:`qcanvas_sklearn.metrics.coverage_curve`.
        target : str, sequence of str or None, default=None
            Columns of a DataFrame to show, or the names of an array's columns; groups of
            targets stand for their members. None shows all.
        groups : array-like of shape (n,), default=None
            What each row counts to, as ``model.count_unseen_elements(X)`` does: a curve
            for each value.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If shapes or names do not match, a standard deviation is not positive, or a
            target has no observed label (in a group, it has no curve).
        """
        require_matplotlib(cls)
        outcomes = read_outcomes(y_true, y_pred, y_std, target=target)
        keys, samples = _by_group(outcomes, groups)
        each: Any = {"multioutput": "raw_values"}
        expected, observed = coverage_curve(*samples, levels=levels, **each)
        return cls(
            expected=expected,
            observed=observed,
            calibration_error=calibration_error(*samples, levels=levels, **each),
            coverage_90=interval_coverage(*samples, level=0.9, **each),
            keys=keys,
        ).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        levels: ArrayLike | None = None,
        target: str | Sequence[str] | None = None,
        groups: ArrayLike | None = None,
        ax: Any = None,
    ) -> CalibrationDisplay:
        """Predict with standard deviations and plot.

        Parameters
        ----------
        estimator : estimator
            Fitted regressor whose ``predict`` takes ``return_std``, or a pipeline that
            ends in one.
        X : array-like of shape (n, p)
            What it predicts from, best pairs that it has not seen.
        y : array-like, Series or DataFrame of shape (n,) or (n, t)
            Computed targets, NaN where a label is missing.
        levels : array-like of shape (k,), default=None
            As in :meth:`from_predictions`.
        target : str, sequence of str or None, default=None
            As in :meth:`from_predictions`.
        groups : array-like of shape (n,), default=None
            As in :meth:`from_predictions`.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        CalibrationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the regressor predicts no standard deviations.
        ValueError
            As :meth:`from_predictions`.
        """
        require_matplotlib(cls)
        last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
        if "return_std" not in signature(last.predict).parameters:
            raise TypeError(
                f"{type(last).__name__} predicts no standard deviations: its predict does "
                "not take return_std"
            )
        pred, std = estimator.predict(X, return_std=True)
        return cls.from_predictions(
            y, pred, std, levels=levels, target=target, groups=groups, ax=ax
        )

    def plot(self, ax: Any = None) -> CalibrationDisplay:
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
        ValueError
            If `ax` is not one Axes.
        """
        height = COLUMN + 0.15 * len(self.keys)
        with canvas(self, ax, size=(COLUMN, height)) as (panel,):
            (self.line_,) = panel.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
            self.lines_: list[Any] = []
            for k, key in enumerate(self.keys):
                again, colour = divmod(k, len(COLOURS))
                self.lines_ += panel.plot(
                    self.expected, self.observed[k], color=COLOURS[colour], linewidth=1.2,
                    marker=_MARKERS[again % len(_MARKERS)], markersize=3,
                    label=f"{name_of(key)}: {self.calibration_error[k]:.3f}, "
                    f"{self.coverage_90[k]:.3f}",
                )  # fmt: skip
            panel.set(
                xlim=(0, 1), ylim=(0, 1), aspect="equal",
                xlabel="expected coverage of central intervals",
                ylabel="observed coverage",
            )  # fmt: skip
            panel.legend(
                loc="lower left", bbox_to_anchor=(0, 1), frameon=False, alignment="left",
                title="calibration error, coverage of the 90 % intervals",
            )  # fmt: skip
        return self


def _by_group(
    outcomes: Outcomes, groups: ArrayLike | None
) -> tuple[list[str], tuple[NDArray[np.float64], ...]]:
    """Names, and labels, means and deviations, with a column for each target and group."""
    keys, true, predicted = outcomes
    if groups is None:
        return keys, (true, *predicted)
    group_of_row = np.asarray(groups)
    if group_of_row.ndim != 1:
        raise ValueError(f"groups has shape {group_of_row.shape}, expected ({len(true)},)")
    check_n_rows(group_of_row, len(true), input_name="groups")
    names, columns, kept = [], [], []
    for j, key in enumerate(keys):
        for group in np.unique(group_of_row):
            labels = np.where(group_of_row == group, true[:, j], np.nan)
            if np.isfinite(labels).any():
                names.append(f"{name_of(key)}, {group}")
                columns.append(labels)
                kept.append(j)
    return names, (np.column_stack(columns), *(values[:, kept] for values in predicted))

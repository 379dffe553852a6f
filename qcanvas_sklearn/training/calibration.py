"""From the spread of an ensemble to standard deviations that can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["SpreadCalibration"]

#: Level of the central interval whose coverage is set.
_LEVEL = 0.9


@dataclass(frozen=True)
class SpreadCalibration:
    r"""Calibrated standard deviations of an ensemble's mean.

    .. math::
        \sigma_{ij} = c_j \sqrt{v_{ij} + \bar v_j}

    where the variance :math:`v` over the members is shrunk towards its mean over the
    validation rows, so that no row is certain by chance, and :math:`c` is such that the
    central 90 % interval of the normal distribution covers 90 % of the validation rows:
    split conformal prediction with errors measured in units of the spread.

    Attributes
    ----------
    mean_variance : ndarray of shape (t,)
        Mean variance over the members.
    scale : ndarray of shape (t,)
        The factor c; NaN where no validation label was observed.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman,
       Distribution-Free Predictive Inference for Regression, J. Am. Stat. Assoc. 113,
       1094 (2018), section 5.2.
    """

    mean_variance: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(
        cls, outputs: NDArray[np.float64], mean: NDArray[np.float64], y: NDArray[np.float64]
    ) -> SpreadCalibration:
        """Calibrate on validation rows.

        Parameters
        ----------
        outputs : ndarray of shape (n, m, t)
            Of the members.
        mean : ndarray of shape (n, t)
            What is predicted, around which the intervals lie.
        y : ndarray of shape (n, t)
            Labels, NaN where missing.

        Returns
        -------
        SpreadCalibration
        """
        if not len(y):
            unknown = np.full(y.shape[1], np.nan)
            return cls(unknown, unknown)
        variance = outputs.var(axis=1, ddof=1)
        mean_variance = np.maximum(variance.mean(axis=0), np.finfo(np.float64).tiny)
        ratio = np.abs(y - mean) / np.sqrt(variance + mean_variance)
        scale = np.array([_upper_quantile(column[~np.isnan(column)]) for column in ratio.T])
        return cls(mean_variance, scale / norm.ppf((1 + _LEVEL) / 2))

    def std(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations (n, t) of the mean of outputs (n, m, t)."""
        return self.scale * np.sqrt(outputs.var(axis=1, ddof=1) + self.mean_variance)


def _upper_quantile(ratios: NDArray[np.float64]) -> float:
    """The conformal quantile; the largest ratio where there are too few."""
    if not len(ratios):
        return np.nan
    rank = min(int(np.ceil((len(ratios) + 1) * _LEVEL)), len(ratios))
    return float(np.sort(ratios)[rank - 1])

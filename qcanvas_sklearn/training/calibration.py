"""From the spread of an ensemble to standard deviations that can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import norm

__all__ = ["ExtrapolationCalibration", "SpreadCalibration", "element_distance"]

#: Level of the central interval whose coverage is set.
_LEVEL = 0.9
#: Half its width in standard deviations.
_REACH = norm.ppf((1 + _LEVEL) / 2)
#: Errors that it takes to have a quantile of this level at all.
_MIN_ERRORS = round(_LEVEL / (1 - _LEVEL))
#: Errors kept of rows with one, and with more unseen members.
_MAX_ERRORS = 2000
#: Distance of rows that still tell of each other, in standard deviations of descriptors.
_WIDTH = 2.5
#: How errors grow with the distance of an element from the nearest known one: chosen, as the
#: width is, by the interval score of left-out elements, periods and blocks.
_GROWTH = 0.25
_CLOSEST = 0.1
#: Rows that are looked up together.
_CHUNK = 256


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
        return cls.from_variance(outputs.var(axis=1, ddof=1) if len(y) else mean, mean, y)

    @classmethod
    def from_variance(
        cls, variance: NDArray[np.float64], mean: NDArray[np.float64], y: NDArray[np.float64]
    ) -> SpreadCalibration:
        """Calibrate on validation rows of which the variance over the members is known.

        Parameters
        ----------
        variance, mean, y : ndarray of shape (n, t)
            Variances, what is predicted, and labels, NaN where missing.

        Returns
        -------
        SpreadCalibration
        """
        if not len(y):
            unknown = np.full(y.shape[1], np.nan)
            return cls(unknown, unknown)
        # A target without a value, such as the softness where there is no gap, says nothing.
        known = np.isfinite(variance)
        total = np.where(known, variance, 0.0).sum(axis=0)
        mean_variance = total / np.maximum(known.sum(axis=0), 1)
        mean_variance = np.maximum(mean_variance, np.finfo(np.float64).tiny)
        ratio = np.abs(y - mean) / np.sqrt(variance + mean_variance)
        scale = np.array([_upper_quantile(column[~np.isnan(column)]) for column in ratio.T])
        return cls(mean_variance, scale / _REACH)

    def std(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard deviations (n, t) of the mean of outputs (n, m, t)."""
        return self.scale * np.sqrt(outputs.var(axis=1, ddof=1) + self.mean_variance)


def _upper_quantile(ratios: NDArray[np.float64]) -> float:
    """The conformal quantile; the largest ratio where there are too few."""
    if not len(ratios):
        return np.nan
    rank = min(int(np.ceil((len(ratios) + 1) * _LEVEL)), len(ratios))
    return float(np.sort(ratios)[rank - 1])


@dataclass(frozen=True)
class ExtrapolationCalibration:
    r"""Standard deviations of predictions for rows with members that were never seen.

    Members that agree on an element which none of them has seen say nothing of their error.
    What says something are errors at elements that were left out of training on purpose:
    those of rows that are alike, with one element left out, or with more.

    .. math::
        \sigma_{ij} = \frac{d_i^\gamma}{z_{0.95}}\,
            Q_{0.9}\bigl(|r_{kj}| / d_k^\gamma;\ w_{ik}\bigr), \quad
        w_{ik} \propto \exp\frac{-\lVert \varphi_i - \varphi_k \rVert^2}{2 h^2}

    with the weighted quantile over all left-out rows k, to which the row itself is added
    with the largest weight and an error of infinity, as in conformal prediction under
    covariate shift. :math:`d` is the distance of the unseen members from the nearest known
    elements in the space of descriptors. :math:`\varphi` are the mean descriptors of the
    unseen members, those of the seen ones, and twice the spread of the unseen ones; weights
    are relative to that of the nearest row.

    Attributes
    ----------
    members : ndarray of int64, shape (n, k)
        Elements of the left-out rows by number; 0 is none.
    unseen : ndarray of bool, shape (n, k)
        Which of them were left out.
    errors : ndarray of float32, shape (n, t)
        Absolute errors over the growth with the distance, NaN where unknown.
    descriptors : ndarray of shape (n_elements + 1, p)
        Standardised properties of the elements.

    References
    ----------
    .. [1] R. J. Tibshirani, R. Foygel Barber, E. Candès, A. Ramdas, Conformal Prediction
       Under Covariate Shift, NeurIPS 2019, arXiv:1904.06019.
    """

    members: NDArray[np.int64]
    unseen: NDArray[np.bool_]
    errors: NDArray[np.float32]
    descriptors: NDArray

    @classmethod
    def fit(
        cls, members: NDArray[np.int64], unseen: NDArray[np.bool_],
        errors: NDArray[np.float64], distance: NDArray[np.float64], descriptors: NDArray,
        seed: int = 0,
    ) -> ExtrapolationCalibration:  # fmt: skip
        """Keep what is needed of the errors of rows with left-out members.

        Parameters
        ----------
        members : ndarray of int64, shape (n, k)
            As the attribute.
        unseen : ndarray of bool, shape (n, k)
            As the attribute; at least one member of each row.
        errors : ndarray of shape (n, t)
            Absolute errors, NaN where unknown.
        distance : ndarray of shape (n,)
            See :func:`element_distance`.
        descriptors : ndarray of shape (n_elements + 1, p)
            As the attribute.
        seed : int, default=0
            Draws the rows that are kept where there are more than are needed.

        Returns
        -------
        ExtrapolationCalibration
        """
        order = np.random.RandomState(seed).permutation(len(members))
        is_single = unseen[order].sum(axis=1) == 1
        kept = [order[side][:_MAX_ERRORS] for side in (is_single, ~is_single)]
        rows = np.sort(np.concatenate(kept))
        relative = (errors[rows] / _growth(distance[rows])).astype(np.float32)
        return cls(members[rows], unseen[rows], relative, descriptors)

    def std(
        self, members: NDArray[np.int64], unseen: NDArray[np.bool_],
        distance: NDArray[np.float64],
    ) -> NDArray[np.float64]:  # fmt: skip
        """Standard deviations (m, t) of rows with unseen members.

        Parameters
        ----------
        members : ndarray of int64, shape (m, k)
            Elements of the rows; 0 is none.
        unseen : ndarray of bool, shape (m, k)
            Which of them were never seen; at least one of each row.
        distance : ndarray of shape (m,)
            See :func:`element_distance`.

        Returns
        -------
        ndarray of shape (m, t)
            NaN where there are too few errors for a quantile.
        """
        out = np.full((len(members), self.errors.shape[1]), np.nan)
        is_single, was_single = (x.sum(axis=1) == 1 for x in (unseen, self.unseen))
        for single in (True, False):
            rows = np.flatnonzero(is_single == single)
            like = was_single == single
            theirs = self._features(self.members[like], self.unseen[like])
            for part in np.split(rows, range(_CHUNK, len(rows), _CHUNK)):
                own = self._features(members[part], unseen[part])
                out[part] = _weighted_quantiles(self.errors[like], _kernel(own, theirs))
        return out * _growth(distance) / _REACH

    def _features(
        self, members: NDArray[np.int64], unseen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What rows are compared by, (n, 2 p + 1)."""
        table = self.descriptors[members].astype(np.float64)
        sides = []
        for side in (unseen, ~unseen & (members > 0)):
            share = side / np.maximum(side.sum(axis=1, keepdims=True), 1)
            sides.append(np.einsum("nk,nkp->np", share, table))
        distance = ((table - sides[0][:, None]) ** 2).sum(axis=-1)
        variance = (distance * unseen).sum(axis=1) / unseen.sum(axis=1)
        return np.column_stack([*sides, 2 * np.sqrt(variance)])


def element_distance(
    members: NDArray[np.int64], unseen: NDArray[np.bool_], known: NDArray[np.int64],
    descriptors: NDArray,
) -> NDArray[np.float64]:  # fmt: skip
    """How far the unseen members of each row are from what is known, shape (n,).

    Parameters
    ----------
    members : ndarray of int64, shape (n, k)
        Elements by number; 0 is none.
    unseen : ndarray of bool, shape (n, k)
        Which of them were never seen.
    known : ndarray of int64, shape (m,)
        The elements that were.
    descriptors : ndarray of shape (n_elements + 1, p)
        Standardised properties of the elements.

    Returns
    -------
    ndarray of shape (n,)
        Root of the sum of squares of the distances from the nearest known element.
    """
    nearest = cdist(descriptors, descriptors[known]).min(axis=1)
    return np.sqrt((np.where(unseen, nearest[members], 0.0) ** 2).sum(axis=1))


def _growth(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(distance, _CLOSEST)[:, None] ** _GROWTH


def _kernel(own: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (m, n) of other rows, 1 for the nearest."""
    if not len(theirs):
        return np.empty((len(own), 0))
    distance = cdist(own, theirs, "sqeuclidean")
    distance -= distance.min(axis=1, keepdims=True)
    return np.exp(-distance / (2 * _WIDTH**2))


def _weighted_quantiles(
    errors: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Conformal quantiles (m, t) of errors (n, t) for each line of weights (m, n).

    The largest error where the weights are too small for a quantile; NaN where the errors
    are too few.
    """
    out = np.full((len(weights), errors.shape[1]), np.nan)
    for j, column in enumerate(errors.T):
        order = np.argsort(column)[: np.count_nonzero(~np.isnan(column))]  # NaN comes last
        if len(order) < _MIN_ERRORS:
            continue
        cumulated = np.cumsum(weights[:, order], axis=1)
        wanted = _LEVEL * (cumulated[:, -1:] + 1)
        rank = np.minimum((cumulated < wanted).sum(axis=1), len(order) - 1)
        out[:, j] = column[order[rank]]
    return out

"""Scaling of inputs and targets from the training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["TargetScaler", "feature_scaling"]


def _nonzero(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)


def feature_scaling(
    features: NDArray, axis: int = -1, floor: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each feature over all other axes.

    Parameters
    ----------
    features : ndarray
        Training rows.
    axis : int, default=-1
        Axis of the features.
    floor : float, default=0.0
        Standard deviation up to which a feature counts as constant. In electrons and
        angstrom, what varies by a millionth is the rounding of printed numbers.

    Returns
    -------
    mean, scale : ndarray of shape (k,), float32
        The scale is 1 for features that do not vary.
    """
    others = tuple(i for i in range(features.ndim) if i != axis % features.ndim)
    mean = features.mean(axis=others, dtype=np.float64)
    scale = features.std(axis=others, dtype=np.float64)
    # Round-off of a constant column must not be blown up to unit variance.
    scale = np.where(scale > np.maximum(floor, 1e-6 * np.abs(mean)), scale, 0.0)
    return mean.astype(np.float32), _nonzero(scale).astype(np.float32)


@dataclass(frozen=True)
class TargetScaler:
    """Robust, per-target scaling that ignores missing labels.

    Attributes
    ----------
    center : ndarray of shape (t,)
        Median of the observed training labels; 0 for targets that change sign when the
        atoms are exchanged.
    scale : ndarray of shape (t,)
        Mean absolute deviation from it, 1 where the labels do not vary.
    """

    center: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, y: NDArray[np.float64], parity: NDArray[np.int64]) -> TargetScaler:
        """Measure `y` (n, t).

        Raises
        ------
        ValueError
            If a target has no observed label.
        """
        if not np.isfinite(y).any(axis=0).all():
            empty = int(np.argmin(np.isfinite(y).any(axis=0)))
            raise ValueError(f"target {empty} has no observed label among the training rows")
        center = np.where(parity < 0, 0.0, np.nanmedian(y, axis=0))
        return cls(center, _nonzero(np.nanmean(np.abs(y - center), axis=0)))

    @classmethod
    def identity(cls, n_targets: int) -> TargetScaler:
        """A scaler that leaves everything as it is."""
        return cls(np.zeros(n_targets), np.ones(n_targets))

    def transform(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """To the scale of the network."""
        return (y - self.center) / self.scale

    def inverse_transform(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Back to the user's units."""
        return y * self.scale + self.center

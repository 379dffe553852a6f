"""Scaling of inputs and targets from the training rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pictures import Pictures
from .rows import Scaling

__all__ = ["TargetScaler", "feature_scaling", "picture_scaling"]


def _nonzero(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)


def feature_scaling(features: NDArray, axis: int = -1, floor: float = 0.0) -> Scaling:
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
    Scaling
        The scale is 1 for features that do not vary beyond the round-off of their type.
    """
    axis %= features.ndim
    others = tuple(i for i in range(features.ndim) if i != axis)
    # Relative to the largest value: squares of extreme ones leave the range of numbers.
    size = _nonzero(np.abs(features).max(axis=others, initial=0.0).astype(np.float64))
    shape = [1] * features.ndim
    shape[axis] = -1
    moments = _moments(features, size.reshape(shape), others)
    mean, scale = (size * moment for moment in moments)
    scale = _beyond_round_off(mean, scale, floor, features.dtype)
    return Scaling(mean, scale, axis if axis < features.ndim - 1 else -1)


def picture_scaling(
    amplitudes: NDArray[np.float64], pictures: Pictures, floor: float = 0.0
) -> Scaling:
    """Mean and standard deviation of the pixels of each channel, without the pixels.

    Parameters
    ----------
    amplitudes : ndarray of shape (n, 16)
        Training rows.
    pictures : Pictures
        Which images they stand for.
    floor : float, default=0.0
        As in :func:`feature_scaling`.

    Returns
    -------
    Scaling
        That of :func:`feature_scaling` for the images in single precision, to the round-off
        of the latter.
    """
    mean, scale = pictures.moments(amplitudes)
    return Scaling(mean, _beyond_round_off(mean, scale, floor, np.dtype(np.float32)), 1)


def _beyond_round_off(
    mean: NDArray[np.float64], scale: NDArray[np.float64], floor: float, dtype: np.dtype
) -> NDArray[np.float64]:
    """Standard deviations, 1 where they are no more than round-off or the floor."""
    round_off = 8 * np.finfo(dtype).eps
    return _nonzero(np.where(scale > np.maximum(floor, round_off * np.abs(mean)), scale, 0.0))


def _moments(
    features: NDArray, size: NDArray[np.float64], others: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of features over their sizes."""
    if (size == 1).all() or features.dtype == np.float32:
        # What fits a float32 can be summed in double precision as it is, without a copy.
        scale = size.reshape(-1)
        mean = features.mean(axis=others, dtype=np.float64) / scale
        return mean, features.std(axis=others, dtype=np.float64) / scale
    relative = features / size
    return relative.mean(axis=others), relative.std(axis=others)


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

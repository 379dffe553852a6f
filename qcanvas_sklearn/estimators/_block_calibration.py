"""From the spread of an ensemble's blocks to standard deviations of their elements."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..hamiltonians._template import Template
from ..training import Predictor, SpreadCalibration, TrainingData

__all__ = ["BlockCalibration"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BlockCalibration:
    """Calibrated standard deviations of the elements between each two shells.

    The variance over the members is that of a whole block of two shells, its mean over the
    elements, so that deviations do not change where a molecule turns. It is calibrated as
    :class:`~qcanvas_sklearn.training.SpreadCalibration` does it, by place of the two shells in
    the template; where no validation row has such a block, as all of its kind together.

    Attributes
    ----------
    template : Template
        Places of the shells.
    mean_variance, scale : dict of str to ndarray, shape (n_places, n_places)
        Of blocks ``"on_site"`` and ``"off_site"``, symmetric: an element does not know which
        of two atoms comes first.
    """

    template: Template
    mean_variance: Mapping[str, Array]
    scale: Mapping[str, Array]

    @classmethod
    def fit(
        cls, template: Template, predictor: Predictor, n_members: int, valid: TrainingData
    ) -> BlockCalibration:
        """Calibrate on validation rows.

        Parameters
        ----------
        template : Template
            Places of the shells.
        predictor : Predictor
            Of the ensemble's blocks.
        n_members : int
            Its members.
        valid : TrainingData
            The validation rows, with scaled labels of the same blocks.
        """
        if not len(valid):
            warnings.warn(
                "no row is set aside to calibrate standard deviations on; they are NaN",
                UserWarning,
                stacklevel=6,
            )
        names, variances, scales = [block.name for block in valid.blocks], {}, {}
        nothing = dict.fromkeys(names, np.zeros(0))
        outputs = predictor(valid.rows, names) if len(valid) else nothing
        for labels in valid.blocks:
            blocks = outputs[labels.name].reshape(-1, n_members, template.size, template.size)
            known = labels.values.reshape(len(blocks), template.size, template.size)
            variances[labels.name], scales[labels.name] = _fitted(template, blocks, known)
        return cls(template, variances, scales)

    def std(self, name: str, blocks: Array, there: NDArray[np.bool_]) -> Array:
        """Standard deviations (k, size, size) of the mean of members' blocks (k, m, ...)."""
        variance = _variance(self.template, blocks, there)
        between = self.scale[name] * np.sqrt(variance + self.mean_variance[name])
        return self.template.spread(between)


def _variance(template: Template, blocks: Array, there: NDArray[np.bool_]) -> Array:
    """Variance over the members of the blocks of each two shells, (k, n_places, n_places)."""
    summed = template.sums(blocks.var(axis=1, ddof=1) * there)
    return summed / np.maximum(template.sums(there.astype(np.float64)), 1.0)


def _fitted(template: Template, blocks: Array, known: Array) -> tuple[Array, Array]:
    """Mean variances and scales by place."""
    there = np.isfinite(known)
    variance = template.spread(_variance(template, blocks, there))
    mean, n = blocks.mean(axis=1), len(template.momenta)
    kinds = np.arange(n * n, dtype=np.float64).reshape(n, n)
    place = template.spread(kinds)
    # A pair of places is one kind in either order.
    kind = np.broadcast_to(np.minimum(place, place.T), known.shape)
    pooled = _calibration(variance[there], mean[there], known[there])
    found = {}
    for k in np.unique(kind[there]).tolist():
        of_kind = there & (kind == k)
        found[k] = _calibration(variance[of_kind], mean[of_kind], known[of_kind])
    chosen = [found.get(k, pooled) for k in np.minimum(kinds, kinds.T).ravel().tolist()]
    return (
        np.array([c.mean_variance[0] for c in chosen]).reshape(n, n),
        np.array([c.scale[0] for c in chosen]).reshape(n, n),
    )


def _calibration(variance: Array, mean: Array, known: Array) -> SpreadCalibration:
    return SpreadCalibration.from_variance(variance[:, None], mean[:, None], known[:, None])

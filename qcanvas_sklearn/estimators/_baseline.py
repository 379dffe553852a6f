"""What is known of molecules before a network learns: ridge on features of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ..hamiltonians import TwoCentreTransformer

__all__ = ["RidgeBaseline", "describer_of"]

Array = NDArray[np.float64]

#: Features of the two-centre baseline whose slopes are forces.
_SLOPED = ("energies", "composition")

#: Penalties that are tried, by leave-one-out: features that tell nothing get the largest.
_ALPHAS = np.logspace(-6, 8, 29)
#: Singular value, beside the largest, below which slopes are a mixture of others.
_SAME = 1e-8


def describer_of(baseline: Any, forces: bool = False) -> Any:
    """The transformer that a baseline stands for, or None.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If forces are to be learned, and it does not know how its features change.
    """
    if isinstance(baseline, str) and baseline == "two-centre":
        return TwoCentreTransformer(features=_SLOPED) if forces else TwoCentreTransformer()
    if forces and baseline is not None and not hasattr(baseline, "slopes"):
        raise ValueError(
            f"baseline={baseline!r} has no slopes of its features, which forces need: set "
            'baseline="two-centre", or None'
        )
    if baseline is None or all(hasattr(baseline, name) for name in ("fit", "transform")):
        return baseline
    raise TypeError(
        f'baseline={baseline!r} is neither None, "two-centre", nor a transformer of molecules, '
        "such as a MoleculeDescriptorTransformer"
    )


@dataclass(frozen=True)
class RidgeBaseline:
    """One ridge regression for each target, on features as they are or standardised.

    Which of the two, the penalty, and whether the composition is taken off before, is what
    errs least on rows that are left out one by one. Features in units of their own tell by
    their size what counts, others do not; some hold a whole energy, others what bonds add.

    Attributes
    ----------
    models : sequence of Pipeline
        By target.
    behind : ndarray of bool, shape (t,)
        Which targets are predicted less what the composition says of them.
    energy : int or None
        Which target is the energy whose forces were learned.
    mixed : ndarray of shape (k, l), or None
        What of all features that energy is made of: one mixture of those that change as
        atoms move, found by least squares of the forces, and those that do not.
    """

    models: Sequence[Pipeline]
    behind: NDArray[np.bool_]
    energy: int | None = None
    mixed: Array | None = None

    @classmethod
    def fit(
        cls, features: Array, values: Array, composition: Array, weight: Array,
        energy: int | None = None, slopes: Array | None = None, forces: Array | None = None,
    ) -> RidgeBaseline:  # fmt: skip
        """Fit to labels.

        Parameters
        ----------
        features : ndarray of shape (n, k)
            Of the training rows.
        values : ndarray of shape (n, t)
            Labels, NaN where one is missing.
        composition : ndarray of shape (n, t)
            What the composition says of them.
        weight : ndarray of shape (n,)
            Weights of the rows.
        energy : int, default=None
            Which target the forces belong to, where they are learned.
        slopes : ndarray of shape (N, 3, k), default=None
            How the features change as atoms move.
        forces : ndarray of shape (N, 3), default=None
            NaN where they are missing.

        Raises
        ------
        ValueError
            If a feature is no finite number, or a target has no label.
        """
        _check(features)
        mixed = None if slopes is None or forces is None else _mixed(slopes, forces)
        models, behind, every = [], [], features
        for j, column in enumerate(values.T):
            features = every if mixed is None or j != energy else every @ mixed
            known = np.isfinite(column)
            if not known.any():
                raise ValueError(f"target {j} has no observed label among the training rows")
            data = features[known], weight[known]
            found = [_best(column[known] - composition[known, j], *data)]
            if composition[:, j].any():
                found.append(_best(column[known], *data))
            best = int(np.argmax([model["ridge"].best_score_ for model in found]))
            models.append(found[best])
            behind.append(best == 0)
        return cls(models, np.array(behind), None if mixed is None else energy, mixed)

    def predict(self, features: Array) -> Array:
        """What the features say of the targets, (n, t)."""
        _check(features)
        mixed = features if self.mixed is None else features @ self.mixed
        return np.column_stack([
            model.predict(mixed if j == self.energy else features)
            for j, model in enumerate(self.models)
        ])

    def forces(self, slopes: Array) -> Array:
        """Forces (N, 3) of the energy, from how the features change as atoms move."""
        assert self.energy is not None and self.mixed is not None  # learned with forces
        model = self.models[self.energy]
        weights = model["ridge"].coef_
        if model["scale"] != "passthrough":
            weights = weights / model["scale"].scale_
        return np.asarray(-slopes @ (self.mixed @ weights), dtype=np.float64)


def _best(values: Array, features: Array, weight: Array) -> Pipeline:
    """The ridge regression that errs less on rows left out, of both scalings."""
    models = [
        Pipeline([("scale", scale), ("ridge", RidgeCV(_ALPHAS))])
        for scale in (StandardScaler(), "passthrough")
    ]
    for model in models:
        model.fit(features, values, ridge__sample_weight=weight)
    return max(models, key=lambda model: model["ridge"].best_score_)


def _mixed(slopes: Array, forces: Array) -> Array:
    """One mixture of the features that move atoms, and the others as they are, (k, l)."""
    known = np.isfinite(forces).all(axis=1)
    pulls = -slopes[known].reshape(-1, slopes.shape[2])
    moving = np.asarray(pulls.any(axis=0))
    out = np.zeros((slopes.shape[2], int(moving.any()) + int((~moving).sum())))
    out[~moving, int(moving.any()) :] = np.eye(int((~moving).sum()))
    if moving.any():
        sizes = np.sqrt((pulls[:, moving] ** 2).mean(axis=0))
        scaled = pulls[:, moving] / sizes
        # Of features that say the same none outweighs the others.
        found = np.linalg.lstsq(scaled, forces[known].ravel(), rcond=_SAME)[0]
        out[moving, 0] = found / sizes
    return out


def _check(features: Array) -> None:
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"the baseline has features that are no finite numbers for {wrong.sum()} "
            f"molecules, the first in row {int(np.argmax(wrong))}"
        )

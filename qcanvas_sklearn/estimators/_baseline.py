"""What is known of molecules before a network learns: ridge on features of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from ..hamiltonians import TwoCentreTransformer

__all__ = ["RidgeBaseline", "Slopes", "describer_of", "has_forces"]

Array = NDArray[np.float64]

#: Features of the two-centre baseline whose slopes are forces.
_SLOPED = ("energies", "composition")

#: Penalties that are tried, by leave-one-out: features that tell nothing get the largest.
_ALPHAS = np.logspace(-6, 8, 29)


def describer_of(baseline: Any, forces: bool = False) -> Any:
    """The transformer that a baseline stands for, or None.

    Raises
    ------
    TypeError
        If it is none.
    ValueError
        If forces are to be learned, and it does not know the slopes of its features.
    """
    if isinstance(baseline, str) and baseline == "two-centre":
        return TwoCentreTransformer(features=_SLOPED) if forces else TwoCentreTransformer()
    if forces and not has_forces(baseline):
        raise ValueError(
            f"baseline={baseline!r} has no forces: set baseline=None to learn them, or "
            '"two-centre", or a transformer with force_features, such as '
            "PairPotentialTransformer"
        )
    if baseline is None or all(hasattr(baseline, name) for name in ("fit", "transform")):
        return baseline
    raise TypeError(
        f'baseline={baseline!r} is neither None, "two-centre", nor a transformer of molecules, '
        "such as a MoleculeDescriptorTransformer"
    )


def has_forces(describer: Any) -> bool:
    """Whether forces can be learned beside a transformer, or there is none."""
    return describer is None or hasattr(describer, "force_features")


class Slopes(NamedTuple):
    """What forces say of one target, an energy.

    Attributes
    ----------
    position : int
        Which target.
    features : ndarray of shape (N, 3, k)
        The negative gradients of the features at the atoms.
    forces : ndarray of shape (N, 3)
        Forces, NaN where they are missing.
    weight : ndarray of shape (N,)
        Weights of the atoms, in the unit of those of the rows.
    """

    position: int
    features: Array
    forces: Array
    weight: Array


@dataclass(frozen=True)
class RidgeBaseline:
    """One ridge regression for each target, on features as they are or standardised.

    Which of the two, the penalty, and whether the composition is taken off before, is what
    errs least on rows that are left out one by one. Features in units of their own tell by
    their size what counts, others do not; some hold a whole energy, others what bonds add.
    With forces, features are standardised, and the composition is taken off.

    Attributes
    ----------
    models : sequence of Pipeline
        By target.
    behind : ndarray of bool, shape (t,)
        Which targets are predicted less what the composition says of them.
    """

    models: Sequence[Pipeline]
    behind: NDArray[np.bool_]

    @classmethod
    def fit(
        cls, features: Array, values: Array, composition: Array, weight: Array,
        slopes: Slopes | None = None,
    ) -> RidgeBaseline:  # fmt: skip
        """Fit to labels, one of which may have slopes, too.

        Parameters
        ----------
        features : ndarray of shape (n, k)
            Of the training rows.
        values : ndarray of shape (n, t)
            Labels, NaN where one is missing.
        composition : ndarray of shape (n, t)
            What the composition says of them.
        weight : ndarray of shape (n,)
            Weights of the rows, of which the ratios count.
        slopes : Slopes or None, default=None
            Forces that belong to one target.

        Raises
        ------
        ValueError
            If a feature is no finite number, or a target has no label.
        """
        _check(features)
        if slopes is not None:
            slopes = slopes._replace(weight=_relative(slopes.weight, weight))
        weight = _relative(weight, weight)
        models, behind = [], []
        for j, column in enumerate(values.T):
            known = np.isfinite(column)
            if not known.any():
                raise ValueError(f"target {j} has no observed label among the training rows")
            data = features[known], weight[known]
            rest = column[known] - composition[known, j]
            if slopes is not None and j == slopes.position:
                models.append(_sloped(rest, *data, slopes))
                behind.append(True)
                continue
            found = [_best(rest, *data)]
            if composition[:, j].any():
                found.append(_best(column[known], *data))
            best = int(np.argmax([model["ridge"].best_score_ for model in found]))
            models.append(found[best])
            behind.append(best == 0)
        return cls(models, np.array(behind))

    def forces(self, force_features: Array, position: int) -> Array:
        """The negative gradient of one target at the atoms, (N, 3).

        Parameters
        ----------
        force_features : ndarray of shape (N, 3, k)
            The negative gradients of the features at the atoms.
        position : int
            Which target.
        """
        scale, ridge = (step for _, step in self.models[position].steps)
        size = scale.scale_ if isinstance(scale, StandardScaler) else 1.0
        return force_features @ (ridge.coef_ / size)

    def predict(self, features: Array) -> Array:
        """What the features say of the targets, (n, t)."""
        _check(features)
        return np.column_stack([model.predict(features) for model in self.models])


def _best(values: Array, features: Array, weight: Array) -> Pipeline:
    """The ridge regression that errs less on rows left out, of both scalings."""
    models = [
        Pipeline([("scale", scale), ("ridge", RidgeCV(_ALPHAS))])
        for scale in (StandardScaler(), "passthrough")
    ]
    for model in models:
        model.fit(features, values, ridge__sample_weight=weight)
    return max(models, key=lambda model: model["ridge"].best_score_)


def _relative(weight: Array, of_rows: Array) -> Array:
    """Weights in units of the mean of those of the rows: the penalties know no unit."""
    largest = of_rows.max()  # a sum of the largest numbers would be none
    return (weight / largest) / (of_rows / largest).mean()


def _sloped(values: Array, features: Array, weight: Array, slopes: Slopes) -> Pipeline:
    """Ridge regression on energies and forces."""
    there = np.isfinite(slopes.forces)
    scale = StandardScaler().fit(features, sample_weight=weight)
    middle = np.average(values, weights=weight)
    of_forces = np.broadcast_to(slopes.weight[:, None], there.shape)[there]
    ridge = RidgeCV(_ALPHAS, fit_intercept=False).fit(
        np.concatenate([scale.transform(features), slopes.features[there] / scale.scale_]),
        np.concatenate([values - middle, slopes.forces[there]]),
        sample_weight=np.concatenate([weight, of_forces]),
    )
    # A constant has no slope: the mean of the energies is all of it.
    ridge.intercept_ = middle
    return Pipeline([("scale", scale), ("ridge", ridge)])


def _check(features: Array) -> None:
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"the baseline has features that are no finite numbers for {wrong.sum()} "
            f"molecules, the first in row {int(np.argmax(wrong))}"
        )

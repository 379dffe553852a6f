"""What predictions for elements that were never seen are worth."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet

from ..elements import atomic_numbers
from ..inputs import standard_descriptors
from ..training import (
    ExtrapolationCalibration,
    Progress,
    TrainingData,
    TrainingPlan,
    element_distance,
    train,
)

__all__ = [
    "extrapolation_std", "left_out_calibration", "left_out_epochs", "unseen_members",
]  # fmt: skip

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Groups of elements that are left out, one after the other.
_N_FOLDS = 5
#: Epochs of their nets, as a part of the ensemble's: errors at elements that a net has not
#: seen hardly depend on the last digits of what it has.
_EPOCHS = 0.5


def unseen_members(members: Index, elements: list[str]) -> NDArray[np.bool_]:
    """Which members (n, k) of rows, atomic numbers or 0 for none, are no known elements."""
    return (members > 0) & ~np.isin(members, atomic_numbers(elements))


def extrapolation_std(
    calibration: ExtrapolationCalibration, members: Index, elements: list[str]
) -> Array:
    """Standard deviations (n, t) of rows (n, k) which all hold unknown elements."""
    unseen, known = unseen_members(members, elements), atomic_numbers(elements)
    distance = element_distance(members, unseen, known, calibration.descriptors)
    return calibration.std(members, unseen, distance)


def left_out_epochs(plan: TrainingPlan) -> int:
    """How many epochs the nets train together that leave elements out."""
    return _N_FOLDS * max(round(_EPOCHS * plan.max_epochs), 1)


def left_out_calibration(
    data: TrainingData,
    members: Index,
    labels: Array,
    build: Callable[[TrainingPlan, TrainingData], NeuralNet],
    errors: Callable[[NeuralNet, TrainingData], Array],
    plan: TrainingPlan,
    device: torch.device,
) -> tuple[ExtrapolationCalibration | None, bool]:
    """Train nets without some of the elements, and measure how they err at those.

    Parameters
    ----------
    data : TrainingData
        What the ensemble was trained on.
    members : ndarray of int64, shape (n, k)
        Atomic numbers in each row; 0 is none.
    labels : ndarray of shape (n, t)
        Labels, NaN where missing.
    build : callable
        Makes a single net of the ensemble's kind, for a plan and what it is to learn from.
    errors : callable
        Absolute errors (n, t) in the user's units of a net for training data.
    plan : TrainingPlan
        How the ensemble was trained.
    device : torch.device
        Where to train.

    Returns
    -------
    calibration : ExtrapolationCalibration or None
        None where there are not two elements, or the training was broken off.
    interrupted : bool
        Whether it was.
    """
    n_epochs = left_out_epochs(plan) // _N_FOLDS
    progress = plan.progress and Progress(
        plan.progress.bar, "unseen elements", plan.further_epochs / left_out_epochs(plan)
    )
    plan = replace(plan, max_epochs=n_epochs, patience=None, callbacks=(), verbose=0,
                   progress=progress)  # fmt: skip
    found = []
    for k, unseen in enumerate(_folds(members, plan.seed)):
        is_left_out = unseen.any(axis=1)
        kept, left_out = np.flatnonzero(~is_left_out), np.flatnonzero(is_left_out)
        if not len(kept):
            continue
        single = replace(plan, seed=(plan.seed + k + 1) % np.iinfo(np.int32).max)
        learned = data.take(kept)
        net = build(single, learned)
        if _train(net, learned, single, device):
            return None, True
        errs = errors(net, data.take(left_out))
        # What had no label says nothing of what can be learned.
        errs[:, ~np.isfinite(labels[kept]).any(axis=0)] = np.nan
        rows = members[left_out], unseen[left_out]
        known = np.unique(members[kept])
        distance = element_distance(*rows, known[known > 0], standard_descriptors())
        found.append((*rows, errs, distance))
    if not found:
        return None, False
    all_rows, unseen, errs, distance = (np.concatenate(x) for x in zip(*found, strict=True))
    calibration = ExtrapolationCalibration.fit(
        all_rows, unseen, errs, distance, standard_descriptors(), plan.seed
    )
    return calibration, False


def _folds(members: Index, seed: int) -> Iterator[NDArray[np.bool_]]:
    """Masks (n, k) of members to leave out: elements dealt at random into groups."""
    elements = np.unique(members[members > 0])
    elements = np.random.RandomState(seed).permutation(elements)
    n_folds = min(_N_FOLDS, len(elements))
    for k in range(n_folds):
        yield np.isin(members, elements[k::n_folds])


def _train(
    net: NeuralNet, data: TrainingData, plan: TrainingPlan, device: torch.device
) -> bool:
    with warnings.catch_warnings():
        # It speaks of the epochs of a net that nobody knows of.
        warnings.simplefilter("ignore", ConvergenceWarning)
        interrupted = train(net, data, None, plan, device)
    if interrupted:
        warnings.warn(
            "the calibration for unseen elements was interrupted; the model is usable as it "
            "is, without it",
            ConvergenceWarning,
            stacklevel=6,
        )
    return interrupted

"""What is learned: trajectories with forces, and energies, gaps and dipoles of molecules."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qcanvas_sklearn import load_molecules, load_trajectory
from qcanvas_sklearn.structures import Molecules

__all__ = ["TASKS", "Case", "Part", "cases_of"]

#: Labels of the molecules' tasks, and their units.
LABELS = {
    "energy": ("total_energy_ev", "eV"),
    "gap": ("e_g_ev", "eV"),
    "dipole": ("dipole_mag_d", "D"),
}
#: Trajectories, and targets of the small molecules with their number of training molecules.
TASKS = (
    "ethanol", "aspirin",
    *(f"{target}-{n}" for target in LABELS for n in (100, 400)),
)  # fmt: skip
N_FRAMES, N_TEST = 200, 200


class Part(NamedTuple):
    """Molecules and their labels."""

    X: Molecules
    y: pd.Series

    def take(self, index: NDArray) -> Part:
        """Some of them."""
        return Part(self.X[index], self.y.iloc[index])


class Case(NamedTuple):
    """What is learned, what settings are chosen on, and what is reported.

    Attributes
    ----------
    name, unit : str
        For the table; the unit of the labels.
    train, valid, test : Part
        `valid` is empty where all that is not tested is learned from.
    """

    name: str
    unit: str
    train: Part
    valid: Part
    test: Part

    @property
    def has_forces(self) -> bool:
        """Whether forces are learned too."""
        return self.train.X.forces is not None


def cases_of(task: str, rows: int | None = None) -> Case:
    """A task by its name, one of :data:`TASKS`; with so many training rows, if stated."""
    if task not in TASKS:
        raise ValueError(f"task {task!r} is none of {', '.join(TASKS)}")
    if "-" in task:
        return _molecules(*task.split("-"), rows)
    bundle = load_trajectory(task)
    every = Part(bundle.data, bundle.target)
    first, second = (np.flatnonzero(bundle.groups == k) for k in np.unique(bundle.groups))
    n = rows or N_FRAMES
    return Case(
        f"{task}, {n} frames", "eV", every.take(first[:n]), every.take(first[N_FRAMES:]),
        every.take(second),
    )  # fmt: skip


def _molecules(target: str, n_train: str, rows: int | None) -> Case:
    label, unit = LABELS[target]
    bundle = load_molecules()
    every = Part(bundle.data, bundle.target[label])
    order = np.random.RandomState(0).permutation(len(bundle.data))
    test, rest = order[:N_TEST], order[N_TEST:]
    n = rows or int(n_train)
    return Case(
        f"{target}, {n} molecules", unit, every.take(rest[:n]),
        every.take(rest[int(n_train) : int(n_train) + 100]), every.take(test),
    )  # fmt: skip

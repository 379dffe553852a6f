"""The cases of the table: what is learned, of which rows, and what it is tested on.

Nothing is on both sides: molecules of one formula, frames of one run, rotations of one
structure stay together. Of the bundled molecules, the test rows are the formulas that no
encoder has seen either (``pretrain/train_encoders.py``); of the trajectories, the second run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pretrain.train_encoders import held_out

from qcanvas_sklearn import (
    Molecules,
    fetch_crysmtm,
    fetch_md17,
    fetch_qm9,
    load_molecules,
    load_trajectory,
)
from qcanvas_sklearn.model_selection import CrysMTMSplit

__all__ = ["CASES", "Case", "Parts", "is_there", "labels", "parts"]

#: Rows that are labelled beside the training rows, for the gate alone.
N_VALID = 60
#: Test rows of large data sets.
MOST_TESTED = 1000
Loader = Callable[[], tuple[Molecules, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Case:
    """One thing to learn.

    Attributes
    ----------
    target : str
        Label of the molecules.
    unit : str
        Unit of the errors.
    load : callable
        Molecules, and which of them are tested.
    baseline : {"two-centre", "pair-potential"} or None
        Two-body physics beside the network; None for forces, which it has not.
    forces : bool
        Whether forces are learned beside the energy, and tested in place of it.
    """

    target: str
    unit: str
    load: Loader
    baseline: str | None
    forces: bool = False


class Parts(NamedTuple):
    """Rows of a split."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]


@cache
def bundled() -> tuple[Molecules, NDArray[np.bool_]]:
    """The bundled molecules; tested are formulas that were held out of all pretraining."""
    X = load_molecules().data
    return X, held_out(X)


def trajectory(name: str) -> Loader:
    """A bundled trajectory; tested is every other frame of the second run."""

    @cache
    def load() -> tuple[Molecules, NDArray[np.bool_]]:
        X = load_trajectory(name).data
        second = X.group_ids == X.group_ids[-1]
        kept = ~second | (np.arange(len(X)) % 2 == 0)
        return X[kept], second[kept]

    return load


@cache
def qm9() -> tuple[Molecules, NDArray[np.bool_]]:
    """QM9; tested are the formulas that are held out of the bundled molecules, too."""
    X = fetch_qm9(download_if_missing=False).data
    return X, held_out(X)


def rmd17(name: str) -> Loader:
    """A trajectory of rMD17; trained on is the first half of the run, tested the last tenth."""

    @cache
    def load() -> tuple[Molecules, NDArray[np.bool_]]:
        X = fetch_md17(name, download_if_missing=False).data
        place = np.arange(len(X)) / len(X)
        kept = (place < 0.5) | (place > 0.9)
        return X[kept], place[kept] > 0.9

    return load


def crysmtm(test: str) -> Loader:
    """CrysMTM; whole temperatures are tested, or rotations at random, as published."""

    @cache
    def load() -> tuple[Molecules, NDArray[np.bool_]]:
        n_rotations = 20 if test == "random-rotations" else 1
        X = fetch_crysmtm(n_rotations=n_rotations, download_if_missing=False).data
        train, tested = next(CrysMTMSplit(test, random_state=0).split(X))
        rows = np.concatenate([train, tested])
        return X[rows], np.isin(np.arange(len(rows)), np.arange(len(train), len(rows)))

    return load


def _levels(load: Loader, prefix: str = "") -> dict[str, Case]:
    names = {"gap": "e_g_ev", "homo": "e_homo_ev", "lumo": "e_lumo_ev"}
    return {
        prefix + name: Case(key, "eV", load, "two-centre") for name, key in names.items()
    }


#: The cases by name; those of fetched data are left out where their files are not there.
CASES: dict[str, Case] = {
    **_levels(bundled),
    "energy": Case("total_energy_ev", "eV", bundled, "pair-potential"),
    "dipole": Case("dipole_mag_d", "D", bundled, "two-centre"),
    **{
        f"{name}-{what}": Case(
            "total_energy_ev", "eV/Å" if forces else "eV", trajectory(name),
            None if forces else "pair-potential", forces,
        )
        for name in ("ethanol", "aspirin")
        for what, forces in (("energy", False), ("forces", True))
    },
    **_levels(qm9, "qm9-"),
    **{
        f"rmd17-{name}-forces": Case("total_energy_ev", "eV/Å", rmd17(name), None, True)
        for name in ("ethanol", "aspirin", "benzene")
    },
    **{
        f"crysmtm-{what}{suffix}": Case(f"e_{what}_ev", "eV", crysmtm(test), None)
        for what in ("homo", "lumo")
        for suffix, test in (("", "out-of-distribution"), ("-published", "random-rotations"))
    },
}  # fmt: skip


def parts(case: Case, n: int, seed: int) -> Parts | None:
    """Training, validation and test rows; None where there are not that many.

    Validation rows are beside the training rows, the same for every number of these, and the
    training rows of a seed are the first ones of one order.
    """
    X, tested = case.load()
    known = X.labels[case.target].notna().to_numpy()
    rng = np.random.default_rng(seed)
    pool = rng.permutation(np.flatnonzero(known & ~tested))
    test = np.flatnonzero(known & tested)
    if len(test) > MOST_TESTED:
        test = np.sort(np.random.default_rng(0).choice(test, MOST_TESTED, replace=False))
    n_valid = min(N_VALID, len(pool) // 5)
    if n > len(pool) - n_valid:
        return None
    return Parts(pool[n_valid : n_valid + n], pool[:n_valid], test)


def labels(case: Case) -> pd.Series:
    """The labels of all rows of a case."""
    return case.load()[0].labels[case.target]


def is_there(case: Case) -> bool:
    """Whether the files of a case are."""
    try:
        case.load()
    except FileNotFoundError:
        return False
    return True

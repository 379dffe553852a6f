"""The cases of the table: what is learned, of which rows, and what it is tested on.

Nothing is on both sides: molecules of one formula, frames of one run, rotations of one
structure stay together. Of the bundled molecules, the test rows are the formulas that no
encoder has seen either (``pretrain/train_encoders.py``); of the trajectories, the second run
(that of benzene comes from ``make_molecules.py``); of the clusters of titanium dioxide
(``make_clusters.py``), whole isomers.
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
from qcanvas_sklearn._files import data_home
from qcanvas_sklearn.model_selection import CrysMTMSplit

__all__ = ["CASES", "Case", "Parts", "is_there", "labels", "parts"]

#: Rows that are labelled beside the training rows, for the gate alone.
N_VALID = 60
#: Test rows of large data sets.
MOST_TESTED = 1000
#: Of so many isomers of the clusters, one is tested.
TESTED_ISOMERS = 4
#: Trajectories that ship; others lie in QCANVAS_DATA.
BUNDLED_RUNS = ("ethanol", "aspirin")
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
    baselines : tuple of str
        Two-body physics that there is for it, of ``features.BASELINES``: none for crystals, no
        levels of a pair potential, and no slopes of two-centre energies for the many frames
        of rMD17.
    forces : bool
        Whether forces are learned beside the energy, and tested in place of it.
    """

    target: str
    unit: str
    load: Loader
    baselines: tuple[str, ...]
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
    """A trajectory, bundled or made; tested is every other frame of the second run."""

    @cache
    def load() -> tuple[Molecules, NDArray[np.bool_]]:
        made = data_home() / f"{name}.npz"
        X = load_trajectory(name).data if name in BUNDLED_RUNS else Molecules.load(made)
        second = X.group_ids == X.group_ids[-1]
        kept = ~second | (np.arange(len(X)) % 2 == 0)
        return X[kept], second[kept]

    return load


@cache
def clusters() -> tuple[Molecules, NDArray[np.bool_]]:
    """Shaken isomers of (TiO2)n; tested is every fourth isomer."""
    X = Molecules.load(data_home() / "clusters.npz")
    isomers = pd.factorize(X.groups)[0]
    return X, isomers % TESTED_ISOMERS == 0


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


TWO_CENTRE = ("two-centre GFN2", "two-centre DFTB")
PAIR_POTENTIAL = ("pair potential",)


def _levels(load: Loader, prefix: str = "") -> dict[str, Case]:
    names = {"gap": "e_g_ev", "homo": "e_homo_ev", "lumo": "e_lumo_ev"}
    return {
        prefix + name: Case(key, "eV", load, TWO_CENTRE) for name, key in names.items()
    }


#: The cases by name; those of fetched data are left out where their files are not there.
CASES: dict[str, Case] = {
    **_levels(bundled),
    "energy": Case("total_energy_ev", "eV", bundled, TWO_CENTRE + PAIR_POTENTIAL),
    "dipole": Case("dipole_mag_d", "D", bundled, TWO_CENTRE),
    **{
        f"{name}-{what}": Case(
            "total_energy_ev", "eV/Å" if forces else "eV", trajectory(name),
            TWO_CENTRE + PAIR_POTENTIAL, forces,
        )
        for name in (*BUNDLED_RUNS, "benzene")
        for what, forces in (("energy", False), ("forces", True))
    },
    **_levels(clusters, "tio2-"),
    **_levels(qm9, "qm9-"),
    **{
        f"rmd17-{name}-forces": Case(
            "total_energy_ev", "eV/Å", rmd17(name), PAIR_POTENTIAL, True
        )
        for name in ("ethanol", "aspirin", "benzene")
    },
    **{
        f"crysmtm-{what}{suffix}": Case(f"e_{what}_ev", "eV", crysmtm(test), ())
        for what in ("homo", "lumo")
        for suffix, test in (("", "out-of-distribution"), ("-published", "random-rotations"))
    },
}  # fmt: skip


def parts(case: Case, n: int, seed: int) -> Parts | None:
    """Training, validation and test rows; None where there are not that many.

    Validation rows are beside the training rows, whole groups of them where there are several,
    and the same for every number of training rows. These are the first ones of one order.
    """
    X, tested = case.load()
    known = X.labels[case.target].notna().to_numpy()
    rng = np.random.default_rng(seed)
    pool = rng.permutation(np.flatnonzero(known & ~tested))
    test = np.flatnonzero(known & tested)
    if len(test) > MOST_TESTED:
        test = np.sort(np.random.default_rng(0).choice(test, MOST_TESTED, replace=False))
    aside = _aside(X.group_ids[pool], min(N_VALID, len(pool) // 5))
    train = pool[~aside]
    return None if n > len(train) else Parts(train[:n], pool[aside], test)


def _aside(groups: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    """The first n rows, and those that belong to them where not all do."""
    counts = pd.Series(groups).value_counts(sort=False)[pd.unique(groups)]
    if len(counts) == 1:
        return np.arange(len(groups)) < n
    enough = int(np.searchsorted(np.cumsum(counts), n)) + 1
    return np.isin(groups, counts.index[:enough])


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

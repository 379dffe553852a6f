"""How many functions a pair potential has, and how far they reach: the choice of the defaults.

Errors of `PairPotentialTransformer` as a baseline, fitted to some molecules and asked about
molecules of other formulas. All of them are from the rows that the table of transfer trains on
(``run_transfer.py``): the formulas that are tested there, and the second runs of trajectories,
are left out, so that what is chosen here has not seen them. Of the trajectories, forces of the
last third of the first run are asked for, after some frames of its first half.

The defaults are the fewest functions, and of them the shortest cutoff, for which the mean of
the errors' logarithms over the tasks is within 0.02 of the smallest.

Usage: ``python benchmarks/bench_pair_potential.py`` (about a minute of one core)
"""

from __future__ import annotations

import argparse
from itertools import product

import numpy as np
import pandas as pd
from pretrain.train_encoders import held_out
from sklearn.model_selection import GroupShuffleSplit
from transfer.arms import TwoBodyRidge

from qcanvas_sklearn import PairPotentialTransformer, load_molecules, load_trajectory

FUNCTIONS, CUTOFFS = (8, 12, 16, 20, 28), (3.0, 4.0, 5.0, 6.0, 8.0)
LABELS, N_SPLITS = (50, 100, 400), 10
N_FRAMES, TOLERANCE = 100, 0.02


def energy_errors(model: PairPotentialTransformer, n: int) -> list[float]:
    """Errors (eV) of the total energy of molecules of other formulas, one for each split."""
    bundle = load_molecules()
    known = ~held_out(bundle.data)
    X, y = bundle.data[known], bundle.target["total_energy_ev"].to_numpy()[known]
    errors = []
    splitter = GroupShuffleSplit(N_SPLITS, test_size=0.15, random_state=0)
    for train, valid in splitter.split(y, groups=X.formulas):
        train = np.random.default_rng(len(errors)).permutation(train)[:n]
        ridge = TwoBodyRidge(model, adds_up=True).fit(X[train], y[train])
        errors.append(float(np.abs(ridge.predict(X[valid]) - y[valid]).mean()))
    return errors


def force_error(model: PairPotentialTransformer, name: str) -> float:
    """Error (eV/Å) of the forces on later frames of the run that is trained on."""
    bundle = load_trajectory(name)
    first = np.flatnonzero(bundle.groups == bundle.groups[0])
    train = np.random.default_rng(0).permutation(first[: len(first) // 2])[:N_FRAMES]
    valid = first[2 * len(first) // 3 :]
    X, y = bundle.data, bundle.target.to_numpy()
    ridge = TwoBodyRidge(model, adds_up=True).fit(X[train], y[train], X[train].forces)
    forces = ridge.predict(X[valid], return_forces=True)[1]
    return float(np.abs(forces - X[valid].forces).mean())


def table() -> pd.DataFrame:
    """Errors of all settings."""
    rows = []
    for n_radial, cutoff in product(FUNCTIONS, CUTOFFS):
        model = PairPotentialTransformer(n_radial, cutoff, elements=["H", "C", "N", "O", "F"])
        row = {"n_radial": n_radial, "cutoff": cutoff}
        row |= {f"energy, {n}": float(np.mean(energy_errors(model, n))) for n in LABELS}
        row |= {f"{name} F": force_error(model, name) for name in ("ethanol", "aspirin")}
        rows.append(row)
    found = pd.DataFrame(rows)
    found["mean log"] = np.log(found.iloc[:, 2:]).mean(axis=1)
    return found


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    found = table()
    print(f"MAE of the total energy (eV), mean over {N_SPLITS} splits by formula, and of the "
          f"forces (eV/Å) after {N_FRAMES} frames")  # fmt: skip
    print(found.round(4).to_string(index=False))
    best = found[found["mean log"] <= found["mean log"].min() + TOLERANCE].iloc[0]
    print(f"chosen: n_radial={best['n_radial']:.0f}, cutoff={best['cutoff']}")


if __name__ == "__main__":
    main()

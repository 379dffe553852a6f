"""Where the errors come from: learning curves, and what the nearest pairs know.

For targets that stay hard, the test error of one network against the number of training
pairs (published split, seed 42), beside a floor without any model: the error of the nearest
labelled pairs in descriptor space. An error that still falls like a power of the number of
pairs is limited by data, not by the network.

Usage: ``python benchmarks/bench_learning_curve.py [--sizes 285 570 1140 2280] [--seed 42]``
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qcanvas_sklearn import (
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    load_pairs,
)
from qcanvas_sklearn.metrics import masked_mean_absolute_error, masked_median_absolute_error

#: What the network is given: the elements alone, or populations and bond length too.
SOURCES = {"elements": "free-atom", "orbital populations": "bundled"}
TARGETS = ["distance_ang", "dipole_mag_d", "q_absmean", "repulsive_energy_ev", "e_homo_ev"]


def nearest(X: pd.DataFrame, y: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> list:
    """Errors of the mean of the three nearest pairs, by target."""
    errors = []
    for target in TARGETS:
        rows = train[y[target].iloc[train].notna()]
        model = make_pipeline(
            PairDescriptorTransformer(), StandardScaler(), KNeighborsRegressor(3)
        ).fit(X.iloc[rows], y[target].iloc[rows])
        errors.append(
            masked_mean_absolute_error(y[target].iloc[test], model.predict(X.iloc[test]))
        )
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[285, 570, 1140, 2280])
    parser.add_argument("--seed", type=int, default=42)
    args = parser.parse_args()
    X, y = load_pairs(return_X_y=True)
    y = y[TARGETS]
    order = np.random.RandomState(args.seed).permutation(len(X))
    pool, test = order[: int(0.8 * len(X))], order[int(0.9 * len(X)) :]
    rows = []
    for size in args.sizes:
        train = pool[:size]
        rows.append(("3 nearest pairs", size, *nearest(X, y, train, test)))
        for name, source in SOURCES.items():
            model = make_pipeline(
                PairImageTransformer(source=source, include=("atoms", "orbitals")),
                PairMLPRegressor(max_epochs=200, unseen_elements="allow", random_state=0),
            ).fit(X.iloc[train], y.iloc[train])
            predicted = model.predict(X.iloc[test])
            for label, score in (
                (name, masked_mean_absolute_error),
                (f"{name}, median", masked_median_absolute_error),
            ):
                errors = score(y.iloc[test], predicted, multioutput="raw_values")
                rows.append((label, size, *errors))
        print(f"{size} pairs done", flush=True)
    table = pd.DataFrame(rows, columns=["inputs", "n_train", *TARGETS]).set_index(
        ["inputs", "n_train"]
    )
    print(table.sort_index(sort_remaining=True).round(4).to_string())
    lowest, highest = args.sizes[0], args.sizes[-1]
    for name in SOURCES:
        fall = np.log(table.loc[(name, highest)] / table.loc[(name, lowest)])
        exponent = (fall / np.log(highest / lowest)).round(2).to_dict()
        print(f"error ~ n^a from {lowest} to {highest} pairs, {name}: a = {exponent}")


if __name__ == "__main__":
    main()

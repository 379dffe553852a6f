"""Accuracy of the default estimators: 5-fold over pairs, mean absolute errors in eV.

Usage: ``python benchmarks/bench_accuracy.py [--targets e_g_ev ...] [--folds 5] [--n-jobs 2]``
"""

from __future__ import annotations

import argparse
import time

import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    DimeNetRegressor,
    EGNNRegressor,
    ElementPairKFold,
    FAENetRegressor,
    GATv2Regressor,
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    PairTransformerRegressor,
    QuantumShellNetRegressor,
    SchNetRegressor,
    ViTRegressor,
    load_pairs,
)

MODELS = {
    "mean": make_pipeline(PairDescriptorTransformer(), DummyRegressor()),
    "boosting, elements only": make_pipeline(
        PairDescriptorTransformer(), HistGradientBoostingRegressor(random_state=0)
    ),
} | {
    kind.__name__: make_pipeline(
        PairImageTransformer(include=kind._spec.blocks), kind(random_state=0)
    )
    for kind in (
        QuantumShellNetRegressor, GATv2Regressor, PairMLPRegressor, EGNNRegressor,
        SchNetRegressor, DimeNetRegressor, FAENetRegressor, PairTransformerRegressor,
        ViTRegressor,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--targets", nargs="+", default=["e_g_ev", "e_homo_ev", "total_energy_ev"]
    )
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--n-jobs", type=int, default=2)
    args = parser.parse_args()
    rows = []
    for target in args.targets:
        X, y = load_pairs(target=target, return_X_y=True)
        for name in args.models:
            start = time.perf_counter()
            cv = ElementPairKFold(args.folds, shuffle=True, random_state=0)
            errors = -cross_val_score(
                MODELS[name], X, y, cv=cv, n_jobs=args.n_jobs,
                scoring="neg_mean_absolute_error",
            )  # fmt: skip
            seconds = time.perf_counter() - start
            rows.append((target, name, errors.mean()))
            print(f"{target:18s} {name:24s} {errors.mean():8.4f} +- {errors.std():.4f} eV "
                  f"({seconds:.0f} s)", flush=True)  # fmt: skip
    table = pd.DataFrame(rows, columns=["target", "model", "mae"])
    print(table.pivot(index="model", columns="target", values="mae").round(4).to_string())


if __name__ == "__main__":
    main()

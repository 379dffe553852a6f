"""Errors on elements that were not learned from: tight binding beside networks.

`generalization_gap` of some elements left out, one after the other, and of the published
split by period. All models are given populations and bond length, and have the settings that
are printed: a reduced form of the defaults, so that a run takes minutes.

Usage: ``python benchmarks/bench_generalization.py [--elements C Fe I] [--members 1]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import pandas as pd
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    GATv2Regressor,
    LeaveElementOut,
    PairImageTransformer,
    PairMLPRegressor,
    PeriodSplit,
    TightBindingRegressor,
    generalization_gap,
    load_pairs,
)

TARGETS = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev"]


def models(args: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """The models by name."""
    shared = {"unseen_elements": "allow", "random_state": 0}
    n_members = args.members
    yield (
        "TightBinding",
        TightBindingRegressor(n_members=n_members, max_epochs=args.tb_epochs, **shared),
    )
    yield (
        "PairMLP",
        make_pipeline(
            PairImageTransformer(include=PairMLPRegressor._spec.blocks),
            PairMLPRegressor(n_members=n_members, max_epochs=args.epochs, **shared),
        ),
    )
    yield (
        "GATv2",
        make_pipeline(PairImageTransformer(), GATv2Regressor(max_epochs=args.epochs, **shared)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--elements", nargs="+", default=["C", "Fe", "I"])
    add("--members", type=int, default=1, help="members of tight binding and PairMLP")
    add("--epochs", type=int, default=60, help="of the networks")
    add("--tb-epochs", type=int, default=60, help="of tight binding")
    args = parser.parse_args()
    X, y = load_pairs(target=TARGETS, return_X_y=True)
    splits = {"element": LeaveElementOut(args.elements), "period": PeriodSplit(4)}
    print(vars(args))
    tables = {}
    for name, model in models(args):
        start = time.perf_counter()
        tables[name] = generalization_gap(model, X, y, splits, random_state=0)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    table = pd.concat(tables, names=["model"]).reset_index("model")
    table["split"] = table["split"].str.replace("element: .*", "element", regex=True)
    mean = table.groupby(["split", "target", "model"], sort=False)[["mae_in", "mae_out"]].mean()
    mean["ratio"] = mean["mae_out"] / mean["mae_in"]
    print("\nmean absolute errors in eV, in and out of distribution, mean over the elements")
    print(mean.unstack("model").round(3).to_string())


if __name__ == "__main__":
    main()

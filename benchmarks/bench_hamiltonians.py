"""Hamiltonians of bundled molecules, by networks that have the same processor time.

`HamiltonianRegressor` with each backbone, on GFN2-xTB matrices of some molecules, tested on
molecules of other formulas: errors of the matrix, of occupied levels and of the frontier,
beside those of the two-centre reference alone. A network's number of epochs is what takes the
seconds that are given, by a few epochs that are timed before; one thread.

Usage: ``python benchmarks/bench_hamiltonians.py [--train 50] [--test 100] [--seconds 240]
[--backbones gotennet painn] [--seeds 0]`` (needs ``pip install tblite``)
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
import torch
from bench_dft import errors
from sklearn.model_selection import GroupShuffleSplit

from qcanvas_sklearn import HamiltonianRegressor, load_molecules
from qcanvas_sklearn.hamiltonians import Hamiltonians, TwoCentreTables, compute_hamiltonians

#: Epochs of the two short fits whose difference tells what an epoch takes.
FEW, MORE = 2, 8


def drawn(n_train: int, n_test: int) -> tuple[Hamiltonians, Hamiltonians]:
    """Hamiltonians to learn from, and others of other formulas."""
    X = load_molecules().data
    split = GroupShuffleSplit(1, test_size=0.3, random_state=0)
    pools = next(split.split(X, groups=X.formulas))
    chosen = [
        np.random.default_rng(0).permutation(pool)[:n]
        for pool, n in zip(pools, (n_train, n_test), strict=True)
    ]
    train, test = (compute_hamiltonians(X[rows]) for rows in chosen)
    return train, test


def processor_time(model: HamiltonianRegressor, train: Hamiltonians, epochs: int) -> float:
    """Seconds that a fit takes."""
    started = time.process_time()
    model.set_params(max_epochs=epochs).fit(train.molecules, train)
    return time.process_time() - started


def learned(
    backbone: str, seed: int, seconds: float, train: Hamiltonians, test: Hamiltonians
) -> dict[str, float]:
    """Errors of a network that has trained for so many seconds, and what it took."""
    model = HamiltonianRegressor(backbone=backbone, random_state=seed)
    short, longer = (processor_time(model, train, epochs) for epochs in (FEW, MORE))
    epochs = max(int((seconds - short) * (MORE - FEW) / (longer - short)), 1)
    took = processor_time(model, train, epochs)
    found = errors(test, model.predict(test.molecules, overlaps=test))
    return found | {"epochs": epochs, "fit, s": took, "weights": model.n_parameters_}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=int, default=50)
    parser.add_argument("--test", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--backbones", nargs="+", default=["gotennet", "painn"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    train, test = drawn(args.train, args.test)
    known = TwoCentreTables.load().self_consistent(test.molecules)
    lines = {"two-centre reference": errors(test, known)}
    gap = np.abs(test.gap() - train.gap().mean()).mean()
    print(f"{len(train)} molecules to train on, {len(test)} to test on")
    print(f"error of the training molecules' mean gap: {1e3 * gap:.0f} meV", flush=True)
    for backbone in args.backbones:
        for seed in args.seeds:
            name = f"{backbone}, seed {seed}"
            lines[name] = learned(backbone, seed, args.seconds, train, test)
            print(name, {k: round(float(v), 2) for k, v in lines[name].items()}, flush=True)
    print(pd.DataFrame(lines).to_string(float_format="{:.1f}".format))


if __name__ == "__main__":
    main()

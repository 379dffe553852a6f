"""Learn the PBE/def2-SVP Hamiltonians of water, with and without superposed atoms.

`HamiltonianRegressor` on frames that ``make_water.py`` makes, 100 of them drawn for tests:
error of the Hamiltonian, of occupied levels and of the frontier, and what starting PySCF from
the prediction saves. A column for each reference, the first of what needs no learning.
Published errors of the Hamiltonian on such a set (another trajectory, days of training), in
µHa: 23.2 (SPHNet), 17.6 (PhiSNet), 10.8 (QHNet), 9.3 (HELM), 4.9 (QHFlow).

Usage: ``python benchmarks/bench_dft.py water.npz [--train 300] [--epochs 200]
[--references minao overlap] [--scf 30]`` (one thread; needs ``pip install pyscf``)
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from make_water import METHOD

from qcanvas_sklearn import HamiltonianRegressor
from qcanvas_sklearn.hamiltonians import Hamiltonians, compute_hamiltonians, metrics

N_TEST = 100
SHOWN = {
    "matrix_mae": "F, µHa", "matrix_mae_on_site": "on-site", "matrix_mae_off_site": "off-site",
    "level_mae_occupied": "occupied, meV", "level_mae_homo": "HOMO", "level_mae_gap": "gap",
}  # fmt: skip


def errors(true: Hamiltonians, predicted: Hamiltonians) -> dict[str, float]:
    """Errors by the names of the columns; levels in meV."""
    report = metrics.hamiltonian_report(true, predicted)["value"]
    return {column: report[name] for name, column in SHOWN.items()}


def savings(predicted: Hamiltonians, builds: int) -> dict[str, float]:
    """Cycles and Fock builds to self-consistency, and those of the default guess."""
    table = metrics.saved_iterations(predicted, METHOD, builds=builds)
    assert not table["not_converged"].any()
    return {
        f"{short} {guess}": table.loc[guess, name]
        for name, short in (("cycles", "cycles"), ("fock_builds", "builds"))
        for guess in ("minao", "prediction")
    }


def learned(
    reference: str | None, train: Hamiltonians, test: Hamiltonians, args: argparse.Namespace
) -> tuple[Hamiltonians, dict[str, float]]:
    """Predictions for the test frames; seconds of processor time."""
    model = HamiltonianRegressor(
        reference, method=METHOD, n_hidden=args.hidden, n_channels=args.channels,
        n_layers=args.layers, n_degrees=args.degrees, max_epochs=args.epochs,
        batch_size=args.batch, lr=args.lr, random_state=0, device="cpu",
    )  # fmt: skip
    started = time.process_time()
    model.fit(train.molecules, train)
    fitted = time.process_time()
    predicted = model.predict(test.molecules, overlaps=test)
    seconds = {"fit, s": fitted - started, "predict, s": time.process_time() - fitted}
    return predicted, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--references", nargs="+", default=["minao", "overlap"])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--degrees", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--scf", type=int, default=30, help="frames to start PySCF on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = Hamiltonians.load(args.frames)
    drawn = np.random.default_rng(0).permutation(len(frames))
    train, test = frames[drawn[N_TEST : N_TEST + args.train]], frames[drawn[:N_TEST]]
    guess = compute_hamiltonians(test.molecules, method=METHOD, state="minao")
    lines = {"superposed atoms alone": errors(test, guess)}
    for reference in args.references:
        predicted, seconds = learned(reference, train, test, args)
        lines[f"network on {reference!r}"] = (
            errors(test, predicted) | savings(predicted[: args.scf], int(reference == "minao"))
            | seconds
        )  # fmt: skip
    print(f"{len(train)} frames to train on, {len(test)} to test on, {METHOD}; {args}")
    print(pd.DataFrame(lines).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()

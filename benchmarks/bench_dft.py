"""Learn the PBE/def2-SVP Hamiltonians of water, with and without superposed atoms.

`HamiltonianRegressor` on frames that ``make_water.py`` makes, 100 of them drawn for tests:
error of the Hamiltonian, of occupied levels and of the frontier, and what starting PySCF from
the prediction saves. A column for each reference and seed, the first of what needs no learning.
Published errors of the Hamiltonian on such a set (another trajectory, days of training), in
µHa: 23.2 (SPHNet), 17.6 (PhiSNet), 10.8 (QHNet), 9.3 (HELM), 4.9 (QHFlow).

Usage: ``python benchmarks/bench_dft.py water.npz [--train 300] [--epochs 200]
[--references minao overlap] [--seeds 0] [--scf 30]`` (one thread; needs ``pip install pyscf``)

On a machine without PySCF, Hamiltonians of superposed atoms are read from a second file that
``make_water.py`` writes, and no self-consistency is run: ``--superposed guess.npz --scf 0``.
With ``--seconds 300`` the number of epochs is what takes so long on the device that trains.
"""

from __future__ import annotations

import argparse
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch

from qcanvas_sklearn import HamiltonianRegressor
from qcanvas_sklearn.hamiltonians import Hamiltonians, compute_hamiltonians, metrics

N_TEST = 100
#: Epochs by which the speed of a device is measured, after those that warm it up.
N_TIMED, N_WARM = 4, 2
SHOWN = {
    "matrix_mae": "F, µHa", "matrix_mae_on_site": "on-site", "matrix_mae_off_site": "off-site",
    "level_mae_occupied": "occupied, meV", "level_mae_homo": "HOMO", "level_mae_gap": "gap",
}  # fmt: skip


def errors(true: Hamiltonians, predicted: Hamiltonians) -> dict[str, float]:
    """Errors by the names of the columns; levels in meV."""
    report = metrics.hamiltonian_report(true, predicted)["value"]
    return {column: report[name] for name, column in SHOWN.items()}


def kept(guess: Hamiltonians | None) -> AbstractContextManager[Any]:
    """Where references of frames are looked up in place of being computed."""
    if guess is None:
        return nullcontext()
    molecules = guess.molecules
    row = {molecules[i].positions.tobytes(): i for i in range(len(molecules))}

    def looked_up(frames: Any, **_: Any) -> Hamiltonians:
        return guess[[row[frames[i].positions.tobytes()] for i in range(len(frames))]]

    return patch("qcanvas_sklearn.inputs.hamiltonians.compute_hamiltonians", looked_up)


def savings(predicted: Hamiltonians, method: str, builds: int) -> dict[str, float]:
    """Cycles and Fock builds to self-consistency, and those of the default guess."""
    table = metrics.saved_iterations(predicted, method, builds=builds)
    assert not table["not_converged"].any()
    return {
        f"{short} {guess}": table.loc[guess, name]
        for name, short in (("cycles", "cycles"), ("fock_builds", "builds"))
        for guess in ("minao", "prediction")
    }


def affordable(model: HamiltonianRegressor, train: Hamiltonians, seconds: float) -> int:
    """Epochs of so many seconds of training."""
    timed = model.set_params(max_epochs=N_WARM + N_TIMED).fit(train.molecules, train)
    each = timed.history_["seconds"].iloc[N_WARM:].median()
    return max(int(seconds / each), 1)


def learned(
    reference: str | None, method: str, seed: int, train: Hamiltonians, test: Hamiltonians,
    args: argparse.Namespace,
) -> tuple[Hamiltonians, dict[str, float]]:  # fmt: skip
    """Predictions for the test frames; seconds of processor time and of the clock."""
    model = HamiltonianRegressor(
        reference, method=method, n_hidden=args.hidden, n_channels=args.channels,
        n_layers=args.layers, n_degrees=args.degrees, max_epochs=args.epochs,
        batch_size=args.batch, lr=args.lr, random_state=seed, device=args.device,
    )  # fmt: skip
    if args.seconds:
        model.set_params(max_epochs=affordable(model, train, args.seconds))
    started, clock = time.process_time(), time.perf_counter()
    model.fit(train.molecules, train)
    fitted, waited = time.process_time(), time.perf_counter()
    predicted = model.predict(test.molecules, overlaps=test)
    return predicted, {
        "epochs": model.n_iter_, "fit, s": fitted - started, "by the clock": waited - clock,
        "predict, s": time.process_time() - fitted,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("--train", type=int, default=300)
    parser.add_argument("--references", nargs="+", default=["minao", "overlap"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seconds", type=float, help="in place of a number of epochs")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--degrees", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--superposed", type=Path, help="their Hamiltonians, of all frames")
    parser.add_argument("--scf", type=int, default=30, help="frames to start PySCF on")
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = Hamiltonians.load(args.frames)
    method = frames.provenance.split(",")[0]
    drawn = np.random.default_rng(0).permutation(len(frames))
    train, test = frames[drawn[N_TEST : N_TEST + args.train]], frames[drawn[:N_TEST]]
    superposed = args.superposed and Hamiltonians.load(args.superposed)
    if superposed is None:
        guess = compute_hamiltonians(test.molecules, method=method, state="minao")
    else:
        guess = superposed[drawn[:N_TEST]]
    print(f"{len(train)} frames to train on, {len(test)} to test on, {method}; {args}")
    lines = {"superposed atoms alone": errors(test, guess)}
    for reference in args.references:
        for seed in args.seeds:
            with kept(superposed):
                predicted, cost = learned(reference, method, seed, train, test, args)
            found = errors(test, predicted)
            shown = {name: round(float(value), 2) for name, value in (found | cost).items()}
            print(f"{reference!r}, seed {seed}: {shown}", flush=True)
            if args.scf:
                builds = int(reference == "minao")
                found |= savings(predicted[: args.scf], method, builds)
            lines[f"network on {reference!r}, {seed}"] = found | cost
    print(pd.DataFrame(lines).to_string(float_format="{:.2f}".format))


if __name__ == "__main__":
    main()

"""Energies and forces of molecules: this package beside schnetpack, same data, same seconds.

On a 500-K trajectory (GFN2-xTB, ships with the package) every arm learns from the first 200
frames of one run for the same CPU seconds, and is tested on an independent run. On the small
molecules every arm learns total energies from some of them, beside the composition, a kernel
ridge on FCHL19, and two-centre physics of the same method (whose charges were fitted to small
molecules, ethanol among them; a few share a formula with those of the test). Epochs are
chosen by the seconds of the first ones. One thread.

The peers are SchNet and PaiNN of schnetpack (``pip install schnetpack``, whose 2.1.1 pins an
older torch; with a newer one it imports where ``torch.utils.data.dataloader.T_co`` is
supplied, as is done here), trained in a plain loop with their published loss (energies 0.01,
forces 0.99, squared errors), AdamW and one cycle of the learning rate. Arms whose package is
not installed are left out, and the table says so.

Usage: ``python benchmarks/bench_molecules.py [ethanol] [aspirin] [molecules] [--seconds 240]``
"""

from __future__ import annotations

import argparse
import time
import typing
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    CompositionRegressor,
    GotenNetRegressor,
    MoleculeKernelTransformer,
    SchNetRegressor,
    TwoCentreTransformer,
    load_molecules,
    load_trajectory,
)
from qcanvas_sklearn.structures import Molecules

N_FRAMES, BATCH_SIZE, CUTOFF = 200, 10, 5.0
#: A fit of energies E and forces F, for some CPU seconds: a function that predicts both.
Predictor = Callable[[Molecules], tuple[np.ndarray, np.ndarray]]
Fit = Callable[[Molecules, np.ndarray, float], Predictor]


def epochs_within(seconds: float, fit: Callable[[int], Any]) -> int:
    """Epochs that a number of CPU seconds is enough for."""
    spent = []
    for n in (1, 3):
        start = time.process_time()
        fit(n)
        spent.append(time.process_time() - start)
    return max(int(seconds / max((spent[1] - spent[0]) / 2, 1e-3)), 1)


def ours(cls: type, **options: Any) -> Fit:
    """An estimator of this package."""

    def fit(X: Molecules, y: np.ndarray, seconds: float) -> Predictor:
        weight = None if X.forces is None else 10.0

        def of(n: int) -> Any:
            model = cls(
                max_epochs=n, batch_size=BATCH_SIZE, force_weight=weight, random_state=0,
                device="cpu", **options,
            )  # fmt: skip
            return model.fit(X, y)

        model = of(epochs_within(seconds, of))
        if weight is None:
            return without_forces(model)
        return lambda molecules: model.predict(molecules, return_forces=True)

    return fit


def without_forces(model: Any) -> Predictor:
    """What a model of energies alone predicts."""
    return lambda molecules: (model.predict(molecules), np.full((len(molecules.z), 3), np.nan))


def load_schnetpack() -> Any:
    """The package, or None."""
    from torch.utils.data import dataloader

    if not hasattr(dataloader, "T_co"):
        dataloader.T_co = typing.TypeVar("T_co", covariant=True)
    try:
        import schnetpack
    except ImportError:
        return None
    return schnetpack


def peer(name: str) -> Fit | None:
    """A network of schnetpack with 64 features and 3 layers; None where there is none."""
    spk = load_schnetpack()
    if spk is None:
        return None

    def module(has_forces: bool) -> torch.nn.Module:
        torch.manual_seed(0)
        forces = [spk.atomistic.Forces(energy_key="energy", force_key="forces")]
        representation = getattr(spk.representation, name)(
            n_atom_basis=64, n_interactions=3,
            radial_basis=spk.nn.GaussianRBF(n_rbf=20, cutoff=CUTOFF),
            cutoff_fn=spk.nn.CosineCutoff(CUTOFF),
        )  # fmt: skip
        return spk.model.NeuralNetworkPotential(
            representation,
            input_modules=[spk.atomistic.PairwiseDistances()],
            output_modules=[
                spk.atomistic.Atomwise(n_in=64, output_key="energy"),
                *(forces if has_forces else []),
            ],
        )

    def fit(X: Molecules, y: np.ndarray, seconds: float) -> Predictor:
        reference = CompositionRegressor().fit(X, y)
        rest = torch.tensor(y - reference.predict(X), dtype=torch.float32)
        inputs = [peer_inputs(X[[i]]) for i in range(len(X))]

        def of(n: int) -> torch.nn.Module:
            return train_peer(module(X.forces is not None), inputs, X, rest, n)

        net = of(epochs_within(seconds, of)).eval()

        def predict(molecules: Molecules) -> tuple[np.ndarray, np.ndarray]:
            rows = [peer_inputs(molecules[[i]]) for i in range(len(molecules))]
            found = [net(joined(rows[i : i + 50])) for i in range(0, len(rows), 50)]
            energy, forces = (
                np.concatenate([part[key].detach().numpy() for part in found])
                if key in found[0] else np.full((len(molecules.z), 3), np.nan)
                for key in ("energy", "forces")
            )
            return energy + reference.predict(molecules), forces

        return predict

    return fit


def peer_inputs(molecule: Molecules) -> dict[str, torch.Tensor]:
    """What schnetpack takes of one molecule."""
    near = molecule.neighbours(CUTOFF)
    return {
        "_atomic_numbers": torch.tensor(molecule.z),
        "_positions": torch.tensor(molecule.positions, dtype=torch.float32),
        "_idx_i": torch.tensor(near.i), "_idx_j": torch.tensor(near.j),
        "_offsets": torch.zeros(len(near), 3),
    }  # fmt: skip


def joined(rows: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """A batch of molecules."""
    counts = torch.tensor([len(row["_atomic_numbers"]) for row in rows])
    first = counts.cumsum(0) - counts
    batch = {
        key: torch.cat([
            row[key] + (first[k] if key.startswith("_idx") else 0) for k, row in enumerate(rows)
        ])
        for key in rows[0]
    }  # fmt: skip
    batch["_idx_m"] = torch.arange(len(rows)).repeat_interleave(counts)
    batch["_n_atoms"] = counts
    return batch


def train_peer(
    net: torch.nn.Module, inputs: list[dict[str, torch.Tensor]], X: Molecules,
    rest: torch.Tensor, n_epochs: int,
) -> torch.nn.Module:  # fmt: skip
    """Train schnetpack's network in a plain loop."""
    has_forces = X.forces is not None
    parts = np.split(X.forces, X.ptr[1:-1]) if has_forces else []
    forces = [torch.tensor(part, dtype=torch.float32) for part in parts]
    n_steps = n_epochs * -(-len(X) // BATCH_SIZE)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, n_steps + 1)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            found = net(joined([inputs[i] for i in rows]))
            loss = torch.nn.functional.mse_loss(found["energy"], rest[rows])
            if has_forces:
                true = torch.cat([forces[i] for i in rows])
                loss = 0.01 * loss + 0.99 * torch.nn.functional.mse_loss(found["forces"], true)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net


def baseline(model: Any) -> Fit:
    """A model of energies alone, which takes as long as it takes."""
    return lambda X, y, seconds: without_forces(model.fit(X, y))


FCHL19 = make_pipeline(
    MoleculeKernelTransformer(), KernelRidge(kernel="precomputed", alpha=1e-6)
)
TWO_CENTRE = make_pipeline(TwoCentreTransformer(), RidgeCV(np.logspace(-4, 4, 33)))
ARMS: dict[str, Fit | None] = {
    "composition": baseline(CompositionRegressor()),
    "FCHL19 + kernel ridge": baseline(CompositionRegressor(residual=FCHL19)),
    "two-centre + ridge": baseline(TWO_CENTRE),
    "schnetpack SchNet": peer("SchNet"),
    "schnetpack PaiNN": peer("PaiNN"),
    "SchNetRegressor": ours(SchNetRegressor, n_hidden=64),
    "GotenNetRegressor": ours(GotenNetRegressor, n_hidden=64, lr=3e-3),
    "SchNet on two-centre": ours(SchNetRegressor, n_hidden=64, baseline="two-centre"),
    "GotenNet on two-centre": ours(
        GotenNetRegressor, n_hidden=64, lr=3e-3, baseline="two-centre"
    ),
}

def cases(task: str) -> list[tuple[str, Molecules, np.ndarray, Molecules, np.ndarray]]:
    """Training and test sets of a task."""
    if task != "molecules":
        bundle = load_trajectory(task)
        first, second = (np.flatnonzero(bundle.groups == k) for k in np.unique(bundle.groups))
        train, y = first[:N_FRAMES], bundle.target.to_numpy()
        X = bundle.data
        return [(f"{task}, {N_FRAMES} frames", X[train], y[train], X[second], y[second])]
    bundle = load_molecules()
    order = np.random.RandomState(0).permutation(len(bundle.data))
    test, rest = order[:200], order[200:]
    y = bundle.target["total_energy_ev"].to_numpy()
    return [
        (f"{n} molecules", bundle.data[rest[:n]], y[rest[:n]], bundle.data[test], y[test])
        for n in (100, 400)
    ]


def main() -> None:
    """Run all arms and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=["ethanol", "aspirin", "molecules"])
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds of each arm")
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'task':22} {'arm':22} {'CPU s':>6} {'E, meV':>8} {'F, meV/Å':>9}")
    for task in args.tasks:
        for name, X, y, X_test, y_test in cases(task):
            for arm in args.arms:
                fit = ARMS[arm]
                if fit is None:
                    print(f"{name:22} {arm:22} not installed")
                    continue
                start = time.process_time()
                energy, forces = fit(X, y, args.seconds)(X_test)
                spent = time.process_time() - start
                e = 1000 * np.abs(energy - y_test).mean()
                known = X_test.forces is not None and np.isfinite(forces).all()
                f = 1000 * np.abs(forces - X_test.forces).mean() if known else np.nan
                print(f"{name:22} {arm:22} {spent:6.0f} {e:8.1f} {f:9.1f}", flush=True)


if __name__ == "__main__":
    main()

"""Training speed: the estimator beside a plain torch loop and a DataLoader of graphs.

Three ways to train the same network on the same pairs for the same number of epochs:

* the estimator's ``fit``;
* a hand-written loop over tensor slices, with the same optimizer, schedule and clipping;
* a loop over a torch-geometric DataLoader of one ``Data`` object a pair, the usual way.

Prints the ratios of one run; the last column leaves the network out: how much faster index
slices are drawn than graphs are collated. Seconds are those of the process, and rounds are
interleaved, so that other work on the machine meets all three.

Usage: ``python benchmarks/bench_train.py [--epochs 5] [--rounds 3] [--pairs 2280]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from qcanvas_sklearn import (
    GATv2Regressor,
    PairImageTransformer,
    QuantumShellNetRegressor,
    load_pairs,
)
from qcanvas_sklearn.training.engine import _MAX_GRADIENT_NORM

BATCH_SIZE = 64
Batch = tuple[dict[str, torch.Tensor], torch.Tensor]


def loop(
    module: nn.Module, batches: Callable[[], object], n_batches: int, epochs: int, lr: float
) -> float:
    """Seconds of a plain training loop."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, epochs * n_batches)
    module.train()
    start = time.process_time()
    for _ in range(epochs):
        for inputs, y in batches():
            optimizer.zero_grad()
            loss = nn.functional.smooth_l1_loss(module(**inputs), y)
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), _MAX_GRADIENT_NORM)
            optimizer.step()
            schedule.step()
    return time.process_time() - start


def slices(inputs: dict[str, torch.Tensor], y: torch.Tensor) -> Callable[[], object]:
    """Batches as index slices of tensors."""

    def batches():
        order = torch.randperm(len(y))
        for start in range(0, len(y), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            yield {name: tensor[rows] for name, tensor in inputs.items()}, y[rows]

    return batches


def graphs(inputs: dict[str, torch.Tensor], y: torch.Tensor) -> Callable[[], object]:
    """Batches from a DataLoader that collates one graph a pair."""
    items = [
        Data(y=y[i : i + 1], num_nodes=2, **{k: v[i : i + 1] for k, v in inputs.items()})
        for i in range(len(y))
    ]
    loader = DataLoader(items, batch_size=BATCH_SIZE, shuffle=True)

    def batches():
        for batch in loader:
            yield {name: batch[name] for name in inputs}, batch.y

    return batches


def one_pass(batches: Callable[[], object]) -> float:
    """Seconds of drawing all batches of an epoch, without a network."""
    start = time.process_time()
    for _ in batches():
        pass
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=2280)
    args = parser.parse_args()
    X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    X = PairImageTransformer().fit_transform(X[: args.pairs])
    y = y[: args.pairs]
    print(f"{len(y)} pairs, batches of {BATCH_SIZE}, {args.epochs} epochs, "
          f"{torch.get_num_threads()} threads, torch {torch.__version__}")  # fmt: skip
    print("model                        estimator   plain loop   graph loader   "
          "overhead   speed-up over graphs   batches alone")  # fmt: skip
    for kind in (GATv2Regressor, QuantumShellNetRegressor):
        model = kind(max_epochs=args.epochs, batch_size=BATCH_SIZE, random_state=0)
        module = model.fit(X[:64], y[:64]).net_.module_
        inputs = model.reader_.read(model, X).to(torch.device("cpu")).batch(slice(None))
        scaled = torch.as_tensor(y.to_numpy()[:, None] / y.std(), dtype=torch.float32)
        ways = {name: make(inputs, scaled) for name, make in
                (("loop", slices), ("graphs", graphs))}  # fmt: skip
        n_batches = -(-len(y) // BATCH_SIZE)
        seconds: dict[str, list[float]] = {"fit": [], "loop": [], "graphs": []}
        for _ in range(args.rounds):
            start = time.process_time()
            model.fit(X, y)
            seconds["fit"].append(time.process_time() - start)
            for name, batches in ways.items():
                seconds[name].append(loop(module, batches, n_batches, args.epochs, model.lr))
        fit, plain, graph = (float(np.median(seconds[k])) for k in ("fit", "loop", "graphs"))
        alone = one_pass(ways["graphs"]) / one_pass(ways["loop"])
        print(f"{kind.__name__:26s} {fit:9.2f} s {plain:10.2f} s {graph:12.2f} s "
              f"{fit / plain:9.2f}x {graph / fit:20.2f}x {alone:14.1f}x")  # fmt: skip


if __name__ == "__main__":
    main()

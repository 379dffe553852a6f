"""Prediction speed from element pairs, with and without the pixels in between.

For each family: pairs a second of ``predict`` from element symbols, end to end; of the
reader alone, which makes the network's inputs of them; and of the network alone, which draws
its images itself. Families that see the channels or their means are measured a second time
through a table of pixels: a `PairImageTransformer` in front.

Seconds are those of the process, rounds of both ways are interleaved, and medians are
printed: other work on the machine meets both.

With ``--states`` it is tight binding, and what learns beside it: with populations given, with
charges that are solved, and from the elements alone, where the bond length is sought, too.

With ``--host`` it is what the host does before a network computes that is measured, for many
pairs as users hold them: checks, lookups, features, standardised tensors. A GPU cannot predict
more pairs a second than that.

    python benchmarks/bench_predict.py [--pairs 2048] [--rounds 5] [--models GATv2 PairMLP]
    python benchmarks/bench_predict.py --states
    python benchmarks/bench_predict.py --host --pairs 1000000 --models SchNet PairMLP
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

import qcanvas_sklearn
from qcanvas_sklearn import (
    PairImageTransformer,
    QCanvasRegressor,
    TightBindingRegressor,
    load_pairs,
)

GRAPHS = ("GATv2", "SchNet", "EGNN", "DimeNet", "FAENet", "GotenNet")
SCALARS = ("PairMLP", "PairTransformer")
IMAGES = ("QuantumShellNet", "ViT", "Fusion")


def seconds(function: Callable[[], Any]) -> float:
    """Seconds that the process spends in a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def fitted(name: str, X: Any, y: Any) -> Any:
    """A regressor of a family, trained for an epoch: its weights do not change the speed."""
    family = getattr(qcanvas_sklearn, f"{name}Regressor")
    return family(max_epochs=1, device="cpu", random_state=0).fit(X, y)


def measured(name: str, pairs: Any, y: Any, rounds: int) -> dict[str, float]:
    """Pairs a second, by what is done with them."""
    model = fitted(name, pairs, y)
    reader, n = model.reader_, len(pairs)
    rows = reader.read(model, pairs)
    ways = {
        "end to end": lambda: model.predict(pairs),
        "reader": lambda: reader.read(model, pairs),
        "network": lambda: model._outputs(rows),
    }
    if reader.layout_.channels:
        pixels = PairImageTransformer(include=(*reader.layout_.include[:-1], "image"))
        pixels.fit(pairs)
        by_table = fitted(name, pixels.transform(pairs[:64]), y[:64])
        by_table.unseen_elements = "allow"
        ways["by pixels"] = lambda: by_table.predict(pixels.transform(pairs))
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, function in ways.items():
            taken[way].append(seconds(function))
    return {way: n / float(np.median(values)) for way, values in taken.items()}


def of_states(family: str, given: str, X: Any, y: Any, rounds: int) -> float:
    """Pairs a second, after so much training that the states are those of molecules."""
    model = TightBindingRegressor(given=given, max_epochs=20, device="cpu", random_state=0)
    if family == "QCanvas":
        model = QCanvasRegressor(
            given=given, tight_binding=model, max_epochs=2, device="cpu", random_state=0
        )
    model.fit(X[:1500], y[:1500])
    taken = [seconds(lambda: model.predict(X)) for _ in range(rounds)]
    return len(X) / float(np.median(taken))


def on_the_host(name: str, pairs: Any, y: Any, n_pairs: int, rounds: int) -> dict[str, float]:
    """Pairs a second up to the tensors of the network, by what holds the pairs."""
    model = fitted(name, pairs, y)
    text = pairs[np.random.default_rng(0).integers(0, len(pairs), n_pairs)].astype("<U2")
    objects = text.astype(object)
    frame = pd.DataFrame(objects, columns=["element_1", "element_2"])
    held = {"text": text, "objects": objects, "list": text.tolist(), "frame": frame}
    taken: dict[str, list[float]] = {what: [] for what in held}
    device = torch.device("cpu")
    for _ in range(rounds):
        for what, X in held.items():
            taken[what].append(seconds(lambda X=X: [
                rows.to(device, torch.float64) for rows in model._known_parts(X)
            ]))  # fmt: skip
    return {what: n_pairs / float(np.median(values)) for what, values in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=[*GRAPHS, *SCALARS, *IMAGES])
    parser.add_argument("--states", action="store_true", help="measure tight binding")
    parser.add_argument("--host", action="store_true", help="measure the host alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    X, y = load_pairs(target="total_energy_ev", return_X_y=True)
    if args.host:
        print(f"{args.pairs} pairs, {args.rounds} rounds, 1 thread; pairs a second on the host")
        print(f"{'':18s}{'text':>12s}{'objects':>12s}{'list':>12s}{'frame':>12s}")
        for name in args.models:
            known = X.to_numpy()[:600], y.to_numpy()[:600]
            rate = on_the_host(name, *known, args.pairs, args.rounds)
            print(f"{name:18s}{''.join(f'{r:12,.0f}' for r in rate.values())}", flush=True)
        return
    if args.states:
        y = load_pairs(return_X_y=True)[1]
        print(f"{args.pairs} pairs, {args.rounds} rounds, 1 thread; pairs a second")
        for family in ("TightBinding", "QCanvas"):
            for given in ("populations", "distance", "elements"):
                rate = of_states(
                    family, given, X[: args.pairs], y[: args.pairs], args.rounds
                )
                print(f"{family:14s}{given:14s}{rate:9,.0f}", flush=True)
        return
    pairs = X.to_numpy()[: args.pairs]
    y = y.to_numpy()[: args.pairs]
    print(f"{len(pairs)} pairs, {args.rounds} rounds, 1 thread, double precision, "
          f"torch {torch.__version__}; pairs a second")  # fmt: skip
    print(f"{'':18s}{'end to end':>12s}{'reader':>12s}{'network':>12s}{'by pixels':>12s}"
          f"{'ratio':>8s}")  # fmt: skip
    for name in args.models:
        rate = measured(name, pairs, y, args.rounds)
        line = "".join(f"{rate[way]:12,.0f}" for way in ("end to end", "reader", "network"))
        if "by pixels" in rate:
            by_pixels = rate["by pixels"]
            line += f"{by_pixels:12,.0f}{rate['end to end'] / by_pixels:7.1f}x"
        print(f"{name:18s}{line}", flush=True)


if __name__ == "__main__":
    main()

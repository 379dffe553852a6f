"""Predicting a file that fits no memory: rows a second, peak memory, and what 10^9 rows cost.

A CSV file of pairs at several distances goes through ``predict_file``, as ``qcanvas predict``
calls it, into another, CSV or Parquet. The model sees elements, distances and free atoms
(``PairImageTransformer("free-atom")``): a small `PairMLPRegressor` or `GATv2Regressor`, fitted
on a few pairs only, as its weights do not change what a prediction takes. The network alone is
timed beside it, on the rows of one block that are read and drawn already.

Usage: ``python benchmarks/bench_predict_file.py [--rows 5000000] [--model pair_mlp]
[--block-size 5000] [--n-jobs 1] [--to csv]``
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    GATv2Regressor,
    PairImageTransformer,
    PairMLPRegressor,
    load_pairs,
)
from qcanvas_sklearn.prediction import predict_file

MODELS = {"pair_mlp": PairMLPRegressor, "gatv2": GATv2Regressor}
DISTANCES = np.linspace(0.8, 1.6, 9)  # times the relaxed length


def write_rows(path: Path, n_rows: int, chunk: int = 500_000) -> None:
    """All bundled pairs at several distances, over and over until there are `n_rows`."""
    pairs = load_pairs().pairs
    for start in range(0, n_rows, chunk):
        k = np.arange(start, min(start + chunk, n_rows))
        row, step = k % len(pairs), k // len(pairs) % len(DISTANCES)
        table = pd.DataFrame({
            "id": k, "element_1": pairs.elements[row, 0], "element_2": pairs.elements[row, 1],
            "distance_ang": (pairs.bond_lengths[row] * DISTANCES[step]).round(4),
        })  # fmt: skip
        table.to_csv(path, index=False, header=start == 0, mode="w" if start == 0 else "a")


def fitted(kind: str):
    """The model, fitted for an epoch on pairs at the distances of the bundled table."""
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    X = X.assign(distance_ang=load_pairs().pairs.bond_lengths)
    model = MODELS[kind](max_epochs=1, random_state=0)
    drawing = PairImageTransformer("free-atom", include=model._input_spec().blocks)
    return make_pipeline(drawing, model).fit(X, y)


def network_alone(model, path: Path, n_rows: int) -> float:
    """Rows a second of the network, behind reading and drawing."""
    columns = ["element_1", "element_2", "distance_ang"]
    table = model[0].transform(pd.read_csv(path, nrows=n_rows, keep_default_na=False)[columns])
    start = time.process_time()
    model[-1].predict(table)
    return len(table) / (time.process_time() - start)


def peak_mb() -> float:
    """Largest resident memory so far, of this process or of one that it waited for."""
    usages = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in usages) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--model", choices=MODELS, default="pair_mlp")
    parser.add_argument("--block-size", type=int, default=5000)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--to", choices=("csv", "parquet"), default="csv")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "pairs.csv"), Path(folder, f"predicted.{args.to}")
        write_rows(source, args.rows)
        model = fitted(args.model)
        predict_file(model, load_pairs().pairs[:200], Path(folder, "warm.csv"))
        before = peak_mb()
        wall, cpu = time.perf_counter(), time.process_time()
        n = predict_file(
            model, source, out, block_size=args.block_size, n_jobs=args.n_jobs, verbose=1
        )
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        alone = network_alone(model, source, args.block_size)
        sizes = [os.path.getsize(path) / n for path in (source, out)]
    # Of other processes the CPU time is not known here: wall time is theirs.
    seconds, what = (cpu, "CPU s") if args.n_jobs == 1 else (wall, "s")
    billion = 1e9 * seconds / n
    print(f"{args.model}: {n} rows from csv to {args.to} in blocks of {args.block_size}, "
          f"n_jobs={args.n_jobs}, {torch.get_num_threads()} threads, "
          f"torch {torch.__version__}")  # fmt: skip
    print(f"wall {wall:.0f} s, {seconds:.0f} {what}: {n / seconds:,.0f} rows/{what}; "
          f"network alone {alone:,.0f} rows/CPU s")  # fmt: skip
    print(f"peak memory {peak_mb():.0f} MB, before the first row {before:.0f} MB")
    print(f"on paper, 10^9 rows: {billion / 3600:,.0f} core hours, "
          f"{sizes[0]:.0f} GB in, {sizes[1]:.0f} GB out")  # fmt: skip


if __name__ == "__main__":
    main()

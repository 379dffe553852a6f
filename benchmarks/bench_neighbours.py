"""Time of neighbour lists: matrices, k-d tree and vesin, beside ASE and matscipy.

Random atoms at the density of organic matter. What is not installed is left out.

Usage: ``python benchmarks/bench_neighbours.py [--cutoff 5] [--sizes 9 21 50 200 1000]``
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time

import numpy as np
import pandas as pd

from qcanvas_sklearn.structures import _neighbours

DENSITY = 0.09  # atoms per Å³


def microseconds(function: Callable[[], object]) -> float:
    """Processor time of one call, the mean of as many as fit into a third of a second."""
    function()
    start, n = process_time(), 0
    while process_time() - start < 0.3:
        function()
        n += 1
    return (process_time() - start) / n * 1e6


def others(pbc: bool, cutoff: float, xyz: np.ndarray, cell: np.ndarray) -> dict[str, Callable]:
    """Libraries by name, as calls on one structure."""
    calls = {}
    try:
        from vesin import NeighborList

        search = NeighborList(cutoff=cutoff, full_list=True, n_threads=1)
        calls["vesin"] = lambda: search.compute(xyz, cell, pbc, "ijS")
    except ImportError:
        pass
    try:
        from matscipy.neighbours import neighbour_list

        calls["matscipy"] = lambda: neighbour_list(
            "ijS", positions=xyz, cell=cell, pbc=[pbc] * 3, cutoff=cutoff
        )
    except ImportError:
        pass
    try:
        from ase.neighborlist import primitive_neighbor_list

        calls["ase"] = lambda: primitive_neighbor_list("ijS", [pbc] * 3, cell, xyz, cutoff)
    except ImportError:
        pass
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cutoff", type=float, default=5.0)
    parser.add_argument("--sizes", nargs="+", type=int, default=[9, 21, 50, 200, 1000])
    args = parser.parse_args()
    rng, rows = np.random.default_rng(0), []
    for n in args.sizes:
        side = (n / DENSITY) ** (1 / 3)
        xyz, cell = rng.uniform(0, side, (n, 3)), side * np.eye(3)
        for pbc in (False, True):
            ours = {"ours": lambda xyz=xyz, n=n, pbc=pbc, cell=cell: _neighbours.neighbour_list(
                xyz, np.array([0, n]), args.cutoff, cell=cell[None], pbc=np.full((1, 3), pbc)
            )}  # fmt: skip
            calls = ours | others(pbc, args.cutoff, xyz, cell)
            times = {name: microseconds(call) for name, call in calls.items()}
            rows.append({"atoms": n, "periodic": pbc} | times)
    print("microseconds for one structure")
    print(pd.DataFrame(rows).round().to_string(index=False))


if __name__ == "__main__":
    main()

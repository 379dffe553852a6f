"""Tight binding and networks on pairs of another method than that of the bundled ones.

    python benchmarks/bench_xtb_pairs.py --models tight_binding qcanvas pair_mlp_5

The bundled pairs come from a tight-binding method whose form is that of
`TightBindingRegressor`. What its accuracy owes to that, labels of GFN1-xTB tell, whose form is
another: all pairs of the elements H to Rn with a physical state (`compute_pairs`, which keeps
them for the next time) are learned from with the same defaults. The protocol is that of
``run_table.py``: a random 80/10/10 split for each seed, one fit for all 18 targets; the
validation tenth calibrates the standard deviations, and the last tenth is predicted once. Every
finished fit is a line of the file ``--records``: an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import journal
import numpy as np
from table.cells import Cell, attempt, cell_of
from table.chains import chains_of, run_chain
from table.models import MODELS
from table.report import long_table

from qcanvas_sklearn.datasets import PairData, compute_pairs
from qcanvas_sklearn.elements import symbols
from qcanvas_sklearn.targets import TARGETS

HERE = Path(__file__).parent
#: Heaviest element of xTB.
MAX_Z = 86
SHOWN = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev"]
#: Models that read what was calculated for a pair.
NAMES = [name for name, entry in MODELS.items()
         if isinstance(entry.regressor, str) and entry.inputs == "own"]  # fmt: skip


def computed(method: str, max_z: int, n_jobs: int) -> PairData:
    """All pairs of the elements up to an atomic number that have a physical state."""
    first, second = np.triu_indices(max_z)
    z = np.stack([first, second], axis=1) + 1
    pairs = compute_pairs(symbols(z), method=method, n_jobs=n_jobs, verbose=1)
    return pairs[np.isfinite(pairs.populations).all(axis=1)]


def run(args: argparse.Namespace, pairs: PairData) -> list[dict[str, Any]]:
    """Records of all cells, those of earlier runs and new ones."""
    targets, n = tuple(TARGETS), len(pairs)
    cells = [Cell(name, seed, targets, "own", args.max_epochs, "cpu")
             for seed in args.seeds for name in args.models]  # fmt: skip
    known = {"method": args.method, "n_pairs": n}
    found = {cell_of(record): record for record in journal.read(args.records)
             if {key: record[key] for key in known} == known}  # fmt: skip
    for chain in chains_of(cell for cell in cells if cell not in found):
        for cell, record, error in run_chain(chain, partial(attempt, pairs=pairs)):
            if record is None:
                print(error, file=sys.stderr)
                continue
            found[cell] = {**record, **known}
            journal.append(found[cell], args.records)
            print(f"{cell.model}, seed {cell.seed}: {record['fit_seconds']:.0f} s", flush=True)
    return [found[cell] for cell in cells if cell in found]


def report(records: Sequence[dict[str, Any]]) -> None:
    """Print mean errors and the coverage of the intervals, the mean over the seeds."""
    table = long_table(records, "joint").set_index(["model", "target"])
    for title, column, digits in (
        ("mean absolute errors of test pairs in eV", "mae", 4),
        ("coverage of their 90 % intervals", "coverage_90", 2),
    ):
        wide = table[column].unstack("target")[SHOWN]
        print(f"\n{title}\n{wide.round(digits).to_string()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where nothing is finished."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--models", nargs="+", choices=NAMES, metavar="MODEL",
        default=["tight_binding", "qcanvas", "pair_mlp_5"],
        help=f"of {', '.join(NAMES)}")  # fmt: skip
    add("--method", choices=("GFN1-xTB", "GFN2-xTB"), default="GFN1-xTB")
    add("--seeds", nargs="+", type=int, default=[42])
    add("--max-epochs", type=int, help="in place of the defaults, for a trial")
    add("--max-z", type=int, default=MAX_Z, help="heaviest element, for a trial")
    add("--n-jobs", type=int, default=1, help="processes that compute pairs")
    add("--records", type=Path, default=HERE / "results" / "xtb_pairs" / "fits.jsonl")
    args = parser.parse_args(argv)
    args.records.parent.mkdir(parents=True, exist_ok=True)
    pairs = computed(args.method, args.max_z, args.n_jobs)
    print(f"{len(pairs)} pairs, {pairs.provenance}", flush=True)
    records = run(args, pairs)
    if not records:
        return 1
    report(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())

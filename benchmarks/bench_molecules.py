"""Energies and forces of molecules: this package beside schnetpack, same data, same seconds.

On 500-K trajectories (GFN2-xTB, shipped with the package) every arm learns from the first 200
frames of one run for the same CPU seconds, and is tested on an independent run; settings are
chosen on the last 100 frames of the first. On the small molecules every arm learns total
energies, gaps or dipoles of 100 or 400 of them, beside the composition, a kernel ridge on
FCHL19, and two-centre physics of the same method (whose charges were fitted to other
molecules, a few of which share a formula with these; ethanol is one of them). Epochs are
chosen by the seconds of the first ones, and each arm runs in a process of its own with one
thread; where the system's allocator is glibc's, freed memory is kept for the next step, for
all arms alike.

The peers are SchNet and PaiNN of schnetpack (see ``molecules/peers.py``). Arms whose package
is not installed are left out, and the table says so.

Every finished arm is at once a line of ``OUT/records.jsonl``; arms that have one already are
not run again, and ``--report`` writes the table of what is there.

    python benchmarks/bench_molecules.py [TASK ...] [--arms ARM ...] [--seconds 400]
        [--jobs 8] [--out benchmarks/results/molecules] [--report molecules.txt]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from molecules.arms import ARMS, errors
from molecules.cases import TASKS, cases_of
from molecules.report import load, table
from table.cells import machine

from qcanvas_sklearn import __version__

HERE = Path(__file__).parent
#: Read by a process when it starts: one thread, and no memory given back between steps.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**26),
}  # fmt: skip


def run(task: str, arm: str, seconds: float, rows: int | None) -> dict[str, Any] | None:
    """Fit an arm and measure its errors; None where the task is not for it."""
    torch.set_num_threads(1)
    case = cases_of(task, rows)
    record = {"task": task, "case": case.name, "arm": arm, "seconds": seconds}
    try:
        if not ARMS[arm].takes(case):
            return None
        model, epochs, taken = ARMS[arm].fit(case, seconds)
    except ImportError as error:
        return record | {"error": f"not installed: {error.name}"}
    return record | {
        "cpu_s": taken, "epochs": epochs,
        "test": errors(model, case.test), "valid": errors(model, case.valid),
        "machine": machine(None), "versions": versions(), "at": time.strftime("%F %T"),
    }  # fmt: skip


def versions() -> str:
    """Versions of what decides the numbers."""
    found = [f"qcanvas_sklearn {__version__}", f"torch {torch.__version__}"]
    for name in ("schnetpack", "qmllib"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("tasks", nargs="*", metavar="TASK", help=f"of {', '.join(TASKS)}; by default all")
    add("--arms", nargs="+", choices=list(ARMS), default=list(ARMS), metavar="ARM",
        help=f"of {', '.join(ARMS)}")  # fmt: skip
    add("--seconds", type=float, default=400, help="CPU seconds of each arm")
    add("--jobs", type=int, default=1, help="processes side by side")
    add("--rows", type=int, help="training rows of every task, for a trial")
    add("--out", type=Path, default=HERE / "results" / "molecules")
    add("--report", type=Path, help="write the table to this file")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.tasks) - set(TASKS))
    if unknown:
        parser.error(f"tasks {unknown} are none of {', '.join(TASKS)}")
    args.tasks = args.tasks or list(TASKS)
    return args


def run_all(missing: list[tuple[str, str]], args: argparse.Namespace, path: Path) -> None:
    """Run tasks and arms side by side, and record each when it is finished."""
    os.environ.update(ENVIRONMENT)
    with ProcessPoolExecutor(
        args.jobs, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        runs = {
            pool.submit(run, task, arm, args.seconds, args.rows): (task, arm)
            for task, arm in missing
        }
        for finished in as_completed(runs):
            if (error := finished.exception()) is not None:
                print(f"{runs[finished]} failed: {error!r}", flush=True)
            elif (record := finished.result()) is not None:
                with path.open("a") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run what is not there yet, each arm a process, and report."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "records.jsonl"
    done = {(r["task"], r["arm"]) for r in load(path) if "error" not in r}
    missing = [
        (task, arm) for task in args.tasks for arm in args.arms if (task, arm) not in done
    ]
    if missing:
        run_all(missing, args, path)
    text = table(load(path), list(ARMS))
    print(text)
    if args.report is not None:
        args.report.write_text(text)


if __name__ == "__main__":
    main()

"""The table of transfer: when an encoder, or two-body physics, helps a network, and when not.

    python benchmarks/run_transfer.py --cases gap energy dipole --labels 100 50 400 --seeds 8

Every arm learns the same rows in the same number of steps, one task a fit, and is compared
with the same network from scratch, seed by seed; see ``transfer/`` for cases, arms and
controls. Every finished fit is a line of ``OUT``, a JSON-lines file, written at once: an
interrupted run goes on where it stopped, several may write to one file, and changed settings
or other encoders fit anew. (A change of code is not noticed: delete the lines that it concerns;
each states the versions that made it.) The result is ``transfer.md`` beside it.

Cells are fitted in the order of their worth: what is compared before controls and combined
arms, and families, encoders and numbers of labels in the order given; among equals seed by
seed, so that a run that is cut short has the same number of seeds, or one less, everywhere.
``--minutes`` starts nothing that would not end by then, ``--minutes 0`` writes the table of
what is there, ``--processes`` fits that many cells at a time, one thread each. Of a run on
another machine::

    python benchmarks/run_transfer.py ... --minutes 8 --processes 12 --no-report \\
        --known benchmarks/results/transfer/cells.jsonl --out FILE
    python benchmarks/run_transfer.py ... --minutes 0 --merge FILE

Cases of fetched data (qm9-*, rmd17-*, crysmtm-*), of computed clusters (tio2-*,
``make_clusters.py``) and frames (benzene-*, ``make_molecules.py benzene``) are run where their
files lie in ``QCANVAS_DATA``, where features of two-body physics are kept, too; nothing is
downloaded.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from transfer.arms import ARMS, FAMILIES, REFERENCES
from transfer.attempts import LATE, attempt
from transfer.cases import CASES, is_there
from transfer.cells import Cell
from transfer.features import BASELINES, KEPT, of_case
from transfer.report import markdown
from transfer.store import Store

from qcanvas_sklearn._files import written_whole

HERE = Path(__file__).parent
MAIN = ("scratch", "fine-tuned", *BASELINES)
#: Cases on which controls are fitted, too.
CONTROLLED = ("gap", "energy", "ethanol-forces")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cases", nargs="+", default=["gap", "energy", "dipole"], choices=[*CASES, "all"],
        metavar="CASE", help=f"all, or any of {', '.join(CASES)}")  # fmt: skip
    add("--families", nargs="*", default=["schnet"], choices=FAMILIES, help="none: references")
    add("--encoders", nargs="+", default=["dimers-gfn2"], help="names without the family")
    add("--arms", nargs="+", default=[*MAIN], choices=[*ARMS, "main", "all"], metavar="ARM",
        help=f"main ({', '.join(MAIN)}), all, or any of {', '.join(ARMS)}")  # fmt: skip
    add("--control-cases", nargs="*", default=[*CONTROLLED], choices=CASES, metavar="CASE",
        help="cases that controls and frozen encoders are fitted on, too")  # fmt: skip
    add("--labels", nargs="+", type=int, default=[100, 50, 400], metavar="N")
    add("--seeds", type=int, default=8, help="how many")
    add("--epochs", type=int, default=15, help="of every network")
    add("--min-steps", type=int, default=300, help="gradient steps that a fit takes at least")
    add("--batch-size", type=int, default=16)
    add("--folder", type=Path, help="where the encoders lie; by default those that ship")
    add("--no-references", action="store_true", help="leave out the models without a network")
    add("--minutes", type=float, default=float("inf"), help="in which all is to end")
    add("--processes", type=int, default=1, help="cells fitted at a time")
    add("--device", default="cpu", help="where networks train: cpu, cuda")
    add("--out", type=Path, default=HERE / "results" / "transfer" / "cells.jsonl")
    add("--known", nargs="+", type=Path, default=[], help="files of cells not to fit again")
    add("--merge", nargs="+", type=Path, default=[], help="files of cells to take over")
    add("--no-report", action="store_true", help="write no table")
    args = parser.parse_args(argv)
    args.cases = list(CASES) if "all" in args.cases else args.cases
    if "all" in args.arms:
        args.arms = list(ARMS)
    elif "main" in args.arms:
        args.arms = list(dict.fromkeys([*MAIN, *(a for a in args.arms if a != "main")]))
    return args


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command asks for, in the order of their worth."""
    ranked = []
    shape = (args.epochs, args.min_steps, args.batch_size)
    for seed in range(args.seeds):
        for i, n in enumerate(args.labels):
            for case in args.cases:
                if not args.no_references:
                    ranked += [(i, seed, Cell(case, name, n, seed)) for name in REFERENCES]
                for j, family in enumerate(args.families):
                    for arm, encoder, rank in _arms_of(args, case):
                        folder = str(args.folder or "") if encoder else ""
                        cell = Cell(case, arm, n, seed, family, encoder, *shape, folder)
                        ranked.append((i + j + rank, seed, cell))
    ranked.sort(key=lambda entry: entry[:2])
    return list(dict.fromkeys(cell for _, _, cell in ranked))


def _arms_of(args: argparse.Namespace, case: str) -> list[tuple[str, str, int]]:
    """Arms of a case with their encoders, and how much later they come."""
    found = []
    for name in args.arms:
        arm = ARMS[name]
        if arm.baseline and arm.baseline not in CASES[case].baselines:
            continue
        if (arm.is_control or arm.freeze) and case not in args.control_cases:
            continue
        encoders = args.encoders if arm.pretrained else [""]
        found += [(name, encoder, arm.worth + k) for k, encoder in enumerate(encoders)]
    return found


def keys_of(args: argparse.Namespace) -> tuple[dict[str, Cell], list[str]]:
    """The cells by key, and what cannot be fitted, and why."""
    there = [case for case in args.cases if is_there(CASES[case])]
    missing = [
        f"{case}: its files are not in QCANVAS_DATA" for case in args.cases if case not in there
    ]
    args.cases, cells = there, {}
    for cell in cells_of(args):
        try:
            unknown = cell.unknown_elements()
        except FileNotFoundError:
            missing.append(f"{cell.arm}: there is no encoder for {cell.encoder} {cell.family}")
            continue
        if unknown:
            missing.append(f"{cell.case}: {cell.encoder} does not know {', '.join(unknown)}")
        else:
            cells[cell.key] = cell
    return cells, list(dict.fromkeys(missing))


def fit_missing(args: argparse.Namespace, cells: dict[str, Cell], store: Store) -> list[str]:
    """Fit what is not there yet; returns what failed or was not fitted."""
    deadline = time.time() + 60 * args.minutes
    missing = {key: cell for key, cell in cells.items() if key not in store}
    if args.minutes > 0:
        # Once, and not in every process.
        for kind, case in dict.fromkeys((c.baseline, c.case) for c in missing.values()):
            if kind in KEPT and kind in CASES[case].baselines:
                of_case(kind, case)
    failed, n_late = [], 0
    with parallel_config("loky", n_jobs=args.processes, inner_max_num_threads=1):
        outcomes = Parallel(return_as="generator_unordered", batch_size=1)(
            delayed(attempt)(key, cell, args.device, deadline) for key, cell in missing.items()
        )
        for done, (key, record, error) in enumerate(outcomes, start=1):
            n_late += error == LATE
            if record is not None:
                store.add(key, record)
                print(f"[{done}/{len(missing)}] {key}: {record['test']:.4g} {record['unit']} "
                      f"({record['fit_seconds']:.0f} s)", flush=True)  # fmt: skip
            elif error and error != LATE:
                print(error, file=sys.stderr, flush=True)
                failed.append(f"{key.rpartition('_')[0]}: failed")
    late = [f"{n_late} of {len(cells)} fits did not fit into the time"] if n_late else []
    return failed + late


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where a cell failed or did not fit into the time."""
    args = parse(argv)
    store = Store(args.out, args.known)
    if args.merge:
        print(f"{store.merge(args.merge)} cells taken over")
    cells, missing = keys_of(args)
    n_done = sum(key in store for key in cells)
    print(f"{len(cells)} cells, {n_done} finished before", flush=True)
    failed = fit_missing(args, cells, store)
    records = [store.records[key] for key in cells if key in store]
    if records and not args.no_report:
        given = sys.argv[1:] if argv is None else argv
        command = shlex.join(["python", "benchmarks/run_transfer.py", *given])
        text = markdown(records, command=command, missing=[*missing, *failed])
        path = args.out.with_name("transfer.md")
        with written_whole(path) as file:
            file.write(text.encode())
        print(f"wrote {path}")
    for summary in failed:
        print(summary, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

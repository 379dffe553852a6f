"""The table of transfer: when an encoder, or two-body physics, helps a network, and when not.

    python benchmarks/run_transfer.py --cases gap energy dipole --labels 50 100 400 --seeds 8

Every arm learns the same rows in the same number of steps, one task a fit, and is compared
with the same network from scratch, seed by seed; see ``transfer/`` for cases, arms and
controls. Every finished fit is a small file in ``OUT/cells``: an interrupted run goes on where
it stopped, and changed settings or other encoders fit anew. (A change of code is not noticed:
delete the files that it concerns; each states the versions that made it.) The result is
``OUT/transfer.md``. Seeds are outermost, so that a run that is cut short has the same number
of seeds, or one less, everywhere; ``--budget`` ends it after some seconds, and ``--budget 0``
writes the table of what is there.

Cases of fetched data (qm9-*, rmd17-*, crysmtm-*) are run where their files lie in
``QCANVAS_DATA``; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from table.cells import load, save
from transfer.arms import ARMS, FAMILIES, REFERENCES
from transfer.cases import CASES, is_there
from transfer.cells import Cell, fit_cell
from transfer.report import markdown

from qcanvas_sklearn._files import written_whole

HERE = Path(__file__).parent
MAIN = ("scratch", "frozen", "fine-tuned", "baseline", "baseline + fine-tuned")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--cases", nargs="+", default=["gap", "energy", "dipole"], choices=[*CASES, "all"],
        metavar="CASE", help=f"all, or any of {', '.join(CASES)}")  # fmt: skip
    add("--families", nargs="+", default=["schnet"], choices=FAMILIES)
    add("--encoders", nargs="+", default=["dimers-gfn2"], help="names without the family")
    add("--arms", nargs="+", default=[*MAIN], choices=[*ARMS, "main", "all"], metavar="ARM",
        help=f"main ({', '.join(MAIN)}), all, or any of {', '.join(ARMS)}")  # fmt: skip
    add("--labels", nargs="+", type=int, default=[50, 100, 400], metavar="N")
    add("--seeds", type=int, default=8, help="how many")
    add("--epochs", type=int, default=30, help="of every network")
    add("--min-steps", type=int, default=300, help="gradient steps that a fit takes at least")
    add("--batch-size", type=int, default=16)
    add("--folder", type=Path, help="where the encoders lie; by default those that ship")
    add("--no-references", action="store_true", help="leave out the models without a network")
    add("--budget", type=float, default=float("inf"), help="seconds after which to stop")
    add("--out", type=Path, default=HERE / "results" / "transfer")
    args = parser.parse_args(argv)
    args.cases = list(CASES) if "all" in args.cases else args.cases
    if "all" in args.arms:
        args.arms = list(ARMS)
    elif "main" in args.arms:
        args.arms = list(dict.fromkeys([*MAIN, *(a for a in args.arms if a != "main")]))
    return args


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command asks for, in the order in which they are fitted."""
    cells = []
    for seed in range(args.seeds):
        for n in args.labels:
            for case in args.cases:
                if not args.no_references:
                    cells += [Cell(case, name, n, seed) for name in REFERENCES]
                cells += _of_networks(args, case, n, seed)
    return list(dict.fromkeys(cells))


def _of_networks(args: argparse.Namespace, case: str, n: int, seed: int) -> list[Cell]:
    shape = (args.epochs, args.min_steps, args.batch_size)
    folder = str(args.folder or "")
    return [
        Cell(case, arm, n, seed, family, encoder, *shape, folder if encoder else "")
        for family in args.families
        for arm in args.arms
        for encoder in (args.encoders if ARMS[arm].pretrained else [""])
    ]


def places(args: argparse.Namespace) -> tuple[dict[Cell, Path], list[str]]:
    """Where the records of the cells lie, and what cannot be fitted, and why."""
    paths, missing = {}, []
    for case in args.cases:
        if not is_there(CASES[case]):
            missing.append(f"{case}: its files are not in QCANVAS_DATA")
    args.cases = [case for case in args.cases if is_there(CASES[case])]
    for cell in cells_of(args):
        try:
            paths[cell] = args.out / "cells" / cell.filename
        except FileNotFoundError:
            missing.append(f"{cell.arm}: there is no encoder for {cell.encoder} {cell.family}")
    return paths, list(dict.fromkeys(missing))


def fit_missing(paths: dict[Cell, Path], budget: float) -> list[str]:
    """Fit what is not there yet; returns what failed or was not fitted."""
    start, failed = perf_counter(), []
    missing = [cell for cell, path in paths.items() if not path.exists()]
    for done, cell in enumerate(missing, start=1):
        if paths[cell].exists():  # by a run beside this one
            continue
        if perf_counter() - start > budget:
            rest = len(missing) - done + 1
            return [*failed, f"{rest} of {len(paths)} fits did not fit into the budget"]
        try:
            record = fit_cell(cell)
        except Exception:
            print(traceback.format_exc(), file=sys.stderr, flush=True)
            failed.append(f"{cell.case}, {cell.arm}, N = {cell.n}, seed {cell.seed}: failed")
            continue
        if record is None:  # not so many rows, or an arm that the case has not
            continue
        save(record, paths[cell])
        print(f"[{done}/{len(missing)}] {cell.case} {cell.family} {cell.encoder} {cell.arm} "
              f"N={cell.n} seed {cell.seed}: {record['test']:.4g} {record['unit']} "
              f"({record['fit_seconds']:.0f} s)", flush=True)  # fmt: skip
    return failed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where a cell failed or did not fit into the budget."""
    args = parse(argv)
    paths, missing = places(args)
    (args.out / "cells").mkdir(parents=True, exist_ok=True)
    n_done = sum(path.exists() for path in paths.values())
    print(f"{len(paths)} cells, {n_done} finished before", flush=True)
    failed = fit_missing(paths, args.budget)
    records = [load(path) for path in paths.values() if path.exists()]
    if records:
        given = sys.argv[1:] if argv is None else argv
        command = shlex.join(["python", "benchmarks/run_transfer.py", *given])
        text = markdown(records, command=command, missing=[*missing, *failed])
        with written_whole(args.out / "transfer.md") as file:
            file.write(text.encode())
        print(f"wrote {args.out / 'transfer.md'}")
    for summary in failed:
        print(summary, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

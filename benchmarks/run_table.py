"""The table of every model on every target under the published protocol.

    python benchmarks/run_table.py --models pair_mlp gatv2 --targets all --seeds 42 123 456

A random 80/10/10 split of the 2,850 bundled pairs for each seed; a model learns from the
80 % and is measured on the last 10 %. Every finished fit is a small file in ``OUT/cells``:
an interrupted run goes on where it stopped, and changed settings or another version of the
package fit anew. (A change of code alone is not noticed: delete the files of the models that
it concerns.) The results are ``OUT/table.csv`` and ``OUT/table.md``. The tight binding of a
`QCanvasRegressor` is that of the `TightBindingRegressor` with the same inputs, where both are
asked for: it is fitted once, and its seconds count for both.

With ``--records FILE`` every cell is also a line of one file, written by the process that
fitted it; cells that are in it count as finished. So another machine can fit them:

    python benchmarks/run_table.py --models tight_binding qcanvas --device cpu --n-jobs 6
        --minutes 7 --out /tmp/table --records cells.jsonl

With ``--backend dask`` the fits run on a cluster of processes of this machine, or on that of
``--scheduler``, whose workers need `qcanvas_sklearn` installed; start them with one thread
each. (joblib hands out work to two workers or more; with a single one it fits here.)
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

import journal
from joblib import Parallel, delayed, parallel_config
from table.cells import Cell, Outcome, attempt, cell_of, load, save
from table.chains import chains_of, run_chain
from table.models import INPUTS, MODELS
from table.report import long_table, markdown

from qcanvas_sklearn._files import written_whole
from qcanvas_sklearn.targets import resolve_targets

HERE = Path(__file__).parent
N_PAIRS = 2850


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--models", nargs="+", default=["all"], choices=["all", *MODELS], metavar="MODEL",
        help=f"all (default), or any of {', '.join(MODELS)}")  # fmt: skip
    add("--targets", nargs="+", default=["all"], help="all (default), targets or groups")
    add("--seeds", nargs="+", type=int, default=[42, 123, 456])
    add("--inputs", choices=INPUTS, default="own",
        help="what networks are given in place of their own inputs; baselines and "
        "*_elements keep theirs")  # fmt: skip
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--joint", dest="mode", action="store_const", const="joint",
                      help="one fit for all targets (default)")  # fmt: skip
    mode.add_argument("--single", dest="mode", action="store_const", const="single",
                      help="one fit for each target, as published")  # fmt: skip
    add("--backend", choices=["loky", "dask"], default="loky")
    add("--scheduler", help="address of a running dask scheduler, tcp://...")
    add("--n-jobs", type=int, default=2, help="processes on this machine")
    add("--device", default="auto", help="device of the networks")
    add("--max-epochs", type=int, help="epochs of the networks in place of their defaults")
    add("--limit-rows", type=int, help="number of pairs, for a trial")
    add("--minutes", type=float, default=float("inf"), help="no fit begins later than this")
    add("--records", type=Path, metavar="FILE", help="finished cells, read and added to")
    add("--out", type=Path, default=HERE / "results" / "table")
    parser.set_defaults(mode="joint")
    args = parser.parse_args(argv)
    args.models = list(MODELS) if "all" in args.models else list(dict.fromkeys(args.models))
    args.seeds = list(dict.fromkeys(args.seeds))
    try:
        args.targets = resolve_targets(None if "all" in args.targets else args.targets)
    except ValueError as error:
        parser.error(str(error))
    if args.scheduler and args.backend != "dask":
        parser.error("--scheduler is for --backend dask")
    if args.limit_rows is not None and not 20 <= args.limit_rows <= N_PAIRS:
        parser.error(f"--limit-rows {args.limit_rows} is not between 20 and {N_PAIRS}")
    return args


def cells_of(args: argparse.Namespace) -> list[Cell]:
    """All cells that the command asks for."""
    fits = [tuple(args.targets)] if args.mode == "joint" else [(t,) for t in args.targets]
    return [
        Cell(model, seed, targets, args.inputs, args.max_epochs, args.device, args.limit_rows)
        for model in args.models
        for targets in fits
        for seed in args.seeds
    ]


@contextmanager
def workers(args: argparse.Namespace) -> Iterator[None]:
    """joblib's backend: processes of this machine, or a dask cluster."""
    if args.backend == "loky":
        # loky takes what torch needs once it is loaded for a leak, and renews the process.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        with parallel_config("loky", n_jobs=args.n_jobs):
            yield
        return
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(
            '--backend dask needs dask.distributed: pip install "qcanvas-sklearn[test]"'
        ) from error
    with ExitStack() as stack:
        address = args.scheduler or stack.enter_context(
            LocalCluster(n_workers=args.n_jobs, threads_per_worker=1, dashboard_address=None)
        )
        client = stack.enter_context(Client(address))
        if args.scheduler:
            folder = stack.enter_context(TemporaryDirectory())
            client.upload_file(
                shutil.make_archive(f"{folder}/table", "zip", HERE, base_dir="table")
            )
        with parallel_config("dask"):
            yield


def fit_all(cells: Sequence[Cell], args: argparse.Namespace) -> list[Outcome]:
    """Fit the cells, write each as soon as it is there, and return those that failed."""
    failed = []
    end = time() + 60 * args.minutes
    with workers(args):
        parallel = Parallel(return_as="generator_unordered", batch_size=1)
        chains = parallel(
            delayed(run_chain)(part, attempt, args.records, end) for part in chains_of(cells)
        )
        for done, outcome in enumerate(chain.from_iterable(chains), start=1):
            cell, record, error = outcome
            name = f"[{done}/{len(cells)}] {cell.model}, seed {cell.seed}"
            if record is None:
                failed.append(outcome)
                print(f"{name}, {' '.join(cell.targets)}: failed", flush=True)
                print(error, file=sys.stderr, flush=True)
                continue
            save(record, args.out / "cells" / cell.filename)
            errors = [f"{target} {s['mae']:.4g}" for target, s in record["scores"].items()]
            seconds = record["fit_seconds"]
            print(f"{name}: {', '.join(errors[:3])} ({seconds:.1f} s)", flush=True)
    return failed


def write_tables(
    args: argparse.Namespace, paths: Iterable[Path], command: str, failed: Sequence[str]
) -> None:
    """``table.csv`` and ``table.md`` of the cells that are finished."""
    records = [load(path) for path in paths if path.exists()]
    if not records:
        return
    table = long_table(records, args.mode)
    with written_whole(args.out / "table.csv") as file:
        table.to_csv(file, index=False, float_format="%.6g")
    with written_whole(args.out / "table.md") as file:
        file.write(markdown(table, records, command=command, failed=failed).encode())
    print(f"wrote {args.out / 'table.csv'} and {args.out / 'table.md'}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where a cell failed, 2 where a model does not exist."""
    args = parse(argv)
    cells = cells_of(args)
    folder = args.out / "cells"
    try:
        paths = {cell: folder / cell.filename for cell in cells}
    except LookupError as error:
        print(f"run_table.py: {error.args[0]}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    for record in journal.read(args.records) if args.records else ():
        path = paths.get(cell_of(record))
        if path is not None and not path.exists():
            save(record, path)
    missing = [cell for cell, path in paths.items() if not path.exists()]
    print(f"{len(cells)} cells, {len(cells) - len(missing)} finished before", flush=True)
    failed = [
        f"{cell.model}, seed {cell.seed}, {' '.join(cell.targets)}: {error.splitlines()[-1]}"
        for cell, _, error in (fit_all(missing, args) if missing else [])
    ]
    given = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "benchmarks/run_table.py", *given])
    write_tables(args, paths.values(), command, failed)
    for summary in failed:
        print(f"failed: {summary}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

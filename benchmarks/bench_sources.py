"""Time and memory of the sources of pair data.

python benchmarks/bench_sources.py [dftbplus] [archive] [xtb] [--pairs 2850] [--n-jobs 2]
"""

from __future__ import annotations

import argparse
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from qcanvas_sklearn.datasets import PairData, read_dftbplus, read_npz, write_npz
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.datasets._xtb import xtb_source

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "dftbplus"


class Figure(NamedTuple):
    """One measured line: seconds, and the peak of memory that Python allocated."""

    what: str
    n_pairs: int
    seconds: float
    peak_mb: float


def measure(what: str, n_pairs: int, function: Callable[[], Any]) -> Figure:
    """Time of one call, and memory of another: watching memory takes time."""
    start = perf_counter()
    function()
    seconds = perf_counter() - start
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return Figure(what, n_pairs, seconds, peak / 2**20)


def write_runs(folder: Path, n_pairs: int) -> None:
    """Copies of the sample runs under the names and elements of the bundled pairs."""
    runs = sorted(path for path in SAMPLE.iterdir() if path.is_dir())
    for i, (a, b) in enumerate(bundled_pairs().elements[:n_pairs]):
        run = shutil.copytree(runs[i % len(runs)], folder / f"{a}_{b}")
        count, comment, *atoms = (run / "geo_end.xyz").read_text().splitlines()
        rows = [
            " ".join([symbol, *atom.split()[1:]])
            for symbol, atom in zip((a, b), atoms[:2], strict=True)
        ]
        (run / "geo_end.xyz").write_text("\n".join([count, comment, *rows, ""]))


def bench_dftbplus(args: argparse.Namespace) -> Iterator[Figure]:
    """Parsing of raw runs, three files each."""
    with TemporaryDirectory() as name:
        folder = Path(name) / "raw"
        folder.mkdir()
        write_runs(folder, args.pairs)
        n = len(list(folder.iterdir()))
        yield measure("raw DFTB+ runs, one process", n, lambda: read_dftbplus(folder))
        if args.n_jobs > 1:
            read_dftbplus(folder, n_jobs=args.n_jobs)  # starts the processes
            yield measure(
                f"raw DFTB+ runs, {args.n_jobs} processes", n,
                lambda: read_dftbplus(folder, n_jobs=args.n_jobs),
            )  # fmt: skip


def bench_archive(args: argparse.Namespace) -> Iterator[Figure]:
    """Files: the archive's layout, which holds images, and the compact one."""
    pairs = bundled_pairs()[: args.pairs]
    n = len(pairs)
    with TemporaryDirectory() as name:
        archive, compact = Path(name) / "archive.npz", Path(name) / "compact.npz"
        yield measure("write_npz", n, lambda: write_npz(pairs, archive))
        yield measure("read_npz", n, lambda: read_npz(archive))
        yield measure("PairData.save", n, lambda: pairs.save(compact))
        yield measure("PairData.load", n, lambda: PairData.load(compact))


def bench_xtb(args: argparse.Namespace) -> Iterator[Figure]:
    """Live xTB: relaxations, single points of a scan, and both from the cache."""
    if find_spec("tblite") is None:
        return
    # Relaxations take a tenth of a second each, and a few dozen are a fair sample.
    n = min(args.pairs, 60)
    z = np.random.default_rng(0).integers(1, 87, (n, 2))
    lengths = np.tile(np.linspace(1.0, 4.0, n), n)
    every = np.repeat(z, n, axis=0)
    for method in ("GFN1-xTB", "GFN2-xTB"):
        yield measure(
            f"{method}, relaxed", n, lambda m=method: xtb_source(z, method=m, cache=False)
        )
    if args.n_jobs > 1:
        xtb_source(z[:1], n_jobs=args.n_jobs, cache=False)  # starts the processes
        yield measure(
            f"GFN1-xTB, {args.n_jobs} processes", n,
            lambda: xtb_source(z, n_jobs=args.n_jobs, cache=False),
        )  # fmt: skip
    yield measure(
        "GFN1-xTB, points of a scan", n * n, lambda: xtb_source(every, lengths, cache=False)
    )
    with TemporaryDirectory() as name:
        xtb_source(z, cache=name)
        yield measure("GFN1-xTB, from the cache", n, lambda: xtb_source(z, cache=name))


BENCHMARKS: dict[str, Callable[[argparse.Namespace], Iterator[Figure]]] = {
    "dftbplus": bench_dftbplus,
    "archive": bench_archive,
    "xtb": bench_xtb,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", help=f"any of {list(BENCHMARKS)} (default: all)")
    parser.add_argument("--pairs", type=int, default=2850, help="number of pairs")
    parser.add_argument("--n-jobs", type=int, default=2, help="processes")
    args = parser.parse_args()
    unknown = set(args.sources) - set(BENCHMARKS)
    if unknown:
        parser.error(f"unknown source {sorted(unknown)}; known are {list(BENCHMARKS)}")
    print(f"{'':32}{'pairs':>6}{'s':>9}{'ms/pair':>9}{'peak MB':>9}")
    for name in args.sources or BENCHMARKS:
        for what, n, seconds, peak in BENCHMARKS[name](args):
            print(f"{what:32}{n:6d}{seconds:9.2f}{1e3 * seconds / n:9.3f}{peak:9.1f}")


if __name__ == "__main__":
    main()

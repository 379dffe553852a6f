"""``compute``: the electronic structure of pairs or molecules, by xTB."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._command import Command
from ._console import say, shows_progress

if TYPE_CHECKING:
    from ..structures import Molecules, PairData

__all__ = ["COMMAND"]

_DISTANCE = "distance_ang"


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="IN",
        help="table of pairs (.csv, .tsv, .parquet), structures as ASE reads them, or .npz",
    )  # fmt: skip
    parser.add_argument(
        "out", metavar="OUT",
        help=".npz, which keeps all; .csv, .tsv or .parquet of the labels; or structures, "
        "such as .extxyz",
    )  # fmt: skip
    parser.add_argument(
        "--method", choices=("GFN1-xTB", "GFN2-xTB"),
        help="parametrisation (default: GFN1-xTB for pairs, GFN2-xTB for molecules)",
    )  # fmt: skip
    parser.add_argument(
        "--distance", metavar="ANG",
        help="of pairs: relaxed, or lengths in Å between commas (default: the column "
        "distance_ang, relaxed without one)",
    )  # fmt: skip
    parser.add_argument(
        "--temperature", metavar="K", type=float, default=300.0,
        help="electronic temperature (300)",
    )  # fmt: skip
    parser.add_argument("--n-jobs", metavar="N", type=int, help="processes; -1 for all cores")
    parser.add_argument(
        "--no-cache", action="store_true", help="neither read nor keep results on disk"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _run(args: argparse.Namespace) -> int:
    from .._files import check_writable
    from ..datasets import compute_molecules, compute_pairs
    from ._data import open_data

    check_writable(args.out)
    data = open_data(args.source)
    shared: dict[str, Any] = {
        "electronic_temperature": args.temperature, "n_jobs": args.n_jobs,
        "cache": not args.no_cache, "verbose": int(shows_progress(args.quiet)),
    }  # fmt: skip
    if args.method is not None:
        shared["method"] = args.method
    if data.of_molecules:
        if args.distance is not None:
            raise ValueError("--distance is for pairs; molecules have positions")
        found: Any = compute_molecules(data.rows, **shared)
    else:
        pairs, distance = _lengths(args.distance, data.rows)
        found = compute_pairs(pairs, distance=distance, **shared)
    _write(found, args.out)
    n_failed = int(found.labels["total_energy_ev"].isna().sum())
    say(f"{args.out}: {len(found)} rows written, {n_failed} of them without values")
    return 0


def _lengths(distance: str | None, rows: Any) -> tuple[Any, Any]:
    """Pairs, and the lengths that all of them have, or "relaxed"."""
    pairs = rows[["element_1", "element_2"]]
    if distance is None and _DISTANCE in rows:
        return rows[["element_1", "element_2", _DISTANCE]], "relaxed"
    if distance is None or distance == "relaxed":
        return pairs, "relaxed"
    try:
        return pairs, [float(word) for word in distance.split(",")]
    except ValueError:
        raise ValueError(
            f"--distance {distance}: neither 'relaxed' nor numbers between commas"
        ) from None


def _write(found: PairData | Molecules, out: str) -> None:
    from .._files import replaced_whole
    from ..prediction._sources import SEPARATORS, load_pyarrow
    from ..structures import PairData

    suffix = Path(out).suffix.lower()
    if suffix == ".npz":
        found.save(out)
    elif suffix in SEPARATORS:
        with replaced_whole(out) as temporary:
            found.to_frame().to_csv(temporary, index=False, sep=SEPARATORS[suffix])
    elif suffix == ".parquet":
        load_pyarrow()
        with replaced_whole(out) as temporary:
            found.to_frame().to_parquet(temporary, index=False)
    else:
        (found.to_molecules() if isinstance(found, PairData) else found).write(out)


COMMAND = Command(
    "compute", "compute pairs or molecules by xTB (extra xtb)",
    "compute pairs.csv computed.npz --distance 1.0,1.5,2.0 --n-jobs -1", _configure, _run,
)  # fmt: skip

"""Errors and deviations on elements that were not learned from: tight binding beside networks.

    python benchmarks/bench_generalization.py --splits element period --n-jobs 4

For each split that leaves elements out, a tenth of the other pairs is set aside as well
(`split_three`, so that the errors are those of `generalization_gap`). Shown are mean absolute
errors on pairs of seen elements and on those with one and with two unseen ones, and how many
of the labels lie in the 90 % intervals. All pairs of a kind count alike.

The splits are

* ``element``: `LeaveElementOut`, by default of elements spread over blocks and periods;
  ``--elements all`` takes all 75, with a fit for each;
* ``group``: `ElementGroupKFold`, all 75 elements in ``--groups`` fits, several at a time;
* ``period``: `PeriodSplit`, pairs of the elements to krypton and all heavier ones.

The models have few members and a part of their epochs (``--epochs``), so that a run takes
minutes; the settings are printed. Tight binding is fitted once for itself and for
`QCanvasRegressor`. Every finished fit is a line of the file ``--records``: an interrupted run
goes on where it stopped, and other settings are fitted anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import process_time, time
from typing import Any, NamedTuple

import journal
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from table import models
from table.chains import SharedStates

from qcanvas_sklearn import (
    ElementGroupKFold,
    LeaveElementOut,
    PeriodSplit,
    TightBindingRegressor,
    load_pairs,
)
from qcanvas_sklearn.elements import block_letters, property_values, symbols
from qcanvas_sklearn.structures import check_pairs

HERE = Path(__file__).parent
TARGETS = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev", "repulsive_energy_ev",
           "total_energy_ev"]  # fmt: skip
#: Models, those that share tight binding side by side, and their members.
CHAINS = (("tight_binding", "qcanvas"), ("pair_mlp",), ("schnet",))
MEMBERS = {"tight_binding": 2, "qcanvas": 2, "pair_mlp": 5, "schnet": 2}
SPLITS = ("element", "group", "period")
#: Half the width of a central 90 % interval in standard deviations.
REACH = 1.6449


class Fold(NamedTuple):
    """A split: its kind and name, and the rows of its three sides."""

    kind: str
    name: str
    train: np.ndarray
    inside: np.ndarray
    outside: np.ndarray


def spread_out(z: np.ndarray, n: int) -> list[str]:
    """Some of the elements that occur, evenly over the blocks and down their periods."""
    elements = np.unique(z)
    period, block = property_values("period")[elements], block_letters()[elements]
    order = np.lexsort([elements, period, block])
    places = (np.arange(n) + 0.5) * len(elements) // n
    return symbols(np.sort(elements[order[places.astype(int)]])).tolist()


def folds(args: argparse.Namespace, X: pd.DataFrame, y: pd.DataFrame) -> Iterator[Fold]:
    """The splits that are asked for."""
    z = check_pairs(X).z
    for kind in args.splits:
        if kind == "element":
            wanted = symbols(np.unique(z)).tolist()
            if args.elements != ["all"]:
                wanted = args.elements or spread_out(z, args.n_elements)
            splitter: Any = LeaveElementOut(wanted)
            names = wanted
        elif kind == "group":
            splitter = ElementGroupKFold(args.groups)
            names = [f"{k + 1} of {args.groups}" for k in range(args.groups)]
        else:
            splitter, names = PeriodSplit(), ["to krypton"]
        parts = splitter.split_three(X, y, random_state=0)
        yield from (Fold(kind, name, *part) for name, part in zip(names, parts, strict=True))


def build(name: str, args: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """A model, not fitted, and its settings."""
    pipeline = models.build(name, seed=0, inputs=args.inputs, device="cpu").pipeline
    model = pipeline[-1]
    settings = {"inputs": args.inputs, "n_members": MEMBERS[name],
                "max_epochs": max(1, round(args.epochs * model.max_epochs))}  # fmt: skip
    model.set_params(n_members=settings["n_members"], max_epochs=settings["max_epochs"])
    if name == "qcanvas":
        _, own = build("tight_binding", args)
        own = {key: own[key] for key in ("n_members", "max_epochs")}
        model.set_params(tight_binding=TightBindingRegressor(**own))
        settings["tight_binding"] = own
    return pipeline, settings


def scores(
    X: pd.DataFrame, y: pd.DataFrame, fold: Fold, pipeline: Any
) -> dict[str, dict[str, dict[str, float]]]:
    """Number of labels, mean error and coverage by unseen elements of the pair and target."""
    z = check_pairs(X).z
    rows = np.concatenate([fold.inside, fold.outside])
    unseen = (~np.isin(z[rows], z[fold.train])).sum(axis=1)
    predicted, deviation = pipeline.predict(X.iloc[rows], return_std=True)
    error = np.abs(predicted - y.iloc[rows].to_numpy())
    out: dict[str, dict[str, dict[str, float]]] = {}
    for count in np.unique(unseen).tolist():
        own = out.setdefault(str(count), {})
        for k, target in enumerate(y):
            side = (unseen == count) & np.isfinite(error[:, k])
            covered = error[side, k] <= REACH * deviation[side, k]
            if side.any():
                own[target] = {"n": int(side.sum()), "mae": float(error[side, k].mean()),
                               "coverage_90": float(covered.mean())}  # fmt: skip
    return out


def fit(
    chain: Sequence[str], fold: Fold, data: tuple[pd.DataFrame, pd.DataFrame],
    args: argparse.Namespace, end: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """Fit models on a split, and add a record of each to the file at once."""
    X, y = data
    states, out = SharedStates(), []
    for name in chain:
        if time() >= end:
            break
        pipeline, settings = build(name, args)
        start = process_time()
        with states():
            pipeline.fit(X.iloc[fold.train], y.iloc[fold.train])
        record = {"split": fold.kind, "fold": fold.name, "model": name, "settings": settings,
                  "n_rows": len(X), "n_train": len(fold.train),
                  "scores": scores(X, y, fold, pipeline),
                  "seconds": round(process_time() - start, 1)}  # fmt: skip
        journal.append(record, args.records)
        print(f"{fold.kind} {fold.name}, {name}: {record['seconds']:.0f} s", flush=True)
        out.append(record)
    return out


def run(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Records of all that is asked for, those of earlier runs and new ones."""
    X, y = load_pairs(target=TARGETS, return_X_y=True)
    if args.limit_rows:
        rows = np.arange(args.limit_rows) * len(X) // args.limit_rows
        X, y = X.iloc[rows], y.iloc[rows]
    args.records.parent.mkdir(parents=True, exist_ok=True)
    found = journal.read(args.records)
    tasks, records = [], []
    for fold in folds(args, X, y):
        for chain in CHAINS:
            missing = []
            for name in (name for name in chain if name in args.models):
                known = {"split": fold.kind, "fold": fold.name, "model": name,
                         "settings": build(name, args)[1], "n_rows": len(X)}  # fmt: skip
                old = [r for r in found if {key: r[key] for key in known} == known]
                records += old[:1]
                missing += [] if old else [name]
            if missing:
                tasks.append((missing, fold))
    print(f"{len(records)} fits finished before, {sum(len(c) for c, _ in tasks)} to do")
    end = time() + 60 * args.minutes
    # Long ones first, so that none is left alone at the end.
    tasks.sort(key=lambda task: [name in CHAINS[0] for name in task[0]], reverse=True)
    parts = Parallel(n_jobs=args.n_jobs, batch_size=1)(
        delayed(fit)(chain, fold, (X, y), args, end) for chain, fold in tasks
    )
    return records + [record for part in parts for record in part]


def pooled(records: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Mean errors and coverage by split, unseen elements, target and model, over all pairs."""
    rows = pd.DataFrame(
        {"split": record["split"], "unseen": unseen, "target": target,
         "model": record["model"], **own}
        for record in records
        for unseen, by_target in record["scores"].items()
        for target, own in by_target.items()
    )  # fmt: skip
    for name in ("mae", "coverage_90"):
        rows[name] *= rows["n"]
    keys = ["split", "target", "unseen", "model"]
    sums = rows.groupby(keys, sort=False)[["n", "mae", "coverage_90"]].sum()
    return sums.assign(mae=sums["mae"] / sums["n"], coverage_90=sums["coverage_90"] / sums["n"])


def report(records: Sequence[dict[str, Any]]) -> None:
    """Print the settings, errors and coverage of what is finished."""
    for name in dict.fromkeys(record["model"] for record in records):
        own = [record for record in records if record["model"] == name]
        print(f"{name}: {own[0]['settings']}, {len(own)} fits, "
              f"{np.mean([record['seconds'] for record in own]):.0f} CPU s each")  # fmt: skip
    table = pooled(records)
    for title, column, digits in (
        ("mean absolute errors in eV", "mae", 3),
        ("coverage of 90 % intervals", "coverage_90", 2),
        ("labels", "n", 0),
    ):
        print(f"\n{title}, by the unseen elements of a pair")
        print(table[column].unstack("model").round(digits).to_string())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 1 where the time did not suffice for anything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    names = [name for chain in CHAINS for name in chain]
    add("--splits", nargs="+", choices=SPLITS, default=["element", "period"])
    add("--models", nargs="+", choices=names, default=names)
    add("--inputs", choices=models.INPUTS, default="own")
    add("--elements", nargs="+", help="symbols, or all; by default some of each kind")
    add("--n-elements", type=int, default=12, help="how many elements by default")
    add("--groups", type=int, default=15, help="fits of the split by groups of elements")
    add("--epochs", type=float, default=1 / 3, help="part of a model's default epochs")
    add("--n-jobs", type=int, default=1, help="processes")
    add("--minutes", type=float, default=float("inf"), help="no fit begins later than this")
    add("--limit-rows", type=int, help="number of pairs, for a trial")
    add("--records", type=Path, default=HERE / "results" / "generalization" / "fits.jsonl")
    records = run(parser.parse_args(argv))
    if not records:
        print("nothing is finished", file=sys.stderr)
        return 1
    report(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())

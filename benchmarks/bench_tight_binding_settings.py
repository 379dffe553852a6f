"""Settings of tight binding, compared on the validation tenth of the published split.

    python benchmarks/bench_tight_binding_settings.py --variants default "every row" --n-jobs 2

A fit that finds bond lengths learns from populations and distances as well, so its members
can be asked what they say of a pair from populations, from the distance with charges solved,
and from the elements. Shown are mean absolute errors of the ensemble, those of its members
alone with their scatter (what a seed is worth), and, of the training pairs, errors of members
that learned from a pair and of those that did not, for pairs that are much shorter than the sum
of their covalent radii and for all others: a form that cannot hold a pair fails where it
learned from it, too.

The test tenth is not looked at. Every fit is a line of the file ``--records``, and an
interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from time import process_time, time
from typing import Any, NamedTuple
from unittest.mock import patch

import journal
import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from table.cells import collapsed, split

from qcanvas_sklearn import TightBindingRegressor, load_pairs
from qcanvas_sklearn.nn.cores.tight_binding import (
    QUANTITIES,
    TERMS,
    hamiltonian,
    in_order,
    members,
    quantities_of,
    state_targets,
)
from qcanvas_sklearn.structures import PairData

Change = Callable[[], AbstractContextManager]

HERE = Path(__file__).parent
TARGETS = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev",
           "q_absmean", "dipole_mag_d", "distance_ang"]  # fmt: skip
GIVEN = ("populations", "distance", "elements")


class Variant(NamedTuple):
    """Parameters of the estimator, and changes to what no parameter sets."""

    parameters: dict[str, Any]
    changes: Sequence[Change] = ()


def constants(module: Any, **values: Any) -> Change:
    """Other values of a module's constants."""
    return lambda: patch.multiple(module, **values)


def weights(**factors: float) -> Change:
    """Other weights in the loss, as multiples of the usual ones."""
    changed = {name: TERMS[name]._replace(weight=factor * TERMS[name].weight)
               for name, factor in factors.items()}  # fmt: skip
    return lambda: patch.dict(TERMS, changed)


def every_row() -> AbstractContextManager:
    """Members that learn from all rows."""
    fold = lambda model, rows: np.full(len(rows), -1)  # noqa: E731
    return patch.object(TightBindingRegressor, "_fold", fold)


VARIANTS = {
    "default": Variant({}),
    "every row": Variant({}, (every_row,)),
    "180 epochs": Variant({"max_epochs": 180}),
    "11 gaussians": Variant({"n_gaussians": 11}),
    "13 gaussians": Variant({"n_gaussians": 13}),
    "128 hidden": Variant({"n_hidden": 128}),
    "lr 0.008": Variant({"lr": 8e-3}),
    "integrals by 15 %": Variant({}, (constants(hamiltonian, HOPPING_REACH=0.15),)),
    "integrals by 60 %": Variant({}, (constants(hamiltonian, HOPPING_REACH=0.6),)),
    "a third of the prior": Variant({}, (constants(members, PRIOR_WEIGHT=0.05),)),
    "forces in every batch": Variant({}, (constants(members, FORCE_EVERY=1),)),
    "band x 3": Variant({}, (weights(band=3.0),)),
    "populations x 3": Variant({}, (weights(populations=3.0),)),
    "force x 3": Variant({}, (weights(force=3.0),)),
}


def states(net: Any, pairs: PairData, given: str) -> np.ndarray:
    """`QUANTITIES` (n, members, 8) of pairs as the members have them."""
    shells = torch.as_tensor(pairs.shell_populations).double()
    z, shells, sign = in_order(torch.as_tensor(pairs.z).long(), shells)
    distance = torch.as_tensor(pairs.bond_lengths).double()
    known = {"populations": (distance, shells), "distance": (distance, None)}
    with torch.no_grad():
        found = net.states(z, *known.get(given, (None, None)))
        return np.stack([quantities_of(own.state, sign).numpy() for own in found], axis=1)


def targets_of(quantities: np.ndarray) -> np.ndarray:
    """`TARGETS` (..., 8) of quantities (..., 8)."""
    state = {name: torch.as_tensor(quantities[..., k]) for k, name in enumerate(QUANTITIES)}
    derived = state_targets(state)
    return np.stack([derived[name].numpy() for name in TARGETS], axis=-1)


def errors(model: Any, quantities: np.ndarray, y: np.ndarray) -> dict[str, dict[str, Any]]:
    """Errors of the ensemble, of its members and of all their medians, by target."""
    centre = np.abs(targets_of(model._centre(quantities)) - y)
    median = np.abs(targets_of(np.median(quantities, axis=1)) - y)
    own = np.nanmean(np.abs(targets_of(quantities) - y[:, None]), axis=0)
    return {
        target: {"ensemble": float(np.nanmean(centre[:, k])),
                 "its median": float(np.nanmedian(centre[:, k])),
                 "medians": float(np.nanmean(median[:, k])),
                 "members": own[:, k].tolist()}
        for k, target in enumerate(TARGETS)
    }  # fmt: skip


def learned(
    model: Any, net: Any, X: pd.DataFrame, pairs: PairData, y: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Errors of members that learned from training pairs, and of those that did not."""
    short = collapsed(pairs)
    error = np.abs(targets_of(states(net, pairs, "populations")) - y[:, None])
    absent = model._fold(model._known_rows(X))[:, None] == np.arange(error.shape[1])
    return {
        target: {f"{kind}, {side}": float(np.nanmean(error[rows & own, k]))
                 for kind, rows in (("collapsed", short[:, None]), ("others", ~short[:, None]))
                 for side, own in (("learned", ~absent), ("not learned", absent))
                 if (rows & own).any()}
        for k, target in enumerate(TARGETS[:5])
    }  # fmt: skip


def fit(name: str, seed: int, args: argparse.Namespace, end: float) -> list[dict[str, Any]]:
    """Fit a variant, and add its record to the file at once."""
    if time() >= end:
        return []
    bunch = load_pairs()
    train, valid, _ = split(len(bunch.data), seed)
    if args.limit_rows:
        train = train[: args.limit_rows]
    variant = VARIANTS[name]
    parameters = {"max_epochs": args.max_epochs} if args.max_epochs else {}
    model = TightBindingRegressor(
        **{"given": "elements", "random_state": 0, **variant.parameters, **parameters}
    )
    X, y, y_valid = bunch.data, bunch.target, bunch.target[TARGETS].to_numpy()[valid]
    start = process_time()
    with ExitStack() as stack:
        for change in variant.changes:
            stack.enter_context(change())
        model.fit(X.iloc[train], y.iloc[train], X_val=X.iloc[valid], y_val=y.iloc[valid])
        seconds = process_time() - start
        net = model.net_.module_.double().eval()
        pairs = bunch.pairs
        by_given = {
            given: errors(model, states(net, pairs[valid], given), y_valid) for given in GIVEN
        }
        kept = learned(model, net, X.iloc[train], pairs[train], y[TARGETS].to_numpy()[train])
    record = {"variant": name, "seed": seed, "n_train": len(train), "epochs": model.n_iter_,
              "seconds": round(seconds), "errors": by_given, "learned": kept}  # fmt: skip
    journal.append(record, args.records)
    print(f"{name}, seed {seed}: {seconds:.0f} s", flush=True)
    return [record]


def tables(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Errors by variant, the mean over the seeds."""
    for given in GIVEN:
        rows = {}
        for record in records:
            for target, own in record["errors"][given].items():
                single = np.array(own["members"])
                rows[record["variant"], record["seed"], target] = {
                    "ensemble": own["ensemble"], "its median": own["its median"],
                    "medians": own["medians"], "member": single.mean(),
                    "scatter": single.std(ddof=1) if len(single) > 1 else np.nan,
                }  # fmt: skip
        table = pd.DataFrame(rows).T.rename_axis(["variant", "seed", "target"])
        table = table.groupby(["target", "variant"], sort=False).mean()
        yield f"from {given}, validation pairs", table
    kept = {
        (target, record["variant"], record["seed"]): own
        for record in records
        for target, own in record["learned"].items()
    }
    table = pd.DataFrame(kept).T.rename_axis(["target", "variant", "seed"])
    yield "training pairs, from populations", table.groupby(level=[0, 1], sort=False).mean()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), metavar="NAME",
        help=f"of {', '.join(VARIANTS)}")  # fmt: skip
    add("--seeds", nargs="+", type=int, default=[42])
    add("--max-epochs", type=int, help="in place of those of the variants, for a trial")
    add("--limit-rows", type=int, help="training pairs, for a trial")
    add("--n-jobs", type=int, default=1, help="processes")
    add("--minutes", type=float, default=float("inf"), help="no fit begins later than this")
    add("--records", type=Path, default=HERE / "results" / "tight_binding" / "settings.jsonl")
    args = parser.parse_args(argv)
    args.records.parent.mkdir(parents=True, exist_ok=True)
    asked = [(name, seed) for seed in args.seeds for name in args.variants]
    found = {(r["variant"], r["seed"]): r for r in journal.read(args.records)}
    records = [found[key] for key in asked if key in found]
    end = time() + 60 * args.minutes
    parts = Parallel(n_jobs=args.n_jobs, batch_size=1)(
        delayed(fit)(*key, args, end) for key in asked if key not in found
    )
    records += [record for part in parts for record in part]
    for title, table in tables(records) if records else ():
        print(f"\n{title}\n{table.round(4).to_string()}")


if __name__ == "__main__":
    main()

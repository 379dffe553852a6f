"""Where the errors of tight binding come from: learning curve, medians, and named pairs.

A `TightBindingRegressor` learns from parts of the training pairs of the published split, and
is measured on its validation tenth. An error that still falls with the number of pairs is
limited by data. A mean far above the median belongs to a few pairs: those of the last fit
are named, with what might be behind them:

* ``minima``: how many minima its own curve of the energy has, from 0.7 to 1.6 times the
  bond length;
* ``spacing``: smallest distance in eV of two neighbours among HOMO - 1 to LUMO + 1 (of
  different symmetry, or of one and not degenerate);
* ``discrepancy``: largest difference of a shell's population, computed from its orbitals and
  given (solved, where none is given);
* ``seen``: training pairs of the element that has fewer.

Usage: ``python benchmarks/bench_tight_binding_errors.py [--given populations]``
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from qcanvas_sklearn import TightBindingRegressor, load_pairs
from qcanvas_sklearn.structures import PairData

#: Targets that are shown, and those that a prediction from the elements is worth a look at.
SHOWN = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev"]
FROM_ELEMENTS = ["distance_ang", "q_absmean"]
#: Distances in Å at which curves are computed, and the part of them that is looked at, in bond
#: lengths.
CURVE = np.arange(0.6, 6.6, 0.1)
LOOKED_AT = (0.7, 1.6)
#: Depth in eV that makes a minimum of a curve count.
DEPTH_EV = 1e-3
#: Spacing in eV below which two levels are called close.
CLOSE_EV = 0.05


def summary(errors: pd.DataFrame) -> pd.DataFrame:
    """Mean and median absolute error, and the part of the worst tenth in the mean."""
    worst = errors.apply(lambda e: e.nlargest(int(np.ceil(0.1 * e.count()))).sum() / e.sum())
    rows = {"mean": errors.mean(), "median": errors.median(), "share of the worst tenth": worst}
    return pd.DataFrame(rows).T


def n_minima(model: TightBindingRegressor, X: pd.DataFrame, bonds: np.ndarray) -> np.ndarray:
    """Minima of each pair's curve that are deeper than `DEPTH_EV`."""
    curves = model.potential_curve(X, CURVE)
    near = [(low <= CURVE) & (high >= CURVE) for low, high in np.outer(bonds, LOOKED_AT)]
    return np.array([_minima(curve[rows]) for curve, rows in zip(curves, near, strict=True)])


def _minima(curve: np.ndarray) -> int:
    """Times that a curve has fallen by `DEPTH_EV` when it rises by as much again."""
    count, falling, extreme = 0, False, curve[0]
    for value in curve:
        extreme = min(extreme, value) if falling else max(extreme, value)
        if abs(value - extreme) > DEPTH_EV:
            count += falling
            falling, extreme = not falling, value
    return count


def spacing(levels: pd.DataFrame) -> np.ndarray:
    """Smallest distance of neighbours among HOMO - 1 to LUMO + 1 of each pair."""
    out = []
    for _, own in levels.groupby("pair"):
        energy = own["energy_ev"].to_numpy()
        occupied = np.flatnonzero(own["electrons"] > 0.5 * own["degeneracy"])
        homo = occupied[-1] if len(occupied) else 0
        out.append(np.diff(energy[max(0, homo - 1) : homo + 3]).min(initial=np.inf))
    return np.array(out)


def causes(
    model: TightBindingRegressor, X: pd.DataFrame, pairs: PairData, train: PairData
) -> pd.DataFrame:
    """What might be behind the error of each pair."""
    seen = np.bincount(train.z.ravel(), minlength=104)
    difference = model.populations(X) - pairs.shell_populations
    return pd.DataFrame(
        {
            "minima": n_minima(model, X, pairs.bond_lengths),
            "spacing": spacing(model.levels(X)),
            "discrepancy": np.abs(difference).max(axis=(1, 2)),
            "seen": seen[pairs.z].min(axis=1),
        },
        index=[f"{a}-{b}" for a, b in X.to_numpy()],
    )


def associations(errors: pd.DataFrame, why: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of errors with their possible causes."""
    joined = pd.concat([errors, why.replace(np.inf, np.nan)], axis=1)
    return joined.corr("spearman").loc[why.columns, errors.columns]


def report(errors: pd.DataFrame, why: pd.DataFrame, n_named: int) -> None:
    """Print how the errors go with their possible causes, and the largest of them."""
    several, close = why["minima"] > 1, why["spacing"] < CLOSE_EV
    print(f"\nof {len(why)} pairs {several.sum()} have several minima, {close.sum()} levels "
          f"closer than {CLOSE_EV} eV; mean errors without and with")  # fmt: skip
    for name, flag in (("several minima", several), ("close levels", close)):
        print(errors.groupby(flag.rename(name)).mean().round(4).to_string())
    print("\nrank correlation of the errors with possible causes")
    print(associations(errors, why).round(2).to_string())
    for target in errors:
        worst = errors[target].nlargest(n_named).index
        named = pd.concat([errors.loc[worst, target], why.loc[worst]], axis=1)
        print(f"\nlargest errors of {target}\n{named.round(3).to_string()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--given", choices=("populations", "distance", "elements"), default="populations")
    add("--fractions", nargs="+", type=float, default=[0.25, 0.5, 1.0])
    add("--seed", type=int, default=42)
    add("--max-epochs", type=int, default=120)
    add("--named", type=int, default=8, help="pairs that are named for each target")
    args = parser.parse_args()
    bunch = load_pairs()
    X, y, pairs = bunch.data, bunch.target, bunch.pairs
    shown = SHOWN + (FROM_ELEMENTS if args.given == "elements" else [])
    order = np.random.RandomState(args.seed).permutation(len(X))
    pool, valid, _ = np.split(order, [8 * len(X) // 10, 9 * len(X) // 10])
    print(f"given {args.given}, {args.max_epochs} epochs, {len(valid)} validation pairs, "
          "absolute errors")  # fmt: skip
    for fraction in args.fractions:
        train = pool[: round(fraction * len(pool))]
        model = TightBindingRegressor(
            given=args.given, max_epochs=args.max_epochs, random_state=0
        ).fit(X.iloc[train], y.iloc[train])
        predicted = pd.DataFrame(model.predict(X.iloc[valid]), columns=y.columns)
        errors = (predicted - y.iloc[valid].reset_index(drop=True)).abs()[shown]
        table = summary(errors).round(4).to_string()
        print(f"\n{len(train)} training pairs\n{table}", flush=True)
    why = causes(model, X.iloc[valid], pairs[valid], pairs[train])
    report(errors.set_index(why.index), why, args.named)


if __name__ == "__main__":
    main()

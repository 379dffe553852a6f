"""What two-centre physics is worth where labels are few.

Ridge regression on the features of `TwoCentreTransformer`, with and without self-consistent
charges, beside one on the composition: errors on bundled molecules of other formulas than
those trained on, against the number of labels; mean and standard deviation over random
splits. The charges of the shipped tables were fitted to molecules of the G2 set; formulas
that occur there are left out of both sides. Labels and tables are of one method, GFN2-xTB;
but for tables that a `TightBindingRegressor` learned from the 15 bundled pairs of H, C, N, O
and F, which are of another method (DFTB) and each at one distance, their bond length.

Usage: ``python benchmarks/bench_two_centre.py [--labels 50 100 400] [--seeds 20]``
(half a minute of one core; needs ``pip install ase tblite``)
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from make_two_centre_tables import g2_molecules
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GroupShuffleSplit

from qcanvas_sklearn import (
    TightBindingRegressor,
    TwoCentreTransformer,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.hamiltonians import TwoCentreTables, compute_hamiltonians

TARGETS = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "dipole_mag_d", "total_energy_ev")
FEATURES = {
    "composition": {"features": ["composition"], "scc": False},
    "H0": {"scc": False},
    "self-consistent, levels": {"features": ["levels", "composition"]},
    "self-consistent": {},
}
ALPHAS = np.logspace(-4, 4, 33)
TEST_SHARE = 0.25


def bundled() -> tuple:
    """Bundled molecules whose formulas no charges were fitted to, and their labels."""
    X, y = load_molecules(return_X_y=True)
    new = ~np.isin(X.formulas, g2_molecules().formulas)
    return X[new], y[new]


def taught() -> TwoCentreTables:
    """Tables of what the bundled pairs of five elements teach."""
    X, y = load_pairs(return_X_y=True)
    few = X.isin(["H", "C", "N", "O", "F"]).all(axis=1)
    model = TightBindingRegressor(n_members=1, random_state=0).fit(X[few], y[few])
    return TwoCentreTables.from_pairs(model)


def without_labels(X) -> None:
    """Print what the tables give before any label is seen."""
    tables = TwoCentreTables.load()
    exact, found = compute_hamiltonians(X), tables.self_consistent(X)
    core = tables.hamiltonians(X)
    off = np.abs(found.overlap_values - exact.overlap_values).max()
    print(f"{len(X)} molecules; overlaps to {off:.1e}; not converged: "
          f"{(found.molecules.quality != 'ok').sum()}")  # fmt: skip
    for name, what in (("H0", core), ("self-consistent", found)):
        levels = [np.abs(getattr(what, k)() - getattr(exact, k)()).mean()
                  for k in ("homo", "lumo", "gap")]  # fmt: skip
        elements = np.abs(what.values - exact.values).mean() / 27.211386e-6
        print(f"{name}: HOMO, LUMO, gap to {np.round(levels, 3)} eV, F to {elements:.0f} µHa")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[50, 100, 400])
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    X, y = bundled()
    without_labels(X)
    kinds = {**FEATURES, "H0, taught by pairs": {"scc": False, "tables": taught()}}
    features = {
        name: TwoCentreTransformer(**parameters).fit_transform(X)
        for name, parameters in kinds.items()
    }
    splits = GroupShuffleSplit(args.seeds, test_size=TEST_SHARE, random_state=0)
    rows = []
    for seed, (pool, test) in enumerate(splits.split(X, groups=X.formulas)):
        pool = np.random.default_rng(seed).permutation(pool)
        for name, F in features.items():
            for n in args.labels:
                for target in TARGETS:
                    train = pool[:n]
                    model = RidgeCV(ALPHAS).fit(F[train], y[target].iloc[train])
                    error = mean_absolute_error(y[target].iloc[test], model.predict(F[test]))
                    rows.append((target, name, n, error))
    table = pd.DataFrame(rows, columns=["target", "features", "labels", "error"])
    spread = table.groupby(["target", "features", "labels"], sort=False)["error"]
    summary = spread.agg(["mean", "std"])
    shown = summary.apply(lambda row: f"{row['mean']:.3f} ± {row['std']:.3f}", axis=1)
    print(shown.unstack("labels").to_string())


if __name__ == "__main__":
    main()

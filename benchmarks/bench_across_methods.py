"""What two-centre physics of one method is worth for labels of another.

Ridge regression on the features of `TwoCentreTransformer`, whose tables are of GFN2-xTB, for
gaps and total energies by PBE/def2-SVP, beside ridge on the composition and kernel ridge on
FCHL19 behind the composition; the same for labels of GFN2-xTB of the same molecules. Errors on
molecules of other formulas than those trained on, mean and standard deviation over random
splits. The molecules are bundled ones in a random order, without those of formulas that the
tables' charges were fitted to. PySCF fits densities, on its coarse grid 1: beside grid 3, gaps
of two molecules changed by 0.1 and 0.2 meV, total energies by 2.3 and 1.2 meV.

Usage: ``python benchmarks/bench_across_methods.py labels.csv [--labels 50 200] [--seeds 20]``
``python benchmarks/bench_across_methods.py labels.csv --compute 270 [--n-jobs 1]`` adds
labels of molecules that are not in the file yet, one line as each is done: 4 to 15 s of one
core each (needs ``pip install ase tblite pyscf qmllib``)
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from bench_two_centre import ALPHAS, bundled
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupShuffleSplit

from qcanvas_sklearn import MoleculeKernelTransformer, TwoCentreTransformer
from qcanvas_sklearn.estimators._baseline import RidgeBaseline
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import HARTREE_IN_EV

METHOD, TABLES = "PBE/def2-SVP", "GFN2-xTB"
TARGETS = ("e_g_ev", "total_energy_ev")
FEATURES = {
    "composition": {"features": ["composition"], "scc": False},
    "two-centre, levels": {"features": ["levels", "composition"]},
    "two-centre": {},
}
KERNEL = "FCHL19 + kernel ridge"
#: What grows with a molecule is a sum over its atoms.
POOLING = {"e_g_ev": "mean", "total_energy_ev": "sum"}
PENALTIES = {"alpha": np.logspace(-9, -1, 9)}
TEST_SHARE = 0.3

Array = NDArray[np.float64]
#: Predictions for test rows, from labels of all rows and which of them are to be learned from.
Model = Callable[[Array, NDArray, NDArray], Array]


def sample(n: int) -> tuple[Molecules, pd.DataFrame]:
    """The first molecules of a random order, with the labels of the tables' method."""
    molecules, labels = bundled()
    chosen = np.random.default_rng(0).permutation(len(molecules))[:n]
    return molecules[chosen], labels.iloc[chosen].reset_index(drop=True)


def labelled(molecule: Molecules) -> tuple[str, float, float]:
    """Name, gap and total energy in eV of one molecule."""
    from pyscf import dft, gto, lib

    functional, basis = METHOD.split("/")
    with lib.with_omp_threads(1):
        atoms = list(zip(molecule.z.tolist(), molecule.positions.tolist(), strict=True))
        states = dft.RKS(gto.M(atom=atoms, basis=basis, verbose=0), xc=functional)
        states = states.density_fit()
        states.grids.level, states.conv_tol = 1, 1e-7
        energy = states.kernel()
    assert states.converged
    occupied = int(molecule.z.sum()) // 2
    homo, lumo = states.mo_energy[occupied - 1 : occupied + 1]
    return str(molecule.names[0]), (lumo - homo) * HARTREE_IN_EV, energy * HARTREE_IN_EV


def compute(path: Path, n: int, n_jobs: int) -> None:
    """Add the labels of the first molecules to the file, each when it is done."""
    molecules, _ = sample(n)
    done = set(pd.read_csv(path)["smiles"]) if path.exists() else set()
    left = [molecules[[i]] for i in range(n) if str(molecules.names[i]) not in done]
    if not path.exists():
        path.write_text(",".join(["smiles", *TARGETS]) + "\n")
    started = time.perf_counter()
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")
    for found in parallel(delayed(labelled)(molecule) for molecule in left):
        with path.open("a") as file:
            file.write("{},{:.5f},{:.5f}\n".format(*found))
    print(f"{len(left)} of {n} molecules computed, {time.perf_counter() - started:.0f} s")


def said(composition: Array, y: Array, train: NDArray) -> Array:
    """What ridge on the composition says of all rows."""
    return np.asarray(RidgeCV(ALPHAS).fit(composition[train], y[train]).predict(composition))


def ridge(F: Array, composition: Array, target: str) -> Model:
    """Ridge as a network's `baseline` has it: what errs least on rows left out is chosen.

    Of features as they are or standardised; of energies, with or without the composition
    taken off before.
    """

    def predicted(y: Array, train: NDArray, test: NDArray) -> Array:
        known = said(composition, y, train)[:, None]
        known = known if target == "total_energy_ev" else np.zeros_like(known)
        weight = np.ones(len(train))
        model = RidgeBaseline.fit(F[train], y[train, None], known[train], weight)
        return (model.predict(F[test]) + known[test] * model.behind)[:, 0]

    return predicted


def kernel_ridge(molecules: Molecules, composition: Array, target: str) -> Model:
    """Kernel ridge on FCHL19 behind the composition, its penalty by cross-validation."""

    def predicted(y: Array, train: NDArray, test: NDArray) -> Array:
        known = said(composition, y, train)
        kernel = MoleculeKernelTransformer(pooling=POOLING[target])
        within = kernel.fit_transform(molecules[train])
        across = kernel.transform(molecules[test])
        search = GridSearchCV(
            KernelRidge(kernel="precomputed"), PENALTIES, scoring="neg_mean_absolute_error"
        )
        search.fit(within, y[train] - known[train])
        return np.asarray(known[test] + search.predict(across))

    return predicted


def errors(
    molecules: Molecules, labels: dict[str, pd.DataFrame], n_labels: list[int], seeds: int
) -> pd.DataFrame:
    """One line for each split, source of labels, target, model and number of labels."""
    features = {
        name: TwoCentreTransformer(**parameters).fit_transform(molecules)
        for name, parameters in FEATURES.items()
    }
    splits = GroupShuffleSplit(seeds, test_size=TEST_SHARE, random_state=0)
    rows = []
    for seed, (pool, test) in enumerate(splits.split(molecules, groups=molecules.formulas)):
        pool = np.random.default_rng(seed).permutation(pool)
        for source, table in labels.items():
            for target in TARGETS:
                y = table[target].to_numpy()
                composition = features["composition"]
                models = {
                    name: ridge(F, composition, target) for name, F in features.items()
                }
                models[KERNEL] = kernel_ridge(molecules, composition, target)
                for name, model in models.items():
                    for n in n_labels:
                        # Where a split leaves fewer, they are all.
                        error = mean_absolute_error(y[test], model(y, pool[:n], test))
                        rows.append((target, source, name, n, len(pool[:n]), error))
    columns = ["target", "labels of", "model", "labels", "used", "error"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="CSV of the labels")
    parser.add_argument("--compute", type=int, metavar="N")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--labels", nargs="+", type=int, default=[50, 200])
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    if args.compute is not None:
        compute(args.file, args.compute, args.n_jobs)
        return
    pbe = pd.read_csv(args.file).set_index("smiles")
    molecules, own = sample(len(bundled()[0]))
    there = np.flatnonzero(np.isin(molecules.names, pbe.index))
    molecules, own = molecules[there], own.iloc[there]
    labels = {METHOD: pbe.loc[molecules.names.astype(str)], TABLES: own}
    shift = labels[METHOD]["e_g_ev"].to_numpy() - own["e_g_ev"].to_numpy()
    print(
        f"{len(molecules)} molecules of {len(set(molecules.formulas))} formulas; the gap of "
        f"{METHOD} less that of {TABLES}: {shift.mean():.2f} ± {shift.std():.2f} eV"
    )
    table = errors(molecules, labels, args.labels, args.seeds)
    used = table.groupby("labels")["used"].min()
    print("labels, and the fewest that a split had:", used.to_dict())
    grouped = table.groupby(["target", "labels of", "model", "labels"], sort=False)["error"]
    summary = grouped.agg(["mean", "std"])
    shown = summary.apply(lambda row: f"{row['mean']:.3f} ± {row['std']:.3f}", axis=1)
    print(shown.unstack("labels").to_string())


if __name__ == "__main__":
    main()

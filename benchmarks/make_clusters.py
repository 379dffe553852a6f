"""Make the clusters of titanium dioxide on whose levels transfer is measured.

Isomers of (TiO2)n, n = 2 to 4, are relaxed with GFN2-xTB from atoms dropped at random, kept
where they hold together, have a gap and differ from those before, and shaken: every isomer
comes in `FRAMES` copies whose atoms are moved by 0.06 Å a coordinate, with the levels that
GFN2-xTB gives these. The groups are the isomers, so that whole ones can be tested. Needs ``pip
install ase tblite``.

Usage: ``python benchmarks/make_clusters.py [--out FOLDER]`` (some 4 minutes of one core). The
file ``clusters.npz`` (0.1 MB) is not part of the repository; ``run_transfer.py`` looks for it
in ``QCANVAS_DATA``, where it is written by default.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.neighborlist import natural_cutoffs, neighbor_list
from ase.optimize import FIRE
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist
from tblite.ase import TBLite

from qcanvas_sklearn._files import data_home
from qcanvas_sklearn.datasets import compute_molecules
from qcanvas_sklearn.structures import Molecules

METHOD = "GFN2-xTB"
#: Isomers by number of formula units.
ISOMERS = {2: 4, 3: 8, 4: 12}
FRAMES, SHAKEN = 16, 0.06
#: Steps and largest force (eV/Å) of a relaxation.
STEPS, LARGEST_FORCE = 150, 0.1
#: Gap (eV) below which a cluster is no closed shell, and its levels are those of a mixture.
LEAST_GAP = 0.3
#: Root mean square difference (Å) of sorted distances below which two isomers are one.
LEAST_DIFFERENCE = 0.1


def dropped(n_units: int, rng: np.random.Generator) -> Atoms:
    """Atoms at random places in a ball, none nearer than 1.6 Å to another."""
    numbers = [22] * n_units + [8] * (2 * n_units)
    radius = 1.3 * len(numbers) ** (1 / 3)
    places: list[np.ndarray] = []
    while len(places) < len(numbers):
        place = rng.uniform(-radius, radius, 3)
        apart = all(np.linalg.norm(place - other) > 1.6 for other in places)
        if np.linalg.norm(place) < radius and apart:
            places.append(place)
    return Atoms(numbers, np.array(places))


def relaxed(atoms: Atoms) -> Atoms | None:
    """The atoms at rest; None where they do not come to it, hold together or have a gap."""
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    try:
        if not FIRE(atoms, logfile=None).run(fmax=LARGEST_FORCE, steps=STEPS):
            return None
    except (RuntimeError, ValueError):
        return None
    first, second = neighbor_list("ij", atoms, natural_cutoffs(atoms, mult=1.2))
    bonds = coo_array((np.ones(len(first)), (first, second)), shape=(len(atoms), len(atoms)))
    if connected_components(bonds)[0] > 1:
        return None
    gap = labelled(Molecules.from_ase([atoms])).labels["e_g_ev"].to_numpy()
    return atoms if len(gap) and gap[0] > LEAST_GAP else None


def labelled(molecules: Molecules) -> Molecules:
    """Those that converge, with their levels."""
    computed = compute_molecules(molecules, method=METHOD, properties=["levels"], cache=False)
    fine = computed[computed.quality == "ok"]
    return replace(fine, labels=fine.labels.round(6))


def distances(atoms: Atoms) -> np.ndarray:
    """What two isomers are told apart by: distances within and between the elements."""
    titanium, oxygen = (atoms.positions[atoms.numbers == z] for z in (22, 8))
    between = np.linalg.norm(titanium[:, None] - oxygen, axis=-1).ravel()
    return np.concatenate([np.sort(part) for part in (pdist(titanium), pdist(oxygen), between)])


def isomers(n_units: int, n_isomers: int) -> list[Atoms]:
    """Different isomers of one size."""
    found: list[Atoms] = []
    for seed in count():
        atoms = relaxed(dropped(n_units, np.random.default_rng([n_units, seed])))
        if atoms is None:
            continue
        own = distances(atoms)
        others = [np.sqrt(((own - distances(other)) ** 2).mean()) for other in found]
        if min(others, default=np.inf) > LEAST_DIFFERENCE:
            found.append(atoms)
            print(f"(TiO2){n_units}: {len(found)} isomers from {seed + 1} starts", flush=True)
        if len(found) == n_isomers:
            return found


def shaken() -> Molecules:
    """All isomers, moved, without labels."""
    rng = np.random.default_rng(0)
    frames, groups = [], []
    for n_units, n_isomers in ISOMERS.items():
        for k, atoms in enumerate(isomers(n_units, n_isomers)):
            for _ in range(FRAMES):
                moved = atoms.positions + rng.normal(0, SHAKEN, atoms.positions.shape)
                frames.append(Atoms(atoms.numbers, moved.astype(np.float32)))
                groups.append(f"(TiO2){n_units}, isomer {k}")
    return Molecules.from_ase(frames, names=groups, groups=groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="by default QCANVAS_DATA")
    args = parser.parse_args()
    made = labelled(shaken())
    path = data_home(args.out) / "clusters.npz"
    made.save(path)
    print(f"{path}: {made}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

"""Make the two-centre tables that ship with the package.

Overlaps, couplings and shifts of levels come from dimers of H, C, N, O, F and Ti in GFN2-xTB.
The parameters of the charges of H, C, N, O and F are fitted to molecules that are
independent of the bundled ones: those of the G2 set that have these elements only, no
unpaired electrons and at least three atoms, as ase.build has them; those of titanium to
compounds and small oxide clusters that are built here and shaken, everything else kept.

Usage: ``python benchmarks/make_two_centre_tables.py [--out FOLDER]`` (half a minute)
Needs ``pip install ase tblite``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.collections import g2

import qcanvas_sklearn
from qcanvas_sklearn.hamiltonians import TwoCentreTables, compute_hamiltonians
from qcanvas_sklearn.structures import Molecules

METHOD = "GFN2-xTB"
ORGANIC, METALS = ("H", "C", "N", "O", "F"), ("Ti",)
#: Displacements (Å) of the titanium compounds, and how many copies of each.
SHAKE, COPIES = 0.06, 5
TETRAHEDRON = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) / np.sqrt(3)
OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])


def g2_molecules() -> Molecules:
    """Closed-shell molecules of the G2 set of H, C, N, O and F."""
    found = []
    for name in g2.names:
        atoms = molecule(name)
        unpaired = atoms.get_initial_magnetic_moments().any() or atoms.numbers.sum() % 2
        if len(atoms) > 2 and not unpaired and set(atoms.symbols) <= set(ORGANIC):
            found.append(atoms)
    return Molecules.from_ase(found)


def around(distance: float, ligand: Atoms, directions: np.ndarray = TETRAHEDRON) -> Atoms:
    """A titanium atom amid ligands, each given with its first atom at the origin, along z."""
    out = Atoms("Ti", positions=[[0, 0, 0]])
    for k, direction in enumerate(directions):
        turned = ligand.copy()
        turned.rotate(50.0 * k, "z")
        turned.rotate([0, 0, 1], direction)
        turned.translate(distance * direction)
        out += turned
    return out


def titanium_molecules(seed: int = 0) -> Molecules:
    """Titanium compounds and oxide clusters, each in some shaken copies."""
    hydroxide = Atoms("OH", [[0, 0, 0], [0.75, 0, 0.6]])
    methyl = Atoms(
        "CH3", [[0, 0, 0], [1.03, 0, 0.36], [-0.51, 0.89, 0.36], [-0.51, -0.89, 0.36]]
    )
    amide = Atoms("NH2", [[0, 0, 0], [0.82, 0, 0.58], [-0.82, 0, 0.58]])
    water = Atoms("OH2", [[0, 0, 0], [0.76, 0, 0.59], [-0.76, 0, 0.59]])
    mixed = around(1.75, Atoms("F"), TETRAHEDRON[:2])
    rest = around(1.80, hydroxide, TETRAHEDRON[2:])
    ring = np.array([[1.36, 0, 0], [-1.36, 0, 0], [0, 1.24, 0], [0, -1.24, 0]])
    ends = np.array([[2.85, 0, 0.62], [-2.85, 0, -0.62]])
    compounds = [
        around(1.75, Atoms("F")), around(1.72, Atoms("H")), around(1.80, hydroxide),
        around(2.07, methyl), around(1.90, amide), mixed + rest[1:],
        around(1.86, Atoms("F"), OCTAHEDRON[[0, 1, 3, 4]]) + around(
            2.15, water, OCTAHEDRON[[2, 5]])[1:],
        around(1.65, Atoms("O"), np.array([[0.82, 0, 0.57], [-0.82, 0, 0.57]])),
        around(1.63, Atoms("O"), np.array([[0, 0, 1.0]])) + around(
            1.80, hydroxide, np.array([[0.9, 0, -0.44], [-0.9, 0, -0.44]]))[1:],
        Atoms("Ti2O4", np.concatenate([ring, ends])),
    ]  # fmt: skip
    rng = np.random.default_rng(seed)
    shaken = []
    for atoms in compounds:
        for _ in range(COPIES):
            copy = atoms.copy()
            copy.positions += rng.normal(0, SHAKE, copy.positions.shape)
            shaken.append(copy)
    return Molecules.from_ase(shaken)


def converged(molecules: Molecules):
    """Hamiltonians of those molecules that have a self-consistent state."""
    computed = compute_hamiltonians(molecules, method=METHOD, cache=False)
    return computed[computed.molecules.quality == "ok"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    home = Path(qcanvas_sklearn.__file__).parent / "hamiltonians" / "data"
    parser.add_argument("--out", type=Path, default=home)
    path = parser.parse_args().out / f"{METHOD.lower()}.npz"
    tables = TwoCentreTables.from_engine([*ORGANIC, *METALS], METHOD)
    tables = tables.fit_charges(converged(g2_molecules()))
    tables = tables.fit_charges(converged(titanium_molecules()), METALS)
    tables.save(path)
    print(tables.describe())
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

"""Make the small molecules and trajectories that ship with the package, and one of benzene.

The molecules are random graphs of up to seven atoms of C, N, O and F, saturated with
hydrogen, without what falls apart in a flask (see ``UNSTABLE``); embedded by RDKit, relaxed
with GFN2-xTB, and left out where a bond has opened, closed or moved meanwhile. The
trajectories are runs of Langevin dynamics at 500 K with the same method, one to train on and
an independent one to test on. All labels come from ``compute_molecules``, at positions
rounded to single precision, as they are stored. Needs ``pip install rdkit ase tblite``.

Usage: ``python benchmarks/make_molecules.py [molecules] [ethanol] [aspirin] [--out FOLDER]``
(the best part of it goes into the molecules and aspirin, some 5 minutes of one core each).
``run_transfer.py`` looks for ``benzene.npz`` in ``QCANVAS_DATA``; name it to make it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.optimize import BFGS
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem
from tblite.ase import TBLite

import qcanvas_sklearn
from qcanvas_sklearn.datasets import compute_molecules
from qcanvas_sklearn.elements import property_values
from qcanvas_sklearn.structures import Molecules

METHOD = "GFN2-xTB"
#: What is kept of the labels: closed shells have one energy, and directions are arbitrary.
LABELS = ("total_energy_ev", "e_homo_ev", "e_lumo_ev", "e_g_ev", "dipole_mag_d")
N_MOLECULES, MAX_HEAVY = 600, 7
ELEMENTS, SHARES = ("C", "N", "O", "F"), (0.62, 0.15, 0.17, 0.06)
#: What a molecule grows from; chance alone would hardly ever find an aromatic ring.
SEEDS = ("C", "C1=CC=CC=C1", "C1=CC=NC=C1", "C1=CNC=C1", "C1=COC=C1", "C1=CN=CN1", "C1=COC=N1")
RING_SHARE = 0.25
VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}
#: Patterns of what reacts with itself or with water at once, or is strained beyond reason.
UNSTABLE = tuple(
    map(Chem.MolFromSmarts, (
        "[O,F]-[N,O,F]", "[#7]-[#7]-[#7]", "*=*=*", "[#7]-[#9]", "*~1~*=*~1", "*#*=*",
        "[r3,r4,r5,r6,r7]#*", "[r3]~[r3](=*)", "[CX4]([OX2,NX3])[OX2H]", "[CX4]([NX3])[NX3]",
        "[OX2H,NX3H,NX3H2][CX3]=[CX3]", "[CX4](F)[OX2H,NX3]", "[#7]=[#7]", "[#7]=[#8]",
        "[CX3](=O)F", "[CX3H1](=O)[CX3]=O", "[R]=[R]#*", "[x3]1~*~[x3]~1", "[NX2]=[CX3][OX2H]",
        "[a;x3]", "[a;r4]", "C#C[OX2H]", "[OX2H]n",
    ))
)  # fmt: skip

TRAJECTORIES = {"ethanol": "CCO", "aspirin": "CC(=O)Oc1ccccc1C(=O)O", "benzene": "c1ccccc1"}
#: What is made by default.
SHIPPED = ("molecules", "ethanol", "aspirin")
#: Frames of the run to train on and of the one to test on, and steps of 1 fs between two.
N_FRAMES, STEP, INTERVAL, TEMPERATURE = (300, 200), 1.0, 40, 500.0
FRICTION, EQUILIBRATION = 0.02, 1000


def grown(rng: np.random.Generator, n_heavy: int) -> str | None:
    """SMILES of a random molecule; None where the graph is not one."""
    seed = str(rng.choice(SEEDS[1:])) if rng.random() < RING_SHARE else SEEDS[0]
    molecule = Chem.RWMol(Chem.MolFromSmiles(seed))
    if molecule.GetNumAtoms() > n_heavy:
        return None
    free = [atom.GetTotalNumHs() for atom in molecule.GetAtoms()]
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    for atom in molecule.GetAtoms():
        atom.SetNumExplicitHs(0)
    while len(free) < n_heavy:
        at = int(rng.choice(np.flatnonzero(free))) if any(free) else -1
        if at < 0:
            return None
        symbol = str(rng.choice(ELEMENTS, p=SHARES))
        most = min(free[at], VALENCE[symbol], 3)
        order = int(rng.choice([1, 2, 3][:most], p=np.array([0.8, 0.15, 0.05][:most])
                               / sum([0.8, 0.15, 0.05][:most])))  # fmt: skip
        new = molecule.AddAtom(Chem.Atom(symbol))
        molecule.AddBond(at, new, Chem.BondType.values[order])
        free[at] -= order
        free.append(VALENCE[symbol] - order)
    for _ in range(int(rng.choice(3, p=[0.45, 0.4, 0.15]))):
        ends = rng.permutation(np.flatnonzero(free))[:2]
        if len(ends) == 2 and molecule.GetBondBetweenAtoms(*map(int, ends)) is None:
            molecule.AddBond(*map(int, ends), Chem.BondType.SINGLE)
            free[ends[0]] -= 1
            free[ends[1]] -= 1
    try:
        Chem.SanitizeMol(molecule)
    except (ValueError, RuntimeError):
        return None
    if any(molecule.HasSubstructMatch(pattern) for pattern in UNSTABLE):
        return None
    return Chem.MolToSmiles(molecule)


def candidates(seed: int) -> Iterator[str]:
    """Distinct SMILES, small ones as well as large ones, without end."""
    rng, seen = np.random.default_rng(seed), set()
    sizes = np.arange(1, MAX_HEAVY + 1)
    while True:
        smiles = grown(rng, int(rng.choice(sizes, p=sizes**2 / (sizes**2).sum())))
        if smiles is not None and smiles not in seen:
            seen.add(smiles)
            yield smiles


def embedded(smiles: str, seed: int = 0) -> tuple[Atoms, np.ndarray] | None:
    """Atoms of a molecule by its force field, and its bonds as a matrix."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(molecule, randomSeed=seed) != 0:
        return None
    AllChem.UFFOptimizeMolecule(molecule, maxIters=1000)
    z = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    atoms = Atoms(z, molecule.GetConformer().GetPositions())
    return atoms, Chem.GetAdjacencyMatrix(molecule).astype(bool)


def bonds(atoms: Atoms) -> np.ndarray:
    """Atoms that are no further apart than 1.25 times the sum of their covalent radii."""
    radius = property_values("covalent_radius_ang")[atoms.numbers]
    near = atoms.get_all_distances() < 1.25 * (radius[:, None] + radius)
    return near & ~np.eye(len(atoms), dtype=bool)


def relaxed(smiles: str) -> Atoms | None:
    """The molecule at its minimum; None where it is none, or another molecule."""
    start = embedded(smiles)
    if start is None:
        return None
    atoms, expected = start
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    if not BFGS(atoms, logfile=None).run(fmax=0.01, steps=400):
        return None
    return atoms if np.array_equal(bonds(atoms), expected) else None


def labelled(molecules: Molecules, *properties: str) -> Molecules:
    """Molecules with their labels, at positions that single precision holds."""
    rounded = replace(molecules, positions=molecules.positions.astype(np.float32))
    computed = compute_molecules(rounded, method=METHOD, properties=properties, cache=False)
    fine = computed[computed.quality == "ok"]
    forces = None if fine.forces is None else fine.forces.astype(np.float32)
    atom_labels = fine.atom_labels.astype(np.float32)
    kept = [key for key in LABELS if key in fine.labels]
    return replace(
        fine, labels=fine.labels[kept].round(6), atom_labels=atom_labels, units=None,
        forces=forces,
    )  # fmt: skip


def make_molecules() -> Molecules:
    """Relaxed molecules by SMILES."""
    found: dict[str, Atoms] = {}
    for smiles in candidates(seed=0):
        atoms = relaxed(smiles)
        if atoms is not None:
            found[smiles] = atoms
        if len(found) == N_MOLECULES:
            break
    names = sorted(found, key=lambda s: (len(found[s]), s))
    plain = [Atoms(found[name].numbers, found[name].positions) for name in names]
    molecules = Molecules.from_ase(plain, names=names, groups=names)
    return labelled(molecules, "energy", "levels", "charges", "dipole")


def run(name: str, seed: int, n_frames: int) -> list[Atoms]:
    """Frames of one run of dynamics, after an equilibration."""
    start = embedded(TRAJECTORIES[name], seed)
    assert start is not None
    atoms = start[0]
    atoms.calc = TBLite(method=METHOD, verbosity=0)
    BFGS(atoms, logfile=None).run(fmax=0.05, steps=400)
    rng = np.random.RandomState(seed)
    thermalize_momenta(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        atoms, STEP * units.fs, temperature_K=TEMPERATURE, friction=FRICTION / units.fs,
        fixcm=False, rng=rng,
    )  # fmt: skip
    dynamics.run(EQUILIBRATION)
    frames = []
    for _ in range(n_frames):
        dynamics.run(INTERVAL)
        frames.append(Atoms(atoms.numbers, atoms.positions - atoms.get_center_of_mass()))
        assert np.array_equal(bonds(frames[-1]), start[1]), f"{name}, seed {seed}, has reacted"
    return frames


def make_trajectory(name: str) -> Molecules:
    """Frames of two independent runs, which are the groups."""
    parts = [run(name, seed, n) for seed, n in enumerate(N_FRAMES)]
    groups = [f"{name}, run {k}" for k, part in enumerate(parts) for _ in part]
    frames = [frame for part in parts for frame in part]
    names = [f"{name}:{k}" for k in range(len(frames))]
    molecules = Molecules.from_ase(frames, names=names, groups=groups)
    return labelled(molecules, "energy", "forces", "levels", "dipole")


def main() -> None:
    data = Path(qcanvas_sklearn.__file__).parent / "datasets" / "data"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=[*SHIPPED])
    parser.add_argument("--out", type=Path, default=data)
    args = parser.parse_args()
    RDLogger.DisableLog("rdApp.*")
    for what in args.what:
        made = make_molecules() if what == "molecules" else make_trajectory(what)
        made.save(args.out / f"{what}.npz")
        size = (args.out / f"{what}.npz").stat().st_size
        print(f"{what}: {made}, {size / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()

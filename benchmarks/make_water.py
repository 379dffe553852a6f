"""Make the water geometries that Hamiltonians of a density functional are learned from.

500 frames of one run of Langevin dynamics at 500 K with GFN2-xTB, 20 steps of 0.5 fs apart,
and their PBE/def2-SVP Hamiltonians by PySCF, as in the set that is common in the literature
(doi:10.1038/s41467-019-12875-2), whose own frames come from another trajectory. Needs
``pip install ase tblite pyscf``.

Usage: ``python benchmarks/make_water.py [--frames 500] [--out water.npz]
[--superposed guess.npz] [--n-jobs 1]`` (some 4 minutes of one core); the second file has the
Hamiltonians of superposed atoms, for machines that have no PySCF to compute them
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from ase import units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from tblite.ase import TBLite

from qcanvas_sklearn.hamiltonians import Hamiltonians, compute_hamiltonians
from qcanvas_sklearn.structures import Molecules

DYNAMICS, METHOD = "GFN2-xTB", "PBE/def2-SVP"
TEMPERATURE, STEP, FRICTION = 500.0, 0.5, 0.02
EQUILIBRATION, INTERVAL = 2000, 20


def trajectory(n_frames: int, seed: int = 0) -> Molecules:
    """Frames of one run after an equilibration; each is a group of its own."""
    atoms = molecule("H2O")
    atoms.calc = TBLite(method=DYNAMICS, verbosity=0)
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
        frames.append(atoms.copy())
        frames[-1].positions -= atoms.get_center_of_mass()
    names = [f"water:{k}" for k in range(n_frames)]
    return Molecules.from_ase(frames, names=names, groups=names)


def make(n_frames: int, n_jobs: int) -> Hamiltonians:
    """Self-consistent Hamiltonians of all frames."""
    frames = trajectory(n_frames)
    made = compute_hamiltonians(frames, method=METHOD, n_jobs=n_jobs, verbose=1)
    assert (made.molecules.quality == "ok").all()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("water.npz"))
    parser.add_argument("--superposed", type=Path)
    parser.add_argument("--n-jobs", type=int, default=1)
    args = parser.parse_args()
    started = time.perf_counter()
    made = make(args.frames, args.n_jobs)
    made.save(args.out)
    if args.superposed:
        frames = made.molecules
        compute_hamiltonians(frames, method=METHOD, state="minao", n_jobs=args.n_jobs).save(
            args.superposed
        )
    seconds = time.perf_counter() - started
    print(f"{made}\n{args.out}: {args.out.stat().st_size / 1e3:.0f} kB, {seconds:.0f} s")


if __name__ == "__main__":
    main()

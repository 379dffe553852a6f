"""Train the encoders that ship with the package, and write what is to be known of them.

- ``pairs-dftb``: the even targets of the bundled pairs, as molecules of two atoms;
- ``dimers-gfn2``: the scans of ``make_dimers.py``: levels, energy, dipole, charges and
  couplings of every pair of the elements H to Xe at 22 distances;
- ``hamiltonian-gfn2``: the backbone of a `HamiltonianRegressor`, of those bundled molecules
  whose formulas are not held out.

Every fifth formula of the bundled molecules (see ``held_out``) is kept from all of them, so
that transfer to molecules can be measured without a leak. Networks have the default
hyperparameters of the families for molecules. For comparison, ``--control shuffled`` deals
the labels out anew among the rows before, so that the weights know no physics, and
``--control scalars`` learns levels and dipoles in place of Hamiltonians.

Usage: ``python benchmarks/pretrain/train_encoders.py [dimers-gfn2-schnet ...] [--out FOLDER]
[--dimers FILE] [--epoch-share 1.0] [--control shuffled|scalars]`` (a minute or two of one core
each; the cards say how many). Needs ``pip install tblite safetensors``.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pandas as pd

import qcanvas_sklearn
from qcanvas_sklearn import (
    GotenNetRegressor,
    HamiltonianRegressor,
    Molecules,
    SchNetRegressor,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn._files import written_whole
from qcanvas_sklearn.hamiltonians import compute_hamiltonians
from qcanvas_sklearn.targets import TARGETS

SHIPPED = Path(qcanvas_sklearn.__file__).parent / "encoders" / "data"
SEED, SHUFFLE_SEED = 0, 1
#: Energies (eV) above those of the atoms apart, beyond which a scan says nothing of bonds.
HIGHEST = 15.0
#: Of so many formulas of the bundled molecules, one is never trained on.
HELD_OUT = 5
#: What is learned of scans, and how it is read out of the atoms.
SCAN_TARGETS = {
    "total_energy_ev": "sum", "e_homo_ev": "attention", "e_lumo_ev": "attention",
    "e_g_ev": "attention", "dipole_mag_d": "dipole", "q_absmean": "attention",
    "overlap_rms": "attention", "coupling_rms_ev": "attention",
}  # fmt: skip
#: What is learned of molecules in place of their Hamiltonians, by a control.
SCALARS = ("e_homo_ev", "e_lumo_ev", "e_g_ev", "dipole_mag_d")
FAMILIES = {"schnet": SchNetRegressor, "gotennet": GotenNetRegressor}


@dataclass(frozen=True)
class Recipe:
    """What an encoder is trained on, and for how long.

    Attributes
    ----------
    data : str
        In words.
    read : callable
        Molecules, labels and read-outs.
    epochs : dict of str to int
        By family; one of GotenNet takes about four times as long as one of SchNet.
    batch_size : int
        Rows a gradient step.
    """

    data: str
    read: Callable[[Path], tuple[Molecules, Any, Any]]
    epochs: dict[str, int]
    batch_size: int


def held_out(molecules: Molecules) -> np.ndarray:
    """Rows whose formulas no encoder is trained on, and transfer is tested on."""
    digests = [sha256(str(f).encode()).hexdigest()[:8] for f in molecules.formulas]
    return np.array([int(digest, 16) for digest in digests]) % HELD_OUT == 0


def read_pairs(dimers: Path) -> tuple[Molecules, pd.DataFrame, str]:
    """The bundled pairs, each at its own bond length."""
    even = [name for name, target in TARGETS.items() if target.parity == 1]
    bunch = load_pairs(even)
    return bunch.pairs.to_molecules(), bunch.target, "auto"


def read_dimers(dimers: Path) -> tuple[Molecules, pd.DataFrame, list[str]]:
    """The scans, without the energies of atoms pushed into each other."""
    scans = Molecules.load(dimers)
    scans = scans[scans.quality == "ok"]
    y = scans.labels[list(SCAN_TARGETS)].copy()
    apart = y["total_energy_ev"].groupby(scans.groups).transform("last")
    y.loc[y["total_energy_ev"] - apart > HIGHEST, "total_energy_ev"] = np.nan
    return scans, y, list(SCAN_TARGETS.values())


def read_hamiltonians(dimers: Path) -> tuple[Molecules, Any, None]:
    """Hamiltonians of the bundled molecules that are not held out."""
    molecules = load_molecules().data
    y = compute_hamiltonians(molecules[~held_out(molecules)], cache=False)
    return y.molecules, y, None


RECIPES = {
    "pairs-dftb": Recipe(
        "the 2,850 bundled pairs (DFTB+, ptbp parameters), all even targets, at one distance "
        "each", read_pairs, {"schnet": 120, "gotennet": 50}, 128,
    ),
    "dimers-gfn2": Recipe(
        "scans of all 1,485 pairs of the elements H to Xe at 22 distances from 0.7 to 3 times "
        "the sum of covalent radii, GFN2-xTB at 3000 K", read_dimers,
        {"schnet": 15, "gotennet": 6}, 256,
    ),
    "hamiltonian-gfn2": Recipe(
        "Hamiltonians (GFN2-xTB) of the bundled molecules but for every fifth formula "
        "(the first four bytes of its SHA-256 divisible by 5), as the difference from "
        "multiples of their overlaps", read_hamiltonians, {"gotennet": 25}, 8,
    ),
}  # fmt: skip
ENCODERS = (
    "dimers-gfn2-schnet", "pairs-dftb-schnet", "hamiltonian-gfn2-gotennet",
    "dimers-gfn2-gotennet", "pairs-dftb-gotennet",
)  # fmt: skip


def model_of(name: str, family: str, readout: Any, epochs: int) -> Any:
    """The estimator that learns, with the architecture that molecules have by default."""
    settings = {
        "max_epochs": epochs, "batch_size": RECIPES[name].batch_size, "device": "cpu",
        "random_state": SEED,
    }  # fmt: skip
    if readout is not None:
        return FAMILIES[family](readout=readout, **settings)
    default = GotenNetRegressor()
    names = ("n_hidden", "n_layers", "n_heads", "n_degrees", "n_radial")
    shape = {key: getattr(default, key) for key in names}
    return HamiltonianRegressor("overlap", **shape, **settings)


def as_control(control: str | None, X: Molecules, y: Any, readout: Any) -> tuple[Any, Any]:
    """Labels and read-outs of a control; without one, those of the recipe.

    Raises
    ------
    ValueError
        If the control is none of this recipe.
    """
    if control == "shuffled" and readout is not None:
        order = np.random.default_rng(SHUFFLE_SEED).permutation(len(y))
        return y.iloc[order].reset_index(drop=True), readout
    if control == "scalars" and readout is None:
        known = load_molecules().data
        return known[~held_out(known)].labels[list(SCALARS)], "auto"
    if control is not None:
        raise ValueError(f"{control!r} is no control of this encoder")
    return y, readout


def train(key: str, args: argparse.Namespace) -> None:
    """Train one encoder and write its file."""
    name, _, family = key.rpartition("-")
    recipe = RECIPES[name]
    X, y, readout = recipe.read(args.dimers)
    y, readout = as_control(args.control, X, y, readout)
    said = {"shuffled": ", labels shuffled", "scalars": ", scalars in their place"}
    epochs = max(1, round(recipe.epochs[family] * args.epoch_share))
    model = model_of(name, family, readout, epochs)
    start = process_time()
    model.fit(X, y)
    seconds = process_time() - start
    targets = ["blocks of the Hamiltonian"] if readout is None else list(y.columns)
    card = {
        "data": recipe.data + said.get(args.control, ""),
        "targets": targets, "n_rows": len(X), "n_elements": len(X.elements),
        "recipe": f"{type(model).__name__}, {epochs} epochs, batches of {recipe.batch_size}, "
        "otherwise defaults for molecules; benchmarks/pretrain/train_encoders.py",
        "seed": SEED, "seconds": round(seconds), "machine": platform.machine(),
        "held_out": "every fifth formula of the bundled molecules; no bundled trajectory",
        "licence": "as the package",
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    if args.control:
        name = f"{name}-{args.control}"
    path = args.out / f"{name}-{family}.safetensors"
    encoder = model.save_encoder(path, name=name, card=card)
    last = model.history_["train_loss"].iloc[-1]
    size = path.stat().st_size / 1e6
    print(f"{path.stem}: {len(X)} rows, {seconds:.0f} s, loss {last:.4f}, "
          f"{encoder.n_parameters} weights, {size:.2f} MB", flush=True)  # fmt: skip


def register(folder: Path) -> None:
    """State the hashes of all files in ``registry.json``."""
    hashes = {
        path.stem: sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*.safetensors"))
    }
    with written_whole(folder / "registry.json") as file:
        file.write((json.dumps(hashes, indent=1) + "\n").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("encoders", nargs="*", default=list(ENCODERS), help="by default all")
    add("--out", type=Path, default=SHIPPED)
    add("--dimers", type=Path, default=Path("pretrain_output") / "dimers.npz")
    add("--epoch-share", type=float, default=1.0, help="of each recipe's epochs")
    add("--control", choices=["shuffled", "scalars"], help="for comparison, not to be shipped")
    args = parser.parse_args()
    unknown = [key for key in args.encoders if key not in ENCODERS]
    if unknown:
        parser.error(f"unknown encoders {unknown}; known are {ENCODERS}")
    if args.control and args.out == SHIPPED:
        parser.error("--control needs a folder of its own, --out")
    for key in args.encoders:
        train(key, args)
        register(args.out)


if __name__ == "__main__":
    main()

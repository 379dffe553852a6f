"""Make the scans of dimers on which encoders are trained.

Every pair of the elements H to Xe, like atoms too, at 22 distances from 0.7 to 3 times the sum
of their covalent radii, with GFN2-xTB at an electronic temperature of 3000 K: there open
shells have smooth curves, and all but a few points converge. A pair at one distance confounds
what two elements do to each other with how far apart they are; a scan does not.

The record holds what xTB says of every point (energies, levels, dipole, charges of the atoms,
forces) and, from the bare matrices, how strongly the orbitals couple: the root mean square of
the off-site blocks of overlap and H0 (eV), and the energy with which the cores repel each
other. Missing labels are those of points that do not converge. ``groups`` are the pairs.

Usage: ``python benchmarks/pretrain/make_dimers.py [--out FILE] [--elements 54]``
(some 6 minutes of one core; the file of 2.2 MB is not part of the repository, and can be made
anew to the last digit that tblite gives). Needs ``pip install tblite``.
"""

from __future__ import annotations

import argparse
from itertools import combinations_with_replacement
from pathlib import Path
from time import perf_counter

import numpy as np

from qcanvas_sklearn.datasets import compute_molecules
from qcanvas_sklearn.elements import SYMBOLS, property_values
from qcanvas_sklearn.hamiltonians._engines import scan_dimers, xtb_basis
from qcanvas_sklearn.structures import Molecules

METHOD, TEMPERATURE = "GFN2-xTB", 3000.0
HEAVIEST, N_DISTANCES, NEAREST, FARTHEST = 54, 22, 0.7, 3.0
DEFAULT = Path("pretrain_output") / "dimers.npz"


def scans(heaviest: int) -> Molecules:
    """Two atoms at every distance, a pair of elements after the other."""
    radius = property_values("covalent_radius_ang")
    steps = np.geomspace(NEAREST, FARTHEST, N_DISTANCES)
    pairs = np.array(list(combinations_with_replacement(range(1, heaviest + 1), 2)))
    distances = (radius[pairs].sum(axis=1)[:, None] * steps).ravel()
    positions = np.zeros((len(distances), 2, 3))
    # As they are stored, so that labels belong to them.
    positions[:, 1, 2] = distances.astype(np.float32)
    names = np.repeat([f"{SYMBOLS[a]}-{SYMBOLS[b]}" for a, b in pairs], N_DISTANCES)
    n = len(distances)
    return Molecules(
        np.repeat(pairs, N_DISTANCES, axis=0).ravel(), positions.reshape(-1, 3),
        2 * np.arange(n + 1), names=names, groups=names,
    )  # fmt: skip


def couplings(scan: Molecules) -> dict[str, np.ndarray]:
    """What the bare matrices of one pair's scan hold, by label."""
    kind = (int(scan.z[0]), int(scan.z[1]))
    found = scan_dimers(METHOD, kind, scan.positions[1::2, 2])
    basis = xtb_basis(METHOD, kind)
    first = sum(2 * l + 1 for l in basis[SYMBOLS[kind[0]]])
    off = (slice(None), slice(first), slice(first, None))

    def size(matrices: np.ndarray) -> np.ndarray:
        return np.sqrt((matrices[off] ** 2).mean(axis=(1, 2)))

    return {
        "overlap_rms": size(found.overlaps), "coupling_rms_ev": size(found.cores),
        "repulsive_energy_ev": found.repulsion,
    }  # fmt: skip


def labelled(structures: Molecules) -> Molecules:
    """The structures with all their labels, in single precision."""
    computed = compute_molecules(
        structures, method=METHOD, electronic_temperature=TEMPERATURE, cache=False, verbose=1
    )
    parts = [
        couplings(structures[i : i + N_DISTANCES])
        for i in range(0, len(structures), N_DISTANCES)
    ]
    labels = computed.labels.drop(columns=["dipole_x_d", "dipole_y_d", "dipole_z_d"])
    for name in parts[0]:
        labels[name] = np.concatenate([part[name] for part in parts])
    charges = computed.atom_labels["charge_mulliken"].to_numpy().reshape(-1, 2)
    labels["q_absmean"] = np.abs(charges).mean(axis=1)
    return Molecules(
        computed.z, computed.positions, computed.ptr, charge=computed.charge,
        forces=computed.forces.astype(np.float32), labels=labels.round(5),
        atom_labels=computed.atom_labels.round(5), names=computed.names,
        groups=computed.groups, quality=computed.quality, provenance=computed.provenance,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEFAULT)
    parser.add_argument("--elements", type=int, default=HEAVIEST, help="the heaviest's number")
    args = parser.parse_args()
    start = perf_counter()
    made = labelled(scans(args.elements))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    made.save(args.out)
    missing = int((made.quality != "ok").sum())
    print(f"{made}, {missing} not converged, {args.out.stat().st_size / 1e6:.1f} MB, "
          f"{perf_counter() - start:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()

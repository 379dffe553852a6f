"""Molecules with matrices: by PySCF as stored, and by Gaussians of our own."""

from pathlib import Path

import numpy as np
from _gaussians import gaussian_overlap

from qcanvas_sklearn.hamiltonians import Basis, Hamiltonians
from qcanvas_sklearn.structures import Molecules

#: PBE/def2-SVP matrices of PySCF 2.14 in its own order (hartree), its levels and Mulliken's
#: charges; an overlap of cc-pVQZ, which has shells up to g.
PYSCF = np.load(Path(__file__).parent / "data" / "pyscf_matrices.npz")
PYSCF_NAMES = ("H2O", "CH2O")
DEF2_SVP = {"H": (0, 0, 1), "C": (0, 0, 0, 1, 1, 2), "O": (0, 0, 0, 1, 1, 2)}
CC_PVQZ = {"H": (0, 0, 0, 0, 1, 1, 1, 2, 2, 3), "F": (0,) * 5 + (1,) * 4 + (2,) * 3 + (3, 3, 4)}


def pyscf_molecules(*names):
    return Molecules.from_lists(
        [PYSCF[f"{name}_elements"] for name in names],
        [PYSCF[f"{name}_positions"] for name in names],
    )


def pyscf_record(**options):
    return Hamiltonians.from_matrices(
        pyscf_molecules(*PYSCF_NAMES),
        [PYSCF[f"{name}_fock"] for name in PYSCF_NAMES],
        [PYSCF[f"{name}_overlap"] for name in PYSCF_NAMES],
        basis=DEF2_SVP, convention="pyscf", unit="hartree", **options,
    )  # fmt: skip


#: Valence bases with p, d and f shells, some of one l twice.
MIXED = {"H": (0,), "C": (0, 1), "O": (0, 1, 1), "Ti": (2, 0, 1), "Ce": (3, 2, 0)}
_ELEMENTS = [["C", "C", "O", "H"], ["Ti", "O", "Ti"], ["Ce", "H", "O"], ["H", "H"], ["C"]]
N_ELECTRONS = [15, 14, 12, 2, 4]


def gaussian_molecules(seed=0):
    """Five molecules of which no symmetry relates any two directions."""
    rng = np.random.default_rng(seed)
    positions = [
        1.5 * np.arange(len(names))[:, None] * [0.6, -0.5, 0.62]
        + rng.normal(scale=0.3, size=(len(names), 3))
        for names in _ELEMENTS
    ]
    return Molecules.from_lists(_ELEMENTS, positions)


def gaussian_overlaps(molecules, shells=MIXED):
    return [
        gaussian_overlap(molecules[i].z, molecules[i].positions, shells)
        for i in range(len(molecules))
    ]


def gaussian_record(seed=0, **options):
    """Overlaps of Gaussians, Hamiltonians of random symmetric numbers."""
    rng = np.random.default_rng(seed + 1)
    molecules = gaussian_molecules(seed)
    overlaps = gaussian_overlaps(molecules)
    matrices = [rng.normal(size=s.shape) for s in overlaps]
    given = {"basis": Basis(MIXED), "n_electrons": N_ELECTRONS} | options
    return Hamiltonians.from_matrices(
        molecules, [m + m.T for m in matrices], overlaps, **given
    )

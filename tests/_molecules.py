"""Records of molecules to test with."""

import numpy as np
import pandas as pd

from qcanvas_sklearn.structures import Molecules

#: Elements and positions of three molecules.
WATER = (["O", "H", "H"], [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
FLUORIDE = (["H", "F"], [[0, 0, 0], [0, 0, 0.92]])
NEON = (["Ne"], [[1.0, 2.0, 3.0]])


def make(**changes):
    """Three structures with everything that a record can hold."""
    rng = np.random.default_rng(0)
    elements, positions = zip(WATER, FLUORIDE, NEON, strict=True)
    cell = np.zeros((3, 3, 3))
    cell[2] = 4 * np.eye(3)
    fields = {
        "cell": cell,
        "pbc": [[False] * 3, [False] * 3, [True, True, False]],
        "charge": [0, -1, 1],
        "forces": rng.normal(size=(6, 3)),
        "labels": pd.DataFrame({"total_energy_ev": [1 / 3, np.nan, 2.0], "mine": [1, 2, 3]}),
        "atom_labels": pd.DataFrame({"charge_mulliken": rng.normal(size=6)}),
        "units": {"mine": "barn"},
        "names": ["water", "fluoride", "neon"],
        "groups": ["a", "b", "a"],
        "quality": ["ok", "not-converged", "ok"],
        "provenance": "made up",
    }
    return Molecules.from_lists(elements, positions, **fields | changes)


def random_molecules(n=40, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, n)
    elements = [rng.choice(["H", "C", "O"], size) for size in sizes]
    positions = [3 * np.arange(size)[:, None] + rng.uniform(size=(size, 3)) for size in sizes]
    return Molecules.from_lists(elements, positions)

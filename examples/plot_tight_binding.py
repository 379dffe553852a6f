"""
=========================
The Hamiltonian of a pair
=========================

A model that learns element parameters and two-centre integrals knows more of a pair than its
labels: levels and who holds them, populations, energies at other distances. Takes about 20
seconds on one core. The comparison with xTB needs tblite
(``pip install "qcanvas-sklearn[xtb]"``); without it the curves stand alone.
"""

# %%
# All 18 targets of the bundled pairs of elements up to krypton, but for a tenth to look at. Two
# members and few epochs make a short example; the defaults are five and 120.
from importlib.util import find_spec

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from qcanvas_sklearn import TightBindingRegressor, load_pairs
from qcanvas_sklearn.datasets import compute_pairs
from qcanvas_sklearn.elements import atomic_numbers
from qcanvas_sklearn.plotting import MolecularOrbitalDisplay, PotentialCurveDisplay

X, y = load_pairs(return_X_y=True)
light = (atomic_numbers(X.to_numpy()) <= 36).all(axis=1)
X, y = X[light], y[light]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
model = TightBindingRegressor(given="distance", n_members=2, max_epochs=25, random_state=0)
model.fit(X_train, y_train)

# %%
# From the bond length alone: charges are solved, and everything else follows from the state,
# so that the targets agree with each other to the last digit.
predicted = pd.DataFrame(model.predict(X_test), y_test.index, y_test.columns)
shown = ["e_homo_ev", "e_lumo_ev", "e_g_ev", "band_energy_ev", "q_absmean"]
print("mean absolute errors of", len(X_test), "pairs")
print((predicted - y_test)[shown].abs().mean().round(3).to_string())
gap = predicted["e_lumo_ev"] - predicted["e_homo_ev"]
print("LUMO - HOMO less the gap:", (gap - predicted["e_g_ev"]).abs().max())

# %%
# What was learned of the elements.
print(model.element_parameters_.loc[["C", "N", "O", "F"]].round(2).to_string())

# %%
# The levels of N2 and CO between those of their atoms. N2 holds ten electrons, and the two
# pi orbitals that stand beside each other count as one level.
figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for ax, pair in zip(axes, (["N", "N"], ["C", "O"]), strict=True):
    MolecularOrbitalDisplay.from_estimator(model, [pair], ax=ax)

# %%
# The series from Li to F: occupied and empty levels of the pairs of equal atoms. The highest
# sigma level and the pi level below or above it change places on the way.
series = ["Li", "B", "C", "N", "O", "F"]
levels = model.levels([[element, element] for element in series])
valence = levels[levels["energy_ev"] < 5]
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
for symmetry, part in valence.groupby("symmetry"):
    filled = part["electrons"] > 0.5
    ax.scatter(part["pair"], part["energy_ev"], marker="_", s=260,
               color={"sigma": "C0", "pi": "C1", "delta": "C2"}[symmetry],
               alpha=np.where(filled, 1.0, 0.35), label=symmetry)  # fmt: skip
ax.set_xticks(range(len(series)), [f"{element}₂" for element in series])
ax.set_ylabel("energy (eV)")
ax.legend(frameon=False)

# %%
# Potential curves. The model has seen each pair at one distance only, with the force that
# vanishes there: beyond, it computes what it has learned. Dashed is xTB, another method with
# bond lengths of its own.
pairs = [["C", "O"], ["H", "F"]]
distances = np.linspace(0.8, 3.0, 45)
references = None
if find_spec("tblite") is not None:
    scan = compute_pairs(pairs, distance=distances, cache=False)
    energies = scan.labels["total_energy_ev"].to_numpy().reshape(len(pairs), -1)
    references = pd.DataFrame(energies.T, index=distances, columns=["C–O", "F–H"])
PotentialCurveDisplay.from_estimator(
    model, pairs, distances=distances, references=references
)
plt.show()

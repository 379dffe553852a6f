"""
=========================
Hamiltonians of molecules
=========================

A network learns whole Hamiltonians on top of what pairs of atoms make of them. Diagonalised, a
prediction gives every level, charge and density of a molecule that was never computed. Takes
about a minute on one core; needs ``pip install "qcanvas-sklearn[xtb]"``.
"""

# %%
# 100 of the bundled molecules, computed live with GFN2-xTB. The record knows its orbitals: the
# order of the engine is proved by the form of the overlaps when it is read.
import matplotlib.pyplot as plt
import numpy as np

from qcanvas_sklearn import HamiltonianRegressor, MoleculeKFold, load_molecules
from qcanvas_sklearn.hamiltonians import TwoCentreTables, compute_hamiltonians
from qcanvas_sklearn.hamiltonians.metrics import hamiltonian_report
from qcanvas_sklearn.plotting import HamiltonianDisplay, LevelDisplay

X = load_molecules().data[:100]
y = compute_hamiltonians(X)
print(y)
print(y.basis.orbitals(X[[0]].z).labels[:5])

# %%
# Isomers stay together: a formula is either learned from or predicted.
train, test = next(MoleculeKFold(4, by="formula", shuffle=True, random_state=0).split(X))
model = HamiltonianRegressor(n_hidden=32, max_epochs=30, random_state=0)
predicted = model.fit(X[train], y[train]).predict(X[test])

# %%
# Beside it, what two-centre tables with self-consistent charges know without any training.
known = TwoCentreTables.load().self_consistent(X[test])
for name, guess in {"tables alone": known, "tables and network": predicted}.items():
    print(f"\n{name}")
    print(hamiltonian_report(y[test], guess).to_string())

# %%
# Screening: the widest gap among molecules that were not computed for it.
gaps = predicted.in_unit("eV").gap()
best = int(np.argmax(gaps))
true = y[test].in_unit("eV").gap()[best]
print(f"\nwidest gap: {X[test].names[best]}, {gaps[best]:.2f} eV, computed {true:.2f} eV")

# %%
# The matrix of one of them, and its levels.
row = int(np.argsort(X[test].n_atoms)[len(test) // 2])
HamiltonianDisplay.from_hamiltonians(y[test], predicted, row=row)
LevelDisplay.from_hamiltonians(y[test], predicted, row=row)
plt.show()

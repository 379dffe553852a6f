"""
=================================
Energies of molecules of any size
=================================

The estimators for pairs take molecules too: a record of structures goes where a table would,
through cross-validation, learning curves and plots. Takes about 20 seconds on one core.
"""

# %%
# 600 small molecules of C, N, O, F and H, computed with GFN2-xTB. What is learned here is the
# total energy. Constitutional isomers and conformers have groups; there are no conformers in
# this set, so each molecule is a group of its own.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_predict

from qcanvas_sklearn import CompositionRegressor, MoleculeKFold, SchNetRegressor, load_molecules
from qcanvas_sklearn.inspection import leakage_report
from qcanvas_sklearn.plotting import ParityDisplay

bundle = load_molecules()
X, y = bundle.data, bundle.target["total_energy_ev"]
print(X)
print(leakage_report(X, y)[["target", "best_feature", "r2", "mae"]].to_string(index=False))

# %%
# The elements alone say nearly everything: a correlation with total energies proves nothing,
# and every error belongs beside that of the composition. The network learns what the
# composition leaves.
cv = MoleculeKFold(3, shuffle=True, random_state=0)
models = {
    "composition": CompositionRegressor(),
    "SchNet": SchNetRegressor(n_hidden=32, max_epochs=12, batch_size=16, random_state=0),
}
predictions = {name: cross_val_predict(model, X, y, cv=cv) for name, model in models.items()}
for name, predicted in predictions.items():
    print(f"{name}: {np.abs(predicted - y).mean():.3f} eV in three folds")

# %%
# How many molecules it takes: a fifth of them is kept aside, and the training set grows.
train, test = next(MoleculeKFold(5, shuffle=True, random_state=1).split(X, y))
sizes = [60, 170, 480]
errors = {name: [] for name in models}
for n in sizes:
    some = train[:n]
    for name, model in models.items():
        predicted = model.fit(X[some], y.iloc[some]).predict(X[test])
        errors[name].append(np.abs(predicted - y.iloc[test]).mean())

# %%
# Beside the curves, what is left of the energy once the composition is taken off, predicted
# by the network against computed.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for name, values in errors.items():
    left.loglog(sizes, values, "o-", label=name)
left.set(xlabel="Training molecules", ylabel="MAE of the total energy (eV)", xticks=sizes)
left.set_xticklabels(sizes)
left.minorticks_off()
left.legend()
rest = y - predictions["composition"]
ParityDisplay.from_predictions(
    rest, predictions["SchNet"] - predictions["composition"], ax=right
)
right.set_title("Total energy less that of the composition")
plt.show()

"""
======================================
What pairs of atoms know of a molecule
======================================

A pair is the two-centre part of every molecule. Tables of what pairs of elements do to each
other's orbitals, assembled to a molecule's Hamiltonian with self-consistent charges, give its
levels, charges and bonds; a ridge regression on these needs fifty labels. Takes about half a
minute on one core.
"""

# %%
# Tables for H, C, N, O, F and Ti (GFN2-xTB) ship with the package, made of dimers alone. They
# say how orbitals of two elements overlap and couple at every distance.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    CompositionRegressor,
    SchNetRegressor,
    TwoCentreTransformer,
    load_molecules,
)

bundle = load_molecules()
X, y = bundle.data, bundle.target["e_g_ev"]
features = TwoCentreTransformer().set_output(transform="pandas").fit_transform(X)
print(f"{features.shape[1]} features, among them", features.columns[:6].tolist())

# %%
# No label has been used so far, and the gap of the assembled Hamiltonian is close to that of
# the full calculation. Both are GFN2-xTB: across methods the distance would be larger, and a
# regression has more to do.
order = np.random.default_rng(0).permutation(len(X))
test, rest = order[:100], order[100:]
bare = features["gap_ev"]
print(f"gap without any label: {np.abs(bare - y)[test].mean():.3f} eV")

# %%
# Labels are put on top of it: by a ridge regression, or as what a network need not learn.
models = {
    "composition": CompositionRegressor(),
    "SchNet from scratch": SchNetRegressor(
        n_hidden=32, max_epochs=40, batch_size=16, random_state=0
    ),
    "SchNet on two-centre levels": SchNetRegressor(
        n_hidden=32, max_epochs=10, batch_size=16, baseline="two-centre", random_state=0
    ),
    "ridge on two-centre levels": make_pipeline(
        TwoCentreTransformer(), RidgeCV(np.logspace(-4, 4, 33))
    ),
}
sizes = [50, 200]
errors = {
    name: [
        np.abs(model.fit(X[rest[:n]], y[rest[:n]]).predict(X[test]) - y[test]).mean()
        for n in sizes
    ]
    for name, model in models.items()
}
for name, values in errors.items():
    print(f"{name}: {np.round(values, 3)} eV at {sizes} labels")

# %%
# Fifty gaps with what pairs know are worth more than two hundred without.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
left.plot(y, bare, ".", alpha=0.5)
left.axline((8, 8), slope=1, color="k", lw=0.8)
left.set(xlabel="Computed gap (eV)", ylabel="Gap of the assembled Hamiltonian (eV)")
for name, values in errors.items():
    right.loglog(sizes, values, "o-", label=name)
right.set(xlabel="Labels", ylabel="MAE of the gap (eV)", xticks=sizes)
right.set_xticklabels(sizes)
right.minorticks_off()
right.legend(fontsize="small")
plt.show()

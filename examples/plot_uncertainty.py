"""
==================================
Predictions that know their limits
==================================

A deep ensemble predicts a mean and a standard deviation. Are the stated intervals right, do
errors grow with them, and do they warn of elements that were never seen? Takes about 15
seconds on one core.
"""

# %%
# HOMO energies. Every pair of four elements is set aside, and a fifth of the other pairs.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from qcanvas_sklearn import PairMLPRegressor, load_pairs
from qcanvas_sklearn.metrics import calibration_error, interval_coverage, sharpness
from qcanvas_sklearn.plotting import CalibrationDisplay

UNSEEN = ["Cl", "Ga", "Mo", "Sr"]

X, y = load_pairs(target="e_homo_ev", return_X_y=True)
X, y = X[y.notna()], y[y.notna()]
is_unseen = X.isin(UNSEEN).any(axis=1)
X_train, X_test, y_train, y_test = train_test_split(
    X[~is_unseen], y[~is_unseen], test_size=0.2, random_state=0
)

# %%
# Five members train together as one stacked network. A tenth of the training pairs is set
# aside to scale their spread, so that 90 % intervals cover 90 % of pairs like these.
ensemble = PairMLPRegressor(
    n_hidden=64, max_epochs=30, n_members=5, unseen_elements="allow", random_state=0
)
ensemble.fit(X_train, y_train)

sides = {
    "seen elements": (X_test, y_test),
    "unseen elements": (X[is_unseen], y[is_unseen]),
}
predicted = {name: ensemble.predict(X, return_std=True) for name, (X, _) in sides.items()}

# %%
# Are the intervals right? Among seen elements 90 % of the labels are inside, as promised.
# Intervals of lower levels hold more labels than they should: a few pairs have large errors,
# and the normal distribution has to be wide for their sake.
#
# With an unseen element the same intervals hold much less, about 60 %. Errors double and the
# standard deviations hardly grow: members that never saw an element agree on what it is
# like. An ensemble is no licence to extrapolate, which is why networks refuse unseen
# elements by default.
rows = {}
for name, (_, true) in sides.items():
    mean, std = predicted[name]
    rows[name] = {
        "pairs": len(true),
        "MAE (eV)": np.abs(mean - true).mean(),
        "mean std (eV)": sharpness(std),
        "90 % coverage": interval_coverage(true, mean, std, level=0.9),
        "calibration error": calibration_error(true, mean, std),
    }
print(pd.DataFrame(rows).T.round(3).to_string())

# %%
# Do errors grow with the standard deviation? Pairs in five bins, from the most certain to
# the least: among seen elements the last bin is several times worse than the first, so that
# the least certain fifth is worth computing again.
bins = {}
for name, (_, true) in sides.items():
    mean, std = predicted[name]
    pairs = pd.DataFrame({"std": std, "error": np.abs(mean - true)})
    bins[name] = pairs.groupby(pd.qcut(std, 5, labels=False)).mean()
print("\nMean standard deviation and mean absolute error in five bins (eV)")
print(pd.concat(bins, axis=1).round(3).to_string(index=False))

# %%
# Calibration of both, and errors against standard deviations.
figure, axes = plt.subplots(1, 3, figsize=(10.5, 4), layout="constrained")
for ax, (name, (_, true)) in zip(axes, sides.items(), strict=False):
    CalibrationDisplay.from_predictions(true.to_numpy(), *predicted[name], target=name, ax=ax)
for (name, table), style in zip(bins.items(), ("o-", "s-"), strict=True):
    axes[2].plot(table["std"], table["error"], style, label=name)
axes[2].set(xlabel="mean standard deviation (eV)", ylabel="mean absolute error (eV)", ylim=0)
axes[2].set_box_aspect(1)
axes[2].legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
plt.show()

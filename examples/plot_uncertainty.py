"""
==================================
Predictions that know their limits
==================================

A deep ensemble predicts a mean and a standard deviation. Are the stated intervals right, do
errors grow with them, and do they know elements that were never seen? Takes about 25 seconds
on one core.
"""

# %%
# HOMO energies. Every pair of eight elements is set aside, and a fifth of the other pairs.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from qcanvas_sklearn import PairMLPRegressor, load_pairs
from qcanvas_sklearn.metrics import calibration_error, interval_coverage, sharpness
from qcanvas_sklearn.plotting import CalibrationDisplay

UNSEEN = ["Be", "Cl", "Ga", "Hg", "Mo", "P", "Pd", "Sr"]

X, y = load_pairs(target="e_homo_ev", return_X_y=True)
X, y = X[y.notna()], y[y.notna()]
is_unseen = X.isin(UNSEEN).any(axis=1)
X_train, X_seen, y_train, y_seen = train_test_split(
    X[~is_unseen], y[~is_unseen], test_size=0.2, random_state=0
)
X_test, y_test = pd.concat([X_seen, X[is_unseen]]), pd.concat([y_seen, y[is_unseen]])

# %%
# Five members train together as one stacked network. A tenth of the training pairs is set
# aside to scale their spread, so that 90 % intervals cover 90 % of pairs like these.
#
# Members that never saw an element agree on what it is like, so that their spread says little
# about it. With ``unseen_elements="allow"`` five further nets are trained, each without a fifth
# of the training elements: their errors at these are what standard deviations of pairs with
# unseen elements come from, most of all the errors at elements that are alike.
ensemble = PairMLPRegressor(
    n_hidden=64, max_epochs=30, n_members=5, unseen_elements="allow", random_state=0
)
ensemble.fit(X_train, y_train)
mean, std = ensemble.predict(X_test, return_std=True)

# %%
# Pairs with unseen elements are flagged. Are the intervals right? Among seen elements 90 % of
# the labels are inside, as promised. With one and with two unseen elements errors grow, the
# standard deviations grow with them, and the intervals still hold.
#
# Intervals of lower levels hold more labels than they should: a few pairs have large errors,
# and the normal distribution has to be wide for their sake.
kinds = np.array(["none unseen", "one unseen", "two unseen"])
kind = kinds[ensemble.count_unseen_elements(X_test)]
rows = {}
for name in kinds:
    side = kind == name
    outcome = y_test[side], mean[side], std[side]
    rows[name] = {
        "pairs": side.sum(),
        "MAE (eV)": np.abs(mean - y_test)[side].mean(),
        "mean std (eV)": sharpness(std[side]),
        "90 % coverage": interval_coverage(*outcome, level=0.9),
        "calibration error": calibration_error(*outcome),
    }
print(pd.DataFrame(rows).T.round(3).to_string())

# %%
# Do errors grow with the standard deviation? Pairs in five bins, from the most certain to
# the least: among seen elements the last bin is several times worse than the first, so that
# the least certain fifth is worth computing again.
bins = {}
for name in kinds[:2]:
    side = kind == name
    pairs = pd.DataFrame({"std": std[side], "error": np.abs(mean - y_test)[side].to_numpy()})
    bins[name] = pairs.groupby(pd.qcut(pairs["std"], 5, labels=False)).mean()
print("\nMean standard deviation and mean absolute error in five bins (eV)")
print(pd.concat(bins, axis=1).round(3).to_string(index=False))

# %%
# Calibration of both, and errors against standard deviations.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 5), layout="constrained")
CalibrationDisplay.from_predictions(y_test, mean, std, groups=kind, ax=left)
for (name, table), style in zip(bins.items(), ("o-", "s-"), strict=True):
    right.plot(table["std"], table["error"], style, label=name)
right.set(xlabel="mean standard deviation (eV)", ylabel="mean absolute error (eV)", ylim=0)
right.set_box_aspect(1)
right.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
plt.show()

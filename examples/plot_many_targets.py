"""
===========================================
Eighteen targets in one fit, labels missing
===========================================

Databases have holes. A network learns all 18 targets at once from whatever labels there are,
is scored target by target, and gives predictions that obey the identities between the
targets. Takes about 20 seconds on one core.
"""

# %%
# All targets of 2,850 pairs. Some labels are missing by nature: without a virtual orbital
# there is no gap, and where the gap is zero softness and electrophilicity have no value.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from qcanvas_sklearn import PairMLPRegressor, load_pairs
from qcanvas_sklearn.metrics import target_report
from qcanvas_sklearn.targets import TARGETS, identity_residuals

X, y = load_pairs(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)
print(f"{len(X)} pairs, {y.shape[1]} targets, {y.isna().mean().mean():.0%} of labels missing")

# %%
# Half of the training labels are hidden, here and there: most pairs keep about half of their
# labels. NaN is a missing label, and no row needs to be dropped. The second model sees all.
hidden = np.random.default_rng(0).random(y_train.shape) < 0.5
labels = {"half of the labels": y_train.mask(hidden), "all labels": y_train}
network = PairMLPRegressor(
    n_hidden=128, max_epochs=25, batch_size=64, derive=True, random_state=0
)
predictions, reports = {}, {}
for name, known in labels.items():
    network.fit(X_train, known)
    predictions[name] = pd.DataFrame(network.predict(X_test), columns=y.columns)
    reports[name] = target_report(y_test, predictions[name])

# %%
# Scores by target, over the test labels that there are. An MAE over MAD of 1 is as bad as
# guessing the mean. Softness and electrophilicity grow without bounds where the gap closes:
# a few pairs make up their mean error, and the median says more. Bond length, charge and
# dipole can be read off the inputs (``TARGETS[key].read_off``): they are no predictions.
columns = ["unit", "n", "mae", "median_ae", "r2", "mae_over_mad"]
table = reports["all labels"][columns].round(3)
table["half_mae_over_mad"] = reports["half of the labels"]["mae_over_mad"].round(3)
table["read_off"] = [bool(TARGETS[key].read_off) for key in table.index]
print("\nScores with all labels, and with half of them")
print(table.to_string())

# %%
# ``derive=True`` has moved every prediction to where the identities hold: the gap is I - A,
# softness the reciprocal of the hardness, and so on. It acts on predictions alone, so that
# the fitted network can be asked without it, too.
network.set_params(derive=False)
free = pd.DataFrame(network.predict(X_test), columns=y.columns)
violations = pd.DataFrame(
    {"free": identity_residuals(free), "derived": identity_residuals(predictions["all labels"])}
)
print("\nLargest violation of each identity")
print(violations.map("{:.3g}".format).to_string())
errors = [
    target_report(y_test, values).loc["softness_evinv", "median_ae"]
    for values in (free, predictions["all labels"])
]
print(f"Median error of the softness: free {errors[0]:.2f}, derived {errors[1]:.2f} per eV")

# %%
# What half of the labels cost, and softness against hardness: every derived prediction is on
# the line, many free ones are not.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
places = np.arange(len(table))
for name, shift, color in (("all labels", -0.2, "#0072B2"), (list(labels)[0], 0.2, "#D55E00")):
    left.barh(places + shift, reports[name]["mae_over_mad"], 0.4, color=color, label=name)
left.set_yticks(places, [TARGETS[key].name for key in table.index], fontsize=8)
left.invert_yaxis()
left.set_xlabel("MAE over mean absolute deviation")
left.legend(frameon=False)

for values, name, style in (
    (free, "free", {"s": 10, "color": "#D55E00", "alpha": 0.6}),
    (predictions["all labels"], "derived", {"s": 4, "color": "#0072B2"}),
):
    seen = (values["eta_ev"] > 0.01) & (values["softness_evinv"] > 0)
    right.scatter(
        values["eta_ev"][seen],
        values["softness_evinv"][seen],
        label=name,
        linewidths=0,
        **style,
    )
right.set(
    xscale="log", yscale="log", xlabel="predicted hardness (eV)",
    ylabel="predicted softness (1/eV)",
)  # fmt: skip
right.legend(frameon=False)
plt.show()

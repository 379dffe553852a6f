"""
========================================
What a model looks at, and what it needs
========================================

Three questions to ask of a good score: which channels does the fitted model use, are there
targets that the inputs give away, and are the pixels worth more than the few numbers that
they are drawn from? Takes about 20 seconds on one core.
"""

# %%
# A small graph network on small images, and a fifth of the pairs to look at it with.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn import (
    ElementPairKFold,
    GATv2Regressor,
    PairImageTransformer,
    ViTRegressor,
    load_pairs,
)
from qcanvas_sklearn.inspection import (
    ImageAmplitudes,
    ablation_study,
    channel_importance,
    leakage_report,
)
from qcanvas_sklearn.plotting import ChannelImportanceDisplay

X, y = load_pairs(target="e_g_ev", return_X_y=True)
X, y = X[y.notna()], y[y.notna()]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=0)

images = PairImageTransformer(image_size=8)
model = make_pipeline(images, GATv2Regressor(n_hidden=32, max_epochs=20, random_state=0))
model.fit(X_train, y_train)

# %%
# Which channels does it use? Each channel, and each scalar beside the image, is handed to
# another pair, and the error of the gap grows. Most comes from the elements and their
# populations. A channel near zero is not without information: others hold the same.
importance = channel_importance(model, X_test, y_test, groups="all", random_state=0)
print(f"Mean absolute error {importance['baseline'][0]:.3f} eV; it grows by (eV)")
print(importance.drop(columns="baseline").round(3).to_string(index=False))

# %%
# Is there anything to predict? Four of the 18 targets can be read off a single number or a
# product of two; no score for these is an achievement. The gap is not among them.
_, targets = load_pairs(return_X_y=True)
leaks = leakage_report(X, targets.loc[X.index])
columns = ["target", "best_feature", "model", "r2", "read_off"]
print("\nWhat one number gives away")
print(leaks[columns].round(3).head(8).to_string(index=False))

# %%
# Are the pixels worth more than their scalars? Every image is linear in sixteen amplitudes,
# so it holds nothing else. To trees it is worth much more all the same: a tree splits on one
# column at a time, and a pixel between the atoms is a weighted sum over both, which no tree
# forms by itself. Give it a few such sums, and nearly all of the difference is gone. A
# network forms them on its own: to it, pixels and scalars are worth about the same.
SUMS = ("omap_radial", "com_orbital")


def with_sums(table):
    """Amplitudes of the two atoms, and what pixels between them would hold."""
    weight = np.linspace(0, 1, 33)
    sums = [
        np.outer(table[f"{channel}_a"], weight) + np.outer(table[f"{channel}_b"], 1 - weight)
        for channel in SUMS
    ]
    return np.hstack([table, *sums])


trees = make_pipeline(images, ExtraTreesRegressor(50, max_features=0.3, random_state=0))
transformer = make_pipeline(images, ViTRegressor(n_hidden=32, max_epochs=12, random_state=0))
sums = make_pipeline(ImageAmplitudes(), FunctionTransformer(with_sums))
scalars = PairImageTransformer(include=["atoms", "orbitals", "charges"])
cv = ElementPairKFold(2, shuffle=True, random_state=0)
studies = {
    "trees": ablation_study(
        trees, X, y, ablations={"amplitudes": ImageAmplitudes(), "with sums": sums}, cv=cv
    ),
    "vision transformer": ablation_study(
        transformer, X, y, ablations={"scalars": scalars}, cv=cv
    ),
}
bars = [
    (f"{name}, {ablation.replace('none', 'pixels')}", mean, std)
    for name, study in studies.items()
    for ablation, mean, std in study[["ablation", "mae_mean", "mae_std"]].to_numpy()
]
print("\nMean absolute error in 2-fold cross-validation over pairs (eV)")
for name, mean, std in bars:
    print(f"{name:28} {mean:.3f} ± {std:.3f}")

# %%
# The fitted model's view on the left, what models can do without on the right.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
label = "increase of the MAE (eV)"
ChannelImportanceDisplay(importances=importance, label=label).plot(left)
names, means, deviations = zip(*bars, strict=True)
right.barh(names, means, xerr=deviations, color=["#0072B2"] * 3 + ["#D55E00"] * 2)
right.invert_yaxis()
right.set_xlabel("MAE of the gap (eV)")
plt.show()

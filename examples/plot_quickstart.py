"""
=====================================================
Quickstart: the HOMO-LUMO gap of pairs never computed
=====================================================

Load 2,840 real diatomics, cross-validate a graph network and a convolutional network
against two honest baselines, look at what the networks see, save a model and use it in
another process. Takes about two minutes on two cores.

Usage: ``python examples/plot_quickstart.py [DIRECTORY]``; figures and the model are written
to the directory, by default ``quickstart_output``.
"""

# %%
# Data: element pairs and one label each. Ten pairs have no virtual orbital and so no gap.
import subprocess
import sys
from pathlib import Path

import joblib
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from qcanvas_sklearn import (
    ElementPairKFold,
    GATv2Regressor,
    PairDescriptorTransformer,
    PairImageTransformer,
    QuantumShellNetRegressor,
    load_pairs,
)

output = Path(sys.argv[1] if len(sys.argv) > 1 else "quickstart_output")
output.mkdir(parents=True, exist_ok=True)

X, y = load_pairs(target="e_g_ev", return_X_y=True)
X, y = X[y.notna()], y[y.notna()]
print(f"{len(X)} pairs; gap {y.mean():.2f} eV on average, standard deviation {y.std():.2f} eV")

# %%
# Four models, one protocol. The baselines see the elements alone; the networks also see
# the bond length and the electron populations behind the images, from one calculation of
# each pair. The gap itself is in neither. Fewer epochs than by default, for a quick look.
models = {
    "mean of the training pairs": make_pipeline(PairDescriptorTransformer(), DummyRegressor()),
    "gradient boosting, elements only": make_pipeline(
        PairDescriptorTransformer(), HistGradientBoostingRegressor(random_state=0)
    ),
    "GATv2": Pipeline(
        [
            ("img", PairImageTransformer()),
            ("m", GATv2Regressor(max_epochs=40, random_state=0)),
        ]
    ),
    "QuantumShellNet": Pipeline(
        [
            ("img", PairImageTransformer()),
            ("m", QuantumShellNetRegressor(max_epochs=25, random_state=0)),
        ]
    ),
}

if __name__ == "__main__":
    cv = ElementPairKFold(5, shuffle=True, random_state=0)
    predicted = {
        name: cross_val_predict(model, X, y, cv=cv, n_jobs=2) for name, model in models.items()
    }
    errors = pd.Series({name: np.abs(p - y).mean() for name, p in predicted.items()})
    print("\nMean absolute error of the gap, 5-fold over pairs (eV)")
    print(errors.map("{:.3f}".format).to_string())

    # %%
    # Predicted against computed gaps, every pair predicted by a model that never saw it.
    figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), sharex=True, sharey=True)
    for ax, name in zip(axes, ["gradient boosting, elements only", "GATv2"], strict=True):
        ax.plot([0, y.max()], [0, y.max()], color="0.6", lw=1, zorder=0)
        ax.scatter(y, predicted[name], s=6, alpha=0.5, color="#0072B2", edgecolors="none")
        ax.set(xlabel="computed gap (eV)", title=f"{name}\nMAE {errors[name]:.3f} eV")
    axes[0].set_ylabel("predicted gap (eV)")
    figure.tight_layout()
    figure.savefig(output / "parity.png", dpi=130)

    # %%
    # What the networks see: ten channels of one pair.
    transformer = PairImageTransformer()
    image = transformer.unpack(transformer.fit_transform([["Ag", "Al"]]))["image"][0]
    figure, axes = plt.subplots(2, 5, figsize=(9, 3.6), layout="constrained")
    for ax, channel, name in zip(axes.flat, image, transformer.channel_names_, strict=True):
        drawn = ax.imshow(channel, cmap="viridis")
        figure.colorbar(drawn, ax=ax, shrink=0.75).ax.tick_params(labelsize=6)
        ax.set_title(name, fontsize=8)
        ax.axis("off")
    figure.suptitle("The ten channels of Ag-Al", fontsize=10)
    figure.savefig(output / "channels.png", dpi=130)

    # %%
    # Fit on everything, save, and predict in a process that knows the file alone.
    path = output / "gap.joblib"
    joblib.dump(models["GATv2"].fit(X, y), path)
    script = (
        "import joblib, sys; model = joblib.load(sys.argv[1]);"
        "print(model.predict([['Ag', 'Al'], ['O', 'H']]).round(2))"
    )
    print(f"\nAg-Al and O-H, from {path.name} in a new process (eV):", flush=True)
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    print(f"Figures and model are in {output}/")

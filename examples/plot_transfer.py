"""
=================================================
When pretraining helps, and when two-body physics
=================================================

A network can start from an encoder that was trained on scans of dimers, or on top of what
two-body physics says of a molecule, or both. With a hundred labels the one is worth little and
the other a lot; measure it before you rely on it. Takes about half a minute on one core.
"""

# %%
# Encoders ship with the package. Each has a card that says what it was trained on, so that you
# can tell whether your test molecules were among it.
import matplotlib.pyplot as plt
import numpy as np

from qcanvas_sklearn import SchNetRegressor, encoders, load_molecules

print(encoders.list().to_string(index=False))
card = encoders.describe("dimers-gfn2", family="schnet")["card"]
print("\n".join(f"{name}: {card[name]}" for name in ("data", "recipe", "held_out")))

# %%
# Test molecules have other formulas than those that are learned from. The four arms differ in
# two parameters alone: they see the same rows in the same number of steps.
bundle = load_molecules()
X, y = bundle.data, bundle.target["e_g_ev"]
rng = np.random.default_rng(0)
formulas = rng.permutation(np.unique(X.formulas))
tested = np.isin(X.formulas, formulas[: len(formulas) // 4])
test, pool = np.flatnonzero(tested)[:80], rng.permutation(np.flatnonzero(~tested))

arms = {
    "scratch": {},
    "fine-tuned": {"pretrained": "dimers-gfn2"},
    "two-centre levels": {"baseline": "two-centre"},
    "both": {"pretrained": "dimers-gfn2", "baseline": "two-centre"},
}
sizes, n_steps, batch_size = [25, 100], 150, 16


def error(n, parameters):
    """Error of the gap after learning from n molecules."""
    epochs = -(-n_steps // -(-n // batch_size))
    model = SchNetRegressor(
        max_epochs=epochs, batch_size=batch_size, random_state=0, **parameters
    )
    model.fit(X[pool[:n]], y[pool[:n]])
    return np.abs(model.predict(X[test]) - y[test]).mean()


errors = {name: [error(n, parameters) for n in sizes] for name, parameters in arms.items()}
for name, values in errors.items():
    print(f"{name}: {np.round(values, 3)} eV at {sizes} labels")

# %%
# One split and one seed are an anecdote: ``benchmarks/run_transfer.py`` repeats this with
# paired seeds, controls and intervals, for other targets, energies and forces.
figure, axes = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
for (name, values), style in zip(errors.items(), ["o-", "s-", "o--", "s--"], strict=True):
    axes.loglog(sizes, values, style, label=name)
axes.set(xlabel="Labels", ylabel="MAE of the gap (eV)", xticks=sizes)
axes.set_xticklabels(sizes)
axes.minorticks_off()
axes.legend(fontsize="small")
plt.show()

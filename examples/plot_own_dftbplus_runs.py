"""
===================================
Predictions for DFTB+ runs of yours
===================================

Output files of DFTB+ become pair data, images and input of a network. Twelve runs come with
the tests of the package; pass the directory of your own, which holds one directory a pair.
Other sources, xTB among them, are in ``plot_sources.py``. Takes about 15 seconds on one core.

Usage: ``python examples/plot_own_dftbplus_runs.py [DIRECTORY]``
"""

# %%
# A run is a directory with ``detailed.out`` and ``geo_end.xyz``, and ``band.out`` for the
# frontier levels.
import shutil
import sys
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from qcanvas_sklearn import PairData, PairImageTransformer, PairMLPRegressor, load_pairs
from qcanvas_sklearn.datasets import compare, read_dftbplus
from qcanvas_sklearn.plotting import PairImageDisplay

shipped = Path(sys.argv[0]).resolve().parents[1] / "tests" / "data" / "dftbplus"
runs = Path(sys.argv[1]) if len(sys.argv) > 1 else shipped
own = read_dftbplus(runs)
print(own)

# %%
# Everything that was read, as one table; labels that follow from others are filled in. The
# compact file is quick to read again. (``python -m qcanvas_sklearn build`` writes an archive
# in the published layout in place of it.)
columns = ["element_1", "element_2", "distance_ang", "charge_1", "charge_2", "e_g_ev"]
print(own.to_frame()[columns].head().round(3).to_string(index=False))
with TemporaryDirectory() as folder:
    own.save(Path(folder) / "own.npz")
    own = PairData.load(Path(folder) / "own.npz")

# %%
# Real folders hold runs that crashed. These raise an error by default, with the file's name;
# ``on_error="warn"`` leaves them out, warns, and lists them in ``skipped``. Two runs as an
# example, one of them cut short:
with TemporaryDirectory() as folder:
    for name in ("C_O", "F_H"):
        shutil.copytree(shipped / name, Path(folder) / name)
    output = Path(folder) / "F_H" / "detailed.out"
    output.write_text(output.read_text()[:1500])
    with warnings.catch_warnings(record=True):
        usable = read_dftbplus(folder, on_error="warn")
print(f"\nkept {usable.names.tolist()}, left out {[name for name, _ in usable.skipped]}")
for _, reason in usable.skipped:
    print(reason.replace(folder, "..."))

# %%
# Are these runs of the same kind as the bundled table? A network that was trained on one
# method's labels must not be judged by another's. Here the labels agree: same parameters.
bundled = load_pairs().pairs
print("\nOwn and bundled labels")
print(compare(own, bundled).loc[["distance_ang", "e_g_ev", "e_homo_ev"]].round(3).to_string())

# %%
# A network learns the gap from the bundled pairs but for those that were just read, and
# predicts it for them from their own populations and bond lengths. A `PairData` is a source
# of the transformer as the bundled table is. Half of the gaps are right to about 0.1 eV;
# the mean error is mostly that of F-H, whose gap is larger than all that were learned.
rest = np.setdiff1d(np.arange(len(bundled)), bundled.find(own.elements))
train = bundled[rest]
columns = ["atoms", "orbitals"]
X_train = PairImageTransformer(train, include=columns).fit_transform(train.elements)
X_own = PairImageTransformer(own, include=columns).fit_transform(own.elements)
network = PairMLPRegressor(n_hidden=64, max_epochs=30, batch_size=32, random_state=0)
network.fit(X_train, train.labels["e_g_ev"])
table = pd.DataFrame(
    {"computed": own.labels["e_g_ev"], "predicted": network.predict(X_own)}
).set_index(own.names)
errors = (table["predicted"] - table["computed"]).abs()
print(f"\nGaps of the own runs, absolute errors: mean {errors.mean():.2f} eV, "
      f"median {errors.median():.2f} eV")  # fmt: skip
print(table.round(2).to_string())

# %%
# The ten channels of the first run, drawn from its output, and all gaps. He-Ne has no virtual
# orbital and so no gap to compare with.
PairImageDisplay.from_pairs(own.elements, transformer=PairImageTransformer(own))
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
table.plot.bar(ax=ax, color=["#0072B2", "#D55E00"], rot=45, ylabel="HOMO-LUMO gap (eV)")
ax.legend(frameon=False)
plt.show()

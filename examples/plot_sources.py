"""
=====================
Where pairs come from
=====================

The same pair from the bundled DFTB table and from xTB computed on the spot, the labels of
both compared, a bond scanned, and an archive written and read back. Takes about ten
seconds. xTB needs tblite (``pip install "qcanvas-sklearn[xtb]"``); without it free atoms
stand in its place, and what needs its labels is left out.

Usage: ``python examples/plot_sources.py [DIRECTORY]``; figures are written to the
directory, by default ``sources_output``.
"""

# %%
# Two sources of one pair. Both are names or `PairData`, the record that every source of
# this package returns; ``source="xtb"`` would compute whatever pairs come along.
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from qcanvas_sklearn import PairImageTransformer, load_pairs
from qcanvas_sklearn.datasets import compare, compute_pairs, read_npz, write_npz

output = Path(sys.argv[1] if len(sys.argv) > 1 else "sources_output")
output.mkdir(parents=True, exist_ok=True)

bundled = load_pairs().pairs
pair = [["Ag", "Cl"]]
has_xtb = find_spec("tblite") is not None
if has_xtb:
    sources = {"DFTB": bundled, "xTB": compute_pairs(pair, cache=False)}
else:
    print('Free atoms in place of xTB, which needs: pip install "qcanvas-sklearn[xtb]"')
    sources = {"DFTB": bundled, "free atoms": "free-atom"}

# %%
# Ten channels of the pair, each on one scale for both sources. The angular one is empty
# wherever orbitals +m and -m are filled alike; free atoms lack charges and a dipole too.
UNITS = ["e"] * 4 + ["e a$_0$", "e", "0.1 e", "e", "0.1 e", "0.1 e"]
images = {}
for name, source in sources.items():
    transformer = PairImageTransformer(source, include=["image"])
    images[name] = transformer.unpack(transformer.fit_transform(pair))["image"][0]

figure, axes = plt.subplots(4, 5, figsize=(9, 8.2), layout="constrained")
for channel, title in enumerate(transformer.channel_names_):
    top, column = 2 * (channel // 5), channel % 5
    both = axes[top : top + 2, column]
    pixels = np.stack([image[channel] for image in images.values()])
    # One channel takes both signs: its colours part at zero. Round-off is drawn as nothing.
    signed = pixels.min() < 0
    largest = pixels.max() if pixels.max() > 1e-3 else 1.0
    scale = {"vmin": -largest if signed else 0, "vmax": largest}
    for ax, picture, name in zip(both, pixels, images, strict=True):
        drawn = ax.imshow(picture, cmap="PuOr_r" if signed else "viridis", **scale)
        ax.set(xticks=[], yticks=[])
        if column == 0:
            ax.set_ylabel(name)
    both[0].set_title(title, fontsize=9)
    bar = figure.colorbar(drawn, ax=both, location="bottom", shrink=0.9, aspect=14, pad=0.02)
    bar.set_label(UNITS[channel], fontsize=8)
    bar.ax.tick_params(labelsize=8)
figure.suptitle(f"{pair[0][0]}-{pair[0][1]}, 32 x 32 pixels", fontsize=11)
figure.savefig(output / "sources_channels.png", dpi=130)

# %%
# Labels of two sources on the pairs that both hold. Lengths and gaps resemble each other;
# levels and energies refer to different Hamiltonians and must never be mixed.
if has_xtb:
    some = bundled[(bundled.z <= 86).all(axis=1)][::66]
    computed = compute_pairs(some.elements, cache=False)
    print(f"{computed.provenance}; {(computed.quality == 'ok').mean():.0%} ok\n")
    table = compare(some, computed)
    print(table[table["correlation"].notna()].round(3).to_string())

    keys = {"distance_ang": "bond length (Å)", "e_g_ev": "gap (eV)", "e_homo_ev": "HOMO (eV)"}
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.3), layout="constrained")
    for ax, (key, title) in zip(axes, keys.items(), strict=True):
        x, y = some.labels[key], computed.labels[key]
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color="0.6", lw=1, zorder=0)
        ax.scatter(x, y, s=16, alpha=0.7, color="#0072B2", edgecolors="none")
        r, difference = table.loc[key, ["correlation", "mean_abs_difference"]]
        ax.set_title(f"r = {r:.2f}, mean |difference| {difference:.2f}", fontsize=9)
        ax.set(xlabel=f"DFTB {title}", ylabel=f"xTB {title}", aspect="equal")
    figure.savefig(output / "sources_labels.png", dpi=130)

# %%
# A bond scanned, one row for each point of the grid, and its relaxed length. The spin stays
# the lowest one, so that atoms far apart come out too high in energy.
if has_xtb:
    grid = np.linspace(0.9, 2.3, 71)
    figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
    for method, color, dashes in (("GFN1-xTB", "#0072B2", "-"), ("GFN2-xTB", "#D55E00", "--")):
        scan = compute_pairs([["N", "N"]], method=method, distance=grid, cache=False)
        relaxed = compute_pairs([["N", "N"]], method=method, cache=False)
        energy = scan.labels["mermin_free_energy_ev"]
        energy -= relaxed.labels["mermin_free_energy_ev"][0]
        length = relaxed.bond_lengths[0]
        ax.plot(grid, energy, dashes, color=color, label=f"{method}, minimum at {length:.3f} Å")
        ax.plot(length, 0, "o", color=color)
    ax.axvline(1.0977, color="0.6", lw=1, zorder=0, label="experiment, 1.098 Å")
    ax.set(xlabel="N-N distance (Å)", ylabel="free energy (eV)", ylim=(-0.5, 12))
    ax.legend(frameon=False, fontsize=8)
    figure.savefig(output / "sources_scan.png", dpi=130)

# %%
# An archive in the published layout, from any source: images are drawn as it is written.
with TemporaryDirectory() as folder:
    write_npz(bundled[:100], Path(folder) / "archive.npz")
    archive = read_npz(Path(folder) / "archive.npz")
print(f"\n{archive}\nimages {archive.images.shape}, figures in {output}/")

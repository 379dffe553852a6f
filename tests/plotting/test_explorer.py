"""The page of one pair: what stands on it, and that it can be read."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    PairImageTransformer,
    PairMLPRegressor,
    TightBindingRegressor,
    load_pairs,
)
from qcanvas_sklearn.images import pair_amplitudes, render
from qcanvas_sklearn.plotting import PairExplorerDisplay
from qcanvas_sklearn.structures import PairData

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

TARGETS = ["e_g_ev", "e_homo_ev", "total_energy_ev"]


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def light():
    """Pairs of seven elements, as symbols, and three targets with missing labels."""
    X, y = load_pairs(target=TARGETS, return_X_y=True)
    rows = X.isin(["C", "N", "O", "F", "H", "He", "Ne"]).all(axis=1)
    return X[rows].reset_index(drop=True), y[rows].reset_index(drop=True)


@pytest.fixture(scope="module")
def states(light):
    return TightBindingRegressor(n_members=2, max_epochs=2, random_state=0).fit(*light)


@pytest.fixture(scope="module")
def network(light):
    """One target, no standard deviations, no levels, in a pipeline."""
    X, y = light
    model = PairMLPRegressor(n_hidden=16, max_epochs=2, random_state=0)
    return make_pipeline(PairImageTransformer(image_size=8), model).fit(X, y["e_g_ev"])


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_the_page_shows_what_the_model_and_the_record_know(states):
    display = PairExplorerDisplay.from_estimator(states, ["O", "C"])
    pairs = load_pairs().pairs
    (row,) = pairs.find([["C", "O"]])
    mean, std = states.predict([["C", "O"]], return_std=True)
    table = display.predictions
    assert list(table.index) == TARGETS and np.array_equal(table["prediction"], mean[0])
    assert np.array_equal(table["std"], std[0]) and np.isfinite(std).all()
    labels = pairs.labels[TARGETS]
    np.testing.assert_array_equal(table["label"], labels.iloc[row])
    np.testing.assert_allclose(table["spread"], labels.std())
    for channel, image in zip(
        render(pair_amplitudes(pairs[[row]]))[0], display.image_.images_, strict=True
    ):
        assert np.array_equal(image.get_array(), channel)
    panels = display.panels_
    assert [t.get_text() for t in panels["levels"].get_xticklabels()] == ["C", "C–O", "O"]
    a, b = pairs.charges[row]
    assert texts(panels["charges"]) == [f"{a:+.3f} e", f"{b:+.3f} e"]
    heights = [sum(bar.get_height() for bar in panels["charges"].patches[k::2]) for k in (0, 1)]
    np.testing.assert_allclose(heights, pairs.populations[row], atol=0.02)
    (dots,) = (line for line in panels["neighbours"].lines if line.get_linestyle() == "None")
    assert np.array_equal(dots.get_xdata(), display.neighbours["label"])
    assert panels["neighbours"].get_xlabel() == "HOMO-LUMO gap (eV)"
    assert len(texts(panels["predictions"])) == 3
    assert texts(panels["predictions"])[0].startswith(f"{labels.iloc[row, 0]:.3g}: ")
    assert display.figure_.get_suptitle() == f"C–O, {pairs.bond_lengths[row]:.2f} Å"


def test_neighbours_are_the_pairs_of_the_most_similar_elements(network):
    display = PairExplorerDisplay.from_estimator(network, ["F", "Ne"], n_neighbours=5)
    near = display.neighbours
    pairs = load_pairs().pairs
    assert len(near) == 5 and near["distance"].is_monotonic_increasing
    assert "F–Ne" not in set(near["pair"]) and {"Ar–F", "Cl–Ne"} & set(near["pair"])
    rows = pairs.find([pair.split("–") for pair in near["pair"]])
    assert near["label"].tolist() == pairs.labels["e_g_ev"].iloc[rows].tolist()


def test_repeated_pairs_are_one_neighbour(network):
    pairs = load_pairs().pairs
    few = pairs[pairs.find([["C", "O"], ["C", "N"], ["N", "O"]])]
    twice = PairData.concat([few, few])
    display = PairExplorerDisplay.from_estimator(network, ["C", "O"], data=twice)
    assert sorted(display.neighbours["pair"]) == ["C–N", "N–O"]


def test_a_network_has_neither_levels_nor_deviations(network):
    display = PairExplorerDisplay.from_estimator(network, ["C", "O"])
    assert display.levels is None and display.predictions["std"].isna().all()
    levels = display.panels_["levels"]
    assert [t.get_text() for t in levels.get_xticklabels()] == ["calculated"]
    assert "±" not in texts(display.panels_["predictions"])[0]


def test_missing_labels_and_populations_are_said(states):
    pairs = load_pairs().pairs
    light = pairs[pairs.find([["C", "O"], ["C", "N"], ["N", "O"], ["F", "N"]])]
    unknown = light.labels.assign(e_g_ev=[np.nan, 1.0, 2.0, 3.0], e_homo_ev=[np.nan] * 4)
    drawn = replace(
        light, labels=unknown, images=render(pair_amplitudes(light)),
        orbital_populations=np.full_like(light.orbital_populations, np.nan),
        charges=np.full_like(light.charges, np.nan),
    )  # fmt: skip
    display = PairExplorerDisplay.from_estimator(states, ["C", "O"], data=drawn)
    assert texts(display.panels_["charges"]) == ["charge not known"] * 2
    assert texts(display.panels_["predictions"])[0].startswith("no label: ")
    display = PairExplorerDisplay(
        pair=display.pair, predictions=display.predictions[:1],
        neighbours=display.neighbours, target="e_g_ev",
    ).plot()  # fmt: skip
    assert texts(display.panels_["levels"]) == ["no levels known"]


@pytest.mark.parametrize("model", ["states", "network"])
def test_nothing_is_cut_off_small_or_wider_than_a_page(model, request):
    from test_plotting import check_print

    model = request.getfixturevalue(model)
    check_print(PairExplorerDisplay.from_estimator(model, ["C", "O"]).figure_, 7)


def test_one_given_axes_is_divided(network):
    figure, (ax, other) = plt.subplots(1, 2, figsize=(14, 7))
    display = PairExplorerDisplay.from_estimator(network, ["C", "O"], ax=ax)
    assert display.ax_ is ax and display.figure_ is figure and not ax.axison
    box = ax.get_position()
    for panel in display.panels_.values():
        place = panel.get_position()
        assert box.x0 - 1e-6 <= place.x0 and place.x1 <= box.x1 + 1e-6
    assert not other.has_data() and figure.get_suptitle() == ""
    assert display.plot().figure_ is not figure
    with pytest.raises(ValueError, match="takes one matplotlib Axes as ax, got 3"):
        display.plot(3)


def test_without_matplotlib_nothing_is_computed(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"PairExplorerDisplay needs .*sklearn\[plot\]"):
        PairExplorerDisplay.from_estimator(None, ["C", "O"])


@pytest.mark.parametrize(
    "pair, options, error, message",
    [
        (["C", "O", "H"], {}, ValueError, "pair must be two elements, got"),
        (["C", "Xx"], {}, ValueError, r"no pair \['C', 'Xx'\] among the 2850"),
        (["C", "O"], {"target": "a_ev"}, ValueError, "target='a_ev' is not one of"),
        (["C", "O"], {"data": pd.DataFrame()}, TypeError, "must be a PairData, got DataFrame"),
    ],
)
def test_bad_input_is_named(network, pair, options, error, message):
    with pytest.raises(error, match=message):
        PairExplorerDisplay.from_estimator(network, pair, **options)
    assert plt.get_fignums() == []


def test_a_pair_that_could_not_be_computed_has_no_page(network):
    pairs = load_pairs().pairs[:1]
    nothing = {
        name: np.full_like(getattr(pairs, name), np.nan)
        for name in ("orbital_populations", "populations", "charges", "dipole")
    }
    data = replace(pairs, **nothing, quality=["unbound"])
    with pytest.raises(ValueError, match="Ag_Ag could not be computed: unbound"):
        PairExplorerDisplay.from_estimator(network, ["Ag", "Ag"], data=data)


def test_targets_need_names_and_tables_their_columns(light, network):
    X, y = light
    unnamed = PairMLPRegressor(n_hidden=16, max_epochs=1).fit(X, y["e_g_ev"].to_numpy())
    with pytest.raises(ValueError, match="PairMLPRegressor was told no names of its targets"):
        PairExplorerDisplay.from_estimator(unnamed, ["C", "O"])
    display = PairExplorerDisplay.from_estimator(network, ["C", "O"])
    display.predictions = display.predictions.drop(columns="std")
    with pytest.raises(ValueError, match=r"predictions has no columns \['std'\]"):
        display.plot()

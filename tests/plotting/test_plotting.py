"""Displays: what they draw, where, in which units, and that it can be read."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import BayesianRidge, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn import (
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    TightBindingRegressor,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.elements import MAX_Z, SYMBOLS
from qcanvas_sklearn.hamiltonians import TwoCentreTables
from qcanvas_sklearn.images import CHANNEL_NAMES
from qcanvas_sklearn.metrics import calibration_error, coverage_curve, interval_coverage
from qcanvas_sklearn.model_selection import PairTypeSplit, PeriodSplit
from qcanvas_sklearn.plotting import (
    CalibrationDisplay,
    ChannelImportanceDisplay,
    GeneralizationGapDisplay,
    HamiltonianDisplay,
    LevelDisplay,
    MolecularOrbitalDisplay,
    PairImageDisplay,
    PairMatrixDisplay,
    ParityDisplay,
    PeriodicTableDisplay,
    PotentialCurveDisplay,
    TrainingCurveDisplay,
)

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.text import Text  # noqa: E402

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3, 4],
        "train_loss": [0.9, 0.5, 0.3, 0.2],
        "valid_loss": [1.0, 0.6, 0.5, 0.7],
        "lr": 1e-3,
        "seconds": 0.1,
    }
)
GAPS = pd.DataFrame(
    {
        "split": ["PeriodSplit", "PairTypeSplit"] * 2,
        "target": ["e_g_ev"] * 2 + ["distance_ang"] * 2,
        "unit": ["eV"] * 2 + ["angstrom"] * 2,
        "mae_in": [0.1, 0.2, 0.03, 0.04],
        "mae_out": [0.3, 0.1, 0.09, np.nan],
        "ratio": [3.0, 0.5, 3.0, np.nan],
    }
)
IMPORTANCES = pd.DataFrame(
    {
        "feature": ["com_charge", "com_orbital", "z"],
        "importance_mean": [0.1, -0.01, 0.4],
        "importance_std": [0.02, 0.005, 0.03],
    }
)


#: Two hydrogen-like atoms with a p shell that holds nothing.
_NOTHING = {f"{atom}_{shell}": 0.0 for atom in ("first", "second") for shell in "spdf"}
LEVELS = pd.DataFrame(
    [
        {"symmetry": symmetry, "energy_ev": energy, "degeneracy": 1 + (symmetry == "pi"),
         "electrons": electrons, **_NOTHING, f"first_{shell}": 0.5, f"second_{shell}": 0.5}
        for symmetry, energy, electrons, shell in (
            ("sigma", -15.0, 2.0, "s"), ("sigma", -8.0, 0.0, "s"), ("pi", -6.0, 0.0, "p"),
            ("sigma", 70.0, 0.0, "p"))
    ]
)  # fmt: skip
SHELLS = pd.DataFrame(
    [[-12.0, -4.0, np.nan, np.nan]] * 2, ["H", "H"], [f"{shell}_ev" for shell in "spdf"]
)
_R = np.linspace(0.8, 4, 33)
CURVES = pd.DataFrame(
    {"C–O": 10 * (1 - np.exp(1.1 - _R)) ** 2, "H–F": 6 * (1 - np.exp(0.9 - _R)) ** 2}, _R
)


@pytest.fixture(autouse=True)
def no_figure_is_left():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def gap(few_pairs):
    """Pairs, their gaps with missing labels, and predictions."""
    X, Y = few_pairs
    y = Y["e_g_ev"].copy()
    y[::10] = np.nan
    noise = np.random.default_rng(0).normal(size=len(y))
    return X, y, Y["e_g_ev"].fillna(0).to_numpy() + 0.3 * noise


@pytest.fixture(scope="module")
def fitted(few_pairs):
    """A pipeline whose regressor also predicts standard deviations."""
    X, Y = few_pairs
    return make_pipeline(PairDescriptorTransformer(), BayesianRidge()).fit(
        X, Y["total_energy_ev"]
    )


@pytest.fixture(scope="module")
def network(few_pairs):
    X, Y = few_pairs
    model = PairMLPRegressor(
        n_hidden=16, max_epochs=3, early_stopping=True, unseen_elements="allow", random_state=0
    )
    return make_pipeline(PairImageTransformer(image_size=8), model).fit(X, Y["total_energy_ev"])


def makers(gap):
    """One display of each class, as functions of the axes."""
    X, y, pred = gap
    return {
        "PairImageDisplay": lambda ax: PairImageDisplay.from_pairs(
            X, transformer=PairImageTransformer(channels=["com_charge"]), ax=ax
        ),
        "ParityDisplay": lambda ax: ParityDisplay.from_predictions(y, pred, ax=ax),
        "PeriodicTableDisplay": lambda ax: PeriodicTableDisplay.from_predictions(
            X, y, pred, ax=ax
        ),
        "PairMatrixDisplay": lambda ax: PairMatrixDisplay.from_predictions(X, y, pred, ax=ax),
        "CalibrationDisplay": lambda ax: CalibrationDisplay.from_predictions(
            y, pred, np.full(len(y), 0.3), ax=ax
        ),
        "ChannelImportanceDisplay": ChannelImportanceDisplay(importances=IMPORTANCES).plot,
        "GeneralizationGapDisplay": GeneralizationGapDisplay(gaps=GAPS[:2]).plot,
        "TrainingCurveDisplay": TrainingCurveDisplay(history=HISTORY).plot,
        "HamiltonianDisplay": HamiltonianDisplay(
            matrices={"Hamiltonian": np.diag([-10.0, -9.0, -14.0])}, atoms=["C1", "C1", "O2"]
        ).plot,
        "LevelDisplay": LevelDisplay(levels={"true": [-12.0, -9.0, 1.0]}, n_occupied=2).plot,
        "MolecularOrbitalDisplay": MolecularOrbitalDisplay(levels=LEVELS, shells=SHELLS).plot,
        "PotentialCurveDisplay": PotentialCurveDisplay(
            curves=CURVES, references=CURVES[::2] + 0.1
        ).plot,
    }


NAMES = sorted(makers((None, None, None)))


# ------------------------------------------------------- what all displays do


@pytest.mark.parametrize("name", NAMES)
def test_a_display_draws_on_the_given_axes_and_nowhere_else(name, gap):
    figure, (ax, other) = plt.subplots(1, 2)
    untouched = set(other.get_children())
    display = makers(gap)[name](ax)
    assert display.ax_ is ax and display.figure_ is figure
    assert ax.has_data() and set(other.get_children()) == untouched
    assert plt.get_fignums() == [figure.number] and figure.axes == [ax, other]


def check_print(figure, width):
    """Nothing is cut off, and nothing smaller than 7 points."""
    figure.canvas.draw()
    assert figure.get_figwidth() <= width
    shown = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    assert min(text.get_fontsize() for text in shown) >= 7
    drawn, frame = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 > -0.01 and drawn.x1 < frame.x1 + 0.01
    assert drawn.y0 > -0.01 and drawn.y1 < frame.y1 + 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_new_figure_fits_a_column_and_nothing_is_cut_off_or_small(name, gap):
    check_print(makers(gap)[name](None).figure_, 3.4)


def test_several_panels_fit_a_page(gap, few_pairs):
    X, Y = few_pairs
    check_print(PairImageDisplay.from_pairs(X).figure_, 7)
    check_print(ParityDisplay.from_predictions(Y, Y.fillna(0)).figure_, 7)
    check_print(GeneralizationGapDisplay(gaps=GAPS).plot().figure_, 7)
    values = PeriodicTableDisplay.from_predictions(*gap, include_values=True)
    check_print(values.figure_, 7)


@pytest.mark.parametrize("name", NAMES)
def test_plot_draws_again_on_other_axes(name, gap):
    display = makers(gap)[name](None)
    first = display.figure_
    assert display.plot() is display
    assert display.figure_ is not first and display.ax_.has_data()


@pytest.mark.parametrize("name", NAMES)
def test_axes_must_be_axes(name, gap):
    with pytest.raises(ValueError, match=f"{name} takes one matplotlib Axes as ax, got 3"):
        makers(gap)[name](3)


def test_a_figure_that_could_not_be_drawn_is_closed(gap):
    with pytest.raises(ValueError, match="jett"):
        ParityDisplay.from_predictions(*gap[1:], cmap="jett")
    assert plt.get_fignums() == []


def test_without_matplotlib_the_error_says_how_to_get_it_before_anything_is_computed(
    monkeypatch, gap
):
    class Untouched:
        def __getattr__(self, name):
            raise AssertionError(f"{name} was asked for")

    X, y, pred = gap
    model, message = Untouched(), r'pip install "qcanvas-sklearn\[plot\]"'
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    for name, make in makers(gap).items():
        with pytest.raises(ImportError, match=f"{name} needs matplotlib.*{message}"):
            make(None)
    for display in (ParityDisplay, PeriodicTableDisplay, PairMatrixDisplay,
                    CalibrationDisplay, ChannelImportanceDisplay):  # fmt: skip
        with pytest.raises(ImportError, match=message):
            display.from_estimator(model, X, y)
    with pytest.raises(ImportError, match=message):
        GeneralizationGapDisplay.from_estimator(model, X, y, PeriodSplit())
    with pytest.raises(ImportError, match=message):
        TrainingCurveDisplay.from_estimator(model)


def test_importing_the_displays_costs_neither_matplotlib_nor_torch():
    code = (
        "import sys, qcanvas_sklearn.plotting; "
        "print(sorted({'torch', 'matplotlib', 'skorch'} & sys.modules.keys()))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (out.stdout.strip(), out.stderr) == ("[]", "")


# -------------------------------------------------------------------- images


def test_the_ten_channels_are_drawn_as_the_transformer_gives_them():
    display = PairImageDisplay.from_pairs([["Al", "Ag"]])
    transformer = PairImageTransformer()
    expected = transformer.unpack(transformer.fit_transform([["Ag", "Al"]]))["image"][0]
    assert display.title == "Ag–Al, 1.99 Å" == display.figure_.get_suptitle()
    assert tuple(ax.get_title() for ax in display.ax_) == CHANNEL_NAMES
    rows = {round(ax.get_position().y0, 2) for ax in display.ax_}
    assert len(rows) == 2 and len(display.colorbars_) == 10
    for image, bar, channel in zip(display.images_, display.colorbars_, expected, strict=True):
        assert np.array_equal(image.get_array(), channel)
        assert (bar.vmin, bar.vmax) == image.get_clim()


def test_an_empty_channel_has_the_colour_of_zero():
    display = PairImageDisplay.from_image(np.zeros((1, 4, 4)), channel_names=["empty"])
    low, high = display.images_[0].get_clim()
    assert low == 0 < high


def test_a_row_of_a_table_is_the_image_of_that_pair(few_pairs, few_images):
    frame = pd.DataFrame(
        few_images,
        columns=PairImageTransformer(image_size=8).fit(few_pairs[0]).get_feature_names_out(),
    )
    of_pairs = PairImageDisplay.from_pairs(
        few_pairs[0], row=-1, transformer=PairImageTransformer(image_size=8)
    )
    for table in (few_images, frame):
        display = PairImageDisplay.from_table(table, row=-1)
        assert np.array_equal(display.image, of_pairs.image)
        assert display.title == of_pairs.title
    with pytest.raises(IndexError):
        PairImageDisplay.from_table(few_images, row=150)


@pytest.mark.parametrize("make", ["array", "list", "frame", "polars"])
def test_a_row_of_pairs_of_every_make_is_drawn(make, few_pairs):
    pairs = few_pairs[0].to_numpy()
    of = {"array": np.asarray, "list": np.ndarray.tolist, "frame": pd.DataFrame}
    if make == "polars":
        polars = pytest.importorskip("polars")
        of[make] = lambda pairs: polars.DataFrame({"a": pairs[:, 0], "b": pairs[:, 1]})
    for row in (3, -1):
        a, b = pairs[row]
        display = PairImageDisplay.from_pairs(of[make](pairs), row=row)
        assert display.title.startswith(f"{a}–{b}")


def test_one_given_axes_is_divided_and_ten_are_used_as_they_are():
    figure, (ax, other) = plt.subplots(1, 2, figsize=(10, 3))
    display = PairImageDisplay.from_pairs([["Ag", "Al"]], ax=ax)
    box, outside = ax.get_position(), other.get_position()
    assert len(display.ax_) == 10 and not ax.axison
    for panel in display.ax_:
        place = panel.get_position()
        assert box.x0 - 1e-6 <= place.x0 and place.x1 <= box.x1 + 1e-6 < outside.x0
    free = figure.add_axes((0.1, 0.1, 0.2, 0.2))
    assert len(PairImageDisplay.from_pairs([["Ag", "Al"]], ax=free).ax_) == 10
    _, grid = plt.subplots(5, 2)
    assert list(PairImageDisplay.from_pairs([["Ag", "Al"]], ax=grid).ax_) == list(grid.flat)
    with pytest.raises(ValueError, match="takes one or 10 matplotlib Axes"):
        PairImageDisplay.from_pairs([["Ag", "Al"]], ax=grid[:2])


def test_the_transformer_is_left_unfitted():
    transformer = PairImageTransformer(image_size=4)
    assert (
        PairImageDisplay.from_pairs([["H", "H"]], transformer=transformer).image.shape[1] == 4
    )
    assert not hasattr(transformer, "layout_")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: PairImageDisplay.from_image(np.zeros((4, 4))), r"got shape \(4, 4\)"),
        (lambda: PairImageDisplay.from_image(np.zeros((2, 4, 4))), "2 channels"),
        (lambda: PairImageDisplay.from_image(np.full((10, 4, 4), np.nan)), "image.*NaN"),
        (lambda: PairImageDisplay.from_table(np.ones((3, 7))), "PairImageTransformer"),
        (lambda: PairImageDisplay.from_pairs([["Ag", "Xx"]]), "'Xx'"),
        (
            lambda: PairImageDisplay.from_pairs(
                [["H", "H"]], transformer=PairImageTransformer(include=["atoms"])
            ),
            "draws no image",
        ),
        (
            lambda: PairImageDisplay.from_pairs(
                [["H", "H"]], transformer=PairImageTransformer(include=["channel_means"])
            ),
            "draws no image",
        ),
        (
            lambda: PairImageDisplay.from_table(
                PairImageTransformer(include=["channel_means"]).fit_transform([["H", "H"]])
            ),
            "with its image",
        ),
    ],
)
def test_what_is_no_image_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# -------------------------------------------------------------------- parity


def test_the_points_are_the_labelled_pairs(gap):
    _, y, pred = gap
    display = ParityDisplay.from_predictions(y, pred)
    seen = y.notna().to_numpy()
    points = np.asarray(display.artists_[0].get_offsets())
    assert sorted(map(tuple, points)) == sorted(zip(y[seen], pred[seen], strict=True))
    mae = np.abs(y[seen] - pred[seen]).mean()
    assert display.mae_ == pytest.approx([mae])
    assert display.ax_.get_title() == f"MAE {mae:.3g} eV (n = {seen.sum()})"
    assert display.ax_.get_xlabel() == "computed HOMO-LUMO gap (eV)"
    assert display.ax_.get_ylabel() == "predicted HOMO-LUMO gap (eV)"


def test_the_identity_line_crosses_the_whole_square(gap):
    display = ParityDisplay.from_predictions(*gap[1:])
    x, y = display.lines_[0].get_data()
    assert np.array_equal(x, y) and tuple(x) == display.ax_.get_xlim() == display.ax_.get_ylim()


def test_colours_count_the_points_nearby():
    y = [0.0, 0.01, 0.02, 10.0]
    counts = ParityDisplay.from_predictions(y, y).artists_[0].get_array()
    assert counts.tolist() == [1, 3, 3, 3]


def test_hexagons_hold_every_point_once(gap):
    display = ParityDisplay.from_predictions(*gap[1:], kind="hexbin")
    assert display.artists_[0].get_array().sum() == gap[1].notna().sum()


def test_one_panel_a_target_with_its_own_labels(few_pairs):
    _, Y = few_pairs
    display = ParityDisplay.from_predictions(
        Y, Y.fillna(0) + 1, target=["distance_ang", "frontier"]
    )
    labels = [" ".join(ax.get_xlabel().split()) for ax in display.ax_]
    assert labels == ["computed bond length (Å)", "computed HOMO-LUMO gap (eV)",
                      "computed HOMO energy (eV)", "computed LUMO energy (eV)"]  # fmt: skip
    assert display.mae_ == pytest.approx(np.ones(4))
    assert [ax.get_title() for ax in display.ax_][0] == "MAE 1 Å (n = 150)"
    n_labelled = Y["e_lumo_ev"].notna().sum()
    assert len(display.artists_[3].get_offsets()) == n_labelled < 150
    assert len(display.figure_.axes) == 4  # the places left over are empty


def test_names_of_an_arrays_columns_are_given_by_target():
    y = np.arange(6.0).reshape(3, 2)
    display = ParityDisplay.from_predictions(y, y + 0.5, target=["softness_evinv", "my_target"])
    assert [" ".join(ax.get_xlabel().split()) for ax in display.ax_] == [
        "computed softness (eV⁻¹)", "computed my_target",
    ]  # fmt: skip
    unnamed = ParityDisplay.from_predictions(y, y)
    assert [ax.get_xlabel() for ax in unnamed.ax_] == ["computed target 0", "computed target 1"]


@pytest.mark.parametrize(
    "target, label",
    [
        ("distance_ang", "computed bond length (Å)"),
        ("fermi_level_ev", "computed fermi_level_ev (eV)"),
        ("polarizability_ang3", "computed polarizability_ang3 (Å³)"),
        ("n_levels", "computed n_levels"),
        ("mine", "computed mine"),
    ],
)
def test_axes_state_the_units_of_every_label(target, label):
    display = ParityDisplay.from_predictions([1.0, 2.0], [1.0, 2.5], target=target)
    assert display.ax_.get_xlabel() == label


def test_constant_predictions_and_single_pairs_can_be_drawn():
    ParityDisplay.from_predictions([1.0, 2.0, 3.0], [2.0, 2.0, 2.0])
    assert ParityDisplay.from_predictions([2.0], [2.0]).mae_ == [0]


def test_parity_of_a_pipeline_is_that_of_its_predictions(fitted, few_pairs):
    X, Y = few_pairs
    y = Y["total_energy_ev"]
    display = ParityDisplay.from_estimator(fitted, X, y)
    assert np.array_equal(display.y_pred[:, 0], fitted.predict(X))
    assert display.mae_[0] == pytest.approx(np.abs(fitted.predict(X) - y).mean())


NAN = float("nan")


@pytest.mark.parametrize(
    "y_true, y_pred, options, message",
    [
        ([1.0, 2.0], [1.0], {}, "do not match"),
        ([1.0, 2.0], [1.0, NAN], {}, "y_pred contains NaN"),
        ([NAN, NAN], [1.0, 2.0], {"target": "e_g_ev"}, "'e_g_ev' has no observed label"),
        ([1.0, 2.0], [1.0, 2.0], {"kind": "dots"}, "kind='dots' is not one of"),
        ([1.0, 2.0], [1.0, 2.0], {"target": ["a", "b"]}, "names 2 targets, .* has 1"),
        ([1.0, 2.0], [1.0, 2.0], {"target": []}, r"target=\[\]"),
        (pd.Series([1.0], name="e_g_ev"), [1.0], {"target": "mu_ev"}, r"\['mu_ev'\] are not"),
    ],
)
def test_predictions_that_do_not_fit_are_named(y_true, y_pred, options, message):
    with pytest.raises(ValueError, match=message):
        ParityDisplay.from_predictions(y_true, y_pred, **options)
    assert plt.get_fignums() == []


def test_a_target_is_a_name():
    with pytest.raises(TypeError, match="target must be a name.*got 3"):
        ParityDisplay.from_predictions([1.0], [1.0], target=3)


# ------------------------------------------------------------ periodic table


def test_every_element_stands_in_its_place():
    texts = PeriodicTableDisplay.from_values({"H": 1.0}).texts_
    assert len(texts) == MAX_Z
    places = {symbol: text.get_position() for symbol, text in texts.items()}
    assert len(set(places.values())) == MAX_Z
    expected = {"H": (1, 1), "He": (18, 1), "B": (13, 2), "Sc": (3, 4), "Zn": (12, 4),
                "Ba": (2, 6), "Hf": (4, 6), "Rn": (18, 6), "Ra": (2, 7)}  # fmt: skip
    assert {symbol: places[symbol] for symbol in expected} == expected
    lanthanides, actinides = SYMBOLS[57:72], SYMBOLS[89:104]
    for below, row in ((lanthanides, places["La"][1]), (actinides, places["Ac"][1])):
        assert [places[symbol] for symbol in below] == [(3 + k, row) for k in range(15)]
    assert 7 < places["La"][1] < places["Ac"][1]


def test_cells_have_the_colours_of_their_values():
    values = {"O": 3.0, "H": 1.0, "Fe": NAN}
    display = PeriodicTableDisplay.from_values(pd.Series(values), label="error (eV)")
    assert display.cells_.get_array().tolist() == [1.0, 3.0]  # in order of Z; Fe has none
    centres = [path.vertices[:4].mean(axis=0) for path in display.cells_.get_paths()]
    assert np.allclose(centres, [display.texts_[s].get_position() for s in ("H", "O")])
    grey = display.ax_.collections[0]
    assert len(grey.get_paths()) == MAX_Z - 2 and np.ptp(grey.get_facecolor()[0][:3]) == 0
    assert display.colorbar_.ax.get_xlabel() == "error (eV)"


def test_symbols_can_be_read_on_light_and_dark_cells():
    display = PeriodicTableDisplay.from_values({"H": 0.0, "O": 1.0}, cmap="viridis")
    assert display.texts_["H"].get_color() == "white"
    assert display.texts_["O"].get_color() == "black"


def test_values_can_be_written_into_the_cells():
    display = PeriodicTableDisplay.from_values({"H": 0.123}, include_values=True)
    assert "0.12" in [text.get_text() for text in display.ax_.texts]
    assert display.figure_.get_figwidth() == 7


def test_an_elements_error_is_the_mean_over_its_pairs():
    X = [["H", "H"], ["H", "O"], ["O", "Fe"], ["Fe", "Fe"]]
    display = PeriodicTableDisplay.from_predictions(
        X, [1.0, 2.0, 3.0, NAN], [1.5, 4.0, 2.0, 9.0], target="e_homo_ev"
    )
    assert display.values.to_dict() == {"H": 1.25, "O": 1.5, "Fe": 1.0}
    assert display.label == "MAE, HOMO energy (eV)"


def test_the_transformers_output_is_as_good_as_the_pairs(gap, few_images):
    X, y, pred = gap
    raw = PeriodicTableDisplay.from_predictions(X, y, pred).values
    assert PeriodicTableDisplay.from_predictions(few_images, y, pred).values.equals(raw)


def test_errors_of_a_pipeline_by_element_and_by_pair(fitted, few_pairs):
    X, Y = few_pairs
    errors = np.abs(fitted.predict(X) - Y["total_energy_ev"])
    table = PeriodicTableDisplay.from_estimator(fitted, X, Y["total_energy_ev"])
    assert table.values["Ag"] == pytest.approx(errors[(X == "Ag").any(axis=1)].mean())
    matrix = PairMatrixDisplay.from_estimator(fitted, X, Y["total_energy_ev"]).matrix
    assert matrix.loc[X.iloc[7, 0], X.iloc[7, 1]] == pytest.approx(errors[7])


@pytest.mark.parametrize(
    "values, message",
    [
        ({"Xx": 1.0, "H": 1.0}, r"\['Xx'\]"),
        ({"H": NAN}, "one must be a number"),
        ({"H": np.inf}, "finite"),
        (pd.Series([1.0, 2.0], ["H", "H"]), r"several values .* \['H'\]"),
    ],
)
def test_values_of_no_element_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PeriodicTableDisplay.from_values(values)


@pytest.mark.parametrize("display", [PeriodicTableDisplay, PairMatrixDisplay])
def test_errors_by_element_need_pairs_and_one_target(display, few_pairs):
    X, Y = few_pairs
    with pytest.raises(ValueError, match="target=.*'e_g_ev', 'e_homo_ev'"):
        display.from_predictions(X, Y, Y.fillna(0))
    with pytest.raises(ValueError, match="plain table"):
        display.from_predictions(np.ones((3, 4)), [1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match="X has 150 rows, y_true has 3"):
        display.from_predictions(X, [1, 2, 3], [1, 2, 3])


# --------------------------------------------------------------- pair matrix


def test_the_matrix_is_symmetric_and_holds_the_mean_of_repeated_pairs():
    X = [["O", "H"], ["H", "O"], ["H", "H"], ["O", "O"]]
    display = PairMatrixDisplay.from_values(X, [1.0, 3.0, 5.0, NAN], label="gap (eV)")
    drawn = display.im_.get_array()
    assert display.elements_ == ["H", "O"]
    assert drawn.filled(-1).tolist() == [[5, 2], [2, -1]]
    assert display.colorbar_.ax.get_ylabel() == "gap (eV)"
    assert np.ptp(display.im_.cmap.get_bad()[:3]) == 0


def test_elements_are_in_order_of_z_or_of_their_groups():
    symbols = ["F", "Cl", "Na", "H", "Sc", "La"]
    X = [[symbol, symbol] for symbol in symbols]
    display = PairMatrixDisplay.from_values(X, np.arange(6))
    assert display.elements_ == ["H", "F", "Na", "Cl", "Sc", "La"]
    display.plot(order="group")
    assert display.elements_ == ["H", "Na", "Sc", "La", "F", "Cl"]
    assert np.diag(display.im_.get_array()).tolist() == [3, 2, 4, 5, 0, 1]
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == display.elements_
    with pytest.raises(ValueError, match="order='mass' is not one of"):
        display.plot(order="mass")


@pytest.mark.parametrize("order, numbers", [("period", range(1, 8)), ("group", range(1, 19))])
def test_many_elements_are_named_by_their_periods_or_groups(order, numbers, gap):
    X, y, pred = gap
    display = PairMatrixDisplay.from_predictions(X, y, pred, order=order)
    assert len(display.elements_) > 60
    ticks = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert ticks == [str(number) for number in numbers]
    assert display.ax_.get_ylabel() == order
    big = plt.figure(figsize=(12, 12)).add_subplot()
    display.plot(big, order=order)
    assert [label.get_text() for label in big.get_yticklabels()] == display.elements_


# --------------------------------------------------------------- calibration


def test_the_calibration_curve_is_that_of_the_metrics(fitted, few_pairs):
    X, Y = few_pairs
    y = Y["total_energy_ev"].copy()
    y[:20] = NAN
    display = CalibrationDisplay.from_estimator(fitted, X, y)
    pred, std = fitted.predict(X, return_std=True)
    expected, observed = coverage_curve(y, pred, std)
    x, drawn = display.lines_[0].get_data()
    assert np.array_equal(x, expected) and np.array_equal(drawn, observed)
    assert np.array_equal(*display.line_.get_data())
    (entry,) = display.ax_.get_legend().get_texts()
    error, coverage = (
        calibration_error(y, pred, std),
        interval_coverage(y, pred, std, level=0.9),
    )
    assert entry.get_text() == f"total energy: {error:.3f}, {coverage:.3f}"


def test_calibration_is_shown_by_group():
    y = np.random.default_rng(0).normal(size=(400, 2))
    mean = np.zeros((400, 2))
    y[:200, 1] = NAN
    groups = np.repeat(["seen", "unseen"], 200)
    std = np.where(groups == "seen", 1.0, 0.2)[:, None] * np.ones(2)
    names = ["e_homo_ev", "e_lumo_ev"]
    display = CalibrationDisplay.from_predictions(
        y, mean, std, levels=[0.3, 0.9], target=names, groups=groups
    )
    assert display.keys == ["HOMO energy, seen", "HOMO energy, unseen", "LUMO energy, unseen"]
    good, *sure = (line.get_ydata() for line in display.lines_)
    assert np.abs(good - [0.3, 0.9]).max() < 0.08 and max(sure[0].max(), sure[1].max()) < 0.3
    for k, (column, side) in enumerate([(0, groups == "seen"), (0, groups != "seen")]):
        one = interval_coverage(y[side, column], mean[side, column], std[side, column])
        assert display.coverage_90[k] == one
    with pytest.raises(ValueError, match="groups has 3"):
        CalibrationDisplay.from_predictions(y, mean, std, groups=[0, 1, 1])
    with pytest.raises(ValueError, match=r"groups has shape \(400, 2\)"):
        CalibrationDisplay.from_predictions(y, mean, std, groups=std)


def test_every_target_has_its_calibration_curve():
    y = np.random.default_rng(0).normal(size=(400, 2))
    std = np.ones((400, 2)) * [1.0, 0.2]
    display = CalibrationDisplay.from_predictions(y, 0 * y, std, levels=[0.3, 0.9])
    good, sure = display.lines_
    assert np.abs(good.get_ydata() - [0.3, 0.9]).max() < 0.06 and max(sure.get_ydata()) < 0.3
    assert good.get_color() != sure.get_color()


@pytest.mark.parametrize("frame", [pd.DataFrame, "polars"])
def test_columns_are_matched_by_name(frame):
    if frame == "polars":
        frame = pytest.importorskip("polars").DataFrame
    y, std = np.random.default_rng(0).normal(size=(50, 2)), np.ones((50, 2)) * [1.0, 0.2]
    names = ["e_g_ev", "distance_ang"]
    true, pred, spread = (frame(dict(zip(names, t.T, strict=True))) for t in (y, 2 * y, std))
    turned = (pred[names[::-1]], spread[names[::-1]])
    straight = CalibrationDisplay.from_predictions(true, pred, spread)
    assert straight.keys == names
    for target, given in ((None, true), (names, y)):
        display = CalibrationDisplay.from_predictions(given, *turned, target=target)
        assert display.keys == names
        assert np.array_equal(display.observed, straight.observed)
        display = ParityDisplay.from_predictions(given, turned[0], target=target)
        assert np.array_equal(display.y_pred, 2 * y)
    one = ParityDisplay.from_predictions(true, turned[0], target="distance_ang")
    assert np.array_equal(one.y_pred[:, 0], 2 * y[:, 1])
    with pytest.raises(ValueError, match=r"y_pred holds the targets \['e_g_ev'\], expected"):
        ParityDisplay.from_predictions(true, pred[["e_g_ev"]])


def test_a_regressor_without_standard_deviations_is_named(few_pairs):
    X, Y = few_pairs
    pipe = make_pipeline(PairDescriptorTransformer(), Ridge()).fit(X, Y["total_energy_ev"])
    with pytest.raises(TypeError, match="Ridge predicts no standard deviations"):
        CalibrationDisplay.from_estimator(pipe, X, Y["total_energy_ev"])
    with pytest.raises(ValueError, match="y_std must be positive"):
        CalibrationDisplay.from_predictions([1.0, 2.0], [1.0, 2.0], [1.0, 0.0])


# ----------------------------------------------------- importance, gap, training


def test_importances_are_sorted_with_their_deviations():
    display = ChannelImportanceDisplay(importances=IMPORTANCES, label="loss (eV)").plot()
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["z", "com_charge", "com_orbital"]
    assert [bar.get_width() for bar in display.bars_] == [0.4, 0.1, -0.01]
    ends = display.bars_.errorbar.lines[2][0].get_segments()[0]
    assert np.allclose(ends[:, 0], [0.37, 0.43])
    first, *_, last = display.ax_.get_yticks()
    low, high = display.ax_.get_ylim()
    assert abs(high - first) < abs(low - first)  # the first is on top
    assert display.ax_.get_xlabel() == "loss (eV)"


def test_importances_of_a_pipeline(network, few_pairs):
    X, Y = few_pairs
    y = Y["total_energy_ev"]
    display = ChannelImportanceDisplay.from_estimator(
        network, X, y, groups="scalars", n_repeats=2, random_state=0
    )
    assert "distance_ang" in set(display.importances["feature"])
    assert display.ax_.get_xlabel() == "increase of the MAE (eV)"


def test_a_split_is_two_dots_and_their_ratio():
    display = GeneralizationGapDisplay(gaps=GAPS).plot()
    inside, outside = display.inside_[0].get_offsets(), display.outside_[0].get_offsets()
    assert inside.tolist() == [[0.1, 0], [0.2, 1]] and outside.tolist() == [[0.3, 0], [0.1, 1]]
    first, second = display.ax_
    assert [text.get_text() for text in first.texts] == ["×3.00", "×0.50"]
    assert [text.get_text() for text in second.texts] == ["×3.00"]  # no label, no ratio
    assert first.get_xlabel() == "MAE, HOMO-LUMO gap (eV)"
    assert second.get_xlabel() == "MAE, bond length (Å)"
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == ["PeriodSplit", "PairTypeSplit"]


def test_the_gaps_of_a_pipeline(few_pairs):
    X, Y = few_pairs
    model = make_pipeline(PairDescriptorTransformer(), Ridge())
    display = GeneralizationGapDisplay.from_estimator(
        model, X, Y["total_energy_ev"], [PeriodSplit(), PairTypeSplit()]
    )
    row = display.gaps.iloc[0]
    assert display.outside_[0].get_offsets()[0, 0] == row["mae_out"]
    assert display.ax_.get_xlabel() == "MAE, total energy (eV)"


def test_the_curves_of_training_and_the_best_epoch():
    display = TrainingCurveDisplay(history=HISTORY).plot()
    for line, column in zip(display.lines_, ["train_loss", "valid_loss"], strict=True):
        assert np.array_equal(line.get_data(), HISTORY[["epoch", column]].to_numpy().T)
    assert display.best_.get_offsets().tolist() == [[3, 0.5]]
    assert display.ax_.get_yscale() == "log"


def test_without_validation_there_is_one_curve_and_negative_losses_are_not_logarithmic():
    history = HISTORY.assign(valid_loss=NAN, train_loss=[0.5, 0.1, -0.2, -0.3])
    display = TrainingCurveDisplay(history=history).plot()
    assert len(display.lines_) == 1 and display.best_ is None
    assert display.ax_.get_yscale() == "linear"


def test_the_network_is_found_in_pipelines_and_searches(network, few_pairs):
    X, Y = few_pairs
    history = TrainingCurveDisplay.from_estimator(network).history
    assert history.equals(network[-1].history_) and len(history) <= 3
    search = GridSearchCV(network, {"pairmlpregressor__lr": [1e-3]}, cv=2)
    search.fit(X[:60], Y["total_energy_ev"][:60])
    found = TrainingCurveDisplay.from_estimator(search).history
    assert found.equals(search.best_estimator_[-1].history_)


def test_a_model_without_a_history_is_named(fitted):
    with pytest.raises(TypeError, match="BayesianRidge keeps no history_"):
        TrainingCurveDisplay.from_estimator(fitted)
    with pytest.raises(ValueError, match="not fitted"):
        TrainingCurveDisplay.from_estimator(PairMLPRegressor())


@pytest.mark.parametrize(
    "display",
    [
        lambda frame: ChannelImportanceDisplay(importances=frame),
        lambda frame: GeneralizationGapDisplay(gaps=frame),
        lambda frame: TrainingCurveDisplay(history=frame),
    ],
)
def test_tables_that_cannot_be_drawn_are_named(display):
    with pytest.raises(TypeError, match="must be a DataFrame, got list"):
        display([1, 2]).plot()
    with pytest.raises(ValueError, match=r"has no columns .*; it has \['fold'\]"):
        display(pd.DataFrame({"fold": [1]})).plot()
    empty = pd.concat([IMPORTANCES, GAPS, HISTORY])[:0]
    with pytest.raises(ValueError, match="has no rows"):
        display(empty).plot()
    assert plt.get_fignums() == []


# ------------------------------------------------------- states of pairs


@pytest.fixture(scope="module")
def states():
    X, y = load_pairs(return_X_y=True)
    light = X.isin(["C", "N", "O", "F", "H"]).all(axis=1)
    model = TightBindingRegressor(n_members=2, max_epochs=3, random_state=0)
    return model.fit(X[light], y[light])


def test_an_orbital_diagram_shows_the_levels_below_the_empty_ones(states):
    display = MolecularOrbitalDisplay.from_estimator(states, [["N", "N"], ["C", "O"]], row=1)
    texts = [text.get_text() for text in display.ax_.texts]
    assert sum(text.count("↑") + text.count("↓") for text in texts) == 10
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == ["C", "C–O", "O"]
    first, pair, second = display.levels_
    assert len(first.get_segments()) == len(second.get_segments()) == 2
    drawn = {round(segment[0][1], 6) for segment in pair.get_segments()}
    energies = states.levels([["C", "O"]])["energy_ev"].round(6)
    assert drawn <= set(energies)
    in_pipeline = make_pipeline(FunctionTransformer(), states)
    again = MolecularOrbitalDisplay.from_estimator(in_pipeline, [["C", "O"]])
    assert len(again.levels_[1].get_segments()) == len(pair.get_segments())


def test_two_electrons_in_a_pi_level_stand_apart():
    levels = LEVELS.assign(electrons=[2.0, 2.0, 2.0, 0.0])
    display = MolecularOrbitalDisplay(levels=levels, shells=SHELLS).plot()
    arrows = [t.get_text() for t in display.ax_.texts if set(t.get_text()) & set("↑↓")]
    assert arrows == ["↑↓", "↑↓", "↑", "↑"]


def test_a_curve_is_drawn_above_its_minimum(states):
    r = np.linspace(0.9, 3, 20)
    pairs = [["C", "O"], ["F", "H"]]
    display = PotentialCurveDisplay.from_estimator(states, pairs, distances=r)
    energies = states.potential_curve(pairs, r)
    for line, curve, name in zip(display.lines_, energies, ("C–O", "F–H"), strict=True):
        np.testing.assert_allclose(line.get_ydata(), curve - curve.min(), atol=1e-9)
        assert line.get_label() == name
    with pytest.raises(ValueError, match="none of which"):
        PotentialCurveDisplay(curves=CURVES, references=CURVES.add_suffix("?")).plot()


def test_displays_of_states_need_a_model_of_states(network):
    for display in (MolecularOrbitalDisplay, PotentialCurveDisplay):
        with pytest.raises(TypeError, match="PairMLPRegressor knows no levels"):
            display.from_estimator(network, [["C", "O"]])
    with pytest.raises(ValueError, match="row=3"):
        MolecularOrbitalDisplay.from_estimator(
            TightBindingRegressor(), [["C", "O"]], row=3
        )


# ---------------------------------------------------------------- Hamiltonians


@pytest.fixture(scope="module")
def hamiltonians():
    molecules = load_molecules().data[3:6]
    true = TwoCentreTables.load().self_consistent(molecules)
    return true, true.with_values(true.values + 0.01)


def test_a_hamiltonian_is_drawn_beside_its_prediction(hamiltonians):
    true, predicted = hamiltonians
    display = HamiltonianDisplay.from_hamiltonians(true, predicted, row=1)
    assert [ax.get_title() for ax in display.ax_] == ["predicted", "computed", "error"]
    matrix = true.in_unit("eV").matrix(1)
    np.testing.assert_allclose(display.images_[1].get_array(), matrix)
    assert display.images_[2].get_array().max() == pytest.approx(0.01)
    atoms = [label.get_text() for label in display.ax_[0].get_xticklabels()]
    assert len(atoms) == true.molecules.n_atoms[1] and atoms[0] == "C1"
    named = [name for name in atoms if name]
    assert len(set(named)) == len(named) > 1
    check_print(display.figure_, 7)
    assert len(HamiltonianDisplay.from_hamiltonians(true).images_) == 1


def test_levels_are_drawn_as_they_are_filled(hamiltonians):
    true, predicted = hamiltonians
    display = LevelDisplay.from_hamiltonians(true, predicted)
    segments = display.lines_[0].get_segments()
    energies = [segment[0][1] for segment in segments]
    np.testing.assert_allclose(energies, true[[0]].in_unit("eV").orbital_energies()[0])
    colours = display.lines_[0].get_colors()
    n_occupied = len(true[[0]].occupied()[0])
    assert (colours[:n_occupied] == colours[0]).all()
    assert (colours[n_occupied:] != colours[0]).any(axis=1).all()


@pytest.mark.parametrize("display", [HamiltonianDisplay, LevelDisplay])
def test_hamiltonians_that_do_not_fit_are_refused(display, hamiltonians):
    true, predicted = hamiltonians
    with pytest.raises(TypeError, match="true must be Hamiltonians, got ndarray"):
        display.from_hamiltonians(np.eye(3))
    with pytest.raises(ValueError, match="true holds 3 molecules, predicted 2"):
        display.from_hamiltonians(true, predicted[:2])
    with pytest.raises(ValueError, match="row=5 is not one of the 3"):
        display.from_hamiltonians(true, row=5)

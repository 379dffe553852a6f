"""`PairImageTransformer` as a scikit-learn transformer of element pairs."""

import pickle
import tracemalloc
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import get_tags

from qcanvas_sklearn.datasets import load_pairs
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.elements import property_values, valence_orbital_populations
from qcanvas_sklearn.images import PairImageTransformer, pair_amplitudes, render
from qcanvas_sklearn.structures import check_pairs

BLOCKS = ("atoms", "orbitals", "charges", "image")
PAIRS = np.array([["Ag", "Al"], ["O", "H"], ["Fe", "Fe"], ["Li", "F"]])


@pytest.fixture(scope="module")
def table():
    return bundled_pairs()


@pytest.fixture(scope="module")
def images_only(table):
    """As an archive that holds images, but no orbital populations."""
    some = table[:40]
    return replace(
        some,
        orbital_populations=np.full_like(some.orbital_populations, np.nan),
        images=render(pair_amplitudes(some)),
    )


def small(**parameters):
    return PairImageTransformer(**{"image_size": 8, **parameters})


# --- what the columns hold


def test_blocks_hold_what_the_source_holds(table):
    transformer = PairImageTransformer(include=BLOCKS, dtype="float64")
    views = transformer.unpack(transformer.fit_transform(PAIRS))
    rows = table.find(PAIRS)
    assert_array_equal(views["z"], [[47, 13], [1, 8], [26, 26], [9, 3]])
    assert_array_equal(views["distance_ang"], table.bond_lengths[rows])
    assert_array_equal(views["population"], table.populations[rows])
    assert_array_equal(views["shell_populations"], table.shell_populations[rows])
    m0 = table.orbital_populations[rows][:, :, [2, 6, 12]]
    assert_array_equal(views["m0_populations"], m0)
    assert_array_equal(views["charge"], table.charges[rows])
    assert_array_equal(views["dipole_mag"], table.dipole_magnitudes[rows])
    assert_allclose(views["image"], render(pair_amplitudes(table[rows])), rtol=1e-5, atol=1e-6)


def test_m0_populations_are_those_along_the_bond(table):
    numbered = np.broadcast_to(np.arange(16.0), (1, 2, 16))
    one = replace(table[:1], orbital_populations=numbered, populations=None)
    transformer = small(source=one, include=["orbitals"])
    views = transformer.unpack(transformer.fit_transform(one.elements))
    assert views["m0_populations"].tolist() == [[[2, 6, 12]] * 2]
    assert views["shell_populations"].tolist() == [[[0, 6, 30, 84]] * 2]


def test_default_output_is_float32_atoms_and_images():
    out = PairImageTransformer().fit_transform(PAIRS)
    assert out.shape == (4, 5 + 10 * 32 * 32)
    assert out.dtype == np.float32 and out.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_that_of_the_output(dtype):
    assert small(dtype=dtype).fit_transform(PAIRS).dtype == dtype


def test_channels_select_images(table):
    every = small(include=["image"]).fit_transform(PAIRS).reshape(4, 10, 8, 8)
    transformer = small(include=["image"], channels=["com_orbital", 2])
    some = transformer.fit_transform(PAIRS).reshape(4, 2, 8, 8)
    assert_array_equal(some, every[:, [2, 7]])
    assert transformer.channel_names_ == ("rip_gaf_sp", "com_orbital")


@pytest.mark.parametrize("source", ["bundled", "free-atom"])
def test_the_order_of_the_atoms_does_not_matter(source):
    pairs = bundled_pairs().elements[::50]
    transformer = small(source=source, include=BLOCKS).fit(pairs)
    assert_array_equal(transformer.transform(pairs), transformer.transform(pairs[:, ::-1]))


@pytest.mark.parametrize("source", ["bundled", "free-atom"])
def test_a_pair_has_the_same_bits_alone_and_among_others(source):
    pairs = bundled_pairs().elements[::30]
    transformer = small(source=source, include=BLOCKS).fit(pairs)
    together = transformer.transform(pairs)
    alone = [transformer.transform(pairs[i : i + 1])[0] for i in range(len(pairs))]
    assert_array_equal(together, alone)


@pytest.mark.parametrize("source", ["free-atom", "bundled"])
def test_repeated_pairs_are_drawn_once_and_keep_their_places(source, monkeypatch):
    pairs = np.array([*PAIRS, ["Am", "O"]], dtype=object)[np.tile([3, 4, 0, 1], 9)]
    if source == "free-atom":
        pairs = np.column_stack([pairs, np.linspace(0.9, 3.1, len(pairs))])
    transformer = small(source=source, include=BLOCKS, handle_unknown="free-atom").fit(pairs)
    drawn = []

    def counted(amplitudes, *args):
        drawn.append(len(amplitudes))
        return render(amplitudes, *args)

    monkeypatch.setattr("qcanvas_sklearn.images._drawing.render", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = transformer.transform(pairs)
        assert sum(drawn) == 4
        alone = [transformer.transform(pairs[i : i + 1])[0] for i in range(len(pairs))]
    assert_array_equal(together, alone)
    if source == "free-atom":
        assert len(set(transformer.unpack(together)["distance_ang"])) == len(pairs)


@pytest.mark.parametrize("include", [BLOCKS, ["image"], ["atoms"]])
def test_pixels_may_be_left_to_others(include):
    pairs = [["H", "H"], ["Lr", "O"], ["Ag", "Al"]]
    transformer = small(include=include, handle_unknown="free-atom").fit(pairs)
    with pytest.warns(UserWarning, match="1 of 3 pairs"):
        blocks = transformer.undrawn(check_pairs(pairs))
    with pytest.warns(UserWarning, match="1 of 3 pairs"):
        expected = transformer.unpack(transformer.transform(pairs))
    if "image" in include:
        size, dtype = expected["image"].shape[-1], expected["image"].dtype
        out = np.empty(expected["image"].shape, dtype)
        blocks["image"] = render(blocks.pop("amplitudes"), size, None, out)
    assert blocks.keys() == expected.keys()
    for name, block in blocks.items():
        assert_array_equal(block, expected[name])


def test_unpack_gives_views_and_takes_frames():
    transformer = small(include=BLOCKS)
    out = transformer.fit_transform(PAIRS)
    views = transformer.unpack(out)
    assert all(np.shares_memory(view, out) for view in views.values())
    frame = pd.DataFrame(out, columns=transformer.get_feature_names_out())
    for name, view in transformer.unpack(frame).items():
        assert_array_equal(view, views[name])


def test_inverse_pairs_names_the_rows():
    transformer = small()
    out = transformer.fit_transform(PAIRS)
    expected = [["Ag", "Al"], ["H", "O"], ["Fe", "Fe"], ["F", "Li"]]
    assert transformer.inverse_pairs(out).tolist() == expected
    assert transformer.inverse_pairs(out[[2, 0]]).tolist() == [expected[2], expected[0]]
    with pytest.raises(ValueError, match="scaled"):
        transformer.inverse_pairs(out / 3)
    without = small(include=["image"])
    with pytest.raises(ValueError, match="'atoms' block"):
        without.inverse_pairs(without.fit_transform(PAIRS))


def test_memory_is_that_of_the_result():
    pairs = bundled_pairs().elements[:1000]
    transformer = PairImageTransformer().fit(pairs)
    transformer.transform(pairs[:2])
    tracemalloc.start()
    out = transformer.transform(pairs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 1.1 * out.nbytes


# --- sources


def test_free_atoms_have_no_charges(table):
    transformer = small(source="free-atom", include=BLOCKS, dtype="float64")
    views = transformer.unpack(transformer.fit_transform([["Lr", "C"]]))
    assert views["z"].tolist() == [[6, 103]]
    radius = property_values("covalent_radius_ang")
    assert views["distance_ang"] == radius[6] + radius[103]
    assert_array_equal(views["population"], valence_orbital_populations([[6, 103]]).sum(-1))
    assert not views["charge"].any() and not views["dipole_mag"].any()
    assert not views["image"][:, [4, 5, 6, 8, 9]].any() and views["image"][:, [0, 2, 7]].any()


def test_free_atoms_take_bond_lengths():
    frame = pd.DataFrame({"distance_ang": [1.5, 2], "element_1": ["O", "H"],
                          "element_2": ["H", "H"]})  # fmt: skip
    transformer = small(source="free-atom").fit(frame)
    assert transformer.n_features_in_ == 3
    assert transformer.unpack(transformer.transform(frame))["distance_ang"].tolist() == [1.5, 2]


def test_tables_hold_their_own_bond_lengths_only(table):
    for source in ("bundled", table[:10]):
        with pytest.raises(ValueError, match="own bond length only"):
            small(source=source).fit([["Ag", "Al", 2.5]])


def test_pair_data_is_a_source(table):
    part = table[table.find([["Ag", "Al"], ["H", "O"]])]
    out = small(source=part).fit_transform([["O", "H"]])
    assert_array_equal(out, small().fit_transform([["O", "H"]]))
    with pytest.raises(ValueError, match=r"1 of 2 pairs .* Fe_Fe\b"):
        small(source=part).fit([["O", "H"], ["Fe", "Fe"]])


def test_a_source_does_not_know_pairs_that_could_not_be_computed(table):
    part = table[table.find([["Ag", "Al"], ["H", "O"]])]
    blank = {}
    for name in ("orbital_populations", "populations", "charges", "dipole"):
        blank[name] = np.array(getattr(part, name))
        blank[name][1] = np.nan
    partly = replace(part, **blank, quality=["ok", "not-converged"])
    with pytest.raises(ValueError, match=r"1 of 2 pairs are not in the source: H_O\b"):
        small(source=partly).fit(part.elements)
    transformer = small(source=partly, handle_unknown="free-atom").fit(part.elements)
    assert transformer.n_unknown_ == 1


def test_unknown_pairs_are_named_but_not_all_of_them():
    unknown = [["Am", symbol] for symbol in bundled_pairs().elements[:75, 1][:30]]
    with pytest.raises(ValueError, match=r"30 of 31 pairs .*Ag_Am.* and 10 more") as error:
        small().fit([["H", "H"], *unknown])
    assert "handle_unknown='free-atom'" in str(error.value)


def test_unknown_pairs_can_be_free_atoms():
    pairs = [["H", "H"], ["Lr", "O"], ["Ag", "Al"], ["Am", "Am"]]
    transformer = small(include=BLOCKS, handle_unknown="free-atom")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transformer.fit(pairs)
    assert transformer.n_unknown_ == 2
    with pytest.warns(UserWarning, match="2 of 4 pairs .* Lr_O, Am_Am") as record:
        out = transformer.transform(pairs)
    assert len(record) == 1 and record[0].filename == __file__
    known, unknown = [0, 2], [1, 3]
    bundled, free = small(include=BLOCKS), small(include=BLOCKS, source="free-atom")
    assert_array_equal(out[known], bundled.fit_transform([pairs[i] for i in known]))
    assert_array_equal(out[unknown], free.fit_transform([pairs[i] for i in unknown]))


@pytest.mark.parametrize("source", ["bundled", "nothing", "images"])
def test_all_pairs_may_be_unknown(table, images_only, source):
    source = {"nothing": table[:0], "images": images_only}.get(source, source)
    size = 32 if source is images_only else 8  # of which there are images already
    options = {"include": (*BLOCKS, "channel_means"), "image_size": size}
    transformer = small(source=source, handle_unknown="free-atom", **options)
    with pytest.warns(UserWarning, match="1 of 1 pairs .* Am_O"):
        out = transformer.fit_transform([["Am", "O"]])
    free = small(source="free-atom", **options)
    assert_array_equal(out, free.fit_transform([["Am", "O"]]))


def test_images_of_an_archive_are_used_as_they_are(images_only):
    pairs = images_only.elements[[7, 3, 30]]
    transformer = PairImageTransformer(images_only, channels=[1, 8, 5])
    views = transformer.unpack(transformer.fit_transform(pairs))
    assert_array_equal(views["image"], images_only.images[[7, 3, 30]][:, [1, 5, 8]])
    assert_allclose(views["population"], images_only.populations[[7, 3, 30]], rtol=1e-6)


def test_images_of_an_archive_are_redrawn_at_other_sizes(images_only):
    pairs = images_only.elements
    redrawn = PairImageTransformer(images_only, image_size=20).fit_transform(pairs)
    assert_allclose(
        redrawn, PairImageTransformer(image_size=20).fit_transform(pairs), rtol=1e-4, atol=2e-5
    )


def test_images_of_an_archive_stand_beside_free_atoms(images_only):
    pairs = [["Lr", "O"], images_only.elements[3]]
    transformer = PairImageTransformer(images_only, handle_unknown="free-atom")
    with pytest.warns(UserWarning, match="1 of 2 pairs"):
        images = transformer.unpack(transformer.fit_transform(pairs))["image"]
    free = PairImageTransformer("free-atom", include=["image"]).fit_transform(pairs[:1])
    assert_array_equal(images[0].ravel(), free[0])
    assert_array_equal(images[1], images_only.images[3])


def test_what_the_source_lacks_is_named(images_only):
    with pytest.raises(ValueError, match="no shell populations for 40 of the pairs, Ag_Ag"):
        PairImageTransformer(images_only, include=BLOCKS).fit_transform(images_only.elements)


# --- scikit-learn's conventions, adapted to element pairs


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("source", "archive"), ("source", None), ("image_size", 3), ("image_size", 32.0),
        ("channels", [10]), ("channels", "com_charge"), ("channels", []),
        ("include", ("pixels",)), ("include", "image"), ("handle_unknown", "ignore"),
        ("dtype", "float16"), ("dtype", np.float32),
    ],
)  # fmt: skip
def test_parameters_are_checked_in_fit_and_named(parameter, value):
    transformer = PairImageTransformer(**{parameter: value})
    with pytest.raises(ValueError, match=parameter.removesuffix("s")):
        transformer.fit(PAIRS)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ([["H", "H"], ["H", "Xx"]], ValueError, "row 1: unknown element symbol 'Xx'"),
        ([["H", "H"], ["ag", "H"]], ValueError, "row 1: unknown element symbol 'ag'"),
        (["Ag", "Al"], ValueError, "shape"),
        ([["Ag"]], ValueError, "shape"),
        ([["Ag", "Al"], ["H"]], ValueError, "length"),
        ([["H", "H"], ["H", np.nan]], ValueError, "row 1: the element is missing"),
        ([["H", None]], ValueError, "row 0: the element is missing"),
        ([["H", "H"], ["H", 8]], TypeError, "row 1: 8"),
        ([[1, 0]], ValueError, "row 0: 0 is not an atomic number"),
        (np.empty((0, 2), dtype=object), ValueError, "0 sample"),
    ],
)
def test_bad_pairs_are_named(X, error, message):
    with pytest.raises(error, match=message):
        small().fit(X)
    with pytest.raises(error, match=message):
        small().fit(PAIRS).transform(X)


def test_fit_is_required_and_returns_self():
    transformer = small()
    for method in (transformer.transform, transformer.unpack, transformer.inverse_pairs):
        with pytest.raises(NotFittedError):
            method(PAIRS)
    with pytest.raises(NotFittedError):
        transformer.get_feature_names_out()
    assert transformer.fit(PAIRS) is transformer


def test_fit_transform_is_fit_and_transform():
    assert_array_equal(small().fit_transform(PAIRS), small().fit(PAIRS).transform(PAIRS))


def test_input_and_parameters_stay_as_they_are():
    channels, include = ["com_charge", 1], ["image", "atoms"]
    frame = pd.DataFrame(PAIRS, columns=["element_1", "element_2"])
    before = frame.copy()
    transformer = small(channels=channels, include=include)
    transformer.fit_transform(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert transformer.channels is channels and channels == ["com_charge", 1]
    assert transformer.include is include and include == ["image", "atoms"]


def test_clone_and_parameters():
    transformer = small(channels=(1, 2), handle_unknown="free-atom").fit(PAIRS)
    fresh = clone(transformer)
    assert fresh.get_params() == transformer.get_params()
    assert not hasattr(fresh, "layout_")
    out = fresh.set_params(image_size=12, channels=(3,)).fit_transform(PAIRS)
    assert out.shape == (4, 5 + 144)


def test_clone_of_a_data_source(table):
    transformer = small(source=table[:30])
    pairs = table.elements[:30]
    expected = transformer.fit_transform(pairs)
    assert_array_equal(clone(transformer).fit_transform(pairs), expected)


def test_number_and_names_of_input_columns_are_kept():
    frame = pd.DataFrame(PAIRS, columns=["element_1", "element_2"])
    transformer = small().fit(frame)
    assert transformer.n_features_in_ == 2
    assert transformer.feature_names_in_.tolist() == ["element_1", "element_2"]
    with pytest.raises(ValueError, match="feature names"):
        transformer.transform(frame.set_axis(["a", "b"], axis=1))
    array_fitted = small(source="free-atom").fit(PAIRS)
    assert not hasattr(array_fitted, "feature_names_in_")
    with pytest.raises(ValueError, match="X has 3 features, but PairImageTransformer"):
        array_fitted.transform([["H", "H", 0.7]])


def test_output_names():
    frame = pd.DataFrame(PAIRS, columns=["element_1", "element_2"])
    transformer = small(channels=[3]).fit(frame)
    names = transformer.get_feature_names_out()
    assert names.dtype == object and len(names) == 5 + 64
    assert names[0] == "z_a" and names[-1] == "ch3_r7_c7"
    assert_array_equal(transformer.get_feature_names_out(["element_1", "element_2"]), names)
    with pytest.raises(ValueError, match="input_features"):
        transformer.get_feature_names_out(["a", "b"])
    with pytest.raises(ValueError, match="input_features has 3 names"):
        small().fit(PAIRS).get_feature_names_out(["a", "b", "c"])


def test_set_output_pandas_keeps_index_and_bits():
    frame = pd.DataFrame(PAIRS, columns=["element_1", "element_2"], index=[4, 3, 9, 1])
    transformer = small(include=BLOCKS).set_output(transform="pandas")
    for out in (transformer.fit_transform(frame), transformer.transform(frame)):
        assert list(out.index) == [4, 3, 9, 1]
        assert list(out.columns) == list(transformer.get_feature_names_out())
        assert_array_equal(out.to_numpy(), small(include=BLOCKS).fit_transform(PAIRS))
    assert transformer.inverse_pairs(out)[0].tolist() == ["Ag", "Al"]


@pytest.mark.parametrize("source", ["bundled", "free-atom", "data"])
def test_persistence(tmp_path, table, source):
    transformer = small(source=table[table.find(PAIRS)] if source == "data" else source)
    expected = transformer.fit_transform(PAIRS)
    joblib.dump(transformer, tmp_path / "transformer.joblib")
    for again in (
        pickle.loads(pickle.dumps(transformer)),
        joblib.load(tmp_path / "transformer.joblib"),
    ):
        assert_array_equal(again.transform(PAIRS), expected)
        assert again.layout_ == transformer.layout_


def test_tags_say_that_input_is_text():
    tags = get_tags(small())
    assert tags.input_tags.string and tags.input_tags.two_d_array
    assert tags.requires_fit and not tags.target_tags.required


def test_pipeline_learns_and_searches():
    X, y = load_pairs(target="distance_ang", return_X_y=True)
    X, y = X[::10], y[::10]
    model = make_pipeline(
        PairImageTransformer(image_size=4, channels=[0]),
        HistGradientBoostingRegressor(max_iter=10),
    )
    assert model.fit(X, y).score(X, y) > 0.5
    grid = {"pairimagetransformer__channels": [[0], ["com_orbital"]]}
    assert GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y).best_score_ > 0


def test_pipeline_with_memory_gives_the_same(tmp_path):
    X, y = load_pairs(target="distance_ang", return_X_y=True)
    X, y = X[::50], y[::50]
    steps = [("images", small(channels=[2])),
             ("model", HistGradientBoostingRegressor(max_iter=3))]  # fmt: skip
    plain = Pipeline(steps).fit(X, y).predict(X)
    for _ in range(2):
        cached = Pipeline(steps, memory=str(tmp_path)).fit(X, y)
        assert_array_equal(cached.predict(X), plain)

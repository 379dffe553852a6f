"""Columns of X: their names, their views, and finding them again."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.images import PairImageTransformer, PairLayout

BLOCKS = ("atoms", "orbitals", "charges", "image")
FOUND_WITHOUT_NAMES = [
    include
    for count in range(1, 5)
    for include in combinations(BLOCKS, count)
    if "atoms" in include or "image" in include
]


def rendered(rows=slice(None, None, 40), **parameters):
    transformer = PairImageTransformer(**parameters)
    return transformer.fit_transform(bundled_pairs().elements[rows]), transformer.layout_


def test_columns_have_the_documented_names_and_order():
    layout = PairLayout(["image", "charges", "orbitals", "atoms"], [9, 4], 5)
    names = layout.feature_names
    assert names[:5] == ("z_a", "z_b", "distance_ang", "population_a", "population_b")
    assert names[5:12] == ("s_a", "p_a", "d_a", "f_a", "p_m0_a", "d_m0_a", "f_m0_a")
    assert names[12:19] == tuple(name[:-1] + "b" for name in names[5:12])
    assert names[19:22] == ("charge_a", "charge_b", "dipole_mag")
    assert names[22:24] == ("ch4_r0_c0", "ch4_r0_c1") and names[-1] == "ch9_r4_c4"
    assert len(names) == len(set(names)) == layout.n_columns == 22 + 2 * 25
    assert layout.channel_names == ("rip_mtf_dipole", "qimage_negative")


def test_default_is_atoms_and_all_channels():
    layout = PairLayout()
    assert layout.n_columns == 5 + 10 * 32**2 == len(layout.feature_names)
    assert layout.slices == {"atoms": slice(0, 5), "image": slice(5, 10245)}


def test_image_parameters_do_not_matter_without_an_image():
    assert PairLayout(("atoms",), (1,), 8) == PairLayout(("atoms",))


@pytest.mark.parametrize(
    "include", ["atoms", (), None, ("atom",), ("atoms", "atoms"), [["atoms"]], 3]
)
def test_blocks_that_do_not_exist_are_refused(include):
    with pytest.raises(ValueError, match="include must be a sequence of distinct blocks"):
        PairLayout(include)


@pytest.mark.parametrize("order", ["C", "F"])
def test_unpack_gives_views(order):
    layout = PairLayout(BLOCKS, [0, 5], 4)
    X = np.zeros((6, layout.n_columns), order=order)
    views = layout.unpack(X)
    shapes = {
        "z": (6, 2), "distance_ang": (6,), "population": (6, 2),
        "shell_populations": (6, 2, 4), "m0_populations": (6, 2, 3),
        "charge": (6, 2), "dipole_mag": (6,), "image": (6, 2, 4, 4),
    }  # fmt: skip
    assert {name: view.shape for name, view in views.items()} == shapes
    for number, view in enumerate(views.values(), start=1):
        view[...] = number
    frame = pd.DataFrame(X, columns=layout.feature_names)
    assert (frame[["distance_ang"]] == 2).all(axis=None)
    assert (frame[["f_b", "s_a"]] == 4).all(axis=None)
    assert (frame[["p_m0_a", "f_m0_b"]] == 5).all(axis=None)
    assert (frame[["dipole_mag"]] == 7).all(axis=None)
    assert (frame.filter(like="ch").drop(columns=["charge_a", "charge_b"]) == 8).all(axis=None)
    assert X.min() == 1


def test_unpack_takes_empty_tables():
    layout = PairLayout(BLOCKS, [0, 5], 4)
    views = layout.unpack(np.zeros((0, layout.n_columns)))
    assert views["image"].shape == (0, 2, 4, 4) and views["m0_populations"].shape == (0, 2, 3)


def test_unpack_refuses_another_width():
    with pytest.raises(ValueError, match=r"\(n, 5\).*got shape \(2, 6\)"):
        PairLayout(("atoms",)).unpack(np.zeros((2, 6)))


@pytest.mark.parametrize("include", FOUND_WITHOUT_NAMES, ids="+".join)
@pytest.mark.parametrize(
    ("channels", "image_size"), [(None, 32), ((0, 2, 4, 6), 16), ([7, 8], 9), ((5,), 4)]
)
def test_infer_finds_the_layout_of_any_rows(include, channels, image_size):
    X, layout = rendered(include=include, channels=channels, image_size=image_size)
    if channels == [7, 8] and "image" in include:
        layout = PairLayout(include, [6, 8], image_size)  # 6 and 7 share their templates
    rng = np.random.default_rng(0)
    for rows in (slice(None), slice(1, 2), rng.permutation(len(X))[:20]):
        assert PairLayout.infer(X[rows]) == layout
        assert PairLayout.infer(X[rows].astype(np.float64)) == layout


def test_infer_tells_equal_widths_apart_by_their_content():
    one, layout_one = rendered(channels=[4], image_size=32)
    four, layout_four = rendered(channels=[0, 2, 4, 6], image_size=16)
    assert one.shape == four.shape
    assert PairLayout.infer(one) == layout_one
    assert PairLayout.infer(four) == layout_four


def test_infer_finds_images_of_free_atoms():
    X, layout = rendered(source="free-atom")
    assert PairLayout.infer(X) == layout


def test_infer_asks_for_names_where_empty_images_fit_several_layouts():
    X, layout = rendered(source="free-atom", channels=["com_charge"], image_size=32)
    with pytest.raises(ValueError, match=r'set_output\(transform="pandas"\)'):
        PairLayout.infer(X)
    assert PairLayout.infer(X, layout.feature_names) == layout


@pytest.mark.parametrize("include", [("orbitals",), ("charges",), ("atoms", "image"), BLOCKS])
@pytest.mark.parametrize(("channels", "image_size"), [(None, 32), ([1, 7, 9], 6)])
def test_infer_reads_names_exactly(include, channels, image_size):
    layout = PairLayout(include, channels, image_size)
    names = list(layout.feature_names)
    X = np.zeros((2, layout.n_columns))
    assert PairLayout.infer(X, names) == layout
    assert PairLayout.infer(X, np.array(names, dtype=object)) == layout
    assert PairLayout.infer(pd.DataFrame(X, columns=names)) == layout
    assert PairLayout.infer(X, names[::-1]) is None
    assert PairLayout.infer(X[:, 1:], names[1:]) is None
    assert PairLayout.infer(X, [f"a__{name}" for name in names]) is None


@pytest.mark.parametrize("names", [["ch0"] * 20, ["z_a", "ch0_r0_c0"], ["x"], ["ch0_"] * 16])
def test_infer_takes_other_names_for_a_plain_table(names):
    assert PairLayout.infer(np.zeros((2, len(names))), names) is None


def test_names_decide_against_content():
    X, layout = rendered(include=("atoms",))
    assert PairLayout.infer(X, [f"x{i}" for i in range(5)]) is None
    assert PairLayout.infer(pd.DataFrame(X)) == layout  # column numbers are no names


@pytest.mark.parametrize("width", [1, 4, 5, 16, 19, 22, 64, 1024, 1029, 10240, 10245])
@pytest.mark.parametrize("n_rows", [1, 50])
def test_random_tables_are_plain(width, n_rows):
    rng = np.random.default_rng(width)
    for X in (
        rng.normal(size=(n_rows, width)),
        rng.uniform(0, 100, size=(n_rows, width)),
        rng.integers(0, 2, size=(n_rows, width)),
        np.zeros((n_rows, width)),
        np.full((n_rows, width), 0.5),
        np.full((n_rows, width), np.nan),
    ):
        assert PairLayout.infer(X) is None


@pytest.mark.parametrize("load", [load_iris, load_wine, load_diabetes])
def test_familiar_tables_are_plain(load):
    assert PairLayout.infer(load().data) is None


@pytest.mark.parametrize("include", FOUND_WITHOUT_NAMES, ids="+".join)
def test_scaled_layouts_are_plain(include):
    X, _ = rendered(include=include, image_size=8)
    assert PairLayout.infer(StandardScaler().fit_transform(X)) is None


def test_atoms_out_of_order_or_between_numbers_are_plain():
    X, _ = rendered(include=("atoms",))
    X[3, :2] = 1, 47
    assert PairLayout.infer(X) is None
    X[3, :2] = 46.5, 1
    assert PairLayout.infer(X) is None


@pytest.mark.parametrize("X", [np.zeros(5), np.zeros((0, 5)), np.array([["Ag", "Al"]])])
def test_what_is_no_table_of_numbers_has_no_layout(X):
    assert PairLayout.infer(X) is None


def test_layout_is_a_value():
    assert PairLayout(["image"], ["com_charge", 2]) == PairLayout(("image",), (2, 6))
    assert len({PairLayout(), PairLayout(), PairLayout(image_size=16)}) == 2
    with pytest.raises(AttributeError):
        PairLayout().image_size = 3
    assert_array_equal(PairLayout(channels=np.array([2, 1])).channels, (1, 2))

"""Columns of X: their names, their views, and finding them again."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.images import PairImageTransformer, PairLayout
from qcanvas_sklearn.images.layout import find_columns

BLOCKS = ("atoms", "orbitals", "charges", "image")


def rendered(rows=slice(None, None, 40), **parameters):
    transformer = PairImageTransformer(**parameters)
    return transformer.fit_transform(load_pairs().data[rows]), transformer.layout_


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


EVERY_KIND = [
    (("atoms",), None, 32), (("orbitals",), None, 32), (("charges",), None, 32),
    (("image",), (5,), 4), (("atoms", "image"), None, 8), (BLOCKS, (1, 7, 9), 6),
]  # fmt: skip


def drawn(include, channels, image_size, n=6):
    X = load_pairs().data[:n]
    transformer = PairImageTransformer(
        include=include, channels=channels, image_size=image_size
    )
    return transformer.fit_transform(X), transformer.layout_


@pytest.mark.parametrize("include, channels, image_size", EVERY_KIND)
def test_an_array_carries_its_layout_wherever_its_rows_go(include, channels, image_size):
    X, layout = drawn(include, channels, image_size)
    for same in (
        X[1:2], X[[2, 0]], X[np.arange(6) > 2], X.copy(), X.astype(np.float64),
        np.vstack([X, X]), np.concatenate([X, X[:1]]), pickle.loads(pickle.dumps(X)),
        copy.deepcopy(X), train_test_split(X, random_state=0)[0], layout.label(X.tolist()),
    ):  # fmt: skip
        assert PairLayout.infer(same) == layout
    for other in (np.asarray(X), X.tolist(), X[0], X[:, :-1], X.T, X.mean(axis=0)):
        assert PairLayout.infer(other) is None


#: Arrays with the columns of a table of shape (5, 5) in their places.
SAME_COLUMNS = {
    "row": lambda X: X[0][None], "reshaped row": lambda X: X[0].reshape(1, -1),
    "reshape": lambda X: np.reshape(X, (5, 5)), "rows": lambda X: X[::-1, :],
    "method take": lambda X: X.take([2, 0], axis=0), "take": lambda X: np.take(X, [1], 0),
    "compress": lambda X: np.compress(np.arange(5) > 2, X, axis=0),
    "repeat": lambda X: np.repeat(X, 2, axis=0), "delete": lambda X: np.delete(X, 1, 0),
    "flip": lambda X: np.flip(X, axis=0), "flipud": np.flipud,
    "roll": lambda X: np.roll(X, 1, axis=0), "split": lambda X: np.split(X, 5)[3],
    "array_split": lambda X: np.array_split(X, 2)[1], "vsplit": lambda X: np.vsplit(X, 5)[0],
    "concatenate": lambda X: np.concatenate([X, X]), "append": lambda X: np.append(X, X, 0),
    "view": lambda X: X.view(), "squeeze": np.squeeze, "copy.copy": copy.copy,
    "shuffle": lambda X: shuffle(X, random_state=0), "nan_to_num": np.nan_to_num,
    "sum": lambda X: X + 1.0, "where finite": lambda X: np.fmax(X, 0.0),
    "clip": lambda X: np.clip(X, 0, 1), "round": lambda X: X.round(),
}  # fmt: skip

#: Arrays as wide as the table, of other columns.
OTHER_COLUMNS = {
    "fancy": lambda X: X[:, [4, 3, 2, 1, 0]], "reverse": lambda X: X[:, ::-1],
    "ellipsis": lambda X: X[..., [1, 0, 2, 3, 4]], "ix": lambda X: X[np.ix_(*[range(5)] * 2)],
    "axes": lambda X: X[:, None].T, "mask": lambda X: X[X > -np.inf][:5][None],
    "within a row": lambda X: X[0][np.arange(5)[::-1]][None],
    "rows of a row": lambda X: X[0][np.array([[4, 3, 2, 1, 0]])],
    "take": lambda X: np.take(X, [1, 0, 2, 3, 4], axis=1),
    "take entries": lambda X: np.take(X, np.arange(25).reshape(5, 5).T),
    "take of a row": lambda X: X[0].take([4, 3, 2, 1, 0], axis=0)[None],
    "take_along_axis": lambda X: np.take_along_axis(X, np.argsort(X, 1), 1),
    "roll": lambda X: np.roll(X, 1, axis=1), "roll all": lambda X: np.roll(X, 1),
    "roll both": lambda X: np.roll(X, 1, (0, 1)), "flip": lambda X: np.flip(X, axis=1),
    "flip both": np.flip, "fliplr": np.fliplr, "rot90": lambda X: np.rot90(X, 2),
    "sort": lambda X: np.sort(X, axis=1), "sort rows": lambda X: np.sort(X, axis=0),
    "partition": lambda X: np.partition(X, 2, axis=1), "argsort": np.argsort,
    "delete": lambda X: np.delete(np.c_[X, X], range(5), 1),
    "insert": lambda X: np.insert(np.asanyarray(X[:, 1:]), 2, 0.0, axis=1),
    "transpose": np.transpose, "swapaxes": lambda X: np.swapaxes(X, 0, 1),
    "moveaxis": lambda X: np.moveaxis(X, 0, 1), "einsum": lambda X: np.einsum("ij->ji", X),
    "matmul": lambda X: X @ np.eye(5)[::-1], "dot": lambda X: np.dot(X, np.eye(5)[::-1]),
    "cumsum": lambda X: np.cumsum(X, axis=1), "diff": lambda X: np.diff(np.c_[X, X], axis=1),
    "accumulate": lambda X: np.add.accumulate(X, axis=1), "tril": np.tril,
    "compress": lambda X: np.compress(np.arange(10) % 2, np.hstack([X, X]), axis=1),
    "repeat": lambda X: np.repeat(X[:, :1], 5, axis=1), "pad": lambda X: np.pad(X[:, 1:], 1),
    "reshape": lambda X: X.reshape(25, order="F").reshape(5, 5), "mT": lambda X: X.mT,
    "mean": lambda X: X.mean(axis=1)[None], "argmax": lambda X: X.argmax(axis=1)[None],
    "max": lambda X: np.max(X, axis=1)[None], "diagonal": lambda X: X.diagonal()[None],
    "method dot": lambda X: X.dot(np.eye(5)[::-1]), "method cumsum": lambda X: X.cumsum(1),
    "cumprod": lambda X: X.cumprod(1), "method argsort": lambda X: X.argsort(axis=1),
    "inverse": lambda X: np.linalg.pinv(X), "like": np.zeros_like,
    "twice": lambda X: np.flip(X.T, 1).T, "resize": lambda X: np.resize(X, 5),
    "apply": lambda X: np.apply_along_axis(np.flip, 1, X),
    "other order beside": lambda X: np.concatenate([X[:, 3:], X[:, :3]], axis=1),
    "hstack": lambda X: np.hstack([X[:, 1:], X[:, :1]]),
    "below another": lambda X: np.vstack([X, X[:, ::-1]]),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME_COLUMNS)
def test_what_has_the_same_columns_knows_them(name):
    X, layout = drawn(("atoms",), None, 32, n=5)
    assert PairLayout.infer(SAME_COLUMNS[name](X)) == layout
    assert PairLayout.infer(X) == layout


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", OTHER_COLUMNS)
def test_what_may_have_other_columns_claims_none(name, order):
    X, layout = drawn(("atoms",), None, 32, n=5)
    X = X.copy(order=order)
    other = OTHER_COLUMNS[name](X)
    assert find_columns(other) is None
    assert np.ndim(other) != 2 or find_columns(other[:2]) is None
    assert PairLayout.infer(X) == layout  # the table itself is as it was


@pytest.mark.parametrize("change", [lambda X: X.sort(axis=1), lambda X: X.partition(2)])
def test_a_table_that_is_sorted_in_place_loses_its_columns(change):
    X, _ = drawn(("atoms",), None, 32)
    change(X)
    assert find_columns(X) is None


@pytest.mark.parametrize("include, channels, image_size", EVERY_KIND)
def test_tables_beside_each_other_tell_where_the_columns_are(include, channels, image_size):
    X, layout = drawn(include, channels, image_size)
    more = np.ones((6, 2))
    for table, start, n_others in (
        (np.hstack([X, more]), 0, 2), (np.hstack([more, X, more]), 2, 4),
        (np.concatenate([more, X], axis=1), 2, 2), (np.concatenate((more, X), 1), 2, 2),
        (np.concatenate([more, X], axis=-1), 2, 2), (np.c_[X, more], 0, 2),
    ):  # fmt: skip
        found = find_columns(table)
        assert (found.layout, found.n_others) == (layout, n_others)
        assert found.positions.tolist() == list(range(start, start + layout.n_columns))
        own, others = found.take(table)
        assert np.array_equal(own, X) and (others == 1).all() and others.shape[1] == n_others
        assert PairLayout.infer(table) is None  # there are others


def test_a_joblib_file_and_workers_keep_the_layout(tmp_path):
    X, layout = drawn(("atoms", "image"), None, 32)
    joblib.dump(X, tmp_path / "X.joblib")
    assert PairLayout.infer(joblib.load(tmp_path / "X.joblib")) == layout
    seen = joblib.Parallel(n_jobs=2)(joblib.delayed(PairLayout.infer)(X) for _ in range(2))
    assert seen == [layout, layout]


@pytest.mark.parametrize("include, channels, image_size", EVERY_KIND)
def test_names_tell_columns_in_any_order_with_prefixes_and_others(
    include, channels, image_size
):
    layout = PairLayout(include, channels, image_size)
    names = list(layout.feature_names)
    X = np.zeros((2, layout.n_columns))
    assert PairLayout.infer(X, names) == layout
    assert PairLayout.infer(X, np.array(names, dtype=object)) == layout
    assert PairLayout.infer(pd.DataFrame(X, columns=names)) == layout
    order = np.random.default_rng(0).permutation(len(names) + 2)
    for prefix in ("", "img__", "a__b__"):
        given = np.array([*(prefix + name for name in names), "T", "x__T"])[order].tolist()
        found = find_columns(pd.DataFrame(np.zeros((2, len(given))), columns=given))
        assert (found.layout, found.n_others) == (layout, 2)
        assert [given[k] for k in found.positions] == [prefix + name for name in names]


@pytest.mark.parametrize(
    "missing", ["z_a", "z_b", "distance_ang", "s_b", "charge_a", "ch7_r2_c2", "ch1_r5_c5"]
)
def test_a_layout_with_a_column_missing_is_refused_by_name(missing):
    names = [n for n in PairLayout(BLOCKS, (1, 7, 9), 6).feature_names if n != missing]
    with pytest.raises(ValueError, match=f"part of the columns of a pair .*{missing}"):
        PairLayout.infer(np.zeros((2, len(names))), names)


@pytest.mark.parametrize(
    "names", [["ch0"] * 20, ["x"], ["ch0_"] * 16, ["distance_ang", "T"], ["s_a", "s_b"], []]
)
def test_other_names_are_those_of_a_plain_table(names):
    assert PairLayout.infer(np.zeros((2, len(names))), names) is None


def test_values_prove_nothing():
    X, _ = drawn(("atoms",), None, 32)
    assert PairLayout.infer(np.asarray(X)) is None
    assert PairLayout.infer(pd.DataFrame(np.asarray(X))) is None  # numbers are no names
    assert PairLayout.infer(X, [f"x{i}" for i in range(5)]) is None
    assert PairLayout.infer(StandardScaler().fit_transform(X)) is None
    assert PairLayout.infer(load_wine().data) is None


@pytest.mark.parametrize("shape", [(5,), (2, 4), (0, 3), (2, 5, 1)])
def test_an_array_of_another_shape_is_not_labelled(shape):
    with pytest.raises(ValueError, match="expected a table of shape"):
        PairLayout(include=["atoms"]).label(np.zeros(shape))


def test_layout_is_a_value():
    assert PairLayout(["image"], ["com_charge", 2]) == PairLayout(("image",), (2, 6))
    assert len({PairLayout(), PairLayout(), PairLayout(image_size=16)}) == 2
    with pytest.raises(AttributeError):
        PairLayout().image_size = 3
    assert_array_equal(PairLayout(channels=np.array([2, 1])).channels, (1, 2))

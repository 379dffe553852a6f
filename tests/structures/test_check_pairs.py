"""Element pairs as users write them."""

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn import PairImageTransformer
from qcanvas_sklearn.structures import check_pairs, looks_like_pairs, might_be_atomic_numbers

LENGTH = [2.5, 1.2]
FRAME = pd.DataFrame(
    {"element_1": ["Al", "C"], "element_2": ["Ag", "O"], "distance_ang": LENGTH}
)
NUMBERS = FRAME.assign(element_1=[13, 6], element_2=[47, 8])


@pytest.mark.parametrize(
    "X",
    [
        [["Al", "Ag"], ["C", "O"]],
        (("Al", "Ag"), ("C", "O")),
        np.array([["Al", "Ag"], ["C", "O"]]),
        np.array([["Al", "Ag"], ["C", "O"]], dtype=">U7"),
        np.array([["Al", "", "Ag"], ["C", "", "O"]])[:, ::2],
        np.array([["Al", "Ag"], ["C", "O"]], dtype=object),
        FRAME.iloc[:, :2],
        FRAME[["element_2", "element_1"]],
        FRAME.iloc[:, :2].astype("category"),
        FRAME.iloc[:, :2].astype("string").set_axis(["a", "b"], axis=1),
        FRAME.iloc[:, :2].set_axis([0, 1], axis=1),
    ],
)
def test_pairs_in_canonical_order_however_written(X):
    checked = check_pairs(X)
    assert checked.z.tolist() == [[47, 13], [6, 8]]
    assert checked.z.dtype == np.int64
    assert checked.distance is None
    assert looks_like_pairs(X)


@pytest.mark.parametrize(
    "X",
    [
        [["Al", "Ag", 2.5], ["C", "O", 1.2]],
        np.array([["Al", "Ag", 2.5], ["C", "O", 1.2]]),
        FRAME,
        FRAME[["distance_ang", "element_2", "element_1"]],
        FRAME.astype({"distance_ang": "Float64"}),
        FRAME.set_axis(["a", "b", "c"], axis=1),
    ],
)
def test_bond_lengths_belong_to_their_rows(X):
    checked = check_pairs(X)
    assert checked.z.tolist() == [[47, 13], [6, 8]]
    assert checked.distance.dtype == np.float64
    assert checked.distance.tolist() == LENGTH
    assert looks_like_pairs(X)


@pytest.mark.parametrize("n_columns", [2, 3])
@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.astype(object).to_numpy().tolist(),
        lambda X: X.to_numpy(dtype=object),
        lambda X: X.to_numpy() if X.shape[1] == 2 else X.to_numpy(dtype=object),
        lambda X: X.to_numpy(np.uint8) if X.shape[1] == 2 else X.astype(object).to_numpy(),
        lambda X: X,
        lambda X: X.iloc[:, ::-1],
        lambda X: X.astype("Int64" if X.shape[1] == 2 else object),
        lambda X: X.astype({"element_1": float, "element_2": float}),
        lambda X: X.astype({"element_1": "category"}),
        lambda X: pytest.importorskip("polars").DataFrame(X.to_dict("list")),
    ],
)
def test_atomic_numbers_are_elements(make, n_columns):
    X = make(NUMBERS.iloc[:, :n_columns])
    checked = check_pairs(X)
    assert checked.z.tolist() == [[47, 13], [6, 8]] and checked.z.dtype == np.int64
    if n_columns == 3:
        assert checked.distance.tolist() == LENGTH
    # Names say that they are elements, values alone do not.
    assert looks_like_pairs(X) == hasattr(X, "columns")


def test_the_transformer_reads_atomic_numbers_as_the_symbols_that_they_stand_for():
    transformer = PairImageTransformer(image_size=8)
    expected = transformer.fit_transform([["Al", "Ag"], ["C", "O"]])
    np.testing.assert_array_equal(transformer.fit_transform([[13, 47], [6, 8]]), expected)


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, np.ma.masked])
@pytest.mark.parametrize("good", ["C", 6])
@pytest.mark.parametrize("named", [False, True])
def test_a_missing_element_of_any_make_is_called_so(missing, good, named):
    X = [[good, good], [good, missing]]
    if named:
        X = pd.DataFrame(X, columns=["element_1", "element_2"], dtype=object)
    with pytest.raises(ValueError, match="row 1: the element is missing"):
        check_pairs(X)


@pytest.mark.parametrize("good", ["C", 6])
def test_masked_entries_are_missing_whatever_they_hide(good):
    X = np.ma.array([[good, good], [good, good]], mask=[[0, 0], [0, 1]])
    with pytest.raises(ValueError, match="row 1: the element is missing"):
        check_pairs(X)
    assert looks_like_pairs(X) == isinstance(good, str)
    length = np.ma.array([[good, good, 1.0]], mask=[[0, 0, 1]], dtype=object)
    with pytest.raises(ValueError, match="row 0: the bond length None"):
        check_pairs(length)


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT])
def test_where_all_elements_are_missing_there_still_is_no_table(missing):
    X = [[missing, missing]]
    assert looks_like_pairs(X) and looks_like_pairs(np.array(X, dtype=object))
    with pytest.raises(ValueError, match="row 0: the element is missing"):
        check_pairs(X)


@pytest.mark.parametrize(
    ("X", "verdict"),
    [
        ([[47, 13], [1, 103]], True),
        (np.array([[47, 13]], dtype=np.uint8), True),
        (np.array([[47, 13]], dtype=object), True),
        (pd.DataFrame({"a": [47], "b": [13]}), True),
        (pd.DataFrame({"a": [47], "b": [13]}, dtype="Int64"), True),
        ([[47, 13], [1, 104]], False),
        ([[0, 1]], False),
        ([[47.0, 13.0]], False),
        (np.array([[True, True]]), False),
        (np.array([[47, True]], dtype=object), False),
        (np.array([[47, None]], dtype=object), False),
        ([["Ag", "Al"]], False),
        ([[47, 13, 2]], False),
        ([47, 13], False),
        ([[47, 13], [47]], False),
        (np.empty((0, 2), dtype=int), False),
        (None, False),
    ],
)
def test_tables_that_might_be_atomic_numbers(X, verdict):
    assert might_be_atomic_numbers(X) is verdict


def test_input_is_left_as_it_was():
    X = FRAME.copy()
    check_pairs(X)
    pd.testing.assert_frame_equal(X, FRAME)


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (["Ag", "Al"], ValueError, r"got shape \(2,\).*Reshape your data"),
        ("AgAl", ValueError, r"got shape \(\)"),
        ([["Ag"]], ValueError, r"got shape \(1, 1\)"),
        ([["Ag", "Al", 2.0, 3.0]], ValueError, r"got shape \(1, 4\)"),
        ([[["Ag", "Al"]]], ValueError, r"got shape \(1, 1, 2\)"),
        ([["Ag", "Al"], ["C"]], ValueError, "differ in length|got shape"),
        (np.empty((0, 2), dtype=object), ValueError, "0 sample"),
        ([["C", "O"], ["Ag", "al"]], ValueError, "row 1: unknown element symbol 'al'"),
        ([["AG", "Al"]], ValueError, "row 0: unknown element symbol 'AG'"),
        ([["Ag", "Xx"]], ValueError, "'Xx'.*Z = 1 to 103"),
        (np.array([["C", "O"], ["Agl", "Al"]]), ValueError, "row 1: unknown .*'Agl'"),
        (np.array([["C", "Å"]]), ValueError, "row 0: unknown element symbol 'Å'"),
        (np.array([["C", "\u0143"]]), ValueError, "row 0: unknown element symbol"),
        (np.array([["C", " O"]]), ValueError, "row 0: unknown element symbol ' O'"),
        ([["Ag", ""]], ValueError, "unknown element symbol ''"),
        ([["C", "O"], ["Ag", None]], ValueError, "row 1: the element is missing"),
        ([["Ag", np.nan]], ValueError, "row 0: the element is missing"),
        ([["Ag", pd.NA]], ValueError, "row 0: the element is missing"),
        (FRAME.mask(FRAME == "O"), ValueError, "row 1: the element is missing"),
        ([["Ag", 13]], TypeError, r"row 0: 13 \(int\) is not an element symbol; .*mixed"),
        ([[47, 13], [8, 0]], ValueError, "row 1: 0 is not an atomic number from 1 to 103"),
        (np.array([[47, -13]]), ValueError, "row 0: -13 is not an atomic number"),
        (pd.DataFrame({"element_1": [1], "element_2": [104]}), ValueError, "0: 104 is not"),
        ([[47.0, 13.0]], TypeError, r"row 0: 47.0 \(float\).*is an integer"),
        (np.array([[47, 13.5]]), TypeError, r"\(float\).*is an integer"),
        (NUMBERS.iloc[:, :2] + 0.5, TypeError, r"row 0: 13.5 \(float\)"),
        (np.array([[True, True]]), TypeError, r"row 0: True \(bool\)"),
        ([[{}, ()]], TypeError, r"row 0: {} \(dict\)"),
        ([["Ag", b"Al"]], TypeError, r"row 0: b'Al' \(bytes\) is not text; decode it"),
        (np.array([[b"Ag", b"Al"]]), TypeError, r"row 0: b'Ag' \(bytes\) .* decode it"),
        (FRAME.assign(e_g_ev=0.0), ValueError, r"unexpected columns \['e_g_ev'\]"),
    ],
)
def test_bad_pairs_are_refused_by_name(X, error, match):
    with pytest.raises(error, match=match):
        check_pairs(X)


@pytest.mark.parametrize("length", [0, -1.5, np.inf, np.nan, None, pd.NA, "far", ""])
def test_bad_bond_lengths_are_refused_by_name(length):
    with pytest.raises(ValueError, match="row 1: the bond length .*positive number") as caught:
        check_pairs([["Ag", "Al", 2.5], ["C", "O", length]])
    assert repr(length) in str(caught.value)


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((3, 2)),
        np.zeros((3, 5)),
        [[47, 13]],
        pd.DataFrame(np.zeros((3, 2))),
        np.zeros((0, 2)),
        [[np.nan, np.nan]],
        np.array([[np.nan, None]], dtype=object),
        [[pd.Timestamp(0), pd.NaT]],
        ["Ag", "Al"],
        [["Ag", "Al"], ["C"]],
        [[1.0, 2.0, 3.0], [4.0]],
        None,
        3,
    ],
)
def test_other_tables_do_not_look_like_pairs(X):
    assert looks_like_pairs(X) is False


def test_a_wrong_symbol_still_looks_like_a_pair():
    assert looks_like_pairs([["Xx", None]])
    assert looks_like_pairs([[b"Ag", b"Al"]]) and looks_like_pairs(np.array([[b"Ag", b"Al"]]))
    assert looks_like_pairs(np.empty((0, 2), dtype=object))


def test_wide_tables_are_not_converted_to_be_told_from_pairs(monkeypatch):
    monkeypatch.setattr(pd.DataFrame, "to_numpy", None)
    monkeypatch.setattr(pd.DataFrame, "__array__", None)
    assert not looks_like_pairs(pd.DataFrame(np.zeros((3, 50))))


class Name(str):
    """Text of a user's own kind."""


def test_symbols_of_any_kind_of_text_are_looked_up_alike():
    kinds = [str, np.str_, Name, lambda symbol: "".join([symbol])]
    X = np.array(
        [[kind("Al"), other("Ag")] for kind in kinds for other in kinds], dtype=object
    )
    np.testing.assert_array_equal(check_pairs(X).z, [[47, 13]] * len(X))
    X[5, 1] = ["Ag"]
    with pytest.raises(TypeError, match=r"row 5: \['Ag'\] \(list\) is not an element symbol"):
        check_pairs(X)

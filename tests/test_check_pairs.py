"""Element pairs as users write them."""

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.structures import check_pairs, looks_like_pairs

LENGTH = [2.5, 1.2]
FRAME = pd.DataFrame(
    {"element_1": ["Al", "C"], "element_2": ["Ag", "O"], "distance_ang": LENGTH}
)


@pytest.mark.parametrize(
    "X",
    [
        [["Al", "Ag"], ["C", "O"]],
        (("Al", "Ag"), ("C", "O")),
        np.array([["Al", "Ag"], ["C", "O"]]),
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
        ([["Ag", ""]], ValueError, "unknown element symbol ''"),
        ([["C", "O"], ["Ag", None]], ValueError, "row 1: the element is missing"),
        ([["Ag", np.nan]], ValueError, "row 0: the element is missing"),
        ([["Ag", pd.NA]], ValueError, "row 0: the element is missing"),
        (FRAME.mask(FRAME == "O"), ValueError, "row 1: the element is missing"),
        ([["Ag", 13]], TypeError, r"row 0: 13 \(int\) is not an element symbol"),
        ([[47, 13]], TypeError, r"row 0: 47 \(int\) is not an element symbol"),
        (np.array([[47, 13]]), TypeError, "is not an element symbol"),
        (pd.DataFrame({"element_1": [47], "element_2": [13]}), TypeError, "element symbol"),
        ([["Ag", b"Al"]], TypeError, r"b'Al' \(bytes\)"),
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
    assert looks_like_pairs(pd.DataFrame({"element_1": [47], "element_2": [13]}))


def test_wide_tables_are_not_converted_to_be_told_from_pairs(monkeypatch):
    monkeypatch.setattr(pd.DataFrame, "to_numpy", None)
    monkeypatch.setattr(pd.DataFrame, "__array__", None)
    assert not looks_like_pairs(pd.DataFrame(np.zeros((3, 50))))

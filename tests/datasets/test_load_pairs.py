"""The bundled table."""

import re
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.datasets import load_pairs
from qcanvas_sklearn.datasets._bundled import bundled_pairs
from qcanvas_sklearn.targets import GROUPS, LABELS, TARGETS

TABLE = files("qcanvas_sklearn.datasets").joinpath("data/pairs.npz")


@pytest.fixture(scope="module")
def bunch():
    return load_pairs()


def test_fields_of_the_bunch(bunch):
    assert set(bunch) == {"data", "target", "labels", "pairs", "target_names", "units", "DESCR"}
    assert bunch.data.shape == (2850, 2)
    assert bunch.data.columns.tolist() == ["element_1", "element_2"]
    assert bunch.data.to_numpy().tolist() == bunch.pairs.elements.tolist()
    assert bunch.target.columns.tolist() == bunch.target_names == list(TARGETS)
    assert bunch.labels.columns.tolist() == list(LABELS)
    pd.testing.assert_frame_equal(bunch.target, bunch.labels[list(TARGETS)])
    assert bunch.units == {key: target.unit for key, target in TARGETS.items()}
    assert "independent recomputation" in bunch.pairs.provenance


def test_all_pairs_of_75_elements_are_there_once(bunch):
    z = np.unique(bunch.pairs.z)
    assert len(z) == 75
    assert len(set(bunch.pairs.names)) == len(bunch.pairs) == 75 * 76 // 2
    assert bunch.labels["system_id_guess"].tolist() == bunch.pairs.names.tolist()


@pytest.mark.parametrize(
    ("target", "names"),
    [
        (None, list(TARGETS)),
        ("e_g_ev", ["e_g_ev"]),
        ("frontier", list(GROUPS["frontier"])),
        (["e_g_ev"], ["e_g_ev"]),
        (["distance_ang", "charge"], ["distance_ang", *GROUPS["charge"]]),
    ],
)
@pytest.mark.parametrize("as_frame", [True, False])
def test_forms_of_the_target(bunch, target, names, as_frame):
    X, y = load_pairs(target, return_X_y=True, as_frame=as_frame)
    again = load_pairs(target, as_frame=as_frame)
    assert again.target_names == names
    assert list(again.units) == names
    expected = bunch.target[names]
    if isinstance(target, str) and target in TARGETS:
        expected = expected[target]
    if as_frame:
        assert type(y) is type(expected)
        pd.testing.assert_frame_equal(X, again.data)
        assert (y.name if y.ndim == 1 else y.columns.tolist()) == (
            target if y.ndim == 1 else names
        )
    else:
        assert type(X) is type(y) is np.ndarray
        assert y.dtype == np.float64
        assert X.tolist() == bunch.data.to_numpy().tolist()
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(y, again.target)


def test_missing_labels(bunch):
    missing = bunch.labels.isna().sum()
    no_lumo = ["e_g_ev", "e_homo_ev", "e_lumo_ev", "metal_like", *GROUPS["reactivity"][:5]]
    no_gap = ["softness_evinv", "electrophilicity_ev"]
    expected = dict.fromkeys(no_lumo, 10) | dict.fromkeys(no_gap, 1867)
    assert missing[missing > 0].to_dict() == expected
    no_virtual = bunch.labels["no_virtual_in_basis"]
    assert (no_virtual == bunch.labels["e_g_ev"].isna()).all()
    assert (bunch.labels["softness_evinv"].notna() == (bunch.labels["e_g_ev"] > 0)).all()


@pytest.mark.parametrize("target", ["Gap", ["e_g_ev", "Gap"]])
def test_an_unknown_target_is_named(target):
    with pytest.raises(ValueError, match="unknown target 'Gap'"):
        load_pairs(target)


def test_what_the_user_changes_stays_with_the_user(bunch):
    mine = load_pairs()
    mine.data.iloc[:, 0] = "X"
    mine.target.iloc[:] = 0
    for labels in (mine.labels, mine.pairs.labels):
        labels.loc[:, "e_homo_ev"] = -1.0
        labels["metal_like"] = pd.NA
    mine.units.clear()
    mine.target_names.clear()
    X, y = load_pairs(return_X_y=True, as_frame=False)
    X[:], y[:] = "Y", 1
    again = load_pairs()
    for name in ("data", "target", "labels"):
        pd.testing.assert_frame_equal(again[name], bunch[name])
    for pairs in (again.pairs, bundled_pairs()):
        pd.testing.assert_frame_equal(pairs.labels, bunch.labels)
    assert again.units == bunch.units
    assert again.target_names == bunch.target_names


def test_the_file_is_small_and_holds_no_pickle():
    with TABLE.open("rb") as file:
        assert len(file.read()) < 3_000_000
    with TABLE.open("rb") as file, np.load(file, allow_pickle=False) as members:
        kinds = {members[name].dtype.kind for name in members.files}
    assert kinds == {"f", "U"}


def test_loads_in_a_fresh_process_from_anywhere(tmp_path):
    code = (
        "import sys; from qcanvas_sklearn.datasets import load_pairs; "
        "X, y = load_pairs('e_g_ev', return_X_y=True); "
        "print(len(X), y.count(), [m for m in ('torch', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == ["2850", "2840", "[]"]


def test_the_description_states_the_figures_of_the_table(bunch):
    text, labels = bunch.DESCR, bunch.labels
    gap, total, distance = (
        labels[key] for key in ("e_g_ev", "total_energy_ev", "distance_ang")
    )
    smeared = int((bunch.pairs.quality != "ok").sum())
    known = [f"{labels[key].count():,}" for key in ("e_g_ev", "softness_evinv")]
    for row in (
        ("HOMO, LUMO and gap", known[0]),
        ("softness, electrophilicity", known[1]),
        ("gap, mean", f"{gap.mean():.3f}, {gap.std():.3f}"),
        ("total energy, mean", f"{total.mean():.2f}, {total.std():.2f}"),
        ("bond length, mean", f"{distance.mean():.3f}, {distance.std():.3f}"),
        ("metal-like", f"{100 * labels['metal_like'].mean():.1f} %"),
    ):
        assert re.search(rf"{row[0]}.* {re.escape(row[1])}$", text, re.M), row
    differ = (labels["mermin_free_energy_ev"] - labels["total_energy_ev"]).abs().round(4)
    assert f"{smeared} pairs needed" in text
    assert f"in the {(differ > 1e-4).sum()} smeared\n" in text
    assert f"in {(differ == 1e-4).sum()} more" in text
    assert f"{len(bunch.data):,} (all unordered pairs of 75 elements" in text
    assert f"in {labels['e_g_ev'].isna().sum()} pairs without virtual" in text
    assert f"in {labels['softness_evinv'].isna().sum():,} pairs" in text
    assert 0.6 < (gap == 0).mean() < 0.7  # "about two thirds"

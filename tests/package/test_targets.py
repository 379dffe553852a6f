"""Targets, labels and the algebra between them."""

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.datasets import load_pairs
from qcanvas_sklearn.targets import (
    DEBYE_PER_E_ANGSTROM,
    EXTENSIVE_LABELS,
    GROUPS,
    IDENTITIES,
    LABELS,
    MOLECULE_LABELS,
    TARGETS,
    consistent_targets,
    derive_targets,
    identity_residuals,
    resolve_targets,
    target_parity,
    target_units,
)


@pytest.fixture(scope="module")
def pairs():
    return load_pairs().pairs


def test_there_are_18_targets_in_groups_and_37_labels():
    assert len(TARGETS) == 18
    assert len(LABELS) == 37
    assert [key for keys in GROUPS.values() for key in keys] == list(TARGETS)
    assert {group: len(keys) for group, keys in GROUPS.items()} == {
        "frontier": 3, "energy": 4, "reactivity": 7, "charge": 3, "geometry": 1,
    }  # fmt: skip
    for key, target in TARGETS.items():
        assert target.key == key
        assert target.definition
        assert LABELS[key].kind == "float"
        assert LABELS[key].unit == target.unit


def test_kinds_of_labels():
    flags = {key for key, label in LABELS.items() if label.kind == "bool"}
    assert flags == {"metal_like", "no_virtual_in_basis", "geom_converged", "scc_converged"}
    assert [key for key, label in LABELS.items() if label.kind == "string"] == [
        "system_id_guess"
    ]
    assert all(label.unit and label.description for label in LABELS.values())


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("e_g_ev", ["e_g_ev"]),
        ("charge", ["dipole_mag_d", "dipole_z_d", "q_absmean"]),
        (["distance_ang", "frontier"], ["distance_ang", "e_g_ev", "e_homo_ev", "e_lumo_ev"]),
        (("e_lumo_ev", "frontier"), ["e_lumo_ev", "e_g_ev", "e_homo_ev"]),
        (np.array(["i_ev", "i_ev"]), ["i_ev"]),
        (pd.Index(["i_ev", "a_ev"]), ["i_ev", "a_ev"]),
        (None, list(TARGETS)),
    ],
)
def test_targets_are_resolved_in_the_order_asked_for(target, keys):
    assert resolve_targets(target) == keys


@pytest.mark.parametrize(
    ("target", "error", "match"),
    [
        ("gap", ValueError, "unknown target 'gap'.*'e_g_ev'.*'frontier'"),
        (["e_g_ev", "GAP"], ValueError, "unknown target 'GAP'"),
        ("fermi_level", ValueError, "unknown target 'fermi_level'"),
        (["e_g_ev", 3], ValueError, "unknown target 3"),
        (3, TypeError, "got 3"),
        ([], ValueError, "empty"),
        ("", ValueError, "unknown target ''"),
    ],
)
def test_wrong_targets_are_named(target, error, match):
    with pytest.raises(error, match=match):
        resolve_targets(target)


def test_only_the_dipole_along_the_bond_has_a_direction():
    assert [key for key in TARGETS if target_parity(key) != 1] == ["dipole_z_d"]
    assert target_parity("dipole_z_d") == -1
    assert [target_parity(key) for key in ("mine", None, 3, ["e_g_ev"])] == [0, 0, 0, 0]


def test_identities_hold_on_the_bundled_labels(pairs):
    residuals = identity_residuals(pairs.labels)
    assert residuals.index.tolist() == [identity.formula for identity in IDENTITIES]
    dipole = residuals.pop("|mu| = 4.8032 |q| d")
    assert residuals.max() < 1e-8
    # Charges are printed with eight digits, coordinates with as many.
    assert dipole < 1e-5


@pytest.mark.parametrize("wrong", [5.0, np.inf])
def test_a_violated_identity_is_seen(pairs, wrong):
    labels = pairs.labels.copy()
    labels.loc[7, "chi_ev"] = wrong
    residuals = identity_residuals(labels)
    assert residuals["chi = (I + A) / 2"] > 0.1
    assert residuals["mu = -chi"] > 0.1
    assert residuals["eta = (I - A) / 2"] == 0


def test_residuals_of_absent_and_of_missing_labels():
    labels = pd.DataFrame({"i_ev": [np.nan], "e_homo_ev": [1.0]})
    residuals = identity_residuals(labels)
    assert residuals.index.tolist() == ["I = -E_HOMO"]
    assert residuals.isna().all()


def test_reactivity_follows_from_homo_and_lumo(pairs):
    frontier = pairs.labels[["e_homo_ev", "e_lumo_ev"]]
    derived = derive_targets(frontier)
    added = ["i_ev", "a_ev", "e_g_ev", *GROUPS["reactivity"][2:]]
    assert set(derived) == {"e_homo_ev", "e_lumo_ev", *added}
    assert frontier.shape[1] == 2
    np.testing.assert_allclose(derived[added], pairs.labels[added], rtol=1e-12, atol=1e-12)


def test_given_columns_are_not_recomputed_and_zero_hardness_gives_nan():
    given = pd.DataFrame({"i_ev": [3.0, 4.0], "a_ev": [3.0, 2.0], "chi_ev": [9.0, 9.0]})
    derived = derive_targets(given)
    assert derived["chi_ev"].tolist() == [9, 9]
    assert derived["eta_ev"].tolist() == [0, 1]
    for key, value in (("softness_evinv", 1), ("electrophilicity_ev", 40.5)):
        assert np.isnan(derived[key][0])
        assert derived[key][1] == value


def test_dipole_is_that_of_the_charges(pairs):
    bond = pairs.positions[:, 1] - pairs.positions[:, 0]
    dipole = DEBYE_PER_E_ANGSTROM * pairs.charges[:, 1, None] * bond
    np.testing.assert_allclose(pairs.dipole, dipole, atol=1e-5)
    labels = pairs.labels
    np.testing.assert_allclose(labels["dipole_z_d"], dipole[:, 2], atol=1e-5)
    magnitude = DEBYE_PER_E_ANGSTROM * labels["q_absmean"] * pairs.bond_lengths
    np.testing.assert_allclose(labels["dipole_mag_d"], magnitude, atol=1e-5)


# ------------------------------------------------------------------ consistency


def test_consistent_targets_are_the_nearest_by_least_squares():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(50, 4)), columns=["i_ev", "a_ev", "e_g_ev", "chi_ev"]
    )
    found = consistent_targets(frame)
    matrix = np.array([[1, 0], [0, 1], [1, -1], [0.5, 0.5]])
    expected = np.linalg.lstsq(matrix, frame.to_numpy().T, rcond=None)[0]
    np.testing.assert_allclose(found, (matrix @ expected).T)
    pd.testing.assert_frame_equal(consistent_targets(found), found)


def test_consistent_labels_stay_as_they_are():
    labels = load_pairs(return_X_y=True)[1].dropna()
    labels = labels[labels["eta_ev"] > 0.05]
    found = consistent_targets(labels)
    assert list(found) == list(labels)
    np.testing.assert_allclose(found, labels, rtol=2e-3, atol=2e-3)


FRONTIER = [
    "e_homo_ev", "e_lumo_ev", "i_ev", "a_ev", "e_g_ev", "chi_ev", "mu_ev", "eta_ev",
    "softness_evinv", "electrophilicity_ev",
]  # fmt: skip


@pytest.fixture(scope="module")
def gapped():
    """All quantities that identities bind, of two rows in which these hold."""
    frame = pd.DataFrame({"e_homo_ev": [-6.0, -4.5], "e_lumo_ev": [-2.0, -4.0],
                          "q_absmean": [0.2, 0.3], "distance_ang": [2.0, 1.5]})  # fmt: skip
    return derive_targets(frame)


def test_known_values_stay_whatever_is_missing_beside_them(gapped):
    """Every subset of missing values, of numbers that obey the identities."""
    frame = gapped[FRONTIER[:8]].iloc[:1]
    missing = np.array(list(np.ndindex(*[2] * 8)), dtype=bool)
    rows = pd.concat([frame] * len(missing), ignore_index=True).mask(missing)
    found = consistent_targets(rows)
    true = frame.to_numpy()
    # What is known stays, what is filled is right.
    assert (found.notna() | rows.isna()).all(axis=None)
    np.testing.assert_allclose(found, np.where(found.notna(), true, np.nan), rtol=1e-12)
    one_alone = found[(~missing).sum(axis=1) == 1].notna()
    assert one_alone.sum(axis=1).tolist() == [2] * 8  # HOMO and I, gap and eta, ...
    assert found[["e_homo_ev", "e_lumo_ev"]].notna().all(axis=1).sum() == 256 - (1 + 4 * 3)


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda identity: identity.target)
def test_each_identity_holds_where_its_parts_are_known(identity, gapped):
    names = [identity.target, *identity.inputs]
    others = [key for key in gapped if key in FRONTIER]
    wrong = gapped.copy()
    wrong[identity.target] += 0.5
    for missing in map(list, np.ndindex(*[2] * len(names))):
        gone = [name for name, is_gone in zip(names, missing, strict=True) if is_gone]
        rows = wrong.assign(**dict.fromkeys(gone, np.nan))
        found = consistent_targets(rows)
        assert (found.notna() | rows.isna()).all(axis=None), gone
        # A row of its own parts alone: what they do not determine is as it was.
        own = rows.assign(**dict.fromkeys(set(others) - set(names), np.nan))
        settled = consistent_targets(own)
        assert (settled.notna() | own.isna()).all(axis=None), gone
        if not any(missing[1:]):
            columns = [settled[key].to_numpy() for key in identity.inputs]
            np.testing.assert_allclose(settled[identity.target], identity.function(*columns))


def test_rows_with_missing_values_do_not_touch_others(gapped):
    rows = gapped.copy()
    rows["e_g_ev"] += 0.3
    whole = consistent_targets(rows)
    rows.loc[1, "e_lumo_ev"] = np.nan
    pd.testing.assert_frame_equal(consistent_targets(rows).iloc[:1], whole.iloc[:1])


def test_columns_that_nothing_binds_are_refused_or_left():
    frame = pd.DataFrame({"e_homo_ev": [-5.0], "i_ev": [5.5], "band_energy_ev": [1.0]})
    with pytest.raises(ValueError, match="no identity binds"):
        consistent_targets(frame)
    bound = consistent_targets(frame.assign(e_lumo_ev=-2.0))
    assert bound.iloc[0].tolist() == pytest.approx([-5.25, 5.25, 1.0, -2.0])


def test_the_dipole_follows_from_charge_and_distance():
    frame = pd.DataFrame({"dipole_mag_d": [9.0], "q_absmean": [0.5], "distance_ang": [2.0]})
    assert consistent_targets(frame)["dipole_mag_d"][0] == pytest.approx(4.803204)


def test_labels_of_molecules_have_units_and_are_told_apart():
    assert not set(LABELS) & set(MOLECULE_LABELS)
    assert set(EXTENSIVE_LABELS) < set(LABELS) | set(MOLECULE_LABELS)
    keys = ["u0_ev", "cv_cal_molk", "e_g_ev", "mine"]
    assert list(target_units(keys).values()) == ["eV", "cal/(mol K)", "eV", ""]
    assert {"e_g_ev", "e_homo_ev", "dipole_mag_d"}.isdisjoint(EXTENSIVE_LABELS)

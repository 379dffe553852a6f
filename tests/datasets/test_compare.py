"""Comparison, checks and statistics of data sets."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.datasets import PairData, compare, load_pairs
from qcanvas_sklearn.datasets._summary import check_pair_data, summarize_labels


@pytest.fixture(scope="module")
def pairs():
    return load_pairs().pairs[::50]


def with_labels(pairs, **columns):
    return replace(pairs, labels=pairs.labels.assign(**columns))


def derived(labels, factor):
    """Labels of pairs whose bonds are longer by a factor, with the same charges."""
    lengths = ["distance_ang", "dipole_mag_d", "dipole_x_d", "dipole_y_d", "dipole_z_d"]
    return labels.assign(**{key: labels[key] * factor for key in lengths})


def failed(pairs):
    return [finding.check for finding in check_pair_data(pairs) if finding.passed is False]


def test_rows_are_matched_by_pair_whatever_their_order(pairs):
    other = with_labels(pairs, e_homo_ev=pairs.labels["e_homo_ev"] + 0.5)[::-1][3:]
    table = compare(pairs, other)
    known = int(pairs.labels["e_homo_ev"][: len(pairs) - 3].notna().sum())
    assert table.loc["e_homo_ev", "n"] == known
    assert table.loc["e_homo_ev", "correlation"] == pytest.approx(1.0)
    assert table.loc["e_homo_ev", "mean_abs_difference"] == pytest.approx(0.5)
    assert table.loc["distance_ang", "mean_abs_difference"] == 0


def test_figures_are_those_of_the_definition(pairs):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=len(pairs))
    table = compare(pairs, with_labels(pairs, chi_ev=pairs.labels["chi_ev"] * 2 + noise))
    x = pairs.labels["chi_ev"]
    frame = pd.DataFrame({"x": x, "y": x * 2 + noise}).dropna()
    assert table.loc["chi_ev"].tolist() == pytest.approx(
        [len(frame), frame.corr().loc["x", "y"], (frame.x - frame.y).abs().mean()]
    )


def test_missing_constant_boolean_and_text_labels(pairs):
    other = with_labels(pairs, e_g_ev=np.nan, metal_like=~pairs.labels["metal_like"])
    table = compare(pairs, other)
    assert "e_g_ev" not in table.index and "system_id_guess" not in table.index
    assert np.isnan(table.loc["n_atoms", "correlation"])
    assert table.loc["metal_like", ["correlation", "mean_abs_difference"]].tolist() == [
        pytest.approx(-1.0),
        1.0,
    ]


def test_a_repeated_pair_counts_once(pairs):
    twice = PairData.concat([pairs, with_labels(pairs, distance_ang=0.0)])
    table = compare(twice, pairs)
    assert table.loc["distance_ang", ["n", "mean_abs_difference"]].tolist() == [len(pairs), 0]


def test_nothing_in_common(pairs):
    with pytest.raises(ValueError, match="no pair in common"):
        compare(pairs[:3], pairs[3:])
    with pytest.raises(ValueError, match="no pair in common"):
        compare(pairs[:0], pairs)
    with pytest.raises(TypeError, match="expected PairData, got DataFrame"):
        compare(pairs, pairs.labels)


def test_sound_data_pass_all_checks(pairs):
    assert failed(pairs) == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (
            lambda p: with_labels(p, distance_ang=p.labels["distance_ang"] + 0.01),
            "bond lengths",
        ),
        (lambda p: with_labels(p, dipole_mag_d=p.labels["dipole_mag_d"] * 1.1), "dipoles"),
        (lambda p: replace(p, charges=p.charges + 0.01), "charge neutrality"),
        (lambda p: with_labels(p, i_ev=p.labels["i_ev"] + 1e-3), "I = -E_HOMO"),
        (
            lambda p: with_labels(p, softness_evinv=p.labels["softness_evinv"] * 1.01),
            "S = 1 / eta",
        ),
        (lambda p: with_labels(p, e_g_ev=np.inf), "finite values"),
        (lambda p: with_labels(p, distance_ang=np.inf), "bond lengths"),
        (lambda p: replace(p, positions=p.positions * 1e300), "bond lengths"),
        (lambda p: with_labels(p, dipole_mag_d=-np.inf), "dipoles"),
        (lambda p: with_labels(p, total_charge=np.inf), "charge neutrality"),
        (lambda p: with_labels(p, i_ev=np.inf), "I = -E_HOMO"),
        (lambda p: with_labels(p, e_lumo_ev=-np.inf), "A = -E_LUMO"),
        (lambda p: replace(p, positions=p.positions * np.nan), "finite values"),
        (lambda p: PairData.concat([p, p[:1]]), "distinct pairs"),
        (lambda p: p[:0], "shapes"),
    ],
)
def test_a_contradiction_fails_its_check(pairs, change, check):
    assert any(name.startswith(check) for name in failed(change(pairs)))


def test_scans_and_rows_that_could_not_be_computed_are_in_order(pairs):
    longer = replace(
        pairs, positions=1.5 * pairs.positions, dipole=1.5 * pairs.dipole,
        labels=derived(pairs.labels, 1.5),
    )  # fmt: skip
    assert failed(PairData.concat([pairs, longer])) == []
    nothing = {
        name: np.full_like(getattr(pairs, name), np.nan)
        for name in ("positions", "orbital_populations", "populations", "charges", "dipole")
    }
    unbound = replace(pairs, **nothing, labels=None, quality=["unbound"] * len(pairs))
    assert "finite values" not in failed(unbound)
    assert "finite values" in failed(replace(unbound, quality=None))


def test_a_dipole_beyond_point_charges_is_no_failure(pairs):
    q = pairs.charges * 0.5
    other = with_labels(replace(pairs, charges=q), q_absmean=np.abs(q).mean(axis=1))
    findings = {finding.check: finding for finding in check_pair_data(other)}
    assert findings["|mu| = 4.8032 |q| d"].detail.endswith("not a point-charge dipole")
    assert failed(other) == []


def test_summary_states_every_label_and_what_is_missing(pairs):
    labels = pairs.labels.assign(fermi_level_ev=np.nan)
    text = summarize_labels(labels)
    blocks = {block.split(":")[0].split(" ")[0]: block for block in text.split("\n\n")}
    gap = labels["e_g_ev"].dropna()
    for name, value in [("mean", gap.mean()), ("std", gap.std()), ("median", gap.median())]:
        assert f"  {name + ':':9} {value:.6g}\n" in blocks["e_g_ev"] + "\n"
    assert f"range:    [{gap.min():.6g}, {gap.max():.6g}]" in blocks["e_g_ev"]
    n_metals = int(labels["metal_like"].sum())
    assert f"  True: {n_metals} (" in blocks["metal_like"]
    assert "  fermi_level_ev: empty" in blocks["Missing"]
    assert f"  softness_evinv: {labels['softness_evinv'].isna().sum()}, expected" in text
    assert set(labels) <= set(blocks)


def test_an_infinite_value_differs_from_every_other(pairs):
    table = compare(pairs, with_labels(pairs, distance_ang=np.inf))
    assert table.loc["distance_ang", "n"] == len(pairs)
    assert table.loc["distance_ang", "mean_abs_difference"] == np.inf
    assert np.isnan(table.loc["distance_ang", "correlation"])
    infinite = with_labels(pairs, distance_ang=np.inf)
    assert compare(infinite, infinite).loc["distance_ang", "mean_abs_difference"] == 0

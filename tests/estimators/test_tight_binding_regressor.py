"""`TightBindingRegressor` and `QCanvasRegressor`: one state, from which everything follows."""

import subprocess
import sys
from functools import cache

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    ElementPairKFold,
    PairImageTransformer,
    QCanvasRegressor,
    TightBindingRegressor,
    load_pairs,
)
from qcanvas_sklearn.datasets import PairData
from qcanvas_sklearn.estimators import _base, _pair_states
from qcanvas_sklearn.targets import TARGETS, identity_residuals

SHORT = {"n_members": 2, "max_epochs": 2, "random_state": 0}
GIVEN = ("populations", "distance", "elements")
GASES = [["C", "O"], ["N", "N"], ["O", "O"], ["F", "H"]]


def qcanvas(**parameters):
    options = {"n_hidden": 16, "n_blocks": 1, **SHORT, **parameters}
    return QCanvasRegressor(tight_binding=TightBindingRegressor(**SHORT), **options)


MAKE = {"tight_binding": lambda **p: TightBindingRegressor(**{**SHORT, **p}),
        "qcanvas": qcanvas}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    X, y = load_pairs(return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))[:100]
    light = X.isin(["H", "C", "N", "O", "F"]).all(axis=1).to_numpy().nonzero()[0]
    rows = np.union1d(rows, light)
    return X.iloc[rows], y.iloc[rows]


@pytest.fixture(scope="module")
def fitted(data):
    """A model by name and by what it is given, fitted to all targets once for many tests."""
    return cache(lambda name, given="populations": MAKE[name](given=given).fit(*data))


@pytest.fixture(scope="module")
def learned(data):
    """A model that has learned enough for textbook statements, without populations."""
    X, y = load_pairs(return_X_y=True)
    light = X.isin(["H", "C", "N", "O", "F", "B", "Li", "P", "S", "Cl"]).all(axis=1)
    model = TightBindingRegressor(
        given="distance", n_members=2, max_epochs=150, batch_size=64, random_state=0
    )
    return model.fit(X[light], y[light])


# What a prediction starts from ------------------------------------------------------------


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", MAKE)
def test_all_targets_agree_with_each_other(name, given, data, fitted):
    X, y = data
    predicted = pd.DataFrame(fitted(name, given).predict(X[:40]), columns=y.columns)
    residuals = identity_residuals(predicted)
    assert residuals.max() < 1e-6
    dipole = 4.803204 * predicted["q_absmean"] * predicted["distance_ang"]
    np.testing.assert_allclose(predicted["dipole_mag_d"], dipole, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MAKE)
def test_what_is_given_is_repeated_and_what_is_not_is_not_looked_up(name, data, fitted):
    X, y = data
    names = ["q_absmean", "distance_ang"]
    places = y.columns.get_indexer(names)
    expected = y[names].to_numpy()[:30]
    by_given = {given: fitted(name, given).predict(X[:30])[:, places] for given in GIVEN}
    error = {given: np.abs(p - expected).max(axis=0) for given, p in by_given.items()}
    assert (error["populations"] < 1e-3).all()
    assert error["distance"][0] > 1e-3 and error["distance"][1] < 1e-5
    assert (error["elements"] > 1e-3).all()


@pytest.mark.parametrize("given", ["distance", "elements"])
@pytest.mark.parametrize("name", MAKE)
def test_predictions_read_no_more_than_they_are_given(name, given, data):
    """Changing what is not given, in a table, changes no prediction."""
    X, y = data[0][:50], data[1][:50]
    transformer = PairImageTransformer(include=["atoms", "orbitals"])
    table = transformer.set_output(transform="pandas").fit_transform(X)
    model = MAKE[name](given=given).fit(table, y)
    other = table.copy()
    known = {"z_a", "z_b"} | ({"distance_ang"} if given == "distance" else set())
    hidden = [column for column in table if column not in known]
    other[hidden] = other[hidden] * 0.5 + 0.25
    one, two = model.predict(table[:30]), model.predict(other[:30])
    assert np.array_equal(one, two, equal_nan=True)


def test_pairs_that_no_table_holds_are_predicted_from_their_elements(data):
    X, y = data[0][:50], data[1][:50]
    model = TightBindingRegressor(given="elements", unseen_elements="allow", **SHORT)
    assert np.isfinite(model.fit(X, y["e_homo_ev"]).predict([["U", "O"]])).all()


def test_distances_can_be_asked_for(data):
    X, y = data
    known = X.assign(distance_ang=y["distance_ang"])[:60]
    model = TightBindingRegressor(given="distance", n_members=1, max_epochs=1, random_state=0)
    model.fit(known, y["total_energy_ev"][:60])
    r = [1.5, 2.13, 3.0]
    a, b = known.iloc[0, :2]
    asked = pd.DataFrame({"element_1": a, "element_2": b, "distance_ang": r})
    curve = model.potential_curve(known[:1], r)
    np.testing.assert_allclose(model.predict(asked), curve[0], rtol=1e-6)


def test_free_atoms_are_no_calculated_populations(data):
    X, y = data
    table = PairImageTransformer("free-atom", include=["atoms", "orbitals"]).fit_transform(X)
    with pytest.raises(ValueError, match="does not hold"):
        TightBindingRegressor(**SHORT).fit(table, y)
    model = TightBindingRegressor(given="distance", n_members=1, max_epochs=1, random_state=0)
    model.fit(table[:60], y["band_energy_ev"][:60])
    assert np.isfinite(model.predict(table[:60])).all()


# y ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", list(TARGETS))
def test_every_target_can_be_learned_alone(target, data):
    X, y = data
    model = TightBindingRegressor(n_members=1, max_epochs=1, random_state=0)
    known = y[target].notna()
    predicted = model.fit(X, y[target]).predict(X[known])
    assert predicted.shape == (known.sum(),)
    assert np.isfinite(predicted).mean() > 0.6  # softness of a gap of 0 is no number


def test_missing_labels_are_left_out(data):
    X, y = data
    half = y.copy()
    half.iloc[::2, :9] = np.nan
    half.iloc[1::2, 9:] = np.nan
    poisoned = half.copy()
    X_more = pd.concat([X, X[:5]])
    more = pd.concat([poisoned, pd.DataFrame(np.nan, y.index[:5], y.columns)])
    model = TightBindingRegressor(**SHORT)
    expected = clone(model).fit(X, half).predict(X)
    assert np.array_equal(model.fit(X_more, more).predict(X), expected, equal_nan=True)


def test_names_of_targets_are_needed_and_checked(data):
    X, y = data
    with pytest.raises(ValueError, match="no names"):
        TightBindingRegressor(**SHORT).fit(X, y["e_g_ev"].to_numpy())
    with pytest.raises(ValueError, match="'colour'"):
        TightBindingRegressor(**SHORT).fit(X, y["e_g_ev"].rename("colour"))
    named = TightBindingRegressor(targets="e_g_ev", **SHORT)
    assert np.array_equal(
        named.fit(X, y["e_g_ev"].to_numpy()).predict(X),
        TightBindingRegressor(**SHORT).fit(X, y["e_g_ev"]).predict(X),
    )


@pytest.mark.parametrize("given", ["population", None, 3])
@pytest.mark.parametrize("name", MAKE)
def test_bad_given_is_named(name, given, data):
    with pytest.raises((ValueError, TypeError), match="given"):
        MAKE[name](given=given).fit(*data)


@pytest.mark.parametrize("temperature", [-1.0, np.inf, np.nan])
def test_bad_temperature_is_named(temperature, data):
    with pytest.raises(ValueError, match="electronic_temperature"):
        TightBindingRegressor(electronic_temperature=temperature).fit(*data)


def test_plain_tables_are_refused():
    with pytest.raises(ValueError, match="no pairs of atoms"):
        TightBindingRegressor().fit(np.ones((4, 3)), pd.Series(np.ones(4), name="e_g_ev"))


# As scikit-learn has it ---------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKE)
def test_atoms_in_either_order_get_the_same_prediction(name, data, fitted):
    X, model = data[0], fitted(name)
    swapped = X[["element_2", "element_1"]].to_numpy()
    assert np.array_equal(model.predict(X), model.predict(swapped), equal_nan=True)


def test_a_table_in_the_other_order_gets_the_same_prediction(data):
    """But for what is directed, which changes its sign."""
    X, y = data
    table = PairImageTransformer(include=["atoms", "orbitals"]).fit_transform(X)
    blocks = np.asarray(table).copy()
    blocks[:, [0, 1]], blocks[:, [3, 4]] = blocks[:, [1, 0]], blocks[:, [4, 3]]
    blocks[:, 5:12], blocks[:, 12:19] = blocks[:, 12:19].copy(), blocks[:, 5:12].copy()
    turned = PairImageTransformer(include=["atoms", "orbitals"]).fit(X).layout_.label(blocks)
    model = TightBindingRegressor(**SHORT).fit(table, y)
    sign = np.where(y.columns == "dipole_z_d", -1.0, 1.0)
    assert np.array_equal(model.predict(turned), sign * model.predict(table), equal_nan=True)


@pytest.mark.parametrize("given", GIVEN)
def test_one_seed_gives_one_model_to_the_last_bit(given, data, fitted):
    X, y = data
    one, two = (
        model.predict(X[:30], return_std=True)
        for model in (fitted("qcanvas", given), qcanvas(given=given).fit(X, y))
    )
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    "given, stops, watched",
    [("populations", False, True), ("distance", False, False), ("distance", True, True)],
)
def test_the_validation_loss_is_computed_where_it_is_cheap_or_needed(
    given, stops, watched, data
):
    X, y = data[0][:40], data[1]["e_homo_ev"][:40]
    model = TightBindingRegressor(given=given, early_stopping=stops, **SHORT).fit(X, y)
    assert (model.history_["valid_loss"].notna() == watched).all()


@pytest.mark.parametrize("name", MAKE)
def test_standard_deviations_are_those_of_the_labels_units(name, data):
    X, y = data
    model = MAKE[name]().fit(X, y[["e_homo_ev", "band_energy_ev"]])
    mean, std = model.predict(X, return_std=True)
    assert mean.shape == std.shape == (len(X), 2)
    assert (std > 0).all()
    inside = (np.abs(mean - y[["e_homo_ev", "band_energy_ev"]]) < 1.645 * std).to_numpy()
    assert inside.mean() > 0.6


def test_a_new_process_predicts_the_same(fitted, tmp_path):
    models = [fitted(name, "elements") for name in MAKE]
    joblib.dump(models, tmp_path / "models.joblib")
    joblib.dump([model.predict(GASES) for model in models], tmp_path / "expected.joblib")
    code = (
        f"import joblib, numpy as np; models = joblib.load(r'{tmp_path}/models.joblib'); "
        f"expected = joblib.load(r'{tmp_path}/expected.joblib'); "
        f"found = [model.predict({GASES}) for model in models]; "
        "assert np.array_equal(found, expected, equal_nan=True)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pipelines_and_cross_validation(data):
    X, y = data
    pipe = make_pipeline(
        PairImageTransformer(include=["atoms", "orbitals"]),
        TightBindingRegressor(
            n_members=1, max_epochs=3, random_state=0, unseen_elements="allow"
        ),
    )
    scores = cross_val_score(pipe, X, y["band_energy_ev"], cv=ElementPairKFold(2))
    assert (scores > 0.9).all()


def test_sample_weights_steer_the_fit(data):
    """Two labels of one pair, of which the heavier one is learned."""
    X, y = data
    X_two = pd.concat([X, X])
    wrong = y["e_homo_ev"] - 3.0
    y_two = pd.concat([y["e_homo_ev"], wrong])
    n = len(X)
    error = []
    for heavy in (slice(0, n), slice(n, 2 * n)):
        weight = np.full(2 * n, 1e-3)
        weight[heavy] = 1.0
        model = TightBindingRegressor(n_members=1, max_epochs=8, random_state=0)
        predicted = model.fit(X_two, y_two, sample_weight=weight).predict(X)
        error.append(np.nanmean(predicted - y["e_homo_ev"]))
    assert error[0] > error[1] + 1.5


def test_continued_fits_go_on(data):
    X, y = data
    model = TightBindingRegressor(n_members=1, max_epochs=2, random_state=0, warm_start=True)
    first = np.nanmean(np.abs(model.fit(X, y).predict(X) - y)["band_energy_ev"])
    for _ in range(3):
        model.partial_fit(X, y)
    assert np.nanmean(np.abs(model.predict(X) - y)["band_energy_ev"]) < first
    assert model.n_iter_ == 5
    assert model.fit(X, y).n_iter_ == 7


@pytest.mark.parametrize(
    "name, parameter, value",
    [("tight_binding", "n_hidden", 32), ("tight_binding", "n_gaussians", 7),
     ("tight_binding", "given", "distance"), ("tight_binding", "n_members", 3),
     ("qcanvas", "n_hidden", 32), ("qcanvas", "given", "elements")],
)  # fmt: skip
def test_another_architecture_is_not_continued(name, parameter, value, data):
    X, y = data[0], data[1]["e_homo_ev"]
    model = MAKE[name](max_epochs=1, warm_start=True).fit(X, y)
    before, was = model.predict(X), model.get_params()[parameter]
    with pytest.raises(ValueError, match=f"{parameter}={value!r} was {was!r}"):
        model.set_params(**{parameter: value}).fit(X, y)
    with pytest.raises(ValueError, match=f"{parameter}={value!r} was {was!r}"):
        model.partial_fit(X, y)
    assert np.array_equal(model.set_params(**{parameter: was}).predict(X), before)


@pytest.mark.parametrize("parameter", ["n_gaussians", "n_hidden", "n_embedding", "n_members"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_bad_counts_are_named(parameter, value, data):
    with pytest.raises((ValueError, TypeError), match=parameter):
        TightBindingRegressor(**{parameter: value}).fit(*data)


def test_a_failed_refit_leaves_the_fitted_model(data):
    X, y = data
    for make in MAKE.values():
        model = make().fit(X, y["e_g_ev"])
        expected = model.predict(X)
        with pytest.raises(ValueError, match="NaN|missing|label"):
            model.fit(X, y["e_g_ev"] * np.nan)
        assert np.array_equal(model.predict(X), expected)


def test_members_never_learn_from_their_fold(data):
    """Out of fold, errors are those of pairs that were not learned."""
    X, y = data
    model = TightBindingRegressor(n_members=2, max_epochs=25, random_state=0).fit(X, y)
    inside, outside = (model.describe(X, out_of_fold=o).centre[:, 2] for o in (False, True))
    label = y["band_energy_ev"]
    assert np.abs(outside - label).mean() > 1.2 * np.abs(inside - label).mean()


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("table", [False, True])
def test_qcanvas_reads_pairs_as_its_tight_binding_does(given, table, data, fitted):
    """X is read once, and the state is that which the model has of it."""
    X, y = data
    if table:
        X, y = X[:50], y[:50]
        X = PairImageTransformer(include=("atoms", "orbitals")).fit_transform(X)
    model = qcanvas(given=given).fit(X, y) if table else fitted("qcanvas", given)
    read = model._read(X)
    states = model.tight_binding_.describe(X)
    for own, expected in (
        (read.beside["centre"], states.centre), (read.beside["quantities"], states.quantities),
        (read.arrays["atom"], states.atoms), (read.arrays["pair"], states.pair),
    ):  # fmt: skip
        np.testing.assert_array_equal(own, expected)


# What it knows ------------------------------------------------------------------------------


def test_levels_hold_the_electrons(learned):
    levels = learned.levels(GASES)
    electrons = levels.groupby("pair")["electrons"].sum()
    np.testing.assert_allclose(electrons, [10, 10, 12, 8], atol=1e-6)
    shares = levels.filter(regex="^(first|second)_").to_numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    assert (levels["degeneracy"] == np.where(levels["symmetry"] == "sigma", 1, 2)).all()
    assert levels.groupby("pair")["energy_ev"].is_monotonic_increasing.all()


def test_textbook_diatomics(learned):
    """O2's highest level is a half-filled pi, N2's are filled; its gap is that of labels."""
    levels = learned.levels(GASES)
    oxygen = levels[(levels["pair"] == 2) & (levels["electrons"] > 0.01)].iloc[-1]
    assert oxygen["symmetry"] == "pi" and oxygen["electrons"] == pytest.approx(2, abs=0.05)
    gap = learned.predict(GASES)[:, learned.target_names_.index("e_g_ev")]
    assert gap[2] == pytest.approx(0, abs=1e-3) and gap[1] > 5
    lowest = levels[levels["pair"] == 0].iloc[0]
    assert lowest[["second_s", "second_p"]].sum() > lowest[["first_s", "first_p"]].sum()


def test_populations_sum_to_the_electrons_and_follow_electronegativity(learned):
    populations = learned.populations([["C", "O"], ["F", "Li"]])
    np.testing.assert_allclose(populations.sum(axis=(1, 2)), [10, 8], atol=1e-6)
    assert populations[1, 0].sum() > 7.2  # fluorine takes lithium's electron


def test_blocks_of_the_hamiltonian(learned):
    blocks = learned.hamiltonian([["O", "C"]])[0]
    assert [block.symmetry for block in blocks] == ["sigma", "pi"]
    assert blocks[0].labels == ("C1 s", "C1 p", "O2 s", "O2 p")
    for block in blocks:
        np.testing.assert_allclose(block.hamiltonian, block.hamiltonian.T)
        assert np.linalg.eigvalsh(block.overlap).min() > 0
        np.testing.assert_allclose(np.diag(block.overlap), 1, atol=1e-5)
    near = learned.hamiltonian([["O", "C"]], distance=9.0)[0][0]
    assert np.abs(near.overlap - np.eye(4)).max() < 0.05
    with pytest.raises(ValueError, match="member"):
        learned.hamiltonian([["O", "C"]], member=2)
    with pytest.raises(ValueError, match="distance"):
        learned.hamiltonian([["O", "C"]], distance=-1.0)


def test_levels_are_those_of_the_hamiltonian(learned):
    from scipy.linalg import eigvalsh

    one = clone(learned).set_params(n_members=1, max_epochs=1)
    X, y = load_pairs(return_X_y=True)
    one.fit(X[:300], y[:300])
    pair = [["Ag", "Al"]]
    levels = one.levels(pair)
    blocks = one.hamiltonian(pair)[0]
    expected = np.concatenate([eigvalsh(b.hamiltonian, b.overlap) for b in blocks])
    found = np.concatenate(
        [levels.loc[levels["symmetry"] == b.symmetry, "energy_ev"] for b in blocks]
    )
    np.testing.assert_allclose(np.sort(found), np.sort(expected), atol=1e-6)


def test_curves_have_a_minimum_near_the_bond_length_and_level_off(learned):
    pairs = [["C", "O"], ["N", "N"]]
    r = np.linspace(0.8, 9.0, 60)
    curves = learned.potential_curve(pairs, r)
    assert curves.shape == (2, 60)
    X, y = load_pairs(target="distance_ang", return_X_y=True)
    for curve, (a, b) in zip(curves, pairs, strict=True):
        bond = y[(X["element_1"] == a) & (X["element_2"] == b)].iloc[0]
        assert abs(r[np.argmin(curve)] - bond) < 0.2
        assert abs(curve[-1] - curve[-5]) < 0.05


def test_element_parameters(learned):
    table = learned.element_parameters_
    assert list(table.index) == learned.elements_ or set(table.index) == set(learned.elements_)
    assert table.attrs["units"]["hardness_ev"] == "eV"
    assert table.loc["O", "p_ev"] < table.loc["C", "p_ev"] < table.loc["Li", "p_ev"]
    assert table.loc["F", "electrons"] == 7
    assert table["d_ev"].isna().any()


# QCanvas ------------------------------------------------------------------------------------


def test_qcanvas_is_its_networks_alone_where_there_is_no_hamiltonian(data):
    X, y = data
    model = qcanvas()
    assert (
        model.fit(np.ones((30, 3)) * np.arange(30)[:, None], np.arange(30.0)).tight_binding_
        is None
    )
    named = y["e_homo_ev"].rename("something_else")
    assert model.fit(X, named).tight_binding_ is None
    assert model.fit(X, y["e_homo_ev"]).tight_binding_ is not None
    assert model.set_params(tight_binding=None).fit(X, y["e_homo_ev"]).tight_binding_ is None
    with pytest.raises(ValueError, match="tight binding, but"):
        qcanvas(given="elements").fit(X, named)


@pytest.mark.parametrize(
    "model, message",
    [("best", "'best'"), (3, "TightBindingRegressor"),
     (TightBindingRegressor(n_members=1), "n_members=1")],
)  # fmt: skip
def test_bad_models_of_the_hamiltonian_are_named(model, message, data):
    with pytest.raises((ValueError, TypeError), match=message):
        QCanvasRegressor(tight_binding=model).fit(*data)


def test_qcanvas_corrects_what_tight_binding_leaves(data):
    X, y = data
    labels = y[["e_homo_ev", "e_lumo_ev", "band_energy_ev"]]
    short = TightBindingRegressor(n_members=2, max_epochs=4)
    model = QCanvasRegressor(
        n_hidden=32, n_members=2, max_epochs=60, batch_size=32, tight_binding=short,
        random_state=0,
    ).fit(X, labels)  # fmt: skip
    corrected, alone = (
        np.abs(m.predict(X) - labels).mean() for m in (model, model.tight_binding_)
    )
    assert (corrected < 0.8 * alone).all()


def test_further_columns_reach_the_network_of_qcanvas(data):
    X, y = data
    transformer = PairImageTransformer(include=["atoms", "orbitals"])
    table = transformer.set_output(transform="pandas").fit_transform(X)
    hint = np.where(np.arange(len(X)) % 2, 1.0, -1.0)
    labels = (y["e_homo_ev"] + 2 * hint).rename("e_homo_ev")
    model = qcanvas(max_epochs=60, batch_size=32, n_members=1, lr=1e-2)
    table["hint"] = hint
    moved = model.fit(table, labels).predict(table.assign(hint=-hint)) - model.predict(table)
    assert np.mean(-hint * moved) > 1


def test_another_data_set_is_learned_the_same_way(data):
    """Pairs at two distances have no vanishing force in common."""
    pairs = load_pairs().pairs[:60]
    stretched = PairData(
        pairs.elements, pairs.positions * 1.1, pairs.orbital_populations,
        charges=pairs.charges, dipole=pairs.dipole, labels=pairs.labels,
    )  # fmt: skip
    both = [PairImageTransformer(p, include=["atoms", "orbitals"]).fit_transform(pairs.elements)
            for p in (pairs, stretched)]  # fmt: skip
    y = pd.concat([pairs.labels[["total_energy_ev"]]] * 2)
    model = TightBindingRegressor(n_members=1, max_epochs=1, random_state=0)
    assert not model.fit(np.vstack(both), y)._at_rest
    assert model.fit(both[0], y[:60])._at_rest


def test_unseen_elements_have_an_empty_orbital():
    """Scores of elements that are left out take a finite LUMO where the label has one."""
    X, y = load_pairs(target=["e_homo_ev", "e_lumo_ev"], return_X_y=True)
    has_radon = (X == "Rn").any(axis=1)
    model = TightBindingRegressor(
        n_members=1, max_epochs=1, unseen_elements="allow", random_state=0
    ).fit(X[~has_radon], y[~has_radon])
    known = y[has_radon].notna().all(axis=1)
    assert np.isfinite(model.predict(X[has_radon][known])).all()


def test_the_device_of_a_fitted_model_is_that_of_all_its_parts(data, monkeypatch):
    X, y = data[0][:40], data[1]["e_g_ev"][:40]
    model = qcanvas(max_epochs=1, unseen_elements="allow").fit(X, y)
    assert len(model.tight_binding_.set_params(n_members=9).hamiltonian(X[:2], member=1)) == 2
    with pytest.raises(ValueError, match="member == 2, must be <= 1"):
        model.tight_binding_.hamiltonian(X[:2], member=2)
    asked = []
    for module in (_base, _pair_states):
        monkeypatch.setattr(
            module, "resolve_device",
            lambda device, **_: asked.append(device) or torch.device("cpu"),
        )  # fmt: skip
    model.set_params(device="cuda").predict(X)
    assert len(asked) == 2 and set(asked) == {"cuda"}


def test_rows_of_weight_zero_do_not_say_where_pairs_lie(data):
    """A pair at two distances is no longer at rest; unless one of them does not count."""
    X, y = data[0][:40], data[1]["total_energy_ev"][:40]
    table = PairImageTransformer(include=["atoms", "orbitals"]).fit_transform(X)
    stretched = table[:5].copy()
    stretched[:, 2] *= 1.2
    model = MAKE["tight_binding"](n_members=1, max_epochs=1, n_hidden=8)
    expected = clone(model).fit(table, y).predict(table)
    model.fit(
        np.vstack([table, stretched]), pd.concat([y, y[:5]]),
        sample_weight=np.repeat([1.0, 0.0], [40, 5]),
    )  # fmt: skip
    assert np.array_equal(model.predict(table), expected)

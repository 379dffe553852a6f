"""`TwoCentreTransformer`: features, invariance, scikit-learn's manners, what they are worth."""

import pickle
from dataclasses import replace

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline

import qcanvas_sklearn
from qcanvas_sklearn import TwoCentreTransformer, load_molecules, load_pairs
from qcanvas_sklearn.hamiltonians import TwoCentreTables
from qcanvas_sklearn.model_selection import MoleculeKFold
from qcanvas_sklearn.structures import Molecules

KINDS = ("levels", "charges", "populations", "bond_orders", "frontier", "energies", "dipole",
         "composition")  # fmt: skip
ALPHAS = np.logspace(-4, 3, 15)
TURN = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))[0]


def hexagon(radius):
    angle = np.arange(6) * np.pi / 3
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


@pytest.fixture(scope="module")
def molecules():
    """Every 40th bundled molecule, and benzene, whose HOMO and LUMO are degenerate."""
    benzene = Molecules.from_lists(
        [["C"] * 6 + ["H"] * 6], [np.concatenate([hexagon(1.39), hexagon(2.48)])]
    )
    return Molecules.concat([load_molecules().data[::40], benzene])


@pytest.fixture(scope="module")
def described(molecules):
    """A fitted transformer, its columns by name, and the rows."""
    transformer = TwoCentreTransformer().fit(molecules)
    values = transformer.transform(molecules)
    names = transformer.get_feature_names_out()
    return transformer, dict(zip(names, values.T, strict=True)), values


def test_columns_are_what_they_are_called(described, molecules):
    transformer, columns, values = described
    assert values.shape == (len(molecules), len(columns)) and np.isfinite(values).all()
    n = 5  # elements
    assert len(columns) == 8 + 3 * n + 9 + n * (n + 1) // 2 + 2 * (n + 1) + 5 + 2 + n
    np.testing.assert_allclose(columns["gap_ev"], columns["lumo_ev"] - columns["homo_ev"])
    order = ["homo-2_ev", "homo-1_ev", "homo_ev", "fermi_level_ev", "lumo_ev", "lumo+1_ev",
             "lumo+2_ev"]  # fmt: skip
    assert (np.diff([columns[name] for name in order], axis=0) >= -1e-9).all()
    tables = transformer.tables_
    np.testing.assert_allclose(columns["gap_ev"], tables.self_consistent(molecules).gap())
    electrons = tables.hamiltonians(molecules).n_electrons
    populations = [v for name, v in columns.items() if name.startswith("population")]
    np.testing.assert_allclose(np.sum(populations, axis=0), electrons, atol=1e-6)
    parts = [columns[f"{name}_energy_ev"] for name in ("core", "charge", "repulsion")]
    np.testing.assert_allclose(columns["two_centre_energy_ev"], np.sum(parts, axis=0))
    total = [columns[f"n_{z}"] * columns[f"charge_mean_{z}"] for z in ("H", "C", "N", "O", "F")]
    np.testing.assert_allclose(np.sum(total, axis=0), 0, atol=1e-6)
    for level in ("homo", "lumo"):
        shares = [columns[f"{level}_on_{z}"] for z in ("H", "C", "N", "O", "F")]
        np.testing.assert_allclose(np.sum(shares, axis=0), 1, atol=1e-9)
        assert (columns[f"{level}_participation"] <= 1.3).all()


def test_bonds_of_benzene(described):
    columns = {name: values[-1] for name, values in described[1].items()}
    # Six bonds of order about 1.4 and three across the ring of about 0.1; six of 1 to H.
    assert columns["bond_order_C-C"] == pytest.approx(6 * 1.43 + 3 * 0.1, abs=0.4)
    assert columns["bond_order_H-C"] == pytest.approx(5.9, abs=0.2)
    assert columns["homo_ev"] - columns["homo-1_ev"] == pytest.approx(0, abs=1e-3)
    assert columns["homo_participation"] == pytest.approx(1 / 6, abs=0.01)
    assert columns["homo_on_C"] > 0.97 and columns["dipole_d"] < 1e-6


def test_features_are_near_those_of_the_engine(described, molecules):
    columns, labels = described[1], molecules.labels[:-1]
    for name, label, tolerance in (
        ("gap_ev", "e_g_ev", 0.15), ("homo_ev", "e_homo_ev", 0.2),
        ("lumo_ev", "e_lumo_ev", 0.3), ("dipole_d", "dipole_mag_d", 0.25),
    ):  # fmt: skip
        assert np.abs(columns[name][:-1] - labels[label]).mean() < tolerance, name
    without = np.abs(columns["charge_dipole_d"][:-1] - labels["dipole_mag_d"]).mean()
    assert without > 2 * np.abs(columns["dipole_d"][:-1] - labels["dipole_mag_d"]).mean()


@pytest.mark.parametrize("scc", [True, False])
def test_place_and_order_do_not_matter(molecules, scc):
    transformer = TwoCentreTransformer(scc=scc).fit(molecules)
    expected = transformer.transform(molecules)
    mirror = TURN @ np.diag([1, 1, -1])
    for turn in (TURN, mirror):
        moved = replace(molecules, positions=molecules.positions @ turn.T + [3, -40, 1])
        np.testing.assert_allclose(transformer.transform(moved), expected, atol=1e-5)
    rng = np.random.default_rng(0)
    order = np.concatenate(
        [rng.permutation(np.arange(a, b)) for a, b in zip(molecules.ptr, molecules.ptr[1:],
                                                          strict=False)]
    )  # fmt: skip
    shuffled = Molecules(molecules.z[order], molecules.positions[order], molecules.ptr)
    np.testing.assert_allclose(transformer.transform(shuffled), expected, atol=1e-5)


def test_rows_do_not_know_each_other(described, molecules):
    transformer, _, values = described
    some = [5, 0, 15]
    np.testing.assert_allclose(transformer.transform(molecules[some]), values[some], atol=1e-9)


def test_rows_do_not_know_each_other_where_some_elements_have_no_charges(molecules):
    tables = TwoCentreTables.load()
    few = {symbol: tables.charges.shells[symbol] for symbol in ("H", "C", "O")}
    tables = replace(tables, charges=replace(tables.charges, shells=few))
    for kinds in (molecules, molecules[[3]]):
        transformer = TwoCentreTransformer(tables, scc=False, features=["dipole"]).fit(kinds)
        together = transformer.transform(kinds)
        alone = [transformer.transform(kinds[i])[0] for i in range(len(kinds))]
        np.testing.assert_allclose(together, alone, atol=1e-9)


def test_both_at_once_are_the_features_and_their_slopes(molecules):
    for scc, features in ((True, ["composition", "energies"]), (False, ["energies"])):
        transformer = TwoCentreTransformer(scc=scc, features=features).fit(molecules)
        values, slopes = transformer.transform_with_forces(molecules[:4])
        np.testing.assert_allclose(values, transformer.transform(molecules[:4]), atol=2e-5)
        np.testing.assert_array_equal(slopes, transformer.force_features(molecules[:4]))
    assert not hasattr(TwoCentreTransformer(), "transform_with_forces")


def test_ions_have_dipoles_about_their_middle(described, molecules):
    transformer = described[0]
    ion = replace(molecules[3:4], charge=[1.0])
    here = transformer.transform(ion)
    there = transformer.transform(replace(ion, positions=ion.positions + 7.0))
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_few_levels_are_filled_up():
    """Hydrogen has two levels, a fluoride no empty one."""
    few = Molecules.from_lists(
        [["H", "H"], ["F"]], [[[0, 0, 0], [0, 0, 0.74]], [[0, 0, 0]]], charge=[0, -1]
    )
    transformer = TwoCentreTransformer(features=["levels"], n_levels=1).set_output(
        transform="pandas"
    )
    found = transformer.fit_transform(few)
    assert found.columns.tolist() == [
        "homo-1_ev", "homo_ev", "lumo_ev", "lumo+1_ev", "gap_ev", "fermi_level_ev"
    ]  # fmt: skip
    assert found["homo-1_ev"][0] == found["homo_ev"][0]
    assert found["lumo+1_ev"][0] == max(found["lumo_ev"][0], 0)
    assert np.isfinite(found).all(axis=None)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_features(described, molecules, kind):
    single = TwoCentreTransformer(features=[kind]).fit(molecules)
    names = single.get_feature_names_out()
    expected = np.stack([described[1][name] for name in names], axis=1)
    np.testing.assert_allclose(single.transform(molecules), expected, atol=1e-9)


def test_pairs_and_lists_are_molecules():
    pairs = load_pairs().pairs
    organic = pairs[np.isin(pairs.z, [6, 7, 8, 9]).all(axis=1)]
    assert len(organic) >= 6
    of_pairs = TwoCentreTransformer().fit_transform(organic)
    of_molecules = TwoCentreTransformer().fit_transform(organic.to_molecules())
    np.testing.assert_array_equal(of_pairs, of_molecules)
    ase = pytest.importorskip("ase")
    atoms = [ase.Atoms("CO", [[0, 0, 0], [0, 0, 1.13]])] * 2
    assert TwoCentreTransformer().fit_transform(atoms).shape[0] == 2


def test_it_lives_in_pipelines(molecules):
    X, y = load_molecules("e_g_ev", return_X_y=True)
    X, y = X[:90], y[:90]
    model = make_pipeline(TwoCentreTransformer(), RidgeCV(ALPHAS))
    folds = MoleculeKFold(3, by="formula")
    scores = -cross_val_score(model, X, y, cv=folds, scoring="neg_mean_absolute_error")
    assert scores.mean() < 0.15
    search = GridSearchCV(
        model, {"twocentretransformer__features": [["composition"], ["levels"]]},
        cv=folds, scoring="neg_mean_absolute_error",
    ).fit(X, y)  # fmt: skip
    assert search.best_params_ == {"twocentretransformer__features": ["levels"]}
    again = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(again.predict(X[:5]), search.predict(X[:5]))


def test_it_is_a_scikit_learn_estimator(described, molecules, tmp_path):
    transformer, columns, values = described
    copy = clone(transformer)
    assert copy.get_params()["features"] == KINDS and not hasattr(copy, "tables_")
    joblib.dump(transformer, tmp_path / "some.joblib")
    loaded = joblib.load(tmp_path / "some.joblib")
    np.testing.assert_array_equal(loaded.transform(molecules), values)
    frame = clone(transformer).set_output(transform="pandas").fit_transform(molecules)
    assert frame.columns.tolist() == list(columns)
    assert qcanvas_sklearn.TwoCentreTransformer is TwoCentreTransformer
    assert "TwoCentreTransformer(n_levels=1)" in repr(TwoCentreTransformer(n_levels=1))


def test_processes_give_the_same(described, molecules, monkeypatch):
    monkeypatch.setattr("qcanvas_sklearn.hamiltonians._transformer._CHUNK", 5)
    parallel = clone(described[0]).set_params(n_jobs=2).fit(molecules)
    np.testing.assert_allclose(parallel.transform(molecules), described[2], atol=1e-9)


def test_tables_are_given_in_three_ways(described, molecules, tmp_path):
    tables = TwoCentreTables.load()
    tables.save(tmp_path / "tables.npz")
    for given in (tables, tmp_path / "tables.npz", str(tmp_path / "tables.npz")):
        found = TwoCentreTransformer(given).fit_transform(molecules[:3])
        expected = TwoCentreTransformer().fit_transform(molecules[:3])
        np.testing.assert_array_equal(found, expected)
    clone(TwoCentreTransformer(tables)).fit(molecules[:3])


def test_tables_without_charges_do_without(molecules):
    bare = replace(TwoCentreTables.load(), charges=None)
    found = TwoCentreTransformer(bare, scc=False).fit_transform(molecules)
    with_charges = TwoCentreTransformer(scc=False).fit_transform(molecules)
    names = TwoCentreTransformer(scc=False).fit(molecules).get_feature_names_out()
    other = names[~np.isclose(found, with_charges, atol=1e-9).all(axis=0)]
    assert other.tolist() == ["dipole_d"]  # of the charges alone
    with pytest.raises(ValueError, match="no charges of H, C, N, O, F; use scc=False"):
        TwoCentreTransformer(bare).fit(molecules)


def test_states_that_do_not_converge_are_warned_of(molecules, monkeypatch):
    transformer = TwoCentreTransformer().fit(molecules)
    monkeypatch.setattr("qcanvas_sklearn.hamiltonians._scc.MAX_CYCLES", 2)
    with pytest.warns(UserWarning, match=r"of 3 molecules are not self-consistent.*0 \('"):
        found = transformer.transform(molecules[:3])
    assert np.isfinite(found).all()
    sloped = TwoCentreTransformer(features=["energies"]).fit(molecules)
    with pytest.warns(UserWarning, match="of 1 molecules are not self-consistent"):
        sloped.transform_with_forces(molecules[:1])


@pytest.mark.parametrize(
    "parameters, match",
    [
        ({"features": ["levels", "colour"]}, "features must be distinct"),
        ({"features": []}, "features must be distinct"), ({"features": "levels"}, "sequence"),
        ({"n_levels": -1}, "n_levels must be an integer from 0"),
        ({"n_levels": 1.5}, "n_levels must be an integer from 0"),
    ],
)  # fmt: skip
def test_bad_parameters(molecules, parameters, match):
    with pytest.raises(ValueError, match=match):
        TwoCentreTransformer(**parameters).fit(molecules)


def test_bad_structures_are_named(molecules):
    sulphur = Molecules.from_lists([["H", "S", "H"]], [[[0, 0, 1.0], [0, 0, 0], [0, 1.0, 0]]])
    with pytest.raises(ValueError, match=r"not S of structure 0 \('H2S'\)"):
        TwoCentreTransformer().fit(sulphur)
    without_fluorine = molecules[(molecules.composition[:, -1] == 0)]
    transformer = TwoCentreTransformer().fit(without_fluorine)
    fluorine = molecules[(molecules.composition[:, -1] > 0)]
    with pytest.raises(ValueError, match="F of structure 0 .* did not occur in fit, only H, C"):
        transformer.transform(fluorine)
    crystal = replace(molecules[:1], cell=np.eye(3)[None] * 9, pbc=[[True] * 3])
    with pytest.raises(ValueError, match="is periodic"):
        transformer.transform(crystal)
    with pytest.raises(TypeError, match="no molecules"):
        transformer.transform(np.zeros((3, 4)))


def test_energies_differ_from_the_engine_by_those_of_atoms():
    X, y = load_molecules("total_energy_ev", return_X_y=True)
    X, y = X[::6], y[::6].to_numpy()
    transformer = TwoCentreTransformer(features=["energies"]).fit(X)
    energy = transformer.transform(X)[:, transformer.get_feature_names_out().tolist().index(
        "two_centre_energy_ev")]  # fmt: skip
    left = {}
    for name, rest in (("labels", y), ("beyond", y - energy)):
        counts = X.composition.astype(float)
        left[name] = np.abs(rest - counts @ np.linalg.lstsq(counts, rest, rcond=None)[0]).mean()
    assert left["labels"] > 0.4 and left["beyond"] < 0.12


@pytest.mark.slow
def test_fifty_labels_are_enough():
    X, y = load_molecules("e_g_ev", return_X_y=True)
    features = TwoCentreTransformer().fit_transform(X)
    errors = []
    for seed in range(10):
        formulas = np.random.default_rng(seed).permutation(np.unique(X.formulas))
        test = np.isin(X.formulas, formulas[: len(formulas) // 4])
        train = np.random.default_rng(seed).permutation(np.flatnonzero(~test))[:50]
        model = RidgeCV(ALPHAS).fit(features[train], y.iloc[train])
        errors.append(np.abs(model.predict(features[test]) - y[test]).mean())
    assert np.mean(errors) < 0.09  # eV; 0.06 measured

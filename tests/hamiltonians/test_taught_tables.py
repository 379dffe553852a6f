"""Two-centre tables that a model of pairs teaches."""

import numpy as np
import pytest
from scipy.linalg import eigh

from qcanvas_sklearn import (
    PairMLPRegressor,
    TightBindingRegressor,
    TwoCentreTransformer,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.hamiltonians import TwoCentreTables
from qcanvas_sklearn.structures import Molecules

DISTANCES = [0.5, 0.7, 0.9, 1.1, 1.3, 1.6, 2.0, 2.6, 3.5, 5.0, 7.5, 12.0]


@pytest.fixture(scope="module")
def model():
    X, y = load_pairs(return_X_y=True)
    few = X.isin(["H", "C", "O", "Ti"]).all(axis=1)
    return TightBindingRegressor(n_members=2, max_epochs=2, random_state=0).fit(X[few], y[few])


@pytest.fixture(scope="module")
def tables(model):
    return TwoCentreTables.from_pairs(model, distances=DISTANCES, member=1)


def test_they_are_tables_as_any(model, tables, tmp_path):
    assert dict(tables.basis) == {"H": (0,), "C": (0, 1), "O": (0, 1), "Ti": (0, 1, 2)}
    assert tables.electrons == {"H": 1, "C": 4, "O": 6, "Ti": 4}
    assert "TightBindingRegressor, member 1" in tables.provenance
    tables.save(tmp_path / "tables.npz")
    again = TwoCentreTables.load(tmp_path / "tables.npz")
    assert again.describe() == tables.describe()
    few = TwoCentreTables.from_pairs(model, ["O", "H"], distances=DISTANCES, member=1)
    assert list(few.basis) == ["H", "O"] and len(few.pairs) == 3
    np.testing.assert_array_equal(few.pairs["H", "O"].overlap, tables.pairs["H", "O"].overlap)


def test_levels_are_those_of_the_elements(model, tables):
    """Parameters are means of the members."""
    other = TwoCentreTables.from_pairs(model, ["C", "Ti"], distances=DISTANCES[-4:])
    for symbol in ("C", "Ti"):
        levels = tables.levels[symbol]
        parameters = model.element_parameters_.loc[symbol]
        expected = [parameters[f"{'spd'[l]}_ev"] for l in tables.basis[symbol]]
        np.testing.assert_allclose((levels + other.levels[symbol]) / 2, expected, atol=1e-2)
    assert not np.array_equal(other.levels["C"], tables.levels["C"])


@pytest.mark.parametrize("pair", [("C", "O"), ("C", "H"), ("O", "H"), ("O", "O"), ("Ti", "C")])
def test_pairs_have_the_levels_that_the_model_gives_them(model, tables, pair):
    """In any direction, and whichever atom comes first."""
    blocks = model.hamiltonian([list(pair)], 1.3, member=1, potential=False)[0]
    expected = np.sort(
        np.concatenate([
            np.repeat(eigh(block.hamiltonian, block.overlap, eigvals_only=True),
                      1 if block.symmetry == "sigma" else 2)
            for block in blocks
        ])
    )  # fmt: skip
    tilted = 1.3 * np.array([2, -1, 2]) / 3
    for names in (pair, pair[::-1]):
        molecule = Molecules.from_lists([list(names)], [[[0, 0, 0], tilted]])
        found = tables.hamiltonians(molecule).orbital_energies()[0]
        # The model's own overlaps have a little more than 1 on their diagonal.
        np.testing.assert_allclose(found, expected, rtol=5e-3, atol=5e-3)
    repulsion = model.repulsion([list(pair)], 1.3, member=1)
    np.testing.assert_allclose(tables.repulsion(molecule), repulsion, rtol=1e-6)


def test_orbitals_point_the_same_way_in_all_pairs(tables):
    """Signs as in tables of an engine, or molecules of three atoms would be wrong."""
    engine = TwoCentreTables.load()
    for first, second in (("H", "C"), ("H", "O"), ("C", "O"), ("O", "O"), ("H", "Ti")):
        ours, theirs = (
            t.integrals(first, second, [2.0])["overlap"] for t in (tables, engine)
        )
        for name in ours:
            assert np.sign(ours[name]) == np.sign(theirs[name]), (first, second, name)


def test_the_potential_of_charges_is_left_out(model):
    rows = [["C", "O"]]
    bare, whole = (
        model.hamiltonian(rows, 1.2, potential=given)[0][0] for given in (False, True)
    )
    beyond = whole.hamiltonian - bare.hamiltonian
    shift = np.diag(beyond)
    assert np.abs(shift).max() > 0.1
    off = ~np.eye(len(shift), dtype=bool)
    expected = bare.overlap * (shift[:, None] + shift) / 2
    np.testing.assert_allclose(beyond[off], expected[off], atol=1e-9)


def test_molecules_are_described_with_them(tables):
    molecules = load_molecules().data
    known = np.array([set(molecules[i].z.tolist()) <= {1, 6, 8} for i in range(40)])
    molecules = molecules[:40][known]
    found = TwoCentreTransformer(tables=tables, scc=False).fit_transform(molecules)
    assert np.isfinite(np.asarray(found)).all()
    with pytest.raises(ValueError, match="scc=False, or TwoCentreTables.fit_charges"):
        TwoCentreTransformer(tables=tables).fit_transform(molecules)


def test_teachers_that_know_no_such_thing_are_refused(model):
    with pytest.raises(TypeError, match="a TightBindingRegressor, got PairMLPRegressor"):
        TwoCentreTables.from_pairs(PairMLPRegressor())
    for elements in (["H", "Xe"], [], "HCO"):
        with pytest.raises(ValueError, match="that were learned, C, H, O, Ti; got"):
            TwoCentreTables.from_pairs(model, elements)
    with pytest.raises(ValueError, match="increas"):
        TwoCentreTables.from_pairs(model, ["H"], distances=[2.0, 1.0])
    with pytest.raises(ValueError, match="member"):
        TwoCentreTables.from_pairs(model, ["H"], member=2)

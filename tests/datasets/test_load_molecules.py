"""The molecules and the trajectories that ship with the package."""

from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn.datasets import compute_molecules, load_molecules, load_trajectory

LABELS = ["total_energy_ev", "e_homo_ev", "e_lumo_ev", "e_g_ev", "dipole_mag_d"]
LOADERS = {
    "molecules": load_molecules,
    "ethanol": lambda *a, **k: load_trajectory("ethanol", *a, **k),
    "aspirin": lambda *a, **k: load_trajectory("aspirin", *a, **k),
}


@pytest.fixture(scope="module")
def molecules():
    return load_molecules()


def test_molecules_are_small_and_distinct(molecules):
    X = molecules.data
    heavy = np.bincount(X.rows[X.z > 1])
    assert len(X) == 600 and X.elements.tolist() == [1, 6, 7, 8, 9]
    assert heavy.min() == 1 and heavy.max() == 7
    assert len(set(X.names)) == len(np.unique(molecules.groups)) == 600
    assert X.names.tolist() == X.groups.tolist()
    assert len(set(X.formulas)) > 150
    assert (X.quality == "ok").all() and (X.charge == 0).all() and X.forces is None
    assert not X.labels.isna().any(axis=None) and list(X.labels) == LABELS
    charges = X.atom_labels["charge_mulliken"].to_numpy()
    np.testing.assert_allclose(np.add.reduceat(charges, X.ptr[:-1]), 0, atol=1e-4)
    assert "GFN2-xTB" in X.provenance and "tblite" in X.provenance


def test_elements_are_spread_over_the_molecules(molecules):
    """So that holding one out leaves something on both sides."""
    X = molecules.data
    share = (X.composition > 0).mean(axis=0)
    assert (share[2:] > 0.05).all() and (share[2:] < 0.7).all()


@pytest.mark.parametrize("name, formula", [("ethanol", "C2H6O"), ("aspirin", "C9H8O4")])
def test_trajectories_are_two_runs_of_one_molecule(name, formula):
    frames = load_trajectory(name)
    X = frames.data
    assert set(X.formulas) == {formula} and np.bincount(frames.groups).tolist() == [300, 200]
    assert X.groups[0] == f"{name}, run 0" and X.groups[-1] == f"{name}, run 1"
    assert frames.target.name == "total_energy_ev" and frames.units == {"total_energy_ev": "eV"}
    size = np.linalg.norm(X.forces, axis=1)
    assert 0.5 < size.mean() < 2.5 and np.isfinite(size).all()
    total = np.add.reduceat(X.forces, X.ptr[:-1])
    np.testing.assert_allclose(total, 0, atol=1e-4)
    # Equipartition: half of 3N - 6 degrees of freedom of k T each, more where anharmonic.
    n = X.n_atoms[0]
    spread = frames.target.std() / ((3 * n - 6) ** 0.5 * 8.617333e-5 * 500 / 2**0.5)
    assert 0.7 < spread < 1.4


@pytest.mark.parametrize("name", LOADERS)
def test_labels_are_those_of_the_stored_positions(name):
    pytest.importorskip("tblite")
    X = LOADERS[name]().data[::75]
    computed = compute_molecules(X, cache=False)
    np.testing.assert_allclose(X.labels, computed.labels[list(X.labels)], atol=2e-4)
    if X.forces is not None:
        np.testing.assert_allclose(X.forces, computed.forces, atol=2e-4)


@pytest.mark.parametrize("name", LOADERS)
def test_targets_are_chosen_by_name(name):
    load = LOADERS[name]
    whole = load(None)
    assert list(whole.target) == whole.target_names == LABELS
    X, y = load("e_g_ev", return_X_y=True)
    assert X == whole.data and isinstance(y, pd.Series) and y.name == "e_g_ev"
    two = load(["e_g_ev", "dipole_mag_d"], as_frame=False)
    assert two.target.shape == (len(X), 2)
    assert two.units == {"e_g_ev": "eV", "dipole_mag_d": "D"}
    assert "GFN2-xTB" in whole.DESCR
    for wrong in ("gap", ["e_g_ev", "gap"], []):
        with pytest.raises(ValueError, match="target"):
            load(wrong)


def test_what_is_loaded_may_be_changed():
    first = load_molecules()
    first.target.iloc[0, 0] = first.data.labels.iloc[0, 0] = 0.0
    assert load_molecules().target.iloc[0, 0] != 0 != load_molecules().data.labels.iloc[0, 0]


def test_there_is_no_trajectory_of_every_name():
    with pytest.raises(ValueError, match="name='benzene' is not one of .'aspirin', 'ethanol'"):
        load_trajectory("benzene")


def test_the_files_are_small():
    data = files("qcanvas_sklearn.datasets") / "data"
    sizes = [len((data / f"{name}.npz").read_bytes()) for name in LOADERS]
    assert sum(sizes) < 1_000_000


def test_energies_follow_from_composition_mostly():
    X, y = load_molecules("total_energy_ev", return_X_y=True)
    model = make_pipeline(FunctionTransformer(lambda m: m.composition), Ridge(1e-3))
    # The elements of every fold are the same, so their counts are the same columns.
    assert cross_val_score(model, X, y, scoring="neg_mean_absolute_error").mean() > -1.0

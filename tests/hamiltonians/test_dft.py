"""Hamiltonians that PySCF computes, and what predicted ones save it."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from _hamiltonian_data import DEF2_SVP, pyscf_record
from threadpoolctl import threadpool_info

from qcanvas_sklearn.datasets import _dft
from qcanvas_sklearn.elements import symbols
from qcanvas_sklearn.hamiltonians import _dft as jobs
from qcanvas_sklearn.hamiltonians import compute_hamiltonians, metrics
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import HARTREE_IN_EV

gto, scf = (pytest.importorskip(f"pyscf.{name}") for name in ("gto", "scf"))
lib = pytest.importorskip("pyscf.lib")

METHOD = "HF/6-31G*"  # p and d shells, and no grid


@pytest.fixture(scope="module")
def ions():
    """A molecule without symmetry and an ion."""
    return Molecules.from_lists(
        [["O", "H", "H"], ["H", "O"]],
        [[[0, 0.1, 0.12], [0.1, 0.76, -0.48], [0, -0.8, -0.5]], [[0, 0, 0], [0.3, 0.5, 0.75]]],
        charge=[0, -1],
    )


@pytest.fixture(scope="module")
def converged(ions):
    return compute_hamiltonians(ions, method=METHOD, cache=False)


def field(molecules, i, method=METHOD):
    """PySCF's own object, of its own making."""
    of = molecules[i]
    mole = gto.M(
        atom=list(zip(symbols(of.z).tolist(), of.positions.tolist(), strict=True)),
        basis=method.split("/")[1], charge=int(of.charge[0]), verbose=0,
    )  # fmt: skip
    return scf.RHF(mole)


# ---------------------------------------------------------------- the Hamiltonians


def test_density_functionals_give_the_stored_matrices():
    stored = pyscf_record().in_unit("eV")[0]
    found = compute_hamiltonians(stored.molecules, method="PBE/def2-SVP", cache=False)
    assert {name: found.basis[name] for name in ("H", "O")} == {
        name: DEF2_SVP[name] for name in ("H", "O")
    }
    np.testing.assert_allclose(found.values, stored.values, atol=2e-5)
    np.testing.assert_allclose(found.overlap_values, stored.overlap_values, atol=1e-9)
    assert "PBE/def2-SVP, PySCF" in found.provenance and found.n_electrons.tolist() == [10]


def test_converged_hamiltonians_come_with_labels(converged, ions):
    labels = converged.molecules.labels
    assert converged.molecules.quality.tolist() == ["ok", "ok"]
    np.testing.assert_allclose(converged.gap(), labels["e_g_ev"], atol=1e-8)
    np.testing.assert_allclose(converged.homo(), labels["e_homo_ev"], atol=1e-8)
    for i in range(2):
        expected = field(ions, i)
        expected.kernel()
        energy = labels["total_energy_ev"].iloc[i]
        assert energy == pytest.approx(expected.e_tot * HARTREE_IN_EV, abs=1e-6)
        fock = expected.get_fock() * HARTREE_IN_EV
        np.testing.assert_allclose(converged.matrix(i, "pyscf"), fock, atol=1e-3)
        middle = expected.mol.atom_coords().mean(axis=0)
        dipole = expected.dip_moment(unit="Debye", origin=middle, verbose=0)
        assert labels["dipole_mag_d"].iloc[i] == pytest.approx(np.linalg.norm(dipole), abs=1e-4)
    charges = converged.molecules.atom_labels["charge_mulliken"]
    np.testing.assert_allclose([charges[:3].sum(), charges[3:].sum()], [0, -1], atol=1e-8)


@pytest.mark.parametrize("state", ["core", "minao"])
def test_other_hamiltonians_are_those_of_the_program(ions, state):
    found = compute_hamiltonians(ions, method=METHOD, state=state, cache=False)
    for i in range(len(ions)):
        expected = field(ions, i)
        if state == "core":
            matrix = expected.get_hcore()
        else:
            matrix = expected.get_fock(dm=expected.get_init_guess(key="minao"))
        np.testing.assert_allclose(
            found.matrix(i, "pyscf"), matrix * HARTREE_IN_EV, atol=1e-6
        )
    assert found.molecules.labels.shape[1] == 0 and state in found.provenance


def test_the_core_hamiltonian_of_tight_binding_is_h0(ions):
    pytest.importorskip("tblite")
    from qcanvas_sklearn.hamiltonians import TwoCentreTables

    labels, failed = pd.DataFrame({"mine": [1, 2]}), ["not-converged"] * 2
    labelled = replace(ions, labels=labels, quality=failed)
    with warnings.catch_warnings(action="error"):
        found = compute_hamiltonians(labelled, state="core", cache=False)
    assert found.converged.all() and not len(found.molecules.labels.columns)
    tables = TwoCentreTables.load().hamiltonians(ions)
    np.testing.assert_allclose(found.values, tables.values, atol=1e-3)
    with pytest.raises(ValueError, match="state='minao' is one of PySCF"):
        compute_hamiltonians(ions, state="minao", cache=False)


def test_results_are_kept_by_method_and_state(ions, tmp_path, monkeypatch):
    made = {
        (method, state): compute_hamiltonians(ions, method=method, state=state, cache=tmp_path)
        for method in ("HF/sto-3g", "HF/STO-6G") for state in ("converged", "core")
    }  # fmt: skip
    assert len(list(tmp_path.rglob("*.npz"))) == 2 * len(made)
    monkeypatch.setattr(jobs, "mean_field", None)  # whoever computes again, fails
    for (method, state), record in made.items():
        again = compute_hamiltonians(ions, method=method, state=state, cache=tmp_path)
        np.testing.assert_array_equal(again.values, record.values)
        assert again.molecules.labels.equals(record.molecules.labels)


def test_cores_of_pseudopotentials_have_no_electrons():
    salt = Molecules.from_lists([["Na", "H"]], [[[0, 0, 0], [0, 0, 1.9]]])
    assert compute_hamiltonians(salt, method="HF/lanl2dz", cache=False).n_electrons == [2]
    assert compute_hamiltonians(salt, method="HF/sto-3g", cache=False).n_electrons == [12]


def test_steps_of_second_order_help_where_extrapolation_does_not(ions, monkeypatch, converged):
    monkeypatch.setattr(_dft, "MAX_CYCLES", 5)
    start = _dft.mean_field(_dft.check_method(METHOD), ions[0].z, ions[0].positions)
    start.kernel()
    assert not start.converged
    found = compute_hamiltonians(ions[0], method=METHOD, cache=False)
    assert found.molecules.quality.tolist() == ["ok"]
    np.testing.assert_allclose(found.values, converged[0].values, atol=1e-3)


def test_molecules_without_a_state_of_pyscf_are_flagged(ions, monkeypatch):
    core = compute_hamiltonians(ions, method=METHOD, state="core", cache=False)
    monkeypatch.setattr(jobs, "settled", lambda states: None)
    with pytest.warns(UserWarning, match=r"2 molecules have no .*core.* rows \[0, 1\]"):
        found = compute_hamiltonians(ions, method=METHOD, cache=False)
    assert found.molecules.quality.tolist() == ["not-converged"] * 2
    assert found.molecules.labels["e_g_ev"].isna().all()
    np.testing.assert_array_equal(found.values, core.values)


def test_threads_warnings_and_seeds_are_as_before(ions):
    def state():
        threads = {(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()}
        return threads, lib.num_threads(), list(warnings.filters)

    with lib.with_omp_threads(2):
        before, drawn = state(), np.random.get_state()[1].tolist()
        record = compute_hamiltonians(ions, method="PBE/sto-3g", cache=False)
        metrics.saved_iterations(record[0], "PBE/sto-3g")
        assert state() == before and np.random.get_state()[1].tolist() == drawn


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "PBE"}, "unknown method 'PBE'.* such as 'PBE/def2-SVP'"),
        ({"method": "PBE/"}, "method must be a functional and a basis.*'PBE/'"),
        ({"method": "nonsense/sto-3g"}, "unknown functional 'nonsense'"),
        ({"method": "B3LYP-D3BJ/sto-3g"}, "correction 'd3bj' is no part of a Hamiltonian"),
        ({"method": "HF/nonsense"}, "basis 'nonsense' of PySCF, for H"),
        ({"method": METHOD, "state": "guess"}, "state='guess' is not one of"),
        ({"method": METHOD, "electronic_temperature": 500.0}, "is one of xTB.*got 500.0"),
    ],
)
def test_methods_that_cannot_be_computed_are_refused(ions, options, message):
    with pytest.raises(ValueError, match=message):
        compute_hamiltonians(ions, cache=False, **options)


@pytest.mark.parametrize(
    ("elements", "options", "message"),
    [
        (["O", "H"], {}, "structure 0 .* has 9 electrons.*closed shells"),
        (["O", "H"], {"charge": [0.5]}, "charge 0.5 is not whole"),
        (["He", "H"], {"charge": [3]}, "it has no electrons"),
        (["U", "H"], {}, "basis '6-31G\\*' of PySCF, for U"),
        (["H", "H"], {"cell": np.eye(3)[None] * 9, "pbc": [[True] * 3]}, "is periodic, and Py"),
    ],
)
def test_structures_that_cannot_be_computed_are_refused(elements, options, message):
    molecules = Molecules.from_lists([elements], [[[0, 0, 0], [0, 0, 0.96]]], **options)
    with pytest.raises(ValueError, match=message):
        compute_hamiltonians(molecules, method=METHOD, cache=False)


# ------------------------------------------------------------- saved iterations


def test_predictions_save_iterations(ions, converged):
    exact = metrics.saved_iterations(converged, METHOD)
    assert exact.loc["prediction", ["cycles", "fock_builds"]].tolist() == [1, 3]
    # The first density costs a build, and so does the last.
    assert (exact["fock_builds"] == exact["cycles"] + 2)[:2].all()
    expected = [field(ions, i) for i in range(2)]
    assert all(one.kernel() for one in expected)
    assert exact.loc["minao", "cycles"] == np.mean([one.cycles for one in expected])
    for name in ("cycles", "fock_builds"):
        saved = 1 - exact.loc["prediction", name] / exact.loc["minao", name]
        assert exact.loc["saved", name] == pytest.approx(saved)
    rough = compute_hamiltonians(ions, method=METHOD, state="minao", cache=False)
    guessed = metrics.saved_iterations(rough, METHOD, builds=1)
    cycles, builds = guessed.loc["prediction", ["cycles", "fock_builds"]]
    assert 1 < cycles <= exact.loc["minao", "cycles"] and builds == cycles + 3
    loose = metrics.saved_iterations(converged, METHOD, tolerance=1e-5)
    assert loose.loc["minao", "cycles"] < exact.loc["minao", "cycles"]


def test_runs_that_do_not_converge_are_counted_and_left_out(converged, monkeypatch):
    from qcanvas_sklearn.hamiltonians import _iterations

    runs = iter([(9, 11, True), (4, 6, True), (50, 52, False), (2, 4, True)])
    monkeypatch.setattr(_iterations, "_run", lambda *_: _iterations._Run(*next(runs)))
    table = metrics.saved_iterations(converged, METHOD)
    assert table["cycles"].tolist() == [9, 4, pytest.approx(5 / 9)]
    assert table["not_converged"].tolist() == [1, 0, 1]


def test_iterations_are_counted_of_what_fits_together(converged):
    with pytest.raises(ValueError, match=r"H has the shells \(0, 0\) .* and \(0,\) in HF/sto"):
        metrics.saved_iterations(converged, "HF/sto-3g")
    with pytest.raises(ValueError, match="no overlaps"):
        metrics.saved_iterations(converged.with_overlaps(None), METHOD)
    with pytest.raises(ValueError, match="tolerance must be a positive number.* -1"):
        metrics.saved_iterations(converged, METHOD, tolerance=-1)
    with pytest.raises(ValueError, match="builds must be an integer.* -1"):
        metrics.saved_iterations(converged, METHOD, builds=-1)

"""Molecules by live xTB: forces, levels, charges, flags, cache, input checks."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tblite")

from qcanvas_sklearn.datasets import _xtb_states, compute_molecules, compute_pairs
from qcanvas_sklearn.datasets._xtb_molecules import MOLECULE_PROPERTIES
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import EXTENSIVE_LABELS

METHODS = ["GFN1-xTB", "GFN2-xTB"]
WATER = (["O", "H", "H"], [[0, 0, 0.119], [0, 0.763, -0.477], [0, -0.763, -0.477]])
#: Bent out of shape, so that every force is one.
FORMAMIDE = (
    ["C", "O", "N", "H", "H", "H"],
    [[-0.16, 0.39, 0.05], [-1.2, -0.25, 0.0], [1.08, -0.16, 0.1], [-0.17, 1.49, -0.03],
     [1.17, -1.16, 0.0], [1.9, 0.43, 0.12]],
)  # fmt: skip
HYDROXYL = (["O", "H"], [[0, 0, 0], [0, 0, 0.97]])


def make(*structures, **fields):
    elements, positions = zip(*structures, strict=True)
    return Molecules.from_lists(elements, positions, **fields)


@pytest.fixture(scope="module", params=METHODS)
def computed(request):
    molecules = make(WATER, FORMAMIDE, HYDROXYL, HYDROXYL, charge=[0, 0, 0, -1])
    return compute_molecules(molecules, method=request.param, cache=False)


def test_forces_are_the_slope_of_the_free_energy(computed):
    molecules = computed[:3]
    method = computed.provenance.split()[0]
    step = 1e-3
    rows, shifted = [], []
    for row, molecule in enumerate(molecules):
        for atom in range(len(molecule.z)):
            for axis in range(3):
                for sign in (1, -1):
                    positions = molecule.positions.copy()
                    positions[atom, axis] += sign * step
                    shifted.append(replace(molecule, positions=positions))
                    rows.append(row)
    energy = compute_molecules(
        Molecules.concat(shifted), method=method, properties=["energy"], cache=False
    ).labels["mermin_free_energy_ev"]
    slope = -(energy[::2].to_numpy() - energy[1::2].to_numpy()) / (2 * step)
    np.testing.assert_allclose(molecules.forces.ravel(), slope, atol=3e-4)
    assert np.abs(slope).max() > 0.5
    total = np.add.reduceat(computed.forces, computed.ptr[:-1])
    np.testing.assert_allclose(total, 0, atol=1e-6)


def test_labels_mean_what_they_say(computed):
    labels = computed.labels
    assert (labels["e_g_ev"] == labels["e_lumo_ev"] - labels["e_homo_ev"]).all()
    assert labels["e_g_ev"][2] == 0 < labels["e_g_ev"].drop(2).min()
    # Free energies lie below energies where levels are partly filled: in the radical.
    entropy = labels["total_energy_ev"] - labels["mermin_free_energy_ev"]
    assert entropy[[0, 1, 3]].abs().max() < 1e-6 < entropy[2]
    charges = computed.atom_labels["charge_mulliken"].to_numpy()
    np.testing.assert_allclose(np.add.reduceat(charges, computed.ptr[:-1]), [0, 0, 0, -1],
                               atol=1e-6)  # fmt: skip
    assert charges[0] < 0 < charges[1] == pytest.approx(charges[2])
    # 1.855 D by experiment; GFN1 and GFN2 are known to say more.
    assert 1.7 < labels["dipole_mag_d"][0] < 3.0
    components = labels[["dipole_x_d", "dipole_y_d", "dipole_z_d"]].to_numpy()
    np.testing.assert_allclose(np.linalg.norm(components, axis=1), labels["dipole_mag_d"])
    assert components[0, 2] < 0  # towards the hydrogens
    assert set(computed.units.values()) == {"eV", "D", "e"}
    assert computed.quality.tolist() == ["ok"] * 4


def test_dipoles_do_not_depend_on_where_a_molecule_is():
    here = make(HYDROXYL, HYDROXYL, WATER, charge=[-1, 1, 0])
    there = replace(here, positions=here.positions + [3.0, -20.0, 1.0])
    names = ["dipole_x_d", "dipole_y_d", "dipole_z_d"]
    found, moved = (
        compute_molecules(m, properties=["dipole"], cache=False).labels[names].to_numpy()
        for m in (here, there)
    )
    np.testing.assert_allclose(found, moved, atol=1e-4)
    # About the origin, where oxygen is, less the charge in the middle.
    states = _xtb_states.States([8, 1], "GFN2-xTB", 300.0, -1)
    raw = states.facts(states.state(here[0].positions))["dipole_d"]
    np.testing.assert_allclose(found[0] - raw, [0, 0, 4.803204 * 0.97 / 2], atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_extensive_labels_are_those_that_add_up(method):
    elements, positions = WATER
    far = np.array(positions) + [40.0, 0, 0]
    twice = (elements * 2, np.concatenate([positions, far]))
    labels = compute_molecules(make(WATER, twice), method=method, cache=False).labels
    ratio = labels.iloc[1] / labels.iloc[0]
    for key in ("total_energy_ev", "mermin_free_energy_ev", "e_homo_ev", "e_lumo_ev", "e_g_ev"):
        assert ratio[key] == pytest.approx(2 if key in EXTENSIVE_LABELS else 1, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_pair_is_a_molecule_of_two_atoms(method):
    pairs = compute_pairs(
        [["C", "O"], ["H", "F"], ["N", "O"]], method=method, distance=1.2, cache=False
    )
    molecules = compute_molecules(pairs, method=method, cache=False)
    for key in molecules.labels:
        np.testing.assert_allclose(molecules.labels[key], pairs.labels[key], atol=1e-6)
    charges = molecules.atom_labels["charge_mulliken"].to_numpy().reshape(-1, 2)
    np.testing.assert_allclose(charges, pairs.charges, atol=1e-6)
    assert molecules.groups.tolist() == pairs.names.tolist()


def test_atoms_are_taken_as_they_are():
    pytest.importorskip("ase")
    molecules = make(WATER, HYDROXYL, charge=[0, -1], names=["w", "h"], groups=[7, 8])
    direct = compute_molecules(molecules, cache=False)
    assert compute_molecules(molecules.to_ase(), cache=False) == direct
    assert direct.names.tolist() == ["w", "h"] and direct.groups.tolist() == [7, 8]
    assert np.array_equal(direct.charge, molecules.charge)
    assert compute_molecules(direct, cache=False) == direct


@pytest.mark.parametrize(
    "wanted", [("forces",), ("energy", "charges"), ("dipole",), ("levels",)]
)
def test_only_what_is_asked_for_is_given(wanted):
    found = compute_molecules(make(WATER), properties=wanted, cache=False)
    whole = compute_molecules(make(WATER), cache=False)
    assert (found.forces is None) == ("forces" not in wanted)
    assert (len(found.atom_labels.columns) == 0) == ("charges" not in wanted)
    counts = {"energy": 2, "levels": 3, "dipole": 4}
    assert len(found.labels.columns) == sum(counts.get(kind, 0) for kind in wanted)
    assert found.labels.equals(whole.labels[list(found.labels)])


@pytest.mark.parametrize("reason", ["not-converged", "unphysical-charges"])
def test_structure_without_a_state_stays_as_a_flagged_row(monkeypatch, reason, tmp_path):
    state = _xtb_states.States.state

    def fail(self, positions):
        if len(positions) == 2:
            raise _xtb_states.SCFError(reason)
        return state(self, positions)

    monkeypatch.setattr(_xtb_states.States, "state", fail)
    found = compute_molecules(make(WATER, HYDROXYL, WATER), cache=False)
    assert found.quality.tolist() == ["ok", reason, "ok"]
    assert found.labels.isna().all(axis=1).tolist() == [False, True, False]
    assert np.isnan(found.forces[3:5]).all() and np.isfinite(found.forces[5:]).all()
    found.save(tmp_path / "m.npz")
    assert Molecules.load(tmp_path / "m.npz") == found


def test_charges_that_no_molecule_has_are_flagged(monkeypatch):
    monkeypatch.setattr(_xtb_states, "MAX_CHARGE", 0.1)
    found = compute_molecules(make(WATER, (["He"], [[0, 0, 0]])), cache=False)
    assert found.quality.tolist() == ["unphysical-charges", "ok"]
    ion = make((["F"], [[0, 0, 0]]), charge=[-1])
    assert compute_molecules(ion, cache=False).quality.tolist() == ["ok"]


def test_cache_is_read_by_content_and_repeats_are_computed_once(tmp_path, monkeypatch):
    molecules = make(WATER, HYDROXYL, WATER, charge=[0, -1, 0])
    first = compute_molecules(molecules, cache=tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 2
    (damaged, *_) = tmp_path.rglob("*.npz")
    monkeypatch.setattr(_xtb_states.States, "state", None)
    assert compute_molecules(molecules[::-1], cache=str(tmp_path)) == first[::-1]
    for other in ({"electronic_temperature": 400}, {"method": "GFN1-xTB"}):
        with pytest.raises(TypeError):
            compute_molecules(molecules, cache=tmp_path, **other)
    for changed in (replace(molecules, charge=[0, 1, 0]),
                    replace(molecules, positions=molecules.positions * 1.001)):  # fmt: skip
        with pytest.raises(TypeError):
            compute_molecules(changed, cache=tmp_path)
    monkeypatch.undo()
    damaged.write_bytes(damaged.read_bytes()[:-50])
    assert compute_molecules(molecules, cache=tmp_path) == first


def test_parallel_run_equals_a_serial_one():
    rng = np.random.default_rng(0)
    elements, positions = FORMAMIDE
    molecules = make(
        *((elements, np.array(positions) + rng.normal(0, 0.05, (6, 3))) for _ in range(80))
    )
    serial = compute_molecules(molecules, cache=False)
    assert compute_molecules(molecules, n_jobs=2, cache=False) == serial


def test_only_progress_is_printed(capfd):
    compute_molecules(make(WATER), cache=False)
    assert capfd.readouterr() == ("", "")
    compute_molecules(make(WATER), cache=False, verbose=1)
    out, err = capfd.readouterr()
    assert out == "" and "xTB: 100%" in err and "1/1" in err and " molecules" in err


CRYSTAL = {"cell": 3.0 * np.eye(3)[None], "pbc": [[True] * 3]}


@pytest.mark.parametrize("molecules, options, message", [
    (make(WATER), {"properties": ("energy", "force")}, "must be distinct and out of"),
    (make(WATER), {"properties": ()}, "properties must be distinct"),
    (make(WATER), {"method": "GFN0"}, "unknown method 'GFN0'"),
    (make(WATER), {"electronic_temperature": -1}, "positive number of kelvin, got -1"),
    (make((["Ac"], [[0, 0, 0]])), {}, "Z = 86.*not Ac"),
    (make(WATER, HYDROXYL, charge=[0, 0.5]), {}, r"1 \('HO'\): the charge 0.5 is not"),
    (make(WATER, (["H"], [[0, 0, 0]]), charge=[0, 1]), {}, r"structure 1 \('H'\): with the"),
    (make((["Na"], [[0, 0, 0]]), charge=[2]), {}, "with the charge 2 it has no valence"),
    (make((["Na"], [[0, 0, 0]]), **CRYSTAL), {}, r"structure 0 \('Na'\) is periodic"),
])  # fmt: skip
def test_bad_input_is_named(molecules, options, message):
    with pytest.raises(ValueError, match=message):
        compute_molecules(molecules, cache=False, **options)


def test_all_properties_are_there_by_default():
    found = compute_molecules(make(WATER), cache=False)
    assert found == compute_molecules(make(WATER), properties=MOLECULE_PROPERTIES, cache=False)
    assert found.forces is not None and len(found.labels.columns) == 9

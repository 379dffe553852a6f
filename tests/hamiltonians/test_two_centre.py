"""Two-centre tables: Slater-Koster blocks, overlaps, H0, charges, files, live Hamiltonians."""

import io
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from qcanvas_sklearn import load_molecules
from qcanvas_sklearn.hamiltonians import Hamiltonians, TwoCentreTables, rotated, rotation
from qcanvas_sklearn.hamiltonians._charges import Moments
from qcanvas_sklearn.hamiltonians._harmonics import bond_frames, solid_harmonics
from qcanvas_sklearn.hamiltonians._pair_table import Dimers, PairTable
from qcanvas_sklearn.hamiltonians._scc import KT, fill
from qcanvas_sklearn.hamiltonians._slater_koster import (
    along_bond,
    bond_integrals,
    integral_names,
    slater_koster,
)
from qcanvas_sklearn.structures import Molecules

L_PAIRS = [(a, b) for a in range(4) for b in range(4)]
TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
#: Titanium with four different neighbours, none along an axis.
TITANIUM = (
    ["Ti", "O", "H", "F", "F", "C", "H", "H", "H"],
    [[0, 0, 0], [1.1, 0.95, 1.0], [1.8, 1.5, 1.2], [1.05, -0.9, -1.1], [-1.0, 1.1, -0.95],
     [-1.15, -1.2, 1.2], [-2.2, -1.1, 1.0], [-0.9, -2.2, 1.0], [-0.9, -1.0, 2.25]],
)  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    return TwoCentreTables.load()


@pytest.fixture(scope="module")
def molecules():
    """Every 20th bundled molecule, and one with titanium."""
    return Molecules.concat([load_molecules().data[::20], Molecules.from_lists(
        [TITANIUM[0]], [TITANIUM[1]])])  # fmt: skip


@pytest.fixture(scope="module")
def computed(molecules):
    pytest.importorskip("tblite")
    from qcanvas_sklearn.hamiltonians import compute_hamiltonians

    return compute_hamiltonians(molecules, cache=False)


def turned(molecules, turn, shift=0.0):
    return replace(molecules, positions=molecules.positions @ turn.T + shift)


# ------------------------------------------------------------------ Slater-Koster


@pytest.mark.parametrize("l1, l2", L_PAIRS)
def test_blocks_are_those_along_z_turned(l1, l2):
    rng = np.random.default_rng(10 * l1 + l2)
    integrals = rng.normal(size=(30, min(l1, l2) + 1))
    directions = rng.normal(size=(30, 3))
    directions[:6] = np.concatenate([np.eye(3), -np.eye(3)])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    frames = bond_frames(directions)
    along = np.einsum("pn,nij->pij", integrals, along_bond(l1, l2))
    expected = rotation(l1, frames).swapaxes(1, 2) @ along @ rotation(l2, frames)
    blocks = slater_koster(l1, l2, integrals, directions)
    np.testing.assert_allclose(blocks, expected, atol=1e-13)
    # Seen from the other atom, and mirrored through the first one.
    other = slater_koster(l2, l1, integrals, directions).swapaxes(1, 2)
    np.testing.assert_allclose(blocks, other, atol=1e-13)
    mirrored = slater_koster(l1, l2, integrals, -directions)
    np.testing.assert_allclose(blocks, (-1.0) ** (l1 + l2) * mirrored, atol=1e-13)


@pytest.mark.parametrize("l1, l2", L_PAIRS)
def test_blocks_are_overlaps_of_turned_orbitals(l1, l2):
    """Gaussian orbitals r^l Y exp(-r²), integrated over a grid."""
    axis = np.linspace(-5.5, 6.5, 49)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)

    def orbitals(l, centre):
        from_centre = points - centre
        return solid_harmonics(l, from_centre) * np.exp(-(from_centre**2).sum(1))[:, None]

    def block(vector):
        volume = (axis[1] - axis[0]) ** 3
        return orbitals(l1, np.zeros(3)).T @ orbitals(l2, vector) * volume

    integrals = bond_integrals(l1, l2, block(np.array([0, 0, 1.3]))[None])
    vector = 1.3 * np.array([0.6, -0.64, 0.48])
    found = slater_koster(l1, l2, integrals, vector[None] / 1.3)[0]
    np.testing.assert_allclose(found, block(vector), atol=1e-8)
    assert np.abs(found).max() > 1e-2


def test_blocks_that_mix_m_are_refused():
    block = along_bond(1, 1).sum(axis=0)
    block[0, 2] += 1e-3
    with pytest.raises(ValueError, match="p and p orbitals along z.*0.001 of it"):
        bond_integrals(1, 1, block[None])


def test_integrals_have_names():
    assert integral_names(1, 1) == ["ppσ", "ppπ"]
    assert integral_names(3, 2) == ["fdσ", "fdπ", "fdδ"]


# ------------------------------------------------------------- overlaps and H0


def test_shipped_tables(tables):
    assert list(tables.basis) == ["H", "C", "N", "O", "F", "Ti"]
    assert tables.basis["Ti"] == (2, 0, 1) and tables.method == "GFN2-xTB"
    text = tables.describe()
    assert "Ti: 4 electrons" in text and "21 pairs" in text and "reach" in text
    assert tables.free_populations("Ti").tolist() == [2, 2, 0]
    assert sum(tables.free_populations("F")) == 7


def test_overlaps_and_core_are_those_of_the_engine(tables, molecules):
    pytest.importorskip("tblite")
    from qcanvas_sklearn.hamiltonians._engines import bare_matrices

    core = tables.hamiltonians(molecules)
    for i in range(len(molecules)):
        molecule = molecules[i]
        bare = bare_matrices("GFN2-xTB", molecule.z.tolist(), molecule.positions)
        np.testing.assert_allclose(core.overlap(i), bare.overlap, atol=1e-7)
        np.testing.assert_allclose(core.matrix(i), bare.core, atol=3e-5)
        repulsion = tables.repulsion(molecule)
        np.testing.assert_allclose(repulsion, bare.repulsion, rtol=1e-5)


@pytest.mark.parametrize("method, tolerance", [("GFN1-xTB", 3e-4), ("GFN2-xTB", 3e-5)])
def test_tables_of_other_elements_and_methods(method, tolerance):
    """Hydrogen has two s shells in GFN1-xTB, silicon a d shell in both."""
    pytest.importorskip("tblite")
    from qcanvas_sklearn.hamiltonians._engines import bare_matrices

    made = TwoCentreTables.from_engine(["Si", "H", "S"], method)
    assert list(made.basis) == ["H", "Si", "S"] and made.charges is None
    z, positions = [14, 16, 1, 1, 1, 1], np.array(
        [[0, 0, 0], [1.2, 1.3, 1.1], [2.2, 0.4, 1.3], [-0.8, -0.9, 0.8], [-0.9, 0.7, -0.9],
         [0.8, -0.9, -0.9]])  # fmt: skip
    core = made.hamiltonians(Molecules.from_lists([z], [positions]))
    bare = bare_matrices(method, z, positions)
    np.testing.assert_allclose(core.overlap(0), bare.overlap, atol=1e-6)
    np.testing.assert_allclose(core.matrix(0), bare.core, atol=tolerance)
    with pytest.raises(ValueError, match="no charges of H, Si, S.*scc=False"):
        next(made.states(Molecules.from_lists([z], [positions])))


@pytest.mark.parametrize("pair", [("C", "O"), ("H", "H"), ("Ti", "N"), ("O", "Ti")])
def test_integrals_seen_from_both_atoms(tables, pair):
    distances = [1.5, 2.5]
    here, there = tables.integrals(*pair, distances), tables.integrals(*pair[::-1], distances)
    for kind in ("overlap", "core"):
        assert here[kind].keys() == {name[1] + name[0] + name[2] for name in there[kind]}
        for name, values in here[kind].items():
            parity = (-1) ** sum("spdf".index(letter) for letter in name[:2])
            other = there[kind][name[1] + name[0] + name[2]]
            np.testing.assert_allclose(values, parity * other, atol=1e-9)


def test_integrals_are_blocks_along_z(tables):
    found = tables.integrals("O", "C", [1.3])
    core = tables.hamiltonians(Molecules.from_lists([[8, 6]], [[[0, 0, 0], [0, 0, 1.3]]]))
    for name, place in {"ssσ": (0, 4), "spσ": (0, 6), "psσ": (2, 4), "ppπ": (1, 5)}.items():
        assert found["overlap"][name][0] == pytest.approx(core.overlap(0)[place], abs=1e-12)
        assert found["core"][name][0] == pytest.approx(core.matrix(0)[place], abs=1e-9)


def test_everything_ends_smoothly(tables):
    near = np.linspace(tables.cutoff - 0.05, tables.cutoff + 0.05, 101)
    for pair in (("Ti", "Ti"), ("C", "C")):
        found = tables.integrals(*pair, near)
        for values in (*found["overlap"].values(), *found["core"].values()):
            assert np.abs(np.diff(values)).max() < 1e-5
            assert values[-1] == 0


def test_atoms_that_nearly_coincide_have_matrices(tables):
    close = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.15]]])
    first = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.3]]])
    np.testing.assert_array_equal(
        tables.hamiltonians(close).overlap_values, tables.hamiltonians(first).overlap_values
    )


def test_turned_molecules_have_turned_matrices(tables, molecules):
    expected = rotated(tables.hamiltonians(molecules), TURN)
    found = tables.hamiltonians(turned(molecules, TURN, 5.0))
    np.testing.assert_allclose(found.values, expected.values, atol=1e-10)
    np.testing.assert_allclose(found.overlap_values, expected.overlap_values, atol=1e-11)


def dimers(distances, core_of_overlap):
    """Two s orbitals each at levels of -10 eV."""
    overlap = np.tile(np.eye(2), (len(distances), 1, 1))
    overlap[:, 0, 1] = overlap[:, 1, 0] = np.cos(distances) * np.exp(-distances)
    core = -10.0 * np.tile(np.eye(2), (len(distances), 1, 1))
    core[:, 0, 1] = core[:, 1, 0] = core_of_overlap(overlap[:, 0, 1], distances)
    return Dimers(distances, overlap, core, np.exp(-distances))


@pytest.mark.parametrize(
    "core_of_overlap, direct",
    [(lambda s, r: -17.5 * s, False), (lambda s, r: -5 * np.exp(-r), True),
     (lambda s, r: np.zeros_like(r), False)],
)  # fmt: skip
def test_couplings_do_without_the_overlap_where_it_is_no_measure(core_of_overlap, direct):
    """The overlap passes through zero twice; the second H0 does not."""
    grid = np.linspace(0.5, 8.0, 60)
    level = np.array([-10.0])
    table = PairTable.from_dimers(
        ((0,), (0,)), (level, level), dimers(grid, core_of_overlap)
    )
    assert table.direct.tolist() == [direct]
    between = np.linspace(0.6, 7.0, 200)
    levels = np.full((200, 1), -10.0)
    overlap, core = table.integrals_at(between, levels, levels)
    expected = np.cos(between) * np.exp(-between)
    np.testing.assert_allclose(overlap[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(core[:, 0], core_of_overlap(expected, between), atol=2e-4)


def test_split_levels_are_refused():
    grid = np.linspace(0.5, 8.0, 60)
    strange = dimers(grid, lambda s, r: -15 * s)
    level = np.array([-10.0])
    shells = ((1,), (0,))
    core = np.zeros((60, 4, 4))
    core[:, range(4), range(4)] = -10.0
    core[:, 1, 1] += np.exp(-grid)  # p along the bond
    overlap = np.tile(np.eye(4), (60, 1, 1))
    with pytest.raises(ValueError, match="splits or mixes the levels of an atom by 0.4"):
        PairTable.from_dimers(
            shells, (level, level), Dimers(grid, overlap, core, strange.repulsion)
        )


# ---------------------------------------------------------------------- charges


def test_electrons_fill_levels():
    levels = np.array([-10.0, -5.0, -5.0, 1.0])
    assert fill(levels, 2).tolist() == [2, 0, 0, 0]
    assert fill(levels, 8).tolist() == [2, 2, 2, 2]
    assert fill(levels, 0).tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(fill(levels, 4), [2, 1, 1, 0], atol=1e-9)
    odd = fill(np.array([0.0, KT]), 2)
    assert odd.sum() == pytest.approx(2) and odd[0] / (2 - odd[0]) == pytest.approx(np.e**0.5)


def test_moments_are_charges_dipoles_and_quadrupoles(tables):
    orbitals = tables.basis.orbitals([22, 1, 8])
    moments = Moments.of(orbitals)
    assert len(moments) == 3 + 1 + 2 + 2 * 8
    rng = np.random.default_rng(0)
    density = rng.normal(size=(len(orbitals),) * 2)
    density += density.T
    found = moments.expectations(density)
    starts = [0, 5, 6, 9, 10, 11]
    np.testing.assert_allclose(found[:6], np.add.reduceat(np.diag(density), starts))
    np.testing.assert_allclose(found[6:9], 2 * density[5, 6:9])
    p = density[11:14, 11:14]
    quadrupole = found[-5:]
    expected = np.sqrt((p - np.eye(3) * np.trace(p) / 3).ravel() @ p.ravel())
    assert np.linalg.norm(quadrupole) == pytest.approx(expected)
    # Potentials are the derivatives of energies by the density.
    potentials = rng.normal(size=len(moments))
    operator = moments.operator(potentials, len(orbitals))
    assert (operator * density).sum() == pytest.approx(potentials @ found)
    atom = orbitals.atom
    assert (operator[atom[:, None] != atom] == 0).all()


def test_responses_are_symmetric_and_fall_off_like_charges(tables):
    z = np.array([8, 6])
    orbitals = tables.basis.orbitals(z)
    moments = Moments.of(orbitals)
    far = np.array([[0, 0, 0], [30.0, 40.0, 0]])
    matrix = tables.charges.response(orbitals, moments, far).matrix
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-14)
    np.testing.assert_allclose(matrix[:2, 2:4], 14.399645 / 50, rtol=1e-3)
    # A dipole of oxygen feels the field of carbon, along the bond: y, z, x.
    length = tables.charges.moments["O"][0]
    field = length * 14.399645 / 50**2 * np.array([0.8, 0.0, 0.6])
    np.testing.assert_allclose(matrix[4:7, 2], field, rtol=1e-2, atol=1e-9)
    assert np.abs(matrix[4:7, :2]).max() == 0  # not its own


def test_potentials_are_slopes_of_the_energy(tables):
    orbitals = tables.basis.orbitals([6, 8, 1])
    positions = np.array([[0, 0, 0], [0.1, 0.2, 1.2], [0.4, -0.9, -0.6]])
    response = tables.charges.response(orbitals, Moments.of(orbitals), positions)
    x = np.random.default_rng(0).normal(0, 0.2, len(response.shift))
    steps = 1e-4 * np.eye(len(x))
    slopes = [(response.energy(x + s) - response.energy(x - s)) / 2e-4 for s in steps]
    np.testing.assert_allclose(response.potentials(x), slopes, atol=1e-7)


def test_self_consistent_states_of_molecules(tables, computed):
    found = tables.self_consistent(computed.molecules)
    assert (found.molecules.quality == "ok").all()
    core = tables.hamiltonians(computed.molecules)
    errors = {
        name: np.abs(what.gap() - computed.gap()).mean()
        for name, what in (("scc", found), ("core", core))
    }
    assert errors["scc"] < 0.14 and errors["core"] > 4 * errors["scc"]
    assert np.abs(found.homo() - computed.homo()).mean() < 0.16
    assert np.abs(found.lumo() - computed.lumo()).mean() < 0.25
    microhartree = 1e6 / 27.211386
    assert np.abs(found.values - computed.values).mean() * microhartree < 900
    known = computed.molecules.atom_labels["charge_mulliken"].to_numpy()
    of_atoms = []
    for state, i in zip(tables.states(computed.molecules), range(len(found)), strict=True):
        moments = Moments.of(tables.basis.orbitals(found.molecules[i].z))
        n = len(moments.shell_atom)
        of_atoms.append(-np.bincount(moments.shell_atom, state.moments[:n]))
        assert state.converged and state.cycles < 40
        electrons = np.sum(state.density * state.overlap)
        assert electrons == pytest.approx(found.n_electrons[i], abs=1e-8)
    assert np.abs(np.concatenate(of_atoms) - known).mean() < 0.012
    assert np.abs(known).mean() > 0.09


def test_states_are_self_consistent(tables, molecules):
    """The Hamiltonian is the one that its own moments make."""
    molecule = molecules[-1]
    state = next(tables.states(molecule))
    orbitals = tables.basis.orbitals(molecule.z)
    moments = Moments.of(orbitals)
    response = tables.charges.response(orbitals, moments, molecule.positions)
    within = moments.operator(response.potentials(state.moments), len(orbitals))
    beyond = (within @ state.overlap + state.overlap @ within) / 2
    np.testing.assert_allclose(state.hamiltonian, state.core + beyond, atol=1e-4)
    right = state.overlap @ state.orbitals * state.levels
    np.testing.assert_allclose(state.hamiltonian @ state.orbitals, right, atol=1e-9)


def test_scalar_potentials_are_means_over_the_two_atoms(tables, molecules):
    """F = H0 + S (V_a + V_b) / 2 without moments, whatever the charges."""
    charges = tables.charges
    plain = replace(charges, moments={name: np.zeros(4) for name in charges.moments})
    state = next(replace(tables, charges=plain).states(molecules[3]))
    beyond = state.hamiltonian - state.core
    potential = np.diag(beyond)
    expected = state.overlap * (potential[:, None] + potential) / 2
    np.testing.assert_allclose(beyond, expected, atol=1e-10)


def test_charged_and_open_shells(tables):
    z, positions = ["O", "H", "H"], [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]]
    charge = [0, 1, -1]
    ions = Molecules.from_lists([z] * 3, [positions] * 3, charge=charge)
    states = list(tables.states(ions))
    assert all(state.converged for state in states)
    electrons = [state.occupations.sum() for state in states]
    np.testing.assert_allclose(electrons, [8, 7, 9], atol=1e-6)
    homo = tables.self_consistent(ions).homo()
    assert homo[1] < homo[0] - 5 and homo[2] > homo[0] + 5


def test_states_that_do_not_converge_are_flagged(tables, molecules, monkeypatch):
    monkeypatch.setattr("qcanvas_sklearn.hamiltonians._scc.MAX_CYCLES", 2)
    found = tables.self_consistent(molecules[:3])
    assert found.molecules.quality.tolist() == ["not-converged"] * 3
    assert not next(tables.states(molecules[:1])).converged
    assert next(tables.states(molecules[:1], scc=False)).converged
    monkeypatch.undo()
    failed = ["not-converged", "unphysical-charges", "distorted"]  # by another method
    again = tables.self_consistent(replace(molecules[:3], quality=failed))
    assert again.molecules.quality.tolist() == ["ok", "ok", "distorted"]


def test_charges_are_fitted(tables, computed):
    bare = replace(tables, charges=None)
    few = computed[:-1:2]
    fitted = bare.fit_charges(few)
    assert set(fitted.charges.shells) == {"H", "C", "N", "O", "F"}
    assert "fitted to 15 Hamiltonians" in fitted.charges.provenance
    error = np.abs(fitted.self_consistent(few.molecules).gap() - few.gap()).mean()
    assert error < 0.13
    assert 0.15 < fitted.charges.reach["C"] < 0.45
    # One element more, the others as they are.
    more = fitted.fit_charges(computed[-1:], ["Ti"])
    assert more.charges.shells["C"] is fitted.charges.shells["C"]
    assert "Ti" in more.charges.shells
    with pytest.raises(ValueError, match="no charges of Ti"):
        fitted.self_consistent(computed[-1:].molecules)


def test_charges_are_fitted_to_states_that_there_are(tables, computed, monkeypatch):
    fitted_to = []

    def fit(core, hamiltonians, *_):
        fitted_to.append(hamiltonians)
        return tables.charges

    monkeypatch.setattr("qcanvas_sklearn.hamiltonians._charged.fit_charge_model", fit)
    marks = computed.molecules.quality.astype("U24")
    marks[[1, 4]] = "not-converged", "unphysical-charges"
    marked = replace(computed, molecules=replace(computed.molecules, quality=marks))
    assert np.flatnonzero(~marked.converged).tolist() == [1, 4]
    tables.fit_charges(marked[:6])
    assert fitted_to[0] == computed[[0, 2, 3, 5]]


def test_fits_refuse_what_does_not_belong(tables, computed):
    with pytest.raises(TypeError, match="expected Hamiltonians, got Molecules"):
        tables.fit_charges(computed.molecules)
    with pytest.raises(ValueError, match="elements"):
        tables.fit_charges(computed[:2], ["Xe"])
    with pytest.raises(ValueError, match="no charges of H, .*fit them too"):
        replace(tables, charges=None).fit_charges(computed[:2], ["C"])
    electrons = replace(computed[:1], n_electrons=[2])
    with pytest.raises(ValueError, match="molecule 0 has 2 electrons, and .* by the tables"):
        tables.fit_charges(electrons)
    other = Hamiltonians.from_matrices(
        Molecules.from_lists([["O"]], [[[0, 0, 0]]]), [np.eye(1)], [np.eye(1)],
        basis={"O": (0,)}, n_electrons=[2],
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"O has shells \(0,\) .* \(0, 1\)"):
        tables.fit_charges(other)


# ------------------------------------------------------------ live Hamiltonians


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
def test_converged_hamiltonians_have_the_levels_of_the_engine(method, tmp_path):
    pytest.importorskip("tblite")
    from qcanvas_sklearn.datasets._xtb_states import States
    from qcanvas_sklearn.hamiltonians import compute_hamiltonians

    molecules = Molecules.from_lists(
        [TITANIUM[0], ["O", "H"], ["N", "H", "H", "H", "H"]],
        [TITANIUM[1], [[0, 0, 0], [0, 0.3, 0.93]],
         [[0, 0, 0], *(np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.59)]],
        charge=[0, 0, 1],
    )  # fmt: skip
    found = compute_hamiltonians(molecules, method=method, cache=tmp_path)
    for i, levels in enumerate(found.orbital_energies()):
        molecule = molecules[i]
        states = States(molecule.z.tolist(), method, 300.0, int(molecule.charge[0]))
        expected = states.state(molecule.positions).get("orbital-energies") * 27.211386245988
        np.testing.assert_allclose(levels, expected, atol=1e-6)
    labels = found.molecules.labels
    np.testing.assert_allclose(found.gap(), labels["e_g_ev"], atol=1e-6)
    assert found.n_electrons.tolist() == [4 + 6 + 1 + 14 + 4 + 3, 7, 8]
    again = compute_hamiltonians(molecules, method=method, cache=tmp_path)
    assert again == found and len(list(tmp_path.rglob("*.npz"))) == 3


def test_charges_alone_shift_the_levels_of_gfn1():
    """An independent check of the rebuilt matrices: they are H0 + S (V_a + V_b) / 2."""
    pytest.importorskip("tblite")
    from qcanvas_sklearn.hamiltonians import compute_hamiltonians
    from qcanvas_sklearn.hamiltonians._engines import bare_matrices

    molecule = load_molecules().data[17]
    found = compute_hamiltonians(molecule, method="GFN1-xTB", cache=False)
    bare = bare_matrices("GFN1-xTB", molecule.z.tolist(), molecule.positions)
    beyond = found.matrix(0) - bare.core
    potential = np.diag(beyond)
    np.testing.assert_allclose(
        beyond, bare.overlap * (potential[:, None] + potential) / 2, atol=1e-6
    )
    assert np.abs(potential).max() > 0.5


def test_molecules_without_a_state_are_flagged(monkeypatch, molecules):
    pytest.importorskip("tblite")
    from qcanvas_sklearn.datasets import _xtb_states
    from qcanvas_sklearn.hamiltonians import compute_hamiltonians

    monkeypatch.setattr(_xtb_states, "RECIPES", ())
    with pytest.warns(UserWarning, match=r"2 molecules have no self-consistent .*\[0, 1\]"):
        found = compute_hamiltonians(molecules[:2], cache=False)
    assert found.molecules.quality.tolist() == ["not-converged"] * 2
    tables = TwoCentreTables.load()
    np.testing.assert_allclose(
        found.values, tables.hamiltonians(molecules[:2]).values, atol=3e-5
    )


# ------------------------------------------------------------- input and files


def test_unknown_elements_and_cells_are_named(tables):
    gold = Molecules.from_lists(
        [["H", "F"], ["Au", "H"]], [[[0, 0, 0], [0, 0, 0.92]], [[0, 0, 0], [0, 0, 1.5]]]
    )
    with pytest.raises(ValueError, match=r"hold H, C, .*not Au of structure 1 \('AuH'\)"):
        tables.hamiltonians(gold)
    crystal = replace(gold[:1], cell=np.eye(3)[None] * 5, pbc=[[True] * 3], names=["salt"])
    with pytest.raises(ValueError, match=r"structure 0 \('salt'\) is periodic"):
        tables.hamiltonians(crystal)
    with pytest.raises(ValueError, match="hold H, C, .*not 'Au'"):
        tables.integrals("Au", "H", [1.0])
    with pytest.raises(TypeError, match="no molecules"):
        tables.hamiltonians(3)
    half = replace(gold[:1], charge=[0.5])
    with pytest.raises(ValueError, match="electrons"):
        tables.hamiltonians(half)


def test_atoms_in_one_place_are_named(tables):
    """Nearer than 0.3 Å, atoms count as so far apart, all of them from each other."""
    heap = np.array([[0, 0, 0], [0.11, 0, 0], [0, 0.11, 0], [0, 0, 0.11], [0.11, 0.11, 0.11]])
    crowd = Molecules.from_lists([["H", "F"], ["C"] * 5], [[[0, 0, 0], [0, 0, 0.92]], heap])
    with pytest.raises(ValueError, match="structure 'C5': the overlap is not positive"):
        list(tables.states(crowd))


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"elements": "CO"}, "sequence of symbols"), ({"elements": []}, "sequence of symbols"),
        ({"elements": ["C", "C"]}, "distinct symbols"), ({"elements": ["Xx"]}, "distinct"),
        ({"elements": ["U"]}, "not U"), ({"elements": ["H"], "method": "PM7"}, "PM7"),
        ({"elements": ["H"], "distances": [1, 2, 2, 3]}, "that increase"),
        ({"elements": ["H"], "distances": [1, 2]}, "at least four"),
    ],
)  # fmt: skip
def test_engines_refuse_bad_input(arguments, match):
    pytest.importorskip("tblite")
    with pytest.raises(ValueError, match=match):
        TwoCentreTables.from_engine(**arguments)


@pytest.mark.parametrize("charges", [True, False])
def test_files_give_the_same_tables(tables, molecules, charges, tmp_path):
    given = tables if charges else replace(tables, charges=None)
    given.save(tmp_path / "some.npz")
    unpickled = pickle.loads(pickle.dumps(given))
    for read in (TwoCentreTables.load(tmp_path / "some.npz"), unpickled):
        assert read.describe() == given.describe()
        first, second = (t.hamiltonians(molecules[:3]) for t in (read, given))
        np.testing.assert_array_equal(first.values, second.values)
        if charges:
            levels = [next(t.states(molecules[:1])).levels for t in (read, given)]
            np.testing.assert_array_equal(*levels)
    with np.load(tmp_path / "some.npz", allow_pickle=False) as file:
        assert all(array.dtype.kind != "O" for array in file.values())
    with pytest.raises(FileNotFoundError):
        TwoCentreTables.load(tmp_path / "none.npz")


DAMAGES = {
    "no zip": lambda arrays: b"nothing of the kind",
    "absent": lambda arrays: {k: v for k, v in arrays.items() if k != "coupling"},
    "short": lambda arrays: {**arrays, "overlap": arrays["overlap"][:-1]},
    "nan": lambda arrays: {**arrays, "levels": np.full_like(arrays["levels"], np.nan)},
    "text": lambda arrays: {**arrays, "shifts": arrays["shifts"].astype(str)},
    "pickle": lambda arrays: {**arrays, "levels": arrays["levels"].astype(object)},
    "later": lambda arrays: {**arrays, "format": np.array(99)},
    "order": lambda arrays: {**arrays, "symbols": arrays["symbols"][::-1]},
    "strange": lambda arrays: {**arrays, "symbols": np.array(["Xx"] * 6)},
    "fall": lambda arrays: {**arrays, "distances": arrays["distances"][::-1]},
    "soft": lambda arrays: {**arrays, "charge_shells": 0 * arrays["charge_shells"]},
    "shells": lambda arrays: {**arrays, "n_shells": arrays["n_shells"] + 1},
    "part of the charges": lambda arrays: {
        k: v for k, v in arrays.items() if k != "charge_reach"
    },
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_files_are_refused(tables, tmp_path, damage):
    path = tmp_path / "damaged.npz"
    tables.save(path)
    with np.load(path) as file:
        content = DAMAGES[damage](dict(file))
    if isinstance(content, dict):
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        content = buffer.getvalue()
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged.npz' is no file of two-centre tables"):
        TwoCentreTables.load(path)


def test_cut_and_large_files_are_refused(tables, tmp_path):
    path = tmp_path / "tables.npz"
    tables.save(path)
    with pytest.raises(ValueError, match="more than max_bytes=1000"):
        TwoCentreTables.load(path, max_bytes=1000)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match="no file of two-centre tables"):
        TwoCentreTables.load(path)


def test_files_appear_whole(tables, tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory"):
        tables.save(tmp_path / "nowhere" / "some.npz")
    tables.save(tmp_path / "some.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["some.npz"]
    assert zipfile.is_zipfile(tmp_path / "some.npz")

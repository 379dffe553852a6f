"""Matrices of other programs: read in the right order, or refused with the block at fault."""

import re
from dataclasses import replace

import numpy as np
import pytest
from _gaussians import gaussian_overlap
from _hamiltonian_data import (
    CC_PVQZ,
    DEF2_SVP,
    MIXED,
    N_ELECTRONS,
    PYSCF,
    PYSCF_NAMES,
    gaussian_molecules,
    gaussian_overlaps,
    gaussian_record,
    pyscf_molecules,
    pyscf_record,
)
from scipy.spatial.transform import Rotation

from qcanvas_sklearn.hamiltonians import CONVENTIONS, Basis, Hamiltonians, rotated
from qcanvas_sklearn.structures import Molecules

OTHERS = [name for name in CONVENTIONS if name != "pyscf"]


def read(molecules, overlaps, matrices=None, **options):
    given = {"basis": MIXED, "n_electrons": N_ELECTRONS} | options
    return Hamiltonians.from_matrices(
        molecules, overlaps if matrices is None else matrices, overlaps, **given
    )


# ------------------------------------------------------------- every convention


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_every_convention_round_trips_to_the_last_bit(convention):
    record = gaussian_record()
    matrices = [record.matrix(i, convention) for i in range(len(record))]
    overlaps = [record.overlap(i, convention) for i in range(len(record))]
    again = read(record.molecules, overlaps, matrices, convention=convention)
    assert again == record
    for i, (matrix, overlap) in enumerate(zip(matrices, overlaps, strict=True)):
        np.testing.assert_array_equal(again.matrix(i, convention), matrix)
        np.testing.assert_array_equal(again.overlap(i, convention), overlap)


@pytest.mark.parametrize("written", ["qcanvas", "pyscf", "psi4", "orca", "fhi-aims"])
def test_one_convention_is_not_taken_for_another(written):
    """With shells up to g, all that differ at all are told apart, and the right one named."""
    molecules = pyscf_molecules("HF")
    record = read(
        molecules, [PYSCF["HF_overlap"]], basis=CC_PVQZ, convention="pyscf", n_electrons=[10]
    )
    overlaps = [record.overlap(0, written)]
    same = {"qcanvas": {"tblite"}}.get(written, set()) | {written}
    for stated in CONVENTIONS:
        if stated in same:
            read(molecules, overlaps, basis=CC_PVQZ, convention=stated, n_electrons=[10])
            continue
        with pytest.raises(ValueError, match=f"right as convention .*'{written}'"):
            read(molecules, overlaps, basis=CC_PVQZ, convention=stated)


def test_matrices_of_pyscf_give_its_levels_and_charges():
    record = pyscf_record()
    nuclei = {"H2O": [8, 1, 1], "CH2O": [6, 8, 1, 1]}
    assert record.n_electrons.tolist() == [10, 16]
    for i, name in enumerate(PYSCF_NAMES):
        np.testing.assert_allclose(
            record.orbital_energies()[i], PYSCF[f"{name}_levels"], atol=1e-8
        )
        charges = nuclei[name] - record.populations(i).sum(axis=1)
        np.testing.assert_allclose(charges, PYSCF[f"{name}_mulliken"], atol=1e-7)
        np.testing.assert_array_equal(record.matrix(i, "pyscf"), PYSCF[f"{name}_fock"])


def test_matrices_of_pyscf_computed_now():
    gto = pytest.importorskip("pyscf.gto")
    atoms = list(zip(PYSCF["CH2O_elements"], PYSCF["CH2O_positions"].tolist(), strict=True))
    mole = gto.M(atom=atoms, basis="def2-svp", unit="Angstrom", verbose=0)
    overlap = mole.intor("int1e_ovlp")
    record = read(
        pyscf_molecules("CH2O"), [overlap], basis=DEF2_SVP, convention="pyscf", n_electrons=None
    )
    np.testing.assert_allclose(record.overlap(0, "pyscf"), overlap, atol=1e-14)


@pytest.mark.parametrize("method", ["GFN1-xTB", "GFN2-xTB"])
def test_matrices_of_tblite_give_its_levels(method):
    interface = pytest.importorskip("tblite.interface")
    names = ["Ti", "Cl", "H", "H", "H"]
    z = np.array([22, 17, 1, 1, 1])
    positions = np.array([[0.1, 0.2, 0.3], [1.4, 1.5, 1.2], [-1.1, -0.9, 1.3],
                          [-0.8, 1.2, -0.9], [1.1, -0.9, -0.7]])  # fmt: skip
    calculator = interface.Calculator(method, z, positions / 0.529177210903)
    calculator.set("verbosity", 0)
    calculator.set("save-integrals", 1)
    result = calculator.singlepoint()
    atom, l = calculator.get("shell-map"), calculator.get("angular-momenta")
    overlap, levels = result.get("overlap-matrix"), result.get("orbital-energies")
    left = overlap @ result.get("orbital-coefficients")
    record = Hamiltonians.from_matrices(
        Molecules.from_lists([z], [positions]), [(left * levels) @ left.T], [overlap],
        basis={name: l[atom == i].tolist() for i, name in enumerate(names)},
        convention="tblite", unit="hartree", n_electrons=[14],
    )  # fmt: skip
    assert record.basis.max_l == 2
    np.testing.assert_allclose(record.orbital_energies()[0], levels, atol=1e-9)
    np.testing.assert_allclose(record.density(0), result.get("density-matrix"), atol=1e-6)
    with pytest.raises(ValueError, match="right as convention 'qcanvas' or 'tblite'"):
        read(record.molecules, [overlap], basis=record.basis, convention="pyscf")


# ------------------------------------------------------------------ wrong orders


def signed_permutation(n, rng):
    matrix = np.zeros((n, n))
    matrix[np.arange(n), rng.permutation(n)] = rng.choice([-1, 1], n)
    return matrix


def is_plain(matrix):
    """Whether it is 1, or a sign of the whole shell, which is a sign of its radial part."""
    return np.array_equal(np.abs(np.trace(matrix)), len(matrix))


def wrong_orders(n_orders):
    """Signed permutations of all p and all d shells, at least one of them wrong."""
    rng = np.random.default_rng(5)
    while n_orders:
        orders = {1: signed_permutation(3, rng), 2: signed_permutation(5, rng)}
        keep = rng.integers(3)  # at times one of them stays right
        if keep:
            orders[int(keep)] = np.eye(2 * keep + 1)
        if not all(map(is_plain, orders.values())):
            n_orders -= 1
            yield orders


def reordered(matrix, orbitals, orders):
    """The matrix with all its shells, by l, in other orders."""
    turn = np.eye(len(matrix))
    for start in np.flatnonzero(orbitals.m == -orbitals.l):
        l = int(orbitals.l[start])
        if l in orders:
            shell = slice(start, start + 2 * l + 1)
            turn[shell, shell] = orders[l]
    return turn @ matrix @ turn.T


def test_all_wrong_permutations_and_signs_are_caught():
    molecules = gaussian_molecules()[[1]]
    right = gaussian_overlaps(molecules)
    orbitals = Basis(MIXED).orbitals(molecules.z)
    read(molecules, right, n_electrons=[14])
    n = 0
    for orders in wrong_orders(150):
        wrong = [reordered(right[0], orbitals, orders)]
        with pytest.raises(ValueError, match="not of Slater-Koster form"):
            read(molecules, wrong, n_electrons=[14])
        n += 1
    assert n == 150


def test_one_wrong_atom_is_caught_and_named():
    """Each signed permutation of one shell of one atom, in a molecule of like atoms."""
    molecules = gaussian_molecules()[[0]]
    right = gaussian_overlaps(molecules)[0]
    orbitals = Basis(MIXED).orbitals(molecules.z)
    rng = np.random.default_rng(0)
    p_shells = np.flatnonzero((orbitals.l == 1) & (orbitals.m == -1))
    for _ in range(100):
        order = signed_permutation(3, rng)
        start = int(rng.choice(p_shells))
        if is_plain(order):
            continue
        turn = np.eye(len(right))
        turn[start : start + 3, start : start + 3] = order
        with pytest.raises(ValueError) as caught:
            read(molecules, [turn @ right @ turn.T], n_electrons=[15])
        assert re.search(rf"atom {orbitals.atom[start]} \(", str(caught.value))


def test_a_sign_of_a_whole_shell_of_one_of_two_like_atoms_is_caught():
    molecules = gaussian_molecules()[[0]]
    right = gaussian_overlaps(molecules)[0]
    for atom in (0, 1):
        signs = np.ones(len(right))
        start = 4 * atom + 1
        signs[start : start + 3] = -1
        with pytest.raises(ValueError, match=r"of atom 0 \(C\) and shell . \(.\) of atom 1"):
            read(molecules, [right * signs * signs[:, None]], n_electrons=[15])


def test_the_block_at_fault_is_named_wherever_it_is():
    molecules = gaussian_molecules()
    overlaps = gaussian_overlaps(molecules)
    # Ce has the shells f, d, s; oxygen s, p, p: d_z2 of atom 0 and p_x of atom 2.
    i, j = 7 + 2, 13 + 1 + 3 + 2 + 1
    overlaps[2][i, j] += 0.01
    overlaps[2][j, i] += 0.01
    with pytest.raises(
        ValueError,
        match=r"overlap 2 \('CeHO'\).*shell 2 \(p\) of atom 2 \(O\) and shell 1 \(d\) of "
        r"atom 0 \(Ce\) is not of Slater-Koster form.* no known convention fits",
    ):
        read(molecules, overlaps)


@pytest.mark.parametrize("l, m", [(1, 1), (2, 0)])
def test_an_on_site_block_must_be_a_multiple_of_1(l, m):
    molecules = gaussian_molecules()
    overlaps = gaussian_overlaps(molecules)
    orbitals = Basis(MIXED).orbitals(molecules[1].z)
    k = int(np.flatnonzero((orbitals.l == l) & (orbitals.m == m))[0])
    overlaps[1][k, k] += 0.01
    with pytest.raises(ValueError, match="shell . .* of atom 0 .* is not proportional to 1"):
        read(molecules, overlaps)


def test_orbitals_of_opposite_m_must_overlap_alike():
    """p_x and p_y of a bond along z, each of which points nowhere that it should not."""
    molecules = Molecules.from_lists([["C", "C"]], [[[0, 0, 0], [0, 0, 1.3]]])
    overlap = gaussian_overlaps(molecules)[0]
    read(molecules, [overlap], n_electrons=[8])
    for orbital, change in ((1, 0.01), (3, -0.01)):
        overlap[orbital, orbital + 4] += change
        overlap[orbital + 4, orbital] += change
        with pytest.raises(ValueError, match=r"shell 1 \(p\) of atom 0 .* 0.0.* is left"):
            read(molecules, [overlap], n_electrons=[8])


def test_all_molecules_are_looked_at_in_batches(monkeypatch):
    monkeypatch.setattr("qcanvas_sklearn.hamiltonians._proof._BATCH", 10)
    molecules = gaussian_molecules()
    overlaps = gaussian_overlaps(molecules)
    read(molecules, overlaps)
    overlaps[3] = overlaps[3] + np.diag([0.0, 0.1])
    read(molecules, overlaps)  # another norm is no other order
    overlaps[4] = overlaps[4] + np.diag([0.0, 0.0, 0.0, 0.1])
    with pytest.raises(ValueError, match=r"overlap 4 \('C'\)"):
        read(molecules, overlaps)


# -------------------------------------------------------------------- precision


def test_single_precision_has_its_own_tolerance():
    molecules = gaussian_molecules()
    overlaps = [s.astype(np.float32) for s in gaussian_overlaps(molecules)]
    record = read(molecules, overlaps)
    np.testing.assert_array_equal(record.overlap(0), overlaps[0])
    with pytest.raises(ValueError, match="1e-10 is accepted; .* need a larger `tolerance`"):
        read(molecules, [s.astype(np.float64) for s in overlaps])
    assert read(molecules, [s.astype(np.float64) for s in overlaps], tolerance=1e-6) == record


def test_positions_of_few_digits_need_a_tolerance():
    molecules = gaussian_molecules()
    overlaps = gaussian_overlaps(molecules)
    rounded = Molecules(z=molecules.z, positions=molecules.positions.round(3),
                        ptr=molecules.ptr)  # fmt: skip
    with pytest.raises(ValueError, match="need a larger `tolerance`"):
        read(rounded, overlaps)
    assert len(read(rounded, overlaps, tolerance=5e-3)) == len(rounded)


# ------------------------------------------------------------- without overlaps


@pytest.mark.parametrize("stated", OTHERS)
def test_without_overlaps_a_wrong_convention_is_found_on_the_hamiltonians(stated):
    molecules = pyscf_molecules(*PYSCF_NAMES)
    matrices = [PYSCF[f"{name}_fock"] for name in PYSCF_NAMES]
    with pytest.raises(ValueError, match="order and signs of 'pyscf'"):
        Hamiltonians.from_matrices(molecules, matrices, basis=DEF2_SVP, convention=stated)
    record = Hamiltonians.from_matrices(
        molecules, matrices, basis=DEF2_SVP, convention="pyscf", unit="hartree"
    )
    assert record == pyscf_record().with_overlaps(None)
    for call in (record.gap, record.orbital_energies, lambda: record.density(0)):
        with pytest.raises(ValueError, match="have no overlaps"):
            call()


@pytest.mark.parametrize("sign", [1, -1])
def test_without_overlaps_a_structure_that_is_there_twice_proves_the_order(sign):
    """Signs of single orbitals that the shares of two centres do not tell."""
    record = pyscf_record()
    matrix = sign * Rotation.random(random_state=2).as_matrix()
    pair = Hamiltonians.concat([record, rotated(record, matrix)[::-1]])
    matrices = [pair.matrix(i) for i in range(4)]
    options = {"basis": DEF2_SVP, "convention": "qcanvas", "unit": "hartree"}
    read = Hamiltonians.from_matrices(pair.molecules, matrices, **options)
    np.testing.assert_array_equal(read.values, pair.values)
    orbitals = record.basis.orbitals(pair.molecules[0].z)
    for k in np.flatnonzero(orbitals.l > 0):
        signs = np.ones(len(orbitals))
        signs[k] = -1
        wrong = [m * signs * signs[:, None] if len(m) == 24 else m for m in matrices]
        Hamiltonians.from_matrices(pair.molecules[:3], wrong[:3], **options)
        with pytest.raises(ValueError, match=r"matrices 0 and 3 are of one .* \('H2O'\)"):
            Hamiltonians.from_matrices(pair.molecules, wrong, **options)


def test_structures_that_only_resemble_each_other_prove_nothing():
    """Another bond length, another charge, or atoms on a line."""
    record = pyscf_record()[[0, 0]]
    other = record.molecules.positions.copy()
    other[4] += [0.0, 0.01, 0.0]
    molecules = Molecules(z=record.molecules.z, positions=other, ptr=record.molecules.ptr)
    matrices = [record.matrix(0), 1.5 * record.matrix(0)]
    options = {"basis": DEF2_SVP, "convention": "qcanvas", "unit": "hartree"}
    assert len(Hamiltonians.from_matrices(molecules, matrices, **options)) == 2
    with pytest.raises(ValueError, match="matrices 0 and 1 are of one structure"):
        Hamiltonians.from_matrices(record.molecules, matrices, **options)
    charged = replace(record.molecules, charge=[0, 1])
    assert len(Hamiltonians.from_matrices(charged, matrices, **options)) == 2
    line = Molecules.from_lists([["H", "H"]] * 2, [[[0, 0, 0], [0, 0, 1]]] * 2)
    for_line = [np.eye(2), 2 * np.eye(2)]
    assert len(
        Hamiltonians.from_matrices(line, for_line, basis={"H": (0,)}, convention="qcanvas")
    ) == 2


@pytest.mark.parametrize("overlaps", [None, "orthogonal"])
def test_without_overlaps_the_convention_is_to_be_stated(overlaps):
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    with pytest.raises(ValueError, match="nothing proves .*: state the convention"):
        Hamiltonians.from_matrices(h2, [np.eye(2)], overlaps, basis={"H": (0,)})


def test_an_orthogonal_basis_can_be_stated():
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    record = Hamiltonians.from_matrices(
        h2, [[[-1, -2], [-2, -1]]], "orthogonal", basis={"H": (0,)}, convention="qcanvas"
    )
    np.testing.assert_allclose(record.orbital_energies()[0], [-3, 1])
    np.testing.assert_array_equal(record.overlap(0), np.eye(2))


# -------------------------------------------------------------------- bad input


def corrupted(change):
    matrix = np.eye(2)
    return [change(matrix)]


@pytest.mark.parametrize(
    "matrices, message",
    [
        ([np.eye(3)], r"matrix 0 \('H2'\) has shape \(3, 3\), expected \(2, 2\)"),
        ([np.eye(2)[0]], r"matrix 0 \('H2'\) has shape \(2,\)"),
        ([[[0, 1], [2, 0]]], "matrix 0 .* is not symmetric: elements differ by 1"),
        ([[[np.nan, 0], [0, 0]]], "matrix 0 .* elements that are not finite"),
        ([[["a", 0], [0, 0]]], "matrix 0 .* is no array of real numbers"),
        ([np.eye(2) * 1j], "matrix 0 .* is no array of real numbers: .*complex128"),
        ([[[0, 1], [1]]], "matrix 0 .* is no array of real numbers"),
        ([], "matrix of 0 molecules, structures of 1"),
        ([np.eye(2)] * 2, "matrix of 2 molecules, structures of 1"),
    ],
)
def test_bad_matrices_are_refused(matrices, message):
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    with pytest.raises(ValueError, match=message):
        Hamiltonians.from_matrices(h2, matrices, [np.eye(2)], basis={"H": (0,)})
    with pytest.raises(ValueError, match=message.replace("matrix", "overlap")):
        Hamiltonians.from_matrices(h2, [np.eye(2)], matrices, basis={"H": (0,)})


@pytest.mark.parametrize(
    "options, message",
    [
        ({"convention": "gaussian"}, "unknown convention 'gaussian'"),
        ({"unit": "kcal/mol"}, r"unit must be one of \['eV', 'hartree'\], got 'kcal/mol'"),
        ({"basis": {"C": (0, 1)}}, r"no shells for \['H'\]"),
        ({"n_electrons": [2, 2]}, r"n_electrons has shape \(2,\), expected \(1,\)"),
        ({"n_electrons": [5]}, "molecule 0 has 5 electrons; .* 0 to the 4"),
        ({"n_electrons": [0.5]}, "molecule 0 has 0.5 electrons"),
        ({"overlaps": "identity"}, "matrices, None or 'orthogonal', got 'identity'"),
    ],
)
def test_bad_options_are_refused(options, message):
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    given = {"basis": {"H": (0,)}, "convention": "qcanvas", "overlaps": [np.eye(2)]} | options
    with pytest.raises(ValueError, match=message):
        Hamiltonians.from_matrices(h2, [np.eye(2)], **given)


def test_periodic_structures_are_refused():
    cell = Molecules.from_lists(
        [["H"]], [[[0, 0, 0]]], cell=3 * np.eye(3)[None], pbc=np.ones((1, 3), bool)
    )
    with pytest.raises(ValueError, match="periodic"):
        Hamiltonians.from_matrices(cell, [np.eye(1)], [np.eye(1)], basis={"H": (0,)})


def test_gaussians_of_the_tests_are_those_of_pyscf_in_form():
    """The own overlaps, through g, have the form that those of PySCF have."""
    z, positions = [9, 1], PYSCF["HF_positions"]
    shells = {"F": (0, 1, 2, 3, 4), "H": (0, 1, 2, 3)}
    overlap = gaussian_overlap(z, positions, shells)
    read(pyscf_molecules("HF"), [overlap], basis=shells, n_electrons=[10])

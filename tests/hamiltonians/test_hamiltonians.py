"""The record of Hamiltonians: rows, blocks, levels, populations, files."""

import copy
import os
import pickle
import zipfile
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
from _hamiltonian_data import MIXED, gaussian_record, pyscf_record
from scipy.spatial.transform import Rotation
from sklearn.base import clone
from sklearn.model_selection import KFold, train_test_split
from sklearn.utils import check_consistent_length, indexable

from qcanvas_sklearn.hamiltonians import Basis, Hamiltonians, element_blocks, metrics, rotated
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import HARTREE_IN_EV


@pytest.fixture(scope="module")
def record():
    return gaussian_record(provenance="numbers")


# ------------------------------------------------------------------------ rows


@pytest.mark.parametrize(
    "index, rows",
    [
        (1, [1]), (-1, [4]), (np.int64(2), [2]), (slice(1, 4, 2), [1, 3]),
        ([True, False, False, True, True], [0, 3, 4]), ([3, 3, 0], [3, 3, 0]),
        (np.array([4, 1]), [4, 1]), (np.zeros(5, bool), []), (slice(0, 0), []),
    ],
)  # fmt: skip
def test_rows_are_taken_with_their_matrices(record, index, rows):
    taken = record[index]
    assert (len(taken), taken.shape) == (len(rows), (len(rows),))
    assert taken.molecules == record.molecules[index] and taken.provenance == "numbers"
    assert taken.n_electrons.tolist() == record.n_electrons[rows].tolist()
    for k, row in enumerate(rows):
        np.testing.assert_array_equal(taken.matrix(k), record.matrix(row))
        np.testing.assert_array_equal(taken.overlap(k), record.overlap(row))
    assert taken == Hamiltonians(
        taken.molecules, taken.basis, taken.values, taken.overlap_values,
        n_electrons=taken.n_electrons, provenance="numbers",
    )  # fmt: skip


def test_scikit_learn_splits_a_record_as_y(record):
    check_consistent_length(record.molecules, record)
    a, b, y, z = train_test_split(record.molecules, record, test_size=2, random_state=0)
    assert isinstance(y, Hamiltonians) and (y.molecules, z.molecules) == (a, b)
    assert len(y) == 3 and Hamiltonians.concat([y, z]).molecules == Molecules.concat([a, b])
    for train, test in KFold(5).split(*indexable(record.molecules, record)):
        assert record[train].molecules == record.molecules[train] and len(record[test]) == 1
    assert clone(record, safe=False) is record
    assert np.asarray(record).shape == (5,) and np.asarray(record)[3] == record[3]
    with pytest.raises(TypeError, match="no numbers of type float"):
        np.asarray(record, dtype=float)


def test_rows_that_are_not_there_are_refused(record):
    for i in (5, -6):
        with pytest.raises(IndexError):
            record[i]
        with pytest.raises(IndexError, match=f"no molecule {i} of 5"):
            record.matrix(i)
    np.testing.assert_array_equal(record.matrix(-1), record.matrix(4))


def test_repr_says_what_it_is(record):
    assert repr(record) == (
        "Hamiltonians(5 molecules, 2 to 25 orbitals; overlaps; eV; provenance='numbers')"
    )
    assert repr(record[[]].with_overlaps(None)).startswith(
        "Hamiltonians(0 molecules; no overlaps; eV"
    )


def test_equality_is_by_value(record):
    assert record == gaussian_record(provenance="numbers") and record != record[:4]
    assert record != record.in_unit("hartree") and record != record.with_overlaps(None)
    assert record != record.with_values(record.values + 1e-12) and record != "record"
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)


def test_equal_records_have_one_key_in_a_cache_of_joblib(record):
    other = gaussian_record(provenance="numbers")
    assert len(other.blocks.on_site) == 5 and len(other.gap()) == 5  # which it remembers
    assert joblib.hash(other) == joblib.hash(gaussian_record(provenance="numbers"))
    assert joblib.hash(other) != joblib.hash(other.with_overlaps(None))


def test_nothing_in_a_record_can_be_changed(record, tmp_path):
    record.save(tmp_path / "file.npz")
    joblib.dump(record, tmp_path / "file.joblib")
    for some in (
        record, record[1:], record.in_unit("hartree"), pickle.loads(pickle.dumps(record)),
        Hamiltonians.load(tmp_path / "file.npz"), copy.deepcopy(record),
        joblib.load(tmp_path / "file.joblib"), Hamiltonians.concat([record]),
    ):  # fmt: skip
        for name in ("values", "overlap_values", "n_electrons"):
            with pytest.raises(ValueError, match="read-only"):
                getattr(some, name)[0] = 0
        with pytest.raises(AttributeError):
            some.unit = "eV"


def test_the_callers_arrays_stay_the_callers():
    values, overlaps = np.zeros(3), np.array([1.0, 0.0, 1.0])
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    record = Hamiltonians(h2, {"H": (0,)}, values, overlaps)
    values[0] = overlaps[0] = 7
    assert record.values[0] == 0 and record.overlap_values[0] == 1


@pytest.mark.parametrize(
    "fields, error, message",
    [
        ({"values": np.zeros(4)}, ValueError, r"values has shape \(4,\), expected \(3,\)"),
        ({"overlap_values": np.zeros((3, 1))}, ValueError, r"values has shape \(3, 1\)"),
        ({"values": [0, np.inf, 0]}, ValueError, "values has elements that are not finite"),
        ({"unit": "Ha"}, ValueError, "unit must be one of .* got 'Ha'"),
        ({"molecules": "H2"}, TypeError, "molecules must be Molecules, got str"),
        ({"n_electrons": [-1]}, ValueError, "molecule 0 has -1 electrons"),
    ],
)
def test_bad_fields_are_refused(fields, error, message):
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    given = {"molecules": h2, "basis": {"H": (0,)}, "values": np.zeros(3)} | fields
    with pytest.raises(error, match=message):
        Hamiltonians(**given)


# -------------------------------------------------------------------- together


def test_concat_brings_units_and_bases_together(record):
    f2 = Molecules.from_lists([["F"], ["F"]], [[[0, 0, 0]]] * 2)
    packed = np.tile(np.diag([1.0, 2.0, 2.0, 2.0])[np.tril_indices(4)], 2)
    other = Hamiltonians(f2, {"F": (0, 1)}, packed, packed, unit="hartree")
    both = Hamiltonians.concat([record[3], other])
    assert both.unit == "eV" and both.basis == Basis(MIXED | {"F": (0, 1)})
    assert both.n_electrons.tolist() == [2, 7, 7] and both.provenance == "numbers"
    np.testing.assert_allclose(both.matrix(2), other.matrix(1) * HARTREE_IN_EV)
    np.testing.assert_array_equal(both.overlap(2), other.overlap(1))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda r: r.with_overlaps(None), "some parts have overlaps and others none"),
        (
            lambda r: Hamiltonians(r.molecules, {"H": (1,), "C": (0,)}, np.zeros(21),
                                   np.zeros(21)),
            r"H has the shells \(0,\) in one part and \(1,\) in another",
        ),
    ],
)  # fmt: skip
def test_what_does_not_belong_together_is_refused(record, change, message):
    with pytest.raises(ValueError, match=message):
        Hamiltonians.concat([record[3], change(record[3])])
    with pytest.raises(ValueError, match="at least one"):
        Hamiltonians.concat([])


def test_units_scale_energies_alone(record):
    other = record.in_unit("hartree")
    np.testing.assert_allclose(other.gap() * HARTREE_IN_EV, record.gap())
    np.testing.assert_array_equal(other.overlap_values, record.overlap_values)
    assert record.in_unit("eV") is record
    np.testing.assert_allclose(other.in_unit("eV").values, record.values)
    with pytest.raises(ValueError, match="got 'Ry'"):
        record.in_unit("Ry")


# ---------------------------------------------------------------------- blocks


def test_blocks_hold_every_element_once(record):
    counts = np.zeros(len(record.values), int)
    for blocks in record.blocks.off_site.values():
        np.add.at(counts, blocks.index, 1)
    for blocks in record.blocks.on_site.values():
        np.add.at(counts, blocks.index, 1)
    # On-site blocks are symmetric: what lies off their diagonals occurs twice.
    diagonal = sum(int(record.basis.n_orbitals(z)) for z in record.molecules.z)
    assert (counts >= 1).all() and counts.max() == 2
    on_site = sum(b.index.size for b in record.blocks.on_site.values())
    assert (counts == 2).sum() == (on_site - diagonal) // 2


def test_blocks_are_those_of_the_matrices(record):
    molecules = record.molecules
    blocks = element_blocks(molecules, record.basis)
    assert list(blocks.off_site) == [
        ("H", "H"), ("H", "C"), ("H", "O"), ("H", "Ce"), ("C", "C"), ("C", "O"), ("O", "Ti"),
        ("O", "Ce"), ("Ti", "Ti"),
    ]  # fmt: skip
    n = 0
    for block in (*blocks.on_site.values(), *blocks.off_site.values()):
        for row, i, j, index in zip(block.row, block.i, block.j, block.index, strict=True):
            ptr = record.basis.orbitals(molecules[row].z).ptr
            a, b = i - molecules.ptr[row], j - molecules.ptr[row]
            expected = record.matrix(row)[ptr[a] : ptr[a + 1], ptr[b] : ptr[b + 1]]
            np.testing.assert_array_equal(record.values[index], expected)
            n += 1
    sizes = molecules.n_atoms
    assert n == (sizes * (sizes + 1) // 2).sum()


def test_a_record_without_rows_has_no_blocks(record):
    blocks = record[[]].blocks
    assert blocks.on_site == {} and blocks.off_site == {}
    assert record[[]].gap().shape == (0,) and record[[]].orbital_energies() == []


# ------------------------------------------------------------ electrons, levels


@pytest.mark.parametrize(
    "names, shells, charge, expected",
    [
        (["O", "H", "H"], {"O": (0, 1), "H": (0,)}, 0, 8),
        (["O", "H", "H"], {"O": (0, 0, 1), "H": (0,)}, 0, 10),
        (["O", "H"], {"O": (0, 0, 1), "H": (0, 0)}, -1, 10),
        (["O", "H"], {"O": (0, 1), "H": (0, 0)}, 1, 6),
        (["Ti"], {"Ti": (2, 0, 1)}, 0, 4),
        (["Ti"], {"Ti": (0, 0, 0, 0, 1, 1, 2)}, 0, 22),
        (["Zn"], {"Zn": (0, 1)}, 0, 2),
        (["Cl"], {"Cl": (0, 1, 2)}, 0, 7),
        (["He"], {"He": (0,)}, 0, 2),
    ],
)
def test_electrons_are_counted_by_the_basis(names, shells, charge, expected):
    molecules = Molecules.from_lists(
        [names], [np.arange(len(names))[:, None] * [1.0, 0, 0]], charge=[charge]
    )
    size = int(Basis(shells).n_orbitals(molecules.z).sum())
    record = Hamiltonians(molecules, shells, np.zeros(size * (size + 1) // 2))
    assert record.n_electrons.tolist() == [expected]


@pytest.mark.parametrize(
    "names, shells, message",
    [
        (["I"], {"I": (0, 0, 1, 1, 2)}, r"\['I'\] has no shells for all electrons, and more"),
        (["C", "O"], {"C": (0, 0, 1), "O": (0, 1)}, r"\['C'\] has shells for all electrons, "
         r"that of \['O'\] for valence electrons only"),
    ],
)  # fmt: skip
def test_electrons_that_nobody_can_count_are_asked_for(names, shells, message):
    molecules = Molecules.from_lists([names], [np.arange(len(names))[:, None] * [1.0, 0, 0]])
    size = int(Basis(shells).n_orbitals(molecules.z).sum())
    flat = np.zeros(size * (size + 1) // 2)
    with pytest.raises(ValueError, match=message + ".*pass n_electrons"):
        Hamiltonians(molecules, shells, flat)
    assert Hamiltonians(molecules, shells, flat, n_electrons=[7]).n_electrons[0] == 7


@pytest.mark.parametrize(
    "n, homo, lumo, occupied",
    [(0, np.nan, 1, 0), (1, 1, 1, 1), (2, 1, 2, 1), (3, 2, 2, 2), (6, 3, np.nan, 3)],
)
def test_levels_are_filled_from_below(n, homo, lumo, occupied):
    h3 = Molecules.from_lists([["H"] * 3], [[[0, 0, 0], [0, 0, 1], [0, 0, 2]]])
    record = Hamiltonians(
        h3, {"H": (0,)}, [2, 0, 1, 0, 0, 3], [1, 0, 1, 0, 0, 1], n_electrons=[n]
    )
    np.testing.assert_allclose([record.homo()[0], record.lumo()[0]], [homo, lumo])
    np.testing.assert_allclose(record.gap()[0], lumo - homo)
    np.testing.assert_allclose(record.occupied()[0], [1, 2, 3][:occupied])
    np.testing.assert_allclose(np.trace(record.density(0)), n, atol=1e-12)


def test_levels_solve_the_generalised_problem(record):
    for i in range(len(record)):
        h, s = record.matrix(i), record.overlap(i)
        levels, orbitals = record.solve(i)
        np.testing.assert_allclose(h @ orbitals, s @ orbitals * levels, atol=1e-9)
        np.testing.assert_allclose(orbitals.T @ s @ orbitals, np.eye(len(s)), atol=1e-9)
        np.testing.assert_allclose(record.orbital_energies()[i], levels, atol=1e-9)
        assert np.trace(record.density(i) @ s) == pytest.approx(record.n_electrons[i])


def test_an_overlap_that_is_none_is_named():
    h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.7]]])
    record = Hamiltonians(h2, {"H": (0,)}, np.zeros(3), [1.0, 2.0, 1.0])
    with pytest.raises(ValueError, match=r"molecule 0 \('H2'\) is not positive .* -1"):
        record.gap()


# ----------------------------------------------------------------- populations


@pytest.mark.parametrize("sign", [1, -1])
def test_populations_along_a_bond_do_not_depend_on_the_frame(sign):
    record = pyscf_record()[1]
    matrix = sign * Rotation.random(random_state=3).as_matrix()
    other = rotated(record, matrix)
    axis = record.molecules.positions[1] - record.molecules.positions[0]
    here, there = record.populations(0, axis), other.populations(0, matrix @ axis)
    # The frame around the axis is free: only the sums over ±m mean something.
    for l in (0, 1, 2):
        for m in range(l + 1):
            pair = sorted({l * l + l - m, l * l + l + m})
            np.testing.assert_allclose(
                here[:, pair].sum(1), there[:, pair].sum(1), atol=1e-9
            )
    assert np.abs(here - record.populations(0)).max() > 1e-2
    np.testing.assert_allclose(here.sum(1), record.populations(0).sum(1), atol=1e-9)
    assert here.shape == (4, 16) and not here[:, 9:].any()


@pytest.mark.parametrize("n", range(1, 9))
def test_atoms_that_are_alike_have_the_same_electrons(n):
    """A square of hydrogen, whose middle levels are equal: any two orbitals are as good."""
    square = Molecules.from_lists([["H"] * 4], [[[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]])
    overlap = np.eye(4) + 0.2 * (np.eye(4)[[1, 2, 3, 0]] + np.eye(4)[[3, 0, 1, 2]])
    record = Hamiltonians.from_matrices(
        square, [-10 * overlap - 3 * np.eye(4)], [overlap], basis={"H": (0,)}, n_electrons=[n]
    )
    np.testing.assert_allclose(record.populations(0)[:, 0], n / 4, atol=1e-9)
    assert metrics.population_mae(record, record) < 1e-12
    tilted = record.with_values(record.values + 1e-3 * np.arange(10))
    assert metrics.population_mae(record, tilted) == pytest.approx(
        np.abs(record.populations(0) - tilted.populations(0)).sum() / 4, abs=1e-12
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_a_turned_record_is_one_of_the_turned_molecules(sign):
    """Its overlaps are of the right form, and nothing that can be measured has changed."""
    record = gaussian_record(provenance="numbers")
    matrix = sign * Rotation.random(random_state=8).as_matrix()
    other = rotated(record, matrix)
    again = Hamiltonians.from_matrices(
        other.molecules, [other.matrix(i) for i in range(5)],
        [other.overlap(i) for i in range(5)], basis=MIXED, n_electrons=record.n_electrons,
        provenance="numbers",
    )  # fmt: skip
    assert again == other
    np.testing.assert_allclose(
        other.molecules.positions, record.molecules.positions @ matrix.T, atol=1e-14
    )
    for mine, theirs in zip(record.orbital_energies(), other.orbital_energies(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)
    back = rotated(other.with_overlaps(None), matrix.T)
    assert back.overlap_values is None
    np.testing.assert_allclose(back.values, record.values, atol=1e-12)


def test_forces_and_dipoles_turn_with_the_molecules():
    record, names = pyscf_record(), ["dipole_x_d", "dipole_y_d", "dipole_z_d"]
    forces, dipoles = np.arange(21.0).reshape(-1, 3), np.array([[0, 1.0, 2], [3, np.nan, 0]])
    matrix = -Rotation.random(random_state=1).as_matrix()
    labels = pd.DataFrame(dipoles, columns=names).assign(dipole_mag_d=5**0.5)
    given = replace(record.molecules, forces=forces, labels=labels, units=None)
    moved = rotated(replace(record, molecules=given), matrix).molecules
    np.testing.assert_allclose(moved.forces, forces @ matrix.T)
    np.testing.assert_allclose(moved.labels[names].iloc[0], matrix @ dipoles[0])
    np.testing.assert_allclose(np.linalg.norm(moved.labels[names].iloc[0]), 5**0.5)
    assert moved.labels["dipole_mag_d"].equals(labels["dipole_mag_d"])
    assert rotated(record, matrix).molecules.labels.equals(record.molecules.labels)
    for wrong in (np.eye(3)[None], 2 * np.eye(3)):
        with pytest.raises(ValueError, match="shape|orthogonal"):
            rotated(record, wrong)


def test_populations_are_by_l_and_m():
    """Two electrons in p_x of an atom, in the frame and along an axis."""
    atom = Molecules.from_lists([["O"]], [[[0, 0, 0]]])
    h = np.diag([5.0, 4.0, 4.0, -1.0])
    record = Hamiltonians.from_matrices(atom, [h], [np.eye(4)], basis={"O": (0, 1)},
                                        n_electrons=[2])  # fmt: skip
    assert record.populations(0)[0, :4].tolist() == [0, 0, 0, 2]
    along = record.populations(0, [-3, 0, 0])[0, :4]
    np.testing.assert_allclose(along, [0, 0, 2, 0], atol=1e-12)
    for axis in ([0, 0, 0], [1, 0], [np.nan, 0, 0]):
        with pytest.raises(ValueError, match="axis must be a vector of three numbers"):
            record.populations(0, axis)


def test_g_shells_have_their_populations_too():
    atom = Molecules.from_lists([["O"]], [[[0, 0, 0]]])
    h = np.diag([-1.0] + [0.0] * 9)
    record = Hamiltonians.from_matrices(atom, [h], [np.eye(10)], basis={"O": (0, 4)},
                                        n_electrons=[20])  # fmt: skip
    np.testing.assert_allclose(record.populations(0)[0], [2] + [0] * 15 + [2] * 9)


# ----------------------------------------------------------------------- sparse


def test_sparse_arrays_are_the_matrices(record):
    h, s = record.to_scipy(1)
    np.testing.assert_array_equal(h.toarray(), record.matrix(1))
    np.testing.assert_array_equal(s.toarray(), record.overlap(1))
    small = record.to_scipy(1, cutoff=0.5)[0]
    assert 0 < small.nnz < h.nnz and np.abs(small.data).min() > 0.5
    assert record.with_overlaps(None).to_scipy(0)[1] is None


# ------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    "make",
    [
        lambda r: r, lambda r: r[1:3], lambda r: r[[]], lambda r: r.with_overlaps(None),
        lambda r: r.in_unit("hartree"), lambda r: pyscf_record(),
    ],
)  # fmt: skip
def test_files_round_trip_to_the_last_bit(record, make, tmp_path):
    some, path = make(record), tmp_path / "file.npz"
    some.save(path)
    loaded = Hamiltonians.load(path)
    assert loaded == some and Molecules.load(path) == some.molecules
    assert pickle.loads(pickle.dumps(some)) == some == copy.deepcopy(some)
    with np.load(path, allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind != "O" for name in arrays)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_ends_early_is_refused(record, tmp_path, share):
    path = tmp_path / "file.npz"
    record.save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="file.npz' is not a complete Hamiltonians file"):
        Hamiltonians.load(path)


@pytest.mark.parametrize(
    "name, value",
    [
        ("hamiltonian_values", None), ("hamiltonian_values", np.zeros(3)),
        ("hamiltonian_values", np.zeros((3, 3))), ("hamiltonian_overlap_values", np.zeros(2)),
        ("hamiltonian_values", np.array([object()])), ("hamiltonian_unit", np.array("Ry")),
        ("hamiltonian_shells", np.array([[1, 9]], np.uint8)),
        ("hamiltonian_shells", np.array([[200, 0]], np.uint8)),
        ("hamiltonian_shells", np.zeros((0, 2), np.uint8)),
        ("hamiltonian_n_electrons", np.array([1])), ("z", np.array([99], np.uint8)),
        ("hamiltonian_n_electrons", np.full(5, 999)), ("positions", None),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(record, tmp_path, name, value):
    path = tmp_path / "file.npz"
    record.save(path)
    with np.load(path) as file:
        arrays = dict(file)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="file.npz' is not a complete Hamiltonians file"):
        Hamiltonians.load(path)


def test_flipped_bits_are_noticed(record, tmp_path):
    path = tmp_path / "file.npz"
    record.save(path)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("hamiltonian_values.npy")
    data = bytearray(path.read_bytes())
    data[info.header_offset + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not a complete Hamiltonians file"):
        Hamiltonians.load(path)


def test_files_that_are_too_large_or_absent_are_told_apart(record, tmp_path):
    record.save(tmp_path / "file.npz")
    with pytest.raises(ValueError, match="more than max_bytes=100"):
        Hamiltonians.load(tmp_path / "file.npz", max_bytes=100)
    with pytest.raises(FileNotFoundError):
        Hamiltonians.load(tmp_path / "none.npz")


def test_interrupted_saving_leaves_the_old_file(record, tmp_path, monkeypatch):
    path = tmp_path / "file.npz"
    record[:2].save(path)

    def interrupt(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        record.save(path)
    assert os.listdir(tmp_path) == ["file.npz"] and Hamiltonians.load(path) == record[:2]


def test_workers_of_joblib_get_the_record(record):
    gaps = joblib.Parallel(n_jobs=2)(
        joblib.delayed(lambda part: float(part.gap()[0]))(record[i]) for i in range(3)
    )
    np.testing.assert_allclose(gaps, record.gap()[:3])

"""Published Hamiltonians, read from files that are written here in the published layouts."""

import random
import sqlite3
import sys
from base64 import b64encode

import numpy as np
import pytest
from _hamiltonian_data import DEF2_SVP, pyscf_record

from qcanvas_sklearn.hamiltonians import (
    Basis,
    read_nabladft,
    read_omol,
    read_qh9,
    read_schnorb,
)
from qcanvas_sklearn.hamiltonians._conventions import (
    orbital_order,
    to_canonical,
    to_convention,
)
from qcanvas_sklearn.hamiltonians._omol import _electrons
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import HARTREE_IN_EV

BOHR = 0.529177210903


@pytest.fixture(scope="module")
def record():
    """Water and formaldehyde, five times in turn, each time turned by another angle."""
    return pyscf_record()[[0, 1, 0, 1, 0]]


def overwrite(path, statement, *values):
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


# -------------------------------------------------------------------------- QH9


def write_qh9(path, record, n_atoms=None):
    """As the authors wrote QH9Stable.db: numbers as blobs of int32 and float64."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE data (id INTEGER, N INTEGER, Z BLOB, pos BLOB, Ham BLOB)")
    for i in range(len(record)):
        molecule = record.molecules[i]
        connection.execute(
            "INSERT INTO data VALUES (?, ?, ?, ?, ?)",
            (
                10 + i, len(molecule.z), molecule.z.astype("<i4").tobytes(),
                molecule.positions.tobytes(), record.matrix(i, "pyscf").tobytes(),
            ),
        )  # fmt: skip
    connection.commit()
    connection.close()
    return path


def write_qh9_dynamic(path, record, n):
    """As QH9Dynamic_300k.db: numpy's integers as blobs, bohr, the matrix in column ten."""
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE data (id, geo_id, N, Z BLOB, pos BLOB, a BLOB, b BLOB, c BLOB, d BLOB, "
        "Hamiltonian BLOB)"
    )
    z, matrix = record.molecules[0].z, record.matrix(0, "pyscf").tobytes()
    positions = (record.molecules[0].positions / BOHR).tobytes()
    rows = [
        (np.int64(7 + k // 100).tobytes(), k % 100, len(z), z.astype("<i4").tobytes(),
         positions, b"", b"", b"", b"", matrix)
        for k in range(n)
    ]  # fmt: skip
    connection.executemany("INSERT INTO data VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


def test_qh9_is_read_to_the_last_bit(record, tmp_path):
    read = read_qh9(write_qh9(tmp_path / "QH9Stable.db", record))
    assert read.data.names.tolist() == [f"qh9:{10 + i}" for i in range(5)]
    np.testing.assert_array_equal(read.data.positions, record.molecules.positions)
    np.testing.assert_array_equal(read.target.values, record.values)
    assert read.target.molecules == read.data and read.target.overlap_values is None
    assert read.target.unit == "hartree" and "B3LYP" in read.target.provenance
    assert read.target.n_electrons.tolist() == [10, 16, 10, 16, 10]


@pytest.mark.parametrize(
    "rows, taken",
    [
        (slice(1, 3), [1, 2]), ([4, 0], [4, 0]), (3, [3]), ([True] + [False] * 4, [0]),
        ([], []),
    ],
)  # fmt: skip
def test_chosen_rows_alone_are_read(record, tmp_path, rows, taken):
    path = write_qh9(tmp_path / "QH9Stable.db", record)
    overwrite(path, "UPDATE data SET Ham = ? WHERE id NOT IN (" + ",".join(
        str(10 + k) for k in taken) + ")", b"damaged")  # fmt: skip
    rows = np.array(rows, dtype=int) if rows == [] else rows
    read = read_qh9(path, rows)
    assert read.rows.tolist() == taken
    np.testing.assert_array_equal(read.target.values, record[taken].values)
    for name, parts in read.splits.items():
        if name == "ood":
            assert sorted(np.concatenate(parts).tolist()) == list(range(len(taken)))
    if len(taken) < 5:
        with pytest.raises(ValueError, match="row .: Ham holds 7 bytes"):
            read_qh9(path)


def test_the_splits_of_qh9_are_the_official_ones(record, tmp_path):
    read = read_qh9(write_qh9(tmp_path / "QH9Stable.db", record))
    order = np.random.RandomState(seed=43).permutation(5)
    for part, rows in zip(read.splits["id"], (order[:4], order[4:4], order[4:]), strict=True):
        np.testing.assert_array_equal(part, rows)
    # Of five small molecules, none is large.
    assert [len(part) for part in read.splits["ood"]] == [5, 0, 0]
    some = read_qh9(tmp_path / "QH9Stable.db", order[3:])
    assert [part.tolist() for part in some.splits["id"]] == [[0], [], [1]]


def test_dynamic_qh9_is_in_bohr_and_split_by_molecules(record, tmp_path):
    path = write_qh9_dynamic(tmp_path / "QH9Dynamic_300k.db", record, 300)
    read = read_qh9(path)
    np.testing.assert_allclose(read.data[5].positions, record.molecules[0].positions)
    assert read.data.names[[0, 101]].tolist() == ["qh9:7:0", "qh9:8:101"]
    np.testing.assert_array_equal(read.groups, np.arange(300) // 100)
    train, validation, test = read.splits["geo"]
    assert [len(part) for part in read.splits["geo"]] == [240, 30, 30]
    first = np.random.RandomState(seed=99).permutation(100)
    np.testing.assert_array_equal(train[:80], first[:80])
    np.testing.assert_array_equal(test[:10], first[90:])
    second = 100 + np.random.RandomState(seed=199).permutation(100)
    np.testing.assert_array_equal(validation[10:20], second[80:90])
    order = [0, 1, 2]
    random.seed(43)
    random.shuffle(order)
    assert [sorted(set(read.groups[part].tolist())) for part in read.splits["mol"]] == [
        sorted(order[:2]), [], order[2:]
    ]  # fmt: skip
    assert read_qh9(write_qh9_dynamic(tmp_path / "part.db", record, 30)).splits == {}


def test_qh9_in_another_order_is_noticed(record, tmp_path):
    path = write_qh9(tmp_path / "QH9Stable.db", record)
    for i in range(5):
        overwrite(
            path, "UPDATE data SET Ham = ? WHERE id = ?",
            record.matrix(i, "orca").tobytes(), 10 + i,
        )  # fmt: skip
    with pytest.raises(ValueError, match="QH9Stable.db' cannot .* order and signs of 'psi4'"):
        read_qh9(path)


@pytest.mark.parametrize(
    "statement, values, message",
    [
        ("UPDATE data SET Ham = ? WHERE id = 12", (b"12345678",), "row 2: Ham holds 8 bytes"),
        ("UPDATE data SET Ham = NULL WHERE id = 12", (), "row 2: Ham holds None"),
        ("UPDATE data SET N = 4 WHERE id = 12", (), "row 2: Z holds 12 bytes, expected 16"),
        ("UPDATE data SET N = 'x' WHERE id = 12", (), "row 2: N is 'x', no number of atoms"),
        ("UPDATE data SET N = 0 WHERE id = 12", (), "row 2: N is 0"),
        ("UPDATE data SET pos = ? WHERE id = 12", (b"",), "row 2: pos holds 0 bytes"),
        ("UPDATE data SET Z = ? WHERE id = 12", (np.array([8, 1, 99], "<i4").tobytes(),),
         r"no shells for \['Es'\]"),
        ("UPDATE data SET pos = ? WHERE id = 12", (np.zeros(9).tobytes(),), "0 Å apart"),
        ("UPDATE data SET Ham = ? WHERE id = 12", (np.full((24, 24), np.nan).tobytes(),),
         "matrix 2 .* not finite"),
        ("ALTER TABLE data RENAME COLUMN pos TO positions", (), r"no columns \['pos'\]"),
        ("ALTER TABLE data RENAME COLUMN Ham TO F", (), "no column 'Ham'"),
        ("DROP TABLE data", (), r"no columns \['id', 'N', 'Z', 'pos'\], only \[\]"),
    ],
)  # fmt: skip
def test_damaged_qh9_is_refused(record, tmp_path, statement, values, message):
    path = write_qh9(tmp_path / "QH9Stable.db", record)
    overwrite(path, statement, *values)
    with pytest.raises(ValueError, match="Stable.db' cannot be read as .* QH9: .*" + message):
        read_qh9(path)


# --------------------------------------------------------------------- nablaDFT


def write_nabladft(path, record, convention="psi4", moses=True):
    """As the authors' HamiltonianDatabase writes: int32 and float32 blobs, bohr."""

    def f32(array):
        return np.ascontiguousarray(array, dtype="<f4").tobytes()

    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE data (id INTEGER NOT NULL PRIMARY KEY, Z BLOB, R BLOB, E FLOAT, F BLOB, "
        "H BLOB, S BLOB, C BLOB)"
    )
    connection.execute(
        "CREATE TABLE nuclear_charges (id INTEGER NOT NULL PRIMARY KEY, N INTEGER, Z BLOB)"
    )
    connection.execute(
        "CREATE TABLE basisset (Z INTEGER NOT NULL PRIMARY KEY, orbitals BLOB)"
    )
    connection.execute("CREATE TABLE metadata (id INTEGER PRIMARY KEY, N INTEGER)")
    connection.execute("INSERT INTO metadata VALUES (0, ?)", (len(record),))
    for z, symbol in ((1, "H"), (6, "C"), (8, "O")):
        shells = np.array(DEF2_SVP[symbol], "<i4").tobytes()
        connection.execute("INSERT INTO basisset VALUES (?, ?)", (z, shells))
    if moses:
        connection.execute(
            "CREATE TABLE dataset_ids (id INTEGER NOT NULL PRIMARY KEY, MOSES_ID INT, "
            "CONFORMER_ID INT)"
        )
    for i in range(len(record)):
        molecule = record.molecules[i]
        connection.execute(
            "INSERT INTO data VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                i, molecule.z.astype("<i4").tobytes(), f32(molecule.positions / BOHR),
                -70.0 - i, f32(0.01 * molecule.positions), f32(record.matrix(i, convention)),
                f32(record.overlap(i, convention)), f32(2 * record.matrix(i, convention)),
            ),
        )  # fmt: skip
        if moses:
            connection.execute("INSERT INTO dataset_ids VALUES (?, ?, ?)", (i, 40 + i % 2, i))
    connection.commit()
    connection.close()
    return path


def test_nabladft_is_read_in_single_precision(record, tmp_path):
    read = read_nabladft(write_nabladft(tmp_path / "train.db", record), core=True)
    np.testing.assert_array_equal(read.target.values, record.values.astype(np.float32))
    np.testing.assert_allclose(read.target.overlap_values, record.overlap_values, atol=1e-7)
    np.testing.assert_allclose(read.data.positions, record.molecules.positions, atol=1e-6)
    np.testing.assert_allclose(
        read.data.forces, 0.01 * read.data.positions * HARTREE_IN_EV / BOHR, rtol=1e-6
    )
    energies = read.data.labels["total_energy_ev"]
    np.testing.assert_allclose(energies, -HARTREE_IN_EV * (70 + np.arange(5)))
    np.testing.assert_array_equal(read.core.values, 2 * read.target.values)
    assert read.core.overlap_values is not None and "core" in read.core.provenance
    assert read.groups.tolist() == [0, 1, 0, 1, 0] and read.target.unit == "hartree"
    np.testing.assert_allclose(read.target.gap(), record.gap(), atol=1e-4)
    assert read.target.molecules == read.data


def test_nabladft_without_the_numbers_of_conformers(record, tmp_path):
    path = write_nabladft(tmp_path / "train.db", record, moses=False)
    read = read_nabladft(path, [3, 1])
    assert read.rows.tolist() == [3, 1] and read.core is None
    assert read.data.names.tolist() == ["nabladft:3", "nabladft:1"]
    assert read.data.groups is None


def test_a_file_of_phisnet_is_told_from_one_of_nabladft(record, tmp_path):
    path = write_nabladft(tmp_path / "h2o.db", record, "qcanvas", moses=False)
    for convention in (None, "qcanvas"):
        read = read_nabladft(path, convention=convention)
        np.testing.assert_array_equal(read.target.values, record.values.astype(np.float32))
    with pytest.raises(ValueError, match="h2o.db' .* right as convention 'qcanvas'"):
        read_nabladft(path, convention="psi4")
    with pytest.raises(ValueError, match="^unknown convention 'phisnet'"):
        read_nabladft(path, convention="phisnet")
    path = write_nabladft(tmp_path / "other.db", record, "pyscf", moses=False)
    with pytest.raises(ValueError, match="order and signs of convention 'psi4'.*'pyscf'"):
        read_nabladft(path)


def test_energies_and_forces_may_be_missing(record, tmp_path):
    path = write_nabladft(tmp_path / "train.db", record)
    overwrite(path, "UPDATE data SET E = NULL, F = NULL, C = NULL WHERE id = 1")
    read = read_nabladft(path)
    assert np.isnan(read.data.labels["total_energy_ev"]).tolist() == [0, 1, 0, 0, 0]
    assert np.isnan(read.data[1].forces).all() and np.isfinite(read.data[0].forces).all()
    with pytest.raises(ValueError, match="row 1 has no core Hamiltonian"):
        read_nabladft(path, core=True)
    overwrite(path, "UPDATE data SET E = NULL, F = NULL")
    read = read_nabladft(path)
    assert read.data.forces is None and list(read.data.labels) == []


@pytest.mark.parametrize(
    "statement, values, message",
    [
        ("UPDATE data SET S = ? WHERE id = 3", (b"1",), "row 3: S holds 1 bytes"),
        ("UPDATE data SET H = NULL WHERE id = 3", (), "row 3: H holds None"),
        ("UPDATE data SET R = 'text' WHERE id = 3", (), "row 3: R holds 'text'"),
        ("UPDATE data SET Z = ? WHERE id = 3", (b"",), "row 3: Z holds no atoms"),
        ("UPDATE data SET E = 'low' WHERE id = 3", (), "row 3: E is 'low', no energy"),
        ("UPDATE data SET F = ? WHERE id = 3", (b"12",), "row 3: F holds 2 bytes"),
        ("DELETE FROM basisset WHERE Z = 6", (), r"no shells for \['C'\]"),
        ("UPDATE basisset SET orbitals = ? WHERE Z = 6", (b"123",), "basisset 6 holds 3 bytes"),
        ("UPDATE basisset SET Z = 200 WHERE Z = 6", (), "atomic number 200"),
        ("DROP TABLE basisset", (), "no table 'basisset'"),
        ("ALTER TABLE data RENAME COLUMN S TO overlap", (), r"no columns \['S'\]"),
    ],
)  # fmt: skip
def test_damaged_nabladft_is_refused(record, tmp_path, statement, values, message):
    path = write_nabladft(tmp_path / "train.db", record)
    overwrite(path, statement, *values)
    with pytest.raises(ValueError, match="train.db' cannot be read .* nablaDFT: .*" + message):
        read_nabladft(path)


# ---------------------------------------------------------------------- SchNOrb


def write_schnorb(path, record, encode=False, change=lambda data: data):
    """As the data of SchNOrb: arrays in the data of ase's rows, or encoded as base64."""
    ase = pytest.importorskip("ase")
    from ase.db import connect

    with connect(str(path), type="db") as database:
        for i in range(len(record)):
            molecule = record.molecules[i]
            data = {
                "hamiltonian": record.matrix(i, "orca"),
                # ORCA prints so many digits of the overlaps.
                "overlap": record.overlap(i, "orca").round(6),
                "energy": np.array([-76.0 - i]), "forces": 0.01 * molecule.positions,
            }  # fmt: skip
            if encode:
                data = {
                    key: text
                    for name, array in data.items()
                    for key, text in (
                        (name, b64encode(np.ascontiguousarray(array).tobytes()).decode()),
                        (f"_shape_{name}", array.shape), (f"_dtype_{name}", str(array.dtype)),
                    )
                }  # fmt: skip
            atoms = ase.Atoms(molecule.z, molecule.positions)
            database.write(atoms, data=change(data))
    return path


@pytest.mark.parametrize("encode", [False, True])
def test_schnorb_is_read(record, tmp_path, encode):
    path = write_schnorb(tmp_path / "schnorb_hamiltonian_water.db", record[[0, 0]], encode)
    read = read_schnorb(path)
    expected = record[[0, 0]]
    np.testing.assert_array_equal(read.target.values, expected.values)
    np.testing.assert_allclose(read.target.overlap_values, expected.overlap_values, atol=5e-7)
    np.testing.assert_allclose(read.data.positions, expected.molecules.positions)
    assert read.data.names.tolist() == ["water:0", "water:1"]
    assert read.groups.tolist() == [0, 0] and read.data.forces is None
    np.testing.assert_allclose(
        read.data.labels["total_energy_ev"], [-76 * HARTREE_IN_EV, -77 * HARTREE_IN_EV]
    )
    np.testing.assert_allclose(read.target.gap(), expected.gap(), atol=1e-4)
    assert read_schnorb(path, [1]).target == read.target[[1]]


@pytest.mark.parametrize(
    "unit, factor",
    [("hartree/bohr", HARTREE_IN_EV / BOHR), ("hartree/angstrom", HARTREE_IN_EV)],
)
def test_forces_of_schnorb_are_read_in_the_stated_unit(record, tmp_path, unit, factor):
    path = write_schnorb(tmp_path / "water.db", record[:2])
    read = read_schnorb(path, forces_unit=unit)
    np.testing.assert_allclose(read.data.forces, 0.01 * factor * read.data.positions)
    with pytest.raises(ValueError, match="^forces_unit='eV' is not one of"):
        read_schnorb(path, forces_unit="eV")


def without(*names):
    return lambda data: {key: value for key, value in data.items() if key not in names}


def put(**values):
    return lambda data: data | values


@pytest.mark.parametrize(
    "change, message",
    [
        (without("overlap"), r"row 0 has no 'overlap' in its data, only \['energy'"),
        (put(hamiltonian=np.eye(3)), r"matrix 0 .* has shape \(3, 3\), expected \(24, 24\)"),
        (put(hamiltonian="no base64!"), "row 0: hamiltonian is no array"),
        (put(overlap="AAAA"), "row 0: overlap is no array"),
        (put(overlap={"a": 1}), "row 0: overlap is no array"),
        (put(forces=np.zeros((2, 3))), "row 0: forces have shape"),
        (put(energy=np.zeros(2)), "row 0: energy has shape"),
        (put(overlap=np.full((24, 24), np.inf)), "overlap 0 .* not finite"),
    ],
)
def test_damaged_schnorb_is_refused(record, tmp_path, change, message):
    path = write_schnorb(tmp_path / "water.db", record[[0]], change=change)
    with pytest.raises(ValueError, match="water.db' cannot be read as .* SchNOrb: " + message):
        read_schnorb(path)


def test_schnorb_in_another_basis_or_order_is_noticed(record, tmp_path):
    path = write_schnorb(tmp_path / "water.db", record[[0]])
    with pytest.raises(ValueError, match=r"shell 2 \(p\) of atom 0 \(O\) is not zero"):
        read_schnorb(path, basis={"H": (0, 0, 1), "O": (0, 0, 1, 0, 1, 2)})
    with pytest.raises(ValueError, match="2e-14 is accepted"):
        read_schnorb(path, tolerance=2e-14)
    with pytest.raises(ValueError, match="^the shells of H must"):
        read_schnorb(path, basis={"H": ()})
    assert len(read_schnorb(path, basis=DEF2_SVP).target) == 1


def test_forces_that_are_not_there_are_missed(record, tmp_path):
    path = write_schnorb(tmp_path / "water.db", record[[0]], change=without("forces", "energy"))
    assert list(read_schnorb(path).data.labels) == []
    with pytest.raises(ValueError, match="its rows have no forces"):
        read_schnorb(path, forces_unit="hartree/bohr")


# ------------------------------------------------------------------------- OMol

#: The third s shell of each element stands behind the others, as diffuse ones do.
DIFFUSE = {"H": (0, 1, 0), "C": (0, 0, 1, 1, 2, 0), "O": (0, 0, 1, 1, 2, 0)}


def diffuse_matrices(record):
    """The Hamiltonians with the last s shell of each atom moved behind its other shells."""
    matrices = []
    for i in range(len(record)):
        orbitals = record.basis.orbitals(record.molecules[i].z)
        last_s = np.array([
            shell == max(orbitals.shell[(orbitals.atom == atom) & (orbitals.l == 0)])
            for atom, shell in zip(orbitals.atom, orbitals.shell, strict=True)
        ])  # fmt: skip
        order = np.lexsort((np.arange(len(orbitals)), last_s, orbitals.atom))
        matrices.append(record.matrix(i)[np.ix_(order, order)])
    return matrices


def write_omol(path, record, sort=True, name="set/mol"):
    """As released: ORCA's order turned into canonical as if the shells were sorted by l."""
    h5py = pytest.importorskip("h5py")
    true, assumed = (
        Basis({k: sorted(v) if again else v for k, v in DIFFUSE.items()})
        for again in (False, sort)
    )
    with h5py.File(path, "w") as file:
        for i, matrix in enumerate(diffuse_matrices(record)):
            z = record.molecules[i].z
            raw = to_convention(matrix, *orbital_order(true, z, "orca"))
            stored = to_canonical(raw, *orbital_order(assumed, z, "orca"))
            group = file.create_group(f"{name}_{i}")
            group["fock"] = stored[np.triu_indices(len(stored))]
            group["elements"] = z.astype(np.int32)
            group["coords"] = record.molecules[i].positions
            group.attrs["charge"], group.attrs["spin"] = -i, 1
    return path


def test_omol_is_read_in_the_true_order_of_the_shells(record, tmp_path):
    read = read_omol(write_omol(tmp_path / "omol.h5", record), basis=DIFFUSE)
    for i, matrix in enumerate(diffuse_matrices(record)):
        np.testing.assert_array_equal(read.target.matrix(i), matrix)
    assert read.data.names.tolist() == [f"set/mol_{i}" for i in range(5)]
    assert read.data.charge.tolist() == [0, -1, -2, -3, -4]
    assert read.target.n_electrons.tolist() == [10, 17, 12, 19, 14]
    np.testing.assert_allclose(read.data.positions, record.molecules.positions)
    some = read_omol(tmp_path / "omol.h5", [2, 0], basis=DIFFUSE)
    assert some.target == read.target[[2, 0]] and some.rows.tolist() == [2, 0]


@pytest.mark.parametrize(
    "wrong",
    [{k: sorted(v) for k, v in DIFFUSE.items()}, {k: v[::-1] for k, v in DIFFUSE.items()}],
)
def test_another_order_of_the_shells_is_noticed_in_omol(record, tmp_path, wrong):
    path = write_omol(tmp_path / "omol.h5", record)
    with pytest.raises(ValueError, match="cannot come from two .* is the order of the shells"):
        read_omol(path, basis=wrong)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("fock", np.zeros(3), r"molecule 'set/mol_1': fock has shape \(3,\)"),
        ("fock", np.zeros((2, 2)), r"fock has shape \(2, 2\)"),
        ("coords", np.zeros((1, 3)), r"coords has shape \(1, 3\)"),
        ("elements", np.zeros((4, 1), int), r"elements has shape \(4, 1\)"),
        ("elements", np.array([b"H"] * 4), "elements has shape"),
        ("elements", np.full(4, 99), r"no shells for \['Es'\]"),
        ("coords", None, r"molecule 'set/mol_1' lacks \['coords'\]"),
    ],
)
def test_damaged_omol_is_refused(record, tmp_path, key, value, message):
    path = write_omol(tmp_path / "omol.h5", record)
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "a") as file:
        del file[f"set/mol_1/{key}"]
        if value is not None:
            file[f"set/mol_1/{key}"] = value
    with pytest.raises(ValueError, match="omol.h5' cannot be read as .*58k: .*" + message):
        read_omol(path, basis=DIFFUSE)


def test_what_is_no_file_of_omol_is_refused(record, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = write_omol(tmp_path / "omol.h5", record)
    data = path.read_bytes()
    for content in (b"", b"text", data[: len(data) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no complete HDF5 file"):
            read_omol(path, basis=DIFFUSE)
    with h5py.File(path, "w") as file:
        file["other"] = [1]
    with pytest.raises(ValueError, match="no group with a 'fock'"):
        read_omol(path, basis=DIFFUSE)
    with pytest.raises(FileNotFoundError):
        read_omol(tmp_path / "none.h5", basis=DIFFUSE)


def test_without_h5py_its_reader_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"needs h5py.*qcanvas-sklearn\[hdf5\]"):
        read_omol(tmp_path / "omol.h5", basis=DIFFUSE)


@pytest.mark.parametrize(
    "name, explicit",
    [
        ("Kr", 36), ("Rb", 9), ("I", 25), ("Xe", 26), ("Cs", 9), ("Lu", 43), ("Hf", 12),
        ("Rn", 26),
    ],
)  # fmt: skip
def test_pseudopotentials_stand_for_their_electrons(name, explicit):
    atom = Molecules.from_lists([[name]], [[[0, 0, 0]]], charge=[1])
    assert _electrons(atom).tolist() == [explicit - 1]


def test_the_def2_bases_end_with_radon():
    with pytest.raises(ValueError, match="end with element 86, got 87"):
        _electrons(Molecules.from_lists([["Fr"]], [[[0, 0, 0]]]))


# -------------------------------------------------------------------- all of them


def test_what_is_no_database_is_refused_and_left_alone(tmp_path):
    for read in (read_qh9, read_nabladft, read_schnorb):
        if read is read_schnorb:
            pytest.importorskip("ase")
        for content in (b"", b"text", b"SQLite format 3\0" + bytes(4000)):
            path = tmp_path / "some.db"
            path.write_bytes(content)
            with pytest.raises(ValueError, match="some.db' cannot be read as a file of"):
                read(path)
            assert path.read_bytes() == content
            assert [file.name for file in tmp_path.iterdir()] == ["some.db"]
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.db")
        assert not (tmp_path / "none.db").exists()
        with pytest.raises(OSError):
            read(tmp_path)


@pytest.mark.parametrize(
    "write, read",
    [(write_qh9, read_qh9), (write_nabladft, read_nabladft), (write_schnorb, read_schnorb)],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_files_that_end_early_are_refused(record, tmp_path, write, read, share):
    path = write(tmp_path / "a # b?.db", record)
    assert len(read(path).target) == 5  # whatever its name is
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match="cannot be read as a file of"):
        read(path)


@pytest.mark.parametrize(
    "write, read",
    [(write_qh9, read_qh9), (write_nabladft, read_nabladft), (write_schnorb, read_schnorb)],
)
def test_rows_that_are_not_there_are_an_index_error(record, tmp_path, write, read):
    path = write(tmp_path / "some.db", record)
    for rows in ([5], 9, [True, False]):
        with pytest.raises(IndexError):
            read(path, rows)

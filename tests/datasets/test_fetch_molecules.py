"""QM9, MD17 and CrysMTM, made in their published layouts and served by a local server."""

import hashlib
import io
import os
import tarfile
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from _crysmtm_files import VALUES, crysmtm_files, zip_of
from _http_server import serve

from qcanvas_sklearn.datasets import (
    _crysmtm,
    _fetch,
    _md17,
    _qm9,
    fetch_crysmtm,
    fetch_md17,
    fetch_qm9,
    read_crysmtm,
    read_md17,
    read_qm9,
)
from qcanvas_sklearn.datasets._fetch import RemoteFile, _download
from qcanvas_sklearn.datasets._members import file_members

HARTREE, KCAL = 27.211386245988, 0.0433641043

#: The first record of the data set, as published.
METHANE = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\t\
-40.47893\t-40.476062\t-40.475117\t-40.498597\t6.469\t
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 0.002150416\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078
C\tC\t
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""


def water(number, x="0.0343604951"):
    """A record in the same layout."""
    return (
        f"3\ngdb {number}\t799.58812\t437.90386\t282.94545\t1.8511\t6.31\t-0.2928\t0.0687"
        "\t0.3615\t19.0002\t0.021375\t-76.404702\t-76.401867\t-76.400922\t-76.422349\t6.002\t\n"
        f"O\t{x}\t 0.9775395708\t 0.0076015923\t-0.589706\n"
        "H\t 0.0647664923\t 0.0205721989\t 0.0015346341\t 0.294853\n"
        "H\t 0.8717903737\t 1.3007924048\t 0.0006931336\t 0.294853\n"
        "1671.4222\t3803.6305\t3907.698\nO\tO\t\nInChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n"
    )


RECORDS = {1: METHANE, 3: water(3), 21: water(21), 133885: water(133885, "-1.5*^-6")}
#: Nine lines of header, numbers, and a line at the end.
UNCHARACTERIZED = (
    "Molecules that failed the consistency check\n" + "*" * 40 + "\n" + "text of 3 lines\n" * 7
    + "    21  C5H  OC1C    blah   0.01\n    58  C5H  OC1C    blah   0.02\n" + "-" * 40 + "\n"
)  # fmt: skip


def tar_of(files, mode="w:bz2"):
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode=mode) as archive:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return body.getvalue()


def qm9_archive(records=RECORDS):
    return tar_of({f"dsgdb9nsd_{k:06d}.xyz": text for k, text in records.items()})


def frames(n=1200, seed=0):
    """Positions, elements, energies and forces of water in motion, in the units of MD17."""
    rng = np.random.default_rng(seed)
    z = np.array([8, 1, 1], np.uint8)
    positions = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    positions = positions + 0.02 * rng.normal(size=(n, 3, 3))
    energy = -406757.59 + rng.normal(size=n)
    return positions, z, energy, rng.normal(size=(n, 3, 3))


def npz_of(**arrays):
    body = io.BytesIO()
    np.savez_compressed(body, **arrays)
    return body.getvalue()


def rmd17_npz():
    positions, z, energy, forces = frames()
    return npz_of(
        nuclear_charges=z, coords=positions, energies=energy, forces=forces,
        old_indices=np.arange(len(energy)), old_energies=energy, old_forces=forces,
    )  # fmt: skip


def md17_npz():
    positions, z, energy, forces = frames()
    return npz_of(E=energy[:, None], F=forces, R=positions, z=z, name=np.array("water"),
                  theory=np.array("PBE"), md5=np.array("00"), type=np.array("d"))  # fmt: skip


def rows_of(k):
    order = np.random.default_rng(k).permutation(1200)
    return order[:1000], order[1000:]


def rmd17_archive(**changes):
    files = {"rmd17/readme.txt": "text"}
    for name in ("azobenzene", "benzene", "ethanol"):
        files[f"rmd17/npz_data/rmd17_{name}.npz"] = rmd17_npz()
    for k in range(1, 6):
        for side, rows in zip(("train", "test"), rows_of(k), strict=True):
            files[f"rmd17/splits/index_{side}_0{k}.csv"] = "\n".join(map(str, rows)) + "\n"
    files |= changes
    return tar_of({name: text for name, text in files.items() if text is not None})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder of one's own, and http allowed."""
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path / "home"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("QCANVAS_OFFLINE", raising=False)
    monkeypatch.setattr(_fetch, "_download", partial(_download, schemes=("http",)))
    return tmp_path / "home"


@pytest.fixture
def served(monkeypatch):
    """Put a body in the place of a remote file."""
    with ExitStack() as stack:

        def place(module, constant, body):
            server = stack.enter_context(serve(body))
            remote = getattr(module, constant)
            md5 = remote.md5 and hashlib.md5(body, usedforsecurity=False).hexdigest()
            monkeypatch.setattr(
                module, constant, RemoteFile(remote.filename, server.url, md5, 10**7)
            )
            return server

        yield place


# ---------------------------------------------------------------------- QM9


def check_qm9(molecules):
    assert molecules.names.tolist() == ["gdb_1", "gdb_3", "gdb_133885"]
    assert molecules.formulas.tolist() == ["CH4", "H2O", "H2O"]
    assert molecules.group_ids.tolist() == [0, 1, 1]
    assert molecules.positions[0].tolist() == [-0.0126981359, 1.0858041578, 0.0080009958]
    assert molecules.positions[8, 0] == -1.5e-6
    charges = molecules.atom_labels["charge_mulliken"]
    assert charges.tolist()[:3] == [-0.535689, 0.133921, 0.133922]
    first = molecules.labels.iloc[0]
    assert first["e_homo_ev"] == pytest.approx(-0.3877 * HARTREE)
    assert first["u0_ev"] == pytest.approx(-40.47893 * HARTREE, rel=1e-12)
    assert first["polarizability_ang3"] == pytest.approx(13.21 * 0.529177210903**3)
    assert first["r2_ang2"] == pytest.approx(35.3641 * 0.529177210903**2)
    assert first[["rotational_a_ghz", "dipole_mag_d", "cv_cal_molk"]].tolist() == [
        157.7118, 0, 6.469
    ]  # fmt: skip
    units = [molecules.units[key] for key in ("g_ev", "r2_ang2", "rotational_b_ghz")]
    assert units == ["eV", "angstrom^2", "GHz"] and "" not in molecules.units.values()
    assert "QM9" in molecules.provenance


def test_qm9_is_downloaded_once_and_read(home, served):
    servers = [
        served(_qm9, "ARCHIVE", qm9_archive()),
        served(_qm9, "UNCHARACTERIZED", UNCHARACTERIZED.encode()),
    ]
    for _ in range(2):
        check_qm9(fetch_qm9(verbose=0).data)
    assert [len(server.ranges) for server in servers] == [1, 1]
    assert sorted(os.listdir(home)) == ["dsgdb9nsd.xyz.tar.bz2", "uncharacterized.txt"]
    X, y = fetch_qm9(target="e_g_ev", return_X_y=True, verbose=0)
    assert y.name == "e_g_ev" and y[0] == pytest.approx(0.5048 * HARTREE) and len(X) == 3


def test_qm9_is_read_from_a_folder_too(tmp_path):
    for k, text in RECORDS.items():
        (tmp_path / f"dsgdb9nsd_{k:06d}.xyz").write_text(text)
    (tmp_path / "uncharacterized.txt").write_text(UNCHARACTERIZED)
    check_qm9(read_qm9(tmp_path, tmp_path / "uncharacterized.txt"))
    assert len(read_qm9(tmp_path)) == 4


@pytest.mark.parametrize("record, message", [
    (METHANE.replace("gdb 1", "gdb 2"), "second line is 'gdb 2"),
    (METHANE.replace("\t0.5048", ""), "its second line is"),
    (METHANE.replace("5\n", "6\n", 1), "has not 6 lines of atoms"),
    (METHANE.replace("C\t-0.01", "Q\t-0.01"), "an element is unknown"),
    (METHANE.replace("0.1171", "nan"), "a number not finite"),
    (METHANE.replace("0.1171", "x"), "could not convert"), ("", "list index"),
    ("\n".join(METHANE.splitlines()[:-2]), "lines of atoms and three behind them"),
])  # fmt: skip
def test_records_of_another_layout_are_named(tmp_path, record, message):
    path = tmp_path / "dsgdb9nsd.xyz.tar.bz2"
    path.write_bytes(qm9_archive({3: water(3), 1: record}))
    with pytest.raises(ValueError, match=f"'dsgdb9nsd_000001.xyz' is not in .*{message}"):
        read_qm9(path)


def test_other_files_are_no_qm9(tmp_path):
    path = tmp_path / "a.tar.bz2"
    path.write_bytes(tar_of({"readme": "text"}))
    with pytest.raises(ValueError, match="holds no files dsgdb9nsd_<number>.xyz"):
        read_qm9(path)
    path.write_text("1\n2\n")
    with pytest.raises(ValueError, match="is no list of molecules behind 9 lines"):
        read_qm9(path, path)


# --------------------------------------------------------------------- MD17


def check_md17(molecules, name, revised):
    positions, _, energy, forces = frames()
    assert len(molecules) == 1200 and set(molecules.formulas) == {"H2O"}
    assert np.array_equal(molecules.positions.reshape(1200, 3, 3), positions)
    np.testing.assert_allclose(molecules.forces.reshape(1200, 3, 3), forces * KCAL, rtol=1e-8)
    # In single precision they would all be multiples of 0.03 kcal/mol.
    found = molecules.labels["total_energy_ev"].to_numpy()
    np.testing.assert_allclose((found - found[0]) / KCAL, energy - energy[0], atol=1e-6)
    assert set(molecules.groups) == {name} and molecules.names[7] == f"{name}:7"
    assert molecules.provenance.startswith("rMD17" if revised else "MD17")


def test_revised_md17_is_taken_from_its_archive(home, served):
    server = served(_md17, "ARCHIVE", rmd17_archive())
    for name in ("ethanol", "ethanol", "benzene"):
        found = fetch_md17(name, verbose=0)
        check_md17(found.data, name, True)
        assert found.target.name == "total_energy_ev"
        assert len(found.splits) == 5
        for k, split in enumerate(found.splits, 1):
            for rows, expected in zip(split, rows_of(k), strict=True):
                assert np.array_equal(rows, expected)
    assert len(server.ranges) == 1
    (home / "rmd17.tar.bz2").unlink()  # what has been unpacked is enough
    check_md17(fetch_md17("benzene", verbose=0).data, "benzene", True)
    assert len(server.ranges) == 1


def test_original_md17_is_one_file(home, monkeypatch):
    with serve(md17_npz()) as server:
        monkeypatch.setattr(
            _md17, "RemoteFile", lambda name, url, md5, size: RemoteFile(
                name, server.url if url.endswith(f"/{name}") else url, md5, size
            )
        )  # fmt: skip
        for _ in range(2):
            found = fetch_md17("benzene", revised=False, verbose=0)
            check_md17(found.data, "benzene2017", False)
            assert "splits" not in found
        assert len(server.ranges) == 1
    assert os.listdir(home) == ["md17_benzene2017.npz"]


@pytest.mark.parametrize("change, message", [
    ({"rmd17/npz_data/rmd17_ethanol.npz": None}, "lacks npz_data/rmd17_ethanol.npz"),
    ({"rmd17/splits/index_test_03.csv": None}, "lacks all of splits"),
    ({"rmd17/splits/index_test_03.csv": "1\n-2\n"}, "index_test_03.csv' is no list of rows"),
    ({"rmd17/npz_data/rmd17_ethanol.npz": b"x"}, "rmd17_ethanol.npz' is not a complete file"),
])  # fmt: skip
def test_archives_that_lack_something_say_so(home, served, change, message):
    served(_md17, "ARCHIVE", rmd17_archive(**change))
    with pytest.raises(ValueError, match=message):
        fetch_md17("ethanol", verbose=0)


@pytest.mark.parametrize("change, message", [
    ({"E": np.zeros((5, 1))}, "E has shape"), ({"z": np.array([8.5, 1, 1])}, "not whole"),
    ({"z": np.array([8, 1], np.uint8)}, "do not fit each other"),
    ({"F": np.full((1200, 3, 3), np.nan)}, "a force not finite"),
    ({"R": np.zeros((1200, 3, 3))}, "structure 0 .*: atoms 0 and 1 are 0 Å apart"),
    ({"R": np.full((1200, 3, 3), None)}, "holds pickled objects"),
])  # fmt: skip
def test_frames_that_cannot_be_are_refused(tmp_path, change, message):
    positions, z, energy, forces = frames()
    path = tmp_path / "md17_water.npz"
    arrays = {"E": energy[:, None], "F": forces, "R": positions, "z": z}
    path.write_bytes(npz_of(**arrays | change))
    with pytest.raises(ValueError, match=f"not a complete file of MD17.*{message}"):
        read_md17(path)


def test_there_is_no_md17_of_every_name():
    with pytest.raises(ValueError, match="molecule='water' is not one of"):
        fetch_md17("water")


# ------------------------------------------------------------------ CrysMTM


PACKED = {
    "zip": lambda files: zip_of(files),
    "zip in a folder": lambda files: zip_of({f"CrysMTM/{n}": c for n, c in files.items()}),
    "zip of zips": lambda files: zip_of(
        {"labels.csv": files["labels.csv"]}
        | {
            f"{phase}.zip": zip_of({n: c for n, c in files.items() if n.startswith(phase)})
            for phase in _crysmtm.PHASES
        }
    ),
    "tar": lambda files: tar_of(files, "w:gz"),
}


@pytest.mark.parametrize("kind", [*PACKED, "folder"])
def test_crysmtm_is_read_however_it_is_packed(tmp_path, kind):
    path = tmp_path / "data"
    if kind == "folder":
        for name, text in crysmtm_files().items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
    else:
        path.write_bytes(PACKED[kind](crysmtm_files()))
    found = read_crysmtm(path)
    assert len(found) == 3 * 3 * 4 and set(found.formulas) == {"O2Ti"}
    assert found.names[:4].tolist() == [f"anatase, 0 K, rotation {r}" for r in (0, 1, 2, 10)]
    assert len(set(found.groups)) == 9 and found.groups[-1] == "rutile, 1000 K"
    assert list(found.units.values()) == ["eV"] * 6 + ["angstrom", "angstrom^3", "angstrom"]
    assert found.labels.iloc[0].tolist() == list(VALUES.values())
    assert found.labels["e_g_ev"].iloc[-1] == pytest.approx(3.134 + 2 + 1)
    assert found[-1].positions.tolist() == [[0, 0, 10], [0, 1.9, 10], [1.9, 0, 10.2]]
    assert read_crysmtm(path, n_rotations=2) == found[np.arange(36) % 4 < 2]
    with pytest.raises(ValueError, match="n_rotations must be a positive number"):
        read_crysmtm(path, n_rotations=0)


def test_crysmtm_is_downloaded_once(home, served):
    server = served(_crysmtm, "ARCHIVE", zip_of(crysmtm_files()))
    for _ in range(2):
        crystals = fetch_crysmtm(verbose=0)
    assert len(server.ranges) == 1 and os.listdir(home) == ["crysmtm.zip"]
    assert crystals.data.shape == (9,) and crystals.target.shape == (9, 9)
    assert crystals.phase.tolist()[::3] == list(_crysmtm.PHASES)
    assert crystals.temperature.tolist() == [0, 50, 1000] * 3
    X, y = fetch_crysmtm(target="e_g_ev", n_rotations=None, return_X_y=True, verbose=0)
    assert len(X) == 36 and y.name == "e_g_ev"


def test_a_download_without_a_checksum_is_taken_up_again_too(home, served):
    noise = {"rutile/0K/images/rot_0.png": np.random.default_rng(0).bytes(200_000)}
    body = zip_of(crysmtm_files() | noise)
    server = served(_crysmtm, "ARCHIVE", body)
    server.script = ["truncate", "500", "ok"]
    assert len(fetch_crysmtm(verbose=0, delay=0).data) == 9
    assert server.ranges[0] is None and server.ranges[1] == server.ranges[2]
    assert server.ranges[1] == "bytes=100000-"  # whole chunks of the half that came


@pytest.mark.parametrize("name, text, message", [
    ("anatase/0K/xyz/rot_0.xyz", "3\n\nTi 0 0 0\nO 1 1 1\n", "has not 3 lines"),
    ("anatase/0K/xyz/rot_0.xyz", "1\n\nTo 0 0 0\n", "an element is unknown"),
    ("anatase/0K/xyz/rot_0.xyz", "1\n\nTi 0 inf 0\n", "coordinate not finite"),
    ("anatase/0K/xyz/rot_0.xyz", "", "list index"),
    ("labels.csv", "a,b\n", "its first line is 'a,b'"),
    ("labels.csv", "Polymorph,Temperature,Parameter,Value\nanatase,0K,HOMO\n", "not enough"),
    ("labels.csv", "Polymorph,Temperature,Parameter,Value\nglass,0K,HOMO,1\n", "its line"),
])  # fmt: skip
def test_crystals_of_another_layout_are_named(tmp_path, name, text, message):
    path = tmp_path / "crysmtm.zip"
    path.write_bytes(zip_of(crysmtm_files() | {name: text}))
    wrong = f"'{name}' is not in the layout of CrysMTM: .*{message}"
    with pytest.raises(ValueError, match=wrong):
        read_crysmtm(path)


def test_missing_labels_and_files_are_named(tmp_path):
    path = tmp_path / "crysmtm.zip"
    files = crysmtm_files()
    few = "\n".join(line for line in files["labels.csv"].splitlines() if "50K,Eg" not in line)
    path.write_bytes(zip_of(files | {"labels.csv": few}))
    with pytest.raises(ValueError, match="lacks .'Eg'. of anatase at 50K"):
        read_crysmtm(path)
    for part in ({"labels.csv": files["labels.csv"]}, {**files, "labels.csv": ""}):
        path.write_bytes(zip_of({n: text for n, text in part.items() if text}))
        with pytest.raises(ValueError, match="must hold labels.csv and"):
            read_crysmtm(path)


# ------------------------------------------------------------------- damage


DAMAGED = {
    "qm9": (qm9_archive, lambda p: read_qm9(p)),
    "md17": (md17_npz, lambda p: read_md17(p)),
    "rmd17": (rmd17_npz, lambda p: read_md17(p)),
    "crysmtm": (lambda: zip_of(crysmtm_files((0,), (0, 1))), lambda p: read_crysmtm(p)),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_refused_or_read_as_they_were(tmp_path, kind):
    """A hundred ways of damage: half of them cut the file, half of them turn a bit."""
    make, read = DAMAGED[kind]
    whole, path = make(), tmp_path / "file.npz"
    path.write_bytes(whole)
    expected, refused = read(path), 0
    rng = np.random.default_rng(0)
    for _ in range(50):
        path.write_bytes(whole[: rng.integers(len(whole))])
        with pytest.raises(ValueError):
            read(path)
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            # Dates and the like are not read; a bit of them changes nothing.
            assert read(path) == expected
        except ValueError:
            refused += 1
    assert refused > 20


def test_files_that_are_too_large_are_refused_unread(tmp_path):
    for name, body in (("a.zip", zip_of({"big.txt": "x" * 10**6})),
                       ("a.tar", tar_of({"big.txt": "x" * 10**6}))):  # fmt: skip
        (tmp_path / name).write_bytes(body)
        with pytest.raises(ValueError, match="'big.txt' has 1000000 bytes, more than 1000"):
            list(file_members(tmp_path / name, lambda name: True, max_bytes=1000))
    with pytest.raises(FileNotFoundError):
        list(file_members(tmp_path / "none.zip", lambda name: True, max_bytes=1000))


# ------------------------------------------------------------------ offline


@pytest.mark.parametrize("fetch, module, constant", [
    (fetch_qm9, _qm9, "UNCHARACTERIZED"), (partial(fetch_md17, "ethanol"), _md17, "ARCHIVE"),
    (fetch_crysmtm, _crysmtm, "ARCHIVE"),
])  # fmt: skip
@pytest.mark.parametrize("offline", [True, False])
def test_without_network_the_error_says_where_to_put_the_file(
    home, monkeypatch, fetch, module, constant, offline
):
    if offline:
        monkeypatch.setenv("QCANVAS_OFFLINE", "1")
    remote = getattr(module, constant)
    assert remote.url.startswith("https://")
    with pytest.raises(FileNotFoundError) as caught:
        fetch(download_if_missing=offline, verbose=0)
    checksum = remote.md5 or "no checksum is published"
    for fact in (remote.url, str(home / remote.filename), checksum):
        assert fact in str(caught.value)


def test_a_damaged_file_of_known_checksum_is_replaced_with_a_warning(home, served):
    served(_qm9, "ARCHIVE", qm9_archive())
    served(_qm9, "UNCHARACTERIZED", UNCHARACTERIZED.encode())
    home.mkdir()
    (home / "uncharacterized.txt").write_text("old")
    with pytest.warns(UserWarning, match="has not the MD5 checksum"):
        check_qm9(fetch_qm9(verbose=0).data)

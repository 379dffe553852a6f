"""The command line: building an archive from raw runs, and looking at files."""

import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.__main__ import COMMANDS, main
from qcanvas_sklearn.datasets import (
    PairData,
    build_archive,
    load_pairs,
    read_dftbplus,
    read_npz,
    write_npz,
)

DATA = Path(__file__).parents[1] / "data" / "dftbplus"
BOHR_DEBYE = 2.541746473


def run(*args, **options):
    command = [sys.executable, "-m", "qcanvas_sklearn", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    done = run("build", DATA, folder / "out.npz", "--analysis", folder / "analysis")
    return folder, done


def draw(orbitals, charges, populations, dipole):
    """The ten channels, pixel by pixel; `orbitals` has one list of (l, m, n) an atom."""
    n_atoms, size = len(orbitals), 32
    image = np.zeros((10, size, size))
    places = [16 + (k - n_atoms / 2 + 0.5) * (size // (n_atoms + 1)) for k in range(n_atoms)]
    shells = [
        sum(n for atom in orbitals for l, _, n in atom if l in ls) for ls in [(0, 1), (2, 3)]
    ]
    difference = abs(charges[0] - charges[-1]) if n_atoms > 1 else 0.0
    for row in range(size):
        for column in range(size):
            x, y = -1 + 2 * column / (size - 1), -1 + 2 * row / (size - 1)
            r, theta = math.hypot(x, y), math.atan2(y, x)
            pixel = image[:, row, column]
            pixel[2] = shells[0] * math.exp(-(r**2) / 0.3)
            pixel[3] = shells[1] * math.exp(-(r**2) / 0.5) * (1 + math.cos(4 * theta))
            pixel[4] = dipole * (r + 1e-6) * math.exp(-((r + 1e-6) ** 2) / 0.4)
            pixel[5] = difference * (3 * math.cos(theta) ** 2 - 1) * math.exp(-(r**2) / 0.4)
            for place, atom, q, total in zip(
                places, orbitals, charges, populations, strict=True
            ):
                square = (column - place) ** 2 + (row - 16) ** 2
                g3, g35, g4 = (math.exp(-square / (2 * s**2)) for s in (3, 3.5, 4))
                pixel[0] += sum(n * (l + 1) / 3 for l, _, n in atom) * g3
                pixel[1] += abs(sum(m * n for _, m, n in atom)) * g3
                pixel[6] += 10 * abs(q) * g4
                pixel[7] += total * g4
                pixel[8 if q > 0 else 9] += 10 * abs(q) * g35
    return image


def rows_of_output(name):
    """Orbital rows of a run, as text: atom, shell, l, m, population, label."""
    lines = iter((DATA / name / "detailed.out").read_text().split("\n"))
    for line in lines:
        if line.startswith("Orbital populations"):
            next(lines)
            break
    for line in lines:
        if not line.strip():
            return
        yield line.split()


def expected_image(pairs, name, published=False):
    row = int(np.flatnonzero(pairs.names == name)[0])
    orbitals = {}
    for atom, _, l, m, n, _ in rows_of_output(name):
        if published and n.startswith("-"):
            break
        orbitals.setdefault(int(atom), []).append((int(l), int(m), float(n)))
    kept = [atom - 1 for atom in orbitals]
    dipole = np.linalg.norm(pairs.dipole[row]) / BOHR_DEBYE
    return draw(
        list(orbitals.values()), pairs.charges[row, kept], pairs.populations[row, kept], dipole
    )


# ----------------------------------------------------------------------- build


def test_archive_opens_as_the_published_one_does(built):
    folder, done = built
    assert (done.returncode, done.stderr) == (0, "")
    assert "12 pairs written, 0 runs left out" in done.stdout
    pairs = read_dftbplus(DATA)
    with np.load(folder / "out.npz", allow_pickle=True) as file:
        assert file["images"].shape == (12, 10, 32, 32) and file["images"].dtype == np.float32
        assert file["pair_names"].tolist() == pairs.names.tolist()
        assert np.allclose(file["geometries"][:, :, :3], pairs.positions)
        assert np.allclose(file["geometries"][:, :, 3], pairs.populations)
        assert [row["e_homo_ev"] for row in file["labels"]][0] == pairs.labels["e_homo_ev"][0]


@pytest.mark.parametrize("name", ["Ag_Cr", "Cl_Na", "F_H", "Na_Na"])
def test_images_equal_an_independent_drawing(built, name):
    archive = read_npz(built[0] / "out.npz")
    row = int(np.flatnonzero(archive.names == name)[0])
    expected = expected_image(read_dftbplus(DATA), name)
    np.testing.assert_allclose(archive.images[row], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["Ag_Al", "At_Pt", "Cl_Na", "K_Ra"])
def test_images_of_the_published_reading(tmp_path, name):
    # Cl_Na and K_Ra lose the second atom: the first is drawn alone, in the middle.
    build_archive(DATA, tmp_path / "out.npz", compat="published")
    with np.load(tmp_path / "out.npz", allow_pickle=True) as file:
        image = file["images"][file["pair_names"].tolist().index(name)]
    expected = expected_image(read_dftbplus(DATA), name, published=True)
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-5)


def test_analysis_files(built):
    analysis = built[0] / "analysis"
    pairs = read_dftbplus(DATA)
    labels = pd.read_csv(analysis / "all_labels.csv")
    assert labels.shape == (12, 38)
    np.testing.assert_allclose(labels["chi_ev"], pairs.labels["chi_ev"])
    geometry = pd.read_csv(analysis / "geometry_data.csv")
    assert geometry["pair_name"].tolist() == pairs.names.tolist()
    assert np.allclose(geometry["z2"] - geometry["z1"], geometry["bond_length_ang"])
    assert geometry["population_1"].tolist() == pairs.populations[:, 0].tolist()
    summary = (analysis / "labels_detailed_summary.txt").read_text()
    assert "e_g_ev (eV): HOMO-LUMO gap\n  coverage: 11/12 (91.7 %)" in summary
    assert sorted(os.listdir(analysis)) == sorted(
        ["all_labels.csv", "geometry_data.csv", "labels_detailed_summary.txt"]
    )


def test_build_leaves_nothing_behind_when_a_run_is_unusable(tmp_path, capsys):
    raw = shutil.copytree(DATA, tmp_path / "raw")
    (raw / "C_O" / "detailed.out").write_text("Fermi distribution function\n")
    out = tmp_path / "out.npz"
    assert main(["build", str(raw), str(out), "--analysis", str(tmp_path / "a")]) == 2
    captured = capsys.readouterr()
    assert str(raw / "C_O" / "detailed.out") in captured.err and captured.out == ""
    assert os.listdir(tmp_path) == ["raw"]
    options = ["--on-error", "warn", "--n-jobs", "1", "--compat", "published"]
    assert main(["build", str(raw), str(out), *options]) == 0
    captured = capsys.readouterr()
    assert "11 pairs written, 1 runs left out" in captured.out
    assert captured.err.startswith("warning: left out 1 of 12 runs: C_O")


@pytest.mark.parametrize(
    ("out", "analysis", "message"),
    [
        ("no/out.npz", "a", "no directory '{}/no' for 'out.npz'"),
        (".", "a", "'{}' is a directory, not a file to write"),
        ("out.npz", "file", "'{}/file' is a file, not a directory"),
    ],
)
def test_build_says_beforehand_what_it_cannot_write(tmp_path, capsys, out, analysis, message):
    (tmp_path / "file").touch()
    places = [str(tmp_path / out), "--analysis", str(tmp_path / analysis)]
    assert main(["build", str(DATA), *places]) == 2
    assert message.format(tmp_path) in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["file"]


# ------------------------------------------------------------------------ info


@pytest.mark.parametrize("kind", ["archive", "PairData", "bundled table"])
def test_info_shows_and_checks_every_kind_of_file(built, tmp_path, capsys, kind):
    name = {"archive": built[0] / "out.npz", "PairData": tmp_path / "saved.npz"}.get(kind)
    if kind == "PairData":
        read_dftbplus(DATA).save(name)
    assert main(["info", str(name or "bundled")]) == 0
    captured = capsys.readouterr()
    assert f"kind:        {kind}\n" in captured.out
    assert f"pairs:       {2850 if name is None else 12}\n" in captured.out
    assert "FAILED" not in captured.out and captured.err == ""


def test_info_fails_on_contradicting_data(tmp_path):
    pairs = load_pairs().pairs[:5]
    object.__setattr__(pairs, "labels", pairs.labels.assign(distance_ang=9.0))
    pairs.save(tmp_path / "bad.npz")
    done = run("info", tmp_path / "bad.npz")
    assert done.returncode == 1
    assert "FAILED  bond lengths" in done.stdout
    assert "check failed: bond lengths" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "content",
    [None, b"", b"no archive", "directory", "cut", "empty zip",
     pytest.param("pipe", marks=needs_pipes)],
)  # fmt: skip
def test_info_on_an_unreadable_file(built, tmp_path, capsys, content):
    path = tmp_path / "file.npz"
    if content == "directory":
        path.mkdir()
    elif content == "cut":
        path.write_bytes((built[0] / "out.npz").read_bytes()[:20000])
    elif content == "pipe":
        os.mkfifo(path)
    elif content == "empty zip":
        np.savez(path)
    elif content is not None:
        path.write_bytes(content)
    assert main(["info", str(path)]) == 2
    captured = capsys.readouterr()
    assert "info: " in captured.err and str(path) in captured.err and captured.out == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_info_shows_any_text_on_any_console(tmp_path, encoding):
    text = "DFTB → \x1b[31mred\nkind: archive\r\x07\u202e\x9b é"
    pairs = replace(load_pairs().pairs[:2], provenance=text, quality=["ok", "\x1b[2J→"])
    path = tmp_path / "saved→.npz"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    pairs.save(path)
    done = run("info", path, env=environment, encoding=encoding)
    assert done.returncode == 0 and done.stderr == ""
    assert "\\x1b[31mred\\nkind: archive\\r\\x07\\u202e\\x9b" in done.stdout
    assert ("→" if encoding == "utf-8" else "\\u2192") in done.stdout
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert sum(line.startswith("kind:") for line in done.stdout.splitlines()) == 1
    path.write_bytes(b"rubbish")
    done = run("info", path, env=environment, encoding=encoding)
    assert done.returncode == 2 and "is not an .npz file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("field", "reason"),
    [("version", "zip file version 9.9"), ("compression", "compression method"),
     ("encryption", "password required|encrypted")],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["archive", "PairData"])
def test_info_on_a_form_of_zip_that_is_not_known(built, tmp_path, capsys, kind, field, reason):
    path = tmp_path / "file.npz"
    write = {"archive": write_npz, "PairData": PairData.save}[kind]
    write(load_pairs().pairs[:2], path)
    content = bytearray(path.read_bytes())
    offset, value = {"version": (6, 99), "encryption": (8, 1), "compression": (10, 99)}[field]
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + offset] = value
        place = content.find(b"PK\x01\x02", place + 1)
    path.write_bytes(content)
    assert main(["info", str(path)]) == 2
    captured = capsys.readouterr()
    assert re.search(reason, captured.err) and str(path) in captured.err and not captured.out


def test_usage_errors_and_help():
    assert run("unknown").returncode == 2
    done = run("--help")
    assert done.returncode == 0
    assert all(command.name in done.stdout for command in COMMANDS)


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_output_into_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m qcanvas_sklearn info bundled | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""

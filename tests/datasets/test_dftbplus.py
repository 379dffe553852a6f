"""Raw DFTB+ runs: what is read, in which layouts, and what is refused."""

import csv
import os
import random
import re
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn.__main__ import main
from qcanvas_sklearn.datasets import read_dftbplus, write_npz
from qcanvas_sklearn.targets import HARTREE_IN_EV, LABELS, METAL_GAP_EV

DATA = Path(__file__).parents[1] / "data" / "dftbplus"
ARRAYS = ("positions", "charges", "populations", "orbital_populations", "dipole")


@pytest.fixture(scope="module")
def pairs():
    return read_dftbplus(DATA)


@pytest.fixture
def raw(tmp_path):
    """Copies named runs into a directory of their own."""

    def copy(*names):
        for name in names:
            shutil.copytree(DATA / name, tmp_path / "raw" / name)
        return tmp_path / "raw"

    return copy


def edit(path, old, new, count=0):
    text = path.read_text()
    changed = re.sub(old, new, text, count=count, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)


def assert_same(a, b, atol=0.0):
    assert a.names.tolist() == b.names.tolist()
    for name in ARRAYS:
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=0, atol=atol)
    pd.testing.assert_frame_equal(a.labels, b.labels, rtol=0, atol=max(atol, 1e-12))


# ------------------------------------------------------------------ what is read


def test_arrays_are_those_of_the_output(pairs):
    row = pairs[pairs.find([["Ag", "Cr"]])]
    assert row.elements.tolist() == [["Ag", "Cr"]]
    assert row.positions[0, :, 2].tolist() == [-0.42311553, 1.92311553]
    assert row.charges[0].tolist() == [-0.21776529, 0.21776529]
    assert row.populations[0].tolist() == [11.21776529, 5.78223471]
    assert row.orbital_populations[0, 1, :9].tolist() == [
        1.59202063, 0.03683719, 0.10949608, 0.03683719,
        0.95711521, 0.54815242, 0.99650834, 0.54815242, 0.95711521,
    ]  # fmt: skip
    assert row.orbital_populations[0, :, 9:].max() == 0
    assert row.dipole[0].tolist() == [0, 0, 2.45409031]
    assert np.isclose(row.labels["mermin_free_energy_ev"], -100.2443).all()


def test_labels_of_the_output_equal_the_label_tables():
    pairs = read_dftbplus(DATA, labels=None)
    expected = {}
    for name in ("dftb_ptbp_combined.csv", "bond_distances_all.csv"):
        with open(DATA / name, newline="") as file:
            for row in csv.DictReader(file):
                values = expected.setdefault(row["run_dir"].removeprefix("raw/"), {})
                values |= {key.lower(): value for key, value in row.items()}
    assert sorted(expected) == pairs.names.tolist()
    for i, name in enumerate(pairs.names):
        for key, label in LABELS.items():
            value = pairs.labels[key][i]
            if label.kind == "string":
                assert value == expected[name][key]
            elif expected[name][key] == "":
                assert pd.isna(value), (name, key)
            else:
                assert float(value) == pytest.approx(float(expected[name][key]), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "atom", "orbital", "value"),
    [("Cl_Na", 0, 5, -0.00010204), ("At_Pt", 1, 2, -0.00019787), ("K_Ra", 0, 8, -0.0)],
)
def test_negative_populations_end_the_published_reading_only(pairs, name, atom, orbital, value):
    row = int(np.flatnonzero(pairs.names == name)[0])
    whole = pairs.orbital_populations[row]
    assert whole[atom, orbital] == value
    assert whole.sum(axis=-1) == pytest.approx(pairs.populations[row], abs=1e-6)
    published = read_dftbplus(DATA, compat="published")
    cut = published.orbital_populations[row]
    kept = np.zeros((2, 16), dtype=bool)
    # Rows stand atom by atom, orbitals by l and m: what comes first is kept.
    kept.ravel()[: 16 * atom + orbital] = True
    np.testing.assert_array_equal(cut, np.where(kept, whole, 0.0))
    assert "lost in the published reading" in published.quality[row]
    assert published.populations[row].tolist() == pairs.populations[row].tolist()


def test_the_published_reading_changes_no_other_run(pairs):
    published = read_dftbplus(DATA, compat="published")
    same = published.quality == "ok"
    assert published.names[~same].tolist() == ["At_Pt", "Cl_Na", "K_Ra"]
    np.testing.assert_array_equal(
        published.orbital_populations[same], pairs.orbital_populations[same]
    )


def test_partly_filled_levels_close_the_gap(pairs):
    labels = pairs.labels.set_index(pairs.names)
    # Two half-filled degenerate levels; different partly filled levels: the Fermi level.
    assert labels.loc["O_O", ["e_homo_ev", "e_lumo_ev", "e_g_ev"]].tolist() == [-6.396] * 2 + [
        0
    ]
    assert labels.loc["Ag_Cr", "e_homo_ev"] == labels.loc["Ag_Cr", "fermi_level_ev"] == -2.9451
    assert np.isnan(labels.loc["O_O", "softness_evinv"])
    assert labels.loc["He_Ne", "no_virtual_in_basis"]
    assert labels.loc["He_Ne", ["e_homo_ev", "e_lumo_ev", "metal_like"]].isna().all()


# --------------------------------------------------------------- other layouts


def write_table(title, columns, rows):
    return "\n".join([title, " ".join(columns), *(" ".join(map(str, row)) for row in rows), ""])


def write_run(directory, elements, z, orbitals, q, levels, name=None):
    """A run as DFTB+ writes it; `orbitals` and `levels` have one entry a spin."""
    directory = directory / (name or "_".join(elements))
    directory.mkdir(parents=True)
    parts = [
        " Fermi distribution function\n\nGeometry optimization step: 5\n",
        "*" * 80 + "\n iSCC Total electronic   Diff electronic      SCC error    \n"
        "    7   -0.66E+01    0.1-100    0.17E-06\n" + "*" * 80 + "\n",
        f" Total charge:     {sum(q):.8f}\n",
        write_table(" Atomic gross charges (e)", ["Atom", "Charge"], [(1, q[0]), (2, q[1])]),
    ]
    spins = ("up", "down")[: len(orbitals)]
    for spin, atoms in zip(spins, orbitals, strict=True):
        sums = [(k + 1, f"{sum(shell.values()):.8f}") for k, shell in enumerate(atoms)]
        rows = [
            (k + 1, l + 1, l, m, f"{value:.8f}")
            for k, shell in enumerate(atoms)
            for (l, m), value in shell.items()
        ]
        parts += [
            f"Nr. of electrons ({spin}):  1.0",
            write_table(f"Atom populations ({spin})", ["Atom", "Population"], sums),
            write_table(
                f"Orbital populations ({spin})", "Atom Sh. l m Population".split(), rows
            ),
        ]
    for i, spin in enumerate(spins):
        parts.append(
            (f"Spin  {spin}\n" if len(spins) == 2 else "")
            + f"Fermi level:    -0.2 H     {-6.0 - i} eV\nBand energy:   -1.0 H  -50.0 eV\n"
            "TS:          0.0 H     0.0 eV\n"
        )
    parts.append(
        "Energy SPIN:    -0.1 H   -2.7 eV\nRepulsive energy:   0.1 H    2.7 eV\n"
        "Total energy:   -6.5 H  -176.9 eV\nTotal Mermin free energy:  -6.5 H  -177.0 eV\n\n"
        "SCC converged\n\nDipole moment:   0.0   0.0  0.4 au\n"
        f"Dipole moment:   0.0   0.0  {4.803204 * np.dot(q, z):.8f} Debye\n\n"
        "Geometry converged\n"
    )
    (directory / "detailed.out").write_text("\n".join(parts))
    (directory / "geo_end.xyz").write_text(
        f"    2\nGeometry Step: 5\n{elements[0]} 0.0 0.5 {z[0]}\n{elements[1]} 0.0 0.5 {z[1]}\n"
    )
    blocks = [
        f" KPT     1  SPIN     {i + 1}  KWEIGHT  1.0\n"
        + "".join(f"{k + 1:6d} {e:11.4f} {f:8.5f}\n" for k, (e, f) in enumerate(spin))
        for i, spin in enumerate(levels)
    ]
    (directory / "band.out").write_text("\n".join(blocks))
    return directory


def shells(s, y, z, x):
    return {(0, 0): s, (1, -1): y, (1, 0): z, (1, 1): x}


def test_spin_polarised_run(tmp_path):
    up, down = shells(0.95, 1.0, 0.55, 1.0), shells(0.95, 0.5, 0.55, 0.5)
    energies = [-30.0, -20.0, -12.0, -11.0, -11.0, -6.5, -6.5, 7.0]
    levels = [
        [(e, float(i < 7)) for i, e in enumerate(energies)],
        [(e + 1, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0][i]) for i, e in enumerate(energies)],
    ]
    up[1, 0] = down[1, 0] = 0.0
    up[0, 0], down[0, 0] = 1.5, 1.5
    write_run(tmp_path, ("O", "O"), (0.0, 1.2), [[up, up], [down, down]], (0.0, 0.0), levels)
    pairs = read_dftbplus(tmp_path)
    labels = pairs.labels.iloc[0]
    assert pairs.orbital_populations[0, 0, :4].tolist() == [3.0, 1.5, 0.0, 1.5]
    assert pairs.populations[0].tolist() == [6.0, 6.0]
    assert labels[["e_homo_ev", "e_lumo_ev", "e_g_ev"]].tolist() == [-6.5, -5.5, 1.0]
    assert labels[["n_levels", "max_occupancy", "band_energy_ev"]].tolist() == [8, 1, -100]
    assert labels["fermi_level_ev"] == -6.5
    assert labels["scc_last_diff_elec"] == 1e-101


def test_spin_polarised_run_without_its_second_half_is_refused(tmp_path):
    one = [[shells(2.0, 0, 0, 0)] * 2] * 2
    levels = [[(-5.0, 1.0)] * 4 + [(1.0, 0.0)] * 4] * 2
    path = write_run(tmp_path, ("O", "O"), (0.0, 1.2), one, (0.0, 0.0), levels)
    edit(path / "detailed.out", r"Orbital populations \(down\)\n(.+\n)+", "")
    with pytest.raises(
        ValueError, match=r"detailed.out: the table 'Orbital populations \(down"
    ):
        read_dftbplus(tmp_path)


def test_layout_of_older_versions(raw, pairs):
    root = raw("Ag_Al", "Cl_Na")
    for directory in root.iterdir():
        detailed = directory / "detailed.out"
        edit(detailed, "Total charge", "Net charge")
        edit(detailed, r" Atomic gross charges \(e\)\n Atom +Charge",
             " Net atomic charges (e)\n  Atom      Net charge")  # fmt: skip
        edit(detailed, "Fermi level:", "Fermi energy:")
        edit(detailed, r"  (Label|[spd](_\S+)?)$", "")
        edit(detailed, r"^(?=\S)", " ")
        edit(directory / "band.out", r"^ +\d+ ", "   ")
    expected = pairs[pairs.find([["Ag", "Al"], ["Cl", "Na"]])]
    assert_same(read_dftbplus(root, labels=DATA), expected)


def test_appended_output_counts_its_last_step(raw, pairs):
    path = raw("Ag_Al") / "Ag_Al" / "detailed.out"
    last = path.read_text()
    first = last.replace("step: 9", "step: 8").replace("11.07", "11.17").replace("SCC conv", "")
    path.write_text(first + last)
    assert_same(read_dftbplus(path.parents[1], labels=None), pairs[pairs.names == "Ag_Al"])


def test_spin_orbit_run_counts_its_total_only(raw, pairs):
    root = raw("F_H")
    detailed, band = root / "F_H" / "detailed.out", root / "F_H" / "band.out"
    edit(detailed, r"\(up\)", "(q)")
    tables = re.search(
        r"^Atom populations(.+\n)+\n(.+\n)+\n(.+\n)+", detailed.read_text(), re.M
    )
    edit(detailed, r"^Fermi level", tables[0].replace("(q)", "(x)") + "\nFermi level")
    header, *levels = band.read_text().strip().split("\n")
    rows = [row.split()[1:] for row in levels for _ in (0, 1)]
    numbered = [f"{i + 1} {e} {float(f) / 2}" for i, (e, f) in enumerate(rows)]
    band.write_text("\n".join([header, *numbered]))
    labels = read_dftbplus(root).labels.iloc[0]
    expected = pairs.labels[pairs.names == "F_H"].iloc[0]
    for key in ("e_homo_ev", "e_lumo_ev", "q_absmean", "total_energy_ev"):
        assert labels[key] == expected[key]
    assert labels["n_levels"] == 2 * expected["n_levels"]


def test_results_tag_stands_in_for_band_out(raw, pairs):
    root = raw("C_O")
    band = root / "C_O" / "band.out"
    _, *rows = band.read_text().strip().split("\n")
    values = np.array([row.split()[1:] for row in rows], dtype=float)
    band.unlink()
    assert np.isnan(read_dftbplus(root).labels["e_homo_ev"][0])

    def tag(name, numbers):
        lines = [" ".join(f"{v:.15E}" for v in numbers[i : i + 3]) for i in range(0, 8, 3)]
        return "\n".join([f"{name:20s}:real:3:{len(numbers)},1,1", *lines])

    (root / "C_O" / "results.tag").write_text(
        "\n".join(
            [
                "mermin_energy       :real:0:\n -0.4950174110767E+001",
                tag("eigenvalues", values[:, 0] / HARTREE_IN_EV),
                tag("filling", values[:, 1]),
                "fermi_level         :real:1:1\n -0.21",
            ]
        )
    )
    assert_same(read_dftbplus(root), pairs[pairs.names == "C_O"], atol=1e-9)


@pytest.mark.parametrize("upside_down", [False, True])
@pytest.mark.parametrize("exchanged", [False, True])
def test_atoms_come_in_canonical_order(tmp_path, exchanged, upside_down):
    atoms = [
        ("Ag", 0.0, 0.1, shells(1.0, 0.1, 0.2, 0.3)),
        ("Al", 2.0, -0.1, shells(2, 0, 0, 0)),
    ]
    sign = -1 if upside_down else 1
    elements, z, q, orbitals = zip(*(atoms[::-1] if exchanged else atoms), strict=True)
    z = [sign * value for value in z]
    levels = [[(-5.0, 1.8)] * 2 + [(1.0, 0.0)] * 6]
    write_run(tmp_path, elements, z, [orbitals], q, levels)
    table = tmp_path / "dftb_ptbp_combined.csv"
    dipole_z = 4.803204 * float(np.dot(q, z))
    table.write_text(f"run_dir,dipole_z_D\nruns/{'_'.join(elements)},{dipole_z}\n")
    pairs = read_dftbplus(tmp_path)
    assert pairs.names.tolist() == ["Ag_Al"]
    assert pairs.positions[0, 0, 2] < pairs.positions[0, 1, 2]
    assert pairs.bond_lengths.tolist() == [2.0]
    assert pairs.charges[0].tolist() == [0.1, -0.1]
    assert pairs.orbital_populations[0, 0, :4].tolist() == [1.0, 0.1, 0.2, 0.3]
    # The positive atom lies below: the dipole points down.
    assert pairs.dipole[0, 2] == pytest.approx(-0.9606408)
    assert pairs.labels["dipole_z_d"][0] == pytest.approx(-0.9606408)


# -------------------------------------------------------------- what is refused

DAMAGE = [
    ("geo_end.xyz", r"^ +2$", "    3", "3 atoms; a pair has two"),
    ("geo_end.xyz", r"^ +Al.*\n", "", "unfinished or damaged"),
    ("geo_end.xyz", "Al", "Xx", "unknown element"),
    ("geo_end.xyz", "Al", "Cu", "directory is named Ag_Al"),
    ("geo_end.xyz", r"0.0+(?= +1.7)", "0.5", "must be along z"),
    ("geo_end.xyz", r"1\.7457931\d", "nan", "'nan' is not a number"),
    ("detailed.out", r"^( +)2( +0.0704.*\n)", r"\g<0>\g<1>3\2", r"atoms \[1, 2, 3\]"),
    ("detailed.out", r"^ Atomic gross charges(.*\n)+?\n", "", "'Atomic gross charges"),
    ("detailed.out", r"^Atom populations(.*\n)+?\n", "", "'Atom populations .+' is missing"),
    ("detailed.out", r"^Orbital populations(.*\n)+?\n", "", "'Orbital populations"),
    ("detailed.out", r"^Dipole.*Debye\n", "", "'Dipole moment'"),
    ("detailed.out", r"^Total energy.*\n", "", "'Total energy' is missing"),
    ("detailed.out", r"^Total energy.*", "Total energy:  ****** H  ****** eV", r"'\*+' is not"),
    ("detailed.out", r"^Total energy: +\S+ H +\S+", "Total energy: 1 H 1e999", "out of range"),
    ("detailed.out", r"^ iSCC(.*\n)+?\*", "*", "'iSCC'"),
    ("detailed.out", r"^SCC converged", "SCC is NOT converged, maximal SCC iterations exceeded",
     "did not converge"),
    ("detailed.out", r"^Geometry converged", "!!! Geometry did NOT converge!",
     "did not converge"),
    ("detailed.out", r"^Geometry converged", "", "unfinished"),
    ("detailed.out", r"^    1   2   1   0 .*\n", "", r"lists m = \[-1, 1\]"),
    ("detailed.out", r"^    1   1   0   0       ", "    1   1   0   0  3", "add up to"),
    ("detailed.out", r" l   m ", " l   k ", "no column 'm'"),
    ("detailed.out", r"(?s).*", "", "empty"),
    ("band.out", r"^ +7 .*\n", "", "level 8 stands where level 7 should"),
    ("band.out", r"^ +13 .*\n", "", "12 levels, but detailed.out has 13"),
    ("band.out", r"2\.00000$", "1.00000", "electrons, but detailed.out has 14"),
    ("band.out", r"KPT +1", "KPT   2", "unexpected k-point"),
    ("band.out", r"^ KPT.*\n", "", "unexpected line"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "reason"), DAMAGE)
def test_unusable_run_is_refused_with_its_path(raw, file, old, new, reason):
    path = raw("Ag_Al") / "Ag_Al" / file
    edit(path, old, new, count=1)
    with pytest.raises(ValueError, match=reason) as error:
        read_dftbplus(path.parents[1])
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz"])
def test_missing_file_is_refused(raw, file):
    path = raw("Ag_Al") / "Ag_Al" / file
    path.unlink()
    with pytest.raises(ValueError, match="missing") as error:
        read_dftbplus(path.parents[1])
    assert str(error.value).startswith(f"{path}: ")


def truncate(data, rng):
    return data[: rng.randrange(len(data))]


def flip_bit(data, rng):
    out = bytearray(data)
    out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def drop_line(data, rng):
    lines = data.splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


@pytest.mark.parametrize("damage", [truncate, flip_bit, drop_line])
def test_damaged_files_end_in_a_reason_or_in_finite_data(tmp_path, damage):
    rng = random.Random(7)
    sources = sorted(path for path in DATA.iterdir() if path.is_dir())
    n_refused = 0
    for _ in range(80):
        source = rng.choice(sources)
        shutil.rmtree(tmp_path / "raw", ignore_errors=True)
        target = shutil.copytree(source, tmp_path / "raw" / source.name)
        victim = target / rng.choice(["detailed.out", "geo_end.xyz", "band.out"])
        victim.write_bytes(damage(victim.read_bytes(), rng))
        try:
            pairs = read_dftbplus(tmp_path / "raw")
        except ValueError as error:
            # Another file may be what contradicts the damaged one.
            assert str(error).startswith(str(target)), error
            n_refused += 1
        else:
            assert all(np.isfinite(getattr(pairs, name)).all() for name in ARRAYS)
            assert np.isfinite(pairs.labels["total_energy_ev"]).all()
    assert n_refused > 10


# ---------------------------------------------------------------------- options


def test_unusable_runs_can_be_left_out(raw, pairs):
    root = raw("Ag_Al", "C_O", "F_H")
    (root / "C_O" / "geo_end.xyz").unlink()
    (root / "analysis").mkdir()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = read_dftbplus(root, on_error="warn", labels=None)
    assert len(caught) == 1
    assert "left out 1 of 3 runs: C_O" in str(caught[0].message)
    [(name, reason)] = found.skipped
    assert name == "C_O" and reason.endswith("geo_end.xyz: missing")
    assert_same(found, pairs[pairs.find([["Ag", "Al"], ["F", "H"]])])


def test_processes_change_nothing(pairs):
    assert_same(read_dftbplus(DATA, n_jobs=2), pairs)


def test_failures_from_processes_are_the_same(raw):
    root = raw("Ag_Al", "C_O", "F_H", "O_O")
    for name in ("C_O", "O_O"):
        (root / name / "geo_end.xyz").unlink()
    with pytest.raises(ValueError, match=r"C_O.geo_end.xyz: missing"):
        read_dftbplus(root, n_jobs=2)


def test_second_run_of_a_pair_is_refused(raw):
    root = raw("Ag_Al")
    shutil.copytree(root / "Ag_Al", root / "Al_Ag")
    with pytest.raises(ValueError, match="Al_Ag: the same pair as Ag_Al"):
        read_dftbplus(root)


def test_label_tables_take_precedence_and_the_output_fills_gaps(raw):
    root = raw("Ag_Al", "C_O")
    table = root.parent / "dftb_ptbp_combined.csv"
    table.write_text("run_dir,E_HOMO_eV,metal_like,other\nx/Ag_Al/,-9.5,True,7\nx/F_H,1,0,7\n")
    for labels in ("auto", table, root.parent):
        frame = read_dftbplus(root, labels=labels).labels
        assert frame["e_homo_ev"].tolist() == [-9.5, -9.0551]
        assert frame["metal_like"].tolist() == [True, False]
    assert read_dftbplus(root, labels=None).labels["e_homo_ev"][0] == -4.2628


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "none of the columns"),
        ("run_dir,E_HOMO_eV\nAg_Al,high\n", "high"),
        ("run_dir,E_HOMO_eV\nAg_Al,1\nAg_Al,2\n", "more than one row for 'Ag_Al'"),
        ("run_dir,E_HOMO_eV\nAg_Al,1\nAl_Ag,2\n", "more than one row for 'Al_Ag'"),
        ("run_dir,E_HOMO_eV\nAg_Al,inf\n", "infinite"),
        ("run_dir,E_HOMO_eV\nAg_Al,True\n", "'True', which is not a number"),
        ("run_dir,E_HOMO_eV\n,1\n", "row 1 has no 'run_dir'"),
        ("run_dir,E_HOMO_eV\nAg_Al,1,2\n", "Expected 2 fields"),
        ("run_dir,metal_like\nAg_Al,7\n", "'metal_like' holds '7', which is not true or"),
        ("run_dir,scc_converged\nAg_Al,0.5\n", "'scc_converged' holds '0.5'"),
        ("run_dir,geom_converged\nAg_Al,yes\n", "'geom_converged' holds 'yes'"),
        ("run_dir,E_HOMO_eV,e_homo_ev\nAg_Al,1,2\n", "'E_HOMO_eV', 'e_homo_ev'. are one"),
        ("run_dir,chi_ev,chi_ev\nAg_Al,1,2\n", "'chi_ev', 'chi_ev'. are one"),
        ("run_dir,RUN_DIR\nAg_Al,Ag_Al\n", "'run_dir', 'RUN_DIR'. are one"),
        ("", "No columns"),
    ],
)
def test_bad_label_table_is_refused_with_its_path(raw, text, reason):
    root = raw("Ag_Al")
    (root / "dftb_ptbp_combined.csv").write_text(text)
    with pytest.raises(ValueError, match=f"combined.csv: not a usable label table: .*{reason}"):
        read_dftbplus(root)


@pytest.mark.parametrize(
    "text",
    [
        "run_dir, E_HOMO_eV, metal_like\nAg_Al, -9.5, True\n",
        "run_dir , E_HOMO_eV\t,metal_like \n raw/Ag_Al , -9.5 , true \n",
        "run_dir,E_HOMO_eV,metal_like\r\nraw\\Ag_Al\\,-9.5,1.0\r\n",
        '"run_dir", "E_HOMO_eV", "metal_like"\n"Ag_Al", "-9.5", "TRUE"\n',
        "E_HOMO_eV,metal_like,pair_name\n-9.5,1,Ag_Al\n",
        ",run_dir,E_HOMO_eV,metal_like\n0,Ag_Al,-9.5,True\n",
    ],
)
def test_label_tables_however_they_are_written(raw, text):
    root = raw("Ag_Al")
    for encoding in ("ascii", "utf-8-sig", "utf-16"):
        (root / "dftb_ptbp_combined.csv").write_bytes(text.encode(encoding))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            labels = read_dftbplus(root).labels
        assert labels["e_homo_ev"].tolist() == [-9.5]
        assert labels["metal_like"].tolist() == [True]


def test_a_table_may_name_a_pair_the_other_way_round(raw, pairs):
    root = raw("Ag_Al", "Cl_Na")
    (root / "dftb_ptbp_combined.csv").write_text(
        "run_dir,total_energy_eV,dipole_z_D,dipole_x_D\nAl_Ag,-50,-1,0.5\nCl_Na,-60,,\n"
    )
    with pytest.warns(UserWarning, match="the other way round.*'Al_Ag'. Directions"):
        read = read_dftbplus(root)
    assert read.labels["total_energy_ev"].tolist() == [-50, -60]
    expected = pairs[pairs.find(read.elements)]
    for key in ("dipole_x_d", "dipole_z_d", "dipole_mag_d"):
        assert read.labels[key].tolist() == expected.labels[key].tolist()


def test_a_table_of_other_pairs_only_is_refused(raw):
    root = raw("Ag_Al", "C_O")
    table = root / "dftb_ptbp_combined.csv"
    table.write_text("run_dir,E_HOMO_eV\nF_H,1\nAl_Al,2\n")
    with pytest.raises(ValueError, match="none of its rows .*'F_H', 'Al_Al'.*'Ag_Al', 'C_O'"):
        read_dftbplus(root)
    assert len(read_dftbplus(root, labels=None)) == 2
    # The table is about a run that could not be read: nothing is wrong with it.
    table.write_text("run_dir,E_HOMO_eV\nC_O,1\n")
    (root / "C_O" / "geo_end.xyz").unlink()
    with pytest.warns(UserWarning, match="left out 1 of 2 runs"):
        assert len(read_dftbplus(root, on_error="warn")) == 1


@pytest.mark.parametrize(
    ("column", "reported"),
    [
        ("E_HMO_eV", r"'e_hmo_ev' \(is 'e_homo_ev' meant\?\)"),
        ("metallike", r"'metallike' \(is 'metal_like' meant\?\)"),
        ("spin", "left out: 'spin'$"),
    ],
)
def test_a_column_that_is_no_label_is_reported(raw, column, reported):
    root = raw("Ag_Al")
    text = f"run_dir,{column},natoms,species_1,x1,pair_sorted\nAg_Al,1,2,Ag,0.0,Ag-Al\n"
    (root / "dftb_ptbp_combined.csv").write_text(text)
    with pytest.warns(UserWarning, match=reported) as caught:
        read_dftbplus(root)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"e_homo_ev": -9.5},
        {"e_lumo_ev": -1.0},
        {"e_homo_ev": -9.5, "e_lumo_ev": -1.0, "metal_like": 0},
        {"e_homo_ev": -9.5, "i_ev": 9.5},
        {"e_homo_ev": -3.0, "e_lumo_ev": -3.0},
    ],
)
def test_what_follows_from_a_given_label_is_derived_anew(raw, given, tmp_path):
    root = raw("Ag_Al", "C_O")
    given_rows = ",".join(given), ",".join(map(str, given.values()))
    (root / "dftb_ptbp_combined.csv").write_text(
        f"run_dir,{given_rows[0]}\nAg_Al,{given_rows[1]}\n"
    )
    pairs, bare = read_dftbplus(root), read_dftbplus(root, labels=None)
    pd.testing.assert_frame_equal(pairs.labels[1:], bare.labels[1:])
    labels = pairs.labels.iloc[0]
    for key, value in given.items():
        assert labels[key] == value
    homo, lumo = labels["e_homo_ev"], labels["e_lumo_ev"]
    assert (labels["i_ev"], labels["a_ev"], labels["e_g_ev"]) == (-homo, -lumo, lumo - homo)
    assert labels["eta_ev"] == (lumo - homo) / 2 and labels["chi_ev"] == -(lumo + homo) / 2
    assert labels["metal_like"] == (lumo - homo <= METAL_GAP_EV)
    if lumo > homo:
        assert labels["softness_evinv"] == pytest.approx(2 / (lumo - homo))
    else:
        assert np.isnan(labels["softness_evinv"])
    write_npz(pairs, tmp_path / "own.npz")
    assert main(["info", str(tmp_path / "own.npz")]) == 0


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("i_ev,9.5", r"I = -E_HOMO: .*\(Ag_Al\)"),
        ("e_g_ev,9.5", "E_g = I - A"),
        ("distance_ang,9.5", "bond lengths of geometry and labels"),
        ("total_charge,1.0", "charge neutrality"),
        ("dipole_z_d,2.0", r"dipoles and labels: .*\(Ag_Al\)"),
    ],
)
def test_labels_that_contradict_the_output_are_refused(raw, given, reason):
    root = raw("Ag_Al", "C_O")
    key, value = given.split(",")
    (root / "dftb_ptbp_combined.csv").write_text(f"run_dir,{key}\nAg_Al,{value}\n")
    with pytest.raises(ValueError, match=f"combined.csv: .*contradict .*{reason}"):
        read_dftbplus(root)


@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"on_error": "ignore"}, ValueError, "on_error must be"),
        ({"compat": "old"}, ValueError, "compat must be"),
        ({"labels": 3}, TypeError, "labels must be"),
        ({"labels": "no/such/place"}, FileNotFoundError, "no/such/place"),
    ],
)
def test_bad_options(options, error, reason):
    with pytest.raises(error, match=reason):
        read_dftbplus(DATA, **options)


def test_directories_without_runs(tmp_path):
    with pytest.raises(FileNotFoundError, match="no directory"):
        read_dftbplus(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no DFTB\\+ runs"):
        read_dftbplus(tmp_path)
    (tmp_path / "Ag_Al").mkdir()
    with pytest.raises(ValueError, match="none of 1 runs is usable: .*Ag_Al.*missing"):
        read_dftbplus(tmp_path, on_error="warn")


# ------------------------------------------------------------- odd forms of text


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize(
    "encoding", ["ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_encodings_and_line_ends(raw, pairs, encoding, end):
    root = raw("Ag_Al")
    for path in (root / "Ag_Al").iterdir():
        text = path.read_text().replace("\n", end)
        mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
        path.write_bytes((mark + text).encode(encoding))
    assert_same(read_dftbplus(root, labels=DATA), pairs[pairs.names == "Ag_Al"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: data.decode().encode("utf-16-le"), "zero bytes, as of UTF-16"),
        (lambda data: b"\xff\xfe" + data[:-1], "cannot be decoded as UTF-16"),
        (lambda data: b"\0" * 100, "zero bytes"),
    ],
)
@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz", "band.out"])
def test_text_that_is_none_is_called_so(raw, file, change, reason):
    path = raw("Ag_Al") / "Ag_Al" / file
    data = path.read_bytes()
    path.write_bytes(change(data[: len(data) // 2 * 2]))
    with pytest.raises(ValueError, match=reason) as error:
        read_dftbplus(path.parents[1])
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("file", ["detailed.out", "geo_end.xyz", "band.out", "results.tag"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(raw, file):
    path = raw("Ag_Al") / "Ag_Al" / file
    (path.parent / "band.out").unlink()
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(ValueError, match=f"{file}: a pipe, not a regular file"):
        read_dftbplus(path.parents[1])


LONG = 200_000
SLOW = [
    ("detailed.out", r"^Total energy: +\S+ H +\S+", "Total energy: 1 H " + "1" * LONG + "x"),
    ("detailed.out", r"^Total energy: +\S+ H +\S+", "Total energy: 1 H 1e" + "1" * LONG + "x"),
    ("detailed.out", r"^Total energy: ", "Total energy:" + " " * LONG + "x" + " " * LONG),
    ("detailed.out", r"^Dipole.*Debye", "Dipole moment:" + " " * LONG),
    ("detailed.out", r"^Dipole.*Debye", "Dipole moment:" + " Debye" * LONG + "x"),
    ("detailed.out", r"^SCC converged", " " * LONG + "x\nSCC converged"),
    ("detailed.out", r"^SCC converged", "SCC converged" + " " * LONG + "x"),
    ("detailed.out", r"^Geometry opt.*", "Geometry optimization step: " + "1" * LONG + "x"),
    ("detailed.out", r"^ iSCC .*", " iSCC " * LONG),
    ("detailed.out", r"^ iSCC ", " iSCC \n" * (LONG // 10) + " iSCC "),
    ("detailed.out", r"^Atom populations \(up\)\n",
     "Atom populations (up)\n" * (LONG // 10) + "x"),
    ("detailed.out", r"^Fermi level", "\n" * LONG + "Fermi level"),
    ("detailed.out", r"^Fermi level", "A:" * LONG + "\nFermi level"),
    ("geo_end.xyz", r"^ +2$", "2" + "2" * LONG),
    ("geo_end.xyz", r"1\.7457931\d", "1" * LONG + "x"),
    ("band.out", r"^ KPT.*\n", "KPT " * LONG + "\n"),
    ("band.out", r"^ KPT.*\n", "KPT" + " " * LONG + "x\n"),
    ("band.out", r"^ KPT.*\n", "KPT " + "1" * LONG + "x\n"),
    ("results.tag", "^", "a" * LONG + "\n"),
    ("results.tag", "^", "a:" * LONG + "\n"),
    ("results.tag", "^", "eigenvalues" + " " * LONG + "x:\n"),
    ("results.tag", "^", "eigenvalues:real:3:" + "1," * LONG + "x\n"),
    ("results.tag", "^", "eigenvalues:real:3:1,1,1\n" * (LONG // 10)),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new"), SLOW)
def test_time_grows_with_the_length_and_messages_do_not(raw, file, old, new):
    path = raw("Ag_Al") / "Ag_Al" / file
    if file == "results.tag":
        (path.parent / "band.out").unlink()
        path.write_text("fermi_level :real:0:\n -0.2\n")
    edit(path, old, new, count=1)
    start = time.process_time()
    try:
        read_dftbplus(path.parents[1], labels=None)
    except ValueError as error:
        assert len(str(error)) < 1000
    # Quadratic time would be minutes.
    assert time.process_time() - start < 5

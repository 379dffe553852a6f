"""Live xTB: physics against experiment, flags, cache, parallel runs, input checks."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("tblite")

from joblib import parallel_config
from threadpoolctl import threadpool_info

from qcanvas_sklearn.datasets import PairData, _jobs, _xtb, load_pairs
from qcanvas_sklearn.datasets import _xtb_engine as engine
from qcanvas_sklearn.datasets._xtb import compute_pairs, xtb_source
from qcanvas_sklearn.images import PairImageTransformer, pair_amplitudes, render
from qcanvas_sklearn.images.sources import get_resolver
from qcanvas_sklearn.targets import identity_residuals

# Equilibrium bond lengths in Å: K. P. Huber, G. Herzberg, Molecular Spectra and Molecular
# Structure IV: Constants of Diatomic Molecules (1979), as tabulated in the NIST WebBook.
HUBER_HERZBERG = {
    ("H", "H"): 0.74144, ("N", "N"): 1.09768, ("O", "O"): 1.20752, ("F", "F"): 1.41193,
    ("Cl", "Cl"): 1.9879, ("Br", "Br"): 2.2811, ("I", "I"): 2.6663, ("Li", "Li"): 2.6729,
    ("Na", "Na"): 3.0789, ("P", "P"): 1.8934, ("S", "S"): 1.8892, ("H", "F"): 0.91681,
    ("H", "Cl"): 1.27455, ("H", "Br"): 1.41444, ("H", "I"): 1.60916, ("Li", "H"): 1.5957,
    ("C", "O"): 1.12832, ("N", "O"): 1.15077, ("Li", "F"): 1.56386, ("Na", "Cl"): 2.36079,
}  # fmt: skip
BOLTZMANN_EV = 8.617333e-5
METHODS = ["GFN1-xTB", "GFN2-xTB"]
TWELVE = [[a, b] for a in ("Ti", "O", "Cl", "Si") for b in ("H", "Ag", "P")]


def assert_same(a: PairData, b: PairData) -> None:
    pd.testing.assert_frame_equal(a.labels, b.labels)
    for name in ("positions", "orbital_populations", "charges", "dipole", "quality"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.fixture(scope="module")
def textbook() -> dict[str, PairData]:
    """The twenty textbook diatomics by method."""
    pairs = np.array(list(HUBER_HERZBERG))
    return {m: compute_pairs(pairs, method=m, cache=False) for m in METHODS}


@pytest.fixture
def no_engine(monkeypatch):
    """Call to make every further calculation fail."""

    def forbid() -> None:
        def refuse(*args):
            raise AssertionError(f"computed {args} though it was cached")

        monkeypatch.setattr(engine, "compute_records", refuse)

    return forbid


# The methods' own accuracy; both make the alkali dimers 0.2 to 0.4 Å too short.
@pytest.mark.parametrize(("method", "mean_error"), [("GFN1-xTB", 0.06), ("GFN2-xTB", 0.07)])
def test_bond_lengths_agree_with_experiment(textbook, method, mean_error):
    error = textbook[method].bond_lengths - np.array(list(HUBER_HERZBERG.values()))
    assert np.abs(error).mean() < mean_error
    assert np.median(np.abs(error)) < 0.03
    assert (textbook[method].quality == "ok").all()


@pytest.mark.parametrize("method", METHODS)
def test_relaxed_length_is_a_minimum(textbook, method):
    relaxed = textbook[method]
    for shift in (-0.01, 0.01):
        moved = xtb_source(relaxed.z, relaxed.bond_lengths + shift, method=method, cache=False)
        rise = moved.labels["mermin_free_energy_ev"] - relaxed.labels["mermin_free_energy_ev"]
        assert (rise > 0).all()


@pytest.mark.parametrize("method", METHODS)
def test_populations_and_charges_are_conserved(textbook, method):
    valence = {"H": 1, "Li": 1, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 1, "P": 5, "S": 6,
               "Cl": 7, "Br": 7, "I": 7}  # fmt: skip
    pairs = textbook[method]
    electrons = np.array([[valence[a] for a in row] for row in pairs.elements])
    np.testing.assert_allclose(pairs.charges, electrons - pairs.populations, atol=1e-5)
    np.testing.assert_allclose(pairs.charges.sum(axis=1), 0, atol=1e-6)


def test_orbitals_are_in_the_order_of_the_magnetic_quantum_number(textbook):
    # On the z axis p_x and p_y (m = 1 and -1) are alike, p_z (m = 0) is the sigma orbital.
    pairs = textbook["GFN1-xTB"]
    nitrogen = pairs.orbital_populations[pairs.find([["N", "N"]])[0], 0]
    assert nitrogen[1] == pytest.approx(nitrogen[3]) == pytest.approx(1.0)
    assert nitrogen[2] > 1.05
    fluorine = pairs.orbital_populations[pairs.find([["F", "H"]])[0], 0]
    assert fluorine[[1, 3]] == pytest.approx(2.0)
    # d shells come first in the transition metals: they still belong at index 4 to 8.
    iron = compute_pairs([["H", "Fe"]], cache=False).shell_populations[0, 0]
    assert iron[2] > 6 > iron[0] + iron[1]


@pytest.mark.parametrize(
    ("pair", "experiment"), [(["H", "F"], 1.826), (["Li", "H"], 5.88), (["Na", "Cl"], 9.00)]
)
def test_dipole_points_to_the_atom_that_lost_electrons(textbook, pair, experiment):
    pairs = textbook["GFN1-xTB"][textbook["GFN1-xTB"].find([pair])]
    dipole = pairs.labels["dipole_z_d"].item()
    assert np.sign(dipole) == np.sign(pairs.charges[0, 1])
    assert abs(dipole) == pytest.approx(experiment, rel=0.35)
    bundled = load_pairs().pairs
    reference = bundled[bundled.find([pair])]
    assert np.sign(dipole) == np.sign(reference.dipole[0, 2])


def test_energies_of_half_filled_degenerate_levels(textbook):
    # Two electrons in the two pi* levels of O2: four spin orbitals filled by half, whose
    # entropy is 4 k ln 2 exactly; they are HOMO, LUMO and Fermi level at once.
    pairs = textbook["GFN1-xTB"]
    oxygen = pairs.labels.iloc[pairs.find([["O", "O"]])[0]]
    entropy = oxygen["total_energy_ev"] - oxygen["mermin_free_energy_ev"]
    assert entropy == pytest.approx(4 * BOLTZMANN_EV * 300 * np.log(2), rel=1e-4)
    assert oxygen["e_g_ev"] == 0 and oxygen["metal_like"]
    assert oxygen["fermi_level_ev"] == pytest.approx(oxygen["e_homo_ev"], abs=1e-6)
    assert pd.isna(oxygen["softness_evinv"])


def test_odd_electron_is_homo_and_lumo_and_has_no_single_fermi_level(textbook):
    pairs = textbook["GFN1-xTB"]
    labels = pairs.labels.iloc[pairs.find([["N", "O"], ["N", "N"]])]
    assert labels["e_g_ev"].iloc[0] == 0 < labels["e_g_ev"].iloc[1]
    assert labels["fermi_level_ev"].isna().tolist() == [True, False]
    nitrogen = labels.iloc[1]
    assert nitrogen["e_homo_ev"] < nitrogen["fermi_level_ev"] < nitrogen["e_lumo_ev"]


def test_labels_obey_the_reactivity_algebra(textbook):
    for pairs in textbook.values():
        residuals = identity_residuals(pairs.labels.drop(columns="dipole_mag_d"))
        assert len(residuals) == 8 and residuals.max() < 1e-9
        unknown = ["geom_opt_step", *(c for c in pairs.labels if c.startswith("scc_last"))]
        assert pairs.labels[unknown].isna().all(axis=None)
        assert pairs.labels["geom_converged"].all()


def test_closed_shells_without_virtual_levels():
    pair = compute_pairs([["He", "He"]], cache=False)
    labels = pair.labels.iloc[0]
    assert labels["no_virtual_in_basis"] and pd.isna(labels["e_lumo_ev"])
    assert np.isfinite(labels["e_homo_ev"]) and pd.isna(labels["metal_like"])
    assert pair.quality.tolist() == ["weakly-bound"]
    assert pair.bond_lengths[0] > 2.4


def test_scan_is_pair_major_and_finds_the_triple_bond():
    grid = np.linspace(0.9, 1.6, 29)
    scan = compute_pairs([["N", "N"], ["O", "C"]], distance=grid, cache=False)
    assert len(scan) == 2 * len(grid)
    assert scan.names.tolist() == ["N_N"] * len(grid) + ["C_O"] * len(grid)
    np.testing.assert_array_equal(scan.labels["distance_ang"], np.tile(grid, 2))
    energy = scan.labels["total_energy_ev"].to_numpy().reshape(2, -1)
    assert grid[energy.argmin(axis=1)] == pytest.approx([1.1, 1.125])
    assert scan.labels["geom_converged"].isna().all()


def test_a_row_depends_on_its_own_bond_length_only():
    scan = compute_pairs([["Fe", "O"]], distance=[1.5, 1.6, 1.7], cache=False)
    alone = compute_pairs([["Fe", "O"]], distance=1.6, cache=False)
    column = compute_pairs(
        pd.DataFrame({"element_1": ["O"], "element_2": ["Fe"], "distance_ang": [1.6]}),
        cache=False,
    )
    for other in (alone, column):
        assert_same(scan[1], other)


def test_order_of_the_elements_does_not_matter():
    pairs = compute_pairs([["O", "C"], ["C", "O"]], cache=False)
    assert pairs.names.tolist() == ["C_O", "C_O"]
    assert_same(pairs[0], pairs[1])


def test_relaxed_and_given_lengths_in_one_source():
    rows = xtb_source([[8, 6], [1, 1], [6, 8]], [np.nan, 0.8, 1.2], cache=False)
    assert rows.names.tolist() == ["C_O", "H_H", "C_O"]
    assert rows.bond_lengths[1:].tolist() == [0.8, 1.2]
    assert rows.bond_lengths[0] == pytest.approx(1.12, abs=0.02)
    assert "given or relaxed" in rows.provenance and "GFN1-xTB" in rows.provenance


def test_pair_without_a_physical_state_stays_as_a_flagged_row(tmp_path):
    pairs = compute_pairs([["Si", "Lu"], ["H", "H"]], cache=False)
    assert pairs.quality.tolist() == ["unphysical-charges", "ok"]
    assert np.isnan(pairs.charges[0]).all() and np.isnan(pairs.bond_lengths[0])
    assert pairs.labels["geom_converged"].tolist() == [False, True]
    assert pairs.labels["system_id_guess"].tolist() == ["Lu_Si", "H_H"]
    pairs.save(tmp_path / "pairs.npz")
    assert PairData.load(tmp_path / "pairs.npz").quality.tolist() == pairs.quality.tolist()


def test_given_length_is_kept_where_nothing_converges(monkeypatch):
    def fail(self, distance):
        raise engine.SCFError("not-converged")

    monkeypatch.setattr(engine.Diatomic, "solve", fail)
    pairs = compute_pairs([["H", "H"]], distance=0.8, cache=False)
    assert pairs.quality.tolist() == ["not-converged"]
    assert pairs.bond_lengths.tolist() == [0.8] and np.isnan(pairs.populations).all()
    assert pairs.labels["scc_converged"].tolist() == [False]
    assert compute_pairs([["H", "H"]], cache=False).quality.tolist() == ["not-converged"]


def morse(distance: float, center: float = 1.5, depth: float = 0.2) -> tuple[float, float]:
    decay = np.exp(-1.5 * (distance - center))
    slope = 2 * depth * 1.5 * (1 - decay) * decay * engine.BOHR_ANG
    return depth * (1 - decay) ** 2 - depth, slope


def two_wells(distance: float) -> tuple[float, float]:
    (near, near_slope), (far, far_slope) = morse(distance), morse(distance, 3.5, 0.3)
    return (near, near_slope) if distance < 2.2 else (far, far_slope)


def two_minima_in_one_step(distance: float) -> tuple[float, float]:
    lower, upper = morse(distance, 2.7756), morse(distance, 2.97, 0.19)
    return lower if distance < 2.85 else upper


def kinked(distance: float) -> tuple[float, float]:
    side = np.sign(distance - 1.5)
    return abs(distance - 1.5), side * engine.BOHR_ANG


def fails_inside(distance: float) -> tuple[float, float]:
    if distance < 1.7:
        raise engine.SCFError("unphysical-charges")
    return morse(distance)


@pytest.mark.parametrize(
    ("curve", "distance", "quality"),
    [
        (morse, 1.5, "ok"),
        (two_wells, 3.5, "ok"),
        (two_minima_in_one_step, 2.7756, "ok"),
        (lambda d: morse(d, depth=5e-4), 1.5, "weakly-bound"),
        (kinked, 1.5, "cusp"),
        (lambda d: (1 / d, -engine.BOHR_ANG / d**2), np.nan, "unbound"),
        (lambda d: (-1 / d, engine.BOHR_ANG / d**2), np.nan, "collapsed"),
        (fails_inside, np.nan, "unphysical-charges"),
    ],
)
def test_relaxation_says_what_kind_of_curve_it_met(curve, distance, quality):
    found, verdict = engine.relax(curve, contact=1.4)
    assert verdict == quality
    assert found == pytest.approx(distance, abs=2e-4, nan_ok=True)


def test_second_call_reads_the_cache(tmp_path, no_engine):
    pairs = [["H", "H"], ["N", "O"], ["Lu", "Si"]]
    first = [compute_pairs(pairs, cache=tmp_path), compute_pairs(pairs, distance=2.0,
                                                                 cache=tmp_path)]  # fmt: skip
    no_engine()
    second = [compute_pairs(pairs[::-1], cache=str(tmp_path)), compute_pairs(
        pairs[::-1], distance=2.0, cache=tmp_path)]  # fmt: skip
    for a, b in zip(first, second, strict=True):
        assert_same(a, b[::-1])
    for other in ({"electronic_temperature": 400}, {"method": "GFN2-xTB"}, {"distance": 2.1}):
        with pytest.raises(AssertionError, match="computed"):
            compute_pairs(pairs, cache=tmp_path, **other)


def test_cache_lies_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    compute_pairs([["H", "H"]])
    files = [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()]
    assert files == ["xtb/GFN1-xTB/300K/relaxed/H_H.npz"]


def nobody(uid):
    raise KeyError(uid)


@pytest.mark.parametrize("trouble", ["a file in its place", "no home", "disk full"])
def test_without_a_place_for_the_cache_pairs_are_computed_all_the_same(
    tmp_path, monkeypatch, trouble
):
    expected = compute_pairs(TWELVE[:3], cache=False)
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path / "file" / "folder"))
    (tmp_path / "file").touch()
    if trouble == "no home":
        monkeypatch.delenv("QCANVAS_DATA")
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("pwd.getpwuid", nobody)
    elif trouble == "disk full":
        monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
        monkeypatch.setattr("numpy.savez_compressed", disk_full)
    for compute in (
        lambda: compute_pairs(TWELVE[:3]),
        lambda: get_resolver("xtb")(expected.z, None).pairs,
    ):
        with pytest.warns(UserWarning, match="not kept .*QCANVAS_DATA") as caught:
            assert_same(expected, compute())
        assert len(caught) == 1
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


def disk_full(file, **arrays):
    file.write(b"half of it")
    raise OSError("No space left on device")


def test_a_cache_that_can_only_be_read_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    first = compute_pairs(TWELVE[:3])
    monkeypatch.setattr("numpy.savez_compressed", disk_full)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(first, compute_pairs(TWELVE[:3]))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_damaged_cache_file_is_computed_anew(tmp_path, damage):
    before = compute_pairs([["C", "O"]], cache=tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    size = {"truncated": len(content) // 2, "empty": 0}.get(damage, len(content))
    path.write_bytes(content[:size])
    if damage == "foreign":
        compute_pairs([["N", "N"]], cache=tmp_path)
        path.with_name("N_N.npz").replace(path)
    after = compute_pairs([["C", "O"]], cache=tmp_path)
    pd.testing.assert_frame_equal(before.labels, after.labels)
    assert not list(tmp_path.rglob("*.part"))


def test_interrupted_run_resumes(tmp_path, monkeypatch):
    pairs = [["H", e] for e in "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca".split()]
    compute_records, computed = engine.compute_records, []

    def interrupted(z, *args):
        if len(computed) == 11:
            raise KeyboardInterrupt
        computed.append(z)
        return compute_records(z, *args)

    monkeypatch.setattr(engine, "compute_records", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compute_pairs(pairs, cache=tmp_path)
    kept = len(list(tmp_path.rglob("*.npz")))
    assert 0 < kept <= 11

    def counted(z, *args):
        computed.append(z)
        return compute_records(z, *args)

    computed.clear()
    monkeypatch.setattr(engine, "compute_records", counted)
    resumed = compute_pairs(pairs, cache=tmp_path)
    assert len(computed) == len(pairs) - kept
    pd.testing.assert_frame_equal(resumed.labels, compute_pairs(pairs, cache=False).labels)


@pytest.fixture(scope="module")
def serial() -> PairData:
    return compute_pairs(TWELVE, cache=False)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_run_equals_a_serial_one(tmp_path, serial, backend):
    with parallel_config(backend):
        assert_same(serial, compute_pairs(TWELVE, n_jobs=2, cache=tmp_path))
    assert len(list(tmp_path.rglob("*.npz"))) == len(TWELVE)


def test_threads_of_the_caller_are_left_alone():
    before = [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()]
    compute_pairs([["H", "H"]], cache=False)
    after = [(lib["filepath"], lib["num_threads"]) for lib in threadpool_info()]
    assert before == after


def test_repeated_pairs_are_computed_once(monkeypatch):
    compute_records, computed = engine.compute_records, []

    def counted(z, *args):
        computed.append(z)
        return compute_records(z, *args)

    monkeypatch.setattr(engine, "compute_records", counted)
    rows = xtb_source([[1, 1], [8, 1], [1, 8], [1, 1]], cache=False)
    assert sorted(computed) == [(1, 1), (1, 8)]
    assert rows.names.tolist() == ["H_H", "H_O", "H_O", "H_H"]


def test_only_progress_is_printed(tmp_path, capfd):
    compute_pairs([["H", "H"]], cache=False)
    assert capfd.readouterr() == ("", "")
    compute_pairs([["H", "H"]], cache=False, verbose=1)
    out, err = capfd.readouterr()
    assert out == "" and "xTB: 100%" in err and "1/1" in err and " pairs" in err


def test_missing_tblite_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    with pytest.raises(ImportError, match=r'pip install "qcanvas-sklearn\[xtb\]".*macOS'):
        compute_pairs([["H", "H"]])


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([["H", "Ac"], ["Th", "O"]], {}, "Z = 86.*not Ac, Th"),
        ([["H", "Xx"]], {}, "'Xx'"),
        ([["H", "H"]], {"method": "GFN0"}, "unknown method 'GFN0'.*GFN2-xTB"),
        ([["H", "H"]], {"distance": "relax"}, "'relaxed' or numbers.*'relax'"),
        ([["H", "H"]], {"distance": [[1.0], [2.0]]}, r"shape \(2, 1\).*third column"),
        ([["H", "H"]], {"distance": []}, "one-dimensional grid"),
        ([["H", "H"]], {"distance": -1.0}, "-1.0 is not between"),
        ([["H", "H"]], {"distance": [1.0, np.nan]}, "nan is not between"),
        ([["H", "H"]], {"distance": 1e-3}, "0.001 is not between 0.1 and 100"),
        ([["H", "H", 0.7]], {"distance": 0.8}, "given twice"),
        ([["H", "H"]], {"electronic_temperature": 0}, "positive number of kelvin, got 0"),
        ([["H", "H"]], {"electronic_temperature": "hot"}, "got 'hot'"),
    ],
)
def test_bad_input_is_named(pairs, options, message):
    with pytest.raises(ValueError, match=message):
        compute_pairs(pairs, cache=False, **options)


def test_source_refuses_what_is_no_pair():
    with pytest.raises(ValueError, match="Z = 0"):
        xtb_source([[0, 1]], cache=False)
    with pytest.raises(ValueError, match=r"shape \(n, 2\)"):
        xtb_source([1, 2], cache=False)
    with pytest.raises(ValueError, match=r"shape \(1,\), expected \(2,\)"):
        xtb_source([[1, 1], [1, 2]], [0.8], cache=False)


def test_every_chunk_is_covered_once():
    jobs = [_xtb._Job((1, z), ()) for z in range(1, 87)]
    chunks = list(_jobs.chunks(jobs))
    assert [job for chunk in chunks for job in chunk] == jobs and len(chunks) > 1


# --- as a source of images

BLOCKS = ("atoms", "orbitals", "charges", "image")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of one's own."""
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))


def drawn(pairs, **parameters):
    """Views of what the transformer makes of `pairs`."""
    transformer = PairImageTransformer("xtb", 8, include=BLOCKS, dtype="float64", **parameters)
    return transformer.unpack(transformer.fit_transform(pairs))


def assert_drawn_from(views, pairs):
    assert views["z"].tolist() == pairs.z.tolist()
    for name, values in (
        ("distance_ang", pairs.bond_lengths),
        ("population", pairs.populations),
        ("shell_populations", pairs.shell_populations),
        ("charge", pairs.charges),
        ("dipole_mag", pairs.dipole_magnitudes),
    ):
        np.testing.assert_array_equal(views[name], values)
    expected = render(pair_amplitudes(pairs), 8)
    np.testing.assert_allclose(views["image"], expected, rtol=1e-5, atol=1e-6)


def test_images_show_the_computed_pairs(cache, no_engine):
    pairs = [["O", "C"], ["H", "F"], ["C", "O"]]
    views = drawn(pairs)
    no_engine()
    assert_drawn_from(views, compute_pairs(pairs))
    assert_drawn_from(drawn(pairs[::-1]), compute_pairs(pairs[::-1]))


def test_images_at_bond_lengths_of_the_third_column(cache):
    pairs = [["H", "F", 0.8], ["F", "H", 1.4], ["Na", "Cl", 2.4]]
    views = drawn(pairs)
    assert views["distance_ang"].tolist() == [0.8, 1.4, 2.4]
    assert views["dipole_mag"][0] < views["dipole_mag"][1]
    assert_drawn_from(views, compute_pairs(pairs))
    frame = pd.DataFrame(pairs, columns=["element_1", "element_2", "distance_ang"])
    for name, view in drawn(frame[::-1]).items():
        np.testing.assert_array_equal(view[::-1], views[name])


def test_pair_without_a_state_or_a_parametrisation_is_unknown_to_the_images(cache):
    pairs = [["Si", "Lu"], ["H", "H"], ["Th", "O"]]
    with pytest.raises(ValueError, match=r"2 of 3 pairs are not in the source: Lu_Si, O_Th\."):
        drawn(pairs)
    with pytest.warns(UserWarning, match="2 of 3 pairs .* free atoms: Lu_Si, O_Th"):
        views = drawn(pairs, handle_unknown="free-atom")
    assert not views["charge"][[0, 2]].any()
    assert views["population"].sum(axis=1).tolist() == pytest.approx([7, 2, 10])
    with pytest.warns(UserWarning, match="free atoms: O_Th"):
        given = drawn([["H", "H", 0.8], ["Th", "O", 1.8]], handle_unknown="free-atom")
    assert given["distance_ang"].tolist() == [0.8, 1.8]
    alone = drawn(pairs[1:2])
    assert all((view[1] == alone[name][0]).all() for name, view in views.items())

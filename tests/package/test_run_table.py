"""The table of every model on every target: its cells, its numbers, its report."""

import os
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.pipeline import make_pipeline

import qcanvas_sklearn
from qcanvas_sklearn import QCanvasRegressor, TightBindingRegressor, load_pairs
from qcanvas_sklearn.elements import property_values

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
run_table, cells, chains, models, report, journal = map(
    import_module,
    ("run_table", "table.cells", "table.chains", "table.models", "table.report", "journal"),
)

READ_OFF = ["dipole_mag_d", "dipole_z_d", "q_absmean", "distance_ang"]


@pytest.fixture
def run(tmp_path):
    """Run the command in this process, on 120 pairs; give its exit code."""

    def run(line):
        fixed = ["--n-jobs", "1", "--limit-rows", "120", "--device", "cpu"]
        return run_table.main([*line.split(), *fixed, "--out", str(tmp_path)])

    return run


def files_of(folder):
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}


def few_rows():
    X, y = load_pairs(return_X_y=True)
    rows = np.arange(120) * 2850 // 120
    return X.iloc[rows], y.iloc[rows]


def test_the_split_is_80_10_10_of_the_seeded_permutation():
    parts = cells.split(2850, 42)
    assert [len(part) for part in parts] == [2280, 285, 285]
    assert (np.concatenate(parts) == np.random.RandomState(42).permutation(2850)).all()


def test_the_table_holds_what_a_computation_by_hand_gives(run, tmp_path):
    targets = ["e_g_ev", "softness_evinv", "distance_ang"]
    assert run(f"--models median --targets {' '.join(targets)} --seeds 1 2 5") == 0
    table = pd.read_csv(tmp_path / "table.csv").set_index("target")
    y = few_rows()[1]
    few = load_pairs().pairs[np.arange(120) * 2850 // 120]
    assert y["softness_evinv"].isna().any()
    for target in targets:
        errors = []
        for seed in (1, 2, 5):
            order = np.random.RandomState(seed).permutation(120)
            values = y[target].to_numpy()[order]
            errors.append(np.abs(values[108:] - np.nanmedian(values[:96])))
        mae = np.array([np.nanmean(e) for e in errors])
        row = table.loc[target]
        assert row["mae"] == pytest.approx(mae.mean(), rel=1e-4)
        assert row["std"] == pytest.approx(
            np.sqrt(((mae - mae.mean()) ** 2).sum() / 2), rel=1e-4
        )
        assert row["median_ae"] == pytest.approx(
            np.mean([np.nanmedian(e) for e in errors]), rel=1e-4
        )
        rmse = np.mean([np.sqrt(np.nanmean(e**2)) for e in errors])
        assert row["rmse"] == pytest.approx(rmse, rel=1e-4)
        assert (row["n_seeds"], row["mode"], row["inputs"]) == (3, "joint", "nothing")
        ratio = few.bond_lengths / property_values("covalent_radius_ang")[few.z].sum(axis=1)
        tested = [cells.split(120, seed)[2] for seed in (1, 2, 5)]
        own = [e[ratio[at] >= 0.7] for e, at in zip(errors, tested, strict=True)]
        assert sum(map(len, own)) < 36
        apart = np.mean([np.nanmean(e) for e in own])
        assert row["mae_apart"] == pytest.approx(apart, rel=1e-4)
    assert table.loc["distance_ang", "unit"] == "angstrom"
    assert (tmp_path / "table.md").read_text().count("*without collapsed pairs*") == 2


def test_a_second_run_fits_nothing_and_gives_the_same_table(run, tmp_path, monkeypatch):
    line = "--models median pair_mlp --targets e_g_ev distance_ang --seeds 1 2 --max-epochs 1"
    assert run(line) == 0
    before, table = files_of(tmp_path), (tmp_path / "table.csv").read_bytes()
    assert len(before) == 4
    monkeypatch.setattr(run_table, "attempt", lambda cell: pytest.fail(f"fitted {cell}"))
    assert run(line) == 0
    assert files_of(tmp_path) == before
    assert (tmp_path / "table.csv").read_bytes() == table


@pytest.mark.parametrize("changed", ["--max-epochs 2", "--max-epochs 1 --inputs elements"])
def test_changed_settings_are_fitted_anew(run, tmp_path, changed):
    line = "--models pair_mlp --targets distance_ang --seeds 3"
    run(f"{line} --max-epochs 1")
    before = pd.read_csv(tmp_path / "table.csv").loc[0, "mae"]
    assert run(f"{line} {changed}") == 0
    names = files_of(tmp_path)
    assert len(names) == 2
    assert all(name.startswith("pair_mlp_seed3_distance_ang_") for name in names)
    assert pd.read_csv(tmp_path / "table.csv").loc[0, "mae"] != before


def test_new_defaults_of_a_model_are_fitted_anew(monkeypatch):
    cell = cells.Cell("boosting", 1, ("e_g_ev",))
    before = cell.filename
    assert cells.Cell("boosting", 1, ("e_g_ev",)).filename == before
    entry = models.Entry(lambda seed: DummyRegressor(strategy="mean"))
    monkeypatch.setitem(models.MODELS, "boosting", entry)
    assert cell.filename != before


def test_single_mode_fits_each_target_alone(run, tmp_path):
    assert run("--models median --targets e_g_ev distance_ang --seeds 1 --single") == 0
    learnt = {tuple(cells.load(p)["targets"]) for p in (tmp_path / "cells").iterdir()}
    assert learnt == {("e_g_ev",), ("distance_ang",)}
    assert (pd.read_csv(tmp_path / "table.csv")["mode"] == "single").all()


def test_an_interrupted_run_goes_on_where_it_stopped(run, tmp_path, monkeypatch):
    fitted = []

    def attempt(cell):
        fitted.append(cell.seed)
        if len(fitted) == 2:
            raise KeyboardInterrupt
        return cells.attempt(cell)

    monkeypatch.setattr(run_table, "attempt", attempt)
    line = "--models median --targets e_g_ev --seeds 1 2 3"
    with pytest.raises(KeyboardInterrupt):
        run(line)
    assert len(files_of(tmp_path)) == 1
    assert run(line) == 0
    assert fitted == [1, 2, 2, 3]


def test_a_write_that_fails_leaves_no_file(run, tmp_path, monkeypatch):
    def replace(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk full"):
        patch.setattr(os, "replace", replace)
        run("--models median --targets e_g_ev --seeds 1")
    assert files_of(tmp_path) == {}
    assert run("--models median --targets e_g_ev --seeds 1") == 0


def test_a_failing_model_is_reported_and_stops_no_other(run, tmp_path, monkeypatch, capsys):
    entry = models.Entry(lambda seed: DummyRegressor(strategy="nonsense"))
    monkeypatch.setitem(models.MODELS, "boosting", entry)
    assert run("--models boosting median --targets e_g_ev --seeds 1 2") == 1
    assert len(files_of(tmp_path)) == 2
    assert pd.read_csv(tmp_path / "table.csv")["model"].tolist() == ["median"]
    last = capsys.readouterr().err.splitlines()[-2:]
    assert [line.partition(", e_g_ev: ")[0] for line in last] == [
        "failed: boosting, seed 1", "failed: boosting, seed 2",
    ]  # fmt: skip
    assert all("nonsense" in line for line in last)
    assert "boosting, seed 2, e_g_ev: " in (tmp_path / "table.md").read_text()


def test_a_model_that_is_not_installed_is_refused(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(models.MODELS, "fusion", models.Entry("NoSuchRegressor"))
    assert run("--models median fusion --seeds 1") == 2
    assert "'fusion' is qcanvas_sklearn.NoSuchRegressor" in capsys.readouterr().err
    assert not (tmp_path / "cells").exists()


@pytest.mark.parametrize(
    "line, message",
    [
        ("--models resnet", "invalid choice: 'resnet'"),
        ("--targets mass", "unknown target 'mass'"),
        ("--scheduler tcp://127.0.0.1:1", "--scheduler is for --backend dask"),
        ("--limit-rows 5", "--limit-rows 5 is not between 20 and 2850"),
    ],
)
def test_a_bad_command_line_is_refused(line, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        run_table.main(line.split())
    assert message in capsys.readouterr().err


def record(model, seed, mae, read_off=(), sees="elements"):
    scores = {t: dict(mae=m, median_ae=m, rmse=m, r2=0.5, n_train=80) for t, m in mae.items()}
    return {
        "model": model, "seed": seed, "sees": sees, "read_off": read_off, "scores": scores,
        "n_parameters": None, "n_train": 80, "fit_seconds": 1.0, "pairs_per_second": 1e4,
        "versions": {"numpy": "2.0"}, "machine": "abacus",
    }  # fmt: skip


def test_the_report_has_published_figures_the_best_and_what_is_only_read():
    records = [
        record("a", 1, {"e_g_ev": 0.1, "dipole_mag_d": 0.3}),
        record("a", 2, {"e_g_ev": 0.3, "dipole_mag_d": 0.3}),
        record("b", 1, {"e_g_ev": 0.2001, "dipole_mag_d": 0.01}, READ_OFF, "images"),
    ]
    text = report.markdown(report.long_table(records, "joint"), records, command="python x")
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows = {line[0].removeprefix("| "): line[1:] for line in lines}
    assert rows["target"] == ["a", "b", "published best |"]
    assert rows["*inputs*"][:2] == ["elements", "images"]
    assert rows["e_g_ev (eV)"] == ["**0.200 ± 0.141**", "0.200", "qsn_v2 0.191 ± 0.016 |"]
    assert rows["dipole_mag_d (D)"] == [
        "**0.300 ± 0.000**", "0.0100 †", "vision_only 0.129 ± 0.060 |",
    ]  # fmt: skip
    for part in ("`python x`", "numpy 2.0", "abacus", "seeds (1, 2)"):
        assert part in text


def test_published_figures_are_the_lowest_and_have_a_source():
    published = pd.read_csv(report.PUBLISHED)
    assert published["source"].str.startswith("QuantumCanvas").all()
    best = report.published_best()["test_mae"]
    assert best["e_g_ev"] == 0.191 and best["total_energy_ev"] == 1.037
    assert best["distance_ang"] == 0.008
    assert (best == published.groupby("target")["test_mae"].min()).all()


@pytest.fixture
def no_calculated_pairs(monkeypatch):
    """No electronic structure and no bond length can be looked up."""

    def bundled_pairs():
        raise RuntimeError("calculated pairs were looked up")

    monkeypatch.setattr("qcanvas_sklearn.images.sources.bundled_pairs", bundled_pairs)


ELEMENTS_ONLY = [
    *(("pair_mlp_elements", inputs) for inputs in models.INPUTS),
    ("gatv2", "elements"), ("median", "own"), ("boosting", "own"),
]  # fmt: skip


@pytest.mark.parametrize("name, inputs", ELEMENTS_ONLY)
def test_a_model_on_elements_cannot_see_the_distance(name, inputs, no_calculated_pairs):
    cell = cells.Cell(name, 1, ("distance_ang",), inputs, 1, "cpu", 40)
    model = cell.build()
    assert model.read_off == () and not model.needs_distance
    X, _ = few_rows()
    table = model.pipeline[0].fit_transform(X)
    if hasattr(model.pipeline[0], "unpack"):
        z = model.pipeline[0].unpack(table)["z"].astype(int)
        radii = property_values("covalent_radius_ang")[z].sum(axis=1)
        assert np.allclose(model.pipeline[0].unpack(table)["distance_ang"], radii)
    assert cells.fit_cell(cell)["scores"]["distance_ang"]["mae"] > 0


@pytest.mark.parametrize("name", ["qcanvas_elements", "tight_binding_elements"])
@pytest.mark.parametrize("inputs", models.INPUTS)
def test_models_of_the_hamiltonian_are_asked_about_elements(name, inputs):
    model = models.build(name, seed=1, inputs=inputs, max_epochs=1)
    assert model.pipeline[-1].given == "elements" and model.read_off == ()
    assert model.sees == "elements" and not model.needs_distance


def test_settings_of_an_entry_reach_its_network():
    for name in ("pair_mlp_5", "pair_mlp_5_elements"):
        network = models.build(name, seed=1, all_seen=True).pipeline[-1]
        assert (network.n_members, network.unseen_elements) == (5, "error")
    assert models.build("pair_mlp", seed=1, all_seen=True).pipeline[-1].n_members == 1


def test_other_inputs_do_see_the_distance(no_calculated_pairs):
    with pytest.raises(RuntimeError, match="looked up"):
        cells.fit_cell(cells.Cell("pair_mlp", 1, ("e_g_ev",), "own", 1, "cpu", 40))
    model = models.build("pair_mlp", seed=1, inputs="distance")
    assert model.needs_distance and model.read_off == ("distance_ang",)
    assert model.sees == "elements + distance"
    cell = cells.Cell("pair_mlp", 1, ("e_g_ev",), "distance", 1, "cpu", 40)
    assert cells.fit_cell(cell)["read_off"] == ["distance_ang"]


@pytest.mark.parametrize(
    "name, inputs, sees",
    [
        ("pair_mlp", "own", "orbital populations"),
        ("gatv2", "own", "graph + channel means"),
        ("gatv2", "populations", "orbital populations"),
        ("vit", "own", "images"),
    ],
)
def test_calculated_inputs_are_named_with_what_can_be_read_off_them(name, inputs, sees):
    model = models.build(name, seed=1, inputs=inputs)
    assert model.sees == sees
    assert sorted(model.read_off) == sorted(READ_OFF)


def test_a_dask_cluster_gives_the_numbers_of_a_serial_run(run, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(sys, "path", list(sys.path))  # the workers live in this process
    line = "--models median pair_mlp --targets e_g_ev distance_ang --seeds 1 2 --max-epochs 1"
    run(line)
    serial = {p.name: cells.load(p)["scores"] for p in (tmp_path / "cells").iterdir()}
    for path in (tmp_path / "cells").iterdir():
        path.unlink()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None,
        local_directory=tmp_path / "dask",
    ) as cluster:  # fmt: skip
        assert run(f"{line} --backend dask --scheduler {cluster.scheduler_address}") == 0
    parallel = {p.name: cells.load(p)["scores"] for p in (tmp_path / "cells").iterdir()}
    assert parallel == serial and len(serial) == 4


def test_a_record_tells_what_was_fitted(tmp_path):
    fitted = cells.fit_cell(cells.Cell("pair_mlp", 1, ("e_g_ev",), "own", 1, "cpu", 120))
    cells.save(fitted, tmp_path / "cell.json")
    assert cells.load(tmp_path / "cell.json") == {**fitted, "targets": ["e_g_ev"]}
    assert fitted["n_parameters"] > 1000 and fitted["n_train"] == 96
    assert fitted["versions"]["qcanvas-sklearn"] == qcanvas_sklearn.__version__
    assert fitted["pairs_per_second"] == pytest.approx(12 / fitted["predict_seconds"])


class Certain(RegressorMixin, BaseEstimator):
    """An ensemble that has no value of some pairs, and of others a certain one."""

    n_members = 2

    def fit(self, X, y, X_val=None, y_val=None):
        assert X_val.shape[1] == 2 and len(X_val) == len(y_val) == 12
        self.mean_ = np.nanmean(y, axis=0)
        return self

    def predict(self, X, return_std=False):
        mean = np.tile(self.mean_, (len(X), 1))
        mean[::2, 1] = np.nan
        std = np.where(np.isnan(mean), np.nan, 0.0)
        return (mean, std) if return_std else mean


def test_what_has_no_value_counts_with_the_median_and_what_is_certain_is(monkeypatch):
    model = models.Model(make_pipeline(Certain()), "elements")
    monkeypatch.setattr(cells.Cell, "build", lambda cell: model)
    cell = cells.Cell("median", 1, ("e_homo_ev", "softness_evinv"), limit_rows=120)
    scores = cells.fit_cell(cell)["scores"]
    train, _, test = cells.split(120, 1)
    y = few_rows()[1]["softness_evinv"].to_numpy()
    by_hand = np.full(12, np.nanmean(y[train]))
    by_hand[::2] = np.nanmedian(y[train])
    expected = np.nanmean(np.abs(y[test] - by_hand))
    assert scores["softness_evinv"]["mae"] == pytest.approx(expected)
    assert scores["e_homo_ev"]["coverage_90"] == 0


SHORT = {"n_members": 2, "max_epochs": 1}


def test_tight_binding_is_fitted_once_for_both_of_its_models():
    X, y = load_pairs(target=["e_homo_ev", "e_lumo_ev"], return_X_y=True)
    X, y, tested = X[:30], y[:30], X[20:30]
    alone = TightBindingRegressor(**SHORT, random_state=3)
    both = QCanvasRegressor(
        n_hidden=8, **SHORT, tight_binding=TightBindingRegressor(**SHORT), random_state=3
    )
    expected = clone(both).fit(X, y).predict(tested, return_std=True)
    states = chains.SharedStates()
    with states():
        alone.fit(X, y)
        assert states.saved_seconds() == 0
        shared = both.fit(X, y).predict(tested, return_std=True)
        assert states.saved_seconds() > 0
        other = clone(alone).set_params(random_state=4).fit(X, y)
        assert states.saved_seconds() == 0
    assert both.tight_binding_.net_ is alone.net_
    assert other.net_ is not alone.net_
    for own, known in zip(shared, expected, strict=True):
        assert np.array_equal(own, known, equal_nan=True)


def test_cells_that_share_tight_binding_stand_side_by_side():
    names = ["qcanvas", "pair_mlp", "tight_binding", "qcanvas_elements",
             "tight_binding_elements"]  # fmt: skip
    asked = [cells.Cell(name, seed, ("e_g_ev",)) for name in names for seed in (1, 2)]
    parts = [{(c.model, c.seed) for c in part} for part in chains.chains_of(asked)]
    for seed in (1, 2):
        assert {("pair_mlp", seed)} in parts
        assert {("qcanvas", seed), ("tight_binding", seed)} in parts
        assert {("qcanvas_elements", seed), ("tight_binding_elements", seed)} in parts
    assert len(parts) == 6


def test_records_of_another_machine_count_as_finished(run, tmp_path, monkeypatch):
    path = tmp_path / "cells.jsonl"
    line = f"--models median --targets e_g_ev --seeds 1 2 --records {path}"
    assert run(line) == 0
    before = {name: cells.load(tmp_path / "cells" / name) for name in files_of(tmp_path)}
    assert [r["seed"] for r in journal.read(path)] == [1, 2]
    for name in before:
        (tmp_path / "cells" / name).unlink()
    monkeypatch.setattr(run_table, "attempt", lambda cell: pytest.fail(f"fitted {cell}"))
    assert run(line) == 0
    assert {name: cells.load(tmp_path / "cells" / name) for name in before} == before


def test_nothing_is_fitted_when_the_time_is_up(run, tmp_path, capsys):
    assert run("--models median --targets e_g_ev --seeds 1 --minutes 0") == 1
    assert files_of(tmp_path) == {}
    assert "not started: the time was up" in capsys.readouterr().err

"""The table of transfer: no row on two sides, the same steps, ratios and verdicts by hand."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from qcanvas_sklearn import (
    SchNetRegressor,
    TwoCentreTransformer,
    encoders,
    load_molecules,
    load_trajectory,
)
from qcanvas_sklearn.encoders import _registry
from qcanvas_sklearn.hamiltonians import TwoCentreTables

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
NAMES = ("arms", "attempts", "cases", "cells", "features", "report", "store")
run_transfer = import_module("run_transfer")
arms, attempts, cases, cells, features, report, store = (
    import_module(f"transfer.{name}") for name in NAMES
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A small encoder with its file, as the training script would name it."""
    X, y = load_molecules("e_g_ev", return_X_y=True)
    path = tmp_path_factory.mktemp("encoders") / "tiny-schnet.safetensors"
    model = SchNetRegressor(max_epochs=1, batch_size=30, random_state=0, device="cpu")
    return model.fit(X[:30], y[:30]).save_encoder(path, name="tiny"), path.parent


@pytest.mark.parametrize("name", ["gap", "energy", "ethanol-forces", "aspirin-energy"])
def test_parts_share_no_formula_and_no_run(name):
    case = cases.CASES[name]
    X = case.load()[0]
    small, large = cases.parts(case, 50, 3), cases.parts(case, 100, 3)
    assert set(small.train) < set(large.train) and (small.valid == large.valid).all()
    assert not set(large.train) & set(large.valid)
    learned = X[np.concatenate([large.train, large.valid])]
    tested = X[large.test]
    of = "groups" if "-" in name else "formulas"
    assert not set(getattr(learned, of)) & set(getattr(tested, of))
    assert (cases.parts(case, 100, 4).test == large.test).all()
    assert cases.parts(case, 10_000, 3) is None


@pytest.mark.parametrize("sizes", [[1] * 9, [9], [3, 3, 3], [1, 5, 1, 2]])
def test_whole_groups_are_set_aside_where_there_are_several(sizes):
    groups = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    aside = cases._aside(groups, 4)
    assert aside.sum() >= 4 and aside.sum() - 4 < max(sizes)
    if len(sizes) > 1:
        assert not set(groups[aside]) & set(groups[~aside])
    else:
        assert aside.tolist() == [True] * 4 + [False] * 5


def test_every_arm_takes_the_same_steps():
    for n, epochs in ((50, 75), (100, 43), (400, 30)):
        fits = [cells.Cell("gap", arm, n, 0, "schnet", "", 30, 300) for arm in arms.ARMS]
        assert {fit.n_epochs for fit in fits} == {epochs}


@pytest.mark.parametrize("arm", [name for name, arm in arms.ARMS.items() if arm.change])
def test_a_control_changes_the_weights_alone(encoder, arm):
    original = encoder[0]
    changed = arms.ARMS[arm].change(original, 1)
    assert {n: w.shape for n, w in changed.weights.items()} == {
        n: w.shape for n, w in original.weights.items()
    }
    assert changed.hyperparameters == original.hyperparameters
    same = [n for n, w in changed.weights.items() if np.array_equal(w, original.weights[n])]
    if arm == "permuted elements":
        assert same == [n for n in original.weights if not n.endswith("embed.weight")]
        table = next(n for n in original.weights if n.endswith("embed.weight"))
        known = [1, 6, 7, 8, 9]
        moved = (changed.weights[table] != original.weights[table]).any(axis=1)
        assert np.flatnonzero(moved).tolist() == known
        assert_allclose(np.sort(changed.weights[table], 0), np.sort(original.weights[table], 0))
    elif arm == "weight scales":
        for name, weight in changed.weights.items():
            assert_allclose(np.sort(weight.ravel()), np.sort(original.weights[name].ravel()))
    else:
        assert "embed.weight" not in same


def test_the_ratio_and_its_interval_by_hand():
    scratch, arm = np.array([1.0, 1.2, 0.9, 1.1]), np.array([0.5, 0.7, 0.4, 0.5])
    found = report.ratio(scratch, arm)
    logs = np.log(scratch / arm)
    low, high = stats.t.interval(0.95, 3, logs.mean(), stats.sem(logs))
    assert_allclose(found[:3], np.exp([logs.mean(), low, high]))
    assert found.verdict == "better" and str(found).startswith("**2.0")
    assert report.ratio(arm, scratch).verdict == "worse"
    assert report.ratio([1.0, 1.0], [0.5, 2.5]).verdict == "tie"
    assert report.ratio([1.0], [0.5]).verdict == "tie"


@pytest.mark.parametrize(
    ("gate", "expected"), [("gated", "pair potential"), ("gated, pretraining", "fine-tuned")]
)
def test_the_gate_looks_at_validation_rows_and_never_at_controls(gate, expected):
    rows = [
        ("scratch", 1.0, 3.0), ("fine-tuned", 0.8, 9.0), ("frozen random", 0.1, 0.1),
        ("pair potential", 0.7, 9.0),
    ]  # fmt: skip
    keys = {"family": "schnet", "encoder": "e", "case": "gap", "n": 50, "seed": 0}
    frame = report.frame({**keys, "arm": a, "valid": v, "test": t} for a, v, t in rows)
    (chosen,) = report.gated(frame, gate).to_dict("records")
    assert (chosen["arm"], chosen["chosen"]) == (gate, expected)


def test_a_seed_without_another_candidate_is_no_tie_of_the_gate():
    keys = {"family": "schnet", "encoder": "", "case": "gap", "n": 50, "valid": 1.0}
    frame = report.frame({**keys, "arm": "scratch", "seed": seed} for seed in range(3))
    assert report.gated(frame, "gated").empty


def test_the_score_counts_the_published_settings_of_both_families():
    rows = [
        {
            "family": "schnet", "encoder": "", "case": case, "n": n, "seed": seed, "arm": arm,
            "valid": error, "test": error, "unit": "eV", "pretraining_seconds": None,
        }
        for case, n, factors in (
            ("gap", 100, (0.1, 0.11)), ("gap", 50, (3, 3.1)), ("homo", 100, (0.5, 2)),
            ("lumo", 100, (2, 2.1)), ("tio2-homo", 100, (0.1,)), ("energy", 100, (0.1, 0.1)),
        )
        for seed, factor in enumerate(factors)
        for arm, error in (("scratch", 1.0), ("two-centre GFN2", factor))
    ]  # fmt: skip
    found = report.score(report.frame(rows))
    plain, gate = found["two-centre GFN2"], found["gated"]
    assert [plain[name] for name in ("better", "tie", "worse")] == [
        ["schnet gap"], ["schnet homo"], ["schnet lumo"]
    ]  # fmt: skip
    assert len(plain["open"]) == 13
    assert {"schnet tio2-homo", "gotennet gap"} < set(plain["open"])
    assert gate["tie"] == ["schnet homo", "schnet lumo"] and gate["worse"] == []


@pytest.mark.parametrize("kind", features.KEPT)
def test_files_of_features_know_what_made_them(kind, monkeypatch):
    before = features._path(kind, [b"a"], False)
    assert before == features._path(kind, [b"a"], False)
    others = {features._path(kind, [b"b"], False), features._path(kind, [b"a"], True)}
    monkeypatch.setattr(features, "_VERSION", 2)
    others.add(features._path(kind, [b"a"], False))
    monkeypatch.setattr(features, "_origin", lambda kind: b"other tables")
    others.add(features._path(kind, [b"a"], False))
    assert len({before, *others}) == 5


def test_a_run_goes_on_where_it_stopped_and_reports_what_is_there(encoder, tmp_path, capsys):
    out = tmp_path / "cells.jsonl"
    line = (
        "--cases ethanol-energy crysmtm-homo --arms scratch frozen --labels 20 --seeds 1 "
        "--epochs 1 --min-steps 1 --batch-size 20 --encoders tiny --no-references "
        f"--control-cases ethanol-energy --folder {encoder[1]} --out {out}"
    ).split()
    assert run_transfer.main([*line, "--minutes", "0"]) == 1
    assert "2 of 2 fits did not fit into the time" in capsys.readouterr().err
    assert run_transfer.main(line) == 0
    written = out.read_text()
    first, second = map(json.loads, written.splitlines())
    assert (first["arm"], second["arm"]) == ("scratch", "frozen")
    assert second["weights"] == encoder[0].sha256 and second["n_epochs"] == 1
    text = (tmp_path / "transfer.md").read_text()
    assert "## schnet, encoder tiny" in text and "crysmtm-homo: its files are not" in text
    assert run_transfer.main(line) == 0 and out.read_text() == written
    other = [*line[:-1], str(tmp_path / "other" / "cells.jsonl"), "--minutes", "0"]
    assert run_transfer.main([*other, "--known", str(out), "--no-report"]) == 0
    assert not (tmp_path / "other").exists()
    assert run_transfer.main([*other, "--merge", str(out)]) == 0
    assert len(store.Store(tmp_path / "other" / "cells.jsonl").records) == 2


def test_cells_come_in_the_order_of_their_worth():
    args = run_transfer.parse([
        "--cases", "gap", "ethanol-energy", "--arms", "all", "--labels", "100", "50",
        "--families", "schnet", "gotennet", "--seeds", "2", "--no-references",
    ])  # fmt: skip
    found = run_transfer.cells_of(args)
    assert len(set(found)) == len(found)
    worth = [
        arms.ARMS[c.arm].worth + (c.n == 50) + (c.family == "gotennet") for c in found
    ]
    assert worth == sorted(worth) and set(worth) == {0, 1, 2, 3}
    seeds = [c.seed for c, rank in zip(found, worth, strict=True) if rank == 1]
    assert seeds == sorted(seeds) and set(seeds) == {0, 1}
    controls = {c.case for c in found if c.arm in arms.CONTROLS}
    assert controls == {"gap"}


def test_what_would_not_end_in_time_is_not_begun(monkeypatch):
    cell = cells.Cell("gap", "scratch", 100, 0, "gotennet", "", 15, 300)
    assert 10 < cell.seconds < 100

    def fit_cell(cell, device):
        raise RuntimeError("begun")

    monkeypatch.setattr(attempts, "fit_cell", fit_cell)
    now = attempts.time.time()
    late = attempts.attempt("key", cell, "cpu", now + cell.seconds)
    begun = attempts.attempt("key", cell, "cpu", now + 2 * cell.seconds)
    assert late.error == attempts.LATE and "begun" in begun.error


def test_a_torn_line_costs_one_cell_and_no_more(tmp_path):
    path = tmp_path / "cells.jsonl"
    store.Store(path).add("a", {"test": 1})
    path.write_bytes(path.read_bytes() + b'{"key": "b", "te')
    again = store.Store(path)
    assert set(again.records) == {"a"}
    again.add("c", {"test": 2})
    assert store.Store(path).records == {"a": {"test": 1}, "c": {"test": 2}}


def test_features_are_looked_up_and_kept_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    X = load_molecules().data[:6]
    monkeypatch.setitem(
        cases.CASES, "few", cases.Case("e_g_ev", "eV", lambda: (X, np.zeros(6, bool)), ())
    )
    told = features.describer("two-centre GFN2", "few").fit(X[:2])
    expected = TwoCentreTransformer().fit_transform(X)
    assert_allclose(told.transform(X[3:5]), expected[3:5])
    features.of_case.cache_clear()
    monkeypatch.setattr(features, "two_centre", lambda *kind: 1 / 0)
    assert_allclose(told.fit(X[:1]).transform(X[[5, 0]]), expected[[5, 0]])


@pytest.mark.parametrize(
    ("kind", "share"), [("two-centre GFN2", 0.3), ("two-centre DFTB", 0.6)]
)
def test_forces_are_learned_beside_two_centre_energies(kind, share, tmp_path, monkeypatch):
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    # What pairs teach takes longer to learn.
    monkeypatch.setattr(features, "taught", TwoCentreTables.load)
    X = load_trajectory("ethanol").data[:14]
    case = cases.Case(
        "total_energy_ev", "eV/Å", lambda: (X, np.arange(14) > 9), features.BASELINES, True
    )
    monkeypatch.setitem(cases.CASES, "few frames", case)
    told = features.describer(kind, "few frames").fit(X[:2])
    expected = features.two_centre(kind, True).fit(X).force_features(X[[5, 2]])
    assert_allclose(told.force_features(X[[5, 2]]), expected, atol=1e-7)
    dummy, ridge = (
        cells.fit_cell(cells.Cell("few frames", name, 8, 0))["test"]
        for name in ("dummy", f"{kind}, ridge")
    )
    assert ridge < share * dummy
    assert not hasattr(features.describer(kind, "ethanol-energy"), "force_features")


@pytest.mark.parametrize("name", ["composition", "FCHL19 + KRR", "pair potential, ridge"])
def test_references_beat_the_dummy(name):
    if name.startswith("FCHL19"):
        pytest.importorskip("qmllib")
    errors = [
        cells.fit_cell(cells.Cell("energy", reference, 50, 0))["test"]
        for reference in ("dummy", name)
    ]
    assert errors[1] < 0.01 * errors[0]


def test_a_pair_potential_beats_no_forces():
    dummy, ridge = (
        cells.fit_cell(cells.Cell("ethanol-forces", name, 50, 0))
        for name in ("dummy", "pair potential, ridge")
    )
    assert ridge["test"] < 0.4 * dummy["test"]
    assert cells.fit_cell(cells.Cell("ethanol-forces", "composition", 50, 0)) is None


@pytest.mark.parametrize("key", sorted(_registry.shipped()))
def test_a_shipped_encoder_says_what_it_is_and_leaves_the_test_molecules_out(key):
    said = encoders.describe(key)
    card = said["card"]
    assert {"data", "targets", "recipe", "seed", "seconds", "held_out", "n_rows"} <= set(card)
    name, _, family = key.rpartition("-")
    assert (said["name"], said["family"], said["kind"]) == (name, family, "molecules")
    assert {"H", "C", "N", "O", "F"} <= set(said["elements"])
    if name == "hamiltonian-gfn2":
        X, tested = cases.bundled()
        assert card["n_rows"] == (~tested).sum() and 0 < tested.sum() < len(X) / 4

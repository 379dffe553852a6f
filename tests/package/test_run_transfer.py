"""The table of transfer: no row on two sides, the same steps, ratios and verdicts by hand."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from qcanvas_sklearn import SchNetRegressor, encoders, load_molecules
from qcanvas_sklearn.encoders import _registry

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
run_transfer, arms, cases, cells, report = map(
    import_module,
    ("run_transfer", "transfer.arms", "transfer.cases", "transfer.cells", "transfer.report"),
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


def test_the_gate_looks_at_validation_rows_and_never_at_controls():
    rows = [
        ("scratch", 1.0, 3.0), ("fine-tuned", 0.8, 9.0), ("frozen random", 0.1, 0.1),
    ]  # fmt: skip
    keys = {"family": "schnet", "encoder": "e", "case": "gap", "n": 50, "seed": 0}
    frame = report.frame({**keys, "arm": a, "valid": v, "test": t} for a, v, t in rows)
    (chosen,) = report.gated(frame).to_dict("records")
    assert (chosen["arm"], chosen["chosen"], chosen["test"]) == ("gated", "fine-tuned", 9.0)


def test_a_run_goes_on_where_it_stopped_and_reports_what_is_there(encoder, tmp_path, capsys):
    line = (
        "--cases ethanol-energy crysmtm-homo --arms scratch frozen --labels 20 --seeds 1 "
        f"--epochs 1 --min-steps 1 --batch-size 20 --encoders tiny --out {tmp_path} "
        f"--folder {encoder[1]}"
    )
    assert run_transfer.main([*line.split(), "--budget", "0"]) == 1
    assert "did not fit into the budget" in capsys.readouterr().err
    assert run_transfer.main([*line.split(), "--no-references"]) == 0
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()}
    assert len(files) == 2
    record = json.loads(next(p for p in files if "frozen" in p.name).read_text())
    assert record["weights"] == encoder[0].sha256 and record["n_epochs"] == 1
    text = (tmp_path / "transfer.md").read_text()
    assert "## schnet, encoder tiny" in text and "crysmtm-homo: its files are not" in text
    assert run_transfer.main([*line.split(), "--no-references"]) == 0
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "cells").iterdir()} == files


def test_forces_have_no_baseline():
    cell = cells.Cell("ethanol-forces", "baseline", 20, 0, "schnet", "", 1, 1)
    assert cells.fit_cell(cell) is None


@pytest.mark.parametrize("name", arms.REFERENCES)
def test_references_beat_no_one_but_the_dummy(name):
    if name.startswith("FCHL19"):
        pytest.importorskip("qmllib")
    errors = [
        cells.fit_cell(cells.Cell("energy", reference, 50, 0))["test"]
        for reference in ("dummy", name)
    ]
    assert name == "dummy" or errors[1] < 0.01 * errors[0]
    assert cells.fit_cell(cells.Cell("ethanol-forces", name, 50, 0)) is None


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

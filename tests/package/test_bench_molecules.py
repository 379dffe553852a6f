"""The benchmark of molecules: parts that share no row, epochs by seconds, its table by hand."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))
bench, arms, cases, report = map(
    import_module,
    ("bench_molecules", "molecules.arms", "molecules.cases", "molecules.report"),
)


@pytest.mark.parametrize("task", ["aspirin", "gap-100", "dipole-400"])
def test_parts_share_no_row(task):
    case = cases.cases_of(task)
    seen = [{part.X[[i]].positions.tobytes() for i in range(len(part.X))} for part in case[2:]]
    assert [len(rows) for rows in seen] == [len(part.y) for part in case[2:]]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert len(cases.cases_of(task, 7).train.y) == 7
    if case.has_forces:  # an independent run
        runs = [set(part.X.groups) for part in case[2:]]
        assert runs[0] == runs[1] and not runs[0] & runs[2]


def test_a_task_is_named():
    with pytest.raises(ValueError, match="'benzene' is none of ethanol, aspirin"):
        cases.cases_of("benzene")


def test_epochs_fill_the_seconds(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(arms.time, "process_time", lambda: clock[0])

    def fit(n):
        clock[0] += 3 + 2 * n
        return n

    model, epochs, seconds = arms.within(100, fit)
    assert model == epochs == 50 and seconds == 103


def test_errors_of_labels_and_forces():
    part = cases.cases_of("ethanol", 3).train

    class Off:
        def predict(self, X):
            return part.y.to_numpy() + [1, -2, 0], X.forces - 0.5

    assert arms.errors(Off(), part) == pytest.approx({"label": 1.0, "force": 0.5})
    assert arms.errors(Off(), part.take(np.array([], dtype=int))) == {}


def test_the_table_holds_what_was_measured(tmp_path):
    path = tmp_path / "records.jsonl"
    shared = {"task": "ethanol", "case": "ethanol, 200 frames"}
    found = {
        "cpu_s": 400.2, "epochs": 800, "test": {"label": 0.00512, "force": 0.0251},
        "valid": {"label": 0.004, "force": 0.02}, "machine": "some CPU", "versions": "torch 2",
    }  # fmt: skip
    lines = [
        shared | {"arm": "GotenNet"} | found | {"epochs": 1},
        shared | {"arm": "GotenNet"} | found,
        shared | {"arm": "schnetpack PaiNN", "error": "not installed: schnetpack"},
        shared | {"arm": "composition"} | found
        | {"epochs": None, "test": {"label": 0.1}, "valid": {}},
    ]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = report.load(path)
    assert len(records) == 3
    text = report.table(records, list(arms.ARMS)).splitlines()
    rows = [line.split() for line in text if line.startswith("ethanol")]
    assert rows[0][3:] == ["composition", "400", "100.0"]
    assert rows[1][3:] == ["schnetpack", "PaiNN", "not", "installed:", "schnetpack"]
    assert rows[2][3:] == "GotenNet 400 0.500 800 5.1 25.1 4.0 20.0".split()
    assert "Made by some CPU, one thread an arm" in text
    assert report.load(tmp_path / "none.jsonl") == []


def test_one_arm_is_run_and_recorded_once(tmp_path, capsys):
    command = ["ethanol", "--rows", "20", "--arms", "composition", "--out", str(tmp_path)]
    case = bench.run("ethanol", "composition", 1.0, 20)
    assert case["epochs"] is None and 0.05 < case["test"]["label"] < 0.5
    (tmp_path / "records.jsonl").write_text(json.dumps(case) + "\n")
    bench.main([*command, "--report", str(tmp_path / "table.txt")])
    assert (tmp_path / "records.jsonl").read_text().count("\n") == 1
    assert "ethanol, 20 frames     composition" in (tmp_path / "table.txt").read_text()

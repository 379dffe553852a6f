"""Errors on unseen elements: those of `generalization_gap`, resumed, with their coverage."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    ElementGroupKFold,
    PairImageTransformer,
    PairMLPRegressor,
    generalization_gap,
    load_pairs,
)
from qcanvas_sklearn.elements import atomic_numbers, block_letters
from qcanvas_sklearn.structures import check_pairs

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
bench, journal = map(import_module, ("bench_generalization", "journal"))

LINE = ["--splits", "group", "--groups", "2", "--models", "pair_mlp", "--limit-rows", "120"]


def small(name="pair_mlp", args=None):
    model = PairMLPRegressor(
        n_hidden=8, n_members=2, max_epochs=1, unseen_elements="allow", random_state=0
    )
    return make_pipeline(PairImageTransformer(include=["atoms", "orbitals"]), model), {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The file and the records of a run."""
    path = tmp_path_factory.mktemp("generalization") / "fits.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "build", small)
        assert bench.main([*LINE, "--records", str(path)]) == 0
    return path, journal.read(path)


def test_errors_are_those_of_generalization_gap(finished):
    X, y = load_pairs(target=bench.TARGETS, return_X_y=True)
    rows = np.arange(120) * len(X) // 120
    X, y = X.iloc[rows], y.iloc[rows]
    gap = generalization_gap(small()[0], X, y, ElementGroupKFold(2), random_state=0)
    for k, record in enumerate(finished[1]):
        expected = gap[gap["split"].str.endswith(str(k))].set_index("target")
        for target in bench.TARGETS:
            sides = [own[target] for own in record["scores"].values() if target in own]
            row = expected.loc[target]
            total = row["n_in"] * row["mae_in"] + row["n_out"] * row["mae_out"]
            assert sum(side["n"] for side in sides) == row["n_in"] + row["n_out"]
            assert sum(side["n"] * side["mae"] for side in sides) == pytest.approx(total)
            assert all(0 <= side["coverage_90"] <= 1 for side in sides)


def test_pairs_of_all_splits_are_pooled(finished):
    table = bench.pooled(finished[1]).loc[("group", "e_homo_ev", "1", "pair_mlp")]
    parts = [record["scores"]["1"]["e_homo_ev"] for record in finished[1]]
    assert len(parts) == 2 and table["n"] == sum(part["n"] for part in parts)
    for name in ("mae", "coverage_90"):
        total = sum(part["n"] * part[name] for part in parts)
        assert table[name] == pytest.approx(total / table["n"])


def test_a_second_run_fits_what_is_missing_alone(finished, tmp_path, monkeypatch, capsys):
    path = tmp_path / "fits.jsonl"
    whole = finished[0].read_text()
    path.write_text(whole[: len(whole) - 40])  # killed while it wrote the last one
    fitted = []

    def fit(chain, fold, data, args, end):
        fitted.append((chain, fold.name))
        return [finished[1][1]]

    monkeypatch.setattr(bench, "build", small)
    monkeypatch.setattr(bench, "fit", fit)
    assert bench.main([*LINE, "--records", str(path)]) == 0
    assert fitted == [(["pair_mlp"], "2 of 2")]
    out = capsys.readouterr().out
    assert "1 fits finished before, 1 to do" in out and "coverage of 90 % intervals" in out
    journal.append({"more": 1}, path)
    assert journal.read(path) == [finished[1][0], {"more": 1}]


def test_nothing_is_fitted_when_the_time_is_up(tmp_path, capsys):
    line = [*LINE, "--minutes", "0", "--records", str(tmp_path / "fits.jsonl")]
    assert bench.main(line) == 1
    assert "nothing is finished" in capsys.readouterr().err


def test_elements_are_spread_over_blocks_and_periods():
    z = check_pairs(load_pairs(return_X_y=True)[0]).z
    chosen = atomic_numbers(bench.spread_out(z, 12))
    letters, counts = np.unique(block_letters()[chosen], return_counts=True)
    assert letters.tolist() == ["d", "p", "s"] and counts.min() >= 2
    assert len(set(chosen)) == 12
    assert (atomic_numbers(bench.spread_out(z, 75)) == np.unique(z)).all()

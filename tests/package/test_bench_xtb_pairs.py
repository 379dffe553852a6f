"""Fits to pairs of another data set: what they look up, and that they are resumed."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from qcanvas_sklearn import load_pairs

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
bench, cells, journal = map(import_module, ("bench_xtb_pairs", "table.cells", "journal"))


@pytest.fixture(scope="module")
def pairs():
    """Some of the bundled pairs, with populations and labels that these do not have."""
    pairs = load_pairs().pairs
    few = pairs[np.arange(150) * len(pairs) // 150]
    labels = few.labels.assign(e_homo_ev=few.labels["e_homo_ev"] - 100)
    return replace(few, orbital_populations=few.orbital_populations + 1, labels=labels)


def test_models_see_the_pairs_that_they_are_given(pairs):
    cell = cells.Cell("pair_mlp", 1, ("e_homo_ev",), "own", 1, "cpu")
    X, y = cells._pairs(cell, False, pairs)
    assert y["e_homo_ev"].max() < -90 and len(X) == 150
    model = cell.build()
    cells._look_up_in(pairs, model)
    table = model.pipeline[0].fit(X).unpack(model.pipeline[0].transform(X))
    np.testing.assert_allclose(table["shell_populations"], pairs.shell_populations, rtol=1e-5)
    assert 0 < cells.fit_cell(cell, pairs)["scores"]["e_homo_ev"]["mae"] < 20


@pytest.mark.parametrize("name", ["tight_binding_elements", "pair_mlp_elements", "boosting"])
def test_models_that_read_no_given_pairs_are_refused(name, pairs):
    cell = cells.Cell(name, 1, ("e_homo_ev",), "own", 1, "cpu")
    with pytest.raises(ValueError, match="that sees elements looks up bundled pairs or none"):
        cells.fit_cell(cell, pairs)
    assert name not in bench.NAMES


def test_a_run_goes_on_where_it_stopped(pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "computed", lambda *args: pairs)
    path = tmp_path / "fits.jsonl"
    line = ["--models", "pair_mlp", "--max-epochs", "1", "--records", str(path)]
    assert bench.main([*line, "--seeds", "1"]) == 0
    monkeypatch.setattr(cells.Cell, "build", lambda cell: pytest.fail("fitted again"))
    assert bench.main([*line, "--seeds", "1"]) == 0
    assert "150 pairs" in capsys.readouterr().out
    (record,) = journal.read(path)
    assert (record["method"], record["n_pairs"]) == ("GFN1-xTB", 150)
    assert set(bench.SHOWN) < set(record["scores"])

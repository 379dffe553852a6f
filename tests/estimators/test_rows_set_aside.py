"""Rows that are set aside to validate on teach nothing: no statistic knows of them."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from qcanvas_sklearn import HamiltonianRegressor, PairMLPRegressor, SchNetRegressor
from qcanvas_sklearn.estimators._split import hold_out
from qcanvas_sklearn.hamiltonians import TwoCentreTables, compute_hamiltonians
from qcanvas_sklearn.inputs import Structures
from qcanvas_sklearn.structures import Molecules

METHOD = "HF/sto-3g"
WATER = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
WATCHED = {"early_stopping": True, "validation_fraction": 0.25, "max_epochs": 1}


class Spread(TransformerMixin, BaseEstimator):
    """Distances of the atoms from the first one, beside the mean of those fitted on."""

    def fit(self, X, y=None):
        self.mean_ = self._distances(X).mean(axis=0)
        return self

    def transform(self, X):
        return self._distances(X) - self.mean_

    def _distances(self, X):
        return np.array([np.linalg.norm(x.positions[1:] - x.positions[0], axis=1) for x in X])


def waters(stretched=()):
    rng = np.random.default_rng(0)
    positions = WATER + rng.normal(0, 0.05, (12, 3, 3))
    positions[list(stretched)] *= 1.2
    names = [f"water:{k}" for k in range(12)]
    return Molecules.from_lists([["O", "H", "H"]] * 12, list(positions), groups=names)


def hamiltonians(reference, stretched=()):
    """Molecules and labels, of which those of some rows are wide and far too high."""
    X = waters(stretched)
    if reference == "minao":
        y = compute_hamiltonians(X, method=METHOD)
    else:
        y = TwoCentreTables.load().self_consistent(X)
    values = y.values.copy()
    for row in stretched:
        values[y.ptr[row] : y.ptr[row + 1]] += 5.0
    return X, y.with_values(values)


def energies(stretched=()):
    X = waters(stretched)
    y = TwoCentreTables.load().repulsion(X)
    y[list(stretched)] += 50.0
    return X, y


def learned_of_blocks(model):
    reader, terms, net = model.reader_, model.terms_, model.net_.module_
    scales = {name: buffer for name, buffer in net.named_buffers() if name.endswith("_scale")}
    return {
        **reader.typical_, **terms.levels, **terms.factors, **model.sizes_, **scales,
        **{f"relative {name}": sizes for name, sizes in model.relative_sizes_.items()},
    }  # fmt: skip


def learned_of_energies(model):
    features = np.linspace(0.9, 1.1, 6).reshape(3, 2)
    return {
        "describer": model.reader_.describer_.mean_, "scale": model.scaler_.scale,
        "baseline": model.baseline_.predict(features), "center": model.scaler_.center,
        "composition": model.reference_.coefficients,
    }  # fmt: skip


def aside(model, rows):
    """Positions of the rows that a fit did set aside."""
    groups, members = model.reader_.groups(rows), model.reader_.members(rows)
    return hold_out(groups, members, None, 0.25, model._split_seed)[1].tolist()


def check_same(before, after):
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=str(name))


@pytest.mark.parametrize("reference", ["two-centre-scc", "two-centre", "minao", "overlap"])
def test_statistics_of_blocks_know_the_training_rows_alone(reference, tmp_path, monkeypatch):
    if reference == "minao":
        pytest.importorskip("pyscf")
        monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    model = HamiltonianRegressor(
        reference, method=METHOD if reference == "minao" else None, n_hidden=8, n_layers=1,
        n_heads=2, n_radial=4, n_channels=2, random_state=0, **WATCHED,
    )  # fmt: skip
    X, y = hamiltonians(reference)
    before = learned_of_blocks(model.fit(X, y))
    out = aside(model, model.reader_.read(model, Structures(X, y.overlap_values)))
    assert len(out) == 3
    again = model.fit(*hamiltonians(reference, out))
    check_same(before, learned_of_blocks(again))
    kept = next(row for row in range(12) if row not in out)
    other = learned_of_blocks(model.fit(*hamiltonians(reference, [kept])))
    assert not np.array_equal(other["on_site"], before["on_site"])


def test_baselines_of_molecules_know_the_training_rows_alone():
    model = SchNetRegressor(
        baseline=Spread(), n_hidden=8, n_layers=1, n_radial=4, random_state=0, **WATCHED
    )
    X, y = energies()
    before = learned_of_energies(model.fit(X, y))
    out = aside(model, model.reader_.read(model, X))
    check_same(before, learned_of_energies(model.fit(*energies(out))))
    weight = np.ones(12)
    weight[out] = 0.0
    weighted = replace(X, positions=energies(out)[0].positions)
    same = model.set_params(early_stopping=False).fit(weighted, y, sample_weight=weight)
    np.testing.assert_array_equal(same.reader_.describer_.mean_, before["describer"])


@pytest.mark.parametrize("seed", range(6))
def test_a_target_of_one_row_is_learned_from(seed, regression_table):
    X, y = regression_table
    rare = np.where(np.arange(60) == 7 * seed, 1.0, np.nan)
    model = PairMLPRegressor(n_hidden=8, max_epochs=1, random_state=seed, early_stopping=True)
    model.set_params(validation_fraction=0.5).fit(X, np.column_stack([y, rare]))
    assert np.isfinite(model.predict(X)).all()

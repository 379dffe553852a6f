"""Settings that are compared: they take effect within a fit, and nowhere else."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from qcanvas_sklearn import TightBindingRegressor
from qcanvas_sklearn.nn.cores.tight_binding import TERMS, hamiltonian, members

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
bench = import_module("bench_tight_binding_settings")


def in_force():
    """Everything that a variant may change."""
    fold = TightBindingRegressor(n_members=5)._fold
    return {
        "terms": dict(TERMS), "fold": fold.__code__,
        "constants": [hamiltonian.HOPPING_REACH, members.PRIOR_WEIGHT, members.FORCE_EVERY],
    }  # fmt: skip


@pytest.mark.parametrize("name", [n for n, v in bench.VARIANTS.items() if v.changes])
def test_a_change_takes_effect_within_its_fit_alone(name):
    before = in_force()
    for change in bench.VARIANTS[name].changes:
        with change():
            assert in_force() != before
    assert in_force() == before


def test_parameters_are_those_of_the_estimator():
    for variant in bench.VARIANTS.values():
        TightBindingRegressor(**variant.parameters)._check_parameters()
    with bench.every_row():
        assert (TightBindingRegressor()._fold(np.zeros(3)) == -1).all()


def test_tables_hold_means_over_the_seeds_and_the_scatter_of_members():
    single = {"ensemble": 0.2, "its median": 0.1, "medians": 0.3, "members": [0.3, 0.5]}
    record = {
        "variant": "default", "seed": 42, "learned": {"e_homo_ev": {"others, learned": 0.1}},
        "errors": {given: {"e_homo_ev": single} for given in bench.GIVEN},
    }  # fmt: skip
    other = {**record, "seed": 1}
    other["errors"] = {
        given: {"e_homo_ev": {**single, "ensemble": 0.4}} for given in bench.GIVEN
    }
    found = dict(bench.tables([record, other]))
    row = found["from elements, validation pairs"].loc[("e_homo_ev", "default")]
    assert row["ensemble"] == pytest.approx(0.3) and row["member"] == pytest.approx(0.4)
    assert row["scatter"] == pytest.approx(np.std([0.3, 0.5], ddof=1))
    assert found["training pairs, from populations"].loc[
        ("e_homo_ev", "default"), "others, learned"
    ] == pytest.approx(0.1)

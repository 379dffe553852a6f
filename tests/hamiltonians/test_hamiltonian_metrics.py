"""Metrics of predicted Hamiltonians on cases whose answers are known."""

import numpy as np
import pytest
from _hamiltonian_data import gaussian_record, pyscf_record
from scipy.linalg import block_diag, eigh, expm

from qcanvas_sklearn.hamiltonians import Hamiltonians, metrics
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.targets import HARTREE_IN_EV


def packed(matrices):
    return np.concatenate([m[np.tril_indices(len(m))] for m in matrices])


def with_matrices(record, change):
    """The record with each Hamiltonian changed: ``change(i, h, s, levels, orbitals)``."""
    return record.with_values(
        packed([
            change(i, record.matrix(i), record.overlap(i), *record.solve(i))
            for i in range(len(record))
        ])
    )  # fmt: skip


def from_levels(s, levels, orbitals):
    left = s @ orbitals
    h = (left * levels) @ left.T
    return (h + h.T) / 2


@pytest.fixture(scope="module")
def true():
    return pyscf_record()


# --------------------------------------------------------------------- nothing wrong


def test_the_truth_has_no_error(true):
    report = metrics.hamiltonian_report(true, true)
    value = report["value"]
    errors = value.drop(["subspace_overlap", "intruder_rate"])
    assert (errors == 0).all() and value["intruder_rate"] == 0
    assert value["subspace_overlap"] == pytest.approx(1, abs=1e-12)
    assert set(report["unit"]) == {"µHa", "meV", "e", "1"} and list(report) == ["value", "unit"]


def test_units_of_the_records_do_not_matter(true):
    predicted = with_matrices(true, lambda i, h, s, *_: h + 0.01 * s)
    report = metrics.hamiltonian_report(true, predicted)
    other = metrics.hamiltonian_report(true.in_unit("eV"), predicted)
    np.testing.assert_allclose(other["value"], report["value"], atol=1e-7)


def test_rotations_among_degenerate_orbitals_do_not_matter():
    """Any basis of each degenerate set is as good: three levels, five and four fold."""
    record = gaussian_record()[[1]]
    levels = np.repeat([-9.0, -7.0, 1.0], [5, 2, 18])
    rng = np.random.default_rng(0)
    blocks = [expm(a - a.T) for a in (rng.normal(size=(n, n)) for n in (5, 2, 18))]
    true = with_matrices(record, lambda i, h, s, e, c: from_levels(s, levels, c))
    same = with_matrices(
        record, lambda i, h, s, e, c: from_levels(s, levels, c @ block_diag(*blocks))
    )
    report = metrics.hamiltonian_report(true, same)["value"]
    np.testing.assert_allclose(report.drop("subspace_overlap"), 0, atol=1e-6)
    assert report["subspace_overlap"] == pytest.approx(1, abs=1e-12)


# ------------------------------------------------------------------- known errors


def test_a_shift_by_the_overlap_shifts_levels_alone(true):
    shift = 0.003
    predicted = with_matrices(true, lambda i, h, s, *_: h + shift * s)
    report = metrics.hamiltonian_report(true, predicted)["value"]
    mev = shift * HARTREE_IN_EV * 1e3
    for name in ("occupied", "homo", "lumo"):
        assert report[f"level_mae_{name}"] == pytest.approx(mev, rel=1e-6)
    assert report["level_mae_gap"] == pytest.approx(0, abs=1e-6)
    assert report["subspace_overlap"] == pytest.approx(1) and report["intruder_rate"] == 0
    assert report["population_mae"] == pytest.approx(0, abs=1e-9)
    overlaps = [np.abs(true.overlap(i)) for i in range(2)]
    mean = sum(s.sum() for s in overlaps) / sum(s.size for s in overlaps)
    assert report["matrix_mae"] == pytest.approx(shift * mean * 1e6)
    assert report["matrix_mae_mev"] == pytest.approx(mev * mean)
    assert report["matrix_mae_diagonal"] == pytest.approx(shift * 1e6)


def test_parts_of_the_matrices_are_those_of_the_square_ones(true):
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=true.matrix(i).shape) for i in range(2)]
    noise = [a + a.T for a in noise]
    predicted = with_matrices(true, lambda i, h, *_: h + noise[i])
    on_site = []
    for i in range(2):
        atom = true.basis.orbitals(true.molecules[i].z).atom
        on_site.append(atom[:, None] == atom)
    chosen = {
        "all": [np.ones_like(m) for m in on_site], "on-site": on_site,
        "off-site": [~m for m in on_site], "diagonal": [np.eye(len(m)) > 0 for m in on_site],
    }  # fmt: skip
    for part, masks in chosen.items():
        values = np.concatenate([np.abs(a[m]) for a, m in zip(noise, masks, strict=True)])
        expected = values.mean() * HARTREE_IN_EV
        assert metrics.matrix_mae(true, predicted, part) == pytest.approx(expected), part
    name = "matrix_mae_off_site"
    report = metrics.hamiltonian_report(true, predicted)["value"]
    assert report[name] * HARTREE_IN_EV / 1e6 == pytest.approx(
        metrics.matrix_mae(true, predicted, "off-site")
    )


def test_an_empty_orbital_below_the_homo_is_an_intruder(true):
    """The LUMO of the first molecule, of five occupied orbitals, comes to lie lowest."""

    def swap(i, h, s, levels, orbitals):
        if i == 0:
            levels = levels.copy()
            levels[5] = -30.0
        return from_levels(s, levels, orbitals)

    predicted = with_matrices(true, swap)
    assert true.n_electrons.tolist() == [10, 16]
    assert metrics.subspace_overlap(true, predicted) == pytest.approx((4 / 5 + 1) / 2)
    assert metrics.intruder_rate(true, predicted) == pytest.approx(1 / 13)
    lowest = [true.orbital_energies()[0][:5], np.r_[-30.0, true.orbital_energies()[0][:4]]]
    expected = np.abs(lowest[1] - lowest[0]).sum() / 13 * HARTREE_IN_EV
    assert metrics.level_mae(true, predicted) == pytest.approx(expected, rel=1e-6)
    assert metrics.population_mae(true, predicted) > 0.01


def test_mixing_by_an_angle_costs_its_squared_sine(true):
    angle = 0.3

    def mix(i, h, s, levels, orbitals):
        n = int(true.n_electrons[i]) // 2
        turn = np.eye(len(levels))
        turn[np.ix_([n - 1, n], [n - 1, n])] = [
            [np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]
        ]  # fmt: skip
        return from_levels(s, levels, orbitals @ turn)

    predicted = with_matrices(true, mix)
    expected = 1 - np.mean([np.sin(angle) ** 2 / n for n in (5, 8)])
    assert metrics.subspace_overlap(true, predicted) == pytest.approx(expected)
    assert metrics.intruder_rate(true, predicted) == 0
    assert metrics.level_mae(true, predicted) == pytest.approx(0, abs=1e-6)


def test_populations_are_those_of_the_records(true):
    rng = np.random.default_rng(1)
    noise = [0.01 * rng.normal(size=true.matrix(i).shape) for i in range(2)]
    predicted = with_matrices(true, lambda i, h, *_: h + noise[i] + noise[i].T)
    errors = [
        np.abs(predicted.populations(i).sum(1) - true.populations(i).sum(1)) for i in range(2)
    ]
    expected = np.concatenate(errors).mean()
    assert metrics.population_mae(true, predicted) == pytest.approx(expected)
    for name in ("homo", "lumo", "gap"):
        error = np.abs(getattr(predicted, name)() - getattr(true, name)()).mean()
        assert metrics.level_mae(true, predicted, name) == pytest.approx(error * HARTREE_IN_EV)


# --------------------------------------------------------------------- overlaps


def test_a_prediction_without_overlaps_is_diagonalised_with_the_true_ones(true):
    predicted = with_matrices(true, lambda i, h, s, *_: h * 1.01)
    expected = metrics.hamiltonian_report(true, predicted)
    for pair in ((true, predicted.with_overlaps(None)), (true.with_overlaps(None), predicted)):
        assert metrics.hamiltonian_report(*pair).equals(expected)
    with pytest.raises(ValueError, match="have no overlaps"):
        metrics.level_mae(true.with_overlaps(None), predicted.with_overlaps(None))
    bare = metrics.matrix_mae(true.with_overlaps(None), predicted.with_overlaps(None))
    assert bare == metrics.matrix_mae(true, predicted)


def test_a_prediction_with_overlaps_of_its_own_is_diagonalised_with_them(true):
    """Twice the Hamiltonian in a basis of twice the overlap has the same levels."""
    predicted = true.with_values(2 * true.values).with_overlaps(2 * true.overlap_values)
    assert metrics.level_mae(true, predicted) == pytest.approx(0, abs=1e-7)
    assert metrics.subspace_overlap(true, predicted) == pytest.approx(1)


# -------------------------------------------------------------------- edge cases


def test_what_is_not_there_is_nan():
    atom = Molecules.from_lists([["H"]], [[[0, 0, 0]]])
    empty = Hamiltonians(atom, {"H": (0,)}, [1.0], [1.0], n_electrons=[0])
    full = Hamiltonians(atom, {"H": (0,)}, [1.0], [1.0], n_electrons=[2])
    assert np.isnan(metrics.matrix_mae(empty, empty, "off-site"))
    assert np.isnan(metrics.level_mae(empty, empty)) and np.isnan(
        metrics.level_mae(full, full, "lumo")
    )
    assert np.isnan(metrics.subspace_overlap(empty, empty))
    report = metrics.hamiltonian_report(empty, empty)["value"]
    assert np.isnan(report["intruder_rate"]) and report["population_mae"] == 0


@pytest.mark.parametrize("n, levels", [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_a_level_with_one_electron_is_an_occupied_one(n, levels):
    h3 = Molecules.from_lists([["H"] * 3], [[[0, 0, 0], [0, 0, 1], [0, 0, 2]]])
    true = Hamiltonians(
        h3, {"H": (0,)}, [1, 0, 2, 0, 0, 3], [1, 0, 1, 0, 0, 1], n_electrons=[n]
    )
    predicted = true.with_values([1.5, 0, 2.1, 0, 0, 3])
    expected = np.mean([0.5, 0.1][:levels])
    assert metrics.level_mae(true, predicted) == pytest.approx(expected)
    assert metrics.subspace_overlap(true, predicted) == pytest.approx(1)


def test_records_of_other_molecules_are_refused(true):
    for other, message in [
        (true[:1], "1 predicted Hamiltonians, but 2 true ones"),
        (gaussian_record()[:2], "the bases differ"),
        (true[::-1], "of different molecules"),
    ]:
        for function in (metrics.matrix_mae, metrics.level_mae, metrics.hamiltonian_report):
            with pytest.raises(ValueError, match=message):
                function(true, other)


def test_shells_of_elements_that_do_not_occur_make_no_difference(true):
    wider = Hamiltonians(
        true.molecules, {**true.basis, "Ti": (2, 0, 1)}, true.values, true.overlap_values,
        unit=true.unit, n_electrons=true.n_electrons,
    )  # fmt: skip
    assert wider.basis != true.basis
    assert metrics.matrix_mae(true, wider) == 0


@pytest.mark.parametrize(
    "function, option", [(metrics.matrix_mae, "part"), (metrics.level_mae, "levels")]
)
def test_an_unknown_part_is_named(true, function, option):
    with pytest.raises(ValueError, match=f"{option}='some' is not one of"):
        function(true, true, "some")


def test_subspace_overlap_is_the_trace_of_its_definition(true):
    rng = np.random.default_rng(3)
    noise = [0.03 * rng.normal(size=true.matrix(i).shape) for i in range(2)]
    predicted = with_matrices(true, lambda i, h, *_: h + noise[i] + noise[i].T)
    traces = []
    for i, n in enumerate((5, 8)):
        s = true.overlap(i)
        c_t = eigh(true.matrix(i), s)[1][:, :n]
        c_p = eigh(predicted.matrix(i), s)[1][:, :n]
        traces.append(np.trace(c_p.T @ s @ c_t @ c_t.T @ s @ c_p) / n)
    assert traces[0] < 0.999
    assert metrics.subspace_overlap(true, predicted) == pytest.approx(np.mean(traces))

"""`two_centre_states`: the numbers of the tables, and how they follow the positions."""

import numpy as np
import pytest
import torch

from qcanvas_sklearn import TwoCentreTransformer, load_molecules
from qcanvas_sklearn.hamiltonians import TwoCentreTables, _torch_states, two_centre_states
from qcanvas_sklearn.nn.electrons import filled_levels, implicit_fixed_point
from qcanvas_sklearn.structures import Molecules

OXIDE = [[0, 0, 0], [1.2, 1.1, 0.1], [-1.2, 1.0, -0.2]]
FLUORIDE = [[0, 0, 0], [1.4, 0.1, 0], [-0.4, 1.0, 0.1], [-0.3, -0.5, 0.9], [-0.4, -0.6, -0.8]]
METHANE = [[0, 0, 0], *(np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.63)]
every_scc = pytest.mark.parametrize("scc", [False, True])


@pytest.fixture(scope="module")
def tables():
    return TwoCentreTables.load()


@pytest.fixture(scope="module")
def molecules():
    """Of several sizes, one with d orbitals, an ion, and one electron without another."""
    own = Molecules.from_lists(
        [["Ti", "O", "O"], ["C", "F", "H", "H", "H"], ["H", "H"], ["O", "H"]],
        [OXIDE, FLUORIDE, [[0, 0, 0], [0, 0, 0.8]], [[0, 0, 0], [0, 0, 0.97]]],
        charge=[0, 0, 1, -1],
    )
    return Molecules.concat([own, load_molecules().data[:20:10]])


@every_scc
def test_numbers_are_those_of_the_tables(tables, molecules, scc):
    found = two_centre_states(tables, molecules, scc=scc)
    assert found.converged.all()
    known = list(tables._states(tables.hamiltonians(molecules), scc, 1e-10))
    for i, state in enumerate(known):
        n = len(state.levels)
        assert found.levels[i, n:].isnan().all()
        for name in ("levels", "occupations", "overlap", "core", "hamiltonian", "density"):
            values = getattr(found, name)[i]
            values = values[:n] if values.ndim == 1 else values[:n, :n]
            np.testing.assert_allclose(values, getattr(state, name), rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.core_energy[i], state.core_energy, atol=1e-8)
        np.testing.assert_allclose(found.charge_energy[i], state.charge_energy, atol=1e-8)
    np.testing.assert_allclose(found.repulsion, tables.repulsion(molecules), atol=1e-12)


@every_scc
def test_numbers_are_those_of_the_transformer(tables, molecules, scc):
    transformer = TwoCentreTransformer(scc=scc, features=["levels", "energies", "charges"])
    columns = transformer.set_output(transform="pandas").fit_transform(molecules)
    found = two_centre_states(tables, molecules, scc=scc)
    # There charges are self-consistent to 1e-6 e.
    exact = {"rtol": 0, "atol": 2e-5 if scc else 1e-8}
    for column, values in {
        "homo_ev": found.homo, "lumo_ev": found.lumo, "gap_ev": found.gap,
        "two_centre_energy_ev": found.energy,
    }.items():  # fmt: skip
        np.testing.assert_allclose(values, columns[column], **exact)
    charges = found.charges.numpy()
    for row in range(len(molecules)):
        atoms = slice(*molecules.ptr[row : row + 2])
        np.testing.assert_allclose(charges[atoms].sum(), molecules.charge[row], atol=1e-9)
        hydrogen = charges[atoms][molecules.z[atoms] == 1]
        if len(hydrogen):
            mean = columns["charge_mean_H"].iloc[row]
            np.testing.assert_allclose(hydrogen.mean(), mean, **exact)


QUANTITIES = {
    "energy": lambda found: found.energy.sum(),
    "levels": lambda found: found.gap.sum() + 0.3 * found.homo.sum(),
    "charges": lambda found: (found.charges * torch.arange(len(found.charges))).sum(),
    "bonds": lambda found: (found.density @ found.overlap).square().sum(),
}


@every_scc
def test_gradients_are_finite_differences(tables, molecules, scc, monkeypatch):
    monkeypatch.setattr(_torch_states, "_TOLERANCE", 1e-12)
    few, step = molecules[:2], 2e-4

    def at(positions):
        found = two_centre_states(tables, few, positions, scc=scc)
        return torch.stack([value(found) for value in QUANTITIES.values()])

    positions = torch.tensor(few.positions, requires_grad=True)
    values = at(positions)
    gradients = [torch.autograd.grad(v, positions, retain_graph=True)[0] for v in values]
    for place in ((0, 0), (4, 0), (6, 1)):
        around = []
        for k in (1, -1, 2, -2):
            moved = torch.tensor(few.positions)
            moved[place] += k * step
            around.append(at(moved))
        slopes = (8 * (around[0] - around[1]) - (around[2] - around[3])) / (12 * step)
        found = [float(gradient[place]) for gradient in gradients]
        np.testing.assert_allclose(found, slopes, rtol=1e-6, atol=2e-6)
    for gradient in gradients:
        assert gradient.sum(0).abs().max() < 1e-8  # where they lie does not matter


@pytest.mark.parametrize("charge", [1, 0, -1])
def test_frontiers_that_are_not_there_are_nan(tables, charge):
    """Of a proton, a hydrogen atom and an anion, alone and beside a larger molecule."""
    atom = Molecules.from_lists([["H"]], [[[0, 0, 0]]], charge=[charge])
    both = Molecules.concat([load_molecules().data[:1], atom])
    expected = tables.self_consistent(both)
    for molecules, rows in ((atom, [1]), (both, [0, 1])):
        found = two_centre_states(tables, molecules)
        for name in ("homo", "lumo", "gap"):
            values = getattr(expected, name)()[rows]
            np.testing.assert_allclose(getattr(found, name), values, atol=1e-4, err_msg=name)
    assert np.isnan(expected.gap()[1]) == (charge != 0)


def test_degenerate_levels_have_gradients(tables):
    methane = Molecules.from_lists([["C", "H", "H", "H", "H"]], [METHANE])
    positions = torch.tensor(methane.positions, requires_grad=True)
    found = two_centre_states(tables, methane, positions)
    assert torch.diff(found.levels[0])[1:3].abs().max() < 1e-8
    weighted = found.energy.sum() + found.density.square().sum() + found.charges.square().sum()
    (gradient,) = torch.autograd.grad(weighted, positions)
    # All four hydrogens alike, along their bonds.
    pulls = (gradient[1:] * torch.tensor(methane.positions[1:])).sum(1)
    assert gradient.isfinite().all() and gradient[0].abs().max() < 1e-8
    assert np.ptp(pulls.numpy()) < 1e-8


def test_single_precision_and_records_are_taken(tables, molecules):
    few = molecules[:2]
    single = torch.tensor(few.positions, dtype=torch.float32, requires_grad=True)
    found = two_centre_states(tables, few, single)
    assert found.levels.dtype == torch.float64
    found.energy.sum().backward()
    assert single.grad.dtype == torch.float32 and single.grad.isfinite().all()
    plain = two_centre_states(tables, few)
    assert not plain.energy.requires_grad
    np.testing.assert_allclose(plain.energy, found.energy.detach(), atol=1e-4)


@pytest.mark.parametrize(
    ("symbols", "shape", "message"),
    [
        (["H", "F"], (3, 3), "positions have shape"),
        (["H", "S"], (2, 3), "not S of structure 0"),
    ],
)
def test_what_cannot_be_is_refused(tables, symbols, shape, message):
    few = Molecules.from_lists([symbols], [[[0, 0, 0], [0, 0, 1.2]]])
    with pytest.raises(ValueError, match=message):
        two_centre_states(tables, few, torch.zeros(shape))


# ------------------------------------------------------------ what it is made of


@pytest.mark.parametrize("electrons", [4.0, 3.0])
def test_filled_levels_have_the_gradients_of_a_function_of_a_matrix(electrons):
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(2, 4, 4, generator=generator, dtype=torch.float64)
    matrices[1] = torch.diag(torch.tensor([0.0, 1.0, 1.0, 1.0]))  # threefold, partly filled
    number = torch.full((2,), electrons, dtype=torch.float64)

    def densities(part):
        return filled_levels((part + part.mT) / 2, number, 0.3)[2]

    found = densities(matrices)
    assert torch.allclose(found.diagonal(dim1=1, dim2=2).sum(1), number)
    assert torch.autograd.gradcheck(densities, matrices.requires_grad_())


def test_fixed_points_have_gradients_of_their_equation():
    a, b = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.8, 0.3))
    x = torch.zeros(2, dtype=torch.float64)
    for _ in range(200):
        x = torch.tanh(a.detach() * x.flip(0) + b.detach())
    found = implicit_fixed_point(lambda x: torch.tanh(a * x.flip(0) + b), x)
    gradients = torch.autograd.grad(found.sum(), (a, b))
    value = float(found.detach()[0])
    slope = 1 - value**2
    expected = np.array([value, 1.0]) * 2 * slope / (1 - 0.8 * slope)
    np.testing.assert_allclose([float(g) for g in gradients], expected, rtol=1e-9)


def test_gradients_that_are_not_found_are_said_to_be():
    a = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    found = implicit_fixed_point(lambda x: x + 0 * a, torch.ones(2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="did not converge"):
        found.sum().backward()

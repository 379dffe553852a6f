"""The tight-binding core: what physics demands of it, and gradients by finite differences."""

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.estimators._state_labels import valence_electrons
from qcanvas_sklearn.nn.cores.tight_binding import (
    ABSENT_EV,
    TERMS,
    GaussianBasis,
    State,
    TightBinding,
    TightBindingMembers,
    bond_length,
    compared,
    computed_columns,
    integral_list,
    prefit,
    shells_of,
    state_features,
    state_targets,
)
from qcanvas_sklearn.nn.cores.tight_binding.blocks import Blocks
from qcanvas_sklearn.nn.cores.tight_binding.bond_length import BondLengthStart
from qcanvas_sklearn.nn.cores.tight_binding.charges import anderson, bracketed
from qcanvas_sklearn.nn.cores.tight_binding.coulomb import damped_coulomb, slater_coulomb
from qcanvas_sklearn.nn.cores.tight_binding.eigen import (
    density_matrices,
    fermi_filling,
    generalized_eigh,
    levels,
)
from qcanvas_sklearn.nn.cores.tight_binding.elements import BOHR_PER_ANGSTROM
from qcanvas_sklearn.nn.cores.tight_binding.supervision import N_POPULATIONS
from qcanvas_sklearn.structures import PairData
from qcanvas_sklearn.targets import IDENTITIES, TARGETS


@pytest.fixture(scope="module")
def pairs() -> PairData:
    return load_pairs().pairs


@pytest.fixture(scope="module")
def elements(pairs: PairData) -> torch.Tensor:
    return torch.unique(torch.tensor(pairs.z))


def _model(pairs: PairData, **parameters: float) -> TightBinding:
    """A model whose network is not at its start, where it corrects nothing."""
    model = TightBinding(shells_of(pairs.z, pairs.shell_populations), **parameters)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        last = model.hamiltonian.net.layers[-1].weight
        last.copy_(0.05 * torch.randn(last.shape, generator=generator, dtype=last.dtype))
        third = model.hamiltonian.third_order
        third.copy_(0.1 * torch.randn(third.shape, generator=generator, dtype=third.dtype))
    return model


@pytest.fixture(scope="module")
def model(pairs: PairData) -> TightBinding:
    return _model(pairs)


def _some(pairs: PairData, n: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows = np.linspace(0, len(pairs) - 1, n).astype(int)
    return (
        torch.tensor(pairs.z[rows]),
        torch.tensor(pairs.bond_lengths[rows]),
        torch.tensor(pairs.shell_populations[rows]),
    )


def _grid_orbital(
    l: int, m: int, alpha: float, centre: float, axes: tuple[np.ndarray, ...]
) -> np.ndarray:
    x, y, z = axes[0], axes[1], axes[2] - centre
    r2 = x * x + y * y + z * z
    polynomial = {
        (0, 0): 1 + 0 * z, (1, 0): z, (1, 1): x, (2, 0): 3 * z * z - r2, (2, 1): x * z,
        (2, 2): x * x - y * y, (3, 0): z * (5 * z * z - 3 * r2), (3, 1): x * (5 * z * z - r2),
        (3, 2): z * (x * x - y * y), (3, 3): x * (x * x - 3 * y * y),
    }[l, m]  # fmt: skip
    values = polynomial * np.exp(-alpha * r2)
    return values / np.sqrt((values**2).sum())


def test_two_centre_overlaps_agree_with_quadrature_up_to_f() -> None:
    basis, distance, i, j = GaussianBasis(3), 1.7, 2, 4
    line = np.linspace(-11, 12, 93)
    axes = tuple(np.meshgrid(line, line, line, indexing="ij"))
    got = basis.overlaps(torch.tensor([distance], dtype=torch.float64))[0, :, i, j]
    alpha, beta = basis.exponents[i].item(), basis.exponents[j].item()
    for q, (m, la, lb) in enumerate(integral_list(3)):
        left = _grid_orbital(la, m, alpha, 0.0, axes)
        right = _grid_orbital(lb, m, beta, distance, axes)
        assert got[q].item() == pytest.approx((left * right).sum(), abs=1e-5)


@pytest.mark.parametrize("form", ["slater", "damped"])
@pytest.mark.parametrize(("left", "right"), [(0.3, 0.3), (0.2, 0.5), (0.4, 0.4001)])
def test_coulomb_interaction_has_the_right_limits(form: str, left: float, right: float) -> None:
    one = lambda r: (  # noqa: E731
        slater_coulomb(*(torch.tensor([x]).double() for x in (left, right, r)))
        if form == "slater"
        else damped_coulomb(
            *(torch.tensor([x]).double() for x in (left, right, r)), torch.tensor([2.0])
        )
    ).item()
    assert one(300.0) == pytest.approx(1 / 300.0, rel=1e-4)
    assert min(left, right) * 0.9 < one(0.02) < max(left, right)
    values = [one(r) for r in np.linspace(0.05, 20, 60)]
    assert np.all(np.diff(values) < 0)


def _pencil(n: int = 3, k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(n, k, k, generator=generator, dtype=torch.float64)
    s = 0.15 * torch.randn(n, k, k, generator=generator, dtype=torch.float64)
    s = (s + s.mT) / 2 + torch.eye(k, dtype=torch.float64)
    return ((h + h.mT) / 2).requires_grad_(), s.requires_grad_()


@pytest.mark.parametrize("k", [2, 4, 6])
def test_eigenvectors_solve_the_pencil(k: int) -> None:
    h, s = _pencil(5, k)
    energies, vectors = generalized_eigh(h, s)
    torch.testing.assert_close(h @ vectors, s @ vectors * energies[:, None])
    unit = torch.eye(k, dtype=torch.float64).expand(5, k, k)
    torch.testing.assert_close(vectors.mT @ s @ vectors, unit)
    assert (energies.diff(dim=1) >= 0).all()


@pytest.mark.parametrize("k", [2, 4])
def test_gradients_of_levels_and_densities(k: int) -> None:
    weights = torch.ones(k, dtype=torch.float64)
    electrons = torch.tensor([[1.0, 1.0], [1.4, 0.6], [k - 1.0, 1.0]], dtype=torch.float64)

    def solve(h: torch.Tensor, s: torch.Tensor) -> tuple[torch.Tensor, ...]:
        h, s = (h + h.mT) / 2, (s + s.mT) / 2
        solved = generalized_eigh(h, s)
        energies = levels(h, s, *solved)
        filling = fermi_filling(energies, weights, electrons, 0.3)
        density, weighted = density_matrices(h, s, filling.mu, *solved, 0.3)
        return energies, filling.occupations, filling.mu, density, weighted

    assert gradcheck(solve, _pencil(3, k))


def test_density_has_a_gradient_where_levels_are_degenerate() -> None:
    h = torch.diag_embed(torch.tensor([[-1.0, -1.0, 0.5]])).double().requires_grad_()
    s = torch.eye(3, dtype=torch.float64)[None]
    electrons = torch.tensor([[1.0, 0.0]], dtype=torch.float64)

    def density(h: torch.Tensor) -> torch.Tensor:
        h = (h + h.mT) / 2
        solved = generalized_eigh(h, s)
        mu = fermi_filling(
            levels(h, s, *solved), torch.ones(3, dtype=torch.float64), electrons, 0.2
        ).mu
        return density_matrices(h, s, mu, *solved, 0.2)[0]

    assert gradcheck(density, (h,))


def test_primitives_that_are_kept_change_nothing(
    model: TightBinding, pairs: PairData
) -> None:
    z, r, populations = _some(pairs)
    without = model(z, r, populations, forces=True)
    again = model(z, r, populations, forces=True, primitives=model.primitives(r))
    torch.testing.assert_close(without["force"], again["force"])


def test_filling_counts_electrons() -> None:
    energies = torch.tensor([[-3.0, -1.0, -1.0, 2.0]], dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 2.0, 1.0], dtype=torch.float64)
    electrons = torch.tensor([[4.0, 3.0]], dtype=torch.float64)
    occupations = fermi_filling(energies, weights, electrons, 0.01).occupations
    assert (weights * occupations).sum().item() == pytest.approx(7.0, abs=1e-9)
    torch.testing.assert_close(occupations[0, 1:3], torch.full((2,), 1.25).double())


@pytest.mark.parametrize("kt", [0.01, 0.3])
def test_filling_agrees_with_bisection(kt: float) -> None:
    """Levels that are far, close and equal; shells full, half full and empty."""
    generator = torch.Generator().manual_seed(0)
    energies = 10 * torch.randn(400, 8, generator=generator).double()
    energies[:100, 3] = energies[:100, 4] + 0.02 * torch.rand(100, generator=generator)
    energies[100:200, 5] = energies[100:200, 6]
    energies[200:300] *= 0.01
    weights = torch.tensor([1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0], dtype=torch.float64)
    electrons = torch.randint(0, 13, (400, 2), generator=generator).double()

    def count(mu: torch.Tensor) -> torch.Tensor:
        return (weights * torch.sigmoid((mu[..., None] - energies[:, None]) / kt)).sum(-1)

    filling = fermi_filling(energies, weights, electrons, kt)
    torch.testing.assert_close(count(filling.mu), electrons, rtol=0, atol=1e-10)
    low, high = torch.full_like(electrons, -1e3), torch.full_like(electrons, 1e3)
    for _ in range(70):
        middle = (low + high) / 2
        over = count(middle) > electrons
        low, high = torch.where(over, low, middle), torch.where(over, middle, high)
    spin = torch.sigmoid((high[..., None] - energies[:, None]) / kt)
    torch.testing.assert_close(filling.occupations, spin.sum(1), rtol=0, atol=1e-9)


def test_hamiltonian_and_overlap_are_sound_for_all_pairs_at_all_distances(
    model: TightBinding, elements: torch.Tensor
) -> None:
    z = torch.combinations(elements, 2, with_replacement=True)
    for distance in (0.5, 0.7, 1.0, 1.6, 2.5, 4.0, 6.5, 10.0):
        r = torch.full((len(z),), distance, dtype=torch.float64)
        with torch.no_grad():
            geometry, _ = model.geometry(z, r)
            potential = torch.zeros_like(geometry.onsite)
            pencils = model.blocks.pencils(
                z, geometry.onsite, geometry.hopping, geometry.overlap, potential
            )
        for value in geometry:
            assert torch.isfinite(value).all()
        for pencil in pencils:
            assert torch.linalg.eigvalsh(pencil.overlap).min() > 1e-7
            assert torch.linalg.eigvalsh(pencil.hamiltonian).isfinite().all()


@pytest.mark.parametrize("solve", [False, True])
def test_exchange_of_the_atoms(model: TightBinding, pairs: PairData, solve: bool) -> None:
    z, r, populations = _some(pairs)
    with torch.no_grad():
        one = model(z, r, None if solve else populations, kt=0.1, forces=True)
        two = model(z.flip(1), r, None if solve else populations.flip(1), kt=0.1, forces=True)
    for name in ("homo", "lumo", "band", "total", "repulsion", "force", "mermin"):
        torch.testing.assert_close(one[name], two[name], rtol=1e-6, atol=1e-5, equal_nan=True)
    for name in ("charge", "dipole"):
        torch.testing.assert_close(one[name], -two[name], rtol=1e-5, atol=1e-5)
    for name in ("populations", "orbital_populations", "potential", "onsite"):
        torch.testing.assert_close(one[name], two[name].flip(1), rtol=1e-5, atol=1e-5)


def test_far_atoms_are_free(model: TightBinding) -> None:
    z = torch.tensor([[6, 26], [1, 1], [8, 3], [47, 9]])
    r = torch.full((len(z),), 60.0, dtype=torch.float64)
    neutral = model.hamiltonian.neutral(z)
    with torch.no_grad():
        state = model(z, r, neutral)
        _, rates = model.geometry(z, r, True)
    free = model.hamiltonian.shell_energies()[z]
    present = model.hamiltonian.shells[z] > 0
    for row in range(len(z)):
        own = free[row][present[row]]
        shells = torch.cat([torch.arange(model.n_shells)] * 2)[present[row].flatten()]
        expected = own.repeat_interleave(2 * shells + 1).sort().values
        orbitals = state["levels"][row]
        torch.testing.assert_close(
            orbitals[orbitals < ABSENT_EV / 2], expected, rtol=0, atol=1e-4
        )
    assert state["repulsion"].abs().max() < 1e-6
    assert rates.repulsion.abs().max() < 1e-6
    coulomb = model.geometry(z, r)[0].gamma[:, 0, model.n_shells]
    torch.testing.assert_close(
        coulomb, torch.full_like(coulomb, 14.399645 / 60), rtol=1e-3, atol=0
    )


def test_forces_are_derivatives_of_the_energy(model: TightBinding, pairs: PairData) -> None:
    z, r, _ = _some(pairs, 30)
    step = 1e-4
    with torch.no_grad():
        state = model(z, r, kt=0.2, forces=True)
        held = state["populations"]
        # The Mermin functional is what is stationary in the occupations.
        energy = [_free_energy(model, z, r + d, held) for d in (step, -step)]
    expected = -(energy[0] - energy[1]) / (2 * step)
    torch.testing.assert_close(state["force"], expected, rtol=1e-4, atol=2e-4)


def _free_energy(
    model: TightBinding, z: torch.Tensor, r: torch.Tensor, start: torch.Tensor
) -> torch.Tensor:
    from qcanvas_sklearn.nn.cores.tight_binding.eigen import entropy

    state = model(z, r, kt=0.2, start=start)
    heat = entropy(state["level_energies"], model.blocks.degeneracy, state["mu"], 0.2)
    return state["total"] - heat


def test_energies_have_their_slope_beside_forces(model: TightBinding, pairs: PairData) -> None:
    z, r, populations = _some(pairs, 6)
    slopes = []
    for forces in (False, True):
        at = r.clone().requires_grad_()
        energy = model(z, at, populations, forces=forces)["total"]
        slopes += torch.autograd.grad(energy.sum(), at)
    torch.testing.assert_close(slopes[1], slopes[0])


def test_density_and_overlap_times_density_give_the_same_state(
    model: TightBinding, pairs: PairData
) -> None:
    """Mulliken's count of P S is the trace of S P: no electron is lost on the way."""
    z, r, populations = _some(pairs)
    with torch.no_grad():
        state = model(z, r, populations)
        geometry, _ = model.geometry(z, r)
        potential = state["potential"]
        pencils = model.blocks.pencils(
            z, geometry.onsite, geometry.hopping, geometry.overlap, potential
        )
        spectrum = model.blocks.solve(pencils, model.electrons(z), model.filling_kt)
        for m, pencil in enumerate(pencils):
            density = spectrum.densities[m]
            gross = torch.diagonal(pencil.overlap @ density, dim1=1, dim2=2)
            count = (1 if m == 0 else 2) * gross.unflatten(1, (2, -1))
            torch.testing.assert_close(
                count, state["orbital_populations"][:, :, m:, m], rtol=1e-9, atol=1e-9
            )
    total = state["orbital_populations"].sum((1, 2, 3))
    torch.testing.assert_close(total, model.electrons(z).sum(1), rtol=0, atol=1e-5)


def test_charges_are_self_consistent_and_either_way_the_same(
    model: TightBinding, pairs: PairData
) -> None:
    z, r, _ = _some(pairs, 40)
    with torch.no_grad():
        solved = model(z, r, kt=0.05)
        again = model(z, r, solved["populations"], kt=0.05)
    computed = again["orbital_populations"].sum(-1)
    torch.testing.assert_close(computed, solved["populations"], rtol=0, atol=1e-4)
    torch.testing.assert_close(again["total"], solved["total"])
    torch.testing.assert_close(again["homo"], solved["homo"])


def test_bracketing_finds_what_mixing_finds() -> None:
    """A response that is steep, as where levels cross."""
    neutral = torch.tensor([[[2.0, 2.0], [1.0, 0.0]], [[1.0, 3.0], [2.0, 1.0]]]).double()
    goal = torch.tensor([0.4, -0.3], dtype=torch.float64)

    def respond(rows: torch.Tensor, populations: torch.Tensor) -> torch.Tensor:
        transfer = (populations[:, 0] - neutral[rows, 0]).sum(-1)
        more = torch.tanh(-8 * (transfer - goal[rows])) * 0.5 + goal[rows]
        shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]]).double()
        move = torch.stack([more, -more], dim=1)[..., None] * shares
        return neutral[rows] + move

    mixed, settled = anderson(respond, neutral)
    assert settled.all()
    by_halving = bracketed(respond, neutral)
    torch.testing.assert_close(mixed.sum(-1), by_halving.sum(-1), rtol=0, atol=1e-5)


def test_solved_charges_are_differentiated_implicitly(pairs: PairData) -> None:
    model = _model(pairs)
    z, r = torch.tensor([[6, 8], [11, 17], [26, 7]]), torch.tensor([1.2, 2.4, 1.7]).double()
    table = model.hamiltonian.energy

    def total_charge() -> torch.Tensor:
        return (model(z, r, kt=0.2)["charge"] * torch.tensor([1.0, 2.0, 3.0])).sum()

    (gradient,) = torch.autograd.grad(total_charge(), table)
    for place in ((6, 1), (17, 0), (26, 2)):
        values = []
        for step in (1e-3, -1e-3):
            with torch.no_grad():
                table[place] += step
                values.append(total_charge().item())
                table[place] -= step
        expected = (values[0] - values[1]) / 2e-3
        assert gradient[place].item() == pytest.approx(expected, rel=2e-3, abs=1e-5)


def _loss(state: State, labels: Mapping[str, torch.Tensor]) -> torch.Tensor:
    computed = compared(state)
    losses = []
    for name, label in labels.items():
        error = computed[name][:, 0] - label / TERMS[name].scale
        losses.append(TERMS[name].factor * (torch.sqrt(1 + error**2) - 1).mean())
    return torch.stack(losses).sum()


def _trained(pairs: PairData, names: tuple[str, ...], steps: int = 300) -> TightBinding:
    """A model that has seen some pairs only."""
    rows = [list(pairs.names).index(name) for name in names]
    z, r = torch.tensor(pairs.z[rows]), torch.tensor(pairs.bond_lengths[rows])
    populations = torch.tensor(pairs.shell_populations[rows])
    labels = {
        "homo": torch.tensor(pairs.labels["e_homo_ev"].to_numpy()[rows]),
        "lumo": torch.tensor(pairs.labels["e_lumo_ev"].to_numpy()[rows]),
        "band": torch.tensor(pairs.labels["band_energy_ev"].to_numpy()[rows]),
    }
    model = TightBinding(shells_of(pairs.z, pairs.shell_populations), perturbation=0.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(steps):
        loss = _loss(model(z, r, populations, kt=0.1), labels)
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / steps) + 1e-4
        optimizer.step()
    return model


def test_textbook_diatomics(pairs: PairData) -> None:
    """A few molecules are learned; the order of their levels is that of the textbook."""
    names = ("N_N", "O_O", "C_O", "C_N", "N_O", "H_H", "H_O")
    model = _trained(pairs, names)
    z = torch.tensor([[7, 7], [8, 8]])
    rows = [list(pairs.names).index(name) for name in ("N_N", "O_O")]
    with torch.no_grad():
        state = model(
            z,
            torch.tensor(pairs.bond_lengths[rows]),
            torch.tensor(pairs.shell_populations[rows]),
        )
    truth = pairs.labels["e_homo_ev"].to_numpy()[rows]
    np.testing.assert_allclose(state["homo"], truth, atol=0.3)
    m, full = model.blocks.level_m, state["occupations"] > 1.5
    pi_n2 = state["level_energies"][0, m == 1].min()
    sigma_n2 = state["level_energies"][0, (m == 0) & full[0]]
    assert len(sigma_n2) == 3  # 2σg, 2σu, 3σg below the empty π*
    assert state["lumo"][0] == state["level_energies"][0, m == 1][1]
    assert pi_n2 < 0
    # Two electrons in both π*: open shell, gap 0.
    assert state["lumo"][1] - state["homo"][1] == pytest.approx(0.0, abs=1e-9)
    targets = state_targets(state)
    assert targets["e_g_ev"][1] == pytest.approx(0.0, abs=1e-9)
    assert torch.isnan(targets["softness_evinv"][1])


def test_targets_are_consistent_and_complete(model: TightBinding, pairs: PairData) -> None:
    z, r, populations = _some(pairs, 60)
    with torch.no_grad():
        targets = state_targets(model(z, r, populations))
    assert set(targets) == set(TARGETS)
    for identity in IDENTITIES:
        inputs = [targets[key].numpy() for key in identity.inputs]
        expected = identity.function(*inputs)
        got = targets[identity.target].numpy()
        known = np.isfinite(got)
        np.testing.assert_allclose(got[known], expected[known], rtol=1e-9, atol=1e-9)
    assert torch.equal(targets["mermin_free_energy_ev"], targets["total_energy_ev"])


def test_all_orbitals_full_leave_no_lumo(model: TightBinding) -> None:
    z, r = torch.tensor([[2, 2], [10, 10], [10, 2]]), torch.tensor([3.0, 3.2, 3.0]).double()
    with torch.no_grad():
        state = model(z, r)
    assert torch.isnan(state["lumo"]).all()
    assert torch.isfinite(state["homo"]).all()


def test_same_seed_same_model(pairs: PairData) -> None:
    shells = shells_of(pairs.z, pairs.shell_populations)
    before = torch.random.get_rng_state()
    one, two, other = (TightBinding(shells, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["hamiltonian.orbital"], other["hamiltonian.orbital"])


def test_prefit_finds_repulsion_and_coulomb_interaction(pairs: PairData) -> None:
    first_rows = np.all(np.isin(pairs.z, (1, 3, 6, 7, 8, 9, 11, 13, 14, 17)), axis=1)
    rows = np.flatnonzero(first_rows)
    labels = pairs.labels.iloc[rows]
    repulsion = torch.tensor(labels["repulsive_energy_ev"].to_numpy())
    rest = labels["total_energy_ev"] - labels["band_energy_ev"] - labels["repulsive_energy_ev"]
    model = TightBinding(shells_of(pairs.z, pairs.shell_populations))
    fitted = prefit(
        model, torch.tensor(pairs.z[rows]), torch.tensor(pairs.bond_lengths[rows]),
        {"repulsion": repulsion, "remainder": torch.tensor(rest.to_numpy())},
        torch.tensor(pairs.shell_populations[rows]),
    )  # fmt: skip
    assert fitted["repulsion"] < 1e-3
    assert fitted["remainder"] < 5e-3


def test_cores_that_no_pair_shows_follow_from_others(pairs: PairData) -> None:
    """Of elements up to krypton the repulsion of heavier ones, which a table has far off."""
    light = (pairs.z <= 36).all(axis=1)
    z, r = torch.tensor(pairs.z), torch.tensor(pairs.bond_lengths)
    label = torch.tensor(pairs.labels["repulsive_energy_ev"].to_numpy())
    model = TightBinding(shells_of(pairs.z, pairs.shell_populations))

    def error() -> float:
        with torch.no_grad():
            own = model.hamiltonian.bare_repulsion(*z[~light].T, r[~light] * BOHR_PER_ANGSTROM)
        return (own - label[~light]).abs().mean().item()

    before = error()
    prefit(model, z[light], r[light], {"repulsion": label[light]})
    assert error() < 0.3 * before


def test_bond_length_is_a_root_of_the_force(model: TightBinding, pairs: PairData) -> None:
    z, r, _ = _some(pairs, 12)
    found, _ = bond_length(model, z, r, stiffness=2.0, n_steps=25, tolerance=1e-6)
    with torch.no_grad():
        force = model(z, found, forces=True)["force"] - 2.0 * (found - r)
    moved = (found - r).abs() > 1e-6
    assert moved.any()
    assert force[moved].abs().max() < 1e-3


@pytest.mark.parametrize("given", [False, True])
def test_description_of_a_state_knows_exchange(
    model: TightBinding, pairs: PairData, given: bool
) -> None:
    z, r, populations = _some(pairs)
    known = None
    if given:
        orbital = model(z, r, populations)["orbital_populations"].detach()
        known = computed_columns(orbital) + 0.01
    with torch.no_grad():
        state = model(z, r, populations, kt=0.1, forces=True)
        atoms, pair = state_features(model, z, state, known)
        turned = model(z.flip(1), r, populations.flip(1), kt=0.1, forces=True)
        flipped = None if known is None else known.flip(1)
        turned_atoms, turned_pair = state_features(model, z.flip(1), turned, flipped)
    torch.testing.assert_close(turned_atoms, atoms.flip(1), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(turned_pair, pair, rtol=1e-3, atol=1e-4)


def test_start_of_the_bond_length_knows_exchange(
    model: TightBinding, pairs: PairData, elements: torch.Tensor
) -> None:
    z, _, _ = _some(pairs)
    start = BondLengthStart(model.hamiltonian, elements.tolist())
    with torch.no_grad():
        torch.testing.assert_close(start(z), start.radius[z].sum(1), rtol=0, atol=0)
        start.layers[-1].weight.normal_(generator=torch.Generator().manual_seed(0))
        one, two = start(z), start(z.flip(1))
    assert one.dtype == torch.float64
    assert (one - start.radius[z].sum(1)).abs().min() > 0
    torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-6)


def test_shells_follow_the_data_and_the_table() -> None:
    z = np.array([[6, 26], [26, 57]])
    populations = np.zeros((2, 2, 4))
    populations[..., 0] = 1
    populations[0, 1, 2] = populations[1, 0, 2] = 6
    shells = shells_of(z, populations)
    assert shells[6].tolist() == [True, False, False, False]
    assert shells[26].tolist() == [True, False, True, False]
    assert not shells[:, 3].any()
    assert shells[29, 2]
    assert not shells[29, 1]  # no given element has p electrons here
    assert shells[86, 2]  # else two atoms of radon would have no empty orbital
    assert not shells[10, 2]


def test_blocks_have_one_level_for_each_orbital() -> None:
    for n in (1, 2, 3, 4):
        blocks = Blocks(torch.ones(104, n, dtype=torch.float64))
        assert blocks.degeneracy.sum().item() == 2 * n * n


def test_f_shells_are_no_special_case() -> None:
    model = TightBinding(shells_of())
    assert model.n_shells == 4
    pairs = torch.tensor(list(itertools.combinations((58, 60, 92, 8, 1), 2)))
    with torch.no_grad():
        state = model(pairs, torch.full((len(pairs),), 2.2, dtype=torch.float64))
    assert all(torch.isfinite(value).all() for value in state.values())


def test_labels_are_compared_in_the_order_of_the_row(pairs: PairData) -> None:
    """Atoms in either order teach the same: what belongs to an atom is exchanged with it."""
    names = ("O_Ra", "Ag_Al", "Cl_H", "N_N")
    rows = [list(pairs.names).index(name) for name in names]
    z, shells = torch.tensor(pairs.z[rows]), torch.tensor(pairs.shell_populations[rows])
    distance = torch.tensor(pairs.bond_lengths[rows])
    members = TightBindingMembers(
        shells_of(pairs.z, pairs.shell_populations), valence_electrons(pairs.z, shells=None),
        np.unique(pairs.z).tolist(), n_members=2,
    ).train()  # fmt: skip
    there = members(z, distance, shells)
    members._n_batches = 0  # the same batch again, with forces
    back = members(z.flip(1), distance, shells.flip(1))
    assert {"populations", "homo", "force"} <= set(there) == set(back)
    by_atom = there["populations"].unflatten(-1, (2, N_POPULATIONS))
    assert (by_atom[..., 0, :] - by_atom[..., 1, :]).abs().amax(-1)[:3].min() > 1
    assert torch.allclose(back["populations"], by_atom.flip(-2).flatten(-2), atol=1e-9)
    computed = computed_columns(members[0](z, distance, shells, kt=0.2)["orbital_populations"])
    scaled = by_atom[:, 0] * TERMS["populations"].scale
    assert torch.allclose(scaled, computed, atol=1e-9)

"""Tight binding in the form that CUDA graphs hold: its own eigensolver, members in one pass."""

import numpy as np
import pytest
import torch

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.nn.cores.tight_binding import TightBindingMembers, shells_of
from qcanvas_sklearn.nn.cores.tight_binding.blocks import FILLER_EV
from qcanvas_sklearn.nn.cores.tight_binding.jacobi import SWEEPS, Jacobi, inverse_cholesky
from qcanvas_sklearn.nn.outputs import OUTPUT, PENALTY, SHARE
from qcanvas_sklearn.training.losses import MaskedLoss


def _symmetric(kind: str, n: int, k: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(k)
    random = torch.randn(n, k, k, generator=generator, dtype=torch.float64)
    symmetric, (rotation, _) = random + random.mT, torch.linalg.qr(random)
    number = torch.arange(k, dtype=torch.float64)
    if kind == "random":
        return symmetric
    if kind == "degenerate":
        values = (number < 2).double() + (number == k - 1) * 1e-9
        return (rotation * values) @ rotation.mT
    if kind == "descending":
        return torch.diag_embed(number.flip(0)).expand(n, k, k)
    if kind == "absent shells":
        present = (number[:, None] % 3 < 2) & (number % 3 < 2)
        others = torch.diag_embed(torch.where(number % 3 < 2, 0.0, 200 + 10 * number))
        return 10 * symmetric * present + others
    apart = (number[:, None] < k // 2) != (number < k // 2)
    return symmetric * apart  # equal diagonals, as of two equal atoms


@pytest.mark.parametrize("size", SWEEPS)
@pytest.mark.parametrize(
    "kind", ["random", "degenerate", "descending", "absent shells", "two atoms"]
)
def test_jacobi_finds_eigenpairs(kind: str, size: int) -> None:
    matrix = _symmetric(kind, 200, size)
    values, vectors = Jacobi(size)(matrix)
    scale = matrix.flatten(1).norm(dim=1)[:, None]
    expected = torch.linalg.eigvalsh(matrix)
    assert ((values - expected).abs() / scale).max() < 1e-14
    unit = torch.eye(size, dtype=torch.float64).expand_as(matrix)
    torch.testing.assert_close(vectors.mT @ vectors, unit, rtol=0, atol=1e-14)
    left = (matrix @ vectors - vectors * values[:, None]).abs().amax((1, 2)) / scale[:, 0]
    # Vectors of values 1e-9 apart may be mixed by as much.
    assert left.max() < (1e-9 if kind == "degenerate" else 1e-12)


def test_jacobi_multiplies_vectors_and_leaves_what_fills_a_block() -> None:
    matrix = _symmetric("random", 5, 8)
    matrix[:, 6:], matrix[:, :, 6:] = 0.0, 0.0
    matrix[:, (6, 7), (6, 7)] = FILLER_EV
    first = _symmetric("absent shells", 5, 8)
    values, vectors = Jacobi(8)(matrix, first)
    own, turned = Jacobi(6)(matrix[:, :6, :6])
    torch.testing.assert_close(values[:, :6], own, rtol=0, atol=1e-13)
    assert (values[:, 6:] == FILLER_EV).all()
    got = torch.linalg.solve(first, vectors)[:, :6, :6].abs()
    torch.testing.assert_close(got, turned.abs(), rtol=0, atol=1e-11)


def test_inverse_factor() -> None:
    random = _symmetric("random", 20, 6)
    overlap = random @ random.mT + 0.1 * torch.eye(6, dtype=torch.float64)
    inverse = inverse_cholesky(overlap)
    expected = torch.linalg.inv(torch.linalg.cholesky(overlap))
    torch.testing.assert_close(inverse, expected, rtol=1e-9, atol=1e-12)
    assert inverse_cholesky(-overlap).isnan().any(dim=2).any(dim=1).all()


@pytest.fixture(scope="module")
def some() -> dict[str, torch.Tensor]:
    """Pairs of s, p and d elements, in both orders, with members that leave them out."""
    pairs = load_pairs().pairs
    rows = np.linspace(0, len(pairs) - 1, 30).astype(int)
    shells = torch.tensor(pairs.shell_populations[rows])
    return {
        "z": torch.tensor(pairs.z[rows]), "distance": torch.tensor(pairs.bond_lengths[rows]),
        "shells": shells, "fold": torch.arange(30) % 4 - 1,
    }  # fmt: skip


def _members(some: dict[str, torch.Tensor], **options: bool) -> TightBindingMembers:
    """Members whose tensors all differ."""
    members = TightBindingMembers(
        shells_of(), np.full(104, np.nan), torch.unique(some["z"]).tolist(), n_members=3,
        n_hidden=8, **options,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in members.parameters():
            noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            value += 0.03 * noise
        for k in range(3):
            members[k].hamiltonian.amplitudes *= 1 - 0.2 * k
    return members


def _loss(out: dict[str, torch.Tensor]) -> torch.Tensor:
    """Of arbitrary labels of everything that is compared."""
    targets = {
        name: (torch.linspace(-1, 1, value.shape[2]).expand(len(value), -1), torch.ones(30, 1))
        for name, value in out.items() if name not in (OUTPUT, PENALTY, SHARE)
    }  # fmt: skip
    return MaskedLoss("pseudo_huber")(out, targets)


@pytest.mark.parametrize("forces", [True, False])
@pytest.mark.parametrize("folded", [True, False])
def test_members_in_one_pass_are_the_same(
    folded: bool, forces: bool, some: dict[str, torch.Tensor]
) -> None:
    inputs = dict(some) if folded else {k: v for k, v in some.items() if k != "fold"}
    members = _members(some, learns_force=forces, finds_distance=not folded).train()
    found = []
    for members.stacks in (False, True):
        members.zero_grad()
        out = members(**inputs)
        _loss(out).backward()
        found.append((out, {name: p.grad for name, p in members.named_parameters()}))
    (out, slopes), (stacked, stacked_slopes) = found
    assert out.keys() == stacked.keys() and ("force" in out) is forces
    share = out.get(SHARE, torch.ones(30, 3))[..., None] > 0
    for name, value in out.items():
        learned = value if name in (PENALTY, SHARE) else torch.where(share, value, 0.0)
        other = stacked[name] if name in (PENALTY, SHARE) else stacked[name].where(share, 0.0)
        torch.testing.assert_close(other, learned, rtol=1e-9, atol=1e-9, equal_nan=True)
    for name, slope in slopes.items():
        assert slope is not None and slope.abs().max() > 0, name
        scale = slope.abs().max().item()
        torch.testing.assert_close(stacked_slopes[name], slope, rtol=1e-8, atol=1e-9 * scale)


def test_predictions_in_one_pass_are_the_same(some: dict[str, torch.Tensor]) -> None:
    members = _members(some).eval()
    inputs = {name: some[name] for name in ("z", "distance", "shells")}
    with torch.inference_mode():
        expected = members(**inputs)
        members.stacks = True
        got = members(**inputs)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-9, atol=1e-9, equal_nan=True)


def test_only_given_populations_are_static(some: dict[str, torch.Tensor]) -> None:
    members = _members(some)
    names = ("z", "distance", "shells", "fold")
    assert not members.is_static(names)  # on the CPU
    members.stacks = True
    assert members.is_static(names)
    assert not members.is_static(("z", "distance")) and not members.is_static(("z", "shells"))

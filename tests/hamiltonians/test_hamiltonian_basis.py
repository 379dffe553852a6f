"""Orbital bases, the harmonics behind them, and how programs write them."""

import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from qcanvas_sklearn.hamiltonians import CONVENTIONS, Basis, rotation
from qcanvas_sklearn.hamiltonians._basis import MAX_L
from qcanvas_sklearn.hamiltonians._conventions import orbital_order
from qcanvas_sklearn.hamiltonians._harmonics import bond_frames, solid_harmonics
from qcanvas_sklearn.nn.harmonics import spherical_harmonics

DEF2_SVP = {"H": (0, 0, 1), "C": (0, 0, 0, 1, 1, 2), "O": [0, 0, 0, 1, 1, 2]}


# ----------------------------------------------------------------------- basis


def test_orbitals_of_many_atoms_are_those_of_each():
    basis = Basis(DEF2_SVP)
    whole = basis.orbitals([8, 1, 6, 1])
    parts = [basis.orbitals([z]) for z in (8, 1, 6, 1)]
    assert whole.ptr.tolist() == [0, 14, 19, 33, 38]
    for name in ("shell", "l", "m"):
        expected = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(getattr(whole, name), expected)
    assert whole.atom.tolist() == [0] * 14 + [1] * 5 + [2] * 14 + [3] * 5
    assert whole.labels[14:19] == ["H2 s", "H2 s(2)", "H2 p_y", "H2 p_z", "H2 p_x"]
    assert whole.labels[9:14] == ["O1 d_xy", "O1 d_yz", "O1 d_z2", "O1 d_xz", "O1 d_x2-y2"]
    assert basis.n_orbitals([[1, 6]]).tolist() == [[5, 14]] and len(whole) == 38


def test_no_atoms_have_no_orbitals():
    orbitals = Basis({"H": (0,)}).orbitals([])
    assert (len(orbitals), orbitals.labels, orbitals.ptr.tolist()) == (0, [], [0])
    assert len(Basis({})) == 0 and Basis({}).max_l == -1


def test_a_basis_is_a_value():
    a, b = Basis(DEF2_SVP), Basis(dict(reversed(DEF2_SVP.items())))
    assert a == b and hash(a) == hash(b) and list(a) == ["H", "C", "O"]
    assert a != Basis({"H": (0,)}) and a != DEF2_SVP
    assert pickle.loads(pickle.dumps(a)) == a
    assert dict(a)["O"] == a.shells(8) == (0, 0, 0, 1, 1, 2) and a.max_l == 2
    with pytest.raises(AttributeError, match="cannot be changed"):
        a._shells = {}


@pytest.mark.parametrize(
    "shells, message",
    [
        ({"Xx": (0,)}, "unknown element symbol 'Xx'"), ({1: (0,)}, "unknown element symbol 1"),
        ({"H": ()}, "shells of H must be a sequence of integers"),
        ({"H": (0.5,)}, "shells of H must be a sequence of integers"),
        ({"H": 0}, "shells of H must be a sequence of integers"),
        ({"H": (0, -1)}, "l from 0 to 6"), ({"H": (7,)}, "l from 0 to 6"),
    ],
)  # fmt: skip
def test_what_is_no_basis_is_refused(shells, message):
    with pytest.raises(ValueError, match=message):
        Basis(shells)


def test_a_basis_is_a_mapping_and_names_what_it_lacks():
    with pytest.raises(TypeError, match="a basis is a mapping .* got str"):
        Basis("def2-svp")
    with pytest.raises(ValueError, match=r"no shells for \['N'\], only for \['H', 'C', 'O'\]"):
        Basis(DEF2_SVP).orbitals([1, 7])
    with pytest.raises(ValueError, match="104 is not an atomic number"):
        Basis(DEF2_SVP).n_orbitals([104])


# ------------------------------------------------------------------- harmonics


@pytest.mark.parametrize("l", range(1, MAX_L + 1))
def test_harmonics_are_those_of_the_networks(l):
    vectors = np.random.default_rng(l).normal(size=(9, 3))
    theirs = spherical_harmonics(torch.tensor(vectors), l)[:, l**2 - 1 :].numpy()
    np.testing.assert_allclose(solid_harmonics(l, vectors), theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("l", range(MAX_L + 1))
def test_rotations_turn_the_harmonics(l):
    turns = Rotation.random(6, random_state=l).as_matrix()
    turns[3:] *= -1  # reflections too
    vectors = np.random.default_rng(l).normal(size=(5, 3))
    matrices = rotation(l, turns)
    for turn, matrix in zip(turns, matrices, strict=True):
        np.testing.assert_allclose(
            solid_harmonics(l, vectors @ turn.T), solid_harmonics(l, vectors) @ matrix.T,
            atol=1e-12 * 10**l,
        )  # fmt: skip
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2 * l + 1), atol=1e-13)
    np.testing.assert_allclose(
        rotation(l, turns[0] @ turns[4]), matrices[0] @ matrices[4], atol=1e-13
    )


def test_what_turns_nothing_is_refused():
    with pytest.raises(ValueError, match="not orthogonal: R Rᵀ is off by 3"):
        rotation(1, 2 * np.eye(3))
    with pytest.raises(ValueError, match="not orthogonal"):
        rotation(1, np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 3, 3\), got \(2, 2\)"):
        rotation(1, np.eye(2))


@pytest.mark.parametrize(
    "vector", [(0, 0, 1), (0, 0, -2), (1, 0, 0), (0, -3, 0), (1, 1, 1), (1e-9, 0, 1)]
)
def test_bond_frames_put_the_bond_on_z(vector):
    frame = bond_frames(vector)
    np.testing.assert_allclose(frame @ vector, [0, 0, np.linalg.norm(vector)], atol=1e-14)
    assert np.linalg.det(frame) == pytest.approx(1)


# ----------------------------------------------------------------- conventions


def written(convention, l):
    """A shell as a program writes it: (m, sign) from first to last."""
    basis = Basis({"H": (l,)})
    order, signs = orbital_order(basis, [1], convention)
    m = basis.orbitals([1]).m
    place = np.argsort(order)
    return [(int(m[k]), int(signs[k])) for k in place]


@pytest.mark.parametrize(
    "convention, l, expected",
    [
        ("pyscf", 1, [(1, 1), (-1, 1), (0, 1)]),
        ("pyscf", 2, [(-2, 1), (-1, 1), (0, 1), (1, 1), (2, 1)]),
        ("psi4", 1, [(0, 1), (1, 1), (-1, 1)]),
        ("psi4", 3, [(0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (3, 1), (-3, 1)]),
        ("orca", 2, [(0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1)]),
        ("orca", 3, [(0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (3, -1), (-3, -1)]),
        ("orca", 4, [(0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (3, -1), (-3, -1), (4, -1),
                     (-4, -1)]),
        ("fhi-aims", 1, [(-1, 1), (0, 1), (1, -1)]),
        ("fhi-aims", 3, [(-3, 1), (-2, 1), (-1, 1), (0, 1), (1, -1), (2, 1), (3, -1)]),
        ("tblite", 2, [(-2, 1), (-1, 1), (0, 1), (1, 1), (2, 1)]),
        ("qcanvas", 1, [(-1, 1), (0, 1), (1, 1)]),
    ],
)  # fmt: skip
def test_conventions_are_what_the_programs_write(convention, l, expected):
    assert written(convention, l) == expected


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("l", range(MAX_L + 1))
def test_conventions_name_every_orbital_once(convention, l):
    assert sorted(m for m, _ in written(convention, l)) == list(range(-l, l + 1))


def test_an_unknown_convention_is_named():
    with pytest.raises(ValueError, match="unknown convention 'gaussian'; known are .*'orca'"):
        orbital_order(Basis({"H": (0,)}), [1], "gaussian")

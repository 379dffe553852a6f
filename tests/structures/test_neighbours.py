"""Neighbour lists, against brute force and against ASE."""

import numpy as np
import pytest

from qcanvas_sklearn.structures import Molecules, neighbour_list
from qcanvas_sklearn.structures._neighbours import _MATRIX_ATOMS


def brute_force(positions, cutoff, cell=None, pbc=(False,) * 3, half=False):
    """All pairs with all images that can matter: (i, j, three shifts)."""
    cell = np.zeros((3, 3)) if cell is None else cell
    reach = [0] * 3
    if any(pbc):
        spread = np.abs((positions - positions.mean(axis=0)) @ np.linalg.inv(cell)).max(axis=0)
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        reach = [
            int(np.ceil(cutoff / h + 2 * s)) * p
            for h, s, p in zip(heights, spread, pbc, strict=True)
        ]
    found = []
    for shift in np.ndindex(*(2 * r + 1 for r in reach)):
        shift = np.array(shift) - reach
        for i, a in enumerate(positions):
            for j, b in enumerate(positions):
                ahead = (j, *shift) > (i, 0, 0, 0)
                if (i == j and not shift.any()) or (half and not ahead):
                    continue
                if half and i > j:
                    continue
                if np.linalg.norm(b + shift @ cell - a) <= cutoff:
                    found.append((i, j, *shift.tolist()))
    return sorted(found)


def pairs_of(near):
    shift = np.zeros((len(near), 3), int) if near.shift is None else near.shift
    return [tuple(row) for row in np.column_stack([near.i, near.j, shift]).tolist()]


def random_structure(seed, pbc):
    """A few atoms, in and outside of a small skew cell."""
    rng = np.random.default_rng(seed)
    while True:
        cell = 1.2 * rng.normal(size=(3, 3)) + rng.uniform(1.5, 4) * np.eye(3)
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        if heights.min() > 0.8:
            break
    n = rng.integers(1, 6)
    return rng.uniform(-5, 5, (n, 3)), cell, np.array(pbc)


def one(positions, cutoff, cell=None, pbc=None, half=False):
    cells = None if cell is None else cell[None]
    return neighbour_list(
        positions, np.array([0, len(positions)]), cutoff, cell=cells,
        pbc=None if pbc is None else pbc[None], half=half,
    )  # fmt: skip


PBC = [(True, True, True), (True, False, True), (False, True, False)]


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("pbc", PBC)
@pytest.mark.parametrize("seed", range(8))
def test_small_skew_cells_against_brute_force(seed, pbc, half):
    pytest.importorskip("vesin")
    positions, cell, pbc = random_structure(seed, pbc)
    near = one(positions, 3.0, cell, pbc, half)
    assert pairs_of(near) == brute_force(positions, 3.0, cell, pbc, half)
    distance = np.linalg.norm(near.vectors(positions, cell[None]), axis=1)
    assert (distance <= 3.0).all()


@pytest.mark.parametrize("pbc", PBC)
@pytest.mark.parametrize("cutoff", [1.0, 4.0, 9.0])
def test_periodic_lists_are_those_of_ase(pbc, cutoff):
    pytest.importorskip("vesin")
    reference = pytest.importorskip("ase.neighborlist").primitive_neighbor_list
    for seed in range(4):
        positions, cell, flags = random_structure(100 + seed, pbc)
        i, j, shift = reference("ijS", flags, cell, positions, cutoff)
        expected = sorted(map(tuple, np.column_stack([i, j, shift]).tolist()))
        assert pairs_of(one(positions, cutoff, cell, flags)) == expected


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("n", [1, 2, 7, _MATRIX_ATOMS, _MATRIX_ATOMS + 1, 90])
def test_molecules_of_any_size_against_brute_force(n, half):
    positions = np.random.default_rng(n).uniform(0, n ** (1 / 3) * 2, (n, 3))
    near = one(positions, 2.5, half=half)
    assert near.shift is None
    assert pairs_of(near) == brute_force(positions, 2.5, half=half)


def test_a_record_of_all_kinds_is_the_sum_of_its_rows():
    pytest.importorskip("vesin")
    rng = np.random.default_rng(0)
    sizes = [3, 60, 1, 3, 5, 3, 70]
    positions = [rng.uniform(0, s ** (1 / 3) * 2, (s, 3)) for s in sizes]
    cell = np.zeros((len(sizes), 3, 3))
    pbc = np.zeros((len(sizes), 3), bool)
    cell[4], pbc[4] = 3 * np.eye(3), True
    ptr = np.concatenate([[0], np.cumsum(sizes)])
    together = neighbour_list(np.concatenate(positions), ptr, 2.5, cell=cell, pbc=pbc)
    for row, start in enumerate(ptr[:-1]):
        alone = one(positions[row], 2.5, cell[row], pbc[row])
        part = slice(*together.ptr[row : row + 2])
        assert np.array_equal(together.i[part] - start, alone.i)
        assert np.array_equal(together.j[part] - start, alone.j)
        shift = np.zeros((len(alone), 3)) if alone.shift is None else alone.shift
        assert np.array_equal(together.shift[part], shift)
    assert np.array_equal(together.offsets(cell)[together.ptr[0] : together.ptr[1]],
                          np.zeros((together.ptr[1], 3)))  # fmt: skip


def test_matrices_in_chunks_give_the_same(monkeypatch):
    positions = np.random.default_rng(0).uniform(0, 3, (40, 3))
    ptr = np.arange(0, 41, 4)
    whole = neighbour_list(positions, ptr, 2.0)
    monkeypatch.setattr("qcanvas_sklearn.structures._neighbours._CHUNK", 33)
    chunks = neighbour_list(positions, ptr, 2.0)
    assert pairs_of(whole) == pairs_of(chunks) and len(whole) > 40


@pytest.mark.parametrize("cutoff", [0, -1.0, np.inf, np.nan, "5"])
def test_cutoffs_that_are_none_are_refused(cutoff):
    with pytest.raises(ValueError, match="cutoff must be a positive number of angstrom"):
        neighbour_list(np.zeros((1, 3)), np.array([0, 1]), cutoff)


def test_missing_vesin_is_explained_where_it_is_needed_only(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "vesin", None)
    molecules = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.74]]])
    assert len(molecules.neighbours(2.0)) == 2
    crystal = Molecules.from_lists(
        [["Cu"]], [[[0, 0, 0]]], cell=3 * np.eye(3)[None], pbc=[[True] * 3]
    )
    with pytest.raises(ImportError, match=r'vesin.*qcanvas-sklearn\[molecules\]'):
        crystal.neighbours(2.0)


def test_no_rows_have_no_neighbours():
    near = neighbour_list(np.zeros((0, 3)), np.array([0]), 3.0)
    assert len(near) == 0 and near.ptr.tolist() == [0]

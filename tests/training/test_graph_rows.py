"""Rows of graphs: gathered, moved and cut as a slow loop over molecules would do it."""

import numpy as np
import pytest
import torch

from qcanvas_sklearn.inputs import InputSpec, MoleculeReader
from qcanvas_sklearn.structures import Molecules

CUTOFF = 2.5


class Estimator:
    """What a reader may name in its errors."""


def molecules(n=12, seed=0, forces=False, periodic=False):
    """Random molecules of 1 to 6 atoms, a few of them too far apart to be neighbours."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, n)
    elements = [rng.choice(["H", "C", "O"], size) for size in sizes]
    positions = [1.3 * np.arange(k)[:, None] + rng.uniform(size=(k, 3)) for k in sizes]
    fields = {"charge": rng.integers(-1, 2, n)}
    if forces:
        fields["forces"] = rng.normal(size=(sizes.sum(), 3))
    if periodic:
        fields |= {"cell": np.tile(9 * np.eye(3), (n, 1, 1)), "pbc": np.ones((n, 3), bool)}
    return Molecules.from_lists(elements, positions, **fields)


def read(record, **options):
    reader = MoleculeReader(InputSpec((), cutoff=CUTOFF))
    return reader.read(Estimator(), record, learn=True, **options)


def by_loop(record, rows):
    """The batch of some rows as lists, molecule by molecule."""
    z, positions, graph, edges = [], [], [], set()
    first = 0
    for place, row in enumerate(rows):
        one = record[int(row)]
        near = one.neighbours(CUTOFF)
        shift = near.offsets(one.cell).round(6) + 0.0
        edges |= {
            (i + first, j + first, *s)
            for i, j, s in zip(near.i.tolist(), near.j.tolist(), shift.tolist(), strict=True)
        }
        z += one.z.tolist()
        positions.append(one.positions - one.positions.mean(axis=0))
        graph += [place] * len(one.z)
        first += len(one.z)
    return z, np.concatenate(positions), graph, edges


@pytest.mark.parametrize("periodic", [False, True])
@pytest.mark.parametrize("index", [[0], [5, 2, 9], [3, 3, 0], list(range(12))])
def test_a_batch_is_what_a_loop_over_the_molecules_gives(index, periodic):
    record = molecules(periodic=periodic)
    rows = read(record).to(torch.device("cpu"), torch.float64)
    batch = rows.batch(torch.tensor(index))
    z, positions, graph, edges = by_loop(record, index)
    assert batch["z"].tolist() == z and batch["graph"].tolist() == graph
    np.testing.assert_allclose(batch["positions"].numpy(), positions, atol=1e-12)
    shift = batch["shift"] if periodic else torch.zeros(batch["edge_index"].shape[1], 3)
    found = [
        (i, j, *s)
        for i, j, s in zip(*batch["edge_index"].tolist(),
                           (shift.numpy().round(6) + 0.0).tolist(), strict=True)
    ]  # fmt: skip
    assert len(found) == len(edges) and set(found) == edges
    assert ("shift" in batch) == periodic


def test_the_second_half_of_the_edges_goes_back(record=None):
    batch = read(molecules(periodic=True)).to(torch.device("cpu")).batch(slice(None))
    there, back = batch["edge_index"].chunk(2, dim=1)
    assert there.shape[1] > 10 and (there == back.flip(0)).all()
    first, second = batch["shift"].chunk(2)
    assert (first == -second).all()


@pytest.mark.parametrize("index", [slice(2, 7), np.array([8, 1]), np.arange(12) % 3 == 0])
def test_taking_rows_is_reading_fewer_molecules(index):
    record = molecules(forces=True)
    taken, fewer = read(record).take(index), read(record[index])
    for name in ("z", "positions", "ptr", "source", "target", "edge_ptr", "charge", "forces"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(fewer, name))
    assert (taken.keys() == fewer.keys()).all()


def test_rows_below_each_other():
    record = molecules(forces=True)
    whole, parts = read(record), (read(record[:5]), read(record[5:]))
    both = parts[0].concat(parts[1])
    for name in ("z", "positions", "ptr", "source", "edge_ptr", "group", "forces"):
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))
    lacking = parts[0].concat(parts[1].without_forces())
    assert np.isnan(lacking.forces[len(parts[0].z):]).all()


def test_labels_of_atoms_follow_their_rows():
    record = molecules()
    rows = read(record)
    places = rows.entries("atom", torch.tensor([4, 1]))
    expected = [*range(record.ptr[4], record.ptr[5]), *range(record.ptr[1], record.ptr[2])]
    assert places.tolist() == expected
    assert rows.entries("row", torch.tensor([4, 1])).tolist() == [4, 1]


def test_pieces_hold_every_row_once_however_large(monkeypatch):
    from qcanvas_sklearn.training import graph_rows

    monkeypatch.setattr(graph_rows, "_MAX_EDGES", 10)
    rows = read(molecules())
    pieces = [list(range(12))[piece] for piece in rows.pieces()]
    assert sum(pieces, []) == list(range(12)) and len(pieces) > 3


def test_keys_and_groups_tell_equal_rows_and_only_those():
    record = molecules()
    keys = read(Molecules.concat([record, record[[3]], molecules(seed=1)])).keys()
    every = Molecules.concat([record, record[[3]], molecules(seed=1)])
    several = np.flatnonzero(every.n_atoms > 1)  # single atoms are alike wherever they lie
    assert keys[3] == keys[12] and len(set(keys[several].tolist())) == len(several) - 1
    named = Molecules.from_lists([["H"], ["He"], ["H"]], [np.zeros((1, 3))] * 3,
                                 groups=["a", "b", "a"])  # fmt: skip
    groups = read(named).group
    assert groups[0] == groups[2] != groups[1]
    assert groups[1] == read(named[[1]]).group[0]


def test_far_from_the_origin_distances_keep_their_digits():
    record = molecules()
    far = Molecules(**{
        name: getattr(record, name) for name in ("z", "ptr", "charge")
    }, positions=record.positions + 1e5)  # fmt: skip
    near, moved = (
        read(r).to(torch.device("cpu")).batch(slice(None))["positions"] for r in (record, far)
    )
    assert (near - moved).abs().max() < 1e-6


def test_members_are_the_different_elements():
    record = Molecules.from_lists(
        [["O", "H", "H"], ["He"], ["C", "O"]], [np.eye(3), np.zeros((1, 3)), np.eye(3)[:2]]
    )
    reader = MoleculeReader(InputSpec((), cutoff=CUTOFF))
    rows = reader.read(Estimator(), record)
    assert reader.members(rows).tolist() == [[1, 8], [2, 0], [6, 8]]
    assert reader.element_names(rows) == ["C", "H", "He", "O"]

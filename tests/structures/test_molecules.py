"""`Molecules`: one frozen record of structures of any size."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pandas as pd
import pytest
from _molecules import make, random_molecules
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.structures import Molecules

ARRAYS = ("z", "positions", "ptr", "cell", "pbc", "charge", "forces", "names", "groups",
          "quality")  # fmt: skip


@pytest.fixture
def molecules():
    return make()


# -------------------------------------------------------------------- frozen


@pytest.mark.parametrize("name", ARRAYS)
def test_nothing_can_be_overwritten(molecules, name):
    for record in (molecules, molecules[::-1], pickle.loads(pickle.dumps(molecules))):
        with pytest.raises(ValueError, match="read-only"):
            getattr(record, name)[:] = getattr(record, name)[::-1]
    with pytest.raises(FrozenInstanceError):
        setattr(molecules, name, None)
    with pytest.raises(TypeError):
        molecules.units["mine"] = "eV"


def test_what_was_passed_in_belongs_to_the_caller_still():
    positions = np.zeros((1, 3))
    record = Molecules(np.array([2]), positions, np.array([0, 1]))
    positions[0, 0] = 5
    assert record.positions[0, 0] == 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, clone, replace,
                                    lambda m: pickle.loads(pickle.dumps(m)),
                                    lambda m: Molecules.concat([m]), lambda m: m[:],
                                    lambda m: m[::-1][::-1]])  # fmt: skip
def test_copies_are_equal(molecules, copied):
    assert copied(molecules) == molecules


@pytest.mark.parametrize("change", [
    {"charge": [0, -1, 2]}, {"names": ["water", "fluoride", "argon"]}, {"groups": None},
    {"forces": None}, {"units": {"mine": "eV"}}, {"provenance": ""},
    {"cell": None, "pbc": None},
    {"labels": pd.DataFrame({"total_energy_ev": [1 / 3, np.nan, 2.0], "mine": [1, 2, 4]})},
    {"quality": None}, {"atom_labels": None},
])  # fmt: skip
def test_records_differ_by_every_field(molecules, change):
    assert make(**change) != molecules
    assert make() == molecules and molecules != "molecules"


# -------------------------------------------------------------------- rows


@pytest.mark.parametrize("index", [
    0, -1, slice(1, None), slice(None, None, -1), [2, 0], np.array([1, 1, 2]),
    [True, False, True], np.array([False, True, False]), [], pd.Series([2, 1]),
    (np.array([1, 0]), ...),
])  # fmt: skip
def test_rows_are_taken_as_of_an_array(molecules, index):
    rows = np.atleast_1d(np.arange(3)[index[0] if isinstance(index, tuple) else index])
    rows = rows.astype(int)
    taken = molecules[index]
    assert len(taken) == len(rows) and taken.shape == (len(rows),)
    for k, row in enumerate(rows):
        start, end = molecules.ptr[row : row + 2]
        atoms = slice(*taken.ptr[k : k + 2])
        for name in ("z", "positions", "forces"):
            expected = getattr(molecules, name)[start:end]
            assert np.array_equal(getattr(taken, name)[atoms], expected)
        for name in ("cell", "pbc", "charge", "names", "groups", "quality"):
            assert np.array_equal(getattr(taken, name)[k], getattr(molecules, name)[row])
        pd.testing.assert_series_equal(
            taken.labels.iloc[k], molecules.labels.iloc[row], check_names=False
        )
        assert np.array_equal(taken.atom_labels[atoms], molecules.atom_labels[start:end])


@pytest.mark.parametrize("index", [3, -4, [0, 5], [True], "water", 1.0])
def test_rows_that_are_not_there_are_an_error(molecules, index):
    with pytest.raises((IndexError, TypeError, ValueError)):
        molecules[index]


def test_iteration_and_arrays_give_single_rows(molecules):
    assert [row.names[0] for row in molecules] == ["water", "fluoride", "neon"]
    array = np.asarray(molecules)
    assert array.shape == (3,) and array[1] == molecules[1]
    with pytest.raises(TypeError, match="structures are no numbers"):
        np.asarray(molecules, dtype=float)


def composition(molecules):
    """Counts of hydrogen, carbon and oxygen."""
    return np.stack(
        [np.bincount(molecules.rows, molecules.z == z, len(molecules)) for z in (1, 6, 8)], 1
    )


def test_scikit_learn_takes_a_record_for_X():
    molecules = random_molecules()
    y = composition(molecules) @ [1.0, 2.0, 3.0]
    model = make_pipeline(FunctionTransformer(composition), Ridge(1e-6))
    scores = cross_val_score(model, molecules, y, cv=KFold(4, shuffle=True, random_state=0))
    assert scores.min() > 0.999
    search = GridSearchCV(model, {"ridge__alpha": [1e-6, 1e3]}, cv=3, n_jobs=2)
    search.fit(molecules, y)
    assert search.best_params_ == {"ridge__alpha": 1e-6}
    np.testing.assert_allclose(search.predict(molecules), y, atol=1e-3)
    train, test, _, y_test = train_test_split(molecules, y, random_state=0)
    assert len(train) == 30 and np.array_equal(composition(test) @ [1.0, 2, 3], y_test)
    folds = GroupKFold(4).split(molecules, groups=molecules.group_ids)
    assert sum(len(test) for _, test in folds) == 40


def test_pickles_are_small():
    """Of coordinates and atomic numbers little more than their bytes."""
    molecules = random_molecules(2000)
    n_atoms = len(molecules.z)
    needed = n_atoms * (1 + 24) + 2000 * (8 + 8 + 4 * 6 + 8)
    assert len(pickle.dumps(molecules)) < 1.2 * needed
    assert len(pickle.dumps(molecules[:20])) < 0.03 * needed


# -------------------------------------------------------- what they are


def test_what_a_record_says_of_itself(molecules):
    assert molecules.formulas.tolist() == ["H2O", "FH", "Ne"]
    assert molecules.n_atoms.tolist() == [3, 2, 1]
    assert molecules.rows.tolist() == [0, 0, 0, 1, 1, 2]
    assert molecules.elements.tolist() == [1, 8, 9, 10]
    assert molecules.composition.tolist() == [[2, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert dict(molecules.units) == {
        "total_energy_ev": "eV", "mine": "barn", "charge_mulliken": "e"
    }  # fmt: skip
    assert repr(molecules) == (
        "Molecules(3 structures, 1 to 3 atoms of H, O, F, Ne; periodic; forces; "
        "labels ['total_energy_ev', 'mine']; provenance='made up')"
    )
    frame = molecules.to_frame()
    assert frame.shape == (3, 8) and frame["formula"].tolist() == ["H2O", "FH", "Ne"]


def test_a_record_of_nothing():
    empty = Molecules.from_lists([], [])
    assert (len(empty), empty.shape, repr(empty)) == (0, (0,), "Molecules(0 structures)")
    assert make()[[]].to_frame().shape == (0, 8)
    assert empty.formulas.shape == (0,) and empty.composition.shape == (0, 0)


@pytest.mark.parametrize(
    "elements, formula",
    [
        (["H", "C", "H", "C", "O", "H"], "C2H3O"), (["O", "Na", "H"], "HNaO"), (["C"], "C"),
        (["C", "Br", "Ag"], "CAgBr"), ([1, 6, 9], "CHF"),
    ],
)  # fmt: skip
def test_formulas_are_in_the_order_of_hill(elements, formula):
    positions = np.arange(3 * len(elements)).reshape(-1, 3)
    assert Molecules.from_lists([elements], [positions]).formulas.tolist() == [formula]


def test_equal_rows_belong_together_where_no_groups_are_given():
    molecules = random_molecules()[[3, 4, 3, 5, 4]]
    assert molecules.group_ids.tolist() == [0, 1, 0, 2, 1]
    assert make().group_ids.tolist() == [0, 1, 0]
    moved = replace(molecules, positions=molecules.positions + 1e-6)
    both = Molecules.concat([molecules, moved])
    assert both.group_ids.tolist() == [0, 1, 0, 2, 1, 3, 4, 3, 5, 4]
    charged = replace(molecules, charge=[0, 0, 1, 0, 0])
    assert charged.group_ids.tolist() == [0, 1, 2, 3, 1]


def test_groups_of_text_and_numbers_of_objects_are_read():
    assert make(groups=np.array(["a", "bb", "a"], object)).groups.dtype == "<U2"
    assert make(groups=pd.Series([1, 2, 1])).groups.dtype == np.int64
    with pytest.raises(ValueError, match="groups must be integers or text"):
        make(groups=[0.5, 1, 2])


# -------------------------------------------------------------------- concat


def test_concat_fills_what_a_part_lacks(molecules):
    bare = random_molecules(2)
    both = Molecules.concat([bare, molecules])
    assert both[2:] == replace(molecules, groups=both.groups[2:])
    assert both.group_ids.tolist() == [0, 1, 2, 3, 2]
    assert np.isnan(both.forces[: len(bare.z)]).all()
    assert both.labels[:2].isna().all(axis=None) and not both.pbc[:2].any()
    assert both[:2].positions.tobytes() == bare.positions.tobytes()
    assert both.provenance == "made up"
    twice = Molecules.concat([molecules, molecules])
    assert twice.groups.tolist() == 2 * molecules.groups.tolist()


def test_concat_refuses_what_cannot_be_stacked(molecules):
    with pytest.raises(ValueError, match="at least one"):
        Molecules.concat([])
    with pytest.raises(ValueError, match="label 'mine' is in 'barn' in one part and in 'eV'"):
        Molecules.concat([molecules, make(units={"mine": "eV"})])


# ----------------------------------------------------------- what is refused


BROKEN = {
    "unknown symbol": (dict(elements=["Qq", "H"]), "structure 1: unknown element symbol 'Qq'"),
    "element 0": (dict(elements=[0, 1]), r"structure 1.*: 0 is not an atomic number from 1"),
    "element 104": (dict(elements=[1, 104]), "structure 1.*: 104 is not an atomic number"),
    "NaN": (dict(positions=[[0, 0, 0], [0, np.nan, 1]]), "structure 1.*position of atom 1"),
    "infinite": (dict(positions=[[0, np.inf, 0], [0, 0, 1]]), "structure 1.*of atom 0"),
    "close": (dict(positions=[[0, 0, 0], [0, 0, 0.09]]), "structure 1.*0 and 1 are 0.09 Å"),
    "same": (dict(positions=[[0, 0, 0], [0, 0, 0]]), "structure 1.*0 and 1 are 0 Å apart"),
    "empty": (dict(elements=[], positions=np.empty((0, 3))), "structure 1.*: it has no atoms"),
    "lengths": (dict(elements=["H"]), r"structure 1: positions has shape \(2, 3\)"),
}  # fmt: skip


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("case", BROKEN)
def test_structures_that_cannot_be_are_named(case, named):
    changes, message = BROKEN[case]
    broken = {"elements": ["H", "H"], "positions": [[0, 0, 0], [0, 0, 1]]} | changes
    names = {"names": ["fine", "broken", "fine"]} if named else {}
    with pytest.raises(ValueError, match=message) as caught:
        Molecules.from_lists(
            [["He"], broken["elements"], ["He"]],
            [[[0, 0, 0]], broken["positions"], [[0, 0, 0]]],
            **names,
        )
    # What cannot be made an array has no record yet that knows its name.
    known = named and case not in ("unknown symbol", "lengths")
    assert ("'broken'" in str(caught.value)) == known


CELLS = {
    "no cell": (None, [True] * 3, "is periodic .* but has no cell"),
    "flat": (np.diag([3.0, 3.0, 0.0]), [True, True, False], "has no volume"),
    "parallel": ([[3, 0, 0], [3, 0, 0], [0, 0, 3]], [True] * 3, "has no volume"),
    "tiny": (0.1 * np.eye(3), [True] * 3, "has no volume"),
    "NaN": (np.full((3, 3), np.nan), [False] * 3, "a cell vector is not finite"),
    "image": (np.diag([2.0, 3, 3]), [True] * 3, "atoms 0 and 1 are 0.05 Å apart"),
}  # fmt: skip


@pytest.mark.parametrize("case", CELLS)
def test_cells_that_cannot_be_are_named(case):
    cell, pbc, message = CELLS[case]
    with pytest.raises(ValueError, match=f"structure 0 .*{message}"):
        Molecules.from_lists(
            [["H", "H"]], [[[0, 0, 0], [1.95, 0, 0]]], names=["x"],
            cell=None if cell is None else [cell], pbc=[pbc],
        )  # fmt: skip
    apart = Molecules.from_lists(
        [["H", "H"]], [[[0, 0, 0], [1.95, 0, 0]]],
        cell=[np.diag([2.0, 3, 3])], pbc=[[False, True, True]],
    )  # fmt: skip
    assert len(apart) == 1


@pytest.mark.parametrize("n", [2, 30, 80, 300])
@pytest.mark.parametrize("periodic", [False, True])
def test_two_atoms_in_one_place_are_found_in_structures_of_any_size(n, periodic, monkeypatch):
    monkeypatch.setattr("qcanvas_sklearn.structures._neighbours._CHUNK", 1000)
    side = int(np.ceil(n ** (1 / 3)))
    grid = 2.0 * np.array(list(np.ndindex(side, side, side)))[:n]
    others = {}
    if periodic:
        others = {"cell": [2.0 * side * np.eye(3)], "pbc": [[True] * 3]}
    assert len(Molecules.from_lists([["H"] * n], [grid], **others)) == 1
    grid[-1] = grid[0] + [0.05, 0, 2.0 * side if periodic else 0]
    with pytest.raises(ValueError, match=f"atoms 0 and {n - 1} are 0.05 Å apart"):
        Molecules.from_lists([["H"] * n], [grid], **others)


@pytest.mark.parametrize("change, message", [
    ({"charge": [0, 0]}, r"charge has shape \(2,\), expected \(3,\)"),
    ({"charge": [0, np.nan, 0]}, "structure 1 .'fluoride'.: the charge is nan"),
    ({"forces": np.zeros((5, 3))}, r"forces has shape \(5, 3\), expected \(6, 3\)"),
    ({"forces": [np.zeros((3, 3))] * 3}, r"structure 1: forces has shape \(3, 3\)"),
    ({"forces": np.array([[0, 0, np.nan]] * 4 + [[0, np.inf, 0]] * 2)},
     r"structure 1 .'fluoride'.: the force on atom 1 is \[0.0, inf, 0.0\]"),
    ({"names": ["a"]}, r"names has shape \(1,\)"),
    ({"groups": ["a"]}, r"groups has shape \(1,\)"),
    ({"labels": pd.DataFrame({"a": [1]})}, "labels has 1 rows, expected 3"),
    ({"labels": pd.DataFrame({"a": [1, 2, "x"]}), "units": None}, "labels 'a' does not hold"),
    ({"labels": pd.DataFrame({"a": [1, 2, np.inf]}), "units": None}, "holds infinite values"),
    ({"labels": pd.DataFrame([[1, 2]] * 3, columns=["a", "a"])}, "distinct names"),
    ({"labels": pd.DataFrame([[1, 2]] * 3)}, "distinct names"),
    ({"units": {"yours": "eV"}}, r"units of \['yours'\]"),
    ({"units": {"mine": 3}}, "units must be text, got 3"),
])  # fmt: skip
def test_fields_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_tables_that_are_none_are_refused():
    with pytest.raises(TypeError, match="labels must be a DataFrame, got dict"):
        make(labels={"a": [1, 2, 3]})


@pytest.mark.parametrize("ptr, z, message", [
    ([1, 2], [1, 1], "ptr must begin with 0"), ([0, 2, 1], [1, 1], "never decrease"),
    ([], [], "ptr must begin with 0"), ([0, 3], [1, 1], r"z has shape \(2,\), expected \(3,\)"),
    ([0.0, 2.0], [1, 1], "ptr must be integers"), ([0, 2], [1.0, 1.0], "z must be integers"),
])  # fmt: skip
def test_pointers_that_do_not_fit_are_refused(ptr, z, message):
    with pytest.raises(ValueError, match=message):
        Molecules(z, np.arange(6.0).reshape(2, 3), ptr)


# -------------------------------------------------------------------- files


@pytest.mark.parametrize("record", [
    make, random_molecules, lambda: make()[[]], lambda: load_pairs().pairs[:30].to_molecules(),
])  # fmt: skip
def test_files_hold_everything(record, tmp_path):
    path = tmp_path / "m.npz"
    record().save(path)
    assert Molecules.load(path) == record()
    assert [file.name for file in tmp_path.iterdir()] == ["m.npz"]


def test_numbers_of_single_precision_take_half_the_space(tmp_path):
    molecules = random_molecules(400)
    molecules.save(tmp_path / "double.npz")
    rounded = replace(molecules, positions=molecules.positions.astype(np.float32))
    rounded.save(tmp_path / "single.npz")
    assert Molecules.load(tmp_path / "single.npz") == rounded
    sizes = {file.stem: file.stat().st_size for file in tmp_path.iterdir()}
    assert sizes["single"] < 0.65 * sizes["double"]


def test_damaged_files_are_refused(molecules, tmp_path):
    path = tmp_path / "m.npz"
    molecules.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for k in range(60):
        damaged = bytearray(whole)
        if k % 2:
            damaged = damaged[: rng.integers(len(whole))]
        else:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            # A bit of a date or of a name that nobody reads changes nothing.
            assert Molecules.load(path) == molecules
        except ValueError as error:
            assert "is not a complete Molecules file" in str(error)
    with pytest.raises(ValueError, match="max_bytes=100"):
        path.write_bytes(whole)
        Molecules.load(path, max_bytes=100)


def test_files_of_another_kind_are_refused(tmp_path):
    load_pairs().pairs[:2].save(tmp_path / "pairs.npz")
    with pytest.raises(ValueError, match="not a complete Molecules file.*no array 'charge'"):
        Molecules.load(tmp_path / "pairs.npz")


# -------------------------------------------------------------------- pairs


def test_pairs_are_molecules_of_two_atoms():
    pairs = load_pairs().pairs[:50]
    molecules = pairs.to_molecules()
    assert (molecules.n_atoms == 2).all()
    assert np.array_equal(molecules.z.reshape(-1, 2), pairs.z)
    assert np.array_equal(molecules.positions.reshape(-1, 2, 3), pairs.positions)
    assert molecules.names.tolist() == molecules.groups.tolist() == pairs.names.tolist()
    assert molecules.labels["e_g_ev"].equals(pairs.labels["e_g_ev"])
    assert molecules.units["e_g_ev"] == "eV" and molecules.provenance == pairs.provenance
    charges = molecules.atom_labels["charge_mulliken"].to_numpy()
    assert np.array_equal(charges.reshape(-1, 2), pairs.charges)
    assert not molecules.charge.any()
    total = np.where(np.arange(50) == 3, 1.0, [np.nan, 1e-12] * 25)
    ion = replace(pairs, labels=pairs.labels.assign(total_charge=total)).to_molecules()
    assert np.flatnonzero(ion.charge).tolist() == [3] and ion.charge[3] == 1
    unknown = replace(pairs, positions=np.full((50, 2, 3), np.nan))
    with pytest.raises(ValueError, match="structure 0 .'Ag_Ag'.: the position"):
        unknown.to_molecules()

"""Splits of molecules: what must never be on both sides."""

from dataclasses import replace
from inspect import signature

import numpy as np
import pytest
from _crysmtm_files import crysmtm_files, zip_of
from _molecules import random_molecules
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn import (
    BondLengthSplit,
    CrysMTMSplit,
    ElectronegativitySplit,
    ElementGroupKFold,
    ElementPairKFold,
    LeaveElementGroupOut,
    LeaveElementOut,
    MD17Split,
    MoleculeKFold,
    MoleculeSizeSplit,
    PairTypeSplit,
    PeriodDifferenceSplit,
    PeriodSplit,
    generalization_gap,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.datasets import read_crysmtm

X, Y = load_molecules(target="e_g_ev", return_X_y=True)


def counts(molecules):
    """Counts of the five elements of the bundled molecules."""
    present = np.zeros((len(molecules), 10))
    present[:, molecules.elements] = molecules.composition
    return present[:, [1, 6, 7, 8, 9]]


MODEL = make_pipeline(FunctionTransformer(counts), Ridge())


def elements_of(molecules):
    return [frozenset(molecules.z[a:b].tolist()) for a, b in
            zip(molecules.ptr[:-1], molecules.ptr[1:], strict=True)]  # fmt: skip


# ------------------------------------------------------------------- K folds


KEYS = {
    "group": lambda m: m.groups.tolist(), "formula": lambda m: m.formulas.tolist(),
    "elements": elements_of,
}  # fmt: skip


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("by", KEYS)
def test_what_belongs_together_is_in_one_fold(by, shuffle):
    # Every third molecule is there twice, the second time among all others.
    doubled = X[np.concatenate([np.arange(600), np.arange(0, 600, 3)])]
    keys, tested = KEYS[by](doubled), np.zeros(800, dtype=int)
    cv = MoleculeKFold(4, by=by, shuffle=shuffle, random_state=0 if shuffle else None)
    for train, test in cv.split(doubled):
        assert not {keys[i] for i in train} & {keys[i] for i in test}
        tested[test] += 1
    assert (tested == 1).all()


def test_equal_rows_are_one_group_where_none_are_named():
    bare = replace(X, groups=None)[[0, 1, 2, 0, 1, 3]]
    for train, test in MoleculeKFold(2).split(bare):
        assert not set(bare[train].names) & set(bare[test].names)


def folds(cv):
    return [test.tolist() for _, test in cv.split(X, Y)]


def test_shuffle_and_random_state_are_those_of_scikit_learn():
    defaults = {name: p.default for name, p in signature(KFold).parameters.items()}
    ours = {name: p.default for name, p in signature(MoleculeKFold).parameters.items()}
    assert defaults.items() <= ours.items()
    with pytest.raises(ValueError, match="random_state=3 has no effect with shuffle=False"):
        MoleculeKFold(random_state=3)
    shuffled = folds(MoleculeKFold(4, shuffle=True, random_state=0))
    assert shuffled == folds(MoleculeKFold(4, shuffle=True, random_state=0))
    assert shuffled != folds(MoleculeKFold(4, shuffle=True, random_state=1))
    assert shuffled != folds(MoleculeKFold(4)) == folds(MoleculeKFold(4))


def test_rows_without_a_label_are_left_out_and_strata_are_alike():
    y = Y.where(np.arange(600) % 7 > 0)
    tested = np.concatenate([test for _, test in MoleculeKFold(5).split(X, y)])
    assert sorted(tested) == np.flatnonzero(y.notna()).tolist()
    kept = np.concatenate([test for _, test in MoleculeKFold(5, missing="keep").split(X, y)])
    assert len(kept) == 600
    means = {
        n: np.std([Y.iloc[test].mean() for _, test in
                   MoleculeKFold(5, shuffle=True, random_state=0, n_quantiles=n).split(X, Y)])
        for n in (None, 10)
    }  # fmt: skip
    assert means[10] < means[None] / 2


@pytest.mark.parametrize("cv, message", [
    (MoleculeKFold(1000), "n_splits=1000 is larger than the number of groups, 600"),
    (MoleculeKFold(100, by="elements"), "larger than the number of sets of elements"),
    (MoleculeKFold(by="size"), "by='size' is not one of"),
    (MoleculeSizeSplit(threshold=99), "leaves no test molecule"),
    (MoleculeSizeSplit(threshold=0), "leaves no training molecule"),
    (LeaveElementOut(["C"]), "leaves no training molecule"),
    (LeaveElementOut(["Ag"]), "elements .'Ag'. do not occur in X"),
    (ElementGroupKFold(2), "every molecule holds one of"),
    (PeriodSplit(), "leaves no test molecule"),
    (MoleculeSizeSplit(missing="drop"), "missing='drop' is not one of"),
])  # fmt: skip
def test_what_leaves_a_side_empty_is_refused(cv, message):
    with pytest.raises(ValueError, match=message):
        list(cv.split(X, Y))


# -------------------------------------------------------------------- by size


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_sizes_are_on_one_side_each(heavy, reverse):
    size = np.array([(X[i].z > heavy).sum() for i in range(600)])
    cv = MoleculeSizeSplit(heavy_only=heavy, reverse=reverse, test_fraction=0.25)
    ((train, test),) = cv.split(X, Y)
    small, large = (test, train) if reverse else (train, test)
    assert size[small].max() < size[large].min()
    sizes = np.unique(size)
    shares = [np.mean(size <= s) if reverse else np.mean(size > s) for s in sizes[:-1]]
    assert len(test) / 600 == min(shares, key=lambda share: abs(share - 0.25))
    ((train, _),) = MoleculeSizeSplit(heavy_only=heavy, threshold=6).split(X, Y)
    assert (size[train] <= 6).all() and len(train) == (size <= 6).sum()


def test_one_size_cannot_be_split():
    with pytest.raises(ValueError, match="all molecules are of one size"):
        list(MoleculeSizeSplit().split(X[X.n_atoms == 9]))


# --------------------------------------------------------------- by elements


def test_an_element_held_out_is_in_no_training_molecule():
    cv = LeaveElementOut(["F", "N"])
    assert cv.held_out(X) == ["F", "N"] and cv.get_n_splits(X) == 2
    for symbol, (train, test) in zip((9, 7), cv.split(X, Y), strict=True):
        assert symbol not in X[train].z
        assert all(symbol in X[int(i)].z for i in test)
        assert len(train) + len(test) == 600
    assert LeaveElementOut().held_out(X) == ["H", "C", "N", "O", "F"]
    halogens = LeaveElementGroupOut("group", values=[17])
    ((train, test),) = LeaveElementOut("F").split(X)
    assert [(len(a), len(b)) for a, b in halogens.split(X)] == [(len(train), len(test))]


def test_groups_of_elements_are_dealt_to_folds():
    molecules = random_molecules(60)  # of H, C and O, in every combination
    for train, test in ElementGroupKFold(3).split(molecules):
        assert set(molecules[train].elements) < set(molecules[test].elements)


def test_pairs_are_held_out_as_the_molecules_that_they_are():
    pairs = load_pairs()
    molecules = pairs.pairs.to_molecules()
    for cv in (LeaveElementOut(["Ag", "O"]), LeaveElementGroupOut("block"), PeriodSplit(),
               ElementGroupKFold(4), PeriodSplit(reverse=True)):  # fmt: skip
        of_pairs, of_molecules = cv.split(pairs.data), cv.split(molecules)
        for a, b in zip(of_pairs, of_molecules, strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("cv", [
    ElementPairKFold(), PairTypeSplit(), PeriodDifferenceSplit(), BondLengthSplit(),
    ElectronegativitySplit(),
])  # fmt: skip
def test_splits_of_pairs_refuse_molecules(cv):
    with pytest.raises(ValueError, match=f"X holds molecules, and {type(cv).__name__} splits"):
        list(cv.split(X, Y))


@pytest.mark.parametrize("cv", [MoleculeKFold(), MoleculeSizeSplit()])
def test_splits_of_molecules_refuse_pairs(cv):
    with pytest.raises(ValueError, match=f"X holds pairs, and {type(cv).__name__} splits mol"):
        list(cv.split(load_pairs().data))


# ------------------------------------------------------------ in scikit-learn


SPLITTERS = [
    MoleculeKFold(3), MoleculeKFold(3, by="formula"), MoleculeSizeSplit(), LeaveElementOut("F"),
    MD17Split(n_splits=2, train_size=100, test_size=50, random_state=0),
]  # fmt: skip


@pytest.mark.parametrize("cv", SPLITTERS, ids=repr)
def test_splitters_work_where_scikit_learn_takes_one(cv):
    scores = cross_val_score(MODEL, X, Y, cv=cv)
    assert len(scores) == cv.get_n_splits(X) and np.isfinite(scores).all()
    search = GridSearchCV(MODEL, {"ridge__alpha": [1.0, 1e4]}, cv=cv).fit(X, Y)
    assert search.n_splits_ == cv.get_n_splits(X)
    assert repr(clone(cv, safe=False)) == repr(cv)


def test_atoms_are_split_as_the_record_that_holds_them():
    pytest.importorskip("ase")
    molecules = X[::20]
    for cv in (MoleculeKFold(3), MoleculeSizeSplit(), LeaveElementOut(["N"])):
        for a, b in zip(cv.split(molecules), cv.split(molecules.to_ase()), strict=True):
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_three_sides_keep_groups_together():
    doubled = X[np.repeat(np.arange(600), 2)]
    train, inside, outside = next(
        MoleculeSizeSplit().split_three(doubled, random_state=0, in_distribution_fraction=0.2)
    )
    sides = [set(doubled[rows].names) for rows in (train, inside, outside)]
    assert not sides[0] & sides[1] and not (sides[0] | sides[1]) & sides[2]
    assert len(sides[1]) == np.ceil(0.2 * len(sides[0] | sides[1]))


def test_gap_between_near_and_far_molecules():
    errors = generalization_gap(
        MODEL, X, Y, {"size": MoleculeSizeSplit(), "F": LeaveElementOut("F")}, random_state=0
    )
    assert errors["split"].tolist() == ["size", "F: F"]
    assert errors["unit"].tolist() == ["eV", "eV"] and (errors["mae_out"] > 0).all()


class Strict(DummyRegressor):
    """Says that it refuses elements it was not trained on."""

    def __init__(self, unseen_elements="error"):
        super().__init__()
        self.unseen_elements = unseen_elements


def test_unseen_elements_of_molecules_are_named():
    with pytest.raises(ValueError, match="not among its training pairs, .'F'."):
        generalization_gap(Strict(), X, Y, LeaveElementOut("F"))
    assert len(generalization_gap(Strict(), X, Y, MoleculeSizeSplit(), random_state=0)) == 1


# ---------------------------------------------------------------- trajectories


def test_official_splits_are_taken_as_they_are():
    given = [(np.arange(10), np.arange(10, 20)), ([30, 40], [50])]
    cv = MD17Split(given)
    assert cv.get_n_splits() == 2
    for (train, test), (a, b) in zip(cv.split(X), given, strict=True):
        assert train.tolist() == list(a) and test.tolist() == list(b)


def test_random_splits_are_of_the_official_size():
    frames = np.zeros((2500, 2))
    sizes = [(len(a), len(b)) for a, b in MD17Split(random_state=0).split(frames)]
    assert sizes == [(1000, 1000)] * 5
    again = [train.tolist() for train, _ in MD17Split(random_state=0).split(frames)]
    assert again == [train.tolist() for train, _ in MD17Split(random_state=0).split(frames)]


def test_more_than_a_thousand_frames_are_warned_of():
    frames = np.zeros((2500, 2))
    with pytest.warns(UserWarning, match="1001 frames of one trajectory are trained on"):
        list(MD17Split(n_splits=1, train_size=1001).split(frames))
    with pytest.warns(UserWarning, match="1200 frames of one trajectory"):
        list(MD17Split([(np.arange(1200), np.arange(1200, 1300))]).split(frames))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("splits, message", [
    ([([0, 1], [1])], "split 0 has a frame twice"), ([([0, 0], [1])], "a frame twice"),
    ([([0], [1]), ([0, 600], [1])], "split 1 has rows up to 600, and X has 600 frames"),
    ([([-1], [1])], "split 0 has rows"),
])  # fmt: skip
def test_splits_that_cannot_be_are_refused(splits, message):
    with pytest.raises(ValueError, match=message):
        list(MD17Split(splits).split(X))


# ------------------------------------------------------------------- crystals


@pytest.fixture(scope="module")
def crystals(tmp_path_factory):
    path = tmp_path_factory.mktemp("crystals") / "crysmtm.zip"
    path.write_bytes(zip_of(crysmtm_files(range(0, 1001, 50), (0, 1, 2))))
    return read_crysmtm(path)


@pytest.mark.parametrize("test, tested", [
    ("out-of-distribution", {0, 50, 100, 900, 950, 1000}),
    ("in-distribution", {250, 450, 650, 750, 800}),
])  # fmt: skip
def test_temperatures_are_held_out_as_published(crystals, test, tested):
    ((train, rows),) = CrysMTMSplit(test).split(crystals)
    kelvin = np.array([int(group.split()[1]) for group in crystals.groups])
    assert set(kelvin[rows]) == tested
    assert set(kelvin[train]) == {150, 200, 300, 350, 400, 500, 550, 600, 700, 850}
    assert len(train) == 10 * 9 and len(rows) == len(tested) * 9


def test_rotations_are_split_at_random_by_name_only(crystals):
    ((train, test),) = CrysMTMSplit("random-rotations", random_state=0).split(crystals)
    assert set(crystals.groups[test]) & set(crystals.groups[train])
    assert len(train) + len(test) == len(crystals)
    with pytest.raises(ValueError, match="test='random' is not one of"):
        list(CrysMTMSplit("random").split(crystals))


def test_other_molecules_are_no_crystals(crystals):
    with pytest.raises(ValueError, match="groups such as 'anatase, 0 K'; got 'C#C'"):
        list(CrysMTMSplit().split(X))
    with pytest.raises(ValueError, match="X has no groups"):
        list(CrysMTMSplit().split(replace(crystals, groups=None)))
    cold = crystals[crystals.groups == "anatase, 0 K"]
    with pytest.raises(ValueError, match="no temperature of the training side"):
        list(CrysMTMSplit().split(cold))

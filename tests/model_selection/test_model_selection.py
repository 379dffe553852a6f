"""Splitters: what must never be on both sides, and what must be counted."""

from inspect import signature

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from qcanvas_sklearn import (
    ElementGroupKFold,
    ElementPairKFold,
    LeaveElementOut,
    PairDescriptorTransformer,
    PairImageTransformer,
    load_pairs,
)
from qcanvas_sklearn.elements import atomic_numbers

X, Y = load_pairs(target="e_g_ev", return_X_y=True)
PAIRS = X.to_numpy()


def test_no_pair_is_in_two_folds_and_every_labelled_row_is_tested_once():
    doubled = np.concatenate([PAIRS, PAIRS[:, ::-1]])  # every pair again, atoms reversed
    y = np.concatenate([Y, Y])
    tested = np.zeros(len(doubled), dtype=int)
    for train, test in ElementPairKFold(5).split(doubled, y):
        names = [frozenset(pair) for pair in doubled]
        assert not {names[i] for i in train} & {names[i] for i in test}
        tested[test] += 1
    assert (tested == np.isfinite(y)).all()


def folds(cv):
    return [test.tolist() for _, test in cv.split(X, Y)]


@pytest.mark.parametrize("kind", [ElementPairKFold, ElementGroupKFold])
def test_shuffle_and_random_state_are_those_of_scikit_learn(kind):
    defaults = {name: p.default for name, p in signature(KFold).parameters.items()}
    ours = {name: p.default for name, p in signature(kind).parameters.items()}
    assert defaults.items() <= ours.items()
    with pytest.raises(ValueError, match="random_state=3 has no effect with shuffle=False"):
        kind(random_state=3)
    with pytest.raises(TypeError, match="shuffle must be an instance of"):
        kind(shuffle="yes")

    assert folds(kind(4)) == folds(kind(4))
    shuffled = folds(kind(4, shuffle=True, random_state=0))
    assert shuffled == folds(kind(4, shuffle=True, random_state=0)) != folds(kind(4))
    assert shuffled != folds(kind(4, shuffle=True, random_state=1))
    assert folds(kind(4, shuffle=True)) != folds(kind(4, shuffle=True))
    generator = np.random.RandomState(0)
    assert shuffled == folds(kind(4, shuffle=True, random_state=generator))
    assert shuffled != folds(kind(4, shuffle=True, random_state=generator))


@pytest.mark.parametrize("kind", [ElementPairKFold, ElementGroupKFold])
def test_splitters_are_copied_and_printed_with_their_parameters(kind):
    cv = kind(3, shuffle=True, random_state=7)
    search = clone(GridSearchCV(DummyRegressor(), {}, cv=cv))
    assert repr(search.cv) == repr(cv) and search.cv is not cv
    assert folds(search.cv) == folds(cv) and cv.get_n_splits() == len(folds(cv)) == 3
    assert "random_state=7," in repr(cv) and "shuffle=True" in repr(cv)


def test_pairs_are_dealt_in_turn_not_in_blocks_of_elements():
    z = atomic_numbers(PAIRS)
    order = np.lexsort(z.T[::-1])  # by the first atom, then by the second
    fold = np.empty(len(X), dtype=int)
    for k, (_, test) in enumerate(ElementPairKFold(5, missing="keep").split(X)):
        fold[test] = k
    assert fold[order].tolist() == (np.arange(len(X)) % 5).tolist()
    for k in range(5):  # each has some of the 75 pairs of every element
        counts = np.array([(z[fold == k] == e).any(axis=1).sum() for e in np.unique(z)])
        assert counts.min() > 0 and counts.max() < 38  # half of them


def test_elements_are_dealt_in_turn_by_atomic_number():
    held_out = [
        np.setdiff1d(PAIRS, PAIRS[train]) for train, _ in ElementGroupKFold(5).split(X)
    ]
    assert [set(atomic_numbers(group)) for group in held_out] == [
        set(np.unique(atomic_numbers(PAIRS))[k::5]) for k in range(5)
    ]


def test_fold_sizes_differ_by_at_most_one_pair():
    sizes = [len(test) for _, test in ElementPairKFold(7, missing="keep").split(X, Y)]
    assert sum(sizes) == len(X) and max(sizes) - min(sizes) <= 1


def test_quantiles_bring_the_folds_closer_together():
    def spread(cv):
        return np.std([Y.iloc[test].mean() for _, test in cv.split(X, Y)])

    plain = np.mean(
        [spread(ElementPairKFold(5, shuffle=True, random_state=s)) for s in range(10)]
    )
    stratified = np.mean(
        [
            spread(ElementPairKFold(5, shuffle=True, n_quantiles=20, random_state=s))
            for s in range(10)
        ]
    )
    assert stratified < 0.6 * plain


@pytest.mark.parametrize("missing, n_rows", [("skip", 2840), ("keep", 2850)])
def test_rows_without_a_label(missing, n_rows):
    for train, test in ElementPairKFold(3, missing=missing).split(X, Y):
        assert len(train) + len(test) == n_rows
    both = np.c_[Y, np.ones(len(Y))]  # one label is enough to be kept
    train, test = next(ElementPairKFold(3).split(X, both))
    assert len(train) + len(test) == 2850


def test_leave_element_out_holds_out_every_pair_of_the_element():
    cv = LeaveElementOut(missing="keep")
    assert cv.get_n_splits(X) == 75
    for (train, test), element in zip(cv.split(X, Y), ["H", "He", "Li"], strict=False):
        assert len(test) == 75 and len(train) == 2775
        assert (PAIRS[test] == element).any(axis=1).all()
        assert not (PAIRS[train] == element).any()


def test_element_groups_are_disjoint_from_training_and_cover_all_elements():
    held_out = []
    for train, test in ElementGroupKFold(5, missing="keep").split(X, Y):
        assert len(train) + len(test) == 2850
        outside = set(np.unique(PAIRS)) - set(np.unique(PAIRS[train]))
        assert len(outside) == 15 and len(train) == 60 * 61 // 2
        held_out += outside
    assert sorted(held_out) == sorted(set(np.unique(PAIRS)))


def test_the_transformers_output_gives_the_same_folds():
    table = PairImageTransformer(include=["atoms"]).fit_transform(X)
    for cv in (ElementPairKFold(3), ElementGroupKFold(3), LeaveElementOut(["Ag"])):
        for (a, b), (c, d) in zip(cv.split(X, Y), cv.split(table, Y), strict=True):
            assert np.array_equal(a, c) and np.array_equal(b, d)


def test_the_order_of_atoms_does_not_matter():
    for cv in (ElementPairKFold(3), ElementGroupKFold(3)):
        for (_, a), (_, b) in zip(cv.split(PAIRS, Y), cv.split(PAIRS[:, ::-1], Y), strict=True):
            assert np.array_equal(a, b)


def test_a_table_that_holds_a_pair_in_both_orders_does_not_leak():
    table = PairImageTransformer(include=["atoms"])
    given = np.asarray(table.fit_transform(X))
    both = table.layout_.label(np.vstack([given, given[:, [1, 0, 2, 4, 3]]]))
    for train, test in ElementPairKFold(3).split(both):
        assert not set(train % len(X)) & set(test % len(X))


@pytest.mark.parametrize(
    "cv", [ElementPairKFold(3), ElementGroupKFold(3), LeaveElementOut()], ids=repr
)
def test_scaled_columns_are_no_atoms(cv):
    table = PairImageTransformer(include=["atoms"]).set_output(transform="pandas")
    scaled = StandardScaler().set_output(transform="pandas").fit_transform(
        table.fit_transform(X[:50])
    )
    with pytest.raises(ValueError, match="row 0: .* in column z_a .* was the column scaled"):
        next(cv.split(scaled))


def test_scikit_learn_accepts_them():
    pipe = make_pipeline(PairDescriptorTransformer(), HistGradientBoostingRegressor(max_iter=5))
    scores = cross_val_score(
        pipe, X, Y, cv=ElementPairKFold(3), scoring="neg_mean_absolute_error"
    )
    assert np.isfinite(scores).all() and len(scores) == 3
    search = GridSearchCV(
        make_pipeline(PairDescriptorTransformer(), DummyRegressor()),
        {"dummyregressor__strategy": ["mean", "median"]}, cv=LeaveElementOut(["O", "Ag"]),
        refit=False,
    )  # fmt: skip
    assert search.fit(X, Y).n_splits_ == 2


@pytest.mark.parametrize(
    "cv, pairs, message",
    [
        (ElementPairKFold(1), PAIRS, "n_splits"),
        (ElementPairKFold(9), PAIRS[:3], "n_splits=9 .* distinct pairs, 3"),
        (ElementPairKFold(missing="drop"), PAIRS, "missing='drop'"),
        (LeaveElementOut(["U"]), PAIRS, "'U'"),
        (LeaveElementOut(), [["H", "H"]], "single element"),
        (ElementGroupKFold(80), PAIRS, "n_splits=80"),
        (ElementPairKFold(), np.ones((10, 3)), "element pairs"),
    ],
)
def test_errors_name_the_value(cv, pairs, message):
    with pytest.raises(ValueError, match=message):
        list(cv.split(pairs))


def test_quantiles_need_one_target():
    with pytest.raises(ValueError, match="single target"):
        list(ElementPairKFold(n_quantiles=4).split(X, np.c_[Y, Y]))


def test_a_fold_without_any_label_is_refused():
    with pytest.raises(ValueError, match="split . of ElementPairKFold leaves no test pair"):
        list(ElementPairKFold(3).split(PAIRS[:3], [1.0, 2.0, np.nan]))


def test_leave_element_out_names_its_splits():
    assert LeaveElementOut().held_out(X)[:3] == ["H", "He", "Li"]
    assert LeaveElementOut(np.array(["O", "Ag"])).held_out(X) == ["O", "Ag"]


def test_a_symbol_alone_is_no_sequence_of_letters():
    assert LeaveElementOut("Co").held_out(X) == ["Co"]
    assert LeaveElementOut("Co").get_n_splits() == 1
    with pytest.raises(ValueError, match=r"elements \['CO'\] do not occur"):
        LeaveElementOut("CO").held_out(X)  # neither carbon and oxygen

"""Out-of-distribution splits: what each side holds, and what the gap between them is."""

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    BondLengthSplit,
    ElectronegativitySplit,
    ElementGroupKFold,
    ElementPairKFold,
    LeaveElementGroupOut,
    LeaveElementOut,
    PairDescriptorTransformer,
    PairImageTransformer,
    PairMLPRegressor,
    PairTypeSplit,
    PeriodDifferenceSplit,
    PeriodSplit,
    generalization_gap,
    load_pairs,
)
from qcanvas_sklearn.elements import atomic_numbers, block_letters, property_values

X, Y = load_pairs(target="e_g_ev", return_X_y=True)
PAIRS = X.to_numpy()
Z = atomic_numbers(PAIRS)
LABELLED = Y.notna().to_numpy()
LENGTHS = load_pairs().labels["distance_ang"].to_numpy(dtype=float)

SHIFTS = [
    PeriodSplit(),
    PeriodDifferenceSplit(),
    PairTypeSplit(),
    ElectronegativitySplit(),
    ElectronegativitySplit("mulliken"),
    BondLengthSplit(),
]
SPLITTERS = [
    *SHIFTS,
    LeaveElementGroupOut("group", values=[1, 17]),
    LeaveElementGroupOut("block", values="sp"),
    LeaveElementGroupOut("period", values=[1, 7]),
]


def name_of(item):
    return repr(item)


def electronegativity_difference(scale):
    values = np.nan_to_num(property_values(scale))[Z]
    return np.abs(values[:, 0] - values[:, 1])


def is_metal():
    """Left of and below the staircase of the periodic table."""
    group, period = property_values("group")[Z], property_values("period")[Z]
    first_metal = np.array([9.0] * 13 + [3, 5, 6, 6, 9, 9])  # first period by group
    transition = (group <= 12) & (Z > 1)
    return transition | (period >= first_metal[group.astype(int)])


# ------------------------------------------------------------------ the sides

# Published sizes of training, validation and test side, on the 2,840 pairs with a gap.
PUBLISHED = [
    (PeriodSplit(), [594, 66, 2180]),
    (PeriodDifferenceSplit(), [545, 61, 2234]),
    (PairTypeSplit(), [1193, 133, 1514]),
    (ElectronegativitySplit(), [2044, 228, 568]),
    (BondLengthSplit(), [2044, 228, 568]),
]


@pytest.mark.parametrize("cv, sizes", PUBLISHED, ids=name_of)
def test_the_sizes_are_those_published(cv, sizes):
    assert [len(side) for side in next(cv.split_three(X, Y))] == sizes
    train, test = next(cv.split(X, Y))
    assert [len(train), len(test)] == [sizes[0] + sizes[1], sizes[2]]


PERIOD = property_values("period")[Z]
RULES = [
    (PeriodSplit(), PERIOD.max(axis=1) > 4),
    (PeriodSplit(2), PERIOD.max(axis=1) > 2),
    (PeriodDifferenceSplit(), PERIOD[:, 0] != PERIOD[:, 1]),
    (PeriodDifferenceSplit(2), np.ptp(PERIOD, axis=1) > 2),
    (PairTypeSplit(), ~is_metal().all(axis=1)),
    (PairTypeSplit("metal-nonmetal"), is_metal().sum(axis=1) != 1),
    (PairTypeSplit("nonmetal-nonmetal"), is_metal().any(axis=1)),
    (
        ElectronegativitySplit(threshold=1.705),
        electronegativity_difference("electronegativity_pauling") > 1.705,
    ),
    (
        ElectronegativitySplit("mulliken", threshold=3),
        electronegativity_difference("electronegativity_mulliken_ev") > 3,
    ),
    (BondLengthSplit(threshold=2.5), LENGTHS > 2.5),
]


@pytest.mark.parametrize("cv, far", RULES, ids=name_of)
def test_each_side_holds_what_it_says_and_reverse_swaps_them(cv, far):
    near_rows, far_rows = np.flatnonzero(LABELLED & ~far), np.flatnonzero(LABELLED & far)
    train, test = next(cv.split(X, Y))
    assert np.array_equal(train, near_rows) and np.array_equal(test, far_rows)
    backwards = clone(cv, safe=False)
    backwards.reverse = True
    train, test = next(backwards.split(X, Y))
    assert np.array_equal(train, far_rows) and np.array_equal(test, near_rows)


@pytest.mark.parametrize(
    "cv, value",
    [
        (ElectronegativitySplit, electronegativity_difference("electronegativity_pauling")),
        (BondLengthSplit, LENGTHS),
    ],
    ids=["electronegativity", "bond length"],
)
@pytest.mark.parametrize("fraction, n_test", [(0.2, 568), (0.5, 1420), (0.001, 3)])
def test_a_fraction_tests_the_largest_values_or_the_smallest(cv, value, fraction, n_test):
    train, test = next(cv(test_fraction=fraction).split(X, Y))
    assert len(test) == n_test and value[train].max() <= value[test].min() + 1e-6
    train, test = next(cv(test_fraction=fraction, reverse=True).split(X, Y))
    assert len(test) == n_test and value[test].max() <= value[train].min() + 1e-6


def test_a_difference_equal_to_the_threshold_is_near_whatever_the_round_off():
    pairs = [["N", "C"], ["Li", "H"], ["Li", "F"]]  # 0.49, 1.22, 3.0, and some round-off
    for threshold, tested in [(0.49, [1, 2]), (1.22, [2])]:
        _, test = next(ElectronegativitySplit(threshold=threshold).split(pairs))
        assert test.tolist() == tested


@pytest.mark.parametrize("by", ["group", "block", "period"])
def test_leave_group_out_holds_out_every_pair_with_an_element_of_the_group(by):
    of_element = block_letters() if by == "block" else property_values(by)
    cv = LeaveElementGroupOut(by)
    names = cv.held_out(X)
    assert len(names) == cv.get_n_splits(X) == len(set(names)) == len(np.unique(of_element[Z]))
    for name, (train, test) in zip(names, cv.split(X, Y), strict=True):
        assert (of_element[Z[test]] == name).any(axis=1).all()
        assert not (of_element[Z[train]] == name).any()
        assert np.array_equal(np.union1d(train, test), np.flatnonzero(LABELLED))


def test_groups_come_in_the_order_of_the_periodic_table():
    assert LeaveElementGroupOut("block").held_out(X) == ["s", "p", "d", "f"]
    assert LeaveElementGroupOut("group").held_out(X) == list(range(1, 19))
    assert LeaveElementOut().held_out(X)[:4] == ["H", "He", "Li", "Be"]
    assert LeaveElementGroupOut("group", values=[17, 1]).held_out(X) == [17, 1]


def test_one_bond_length_for_each_row_where_x_states_them():
    scan = [["H", "H", d] for d in (0.5, 0.7, 1.0, 2.0, 3.0)]
    train, test = next(BondLengthSplit(test_fraction=0.4).split(scan))
    assert train.tolist() == [0, 1, 2] and test.tolist() == [3, 4]


# ------------------------------------------------------- how X and y are given


@pytest.mark.parametrize("cv", SPLITTERS, ids=name_of)
def test_the_form_of_x_and_the_order_of_atoms_do_not_matter(cv):
    table = PairImageTransformer(include=["atoms"]).set_output(transform="pandas")
    frame = table.fit_transform(X)
    expected = list(cv.split(X, Y))
    array = table.set_output(transform="default").transform(X)
    turned = table.layout_.label(np.asarray(array)[:, [1, 0, 2, 4, 3]])
    forms = [PAIRS, PAIRS.tolist(), PAIRS[:, ::-1], frame, array, turned]
    for form in [*forms, X.assign(distance_ang=LENGTHS)]:
        for (a, b), (c, d) in zip(expected, cv.split(form, Y), strict=True):
            assert np.array_equal(a, c) and np.array_equal(b, d)


@pytest.mark.parametrize("cv", SPLITTERS, ids=name_of)
def test_the_order_of_rows_does_not_matter(cv):
    order = np.random.default_rng(0).permutation(len(X))
    shuffled = list(cv.split(PAIRS[order], Y.to_numpy()[order]))
    for (_, test), (_, other) in zip(cv.split(X, Y), shuffled, strict=True):
        assert np.array_equal(test, np.sort(order[other]))


@pytest.mark.parametrize("cv", SPLITTERS, ids=name_of)
def test_sides_are_disjoint_and_rows_without_a_label_are_on_neither(cv):
    everything = clone(cv, safe=False)
    everything.missing = "keep"
    for (train, test), (more, more_test) in zip(
        cv.split(X, Y), everything.split(X, Y), strict=True
    ):
        assert np.array_equal(np.sort(np.r_[train, test]), np.flatnonzero(LABELLED))
        assert np.array_equal(np.sort(np.r_[more, more_test]), np.arange(2850))


@pytest.mark.parametrize("cv", SPLITTERS, ids=name_of)
def test_scikit_learn_accepts_them(cv, few_pairs):
    pairs, targets = few_pairs
    y = targets["e_homo_ev"].fillna(0.0)
    pipe = make_pipeline(PairDescriptorTransformer(["covalent_radius_ang"]), Ridge())
    scores = cross_val_score(pipe, pairs, y, cv=cv, scoring="neg_mean_absolute_error")
    assert len(scores) == cv.get_n_splits(pairs) and np.isfinite(scores).all()
    search = GridSearchCV(pipe, {"ridge__alpha": [0.1, 1.0]}, cv=cv).fit(pairs, y)
    assert search.n_splits_ == len(scores)
    copied = clone(search).cv
    assert repr(copied) == repr(cv)
    assert [t.tolist() for _, t in copied.split(X)] == [t.tolist() for _, t in cv.split(X)]


# -------------------------------------------------------------- three parts


@pytest.mark.parametrize(
    "cv", [*SPLITTERS, ElementPairKFold(3), ElementGroupKFold(3), LeaveElementOut(["Ag"])]
)
def test_held_out_pairs_come_from_the_training_side_and_are_in_no_other_part(cv):
    doubled = np.concatenate([PAIRS, PAIRS[:, ::-1]])  # every pair again, atoms reversed
    y = np.concatenate([Y, Y])
    names = np.array(["-".join(sorted(pair)) for pair in doubled])
    for (train, test), (kept, inside, outside) in zip(
        cv.split(doubled, y), cv.split_three(doubled, y), strict=True
    ):
        assert np.array_equal(outside, test)
        assert np.array_equal(np.sort(np.r_[kept, inside]), train)
        assert not set(names[kept]) & set(names[inside])
        assert len(inside) == 2 * np.ceil(len(train) / 2 / 10)


def test_held_out_pairs_are_reproducible_and_follow_random_state():
    def inside(**how):
        return next(PeriodSplit().split_three(X, Y, **how))[1].tolist()

    assert inside(random_state=0) == inside(random_state=0) != inside(random_state=1)
    assert inside() != inside()
    assert len(inside(in_distribution_fraction=0.5)) == 330


# ----------------------------------------------------------------------- gap

MODEL = make_pipeline(PairDescriptorTransformer(), Ridge())


def test_the_gap_equals_a_hand_written_loop():
    errors = generalization_gap(
        MODEL, X, Y, {"heavy": PeriodSplit(), "long": BondLengthSplit()}, random_state=3
    )
    columns = "split target unit n_train n_in n_out mae_in mae_out gap ratio"
    assert errors.columns.tolist() == columns.split()
    assert errors["split"].tolist() == ["heavy", "long"]
    for row, cv in zip(errors.itertuples(), [PeriodSplit(), BondLengthSplit()], strict=True):
        parts = next(cv.split_three(X, Y, random_state=3))
        model = clone(MODEL).fit(X.iloc[parts[0]], Y.iloc[parts[0]])
        inside, outside = (
            mean_absolute_error(Y.iloc[part], model.predict(X.iloc[part])) for part in parts[1:]
        )
        assert (row.target, row.unit) == ("e_g_ev", "eV")
        assert [row.n_train, row.n_in, row.n_out] == [len(part) for part in parts]
        assert [row.mae_in, row.mae_out] == pytest.approx([inside, outside])
        assert [row.gap, row.ratio] == pytest.approx([outside - inside, outside / inside])


def test_fits_at_the_same_time_give_the_same_errors():
    splits = {"heavy": PeriodSplit(), "groups": LeaveElementGroupOut(values=[1, 2, 3])}
    one_by_one = generalization_gap(MODEL, X, Y, splits, random_state=0)
    with parallel_config(backend="threading"):
        together = generalization_gap(MODEL, X, Y, splits, random_state=0, n_jobs=2)
    pd.testing.assert_frame_equal(one_by_one, together)


class Memory(RegressorMixin, BaseEstimator):
    """Remembers what it was trained on; predicts 0 for what it has not seen."""

    def fit(self, X, y):
        self.seen_ = {tuple(pair) for pair in np.asarray(X)}
        self.shape_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        assert not {tuple(pair) for pair in np.asarray(X)} & self.seen_
        return np.zeros((len(X), *self.shape_))


def test_several_targets_have_a_row_each_and_count_their_own_labels():
    y = pd.DataFrame({"e_g_ev": Y, "mine": np.where(np.arange(len(Y)) % 2, 3.0, np.nan)})
    same = {"splits": PairTypeSplit(), "random_state": 0}
    errors = generalization_gap(Memory(), X, y, **same).set_index("target")
    assert errors["split"].unique().tolist() == ["PairTypeSplit"]
    assert errors["unit"].to_dict() == {"e_g_ev": "eV", "mine": ""}
    sides = ["n_train", "n_in", "n_out"]
    assert errors.loc["e_g_ev", sides].sum() == 2840 and errors.loc["mine", sides].sum() == 1425
    assert errors.loc["mine", ["mae_in", "mae_out", "gap", "ratio"]].tolist() == [3, 3, 0, 1]
    unnamed = generalization_gap(Memory(), PAIRS, y.to_numpy(), **same)
    assert unnamed["target"].tolist() == ["0", "1"] and unnamed["unit"].tolist() == ["", ""]
    assert np.array_equal(unnamed.iloc[:, 3:], errors.reset_index().iloc[:, 3:])


def test_a_target_without_a_label_on_one_side_has_no_error_there():
    y = np.c_[np.ones(len(X)), np.where(PERIOD.max(axis=1) > 4, np.nan, 1.0)]
    errors = generalization_gap(Memory(), X, y, PeriodSplit())
    assert errors.loc[1, "n_out"] == 0 and errors.loc[1, "mae_in"] == 1
    assert errors.loc[1, ["mae_out", "gap", "ratio"]].isna().all()
    assert errors.loc[0].notna().all()


def test_a_list_of_pairs_with_bond_lengths_is_read_like_a_frame():
    table = [[a, b, float(d)] for (a, b), d in zip(PAIRS, LENGTHS, strict=True)]
    same = {"splits": [BondLengthSplit()], "random_state": 0}
    from_list = generalization_gap(MODEL, table, Y.tolist(), **same)
    from_frame = generalization_gap(MODEL, X, Y.to_numpy(), **same)
    pd.testing.assert_frame_equal(from_list, from_frame)


def test_splitters_with_several_splits_say_what_each_holds_out():
    splits = {"column": LeaveElementGroupOut(values=[1, 17]), "fold": ElementPairKFold(2)}
    errors = generalization_gap(Memory(), X, Y, splits)
    assert errors["split"].tolist() == ["column: 1", "column: 17", "fold: 0", "fold: 1"]


def test_a_model_that_memorises_has_the_larger_gap_and_one_that_knows_the_law_has_none():
    mass = property_values("mass_u")[Z].sum(axis=1)
    features = PairDescriptorTransformer(["mass_u"], ["sum"])
    gap = {
        name: generalization_gap(make_pipeline(features, model), X, mass, PeriodSplit())
        for name, model in {
            "law": LinearRegression(), "nearest": KNeighborsRegressor(1),
        }.items()
    }  # fmt: skip
    assert abs(gap["law"].loc[0, "gap"]) < 1e-9 < 10 < gap["nearest"].loc[0, "gap"]


def test_a_network_that_refuses_unseen_elements_is_reported_before_anything_is_trained(
    few_pairs,
):
    pairs, y = few_pairs[0], few_pairs[1]["total_energy_ev"]
    trained = []

    class Spy(PairMLPRegressor):
        def fit(self, X, y):
            trained.append(len(X))
            return super().fit(X, y)

    net = Spy(n_hidden=16, max_epochs=1, random_state=0)
    pipe = make_pipeline(PairImageTransformer(include=["atoms"]), net)
    splits = [PeriodSplit()]
    with pytest.raises(ValueError, match=r'Rb.*set_params\(spy__unseen_elements="allow"\)'):
        generalization_gap(pipe, pairs, y, splits)
    with pytest.raises(ValueError, match=r'set_params\(unseen_elements="allow"\)'):
        generalization_gap(net, pairs, y, splits)
    assert trained == []
    pipe.set_params(spy__unseen_elements="allow")
    errors = generalization_gap(pipe, pairs, y, splits)
    assert trained == errors["n_train"].tolist() and np.isfinite(errors["gap"]).all()


def test_a_network_may_refuse_unseen_elements_where_none_are_tested():
    some = (Z <= 6).all(axis=1)
    pairs = X[some].loc[lambda f: f.index.repeat(3)]
    y = load_pairs(target="total_energy_ev", return_X_y=True)[1].loc[pairs.index]
    net = PairMLPRegressor(n_hidden=16, max_epochs=1, random_state=0)
    cv = BondLengthSplit(threshold=2.0)
    train, inside, outside = next(cv.split_three(pairs, y))
    unseen = set(pairs.iloc[np.r_[inside, outside]].to_numpy().ravel())
    assert unseen <= set(pairs.iloc[train].to_numpy().ravel())
    assert len(generalization_gap(net, pairs, y, cv)) == 1


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "cv, pairs, message",
    [
        (PeriodSplit(0), PAIRS, "max_period == 0"),
        (PeriodSplit(7), PAIRS, "max_period == 7"),
        (PeriodSplit(), [["H", "O"], ["C", "N"]], "leaves no test pair"),
        (PeriodSplit(), [["Ag", "O"], ["Au", "N"]], "PeriodSplit leaves no training pair"),
        (PeriodSplit(missing="drop"), PAIRS, "missing='drop'"),
        (PeriodSplit(), np.ones((10, 3)), "element pairs"),
        (PeriodDifferenceSplit(-1), PAIRS, "max_difference == -1"),
        (PairTypeSplit("metals"), PAIRS, "kind='metals'.*metal-nonmetal"),
        (ElectronegativitySplit("allen"), PAIRS, "scale='allen'.*pauling"),
        (ElectronegativitySplit(), [["Eu", "O"], ["H", "O"]], "'Eu'.*mulliken"),
        (ElectronegativitySplit(test_fraction=1), PAIRS, "test_fraction == 1"),
        (BondLengthSplit(test_fraction=0.0), PAIRS, "test_fraction == 0"),
        (BondLengthSplit(), [["U", "O"], ["H", "O"]], "1 of the pairs .O-U.*distance_ang"),
        (LeaveElementGroupOut("element"), PAIRS, "by='element'.*LeaveElementOut"),
        (LeaveElementGroupOut(values=[19]), PAIRS, r"groups \[19\] do not occur"),
        (LeaveElementGroupOut("block"), [["H", "He"], ["Li", "H"]], "single block 's'"),
    ],
)
def test_errors_name_the_value(cv, pairs, message):
    with pytest.raises(ValueError, match=message):
        list(cv.split(pairs))


def test_a_threshold_must_be_a_number():
    with pytest.raises(TypeError, match="threshold"):
        list(BondLengthSplit(threshold="2").split(X))


@pytest.mark.parametrize("fraction", [0, 1, -0.1])
def test_the_held_out_fraction_must_leave_pairs_on_both_sides(fraction):
    with pytest.raises(ValueError, match="in_distribution_fraction"):
        next(PeriodSplit().split_three(X, Y, in_distribution_fraction=fraction))


def test_one_training_pair_cannot_be_split_further():
    with pytest.raises(ValueError, match="training pairs, 1, leaves none"):
        next(PeriodSplit().split_three([["H", "O"], ["O", "H"], ["Ag", "O"]]))


@pytest.mark.parametrize(
    "splits, error, message",
    [
        ([PeriodSplit(), PeriodSplit(2)], ValueError, "several splits.*PeriodSplit.*dict"),
        ({"folds": KFold(3)}, TypeError, "'folds'.*KFold"),
        ([], ValueError, "splits is empty"),
        ({}, ValueError, "splits is empty"),
        ({"heavy": PeriodSplit(9)}, ValueError, "max_period == 9"),
    ],
)
def test_wrong_splits_are_refused(splits, error, message):
    with pytest.raises(error, match=message):
        generalization_gap(MODEL, X, Y, splits)


def test_x_and_y_must_be_of_one_length():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        generalization_gap(MODEL, X, Y[:-1], PeriodSplit())

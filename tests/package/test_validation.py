"""Labels, classes, weights and rows: of every make, in whatever reads them."""


import numpy as np
import pandas as pd
import pytest
from _makes import CLASSES, INTEGERS, MAKES, NAN, NUMBERS, VALUES, gone, polars
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import PairDescriptorTransformer, PairImageTransformer, load_pairs, metrics
from qcanvas_sklearn._validation import (
    align_columns,
    check_choice,
    check_choices,
    check_n_rows,
    check_observed,
    check_weight,
    column_names,
    observed_rows,
    read_classes,
    read_labels,
    read_observed,
    take_rows,
)
from qcanvas_sklearn.inspection import ablation_study, channel_importance, leakage_report
from qcanvas_sklearn.model_selection import (
    BondLengthSplit,
    ElementGroupKFold,
    ElementPairKFold,
    LeaveElementGroupOut,
    LeaveElementOut,
    PairTypeSplit,
    generalization_gap,
)

# --------------------------------------------------------------------- numbers


@pytest.mark.parametrize("make", NUMBERS)
def test_numbers_of_every_make_are_read_and_none_is_invented(make):
    y = NUMBERS[make]([3, None, 7, -1])
    before = repr(y)
    labels = read_labels(y)
    assert labels.values.dtype == np.float64 and labels.values.shape == (4, 1)
    assert_array_equal(labels.values[:, 0], [3, NAN, 7, -1])
    assert_array_equal(labels.observed, [True, False, True, True])
    assert_array_equal(observed_rows(y), labels.observed)
    assert labels.single == ("column" not in make and "table" not in make)
    assert repr(y) == before  # what the user passed is left as it is


@pytest.mark.parametrize(
    "table",
    [
        lambda: [[1, None], [None, None], [NAN, 4]],
        lambda: np.ma.array([[1, 9], [9, 9], [9, 4]], mask=[[0, 1], [1, 1], [1, 0]]),
        lambda: np.array([[1, pd.NA], [None, NAN], [pd.NA, 4]], dtype=object),
        lambda: pd.DataFrame({"a": pd.array([1, None, None], "Int64"), "b": [NAN, NAN, 4]}),
        lambda: polars().DataFrame({"a": [1, None, None], "b": [None, NAN, 4.0]}),
    ],
    ids=["lists", "masked", "objects", "pandas", "polars"],
)
def test_tables_of_several_targets(table):
    labels = read_labels(table())
    assert_array_equal(labels.values, [[1, NAN], [NAN, NAN], [NAN, 4]])
    assert_array_equal(labels.observed, [True, False, True])
    assert_array_equal(observed_rows(table()), [True, False, True])
    assert not labels.single


@pytest.mark.parametrize("make", NUMBERS)
def test_labels_are_handed_on_as_they_came_but_for_their_make(make):
    y = NUMBERS[make]([3, None, 7])
    plain = read_labels(y).plain()
    assert np.shape(plain) == np.shape(y) and np.asarray(plain).dtype == np.float64
    assert_array_equal(np.ravel(plain), [3, NAN, 7])
    assert column_names(plain) == column_names(y)


@pytest.mark.parametrize(
    "y, error, message",
    [
        ([1.0, np.inf], ValueError, "target contains infinity"),
        (["1.5", "high"], ValueError, "target holds 'high', which is no number"),
        (pd.Series(["low", None]), ValueError, "target holds 'low'"),
        ([1.0, {}], ValueError, "target holds {}, which is no number"),
        ([1.0, 2j], ValueError, "target holds 2j, which is no number"),
        (np.zeros((2, 2, 2)), ValueError, r"target has shape \(2, 2, 2\)"),
        ([[1.0], [1.0, 2.0]], ValueError, r"target holds \[1.0\], which is no number"),
        ([np.ones((2, 2)), np.ones((2, 3))], ValueError, "sequence|inhomogeneous"),
        ([], ValueError, "0 sample"),
        (3.0, TypeError, "at least 1 dimension"),
        (pd.DataFrame([[1, 2, 3]], columns=list("aba")), ValueError, r"name \['a'\]"),
    ],
)
def test_what_is_no_label_is_named(y, error, message):
    with pytest.raises(error, match=message):
        read_labels(y, input_name="target")


def test_infinite_values_are_read_where_they_are_asked_for():
    assert_array_equal(read_labels([1, np.inf], allow_infinite=True).values, [[1], [np.inf]])


def test_rows_and_labels_are_counted():
    assert read_observed([[1, NAN], [NAN, 2]], 2).values.shape == (2, 2)
    with pytest.raises(ValueError, match="inconsistent .* X has 3 rows, y_val has 2"):
        read_observed([1, 2], 3, input_name="y_val")
    with pytest.raises(ValueError, match=r"targets \['b'\] of y have no observed label: every"):
        read_observed(pd.DataFrame({"a": [1, 2], "b": [NAN, NAN]}), 2)
    with pytest.raises(ValueError, match=r"targets \[1\] of y_val have no observed label"):
        check_observed(read_labels([[1, NAN]]), input_name="y_val")
    labels = read_labels([[1, NAN], [NAN, 2]])
    check_observed(labels, np.ones(2))
    with pytest.raises(ValueError, match=r"targets \[0\] .* with a weight above zero"):
        check_observed(labels, np.array([0.0, 1.0]))
    check_n_rows([1, 2], 2)


# ----------------------------------------------------------------------- names


def test_names_are_read_from_pandas_and_polars():
    frame = {"b": [1.0], "a": [2.0]}
    for table in (pd.DataFrame(frame), polars().DataFrame(frame)):
        assert column_names(table) == read_labels(table).names == ["b", "a"]
    for series in (pd.Series([1.0], name="a"), polars().Series("a", [1.0])):
        assert column_names(series) == read_labels(series).names == ["a"]
        assert read_labels(series).keys() == ["a"]


@pytest.mark.parametrize(
    "y",
    [
        [1.0], np.ones((1, 2)), pd.Series([1.0]), pd.Series([1.0], name=3), pd.DataFrame([[1]]),
        pd.DataFrame([[1, 2]], columns=["a", 1]), pd.Series([1.0], name=("a", "b")),
    ],
)  # fmt: skip
def test_what_is_no_text_is_no_name(y):
    assert column_names(y) is None and read_labels(y).names is None


def test_a_polars_series_without_a_name_has_none():
    assert column_names(polars().Series([1.0])) is None


def test_keys_stand_in_for_names():
    assert read_labels([1, 2]).keys() == read_labels([[1], [2]]).keys() == ["y"]
    assert read_labels([[1, 2]]).keys() == ["y0", "y1"]
    assert read_labels([[1, 2]]).keys("target", "target {}") == ["target 0", "target 1"]


def test_columns_are_aligned_by_name_or_else_by_position():
    turned = read_labels(pd.DataFrame({"b": [1.0, 2.0], "a": [3.0, 4.0]}))
    aligned = align_columns(turned, ["a", "b"], 2)
    assert aligned.names == ["a", "b"] and not aligned.single
    assert_array_equal(aligned.values, [[3, 1], [4, 2]])
    assert align_columns(turned, None, 2) is turned
    array = read_labels(np.ones((2, 2)))
    assert align_columns(array, ["a", "b"], 2) is array
    with pytest.raises(ValueError, match=r"y_val holds the targets \['b', 'a'\], .*'c'\]"):
        align_columns(turned, ["a", "c"], 2, input_name="y_val")
    with pytest.raises(ValueError, match="y has 2 targets, expected 3"):
        align_columns(array, ["a", "b", "c"], 3)


# --------------------------------------------------------------------- classes


@pytest.mark.parametrize("kind, make", CLASSES)
def test_classes_of_every_make_are_read_and_none_is_invented(kind, make):
    y = MAKES[kind][make](VALUES[kind])
    labels, observed = read_classes(y)
    assert labels.tolist() == [VALUES[kind][0], *VALUES[kind][2:]]
    assert_array_equal(observed, [True, False, True, True])
    assert_array_equal(observed_rows(y), observed)


FLOATS = {"array", "column", "pandas", "pandas table", "pandas Float64", "polars with NaN"}


@pytest.mark.parametrize("make", [make for make in INTEGERS if make not in FLOATS])
def test_a_missing_class_makes_no_floats_of_the_others(make):
    assert read_classes(INTEGERS[make]([3, None, 7]))[0].dtype.kind == "i"


@pytest.mark.parametrize(
    "y, error, message",
    [
        ([None, NAN], ValueError, "kind has no observed label: every value is missing"),
        (["a", 1, None], TypeError, r"kind holds .* several kinds, \['number', 'text'\]"),
        ([True, "a"], TypeError, r"\['bool', 'text'\]"),
        ([0.5, 1.25], ValueError, "continuous"),
        (np.array([1.0, np.inf]), ValueError, "kind contains infinity"),
        ([["a", "b"]], ValueError, r"kind should be a 1d array, .* shape \(1, 2\)"),
        ("a", ValueError, "kind should be a 1d array"),
    ],
)
def test_what_is_no_class_is_named(y, error, message):
    with pytest.raises(error, match=message):
        read_classes(y, input_name="kind")


# ----------------------------------------------------------- weights and choices


@pytest.mark.parametrize(
    "given",
    [
        [1, 2], (1.0, 2.0), np.array([1, 2]), pd.Series([1, 2], dtype="Int64"),
        np.array([1, 2], dtype=object), np.ma.array([1, 2]), lambda: polars().Series([1, 2]),
    ],
)  # fmt: skip
def test_weights_of_every_make(given):
    weight = check_weight(given() if callable(given) else given, 2)
    assert weight.dtype == np.float64 and weight.tolist() == [1, 2]


@pytest.mark.parametrize("given, each", [(None, 1), (3, 3), (0.5, 0.5), (np.float32(2), 2)])
def test_one_weight_for_all(given, each):
    assert check_weight(given, 3).tolist() == [each] * 3


@pytest.mark.parametrize(
    "given, message",
    [
        ([1, 2, 3], r"has shape \(3,\), expected \(2,\)"),
        ([[1], [2]], r"has shape \(2, 1\)"),
        ([1, -2], "must not be negative, got -2"),
        (-1, "must not be negative, got -1"),
        ([0, 0], "zero in every row"),
        ([1, NAN], "sample_weight contains NaN"),
        ([1, None], "sample_weight contains NaN"),
        ([1, pd.NA], "sample_weight contains NaN"),
        (np.ma.array([1, 2], mask=[0, 1]), "sample_weight contains NaN"),
        ([1, np.inf], "sample_weight contains infinity"),
        (["a", 1], "sample_weight holds 'a', which is no number"),
        ("balanced", "sample_weight holds 'balanced'"),
    ],
)
def test_weights_that_are_none_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        check_weight(given, 2)


def test_choices_name_what_there_is():
    check_choice("kind", "a", ["b", "a"])
    for wrong in ("c", None, 1, ["a"]):
        with pytest.raises(ValueError, match=r"kind=.* is not one of \['a', 'b'\]"):
            check_choice("kind", wrong, ["b", "a"])
    check_choices("kinds", ("b", "a"), ["a", "b"])
    check_choices("kinds", np.array(["b"]), {"a": 1, "b": 2})
    for wrong in ("a", None, [], ["a", "a"], ["c"], {"a"}):
        with pytest.raises(ValueError, match=r"kinds must be .* out of \['a', 'b'\], got"):
            check_choices("kinds", wrong, ["a", "b"])


# ------------------------------------------------------------------------- rows


@pytest.mark.parametrize("rows", [np.array([2, 0]), np.array([False, True, True])])
@pytest.mark.parametrize(
    "data",
    [
        lambda: [10, 20, 30], lambda: np.array([10, 20, 30]), lambda: [[10], [20], [30]],
        lambda: np.ma.array([10, 20, 30]), lambda: pd.Series([10, 20, 30], index=[5, 5, 6]),
        lambda: pd.DataFrame({"a": [10, 20, 30]}, index=list("xyz")),
        lambda: polars().Series([10, 20, 30]), lambda: polars().DataFrame({"a": [10, 20, 30]}),
    ],
)  # fmt: skip
def test_rows_of_every_make(data, rows):
    taken = take_rows(data(), rows)
    assert type(taken) is type(data())
    assert_array_equal(np.ravel(taken), np.array([10, 20, 30])[rows])


def test_rows_of_a_record():
    pairs = load_pairs().pairs
    assert take_rows(pairs, np.array([2, 0])).elements.tolist() == (
        pairs.elements[[2, 0]].tolist()
    )


# --------------------------------------------------- whatever reads numbers

X = load_pairs(return_X_y=True)[0].iloc[::47].reset_index(drop=True)
LABELS = load_pairs(target="distance_ang", return_X_y=True)[1].iloc[::47]
VALUES_OF_PAIRS = [
    None if k % 5 == 2 else int(value) for k, value in enumerate((100 * LABELS).round())
]
SEEN = np.array([value is not None for value in VALUES_OF_PAIRS])
TABLE = PairImageTransformer(include=["atoms"]).fit_transform(X)
PREDICTED, SPREAD = np.linspace(100, 400, len(X)), np.linspace(10, 60, len(X))
GUESS = make_pipeline(PairDescriptorTransformer(["z"], ["sum"]), Ridge())
RIDGE = Ridge().fit(TABLE[SEEN], np.array(VALUES_OF_PAIRS, dtype=object)[SEEN].astype(float))

SPLITTERS = [
    ElementPairKFold(3), ElementPairKFold(3, shuffle=True, random_state=0),
    ElementGroupKFold(3), LeaveElementOut(["Ag", "O"]), LeaveElementGroupOut("block"),
    PairTypeSplit(), BondLengthSplit(),
]  # fmt: skip
SCORES = [
    metrics.masked_mean_absolute_error, metrics.masked_root_mean_squared_error,
    metrics.masked_median_absolute_error, metrics.masked_r2_score, metrics.masked_mae_over_mad,
]  # fmt: skip
UNCERTAIN = [
    metrics.negative_log_likelihood, metrics.interval_coverage, metrics.calibration_error,
]  # fmt: skip


def sides(cv):
    def consume(y):
        return np.concatenate([np.r_[train, -1, test, -2] for train, test in cv.split(X, y)])

    return consume


def shaped(values):
    """Predictions or deviations of the shape of y."""
    return lambda y: values[:, None] if len(np.shape(y)) == 2 else values


def scored(score, *given):
    return lambda y: score(y, *(shaped(values)(y) for values in given))


def report_scores(y):
    from qcanvas_sklearn.report._anatomy import Anatomy
    from qcanvas_sklearn.report._evaluation import read_rows, regress

    anatomy = Anatomy.of(GUESS.fit(X, PREDICTED))
    return regress(anatomy, read_rows(anatomy, X, y)).scores


def display(name, *given, attribute, of_pairs=False):
    def consume(y):
        pytest.importorskip("matplotlib").use("Agg")
        import matplotlib.pyplot as plt

        from qcanvas_sklearn import plotting

        pairs = [X] if of_pairs else []
        arguments = [y, *(shaped(values)(y) for values in given)]
        drawn = getattr(plotting, name).from_predictions(*pairs, *arguments)
        plt.close(drawn.figure_)
        return getattr(drawn, attribute)

    return consume


CONSUMERS = {
    **{f"split {k}: {type(cv).__name__}": sides(cv) for k, cv in enumerate(SPLITTERS)},
    "quantiles": sides(ElementPairKFold(3, n_quantiles=3)),
    "split_three": lambda y: np.concatenate(
        next(PairTypeSplit().split_three(X, y, random_state=0))
    ),
    **{score.__name__: scored(score, PREDICTED) for score in SCORES},
    **{score.__name__: scored(score, PREDICTED, SPREAD) for score in UNCERTAIN},
    "target_report": lambda y: metrics.target_report(
        y, shaped(PREDICTED)(y), y_std=shaped(SPREAD)(y)
    ),
    "generalization_gap": lambda y: generalization_gap(
        GUESS, X, y, PairTypeSplit(), random_state=0
    ),
    "channel_importance": lambda y: channel_importance(
        RIDGE, TABLE, y, groups="columns", n_repeats=1, random_state=0
    ),
    "leakage_report": lambda y: leakage_report(TABLE, y, cv=3),
    "ablation_study": lambda y: ablation_study(
        Ridge(), TABLE, y, ablations=["elements_constant"], cv=3
    ),
    "ParityDisplay": display("ParityDisplay", PREDICTED, attribute="y_true"),
    "CalibrationDisplay": display(
        "CalibrationDisplay", PREDICTED, SPREAD, attribute="observed"
    ),
    "PairMatrixDisplay": display(
        "PairMatrixDisplay", PREDICTED, attribute="matrix", of_pairs=True
    ),
    "PeriodicTableDisplay": display(
        "PeriodicTableDisplay", PREDICTED, attribute="values", of_pairs=True
    ),
    "report": report_scores,
}  # fmt: skip


def numbers_in(result):
    if isinstance(result, pd.DataFrame):
        result = result.select_dtypes("number")
    return np.asarray(result, dtype=np.float64)


@pytest.fixture(scope="module")
def expected():
    """What each consumer makes of an array with NaN, once."""
    y = NUMBERS["array"](VALUES_OF_PAIRS)
    return {name: numbers_in(consume(y)).ravel() for name, consume in CONSUMERS.items()}


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_missing_numbers_of_every_make_are_missing_everywhere(consumer, expected):
    for make, build in NUMBERS.items():
        found = numbers_in(CONSUMERS[consumer](build(VALUES_OF_PAIRS))).ravel()
        assert_array_equal(found, expected[consumer], err_msg=make)


def test_what_the_consumers_make_depends_on_what_is_missing(expected):
    """Else the test above could not fail."""
    y = np.array(gone(VALUES_OF_PAIRS, 10.0**6))
    for name, consume in CONSUMERS.items():
        found = numbers_in(consume(y)).ravel()
        assert not np.array_equal(found, expected[name], equal_nan=True), name


class Spy(RegressorMixin, BaseEstimator):
    """Keeps what it was told to learn."""

    told: list = []

    def fit(self, X, y):
        self.told.append(np.asarray(y, dtype=np.float64))
        self.shape_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        return np.zeros((len(X), *self.shape_))


@pytest.mark.parametrize("study", [
    lambda y: generalization_gap(Spy(), X, y, PairTypeSplit()),
    lambda y: ablation_study(Spy(), TABLE, y, ablations=["elements_constant"], cv=2),
])  # fmt: skip
def test_hidden_labels_of_one_of_two_targets_are_not_learned(study):
    Spy.told = []
    first = np.array(gone(VALUES_OF_PAIRS, 10**6))
    y = np.ma.array(np.c_[first, first[::-1]], mask=np.c_[~SEEN, ~SEEN[::-1]])
    study(y)
    told = np.concatenate(Spy.told)
    assert np.isnan(told).any() and np.nanmax(told) < 10**4


# --------------------------------------------------- whatever reads classes

KINDS = {
    "text": ["metal", "salt"], "bool": [True, False], "int": [3, 7],
}  # fmt: skip


@pytest.mark.parametrize("kind, make", CLASSES)
def test_missing_classes_of_every_make_are_missing_everywhere(kind, make):
    from qcanvas_sklearn.report._anatomy import Anatomy
    from qcanvas_sklearn.report._evaluation import classify, read_rows

    a, b = KINDS[kind]
    values = [None if k % 5 == 2 else (a if k % 3 else b) for k in range(len(X))]
    y = MAKES[kind][make](values)
    for cv in SPLITTERS:
        assert_array_equal(sides(cv)(y), sides(cv)(np.where(SEEN, 1.0, NAN)))
    model = make_pipeline(PairDescriptorTransformer(), DummyClassifier())
    model.fit(X[SEEN], [value for value in values if value is not None])
    anatomy = Anatomy.of(model)
    found = classify(anatomy, read_rows(anatomy, X, y))
    assert_array_equal(found.labelled, SEEN)
    assert [found.classes[k] for k in found.true] == [v for v in values if v is not None]


def test_splitters_count_the_rows_of_labels():
    with pytest.raises(ValueError, match="X has 61 rows, y has 60"):
        next(ElementPairKFold(2).split(X, VALUES_OF_PAIRS[:60]))
    with pytest.raises(ValueError, match="y holds 'a', which is no number"):
        next(ElementPairKFold(2, n_quantiles=2).split(X, ["a"] * len(X)))


# ----------------------------------------------------------- columns by name


@pytest.fixture(params=["pandas", "polars"])
def frame(request):
    return pd.DataFrame if request.param == "pandas" else polars().DataFrame


class Fixed(RegressorMixin, BaseEstimator):
    """Predicts a table, its columns in an order of its own."""

    def __init__(self, columns=("a", "b"), make=pd.DataFrame):
        self.columns = columns
        self.make = make

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        given = {"a": np.arange(len(X)) / 10, "b": 100 - np.arange(len(X))}
        return self.make({name: given[name] for name in self.columns})


@pytest.mark.parametrize("consumer", ["gap", "study", "report", "parity"])
def test_predicted_tables_are_matched_by_name(consumer, frame):
    y = frame({"a": np.arange(len(X)) / 10, "b": np.full(len(X), 100.0)})

    def consume(model):
        if consumer == "gap":
            return generalization_gap(model, X, y, PairTypeSplit(), random_state=0)
        if consumer == "study":
            return ablation_study(model, TABLE, y, ablations=["elements_constant"], cv=3)
        if consumer == "report":
            from qcanvas_sklearn.report._anatomy import Anatomy
            from qcanvas_sklearn.report._evaluation import read_rows, regress

            anatomy = Anatomy.of(model.fit(X, y))
            return regress(anatomy, read_rows(anatomy, X, y)).scores
        plt = pytest.importorskip("matplotlib.pyplot")
        from qcanvas_sklearn.plotting import ParityDisplay

        drawn = ParityDisplay.from_predictions(y, model.fit(X, y).predict(X))
        plt.close(drawn.figure_)
        return pd.DataFrame({"mae": drawn.mae_}, index=drawn.keys)

    straight, turned = (consume(Fixed(order, frame)) for order in (("a", "b"), ("b", "a")))
    pd.testing.assert_frame_equal(straight, turned)
    with pytest.raises(ValueError, match=r"holds the targets .*'c'.*, expected \['a', 'b'\]"):
        y = y.rename(columns={"a": "c"}) if hasattr(y, "iloc") else y.rename({"a": "c"})
        metrics.target_report(Fixed(make=frame).predict(X), y)


def test_a_polars_name_names_and_units_a_target():
    y = polars().Series("e_g_ev", gone(VALUES_OF_PAIRS, None))
    assert metrics.target_report(y, PREDICTED)["unit"].to_dict() == {"e_g_ev": "eV"}
    gap = generalization_gap(GUESS, X, y, PairTypeSplit(), random_state=0)
    assert gap[["target", "unit"]].to_numpy().tolist() == [["e_g_ev", "eV"]]
    leaks = leakage_report(TABLE, y, cv=3)
    assert leaks[["target", "unit"]].to_numpy().tolist() == [["e_g_ev", "eV"]]
    study = ablation_study(DummyRegressor(), TABLE, y, ablations=["elements_constant"], cv=3)
    assert set(study["target"]) == {"e_g_ev"}

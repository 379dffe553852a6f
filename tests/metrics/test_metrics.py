"""Scores: against independent formulas, with missing labels, as scikit-learn's scorers."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy.stats import norm
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import permutation_importance
from sklearn.metrics import check_scoring, d2_absolute_error_score
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate

from qcanvas_sklearn.metrics import (
    SCORERS,
    calibration_error,
    coverage_curve,
    get_scorer,
    interval_coverage,
    masked_mae_over_mad,
    masked_mean_absolute_error,
    masked_median_absolute_error,
    masked_r2_score,
    masked_root_mean_squared_error,
    negative_log_likelihood,
    sharpness,
    target_report,
)

NAN = float("nan")
POINT = {
    masked_mean_absolute_error: lambda t, p: np.abs(t - p).mean(),
    masked_root_mean_squared_error: lambda t, p: np.sqrt(((t - p) ** 2).mean()),
    masked_median_absolute_error: lambda t, p: np.sort(np.abs(t - p))[len(t) // 2],
    masked_r2_score: lambda t, p: 1 - ((t - p) ** 2).sum() / (len(t) * t.var()),
    masked_mae_over_mad: lambda t, p: np.abs(t - p).sum() / np.abs(t - t.mean()).sum(),
}
LEVELS = np.arange(1, 20) / 20


def observed_by_quantiles(t, p, s):
    """Shares inside the intervals, from the distribution function of each label."""
    u = norm(p, s).cdf(t)
    return np.array([np.mean((u >= (1 - q) / 2) & (u <= (1 + q) / 2)) for q in LEVELS])


UNCERTAINTY = {
    negative_log_likelihood: lambda t, p, s: -np.log(norm(p, s).pdf(t)).mean(),
    interval_coverage: lambda t, p, s: observed_by_quantiles(t, p, s)[17],
    calibration_error: lambda t, p, s: np.abs(observed_by_quantiles(t, p, s) - LEVELS).mean(),
}
ALL = POINT | UNCERTAINTY


@pytest.fixture(scope="module")
def outcomes():
    """Truth of three targets, predictions and deviations; odd numbers of labels."""
    rng = np.random.default_rng(0)
    pred = rng.normal(size=(61, 3)) * [1, 10, 100]
    std = rng.uniform(0.2, 2, size=(61, 3))
    true = pred + std * rng.normal(size=(61, 3))
    true[:4, 0] = true[5:7, 1] = NAN
    return true, pred, std


def arguments(score, true, pred, std):
    return (true, pred, std) if score in UNCERTAINTY else (true, pred)


def expected(score, true, pred, std):
    """By the independent formula, one value a target."""
    values = []
    for j, seen in enumerate(np.isfinite(true).T):
        columns = (true[seen, j], pred[seen, j], std[seen, j])
        values.append(ALL[score](*arguments(score, *columns)))
    return np.array(values)


# -------------------------------------------------------------------- values


@pytest.mark.parametrize("score", ALL)
def test_scores_are_those_of_the_formulas_over_the_observed_labels(score, outcomes):
    values = expected(score, *outcomes)
    given = arguments(score, *outcomes)
    np.testing.assert_allclose(score(*given, multioutput="raw_values"), values, rtol=1e-10)
    average = score(*given)
    assert isinstance(average, float) and average == pytest.approx(values.mean())


@pytest.mark.parametrize("score", ALL)
def test_one_target_may_be_a_column_or_a_table_or_a_series(score, outcomes):
    columns = [array[:, 0] for array in outcomes]
    given = arguments(score, *columns)
    value = score(*given)
    assert value == pytest.approx(expected(score, *(c[:, None] for c in columns))[0])
    assert score(given[0][:, None], *given[1:]) == value
    assert score(*(pd.Series(c, name="e_g_ev") for c in given)) == value
    assert score(*given, multioutput="raw_values").shape == (1,)


@pytest.mark.parametrize("score", ALL)
def test_predictions_for_missing_labels_do_not_count(score, outcomes):
    true, pred, std = outcomes
    elsewhere = np.where(np.isnan(true), 1e6, pred)
    assert score(*arguments(score, true, pred, std)) == score(
        *arguments(score, true, elsewhere, std)
    )


@pytest.mark.parametrize("score", ALL)
def test_weights_are_repetitions(score, outcomes):
    weight = 1 + 2 * (np.arange(61) % 3)
    weight[[10, 20]] = 0
    given = arguments(score, *outcomes)
    repeated = [np.repeat(array, weight, axis=0) for array in given]
    np.testing.assert_allclose(
        score(*given, sample_weight=weight, multioutput="raw_values"),
        score(*repeated, multioutput="raw_values"),
        rtol=1e-10,
    )


@pytest.mark.parametrize("score", [masked_r2_score, masked_mae_over_mad, interval_coverage,
                                   calibration_error])  # fmt: skip
def test_the_unit_of_a_target_does_not_matter(score, outcomes):
    hartree = [array / 27.2 for array in outcomes]
    assert score(*arguments(score, *hartree)) == pytest.approx(
        score(*arguments(score, *outcomes))
    )


def test_the_unit_of_a_target_shifts_the_likelihood_by_its_logarithm(outcomes):
    milli = [1000 * array for array in outcomes]
    shift = negative_log_likelihood(*milli) - negative_log_likelihood(*outcomes)
    assert shift == pytest.approx(np.log(1000))


def test_predicting_the_mean_has_r2_0_and_mae_over_mad_1(outcomes):
    true = outcomes[0]
    mean = np.broadcast_to(np.nanmean(true, axis=0), true.shape)
    assert masked_mae_over_mad(true, mean) == pytest.approx(1)
    assert masked_r2_score(true, mean) == pytest.approx(0)


def test_mae_over_mad_of_symmetric_labels_is_one_minus_d2():
    true, pred = np.array([-2.0, -1, 0, 1, 2]), np.array([-2.5, -1, 1, 1, 0])
    d2 = d2_absolute_error_score(true, pred)  # about the median, here also the mean
    assert masked_mae_over_mad(true, pred) == pytest.approx(1 - d2)


def test_equal_labels_have_no_deviation_to_measure_with():
    true = np.full(3, 0.1)  # whose mean differs from 0.1 by round-off
    assert masked_mae_over_mad(true, true) == 0
    assert masked_mae_over_mad(true, true + 1) == np.inf


# --------------------------------------------------------------- uncertainty


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(1)
    mean, std = rng.normal(size=4000), rng.uniform(0.5, 2, size=4000)
    return rng.normal(mean, std), mean, std


def test_calibrated_predictions_are_told_from_overconfident_and_cautious_ones(gaussian):
    true, mean, std = gaussian
    assert interval_coverage(true, mean, std) == pytest.approx(0.9, abs=0.02)
    assert interval_coverage(true, mean, std, level=0.5) == pytest.approx(0.5, abs=0.02)
    assert calibration_error(true, mean, std) < 0.02
    for factor in (0.5, 2):
        wrong = factor * std
        assert abs(interval_coverage(true, mean, wrong) - 0.9) > 0.05
        assert calibration_error(true, mean, wrong) > 0.1
        assert negative_log_likelihood(true, mean, wrong) > negative_log_likelihood(
            true, mean, std
        )
    assert interval_coverage(true, mean, std / 2) < 0.7  # overconfident: too few inside


def test_half_the_deviation_covers_what_the_normal_distribution_says(gaussian):
    true, mean, std = gaussian
    levels, observed = coverage_curve(true, mean, std / 2)
    np.testing.assert_allclose(
        observed, 2 * norm.cdf(norm.ppf((1 + levels) / 2) / 2) - 1, atol=0.03
    )


def test_the_coverage_curve_holds_what_the_other_scores_say(outcomes):
    levels, observed = coverage_curve(*outcomes)
    _, curves = coverage_curve(*outcomes, multioutput="raw_values")
    np.testing.assert_allclose(levels, LEVELS)
    assert observed.shape == (19,) and curves.shape == (3, 19)
    np.testing.assert_allclose(observed, curves.mean(axis=0))
    assert (np.diff(curves) >= 0).all()
    assert interval_coverage(*outcomes, level=levels[17]) == pytest.approx(observed[17])
    assert calibration_error(*outcomes) == pytest.approx(np.abs(curves - levels).mean())
    levels, observed = coverage_curve(*outcomes, levels=[0.3, 0.6])
    assert levels.tolist() == [0.3, 0.6] and observed.shape == (2,)


def test_opposite_miscalibrations_of_two_targets_do_not_cancel(gaussian):
    true, mean, std = (np.c_[array, array] for array in gaussian)
    wrong = std * [0.25, 4]
    assert calibration_error(true, mean, wrong) > 0.2


def test_sharpness_is_the_mean_deviation(outcomes):
    std = outcomes[2]
    np.testing.assert_allclose(sharpness(std, multioutput="raw_values"), std.mean(axis=0))
    assert sharpness(std) == pytest.approx(std.mean())
    assert sharpness([1.0, 4.0], sample_weight=[2, 1]) == 2


# ------------------------------------------------------------------- scorers


class ObservedMean(RegressorMixin, BaseEstimator):
    """Predicts the mean of the observed labels, moved by `shift`."""

    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        self.mean_ = np.nanmean(np.asarray(y, dtype=float), axis=0)
        return self

    def predict(self, X):
        return np.broadcast_to(self.mean_ + self.shift, (len(X), *np.shape(self.mean_)))


@pytest.fixture
def table(regression_table):
    X, y = regression_table
    targets = pd.DataFrame({"a": y, "b": 3 * y + 1})
    targets.iloc[::7, 0] = NAN
    return X, targets


SCORES_BY_NAME = {
    "neg_masked_mean_absolute_error": lambda t, p: -masked_mean_absolute_error(t, p),
    "neg_masked_root_mean_squared_error": lambda t, p: -masked_root_mean_squared_error(t, p),
    "neg_masked_median_absolute_error": lambda t, p: -masked_median_absolute_error(t, p),
    "neg_masked_mae_over_mad": lambda t, p: -masked_mae_over_mad(t, p),
    "masked_r2": masked_r2_score,
}


@pytest.mark.parametrize("name", SCORES_BY_NAME)
def test_scorers_by_name_are_what_scikit_learn_takes(name, table):
    X, y = table
    model = ObservedMean().fit(X, y)
    value = SCORES_BY_NAME[name](y, model.predict(X))
    for scorer in (check_scoring(model, scoring=get_scorer(name)), SCORERS[name],
                   get_scorer(name), pickle.loads(pickle.dumps(get_scorer(name)))):  # fmt: skip
        assert scorer(model, X, y) == value
    scores = cross_val_score(
        ObservedMean(), X, y, scoring=get_scorer(name), cv=3, error_score="raise"
    )
    train, test = np.arange(20, 60), np.arange(20)
    first = ObservedMean().fit(X[train], y.iloc[train]).predict(X[test])
    assert scores[0] == SCORES_BY_NAME[name](y.iloc[test], first)
    assert np.isfinite(scores).all()


def test_the_names_are_those_that_are_documented():
    assert set(SCORERS) == set(SCORES_BY_NAME)


def test_a_search_finds_the_best_by_several_scores_in_two_processes(table):
    X, y = table
    search = GridSearchCV(
        ObservedMean(), {"shift": [5.0, 0.0, -5.0]}, cv=3, n_jobs=2, error_score="raise",
        scoring=SCORERS, refit="neg_masked_mean_absolute_error",
    )  # fmt: skip
    search.fit(X, y)
    assert search.best_params_ == {"shift": 0.0}
    alone = GridSearchCV(
        ObservedMean(), search.param_grid, cv=3, scoring=get_scorer("masked_r2"),
        error_score="raise",
    )  # fmt: skip
    np.testing.assert_array_equal(
        alone.fit(X, y).cv_results_["mean_test_score"],
        search.cv_results_["mean_test_masked_r2"],
    )


def test_a_search_inside_a_cross_validation_is_scored_in_worker_processes(table):
    X, y = table
    search = GridSearchCV(
        ObservedMean(), {"shift": [5.0, 0.0]}, cv=2, error_score="raise",
        scoring=get_scorer("neg_masked_median_absolute_error"),
    )  # fmt: skip
    scores = cross_val_score(
        search, X, y, cv=3, n_jobs=2, scoring=get_scorer("masked_r2"), error_score="raise"
    )
    alone = cross_val_score(ObservedMean(), X, y, cv=3, scoring=get_scorer("masked_r2"))
    np.testing.assert_array_equal(scores, alone)


def test_the_packages_regressors_are_scored(few_pairs):
    from qcanvas_sklearn import PairMLPRegressor  # here: the processes above need no torch

    X, y = few_pairs
    y = y[["e_g_ev", "softness_evinv"]]
    assert y.isna().to_numpy().any()
    result = cross_validate(
        PairMLPRegressor(n_hidden=16, max_epochs=1, unseen_elements="allow", random_state=0),
        X, y, cv=2, error_score="raise",
        scoring={name: get_scorer(name) for name in ("masked_r2", "neg_masked_mae_over_mad")},
    )  # fmt: skip
    assert (result["test_neg_masked_mae_over_mad"] < 0).all()
    assert np.isfinite(result["test_masked_r2"]).all()


def test_permutation_importance_takes_the_scorers(table):
    X, y = table
    importance = permutation_importance(
        ObservedMean().fit(X, y), X, y, scoring=get_scorer("masked_r2"), n_repeats=1
    )
    assert (importance.importances_mean == 0).all()


def test_scikit_learns_registry_is_left_alone():
    assert not set(SCORERS) & set(sklearn.metrics.get_scorer_names())
    assert repr(get_scorer("r2")) == repr(sklearn.metrics.get_scorer("r2"))
    with pytest.raises(ValueError, match="scoring='masked_mae' is neither one of .*masked_r2"):
        get_scorer("masked_mae")


def test_a_scorer_by_name_is_a_copy():
    with sklearn.config_context(enable_metadata_routing=True):
        get_scorer("masked_r2").set_score_request(sample_weight=True)
        assert "True" not in repr(get_scorer("masked_r2").get_metadata_routing())


# -------------------------------------------------------------------- report


def test_the_report_states_every_score_with_its_unit(outcomes):
    true, pred, std = outcomes
    names = ["e_g_ev", "mine", "distance_ang"]
    report = target_report(pd.DataFrame(true, columns=names), pred, y_std=std)
    assert report.index.tolist() == names
    assert report["unit"].tolist() == ["eV", "", "angstrom"]
    assert report["n"].tolist() == [57, 59, 61]
    columns = {
        "mae": masked_mean_absolute_error,
        "rmse": masked_root_mean_squared_error,
        "median_ae": masked_median_absolute_error,
        "r2": masked_r2_score,
        "mae_over_mad": masked_mae_over_mad,
        "nll": negative_log_likelihood,
        "coverage_90": interval_coverage,
        "calibration_error": calibration_error,
    }
    for column, score in columns.items():
        np.testing.assert_allclose(report[column], expected(score, true, pred, std))
    deviation = np.nanmean(np.abs(true - np.nanmean(true, axis=0)), axis=0)
    np.testing.assert_allclose(report["mad"], deviation)
    np.testing.assert_allclose(report["mae_over_mad"], report["mae"] / report["mad"])
    assert report.columns.tolist() == [
        "unit", "n", "mae", "rmse", "median_ae", "r2", "mad", "mae_over_mad",
        "nll", "coverage_90", "calibration_error",
    ]  # fmt: skip


def test_the_report_names_targets_by_what_it_is_given(outcomes):
    true, pred, _ = outcomes
    assert target_report(true, pred).index.tolist() == [0, 1, 2]
    assert "nll" not in target_report(true, pred)
    assert target_report(true, pred, names=["a", "b", "c"]).index.tolist() == ["a", "b", "c"]
    gap = pd.Series(true[:, 0], name="e_g_ev")
    assert target_report(gap, pred[:, 0])["unit"].to_dict() == {"e_g_ev": "eV"}
    assert target_report(gap, pred[:, 0], names="q_absmean").index.tolist() == ["q_absmean"]
    assert target_report(true[:, 0], pred[:, 0]).index.tolist() == [0]
    with pytest.raises(ValueError, match=r"names=\['a'\] are 1, y_true has 3 targets"):
        target_report(true, pred, names=["a"])


def test_a_target_without_labels_is_reported_as_such(outcomes):
    true, pred, std = (array.copy() for array in outcomes)
    true[:, 1] = NAN
    report = target_report(true, pred, y_std=std)
    assert report["n"].tolist() == [57, 0, 61]
    assert report.loc[1].drop(["unit", "n"]).isna().all()
    assert report.drop(1).drop(columns="unit").notna().all(axis=None)
    nothing = target_report(np.full(3, NAN), np.zeros(3))
    assert nothing["n"].tolist() == [0] and nothing["mae"].isna().all()


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize("score", POINT)
@pytest.mark.parametrize(
    "true, pred, options, message",
    [
        ([1.0, 2.0], [1.0], {}, r"\(2,\) and y_pred of shape \(1,\) do not match"),
        ([1.0, 2.0], np.ones((2, 2)), {}, "do not match"),
        ([1.0, np.inf], [1.0, 1.0], {}, "y_true contains infinity"),
        ([1.0, NAN], [1.0, NAN], {}, "y_pred contains NaN"),
        (pd.DataFrame({"a": [1.0], "b": [NAN]}), [[1.0, 1.0]], {}, "'b'. of y_true have no"),
        ([1.0, NAN], [1.0, 1.0], {"sample_weight": [0, 1]}, "no observed label with a weight"),
        ([1.0, 2.0], [1.0, 1.0], {"sample_weight": [1]}, r"has shape \(1,\), expected"),
        ([1.0, 2.0], [1.0, 1.0], {"sample_weight": [1, -2]}, "negative, got -2"),
        ([1.0, 2.0], [1.0, 1.0], {"sample_weight": [0, 0]}, "zero in every row"),
        ([1.0, 2.0], [1.0, 1.0], {"multioutput": "mean"}, "multioutput='mean'"),
    ],
)
def test_point_scores_name_what_is_wrong(score, true, pred, options, message):
    with pytest.raises(ValueError, match=message):
        score(true, pred, **options)


@pytest.mark.parametrize("score", UNCERTAINTY)
@pytest.mark.parametrize("bad", [0.0, -1.5, NAN, np.inf])
def test_a_deviation_that_is_none_is_named(score, bad):
    with pytest.raises(ValueError, match=f"positive and finite, got {bad} in row 1$"):
        score([1.0, NAN, 3.0], [1.0, 2.0, 3.0], [1.0, bad, -7.0])


def test_a_deviation_that_is_none_is_named_with_its_target():
    with pytest.raises(ValueError, match="got -1.0 in row 0, target 1"):
        sharpness([[1.0, -1.0], [0.0, 1.0]])


@pytest.mark.parametrize("level", [0, 1, 90])
def test_levels_lie_between_0_and_1(level):
    with pytest.raises(ValueError, match=f"level == {level}"):
        interval_coverage([1.0], [1.0], [1.0], level=level)
    with pytest.raises(ValueError, match=f"between 0 and 1, got {level}"):
        coverage_curve([1.0], [1.0], [1.0], levels=[0.5, level])


# --------------------------------------------------------------------- names


@pytest.mark.parametrize("frame", [pd.DataFrame, pytest.param("polars")])
@pytest.mark.parametrize("score", ALL)
def test_columns_of_tables_are_matched_by_name(score, frame, outcomes):
    if frame == "polars":
        frame = pytest.importorskip("polars").DataFrame
    tables = [frame(dict(zip("abc", array.T, strict=True))) for array in outcomes]
    turned = [tables[0], *(table[["c", "a", "b"]] for table in tables[1:])]
    each = {"multioutput": "raw_values"}
    in_order = score(*arguments(score, *outcomes), **each)
    np.testing.assert_array_equal(score(*arguments(score, *turned), **each), in_order)
    # Without names in y_true, what is predicted is still matched among itself.
    if score in UNCERTAINTY:
        mixed = (outcomes[0], tables[1], turned[2])
        np.testing.assert_array_equal(score(*mixed, **each), in_order)


def test_the_report_matches_columns_by_name(outcomes):
    true, pred, std = (pd.DataFrame(array, columns=list("abc")) for array in outcomes)
    report = target_report(true, pred, y_std=std)
    turned = target_report(true, pred[["b", "c", "a"]], y_std=std[["c", "a", "b"]])
    pd.testing.assert_frame_equal(report, turned)
    named = target_report(true.to_numpy(), pred[["b", "c", "a"]], names=["a", "b", "c"])
    pd.testing.assert_frame_equal(named, target_report(true, pred))


def test_tables_of_other_columns_are_an_error_that_names_both():
    y = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
    message = r"y_pred holds the targets \['a', 'c'\], expected \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        masked_r2_score(y, y.rename(columns={"b": "c"}))
    with pytest.raises(ValueError, match=r"y_std holds the targets \['a'\], expected"):
        target_report(y, y, y_std=y[["a"]])
    with pytest.raises(ValueError, match=r"several columns of the name \['a'\]"):
        masked_r2_score(y, y.set_axis(["a", "a"], axis=1))


def test_a_series_may_have_any_name():
    y = pd.Series([1.0, 2.0], name="e_g_ev")
    assert masked_r2_score(y, y.rename("predicted")) == 1
    assert target_report(y, y.rename("predicted")).index.tolist() == ["e_g_ev"]


def test_columns_without_text_for_names_go_by_position():
    y = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 5.0]})
    assert masked_r2_score(y, y.set_axis([7, 3], axis=1)) == 1

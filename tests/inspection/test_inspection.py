"""Inspection: planted answers are found, and nothing is changed or leaked on the way."""

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from qcanvas_sklearn import (
    DimeNetRegressor,
    ElementPairKFold,
    GATv2Regressor,
    PairDescriptorTransformer,
    PairImageTransformer,
    PairLayout,
    PairMLPRegressor,
    QuantumShellNetRegressor,
    SchNetRegressor,
    ViTRegressor,
    load_molecules,
    load_pairs,
)
from qcanvas_sklearn.elements import alphabetical_rank, atomic_numbers, property_values
from qcanvas_sklearn.images import CHANNEL_NAMES, pair_amplitudes
from qcanvas_sklearn.inputs._elements import standard_descriptors
from qcanvas_sklearn.inspection import (
    BlockSelector,
    ElementAblation,
    ImageAmplitudes,
    SpatialShuffle,
    ablation_study,
    attention_weights,
    channel_importance,
    element_embedding,
    leakage_report,
    saliency_maps,
)
from qcanvas_sklearn.metrics import get_scorer

TINY = {"n_hidden": 16, "max_epochs": 1, "random_state": 0}
LAYOUT = PairLayout(image_size=8)
COM_CHARGE = CHANNEL_NAMES.index("com_charge")


class ChannelMean(RegressorMixin, BaseEstimator):
    """Predicts the mean of one channel, and looks at nothing else."""

    def fit(self, X, y):
        self.is_fitted_ = True
        return self

    def predict(self, X):
        return LAYOUT.unpack(np.asarray(X))["image"][:, COM_CHARGE].mean(axis=(1, 2))


@pytest.fixture(scope="module")
def gap(few_pairs):
    return few_pairs[1]["e_g_ev"]


@pytest.fixture(scope="module")
def frame(few_images):
    return pd.DataFrame(few_images, columns=LAYOUT.feature_names)


@pytest.fixture(scope="module")
def vit(few_images, few_pairs):
    model = ViTRegressor(n_layers=1, patch_size=4, **TINY)
    return model.fit(few_images, few_pairs[1][["e_homo_ev", "dipole_z_d"]])


@pytest.fixture(scope="module")
def gatv2(few_pairs, gap):
    return GATv2Regressor(n_layers=2, **TINY).fit(few_pairs[0], gap)


# channel_importance


def test_the_planted_channel_is_found_and_no_other(few_images):
    model = ChannelMean().fit(few_images, None)
    y = model.predict(few_images)
    table = channel_importance(model, few_images, y, groups="all", random_state=0)
    assert list(table) == ["feature", "importance_mean", "importance_std", "baseline"]
    assert table.feature.tolist() == ["z", "distance_ang", "population", *CHANNEL_NAMES]
    used = (table.feature == "com_charge").to_numpy()
    assert (table.importance_mean[~used] == 0).all() and (table.baseline == 0).all()
    # Permuting the prediction itself: the expected error is the mean difference of two rows.
    expected = np.abs(y[:, None] - y).mean()
    assert table.importance_mean[used].item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "model", [Ridge(10), QuantumShellNetRegressor(n_filters=8, n_stages=1, **TINY)]
)
def test_a_constant_channel_has_no_importance(model, frame, gap):
    table = frame.copy()
    table.loc[:, table.columns.str.startswith("ch3_")] = 0.25
    y = gap.fillna(gap.mean())
    report = channel_importance(model.fit(table, y), table, y, random_state=0)
    report = report.set_index("feature")
    assert report.importance_mean["rip_gaf_df"] == report.importance_std["rip_gaf_df"] == 0
    assert (report.importance_mean.drop("rip_gaf_df") != 0).any()


def test_importances_follow_random_state_and_nothing_else(few_images, few_pairs):
    y = few_pairs[1]["dipole_mag_d"]
    model = Ridge(10).fit(few_images, y)
    before = few_images.copy()
    first = channel_importance(model, few_images, y, random_state=1)
    with parallel_config("threading"):
        again = channel_importance(model, few_images, y, random_state=1, n_jobs=2)
    pd.testing.assert_frame_equal(first, again)
    other = channel_importance(model, few_images, y, random_state=2)
    assert (first.importance_mean != other.importance_mean).any()
    assert np.array_equal(few_images, before)


def test_a_network_of_pairs_is_permuted_behind_its_own_images(gatv2, few_pairs, gap):
    pipe = make_pipeline(PairImageTransformer(), clone(gatv2)).fit(few_pairs[0], gap)
    options = {"groups": "all", "n_repeats": 2, "random_state": 0}
    by_pairs = channel_importance(gatv2, few_pairs[0], gap, **options)
    pd.testing.assert_frame_equal(
        by_pairs, channel_importance(pipe, few_pairs[0], gap, **options)
    )
    assert (by_pairs.importance_mean != 0).all()
    assert gatv2.predict(few_pairs[0]).shape == (150,)  # still a model of pairs


def test_rows_without_a_label_do_not_count(few_images, few_pairs):
    y = few_pairs[1]["distance_ang"]
    model = Ridge(10).fit(few_images, y)
    missing = y.copy()
    missing[:30] = np.nan
    pd.testing.assert_frame_equal(
        channel_importance(model, few_images, missing, random_state=0),
        channel_importance(model, few_images[30:], y[30:], random_state=0),
    )


def test_groups_of_columns_can_be_named(few_images, few_pairs):
    y = few_pairs[1][["distance_ang", "q_absmean"]]
    table = PairLayout(include=["atoms"]).label(few_images[:, :5])
    model = Ridge().fit(table, y)
    of = {
        groups: channel_importance(model, table, y, groups=groups, random_state=0)
        for groups in ("scalars", "blocks", "columns")
    }
    assert of["scalars"].feature.tolist() == ["z", "distance_ang", "population"]
    assert of["blocks"].feature.tolist() == ["atoms"]
    mine = {"length": ["distance_ang"], "elements": [0, 1], "nothing": []}
    named = channel_importance(model, table, y, groups=mine, random_state=0)
    scalars = of["scalars"].importance_mean
    assert named.importance_mean.tolist() == [scalars[1], scalars[0], 0]
    assert of["columns"].importance_mean[2] == scalars[1]


def test_a_score_may_take_the_place_of_the_error(few_images, few_pairs):
    y = few_pairs[1]["distance_ang"]
    model = Ridge(10).fit(few_images, y)
    table = channel_importance(model, few_images, y, groups="blocks", scoring="r2",
                               random_state=0)  # fmt: skip
    assert table.baseline.tolist() == pytest.approx(
        [r2_score(y, model.predict(few_images))] * 2
    )
    assert (table.importance_mean > 0).all()
    for scoring in ("masked_r2", get_scorer("masked_r2")):
        again = channel_importance(
            model, few_images, y, groups="blocks", scoring=scoring, random_state=0
        )
        pd.testing.assert_frame_equal(again, table)
    with pytest.raises(ValueError, match="scoring='r3' is neither one of .* nor a scorer"):
        channel_importance(model, few_images, y, scoring="r3")


def test_searches_and_pipelines_of_descriptors_are_seen_through(few_pairs):
    X, y = few_pairs[0], few_pairs[1]["distance_ang"]
    pipe = make_pipeline(PairDescriptorTransformer(), StandardScaler(), Ridge())
    search = GridSearchCV(pipe, {"ridge__alpha": [1.0]}, cv=2).fit(X, y)
    table = channel_importance(search, X, y, groups="columns", random_state=0)
    assert len(table) == len(search.best_estimator_[:1].get_feature_names_out())
    with pytest.raises(ValueError, match="groups='channels' needs .* PairImageTransformer"):
        channel_importance(search, X, y)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"groups": "pixels"}, "groups='pixels'"),
        ({"groups": {"a": ["z_c"]}}, "z_c"),
        ({"groups": {"a": [9999]}}, "9999"),
        ({"n_repeats": 0}, "n_repeats"),
    ],
)
def test_importance_errors_name_the_value(options, message, few_images, gap):
    model = ChannelMean().fit(few_images, gap)
    with pytest.raises(ValueError, match=message):
        channel_importance(model, few_images, gap, **options)


def test_what_cannot_be_seen_into_is_refused(few_pairs, few_images, gap):
    with pytest.raises(NotFittedError):
        channel_importance(Ridge(), few_images, gap)
    model = ChannelMean().fit(few_images, gap)
    with pytest.raises(ValueError, match="ChannelMean takes element pairs"):
        channel_importance(model, few_pairs[0], gap)
    with pytest.raises(ValueError, match="X has 150 rows, y has 3"):
        channel_importance(model, few_images, gap[:3])


# ablations


@pytest.mark.parametrize("kind", ["shuffle", "mask", "random", "constant"])
def test_element_ablations_change_the_elements_alone(kind, few_images):
    before = few_images.copy()
    out = ElementAblation(kind, element="Ne", random_state=0).fit_transform(few_images)
    assert np.array_equal(few_images, before)
    assert np.array_equal(out.to_numpy()[:, 2:], few_images[:, 2:])
    assert out.columns.tolist() == list(LAYOUT.feature_names)
    z, given = out[["z_a", "z_b"]].to_numpy().astype(int), few_images[:, :2]
    if kind in ("mask", "constant"):
        assert (z == {"mask": 0, "constant": 10}[kind]).all()
        return
    assert not np.array_equal(z, given)
    rank = alphabetical_rank()[z]
    assert (rank[:, 0] <= rank[:, 1]).all()
    if kind == "shuffle":
        assert sorted(map(tuple, z)) == sorted(map(tuple, given))
    else:
        numbers, counts = np.unique(z, return_counts=True)
        assert np.array_equal(numbers, np.unique(given)) and np.ptp(counts) <= 1


@pytest.mark.parametrize("per_image", [False, True])
def test_a_spatial_shuffle_keeps_the_pixels_and_the_stack_of_channels(per_image, few_images):
    shuffle = SpatialShuffle(per_image=per_image, random_state=0).fit(few_images[:100])
    out = shuffle.transform(few_images[100:]).to_numpy()
    given, got = (LAYOUT.unpack(table)["image"] for table in (few_images[100:], out))
    assert np.array_equal(out[:, :5], few_images[100:, :5])
    given, got = given.reshape(50, 10, 64), got.reshape(50, 10, 64)
    assert not np.array_equal(given, got)
    assert np.array_equal(np.sort(given), np.sort(got))
    stacks = [sorted(map(tuple, image.T)) for image in (given[3], got[3])]
    assert stacks[0] == stacks[1]  # what the channels hold at one place stays together
    one_for_all = np.array_equal(got, given[:, :, shuffle.permutation_])
    assert one_for_all is not per_image


def test_blocks_and_amplitudes_stand_in_for_the_image(few_pairs, few_images):
    every = ("atoms", "orbitals", "charges", "image")
    table = PairImageTransformer(include=every, image_size=8).fit_transform(few_pairs[0])
    kept = BlockSelector(["charges", "atoms"]).fit_transform(table)
    assert PairLayout.infer(kept).include == ("atoms", "charges")
    assert np.array_equal(
        kept, PairImageTransformer(include=("atoms", "charges")).fit_transform(few_pairs[0])
    )
    out = ImageAmplitudes().fit_transform(few_images)
    pairs = load_pairs().pairs
    expected = pair_amplitudes(pairs[pairs.find(few_pairs[0])])
    np.testing.assert_allclose(out.iloc[:, 5:], expected, atol=2e-4)
    assert out.columns[[5, 9, 20]].tolist() == [
        "omap_radial_a", "rip_gaf_sp", "qimage_negative_b",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "ablation, message",
    [
        (ElementAblation("drop"), "kind='drop'"),
        (ElementAblation("constant", element="Xx"), "element='Xx'"),
        (BlockSelector(["orbitals"]), "orbitals"),
        (BlockSelector(["pixels"]), "pixels"),
    ],
)
def test_ablation_errors_name_the_value(ablation, message, few_images):
    with pytest.raises(ValueError, match=message):
        ablation.fit(few_images)


@pytest.mark.parametrize("ablation", [SpatialShuffle(), ImageAmplitudes()])
def test_an_ablation_needs_what_it_takes_away(ablation, few_images, regression_table):
    with pytest.raises(ValueError, match=f"{type(ablation).__name__} .* 'image'; X holds"):
        ablation.fit(few_images[:, :5])
    with pytest.raises(ValueError, match="X holds other columns"):
        ablation.fit(regression_table[0])
    with pytest.raises(NotFittedError):
        ablation.transform(few_images)


# ablation_study


def test_a_study_compares_with_the_same_splits_in_full(few_pairs, few_images):
    y = few_pairs[1]["dipole_mag_d"]
    cv = KFold(3, shuffle=True, random_state=0)
    model = Ridge(10)
    study = ablation_study(model, few_images, y, cv=cv, random_state=0)
    assert list(study) == ["ablation", "target", "mae_mean", "mae_std", "n_splits", "change"]
    assert (study.target == "dipole_mag_d").all() and (study.n_splits == 3).all()
    errors = [
        np.abs(clone(model).fit(few_images[a], y[a]).predict(few_images[b]) - y[b]).mean()
        for a, b in cv.split(few_images)
    ]
    mae = study.set_index("ablation").mae_mean
    assert study.ablation[0] == "none" and study.change[0] == 0
    assert mae["none"] == pytest.approx(np.mean(errors))
    assert study.mae_std[0] == pytest.approx(np.std(errors))
    # Ridge has no notion of neighbourhood; it only needs a pixel to stay in its place.
    assert mae["pixels_shuffled"] == pytest.approx(mae["none"], rel=1e-2)
    assert mae["pixels_shuffled_per_image"] > 1.2 * mae["none"]
    assert mae["no_image"] > 1.2 * mae["none"]
    change = study.set_index("ablation").change
    assert change["no_image"] == pytest.approx(mae["no_image"] / mae["none"] - 1)


def test_a_study_of_the_elements_finds_what_depends_on_them(few_images):
    y = few_images[:, 0]
    names = ["elements_shuffled", "elements_random", "elements_constant", "elements_masked"]
    study = ablation_study(
        DecisionTreeRegressor(random_state=0),
        PairLayout(include=["atoms"]).label(few_images[:, :5]), y,
        ablations=names, cv=2, random_state=0,
    )  # fmt: skip
    assert study.ablation.tolist() == ["none", *names]
    assert (study.change[1:] > 0.3).all()


class Recorder(ChannelMean):
    """Keeps the index of the rows that it is given."""

    seen: list = []

    def fit(self, X, y):
        self.seen.append(("fit", set(X.index), set(y.index)))
        return super().fit(X, y)

    def predict(self, X):
        self.seen.append(("predict", set(X.index), None))
        return np.zeros(len(X))


def test_a_study_trains_on_training_rows_only_and_skips_rows_without_labels(frame, gap):
    y = gap.copy()
    y[:20] = np.nan
    Recorder.seen.clear()
    ablation_study(Recorder(), frame, y, cv=2, random_state=0)
    assert len(Recorder.seen) == 2 * 2 * 7
    for fitted, predicted in zip(Recorder.seen[::2], Recorder.seen[1::2], strict=True):
        assert (fitted[0], predicted[0]) == ("fit", "predict") and fitted[1] == fitted[2]
        assert not fitted[1] & predicted[1]
        assert fitted[1] | predicted[1] == set(np.flatnonzero(np.isfinite(y)))


def test_a_study_splits_by_pairs_unless_told_otherwise(few_pairs):
    X, y = few_pairs[0], few_pairs[1]["distance_ang"]
    pipe = make_pipeline(PairImageTransformer(include=["atoms"]), Ridge())
    how = {"ablations": ["elements_constant"], "random_state": 0}
    studies = [ablation_study(pipe, X, y, cv=cv, **how) for cv in (None, ElementPairKFold(5))]
    pd.testing.assert_frame_equal(*studies)


def test_a_study_of_pairs_reports_every_target_and_knows_the_scalars(few_pairs):
    X, y = few_pairs[0], few_pairs[1][["e_g_ev", "softness_evinv"]]
    pipe = make_pipeline(
        PairImageTransformer(image_size=8),
        GATv2Regressor(n_layers=1, unseen_elements="allow", **TINY),
    )
    study = ablation_study(pipe, X, y, cv=ElementPairKFold(2), random_state=0)
    names = study.ablation.unique().tolist()
    assert names == [
        "none", "elements_shuffled", "elements_random", "elements_constant",
        "pixels_shuffled", "pixels_shuffled_per_image", "no_image", "scalars",
    ]  # fmt: skip
    assert study.target.tolist() == list(y.columns) * len(names)
    assert np.isfinite(study.drop(columns=["ablation", "target"]).to_numpy()).all()
    maes = study[study.target == "e_g_ev"].set_index("ablation").mae_mean
    # A graph network sees the mean of each channel, which a shuffle leaves alone.
    assert maes["pixels_shuffled"] == pytest.approx(maes["none"], rel=1e-6)
    assert maes["elements_constant"] != pytest.approx(maes["none"], rel=1e-6)
    assert maes["scalars"] != pytest.approx(maes["no_image"], rel=1e-4)


def test_a_study_takes_transformers_of_your_own(few_pairs, few_images):
    y = few_pairs[1]["dipole_mag_d"].to_numpy()
    mine = {"one channel": PairImageTransformer(channels=["omap_radial"], image_size=8)}
    study = ablation_study(
        make_pipeline(PairImageTransformer(image_size=8), Ridge(10)), few_pairs[0].to_numpy(),
        y, ablations=mine, cv=2,
    )  # fmt: skip
    assert study.ablation.tolist() == ["none", "one channel"] and study.change[1] > 0
    table = np.random.RandomState(0).normal(size=(40, 3))
    mine = {"standardised": StandardScaler()}
    study = ablation_study(LinearRegression(), table, table[:, 0], ablations=mine, cv=2)
    assert study.mae_mean.max() < 1e-12


def test_study_errors_name_the_value(few_pairs, few_images, gap, regression_table):
    with pytest.raises(ValueError, match="'blur'.*'elements_shuffled'"):
        ablation_study(Ridge(), few_images, gap, ablations=["blur"])
    with pytest.raises(ValueError, match="'no_image'"):
        ablation_study(Ridge(), few_images[:, :5], gap, ablations="no_image")
    with pytest.raises(ValueError, match="no step of the pipeline is a PairImageTransformer"):
        ablation_study(make_pipeline(PairDescriptorTransformer(), Ridge()), few_pairs[0], gap)
    with pytest.raises(ValueError, match="ablations of your own"):
        ablation_study(Ridge(), *regression_table)
    with pytest.raises(ValueError, match=r"\['e_g_ev'\] of y have no observed"):
        ablation_study(Ridge(), few_images, gap * np.nan)


# saliency_maps


@pytest.mark.parametrize("n_members", [1, 2])
@pytest.mark.parametrize("target", [0, "dipole_z_d"])
def test_gradients_are_finite_differences_of_the_prediction(
    target, n_members, vit, few_images, few_pairs
):
    rows = few_images[:4]
    if n_members > 1:
        y = few_pairs[1][["e_homo_ev", "dipole_z_d"]]
        vit = clone(vit).set_params(n_members=n_members).fit(few_images, y)
    maps = saliency_maps(vit, rows, target=target, signed=True)
    assert maps.shape == (4, 10, 8, 8)
    column, step = int(target == "dipole_z_d"), 1e-3
    for channel, row, col in [(0, 3, 4), (4, 0, 7), (9, 5, 2)]:
        moved = [rows.astype(np.float64), rows.astype(np.float64)]
        for table, sign in zip(moved, (1, -1), strict=True):
            LAYOUT.unpack(table)["image"][:, channel, row, col] += sign * step
        up, down = (vit.predict(table)[:, column] for table in moved)
        expected = (up - down) / (2 * step)
        assert np.abs(expected).max() > 1e-6
        np.testing.assert_allclose(maps[:, channel, row, col], expected, rtol=1e-4, atol=1e-9)


def test_gradients_of_the_convolutional_network_add_up(few_images, gap):
    model = QuantumShellNetRegressor(n_filters=8, n_stages=1, **TINY).fit(few_images, gap)
    rows, random = few_images[:4].astype(np.float64), np.random.RandomState(0)
    image = LAYOUT.unpack(rows)["image"]
    image += random.normal(size=image.shape)  # no two pixels are the largest of a channel
    maps, direction = saliency_maps(model, rows, signed=True), random.normal(size=image.shape)
    before = model.predict(rows)
    image += 1e-3 * direction
    change = (model.predict(rows) - before) / 1e-3
    expected = (maps * direction).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(change, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())


def test_saliency_is_absolute_unless_signed_and_may_be_weighted(vit, few_images):
    rows = few_images[:3]
    signed = saliency_maps(vit, rows, signed=True)
    assert (signed < 0).any()
    assert np.array_equal(saliency_maps(vit, rows), np.abs(signed))
    weighted = saliency_maps(vit, rows, times_input=True, signed=True)
    np.testing.assert_allclose(weighted, signed * LAYOUT.unpack(rows)["image"])


def test_occlusion_of_a_linear_model_is_its_weights_times_the_change(few_images, few_pairs):
    model = Ridge(10).fit(few_images, few_pairs[1]["dipole_mag_d"])
    rows = few_images[:5].astype(np.float64)
    maps = saliency_maps(model, rows, method="occlusion", patch_size=3, signed=True)
    image = LAYOUT.unpack(rows)["image"]
    weights = LAYOUT.unpack(model.coef_[None].astype(np.float64))["image"][0]
    terms = weights * (image - image.mean(axis=(2, 3), keepdims=True))
    for rows_, cols in [(slice(0, 3), slice(3, 6)), (slice(6, 8), slice(6, 8))]:
        expected = terms[:, :, rows_, cols].sum(axis=(2, 3))
        got = maps[:, :, rows_, cols]
        assert (got == got[:, :, :1, :1]).all()
        np.testing.assert_allclose(got[:, :, 0, 0], expected, rtol=1e-3, atol=1e-5)


def test_a_pipeline_has_the_maps_of_its_network(vit, few_pairs, few_images):
    y = few_pairs[1][["e_homo_ev", "dipole_z_d"]]
    pipe = make_pipeline(PairImageTransformer(image_size=8), clone(vit)).fit(few_pairs[0], y)
    for method in ("gradient", "occlusion"):
        options = {"method": method, "patch_size": 4}
        np.testing.assert_array_equal(
            saliency_maps(pipe, few_pairs[0][:3], **options),
            saliency_maps(vit, few_images[:3], **options),
        )


def test_saliency_errors_name_the_model_and_the_value(vit, gatv2, few_pairs, few_images, gap):
    ridge = Ridge().fit(few_images, few_pairs[1]["dipole_mag_d"])
    with pytest.raises(ValueError, match="Ridge is not one of this package's"):
        saliency_maps(ridge, few_images)
    with pytest.raises(ValueError, match="GATv2Regressor sees the mean of each channel"):
        saliency_maps(gatv2, few_pairs[0])
    with pytest.raises(ValueError, match="Pipeline .between the images and the network."):
        pipe = make_pipeline(PairImageTransformer(image_size=8), StandardScaler(), clone(vit))
        saliency_maps(pipe.fit(few_pairs[0], gap), few_pairs[0])
    with pytest.raises(ValueError, match="Ridge sees holds no image"):
        saliency_maps(Ridge().fit(few_images[:, :5], gap.fillna(0)), few_images[:, :5])
    for options, message in [
        ({"target": 2}, "target=2"),
        ({"target": "a_ev"}, "'a_ev'"),
        ({"method": "lrp"}, "method='lrp'"),
        ({"patch_size": 0}, "patch_size"),
    ]:
        with pytest.raises(ValueError, match=message):
            saliency_maps(vit, few_images[:2], **options)


# attention_weights


def test_attention_sums_to_one_and_is_shared_by_two_atoms_alike(gatv2, few_pairs):
    attention = attention_weights(gatv2, few_pairs[0])
    assert attention.shape == (150, 2, 2, 2, 4)
    assert (attention > 0).all()
    np.testing.assert_allclose(attention.sum(axis=3), 1, atol=1e-12)
    alike = attention_weights(gatv2, [["Ag", "Ag"]])[0]
    np.testing.assert_allclose(alike, 0.5, atol=1e-12)
    assert np.ptp(attention[:, 0, 0, 1, 0]) > 1e-4


def test_attention_is_the_mean_of_both_numberings_of_the_atoms(few_images, few_pairs):
    model = GATv2Regressor(n_layers=2, **TINY).fit(few_images, few_pairs[1]["e_homo_ev"])
    rows = few_images[1:5]
    mean = attention_weights(model, rows)
    model.net_.module_.symmetric = False  # the numbering as it is
    renumbered = rows.copy()
    renumbered[:, :5] = rows[:, [1, 0, 2, 4, 3]]
    one, other = attention_weights(model, rows), attention_weights(model, renumbered)
    np.testing.assert_allclose(mean, (one + other[:, :, ::-1, ::-1]) / 2, atol=1e-12)
    assert np.abs(one - other[:, :, ::-1, ::-1]).max() > 1e-4


def test_attention_of_the_first_layer_is_the_published_formula(few_images, few_pairs):
    y = few_pairs[1]["e_homo_ev"].to_numpy()  # without a name there is one numbering only
    model = GATv2Regressor(n_layers=1, n_heads=2, **TINY).fit(few_images, y)
    rows = model.reader_.read(model, few_images).take(slice(3))
    inputs = rows.to(torch.device("cpu"), torch.float64).batch(slice(None))
    network = model.net_.module_.network.double()
    conv = network.convs[0]
    with torch.no_grad():
        one_hot = torch.eye(104).double()[inputs["z"]][..., 1:]
        features, embed = torch.cat([one_hot, inputs["atom"]], dim=-1), network.embed
        x = network.norms[0](features @ embed.weight.T + embed.bias)
        pair = inputs["pair"]
        for i in (0, 1):
            logits = []
            for j in (0, 1):
                # The edge from 1 to 0, and the loop at 0, point down the axis.
                edge = torch.cat([pair, (1 if i else -1) * inputs["vector"]], dim=-1)
                sum_ = conv.target(x[:, i]) + conv.source(x[:, j]) + conv.edge(edge)
                hidden = torch.where(sum_ > 0, sum_, 0.2 * sum_).reshape(3, 2, 8)
                logits.append((hidden * conv.attention).sum(-1))
            expected = torch.stack(logits).exp()
            expected = (expected / expected.sum(0)).permute(1, 0, 2)
            got = attention_weights(model, few_images[:3])[:, 0, i]
            np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)


def test_rows_that_cannot_be_predicted_are_refused(gatv2, few_images, few_pairs):
    rows = few_images[:3].copy()
    rows[1, :2] = 91
    model = clone(gatv2).fit(few_images, few_pairs[1]["distance_ang"])
    with pytest.raises(ValueError, match=r"\['Pa'\] were not among the training rows"):
        attention_weights(model, rows)


def test_the_attention_of_an_ensemble_is_the_mean_of_its_members(few_images, few_pairs):
    y, rows = few_pairs[1]["e_homo_ev"], few_images[:4]
    model = GATv2Regressor(n_layers=1, n_members=3, **TINY).fit(few_images, y)
    mean = attention_weights(model, rows)
    each = []
    for member in model.net_.module_.members:
        alone = clone(model).set_params(n_members=1).fit(few_images, y)
        alone.net_.module_, alone.reader_ = member, model.reader_
        each.append(attention_weights(alone, rows))
    assert np.ptp(each, axis=0).max() > 1e-4
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-12)


def test_there_is_no_attention_in_a_plain_table(regression_table):
    model = GATv2Regressor(n_layers=1, **TINY).fit(*regression_table)
    with pytest.raises(ValueError, match="no atoms to attend to each other"):
        attention_weights(model, regression_table[0])


def test_attention_is_asked_of_the_right_model(vit, few_images, few_pairs, gatv2):
    with pytest.raises(ValueError, match="ViTRegressor has no attention between the atoms"):
        attention_weights(vit, few_images[:2])
    with pytest.raises(ValueError, match="Ridge is not one of"):
        attention_weights(Ridge().fit(few_images, few_pairs[1]["q_absmean"]), few_images)
    with pytest.raises(ValueError, match="'Og'"):
        attention_weights(gatv2, [["Og", "H"]])


# element_embedding


@pytest.mark.parametrize(
    "model",
    [
        GATv2Regressor(n_layers=1, **TINY),
        DimeNetRegressor(n_layers=1, **TINY),
        SchNetRegressor(n_layers=1, **TINY),
        PairMLPRegressor(n_blocks=1, **TINY),
        QuantumShellNetRegressor(n_filters=8, n_stages=1, **TINY),
        ViTRegressor(n_layers=1, **TINY),
        PairMLPRegressor(n_blocks=1, n_members=2, **TINY),
    ],
    ids=lambda model: type(model).__name__,
)
def test_every_network_has_a_map_of_the_elements_it_has_seen(model, frame, gap):
    model.fit(frame[:60], gap[:60])
    table = element_embedding(model)
    assert list(table) == ["x", "y", "period", "group", "block"]
    assert sorted(table.index) == model.elements_
    z = atomic_numbers(table.index)
    assert (np.diff(z) > 0).all()
    assert np.array_equal(table.period, property_values("period")[z])
    assert np.ptp(table.x) > 0 and not table.duplicated(["x", "y"]).any()
    pd.testing.assert_frame_equal(table, element_embedding(make_pipeline("passthrough", model)))


def test_the_map_is_that_of_the_embedding_weights(gatv2):
    table = element_embedding(gatv2, n_components=3)
    z = atomic_numbers(table.index)
    vectors = gatv2.net_.module_.network.embed.weight.detach().double().numpy()[:, z - 1].T
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(table[["x", "y", "z"]]), np.abs(u * s)[:, :3], atol=1e-6)


def test_the_map_counts_descriptors_but_no_populations(few_pairs, gap):
    model = PairMLPRegressor(n_blocks=1, **TINY).fit(few_pairs[0], gap)
    table = element_embedding(model, n_components=3)
    z = atomic_numbers(table.index)
    layers = model.net_.module_.network.modules()
    first = next(layer for layer in layers if isinstance(layer, torch.nn.Linear))
    weight, descriptors = first.weight.detach().double().numpy(), standard_descriptors()[z]
    vectors = weight[:, z - 1].T + descriptors @ weight[:, 103 : 103 + descriptors.shape[1]].T
    u, s, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(table[["x", "y", "z"]]), np.abs(u * s)[:, :3], atol=1e-5)


def test_neighbour_maps_are_reproducible(gatv2):
    first = element_embedding(gatv2, method="tsne", random_state=0)
    pd.testing.assert_frame_equal(
        first, element_embedding(gatv2, method="tsne", random_state=0)
    )
    assert not np.allclose(first[["x", "y"]], element_embedding(gatv2)[["x", "y"]])


def test_embedding_errors_name_the_model_and_the_value(gatv2, regression_table):
    for options, message in [
        ({"n_components": 4}, "n_components=4"),
        ({"method": "umap"}, "method='umap'"),
    ]:
        with pytest.raises(ValueError, match=message):
            element_embedding(gatv2, **options)
    with pytest.raises(ValueError, match="Ridge is not one of"):
        element_embedding(Ridge().fit(*regression_table))
    with pytest.raises(ValueError, match="PairMLPRegressor was trained on 0 elements"):
        element_embedding(PairMLPRegressor(**TINY).fit(*regression_table))


# leakage_report


@pytest.fixture(scope="module")
def report():
    X, y = load_pairs(return_X_y=True)
    return leakage_report(PairImageTransformer().fit_transform(X[::3]), y[::3])


def test_the_default_table_gives_charges_dipole_and_bond_length_away(report):
    assert list(report) == [
        "target", "unit", "best_feature", "model", "r2", "mae", "baseline_mae", "read_off",
    ]  # fmt: skip
    read_off = set(report.target[report.read_off])
    assert read_off == {"dipole_mag_d", "dipole_z_d", "q_absmean", "distance_ang"}
    assert len(report) == 18 and report.r2.is_monotonic_decreasing
    table = report.set_index("target")
    assert table.best_feature["distance_ang"] == "distance_ang"
    assert table.best_feature["dipole_mag_d"] == "rip_mtf_dipole_mean"
    assert "distance_ang * " in table.best_feature["dipole_z_d"]
    assert table.unit["e_g_ev"] == "eV" and table.r2["e_g_ev"] < 0.6


@pytest.mark.parametrize(
    "include, expected",
    [
        (("charges",), {"dipole_mag_d", "q_absmean"}),
        (("atoms",), {"distance_ang", "dipole_mag_d", "dipole_z_d", "q_absmean"}),
        (("image",), {"dipole_mag_d", "q_absmean"}),
    ],
)
def test_each_block_gives_its_own_targets_away(include, expected, few_pairs):
    table = PairImageTransformer(include=include).set_output(transform="pandas")
    report = leakage_report(table.fit_transform(few_pairs[0]), few_pairs[1].dropna(axis=1))
    assert set(report.target[report.read_off]) == expected


def test_planted_columns_products_and_steps_are_found_in_any_table():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(400, 4))
    X[:, 1] -= 1e6  # as total energies are
    y = pd.DataFrame(
        {
            "line": 3 - 2 * X[:, 1],
            "product": X[:, 0] * X[:, 3],
            "size": np.abs(X[:, 2]),
            "steps": np.floor(2 * X[:, 0]) % 3,
            "noise": rng.normal(size=400),
        }
    )
    y.iloc[::7] = np.nan
    names = ["a", "b", "c", "d"]
    table = leakage_report(X, y, feature_names=names).set_index("target")
    assert table.best_feature["line"] == "b" and table.model["line"] == "linear"
    assert table.best_feature["product"] == "a * d"
    assert table.best_feature["size"] == "|c|"
    assert table.best_feature["steps"] == "a" and table.model["steps"] == "tree"
    assert table.read_off.drop(["steps", "noise"]).all() and not table.read_off["noise"]
    assert (table.unit == "").all()


def test_scores_are_those_of_scikit_learn(few_pairs):
    X, y = few_pairs[0], few_pairs[1]["total_energy_ev"]
    cv = KFold(4, shuffle=True, random_state=3)
    table = PairImageTransformer(include=["atoms"]).fit_transform(X).astype(np.float64)
    row = leakage_report(table, y, cv=cv).iloc[0]
    assert row.best_feature == "population_a * population_b" and row.model == "linear"
    feature = (table[:, 3] * table[:, 4])[:, None]
    predicted = cross_val_predict(LinearRegression(), feature, y, cv=cv)
    assert row.r2 == pytest.approx(r2_score(y, predicted))
    assert row.mae == pytest.approx(np.abs(y - predicted).mean())
    errors = [np.abs(y[b] - y[a].mean()) for a, b in cv.split(table)]
    assert row.baseline_mae == pytest.approx(np.concatenate(errors).mean())


def test_reports_are_reproducible_and_take_pairs(few_pairs):
    X, y = few_pairs[0], few_pairs[1][["e_homo_ev", "q_absmean"]]
    first = leakage_report(X, y)
    pd.testing.assert_frame_equal(first, leakage_report(X, y))
    table = PairImageTransformer().fit_transform(X)
    pd.testing.assert_frame_equal(first, leakage_report(table, y))
    assert (first.r2 != leakage_report(X, y, random_state=1).r2).any()


def test_leakage_errors_name_the_value(few_images, gap, regression_table):
    X, y = regression_table
    with pytest.raises(ValueError, match="2 feature_names for the 4 columns"):
        leakage_report(X, y, feature_names=["a", "b"])
    few = np.where(np.arange(60) < 3, y, np.nan)
    with pytest.raises(ValueError, match="target 'y' has 3 labels, too few"):
        leakage_report(X, few)
    with pytest.raises(ValueError, match="X has 150 rows, y has 10"):
        leakage_report(few_images, gap[:10])


def test_the_composition_of_molecules_gives_their_energies_away():
    data = load_molecules()
    target = data.target[["e_g_ev", "total_energy_ev"]]
    report = leakage_report(data.data, target).set_index("target")
    assert report.loc["total_energy_ev", "best_feature"] == "composition"
    assert report.read_off.to_dict() == {"total_energy_ev": True, "e_g_ev": False}
    counted = target.assign(carbon=data.data.composition[:, 1])
    assert leakage_report(data.data, counted["carbon"]).best_feature[0] == "n_C"
    with pytest.raises(ValueError, match="feature_names are for tables"):
        leakage_report(data.data, target, feature_names=["a"])


def test_a_network_of_molecules_shows_its_elements_and_no_channels():
    data = load_molecules()
    model = SchNetRegressor(n_hidden=8, n_layers=1, max_epochs=1, cutoff=2.0, random_state=0)
    model.fit(data.data[:200], data.target["e_g_ev"][:200])
    table = element_embedding(model)
    assert table.index.tolist() == ["H", "C", "N", "O", "F"]
    assert table.loc["F", "group"] == 17 and np.isfinite(table[["x", "y"]]).all().all()
    for look in (saliency_maps, attention_weights):
        with pytest.raises(TypeError, match="holds molecules; what is looked at here"):
            look(model, data.data[:3])
    with pytest.raises(TypeError, match="holds molecules; what is looked at here"):
        channel_importance(model, data.data[:20], data.target["e_g_ev"][:20])

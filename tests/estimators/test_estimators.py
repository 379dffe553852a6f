"""What a user of the regressors notices, on real pairs with tiny nets."""

import signal
import subprocess
import sys
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from _models import MODELS
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from qcanvas_sklearn import (
    ElementPairKFold,
    LeaveElementOut,
    PairDescriptorTransformer,
    PairImageTransformer,
    QCanvasRegressor,
    load_pairs,
)
from qcanvas_sklearn.targets import MIN_HARDNESS_EV, identity_residuals


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param])


@pytest.fixture
def energy(few_pairs):
    return few_pairs[1]["total_energy_ev"]


@pytest.fixture
def gap(few_pairs):
    gap = few_pairs[1]["e_g_ev"].copy()
    gap.iloc[:5] = np.nan
    return gap


def image_pipeline(model):
    return Pipeline([("img", PairImageTransformer(image_size=8)), ("m", model)])


# Inputs ---------------------------------------------------------------------------------


def test_raw_pairs_and_the_transformers_output_give_the_same_model(model, few_pairs, energy):
    table = PairImageTransformer(include=model._spec.blocks).fit_transform(few_pairs[0])
    from_pairs = clone(model).fit(few_pairs[0], energy).predict(few_pairs[0])
    from_table = model.fit(table, energy).predict(table)
    if "image" in model._spec.names:
        # Pixels of a table are in single precision; those of pairs are drawn by the network.
        np.testing.assert_allclose(from_pairs, from_table, rtol=1e-6)
    else:
        assert np.array_equal(from_pairs, from_table)


def test_names_of_a_data_frame_do_not_change_the_model(model, few_pairs, energy):
    transformer = PairImageTransformer(image_size=8)
    array = transformer.fit_transform(few_pairs[0])
    frame = transformer.set_output(transform="pandas").fit_transform(few_pairs[0])
    expected = clone(model).fit(array, energy).predict(array)
    assert np.array_equal(model.fit(frame, energy).predict(frame), expected)
    assert list(model.feature_names_in_) == list(transformer.get_feature_names_out())


def test_atoms_in_either_order_get_the_same_prediction(model, few_pairs, energy):
    pairs = few_pairs[0].to_numpy()
    model.fit(pairs, energy)
    assert np.array_equal(model.predict(pairs), model.predict(pairs[:, ::-1]))


@pytest.mark.parametrize(
    "include", [["atoms"], ["image"], ["atoms", "orbitals", "charges"], ["orbitals"]]
)
def test_every_choice_of_blocks_is_accepted(model, include, few_pairs, energy):
    pipe = make_pipeline(PairImageTransformer(image_size=8, include=include), model)
    assert np.isfinite(pipe.fit(few_pairs[0], energy).predict(few_pairs[0])).all()


def test_the_layout_is_found_behind_a_row_selection(model, few_images, energy):
    model.fit(few_images, energy)
    layout = model.reader_.layout_
    assert layout.include == ("atoms", "image") and layout.image_size == 8
    one = model.predict(few_images[7:8])
    assert one == pytest.approx(model.predict(few_images)[7:8], rel=1e-6)


def test_a_scaled_table_is_a_plain_one(model, few_pairs, energy):
    pipe = make_pipeline(PairDescriptorTransformer(), StandardScaler(), model)
    assert np.isfinite(pipe.fit(few_pairs[0], energy).predict(few_pairs[0])).all()
    assert model.reader_.layout_ is None and model.elements_ == []


def test_pairs_and_tables_are_not_mixed_up(model, few_pairs, few_images, energy):
    with pytest.raises(ValueError, match="fitted on a numeric table, got element pairs"):
        clone(model).fit(few_images, energy).predict(few_pairs[0])
    with pytest.raises(ValueError, match="fitted on element pairs"):
        model.fit(few_pairs[0], energy).predict(few_images)


def test_elements_never_seen_are_refused_unless_allowed(model, few_pairs, energy):
    X, y = few_pairs[0], energy
    train, test = next(LeaveElementOut(["Ag"]).split(X, y))
    model.fit(X.iloc[train], y.iloc[train])
    with pytest.raises(ValueError, match=r"\['Ag'\] were not among the training rows"):
        model.predict(X.iloc[test])
    model.set_params(unseen_elements="allow")
    assert np.isfinite(model.predict(X.iloc[test])).all()
    with pytest.raises(ValueError, match="unseen_elements=.allowed. is not one of"):
        model.set_params(unseen_elements="allowed").predict(X.iloc[test])


# Targets --------------------------------------------------------------------------------


def test_missing_labels_are_left_out(model, few_images, gap):
    model.set_params(unseen_elements="allow")
    fitted = clone(model).fit(few_images, gap).predict(few_images)
    dropped = model.fit(few_images[5:], gap.iloc[5:]).predict(few_images)
    assert np.array_equal(fitted, dropped)


def test_all_targets_at_once(model, few_images, few_pairs):
    y = few_pairs[1]
    model.fit(few_images, y)
    predictions = model.predict(few_images)
    assert predictions.shape == (150, 18) and predictions.dtype == np.float64
    assert np.isfinite(predictions).all()
    assert model.target_names_ == list(y.columns)
    assert model.provenance_["targets"]["softness_evinv"] == "1/eV"
    assert np.isfinite(model.score(few_images, y))


def test_the_shape_of_y_comes_back(model, few_images, energy):
    column = model.fit(few_images, energy.to_frame()).predict(few_images)
    flat = model.fit(few_images, energy).predict(few_images)
    assert column.shape == (150, 1) and flat.shape == (150,)
    assert np.array_equal(column[:, 0], flat)


def test_the_dipole_along_the_bond_changes_sign(model, few_images, few_pairs):
    homonuclear = few_images[:, 0] == few_images[:, 1]
    assert homonuclear.any()
    model.fit(few_images, few_pairs[1]["dipole_z_d"])
    scale = np.abs(model.predict(few_images)).max()
    # Up to the one image column that has no mirror image.
    assert np.abs(model.predict(few_images)[homonuclear]).max() < 0.05 * scale


def test_units_do_not_matter(model, few_images, energy):
    ev = clone(model).fit(few_images, energy).predict(few_images)
    shifted = model.fit(few_images, 1000 * energy + 5e6).predict(few_images)
    np.testing.assert_allclose((shifted - 5e6) / 1000, ev, rtol=1e-3, atol=0.05)


@pytest.mark.parametrize(
    "y, message",
    [
        (np.full(150, np.nan), "no observed label"),
        (np.where(np.arange(150) == 3, np.inf, 1.0), "infinity"),
        (np.ones(149), "150 rows, y has 149"),
        (None, "requires y"),
    ],
)
def test_bad_targets_are_named(model, few_images, y, message):
    with pytest.raises(ValueError, match=message):
        model.fit(few_images, y)


# Learning -------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", [type(model) for model in MODELS.values()])
def test_32_pairs_can_be_learned_by_heart(kind):
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    X, y = X.iloc[::89][:32], y.iloc[::89][:32]
    model = kind(max_epochs=110, weight_decay=0, n_members=1, random_state=0)
    if kind is QCanvasRegressor:  # beside tight binding it learns from unseen pairs alone
        model.set_params(tight_binding=None, lr=6e-3, dropout=0.0)
    error = np.abs(model.fit(X, y).predict(X) - y).mean()
    assert error < 0.05 * y.std()


@pytest.mark.parametrize("name", MODELS)
def test_a_real_target_is_learned_and_a_shuffled_one_is_not(name):
    X, y = load_pairs(target="e_homo_ev", return_X_y=True)
    X, y = X.iloc[::4], y.iloc[::4]
    model = clone(MODELS[name]).set_params(max_epochs=16, lr=5e-3)
    pipe = image_pipeline(model)
    rows = np.random.default_rng(0).permutation(len(y))
    real, shuffled = (
        cross_val_score(pipe, X, labels, cv=ElementPairKFold(2), scoring="r2")
        for labels in (y, y.iloc[rows].set_axis(y.index))
    )
    assert real.mean() > 0.5 and shuffled.mean() < 0.05


def test_one_seed_gives_one_model_to_the_last_bit(model, few_images, energy):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    first = clone(model).fit(few_images, energy)
    second = clone(model).fit(few_images, energy)
    for a, b in zip(
        first.net_.module_.state_dict().values(),
        second.net_.module_.state_dict().values(), strict=True,
    ):  # fmt: skip
        assert torch.equal(a, b)
    other = model.set_params(random_state=1).fit(few_images, energy)
    assert not np.array_equal(first.predict(few_images), other.predict(few_images))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_fits_in_parallel_threads_do_not_disturb_each_other(model, few_images, energy):
    expected = clone(model).fit(few_images, energy).predict(few_images)
    fitted = joblib.Parallel(n_jobs=4, backend="threading")(
        joblib.delayed(clone(model).fit)(few_images, energy) for _ in range(4)
    )
    for one in fitted:
        np.testing.assert_allclose(one.predict(few_images), expected, rtol=1e-10)


def test_early_stopping_restores_the_best_epoch(model, few_images, energy):
    train, valid = slice(0, 100), slice(100, 150)
    model.set_params(max_epochs=40, lr=0.05, lr_schedule="constant", loss="absolute_error")
    model.set_params(early_stopping=True, n_iter_no_change=3, unseen_elements="allow")
    model.fit(few_images[train], energy.iloc[train],
              X_val=few_images[valid], y_val=energy.iloc[valid])  # fmt: skip
    assert model.n_iter_ < 40
    error = np.abs(model.predict(few_images[valid]) - energy.iloc[valid]).mean()
    best = model.history_["valid_loss"].min() * model.scaler_.scale[0]
    assert error == pytest.approx(best, rel=1e-3)
    assert model.history_["valid_loss"].iloc[-1] > model.history_["valid_loss"].min()


def test_early_stopping_sets_training_rows_aside(model, few_images, energy):
    model.set_params(early_stopping=True, validation_fraction=0.1).fit(few_images, energy)
    assert model.history_["valid_loss"].notna().all()
    assert model.provenance_["n_training_rows"] == 135
    with pytest.raises(ValueError, match="validation_fraction=0.1 leaves none"):
        model.fit(few_images[:1], energy[:1])


def test_a_target_without_training_labels_is_refused(model, few_images, energy):
    y = np.c_[energy, np.where(np.arange(150) == 0, 1.0, np.nan)]
    with pytest.raises(ValueError, match="no observed label among the training rows"):
        model.fit(few_images, y, sample_weight=np.arange(150) > 0)


def test_nothing_of_the_validation_rows_enters_the_scaling(model, few_images, energy):
    outlier = energy.copy()
    model.set_params(unseen_elements="allow")
    outlier.iloc[100:] *= 1e6
    model.fit(few_images[:100], energy[:100], X_val=few_images[100:], y_val=outlier[100:])
    assert np.abs(model.scaler_.center[0]) < 1e3 and model.scaler_.scale[0] < 1e3


def test_partial_fit_continues(model, few_images, energy):
    model.set_params(lr=6e-3).partial_fit(few_images, energy)
    first = model.history_["train_loss"].iloc[0]
    for _ in range(7):
        model.partial_fit(few_images, energy)
    assert model.n_iter_ == 8
    assert model.history_["train_loss"].iloc[-1] < 0.7 * first


def test_warm_start_continues_and_cold_start_does_not(model, few_images, energy):
    model.set_params(lr_schedule="constant").fit(few_images, energy)
    first = model.history_["train_loss"].iloc[0]
    cold = clone(model).fit(few_images, energy).fit(few_images, energy)
    assert cold.n_iter_ == 3
    again = clone(model).set_params(warm_start=True, lr_schedule="one_cycle")
    lr = again.fit(few_images, energy).fit(few_images, energy).history_["lr"]
    np.testing.assert_array_equal(lr[:3], lr[3:])  # a cycle of its own
    model.set_params(warm_start=True).fit(few_images, energy)
    assert model.n_iter_ == 6 and model.history_["train_loss"].iloc[3] < first
    with pytest.raises(ValueError, match="2 targets"):
        model.fit(few_images, np.c_[energy, energy])
    with pytest.raises(ValueError, match="'other'"):
        model.fit(few_images, energy.rename("other"))


def test_a_continued_fit_follows_new_hyperparameters(model, few_images, energy):
    model.set_params(warm_start=True, lr_schedule="constant").fit(few_images, energy)
    before = [p.clone() for p in model.net_.module_.parameters()]
    model.set_params(lr=1e-12, weight_decay=0.0).fit(few_images, energy).partial_fit(
        few_images, energy
    )
    for old, new in zip(before, model.net_.module_.parameters(), strict=True):
        torch.testing.assert_close(new, old, rtol=0, atol=1e-9)
    assert (model.history_["lr"].iloc[3:] == 1e-12).all()


class PressCtrlC(Callback):
    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 3:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def keyboard():
    """Ctrl-C as in a terminal; what runs in the background may have been told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_ends_the_fit_and_leaves_a_usable_model(
    model, few_images, energy, early_stopping, keyboard
):
    model.set_params(max_epochs=9, callbacks=[PressCtrlC()], early_stopping=early_stopping)
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 epochs"):
        with pytest.raises(KeyboardInterrupt):
            model.fit(few_images, energy)
    assert model.n_iter_ == 2
    assert np.isfinite(model.predict(few_images)).all()


def test_ctrl_c_before_a_progress_display_is_a_request_to_stop(few_images, energy, keyboard):
    model = clone(MODELS["pair_mlp"]).set_params(callbacks=[PressCtrlC()], max_epochs=9)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.set_params(verbose=1).fit(few_images, energy)
    assert model.n_iter_ == 2


def test_ctrl_c_gives_no_score_of_a_half_trained_model(few_images, energy, keyboard):
    model = clone(MODELS["pair_mlp"]).set_params(callbacks=[PressCtrlC()], max_epochs=9)
    with pytest.warns(ConvergenceWarning), pytest.raises(KeyboardInterrupt):
        cross_val_score(model, few_images, energy, cv=3)


class StopAtThree(Callback):
    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == 3:
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_callback_may_end_a_training(few_images, energy):
    model = clone(MODELS["pair_mlp"]).set_params(callbacks=[StopAtThree()], max_epochs=9)
    assert model.fit(few_images, energy).n_iter_ == 3


def test_a_failed_refit_leaves_the_fitted_model(model, few_images, energy):
    model.fit(few_images, energy)
    before = model.predict(few_images)
    model.set_params(warm_start=True)
    with pytest.raises(ValueError):
        model.fit(few_images, np.full(150, np.nan))
    assert np.array_equal(model.predict(few_images), before)


class CountEpochs(Callback):
    def __init__(self):
        self.seen = 0

    def on_epoch_end(self, net, **kwargs):
        self.seen += 1
        net.history.record("seen", self.seen)


def test_users_callbacks_run_on_a_copy(model, few_images, energy):
    callback = CountEpochs()
    model.set_params(callbacks=[callback]).fit(few_images, energy)
    assert callback.seen == 0
    assert model.net_.history[:, "seen"] == [1, 2, 3]


@pytest.mark.parametrize(
    "verbose, text", [(0, ""), (1, "training, epoch 3/3: 100%"), (2, "train_loss")]
)
def test_verbose(model, few_images, energy, capsys, verbose, text):
    model.set_params(verbose=verbose).fit(few_images, energy)
    printed = "".join(capsys.readouterr())
    assert text in printed if text else not printed


# Identities -----------------------------------------------------------------------------


def test_derived_predictions_are_consistent(model, few_images, few_pairs):
    y = few_pairs[1]
    free = clone(model).fit(few_images, y).predict(few_images)
    model.set_params(derive=True).fit(few_images, y)
    derived = pd.DataFrame(model.predict(few_images), columns=y.columns)
    residuals = identity_residuals(derived)
    scale = derived.abs().max()
    assert len(residuals) == 9 and np.isfinite(derived).all(axis=None)
    for formula, target in [
        ("I = -E_HOMO", "i_ev"), ("A = -E_LUMO", "a_ev"), ("E_g = I - A", "e_g_ev"),
        ("chi = (I + A) / 2", "chi_ev"), ("mu = -chi", "mu_ev"),
        ("|mu| = 4.8032 |q| d", "dipole_mag_d"),
    ]:  # fmt: skip
        assert residuals[formula] <= 1e-9 * scale[target], formula
    softness = 1 / derived["eta_ev"].clip(lower=MIN_HARDNESS_EV)
    np.testing.assert_allclose(derived["softness_evinv"], softness)
    free = pd.DataFrame(free, columns=y.columns)
    unbound = ["band_energy_ev", "total_energy_ev", "dipole_z_d", "q_absmean", "distance_ang"]
    assert (derived[unbound] == free[unbound]).all(axis=None)
    assert np.abs(derived["e_homo_ev"] - free["e_homo_ev"]).max() < 3


def test_identities_need_names_and_something_to_derive(few_images, few_pairs):
    model = clone(MODELS["pair_mlp"]).set_params(derive=True)
    with pytest.raises(ValueError, match="derive=True needs targets with names"):
        model.fit(few_images, few_pairs[1].to_numpy())
    with pytest.raises(ValueError, match=r"no identity binds the targets \['i_ev', 'a_ev'\]"):
        model.fit(few_images, few_pairs[1][["i_ev", "a_ev"]])


# Parameters -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [type(model) for model in MODELS.values()])
def test_the_defaults_of_a_family_hold(kind):
    family = next(base for base in kind.__mro__ if base.__name__.endswith("Family"))
    own = {name: value for name, value in vars(family).items() if name in kind().get_params()}
    assert own and own.items() <= kind().get_params().items()



@pytest.mark.parametrize(
    "name, value",
    [
        ("max_epochs", 0), ("batch_size", 0), ("lr", -1.0), ("lr", float("nan")),
        ("weight_decay", -0.1),
        ("loss", "quantile"), ("lr_schedule", "cosine"), ("validation_fraction", 1.0),
        ("n_iter_no_change", 0), ("device", "gpu"), ("unseen_elements", "guess"),
        ("dropout", 1.0), ("n_hidden", 0), ("n_hidden", 2.5), ("callbacks", 3),
        ("early_stopping", "yes"), ("verbose", -1),
    ],
)  # fmt: skip
def test_bad_parameters_are_named(model, few_images, energy, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        model.set_params(**{name: value}).fit(few_images, energy)


def test_an_absent_device_is_refused_in_fit_and_replaced_in_predict(
    model, few_images, energy, monkeypatch
):
    model.fit(few_images, energy)
    expected = model.predict(few_images)
    for device, found, n_gpus in [
        ("cuda", "no CUDA device", 0), ("cuda:1", "1 CUDA device", 1),
        ("mps", "no MPS device", 0), ("xpu:0", "no XPU device", 0),
    ]:  # fmt: skip
        monkeypatch.setattr("torch.cuda.is_available", lambda n=n_gpus: n > 0)
        for kind in ("cuda", "mps", "xpu"):
            monkeypatch.setattr(f"torch.{kind}.device_count", lambda n=n_gpus: n)
        with pytest.raises(ValueError, match=found):
            clone(model).set_params(device=device).fit(few_images, energy)
        with pytest.warns(UserWarning, match=rf"{found}.*the CPU is used.*device='auto'"):
            predicted = model.set_params(device=device).predict(few_images)
        assert np.array_equal(predicted, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_model_from_a_gpu_predicts_on_the_cpu(model, few_images, energy, tmp_path):
    model.set_params(device="cuda", max_epochs=20).fit(few_images, energy)
    assert {p.device.type for p in model.net_.module_.parameters()} == {"cpu"}
    on_gpu = model.predict(few_images)
    joblib.dump(model.set_params(device="cpu"), tmp_path / "model.joblib")
    on_cpu = joblib.load(tmp_path / "model.joblib").predict(few_images)
    np.testing.assert_allclose(on_cpu, on_gpu, rtol=1e-3, atol=1e-2)


def test_not_fitted(model, few_images):
    with pytest.raises(NotFittedError):
        model.predict(few_images)


def test_numbers_of_numpy_are_numbers(model, few_images, energy):
    """Such as searches draw from distributions, and grids of numpy hold."""
    kinds = {bool: np.bool_, int: np.int64, float: np.float64}
    drawn = {
        name: kinds[type(value)](value)
        for name, value in model.set_params(max_epochs=1).get_params(deep=False).items()
        if type(value) in kinds
    }
    model.set_params(**drawn).fit(few_images[:40], energy[:40])
    assert np.isfinite(model.predict(few_images[:4])).all()


# scikit-learn ---------------------------------------------------------------------------


def test_pipeline_with_memory(model, few_pairs, energy, tmp_path):
    pipe = image_pipeline(model)
    expected = clone(pipe).fit(few_pairs[0], energy).predict(few_pairs[0])
    for _ in range(2):
        cached = clone(pipe).set_params(memory=str(tmp_path)).fit(few_pairs[0], energy)
        assert np.array_equal(cached.predict(few_pairs[0]), expected)


def test_grid_search_in_parallel(model, few_pairs, energy):
    y = energy.mask(energy.index < 5)
    pipe = image_pipeline(model.set_params(unseen_elements="allow"))
    search = GridSearchCV(
        pipe, {"m__lr": [1e-5, 1e-2]}, cv=ElementPairKFold(2), n_jobs=2,
        scoring="neg_mean_absolute_error",
    )  # fmt: skip
    search.fit(few_pairs[0], y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_params_ == {"m__lr": 1e-2}
    assert np.isfinite(search.predict([["Ag", "Al"]])).all()


def test_permutation_importance(model, few_pairs, energy):
    X = PairImageTransformer(include=["atoms"]).fit_transform(few_pairs[0])
    model.set_params(max_epochs=30).fit(X, energy)
    # Atomic numbers have to stay in place: shuffled, they are other elements.
    result = permutation_importance(
        model, X, energy, n_repeats=2, random_state=0, scoring="neg_mean_absolute_error"
    )
    assert result.importances_mean.shape == (5,) and result.importances_mean[3:].max() > 0


def test_meta_estimators(model, few_images, few_pairs):
    y = few_pairs[1][["total_energy_ev", "distance_ang"]]
    model.set_params(unseen_elements="allow")  # bootstraps can miss an element
    bagged = BaggingRegressor(model, n_estimators=2, random_state=0).fit(
        few_images, y.iloc[:, 0]
    )
    assert bagged.predict(few_images).shape == (150,)
    multi = MultiOutputRegressor(model).fit(few_images, y)
    assert multi.predict(few_images).shape == (150, 2)
    logged = TransformedTargetRegressor(model, func=np.log, inverse_func=np.exp)
    assert (logged.fit(few_images, y["distance_ang"]).predict(few_images) > 0).all()


def test_a_validation_set_reaches_fit_through_a_pipeline(model, few_pairs, energy):
    import sklearn

    X = few_pairs[0]
    with sklearn.config_context(enable_metadata_routing=True):
        model.set_params(unseen_elements="allow").set_fit_request(X_val=True, y_val=True)
        pipe = image_pipeline(model).set_params(transform_input=["X_val"])
        pipe.fit(X.iloc[:100], energy[:100], X_val=X.iloc[100:], y_val=energy[100:])
    assert pipe["m"].history_["valid_loss"].notna().all()


SCRIPT = """
import sys, joblib, numpy as np
pairs = joblib.load(sys.argv[1])
np.save(sys.argv[2], [joblib.load(path).predict(pairs) for path in sys.argv[3:]])
"""


def test_a_new_process_predicts_the_same(few_pairs, energy, tmp_path):
    """One for all families: to load the libraries takes longer than all else."""
    pairs, out = (str(tmp_path / name) for name in ("pairs.joblib", "out.npy"))
    joblib.dump(few_pairs[0], pairs)
    expected = {}
    for name, model in MODELS.items():
        pipe = image_pipeline(clone(model)).fit(few_pairs[0], energy)
        expected[str(tmp_path / name)] = pipe.predict(few_pairs[0])
        joblib.dump(pipe, tmp_path / name)
    subprocess.run([sys.executable, "-c", SCRIPT, pairs, out, *expected], check=True)
    for found, (path, own) in zip(np.load(out), expected.items(), strict=True):
        np.testing.assert_allclose(found, own, rtol=1e-12, err_msg=path)


@pytest.mark.parametrize("kind", [type(model) for model in MODELS.values()])
def test_pickles_are_small_and_parameters_are_counted(kind, few_pairs, energy, tmp_path):
    pipe = make_pipeline(PairImageTransformer(), kind(max_epochs=1, early_stopping=True))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipe.fit(few_pairs[0], energy)
    joblib.dump(pipe, tmp_path / "model.joblib")
    assert (tmp_path / "model.joblib").stat().st_size < 5e6 * kind().n_members
    weights = pipe[-1].net_.module_.parameters()
    assert pipe[-1].n_parameters_ == sum(np.prod(w.shape) for w in weights)


def test_the_callers_data_is_untouched(model, few_images, few_pairs):
    X, y = few_images.copy(), few_pairs[1].copy()
    weight = np.ones(150)
    model.fit(X, y, sample_weight=weight)
    model.predict(X)
    assert np.array_equal(X, few_images) and (weight == 1).all()
    pd.testing.assert_frame_equal(y, few_pairs[1])


def test_weights_steer_the_fit(model, few_images, energy):
    y = np.where(np.arange(150) % 2, 1.0, -1.0)
    weight = np.where(np.arange(150) % 2, 100.0, 1.0)
    model.set_params(max_epochs=10, weight_decay=0, loss="squared_error")
    plain = clone(model).fit(few_images, y).predict(few_images).mean()
    assert (
        model.fit(few_images, y, sample_weight=weight).predict(few_images).mean() > plain + 0.3
    )


@pytest.mark.parametrize(
    "weight, message",
    [(np.zeros(150), "zero"), (-np.ones(150), "not be negative"), (np.ones(3), "expected")],
)
def test_bad_weights_are_refused(model, few_images, energy, weight, message):
    with pytest.raises(ValueError, match=message):
        model.fit(few_images, energy, sample_weight=weight)

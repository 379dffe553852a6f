"""Training that ends well or not at all: weights, scales, randomness, threads, precision."""

import multiprocessing
import threading
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from _models import CLASSIFIERS, MODELS
from sklearn.base import clone
from sklearn.metrics import r2_score

from qcanvas_sklearn import PairMLPClassifier, PairMLPRegressor
from qcanvas_sklearn.training import devices
from qcanvas_sklearn.training.callbacks import EpochProgress

EACH = {**MODELS, **{f"{name} classes": model for name, model in CLASSIFIERS.items()}}


@pytest.fixture(params=EACH)
def model(request):
    return clone(EACH[request.param])


@pytest.fixture
def any_model(model, few_images, few_pairs):
    """A model of either task with something to learn."""
    y = few_pairs[1]["total_energy_ev"]
    return model, few_images[:48], (y > y.median()).astype(int)[:48] if hasattr(
        model, "predict_proba"
    ) else y[:48]


def outputs(model, X):
    return model._outputs(model._read(X))


# Randomness ---------------------------------------------------------------------------------


def test_a_continued_fit_goes_on_with_its_randomness(any_model, monkeypatch):
    """Epochs one by one are as random as epochs at once: none repeats another's numbers."""
    model, X, y = any_model
    orders, randperm = [], torch.randperm
    monkeypatch.setattr(
        torch, "randperm", lambda n: orders.append(randperm(n).tolist()) or randperm(n)
    )
    for _ in range(3):
        model.partial_fit(X, y)
    model.set_params(warm_start=True, max_epochs=2).fit(X, y)
    assert len(orders) == 5 and len({tuple(order) for order in orders}) == 5


def test_continued_fits_repeat(any_model):
    model, X, y = any_model
    twice = [outputs(clone(model).partial_fit(X, y).partial_fit(X, y), X) for _ in range(2)]
    assert np.array_equal(*twice)


def test_another_architecture_is_not_continued(any_model):
    model, X, y = any_model
    model.set_params(warm_start=True, max_epochs=1).fit(X, y)
    before = outputs(model, X)
    with pytest.raises(ValueError, match="n_hidden=32 was 16; set warm_start=False"):
        model.set_params(n_hidden=32).fit(X, y)
    with pytest.raises(ValueError, match="n_hidden=32 was 16"):
        model.partial_fit(X, y)
    assert np.array_equal(outputs(model.set_params(n_hidden=16), X), before)
    assert model.fit(X, y).n_iter_ == 2
    assert clone(model).set_params(n_hidden=32).fit(X, y).n_iter_ == 1


# Weights ------------------------------------------------------------------------------------


def weights_of(model):
    return [p.detach().clone() for p in model.net_.module_.parameters()]


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**130])
def test_a_common_factor_of_weights_changes_nothing(any_model, factor):
    model, X, y = any_model
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    model.set_params(max_epochs=2)
    one = outputs(clone(model).fit(X, y, sample_weight=weight), X)
    other = outputs(clone(model).fit(X, y, sample_weight=factor * weight), X)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_weights_count_in_batches_of_any_size(regression_table, batch_size):
    """Contradicting labels of one row: the prediction follows the heavier one."""
    X = np.repeat(regression_table[0][:20], 2, axis=0)
    y = np.tile([0.0, 1.0], 20)
    kw = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 30, "random_state": 0,
          "loss": "squared_error", "batch_size": batch_size, "lr": 1e-3}  # fmt: skip
    light, heavy = (
        PairMLPRegressor(**kw).fit(X, y, sample_weight=np.tile(w, 20)).predict(X).mean()
        for w in ([9.0, 1.0], [1.0, 9.0])
    )
    assert light < 0.4 and heavy > 0.6


@pytest.mark.parametrize("factor", [1e-39, 1e39])
def test_a_common_factor_of_class_weights_changes_nothing(regression_table, factor):
    X = regression_table[0]
    y = (X[:, 0] > 0).astype(int)
    kw = {"n_hidden": 16, "n_blocks": 1, "max_epochs": 3, "random_state": 0}
    one, other = (
        PairMLPClassifier(class_weight={0: f, 1: 3 * f}, **kw).fit(X, y).predict_proba(X)
        for f in (1.0, factor)
    )
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 2.0, 2: 0.5}])
def test_class_weights_where_a_class_is_absent(regression_table, class_weight):
    X = regression_table[0]
    y = np.arange(60) % 3
    model = PairMLPClassifier(
        n_hidden=16, max_epochs=2, random_state=0, class_weight=class_weight
    )
    model.fit(X, y, X_val=X[:2], y_val=y[:2])
    assert np.isfinite(model.partial_fit(X[y < 2], y[y < 2]).predict_proba(X)).all()
    fresh = clone(model).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert np.isfinite(fresh.partial_fit(X, y).predict_proba(X)).all()


@pytest.mark.parametrize(
    "class_weight", [{0: -1.0}, {0: np.inf}, "equal", {0: np.nan}, {0: 0, 1: 0.0}]
)
def test_class_weights_that_are_none_are_refused(regression_table, class_weight):
    with pytest.raises(ValueError, match="class_weight"):
        model = PairMLPClassifier(class_weight=class_weight)
        model.fit(regression_table[0], np.arange(60) % 2)


# Scales -------------------------------------------------------------------------------------

MAPS = {
    "offset": lambda x: x + 1e8,
    "unix seconds": lambda x: 1.7e9 + 1e4 * x,
    "tiny": lambda x: 1e-45 * x,
    "huge": lambda x: 1e39 * x,
    "extreme": lambda x: 1e300 * x,
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("family", MODELS)
def test_columns_of_any_offset_and_size_are_learned_alike(family, name, regression_table):
    X, y = regression_table
    model = clone(MODELS[family]).set_params(max_epochs=5)
    expected = clone(model).fit(X, y).predict(X)
    mapped = MAPS[name](X)
    predicted = model.fit(mapped, y).predict(mapped)
    np.testing.assert_allclose(predicted, expected, atol=2e-2 * y.std())


@pytest.mark.parametrize("name", MAPS)
def test_targets_of_any_offset_and_size_are_learned_alike(name, regression_table):
    X, y = regression_table
    model = PairMLPRegressor(n_hidden=32, max_epochs=60, random_state=0)
    assert r2_score(y, clone(model).fit(X, y).predict(X)) > 0.9
    target = MAPS[name](y)
    predicted = model.fit(X, target).predict(X)
    residual = (predicted - target) / np.abs(target - target.mean()).max()
    spread = (target - target.mean()) / np.abs(target - target.mean()).max()
    assert residual.var() < 0.1 * spread.var()


# Divergence ---------------------------------------------------------------------------------


def test_divergence_ends_the_fit_and_leaves_the_fitted_model(any_model):
    model, X, y = any_model
    before = outputs(model.fit(X, y), X)
    state = {key: value for key, value in vars(model).items() if key.endswith("_")}
    model.set_params(lr=1e30, lr_schedule="constant")
    with pytest.raises(ValueError, match="training diverged.*lr"):
        model.fit(X[:30], y[:30])
    assert all(vars(model)[key] is value for key, value in state.items())
    assert np.array_equal(outputs(model, X), before)


def test_a_progress_bar_is_closed_when_a_training_diverges(regression_table, monkeypatch):
    closed = []
    monkeypatch.setattr(EpochProgress, "on_train_end", lambda *_, **__: closed.append(True))
    model = PairMLPRegressor(n_hidden=16, lr=1e30, lr_schedule="constant", verbose=1)
    with pytest.raises(ValueError, match="diverged"):
        model.fit(*regression_table)
    assert closed == [True]


def test_a_refused_table_leaves_the_number_of_columns(regression_table):
    X, y = regression_table
    model = PairMLPRegressor(n_hidden=16, max_epochs=1).fit(X, y)
    with pytest.raises(ValueError):
        model.fit(X[:, :2], np.full(60, np.nan))
    with pytest.raises(ValueError):
        PairMLPRegressor(max_epochs=1).fit(X, np.full(60, np.inf))
    assert model.n_features_in_ == 4 and model.predict(X).shape == (60,)


# What torch keeps for all ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_default_precision_of_torch_does_not_matter(any_model, dtype):
    model, X, y = any_model
    model.set_params(max_epochs=1)
    expected = outputs(clone(model).fit(X, y), X)
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        found = outputs(clone(model).fit(X, y), X)
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(default)
    assert np.array_equal(found, expected)


def test_flags_of_cudnn_are_given_back():
    before = (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)
    with devices.repeatable(torch.device("cuda")):
        assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.allow_tf32
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32) == before


def _fit(queue):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    model = PairMLPRegressor(n_hidden=8, max_epochs=1, random_state=0, device="cpu")
    queue.put(float(model.fit(X, X[:, 0]).predict(X[:1])[0]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
@pytest.mark.skipif(torch.cuda.is_available(), reason="a forked child cannot use CUDA")
def test_a_forked_child_can_train_while_a_thread_of_the_parent_does():
    """The lock that the thread holds is open in the child."""
    context = multiprocessing.get_context("fork")
    inside, done = threading.Event(), threading.Event()

    def train():
        with devices.seeded(0, torch.device("cpu")):
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=train)
    thread.start()
    inside.wait(60)
    queue = context.Queue()
    child = context.Process(target=_fit, args=(queue,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child.start()
    try:
        assert np.isfinite(queue.get(timeout=60))
    finally:
        done.set()
        thread.join()
        child.join(10)
        child.kill()


def test_two_threads_train_what_each_trains_alone(regression_table):
    X, y = regression_table
    model = PairMLPRegressor(n_hidden=16, max_epochs=3, random_state=0)
    alone = clone(model).fit(X, y).predict(X)
    found = {}

    def train(k):
        time.sleep(0.01 * k)
        found[k] = clone(model).fit(X, y).predict(X)

    threads = [threading.Thread(target=train, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[k], alone) for k in range(3))


# Predictions ----------------------------------------------------------------------------------


def test_rows_do_not_depend_on_their_neighbours(model, regression_table):
    X, y = regression_table
    model.fit(X, y > 0 if hasattr(model, "predict_proba") else y)
    alone = np.concatenate([outputs(model, X[i : i + 1]) for i in range(6)])
    np.testing.assert_allclose(outputs(model, X)[:6], alone, rtol=1e-12, atol=1e-12)


def test_a_frame_of_weights_and_labels_is_read(regression_table):
    X, y = regression_table
    frame = pd.DataFrame({"a": y, "b": 2 * y})
    model = PairMLPRegressor(n_hidden=8, max_epochs=1, random_state=0)
    one = model.fit(X, frame, sample_weight=pd.Series(np.ones(60))).predict(X)
    assert np.array_equal(one, model.fit(X, frame).predict(X))

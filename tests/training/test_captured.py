"""Training by recorded steps: the loop on any machine, the graphs where there is CUDA."""

import numpy as np
import pytest
import torch
from _models import MODELS
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring, Freezer, GradientNormClipping
from torch import Tensor

import qcanvas_sklearn
from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.training import captured, engine

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")


@pytest.fixture(scope="module")
def pairs():
    X, y = load_pairs(target=["e_g_ev", "dipole_mag_d"], return_X_y=True)
    rows = np.random.default_rng(0).choice(len(X), 150, replace=False)
    return X.iloc[rows].reset_index(drop=True), y.iloc[rows].reset_index(drop=True)


class Repeated:
    """In place of a graph: a replay computes everything anew."""

    def __init__(self, steps: captured._Steps, index: Tensor) -> None:
        self.steps, self.index = steps, index
        self.loss = torch.zeros(())
        self.gradients: list[Tensor | None] = [None] * len(steps.weights)

    def replay(self) -> None:
        self.loss.copy_(self.steps._pass(self.index))
        self.gradients[:] = [weight.grad for weight in self.steps.weights]


def recorded_without_cuda(steps, index):
    repeated = Repeated(steps, index)
    return captured._Recorded(repeated, index, repeated.loss, repeated.gradients)


@pytest.fixture
def without_cuda(monkeypatch):
    """Let the loop of recorded steps run on the CPU; told how often it was."""
    ran = []

    def fit(net, table, valid):
        ran.append(len(table))
        captured.fit_captured(net, table, valid)

    monkeypatch.setattr(captured._Steps, "_record", recorded_without_cuda)
    monkeypatch.setattr(engine, "can_be_captured", lambda *args: True)
    monkeypatch.setattr(engine, "fit_captured", fit)
    return ran


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 1, "lr_schedule": "constant", "lr": 0.03},
        {"n_members": 2, "dropout": 0.2},
        {"callbacks": [Freezer(lambda name: name.endswith("bias"), at=2)]},
    ],
    ids=["plain", "early stopping", "ensemble", "freezer"],
)  # fmt: skip
def test_loop_is_that_of_skorch(pairs, params, without_cuda, monkeypatch):
    def fitted():
        model = qcanvas_sklearn.PairMLPRegressor(
            max_epochs=4, n_hidden=8, random_state=0, device="cpu", **params
        )
        return model.fit(*pairs)

    by_replays = fitted()
    assert without_cuda
    monkeypatch.setattr(engine, "can_be_captured", lambda *args: False)
    by_skorch = fitted()
    for name, weight in by_skorch.net_.module_.state_dict().items():
        assert torch.equal(weight, by_replays.net_.module_.state_dict()[name]), name
    same = by_replays.history_.drop(columns="seconds")
    assert same.equals(by_skorch.history_.drop(columns="seconds"))


def test_what_cannot_be_recorded_is_trained_as_it_is(pairs, without_cuda, monkeypatch):
    def refuse(steps, index):
        raise RuntimeError("operation not permitted when stream is capturing\nCUDA error")

    model = qcanvas_sklearn.PairMLPRegressor(max_epochs=3, n_hidden=8, random_state=0)
    expected = clone(model).set_params(device="cpu").fit(*pairs).predict(pairs[0])
    monkeypatch.setattr(captured._Steps, "_record", refuse)
    with pytest.warns(UserWarning, match="not permitted when stream is capturing\\)"):
        slow = model.set_params(device="cpu").fit(*pairs)
    assert np.array_equal(slow.predict(pairs[0]), expected)


def test_learning_rate_is_known_beside_validation_rows(pairs):
    model = qcanvas_sklearn.PairMLPRegressor(
        max_epochs=3, n_hidden=8, early_stopping=True, random_state=0
    ).fit(*pairs)
    assert model.history_["lr"].nunique() == 3
    assert model.history_["lr"].iloc[-1] < model.lr / 10


class OfUser(Callback):
    pass


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (Freezer("network.*"), True),
        (EpochScoring("r2"), False),
        (GradientNormClipping(1.0), False),
        (OfUser(), False),
    ],
)
def test_callbacks_that_a_replay_would_not_tell(callback, expected):
    assert captured._listens_to_epochs(callback) is expected


@needs_cuda
@pytest.mark.parametrize("name", sorted(MODELS))
def test_replays_learn_what_skorch_does(name, pairs, monkeypatch):
    def losses(is_captured):
        monkeypatch.setattr(engine, "can_be_captured", lambda *args: is_captured)
        model = clone(MODELS[name]).set_params(device="cuda").fit(*pairs)
        return model.history_["train_loss"].to_numpy()

    by_replays = losses(True)
    np.testing.assert_array_equal(losses(True), by_replays)
    np.testing.assert_allclose(losses(False), by_replays, rtol=2e-3)

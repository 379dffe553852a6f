"""Training by recorded steps: the loop on any machine, the graphs where there is CUDA."""

import warnings

import numpy as np
import pytest
import torch
from _models import MODELS
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring, Freezer, GradientNormClipping
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import qcanvas_sklearn
from qcanvas_sklearn import TightBindingRegressor, load_pairs
from qcanvas_sklearn.estimators import _base
from qcanvas_sklearn.nn.cores.tight_binding import TightBindingMembers
from qcanvas_sklearn.training import captured, engine
from qcanvas_sklearn.training.callbacks import Clipping

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
        self.loss = torch.zeros((), dtype=torch.float64)
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


# What a recorded step may do ---------------------------------------------------------------


class AsksNothing(TorchDispatchMode):
    """Fails where an operation would wait for the device, or take memory of the host.

    On the device without memory there is nothing to wait for either: what asks for a number
    raises an error of torch's own.
    """

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        name = function._schema.name.removeprefix("aten::")
        # Decompositions and solvers look whether they have failed.
        looks = "linalg" in name and name != "linalg_vector_norm"
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, Tensor)]
        if looks or any(x.device.type == "cpu" for x in tensors):
            raise AssertionError(f"{function} cannot be recorded")
        return out


class Stopped(Exception):
    """Instead of a training."""


@pytest.fixture
def without_memory(monkeypatch):
    """Let trainings make each kind of pass once, on a device that has no memory."""

    def train(net, data, valid, plan, device, **options):
        device = torch.device("meta")
        engine._want_forces(net.module_, False)
        net.device = str(device)
        net.module_.to(device)
        net.callbacks = [("clip", Clipping(1.0))]
        net.initialize_callbacks()
        net.initialize_optimizer()
        table = data.to(device)
        net.notify("on_train_begin", X=table, y=None)
        index = torch.arange(8, device=device)
        for _ in range(2):
            with AsksNothing():
                captured._Steps(net, table, training=True)._pass(index)
            getattr(net.module_, "advance", int)()
        with AsksNothing():
            captured._Steps(net, table, training=False)._pass(index)
        raise Stopped

    monkeypatch.setattr(_base, "train", train)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_steps_ask_nothing(name, pairs, without_memory):
    with pytest.raises(Stopped):
        clone(MODELS[name]).fit(*pairs)


@pytest.fixture(scope="module")
def light():
    """Pairs of few elements with labels of all kinds."""
    X, y = load_pairs(return_X_y=True)
    rows = X.isin(["H", "C", "O", "Si", "Cl", "Fe"]).all(axis=1).to_numpy()
    return X[rows], y[rows]


@pytest.fixture
def tight_binding():
    return TightBindingRegressor(
        n_members=2, n_hidden=8, max_epochs=3, batch_size=8, random_state=0
    )


@pytest.mark.parametrize("stacks", [True, False])
def test_steps_of_tight_binding_ask_nothing_when_stacked(
    stacks, tight_binding, light, without_memory, monkeypatch
):
    monkeypatch.setattr(TightBindingMembers, "_stacks_on", lambda *args: stacks)
    expected = Stopped if stacks else (AssertionError, NotImplementedError, RuntimeError)
    with pytest.raises(expected):
        tight_binding.fit(*light)


@pytest.mark.parametrize(
    "params",
    [{"early_stopping": True}, {"given": "distance", "early_stopping": True}],
    ids=["validation is recorded", "validation is not"],
)
def test_kinds_of_steps_alternate_in_replays_too(
    params, tight_binding, light, without_cuda, monkeypatch
):
    """Forces are learned from every second batch, whoever counts the batches."""
    recorded = []
    record = captured._Steps._record
    monkeypatch.setattr(
        captured._Steps, "_record",
        lambda steps, index: recorded.append((steps.training, len(index)))
        or record(steps, index),
    )  # fmt: skip
    monkeypatch.setattr(TightBindingMembers, "_stacks_on", lambda *args: True)
    tight_binding.set_params(device="cpu", validation_fraction=0.2, **params)
    by_replays = clone(tight_binding).fit(*light)
    assert len(without_cuda) == 1
    # With forces and without; of whole batches and of the last one.
    assert len([one for one in recorded if one[0]]) == 4
    assert (not all(training for training, _ in recorded)) is ("given" not in params)
    monkeypatch.setattr(engine, "can_be_captured", lambda *args: False)
    by_skorch = clone(tight_binding).fit(*light)
    columns = ["train_loss", "valid_loss", "lr"]
    assert by_replays.history_[columns].equals(by_skorch.history_[columns])
    for name, weight in by_skorch.net_.module_.state_dict().items():
        assert torch.equal(weight, by_replays.net_.module_.state_dict()[name]), name


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


@needs_cuda
@pytest.mark.parametrize("given", ["populations", "distance"])
def test_replays_of_tight_binding(given, tight_binding, light):
    model = tight_binding.set_params(device="cuda", given=given, early_stopping=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "training is slow")
        first, second = (clone(model).fit(*light) for _ in range(2))
    eager = clone(model).set_params(callbacks=[OfUser()]).fit(*light)
    by_member = clone(model).set_params(device="cpu").fit(*light)
    for name in ("train_loss", "valid_loss"):
        losses = first.history_[name]
        np.testing.assert_array_equal(second.history_[name], losses)
        np.testing.assert_allclose(eager.history_[name], losses, rtol=1e-9)
        # What is fitted before the first epoch ends after other steps.
        np.testing.assert_allclose(by_member.history_[name], losses, rtol=1e-2)

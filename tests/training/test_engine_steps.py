"""What the training engine does for every batch: as skorch and torch do it, in less time."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from skorch import NeuralNet
from skorch.callbacks import GradientNormClipping
from torch import nn

from qcanvas_sklearn import PairMLPRegressor
from qcanvas_sklearn.nn.layers import AtomLinear, atom_features
from qcanvas_sklearn.training import engine
from qcanvas_sklearn.training.callbacks import Clipping

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), 50 * RNG.normal(size=40)


def model(**params):
    params = {"n_hidden": 8, "n_blocks": 1, "dropout": 0.1, "batch_size": 16, **params}
    return PairMLPRegressor(max_epochs=3, random_state=0, early_stopping=True, **params)


@pytest.fixture(scope="module")
def usual():
    return model().fit(X, Y)


def test_weights_are_clipped_as_skorch_clips_them(usual, monkeypatch):
    monkeypatch.setattr(engine, "Clipping", GradientNormClipping)
    by_skorch = model().fit(X, Y)
    assert_array_equal(by_skorch.predict(X), usual.predict(X))
    monkeypatch.setattr(engine, "Clipping", lambda norm: Clipping(1e-9))
    assert (model().fit(X, Y).predict(X) != usual.predict(X)).any()


def test_a_step_of_all_weights_at_once_is_the_usual_one(usual, monkeypatch):
    assert usual.net_.optimizer_.defaults["fused"]
    plain = NeuralNet.initialize_optimizer

    def one_by_one(net, *args, **kwargs):
        net.optimizer__fused = False
        return plain(net, *args, **kwargs)

    monkeypatch.setattr(NeuralNet, "initialize_optimizer", one_by_one)
    other = model().fit(X, Y)
    assert not other.net_.optimizer_.defaults["fused"]
    np.testing.assert_allclose(other.predict(X), usual.predict(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_scalars", [0, 2])
def test_elements_that_are_looked_up_are_those_of_a_product(n_scalars):
    generator = torch.Generator().manual_seed(0)
    linear = AtomLinear(5, n_scalars, 4).double()
    z = torch.tensor([[0, 1], [5, 3], [3, 3]])
    scalars = torch.randn(3, 2, n_scalars, generator=generator, dtype=torch.float64)
    features = atom_features(z, scalars, 5)
    usual = nn.functional.linear(features, linear.weight, linear.bias)
    further = torch.cat([features, torch.ones_like(usual)], dim=-1)
    slopes_of_usual = torch.autograd.grad(usual.square().sum(), list(linear.parameters()))
    for given in (None, further):  # looked up, and as a product while it trains
        found = linear(z, scalars, given)
        torch.testing.assert_close(found, usual, rtol=1e-14, atol=1e-14)
        slopes = torch.autograd.grad(found.square().sum(), list(linear.parameters()))
        torch.testing.assert_close(slopes, slopes_of_usual, rtol=1e-13, atol=1e-13)
    assert torch.equal(linear.eval()(z, scalars, further), linear(z, scalars))

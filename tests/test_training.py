"""Losses, scaling and batches, against values worked out by hand."""

import numpy as np
import pytest
import torch

from qcanvas_sklearn.training import (
    MaskedLoss,
    TargetScaler,
    TrainingData,
    feature_scaling,
    resolve_device,
)
from qcanvas_sklearn.training.data import TensorBatches

NAN = float("nan")
BY_HAND = {
    "squared_error": lambda d: d**2,
    "absolute_error": np.abs,
    "smooth_l1": lambda d: np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5),
}


def table(y, weight=None):
    y = np.asarray(y, dtype=float)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    inputs = {"x": np.arange(len(y), dtype=np.float32)[:, None]}
    return TrainingData(inputs, y, weight).to(torch.device("cpu"))


@pytest.mark.parametrize("loss", BY_HAND)
def test_missing_labels_and_weights_in_the_loss(loss):
    y = np.array([[1.0, NAN], [2.0, -3.0], [NAN, NAN]])
    weight = np.array([1.0, 3.0, 5.0])
    prediction = torch.tensor([[0.5, 9.0], [4.0, -3.2], [7.0, 7.0]], requires_grad=True)
    _, target = table(y, weight)[:]
    value = MaskedLoss(loss)(prediction, target)
    each = BY_HAND[loss](np.array([-0.5, 2.0, -0.2]))
    assert value.item() == pytest.approx((each * [1, 3, 3]).sum() / 7, rel=1e-6)
    value.backward()
    assert prediction.grad[2].abs().sum() == 0 and prediction.grad[0, 1] == 0


def test_a_batch_without_labels_costs_nothing():
    _, target = table([[NAN], [NAN]])[:]
    assert MaskedLoss()(torch.ones(2, 1), target).item() == 0


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_pass_meets_every_row_once(shuffle):
    batches = TensorBatches(table(np.arange(10.0)[:, None]), 4, shuffle)
    assert len(batches) == 3
    passes = []
    for _ in range(2):
        rows = torch.cat([inputs["x"][:, 0] for inputs, _ in batches]).tolist()
        assert sorted(rows) == list(range(10))
        passes.append(rows)
    assert (passes[0] != passes[1]) == shuffle


def test_targets_are_scaled_by_median_and_mean_absolute_deviation():
    y = np.array([[1.0, 5.0, 2.0], [2.0, 5.0, NAN], [6.0, NAN, -8.0]])
    scaler = TargetScaler.fit(y, np.array([1, 0, -1]))
    np.testing.assert_allclose(scaler.center, [2, 5, 0])  # odd targets keep their zero
    np.testing.assert_allclose(scaler.scale, [5 / 3, 1, 5])
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(y)), y)


def test_features_that_do_not_vary_are_left_alone():
    features = np.random.default_rng(0).normal(3, 2, size=(50, 2, 4))
    features[..., 1] = 1e5 + 1e-3 * features[..., 1]
    features[..., 2] = 0
    mean, scale = feature_scaling(features)
    np.testing.assert_allclose(scale[1:3], 1)
    np.testing.assert_allclose(mean[0], features[..., 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(scale[3], features[..., 3].std(), rtol=1e-6)
    assert feature_scaling(1e-8 * features[..., 3:])[1] < 1e-7
    assert feature_scaling(1e-8 * features[..., 3:], floor=1e-6)[1] == 1
    images = np.random.default_rng(0).normal(size=(6, 3, 4, 4))
    mean, scale = feature_scaling(images, axis=1)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 2, 3)), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("device", ["gpu", "cpu:x", 3.5])
def test_unknown_devices_are_named(device):
    with pytest.raises(ValueError, match="device="):
        resolve_device(device)

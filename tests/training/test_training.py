"""Losses, scaling and batches, against values worked out by hand."""

import numpy as np
import pytest
import torch

from qcanvas_sklearn.training import (
    DenseRows,
    MaskedLoss,
    Scaling,
    TargetBlock,
    TargetScaler,
    TrainingData,
    feature_scaling,
    resolve_device,
)
from qcanvas_sklearn.training.data import TensorBatches

NAN = float("nan")
CPU = torch.device("cpu")
BY_HAND = {
    "squared_error": lambda d: d**2,
    "absolute_error": np.abs,
    "smooth_l1": lambda d: np.where(np.abs(d) < 1, d**2 / 2, np.abs(d) - 0.5),
    "huber": lambda d: np.where(np.abs(d) < 0.1, d**2 / 0.2, np.abs(d) - 0.05),
}


def table(y, weight=None):
    y = np.asarray(y, dtype=float)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=float)
    rows = DenseRows({"x": np.arange(len(y), dtype=np.float32)[:, None]})
    return TrainingData(rows, [TargetBlock(y, weight)]).to(CPU)


def every(table):
    return tuple(table[torch.arange(len(table))])


@pytest.mark.parametrize("loss", BY_HAND)
def test_missing_labels_and_weights_in_the_loss(loss):
    y = np.array([[1.0, NAN], [2.0, -3.0], [NAN, NAN]])
    weight = np.array([1.0, 3.0, 5.0])
    prediction = torch.tensor([[0.5, 9.0], [4.0, -3.05], [7.0, 7.0]], requires_grad=True)
    value = MaskedLoss(loss)(prediction, every(table(y, weight))[1])
    each = BY_HAND[loss](np.array([-0.5, 2.0, -0.05]))
    assert value.item() == pytest.approx((each * [1, 3, 3]).sum() / 7, rel=1e-6)
    value.backward()
    assert prediction.grad[2].abs().sum() == 0 and prediction.grad[0, 1] == 0


def test_the_mean_over_batches_of_any_size_is_the_mean_over_all_labels():
    rng = np.random.default_rng(0)
    y = np.where(rng.random((10, 3)) < 0.4, NAN, rng.normal(size=(10, 3)))
    data = table(y, rng.random(10))
    whole = MaskedLoss("squared_error")(torch.zeros(10, 3), every(data)[1])
    for size in (1, 3, 10):
        losses = [
            (len(inputs["x"]), MaskedLoss("squared_error")(torch.zeros(1, 3), target))
            for inputs, target in TensorBatches(data, size)
        ]
        mean = sum(n * loss for n, loss in losses) / 10
        torch.testing.assert_close(mean, whole)


@pytest.mark.parametrize("factor", [1e-300, 1e-16, 1e39, 1e300])
def test_a_common_factor_of_the_weights_is_none(factor):
    y, weight = np.arange(4.0)[:, None], np.array([1.0, 2.0, 3.0, 0.5])
    for (_, one), (_, other) in zip(
        TensorBatches(table(y, weight), 3), TensorBatches(table(y, factor * weight), 3),
        strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(one["y"], other["y"])


def test_weights_hold_beyond_a_batch():
    """Of single rows the heavier ones have the larger loss."""
    targets = [t["y"] for _, t in TensorBatches(table([[1.0], [1.0]], [1.0, 3.0]), 1)]
    losses = [MaskedLoss("squared_error")(torch.zeros(1, 1), {"y": t}) for t in targets]
    assert losses[1] == pytest.approx(3 * losses[0].item())


def test_a_batch_without_labels_costs_nothing():
    target = every(table([[NAN], [NAN]]))[1]
    assert MaskedLoss()(torch.ones(2, 1), target).item() == 0


def test_blocks_of_rows_and_of_atoms_are_learned_together():
    """An atom's labels come with its row; blocks add up with their factors."""
    rows = DenseRows({"z": np.arange(6).reshape(3, 2)}, n_atoms=2)
    of_row = TargetBlock(np.array([[1.0], [2.0], [4.0]]), np.ones(3))
    of_atom = TargetBlock(
        np.arange(6.0)[:, None], np.ones(6), name="population", level="atom", factor=0.5
    )
    data = TrainingData(rows, [of_row, of_atom])
    inputs, target = data.take(np.array([2, 0])).to(CPU)[torch.tensor([1, 0])]
    assert inputs["z"].tolist() == [[0, 1], [4, 5]]
    assert target["y"][0].tolist() == [[1], [4]]
    assert target["population"][0][:, 0].tolist() == [0, 1, 4, 5]
    whole = every(data.to(CPU))[1]
    prediction = {"y": torch.zeros(3, 1), "population": torch.zeros(6, 1)}
    loss = MaskedLoss("absolute_error")(prediction, whole)
    assert loss.item() == pytest.approx(7 / 3 + 0.5 * 15 / 6)


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


def test_rows_are_standardised_in_double_precision_before_they_become_single():
    x = 1e8 + np.arange(5.0)[:, None]
    rows = DenseRows({"x": x}, {"x": feature_scaling(x)})
    (standardised,) = rows.to(CPU).batch(slice(None)).values()
    assert standardised.dtype == torch.float32
    np.testing.assert_allclose(standardised[:, 0], (np.arange(5) - 2) / 2**0.5, rtol=1e-6)
    image = np.random.default_rng(0).normal(3, 2, size=(70, 2, 50, 50))
    scaled = DenseRows({"i": image}, {"i": Scaling(np.ones(2), np.array([2.0, 4.0]), 1)})
    expected = (image - 1) / np.array([2.0, 4.0])[:, None, None]
    np.testing.assert_allclose(scaled.to(CPU, torch.float64).batch(slice(None))["i"], expected)


def test_targets_are_scaled_by_median_and_mean_absolute_deviation():
    y = np.array([[1.0, 5.0, 2.0], [2.0, 5.0, NAN], [6.0, NAN, -8.0]])
    scaler = TargetScaler.fit(y, np.array([1, 0, -1]))
    np.testing.assert_allclose(scaler.center, [2, 5, 0])  # odd targets keep their zero
    np.testing.assert_allclose(scaler.scale, [5 / 3, 1, 5])
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(y)), y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_features_that_do_not_vary_are_left_alone(dtype):
    """What is no more than the round-off of the numbers' own type."""
    features = np.random.default_rng(0).normal(3, 2, size=(50, 2, 4))
    features[..., 1] = 1e5
    features[..., 1] += 1e5 * np.finfo(dtype).eps * features[..., 0].round()
    features[..., 2] = 0
    mean, scale, _ = feature_scaling(features.astype(dtype))
    np.testing.assert_allclose(scale[1:3], 1)
    np.testing.assert_allclose(mean[0], features[..., 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(scale[3], features[..., 3].std(), rtol=1e-6)
    small = 1e-8 * features[..., 3:].astype(dtype)
    assert feature_scaling(small).scale < 1e-7
    assert feature_scaling(small, floor=1e-6).scale == 1
    images = np.random.default_rng(0).normal(size=(6, 3, 4, 4)).astype(dtype)
    mean = feature_scaling(images, axis=1).mean
    np.testing.assert_allclose(mean, images.mean(axis=(0, 2, 3)), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("size", [1e-300, 1e-45, 1e39, 1e200, 1e300])
def test_features_of_any_size_are_measured(size):
    x = np.random.default_rng(0).normal(1, 2, size=(40, 1))
    mean, scale, _ = feature_scaling(size * x)
    np.testing.assert_allclose([mean[0] / size, scale[0] / size], [x.mean(), x.std()])


@pytest.mark.parametrize("device", ["gpu", "cpu:x", 3.5])
def test_unknown_devices_are_named(device):
    with pytest.raises(ValueError, match="device="):
        resolve_device(device)

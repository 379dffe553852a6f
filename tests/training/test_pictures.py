"""Images that are drawn where the network computes, against those of the host."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from _models import CLASSIFIERS, MODELS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import PairImageTransformer
from qcanvas_sklearn.datasets import load_pairs
from qcanvas_sklearn.images import pair_amplitudes, render
from qcanvas_sklearn.training import (
    DenseRows,
    Pictures,
    Scaling,
    feature_scaling,
    picture_scaling,
)

CPU = torch.device("cpu")
PAIRS = load_pairs().pairs[:40]
AMPLITUDES = pair_amplitudes(PAIRS)
LOOKING = ("quantumshellnet", "vit", "fusion")


def images(pictures, dtype):
    out = np.empty((len(PAIRS), len(pictures.channels), *[pictures.image_size] * 2), dtype)
    return render(AMPLITUDES, pictures.image_size, pictures.channels, out)


@pytest.mark.parametrize(
    "pictures", [Pictures(32, tuple(range(10))), Pictures(7, (0, 4)), Pictures(4, (9,))]
)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 3e-7)]
)
def test_they_are_those_of_the_host(pictures, dtype, tolerance):
    scaling = picture_scaling(AMPLITUDES, pictures)
    rows = DenseRows({"amplitudes": AMPLITUDES}, {"image": scaling}, pictures=pictures)
    inputs = rows.to(CPU, dtype).batch(torch.arange(3, 30))
    assert list(inputs) == ["image"] and inputs["image"].dtype == dtype
    expected = scaling.apply(images(pictures, np.float64))[3:30]
    assert np.abs(expected).max() > 3
    size = np.abs(expected).max()
    assert_allclose(inputs["image"].numpy(), expected, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_image_does_not_depend_on_those_beside_it(dtype):
    rows = DenseRows({"amplitudes": AMPLITUDES}, pictures=Pictures(5, (0, 2, 8))).to(CPU, dtype)
    together = rows.batch(slice(None))["image"]
    for row in range(9):
        alone = rows.batch(slice(row, row + 1))["image"]
        assert_array_equal(alone[0].numpy(), together[row].numpy())


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_moments_of_pixels_without_pixels(factor):
    pictures = Pictures(9, (0, 3, 4, 8))
    of_pixels = feature_scaling(factor * images(pictures, np.float64), 1)
    scaling = picture_scaling(factor * AMPLITUDES, pictures)
    assert scaling.axis == of_pixels.axis == 1
    assert_allclose(scaling.mean, of_pixels.mean, rtol=1e-12)
    assert_allclose(scaling.scale, of_pixels.scale, rtol=1e-12)
    assert (scaling.scale == 1).all() == (factor == 0)


def test_what_varies_less_than_the_floor_is_left_alone():
    pictures, small = Pictures(9, (0,)), 1e-9 * AMPLITUDES
    assert picture_scaling(small, pictures, floor=1e-6).scale.tolist() == [1.0]
    assert picture_scaling(small, pictures).scale[0] < 1e-6


def test_rows_of_an_earlier_version_stand_beside_new_ones():
    pictures = Pictures(6, (1, 7))
    scaling = {"image": Scaling(np.array([0.1, 0.2]), np.array([2.0, 3.0]), 1)}
    new = DenseRows({"z": PAIRS.z.copy(), "amplitudes": AMPLITUDES}, scaling, pictures=pictures)
    old = DenseRows({"z": PAIRS.z.copy(), "image": images(pictures, np.float32)}, scaling)
    together = old.concat(new.take(np.arange(5))).to(CPU).batch(slice(None))
    assert_array_equal(together["z"][40:], PAIRS.z[:5])
    assert_array_equal(together["image"][40:], together["image"][:5])
    assert_allclose(new.to(CPU).batch(slice(5))["image"], together["image"][:5], atol=1e-6)
    both = new.concat(new)
    assert both.pictures == pictures and len(both) == 80 and both.nbytes < 80 * 150


@pytest.mark.parametrize("name", LOOKING)
def test_networks_of_images_see_the_same_of_pairs_and_of_their_table(name, monkeypatch):
    y = PAIRS.labels["total_energy_ev"].to_numpy()
    behind = make_pipeline(PairImageTransformer(), clone(MODELS[name])).fit(PAIRS.elements, y)
    expected = behind.predict(PAIRS.elements)

    def refuse(*args, **kwargs):
        raise AssertionError("pixels are drawn on the host")

    for module in ("images._drawing", "training.rows"):
        monkeypatch.setattr(f"qcanvas_sklearn.{module}.render", refuse)
    model = clone(MODELS[name]).fit(PAIRS.elements, y)
    assert_allclose(model.predict(PAIRS.elements), expected, rtol=1e-5)
    rows = model.reader_.read(model, PAIRS.elements)
    assert rows.nbytes / len(rows) < 250


@pytest.mark.parametrize("models", [MODELS, CLASSIFIERS])
def test_many_pairs_are_predicted_a_part_at_a_time(models, monkeypatch):
    name, elements = "pair_mlp", PAIRS.elements[:23]
    model = clone(models[name]).set_params(max_epochs=1, n_members=2)
    model.fit(PAIRS.elements, np.arange(40) % 2)
    ask = model.predict_proba if models is CLASSIFIERS else model.predict
    whole = ask(elements)
    read = []
    monkeypatch.setattr("qcanvas_sklearn.inputs.pairs._PART", 10)
    one_by_one = type(model.reader_).read
    monkeypatch.setattr(
        type(model.reader_), "read",
        lambda self, *args, **kwargs: read.append(rows := one_by_one(self, *args, **kwargs))
        or rows,
    )  # fmt: skip
    assert_allclose(ask(elements.tolist()), whole, rtol=1e-12, atol=1e-12)
    assert [len(rows) for rows in read] == [10, 10, 3]
    if models is MODELS:
        both = model.predict(elements, return_std=True)
        assert [part.shape for part in both] == [(23,), (23,)]
        assert_allclose(both[0], whole, rtol=1e-12)
    with pytest.raises(ValueError, match=r"elements \['Xe'\] were not among"):
        ask([*elements.tolist(), ["Xe", "Xe"]])


def test_what_predictions_draw_with_is_of_use_in_training():
    pictures = Pictures(5, (0, 9))
    scaling = {"image": picture_scaling(AMPLITUDES, pictures)}
    rows = DenseRows({"amplitudes": AMPLITUDES[:4]}, scaling, pictures=pictures)
    with torch.inference_mode():
        first = rows.to(CPU, torch.float64)
    again = rows.to(CPU, torch.float64)
    assert again.pictures is first.pictures
    conv = torch.nn.Conv2d(2, 1, 3).double()
    conv(again.batch(torch.arange(4))["image"]).sum().backward()
    assert conv.weight.grad.abs().max() > 0
    other = {"image": scaling["image"]._replace(mean=scaling["image"].mean + 1)}
    moved = replace(rows, scaling=other).to(CPU, torch.float64)
    assert not torch.equal(moved.pictures.shift, first.pictures.shift)

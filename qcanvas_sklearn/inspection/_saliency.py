"""Which pixels move a prediction."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from .._validation import check_choice
from ._model import TableModel, check_target, network_inputs, table_model

__all__ = ["saliency_maps"]


def saliency_maps(
    estimator: Any,
    X: Any,
    *,
    target: int | str = 0,
    method: str = "gradient",
    times_input: bool = False,
    patch_size: int = 4,
    signed: bool = False,
) -> NDArray[np.float64]:
    """How much each pixel of each channel moves the prediction.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor that sees images: with ``"gradient"`` a
        `QuantumShellNetRegressor` or `ViTRegressor`, on its own or right behind a
        `PairImageTransformer` in a Pipeline; with ``"occlusion"`` any.
    X : array-like of shape (n, p)
        Rows as the estimator takes them.
    target : int or str, default=0
        Position of the target, or the name it had in ``fit``.
    method : {"gradient", "occlusion"}, default="gradient"
        - ``"gradient"``: derivative of the network's output, in the unit of the target,
          with respect to the pixel [1]_.
        - ``"occlusion"``: the prediction less that of the image in which a square patch
          of one channel is set to the mean of that channel of that image [2]_. All
          pixels of the patch get this value.
    times_input : bool, default=False
        Multiply gradients by the pixels.
    patch_size : int, default=4
        Pixels a side of the patches; smaller at the edge where it does not divide the
        image. ``n_channels * ceil(image_size / patch_size) ** 2`` predictions are made.
    signed : bool, default=False
        Keep the sign, in place of the absolute value.

    Returns
    -------
    ndarray of shape (n, n_channels, image_size, image_size)
        In the unit of the target; gradients per unit of the pixel. Of an ensemble the
        mean over the members.

    Raises
    ------
    ValueError
        If the table holds no image, `target` does not exist, or gradients are asked of a
        model that is no network or sees no pixels.

    References
    ----------
    .. [1] K. Simonyan, A. Vedaldi, A. Zisserman, Deep Inside Convolutional Networks,
       ICLR 2014 workshop, section 3, arXiv:1312.6034.
    .. [2] M. D. Zeiler, R. Fergus, Visualizing and Understanding Convolutional Networks,
       ECCV 2014, section 4.2, arXiv:1311.2901.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import PairImageTransformer, ViTRegressor, load_pairs
    >>> from qcanvas_sklearn.inspection import saliency_maps
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> net = ViTRegressor(n_hidden=16, n_layers=1, max_epochs=1, random_state=0)
    >>> pipe = make_pipeline(PairImageTransformer(image_size=8), net).fit(X[:80], y[:80])
    >>> saliency_maps(pipe, X[:3]).shape
    (3, 10, 8, 8)
    """
    check_choice("method", method, ("gradient", "occlusion"))
    check_scalar(patch_size, "patch_size", numbers.Integral, min_val=1)
    seen = table_model(estimator, X)
    layout = seen.layout
    blocks = () if layout is None else layout.include
    if "channel_means" in blocks and "image" not in blocks:
        raise ValueError(
            f"{type(seen.model).__name__} sees the mean of each channel and no pixels; use a "
            "network of images, or occlude those of a PairImageTransformer before it"
        )
    if "image" not in blocks:
        raise ValueError(f"the table that {type(seen.model).__name__} sees holds no image")
    if method == "gradient":
        maps = _gradients(seen, target)
        if times_input:
            maps *= seen.table[:, seen.positions()["image"]]
    else:
        maps = _occlusions(seen, target, patch_size)
    return maps if signed else np.abs(maps)


def _gradients(seen: TableModel, target: int | str) -> NDArray[np.float64]:
    module, batches = network_inputs(seen)
    model = seen.model
    position = check_target(target, model, len(model.scaler_.scale))
    if "image" not in model.reader_.spec.names:
        raise ValueError(
            f"{type(model).__name__} sees the mean of each channel and no pixels; use "
            'method="occlusion", or a network of images'
        )
    parts = []
    for inputs in batches:
        inputs["image"].requires_grad_()
        outputs = module(**inputs)[..., position]
        # Of an ensemble (b, m), the prediction is the mean of the members.
        total = outputs.reshape(len(outputs), -1).mean(dim=1).sum()
        parts.append(torch.autograd.grad(total, inputs["image"])[0].numpy())
    # The network sees standardised pixels, the user the ones that he drew.
    per_pixel = model.scaler_.scale[position] / model.reader_.scaling_["image"].scale
    return np.concatenate(parts) * per_pixel[:, None, None]


def _occlusions(
    seen: TableModel, target: int | str, patch_size: int
) -> NDArray[np.float64]:
    before = seen.predict(seen.table)
    position = check_target(target, seen.model, before.shape[1])
    table = np.array(seen.table)
    places = seen.positions()["image"]
    maps = np.empty((len(table), *places.shape))
    for channel, pixels in enumerate(places):
        means = table[:, pixels.ravel()].mean(axis=1, keepdims=True)
        for patch in _patches(places.shape[-1], patch_size):
            covered = pixels[patch].ravel()
            kept = table[:, covered]
            table[:, covered] = means
            change = before[:, position] - seen.predict(table)[:, position]
            maps[(slice(None), channel, *patch)] = change[:, None, None]
            table[:, covered] = kept
    return maps


def _patches(image_size: int, patch_size: int) -> Iterator[tuple[slice, slice]]:
    starts = range(0, image_size, patch_size)
    for row in starts:
        for column in starts:
            yield slice(row, row + patch_size), slice(column, column + patch_size)

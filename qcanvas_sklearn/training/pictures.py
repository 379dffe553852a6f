"""Images that are drawn where the network computes, a batch at a time.

An image is linear in sixteen amplitudes (:mod:`qcanvas_sklearn.rendering`). Rows keep these;
the pixels of a batch are there for as long as the network looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..rendering import AMPLITUDES_OF_CHANNEL, N_AMPLITUDES, templates

__all__ = ["Drawing", "Pictures"]

#: What is no more than this part of a standard deviation is nothing beside the mean; but
#: subnormal numbers, which products with it would be, are slow.
_NOTHING = 1e-20


class Drawing(NamedTuple):
    """What draws standardised images on one device: constants, so that it can be captured.

    Attributes
    ----------
    first, second : Tensor of shape (C,), int64
        Amplitudes of each channel; of one that has one alone the second is the first.
    templates : Tensor of shape (2, C, S, S)
        What they multiply, in units of the channel's standard deviation; nothing where there
        is no second.
    shift : Tensor of shape (C, 1, 1)
        The mean of the channel in the same units.
    """

    first: Tensor
    second: Tensor
    templates: Tensor
    shift: Tensor

    def __call__(self, amplitudes: Tensor) -> Tensor:
        """Images (b, C, S, S) of amplitudes (b, 16).

        Each pixel by itself, not by a product of matrices: the latter round by where a row
        lies, and a pair's image must not depend on its neighbours.
        """
        first, second = (
            amplitudes.index_select(1, which)[..., None, None]
            for which in (self.first, self.second)
        )
        out = torch.addcmul(-self.shift, first, self.templates[0])
        return out.addcmul_(second, self.templates[1])


@dataclass(frozen=True)
class Pictures:
    """Which images amplitudes stand for.

    Attributes
    ----------
    image_size : int
        Pixels a side.
    channels : tuple of int
        Channels, in increasing order.
    """

    image_size: int
    channels: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Memory of the images of a row in single precision."""
        return 4 * len(self.channels) * self.image_size**2

    def moments(
        self, amplitudes: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each channel (C,) over rows and pixels.

        Parameters
        ----------
        amplitudes : ndarray of shape (n, 16)
            At least one row.

        Notes
        -----
        No pixel is drawn: with the amplitudes a and the templates T of a channel, these are
        means of a T and of a a' T T', products of a mean over rows and one over pixels.
        """
        mean, square = np.empty((2, len(self.channels)))
        for slot, channel in enumerate(self.channels):
            own = AMPLITUDES_OF_CHANNEL[channel]
            rows = amplitudes[:, own].astype(np.float64)
            pixels = self._templates(channel).reshape(rows.shape[1], -1)
            mean[slot] = rows.mean(axis=0) @ pixels.mean(axis=1)
            of_rows = rows.T @ rows / len(rows)
            square[slot] = (of_rows * (pixels @ pixels.T) / pixels.shape[1]).sum()
        return mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def drawing(
        self,
        mean: NDArray[np.float64],
        scale: NDArray[np.float64],
        device: torch.device,
        dtype: torch.dtype,
    ) -> Drawing:
        """What draws them on a device, less the means (C,) of the channels, over the scales."""
        return _drawing(self, tuple(mean.tolist()), tuple(scale.tolist()), device, dtype)

    def _templates(self, channel: int) -> NDArray[np.float64]:
        return templates(self.image_size, np.float64)[AMPLITUDES_OF_CHANNEL[channel]]


@lru_cache(maxsize=4)
def _drawing(
    pictures: Pictures, mean: tuple[float, ...], scale: tuple[float, ...],
    device: torch.device, dtype: torch.dtype,
) -> Drawing:  # fmt: skip
    """What draws pictures; made once for all pieces of a prediction."""
    channels = pictures.channels
    own = [range(N_AMPLITUDES)[AMPLITUDES_OF_CHANNEL[channel]] for channel in channels]
    drawn = np.zeros((2, len(own), pictures.image_size, pictures.image_size))
    for slot, channel in enumerate(channels):
        drawn[: len(own[slot]), slot] = pictures._templates(channel) / scale[slot]
    drawn[np.abs(drawn) < _NOTHING] = 0
    # Whoever predicts first: what is kept may be trained with as well.
    with torch.inference_mode(False):
        first, second = (
            torch.tensor([numbers[k] for numbers in own], device=device) for k in (0, -1)
        )
        shift = torch.tensor(mean, dtype=torch.float64) / torch.tensor(
            scale, dtype=torch.float64
        )
        return Drawing(
            first, second, torch.as_tensor(drawn).to(device, dtype),
            shift[:, None, None].to(device, dtype),
        )  # fmt: skip

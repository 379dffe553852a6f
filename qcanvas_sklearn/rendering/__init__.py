"""The ten image channels: fixed templates times at most sixteen amplitudes.

Arrays in, arrays out. Every image is linear in a handful of numbers of the pair
(`channel_amplitudes`). Rendering is the product of these amplitudes with templates that
depend on the image size only; its inverse is a least-squares fit (`recover_amplitudes`).
An image therefore holds no more information than its amplitudes.
"""

from ._amplitudes import DEBYE_PER_ATOMIC_UNIT, channel_amplitudes
from ._channels import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    MIN_IMAGE_SIZE,
    N_AMPLITUDES,
    check_image_size,
    resolve_channels,
)
from ._images import channel_means, mean_pixels, recover_amplitudes, render, row_blocks
from ._templates import orthonormal_templates, templates

__all__ = [
    "AMPLITUDES_OF_CHANNEL",
    "CHANNEL_NAMES",
    "DEBYE_PER_ATOMIC_UNIT",
    "MIN_IMAGE_SIZE",
    "N_AMPLITUDES",
    "channel_amplitudes",
    "channel_means",
    "check_image_size",
    "mean_pixels",
    "orthonormal_templates",
    "recover_amplitudes",
    "render",
    "resolve_channels",
    "row_blocks",
    "templates",
]

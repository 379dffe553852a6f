"""Convolutions of few channels by products of matrices, for training on CUDA."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["by_columns", "convolved"]


class _Columns(torch.autograd.Function):
    """What each output pixel sees of the maps (b, C, H, W), (b, C * k * k, n_pixels).

    As ``torch.nn.functional.unfold``, which on CUDA takes an operation for each row.
    """

    @staticmethod
    def forward(x: Tensor, size: int, stride: int, padding: int) -> Tensor:
        padded = nn.functional.pad(x, [padding] * 4)
        seen = padded.unfold(2, size, stride).unfold(3, size, stride)
        return seen.permute(0, 1, 4, 5, 2, 3).flatten(4).flatten(1, 3)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, *ctx.how = inputs
        ctx.shape = x.shape[-2:]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None]:
        size, stride, padding = ctx.how
        maps = nn.functional.fold(slope, ctx.shape, size, padding=padding, stride=stride)
        return maps, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, *how: int) -> tuple[Tensor, int]:
        members = x.movedim(in_dims[0], 0)
        columns = _Columns.apply(members.flatten(0, 1), *how)
        return columns.unflatten(0, members.shape[:2]), 0


def by_columns(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """What a convolution with square kernels makes of x (b, C, H, W), to round-off."""
    (size, _), (stride, _) = conv.kernel_size, conv.stride
    padding: Any = conv.padding[0]
    assert conv.bias is not None
    columns = _Columns.apply(x, size, stride, padding)
    weight = conv.weight.flatten(1).expand(len(x), -1, -1)
    out = torch.baddbmm(conv.bias[:, None], weight, columns)
    return out.unflatten(2, ((x.shape[2] + 2 * padding - size) // stride + 1, -1))


def convolved(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """What a convolution makes of x (b, C, H, W).

    Gradients of few weights are sums over many pixels. Where they are to repeat to the last
    bit, cuDNN goes through these one after the other; products of matrices, row by row of
    the batch, share them out.
    """
    if x.is_cuda and conv.training:
        return by_columns(conv, x)
    out: Tensor = conv(x)
    return out

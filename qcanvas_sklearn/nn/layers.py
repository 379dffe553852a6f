"""Building blocks shared by the architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = [
    "AtomFeatures",
    "Scaling",
    "SinglePrecision",
    "Standardize",
    "element_one_hot",
    "mlp",
]


#: Mean and scale of some features.
Scaling = tuple[NDArray[np.float32], NDArray[np.float32]]


class Standardize(nn.Module):
    r"""Shift and scale features by constants, :math:`(x - \mu) / \sigma`.

    The constants are buffers: they travel with the weights, so that a saved network
    takes its inputs in the user's units.

    Parameters
    ----------
    mean : array-like of shape (k,)
        Shift of each feature.
    scale : array-like of shape (k,)
        Divisor of each feature, not zero.
    dim : int, default=-1
        Axis of the features.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: NDArray | Tensor, scale: NDArray | Tensor, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        shape = [1] * x.ndim
        shape[self.dim] = -1
        return (x - self.mean.view(shape)) / self.scale.view(shape)

    def extra_repr(self) -> str:
        return f"{len(self.mean)}, dim={self.dim}"


class AtomFeatures(nn.Module):
    """One-hot element, tabulated descriptors and standardised scalars of each atom.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    descriptors : array of shape (n_elements + 1, n_descriptors)
        Fixed descriptors of the elements, standardised, 0 for no element.
    scaling : tuple of two arrays of shape (n_atom,)
        Mean and scale of the per-atom scalars.

    Attributes
    ----------
    n_features : int
        Features of an atom.
    """

    descriptors: Tensor

    def __init__(self, n_elements: int, descriptors: NDArray, scaling: Scaling) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.scalars = Standardize(*scaling)
        self.register_buffer("descriptors", torch.tensor(descriptors, dtype=torch.float32))
        self.n_features = n_elements + self.descriptors.shape[1] + len(scaling[0])

    def forward(self, z: Tensor, scalars: Tensor) -> Tensor:
        """Map atomic numbers (...) and scalars (..., n_atom) to (..., n_features)."""
        scalars = self.scalars(scalars)
        one_hot = element_one_hot(z, self.n_elements, scalars.dtype)
        return torch.cat([one_hot, self.descriptors[z], scalars], dim=-1)


class SinglePrecision(nn.Sequential):
    """Layers that stay in single precision when the network around them is cast.

    Networks predict in double precision on the CPU, where convolutions are ten times slower
    in it; single-precision round-off in their features is a fair price.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        return super()._apply(lambda tensor: _to_single(fn(tensor)), recurse)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


def _to_single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with SiLU (and dropout) between them, none behind the last."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        if i:
            layers.append(nn.SiLU())
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)


def element_one_hot(z: Tensor, n_elements: int, dtype: torch.dtype) -> Tensor:
    """One-hot elements of shape (..., n_elements); all zero where z is 0."""
    return nn.functional.one_hot(z, n_elements + 1)[..., 1:].to(dtype)

"""Rows as a network sees them: gathered by index, moved to a device, cut into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..rendering import render
from .pictures import Drawing, Pictures

__all__ = ["DenseRows", "Rows", "Scaling"]

_BLOCK_BYTES = 2**22
#: Rows of one shape that are predicted at a time, by default.
_PIECE = 256
#: The same on a GPU, and the memory of their inputs.
_GPU_PIECE = 2**14
_GPU_BYTES = 2**28


class Scaling(NamedTuple):
    """Mean and standard deviation of the features of one input.

    Attributes
    ----------
    mean, scale : ndarray of shape (k,), float64
        Shift and divisor.
    axis : int
        Axis of the features.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axis: int = -1

    def apply(self, values: NDArray) -> NDArray[np.float64]:
        """Values less the mean, over the scale, in double precision."""
        shape = [1] * values.ndim
        shape[self.axis] = -1
        return (values - self.mean.reshape(shape)) / self.scale.reshape(shape)


class Rows(Protocol):
    """What readers make of X, and all that training knows of it.

    Attributes
    ----------
    uniform : bool
        Whether as many rows are always as much memory, whichever they are.
    """

    uniform: ClassVar[bool]

    def __len__(self) -> int: ...

    def take(self, index: NDArray | slice) -> Rows:
        """Some of the rows, still on the host."""
        ...

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Rows:
        """The rows as standardised tensors on a device."""
        ...

    def batch(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The network's inputs for some of the rows; after :meth:`to`."""
        ...

    def entries(self, level: str, index: Tensor) -> Tensor:
        """Positions of the labels of some rows among those of a level."""
        ...

    def pieces(self, on_gpu: bool = False) -> Iterator[slice]:
        """Rows that are computed at a time: by the CPU's caches, or a GPU's memory."""
        ...

    def keys(self) -> NDArray[np.int64]:
        """A number for what each row holds, equal for equal rows alone, shape (n,)."""
        ...

    @property
    def nbytes(self) -> int:
        """Memory of the rows on the host."""
        ...

    def concat(self, other: Any) -> Rows:
        """These rows, and others of the same kind behind them."""
        ...


@dataclass(frozen=True)
class DenseRows:
    """Rows that all have one shape: arrays whose first axis they are.

    Attributes
    ----------
    arrays : mapping of str to ndarray or Tensor
        The network's inputs by name, first axis n, in the user's units on the host, as
        standardised tensors on a device.
    scaling : mapping of str to Scaling
        How inputs are standardised on the way to a device; in double precision, before
        they become what the network computes in.
    n_atoms : int, default=0
        Atoms of each row, for labels of atoms; 0 where rows have none.
    beside : mapping of str to ndarray
        What else belongs to the rows and no network sees, first axis n.
    pictures : Pictures or Drawing, optional
        Which images the array ``amplitudes`` (n, 16) stands for, on a device what draws them.
        The network is given ``image`` in its place.
    piece : int, default=256
        Rows that a CPU computes at a time: few for its caches, more where a network is many
        small operations.
    """

    arrays: Mapping[str, Any]
    scaling: Mapping[str, Scaling] = field(default_factory=dict)
    n_atoms: int = 0
    beside: Mapping[str, NDArray] = field(default_factory=dict)
    pictures: Pictures | Drawing | None = None
    piece: int = _PIECE

    uniform: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def take(self, index: NDArray | slice) -> DenseRows:
        """Some of the rows, still on the host."""
        if isinstance(index, np.ndarray) and np.array_equal(index, np.arange(len(self))):
            return self
        return self._each(lambda name, array: array[index])

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> DenseRows:
        """The rows as standardised tensors on a device; integers keep their kind."""
        tensors = {
            name: _tensor(array, self.scaling.get(name), device, dtype)
            for name, array in self.arrays.items()
        }
        drawing = None
        if isinstance(self.pictures, Pictures):
            of_pixels = self.scaling.get("image")
            n_channels = len(self.pictures.channels)
            mean, scale = np.zeros(n_channels), np.ones(n_channels)
            if of_pixels is not None:
                mean, scale = of_pixels.mean, of_pixels.scale
            drawing = self.pictures.drawing(mean, scale, device, dtype)
        return DenseRows(tensors, n_atoms=self.n_atoms, pictures=drawing)

    def batch(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The network's inputs for some of the rows; after :meth:`to`."""
        inputs = {name: tensor[index] for name, tensor in self.arrays.items()}
        if isinstance(self.pictures, Drawing):
            inputs["image"] = self.pictures(inputs.pop("amplitudes"))
        return inputs

    def drawn(self) -> DenseRows:
        """The same rows with pixels on the host, as rows of a table have them."""
        if not isinstance(self.pictures, Pictures):
            return self
        arrays = dict(self.arrays)
        image = render(
            arrays.pop("amplitudes"), self.pictures.image_size, self.pictures.channels
        )
        return replace(self, arrays={**arrays, "image": image}, pictures=None)

    def entries(self, level: str, index: Tensor) -> Tensor:
        """Positions of the labels of some rows among those of a level.

        Parameters
        ----------
        level : {"row", "atom"}
            One label a row, or one an atom, the atoms of a row behind each other.
        index : Tensor of shape (b,)
            Rows.

        Returns
        -------
        Tensor of shape (b,) or (b * n_atoms,)
        """
        if level == "row":
            return index
        atoms = torch.arange(self.n_atoms, device=index.device)
        return (index[:, None] * self.n_atoms + atoms).flatten()

    def pieces(self, on_gpu: bool = False) -> Iterator[slice]:
        """Rows that are computed at a time: by the CPU's caches, or a GPU's memory."""
        size = self.piece
        if on_gpu and len(self):
            of_row = self.nbytes // len(self) + 1
            if isinstance(self.pictures, Pictures):
                of_row += self.pictures.nbytes
            size = int(np.clip(_GPU_BYTES // of_row, _PIECE, _GPU_PIECE))
        for start in range(0, len(self), size):
            yield slice(start, start + size)

    def keys(self) -> NDArray[np.int64]:
        """A number for what each row holds, equal for equal rows alone, shape (n,)."""
        arrays = list(self.arrays.values())
        digests = [
            blake2b(b"".join(array[row].tobytes() for array in arrays), digest_size=8)
            for row in range(len(self))
        ]
        return np.frombuffer(b"".join(d.digest() for d in digests), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Memory of the rows on the host."""
        return sum(array.nbytes for array in self.arrays.values())

    def concat(self, other: DenseRows) -> DenseRows:
        """These rows, and others of the same kind behind them."""
        if self.pictures != other.pictures:  # some were kept by an earlier version
            return self.drawn().concat(other.drawn())
        others = {**other.arrays, **other.beside}
        return self._each(lambda name, array: np.concatenate([array, others[name]]))

    def _each(self, change: Callable[[str, NDArray], NDArray]) -> DenseRows:
        arrays, beside = (
            {name: change(name, array) for name, array in own.items()}
            for own in (self.arrays, self.beside)
        )
        return replace(self, arrays=arrays, beside=beside)


def _tensor(
    array: NDArray, scaling: Scaling | None, device: torch.device, dtype: torch.dtype
) -> Tensor:
    if array.dtype.kind not in "f":
        return _sent(torch.as_tensor(np.ascontiguousarray(array), dtype=torch.int64), device)
    if scaling is None:
        # Torch takes writable memory only; a memory map or a user's array may be read-only.
        writable = torch.as_tensor(np.require(array, requirements=["C", "W"]))
        return _sent(writable, device).to(dtype)
    out = torch.empty(array.shape, dtype=dtype)
    step = max(1, _BLOCK_BYTES // (8 * max(array[:1].size, 1)))
    for start in range(0, len(array), step):
        rows = slice(start, start + step)
        out[rows] = torch.as_tensor(scaling.apply(array[rows]))
    return _sent(out, device)


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device, to which a GPU does not stop computing what it was given before.

    Only what a piece is made of: pages that cannot be moved are not to be many.
    """
    if device.type != "cuda" or tensor.nbytes > _GPU_BYTES:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)

"""Parts of a network that do not depend on each other, side by side in a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C._functorch import peek_interpreter_stack

__all__ = ["side_by_side"]

T = TypeVar("T")
U = TypeVar("U")


def side_by_side(
    first: Callable[[], T], second: Callable[..., U], *arguments: Any
) -> tuple[T, U]:
    """Results of two functions, which a CUDA graph that is recorded computes at a time.

    The operations of small networks are too small to fill a GPU, and wait for each other
    longer than they take. Slopes go the same two ways. The numbers are those of one call
    behind the other, which is what happens where no graph is recorded.

    Parameters
    ----------
    first : callable
        Takes nothing.
    second : callable
        Takes `arguments`, the first of which is a tensor.
    *arguments
        Tensors, and lists and tuples of them.
    """
    if not (arguments[0].is_cuda and _is_recorded()):
        return first(), second(*arguments)
    main = torch.cuda.current_stream()
    side = torch.cuda.Stream(main.device)
    side.wait_stream(main)
    # What one stream has made and the other reads must not be given back before it has.
    for tensor in _tensors(arguments):
        tensor.record_stream(side)
    with torch.cuda.stream(side):
        beside = second(*arguments)
    own = first()
    main.wait_stream(side)
    for tensor in _tensors(beside):
        tensor.record_stream(main)
    return own, beside


def _is_recorded() -> bool:
    """Whether a graph is recorded, and not of members of an ensemble by ``torch.vmap``.

    Tensors that stand for those of all members do not say which streams read them.
    """
    return torch.cuda.is_current_stream_capturing() and peek_interpreter_stack() is None


def _tensors(nested: Any) -> Iterator[Tensor]:
    """The tensors in lists and tuples of lists and tuples of them."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, (list, tuple)):
        for part in nested:
            yield from _tensors(part)

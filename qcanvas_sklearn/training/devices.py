"""Devices, random numbers and what else torch keeps for all: taken for a while, given back."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch

__all__ = [
    "keep_freed_memory",
    "precision",
    "repeatable",
    "resolve_device",
    "seeded",
    "single_precision",
    "stream_seed",
]


def resolve_device(device: str | torch.device, *, fallback: bool = False) -> torch.device:
    """The device that a specification stands for; ``"auto"`` is CUDA where present.

    With `fallback`, the CPU stands in for a device that is absent, with a warning: a model
    from a machine with two GPUs predicts on one with a single GPU, and on a laptop.

    Raises
    ------
    ValueError
        If the specification is not one of torch's, or of a device that is absent.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device; use 'auto', 'cpu', 'cuda' or 'cuda:0'"
        ) from error
    count = _count(resolved.type)
    if (resolved.index or 0) >= count:
        name = resolved.type.upper()
        found = f"{count or 'no'} {name} device" + "s" * (count > 1)
        message = f"device={device!r} but torch finds {found}"
        if not fallback:
            raise ValueError(f"{message}; use 'auto' or 'cpu'")
        warnings.warn(
            f"{message}; the CPU is used (device='auto' takes what there is)",
            UserWarning,
            stacklevel=3,
        )
        return torch.device("cpu")
    return resolved


def _count(kind: str) -> int:
    """How many devices of a kind there are."""
    if kind == "cpu":
        return 1
    if kind == "cuda" and not torch.cuda.is_available():
        return 0
    return int(getattr(getattr(torch, kind, None), "device_count", int)())


def precision(device: torch.device) -> torch.dtype:
    """What predictions are computed in: double precision where the device has it."""
    return torch.float64 if device.type in ("cpu", "cuda") else torch.float32


#: Just below the largest block that glibc may learn to keep.
_KEPT_BYTES = 31 * 2**20


@cache
def keep_freed_memory() -> None:
    """Let the allocator keep freed memory, up to some 60 MB, for the next operation.

    glibc gives blocks of a megabyte back to the system until one that is larger has been
    freed. Layers that take and free such blocks all the time would touch new pages each time,
    which takes a fifth of a prediction. This one is never touched.
    """
    torch.empty(_KEPT_BYTES, dtype=torch.uint8)


class _GlobalState:
    """Threads share torch's random state: two nets that train at once would take each
    other's numbers.
    """

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            # A child of a process in which another thread trains would wait for ever.
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """An open lock."""
        self.lock = threading.RLock()


_GLOBAL_STATE = _GlobalState()


def stream_seed(seed: int, n_epochs: int) -> int:
    """Seed of the random numbers behind the first epochs: a continued fit goes on."""
    return int(np.random.SeedSequence([seed, n_epochs]).generate_state(1)[0])


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside, leave its global state as it was."""
    cuda = [device] if device.type == "cuda" else []
    with _GLOBAL_STATE.lock, torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


@contextmanager
def single_precision() -> Iterator[None]:
    """New weights are in single precision inside, whatever the default is outside."""
    with _GLOBAL_STATE.lock:
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(default)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """Convolutions on CUDA that repeat to the last bit, and in full precision, inside."""
    if device.type != "cuda":
        yield
        return
    flags = torch.backends.cudnn.flags(
        enabled=torch.backends.cudnn.enabled,
        benchmark=False,
        deterministic=True,
        allow_tf32=False,
    )
    with _GLOBAL_STATE.lock, flags:
        yield

"""What a calculation of xTB depends on beside the atoms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..elements import SYMBOLS
from ._xtb_states import MAX_Z, METHODS, load_tblite, tblite_version

__all__ = ["Settings", "check_elements", "check_settings"]


@dataclass(frozen=True)
class Settings:
    """What a result depends on beside the atoms and their places."""

    method: str
    version: str
    temperature: float

    @property
    def program(self) -> str:
        return "xTB"

    @property
    def folder(self) -> Path:
        return Path("xtb", self.method, f"{self.temperature:g}K")

    @contextmanager
    def alone(self) -> Iterator[None]:
        load_tblite()  # before the limit, which reaches loaded libraries only
        # The limit holds for the calling thread and ends with the block.
        with threadpool_limits(limits=1, user_api="openmp"):
            yield

    def __str__(self) -> str:
        return (
            f"{self.method} ({METHODS[self.method]}), tblite {self.version}, "
            f"electronic temperature {self.temperature:g} K, lowest multiplicity"
        )


def check_settings(method: str, temperature: float) -> Settings:
    """Settings of a method at an electronic temperature in K.

    Raises
    ------
    ImportError
        If tblite is not installed.
    ValueError
        If the method is unknown, or the temperature not positive.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; known are {list(METHODS)}")
    if not isinstance(temperature, Real) or not 0 < temperature < np.inf:
        raise ValueError(
            f"electronic_temperature must be a positive number of kelvin, got {temperature!r}"
        )
    return Settings(method, tblite_version(), float(temperature))


def check_elements(z: NDArray, method: str) -> None:
    """Raise a ValueError that names the elements that xTB does not cover."""
    bad = np.unique(z[(z < 1) | (z > MAX_Z)])
    if bad.size:
        names = [SYMBOLS[b] if 0 < b < len(SYMBOLS) else f"Z = {b}" for b in bad]
        raise ValueError(
            f"{method} covers the elements up to Z = {MAX_Z} (H to Rn), "
            f"not {', '.join(names)}"
        )

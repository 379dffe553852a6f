"""What records of rows are to scikit-learn and to each other."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ._ragged import equal

__all__ = ["RowRecord"]


class RowRecord:
    """A frozen dataclass of rows: a one-dimensional X or y, compared by value."""

    #: What its rows are, in words.
    _rows_are: ClassVar[str]

    if TYPE_CHECKING:

        def __len__(self) -> int: ...
        def __getitem__(self, index: Any) -> Self: ...

    @property
    def shape(self) -> tuple[int]:
        """``(n,)``, as of a one-dimensional array."""
        return (len(self),)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.object_]:
        """One-dimensional array of records of one row each."""
        if dtype is not None and np.dtype(dtype) != object:
            raise TypeError(f"{self._rows_are} are no numbers of type {dtype}")
        array = np.empty(len(self), dtype=object)
        for i in range(len(self)):
            array[i] = self[i]
        return array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        return all(
            equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)  # type: ignore[arg-type]
        )

    # Records are compared by value, so they have no identity that could be a key.
    __hash__ = None  # type: ignore[assignment]

    def __sklearn_clone__(self) -> Self:
        return self

"""Arrays that carry what is known of their columns for as long as these stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CarryingTable"]

#: Functions that are made of indexing, of methods and of other functions that know columns.
_OF_OTHERS = (
    np.append, np.atleast_2d, np.clip, np.column_stack, np.compress, np.concatenate, np.copy,
    np.flip, np.flipud, np.hstack, np.nan_to_num, np.repeat, np.reshape, np.round, np.squeeze,
    np.swapaxes, np.take, np.vstack,
)  # fmt: skip
#: Functions of an array, another argument and an axis that keep columns if it is that of rows.
_OF_ROWS = (np.delete, np.roll)


def _by_rows(name: str) -> Any:
    """A method that keeps the columns if it goes along rows."""
    of_array = getattr(np.ndarray, name)

    def method(self: CarryingTable, *args: Any, **kwargs: Any) -> Any:
        axis = kwargs.get("axis", args[1] if len(args) > 1 else None)
        return self._noted(of_array(self, *args, **kwargs), self._goes_by_rows(axis))

    method.__name__, method.__doc__ = name, f"As ``numpy.ndarray.{name}``."
    return method


def _without(name: str) -> Any:
    """A method whose result has other columns."""
    of_array = getattr(np.ndarray, name)

    def method(self: CarryingTable, *args: Any, **kwargs: Any) -> Any:
        return self._noted(of_array(self, *args, **kwargs), False)

    method.__name__, method.__doc__ = name, f"As ``numpy.ndarray.{name}``."
    return method


def _in_place(name: str) -> Any:
    """A method that leaves the array itself with other columns."""
    of_array = getattr(np.ndarray, name)

    def method(self: CarryingTable, *args: Any, **kwargs: Any) -> None:
        of_array(self, *args, **kwargs)
        self._columns = None

    method.__name__, method.__doc__ = name, f"As ``numpy.ndarray.{name}``."
    return method


class CarryingTable(np.ndarray):
    """Array with a note on its columns.

    Copies, rows and what is computed entry by entry have it, too. Whatever else is made of
    the array has none: that its columns are as many does not say that they are the same.
    """

    __array_priority__ = 1.0  # what is put beside it becomes one
    _columns: Any

    def __array_finalize__(self, obj: Any) -> None:
        self._columns = getattr(obj, "_columns", None)

    def __array_wrap__(self, array: Any, context: Any = None, *rest: Any) -> Any:
        out = super().__array_wrap__(array, context, *rest)
        # Universal functions with a signature, such as matrix products, mix the columns, and
        # so do reductions, which come without a context.
        return self._noted(out, context is not None and context[0].signature is None)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        out = super().__array_function__(func, types, args, kwargs)
        if func in _OF_OTHERS or any(out is arg for arg in args):
            return out
        first = args[0] if args and isinstance(args[0], CarryingTable) else self
        axis = kwargs.get("axis", args[2] if len(args) > 2 else None)
        return first._noted(out, func in _OF_ROWS and first._goes_by_rows(axis))

    def __getitem__(self, key: Any) -> Any:
        out = super().__getitem__(key)
        first, *others = key if isinstance(key, tuple) and key else (key,)
        whole = all(
            part is Ellipsis or isinstance(part, slice) and part == slice(None)
            for part in others
        )
        # A row is indexed along its columns; a mask of two dimensions picks entries.
        rows = np.ndim(first) < 2 if self.ndim == 2 else self.ndim == 1 and first is None
        return self._noted(out, rows and whole)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """As ``numpy.ndarray.reshape``; a row that is made a table keeps its columns."""
        out = super().reshape(*shape, **kwargs)
        row = self.ndim == 1 and out.shape == (1, self.size)
        return self._noted(out, row or out.shape == self.shape)

    take, repeat, compress = map(_by_rows, ("take", "repeat", "compress"))
    sort, partition = map(_in_place, ("sort", "partition"))
    argsort, argpartition, cumsum, cumprod, dot, choose, diagonal, argmax, argmin = map(
        _without,
        ("argsort", "argpartition", "cumsum", "cumprod", "dot", "choose", "diagonal", "argmax",
         "argmin"),
    )  # fmt: skip

    def transpose(self, *axes: Any) -> Any:
        """The base array's; columns are rows then."""
        return np.asarray(self).transpose(*axes)

    def swapaxes(self, axis1: Any, axis2: Any) -> Any:
        """The base array's where it does anything; columns are rows then."""
        same = axis1 % self.ndim == axis2 % self.ndim
        return self.view() if same else np.asarray(self).swapaxes(axis1, axis2)

    @property
    def T(self) -> Any:
        """The base array's; columns are rows then."""
        return self.transpose()

    @property
    def mT(self) -> Any:
        """The base array's; columns are rows then."""
        return self.swapaxes(-1, -2)

    def _goes_by_rows(self, axis: Any) -> bool:
        return self.ndim == 2 and axis in (0, -2)

    def _noted(self, out: Any, same: bool) -> Any:
        """What was made of the array, with its columns where they are the same."""
        if isinstance(out, CarryingTable):
            out._columns = self._columns if same else None
        return out

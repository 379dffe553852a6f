"""Values as JSON and arrays.

None, truth values, whole numbers, finite numbers, texts and lists stand for themselves, and
paths are texts.
Everything else is an object of one key, which says what it is, as in ``{"tuple": [1, 2]}``.
Arrays are named, and lie beside the JSON. What the registry lists stands in a table, each
behind those that it refers to: nothing can refer to itself, and what is shared stays shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from ._codecs import put_together, take_apart
from ._frames import frame_of, parts_of
from ._registry import Form, kind_named, kind_of

__all__ = ["Reader", "Writer"]

#: Data types of arrays and single numbers.
_NUMBERS = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)  # fmt: skip


class Writer:
    """Take an object to pieces.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays by name, each contiguous.
    objects : list of dict
        The table of objects.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray] = {}
        self.objects: list[dict[str, Any]] = []
        self._found: dict[int, Any] = {}
        self._kept: list[Any] = []  # as long as they are, no other object has their id
        self._open: set[int] = set()

    def value(self, value: Any, where: str) -> Any:
        """A value as JSON.

        Parameters
        ----------
        value : object
            Anything.
        where : str
            What it is called, for errors.

        Raises
        ------
        TypeError
            If it, or something in it, cannot stand in a file; the message says where.
        """
        if value is None or type(value) in (bool, int, str):
            return value
        if isinstance(value, PurePath):
            return str(value)  # parameters that are paths may be texts as well
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if id(value) in self._found:
            return self._found[id(value)]
        if id(value) in self._open:
            raise TypeError(f"{where} holds itself, which a model file cannot tell")
        self._open.add(id(value))
        encoded = self._compound(value, where)
        self._open.remove(id(value))
        if isinstance(encoded, dict) and set(encoded) & {"array", "tensor", "object"}:
            self._found[id(value)] = encoded
            self._kept.append(value)
        return encoded

    def _compound(self, value: Any, where: str) -> Any:
        if isinstance(value, (np.generic, np.ndarray, np.dtype)):
            return self._of_numpy(value, where)
        if type(value) in (list, tuple, set, frozenset):
            items = sorted(value) if isinstance(value, (set, frozenset)) else value
            found = [self.value(item, f"{where}[{i}]") for i, item in enumerate(items)]
            return found if type(value) is list else {type(value).__name__: found}
        if type(value) in (dict, MappingProxyType):
            return self._mapping(value, where)
        if type(value) is slice:
            parts = (value.start, value.stop, value.step)
            return {"slice": [self.value(part, where) for part in parts]}
        if type(value) is torch.Tensor:
            array = value.detach().cpu().contiguous().numpy()
            return {"tensor": self._stored(array, where)}
        if type(value) is pd.DataFrame:
            return {"frame": self.value(parts_of(value, where), where)}
        if isinstance(value, type):
            return self._class(value, where)
        return self._object(value, where)

    def _mapping(self, value: Mapping[Any, Any], where: str) -> dict[str, Any]:
        if all(type(key) is str for key in value):
            own = {key: self.value(v, f"{where}[{key!r}]") for key, v in value.items()}
            return {"dict": own}
        pairs = [
            [self.value(key, where), self.value(v, f"{where}[{key!r}]")]
            for key, v in value.items()
        ]
        return {"mapping": pairs}

    def _of_numpy(self, value: Any, where: str) -> dict[str, Any]:
        if isinstance(value, np.dtype):
            if value.name not in _NUMBERS:
                raise TypeError(f"{where} is the data type {value}, {_REFUSED}")
            return {"dtype": value.name}
        if isinstance(value, np.str_):
            return {"str": str(value)}
        if isinstance(value, np.generic):
            if value.dtype.name not in _NUMBERS:
                raise TypeError(f"{where} is a number of type {value.dtype}, {_REFUSED}")
            return {value.dtype.name: self.value(value.item(), where)}
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{where} is a masked array, {_REFUSED}")
        array = np.asarray(value)
        if array.dtype.kind in "OUT":
            flat = array.ravel().tolist()
            items = [self.value(item, f"{where}[{i}]") for i, item in enumerate(flat)]
            own_type = "object" if array.dtype.kind == "O" else "str"
            return {"items": [own_type, list(array.shape), items]}
        # Sums over an array depend in the last bits on the order that it lies in.
        if array.flags.f_contiguous and not array.flags.c_contiguous:
            return {"array": self._stored(array.T, where), "order": "F"}
        return {"array": self._stored(array, where)}

    def _stored(self, array: NDArray, where: str) -> str:
        if array.dtype.name not in _NUMBERS:
            raise TypeError(f"{where} is an array of type {array.dtype}, {_REFUSED}")
        name = f"{len(self.arrays)} {where}"
        self.arrays[name] = np.asarray(array, array.dtype.newbyteorder("="), order="C")
        return name

    def _class(self, value: type, where: str) -> dict[str, str]:
        if issubclass(value, np.generic) and np.dtype(value).name in _NUMBERS:
            return {"numpy": np.dtype(value).name}
        kind = kind_of(value)
        if kind is None or kind.form is not Form.NETWORK:
            raise TypeError(f"{where} is the class {value.__qualname__}, {_REFUSED}")
        return {"class": kind.name}

    def _object(self, value: Any, where: str) -> dict[str, int]:
        kind = kind_of(type(value))
        if kind is None or kind.form is Form.NETWORK:
            # The ufuncs of older releases of numpy have a name alone.
            name = getattr(value, "__qualname__", getattr(value, "__name__", None))
            what = name or f"a {type(value).__qualname__}"
            raise TypeError(f"{where} is {what}, {_REFUSED}")
        parts = {
            part: {name: self.value(v, f"{where}.{name}") for name, v in own.items()}
            for part, own in take_apart(value, kind).items()
        }
        self.objects.append({"is": kind.name, **parts})
        return {"object": len(self.objects) - 1}


_REFUSED = (
    "which a model file cannot hold: it holds this package's own classes, some of "
    "scikit-learn's, arrays and plain values, and no code"
)


class Reader:
    """Put an object together.

    Parameters
    ----------
    arrays : mapping of str to ndarray
        Arrays by name.
    objects : list
        The table of objects.

    Raises
    ------
    ValueError
        If the table is not what a `Writer` makes. Damaged ones may raise other exceptions.
    """

    def __init__(self, arrays: Mapping[str, NDArray], objects: list[Any]) -> None:
        self._arrays = arrays
        self._used: set[str | int] = set()
        self._tensors: dict[str, torch.Tensor] = {}
        self._made: list[Any] = []
        for entry in objects:
            self._made.append(self._object(entry))

    def check_used(self) -> None:
        """Raise a ValueError where something is left over."""
        everything = {*self._arrays, *range(len(self._made))}
        if self._used != everything:
            left = sorted(everything - self._used, key=str)
            raise ValueError(f"nothing refers to its {left!r:.80}")

    def value(self, encoded: Any) -> Any:
        """The value that JSON stands for."""
        if encoded is None or isinstance(encoded, (bool, int, float, str)):
            return encoded
        if isinstance(encoded, list):
            return [self.value(item) for item in encoded]
        tag, *others = encoded
        if tag == "array":
            return self._array(encoded)
        if others or tag not in _DECODERS:
            raise ValueError(f"it holds {list(encoded)!r:.80}, which is no kind of value")
        return _DECODERS[tag](self, encoded[tag])

    def _array(self, encoded: Mapping[str, Any]) -> NDArray:
        array = self.stored(encoded["array"])
        if encoded == {"array": encoded["array"], "order": "F"}:
            return array.T
        if len(encoded) > 1:
            raise ValueError(f"it holds {dict(encoded)!r:.80}, which is no array")
        return array

    def stored(self, name: str) -> NDArray:
        """An array by its name."""
        self._used.add(name)
        return self._arrays[name]

    def _tensor(self, name: str) -> torch.Tensor:
        if name not in self._tensors:
            self._tensors[name] = torch.from_numpy(self.stored(name))
        return self._tensors[name]

    def _items(self, encoded: list[Any]) -> NDArray:
        dtype, shape, items = encoded
        if dtype not in ("object", "str") or len(items) != math.prod(shape):
            raise ValueError(f"it holds {len(items)} items of {dtype!r:.20} in shape {shape}")
        array = np.empty(len(items), dtype=object)
        for k, item in enumerate(items):  # at once, numpy would take lists to pieces
            array[k] = self.value(item)
        return array.reshape(shape).astype(object if dtype == "object" else np.str_)

    def _frame(self, encoded: Any) -> pd.DataFrame:
        return frame_of(self.value(encoded))

    def _referred(self, number: int) -> Any:
        if type(number) is not int or not 0 <= number < len(self._made):
            raise ValueError(f"it refers to object {number!r:.20}, which is not there")
        self._used.add(number)
        return self._made[number]

    def _object(self, entry: Mapping[str, Any]) -> Any:
        kind = kind_named(entry["is"])
        parts = {
            part: {name: self.value(v) for name, v in fields.items()}
            for part, fields in entry.items()
            if part != "is"
        }
        return put_together(kind, parts)


def _network(name: str) -> type:
    kind = kind_named(name)
    if kind.form is not Form.NETWORK:
        raise ValueError(f"it takes {name!r} for a network")
    return kind.type


def _number_type(name: str) -> np.dtype:
    if name not in _NUMBERS:
        raise ValueError(f"it holds the data type {name!r:.40}")
    return np.dtype(name)


def _not_finite(text: str) -> float:
    if text not in ("nan", "inf", "-inf"):
        raise ValueError(f"it takes {text!r:.40} for a number")
    return float(text)


def _number(name: str) -> Callable[[Reader, Any], Any]:
    return lambda reader, value: np.dtype(name).type(reader.value(value))


_DECODERS: dict[str, Callable[[Reader, Any], Any]] = {
    "float": lambda reader, text: _not_finite(text),
    "str": lambda reader, text: np.str_(text),
    "tuple": lambda reader, items: tuple(reader.value(item) for item in items),
    "set": lambda reader, items: {reader.value(item) for item in items},
    "frozenset": lambda reader, items: frozenset(reader.value(item) for item in items),
    "dict": lambda reader, items: {key: reader.value(v) for key, v in items.items()},
    "mapping": lambda reader, pairs: {reader.value(key): reader.value(v) for key, v in pairs},
    "slice": lambda reader, parts: slice(*(reader.value(part) for part in parts)),
    "dtype": lambda reader, name: _number_type(name),
    "numpy": lambda reader, name: _number_type(name).type,
    "class": lambda reader, name: _network(name),
    "items": Reader._items,
    "tensor": Reader._tensor,
    "frame": Reader._frame,
    "object": Reader._referred,
    **{name: _number(name) for name in _NUMBERS},
}

"""Pickled arrays of plain values, rebuilt without running the pickle.

A pickle is a program for a stack machine whose instructions can import and call whatever
the file names. The machine below knows the instructions that build plain values, dicts
with text keys, and what numpy writes around an object array. The few callables among the
latter are recognised by name and imitated: nothing that a file names is ever imported or
called. Restricting `pickle.Unpickler.find_class` would not be enough: one instruction
with a large memo index takes gigabytes there, and hashing a deeply nested key overflows
the C stack.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_object_array"]

_MULTIARRAY = r"numpy\.(core|_core)\.multiarray"
_IMITATED = re.compile(
    rf"{_MULTIARRAY}\._reconstruct|{_MULTIARRAY}\.scalar|numpy\.ndarray|numpy\.dtype"
    r"|_codecs\.encode"
)
_SCALAR_CODE = re.compile(r"[bifu][1248]|U\d{1,4}")


@dataclass(frozen=True)
class _Global:
    """A callable that numpy's pickles refer to."""

    name: str


@dataclass
class _DType:
    """A numpy data type as pickled: its code, such as ``"f8"``, and its byte order."""

    code: str
    order: str = "="

    def set_state(self, version: int, order: str, *details: Any) -> None:
        if order not in ("<", ">", "=", "|"):
            raise ValueError("a data type without a byte order")
        self.order = order


@dataclass
class _Array:
    """A numpy array as pickled; `items` is None unless it holds objects."""

    shape: tuple[int, ...] = (0,)
    items: list[Any] | None = None

    def set_state(
        self, version: int, shape: tuple[int, ...], dtype: _DType, fortran: bool, items: Any
    ) -> None:
        self.shape = shape
        if dtype.code.startswith("O"):
            if type(items) is not list:
                raise ValueError("an array of objects without a list of them")
            self.items = items


def _refuse(what: str) -> NoReturn:
    raise ValueError(f"refused to run {what[:100]!r}, which the pickled data ask for")


def _decode_scalar(dtype: _DType, data: bytes) -> bool | int | float | str:
    if not _SCALAR_CODE.fullmatch(dtype.code):
        raise ValueError(f"a numpy scalar of the data type {dtype.code[:100]!r}")
    return np.frombuffer(data, dtype.order + dtype.code, count=1)[0].item()


def _imitate(function: _Global, arguments: tuple[Any, ...]) -> Any:
    """What numpy's callable of this name would return, in plain types and our own."""
    if not isinstance(function, _Global):
        raise ValueError("a call of something that is no function")
    match function.name.rpartition(".")[2], arguments:
        case "_reconstruct", (_Global(name="numpy.ndarray"), _, _):
            return _Array()
        case "dtype", (str(code), _, _):
            return _DType(code)
        case "scalar", (_DType() as dtype, bytes(data)):
            return _decode_scalar(dtype, data)
        case "encode", (str(text), "latin1"):
            return text.encode("latin1")
    raise ValueError(f"a call of {function.name!r} with arguments that numpy does not write")


class _Machine:
    """Interpreter of the harmless part of pickle's instructions, protocols 2 to 5."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes, max_steps: int) -> Any:
        for n, (instruction, argument, _) in enumerate(pickletools.genops(data)):
            if n == max_steps:
                raise ValueError(f"more than {max_steps} instructions of pickled data")
            step = _STEPS.get(instruction.name)
            if step is None:
                _refuse(f"{instruction.name} {'' if argument is None else argument}".strip())
            step(self, argument)
        [result] = self.stack
        return result

    def since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"a {kind.__name__} was expected")
        return self.stack[-1]

    def push_tuple(self, length: int) -> None:
        items = self.stack[-length:]
        if len(items) < length:
            raise ValueError("too few items for a tuple")
        self.stack[-length:] = [tuple(items)]

    def set_items(self, items: list[Any]) -> None:
        keys = items[::2]
        # Hashing a nested tuple recurses without limit.
        if not all(type(key) is str for key in keys):
            raise ValueError("a dict with keys other than text")
        self.top(dict).update(zip(keys, items[1::2], strict=True))

    def append(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def memoize(self, index: int | None) -> None:
        self.memo[len(self.memo) if index is None else index] = self.stack[-1]

    def push_global(self, name: str) -> None:
        if not _IMITATED.fullmatch(name):
            _refuse(name)
        self.stack.append(_Global(name))

    def push_stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.push_global(f"{module}.{name}")

    def reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = _imitate(self.stack[-1], arguments)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, (_Array, _DType)) or type(state) is not tuple:
            raise ValueError("a state for something that has none")
        target.set_state(*state)


def _push(machine: _Machine, argument: Any) -> None:
    machine.stack.append(argument)


def _pass(machine: _Machine, argument: Any) -> None:
    pass


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), _pass),
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE",
         "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"),
        _push,
    ),
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "MARK": lambda m, _: m.marks.append(len(m.stack)),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.since_mark())),
    "TUPLE1": lambda m, _: m.push_tuple(1),
    "TUPLE2": lambda m, _: m.push_tuple(2),
    "TUPLE3": lambda m, _: m.push_tuple(3),
    "APPEND": lambda m, _: m.append([m.stack.pop()]),
    "APPENDS": lambda m, _: m.append(m.since_mark()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.since_mark()),
    "MEMOIZE": _Machine.memoize,
    "BINPUT": _Machine.memoize,
    "LONG_BINPUT": _Machine.memoize,
    "BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.stack.append(m.memo[index]),
    "GLOBAL": lambda m, name: m.push_global(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": lambda m, _: m.push_stack_global(),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
}  # fmt: skip


def read_object_array(data: bytes, max_steps: int = 10**6) -> NDArray[np.object_]:
    """Rebuild a pickled object array from plain values alone.

    Parameters
    ----------
    data : bytes
        Pickle of protocol 2 to 5.
    max_steps : int, default=1,000,000
        Most instructions to follow; each takes some hundred bytes of memory at most.

    Returns
    -------
    ndarray of object
        Items are None, bool, int, float, str, bytes, and lists, tuples and dicts of
        these; numpy scalars have become Python's.

    Raises
    ------
    ValueError
        If the pickle asks for anything else, which is then named, or is damaged.
    """
    try:
        array = _Machine().run(data, max_steps)
    except ValueError:
        raise
    except Exception as error:
        # A damaged pickle fails in as many ways as there are instructions.
        raise ValueError(f"damaged pickled data ({type(error).__name__}: {error})") from error
    if not isinstance(array, _Array) or array.items is None:
        raise ValueError("pickled data other than an array of objects")
    items = np.fromiter(array.items, dtype=object, count=len(array.items))
    return items.reshape(array.shape)

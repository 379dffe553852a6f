"""Arrays of an ``.npz`` file, pickled ones included, read without running the file.

A pickle is a program for a stack machine whose instructions can import and call whatever
the file names. The machine below knows the instructions that build plain values, dicts
with text keys, and what numpy writes around an object array. The few callables among the
latter are recognised by name and imitated: nothing that a file names is ever imported or
called. Restricting `pickle.Unpickler.find_class` would not be enough: one instruction
with a large memo index takes gigabytes there, and hashing a deeply nested key overflows
the C stack.
"""

from __future__ import annotations

import math
import pickletools
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_ROWS", "Rows", "read_arrays", "read_object_array"]

#: Most rows that an array may have.
MAX_ROWS = 1_000_000

# Objects take some sixty times the bytes of the instructions that build them. The
# archive needs 1.3 kB of pickle a row.
_PICKLE_BYTES_PER_ROW = 4096
_PICKLE_BYTES = 2**20

_MULTIARRAY = r"numpy\.(core|_core)\.multiarray"
_IMITATED = re.compile(
    rf"{_MULTIARRAY}\._reconstruct|{_MULTIARRAY}\.scalar|numpy\.ndarray|numpy\.dtype"
    r"|_codecs\.encode"
)
_SCALAR_CODE = re.compile(r"[bifu][1248]|U\d{1,4}")


class Rows(NamedTuple):
    """What the rows of an array must be.

    Attributes
    ----------
    kinds : str
        Accepted kinds of data type: ``"f"`` real numbers, ``"U"`` text, ``"O"`` pickled
        objects.
    shape : tuple of int
        Shape of one row.
    """

    kinds: str
    shape: tuple[int, ...]


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

    def run(self, data: bytes) -> Any:
        for instruction, argument, _ in pickletools.genops(data):
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


def read_object_array(data: bytes) -> NDArray[np.object_]:
    """Rebuild a pickled object array from plain values alone.

    Parameters
    ----------
    data : bytes
        Pickle of protocol 2 to 5.

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
        array = _Machine().run(data)
    except ValueError:
        raise
    except Exception as error:
        # A damaged pickle fails in as many ways as there are instructions.
        raise ValueError(f"damaged pickled data ({type(error).__name__}: {error})") from error
    if not isinstance(array, _Array) or array.items is None:
        raise ValueError("pickled data other than an array of objects")
    items = np.fromiter(array.items, dtype=object, count=len(array.items))
    return items.reshape(array.shape)


@dataclass(frozen=True)
class _Member:
    """One array of the file: what its header says, and where its data start."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype
    start: int

    @property
    def pickled(self) -> bool:
        return self.dtype.kind == "O"


def _read_header(archive: zipfile.ZipFile, name: str) -> _Member:
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise ValueError(f"it has no array {name!r}") from None
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        # Later versions are for headers beyond 64 kB, which no array of ours has.
        if version != (1, 0):
            raise ValueError(f"{name} is in version {version} of numpy's format, not (1, 0)")
        header = np.lib.format.read_array_header_1_0(stream)
        return _Member(info, *header, stream.tell())


def _check_member(name: str, member: _Member, rows: Rows, n_rows: int) -> None:
    expected = (n_rows, *rows.shape)
    if member.shape != expected:
        raise ValueError(f"{name} has shape {member.shape}, expected {expected}")
    if member.dtype.kind not in rows.kinds:
        raise ValueError(f"{name} has the data type {member.dtype}")
    size = member.info.file_size - member.start
    if member.pickled:
        allowed = _PICKLE_BYTES + n_rows * _PICKLE_BYTES_PER_ROW
        if size > allowed:
            raise ValueError(
                f"{name} holds {size} bytes of pickled data, more than {allowed} for "
                f"{n_rows} rows"
            )
    elif size != math.prod(member.shape) * member.dtype.itemsize:
        raise ValueError(f"{name} holds {size} bytes, which do not fit its shape {expected}")


def _read_data(archive: zipfile.ZipFile, name: str, member: _Member) -> NDArray:
    with archive.open(member.info) as stream:
        stream.read(member.start)
        data = stream.read()
    if not member.pickled:
        flat = np.frombuffer(data, member.dtype)
        return flat.reshape(member.shape, order="F" if member.fortran else "C")
    try:
        array = read_object_array(data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if array.shape != member.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {member.shape}")
    return array


def read_arrays(
    file: BinaryIO, layout: Mapping[str, Rows], max_bytes: int
) -> dict[str, NDArray]:
    """Read arrays of equal length from an ``.npz`` file.

    Every size is known and checked before the memory for it is taken.

    Parameters
    ----------
    file : binary file
        The file, open for reading. Order does not matter; other members are left alone.
    layout : mapping of str to Rows
        The arrays to read. The first states the number of rows and should not be pickled.
    max_bytes : int
        Largest size of all of them together, decompressed.

    Returns
    -------
    dict of str to ndarray
        Arrays of numbers, of text, or of plain Python objects; some are read-only.

    Raises
    ------
    ValueError
        If an array is absent, has another shape or too many bytes, or pickled data ask
        for anything but plain values. A damaged file may raise other exceptions too.
    """
    with zipfile.ZipFile(file) as archive:
        members = {name: _read_header(archive, name) for name in layout}
        total = sum(member.info.file_size for member in members.values())
        if total > max_bytes:
            raise ValueError(f"its arrays take {total} bytes, more than max_bytes={max_bytes}")
        n_rows = next(iter(members.values())).shape[0]
        if not 0 <= n_rows <= MAX_ROWS:
            raise ValueError(f"it has {n_rows} rows, accepted are 0 to {MAX_ROWS}")
        for name, member in members.items():
            _check_member(name, member, layout[name], n_rows)
        return {name: _read_data(archive, name, member) for name, member in members.items()}

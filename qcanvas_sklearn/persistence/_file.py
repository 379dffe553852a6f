"""The file of a model: safetensors, with JSON in its header and a digest of everything.

safetensors is a length, a header of JSON and plain numbers behind it. Nothing in it is
compressed, so that no small file becomes a large object.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from .._files import open_regular, written_whole

__all__ = ["FORMAT", "Contents", "read_file", "write_file"]

#: Version of the format. A version of the package reads this and all before it.
FORMAT = 1

_EMPTY = "0" * 64
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_KEYS = {"format", "sha256", "card", "model"}
#: Largest header in bytes: that of the safetensors library.
_MAX_HEADER = 100_000_000
_DTYPES = {
    "BOOL": np.bool_, "I8": np.int8, "I16": np.int16, "I32": np.int32, "I64": np.int64,
    "U8": np.uint8, "U16": np.uint16, "U32": np.uint32, "U64": np.uint64,
    "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip


class Contents(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    card : dict
        What the model says of itself.
    model : dict
        The model as JSON.
    arrays : dict of str to ndarray
        Its arrays.
    """

    card: dict[str, Any]
    model: dict[str, Any]
    arrays: dict[str, NDArray]


def write_file(path: str | os.PathLike[str], contents: Contents) -> None:
    """Write a file, which appears under its name when it is complete."""
    metadata = {
        "format": str(FORMAT),
        "sha256": _EMPTY,
        "card": json.dumps(contents.card, indent=1, ensure_ascii=False, allow_nan=False),
        "model": json.dumps(contents.model, separators=(",", ":"), allow_nan=False),
    }
    data = bytearray(save(contents.arrays, metadata))
    found = _DIGEST.search(data)
    assert found is not None  # it has just been written
    data[slice(*found.span(1))] = sha256(data).hexdigest().encode()
    with written_whole(path) as file:
        file.write(data)


def read_file(path: str | os.PathLike[str], max_bytes: int) -> Contents:
    """Read a file whose digest is right.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is larger than `max_bytes`, damaged, of another kind or in a later format.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ValueError(f"it has {size} bytes, more than max_bytes={max_bytes}")
        data = bytearray(file.read(max_bytes + 1))
    start = 8 + int.from_bytes(data[:8], "little")
    if start - 8 > min(len(data) - 8, _MAX_HEADER):
        raise ValueError("it is no file that save_model wrote, or it is cut off")
    header = data[8:start]
    entries = _parsed_header(header)
    _check_digest(data, header)
    metadata = entries.pop("__metadata__")
    if set(metadata) != _KEYS:
        raise ValueError(f"its header has the entries {sorted(metadata)}")
    arrays = _arrays(entries, memoryview(data)[start:])
    return Contents(_json(metadata["card"]), _json(metadata["model"]), arrays)


def _parsed_header(header: bytearray) -> dict[str, Any]:
    """The header, if it is of a format that this version reads."""
    entries = _json(header.decode())
    try:
        number = int(entries["__metadata__"]["format"])
    except (KeyError, TypeError):
        raise ValueError("it is a file of safetensors, but no model of save_model") from None
    if not 1 <= number <= FORMAT:
        raise ValueError(
            f"it is in format {number}, this version of the package reads formats 1 to "
            f"{FORMAT}: install a newer one"
        )
    return dict(entries)


def _check_digest(data: bytearray, header: bytearray) -> None:
    found = _DIGEST.search(header)
    if found is None:
        raise ValueError("its header states no digest")
    place = slice(8 + found.start(1), 8 + found.end(1))
    whole = sha256(data[: place.start])
    whole.update(_EMPTY.encode())
    whole.update(memoryview(data)[place.stop :])
    if whole.hexdigest().encode() != found[1]:
        raise ValueError("its digest is not that of its contents: it was damaged or changed")


def _arrays(entries: Mapping[str, Any], data: memoryview) -> dict[str, NDArray]:
    """Arrays, which follow each other without a gap, each in memory of its own."""
    out, end = {}, 0
    in_order = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
    for name, entry in in_order:
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        start, stop = entry["data_offsets"]
        n = math.prod(shape)
        if start != end or stop - start != n * dtype.itemsize or min(shape, default=0) < 0:
            raise ValueError(f"its array {name!r:.80} does not fit its place in the file")
        out[name] = np.frombuffer(data[start:stop], dtype).reshape(shape).copy()
        end = stop
    if end != len(data):
        raise ValueError(f"it has {len(data) - end} bytes that belong to no array")
    return out


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"its JSON holds {name}")

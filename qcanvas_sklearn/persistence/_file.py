"""The file of a model: safetensors, with JSON in its header and a digest of everything.

safetensors is a length, a header of JSON and plain numbers behind it. Nothing in it is
compressed, so that no small file becomes a large object.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple, NoReturn

from numpy.typing import NDArray
from safetensors.numpy import load

from .._files import open_regular, written_whole

__all__ = ["FORMAT", "Contents", "read_file", "write_file"]

#: Version of the format. A version of the package reads this and all before it.
FORMAT = 1

_EMPTY = "0" * 64
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_KEYS = {"format", "sha256", "card", "model"}
#: Largest header in bytes: that of the safetensors library.
_MAX_HEADER = 100_000_000
#: What safetensors calls the data types of numpy.
_TYPES = {"bool": "BOOL", "float": "F", "int": "I", "uint": "U"}


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
    data = _serialized(metadata, contents.arrays)
    found = _DIGEST.search(data)
    assert found is not None  # it has just been written
    data[slice(*found.span(1))] = sha256(data).hexdigest().encode()
    with written_whole(path) as file:
        file.write(data)


def _serialized(metadata: Mapping[str, str], arrays: Mapping[str, NDArray]) -> bytearray:
    """Bytes of a file; the library's own function puts metadata in a random order."""
    # The widest numbers first, so that each lies where a reader may map it.
    ordered = sorted(arrays.items(), key=lambda item: -item[1].itemsize)
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in ordered:
        kind = array.dtype.name.rstrip("0123456789")
        bits = "" if kind == "bool" else str(8 * array.itemsize)
        header[name] = {
            "dtype": _TYPES[kind] + bits, "shape": list(array.shape),
            "data_offsets": [end, end + array.nbytes],
        }  # fmt: skip
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    out = bytearray(len(text).to_bytes(8, "little") + text)
    for _, array in ordered:
        out += array.tobytes()
    return out


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
        data = file.read(max_bytes + 1)
    start = 8 + int.from_bytes(data[:8], "little")
    if start - 8 > min(len(data) - 8, _MAX_HEADER):
        raise ValueError("it is no file that save_model wrote, or it is cut off")
    header = data[8:start]
    metadata = _metadata(header)
    _check_digest(data, header)
    if set(metadata) != _KEYS:
        raise ValueError(f"its header has the entries {sorted(metadata)}")
    arrays = {name: array.copy() for name, array in load(data).items()}
    return Contents(_json(metadata["card"]), _json(metadata["model"]), arrays)


def _metadata(header: bytes) -> dict[str, str]:
    """What the header says, if it is of a format that this version reads."""
    try:
        metadata = _json(header.decode())["__metadata__"]
        number = int(metadata["format"])
    except (KeyError, TypeError):
        raise ValueError("it is a file of safetensors, but no model of save_model") from None
    if not 1 <= number <= FORMAT:
        raise ValueError(
            f"it is in format {number}, this version of the package reads formats 1 to "
            f"{FORMAT}: install a newer one"
        )
    return dict(metadata)


def _check_digest(data: bytes, header: bytes) -> None:
    found = _DIGEST.search(header)
    if found is None:
        raise ValueError("its header states no digest")
    place = slice(8 + found.start(1), 8 + found.end(1))
    whole = sha256(memoryview(data)[: place.start])
    whole.update(_EMPTY.encode())
    whole.update(memoryview(data)[place.stop :])
    if whole.hexdigest().encode() != found[1]:
        raise ValueError("its digest is not that of its contents: it was damaged or changed")


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"its JSON holds {name}")

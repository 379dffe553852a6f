"""Arrays of an ``.npz`` file, whose sizes are known before the memory for them is taken."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_BYTES", "MAX_ROWS", "Spec", "Unpickler", "member_names", "read_arrays"]

#: Largest size of all arrays of a file together unless the user allows more: some nine
#: times that of the public archive.
MAX_BYTES = 2**30
#: Most rows that an array may have.
MAX_ROWS = 1_000_000

# Objects may take some sixty times the bytes of the instructions that build them, but no
# more than about a hundred bytes an instruction. The archive needs 1.3 kB of pickle a row,
# and 340 instructions where all its labels are scalars of numpy.
_PICKLE_BYTES, _PICKLE_BYTES_PER_ROW = 2**20, 4096
_PICKLE_STEPS, _PICKLE_STEPS_PER_ROW = 100_000, 512
_CHUNK = 2**20

#: Rebuilds a pickled array from its bytes in no more than so many instructions.
Unpickler = Callable[[bytes, int], NDArray[np.object_]]


class Spec(NamedTuple):
    """What an array must be.

    Attributes
    ----------
    kinds : str
        Accepted kinds of data type: ``"f"`` real numbers of at most eight bytes, ``"U"``
        text, ``"i"``, ``"u"`` integers, ``"b"`` truth values, ``"O"`` pickled objects.
    shape : tuple of int, "n" or None
        Its shape, where "n" stands for the number of rows that the first array has, and
        None for any number up to the largest that is allowed.
    width : int or None, default=None
        Most characters of a text; None for any number.
    optional : bool, default=False
        Whether it may be absent.
    """

    kinds: str
    shape: tuple[int | str | None, ...]
    width: int | None = None
    optional: bool = False


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


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise ValueError("it is not an .npz file") from None
    except NotImplementedError as error:
        raise ValueError(f"it is in a form of zip that is not known: {error}") from None
    with archive:
        yield archive


def member_names(file: IO[bytes]) -> set[str]:
    """Names of the arrays of an ``.npz`` file.

    Raises
    ------
    ValueError
        If it is none, or in a version of the format that Python does not know.
    """
    with _opened(file) as archive:
        return {name.removesuffix(".npy") for name in archive.namelist()}


def read_arrays(
    file: IO[bytes],
    layout: Mapping[str, Spec],
    *,
    max_bytes: int = MAX_BYTES,
    max_rows: int = MAX_ROWS,
    unpickle: Unpickler | None = None,
) -> dict[str, NDArray]:
    """Read arrays from an ``.npz`` file.

    The headers of all are checked before the first is read, and each is read straight
    into its place. Order does not matter; other members are left alone.

    Parameters
    ----------
    file : binary file
        The file, open for reading.
    layout : mapping of str to Spec
        The arrays to read. The first states the number of rows and should not be pickled.
    max_bytes : int, default=1 GiB
        Largest size of all of them together, decompressed.
    max_rows : int, default=1,000,000
        Most rows that an array may have.
    unpickle : callable or None, default=None
        What rebuilds a pickled array; None refuses pickles.

    Returns
    -------
    dict of str to ndarray
        Those that are there.

    Raises
    ------
    ValueError
        If an array is absent, has another shape or data type, or too many bytes, or if
        `unpickle` refuses it. A damaged file may raise other exceptions too.
    """
    with _opened(file) as archive:
        present = set(archive.namelist())
        members = {
            name: _read_header(archive, name)
            for name, spec in layout.items()
            if not spec.optional or f"{name}.npy" in present
        }
        total = sum(member.info.file_size for member in members.values())
        if total > max_bytes:
            raise ValueError(f"its arrays take {total} bytes, more than max_bytes={max_bytes}")
        n_rows = next((m.shape[0] for m in members.values() if m.shape), 0)
        if not 0 <= n_rows <= max_rows:
            raise ValueError(f"it has {n_rows} rows, accepted are 0 to {max_rows}")
        for name, member in members.items():
            _check_dtype(name, member.dtype, layout[name], unpickle is not None)
            _check_member(name, member, layout[name], n_rows, max_rows)
        return {
            name: _read_pickled(archive, name, member, unpickle, n_rows)
            if unpickle is not None and member.pickled
            else _read_plain(archive, name, member)
            for name, member in members.items()
        }


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


def _check_member(
    name: str, member: _Member, spec: Spec, n_rows: int, max_rows: int
) -> None:
    wanted = tuple(n_rows if length == "n" else length for length in spec.shape)
    if len(member.shape) != len(wanted) or not all(
        0 <= has <= max_rows if want is None else has == want
        for has, want in zip(member.shape, wanted, strict=True)
    ):
        expected = str(wanted).replace("None", f"0 to {max_rows}")
        raise ValueError(f"{name} has shape {member.shape}, expected {expected}")
    size = member.info.file_size - member.start
    if member.pickled:
        allowed = _PICKLE_BYTES + n_rows * _PICKLE_BYTES_PER_ROW
        if size > allowed:
            raise ValueError(
                f"{name} holds {size} bytes of pickled data, more than {allowed} for "
                f"{n_rows} rows"
            )
    elif size != math.prod(member.shape) * member.dtype.itemsize:
        raise ValueError(f"{name} holds {size} bytes, which do not fit its shape {wanted}")


def _check_dtype(name: str, dtype: np.dtype, spec: Spec, with_pickles: bool) -> None:
    if dtype.kind == "O" and not with_pickles:
        raise ValueError(f"{name} holds pickled objects, refused by allow_pickle=False")
    if dtype.kind not in spec.kinds or (dtype.kind == "f" and dtype.itemsize > 8):
        raise ValueError(f"{name} has the data type {dtype}")
    if dtype.kind == "U" and spec.width is not None and dtype.itemsize > 4 * spec.width:
        raise ValueError(f"{name} holds texts of more than {spec.width} characters ({dtype})")


def _read_plain(archive: zipfile.ZipFile, name: str, member: _Member) -> NDArray:
    array = np.empty(member.shape[::-1] if member.fortran else member.shape, member.dtype)
    raw = array.reshape(-1).view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    with archive.open(member.info) as stream:
        stream.seek(member.start)
        for start in range(0, len(raw), _CHUNK):
            place = raw[start : start + _CHUNK]
            # `readinto` of a compressed member would hold all of it twice.
            data = stream.read(len(place))
            if len(data) < len(place):
                raise ValueError(f"{name} ends too early")
            place[:] = np.frombuffer(data, np.uint8)
    return array.T if member.fortran else array


def _read_pickled(
    archive: zipfile.ZipFile, name: str, member: _Member, unpickle: Unpickler, n_rows: int
) -> NDArray[np.object_]:
    with archive.open(member.info) as stream:
        stream.seek(member.start)
        data = stream.read()
    try:
        array = unpickle(data, _PICKLE_STEPS + n_rows * _PICKLE_STEPS_PER_ROW)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if array.shape != member.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {member.shape}")
    return array

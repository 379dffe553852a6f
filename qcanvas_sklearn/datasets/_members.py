"""The files of a folder or an archive, read one after another and never unpacked."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from .._files import open_regular

__all__ = ["file_members"]

#: Accepts the name of a file, with / between its parts.
Wanted = Callable[[str], bool]


def file_members(
    path: str | os.PathLike[str], wanted: Wanted, *, max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    """Names and contents of some files of a folder, a zip or a tar of any compression.

    Zip files inside of a folder or a zip are looked into, as sites that host data wrap
    them up once more.

    Parameters
    ----------
    path : path-like
        The folder or archive.
    wanted : callable
        Takes a name, with ``/`` between its parts, and says whether to read that file.
    max_bytes : int
        Largest accepted size of one file.

    Yields
    ------
    name : str
    content : bytes

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`.
    ValueError
        If it is no complete folder or archive, or a file is larger than accepted.
    """
    path = Path(path)
    if path.is_dir():
        yield from _of_folder(path, wanted, max_bytes)
        return
    try:
        with open_regular(path) as file:
            if zipfile.is_zipfile(file):
                yield from _of_zip(file, wanted, max_bytes)
            else:
                file.seek(0)
                yield from _of_tar(file, wanted, max_bytes)
    except (FileNotFoundError, _TooLargeError):
        raise
    except Exception as error:
        # Decompressors fail in many ways on damaged files; all mean the same.
        raise ValueError(f"{str(path)!r} is not a complete archive: {error}") from error


class _TooLargeError(ValueError):
    """A file beyond what its kind can have."""


def _check_size(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise _TooLargeError(f"{name!r} has {size} bytes, more than {max_bytes}")


def _of_folder(
    folder: Path, wanted: Wanted, max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.suffix == ".zip" and file.is_file():
            yield from file_members(file, wanted, max_bytes=max_bytes)
        elif wanted(name) and file.is_file():
            _check_size(name, file.stat().st_size, max_bytes)
            yield name, file.read_bytes()


def _of_zip(
    file: IO[bytes], wanted: Wanted, max_bytes: int, *, nested: bool = False
) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            # Names have no checksum, but are there twice: to open compares them.
            with archive.open(info) as member:
                if info.filename.endswith(".zip") and not nested:
                    yield from _of_zip(member, wanted, max_bytes, nested=True)
                elif wanted(info.filename) and not info.is_dir():
                    _check_size(info.filename, info.file_size, max_bytes)
                    yield info.filename, member.read()


def _of_tar(
    file: IO[bytes], wanted: Wanted, max_bytes: int
) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=file) as archive:
        while (info := archive.next()) is not None:
            # Which would else grow with the archive.
            archive.members.clear()  # type: ignore[attr-defined]
            if not info.isfile() or not wanted(info.name):
                continue
            _check_size(info.name, info.size, max_bytes)
            stream = archive.extractfile(info)
            content = b"" if stream is None else stream.read()
            if len(content) != info.size:
                raise ValueError(f"{info.name!r} ends too early")
            yield info.name, content
        # Only at its very end a compressed archive shows that it is whole.
        while archive.fileobj is not None and archive.fileobj.read(2**20):
            pass

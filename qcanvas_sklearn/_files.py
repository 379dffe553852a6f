"""Where data are kept, and files that are complete as soon as they have their name."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

__all__ = ["check_writable", "data_home", "open_regular", "replaced_whole", "written_whole"]


def data_home(given: str | os.PathLike[str] | None = None) -> Path:
    """Folder of downloads and caches.

    The `given` one, or ``$QCANVAS_DATA``, or else ``~/qcanvas_data``.

    Raises
    ------
    FileNotFoundError
        If it is to lie in a home directory, and there is none.
    """
    path = Path(given or os.environ.get("QCANVAS_DATA") or "~/qcanvas_data")
    try:
        return path.expanduser()
    except RuntimeError:
        raise FileNotFoundError(
            f"no home directory for '{path}'; set the environment variable QCANVAS_DATA"
        ) from None


def check_writable(path: str | os.PathLike[str]) -> Path:
    """`path`, if a file can stand there.

    Raises
    ------
    FileNotFoundError
        If its directory does not exist.
    IsADirectoryError
        If it is a directory itself.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a directory, not a file to write")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no directory {os.fspath(path.parent)!r} for {path.name!r}")
    return path


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file for reading, but no pipe, which might keep us waiting for ever.

    Raises
    ------
    OSError
        If it is absent, a directory or a pipe.
    """
    if stat.S_ISFIFO(os.stat(path).st_mode):
        raise OSError(errno.EINVAL, "a pipe, not a regular file", os.fspath(path))
    return open(path, "rb")


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A new binary file that takes the place of `path` when the block ends well.

    It is written beside `path` first, then renamed; where the block raises, it is deleted
    and `path` is as before.

    Parameters
    ----------
    path : path-like
        File to write, new or to be replaced.

    Yields
    ------
    file : binary file

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If no file can stand at `path`.
    """
    with replaced_whole(path) as temporary, open(temporary, "xb") as file:
        yield file


@contextmanager
def replaced_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Name of a file to write, which takes the place of `path` when the block ends well.

    For what writes files by their names only; its end is that of `path`, as formats are
    told apart by it. Where the block raises, it is deleted and `path` is as before.

    Parameters
    ----------
    path : path-like
        File to write, new or to be replaced.

    Yields
    ------
    temporary : Path

    Raises
    ------
    FileNotFoundError, IsADirectoryError
        If no file can stand at `path`.
    """
    path = check_writable(path)
    # Shortened, for names can be no longer than 255 bytes.
    temporary = path.with_name(f"{path.stem[:32]}.{uuid4().hex}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise

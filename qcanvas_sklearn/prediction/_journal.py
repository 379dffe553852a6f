"""How far a prediction has come, so that a killed one goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from .._files import check_writable, written_whole

__all__ = ["Journal", "Progress"]


@dataclass(frozen=True)
class Progress:
    """What is done.

    Attributes
    ----------
    offset : int
        Where in the input the next block begins.
    rows : int
        Rows that are predicted.
    size : int
        Bytes of the part that hold them.
    """

    offset: int = 0
    rows: int = 0
    size: int = 0


class Journal:
    """The part of a file that is written, and a note beside it of how much of it counts.

    Blocks are appended to ``<out>.part``; after each, ``<out>.journal`` says how many bytes
    are complete. What a kill leaves behind these is cut off.

    Parameters
    ----------
    out : path-like
        The file that is to be.
    task : mapping of str to str
        What is predicted, of what and how: all that the bytes depend on.

    Raises
    ------
    OSError
        If `out` cannot be written.
    """

    def __init__(self, out: str | os.PathLike[str], task: Mapping[str, str]) -> None:
        self.out = check_writable(out)
        self.part = self.out.with_name(self.out.name + ".part")
        self.note = self.out.with_name(self.out.name + ".journal")
        self.task = dict(task)
        self.progress = Progress()

    @contextmanager
    def opened(self, *, restart: bool = False) -> Iterator[IO[bytes]]:
        """The part, open at the place where to go on.

        Raises
        ------
        ValueError
            If there is a part of another task, and not `restart`.
        BlockingIOError
            If another process writes it.
        """
        if not restart:
            self.progress = self._noted()
        with open(self.part, "ab") as file:
            _lock(file, self.part)
            if self.progress.size > os.path.getsize(self.part):
                raise ValueError(
                    f"{os.fspath(self.part)!r} is shorter than {os.fspath(self.note)!r} "
                    "says; begin anew with restart"
                )
            self._write()
            file.truncate(self.progress.size)
            try:
                yield file
            except BaseException:
                if not self.progress.rows:  # nothing to go on from
                    self.part.unlink()
                    self.note.unlink()
                raise

    def _noted(self) -> Progress:
        if not self.part.exists():
            return Progress()
        if not self.note.exists():
            raise ValueError(
                f"{os.fspath(self.part)!r} is there without a journal; remove it, or "
                "replace it with restart"
            )
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            task, progress = noted["task"], Progress(**noted["progress"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{os.fspath(self.note)!r} is no journal; remove it, or replace it with restart"
            ) from None
        if not progress.rows:
            return progress
        changed = [name for name in self.task if self.task[name] != task.get(name)]
        if changed or task.keys() != self.task.keys():
            raise ValueError(
                f"{os.fspath(self.part)!r} was begun with another "
                f"{', '.join(changed) or 'version'}; begin anew with restart"
            )
        return progress

    def append(self, file: IO[bytes], data: bytes, offset: int, rows: int) -> None:
        """Append a block, and note that it is there."""
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        done = self.progress
        self.progress = replace(
            done, offset=offset, rows=done.rows + rows, size=done.size + len(data)
        )
        self._write()

    def _write(self) -> None:
        noted: dict[str, Any] = {"task": self.task, "progress": asdict(self.progress)}
        with written_whole(self.note) as file:
            file.write(json.dumps(noted, indent=1).encode("utf-8"))

    def close(self) -> None:
        """Remove the note; the part is a file of its own by now."""
        self.note.unlink()


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep other processes from the file until it is closed, by a kill too."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        message = f"{os.fspath(path)!r} is being written by another process"
        raise BlockingIOError(message) from None

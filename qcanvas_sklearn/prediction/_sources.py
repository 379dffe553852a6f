"""Files of rows, cut into blocks where any reading can begin again.

A source finds the borders only; what a block holds is read where it is predicted, in another
process maybe.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import joblib
import pandas as pd

from .._files import open_regular
from .._optional import require
from ..structures import Molecules, PairData, load_ase
from ._blocks import facts_of, kept_columns
from ._model import FittedModel

__all__ = [
    "SEPARATORS",
    "STRUCTURES",
    "SUFFIXES",
    "Block",
    "Content",
    "Source",
    "file_digest",
    "load_pyarrow",
    "open_source",
]

#: Tables of text by the ends of their names, and what stands between columns.
SEPARATORS = {".csv": ",", ".tsv": "\t"}
#: Ends of names of files of structures.
STRUCTURES = (".xyz", ".extxyz")
#: Ends of names of files that are read in blocks.
SUFFIXES = (*SEPARATORS, ".parquet", *STRUCTURES)


class Content(NamedTuple):
    """What is in a block.

    Attributes
    ----------
    X : DataFrame or Molecules
        What the model takes.
    kept : DataFrame
        What of the input is kept in a table.
    images : list of ase.Atoms or None
        The structures as they were read.
    """

    X: Any
    kept: pd.DataFrame
    images: list[Any] | None = None


class Payload(Protocol):
    """Rows that are yet to be read."""

    def read(self, fitted: FittedModel, keep: str | Sequence[str]) -> Content:
        """Read them, for a model."""


class Block(NamedTuple):
    """Some rows.

    Attributes
    ----------
    payload : Payload
        The rows.
    end : int
        Where the next block begins, in units of the source.
    """

    payload: Payload
    end: int


class Source(Protocol):
    """Rows to predict.

    Attributes
    ----------
    digest : str
        Of all that is in it.
    length : int
        Its end, in bytes or rows.
    unit : str
        "B" or "rows".
    holds : {"pairs", "molecules"}
        What its rows are.
    """

    digest: str
    length: int
    unit: str
    holds: str

    def blocks(self, start: int, size: int) -> Iterator[Block]:
        """Blocks of `size` rows from a place where a block began."""


def open_source(source: Any) -> Source:
    """The source that a file or a record is.

    Raises
    ------
    OSError
        If there is no such file.
    TypeError, ValueError
        If it is of no kind that is known.
    ImportError
        If a package for that kind is not installed.
    """
    if isinstance(source, (Molecules, PairData)):
        return RecordSource(source)
    if not isinstance(source, (str, os.PathLike)):
        raise TypeError(
            f"source must be a file, a Molecules or a PairData, got {type(source).__name__}"
        )
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix in SEPARATORS:
        return CsvSource(path, SEPARATORS[suffix])
    if suffix == ".parquet":
        return ParquetSource(path)
    if suffix in STRUCTURES:
        return XyzSource(path)
    raise ValueError(
        f"{os.fspath(source)!r} is read by its suffix, which is none of {list(SUFFIXES)}"
    )


def file_digest(path: str | os.PathLike[str]) -> str:
    """Digest of all bytes of a file.

    Raises
    ------
    OSError
        If there is no such file, or it is a directory or a pipe.
    """
    digest = blake2b(digest_size=16)
    with open_regular(path) as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def load_pyarrow() -> Any:
    """The ``pyarrow`` package.

    Raises
    ------
    ImportError
        If it is not installed; the message says how to install it.
    """
    return require("a Parquet file", "pyarrow", "pyarrow.parquet")


# ------------------------------------------------------------------------- CSV


class CsvText(NamedTuple):
    """Lines of a CSV file, and the one with its columns' names."""

    header: bytes
    lines: bytes
    separator: str

    def read(self, fitted: FittedModel, keep: str | Sequence[str]) -> Content:
        """All entries stay the text that they are, but for numbers that the model takes."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                frame = pd.read_csv(
                    io.BytesIO(self.header + self.lines), sep=self.separator, dtype=str,
                    keep_default_na=False, index_col=False, encoding="utf-8-sig",
                )  # fmt: skip
        except (pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise ValueError(" ".join(str(error).split())) from error
        X = fitted.take(frame)
        return Content(X, frame[kept_columns(list(frame.columns), keep)])


class CsvSource:
    """A CSV file with the names of its columns in the first line."""

    unit, holds = "B", "pairs"

    def __init__(self, path: Path, separator: str) -> None:
        self.path, self.separator = path, separator
        self.digest = file_digest(path)
        with open_regular(path) as file:
            self.header = file.readline()
            self.length = file.seek(0, os.SEEK_END)
        if not self.header.strip():
            raise ValueError(f"{os.fspath(path)!r} has no line with the names of its columns")
        if not self.header.endswith(b"\n"):
            self.header += b"\n"

    def blocks(self, start: int, size: int) -> Iterator[Block]:
        with open_regular(self.path) as file:
            file.seek(start or len(self.header))
            # No further than it was long: a file that grows meanwhile would have no end.
            while file.tell() < self.length:
                lines = b"".join(islice(file, size))
                # A line may end within a quoted entry; outside of these quotes are even.
                while lines.count(b'"') % 2 and (more := file.readline()):
                    lines += more
                if lines.strip():
                    yield Block(CsvText(self.header, lines, self.separator), file.tell())


# --------------------------------------------------------------------- Parquet


class ParquetRows(NamedTuple):
    """Rows of a Parquet file, as a table of Arrow."""

    table: Any

    def read(self, fitted: FittedModel, keep: str | Sequence[str]) -> Content:
        """Columns keep the types that they have in the file."""
        # Arrow's own types: an integer beside a missing one stays an integer.
        frame = self.table.to_pandas(types_mapper=pd.ArrowDtype)
        return Content(fitted.take(frame), frame[kept_columns(list(frame.columns), keep)])


class ParquetSource:
    """A Parquet file."""

    unit, holds = "rows", "pairs"

    def __init__(self, path: Path) -> None:
        self.path, self.digest = path, file_digest(path)
        self._arrow = load_pyarrow()
        try:
            with self._arrow.parquet.ParquetFile(path) as file:
                self.length = file.metadata.num_rows
        except self._arrow.ArrowInvalid as error:
            raise ValueError(f"{os.fspath(path)!r} is no Parquet file: {error}") from error

    def blocks(self, start: int, size: int) -> Iterator[Block]:
        end = start
        waiting = None
        for batch in self._batches(start, size):
            parts = [batch] if waiting is None else [waiting, batch]
            waiting = self._arrow.concat_tables(parts)
            while len(waiting) >= size:
                end += size
                yield Block(ParquetRows(waiting.slice(0, size).combine_chunks()), end)
                waiting = waiting.slice(size)
        if waiting is not None and len(waiting):
            yield Block(ParquetRows(waiting.combine_chunks()), end + len(waiting))

    def _batches(self, start: int, size: int) -> Iterator[Any]:
        """Tables of the rows from `start` on; row groups before it are not read."""
        with self._arrow.parquet.ParquetFile(self.path) as file:
            groups = list(range(file.metadata.num_row_groups))
            skipped = 0
            while groups and skipped + file.metadata.row_group(groups[0]).num_rows <= start:
                skipped += file.metadata.row_group(groups.pop(0)).num_rows
            for batch in file.iter_batches(batch_size=size, row_groups=groups):
                table = self._arrow.Table.from_batches([batch])
                before = min(start - skipped, len(table)) if skipped < start else 0
                skipped += before
                if before < len(table):
                    yield table.slice(before)


# ------------------------------------------------------------------ structures


class XyzText(NamedTuple):
    """Frames of an extended xyz file, what it is called, and the number of the first."""

    text: str
    stem: str
    first: int

    def read(self, fitted: FittedModel, keep: str | Sequence[str]) -> Content:
        """Structures without a name of their own are called by the file and their number."""
        import ase.io

        try:
            images = list(ase.io.iread(io.StringIO(self.text), ":", format="extxyz"))
        except Exception as error:  # a frame can be wrong in many ways
            raise ValueError(f"not extended xyz as ASE reads it: {error}") from error
        molecules = Molecules.from_ase(
            images, names=[
                str(image.info.get("name", f"{self.stem}:{self.first + k}"))
                for k, image in enumerate(images)
            ],
        )  # fmt: skip
        return Content(molecules, facts_of(molecules, keep), images)


class XyzSource:
    """An extended xyz file of any number of frames."""

    unit, holds = "B", "molecules"

    def __init__(self, path: Path) -> None:
        load_ase()
        self.path, self.digest = path, file_digest(path)
        self.length = os.path.getsize(path)

    def blocks(self, start: int, size: int) -> Iterator[Block]:
        with open_regular(self.path) as file:
            frames = _frames(file)
            first = 0
            # Names count from the beginning of the file; finding the borders is cheap.
            while file.tell() < start:
                next(frames)
                first += 1
            while file.tell() < self.length and (some := list(islice(frames, size))):
                text = b"".join(some).decode("utf-8")
                yield Block(XyzText(text, self.path.stem, first), file.tell())
                first += len(some)


def _frames(file: Any) -> Iterator[bytes]:
    """The text of each frame: the number of atoms, a line about all, a line for each."""
    while head := file.readline():
        if not head.strip():
            continue
        if not head.strip().isdigit():
            raise ValueError(f"a frame begins with the number of its atoms, not {head!r}")
        lines = [head, *islice(file, int(head) + 1)]
        if len(lines) < int(head) + 2:
            raise ValueError(f"the last frame ends after {len(lines)} lines")
        if not lines[-1].endswith(b"\n"):
            lines[-1] += b"\n"
        yield b"".join(lines)


# --------------------------------------------------------------------- records


class RecordRows(NamedTuple):
    """Rows of a record that lies in memory."""

    record: Any

    def read(self, fitted: FittedModel, keep: str | Sequence[str]) -> Content:
        """Of pairs the elements and the bond length are kept."""
        if isinstance(self.record, Molecules):
            return Content(self.record, facts_of(self.record, keep), None)
        frame = pd.DataFrame({
            "element_1": self.record.elements[:, 0], "element_2": self.record.elements[:, 1],
            "distance_ang": self.record.bond_lengths,
        })  # fmt: skip
        return Content(fitted.take(frame), frame[kept_columns(list(frame.columns), keep)])


class RecordSource:
    """A record that lies in memory."""

    unit = "rows"

    def __init__(self, record: Molecules | PairData) -> None:
        self.record, self.length = record, len(record)
        self.holds = "molecules" if isinstance(record, Molecules) else "pairs"
        self.digest = str(joblib.hash(record))

    def blocks(self, start: int, size: int) -> Iterator[Block]:
        for first in range(start, len(self.record), size):
            end = min(first + size, len(self.record))
            yield Block(RecordRows(self.record[first:end]), end)

"""Files that predictions are written to, by appending bytes until the last step.

A sink makes the bytes of a block wherever that was predicted. What is appended is the file
itself, or, where a format cannot be appended to, something that it is made of at the end.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from .._files import replaced_whole
from ..structures import load_ase
from ._blocks import beside
from ._model import Predictions
from ._sources import SEPARATORS, STRUCTURES, SUFFIXES, Content, load_pyarrow

__all__ = ["Piece", "Sink", "open_sink"]

#: Digits of a prediction in text: more than any model is good for, and as many as its last
#: bits do not reach.
_FLOAT = "%.10g"
#: Rows of a group in a Parquet file.
_ROW_GROUP = 2**17


class Piece(NamedTuple):
    """Bytes of a block.

    Attributes
    ----------
    head : bytes
        What stands before the first block.
    body : bytes
        The block.
    """

    head: bytes
    body: bytes


class Sink(Protocol):
    """A format to write."""

    def encode(self, content: Content, found: Predictions) -> Piece:
        """Bytes of a block and its predictions."""

    def finish(self, part: Path, out: Path) -> None:
        """Make the file of what was appended; it appears whole."""


def open_sink(out: Path, holds: str, forces: bool) -> Sink:
    """The sink for a file, by its suffix.

    Raises
    ------
    ValueError
        If the suffix is unknown, or does not suit what is written.
    ImportError
        If a package for the format is not installed.
    """
    suffix = out.suffix.lower()
    if suffix in STRUCTURES:
        if holds != "molecules":
            raise ValueError(f"{out.name!r} is a file of structures, the input is of pairs")
        load_ase()
        return XyzSink()
    if forces:
        raise ValueError(f"forces go into .extxyz, not into {out.name!r}")
    if suffix in SEPARATORS:
        return CsvSink(SEPARATORS[suffix])
    if suffix == ".parquet":
        load_pyarrow()
        return ParquetSink()
    known = list(SUFFIXES)
    raise ValueError(f"{out.name!r} is written by its suffix, which is none of {known}")


class CsvSink(NamedTuple):
    """A table as text."""

    separator: str

    def encode(self, content: Content, found: Predictions) -> Piece:
        """Predictions of ten digits, an empty entry where there is none."""
        predicted = found.table.apply(_as_text)
        table = beside(content.kept, predicted)
        head = pd.DataFrame(columns=table.columns)
        return Piece(self._text(head, True), self._text(table, False))

    def _text(self, frame: pd.DataFrame, header: bool) -> bytes:
        text = frame.to_csv(
            index=False, header=header, sep=self.separator, lineterminator="\n"
        )
        return text.encode("utf-8")

    def finish(self, part: Path, out: Path) -> None:
        """The part is the file."""
        os.replace(part, out)


def _as_text(column: pd.Series) -> pd.Series:
    if column.dtype.kind != "f":
        return column
    values = column.to_numpy()
    text = np.char.mod(_FLOAT, values).astype(object)
    text[np.isnan(values)] = ""
    return pd.Series(text, index=column.index)


class ParquetSink(NamedTuple):
    """A table of Arrow, as a stream of batches until all are there."""

    def encode(self, content: Content, found: Predictions) -> Piece:
        """Predictions in double precision."""
        arrow = load_pyarrow()
        table = arrow.Table.from_pandas(
            beside(content.kept, found.table), preserve_index=False
        ).replace_schema_metadata(None)
        batches = table.combine_chunks().to_batches()
        body = b"".join(batch.serialize().to_pybytes() for batch in batches)
        return Piece(table.schema.serialize().to_pybytes(), body)

    def finish(self, part: Path, out: Path) -> None:
        """Gather batches into groups of rows, a group at a time in memory."""
        arrow = load_pyarrow()
        with replaced_whole(out) as temporary, open(part, "rb") as file:
            stream = arrow.ipc.open_stream(file)
            with arrow.parquet.ParquetWriter(temporary, stream.schema) as writer:
                waiting: list[Any] = []
                for batch in stream:
                    waiting.append(batch)
                    if sum(len(b) for b in waiting) >= _ROW_GROUP:
                        writer.write_table(arrow.Table.from_batches(waiting))
                        waiting = []
                if waiting:
                    writer.write_table(arrow.Table.from_batches(waiting))
        part.unlink()


class XyzSink(NamedTuple):
    """Structures with what was predicted of them, as extended xyz."""

    def encode(self, content: Content, found: Predictions) -> Piece:
        """All that was read, the predictions beside it, forces as ``forces_pred``."""
        ase = load_ase()
        images = content.X.to_ase() if content.images is None else content.images
        for image, row in zip(images, found.table.to_dict("records"), strict=True):
            image.info |= row
        if found.forces is not None:
            ends = np.cumsum([len(image) for image in images])[:-1]
            for image, forces in zip(images, np.split(found.forces, ends), strict=True):
                image.set_array("forces_pred", forces)
        text = io.StringIO()
        ase.io.write(text, images, format="extxyz")
        return Piece(b"", text.getvalue().encode("utf-8"))

    def finish(self, part: Path, out: Path) -> None:
        """The part is the file."""
        os.replace(part, out)

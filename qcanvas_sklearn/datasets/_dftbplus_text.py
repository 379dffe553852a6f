"""Text files of DFTB+ and the numbers in them, whichever system wrote them."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .._files import open_regular

__all__ = ["decoded", "integer", "named", "number", "text_of"]

# UTF-32 comes first, because its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8-sig"), (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip
# No two parts side by side match the same characters, as in the patterns of the parser.
# Fortran leaves out the letter of a three-digit exponent: 0.1-100.
_NUMBER = re.compile(
    r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:[eEdD]?([+-][0-9]+)|[eEdD]([0-9]+))?"
)
_LONGEST_MESSAGE = 400


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Put the path in front of whatever is wrong with the file."""
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{path}: missing") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:
        # A message may quote a line of any length.
        message = str(error)
        if len(message) > _LONGEST_MESSAGE:
            message = f"{message[:_LONGEST_MESSAGE]}..."
        raise ValueError(f"{path}: {message}") from None


def text_of(path: Path) -> str:
    """Text of a file that may not be empty."""
    text = decoded(path)
    if not text.strip():
        raise ValueError("empty")
    return text


def decoded(path: Path) -> str:
    """Text of a file, whose encoding a byte order mark states, with line ends of Unix."""
    with open_regular(path) as file:
        data = file.read()
    encoding = next((code for mark, code in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data:
        raise ValueError("holds zero bytes, as of UTF-16 without a byte order mark")
    try:
        text = data.decode(encoding or "utf-8", errors="strict" if encoding else "replace")
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot be decoded as {encoding}: {error.reason}") from None
    return text.replace("\r\r\n", "\n").replace("\r\n", "\n").replace("\r", "\n")


def number(token: str) -> float:
    """Value of a number as Fortran writes it; it is finite."""
    match = _NUMBER.fullmatch(token)
    if match is None:
        raise ValueError(f"{token!r} is not a number")
    mantissa, signed, unsigned = match.groups()
    value = float(f"{mantissa}e{signed or unsigned or 0}")
    if not math.isfinite(value):
        raise ValueError(f"{token!r} is out of range")
    return value


def integer(token: str) -> int:
    """Value of an integer of at most six digits."""
    if not re.fullmatch(r"[+-]?[0-9]{1,6}", token):
        raise ValueError(f"{token!r} is not an integer")
    return int(token)

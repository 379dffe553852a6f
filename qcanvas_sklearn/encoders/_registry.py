"""Encoders that ship with the package: their files, and the hashes that these must have."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from .._files import open_regular

__all__ = ["SUFFIX", "read_file", "shipped"]

SUFFIX = ".safetensors"
_REGISTRY = "registry.json"


def folder() -> Traversable:
    """Where the files lie."""
    return files("qcanvas_sklearn.encoders").joinpath("data")


def shipped() -> dict[str, str]:
    """SHA-256 of each file, by ``<name>-<family>``."""
    registry: dict[str, str] = json.loads(folder().joinpath(_REGISTRY).read_text("utf-8"))
    return registry


def read_file(name: str | os.PathLike[str], family: str | None) -> tuple[str, bytes]:
    """Bytes of a shipped file, or of any other.

    Parameters
    ----------
    name : str or path-like
        Name of a shipped encoder, with or without its family; or a path.
    family : str or None
        The family that is wanted; None for the only one that there is.

    Returns
    -------
    said : str
        What to call it in messages.
    data : bytes

    Raises
    ------
    FileNotFoundError
        If there is neither a shipped encoder nor a file of that name.
    ValueError
        If the encoder ships for several families and none is asked for, or its file is not
        the one that was shipped.
    """
    key = _key(os.fspath(name), family)
    if key is None:
        return repr(os.fspath(name)), _read_path(name)
    data = folder().joinpath(key + SUFFIX).read_bytes()
    found, expected = sha256(data).hexdigest(), shipped()[key]
    if found != expected:
        raise ValueError(
            f"the shipped encoder {key!r} is damaged: its file has the SHA-256 {found}, "
            f"expected is {expected}; install the package anew"
        )
    return repr(key), data


def _key(name: str, family: str | None) -> str | None:
    """Key of a shipped encoder; None where the name is that of no such one."""
    known = shipped()
    if family is not None and f"{name}-{family}" in known:
        return f"{name}-{family}"
    if name in known:
        return name
    families = [key for key in known if key.rpartition("-")[0] == name]
    if len(families) > 1 and family is None:
        raise ValueError(f"{name!r} ships for several families, name one of {families}")
    # For another family: loading it tells which one it is of.
    return families[0] if families else None


def _read_path(path: str | os.PathLike[str]) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{os.fspath(path)!r} is neither the file of an encoder nor the name of one that "
            f"ships, which are {sorted(shipped())}"
        ) from None

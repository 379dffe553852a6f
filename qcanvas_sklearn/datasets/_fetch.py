"""Downloading the QuantumCanvas archive."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from .. import _files
from ..structures import PairData
from ._archive import DOI, read_archive

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["fetch_quantumcanvas"]

_CHUNK = 2**16
_BAR_WIDTH = 30
_RANGE_NOT_SATISFIABLE = 416
# Refusals of one request that do not hold for the next.
_PASSING = (408, 425, 429, _RANGE_NOT_SATISFIABLE)


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    filename : str
        Name under which it is kept.
    url : str
        Where it is.
    md5 : str
        Its checksum, hexadecimal.
    max_bytes : int
        More than it can have; a longer answer is broken off.
    """

    filename: str
    url: str
    md5: str
    max_bytes: int


ARCHIVE = RemoteFile(
    filename="dataset_combined.npz",
    url="https://zenodo.org/records/20631934/files/dataset_combined.npz",
    md5="a35d349814ca9e12a8413289c015de49",
    max_bytes=50 * 10**6,
)

_PROVENANCE = (
    f"QuantumCanvas archive, doi:{DOI}, CC-BY-4.0: DFTB+ with PTBP parameters, geometry "
    "optimised"
)


class _TransferError(OSError):
    """A download failed.

    Parameters
    ----------
    reason : str
        What went wrong.
    final : bool, default=False
        Whether another try would fail likewise.
    restart : bool, default=False
        Whether what has been received is of no use for another try.
    """

    def __init__(self, reason: str, *, final: bool = False, restart: bool = False) -> None:
        super().__init__(reason)
        self.final = final
        self.restart = restart


def fetch_quantumcanvas(
    data_home: str | os.PathLike[str] | None = None,
    *,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: int = 1,
) -> PairData:
    """Load the QuantumCanvas archive of 2,850 diatomics, downloading it if needed.

    The archive (33.5 MB, CC-BY-4.0) is fetched from Zenodo once, checked, and kept. An
    interrupted download is taken up where it stopped. Of several calls at once, one does
    the work for all, except on Windows.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder to keep the file in. By default the environment variable ``QCANVAS_DATA``,
        or else ``~/qcanvas_data``.
    download_if_missing : bool, default=True
        If False, or if the environment variable ``QCANVAS_OFFLINE`` is set to anything
        but 0, only a file that is already there is used.
    n_retries : int, default=3
        Further tries after a failed one.
    delay : float, default=1.0
        Seconds before the first further try; they double with each.
    verbose : int, default=1
        If positive, show progress on standard error.

    Returns
    -------
    PairData
        Labels, geometry, populations, charges and images; see :func:`read_npz`.

    Raises
    ------
    OSError
        If the file is neither there nor to be had. The message says where to get it by
        other means, and where to put it.
    ValueError
        If `n_retries` or `delay` is negative.

    Warns
    -----
    UserWarning
        If the file that is there has another checksum. It is replaced once the download
        is complete.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.
    .. [2] QuantumCanvas data set, doi:10.5281/zenodo.20631934.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import fetch_quantumcanvas
    >>> pairs = fetch_quantumcanvas()  # doctest: +SKIP
    >>> pairs.images.shape  # doctest: +SKIP
    (2850, 10, 32, 32)
    """
    if n_retries < 0 or delay < 0:
        raise ValueError(
            f"n_retries and delay must not be negative, got {n_retries!r} and {delay!r}"
        )
    offline = os.environ.get("QCANVAS_OFFLINE", "0") not in ("", "0")
    path = _files.data_home(data_home) / ARCHIVE.filename
    if not _is_intact(path, ARCHIVE):
        if offline:
            raise FileNotFoundError(_advice(ARCHIVE, path, "QCANVAS_OFFLINE is set"))
        if not download_if_missing:
            raise FileNotFoundError(_advice(ARCHIVE, path, "download_if_missing is False"))
        if path.exists():
            warnings.warn(
                f"'{path}' has not the MD5 checksum {ARCHIVE.md5} and is downloaded again",
                UserWarning,
                stacklevel=2,
            )
        _download(ARCHIVE, path, n_retries=n_retries, delay=delay, verbose=verbose)
    return read_archive(path, provenance=_PROVENANCE)


def _is_intact(path: Path, remote: RemoteFile) -> bool:
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == remote.md5


def _advice(remote: RemoteFile, path: Path, reason: str) -> str:
    state = "is damaged" if path.exists() else "is missing"
    return (
        f"'{path}' {state} and was not downloaded: {reason}. Get {remote.url} by other "
        f"means (MD5 {remote.md5}) and save it as '{path}'."
    )


def _download(
    remote: RemoteFile,
    path: Path,
    *,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30.0,
    verbose: int = 1,
    schemes: tuple[str, ...] = ("https",),
) -> None:
    """Fetch `remote` to `path`, which appears only when it is complete and right.

    No address is visited, by redirection either, unless its scheme is in `schemes`. Where
    another download to the same folder is under way, its end is waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _one_at_a_time(path.parent):
        if _is_intact(path, remote):  # thanks to the other download
            return
        for n_failed in range(n_retries + 1):
            try:
                if not _is_intact(part, remote):
                    _transfer(remote, part, timeout, verbose, schemes)
                if not _is_intact(part, remote):
                    reason = "what was received has another checksum"
                    raise _TransferError(reason, restart=True)
                break
            except _TransferError as error:
                if error.restart:
                    part.unlink(missing_ok=True)
                if error.final or n_failed == n_retries:
                    reason = f"{error} (try {n_failed + 1} of {n_retries + 1})"
                    raise ConnectionError(_advice(remote, path, reason)) from error
            time.sleep(delay * 2**n_failed)
        os.replace(part, path)


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Let no other process or thread in before the block ends, where the system can.

    The lock is on the directory itself and ends with its process at the latest, so that
    none is ever left behind.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no directories
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _transfer(
    remote: RemoteFile, part: Path, timeout: float, verbose: int, schemes: tuple[str, ...]
) -> None:
    """Add to `part` what it lacks, or write it anew where the server knows no ranges."""
    _check_scheme(remote.url, schemes)
    n_bytes = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "qcanvas_sklearn", "Accept-Encoding": "identity"}
    if n_bytes:
        headers["Range"] = f"bytes={n_bytes}-"
    opener = build_opener(_Redirections(schemes))
    with _network_errors():
        response = opener.open(Request(remote.url, headers=headers), timeout=timeout)
    with response:
        start, total = _extent(response)
        if start not in (0, n_bytes):
            raise _TransferError("the server sent another range than asked for", restart=True)
        progress = _Progress(remote.filename, total, verbose)
        with open(part, "ab" if start else "wb") as file:
            n_bytes = start
            for chunk in _chunks(response):
                n_bytes += len(chunk)
                if n_bytes > remote.max_bytes:
                    raise _TransferError(
                        f"the server sends more than {remote.max_bytes} bytes",
                        final=True,
                        restart=True,
                    )
                file.write(chunk)
                progress.show(n_bytes)
    if total is not None and n_bytes < total:
        raise _TransferError(f"the connection ended after {n_bytes} of {total} bytes")


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """First byte of the answer, and size of the whole file where the server tells."""
    if response.status == 206:
        extent = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "")
        )
        if extent is None:
            raise _TransferError("the server sent a range without its place", restart=True)
        return int(extent[1]), int(extent[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _chunks(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        with _network_errors():
            chunk = response.read1(_CHUNK)
        if not chunk:
            return
        yield chunk


@contextmanager
def _network_errors() -> Iterator[None]:
    try:
        yield
    except _TransferError:
        raise
    except HTTPError as error:
        error.close()
        raise _TransferError(
            f"the server answered {error.code} {error.reason}",
            final=error.code < 500 and error.code not in _PASSING,
            restart=error.code == _RANGE_NOT_SATISFIABLE,
        ) from error
    except (OSError, HTTPException) as error:
        raise _TransferError(str(error) or type(error).__name__) from error


def _check_scheme(url: str, schemes: tuple[str, ...]) -> None:
    if urlsplit(url).scheme not in schemes:
        raise _TransferError(f"{url!r} is refused, accepted is {schemes}", final=True)


class _Redirections(HTTPRedirectHandler):
    """Follows redirections to the accepted schemes only."""

    def __init__(self, schemes: tuple[str, ...]) -> None:
        self.schemes = schemes

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> Request | None:
        _check_scheme(newurl, self.schemes)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Progress:
    """A line on standard error that grows with the download."""

    def __init__(self, name: str, total: int | None, verbose: int) -> None:
        self.name = name
        self.total = total
        self.verbose = verbose
        self.n_drawn = -1

    def show(self, n_bytes: int) -> None:
        if self.verbose <= 0 or not self.total:
            return
        n_drawn = _BAR_WIDTH * n_bytes // self.total
        if n_drawn == self.n_drawn:
            return
        self.n_drawn = n_drawn
        bar = ("#" * n_drawn).ljust(_BAR_WIDTH, ".")
        sizes = f"{n_bytes / 1e6:.1f} of {self.total / 1e6:.1f} MB"
        end = "\n" if n_bytes >= self.total else ""
        print(f"\r{self.name} [{bar}] {sizes}", end=end, file=sys.stderr, flush=True)

"""Downloading data sets: the QuantumCanvas archive, and what others are fetched with."""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from logging import WARNING, Logger
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.utils import Bunch

from .. import _files
from .._progress import tqdm
from ..targets import resolve_targets
from ._archive import DOI, read_archive
from ._bunch import description, make_bunch

# pooch and requests take as long to import as all else here: where nothing is downloaded,
# they are not loaded.
if TYPE_CHECKING:
    from requests import Response, Session

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["RemoteFile", "fetch_quantumcanvas", "local_file"]

# What a broken connection costs at most, beside what has not been received.
_CHUNK = 25_000
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
    md5 : str or None
        Its checksum, hexadecimal; None where none is published, and what is received is
        right when it is complete and can be read.
    max_bytes : int
        More than it can have; a longer answer is broken off.
    """

    filename: str
    url: str
    md5: str | None
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
    target: str | Sequence[str] | None = None,
    return_X_y: bool = False,
    as_frame: bool = True,
    download_if_missing: bool = True,
    n_retries: int = 3,
    delay: float = 1.0,
    verbose: int = 1,
) -> Bunch | tuple[Any, Any]:
    """Load the QuantumCanvas archive of 2,850 diatomics, downloading it if needed.

    The archive (33.5 MB, CC-BY-4.0) is fetched from Zenodo once, checked, and kept. An
    interrupted download is taken up where it stopped. Of several calls at once, one does
    the work for all, except on Windows.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder to keep the file in. By default the environment variable ``QCANVAS_DATA``,
        or else ``~/qcanvas_data``.
    target : str, sequence of str or None, default=None
        A target key, a group name, another label such as "metal_like", or a sequence of
        these; None for all 18 targets.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `data` as a DataFrame and `target` as Series or DataFrame; otherwise as arrays.
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
    data : Bunch
        As :func:`load_pairs` returns it. ``pairs`` holds labels, geometry, populations,
        charges and images; see :func:`read_npz`.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    OSError
        If the file is neither there nor to be had. The message says where to get it by
        other means, and where to put it.
    ValueError
        If `n_retries` or `delay` is negative, or `target` names neither a target, a group
        nor a label.

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
    >>> fetch_quantumcanvas().pairs.images.shape  # doctest: +SKIP
    (2850, 10, 32, 32)
    """
    resolve_targets(target)  # before the download, which takes a while
    path = local_file(
        ARCHIVE, data_home, download_if_missing=download_if_missing, n_retries=n_retries,
        delay=delay, verbose=verbose,
    )  # fmt: skip
    return make_bunch(
        read_archive(path, provenance=_PROVENANCE), target, return_X_y=return_X_y,
        as_frame=as_frame, descr=description("quantumcanvas"),
    )  # fmt: skip


def local_file(
    remote: RemoteFile,
    data_home: str | os.PathLike[str] | None,
    *,
    download_if_missing: bool,
    n_retries: int,
    delay: float,
    verbose: int,
) -> Path:
    """Where a file lies that is there and intact, downloaded where it was not.

    Parameters
    ----------
    remote : RemoteFile
        The file.
    data_home : path-like or None
        Folder to keep it in, see :func:`fetch_quantumcanvas`, as for all that follows.
    download_if_missing : bool
    n_retries : int
    delay : float
    verbose : int

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the file is neither there nor to be had.
    ValueError
        If `n_retries` or `delay` is negative.

    Warns
    -----
    UserWarning
        If the file that is there has another checksum.
    """
    if n_retries < 0 or delay < 0:
        raise ValueError(
            f"n_retries and delay must not be negative, got {n_retries!r} and {delay!r}"
        )
    offline = os.environ.get("QCANVAS_OFFLINE", "0") not in ("", "0")
    path = _files.data_home(data_home) / remote.filename
    if not _is_intact(path, remote):
        if offline:
            raise FileNotFoundError(_advice(remote, path, "QCANVAS_OFFLINE is set"))
        if not download_if_missing:
            raise FileNotFoundError(_advice(remote, path, "download_if_missing is False"))
        if path.exists():
            warnings.warn(
                f"'{path}' has not the MD5 checksum {remote.md5} and is downloaded again",
                UserWarning,
                stacklevel=3,
            )
        _download(remote, path, n_retries=n_retries, delay=delay, verbose=verbose)
    return path


def _is_intact(path: Path, remote: RemoteFile) -> bool:
    import pooch

    if remote.md5 is None:
        return path.is_file()
    return path.is_file() and pooch.file_hash(str(path), alg="md5") == remote.md5


def _advice(remote: RemoteFile, path: Path, reason: str) -> str:
    state = "is damaged" if path.exists() else "is missing"
    checksum = "no checksum is published" if remote.md5 is None else f"MD5 {remote.md5}"
    return (
        f"'{path}' {state} and was not downloaded: {reason}. Get {remote.url} by other "
        f"means ({checksum}) and save it as '{path}'."
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
    import pooch

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")

    def download(url: str, output_file: str, _: object) -> None:
        with _session(schemes) as session:
            for n_failed in range(n_retries + 1):
                try:
                    _complete(session, remote, part, timeout, verbose)
                    break
                except _TransferError as error:
                    if error.restart:
                        part.unlink(missing_ok=True)
                    if error.final or n_failed == n_retries:
                        reason = f"{error} (try {n_failed + 1} of {n_retries + 1})"
                        raise ConnectionError(_advice(remote, path, reason)) from error
                time.sleep(delay * 2**n_failed)
        os.replace(part, output_file)

    with _one_at_a_time(path.parent), _silent(pooch.get_logger()):
        known = None if remote.md5 is None else f"md5:{remote.md5}"
        pooch.retrieve(remote.url, known, path.name, path.parent, downloader=download)


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


@contextmanager
def _silent(logger: Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _session(schemes: tuple[str, ...]) -> Session:
    """A session that knows, and so is redirected to, no other schemes."""
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.adapters.clear()
    for scheme in schemes:
        session.mount(f"{scheme}://", HTTPAdapter())
    session.headers.update({"User-Agent": "qcanvas_sklearn", "Accept-Encoding": "identity"})
    return session


def _complete(
    session: Session, remote: RemoteFile, part: Path, timeout: float, verbose: int
) -> None:
    """Make `part` what it should be, or raise a `_TransferError`."""
    from requests.exceptions import InvalidSchema, RequestException

    # Without a checksum nobody knows whether what there is of it is all.
    if remote.md5 is not None and _is_intact(part, remote):
        return
    try:
        _transfer(session, remote, part, timeout, verbose)
    except InvalidSchema as error:
        accepted = list(session.adapters)
        reason = f"an address was refused, accepted are {accepted}: {error}"
        raise _TransferError(reason, final=True) from error
    except RequestException as error:
        raise _TransferError(f"the connection ended: {error}") from error
    if not _is_intact(part, remote):
        raise _TransferError("what was received has another checksum", restart=True)


def _transfer(
    session: Session, remote: RemoteFile, part: Path, timeout: float, verbose: int
) -> None:
    """Add to `part` what it lacks, or write it anew where the server knows no ranges."""
    n_bytes = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={n_bytes}-"} if n_bytes else {}
    with session.get(remote.url, headers=headers, timeout=timeout, stream=True) as response:
        start, total = _extent(response)
        if start not in (0, n_bytes):
            raise _TransferError("the server sent another range than asked for", restart=True)
        n_bytes = start
        with (
            open(part, "ab" if start else "wb") as file,
            tqdm(
                desc=remote.filename, total=(total or 0) / 1e6, initial=start / 1e6,
                bar_format="{desc} [{bar:30}] {n:.1f} of {total:.1f} MB", ascii=".#",
                disable=verbose <= 0 or not total,
            ) as progress,
        ):  # fmt: skip
            for chunk in response.iter_content(_CHUNK):
                n_bytes += len(chunk)
                if n_bytes > remote.max_bytes:
                    raise _TransferError(
                        f"the server sends more than {remote.max_bytes} bytes",
                        final=True,
                        restart=True,
                    )
                file.write(chunk)
                progress.update(len(chunk) / 1e6)
    if total is not None and n_bytes < total:
        raise _TransferError(f"the connection ended after {n_bytes} of {total} bytes")


def _extent(response: Response) -> tuple[int, int | None]:
    """First byte of the answer, and size of the whole file where the server tells."""
    status = response.status_code
    if status >= 400:
        raise _TransferError(
            f"the server answered {status} {response.reason}",
            final=status < 500 and status not in _PASSING,
            restart=status == _RANGE_NOT_SATISFIABLE,
        )
    if status == 206:
        extent = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "")
        )
        if extent is None:
            raise _TransferError("the server sent a range without its place", restart=True)
        return int(extent[1]), int(extent[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None

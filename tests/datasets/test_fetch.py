"""Downloads, against a server that misbehaves, and the cache of the archive."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pandas as pd
import pooch
import pytest
import requests
from _http_server import FileServer, serve

from qcanvas_sklearn import load_pairs
from qcanvas_sklearn.datasets import PairData, _fetch, write_npz
from qcanvas_sklearn.datasets._fetch import (
    ARCHIVE,
    RemoteFile,
    _download,
    _session,
    fetch_quantumcanvas,
)

BODY = np.random.default_rng(0).bytes(300_000)


def remote_file(url, body=BODY, max_bytes=10**6):
    md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
    return RemoteFile("file.bin", url, md5, max_bytes)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(BODY) as running:
        yield running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "file.bin"


def download(server: FileServer, path, **options):
    options = {"n_retries": 2, "delay": 0.0, "verbose": 0, "schemes": ("http",)} | options
    remote = options.pop("remote", None) or remote_file(server.url)
    _download(remote, path, **options)


def files_of(path):
    return sorted(os.listdir(path.parent))


@pytest.mark.parametrize(
    ("script", "ranges"),
    [
        (["ok"], [None]),
        (["chunked"], [None]),
        (["500", "503", "ok"], [None] * 3),
        (["429", "ok"], [None] * 2),
        (["corrupt", "ok"], [None] * 2),
        (["truncate", "ok"], [None, "bytes=150000-"]),
        (["truncate", "truncate", "ok"], [None, "bytes=150000-", "bytes=225000-"]),
        (["truncate", "ignore_range"], [None, "bytes=150000-"]),
        (["truncate", "corrupt", "ok"], [None, "bytes=150000-", None]),
        (["truncate", "wrong_range", "ok"], [None, "bytes=150000-", None]),
        (["truncate", "placeless_range", "ok"], [None, "bytes=150000-", None]),
        (["truncate", "416", "ok"], [None, "bytes=150000-", None]),
    ],
)
def test_download_recovers(server, path, script, ranges):
    server.script = script
    download(server, path)
    assert path.read_bytes() == BODY
    assert files_of(path) == ["file.bin"]
    assert server.ranges == ranges


@pytest.mark.skipif(os.name == "nt", reason="needs the permissions of POSIX")
def test_others_may_read_what_is_downloaded_as_any_new_file(server, path):
    download(server, path)
    (path.parent / "plain").touch()
    assert len({file.stat().st_mode for file in path.parent.iterdir()}) == 1


def test_the_log_of_pooch_is_as_it_was(server, path):
    level = pooch.get_logger().level
    download(server, path)
    assert pooch.get_logger().level == level


def test_stalled_connection_is_taken_up_again(server, path):
    server.script = ["stall", "ok"]
    download(server, path, timeout=0.2)
    assert path.read_bytes() == BODY
    assert server.ranges == [None, "bytes=150000-"]


def test_partial_file_of_an_earlier_run_is_continued(server, path):
    path.parent.mkdir()
    (path.parent / "file.bin.part").write_bytes(BODY[:1000])
    download(server, path)
    assert path.read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]


def test_complete_partial_file_is_not_fetched_again(server, path):
    path.parent.mkdir()
    (path.parent / "file.bin.part").write_bytes(BODY)
    download(server, path)
    assert path.read_bytes() == BODY
    assert server.ranges == []


@pytest.mark.skipif(_fetch.fcntl is None, reason="needs the file locks of POSIX")
def test_second_download_at_the_same_time_waits_for_the_first(server, path):
    server.script = ["stall", "ok"]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(download, server, path, timeout=0.5)
        while not server.ranges and not first.done():
            time.sleep(0.01)
        second = pool.submit(download, server, path)
        first.result()
        second.result()
    assert path.read_bytes() == BODY
    assert files_of(path) == ["file.bin"]
    assert server.ranges == [None, "bytes=150000-"]


@pytest.mark.parametrize(
    ("way", "n_requests", "left", "reason"),
    [
        ("500", 3, [], "answered 500"),
        ("404", 1, [], "answered 404"),
        ("corrupt", 3, [], "another checksum"),
        ("truncate", 3, ["file.bin.part"], "connection ended"),
        ("stall", 3, ["file.bin.part"], "timed out"),
    ],
)
def test_failure_says_what_to_do_and_leaves_no_wrong_file(
    server, path, way, n_requests, left, reason
):
    server.script = [way]
    with pytest.raises(OSError, match=reason) as caught:
        download(server, path, timeout=0.2)
    assert len(server.ranges) == n_requests
    assert files_of(path) == left
    for fact in (server.url, str(path), remote_file("").md5):
        assert fact in str(caught.value)


def test_existing_file_survives_a_failed_download(server, path):
    path.parent.mkdir()
    path.write_bytes(b"old")
    server.script = ["corrupt"]
    with pytest.raises(OSError, match="is damaged"):
        download(server, path)
    assert path.read_bytes() == b"old"


def test_endless_answer_is_broken_off(server, path):
    with pytest.raises(OSError, match="more than 1000 bytes"):
        download(server, path, remote=remote_file(server.url, max_bytes=1000))
    assert files_of(path) == []
    assert len(server.ranges) == 1


def test_waits_grow_between_tries(server, path, monkeypatch):
    waits = []
    monkeypatch.setattr(_fetch.time, "sleep", waits.append)
    server.script = ["500"]
    with pytest.raises(OSError):
        download(server, path, n_retries=3, delay=0.5)
    assert waits == [0.5, 1.0, 2.0]


def test_local_failure_is_not_taken_for_one_of_the_network(server, path):
    path.parent.mkdir()
    (path.parent / "file.bin.part").mkdir()
    with pytest.raises(IsADirectoryError):
        download(server, path)
    assert len(server.ranges) <= 1


def test_redirection_is_followed(server, path):
    with serve(BODY) as other:
        server.script = [other.url]
        download(server, path)
        assert other.ranges == [None]
    assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/x", "file:///etc/hosts", "https://x.invalid/"]
)
def test_redirection_to_another_scheme_is_refused(server, path, target):
    server.script = [target]
    with pytest.raises(OSError, match="refused|not allowed"):
        download(server, path)
    assert files_of(path) == []
    assert len(server.ranges) == 1


def test_no_redirection_leads_from_https_to_http(server, monkeypatch):
    session = _session(("https",))
    first = requests.Response()
    first.status_code, first.url = 302, "https://a.invalid/file"
    first.headers["Location"] = server.url
    first.request = requests.Request("GET", first.url).prepare()
    first.raw = io.BytesIO()
    with pytest.raises(requests.exceptions.InvalidSchema, match="http://127"):
        list(session.resolve_redirects(first, first.request))
    assert server.ranges == []


def test_plain_http_is_not_accepted_by_default(server, path):
    with pytest.raises(OSError, match="refused"):
        download(server, path, schemes=("https",))
    assert server.ranges == []
    assert ARCHIVE.url.startswith("https://")


def test_progress_is_shown_when_asked_for(server, path, capsys):
    download(server, path, verbose=1)
    shown = capsys.readouterr()
    assert "0.3 of 0.3 MB" in shown.err and shown.err.endswith("\n") and not shown.out
    path.unlink()
    download(server, path, verbose=0)
    assert capsys.readouterr().err == ""


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive that stands for the public one, served nowhere yet."""
    pairs = load_pairs().pairs[:5]
    source = tmp_path / "source.npz"
    write_npz(pairs, source)
    remote = remote_file("https://zenodo.invalid/records/1", source.read_bytes())
    monkeypatch.setattr(
        _fetch, "ARCHIVE", RemoteFile(ARCHIVE.filename, remote.url, remote.md5, 10**6)
    )
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path / "home"))
    monkeypatch.delenv("QCANVAS_OFFLINE", raising=False)
    return source.read_bytes(), pairs, tmp_path / "home" / ARCHIVE.filename


@pytest.fixture
def archive_server(archive, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve(archive[0]) as running:
        monkeypatch.setattr(
            _fetch,
            "ARCHIVE",
            RemoteFile(ARCHIVE.filename, running.url, _fetch.ARCHIVE.md5, 10**6),
        )
        monkeypatch.setattr(_fetch, "_download", partial(_download, schemes=("http",)))
        yield running


def test_fetch_downloads_once_and_keeps(archive, archive_server):
    _, pairs, path = archive
    for _ in range(2):
        fetched = fetch_quantumcanvas(verbose=0).pairs
        assert fetched.names.tolist() == pairs.names.tolist()
        assert "10.5281/zenodo.20631934" in fetched.provenance
    assert len(archive_server.ranges) == 1
    assert os.listdir(path.parent) == [ARCHIVE.filename]


def test_data_home_goes_before_the_environment(archive, archive_server, tmp_path):
    fetch_quantumcanvas(tmp_path / "elsewhere", verbose=0)
    assert os.listdir(tmp_path / "elsewhere") == [ARCHIVE.filename]
    assert not archive[2].parent.exists()


def test_damaged_cache_is_replaced_with_a_warning(archive, archive_server):
    body, _, path = archive
    path.parent.mkdir()
    path.write_bytes(body[:-1])
    with pytest.warns(UserWarning, match="checksum"):
        fetch_quantumcanvas(verbose=0)
    assert path.read_bytes() == body


@pytest.mark.parametrize("offline", [True, False])
def test_without_network_the_error_says_where_to_put_the_file(archive, monkeypatch, offline):
    body, pairs, path = archive
    if offline:
        monkeypatch.setenv("QCANVAS_OFFLINE", "1")
    options = {"download_if_missing": offline, "verbose": 0}
    with pytest.raises(OSError) as caught:
        fetch_quantumcanvas(**options)
    for fact in (_fetch.ARCHIVE.url, str(path), _fetch.ARCHIVE.md5):
        assert fact in str(caught.value)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(body)
    assert len(fetch_quantumcanvas(**options).pairs) == len(pairs)


@pytest.mark.parametrize("options", [{"n_retries": -1}, {"delay": -0.5}])
def test_negative_patience_is_refused(archive, options):
    with pytest.raises(ValueError, match="must not be negative"):
        fetch_quantumcanvas(**options)


def test_unreachable_server_is_an_oserror(archive, monkeypatch):
    def no_network(*args, **options):
        raise requests.ConnectionError("no route to host")

    monkeypatch.setattr(requests.Session, "get", no_network)
    with pytest.raises(OSError, match="no route to host") as caught:
        fetch_quantumcanvas(n_retries=1, delay=0, verbose=0)
    assert str(archive[2]) in str(caught.value)


@pytest.mark.parametrize("as_frame", [True, False])
@pytest.mark.parametrize("target", [None, "e_g_ev", "frontier", ["distance_ang", "charge"]])
def test_what_is_fetched_is_what_is_loaded(archive, archive_server, target, as_frame):
    options = {"target": target, "as_frame": as_frame}
    fetched, loaded = fetch_quantumcanvas(**options, verbose=0), load_pairs(**options)
    assert set(fetched) == set(loaded) and isinstance(fetched.pairs, PairData)
    assert (fetched.target_names, fetched.units) == (loaded.target_names, loaded.units)
    X, y = fetch_quantumcanvas(**options, return_X_y=True, verbose=0)
    if as_frame:
        first = [frame.iloc[:5] for frame in (loaded.data, loaded.target)]
        equal = pd.testing.assert_frame_equal if y.ndim == 2 else pd.testing.assert_series_equal
        pd.testing.assert_frame_equal(X, first[0])
        equal(y, first[1])
        equal(fetched.target, first[1])
    else:
        for given, expected in ((X, loaded.data), (y, loaded.target)):
            assert type(given) is np.ndarray and given.dtype == expected.dtype
            np.testing.assert_array_equal(given, expected[:5])
    assert "CC-BY-4.0" in fetched.DESCR and fetched.DESCR != loaded.DESCR


def test_an_unknown_target_is_named_before_the_download(archive, archive_server):
    with pytest.raises(ValueError, match="unknown target 'Gap'"):
        fetch_quantumcanvas(target="Gap")
    assert archive_server.ranges == []


def test_loading_what_is_there_imports_no_client_of_the_network():
    code = (
        "import sys; from qcanvas_sklearn import datasets; datasets.load_pairs(); "
        "print({'pooch', 'requests'} & sys.modules.keys())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.stdout.strip() == "set()"

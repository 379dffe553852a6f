"""Files appear whole or not at all, and where they should."""

import io
import os
import pickle
import stat
import tracemalloc
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from qcanvas_sklearn._files import data_home, written_whole
from qcanvas_sklearn.datasets import PairData, load_pairs, read_npz, write_npz

WRITERS = {"archive": write_npz, "PairData": PairData.save}
READERS = {"archive": read_npz, "PairData": PairData.load}


def _interrupt(file, **arrays):
    file.write(b"half of it")
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("old", [b"old", None])
def test_interrupted_writing_leaves_things_as_they_were(tmp_path, monkeypatch, kind, old):
    path = tmp_path / "file.npz"
    if old is not None:
        path.write_bytes(old)
    monkeypatch.setattr(np, "savez_compressed", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        WRITERS[kind](load_pairs().pairs[:2], path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [old] * path.exists()


@pytest.mark.parametrize("kind", WRITERS)
def test_place_where_no_file_can_stand_is_named(tmp_path, kind):
    pairs = load_pairs().pairs[:2]
    with pytest.raises(FileNotFoundError, match="no directory '.*none' for 'file.npz'"):
        WRITERS[kind](pairs, tmp_path / "none" / "file.npz")
    with pytest.raises(IsADirectoryError, match="is a directory, not a file"):
        WRITERS[kind](pairs, tmp_path)
    assert os.listdir(tmp_path) == []


def test_file_takes_its_place_at_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with written_whole(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="needs the permissions of POSIX")
def test_names_may_be_as_long_as_files_allow(tmp_path):
    path = tmp_path / ("ü" * 120 + ".safetensors")
    with written_whole(path) as file:
        file.write(b"whole")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "file"):
        pass
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_data_home_follows_the_argument_then_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("QCANVAS_DATA", raising=False)
    assert data_home().name == "qcanvas_data" and data_home().is_absolute()
    monkeypatch.setenv("QCANVAS_DATA", str(tmp_path))
    assert data_home() == tmp_path
    assert data_home("~/elsewhere").name == "elsewhere" and data_home("~/x").is_absolute()


@pytest.mark.skipif(os.name == "nt", reason="needs the users of POSIX")
def test_data_home_without_a_home_is_an_oserror(monkeypatch):
    def nobody(uid):
        raise KeyError(uid)

    for name in ("HOME", "QCANVAS_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    with pytest.raises(FileNotFoundError, match="no home directory.*QCANVAS_DATA"):
        data_home()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pipe_is_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a pipe, not a regular file"):
        read(tmp_path / "pipe")


# ------------------------------------------------------ memory that reading takes


@contextmanager
def memory_below(n_bytes):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < n_bytes
    finally:
        tracemalloc.stop()


@pytest.fixture(params=READERS)
def kind(request):
    return request.param


@pytest.fixture
def blank(tmp_path, kind):
    """A sound file of 200 pairs with images (8 MB), which is small on disk."""
    pairs = load_pairs().pairs[:200]
    images = np.zeros((200, 10, 32, 32), dtype=np.float32)
    WRITERS[kind](replace(pairs, images=images), tmp_path / "file.npz")
    return tmp_path / "file.npz"


def change(path, **arrays):
    """Put arrays, or the bytes of a member, in place of those of the file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, array in arrays.items():
        stream = io.BytesIO()
        if isinstance(array, bytes):
            stream.write(array)
        else:
            np.lib.format.write_array(stream, array)
        members[f"{name}.npy"] = stream.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def header(descr, shape, fortran_order=False):
    stream = io.BytesIO()
    fields = {"descr": descr, "fortran_order": fortran_order, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue()


def assert_refused_unread(path, kind, member, content, reason):
    change(path, **{member: content})
    with memory_below(1_000_000), pytest.raises(ValueError, match=reason) as caught:
        READERS[kind](path)
    assert str(path) in str(caught.value)


def test_reading_takes_little_more_than_the_arrays(blank, kind):
    assert os.path.getsize(blank) < 200_000
    with memory_below(1.6 * 200 * 40960):
        read = READERS[kind](blank)
    assert read.images.shape == (200, 10, 32, 32)


@pytest.mark.parametrize("what", ["unknown", "unknown pickle", "unknown rubbish"])
def test_unknown_members_are_left_alone(tmp_path, kind, what):
    pairs = load_pairs().pairs[:3]
    WRITERS[kind](pairs, tmp_path / "file.npz")
    more = {
        "unknown": np.zeros(4_000_000),
        "unknown pickle": np.array([None], dtype=object),
        "unknown rubbish": b"x" * 30_000_000,
    }
    change(tmp_path / "file.npz", more=more[what])
    with memory_below(5_000_000):
        assert len(READERS[kind](tmp_path / "file.npz")) == 3


@pytest.mark.parametrize(
    ("member", "content", "reason"),
    [
        ("images", header("<f8", (10**9, 10, 32, 32)), "1000000000 rows|images has shape"),
        ("images", np.zeros((200, 10, 64, 64), np.float32), r"images has shape \(200"),
        ("images", header("<f16", (200, 10, 32, 32)), "data type"),
        ("images", header("|O", (200, 10, 32, 32)), "data type object|pickled"),
        ("elements", np.full((200, 2), "H", dtype="<U5000"), "more than 64 characters"),
        ("elements", header("<U2", (200, 2)) + b"\0" * 40_000_000, "do not fit"),
    ],
    # Older pytest spells the bytes out, in a name of 160 MB.
    ids=["rows", "pixels", "float", "objects", "text", "longer"],
)
def test_what_cannot_be_is_refused_before_it_is_read(blank, kind, member, content, reason):
    assert_refused_unread(blank, kind, member, content, reason)


@pytest.mark.parametrize(
    ("kind", "member", "content", "reason"),
    [
        ("PairData", "skipped", np.zeros((5_000_000, 2), "<U1"), "skipped has shape"),
        ("PairData", "provenance", np.zeros(10**7, "<U1"), "provenance has shape"),
        ("PairData", "label_e_g_ev", np.zeros(10**7), "label_e_g_ev has shape"),
        ("archive", "pair_names", np.full(200, "H_H", "<U5000"), "more than 64 characters"),
    ],
    indirect=["kind"],
)
def test_so_is_what_only_one_layout_holds(blank, kind, member, content, reason):
    assert_refused_unread(blank, kind, member, content, reason)


def test_more_than_the_limit_is_refused(blank, kind):
    with pytest.raises(ValueError, match="more than max_bytes=8000000"):
        READERS[kind](blank, max_bytes=8_000_000)
    assert len(READERS[kind](blank, max_bytes=10_000_000)) == 200


def test_wide_texts_are_held_once(tmp_path):
    pairs = load_pairs().pairs[:1000]
    texts = np.array(["", *["x" * 5000] * 999])
    replace(pairs, quality=texts).save(tmp_path / "file.npz")
    with memory_below(1.2 * texts.nbytes):
        assert PairData.load(tmp_path / "file.npz").quality[1] == texts[1]


@pytest.mark.parametrize("instruction", [b"]", b"}", b"]\x94", b"K\x01"])
def test_pickled_objects_take_no_more_than_rows_can_need(tmp_path, instruction):
    pairs = load_pairs().pairs[:3]
    write_npz(pairs, tmp_path / "file.npz")
    # Nearly a megabyte of the smallest instructions, each of which makes an object.
    data = pickle.PROTO + b"\x04(" + instruction * (900_000 // len(instruction)) + b"."
    change(tmp_path / "file.npz", metadata=header("|O", (3,)) + data)
    with memory_below(40_000_000), pytest.raises(ValueError, match="metadata: more than"):
        read_npz(tmp_path / "file.npz")

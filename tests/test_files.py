"""Files appear whole or not at all, and where they should."""

import os
import stat

import numpy as np
import pytest

from qcanvas_sklearn._files import data_home, written_whole
from qcanvas_sklearn.datasets import PairData, load_pairs, write_npz

WRITERS = {"archive": write_npz, "PairData": PairData.save}


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

"""Predictions block by block: iterators, dask, Parquet, structures, and what they refuse."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from qcanvas_sklearn import CompositionRegressor, load_molecules, load_pairs
from qcanvas_sklearn.prediction import predict_blocks, predict_dask, predict_file
from qcanvas_sklearn.prediction._journal import Journal

X, Y = load_pairs(target=["total_energy_ev", "distance_ang"], return_X_y=True)


@pytest.fixture(scope="module")
def model():
    return CompositionRegressor().fit(X, Y)


def test_blocks_come_one_at_a_time_and_in_order(model):
    asked = []

    def blocks():
        for start in range(0, 300, 100):
            asked.append(start)
            yield X.iloc[start : start + 100].assign(id=start)

    predicted = predict_blocks(model, blocks(), keep=["id"])
    first = next(predicted)
    assert asked == [0] and first.columns.tolist() == [
        "id", "total_energy_ev_pred", "distance_ang_pred"
    ]  # fmt: skip
    whole = pd.concat([first, *predicted])
    assert whole.index.equals(X.index[:300]) and asked == [0, 100, 200]
    expected = model.predict(X[:300])
    np.testing.assert_array_equal(whole.drop(columns="id"), expected)


def test_blocks_of_molecules_keep_what_they_are():
    molecules = load_molecules().data[:20]
    model = CompositionRegressor().fit(molecules, molecules.labels["e_g_ev"])
    found = pd.concat(predict_blocks(model, [molecules[:12], molecules[12:]]))
    assert found.columns.tolist() == ["name", "formula", "n_atoms", "charge", "e_g_ev_pred"]
    np.testing.assert_array_equal(found["e_g_ev_pred"], model.predict(molecules))


def test_models_and_blocks_that_are_none_are_refused(model):
    with pytest.raises(TypeError, match="must be a fitted regressor or classifier, got dict"):
        predict_blocks({}, [])
    with pytest.raises(ValueError, match=r"has no predict\(return_std=True\)"):
        predict_blocks(model, [], return_std=True)
    with pytest.raises(ValueError, match="keep must be 'all', 'none' or a list"):
        predict_blocks(model, [], keep="id")
    with pytest.raises(TypeError, match="DataFrames or Molecules, got list"):
        next(predict_blocks(model, [[["H", "O"]]]))


def test_dask_predicts_partitions_where_they_lie(model):
    pytest.importorskip("pyarrow")  # without which dask has no data frames
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(X[:90].assign(id=np.arange(90)), npartitions=4)
    # A partition of no rows has the same columns.
    lazy = predict_dask(model, frame[frame["id"] >= 30], keep=["id"])
    assert lazy.columns.tolist() == ["id", "total_energy_ev_pred", "distance_ang_pred"]
    found = lazy.compute(scheduler="synchronous")
    assert (found.dtypes == lazy.dtypes).all() and found["id"].tolist() == [*range(30, 90)]
    np.testing.assert_array_equal(found.drop(columns="id"), model.predict(X[30:90]))
    with pytest.raises(ValueError, match=r"of which \['element_2'\] are absent"):
        predict_dask(model, frame.drop(columns="element_2"))


@pytest.mark.parametrize("source", ["in.csv", "in.tsv", "in.parquet"])
@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
def test_tables_of_all_formats_say_the_same(model, tmp_path, source, out):
    if "parquet" in source + out:
        pytest.importorskip("pyarrow")
    table = X[:50].assign(number=pd.array([None, *range(49)], dtype="Int64"))
    path = tmp_path / source
    if source == "in.parquet":
        table.to_parquet(path, row_group_size=15)
    else:
        table.to_csv(path, index=False, sep="\t" if source == "in.tsv" else ",")
    assert predict_file(model, path, tmp_path / out, block_size=7) == 50
    read = pd.read_csv if out == "out.csv" else pd.read_parquet
    found = read(tmp_path / out)
    np.testing.assert_allclose(found.iloc[:, -2:], model.predict(X[:50]), rtol=1e-9)
    numbers = pd.to_numeric(found["number"], errors="coerce")
    assert found["element_1"].tolist() == X["element_1"][:50].tolist()
    assert numbers.isna().sum() == 1 and numbers[1:].tolist() == [*range(49)]


@pytest.mark.parametrize(
    ("source", "out"),
    [("csv", "out.csv"), ("csv", "out.parquet"), ("parquet", "out.csv"),
     ("parquet", "out.parquet"), ("extxyz", "out.csv"), ("extxyz", "out.parquet"),
     ("extxyz", "out.extxyz")],
)  # fmt: skip
def test_an_interrupted_file_is_continued_to_the_same_bytes(tmp_path, monkeypatch, source, out):
    if "parquet" in source + out:
        pytest.importorskip("pyarrow")
    path = tmp_path / f"in.{source}"
    if source == "extxyz":
        molecules = load_molecules().data[:40]
        model = CompositionRegressor().fit(molecules, molecules.labels["e_g_ev"])
        molecules.write(path)
    else:
        model = CompositionRegressor().fit(X, Y)
        write = pd.DataFrame.to_csv if source == "csv" else pd.DataFrame.to_parquet
        write(X[:40], path, index=False)
    assert predict_file(model, path, tmp_path / f"whole_{out}", block_size=6) == 40
    append = Journal.append

    def broken(self, file, data, offset, rows):
        if self.progress.rows == 18:
            file.write(b"half a block")
            raise KeyboardInterrupt
        append(self, file, data, offset, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", broken)
        with pytest.raises(KeyboardInterrupt):
            predict_file(model, path, tmp_path / out, block_size=6)
    assert not (tmp_path / out).exists()
    calls = []
    monkeypatch.setattr(Journal, "append", lambda *a: calls.append(a[-1]) or append(*a))
    assert predict_file(model, path, tmp_path / out, block_size=6) == 40
    assert calls == [6, 6, 6, 4]  # none is predicted twice
    assert (tmp_path / out).read_bytes() == (tmp_path / f"whole_{out}").read_bytes()
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {path.name, out, f"whole_{out}"}


@pytest.fixture
def interrupted(model, tmp_path):
    """A table, and the part that an interrupted call left of its predictions."""
    X[:20].to_csv(tmp_path / "in.csv", index=False)
    out = tmp_path / "out.csv"
    predict_file(model, tmp_path / "in.csv", out, model_id="a", block_size=5)
    text = out.read_bytes()
    size = len(b"".join(text.splitlines(keepends=True)[:6]))
    out.unlink()
    journal = Journal(out, {})
    offset = len(b"".join((tmp_path / "in.csv").read_bytes().splitlines(keepends=True)[:6]))
    return {"journal": journal, "text": text, "size": size, "offset": offset, "out": out}


def _leave(interrupted, tmp_path, **task):
    """Write what a call broken off after five rows leaves."""
    from qcanvas_sklearn.prediction import _file
    from qcanvas_sklearn.prediction._sources import open_source

    source = open_source(tmp_path / "in.csv")
    sink = _file.open_sink(interrupted["out"], "pairs", False)
    options = _file._Options(sink, "all", False, False)
    written = _file._task("a", source, options, 5) | task
    progress = {"offset": interrupted["offset"], "rows": 5, "size": interrupted["size"]}
    interrupted["journal"].note.write_text(json.dumps({"task": written, "progress": progress}))
    interrupted["journal"].part.write_bytes(interrupted["text"][: interrupted["size"]])


@pytest.mark.parametrize("changed", ["input", "model", "version", "options", "block size"])
def test_a_part_of_another_task_is_refused_by_name(interrupted, model, tmp_path, changed):
    call = [model, tmp_path / "in.csv", interrupted["out"]]
    _leave(interrupted, tmp_path, **{changed: "another"})
    with pytest.raises(ValueError, match=f"was begun with another {changed}; begin anew"):
        predict_file(*call, model_id="a", block_size=5)
    assert predict_file(*call, model_id="a", block_size=5, restart=True) == 20
    assert interrupted["out"].read_bytes() == interrupted["text"]


def test_parts_that_nobody_knows_are_left_alone(interrupted, model, tmp_path):
    call = [model, tmp_path / "in.csv", interrupted["out"]]
    journal = interrupted["journal"]
    journal.part.write_text("something else")
    with pytest.raises(ValueError, match="is there without a journal"):
        predict_file(*call, model_id="a", block_size=5)
    journal.note.write_text("{}")
    with pytest.raises(ValueError, match="is no journal"):
        predict_file(*call, model_id="a", block_size=5)
    _leave(interrupted, tmp_path)
    journal.part.write_bytes(b"short")
    with pytest.raises(ValueError, match="is shorter than"):
        predict_file(*call, model_id="a", block_size=5)
    assert journal.part.read_bytes() == b"short"


def test_one_process_at_a_time_writes_a_file(interrupted, model, tmp_path):
    pytest.importorskip("fcntl")
    journal = Journal(interrupted["out"], {})
    with journal.opened():
        with pytest.raises(BlockingIOError, match="is being written by another process"):
            predict_file(model, tmp_path / "in.csv", interrupted["out"])


def test_an_input_that_changes_meanwhile_is_noticed(model, tmp_path):
    path = tmp_path / "in.csv"
    X[:20].to_csv(path, index=False)

    class Changing(CompositionRegressor):
        def predict(self, X):
            with open(path, "a") as file:
                file.write("H,H\n")
            return super().predict(X)[:, 0]

    changing = Changing().fit(X, Y)
    with pytest.raises(ValueError, match="the input changed while it was read"):
        predict_file(changing, path, tmp_path / "out.csv", block_size=30, model_id="a")
    assert not (tmp_path / "out.csv").exists()


def test_memory_does_not_grow_with_the_file(model, tmp_path):
    peaks = []
    for n in (200, 2000):
        rows = np.arange(n) % len(X)
        X.iloc[rows].to_csv(tmp_path / "in.csv", index=False)
        tracemalloc.start()
        predict_file(model, tmp_path / "in.csv", tmp_path / "out.csv", block_size=50)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3\n\nH 0 0 0\nH 0 0 1\n", "the last frame ends after 4 lines"),
        ("two\n\nH 0 0 0\n", "a frame begins with the number of its atoms, not b'two"),
        ("1\n\nQq 0 0 0\n", "not extended xyz as ASE reads it"),
    ],
)
def test_structures_that_cannot_be_read_are_refused(tmp_path, text, message):
    molecules = load_molecules().data[:20]
    model = CompositionRegressor().fit(molecules, molecules.labels["e_g_ev"])
    (tmp_path / "in.xyz").write_text(text)
    with pytest.raises(ValueError, match=message):
        predict_file(model, tmp_path / "in.xyz", tmp_path / "out.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["in.xyz"]


def test_parquet_without_pyarrow_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    X[:5].to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(ImportError, match=r'pip install "qcanvas-sklearn\[parquet\]"'):
        predict_file(model, tmp_path / "in.csv", tmp_path / "out.parquet")

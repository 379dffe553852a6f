"""Model files that are damaged, made up, or of another version: refused, and never run."""

import copy
import json
import pickle
import sys
from random import Random

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from sklearn.preprocessing import StandardScaler

import qcanvas_sklearn as q
from qcanvas_sklearn import load_model, read_card, save_model
from qcanvas_sklearn.persistence._file import read_file, write_file
from qcanvas_sklearn.persistence._nets import _Limits

MAX_BYTES = 2**20


@pytest.fixture(scope="module")
def model():
    X = np.random.default_rng(0).normal(size=(20, 3))
    network = q.PairMLPRegressor(n_hidden=4, n_blocks=1, max_epochs=1, random_state=0)
    return network.fit(X, X[:, 0]), X[:4]


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("hostile") / "model.safetensors"
    save_model(model[0], path)
    return path


@pytest.fixture(scope="module")
def contents(path):
    return read_file(path, MAX_BYTES)


@pytest.fixture
def made_up(contents, tmp_path):
    """Write a file of changed contents, with a digest that is right."""

    def write(change):
        changed = contents._replace(
            model=copy.deepcopy(contents.model), arrays=dict(contents.arrays)
        )
        change(changed)
        write_file(tmp_path / "made-up.safetensors", changed)
        return tmp_path / "made-up.safetensors"

    return write


def _object(contents, kind):
    return next(entry for entry in contents.model["objects"] if entry["is"] == kind)


def _net(contents):
    return _object(contents, "NeuralNet")["fields"]


def _parameter(name, value):
    """Change a parameter of the network."""

    def change(contents):
        _net(contents)["parameters"]["dict"][name] = value

    return change


def _entry(kind, part, name, value):
    def change(contents):
        _object(contents, kind)[part][name] = value

    return change


def test_made_up_files_are_read_where_nothing_is_wrong(made_up, model):
    loaded = load_model(made_up(lambda contents: None))
    np.testing.assert_array_equal(loaded.predict(model[1]), model[0].predict(model[1]))


@pytest.mark.parametrize(
    "change, match",
    [
        (_entry("PairMLPRegressor", "fitted", "x", {"class": "os.system"}), "'os.system', wh"),
        (_entry("PairMLPRegressor", "fitted", "x", {"class": "Ridge"}), "for a network"),
        (_entry("PairMLPRegressor", "fitted", "x", {"call": "print"}), "no kind of value"),
        (_entry("PairMLPRegressor", "fitted", "x", {"object": 99}), "object 99"),
        (_entry("PairMLPRegressor", "fitted", "x", {"object": -1}), "object -1"),
        (_entry("PairMLPRegressor", "fitted", "x", {"array": "y"}), "KeyError: 'y'"),
        (_entry("PairMLPRegressor", "fitted", "x", {"float": "1e999"}), "for a number"),
        (_entry("PairMLPRegressor", "fitted", "x", {"dtype": "O"}), "data type 'O'"),
        (_entry("PairMLPRegressor", "fitted", "x", {"items": ["U9", [9], []]}), "0 items"),
        (_entry("PairMLPRegressor", "fitted", "predict", 1), "an attribute 'predict'"),
        (_entry("PairMLPRegressor", "fitted", "__class__", 1), "attribute '__class__'"),
        (_entry("PairMLPRegressor", "params", "power", 1), r"\['power'\], which qcanvas_skl"),
        (_entry("TargetScaler", "fields", "power", 1), r"\['power'\]"),
        (lambda c: _object(c, "TargetScaler").update(more={}), "has the parts"),
        (lambda c: _object(c, "TargetScaler").update({"is": "Popen"}), "'Popen', which is no"),
        (lambda c: c.model["objects"].append({"is": "Bunch", "fields": {}}), r"its \[\d+\]"),
        (lambda c: c.model["objects"].reverse(), "which is not there"),
        (lambda c: c.model.update(root={"dict": {}}), "nothing refers to its"),
        (lambda c: c.model.update(more=1), "it holds no estimator"),
        (lambda c: c.model.pop("root"), "KeyError: 'root'"),
        (lambda c: c.arrays.update(extra=np.zeros(3)), r"nothing refers to its \['extra'\]"),
        (lambda c: c.arrays.popitem(), "KeyError"),
        (lambda c: _net(c)["weights"]["dict"].popitem(), "weights are not those of PairMLP"),
        (lambda c: _net(c)["counters"]["dict"].update(_n_x=1), "counts '_n_x'"),
        (lambda c: c.arrays.update({k: v.astype("f2") for k, v in c.arrays.items()}), "float1"),
        (_parameter("n_hidden", 5), r"has the shape \(2, 119\) and type"),
        (_parameter("n_hidden", 900), "has the shape"),
        (_parameter("n_hidden", 10**9), r"n_hidden=1000000000, and no more than \d+ weights"),
        (_parameter("n_blocks", 10**9), "n_blocks=1000000000"),
        (_parameter("n_blocks", 1000), "far more memory or steps"),
        (_parameter("n_hidden", "many"), "TypeError"),
        (_parameter("colour", "red"), "colour"),
    ],
)  # fmt: skip
def test_contents_that_are_not_known_are_refused(change, match, made_up):
    path = made_up(change)
    modules = set(sys.modules)
    with pytest.raises(ValueError, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)
    assert set(sys.modules) == modules


def test_tensors_beyond_the_limit_are_never_made():
    with pytest.raises(ValueError, match="far more memory"), _Limits(10**6, 10):
        torch.zeros(10**7, 10**7)
    with pytest.raises(ValueError, match="far more memory"), _Limits(10**6, 10):
        torch.ones(10**5, dtype=torch.float32).outer(torch.ones(2))
    with _Limits(10**6, 10):
        torch.ones(1000)


def test_absent_parameters_are_the_defaults(made_up):
    path = made_up(lambda c: _object(c, "PairMLPRegressor")["params"].pop("n_iter_no_change"))
    assert load_model(path).n_iter_no_change == q.PairMLPRegressor().n_iter_no_change


def test_later_formats_are_refused(path, monkeypatch, contents, tmp_path):
    monkeypatch.setattr("qcanvas_sklearn.persistence._file.FORMAT", 7)
    write_file(tmp_path / "later.safetensors", contents)
    monkeypatch.undo()
    for read in (load_model, read_card):
        with pytest.raises(ValueError, match="format 7.*reads formats 1 to 1: install"):
            read(tmp_path / "later.safetensors")


@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "safetensors"])
def test_other_files_are_refused(kind, tmp_path):
    path = tmp_path / kind
    if kind == "safetensors":
        save_file({"x": np.zeros(3)}, path)
    else:
        known = {"text": b"element_1,element_2\n", "pickle": pickle.dumps(StandardScaler())}
        path.write_bytes(known.get(kind, b""))
    for read in (load_model, read_card):
        with pytest.raises(ValueError, match="is no model that qcanvas_sklearn"):
            read(path)


def test_absent_and_large_files(path, tmp_path):
    for read in (load_model, read_card):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "absent")
        with pytest.raises(ValueError, match="more than max_bytes=100"):
            read(path, max_bytes=100)


def test_random_damage_is_refused(path, model, tmp_path):
    """Bytes that are changed, left out or added: a ValueError every time."""
    whole, random = path.read_bytes(), Random(0)
    damaged = tmp_path / "damaged.safetensors"
    for trial in range(100):
        data, place = bytearray(whole), random.randrange(len(whole))
        if trial % 4 == 0:
            del data[place:]
        elif trial % 4 == 1:
            data[place : place] = random.randbytes(random.randrange(1, 9))
        else:
            data[place] ^= 1 << random.randrange(8)
        damaged.write_bytes(data)
        for read in (load_model, read_card):
            with pytest.raises(ValueError, match="is no model that qcanvas_sklearn"):
                read(damaged)


def test_random_changes_with_a_right_digest_end_well(contents, made_up):
    """Whatever the JSON says: a model, or a ValueError."""
    text, random = json.dumps(contents.model), Random(1)
    numbers = [i for i, c in enumerate(text) if c.isdigit()]
    n_read = n_refused = 0
    for _ in range(100):
        place, changed = random.choice(numbers), list(text)
        changed[place] = random.choice(["9", "7e3", "null", "-1", "[]", '"a"', "1.5", "{}"])
        try:
            parsed = json.loads("".join(changed))
        except ValueError:
            continue
        path = made_up(lambda c, parsed=parsed: c.model.update(parsed))
        try:
            load_model(path)
            n_read += 1
        except ValueError:
            n_refused += 1
    assert n_refused > 20 and n_read > 5

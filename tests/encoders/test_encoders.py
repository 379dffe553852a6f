"""Encoder files: they come back as they were, or not at all."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from _devices import assert_same
from safetensors.numpy import load, save
from sklearn.base import clone

from qcanvas_sklearn import EncoderTransformer, SchNetRegressor, encoders, load_molecules
from qcanvas_sklearn.encoders import Encoder, _registry
from qcanvas_sklearn.structures import Molecules
from qcanvas_sklearn.training import Scaling

SMALL = {"n_hidden": 8, "n_layers": 2, "cutoff": 3.0, "max_epochs": 2, "random_state": 0}


@pytest.fixture(scope="module")
def molecules():
    return load_molecules().data[:40]


@pytest.fixture(scope="module")
def model(molecules):
    return SchNetRegressor(**SMALL).fit(molecules, molecules.labels[["e_g_ev"]])


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / "gaps.safetensors"
    model.save_encoder(path, card={"data": "some molecules", "rows": np.int64(40)})
    return path


# ------------------------------------------------------------------------ files


def test_a_fresh_process_reads_what_was_written(path, model):
    code = (
        "import json; from qcanvas_sklearn import encoders\n"
        f"e = encoders.Encoder.load({str(path)!r})\n"
        "print(json.dumps([e.describe(), float(sum(w.sum() for w in e.weights.values()))]))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": str(Path(encoders.__file__).parents[2])},
    )  # fmt: skip
    said, total = json.loads(out.stdout)
    encoder = Encoder.load(path)
    assert said == encoder.describe() == encoders.describe(path)
    assert total == float(sum(w.sum() for w in encoder.weights.values()))
    assert said["targets"] == {"e_g_ev": "eV"} and said["card"]["rows"] == 40
    assert said["elements"] == model.elements_ and said["name"] == "gaps"
    assert said["hyperparameters"]["cutoff"] == 3.0
    module = dict(model.net_.module_.named_parameters())
    for name, weight in encoder.weights.items():
        assert (weight == module[name].detach().numpy()).all()
    assert {n for n in module if not n.startswith("readout.")} == set(encoder.weights)


def test_scaling_comes_back_to_the_last_bit(path, tmp_path):
    scaling = {"atom": Scaling(np.array([1 / 3]), np.array([np.pi]), -1)}
    pairs = replace(Encoder.load(path), kind="pairs", input_scaling=scaling)
    pairs.save(tmp_path / "pairs.safetensors")
    (name, found), = Encoder.load(tmp_path / "pairs.safetensors").input_scaling.items()
    assert name == "atom" and found.axis == -1
    assert (found.mean == [1 / 3]).all() and (found.scale == [np.pi]).all()


def test_loading_leaves_global_state_alone(path, molecules):
    torch.set_default_dtype(torch.float64)
    try:
        before = (
            torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads(),
        )  # fmt: skip
        EncoderTransformer(Encoder.load(path)).fit_transform(molecules[:3])
        assert torch.get_default_dtype() is torch.float64
        assert (torch.get_rng_state() == before[0]).all()
        assert (np.random.get_state()[1] == before[1]).all()
        assert torch.get_num_threads() == before[2]
    finally:
        torch.set_default_dtype(torch.float32)


def header(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["qcanvas_encoder"])


def rewritten(data, **changes):
    """A whole safetensors file that says something else."""
    return save(load(data), {"qcanvas_encoder": json.dumps(header(data) | changes)})


DAMAGE = {
    "empty": (lambda d: b"", "no encoder file"),
    "half": (lambda d: d[: len(d) // 2], "no encoder file"),
    "one byte short": (lambda d: d[:-1], "no encoder file"),
    "one bit of a weight": (lambda d: d[:-2] + bytes([d[-2] ^ 1]) + d[-1:], "not as it was"),
    "other elements": (lambda d: rewritten(d, elements=["H", "Xe"]), "not as it was"),
    "another name": (lambda d: rewritten(d, name="other"), "not as it was"),
    "a later version": (lambda d: rewritten(d, format=2), "another version"),
    "no family": (lambda d: rewritten(d, family="transformer"), "family='transformer'"),
    "unknown fields": (lambda d: rewritten(d, extra=1), "extra"),
    "other tensors": (lambda d: save({"w": np.zeros(3)}), "no encoder file"),
    "a pickle": (lambda d: pickle.dumps({"w": np.zeros(3)}), "no encoder file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage, path, tmp_path):
    change, message = DAMAGE[damage]
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message) as raised:
        Encoder.load(wrong)
    assert "wrong.safetensors" in str(raised.value)


def test_a_record_that_makes_no_sense_is_refused(path, tmp_path):
    encoder = Encoder.load(path)
    with pytest.raises(ValueError, match="kind='crystals'"):
        replace(encoder, kind="crystals")
    with pytest.raises(TypeError, match="card holds what JSON cannot"):
        replace(encoder, card={"data": object()})
    with pytest.raises(TypeError, match="card holds what JSON cannot"):
        replace(encoder, card={"error": np.nan})
    with pytest.raises(FileNotFoundError):
        encoder.save(tmp_path / "nowhere" / "e.safetensors")
    with pytest.raises(ValueError, match="read-only"):
        encoder.weights["embed.weight"][0] = 0
    changed = dict(encoder.weights) | {"embed.weight": encoder.weights["embed.weight"] + 1}
    assert replace(encoder, weights=changed).sha256 != encoder.sha256
    assert replace(encoder).sha256 == encoder.sha256


# ------------------------------------------------------------------- what ships


@pytest.fixture
def ships(path, tmp_path, monkeypatch):
    """A registry of two encoders."""
    encoder, registry = Encoder.load(path), {}
    for name in ("gaps", "dimers"):
        file = tmp_path / f"{name}-schnet.safetensors"
        replace(encoder, name=name).save(file)
        registry[file.stem] = sha256(file.read_bytes()).hexdigest()
    (tmp_path / "registry.json").write_text(json.dumps(registry))
    monkeypatch.setattr(_registry, "folder", lambda: tmp_path)
    return tmp_path


def test_shipped_encoders_have_names(ships, molecules):
    table = encoders.list()
    assert table["name"].tolist() == ["dimers", "gaps"]
    assert table["family"].tolist() == ["schnet"] * 2 and (table["n_parameters"] > 0).all()
    assert encoders.describe("gaps") == encoders.describe("gaps", "schnet")
    assert encoders.describe("gaps-schnet")["name"] == "gaps"
    X, y = molecules[:10], molecules.labels["e_homo_ev"][:10]
    model = SchNetRegressor(**SMALL, pretrained="gaps").fit(X, y)
    assert model.pretrained_report_["name"] == "gaps"
    with pytest.raises(FileNotFoundError, match=r"'gap' is neither .*\['dimers-schnet', 'gap"):
        model.set_params(pretrained="gap").fit(X, y)


def test_a_shipped_file_under_another_name_or_changed_is_refused(ships):
    os.replace(ships / "dimers-schnet.safetensors", ships / "gaps-schnet.safetensors")
    with pytest.raises(ValueError, match="'gaps-schnet' is damaged: .* SHA-256"):
        Encoder.load("gaps", "schnet")


def test_a_name_of_several_families_needs_one(ships):
    registry = json.loads((ships / "registry.json").read_text())
    registry["gaps-egnn"] = ""
    (ships / "registry.json").write_text(json.dumps(registry))
    with pytest.raises(ValueError, match=r"several families.*'gaps-egnn'"):
        encoders.describe("gaps")
    assert encoders.describe("gaps", "schnet")["family"] == "schnet"


def test_all_that_ships_is_whole():
    table = encoders.list()
    assert len(table) == len(_registry.shipped())
    for file in Path(encoders.__file__).parent.joinpath("data").glob("*.safetensors"):
        assert file.stem in _registry.shipped() and file.stat().st_size <= 3e6


# ---------------------------------------------------------- EncoderTransformer


def test_features_are_what_the_model_knows(path, model, molecules):
    """Summed over the atoms; in whatever order these come, wherever the molecule lies."""
    X = molecules[:5]
    features = EncoderTransformer(path).fit_transform(X)
    assert features.shape == (5, 8) and features.dtype == np.float64
    rows = model.reader_.read(model, X).to(torch.device("cpu"), torch.float64)
    batch = rows.batch(slice(None))
    x = model.net_.module_.double().eval().encode(**batch).detach().numpy()
    model.net_.module_.float()
    sums = np.add.reduceat(x, X.ptr[:-1])
    np.testing.assert_allclose(features, sums, rtol=0, atol=1e-10)
    means = EncoderTransformer(path, pooling="mean").fit_transform(X)
    np.testing.assert_allclose(means, sums / np.diff(X.ptr)[:, None], rtol=0, atol=1e-10)
    by_element = EncoderTransformer(path, pooling="element").fit_transform(X)
    np.testing.assert_allclose(by_element.reshape(5, 5, 8).sum(1), sums, rtol=0, atol=1e-10)

    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    atoms = np.split(np.arange(len(X.z)), X.ptr[1:-1])
    order = np.concatenate([one[::-1] for one in atoms])
    moved = Molecules(X.z[order], X.positions[order] @ turn + 7, X.ptr)
    again = EncoderTransformer(path).fit_transform(moved)
    np.testing.assert_allclose(again, features, rtol=0, atol=1e-9)


def test_transformer_does_as_scikit_learn_does(path, molecules, tmp_path):
    file = tmp_path / "e.safetensors"
    file.write_bytes(path.read_bytes())
    transformer = clone(EncoderTransformer(file, pooling="element"))
    table = transformer.set_output(transform="pandas").fit_transform(molecules[:4])
    assert isinstance(table, pd.DataFrame) and table.columns[0] == "C_schnet0"
    assert table.columns.tolist() == transformer.get_feature_names_out().tolist()
    file.unlink()
    loaded = pickle.loads(pickle.dumps(transformer))
    assert_same(loaded.transform(molecules[:4].to_ase()), table)
    assert_same(transformer.transform(molecules[2:4]), table[2:])


def test_transformer_refuses_what_it_cannot_describe(path, molecules, few_pairs):
    with pytest.raises(ValueError, match="pooling='max'"):
        EncoderTransformer(path, pooling="max").fit(molecules)
    with pytest.raises(TypeError, match="positions"):
        EncoderTransformer(path).fit(few_pairs[0])
    pairs = replace(Encoder.load(path), kind="pairs")
    with pytest.raises(ValueError, match="one of pairs"):
        EncoderTransformer(pairs).fit(molecules)
    xenon = Molecules.from_lists([["Xe", "H"]], [[[0, 0, 0], [0, 0, 2.0]]])
    with pytest.raises(ValueError, match=r"not trained on the elements \['Xe'\]"):
        EncoderTransformer(path).fit(molecules).transform(xenon)

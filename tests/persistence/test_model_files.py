"""Models that one can hand on: the same predictions elsewhere, and a card."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from _persisted import cases
from safetensors import safe_open
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch.callbacks import EpochScoring

import qcanvas_sklearn as q
from qcanvas_sklearn import load_model, read_card, save_model, trim
from qcanvas_sklearn.persistence import _models
from qcanvas_sklearn.persistence._registry import Form, kind_named, kind_of

CASES = cases()
TESTS = Path(__file__).parents[1]


class Mine(StandardScaler):
    """A class that nobody knows of."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All models, each in its file."""
    folder = tmp_path_factory.mktemp("models")
    for name, case in CASES.items():
        save_model(case.model, folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def elsewhere(folder):
    """What a process that fitted nothing says, with the models of the files."""
    script = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import joblib, numpy as np
from pathlib import Path
from _persisted import Case
from qcanvas_sklearn import load_model
folder, out = Path({str(folder)!r}), {{}}
for name, X in joblib.load(folder / "asked.joblib").items():
    answers = Case(None, (), X).answers(load_model(folder / f"{{name}}.safetensors"))
    out |= {{f"{{name}} {{what}}": answer for what, answer in answers.items()}}
np.savez(folder / "answers.npz", **out)
"""
    joblib.dump({name: case.X for name, case in CASES.items()}, folder / "asked.joblib")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    with np.load(folder / "answers.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def fitted():
    X, y = _table()
    model = q.PairMLPRegressor(n_hidden=8, n_blocks=1, n_members=2, random_state=0)
    return model.set_params(max_epochs=1).partial_fit(X, y).partial_fit(X, y), X, y


@pytest.fixture
def network(fitted):
    """A small model that stands for all, fitted in two steps, and its rows."""
    return copy.deepcopy(fitted)


def _table():
    X = np.random.default_rng(1).normal(size=(30, 3))
    return X, X.sum(axis=1)


# ------------------------------------------------------------------ the way there and back


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_equal_to_the_last_bit(name, elsewhere):
    case = CASES[name]
    for what, answer in case.answers(case.model).items():
        found = elsewhere[f"{name} {what}"]
        assert found.dtype.kind == answer.dtype.kind
        np.testing.assert_array_equal(found, answer.astype(found.dtype), what)


def test_everything_public_that_can_be_fitted_is_tested():
    """A new estimator has to be listed, and to be among the cases."""
    public = {getattr(q, name) for name in q.__all__}
    fitted = {
        cls for cls in public
        if isinstance(cls, type) and issubclass(cls, BaseEstimator) and hasattr(cls, "fit")
    }  # fmt: skip
    assert [cls.__name__ for cls in fitted if kind_of(cls) is None] == []
    tested = {type(case.estimator) for case in CASES.values()}
    assert [cls.__name__ for cls in fitted - tested] == []


def test_every_network_is_listed():
    cores = {"DenseGATv2Conv", "DimeNetPlusPlus", "EGNN", "FAENet", "GATv2", "GotenNet",
             "HamiltonianNetwork", "MoleculeNetwork", "PaiNN", "SchNet"}  # fmt: skip
    for name in set(q.nn.__all__) - cores:
        assert kind_named(name).form is Form.NETWORK
        assert kind_of(getattr(q.nn, name)) == kind_named(name)


def test_parameters_and_what_was_fitted_come_back(folder):
    case = CASES["schnet-molecules"]
    model = load_model(folder / "schnet-molecules.safetensors")
    assert repr(model) == repr(case.model)
    assert set(vars(model)) == set(vars(case.model)) | {"_trimmed"}
    assert model.provenance_ == case.model.provenance_
    assert model.history_.equals(case.model.history_)
    assert model.target_names_ == ["total_energy_ev", "e_g_ev"]


def test_a_record_as_source_comes_back(folder):
    source = load_model(folder / "image-own.safetensors").source
    own = CASES["image-own"].model.source
    assert source.labels.equals(own.labels)
    assert not source.positions.flags.writeable
    np.testing.assert_array_equal(source.orbital_populations, own.orbital_populations)


def test_what_is_shared_stays_shared(folder):
    reader = load_model(folder / "pair_mlp-symbols.safetensors").reader_
    assert reader.columns_.layout == reader.transformer_.layout_
    reader = load_model(folder / "hamiltonian.safetensors").reader_
    assert reader.template_.basis is reader.basis


def test_global_state_is_left_alone(folder):
    before = torch.get_rng_state(), np.random.get_state()[1], torch.get_num_threads()
    load_model(folder / "tight_binding.safetensors")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.get_num_threads() == before[2]


def test_files_are_the_same_for_the_same_model(folder, tmp_path):
    again = tmp_path / "again.safetensors"
    save_model(CASES["ridge"].model, again)
    assert again.read_bytes() == (folder / "ridge.safetensors").read_bytes()


def test_a_model_of_a_gpu_predicts_without_one(network, tmp_path, monkeypatch):
    model, X, _ = network
    expected = model.predict(X)
    save_model(model.set_params(device="cuda"), tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert all(weight.device.type == "cpu" for weight in loaded.net_.module_.parameters())
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.warns(UserWarning, match="the CPU is used"):
        found = loaded.predict(X)
    # Another machine's products are rounded otherwise.
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "value",
    [
        np.random.RandomState(3), frozenset({1, 2}), {(1, "a"): None, 2: slice(1, None)},
        {"x": float("nan"), "y": -float("inf")}, np.float32(0.1), np.dtype("int8"), np.bool_,
        np.array("a"), np.array([["a", None], [2, 0.5]], dtype=object), np.array(["", "ü"]),
        np.zeros((0, 3)), np.array(2.5), np.arange(6.0).reshape(2, 3).T, 2**80, "\ud800", (),
        [[1], [2]], np.array([None, [1, 2]], dtype=object), torch.ones(2, 0),
        pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, np.nan]}, ["i", "j"]),
        pd.DataFrame({"t": pd.array([True, None], "boolean"), 2: pd.array([1, None], "Int8")}),
        pd.DataFrame(index=pd.Index([3, 4], name="k")), pd.DataFrame({0: [None, "a"]}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_come_back_as_they_are(value, tmp_path):
    scaler = StandardScaler().fit([[1.0]])
    scaler.extra_ = value
    save_model(scaler, tmp_path / "m.safetensors")
    found = load_model(tmp_path / "m.safetensors").extra_
    assert type(found) is type(value)
    if isinstance(value, np.random.RandomState):
        assert found.randint(1000) == np.random.RandomState(3).randint(1000)
    else:
        assert repr(found) == repr(value)
    if isinstance(value, pd.DataFrame):
        pd.testing.assert_frame_equal(found, value)
    if isinstance(value, np.ndarray):
        assert (found.shape, found.strides) == (value.shape, value.strides)


def test_paths_come_back_as_texts(tmp_path):
    encoder = CASES["encoder"].estimator.pretrained
    encoder.save(tmp_path / "encoder.safetensors")
    model = q.EncoderTransformer(tmp_path / "encoder.safetensors").fit(CASES["encoder"].X)
    save_model(model, tmp_path / "m.safetensors")
    found = load_model(tmp_path / "m.safetensors")
    assert found.pretrained == str(tmp_path / "encoder.safetensors")
    assert clone(found).fit(CASES["encoder"].X).encoder_.sha256 == encoder.sha256


# ----------------------------------------------------------------------------- the card


def test_card_says_what_the_model_is(network, tmp_path):
    path = tmp_path / "m.safetensors"
    scores = {"mae_ev": np.float64(0.25), "by_fold": np.array([0.2, 0.3])}
    model = CASES["pair_mlp-symbols"].model
    save_model(model, path, card={"data": "bundled, every 70th", "scores": scores})
    card = read_card(path)
    assert card["estimator"] == "PairMLPRegressor"
    assert card["parameters"]["n_members"] == 2
    assert card["targets"] == model.target_names_
    assert card["units"] == {name: "eV" for name in model.target_names_}
    assert card["elements"] == model.elements_
    assert card["provenance"]["n_training_rows"] == model.provenance_["n_training_rows"]
    assert card["versions"]["qcanvas_sklearn"] == q.__version__
    assert card["scores"] == {"mae_ev": 0.25, "by_fold": [0.2, 0.3]}
    assert card["trimmed"] is True
    with safe_open(path, "np") as file:
        assert json.loads(file.metadata()["card"]) == card


def test_card_looks_into_pipelines(folder):
    card = read_card(folder / "scaled-target.safetensors")
    assert card["estimator"] == "TransformedTargetRegressor"
    assert card["provenance"]["n_training_rows"] == 40
    classes = read_card(folder / "schnet-classes.safetensors")["classes"]
    assert classes == ["narrow", "wide"]


def test_card_is_read_without_the_model(folder, monkeypatch):
    monkeypatch.setattr(_models, "Reader", None)
    assert read_card(folder / "ridge.safetensors")["estimator"] == "Ridge"


@pytest.mark.parametrize(
    "card, error, match",
    [
        ({"elements": []}, ValueError, r"card holds \['elements'\]"),
        ({"score": float("nan")}, ValueError, r"card\['score'\] is nan"),
        ({"by": {"me": object()}}, TypeError, r"card\['by'\]\['me'\] is a object"),
        ({"by": {1: 2}}, TypeError, r"card\['by'\] has the key 1"),
        ("mine", TypeError, "is no mapping"),
    ],
)
def test_cards_that_cannot_stand(card, error, match, tmp_path):
    with pytest.raises(error, match=match):
        save_model(CASES["pair_mlp-symbols"].model, tmp_path / "m.safetensors", card=card)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "change, match",
    [
        ({"callbacks": [EpochScoring("r2")]}, r"PairMLPRegressor\.callbacks\[0\] is a Epoch"),
        ({"random_state": len}, r"PairMLPRegressor\.random_state is len"),
        ({"loss": lambda: None}, r"PairMLPRegressor\.loss is .*<lambda>"),
        ({"verbose": StandardScaler}, "verbose is the class StandardScaler"),
        ({"parity": {"y": np.datetime64("2020-01-01")}}, r"parity\['y'\] is a number of type"),
        ({"parity": np.zeros(2, dtype="c16")}, "parity is an array of type complex128"),
        ({"parity": np.ma.masked_array([1])}, "parity is a masked array"),
        ({"verbose": Mine()}, "verbose is a Mine"),
    ],
)
def test_what_is_no_data_is_refused_by_its_name(change, match, network, tmp_path):
    model = network[0].set_params(**change)
    with pytest.raises(TypeError, match=match):
        save_model(model, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_functions_in_pipelines_are_refused(tmp_path):
    X, y = _table()
    model = make_pipeline(FunctionTransformer(np.log1p), StandardScaler()).fit(abs(X), y)
    with pytest.raises(TypeError, match=r"Pipeline\.steps\[0\]\[1\]\.func is log1p"):
        save_model(model, tmp_path / "m.safetensors")
    plain = FunctionTransformer().fit(X)
    save_model(plain, tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors").func is None


def test_own_classes_are_refused(tmp_path):
    with pytest.raises(TypeError, match="^Mine is a Mine, which a model file cannot hold"):
        save_model(Mine().fit([[1.0]]), tmp_path / "m.safetensors")


def test_a_model_that_holds_itself_is_refused(tmp_path):
    model = StandardScaler().fit([[1.0]])
    model.extra_ = {"own": [model]}
    with pytest.raises(TypeError, match=r"extra_\['own'\]\[0\] holds itself"):
        save_model(model, tmp_path / "m.safetensors")


def test_only_fitted_estimators_are_saved(tmp_path):
    for function in (lambda model: save_model(model, tmp_path / "m.safetensors"), trim):
        with pytest.raises(NotFittedError):
            function(q.PairMLPRegressor())
        with pytest.raises(TypeError, match="int is no estimator"):
            function(3)


def test_a_failure_leaves_the_file_that_was_there(network, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(network[0], path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        save_model(network[0].set_params(loss=len), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# ------------------------------------------------------------------------------ trimming


def test_trimmed_models_are_smaller_and_predict_the_same(network, tmp_path):
    model, X, _ = network
    small = trim(model)
    assert vars(model)["_held_back"] is not None and len(model.net_.history) == 2
    for own, other in zip(
        small.predict(X, return_std=True), model.predict(X, return_std=True), strict=True
    ):
        np.testing.assert_array_equal(own, other)
    assert len(small.history_) == 2
    sizes = []
    for part in (True, False):
        save_model(model, tmp_path / "m.safetensors", trim=part)
        sizes.append((tmp_path / "m.safetensors").stat().st_size)
        assert read_card(tmp_path / "m.safetensors")["trimmed"] is part
    assert sizes[0] < sizes[1] / 2


def test_trimmed_models_are_not_continued(network):
    model, X, y = network
    small = trim(make_pipeline(StandardScaler(), model).fit(X, y))[-1]
    with pytest.raises(ValueError, match="PairMLPRegressor was trimmed"):
        small.partial_fit(X, y)
    with pytest.raises(ValueError, match="was trimmed"):
        small.set_params(warm_start=True).fit(X, y)
    again = small.set_params(warm_start=False, max_epochs=1).fit(X, y)
    again.set_params(warm_start=True).fit(X, y)
    assert again.n_iter_ == 2
    assert not hasattr(clone(small), "_trimmed")


def test_trimming_reaches_models_within(folder):
    model = load_model(folder / "qcanvas-states.safetensors")
    assert model._trimmed and model.tight_binding_._trimmed


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_whole_models_go_on_where_they_were(how, network, tmp_path):
    model, X, y = network
    if how == "fit":
        model.set_params(max_epochs=2, warm_start=True)
    save_model(model, tmp_path / "m.safetensors", trim=False)
    loaded = load_model(tmp_path / "m.safetensors")
    for one in (loaded, model):
        getattr(one, how)(X, y)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert len(loaded.history_) == len(model.history_)


def test_frozen_weights_stay_frozen(network, tmp_path):
    model, X, y = network
    weights = dict(model.net_.module_.named_parameters())
    frozen = next(iter(weights))
    weights[frozen].requires_grad_(False)
    save_model(model, tmp_path / "m.safetensors", trim=False)
    loaded = load_model(tmp_path / "m.safetensors").partial_fit(X, y)
    for name, weight in loaded.net_.module_.named_parameters():
        assert torch.equal(weight, weights[name]) == (name == frozen)


def test_tight_binding_goes_on_where_it_was(tmp_path):
    X, y = CASES["tight_binding"].X, np.arange(5.0)
    model = q.TightBindingRegressor(
        n_members=2, n_hidden=8, max_epochs=1, random_state=0, warm_start=True,
        targets="total_energy_ev",
    ).fit(X, y, X_val=X, y_val=y)  # fmt: skip
    save_model(model, tmp_path / "m.safetensors", trim=False)
    loaded = load_model(tmp_path / "m.safetensors")
    for one in (loaded, model):
        one.fit(X, y, X_val=X, y_val=y)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


# ------------------------------------------------------------------------------ versions


def test_another_scikit_learn_is_told_of(folder, monkeypatch):
    monkeypatch.setattr("sklearn.__version__", "1.99.0")
    with pytest.warns(InconsistentVersionWarning, match="Ridge"):
        load_model(folder / "ridge.safetensors")

"""What runs through joblib, on a Dask cluster: the same numbers, and little that is sent."""

import pickle

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV, cross_validate

from qcanvas_sklearn import (
    CompositionRegressor,
    PairImageTransformer,
    PairMLPRegressor,
    QuantumShellNetRegressor,
    load_pairs,
    save_model,
)
from qcanvas_sklearn.cli import main
from qcanvas_sklearn.datasets import compute_molecules, compute_pairs
from qcanvas_sklearn.hamiltonians import compute_hamiltonians
from qcanvas_sklearn.model_selection import ElementPairKFold
from qcanvas_sklearn.prediction import predict_file
from qcanvas_sklearn.structures import Molecules

distributed = pytest.importorskip("distributed")
PAIRS, ENERGY = load_pairs(target="total_energy_ev", return_X_y=True)
PAIRS, ENERGY = PAIRS[:80], ENERGY[:80]
TINY = {"n_hidden": 8, "max_epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None,
            local_directory=tmp_path_factory.mktemp("dask"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture
def scattered(client, monkeypatch):
    """Arrays that joblib sends to the workers, in place of sending them with every task."""
    sent = []
    scatter = client.scatter

    def counted(data, *args, **kwargs):
        sent.append(data)
        return scatter(data, *args, **kwargs)

    monkeypatch.setattr(client, "scatter", counted)
    return sent


def test_cross_validation_sends_the_table_once_and_gets_small_models(scattered):
    X, y = PairImageTransformer(image_size=16).fit_transform(PAIRS), ENERGY.to_numpy()
    model = QuantumShellNetRegressor(n_filters=8, n_stages=1, **TINY)
    model.set_params(unseen_elements="allow")
    serial = cross_validate(model, X, y, cv=ElementPairKFold(3), return_estimator=True)
    with parallel_config("dask"):
        found = cross_validate(model, X, y, cv=ElementPairKFold(3), return_estimator=True)
    assert_array_equal(found["test_score"], serial["test_score"])
    assert sum(data is X for data in scattered) == 1
    for one, other in zip(found["estimator"], serial["estimator"], strict=True):
        assert_array_equal(one.predict(X), other.predict(X))
        assert len(pickle.dumps(one)) < 120_000 < X.nbytes / 6


def test_a_search_finds_the_same(client):
    grid = {"n_hidden": [4, 8]}
    model = PairMLPRegressor(n_blocks=1, **TINY).set_params(unseen_elements="allow")
    serial = GridSearchCV(model, grid, cv=2).fit(PAIRS, ENERGY)
    with parallel_config("dask"):
        found = GridSearchCV(model, grid, cv=2).fit(PAIRS, ENERGY)
    assert_array_equal(
        found.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )
    assert found.best_params_ == serial.best_params_
    assert_array_equal(found.predict(PAIRS), serial.predict(PAIRS))


@pytest.mark.parametrize("engine", [compute_pairs, compute_molecules, compute_hamiltonians])
def test_engines_compute_the_same(engine, client, tmp_path):
    pytest.importorskip("tblite")
    water = np.array([[0, 0, 0.12], [0, 0.76, -0.47], [0, -0.76, -0.47]])
    rows = Molecules.from_lists(
        [["O", "H", "H"]] * 3, [water * factor for factor in (0.9, 1.0, 1.1)]
    )
    if engine is compute_pairs:
        rows = [["H", "H"], ["H", "O"], ["C", "O"]]
    with parallel_config("dask"):
        found = engine(rows, cache=tmp_path)
    serial = engine(rows, cache=False)
    if engine is compute_molecules:
        assert found == serial
    elif engine is compute_pairs:
        assert_array_equal(found.orbital_populations, serial.orbital_populations)
        pd.testing.assert_frame_equal(found.labels, serial.labels)
    else:
        assert_array_equal(found.values, serial.values)
    assert len(list(tmp_path.rglob("*.npz"))) == 3


def test_a_file_is_predicted_by_all_workers(scattered, client, tmp_path, capsys):
    model = CompositionRegressor().fit(PAIRS, ENERGY)
    PAIRS.to_csv(tmp_path / "pairs.csv", index=False)
    predict_file(model, tmp_path / "pairs.csv", tmp_path / "serial.csv", block_size=9)
    with parallel_config("dask"):
        predict_file(model, tmp_path / "pairs.csv", tmp_path / "found.csv", block_size=9)
    size = len(pickle.dumps(model))
    assert sum(getattr(data, "nbytes", 0) == size for data in scattered) in (1, 2)
    save_model(model, tmp_path / "m.safetensors")
    words = ["predict", "m.safetensors", "pairs.csv", "by_command.csv", "--block-size", "9"]
    files = [str(tmp_path / word) if "." in word else word for word in words]
    assert main([*files, "--dask", client.scheduler.address, "--quiet"]) == 0
    expected = (tmp_path / "serial.csv").read_bytes()
    assert len(pd.read_csv(tmp_path / "serial.csv")) == 80
    assert (tmp_path / "found.csv").read_bytes() == expected
    assert (tmp_path / "by_command.csv").read_bytes() == expected

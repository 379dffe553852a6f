"""Models of earlier versions: read, and predicting what they did."""

import gzip

import numpy as np
import pytest
from _persisted import cases
from make_golden_models import FOLDER, NAMES

import qcanvas_sklearn as q
from qcanvas_sklearn import load_model, read_card


@pytest.fixture(scope="module")
def answers():
    with np.load(FOLDER / "answers.npz") as file:
        return dict(file)


def _unpacked(name, folder):
    path = folder / f"{name}.safetensors"
    path.write_bytes(gzip.decompress((FOLDER / f"{path.name}.gz").read_bytes()))
    return path


@pytest.mark.parametrize("name", NAMES)
def test_golden_models_predict_what_they_did(name, answers, tmp_path):
    if name == "molecule-kernel":
        pytest.importorskip("qmllib")
    case = cases()[name]  # its rows; it is not fitted
    model = load_model(_unpacked(name, tmp_path))
    expected = {key.split(" ")[1]: a for key, a in answers.items() if key.split(" ")[0] == name}
    found = case.answers(model)
    assert set(found) == set(expected)
    for what, answer in expected.items():
        if answer.dtype.kind == "f":
            np.testing.assert_allclose(found[what], answer, rtol=1e-6, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[what], answer)


def test_every_family_has_a_golden_model():
    golden = {type(cases()[name].estimator).__name__ for name in NAMES if name in cases()}
    families = {name for name in q.__all__ if name.endswith("Regressor")}
    assert families - golden == set()
    assert {path.name for path in FOLDER.iterdir()} == {
        "answers.npz", *(f"{name}.safetensors.gz" for name in NAMES)
    }  # fmt: skip
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


def test_cards_of_golden_models(tmp_path):
    card = read_card(_unpacked("schnet-forces", tmp_path))
    assert card["estimator"] == "SchNetRegressor"
    assert card["units"] == {"total_energy_ev": "eV"}

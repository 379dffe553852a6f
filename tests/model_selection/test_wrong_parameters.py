"""Parameters of splitters and loaders of the wrong type: errors that name them."""

import inspect

import numpy as np
import pytest

import qcanvas_sklearn.model_selection as module
from qcanvas_sklearn import load_molecules, load_pairs, load_trajectory
from qcanvas_sklearn.structures import Molecules

WRONG = {
    "object": object(), "number": 2.5, "text": "x", "bytes": b"x", "nested": [[1]],
    "dict": {}, "nan": np.nan,
}  # fmt: skip
SPLITTERS = {
    name: kind
    for name in module.__all__
    if inspect.isclass(kind := getattr(module, name)) and hasattr(kind, "split")
}
#: What takes text, numbers between 0 and 1, or more than that.
ALSO_TAKES = {
    "threshold": ["number"], "by": [], "test_fraction": [], "random_state": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """Pairs; small molecules; frames of CrysMTM."""
    X, y = load_pairs(target="e_g_ev", return_X_y=True)
    molecules = load_molecules()
    groups = [f"anatase, {t} K" for t in (0, 150, 200, 250, 300, 450, 800, 1000) for _ in "ab"]
    crystals = Molecules.from_lists([["O"]] * 16, np.zeros((16, 1, 3)), groups=groups)
    return [
        (X[::9], y[::9]), (molecules.data[:60], molecules.target["total_energy_ev"][:60]),
        (crystals, np.arange(16.0)),
    ]  # fmt: skip


def raised(call):
    try:
        call()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name, parameter", [
    (name, parameter)
    for name, kind in SPLITTERS.items()
    for parameter in inspect.signature(kind).parameters
])  # fmt: skip
def test_splitters_name_a_parameter_of_the_wrong_type(name, parameter, rows):
    options = {
        "MD17Split": {"train_size": 8, "test_size": 4},
        "CrysMTMSplit": {"test": "random-rotations"},
    }.get(name, {})  # fmt: skip
    accepted = inspect.signature(SPLITTERS[name]).parameters
    if parameter == "random_state" and "shuffle" in accepted:
        options["shuffle"] = True
    for kind, wrong in WRONG.items():
        if kind in ALSO_TAKES.get(parameter, ()):
            continue
        found = [
            raised(lambda X=X, y=y, wrong=wrong: list(
                SPLITTERS[name](**{**options, parameter: wrong}).split(X, y)
            ))
            for X, y in rows
        ]  # fmt: skip
        assert all(found), (kind, found)
        named = parameter in " ".join(found) or "be used to seed" in " ".join(found)
        assert named, (kind, found)


@pytest.mark.parametrize("wrong", [object, 3, b"x", [], [None], {}, "x"], ids=repr)
@pytest.mark.parametrize("load", [
    load_pairs, load_molecules, lambda target: load_trajectory("ethanol", target=target)
], ids=["pairs", "molecules", "trajectory"])  # fmt: skip
def test_loaders_name_a_target_of_the_wrong_type(load, wrong):
    assert "target" in raised(lambda: load(target=wrong))


@pytest.mark.parametrize("target", ["system_id_guess", ["e_g_ev", "system_id_guess"]])
def test_names_are_no_array_of_numbers(target):
    with pytest.raises(ValueError, match=r"\['system_id_guess'\] holds names, and as_frame"):
        load_pairs(target, as_frame=False)
    assert load_pairs(target).labels["system_id_guess"].iloc[0] == "Ag_Ag"

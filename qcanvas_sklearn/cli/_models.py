"""Models by name, and the files that they are kept in."""

from __future__ import annotations

import argparse
import ast
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._files import check_writable, replaced_whole

__all__ = [
    "MODEL_HELP",
    "SAFE",
    "TRUSTED",
    "add_unseen_elements",
    "card_of",
    "check_model_file",
    "load",
    "make",
    "on_device",
    "save",
]

MODEL_HELP = (
    "a .qcm file, or one saved by joblib. Loading it runs code: open only files that you "
    "trust (of .joblib; a .qcm file holds no code)"
)
#: Ends of names of files without code, and of those of joblib.
SAFE, TRUSTED = (".qcm", ".safetensors"), (".joblib",)
#: What learns no table of numbers.
_OTHERS = ("HamiltonianRegressor",)


def check_model_file(path: str) -> Path:
    """`path`, if a model can be written there.

    Raises
    ------
    OSError
        If no file can stand there.
    ValueError
        If its suffix is none of ours.
    """
    if Path(path).suffix not in (*SAFE, *TRUSTED):
        raise ValueError(f"{path!r}: models are files {', '.join((*SAFE, *TRUSTED))}")
    return check_writable(path)


def save(model: Any, path: str | os.PathLike[str], card: Mapping[str, Any]) -> None:
    """Write a fitted model, whole or not at all.

    Parameters
    ----------
    model : estimator
        A fitted estimator.
    path : path-like
        A ``.qcm`` file, which tells what it holds; or a ``.joblib`` file.
    card : mapping
        What is to be known about it.
    """
    path = check_model_file(os.fspath(path))
    if path.suffix in SAFE:
        from ..persistence import save_model

        save_model(model, path, card=dict(card))
        return
    import joblib

    with replaced_whole(path) as temporary:
        joblib.dump(model, temporary, compress=3)


def load(path: str | os.PathLike[str]) -> Any:
    """Read a fitted model; a file of joblib runs code.

    Raises
    ------
    OSError
        If there is no such file.
    ImportError
        If the model is of a package that is not installed.
    ValueError
        If the file cannot be loaded.
    """
    if Path(path).suffix in SAFE:
        from ..persistence import load_model

        return load_model(path)
    from ..report._inputs import load_model as load_joblib

    return load_joblib(path)


def card_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a file says about its model beside the model itself; nothing in one of joblib."""
    if Path(path).suffix not in SAFE:
        return {}
    from ..persistence import read_card

    return dict(read_card(path))


def _classes() -> dict[str, type]:
    """Estimators by what they may be called in small letters."""
    from .. import estimators

    names = [name for name in estimators.__all__ if name not in _OTHERS]
    found = {name.lower(): getattr(estimators, name) for name in names}
    short = {
        key.removesuffix("regressor"): value
        for key, value in found.items()
        if key.endswith("regressor")
    }
    return found | short


def make(name: str, params: Mapping[str, str], *, seed: int, device: str) -> Any:
    """A new estimator.

    Parameters
    ----------
    name : str
        Of its class, ``"GATv2Regressor"``, or of its family, ``"gatv2"``; underscores and
        capitals do not count.
    params : mapping of str to str
        Its hyperparameters, as they would be written in Python; other text stands for itself.
    seed, device
        Its random state and device, where it has such.

    Raises
    ------
    ValueError
        If there is no such estimator or parameter.
    """
    classes = _classes()
    cls = classes.get(name.lower().replace("_", ""))
    if cls is None:
        known = sorted({found.__name__ for found in classes.values()})
        raise ValueError(f"there is no model {name!r}; known are {', '.join(known)}")
    model = cls()
    accepted = model.get_params(deep=False)
    unknown = [key for key in params if key not in accepted]
    if unknown:
        raise ValueError(
            f"{cls.__name__} has no parameters {unknown}; it has {', '.join(sorted(accepted))}"
        )
    shared = {"random_state": seed, "device": device}
    model.set_params(**{key: value for key, value in shared.items() if key in accepted})
    return model.set_params(**{key: _value(text) for key, text in params.items()})


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def add_unseen_elements(parser: argparse.ArgumentParser) -> None:
    """The option that says what becomes of elements that a fitted model has not seen."""
    parser.add_argument(
        "--unseen-elements", choices=("error", "allow"),
        help="what is to become of elements that the model has not seen (default: as it was "
        "fitted)",
    )  # fmt: skip


def on_device(model: Any, device: str | None, unseen: str | None = None) -> Any:
    """A fitted model with another device, and another answer to unseen elements."""
    from ..persistence._trim import estimators_in

    asked = {"device": device, "unseen_elements": unseen}
    wanted = {name: value for name, value in asked.items() if value is not None}
    # Parameters lead to what meta-estimators were given, not to the copies that they fitted.
    for part in estimators_in(model):
        own = part.get_params(deep=False)
        part.set_params(**{name: value for name, value in wanted.items() if name in own})
    return model

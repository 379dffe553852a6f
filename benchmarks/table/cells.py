"""A cell of the table: one fit of one model with one seed, and its errors on the test tenth.

The protocol: the 2,850 pairs are shuffled by ``numpy.random.RandomState(seed)`` and cut
80/10/10. The model learns from the 80 % alone. No model of the table stops early, so that
the validation tenth serves but one purpose: ensembles calibrate their standard deviations
on it. The test tenth is predicted once.
"""

from __future__ import annotations

import json
import os
import platform
import re
import traceback
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from qcanvas_sklearn import PairImageTransformer, __version__, load_pairs
from qcanvas_sklearn._files import written_whole
from qcanvas_sklearn.elements import property_values
from qcanvas_sklearn.metrics import target_report
from qcanvas_sklearn.structures import PairData
from qcanvas_sklearn.targets import TARGETS

from .models import MODELS, Model, build

__all__ = [
    "Cell", "Outcome", "attempt", "cell_of", "collapsed", "fit_cell", "load", "machine", "save",
    "split", "versions",
]  # fmt: skip

#: Part of the sum of covalent radii below which a pair has collapsed.
_COLLAPSED = 0.7
#: Deviation of what is certain, in the unit of the target.
_CERTAIN = 1e-9
_PACKAGES = ("scikit-learn", "numpy", "torch", "skorch")


@dataclass(frozen=True)
class Cell:
    """One fit.

    Attributes
    ----------
    model : str
        Key of `MODELS`.
    seed : int
        Of the split and of the model.
    targets : tuple of str
        Targets that are learnt together.
    inputs : str
        One of `INPUTS`.
    max_epochs : int or None
        Epochs of a network; None for its default.
    device : str
        Where a network trains.
    limit_rows : int or None
        Number of pairs, evenly spaced in the bundled table; None for all.
    """

    model: str
    seed: int
    targets: tuple[str, ...]
    inputs: str = "own"
    max_epochs: int | None = None
    device: str = "auto"
    limit_rows: int | None = None

    def build(self) -> Model:
        """The model, not fitted."""
        return build(
            self.model, seed=self.seed, inputs=self.inputs, max_epochs=self.max_epochs,
            device=self.device, all_seen=self.limit_rows is None,
        )  # fmt: skip

    @property
    def filename(self) -> str:
        """Model, seed, targets, and a hash of all that decides the numbers."""
        parameters = self.build().pipeline.get_params()
        settings = {**asdict(self), "version": __version__, "parameters": parameters}
        text = json.dumps(settings, sort_keys=True, default=repr)
        digest = sha256(text.encode()).hexdigest()[:10]
        if len(self.targets) == 1:
            learnt = self.targets[0]
        elif len(self.targets) == len(TARGETS):
            learnt = "all"
        else:
            learnt = f"{len(self.targets)}-targets"
        return f"{self.model}_seed{self.seed}_{learnt}_{digest}.json"


class Outcome(NamedTuple):
    """What became of a cell: its record, or the error in its place."""

    cell: Cell
    record: dict[str, Any] | None
    error: str = ""


def split(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the training, validation and test part: 80, 10 and 10 % of `n`."""
    order = np.random.RandomState(seed).permutation(n)
    n_train, n_valid = 8 * n // 10, n // 10
    return np.split(order, [n_train, n_train + n_valid])


def fit_cell(cell: Cell, pairs: PairData | None = None) -> dict[str, Any]:
    """Fit a cell and measure its errors.

    Parameters
    ----------
    cell : Cell
        Model, seed and targets.
    pairs : PairData, default=None
        Pairs to learn from and to be tested on; by default the bundled ones.

    Returns
    -------
    dict
        Of numbers, texts, lists and dicts. ``scores`` holds ``mae``, ``median_ae``,
        ``rmse``, ``r2``, ``n_train`` and ``n_test`` (labels) of each target, ``mae_apart``,
        the mean error of the pairs that have not `collapsed`, and of an ensemble
        ``coverage_90``, the coverage of its 90 % intervals. The prediction is timed at its
        second run, for the first one may start threads and devices.
    """
    model = cell.build()
    if pairs is None:
        pairs = load_pairs().pairs
    else:
        _look_up_in(pairs, model)
    if cell.limit_rows is not None:
        pairs = pairs[np.arange(cell.limit_rows) * len(pairs) // cell.limit_rows]
    X, y = _pairs(cell, model.needs_distance, pairs)
    train, valid, test = split(len(X), cell.seed)
    is_ensemble = getattr(model.pipeline[-1], "n_members", 1) > 1
    has_network = isinstance(MODELS[cell.model].regressor, str)
    start = perf_counter()
    validation = _validation(model.pipeline, X, y, train, valid) if is_ensemble else {}
    model.pipeline.fit(X.iloc[train], y.iloc[train], **validation)
    fit_seconds = perf_counter() - start
    if is_ensemble:
        predicted, deviation = model.pipeline.predict(X.iloc[test], return_std=True)
    else:
        predicted, deviation = model.pipeline.predict(X.iloc[test]), None
    start = perf_counter()
    model.pipeline.predict(X.iloc[test])
    predict_seconds = perf_counter() - start
    return {
        **asdict(cell),
        "sees": model.sees,
        "read_off": list(model.read_off),
        "scores": _scores(
            y.iloc[train], y.iloc[test], predicted, deviation, collapsed(pairs[test])
        ),
        "n_parameters": getattr(model.pipeline[-1], "n_parameters_", None),
        "n_train": len(train),
        "fit_seconds": fit_seconds,
        "predict_seconds": predict_seconds,
        "pairs_per_second": len(test) / predict_seconds,
        "versions": versions(),
        "machine": machine(cell.device if has_network else None),
    }


def _validation(
    pipeline: Pipeline, X: pd.DataFrame, y: pd.DataFrame, train: np.ndarray, valid: np.ndarray
) -> dict[str, Any]:
    """Validation rows, as the last step of a pipeline takes them."""
    table = X.iloc[valid]
    if len(pipeline) > 1:
        table = clone(pipeline[:-1]).fit(X.iloc[train]).transform(table)
    step = pipeline.steps[-1][0]
    return {f"{step}__X_val": table, f"{step}__y_val": y.iloc[valid]}


def attempt(cell: Cell, pairs: PairData | None = None) -> Outcome:
    """Fit a cell; an error is returned, so that it stops no other cell."""
    try:
        return Outcome(cell, fit_cell(cell, pairs))
    except Exception:
        return Outcome(cell, None, traceback.format_exc())


def cell_of(record: dict[str, Any]) -> Cell:
    """The cell that a record is of."""
    own = {field.name: record[field.name] for field in fields(Cell)}
    return Cell(**{**own, "targets": tuple(own["targets"])})


def save(record: dict[str, Any], path: Path) -> None:
    """Write a record, whole or not at all."""
    with written_whole(path) as file:
        file.write(json.dumps(record, indent=1).encode())


def load(path: Path) -> dict[str, Any]:
    """Read a record that `save` wrote."""
    return json.loads(path.read_text(encoding="utf-8"))


def _look_up_in(pairs: PairData, model: Model) -> None:
    """Let a model find what was calculated for a pair in another data set."""
    first = model.pipeline[0]
    if not isinstance(first, PairImageTransformer) or first.source != "bundled":
        raise ValueError(f"a model that sees {model.sees} looks up bundled pairs or none")
    first.set_params(source=pairs)


def collapsed(pairs: PairData) -> np.ndarray:
    """Where atoms are much closer than their covalent radii add up to."""
    radii = property_values("covalent_radius_ang")[pairs.z].sum(axis=1)
    return pairs.bond_lengths < _COLLAPSED * radii


def _pairs(
    cell: Cell, with_distance: bool, pairs: PairData
) -> tuple[pd.DataFrame, pd.DataFrame]:
    X = pd.DataFrame(pairs.elements, columns=["element_1", "element_2"], dtype=object)
    y = pairs.labels[list(cell.targets)]
    if with_distance:
        X = X.assign(distance_ang=pairs.bond_lengths)
    return X, y


def _scores(
    train: pd.DataFrame,
    test: pd.DataFrame,
    predicted: np.ndarray,
    deviation: np.ndarray | None,
    close: np.ndarray,
) -> dict[str, dict[str, float]]:
    for name, n_labels in test.count().items():
        if n_labels < 2:
            raise ValueError(f"target {name!r} has fewer than two labels among the test pairs")
    predicted, deviation = _defined(train, predicted, deviation)
    report = target_report(test, predicted, y_std=deviation)
    kept = report.columns.intersection(["mae", "median_ae", "rmse", "r2", "coverage_90"])
    n_train, n_test = train.count(), test.count()
    apart = (test - predicted).abs()[~close].mean()
    return {
        name: row.to_dict()
        | {"mae_apart": apart[name], "n_train": int(n_train[name]), "n_test": int(n_test[name])}
        for name, row in report[kept].iterrows()
    }


def _defined(
    train: pd.DataFrame, predicted: np.ndarray, deviation: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predictions with the training labels' median in the place of those that are no number.

    A state without a gap has no softness, and its deviation is that of the labels. What a
    model is given is certain, but measures take positive deviations alone.
    """
    predicted = np.where(np.isnan(predicted), train.median().to_numpy(), predicted)
    if deviation is not None:
        deviation = np.where(np.isnan(deviation), train.std().to_numpy(), deviation)
        deviation = np.maximum(deviation, _CERTAIN)
    return predicted, deviation


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    own = {"python": platform.python_version(), "qcanvas-sklearn": __version__}
    return own | {name: version(name) for name in _PACKAGES}


def machine(device: str | None) -> str:
    """Processor, system and, where a network's device is one, accelerator."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    processor = name[1] if name else platform.processor() or platform.machine()
    text = f"{processor}, {os.cpu_count()} CPUs, {platform.system()}"
    if device is not None:
        import torch

        from qcanvas_sklearn.training import resolve_device

        found = resolve_device(device)
        if found.type == "cuda":
            text += f", {torch.cuda.get_device_name(found)}"
    return text

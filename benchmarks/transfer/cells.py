"""A cell of the table: one fit of one arm on one case, and its errors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from table.cells import machine, versions

from qcanvas_sklearn import Molecules
from qcanvas_sklearn.elements import symbols
from qcanvas_sklearn.encoders import Encoder

from .arms import ARMS, REFERENCES, encoder_of, network, reference
from .cases import CASES, Case, labels, parts

__all__ = ["Cell", "fit_cell"]

#: CPU seconds a gradient step of 16 molecules of 14 atoms takes, by family.
STEP_SECONDS = {"schnet": 0.022, "gotennet": 0.13}


@dataclass(frozen=True)
class Cell:
    """One fit.

    Attributes
    ----------
    case : str
        Key of `CASES`.
    arm : str
        Key of `ARMS`, or one of `REFERENCES`.
    n : int
        Labels.
    seed : int
        Of the split, of the initial weights and of the controls.
    family : str
        Of networks; "" for a reference.
    encoder : str
        Name of the encoder; "" where the arm has none.
    epochs, min_steps : int
        A fit takes that many epochs, and at least so many gradient steps; see `n_epochs`.
    batch_size : int
        Rows a step.
    folder : str
        Where encoders lie that do not ship, and those of controls; "" for the shipped ones.
    """

    case: str
    arm: str
    n: int
    seed: int
    family: str = ""
    encoder: str = ""
    epochs: int = 0
    min_steps: int = 0
    batch_size: int = 16
    folder: str = ""

    @property
    def n_epochs(self) -> int:
        """Epochs, the same in every arm."""
        return max(self.epochs, ceil(self.min_steps / ceil(self.n / self.batch_size)))

    @property
    def baseline(self) -> str:
        """The two-body physics that it knows; "" for none."""
        return ARMS[self.arm].baseline if self.family else self.arm.removesuffix(", ridge")

    def weights(self) -> Encoder | None:
        """The encoder that the fit starts from, before it is made a control."""
        if not self.encoder:
            return None
        folder = Path(self.folder) if self.folder else None
        return encoder_of(self.encoder + ARMS[self.arm].suffix, self.family, folder)

    def unknown_elements(self) -> list[str]:
        """Elements of the case that the encoder was not trained on."""
        encoder = self.weights()
        present = symbols(CASES[self.case].load()[0].elements).tolist()
        return [] if encoder is None else [x for x in present if x not in encoder.elements]

    @property
    def seconds(self) -> float:
        """About what it takes on one core of a machine of 2024, to plan by."""
        if not self.family:
            return 2.0
        case = CASES[self.case]
        n_atoms = float(case.load()[0].n_atoms.mean())
        n_steps = self.n_epochs * ceil(self.n / self.batch_size)
        step = STEP_SECONDS[self.family] * (n_atoms / 14) ** 1.3 * (1 + case.forces)
        return 1.0 + n_steps * step * (0.5 if ARMS[self.arm].freeze else 1.0)

    @property
    def key(self) -> str:
        """What it is, and a hash of the settings and of the encoder."""
        encoder = self.weights()
        weights = None if encoder is None else encoder.sha256
        settings = {**asdict(self), "folder": "", "weights": weights}
        digest = sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
        said = "_".join(filter(None, (self.case, self.family, self.encoder, self.arm)))
        plain = re.sub(r"[^a-z0-9_]+", "-", said.lower())
        return f"{plain}_n{self.n}_seed{self.seed}_{digest}"


def fit_cell(cell: Cell, device: str = "cpu") -> dict[str, Any] | None:
    """Fit a cell and measure its errors.

    Parameters
    ----------
    cell : Cell
        What to fit.
    device : str
        Where a network trains; no part of the settings.

    Returns
    -------
    dict or None
        ``valid`` and ``test`` hold the mean absolute errors; of a case of forces the error
        of the energy is ``energy_test``. None where the case has not that many rows, or the
        arm nothing to learn with.
    """
    case = CASES[cell.case]
    split = parts(case, cell.n, cell.seed)
    model = _model(cell, case, device)
    if split is None or model is None:
        return None
    X, y = case.load()[0], labels(case)
    start = process_time()
    extra = {} if not case.forces else {"forces": X[split.train].forces}
    target = y.iloc[split.train]
    model.fit(X[split.train], target if cell.family else target.to_numpy(), **extra)
    seconds = process_time() - start
    errors = {name: _errors(model, X[rows], y.to_numpy()[rows], case)
              for name, rows in split._asdict().items() if name != "train"}  # fmt: skip
    encoder = cell.weights()
    return {
        **asdict(cell), "folder": "", "target": case.target, "unit": case.unit,
        "valid": errors["valid"][0], "test": errors["test"][0],
        "energy_test": errors["test"][1], "n_epochs": cell.n_epochs if cell.family else 0,
        "n_valid": len(split.valid), "n_test": len(split.test), "fit_seconds": seconds,
        "weights": None if encoder is None else encoder.sha256,
        "pretraining_seconds": None if encoder is None else encoder.card.get("seconds"),
        "versions": versions(), "machine": machine(device),
    }  # fmt: skip


def _model(cell: Cell, case: Case, device: str) -> Any:
    """What is fitted; None where the arm is not one of the case."""
    if cell.arm in REFERENCES:
        return reference(cell.arm, cell.case)
    arm = ARMS[cell.arm]
    if arm.baseline and arm.baseline not in case.baselines:
        return None
    model = network(
        cell.family, arm, cell.weights(), cell.case, epochs=cell.n_epochs,
        batch_size=cell.batch_size, seed=cell.seed, device=device,
    )  # fmt: skip
    return clone(model)


def _errors(model: Any, X: Molecules, y: NDArray, case: Case) -> tuple[float, float | None]:
    """Mean absolute error of what the case is about, and of the energy beside forces."""
    if not case.forces:
        return float(np.abs(model.predict(X) - y).mean()), None
    energy, forces = model.predict(X, return_forces=True)
    return float(np.abs(forces - X.forces).mean()), float(np.abs(energy - y).mean())

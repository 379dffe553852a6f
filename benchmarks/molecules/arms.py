"""The arms: models that learn a case, networks among them within some CPU seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline

from qcanvas_sklearn import (
    CompositionRegressor,
    EGNNRegressor,
    GotenNetRegressor,
    MoleculeKernelTransformer,
    SchNetRegressor,
    TwoCentreTransformer,
)
from qcanvas_sklearn.structures import Molecules

from .cases import Case, Part
from .peers import PeerModel, load_schnetpack

__all__ = ["ARMS", "Arm", "Network", "Outcome", "Peer", "Plain", "errors", "within"]

BATCH_SIZE = 10
#: Labels, and forces where they are known.
Predicted = tuple[np.ndarray, np.ndarray | None]


class Predicts(Protocol):
    """A fitted model."""

    def predict(self, X: Molecules) -> Predicted:
        """Labels, and forces where they are known."""


class Arm(Protocol):
    """A way to learn."""

    def takes(self, case: Case) -> bool:
        """Whether a case is for this arm."""

    def fit(self, case: Case, seconds: float) -> Outcome:
        """A model within some CPU seconds."""


class Outcome(NamedTuple):
    """A fitted model, its epochs if it has any, and the CPU seconds of the fit."""

    model: Predicts
    epochs: int | None
    seconds: float


def within(seconds: float, fit: Callable[[int], Predicts]) -> Outcome:
    """The model of as many epochs as a number of CPU seconds is enough for.

    By the seconds of two epochs behind one more; the first call warms up.
    """
    spent = [timed(lambda n=n: fit(n))[1] for n in (1, 1, 3)]
    n_epochs = max(int(seconds / max((spent[2] - spent[1]) / 2, 1e-3)), 1)
    model, taken = timed(lambda: fit(n_epochs))
    return Outcome(model, n_epochs, taken)


def timed(function: Callable[[], Predicts]) -> tuple[Predicts, float]:
    """What a function returns, and its CPU seconds."""
    start = time.process_time()
    return function(), time.process_time() - start


@dataclass(frozen=True)
class Network:
    """An estimator of this package.

    Attributes
    ----------
    cls : type
        Which.
    options : mapping
        Its hyperparameters, beside those that all share.
    """

    cls: type
    options: Mapping[str, Any] = field(default_factory=dict)

    def takes(self, case: Case) -> bool:
        return True

    def fit(self, case: Case, seconds: float) -> Outcome:
        weight = 10.0 if case.has_forces else None
        shared = {"batch_size": BATCH_SIZE, "force_weight": weight, "n_hidden": 64}

        def of(n: int) -> Predicts:
            settings = {**shared, **self.options}
            model = self.cls(max_epochs=n, random_state=0, device="cpu", **settings)
            return _Fitted(model.fit(*case.train), case.has_forces)

        return within(seconds, of)


@dataclass(frozen=True)
class Peer:
    """A network of schnetpack, of energies and forces."""

    name: str

    def takes(self, case: Case) -> bool:
        if case.unit != "eV" or case.train.y.name == "e_g_ev":
            return False
        load_schnetpack()
        return True

    def fit(self, case: Case, seconds: float) -> Outcome:
        return within(seconds, lambda n: PeerModel(self.name, BATCH_SIZE).fit(case.train, n))


@dataclass(frozen=True)
class Plain:
    """A model without epochs, which takes as long as it takes, and knows no forces.

    Attributes
    ----------
    build : callable
        Makes the model, of "sum" or "mean": whether the target grows with the molecule.
    """

    build: Callable[[str], Any]

    def takes(self, case: Case) -> bool:
        return True

    def fit(self, case: Case, seconds: float) -> Outcome:
        model = self.build("sum" if case.train.y.name == "total_energy_ev" else "mean")
        fitted, taken = timed(lambda: _Fitted(model.fit(*case.train), False))
        return Outcome(fitted, None, taken)


@dataclass(frozen=True)
class _Fitted:
    model: Any
    has_forces: bool

    def predict(self, X: Molecules) -> Predicted:
        if self.has_forces:
            return self.model.predict(X, return_forces=True)
        return self.model.predict(X), None


def _composition(pooling: str) -> CompositionRegressor:
    return CompositionRegressor()


def _kernel_ridge(pooling: str) -> CompositionRegressor:
    machine = KernelRidge(kernel="precomputed", alpha=1e-6)
    kernel = MoleculeKernelTransformer(pooling=pooling)
    return CompositionRegressor(residual=make_pipeline(kernel, machine))


def _two_centre(pooling: str) -> Any:
    return make_pipeline(TwoCentreTransformer(), RidgeCV(np.logspace(-4, 4, 33)))


#: The default of 0.001 learns too slowly in so few steps: SchNet errs by 88 meV/Å on
#: validation frames of ethanol after 100 epochs, and by 54 with this one.
FAST = {"lr": 3e-3}
ARMS: dict[str, Arm] = {
    "composition": Plain(_composition),
    "FCHL19 + kernel ridge": Plain(_kernel_ridge),
    "two-centre + ridge": Plain(_two_centre),
    "schnetpack SchNet": Peer("SchNet"),
    "schnetpack PaiNN": Peer("PaiNN"),
    "SchNet": Network(SchNetRegressor, FAST),
    "EGNN": Network(EGNNRegressor),
    "GotenNet": Network(GotenNetRegressor, FAST),
    "SchNet on two-centre": Network(SchNetRegressor, {**FAST, "baseline": "two-centre"}),
    "GotenNet on two-centre": Network(GotenNetRegressor, {**FAST, "baseline": "two-centre"}),
}
#: Other settings, compared with those above on validation frames.
SETTINGS: dict[str, tuple[type, dict[str, Any]]] = {
    "SchNet, lr 0.001": (SchNetRegressor, {"lr": 1e-3}),
    "SchNet, lr 0.01": (SchNetRegressor, {"lr": 1e-2}),
    "GotenNet, lr 0.001": (GotenNetRegressor, {"lr": 1e-3}),
    "GotenNet, 48 radial": (GotenNetRegressor, {"n_radial": 48}),
    "GotenNet, degree 1": (GotenNetRegressor, {"n_degrees": 1}),
    "GotenNet, degree 3": (GotenNetRegressor, {"n_degrees": 3}),
    "GotenNet, 3 layers": (GotenNetRegressor, {"n_layers": 3}),
    "GotenNet, batches of 5": (GotenNetRegressor, {"batch_size": 5}),
    "GotenNet, 32 hidden": (GotenNetRegressor, {"n_hidden": 32}),
}
ARMS |= {name: Network(cls, {**FAST, **options}) for name, (cls, options) in SETTINGS.items()}


def errors(model: Predicts, part: Part) -> dict[str, float]:
    """Mean absolute errors of the labels, and of forces where they are known."""
    if not len(part.X):
        return {}
    labels, forces = model.predict(part.X)
    found = {"label": float(np.abs(labels - part.y.to_numpy()).mean())}
    if forces is not None:
        found["force"] = float(np.abs(forces - part.X.forces).mean())
    return found

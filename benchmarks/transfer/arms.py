"""The arms of the table: ways to learn the same rows in the same number of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from qcanvas_sklearn import (
    CompositionRegressor,
    GotenNetRegressor,
    MoleculeKernelTransformer,
    Molecules,
    SchNetRegressor,
)
from qcanvas_sklearn.elements import atomic_numbers
from qcanvas_sklearn.encoders import Encoder
from qcanvas_sklearn.estimators._baseline import RidgeBaseline, Slopes
from qcanvas_sklearn.targets import EXTENSIVE_LABELS

from .cases import CASES
from .features import BASELINES, describer

__all__ = ["ARMS", "CONTROLS", "REFERENCES", "Arm", "encoder_of", "network", "reference"]

FAMILIES = {"schnet": SchNetRegressor, "gotennet": GotenNetRegressor}
ALPHAS = np.logspace(-6, 6, 25)
Change = Callable[[Encoder, int], Encoder]


@dataclass(frozen=True)
class Arm:
    """A way to learn.

    Attributes
    ----------
    pretrained : bool
        Whether the network starts from an encoder.
    freeze : bool
        Whether the encoder stays as it is.
    baseline : str
        The two-body physics, one of `BASELINES`, that is taken off first; "" for none.
    change : callable, optional
        What is done to the encoder before, which makes the arm a control.
    suffix : str
        Of the encoder's file in the folder of controls, in place of the encoder.
    """

    pretrained: bool = False
    freeze: bool = False
    baseline: str = ""
    change: Change | None = None
    suffix: str = ""

    @property
    def is_control(self) -> bool:
        """Whether the arm is no way to learn, but tells what the gain of one comes from."""
        return self.change is not None or bool(self.suffix)

    @property
    def worth(self) -> int:
        """0 for what the table is about, 1 for controls and for what joins two arms."""
        return int(self.is_control or self.freeze or (self.pretrained and self.baseline != ""))


def untrained(encoder: Encoder, seed: int) -> Encoder:
    """An encoder of the same architecture whose weights were never trained."""
    model = FAMILIES[encoder.family](
        max_epochs=1, lr=1e-12, random_state=seed, device="cpu", unseen_elements="allow"
    )
    atoms = Molecules.from_lists(
        [[symbol, "H"] for symbol in encoder.elements],
        [[[0, 0, 0], [0, 0, 1.0]] for _ in encoder.elements],
    )
    model.fit(atoms, np.arange(len(atoms), dtype=float))
    with TemporaryDirectory() as folder:
        return model.save_encoder(Path(folder) / "untrained.safetensors")


def permuted(encoder: Encoder, seed: int) -> Encoder:
    """An encoder in which every element takes another one for itself."""
    rng = np.random.default_rng(seed)
    own = np.sort(atomic_numbers(list(encoder.elements)))
    # One cycle through all of them, so that none stays what it is.
    order = rng.permutation(own)
    weights = dict(encoder.weights)
    for name in [name for name in weights if name.endswith("embed.weight")]:
        table = weights[name].copy()
        table[order] = weights[name][np.roll(order, 1)]
        weights[name] = table
    return replace(encoder, weights=weights)


def scrambled(encoder: Encoder, seed: int) -> Encoder:
    """An encoder with the sizes of its weights alone: each tensor's entries change places."""
    rng = np.random.default_rng(seed)
    weights = {
        name: rng.permutation(array.ravel()).reshape(array.shape)
        for name, array in encoder.weights.items()
    }
    return replace(encoder, weights=weights)


#: The arms by name. All but the first are compared with the first.
ARMS: dict[str, Arm] = {
    "scratch": Arm(),
    "frozen": Arm(pretrained=True, freeze=True),
    "fine-tuned": Arm(pretrained=True),
    **{kind: Arm(baseline=kind) for kind in BASELINES},
    **{
        f"{kind} + fine-tuned": Arm(pretrained=True, baseline=kind)
        for kind in ("two-centre GFN2", "pair potential")
    },
    "frozen random": Arm(pretrained=True, freeze=True, change=untrained),
    "permuted elements": Arm(pretrained=True, change=permuted),
    "weight scales": Arm(pretrained=True, change=scrambled),
    "shuffled labels": Arm(pretrained=True, suffix="-shuffled"),
    "cheap scalars": Arm(pretrained=True, suffix="-scalars"),
}

CONTROLS = tuple(name for name, arm in ARMS.items() if arm.is_control)
#: Models without a network.
REFERENCES = (
    "dummy", "composition", "FCHL19 + KRR", *(f"{kind}, ridge" for kind in BASELINES)
)  # fmt: skip


@cache
def encoder_of(name: str, family: str, folder: Path | None) -> Encoder:
    """That of a file in a folder, or else the one that ships."""
    if folder is not None and (path := folder / f"{name}-{family}.safetensors").exists():
        return Encoder.load(path)
    return Encoder.load(name, family)


def network(
    family: str, arm: Arm, encoder: Encoder | None, case: str, *, epochs: int, batch_size: int,
    seed: int, device: str,
) -> Any:  # fmt: skip
    """The estimator of an arm."""
    if encoder is not None and arm.change is not None:
        encoder = arm.change(encoder, seed)
    return FAMILIES[family](
        max_epochs=epochs, batch_size=batch_size, random_state=seed, device=device,
        pretrained=encoder if arm.pretrained else None, freeze=arm.freeze,
        baseline=describer(arm.baseline, case) if arm.baseline else None,
    )  # fmt: skip


def fractions(X: Molecules) -> NDArray[np.float64]:
    """Which part of the atoms is of each element."""
    counts = np.zeros((len(X), 119))
    np.add.at(counts, (X.rows, X.z), 1.0)
    return counts / X.n_atoms[:, None]


class BesideComposition:
    """A regressor of what the composition does not say, where it says anything."""

    def __init__(self, model: Any, adds_up: bool) -> None:
        self.model, self.adds_up = model, adds_up

    def fit(self, X: Molecules, y: NDArray) -> BesideComposition:
        self.offset = CompositionRegressor().fit(X, y) if self.adds_up else None
        rest = y if self.offset is None else y - self.offset.predict(X)
        self.middle = rest.mean()
        self.model.fit(X, rest - self.middle)
        return self

    def predict(self, X: Molecules) -> NDArray:
        known = 0.0 if self.offset is None else self.offset.predict(X)
        return known + self.middle + self.model.predict(X)


class AtRest:
    """The median energy, and no force on any atom."""

    def fit(self, X: Molecules, y: NDArray, forces: NDArray) -> AtRest:
        self.energy = np.median(y)
        return self

    def predict(self, X: Molecules, return_forces: bool = True) -> tuple[NDArray, NDArray]:
        return np.full(len(X), self.energy), np.zeros((len(X.z), 3))


class TwoBodyRidge:
    """What an estimator learns of its baseline before the network does."""

    def __init__(self, describer: Any, adds_up: bool) -> None:
        self.describer, self.adds_up = describer, adds_up

    def fit(self, X: Molecules, y: NDArray, forces: NDArray | None = None) -> TwoBodyRidge:
        self.offset = CompositionRegressor().fit(X, y)
        known, weight = self._known(X), np.ones(len(X))
        features = self.describer.fit_transform(X)
        slopes = None
        if forces is not None:
            pulls = self.describer.force_features(X)
            slopes = Slopes(0, pulls, forces, np.ones(len(X.z)))
        self.ridge = RidgeBaseline.fit(features, y[:, None], known[:, None], weight, slopes)
        return self

    def predict(self, X: Molecules, return_forces: bool = False) -> Any:
        known = self._known(X) * self.ridge.behind[0]
        values = known + self.ridge.predict(self.describer.transform(X))[:, 0]
        if not return_forces:
            return values
        return values, self.ridge.forces(self.describer.force_features(X), 0)

    def _known(self, X: Molecules) -> NDArray:
        return self.offset.predict(X) if self.adds_up else np.zeros(len(X))


def reference(name: str, case: str) -> Any:
    """A model without a network; None where the case has none of that name."""
    what, kind = CASES[case], name.removesuffix(", ridge")
    if kind in BASELINES and kind not in what.baselines:
        return None
    adds_up = what.target in EXTENSIVE_LABELS
    if kind in BASELINES:
        return TwoBodyRidge(describer(kind, case), adds_up)
    if what.forces:
        return AtRest() if name == "dummy" else None
    if name == "dummy":
        return DummyRegressor(strategy="median")
    if name == "composition":
        return CompositionRegressor() if adds_up else make_pipeline(
            FunctionTransformer(fractions), RidgeCV(ALPHAS)
        )  # fmt: skip
    return BesideComposition(_kernel_ridge("sum" if adds_up else "mean"), adds_up)


def _kernel_ridge(pooling: str) -> Any:
    """FCHL19, with the penalty that errs least on rows left out in turn."""
    ridge = GridSearchCV(
        KernelRidge(kernel="precomputed"), {"alpha": np.logspace(-9, -1, 9)},
        scoring="neg_mean_absolute_error",
    )  # fmt: skip
    return make_pipeline(MoleculeKernelTransformer(pooling=pooling), ridge)

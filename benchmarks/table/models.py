"""The models of the table, and what each of them is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.pipeline import Pipeline, make_pipeline

import qcanvas_sklearn
from qcanvas_sklearn import PairDescriptorTransformer, PairImageTransformer
from qcanvas_sklearn.targets import TARGETS

__all__ = ["INPUTS", "MODELS", "Model", "PerTarget", "build"]

#: What networks can be given; see `build`.
INPUTS = ("own", "elements", "distance", "populations")

#: Targets that some column or channel of a calculated pair determines by algebra.
_READ_OFF = tuple(key for key, target in TARGETS.items() if target.read_off)


class PerTarget(RegressorMixin, BaseEstimator):
    """One copy of a regressor for each target, fitted on the rows that have its label."""

    def __init__(self, regressor: Any) -> None:
        self.regressor = regressor

    def fit(self, X: Any, y: Any) -> PerTarget:
        labels = np.asarray(y, dtype=np.float64)
        observed = np.isfinite(labels)
        self.regressors_ = [
            clone(self.regressor).fit(X[rows], column[rows])
            for column, rows in zip(labels.T, observed.T, strict=True)
        ]
        return self

    def predict(self, X: Any) -> np.ndarray:
        return np.column_stack([regressor.predict(X) for regressor in self.regressors_])


class Entry(NamedTuple):
    """An entry of the registry.

    Attributes
    ----------
    regressor : str or callable
        Name of a network's class in `qcanvas_sklearn`, or what makes a scikit-learn
        regressor from a seed, to be fitted on element descriptors.
    inputs : str
        One of `INPUTS`.
    parameters : mapping of str to object
        Of a network, where they are not its defaults.
    """

    regressor: str | Callable[[int], Any]
    inputs: str = "own"
    parameters: Mapping[str, Any] = MappingProxyType({})


#: The models by name.
MODELS: dict[str, Entry] = {
    "median": Entry(lambda seed: DummyRegressor(strategy="median")),
    "boosting": Entry(lambda seed: HistGradientBoostingRegressor(random_state=seed)),
    "pair_mlp_elements": Entry("PairMLPRegressor", "elements"),
    "pair_mlp_5_elements": Entry("PairMLPRegressor", "elements", {"n_members": 5}),
    "qcanvas_elements": Entry("QCanvasRegressor", "elements"),
    "tight_binding_elements": Entry("TightBindingRegressor", "elements"),
    "qcanvas_distance": Entry("QCanvasRegressor", "distance"),
    "tight_binding_distance": Entry("TightBindingRegressor", "distance"),
    "schnet": Entry("SchNetRegressor"),
    "gatv2": Entry("GATv2Regressor"),
    "egnn": Entry("EGNNRegressor"),
    "dimenet": Entry("DimeNetRegressor"),
    "faenet": Entry("FAENetRegressor"),
    "gotennet": Entry("GotenNetRegressor"),
    "quantumshellnet": Entry("QuantumShellNetRegressor"),
    "vit": Entry("ViTRegressor"),
    "fusion": Entry("FusionRegressor"),
    "pair_mlp": Entry("PairMLPRegressor"),
    "pair_mlp_5": Entry("PairMLPRegressor", parameters={"n_members": 5}),
    "pair_transformer": Entry("PairTransformerRegressor"),
    "tight_binding": Entry("TightBindingRegressor"),
    "qcanvas": Entry("QCanvasRegressor"),
}


class Model(NamedTuple):
    """A model ready to fit.

    Attributes
    ----------
    pipeline : Pipeline
        From element pairs to targets.
    sees : str
        What it is given, in words.
    read_off : tuple of str
        Targets that can be read off what it is given.
    needs_distance : bool
        Whether the bond length is a column of its element pairs.
    """

    pipeline: Pipeline
    sees: str
    read_off: tuple[str, ...] = ()
    needs_distance: bool = False


def build(
    name: str,
    *,
    seed: int,
    inputs: str = "own",
    max_epochs: int | None = None,
    device: str = "auto",
    all_seen: bool = False,
) -> Model:
    """The model of a name.

    Parameters
    ----------
    name : str
        Key of `MODELS`.
    seed : int
        `random_state` of the regressor.
    inputs : {"own", "elements", "distance", "populations"}, default="own"
        What a network is given in place of its own inputs; the baselines, and models that
        the registry confines to the elements, keep theirs. With "elements" and
        "distance" the columns and images are those of the free atoms: populations from
        tables, no charges, and the atoms as far apart as their covalent radii say or as
        the bond length does. Nothing calculated for the pair is looked up.
    max_epochs : int, default=None
        Epochs of a network in place of its default.
    device : str, default="auto"
        Where a network trains.
    all_seen : bool, default=False
        Whether every element is learned from, so that an ensemble need not measure its
        errors at others, which takes a third of its time.

    Raises
    ------
    LookupError
        If the installed package has no such class.
    """
    entry = MODELS[name]
    if not isinstance(entry.regressor, str):
        regressor = PerTarget(entry.regressor(seed))
        sees = "nothing" if name == "median" else "elements"
        return Model(make_pipeline(PairDescriptorTransformer(), regressor), sees)
    kind = getattr(qcanvas_sklearn, entry.regressor, None)
    if kind is None:
        raise LookupError(
            f"model {name!r} is qcanvas_sklearn.{entry.regressor}, which the installed "
            f"version {qcanvas_sklearn.__version__} does not have"
        )
    network = kind(
        random_state=seed, device=device, unseen_elements="allow", **entry.parameters
    )
    if all_seen and network.n_members > 1:
        network.set_params(unseen_elements="error")
    if max_epochs is not None:
        network.set_params(max_epochs=max_epochs)
        if "tight_binding" in network.get_params(deep=False):
            brief = qcanvas_sklearn.TightBindingRegressor(max_epochs=max_epochs)
            network.set_params(tight_binding=brief)
    given = inputs if entry.inputs == "own" else entry.inputs
    if "given" in network.get_params(deep=False) and given in ("elements", "distance"):
        network.set_params(given=given)
        known = ("distance_ang",) if given == "distance" else ()
        sees = {"elements": "elements", "distance": "elements + distance"}[given]
        return Model(make_pipeline(network), sees, known)
    if given in ("elements", "distance"):
        transformer = PairImageTransformer(source="free-atom", include=kind._spec.blocks)
        pipeline = make_pipeline(transformer, network)
        if given == "elements":
            return Model(pipeline, "elements")
        return Model(pipeline, "elements + distance", ("distance_ang",), needs_distance=True)
    blocks = ("atoms", "orbitals") if given == "populations" else kind._spec.blocks
    pipeline = make_pipeline(PairImageTransformer(include=blocks), network)
    return Model(pipeline, _described(blocks), _READ_OFF)


def _described(blocks: tuple[str, ...]) -> str:
    """Blocks of columns in words."""
    words = {
        "orbitals": "orbital populations",
        "charges": "charges",
        "image": "images",
        "channel_means": "graph + channel means",
    }
    return " + ".join(words[block] for block in blocks if block in words)

"""Fitted models of every kind, tiny, and what they are asked: for tests of model files."""

from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
from _models import CLASSIFIERS, MODELS
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import qcanvas_sklearn as q
from qcanvas_sklearn.encoders import Encoder
from qcanvas_sklearn.hamiltonians import TwoCentreTables

#: Families whose networks take molecules as well.
GRAPHS = ("schnet", "gatv2", "egnn", "dimenet", "faenet", "gotennet")
#: What the molecule kernel is computed by; not compiled for every platform.
HAS_QMLLIB = find_spec("qmllib") is not None
SMALL = {"n_hidden": 8, "max_epochs": 1, "random_state": 0}


@dataclass
class Case:
    """An estimator, what it is fitted on, and rows that it is asked of."""

    estimator: Any
    data: tuple
    X: Any
    options: dict = field(default_factory=dict)

    @cached_property
    def model(self):
        """The estimator, fitted."""
        return self.estimator.fit(*self.data, **self.options)

    def answers(self, model):
        """Everything that a model says of the rows, as arrays by name."""
        methods = ("predict", "predict_proba", "transform")
        found = {
            name: np.asarray(_values(getattr(model, name)(self.X)))
            for name in methods if hasattr(model, name)
        }  # fmt: skip
        if getattr(model, "n_members", 1) > 1 and hasattr(model, "calibration_"):
            found["std"] = model.predict(self.X, return_std=True)[1]
        if getattr(model, "force_calibration_", None) is not None:
            found["forces"] = model.predict(self.X, return_forces=True)[1]
        return found


def _values(answer):
    return getattr(answer, "values", answer)  # of a record of Hamiltonians


@cache
def _pairs():
    X, y = q.load_pairs(return_X_y=True)
    return X.iloc[::70].reset_index(drop=True), y.iloc[::70].reset_index(drop=True)


@cache
def _molecules():
    X, y = q.load_molecules(return_X_y=True)
    return X[::30], y.iloc[::30].reset_index(drop=True)


@cache
def _table():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3))
    return X, X[:, 0] - X[:, 1]


def _on_pairs():
    """Every family, both tasks, on columns of pairs; some on the symbols themselves."""
    X, y = _pairs()
    columns = q.PairImageTransformer(
        image_size=4, include=("atoms", "orbitals", "charges", "image")
    ).fit_transform(X)
    two, odd = y[["e_g_ev", "dipole_z_d"]], y["e_g_ev"] > 2
    small = {"n_hidden": 8, "max_epochs": 1}
    own = {"vit": {"patch_size": 2}, "fusion": {"image": "vit"}}  # a CNN has wide stages
    for name, model in MODELS.items():
        options = small | own.get(name, {})
        many = name in ("schnet", "pair_mlp")
        targets = y["e_g_ev"] if name == "qcanvas" else two
        regressor = clone(model).set_params(**options, n_members=2 if many else 1)
        yield f"{name}-pairs", Case(regressor, (columns, targets), columns[:5])
        labels = np.where(odd, "wide", "narrow") if name == "schnet" else odd
        classifier = clone(CLASSIFIERS[name]).set_params(**options)
        yield f"{name}-classes", Case(classifier, (columns, labels), columns[:5])
    symbols = q.PairMLPRegressor(
        n_blocks=1, n_members=2, unseen_elements="allow", derive=True, **SMALL
    )
    levels = y[["e_homo_ev", "e_lumo_ev", "e_g_ev"]]
    yield "pair_mlp-symbols", Case(symbols, (X, levels), X[:5])
    states = q.TightBindingRegressor(n_members=2, n_gaussians=2, n_embedding=2, **SMALL)
    yield "tight_binding", Case(clone(states), (X, y[["e_g_ev"]]), X[:5])
    found = clone(states).set_params(given="elements", n_members=1)
    yield "tight_binding-elements", Case(found, (X[:8], y.loc[:7, ["e_g_ev"]]), X[:1])
    both = q.QCanvasRegressor(n_blocks=1, n_members=2, tight_binding=states, **SMALL)
    yield "qcanvas-states", Case(both, (X, y[["e_g_ev", "total_energy_ev"]]), X[:5])


def _coarse_tables():
    """The shipped tables at every eighth distance: they take less room."""
    tables = TwoCentreTables.load()
    coarse = {}
    for kind, pair in tables.pairs.items():
        arrays = {
            name: getattr(pair, name)[::8]
            for name in ("distances", "overlap", "coupling", "shifts", "repulsion")
        }
        coarse[kind] = replace(pair, **arrays)
    return replace(tables, pairs=coarse, charges=None)


def _on_molecules():
    """The graph families, energies with and without forces, what is known beforehand."""
    X, y = _molecules()
    small = SMALL | {"n_layers": 1, "cutoff": 3.0}
    targets = y[["total_energy_ev", "e_g_ev"]]
    for name in GRAPHS:
        options = small | ({"n_heads": 2} if name in ("gatv2", "gotennet") else {})
        regressor = type(MODELS[name])(**options, n_members=2 if name == "schnet" else 1)
        yield f"{name}-molecules", Case(regressor, (X, targets), X[:4])
    classes = type(CLASSIFIERS["egnn"])(**small)
    yield "egnn-molecules-classes", Case(classes, (X, y["e_g_ev"] > 8), X[:4])
    slopes = q.SchNetRegressor(**small, n_members=2)
    forces = {"forces": np.zeros((X.ptr[-1], 3))}
    yield "schnet-forces", Case(slopes, (X, y["total_energy_ev"]), X[:4], forces)
    encoder = Encoder.load("dimers-gfn2", "schnet")
    started = q.SchNetRegressor(
        max_epochs=1, random_state=0, pretrained=encoder, freeze=True
    )
    yield "schnet-pretrained", Case(started, (X, y["total_energy_ev"]), X[:4])
    yield "encoder", Case(q.EncoderTransformer(encoder), (X,), X[:4])
    ridge = q.SchNetRegressor(**small, baseline="two-centre")
    yield "schnet-baseline", Case(ridge, (X, y["e_g_ev"]), X[:4])
    tables = _coarse_tables()
    labels = tables.hamiltonians(X[:6])
    for backbone, name in (("gotennet", "hamiltonian"), ("painn", "hamiltonian-painn")):
        hamiltonians = q.HamiltonianRegressor(
            "two-centre", tables, n_layers=1, n_heads=2, n_channels=2, n_radial=8,
            backbone=backbone, **SMALL,
        )  # fmt: skip
        yield name, Case(hamiltonians, (X[:6], labels), X[:3])
    residual = make_pipeline(q.MoleculeDescriptorTransformer(n_atoms=29), KernelRidge())
    composition = q.CompositionRegressor(residual=residual)
    yield "composition", Case(composition, (X, targets), X[:4])


def _transformers():
    (pairs, _), (molecules, _) = _pairs(), _molecules()
    own = q.load_pairs().pairs[::70]
    frames = q.PairImageTransformer(include=("atoms", "charges"), source=own)
    yield "image", Case(q.PairImageTransformer(image_size=8), (pairs,), pairs[:5])
    yield "image-own", Case(frames.set_output(transform="pandas"), (pairs,), pairs[:5])
    yield "pair-descriptor", Case(q.PairDescriptorTransformer(), (pairs,), pairs[:5])
    for name, transformer in {
        "two-centre": q.TwoCentreTransformer(scc=False),
        "molecule-descriptor": q.MoleculeDescriptorTransformer(),
        "pair-potential": q.PairPotentialTransformer(n_radial=4),
        **({"molecule-kernel": q.MoleculeKernelTransformer(cutoff=3.0)} if HAS_QMLLIB else {}),
    }.items():
        yield name, Case(transformer, (molecules[:1],), molecules[:1])


def _with_scikit_learn():
    """Pipelines and other combinations with scikit-learn's own estimators."""
    (pairs, y), (X, values) = _pairs(), _table()
    network = q.PairMLPRegressor(n_blocks=1, **SMALL)
    union = FeatureUnion(
        [("elements", q.PairDescriptorTransformer()),
         ("images", q.PairImageTransformer(include=("atoms", "charges")))]
    )  # fmt: skip
    ridge = make_pipeline(union, SimpleImputer(), StandardScaler(), RidgeCV())
    yield "union", Case(ridge, (pairs, y["e_g_ev"]), pairs[:5])
    network = make_pipeline(StandardScaler(), network)
    scaled = TransformedTargetRegressor(network, transformer=MinMaxScaler())
    yield "scaled-target", Case(scaled, (X, values), X[:5])
    mixed = ColumnTransformer(
        [("scale", StandardScaler(), [0, 1]), ("sign", OneHotEncoder(), [2])],
        remainder="passthrough",
    )
    signs = np.column_stack([X[:, :2], np.sign(X[:, 2])])
    columns = make_pipeline(mixed, Ridge())
    yield "columns", Case(columns, (signs, values), signs[:5])
    logistic = make_pipeline(StandardScaler(), LogisticRegression())
    yield "logistic", Case(logistic, (X, values > 0), X[:5])
    # Its coefficients lie in memory the other way round.
    yield "ridge", Case(Ridge(), (X, np.column_stack([values, -values])), X[:5])


@cache
def cases():
    """All cases by name; each is fitted when its model is asked for."""
    return {
        name: case
        for group in (_on_pairs, _on_molecules, _transformers, _with_scikit_learn)
        for name, case in group()
    }

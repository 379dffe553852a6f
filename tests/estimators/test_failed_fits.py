"""A fit that fails leaves everything as it was, of whatever kind the estimator is."""

import numpy as np
import pytest
from _molecules import FLUORIDE, NEON, WATER
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError

import qcanvas_sklearn as q
from qcanvas_sklearn.encoders import Encoder
from qcanvas_sklearn.structures import Molecules

MOLECULES = Molecules.from_lists(*zip(WATER, FLUORIDE, strict=True))
STRANGE = Molecules.from_lists(*zip(WATER, NEON, strict=True))
ENERGY = np.array([-2080.0, -2730.0])
PAIRS = [["Ag", "Al"], ["H", "O"]]


class Fails(RegressorMixin, BaseEstimator):
    """A regressor that refuses two rows, and predicts nothing of three."""

    def fit(self, X, y):
        if len(X) == 2:
            raise ValueError("two rows")
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.zeros(len(X))


TINY = {"n_hidden": 8, "max_epochs": 1, "random_state": 0}
#: An estimator, what it can be fitted on, and what it fails on when some of it is known.
CASES = {
    "composition": (
        q.CompositionRegressor(residual=Fails()),
        (Molecules.concat([MOLECULES, MOLECULES[:1]]), np.append(ENERGY, -2080.0)),
        (MOLECULES, ENERGY),
    ),
    "table": (
        q.PairMLPRegressor(**TINY), (np.eye(12), np.arange(12.0)), (np.eye(3), np.ones(2))
    ),
    "molecules": (
        q.SchNetRegressor(n_layers=1, **TINY), (MOLECULES, ENERGY), (STRANGE, ENERGY[:1])
    ),
    "descriptors": (
        q.MoleculeDescriptorTransformer(elements=["H", "O", "F"], n_atoms=3), (MOLECULES,),
        (STRANGE,),
    ),
    "pair potential": (
        q.PairPotentialTransformer(elements=["H", "O", "F"]), (MOLECULES,), (STRANGE,)
    ),
    "kernel": (
        q.MoleculeKernelTransformer(elements=["H", "O", "F"]), (MOLECULES,), (STRANGE,)
    ),
    "two-centre": (q.TwoCentreTransformer(), (MOLECULES,), (STRANGE,)),
    "encoder": (
        q.EncoderTransformer(Encoder.load("dimers-gfn2", "schnet")), (MOLECULES[:1],),
        (Molecules.from_lists([["U"]], [[[0, 0, 0]]]),),
    ),
    "images": (q.PairImageTransformer("xtb"), (PAIRS,), ([["Ag", "Al", 2.5], ["H", "O", -1]],)),
    "pair descriptors": (
        q.PairDescriptorTransformer(), (PAIRS,), ([["Ag", "Al", 2.5], ["H", "Xx", 1.0]],)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_failed_fit_leaves_everything_as_it_was(name):
    estimator, good, bad = CASES[name]
    new = clone(estimator)
    with pytest.raises((ValueError, TypeError)):
        new.fit(*bad)
    with pytest.raises(NotFittedError):
        (new.predict if hasattr(new, "predict") else new.transform)(good[0])
    before = dict(vars(estimator.fit(*good)))
    with pytest.raises((ValueError, TypeError)):
        estimator.fit(*bad)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[key] is value for key, value in before.items())

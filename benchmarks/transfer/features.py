"""Features of two-body physics: of all molecules of a case at once, and kept in a file.

Self-consistent charges take as long as a third of a network's fit, and their slopes, which
forces are learned by, longer; both are the same in every fit. They are no labels: nothing of
them is learned from the rows of a case.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas.util import hash_pandas_object
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.metaestimators import available_if

from qcanvas_sklearn import (
    Molecules,
    PairPotentialTransformer,
    TightBindingRegressor,
    TwoCentreTransformer,
    load_pairs,
)
from qcanvas_sklearn._files import data_home, written_whole
from qcanvas_sklearn.elements import symbols
from qcanvas_sklearn.hamiltonians import TwoCentreTables

from .cases import CASES

__all__ = ["BASELINES", "KEPT", "CaseFeatures", "describer"]

#: Two-body physics by name: of the labels' own method, of another one that knows pairs alone,
#: or fitted to the training rows.
BASELINES = ("two-centre GFN2", "two-centre DFTB", "pair potential")
#: Those whose features are kept in files.
KEPT = BASELINES[:2]
#: Raise it where other code makes other features of the same tables: no file is read then
#: that was written before.
_VERSION = 1
#: Features whose slopes are forces.
_SLOPED = ("energies", "composition")
#: Elements of the bundled cases.
_ELEMENTS = ("H", "C", "N", "O", "F", "Ti")
Array = NDArray[np.float64]


class Described(NamedTuple):
    """What two-body physics says of one molecule.

    Attributes
    ----------
    values : ndarray of shape (k,)
        Features.
    pulls : ndarray of shape (n_atoms, 3, k) or None
        Their negative gradients at the atoms, eV/Å, where the case has forces.
    """

    values: Array
    pulls: Array | None


@cache
def taught() -> TwoCentreTables:
    """Tables of what bundled pairs of the cases' elements teach, at one distance each."""
    X, y = load_pairs(return_X_y=True)
    few = X.isin(_ELEMENTS).all(axis=1)
    model = TightBindingRegressor(n_members=1, random_state=0).fit(X[few], y[few])
    return TwoCentreTables.from_pairs(model)


def two_centre(kind: str, forces: bool = False) -> TwoCentreTransformer:
    """The transformer of a kind of two-centre physics; beside forces, of energies alone."""
    features = {"features": _SLOPED} if forces else {}
    if kind == "two-centre GFN2":
        return TwoCentreTransformer(**features)
    return TwoCentreTransformer(taught(), scc=False, **features)


def _keys(X: Molecules) -> list[bytes]:
    """What each molecule is known by."""
    return [
        blake2b(X.z[a:b].tobytes() + X.positions[a:b].tobytes(), digest_size=16).digest()
        for a, b in zip(X.ptr[:-1], X.ptr[1:], strict=True)
    ]


@cache
def _origin(kind: str) -> bytes:
    """What features of a kind are made of: its tables, or the pairs that teach them."""
    if kind == "two-centre GFN2":
        tables = files("qcanvas_sklearn.hamiltonians").joinpath("data/gfn2-xtb.npz")
        return blake2b(tables.read_bytes(), digest_size=16).digest()
    rows = hash_pandas_object(load_pairs().labels).to_numpy()
    return blake2b(rows.tobytes(), digest_size=16).digest()


def _path(kind: str, keys: list[bytes], forces: bool) -> Path:
    made_by = [_VERSION.to_bytes(2, "big"), _origin(kind)]
    digest = blake2b(b"".join([*made_by, *keys]), digest_size=8).hexdigest()
    what = kind + " slopes" * forces
    return data_home() / f"{what.replace(' ', '-').lower()}-{digest}.npz"


@cache
def of_case(kind: str, case: str) -> dict[bytes, Described]:
    """Features of all molecules of a case, by key; written where they are not there yet."""
    X, forces = CASES[case].load()[0], CASES[case].forces
    keys = _keys(X)
    path = _path(kind, keys, forces)
    if not path.exists():
        model = two_centre(kind, forces).fit(X)
        found = {"values": model.transform(X)}
        if forces:
            found["pulls"] = model.force_features(X)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            np.savez(file, **found)
    with np.load(path) as kept:
        values = kept["values"]
        pulls = np.split(kept["pulls"], X.ptr[1:-1]) if forces else [None] * len(X)
    return dict(zip(keys, map(Described, values, pulls), strict=True))


class CaseFeatures(TransformerMixin, BaseEstimator):
    """Two-centre features of the molecules of a case, looked up.

    Parameters
    ----------
    kind : str
        One of `BASELINES`.
    case : str
        Key of `CASES`.
    """

    def __init__(self, kind: str, case: str) -> None:
        self.kind = kind
        self.case = case

    def fit(self, X: Molecules, y: Any = None) -> CaseFeatures:
        """Nothing is learned."""
        self.of_molecule_ = of_case(self.kind, self.case)
        return self

    def transform(self, X: Molecules) -> Array:
        """Features (n, k)."""
        return np.stack([self.of_molecule_[key].values for key in _keys(X)])

    @available_if(lambda self: CASES[self.case].forces)
    def force_features(self, X: Molecules) -> Array:
        """Their negative gradients at the atoms, (N, 3, k) in eV/Å."""
        return np.concatenate([self.of_molecule_[key].pulls for key in _keys(X)])


def describer(kind: str, case: str) -> Any:
    """The transformer of two-body physics for a case."""
    if kind == "pair potential":
        return PairPotentialTransformer(elements=_elements(case))
    return CaseFeatures(kind, case)


@cache
def _elements(case: str) -> list[str]:
    """Those that may come: few training rows need not hold them all."""
    return symbols(CASES[case].load()[0].elements).tolist()

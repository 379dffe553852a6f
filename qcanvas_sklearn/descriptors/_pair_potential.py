"""`PairPotentialTransformer`: features in which a pair potential is linear."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._fitting import whole_or_not_at_all
from ..structures import Molecules, Neighbours
from ._base import BaseMoleculeTransformer

__all__ = ["PairPotentialTransformer"]

Array = NDArray[np.float64]

#: Distance (Å) of the innermost function; closer atoms than this are no molecule.
_NEAREST = 0.7
#: Share of the largest spread below which a function says nothing of the training molecules:
#: brought to unit variance, its tails would decide what is said of others.
_LEAST_SPREAD = 0.01


class PairPotentialTransformer(BaseMoleculeTransformer):
    r"""Sum radial functions over pairs of atoms: what a pair potential is linear in.

    A ridge regression on these features fits a potential to molecules, trajectories or scans
    of dimers,

    .. math:: E = \sum_{a \le b} \sum_k w_{abk} \sum_{i<j \in ab} g_k(r_{ij})

    with functions :math:`g_k` that are Gaussians of the logarithm of the distance, narrow
    where bonds are and wide where they end, times :math:`(1 - r^2 / r_c^2)^3`, so that two
    derivatives are continuous where atoms pass the cutoff. As ``baseline=`` of an estimator it
    is the two-body part, which then need not be learned by a network; it has forces, so that
    these can be learned with it.

    Functions that the training molecules do not tell apart (a spread below a hundredth of the
    largest) are left out. Of molecules, at most elements that there is room for may come;
    charges are not seen.

    Parameters
    ----------
    n_radial : int, default=20
        Functions of each pair of elements, at least 2.
    cutoff : float, default=4.0
        Distance in Å beyond which atoms see nothing of each other, above 0.7.
    elements : sequence of str, default=None
        Symbols of the elements that may come; None for those of the training molecules.

    Attributes
    ----------
    elements_ : list of str
        Elements that there is room for.
    centres_ : ndarray of shape (n_radial,)
        Distances in Å at which the Gaussians are largest.
    kept_ : ndarray of bool, shape (n_pairs, n_radial)
        Which functions of which pairs of elements, in the order of
        ``itertools.combinations_with_replacement(elements_, 2)``, are features.
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    TwoCentreTransformer : What pairs of atoms know of levels, charges and bonds.
    CompositionRegressor : Takes off first what the composition alone says of an energy.

    Notes
    -----
    For 50, 100 and 400 bundled molecules of other formulas than those predicted, the error of
    the total energy is some 0.26, 0.20 and 0.10 eV as ``baseline`` alone; of the composition,
    0.66, 0.59 and 0.55 eV. The number of functions and the cutoff were chosen by these errors
    and by those of forces along two trajectories, as the fewest and shortest that are within
    2 % of the best (``benchmarks/bench_pair_potential.py``): in splits by formula of the
    bundled molecules, without the formulas and runs that the table of transfer tests on.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import (
    ...     CompositionRegressor, PairPotentialTransformer, load_molecules)
    >>> X, y = load_molecules(target="total_energy_ev", return_X_y=True)
    >>> rest = y - CompositionRegressor().fit(X[1::2], y[1::2]).predict(X)
    >>> ridge = make_pipeline(PairPotentialTransformer(), RidgeCV([1e-4, 1e-3, 1e-2]))
    >>> ridge.fit(X[1::2], rest[1::2]).score(X[::2], rest[::2]) > 0.9
    True
    """

    def __init__(
        self,
        n_radial: int = 20,
        cutoff: float = 4.0,
        elements: Sequence[str] | None = None,
    ) -> None:
        self.n_radial = n_radial
        self.cutoff = cutoff
        self.elements = elements

    def fit(self, X: Any, y: Any = None) -> PairPotentialTransformer:
        """Make room for the elements, and choose the functions that tell molecules apart.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            See :func:`qcanvas_sklearn.structures.check_molecules`.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is not acceptable, or a structure is none.
        TypeError
            If `X` holds no structures.
        ImportError
            If a structure is periodic and vesin is not installed.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Fit, and give the features of the same molecules.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.
        y : ignored

        Returns
        -------
        ndarray of shape ``(n, n_features_out_)``
            As `transform` gives them.
        """
        with whole_or_not_at_all(self):
            return self._fit(X)[:, self.kept_.ravel()]

    def transform(self, X: Any) -> Array:
        """Sum the functions over the pairs of atoms of each molecule.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape ``(n, n_features_out_)``
            Pure numbers, which add up where molecules stand far apart.

        Raises
        ------
        ValueError
            If a structure has an element that there is no room for.
        """
        check_is_fitted(self)
        return self._sums(self._read(X))[:, self.kept_.ravel()]

    def force_features(self, X: Any) -> Array:
        """What forces are linear in: the negative gradients of the features at the atoms.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape ``(N, 3, n_features_out_)``
            In 1/Å, one line for each atom of all molecules.

        Raises
        ------
        ValueError
            As `transform`.
        """
        check_is_fitted(self)
        molecules = self._read(X)
        near = molecules.neighbours(self.cutoff, half=True)
        vectors = near.vectors(molecules.positions, molecules.cell)
        distance = np.linalg.norm(vectors, axis=1)
        pull = (vectors / distance[:, None])[:, :, None] * self._radial(distance)[1][:, None]
        kind = self._kind_of(molecules, near)
        out = np.zeros((len(molecules.z), len(self._pairs()), 3, self.n_radial))
        np.add.at(out, (near.i, kind), pull)
        np.subtract.at(out, (near.j, kind), pull)
        return out.transpose(0, 2, 1, 3).reshape(len(out), 3, -1)[..., self.kept_.ravel()]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : ignored
            Molecules have no columns.

        Returns
        -------
        ndarray of str objects
            Elements and the distance in Å at which the function is largest,
            ``"C-H_1.045"``.
        """
        check_is_fitted(self)
        names = [
            f"{a}-{b}_{centre:.3f}" for a, b in self._pairs() for centre in self.centres_
        ]
        return np.array(names, dtype=object)[self.kept_.ravel()]

    def _fit(self, X: Any) -> Array:
        """Set what is learned; give the sums of all functions."""
        check_scalar(self.n_radial, "n_radial", numbers.Integral, min_val=2)
        check_scalar(self.cutoff, "cutoff", numbers.Real, min_val=_NEAREST, max_val=np.inf,
                     include_boundaries="neither")  # fmt: skip
        molecules = self._first_read(X)
        self.centres_ = np.geomspace(_NEAREST, self.cutoff, self.n_radial)
        sums = self._sums(molecules)
        spread = sums.std(axis=0)
        kept = spread > _LEAST_SPREAD * spread.max()
        # Of a single molecule, or of atoms far apart, nothing varies.
        self.kept_ = (kept if kept.any() else ~kept).reshape(-1, self.n_radial)
        self.n_features_out_ = int(self.kept_.sum())
        return sums

    def _pairs(self) -> list[tuple[str, str]]:
        return list(combinations_with_replacement(self.elements_, 2))

    def _sums(self, molecules: Molecules) -> Array:
        """Sums of all functions, (n, n_pairs * n_radial)."""
        near = molecules.neighbours(self.cutoff, half=True)
        vectors = near.vectors(molecules.positions, molecules.cell)
        kind = self._kind_of(molecules, near)
        n_kinds = len(self._pairs())
        functions = self._radial(np.linalg.norm(vectors, axis=1))[0]
        out = np.zeros((len(molecules) * n_kinds, self.n_radial))
        np.add.at(out, molecules.rows[near.i] * n_kinds + kind, functions)
        return out.reshape(len(molecules), -1)

    def _kind_of(self, molecules: Molecules, near: Neighbours) -> NDArray[np.int64]:
        """Number of the pair of elements of each pair of neighbours."""
        place = np.searchsorted(self._numbers, molecules.z)
        return self._kinds()[place[near.i], place[near.j]]

    def _kinds(self) -> NDArray[np.int64]:
        """Number of a pair of elements by the places of the two, in either order."""
        size = len(self.elements_)
        first, second = np.triu_indices(size)
        kinds = np.zeros((size, size), dtype=np.int64)
        kinds[first, second] = kinds[second, first] = np.arange(len(first))
        return kinds

    def _radial(self, distance: Array) -> tuple[Array, Array]:
        """All functions at distances in Å, and their derivatives, (e, n_radial) each."""
        centres = np.log(self.centres_)
        width = centres[1] - centres[0]
        r = distance[:, None]
        steps = (np.log(r) - centres) / width
        left = (1 - (r / self.cutoff) ** 2).clip(min=0)
        values = np.exp(-0.5 * steps**2) * left**2
        return values * left, -values * (left * steps / (width * r) + 6 * r / self.cutoff**2)

"""`TwoCentreTransformer`: molecules in, what their electrons do out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from .._validation import check_choices
from ..elements import symbols
from ..structures import Molecules
from ._features import FEATURES, Columns, Electrons, feature_names, feature_values
from ._tables import TwoCentreTables

__all__ = ["TwoCentreTransformer"]

#: Molecules of which a process holds the matrices at a time.
_CHUNK = 100
#: Features whose slopes are known.
_SLOPED = ("energies", "composition")


class _Done(NamedTuple):
    values: NDArray[np.float64]
    converged: NDArray[np.bool_]


class TwoCentreTransformer(TransformerMixin, BaseEstimator):
    """Describe molecules by the levels, charges and bonds that two-centre tables give them.

    The Hamiltonian of a molecule is put together of tables of pairs of elements and filled
    with electrons, whose charges shift its levels until both agree. What comes out is
    physics without a fitted label; with a ridge behind it, it is what every network has to
    beat, and hard to beat below some hundred labels.

    Columns are in physical units, on scales that suit a ridge as they are: scaled to unit
    variance, those of rare elements outweigh the rest where labels are few.

    Parameters
    ----------
    tables : str, path-like or TwoCentreTables, default="gfn2-xtb"
        Shipped tables (H, C, N, O, F, Ti), a file, or tables of other elements, see
        :meth:`TwoCentreTables.from_engine`.
    scc : bool, default=True
        Make charges and levels self-consistent. Otherwise the levels are those of H0, some
        ten times faster and far from the truth in polar molecules.
    features : sequence of str, default=("levels", "charges", "populations", \
"bond_orders", "frontier", "energies", "dipole", "composition")
        Columns, in this order:

        - "levels" (eV): HOMO and LUMO, `n_levels` on either side, gap and Fermi level
          (midway between). Where a molecule has fewer, its lowest one is repeated, and
          beyond its highest is a free electron's, 0 eV or that one;
        - "charges" (e): mean, least and largest Mulliken charge by element; 0 for an
          element that the molecule has not;
        - "populations" (e): electrons by element and angular momentum;
        - "bond_orders": Mayer's [1]_, summed by pair of elements;
        - "frontier": how much of HOMO and LUMO is on each element, and the sums of the
          squared shares of atoms, which are 1 for one atom; levels within about 0.1 eV are
          averaged over;
        - "energies" (eV): Tr(P H0), energy of the charges, repulsion of the cores, the sum
          of these three, and that of the filled levels;
        - "dipole" (D): magnitude of the dipole of the charges, and of all, about the mean
          of the positions;
        - "composition": atoms of each element.
    n_levels : int, default=2
        Levels below the HOMO, and above the LUMO.
    n_jobs : int or None, default=None
        Processes, as in joblib.

    Attributes
    ----------
    tables_ : TwoCentreTables
        Tables in use.
    elements_ : ndarray of int
        Sorted atomic numbers of the elements seen in `fit`, which have columns.

    See Also
    --------
    TwoCentreTables : Where the tables come from, and how charges are fitted.
    qcanvas_sklearn.images.PairDescriptorTransformer : Descriptors of pairs of elements.

    References
    ----------
    .. [1] I. Mayer, Chem. Phys. Lett. 97, 270 (1983), doi:10.1016/0009-2614(83)80005-0.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import TwoCentreTransformer, load_molecules
    >>> X, y = load_molecules("e_g_ev", return_X_y=True)
    >>> transformer = TwoCentreTransformer(features=["levels", "composition"])
    >>> transformer.fit_transform(X[:3]).shape
    (3, 12)
    >>> model = make_pipeline(transformer, RidgeCV([0.01, 0.1, 1, 10]))
    >>> model.fit(X[:50], y[:50]).score(X[50:100], y[50:100]) > 0.97
    True
    """

    tables_: TwoCentreTables
    elements_: NDArray[np.int64]

    def __init__(
        self,
        tables: str | os.PathLike[str] | TwoCentreTables = "gfn2-xtb",
        scc: bool = True,
        features: Sequence[str] = (
            "levels",
            "charges",
            "populations",
            "bond_orders",
            "frontier",
            "energies",
            "dipole",
            "composition",
        ),
        n_levels: int = 2,
        n_jobs: int | None = None,
    ) -> None:
        self.tables = tables
        self.scc = scc
        self.features = features
        self.n_levels = n_levels
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> TwoCentreTransformer:
        """Read the tables, and see which elements there are; no label is learnt from.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            The structures, none of them periodic.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If a parameter is invalid, if `X` are no molecules, an element is not in the
            tables, or a structure is periodic.
        """
        check_choices("features", self.features, FEATURES)
        if not isinstance(self.n_levels, Integral) or self.n_levels < 0:
            raise ValueError(f"n_levels must be an integer from 0 on, got {self.n_levels!r}")
        given = self.tables
        tables = given if isinstance(given, TwoCentreTables) else TwoCentreTables.load(given)
        molecules = tables.check(X, charges=self.scc)
        self.tables_ = tables
        self.elements_ = molecules.elements
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Features of molecules.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, n_features)

        Raises
        ------
        TypeError, ValueError
            As `fit`; or if an element was not there in `fit`.

        Warns
        -----
        UserWarning
            If the charges of a molecule do not become self-consistent; its features are
            those of the last cycle.
        """
        molecules = self._checked(X)
        settings = (self.tables_, tuple(self.features), self._columns(), self.scc)
        chunks = [molecules[k : k + _CHUNK] for k in range(0, len(molecules), _CHUNK)]
        done = Parallel(n_jobs=self.n_jobs)(delayed(_describe)(c, *settings) for c in chunks)
        _warn_of_failed(molecules, np.concatenate([part.converged for part in done]))
        return np.concatenate([part.values for part in done])

    @available_if(lambda self: set(self.features) <= set(_SLOPED))
    def force_features(self, X: Any) -> NDArray[np.float64]:
        """What forces are linear in: the negative gradients of the features at the atoms.

        There where all `features` are among "energies" and "composition"; needs torch.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape (N, 3, n_features)
            In eV/Å, one line for each atom of all molecules; zero of the composition.

        Raises
        ------
        TypeError, ValueError
            As `transform`.
        """
        return self.transform_with_forces(X)[1]

    @available_if(lambda self: set(self.features) <= set(_SLOPED))
    def transform_with_forces(
        self, X: Any
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Features, and what forces are linear in, of charges that are found once for both.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        features : ndarray of shape (n, n_features)
            As `transform` gives them, of charges that are self-consistent to 1e-10 e in place
            of 1e-6.
        force_features : ndarray of shape (N, 3, n_features)
            As `force_features` gives them.

        Raises
        ------
        TypeError, ValueError
            As `transform`.

        Warns
        -----
        UserWarning
            As `transform`.
        """
        from ._torch_states import energy_slopes

        molecules = self._checked(X)
        chunks = [molecules[k : k + _CHUNK] for k in range(0, len(molecules), _CHUNK)]
        done = [energy_slopes(self.tables_, chunk, scc=self.scc) for chunk in chunks]
        energies, pulls, converged = (np.concatenate(part) for part in zip(*done, strict=True))
        _warn_of_failed(molecules, converged)
        counts = np.add.reduceat(
            (molecules.z[:, None] == self.elements_).astype(float), molecules.ptr[:-1], axis=0
        )
        nothing = np.zeros((len(molecules.z), 3, len(self.elements_)))
        values = {"energies": energies, "composition": counts}
        slopes = {"energies": pulls, "composition": nothing}
        features, of_forces = (
            np.concatenate([kinds[kind] for kind in self.features], axis=-1)
            for kinds in (values, slopes)
        )
        return features, of_forces

    def _checked(self, X: Any) -> Molecules:
        check_is_fitted(self)
        molecules = self.tables_.check(X, charges=self.scc)
        self._check_elements(molecules)
        return molecules

    def _columns(self) -> Columns:
        return Columns(tuple(self.elements_.tolist()), self.tables_.basis, int(self.n_levels))

    def _check_elements(self, molecules: Molecules) -> None:
        new = np.setdiff1d(molecules.elements, self.elements_)
        if new.size:
            row = int(molecules.rows[np.isin(molecules.z, new)][0])
            raise ValueError(
                f"{', '.join(symbols(new))} of structure {row} ({str(molecules.names[row])!r}) "
                f"did not occur in fit, only {', '.join(symbols(self.elements_))} did"
            )

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : ignored
            Molecules have no columns.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        return np.array(feature_names(tuple(self.features), self._columns()), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags


def _warn_of_failed(molecules: Molecules, converged: NDArray[np.bool_]) -> None:
    failed = np.flatnonzero(~converged)
    if not failed.size:
        return
    named = [f"{row} ({str(molecules.names[row])!r})" for row in failed[:5].tolist()]
    warnings.warn(
        f"the charges of {failed.size} molecules are not self-consistent, among them "
        f"{', '.join(named)}; their features are those of the last cycle",
        UserWarning,
        stacklevel=3,
    )


def _describe(
    molecules: Molecules,
    tables: TwoCentreTables,
    features: tuple[str, ...],
    columns: Columns,
    scc: bool,
) -> _Done:
    """Features of some molecules."""
    rows, converged = [], []
    repulsion = tables.repulsion(molecules).tolist()
    # Of all elements that may come: what a row is told must not depend on those beside it.
    charges = tables.charges if tables.covers(columns.elements) else None
    # Matrices this small take longer on more than one thread.
    with threadpool_limits(limits=1, user_api="blas"):
        for i, state in enumerate(tables.states(molecules, scc=scc)):
            atoms = slice(*molecules.ptr[i : i + 2])
            orbitals = tables.basis.orbitals(molecules.z[atoms])
            electrons = Electrons(
                state, orbitals, molecules.positions[atoms], round(state.occupations.sum()),
                charges, repulsion[i],
            )  # fmt: skip
            rows.append(feature_values(features, electrons, columns))
            converged.append(state.converged)
    return _Done(np.stack(rows), np.array(converged))

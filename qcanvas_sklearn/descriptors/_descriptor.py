"""`MoleculeDescriptorTransformer`: a line of numbers for each molecule."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._fitting import whole_or_not_at_all
from .._validation import check_choice
from ..structures import Molecules
from ._atoms import ATOM_KINDS, atom_vectors, check_atom_options
from ._base import BaseMoleculeTransformer
from ._coulomb import coulomb_spectra

__all__ = ["POOLINGS", "MoleculeDescriptorTransformer"]

POOLINGS = ("mean", "sum")
#: Molecules whose atoms are described at a time: their vectors are many times the result.
_BLOCK = 256


class MoleculeDescriptorTransformer(BaseMoleculeTransformer):
    """Describe molecules by numbers that do not change when they are moved or turned.

    Columns are those of the training molecules: what has no place in them, be it an element
    or more atoms than there were, is refused. Other orders of the atoms, rotations,
    reflections and translations give the same numbers. Charges are not seen.

    Parameters
    ----------
    kind : {"coulomb", "soap", "fchl19"}, default="coulomb"
        What describes them:

        - ``"coulomb"``: eigenvalues of the Coulomb matrix, by falling magnitude [1]_. Needs
          nothing, and says least.
        - ``"soap"``: overlaps of the atoms' neighbourhoods, pooled over the atoms, by
          DScribe (extra ``descriptors``); structures with a cell, too.
        - ``"fchl19"``: distances and angles about each atom, pooled over the atoms of each
          element, by qmllib (extra ``descriptors``).
    pooling : {"mean", "sum"}, default="mean"
        How the vectors of atoms become one, for "soap" and "fchl19". The sum grows with the
        molecule, as energies do.
    elements : sequence of str, default=None
        Symbols of the elements that may come; None for those of the training molecules.
    n_atoms : int, default=None
        Columns of "coulomb": the largest number of atoms that may come; None for that of the
        training molecules.
    cutoff : float, default=None
        Distance in Å beyond which an atom sees nothing; None for 5 ("soap") or 8 ("fchl19").
    options : dict, default=None
        Further arguments of ``dscribe.descriptors.SOAP``, as in ``{"n_max": 8}``, or of
        ``qmllib.representations.generate_fchl19``; see :func:`atom_vectors`.

    Attributes
    ----------
    elements_ : list of str
        Elements that there is room for.
    n_atoms_ : int
        Atoms that there is room for, of "coulomb".
    n_features_out_ : int
        Number of columns.

    See Also
    --------
    MoleculeKernelTransformer : Compares atom with atom, and is more accurate for it.
    CompositionRegressor : Takes off first what the composition alone says of an energy.

    References
    ----------
    .. [1] M. Rupp, A. Tkatchenko, K.-R. Müller, O. A. von Lilienfeld, Fast and accurate
       modeling of molecular atomization energies with machine learning, Phys. Rev. Lett.
       108, 058301 (2012), arXiv:1109.2618.

    Examples
    --------
    >>> from sklearn.kernel_ridge import KernelRidge
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import MoleculeDescriptorTransformer, load_molecules
    >>> X, y = load_molecules(target="e_g_ev", return_X_y=True)
    >>> MoleculeDescriptorTransformer().fit_transform(X).shape
    (600, 23)
    >>> krr = KernelRidge(kernel="laplacian", gamma=0.01, alpha=0.01)
    >>> model = make_pipeline(MoleculeDescriptorTransformer(n_atoms=29), krr)
    >>> model.fit(X[:500], y[:500]).predict(X[500:]).shape
    (100,)
    """

    def __init__(
        self,
        kind: str = "coulomb",
        pooling: str = "mean",
        elements: Sequence[str] | None = None,
        n_atoms: int | None = None,
        cutoff: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.pooling = pooling
        self.elements = elements
        self.n_atoms = n_atoms
        self.cutoff = cutoff
        self.options = options

    def fit(self, X: Any, y: Any = None) -> MoleculeDescriptorTransformer:
        """Make room for the elements and sizes of the training molecules.

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
            If a parameter is not acceptable, or a structure is none, or periodic where
            `kind` is of molecules alone.
        TypeError
            If `X` holds no structures.
        ImportError
            If the library of `kind` is not installed.
        """
        self._check_parameters()
        with whole_or_not_at_all(self):
            molecules = self._first_read(X)
            if self.kind == "coulomb":
                self.n_atoms_ = int(self.n_atoms or molecules.n_atoms.max())
            self.n_features_out_ = self._describe(molecules[:1]).shape[1]
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Describe molecules.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape ``(n, n_features_out_)``
            The same for a molecule alone and among others.

        Raises
        ------
        ValueError
            If a structure has an element, or a number of atoms, that there is no room for.
        """
        check_is_fitted(self)
        molecules = self._read(X)
        starts = range(0, len(molecules), _BLOCK)
        return np.concatenate([self._describe(molecules[i : i + _BLOCK]) for i in starts])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : ignored
            Molecules have no columns.

        Returns
        -------
        ndarray of str objects
            As ``"coulomb_0"``; of "fchl19" with the element of the atoms, ``"fchl19_C_0"``.
        """
        check_is_fitted(self)
        blocks = [f"{self.kind}_"]
        if self.kind == "fchl19":
            blocks = [f"{self.kind}_{symbol}_" for symbol in self.elements_]
        width = self.n_features_out_ // len(blocks)
        return np.array([f"{b}{i}" for b in blocks for i in range(width)], dtype=object)

    def _check_parameters(self) -> None:
        check_choice("kind", self.kind, ("coulomb", *ATOM_KINDS))
        check_choice("pooling", self.pooling, POOLINGS)
        others = ("cutoff", "options") if self.kind == "coulomb" else ("n_atoms",)
        for name in others:
            if getattr(self, name) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} says nothing of kind={self.kind!r}"
                )
        if self.kind in ATOM_KINDS:
            check_atom_options(self.kind, self.cutoff, self.options)
        elif self.n_atoms is not None:
            check_scalar(self.n_atoms, "n_atoms", numbers.Integral, min_val=1)

    def _describe(self, molecules: Molecules) -> NDArray[np.float64]:
        if self.kind == "coulomb":
            return coulomb_spectra(molecules, self.n_atoms_)
        vectors = atom_vectors(
            self.kind, molecules, self._numbers, cutoff=self.cutoff, options=self.options
        )
        if self.kind == "fchl19":
            column = np.searchsorted(self._numbers, molecules.z)
            vectors = _by_element(vectors, column, len(self._numbers))
        pooled = np.add.reduceat(vectors, molecules.ptr[:-1], axis=0)
        return pooled / molecules.n_atoms[:, None] if self.pooling == "mean" else pooled


def _by_element(
    vectors: NDArray[np.float64], column: NDArray[np.int64], k: int
) -> NDArray[np.float64]:
    """Vectors (N, k * d) that hold those given (N, d) in the block of the atom's element."""
    out = np.zeros((len(vectors), k, vectors.shape[1]))
    out[np.arange(len(vectors)), column] = vectors
    return out.reshape(len(vectors), -1)

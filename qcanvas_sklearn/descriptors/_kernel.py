"""`MoleculeKernelTransformer`: how alike the atoms of two molecules are."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._fitting import whole_or_not_at_all
from .._validation import check_choice
from ..structures import Molecules
from ._atoms import atom_vectors, check_atom_options
from ._base import BaseMoleculeTransformer
from ._descriptor import POOLINGS

__all__ = ["Environments", "MoleculeKernelTransformer", "local_kernel"]

Array = NDArray[np.float64]

#: Numbers that a block of distances between atoms may have.
_BLOCK = 2**22


class Environments(NamedTuple):
    """Atoms of some molecules, described.

    Attributes
    ----------
    vectors : ndarray of shape (N, d)
        What surrounds each atom.
    z : ndarray of int, shape (N,)
        Atomic numbers.
    ptr : ndarray of int, shape (n + 1,)
        First atom of every molecule, and the number of all.
    """

    vectors: Array
    z: NDArray[np.int64]
    ptr: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def rows(self, start: int, stop: int) -> Environments:
        """Molecules from `start` to before `stop`."""
        ptr = self.ptr[start : stop + 1]
        atoms = slice(ptr[0], ptr[-1])
        return Environments(self.vectors[atoms], self.z[atoms], ptr - ptr[0])


def local_kernel(left: Environments, right: Environments, length_scale: float) -> Array:
    """Gaussian kernel between the atoms of molecules, summed over like atoms.

    Parameters
    ----------
    left, right : Environments
        Atoms of n and of m molecules.
    length_scale : float
        Distance between vectors at which two atoms are alike by ``exp(-1/2)``.

    Returns
    -------
    ndarray of shape (n, m)
        Sum over pairs of atoms of one element, one from each molecule.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.descriptors._kernel import Environments, local_kernel
    >>> some = Environments(np.zeros((3, 2)), np.array([1, 1, 8]), np.array([0, 1, 3]))
    >>> local_kernel(some, some, 1.0).tolist()
    [[1.0, 1.0], [1.0, 2.0]]
    """
    out = np.zeros((len(left), len(right)))
    per_row = max(1, len(left.z) // max(1, len(left))) * len(right.z)
    step = max(1, _BLOCK // max(1, per_row))
    for start in range(0, len(left), step):
        stop = min(start + step, len(left))
        _add_block(out[start:stop], left.rows(start, stop), right, length_scale)
    return out


def _add_block(out: Array, left: Environments, right: Environments, length: float) -> None:
    for z in np.intersect1d(left.z, right.z):
        (a, rows, row_starts), (b, columns, column_starts) = (
            _of_element(side, z) for side in (left, right)
        )
        square = (a**2).sum(axis=1)[:, np.newaxis] + (b**2).sum(axis=1) - 2 * a @ b.T
        alike = np.exp(np.maximum(square, 0.0) / (-2 * length**2))
        by_row = np.add.reduceat(alike, row_starts, axis=0)
        out[np.ix_(rows, columns)] += np.add.reduceat(by_row, column_starts, axis=1)


def _of_element(side: Environments, z: int) -> tuple[Array, NDArray, NDArray]:
    """Vectors of an element's atoms, the molecules that have any, and their first atoms."""
    atoms = np.flatnonzero(side.z == z)
    rows, starts = np.unique(
        np.searchsorted(side.ptr, atoms, side="right") - 1, return_index=True
    )
    return side.vectors[atoms], rows, starts


def _rms_distance(side: Environments) -> float:
    """Root mean square distance between atoms of one element; 1 where they are all alike."""
    total = 0.0
    for z in np.unique(side.z):
        vectors = side.vectors[side.z == z]
        total += 2 * ((vectors - vectors.mean(axis=0)) ** 2).sum()
    return float(np.sqrt(total / len(side.z))) or 1.0


class MoleculeKernelTransformer(BaseMoleculeTransformer):
    """How alike molecules are to those of the training: a kernel for any kernel machine.

    Two molecules are as alike as their atoms: a Gaussian of the distance between what
    surrounds two atoms of one element, summed over all pairs of them. So an energy that is a
    sum over atoms is learned from their surroundings, and small molecules teach large ones.
    With ``KernelRidge(kernel="precomputed")`` behind it this is FCHL19 + KRR, which with few
    molecules is as accurate as networks, or more. Charges are not seen.

    Parameters
    ----------
    kind : {"fchl19", "soap"}, default="fchl19"
        What describes an atom's surroundings: FCHL19 by qmllib, of molecules without a cell
        [1]_, or SOAP by DScribe, of crystals too (extra ``descriptors``).
    length_scale : float, default=2.0
        Width of the Gaussian over the root mean square distance between training atoms of
        one element.
    pooling : {"sum", "mean"}, default="sum"
        Sum over pairs of atoms, for what grows with the molecule as energies do, or their
        mean, for what does not.
    elements : sequence of str, default=None
        Symbols of the elements that may come; None for those of the training molecules.
    cutoff : float, default=None
        Distance in Å beyond which an atom sees nothing; None for 8 ("fchl19") or 5 ("soap").
    options : dict, default=None
        Further arguments of ``qmllib.representations.generate_fchl19``, or of
        ``dscribe.descriptors.SOAP``; see :func:`atom_vectors`.

    Attributes
    ----------
    elements_ : list of str
        Elements that may come.
    length_scale_ : float
        Width of the Gaussian.
    n_features_out_ : int
        Number of training molecules.

    See Also
    --------
    MoleculeDescriptorTransformer : Numbers of a molecule by itself.
    CompositionRegressor : Takes off first what the composition alone says of an energy.

    Notes
    -----
    A fitted one keeps the vectors of all training atoms in memory: 5.8 kB an atom for
    "fchl19" and five elements, 19 kB for "soap".

    References
    ----------
    .. [1] A. S. Christensen, L. A. Bratholm, F. A. Faber, O. A. von Lilienfeld, FCHL
       revisited: Faster and more accurate quantum machine learning, J. Chem. Phys. 152,
       044107 (2020), arXiv:1909.01946.

    Examples
    --------
    >>> from sklearn.kernel_ridge import KernelRidge
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import (
    ...     CompositionRegressor, MoleculeKernelTransformer, load_molecules)
    >>> X, y = load_molecules(target="total_energy_ev", return_X_y=True)
    >>> krr = KernelRidge(kernel="precomputed", alpha=1e-6)
    >>> model = CompositionRegressor(residual=make_pipeline(MoleculeKernelTransformer(), krr))
    >>> abs(model.fit(X[::2], y[::2]).predict(X[1::2]) - y[1::2]).mean()  # doctest: +SKIP
    0.1
    """

    def __init__(
        self,
        kind: str = "fchl19",
        length_scale: float = 2.0,
        pooling: str = "sum",
        elements: Sequence[str] | None = None,
        cutoff: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.length_scale = length_scale
        self.pooling = pooling
        self.elements = elements
        self.cutoff = cutoff
        self.options = options

    def fit(self, X: Any, y: Any = None) -> MoleculeKernelTransformer:
        """Describe the training molecules.

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
        check_atom_options(self.kind, self.cutoff, self.options)
        check_choice("pooling", self.pooling, POOLINGS)
        check_scalar(
            self.length_scale, "length_scale", numbers.Real, min_val=0,
            include_boundaries="neither",
        )  # fmt: skip
        if not np.isfinite(self.length_scale):
            raise ValueError(f"length_scale={self.length_scale} is not finite")
        with whole_or_not_at_all(self):
            self._training = self._environments(self._first_read(X))
            self.length_scale_ = self.length_scale * _rms_distance(self._training)
            self.n_features_out_ = len(self._training)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Array:
        """Describe the training molecules, and compare them with each other.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.
        y : ignored

        Returns
        -------
        ndarray of shape (n, n)
        """
        self.fit(X)
        return self._compare(self._training)

    def transform(self, X: Any) -> Array:
        """Compare molecules with those of the training.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As in `fit`.

        Returns
        -------
        ndarray of shape ``(n, n_features_out_)``

        Raises
        ------
        ValueError
            If a structure has an element that was not among those of the fit.
        """
        check_is_fitted(self)
        return self._compare(self._environments(self._read(X)))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns, one for each training molecule.

        Parameters
        ----------
        input_features : ignored
            Molecules have no columns.

        Returns
        -------
        ndarray of str objects
            As ``"fchl19_kernel_0"``.
        """
        check_is_fitted(self)
        names = [f"{self.kind}_kernel_{i}" for i in range(self.n_features_out_)]
        return np.array(names, dtype=object)

    def _environments(self, molecules: Molecules) -> Environments:
        vectors = atom_vectors(
            self.kind, molecules, self._numbers, cutoff=self.cutoff, options=self.options
        )
        return Environments(vectors, molecules.z, molecules.ptr)

    def _compare(self, molecules: Environments) -> Array:
        out = local_kernel(molecules, self._training, self.length_scale_)
        if self.pooling == "mean":
            out /= np.multiply.outer(np.diff(molecules.ptr), np.diff(self._training.ptr))
        return out

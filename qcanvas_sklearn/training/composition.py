"""What a structure's elements alone say of its energy: a sum over its atoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CompositionReference", "count_elements"]

Array = NDArray[np.float64]

#: Penalty that leaves what is exactly linear as it is, to a few parts in 10^11.
_ALPHA = 1e-12


def count_elements(
    z: NDArray[np.int64], ptr: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atoms of each element in each row.

    Parameters
    ----------
    z : ndarray of int, shape (N,)
        Atomic numbers, all rows one behind the other.
    ptr : ndarray of int, shape (n + 1,)
        First atom of every row, and the number of all.

    Returns
    -------
    counts : ndarray of int64, shape (n, k)
    elements : ndarray of int64, shape (k,)
        Sorted atomic numbers, one for each column of `counts`.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.training import count_elements
    >>> counts, elements = count_elements(np.array([8, 1, 1, 1, 9]), np.array([0, 3, 5]))
    >>> counts.tolist(), elements.tolist()
    ([[2, 1, 0], [1, 0, 1]], [1, 8, 9])
    """
    elements, column = np.unique(z, return_inverse=True)
    n, k = len(ptr) - 1, len(elements)
    place = np.repeat(np.arange(n), np.diff(ptr)) * k + column.reshape(-1)
    return np.bincount(place, minlength=n * k).reshape(n, k), elements.astype(np.int64)


@dataclass(frozen=True, eq=False)
class CompositionReference:
    """A number for each element, of which a row's reference is the sum over its atoms.

    What is left of a total energy of thousands of electronvolts has the size of what bonds
    and geometry change in it, which single precision holds. All of this is done in double.

    Attributes
    ----------
    elements : ndarray of int64, shape (k,)
        Atomic numbers of the elements that were seen, sorted.
    coefficients : ndarray of shape (k, t)
        The number of each element for each target; 0 for targets that are not extensive.

    Notes
    -----
    The coefficients minimise the mean squared residual plus `alpha` times their squared
    distance from the one value that all elements would share. So they are finite and
    unique where compositions do not tell elements apart: of a trajectory, whose frames all
    have one composition, the reference is the mean.

    An element that was not seen, or has no label of a target, takes the value on the line
    between its seen neighbours in the periodic table, or that of the nearest one beyond the
    ends. Between carbon and oxygen that is within 3 % of nitrogen's total energy, where 0
    would be wrong by all of it; it is no more than the right order of magnitude elsewhere.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.training import CompositionReference
    >>> counts, elements = np.array([[2, 1], [4, 2], [2, 0]]), np.array([1, 8])
    >>> energies = np.array([[-2080.0], [-4160.0], [-32.0]])
    >>> reference = CompositionReference.fit(counts, elements, energies)
    >>> reference.coefficients.round(6).tolist()
    [[-16.0], [-2048.0]]
    >>> reference.predict(np.array([8, 1]), np.array([0, 2])).round(6).tolist()
    [[-2064.0]]
    """

    elements: NDArray[np.int64]
    coefficients: Array

    @classmethod
    def fit(
        cls,
        counts: NDArray,
        elements: NDArray[np.int64],
        values: Array,
        weight: Array | None = None,
        extensive: Sequence[bool] | NDArray[np.bool_] | None = None,
        *,
        alpha: float = _ALPHA,
    ) -> CompositionReference:
        """Find the coefficients.

        Parameters
        ----------
        counts : ndarray of shape (n, k)
            Atoms of each element in each row, or any other amounts of them.
        elements : ndarray of int, shape (k,)
            Atomic numbers, one for each column of `counts`.
        values : ndarray of shape (n, t)
            Labels, NaN where one is missing.
        weight : ndarray of shape (n,), optional
            Weights of the rows, of which the ratios count; by default all alike.
        extensive : sequence of bool, length t, optional
            Targets that add up over the atoms; by default all. Of others, and of those
            without any label, nothing is taken off.
        alpha : float, default=1e-12
            Penalty of the coefficients' squared distance from their common value.

        Returns
        -------
        CompositionReference

        Raises
        ------
        ValueError
            If the shapes do not belong together.
        """
        design = np.asarray(counts, dtype=np.float64)
        elements = np.asarray(elements, dtype=np.int64)
        values = np.asarray(values, dtype=np.float64)
        weight = np.ones(len(values)) if weight is None else np.asarray(weight, np.float64)
        if extensive is None:
            extensive = np.ones(values.shape[1:], dtype=bool)
        if design.shape != (len(values), len(elements)) or weight.shape != (len(values),):
            raise ValueError(
                f"counts has shape {design.shape}, {len(elements)} elements, values have "
                f"shape {values.shape}, weight {weight.shape}"
            )
        if values.ndim != 2 or np.shape(extensive) != values.shape[1:]:
            raise ValueError(
                f"values have shape {values.shape}, extensive {np.shape(extensive)}"
            )
        order = np.argsort(elements)
        design, elements = design[:, order], elements[order]
        coefficients = np.zeros((len(elements), values.shape[1]))
        for j in np.flatnonzero(extensive):
            rows = np.isfinite(values[:, j]) & (weight > 0)
            if rows.any():
                found = _ridge(design[rows], values[rows, j], weight[rows], alpha)
                met = design[rows].any(axis=0)
                coefficients[:, j] = np.interp(elements, elements[met], found[met])
        return cls(elements, coefficients)

    def predict(self, z: NDArray[np.int64], ptr: NDArray[np.int64]) -> Array:
        """Reference of structures.

        Parameters
        ----------
        z : ndarray of int, shape (N,)
            Atomic numbers, all rows one behind the other.
        ptr : ndarray of int, shape (n + 1,)
            First atom of every row, and the number of all.

        Returns
        -------
        ndarray of shape (n, t)
            The same, to the last bit, in whatever order the atoms and the rows come.
        """
        return self.predict_counts(*count_elements(z, ptr))

    def predict_counts(self, counts: NDArray, elements: NDArray[np.int64]) -> Array:
        """Reference of compositions.

        Parameters
        ----------
        counts : ndarray of shape (n, k)
            As for :meth:`fit`.
        elements : ndarray of int, shape (k,)
            Atomic numbers, one for each column of `counts`, in whatever order.

        Returns
        -------
        ndarray of shape (n, t)
        """
        out = np.zeros((len(counts), self.coefficients.shape[1]))
        # One element after the other: a product of matrices depends on how many rows it has.
        for j in np.argsort(elements):
            out += np.multiply.outer(counts[:, j], self.of_element(elements[j]))
        return out

    def of_element(self, z: int) -> Array:
        """Coefficients (t,) of an element, whether it was seen or not."""
        return np.array([np.interp(z, self.elements, column) for column in self.coefficients.T])


def _ridge(design: Array, values: Array, weight: Array, alpha: float) -> Array:
    """Coefficients (k,) of weighted rows, drawn to their common value."""
    root = np.sqrt(weight / weight.sum())
    size = design.sum(axis=1)
    common = np.average(size * values, weights=weight) / np.average(size**2, weights=weight)
    u, s, vt = np.linalg.svd(root[:, np.newaxis] * design, full_matrices=False)
    keep = s > s[0] * max(design.shape) * np.finfo(np.float64).eps
    part = u[:, keep].T @ (root * (values - common * size))
    return common + vt[keep].T @ (s[keep] / (s[keep] ** 2 + alpha) * part)

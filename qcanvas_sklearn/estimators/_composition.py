"""`CompositionRegressor`: what the elements alone say, the baseline of every table."""

from __future__ import annotations

import numbers
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, clone
from sklearn.utils import Tags, check_scalar
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from .._fitting import whole_or_not_at_all
from .._validation import (
    Labels,
    align_columns,
    check_choice,
    check_n_rows,
    check_observed,
    check_weight,
    read_labels,
    take_rows,
)
from ..elements import symbols
from ..metrics import masked_r2_score
from ..structures import (
    PairData,
    check_molecules,
    check_pairs,
    looks_like_molecules,
    looks_like_pairs,
)
from ..targets import EXTENSIVE_LABELS, LABELS, MOLECULE_LABELS
from ..training import CompositionReference, count_elements
from ._caption import CaptionedEstimator
from ._checks import UNSEEN_ELEMENTS, check_elements, check_passed

__all__ = ["CompositionRegressor"]

Array = NDArray[np.float64]


class CompositionRegressor(RegressorMixin, CaptionedEstimator):
    """Ridge regression on the numbers of atoms of each element.

    What no look at a geometry is needed for: nearly all of a total energy, and the first
    guess of anything else. A model that does not beat it has learned no chemistry. With
    `residual` another estimator learns what it leaves.

    Parameters
    ----------
    alpha : float, default=1e-12
        Penalty, beside the mean squared error, of the squared distance of the coefficients
        from the value that all elements would share. The default leaves exact sums as they
        are; larger ones help where an element is rare.
    normalize : {"auto"} or bool, default="auto"
        Predict from the elements' fractions (True) or from the numbers of their atoms
        (False). "auto" takes fractions for targets whose names are known as those of
        quantities that do not grow with the molecule, such as ``"e_g_ev"``, and numbers for
        :data:`qcanvas_sklearn.targets.EXTENSIVE_LABELS` and names that are not known.
    residual : estimator, default=None
        Any regressor that takes the same X. Clones of it are fitted on the labels less what
        the composition says, and their predictions added.
    unseen_elements : {"error", "allow"}, default="error"
        Refuse elements that were not seen in training, or give them a value on the line
        between those of their seen neighbours in the periodic table.

    Attributes
    ----------
    coefficients_ : DataFrame of shape (n_elements, n_targets)
        Value of an atom of each element, or of a substance of it alone where fractions are
        used, by symbol and target.
    elements_ : list of str
        Symbols of the elements that were seen.
    normalized_ : ndarray of bool, shape (n_targets,)
        Targets that are predicted from fractions.
    residuals_ : list of (ndarray of int, estimator)
        The fitted clones of `residual`, each behind the targets that it predicts: those that
        have labels in the same rows. Empty without `residual`.
    target_names_ : list of str or None
        Names of the targets, where y had any.

    See Also
    --------
    MoleculeKernelTransformer : Compares molecules, for a kernel machine as `residual`.

    Notes
    -----
    Where compositions do not tell elements apart, as in a trajectory of one molecule, the
    coefficients are those nearest to one common value, and the prediction is the mean.
    Charges are not seen.

    Examples
    --------
    >>> from qcanvas_sklearn import CompositionRegressor, load_molecules
    >>> X, y = load_molecules(target="total_energy_ev", return_X_y=True)
    >>> model = CompositionRegressor().fit(X, y)
    >>> model.coefficients_.round(1)["total_energy_ev"].to_dict()
    {'H': -14.0, 'C': -57.8, 'N': -79.3, 'O': -110.6, 'F': -128.9}
    >>> model.predict(X[:2]).shape, model.score(X, y) > 0.999
    ((2,), True)
    """

    def __init__(
        self,
        alpha: float = 1e-12,
        normalize: bool | Literal["auto"] = "auto",
        residual: Any = None,
        unseen_elements: str = "error",
    ) -> None:
        self.alpha = alpha
        self.normalize = normalize
        self.residual = residual
        self.unseen_elements = unseen_elements

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CompositionRegressor:
        """Find the value of each element.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, PyG data, or element pairs
            Structures, as :func:`qcanvas_sklearn.structures.check_molecules` reads them, or
            pairs of symbols of shape (n, 2) or (n, 3).
        y : array-like of shape (n,) or (n, t)
            Targets; NaN, None, NA and masked values are missing labels.
        sample_weight : array-like of shape (n,), default=None
            Non-negative weights of the rows, of which the ratios count.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter, X or y is not acceptable; a fitted estimator is as it was before.
        TypeError
            If X holds neither structures nor element pairs.
        """
        self._check_parameters(sample_weight)
        check_passed(self, y)
        with whole_or_not_at_all(self):
            self._learn(X, y, sample_weight)
        return self

    def _learn(self, X: Any, y: Any, sample_weight: Any) -> None:
        counts, elements = _counts(X)
        labels = read_labels(y)
        check_n_rows(labels.values, len(counts))
        weight = check_weight(sample_weight, len(counts))
        check_observed(labels, weight)
        used = labels.observed & (weight > 0)
        met = counts[used].any(axis=0)
        self.target_names_, self._single_output = labels.names, labels.single
        self.elements_ = symbols(elements[met]).tolist()
        self.normalized_ = self._normalized(labels)
        self._references = [
            CompositionReference.fit(
                _amounts(counts, fractions)[used][:, met], elements[met],
                labels.values[used], weight[used], self.normalized_ == fractions,
                alpha=self.alpha,
            )
            for fractions in (False, True)
        ]  # fmt: skip
        self.coefficients_ = pd.DataFrame(
            sum(reference.coefficients for reference in self._references),
            index=self.elements_, columns=labels.keys(),
        )  # fmt: skip
        left = labels.values - self._by_composition(counts, elements)
        self.residuals_ = [] if self.residual is None else self._fit_residuals(
            X, left, weight, weighted=sample_weight is not None
        )

    def predict(self, X: Any) -> Array:
        """Predict the targets.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, PyG data, or element pairs
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, t), float64
            In the units of the training targets, shaped like y in `fit`.

        Raises
        ------
        ValueError
            If X holds an element that was not seen in training while
            ``unseen_elements="error"``.
        """
        check_is_fitted(self)
        counts, elements = _counts(X)
        present = symbols(elements[counts.any(axis=0)]).tolist()
        check_elements(self.unseen_elements, present, self.elements_)
        out = self._by_composition(counts, elements)
        for targets, model in self.residuals_:
            out[:, targets] += np.asarray(model.predict(X)).reshape(len(out), -1)
        return out[:, 0] if self._single_output else out

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination over the observed labels, mean over the targets.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, PyG data, or element pairs
            As for :meth:`predict`.
        y : array-like of shape (n,) or (n, t)
            True targets, NaN where missing.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
        """
        predicted = self.predict(X)
        predicted = predicted.reshape(len(predicted), -1)
        labels = align_columns(read_labels(y), self.target_names_, predicted.shape[1])
        return masked_r2_score(labels.values, predicted, sample_weight=sample_weight)

    def _check_parameters(self, sample_weight: Any) -> None:
        check_scalar(self.alpha, "alpha", numbers.Real, min_val=0)
        if not np.isfinite(self.alpha):
            raise ValueError(f"alpha={self.alpha} is not finite")
        if not isinstance(self.normalize, (bool, np.bool_)) and self.normalize != "auto":
            raise ValueError(f'normalize={self.normalize!r} is not "auto", True or False')
        check_choice("unseen_elements", self.unseen_elements, UNSEEN_ELEMENTS)
        if self.residual is None:
            return
        if not (hasattr(self.residual, "fit") and hasattr(self.residual, "predict")):
            raise TypeError(f"residual={self.residual!r} is no estimator")
        if sample_weight is not None and not has_fit_parameter(self.residual, "sample_weight"):
            raise ValueError(
                f"residual={type(self.residual).__name__} takes no sample_weight"
            )

    def _normalized(self, labels: Labels) -> NDArray[np.bool_]:
        if self.normalize != "auto":
            return np.full(labels.values.shape[1], bool(self.normalize))
        intensive = (LABELS.keys() | MOLECULE_LABELS.keys()) - set(EXTENSIVE_LABELS)
        return np.array([name in intensive for name in labels.keys()])

    def _by_composition(self, counts: NDArray, elements: NDArray[np.int64]) -> Array:
        numbers_of, fractions_of = self._references
        return numbers_of.predict_counts(counts, elements) + fractions_of.predict_counts(
            _amounts(counts, True), elements
        )

    def _fit_residuals(
        self, X: Any, left: Array, weight: Array, weighted: bool
    ) -> list[tuple[NDArray[np.int64], Any]]:
        """Clones of `residual`: one for all targets with labels in the same rows."""
        known = np.isfinite(left) & (weight > 0)[:, np.newaxis]
        patterns, which = np.unique(known, axis=1, return_inverse=True)
        fitted = []
        for k, pattern in enumerate(patterns.T):
            targets, rows = np.flatnonzero(which.reshape(-1) == k), np.flatnonzero(pattern)
            values = left[np.ix_(rows, targets)]
            taken = X if len(rows) == len(left) else take_rows(X, rows)
            weights = {"sample_weight": weight[rows]} if weighted else {}
            values = values if len(targets) > 1 else values[:, 0]
            fitted.append((targets, clone(self.residual).fit(taken, values, **weights)))
        return fitted

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Structures and symbols; a table of numbers has no elements.
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.target_tags.multi_output = True
        return tags


def _counts(X: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Atoms of each element in each row (n, k), and the atomic numbers (k,)."""
    # Pairs last: whether other things are pairs is found out by taking them to pieces.
    is_record = isinstance(X, PairData) or looks_like_molecules(X)
    if not is_record and looks_like_pairs(X):
        z = check_pairs(X).z
        return count_elements(z.reshape(-1), np.arange(0, z.size + 1, 2))
    molecules = check_molecules(X)
    return molecules.composition, molecules.elements


def _amounts(counts: NDArray, fractions: bool) -> Array:
    """Numbers of atoms (n, k), or what part of all they are."""
    return counts / counts.sum(axis=1, keepdims=True) if fractions else counts * 1.0

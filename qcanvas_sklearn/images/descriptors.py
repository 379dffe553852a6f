"""`PairDescriptorTransformer`: symmetric descriptors of a pair from its elements alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from .._validation import check_choices
from ..elements import element_properties, property_values
from .transformer import BasePairTransformer

__all__ = ["OPERATIONS", "PairDescriptorTransformer"]

#: Symmetric functions of the two atoms' values.
OPERATIONS: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    "sum": np.add,
    "absdiff": lambda a, b: np.abs(a - b),
    "product": np.multiply,
    "min": np.minimum,
    "max": np.maximum,
}


class PairDescriptorTransformer(BasePairTransformer):
    """Describe element pairs by symmetric functions of tabulated properties.

    Known for every pair up to Z = 103, and the honest baseline of any model that sees
    more: no electronic-structure calculation stands behind these columns.

    Parameters
    ----------
    properties : sequence of str, default=None
        Keys of :func:`qcanvas_sklearn.elements.element_properties`; None for all that
        have a value for every element. ``electronegativity_pauling`` has gaps (noble
        gases, some heavy elements) and gives NaN there when asked for.
    operations : sequence of {"sum", "absdiff", "product", "min", "max"}, \
default=("sum", "absdiff", "product", "min", "max")
        Functions of the two atoms' values.

    Attributes
    ----------
    properties_ : tuple of str
        Properties in use.
    n_features_in_ : int
        Number of input columns. A third column of bond lengths is allowed and not used.
    feature_names_in_ : ndarray of shape ``(n_features_in_,)``
        Names of the input columns, where `fit` saw a DataFrame with names.

    See Also
    --------
    PairImageTransformer : Atom columns and images from the pair's electronic structure.

    Examples
    --------
    >>> from qcanvas_sklearn.images import PairDescriptorTransformer
    >>> transformer = PairDescriptorTransformer(["covalent_radius_ang"], ["sum", "absdiff"])
    >>> transformer.fit_transform([["H", "O"]]).round(2)
    array([[0.95, 0.31]])
    >>> transformer.get_feature_names_out().tolist()
    ['sum_covalent_radius_ang', 'absdiff_covalent_radius_ang']
    """

    def __init__(
        self,
        properties: Sequence[str] | None = None,
        operations: Sequence[str] = ("sum", "absdiff", "product", "min", "max"),
    ) -> None:
        self.properties = properties
        self.operations = operations

    def fit(self, X: Any, y: Any = None) -> PairDescriptorTransformer:
        """Check the parameters and the pairs; nothing is learnt.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, 2) or (n, 3)
            Element symbols; a third column is not used.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or an entry of `X` is invalid.
        TypeError
            If an entry that should be a symbol is not a string.
        """
        check_choices("operations", self.operations, OPERATIONS)
        if self.properties is None:
            chosen = [
                name
                for name in element_properties()
                if not np.isnan(property_values(name)[1:]).any()
            ]
        else:
            check_choices("properties", self.properties, element_properties())
            chosen = list(self.properties)
        self._check_pairs(X, reset=True)
        self.properties_ = tuple(chosen)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Descriptors of the given pairs.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, 2) or (n, 3)
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, n_properties * n_operations)
            All operations of the first property, then of the next.
        """
        check_is_fitted(self)
        z = self._check_pairs(X, reset=False).z
        values = np.stack([property_values(name)[z] for name in self.properties_], axis=-1)
        columns = [OPERATIONS[name](values[:, 0], values[:, 1]) for name in self.operations]
        return np.stack(columns, axis=-1).reshape(len(z), -1)

    def _column_names(self) -> Sequence[str]:
        return [f"{op}_{name}" for name in self.properties_ for op in self.operations]

"""What transformers of molecules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from ..elements import atomic_numbers, symbols
from ..structures import (
    Molecules,
    PairData,
    check_molecules,
    looks_like_molecules,
    looks_like_pairs,
)

__all__ = ["BaseMoleculeTransformer"]


def _read(X: Any) -> Molecules:
    is_record = isinstance(X, PairData) or looks_like_molecules(X)
    if not is_record and looks_like_pairs(X):
        raise TypeError(
            "X holds element pairs, which have no positions; pass molecules, or a PairData"
        )
    return check_molecules(X)


class BaseMoleculeTransformer(TransformerMixin, BaseEstimator):
    """Reading molecules, and which elements there is room for."""

    elements: Sequence[str] | None
    elements_: list[str]

    def _first_read(self, X: Any) -> Molecules:
        """Molecules of a fit; sets the elements."""
        molecules = _read(X)
        if self.elements is None:
            self.elements_ = symbols(molecules.elements).tolist()
        else:
            self.elements_ = self._given_elements()
            self._check_elements(molecules)
        return molecules

    def _given_elements(self) -> list[str]:
        given = self.elements
        if isinstance(given, str) or not isinstance(given, (Sequence, np.ndarray)):
            raise ValueError(f"elements={given!r} is not a sequence of symbols, or None")
        numbers = atomic_numbers(list(given))
        if not len(numbers) or (numbers == 0).any():
            raise ValueError(f"elements={given!r} holds what is no symbol of an element")
        return symbols(np.unique(numbers)).tolist()

    def _read(self, X: Any) -> Molecules:
        """Further molecules, of elements that there is room for."""
        molecules = _read(X)
        self._check_elements(molecules)
        return molecules

    def _check_elements(self, molecules: Molecules) -> None:
        present = symbols(molecules.elements).tolist()
        unseen = [symbol for symbol in present if symbol not in self.elements_]
        if unseen:
            raise ValueError(
                f"elements {unseen} were not among those of the fit, {self.elements_}; name "
                "all that may come by elements=[...]"
            )

    @property
    def _numbers(self) -> NDArray[np.int64]:
        return atomic_numbers(self.elements_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.transformer_tags.preserves_dtype = []
        return tags

"""What networks are told about the elements."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..elements import (
    MAX_Z,
    element_properties,
    property_values,
    valence_orbital_populations,
)
from ..training import feature_scaling

__all__ = ["standard_descriptors"]


@lru_cache(maxsize=1)
def standard_descriptors() -> NDArray[np.float32]:
    """Tabulated properties (104, k) of the elements, standardised; 0 for no element.

    All properties that have a value for every element, and whether the valence electrons
    are even (1) or odd (-1) in number: a pair with an odd number of electrons has no gap.
    """
    values = np.stack([property_values(name) for name in element_properties()], axis=-1)[1:]
    values = values[:, ~np.isnan(values).any(axis=0)]
    n_electrons = valence_orbital_populations(np.arange(1, MAX_Z + 1)).sum(axis=-1)
    parity = 1 - 2 * (n_electrons.round() % 2)
    columns = np.column_stack([feature_scaling(values).apply(values), parity])
    table = np.pad(columns, ((1, 0), (0, 0))).astype(np.float32)
    table.flags.writeable = False
    return table

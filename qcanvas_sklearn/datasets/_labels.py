"""Labels that every source derives in the same way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..targets import METAL_GAP_EV

__all__ = ["DIPOLE_LABELS", "charge_statistics", "metal_like"]

#: Labels of the components x, y, z of the dipole.
DIPOLE_LABELS = ["dipole_x_d", "dipole_y_d", "dipole_z_d"]


def charge_statistics(charges: NDArray[np.float64]) -> dict[str, Any]:
    """Mean and largest size of the charges of a pair, shape (..., 2), and their spread."""
    size = np.abs(charges)
    return {
        "q_absmean": size.mean(axis=-1),
        "q_maxabs": size.max(axis=-1),
        "q_std": charges.std(axis=-1),
    }


def metal_like(gap: pd.Series) -> pd.Series:
    """Whether a gap in eV is that of a metal; None where it is missing."""
    return (gap <= METAL_GAP_EV).astype(object).where(gap.notna(), None)

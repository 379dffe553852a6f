"""What a fitted model says of its own making."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import sklearn
import skorch
import torch

from .. import __version__
from ..targets import target_units

__all__ = ["provenance", "versions"]


def versions() -> dict[str, str]:
    """Versions of the package and of what its results depend on."""
    return {
        "qcanvas_sklearn": __version__,
        "python": platform.python_version(),
        "scikit-learn": sklearn.__version__,
        "numpy": np.__version__,
        "torch": str(torch.__version__),
        "skorch": skorch.__version__,
    }


def provenance(
    targets: list[str] | None, elements: list[str], n_rows: int, source: str
) -> dict[str, Any]:
    """Versions, targets with their units, elements, number of rows, source of the pairs."""
    return {
        **versions(),
        "targets": target_units(targets or []),
        "elements": elements,
        "n_training_rows": n_rows,
        "pair_data": source,
    }

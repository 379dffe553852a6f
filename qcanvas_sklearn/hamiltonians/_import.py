"""Matrices of other programs, read into canonical order and checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..structures import Molecules
from ._basis import Basis
from ._blocks import layout_of
from ._conventions import check_convention
from ._packed import pack
from ._proof import check_two_centre_share, prove_overlaps, repacked
from ._rotations import check_turned_copies

__all__ = ["SINGLE_PRECISION", "read_matrices"]

#: Rest of an overlap, and asymmetry beside the largest element, that rounding explains.
SINGLE_PRECISION = 1e-5
_TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): SINGLE_PRECISION}
_ASYMMETRY = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-5}


def read_matrices(
    molecules: Molecules,
    matrices: Any,
    overlaps: Any,
    *,
    basis: Basis,
    convention: str | None,
    tolerance: float | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Packed matrices and overlaps in canonical order, as ``from_matrices`` describes them.

    Raises
    ------
    ValueError
        If a matrix has another shape than the basis says, is not finite or not symmetric,
        if the order is neither stated nor proved, or if the proof fails.
    """
    if molecules.pbc is not None and molecules.pbc.any():
        raise ValueError("a periodic structure has no single matrix; pass molecules alone")
    if convention is None and (overlaps is None or isinstance(overlaps, str)):
        raise ValueError(
            "without overlaps nothing proves the order of the orbitals: state the convention"
        )
    convention = "qcanvas" if convention is None else convention
    check_convention(convention)
    given = _checked("matrix", matrices, molecules, basis)
    values = repacked(molecules, basis, given, convention)
    if overlaps is None or isinstance(overlaps, str):
        if overlaps not in (None, "orthogonal"):
            raise ValueError(
                f"overlaps must be matrices, None or 'orthogonal', got {overlaps!r}"
            )
        check_two_centre_share(molecules, basis, given, convention)
        check_turned_copies(molecules, basis, values)
        return values, None if overlaps is None else _identities(molecules, basis)
    known = _checked("overlap", overlaps, molecules, basis)
    flat = repacked(molecules, basis, known, convention)
    if tolerance is None:
        tolerance = max((_TOLERANCE[item.dtype] for item in known), default=0.0)
    prove_overlaps(
        molecules, basis, flat, known, convention=convention, tolerance=tolerance
    )  # fmt: skip
    return values, flat


def _identities(molecules: Molecules, basis: Basis) -> NDArray[np.float64]:
    sizes = layout_of(molecules, basis).sizes.tolist()
    return np.concatenate([np.zeros(0), *(pack(np.eye(n)) for n in sizes)])


def _checked(
    what: str, matrices: Any, molecules: Molecules, basis: Basis
) -> Sequence[NDArray]:
    """Symmetric matrices of the right sizes, in the precision in which they came."""
    given = list(matrices)
    if len(given) != len(molecules):
        raise ValueError(f"{what} of {len(given)} molecules, structures of {len(molecules)}")
    sizes = layout_of(molecules, basis).sizes.tolist()
    return [_symmetric(what, i, item, sizes[i], molecules) for i, item in enumerate(given)]


def _symmetric(what: str, row: int, given: Any, n: int, molecules: Molecules) -> NDArray:
    name = f"{what} {row} ({str(molecules.names[row])!r})"
    try:
        matrix = np.asarray(given)
        if matrix.dtype.kind not in "fiu":
            raise TypeError(f"values of type {matrix.dtype}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is no array of real numbers: {error}") from None
    if matrix.shape != (n, n):
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected {(n, n)}: it has {n} orbitals in this "
            "basis"
        )
    matrix = matrix.astype(np.float32 if matrix.dtype == np.float32 else np.float64, copy=False)
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} has elements that are not finite")
    asymmetry = float(np.abs(matrix - matrix.T).max(initial=0.0))
    if asymmetry > _ASYMMETRY[matrix.dtype] * max(1.0, float(np.abs(matrix).max(initial=0.0))):
        raise ValueError(f"{name} is not symmetric: elements differ by {asymmetry:.2g}")
    return (matrix + matrix.T) / 2

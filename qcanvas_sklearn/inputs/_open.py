"""Which reader X asks for."""

from __future__ import annotations

from typing import Any

from ..images.layout import find_columns
from ..structures import PairData, looks_like_molecules, looks_like_pairs
from ._base import InputSpec, Reader
from .molecules import MoleculeReader
from .pairs import PairReader
from .tables import TableReader

__all__ = ["open_reader"]


def open_reader(spec: InputSpec, X: Any) -> Reader[Any]:
    """A reader for the kind of thing that `X` is.

    Parameters
    ----------
    spec : InputSpec
        What the network takes.
    X : array-like of shape (n, p), or molecules
        Element pairs, a table with the columns of pairs, any other numeric table, or what
        :func:`~qcanvas_sklearn.structures.check_molecules` reads.

    Returns
    -------
    Reader
        Not fitted yet.

    Raises
    ------
    TypeError
        If `X` is a `PairData`, or holds molecules and the network is one of pairs.
    ValueError
        If `X` is a plain table, and the network is one of atoms alone.
    """
    if isinstance(X, PairData):
        raise TypeError(
            "X is a PairData; pass its elements, the columns that a PairImageTransformer with "
            "it as source makes of them, or X.to_molecules() to a network of molecules"
        )
    if looks_like_molecules(X):
        if spec.cutoff is None:
            raise TypeError(
                f"X ({type(X).__name__}) holds molecules, and this estimator takes pairs of "
                "atoms; those for graphs of atoms (SchNet, GATv2, EGNN, DimeNet, FAENet, "
                "GotenNet) take molecules as well"
            )
        return MoleculeReader(spec)
    if looks_like_pairs(X) or find_columns(X) is not None:
        return PairReader(spec)
    if spec.needs_atoms:
        raise ValueError(
            f"X ({type(X).__name__}) holds no pairs of atoms: pass element pairs, or a table "
            "with the columns of a PairImageTransformer, known by their names or by the array "
            "that it gives"
        )
    return TableReader(spec)

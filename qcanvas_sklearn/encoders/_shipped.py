"""What ships, and what is said of it."""

from __future__ import annotations

import os
from typing import Any

import pandas as pd

from ._encoder import Encoder
from ._registry import shipped

__all__ = ["describe", "list"]


def list() -> pd.DataFrame:
    """Encoders that ship with the package, for ``pretrained`` of the graph families.

    Returns
    -------
    DataFrame
        One row an encoder: ``name, family, kind, elements, targets, n_parameters``, of which
        elements and targets are counted.

    See Also
    --------
    describe : All that is said of one of them.

    Examples
    --------
    >>> from qcanvas_sklearn import encoders
    >>> encoders.list().columns.tolist()
    ['name', 'family', 'kind', 'elements', 'targets', 'n_parameters']
    """
    rows = [
        (e.name, e.family, e.kind, len(e.elements), len(e.targets), e.n_parameters)
        for e in map(Encoder.load, sorted(shipped()))
    ]
    columns = ["name", "family", "kind", "elements", "targets", "n_parameters"]
    return pd.DataFrame(rows, columns=columns)


def describe(name: str | os.PathLike[str], family: str | None = None) -> dict[str, Any]:
    """All that is said of an encoder: what it was trained on, by which recipe, what it fits.

    Parameters
    ----------
    name : str or path-like
        Name of one in :func:`list`, or the path of a file.
    family : str, default=None
        Which one, where an encoder of that name ships for several families.

    Returns
    -------
    dict
        ``name, family, kind, hyperparameters, elements, targets`` (with units),
        ``provenance, card, n_parameters, sha256``.

    Raises
    ------
    FileNotFoundError, ValueError
        As :meth:`Encoder.load`.
    """
    return Encoder.load(name, family).describe()

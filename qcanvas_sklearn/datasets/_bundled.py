"""The table of 2,850 diatomics that ships with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any

from sklearn.utils import Bunch

from ..structures import PairData
from ._bunch import description, make_bunch

__all__ = ["bundled_pairs", "load_pairs"]


@lru_cache(maxsize=1)
def bundled_pairs() -> PairData:
    """The bundled `PairData`, read once and shared; `load_pairs` gives a copy to change."""
    with as_file(files("qcanvas_sklearn.datasets").joinpath("data/pairs.npz")) as path:
        return PairData.load(path)


def load_pairs(
    target: str | Sequence[str] | None = None,
    *,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load the bundled table of 2,850 diatomics and their quantum labels.

    All 75·76/2 pairs of 75 elements (H to Th), neutral, at the bond length relaxed with
    non-spin-polarised SCC-DFTB and the PTBP parameters. The table is an independent
    recomputation by the QuantumCanvas protocol, not a copy of its archive.

    Parameters
    ----------
    target : str, sequence of str or None, default=None
        A target key, a group name, another label such as "metal_like", or a sequence of
        these; None for all 18 targets. See :data:`qcanvas_sklearn.targets.TARGETS`,
        :data:`qcanvas_sklearn.targets.GROUPS` and
        :data:`qcanvas_sklearn.targets.LABELS`.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `data` as a DataFrame and `target` as Series or DataFrame, whose names tell
        the estimators which targets they learn; otherwise as arrays.

    Returns
    -------
    data : Bunch
        data : DataFrame of shape (2850, 2)
            Element symbols, columns ``element_1`` and ``element_2``.
        target : Series or DataFrame of shape (2850,) or (2850, t)
            The targets in their units, NaN where a label is missing.
        labels : DataFrame of shape (2850, 37)
            All labels of the archive.
        pairs : PairData
            Populations, charges, geometry: what the images are rendered from.
        target_names : list of str
            Names of the targets.
        units : dict of str to str
            Unit by target name.
        DESCR : str
            Where the data come from.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        If `target` names neither a target, a group nor a label.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.
    .. [2] M. Cui, K. Reuter, J. T. Margraf, J. Chem. Theory Comput. (2024),
       doi:10.1021/acs.jctc.4c00228.
    .. [3] B. Hourahine et al., J. Chem. Phys. 152, 124101 (2020).

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> X.shape, y.name, int(y.isna().sum())
    ((2850, 2), 'e_g_ev', 10)
    """
    # Frames can be changed, and the table is shared.
    return make_bunch(
        replace(bundled_pairs()), target, return_X_y=return_X_y, as_frame=as_frame,
        descr=description("pairs"),
    )  # fmt: skip

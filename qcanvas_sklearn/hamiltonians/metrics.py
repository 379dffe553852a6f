"""What predicted Hamiltonians are worth: elements, levels, occupied orbitals, populations."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._validation import check_choice
from ..targets import HARTREE_IN_EV
from ._comparison import Comparison, check_alike, compare
from ._iterations import saved_iterations
from ._record import Hamiltonians

__all__ = [
    "hamiltonian_report",
    "intruder_rate",
    "level_mae",
    "matrix_mae",
    "population_mae",
    "saved_iterations",
    "subspace_overlap",
]

#: Parts of the matrices.
PARTS = ("all", "diagonal", "on-site", "off-site")
#: Levels that are compared.
LEVELS = ("occupied", "homo", "lumo", "gap")
#: Share of an occupied orbital that may lie outside the true occupied space before it
#: counts as another one.
_HALF = 0.5


def matrix_mae(true: Hamiltonians, predicted: Hamiltonians, part: str = "all") -> float:
    """Mean absolute error of the elements of the matrices.

    Over the elements of all full square matrices, so that those off the diagonal count
    twice, as in the literature.

    Parameters
    ----------
    true, predicted : Hamiltonians
        Matrices of the same molecules in the same basis.
    part : {"all", "diagonal", "on-site", "off-site"}, default="all"
        Which elements: all; the diagonals alone; the blocks of one atom; those of two.

    Returns
    -------
    float
        In eV; NaN where there is no such element.

    Raises
    ------
    ValueError
        If the records are not of the same molecules and basis, or there is no such part.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import Hamiltonians, metrics
    >>> h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.74]]])
    >>> true = Hamiltonians(h2, {"H": (0,)}, [-10.0, -9.0, -10.0], [1.0, 0.6, 1.0])
    >>> predicted = true.with_values([-10.0, -9.5, -10.0])
    >>> metrics.matrix_mae(true, predicted), metrics.matrix_mae(true, predicted, "off-site")
    (0.25, 0.5)
    """
    check_choice("part", part, PARTS)
    check_alike(true, predicted)
    error = np.abs(true.in_unit("eV").values - predicted.in_unit("eV").values)
    weight = _weights(true, part)
    return float(error @ weight / weight.sum()) if weight.any() else np.nan


def _weights(record: Hamiltonians, part: str) -> NDArray[np.float64]:
    """How often each packed element occurs in a part of the square matrices."""
    weight = np.full(len(record.values), 2.0)
    diagonal = _diagonal(record)
    weight[diagonal] = 1.0
    if part == "diagonal":
        return np.bincount(diagonal, minlength=len(weight)).astype(np.float64)
    if part != "all":
        on_site = np.zeros(len(weight), dtype=bool)
        for blocks in record.blocks.on_site.values():
            on_site[blocks.index] = True
        weight[on_site if part == "off-site" else ~on_site] = 0.0
    return weight


def _diagonal(record: Hamiltonians) -> NDArray[np.int64]:
    """Where the diagonal elements of all matrices lie."""
    sizes = record.n_orbitals
    first = np.cumsum(sizes) - sizes
    k = np.arange(sizes.sum()) - np.repeat(first, sizes)
    return np.repeat(record.ptr[:-1], sizes) + k * (k + 3) // 2


def level_mae(true: Hamiltonians, predicted: Hamiltonians, levels: str = "occupied") -> float:
    """Mean absolute error of levels.

    Parameters
    ----------
    true, predicted : Hamiltonians
        Matrices of the same molecules in the same basis. A prediction without overlaps is
        diagonalised with the true ones.
    levels : {"occupied", "homo", "lumo", "gap"}, default="occupied"
        Which: all with electrons, counted from below; or the frontier.

    Returns
    -------
    float
        In eV, over the levels of all molecules; molecules that have no such level are left
        out.

    Raises
    ------
    ValueError
        If the records are not of the same molecules and basis, there is no such kind of
        levels, or nothing to diagonalise with.
    """
    check_choice("levels", levels, LEVELS)
    return _levels(compare(true, predicted), levels)


def subspace_overlap(true: Hamiltonians, predicted: Hamiltonians) -> float:
    r"""How much of the true occupied space the predicted occupied orbitals span.

    .. math:: \mathrm{Tr}(C_p^T S C_t\, C_t^T S C_p) / n_\mathrm{occ}

    It is 1 for the same space, whichever orbitals span it, where a comparison of single
    orbitals is undefined as soon as two of them are degenerate.

    Parameters
    ----------
    true, predicted : Hamiltonians
        As for :func:`level_mae`. S is the true overlap.

    Returns
    -------
    float
        Mean over the molecules that have electrons, from 0 to 1.

    Raises
    ------
    ValueError
        As :func:`level_mae`.
    """
    return _spanned(compare(true, predicted))


def intruder_rate(true: Hamiltonians, predicted: Hamiltonians) -> float:
    """Share of the predicted occupied orbitals that belong to no true one.

    Of the principal directions of the predicted occupied space, those that lie by more than
    half outside the true one: each is an orbital that should have been empty.

    Parameters
    ----------
    true, predicted : Hamiltonians
        As for :func:`level_mae`.

    Returns
    -------
    float
        Over the occupied orbitals of all molecules, from 0 to 1.

    Raises
    ------
    ValueError
        As :func:`level_mae`.
    """
    return _intruders(compare(true, predicted))


def population_mae(true: Hamiltonians, predicted: Hamiltonians) -> float:
    """Mean absolute error of the electrons of the atoms, which is that of their charges.

    Parameters
    ----------
    true, predicted : Hamiltonians
        As for :func:`level_mae`.

    Returns
    -------
    float
        In e, over all atoms; gross populations of Mulliken.

    Raises
    ------
    ValueError
        As :func:`level_mae`.
    """
    return _populations(compare(true, predicted))


def hamiltonian_report(true: Hamiltonians, predicted: Hamiltonians) -> pd.DataFrame:
    """All metrics of predicted Hamiltonians.

    Parameters
    ----------
    true, predicted : Hamiltonians
        As for :func:`level_mae`; each is diagonalised once.

    Returns
    -------
    DataFrame
        Columns ``value`` and ``unit``, a line a metric: ``matrix_mae`` of all elements, the
        diagonals, on-site and off-site blocks, in µHa and for all elements in meV too;
        ``level_mae`` in meV; ``subspace_overlap``, ``intruder_rate``, ``population_mae``.

    Raises
    ------
    ValueError
        As :func:`level_mae`.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import Hamiltonians, metrics
    >>> h2 = Molecules.from_lists([["H", "H"]], [[[0, 0, 0], [0, 0, 0.74]]])
    >>> true = Hamiltonians(h2, {"H": (0,)}, [-10.0, -9.0, -10.0], [1.0, 0.6, 1.0])
    >>> report = metrics.hamiltonian_report(true, true.with_values([-10.0, -9.1, -10.0]))
    >>> report.loc[["level_mae_gap", "subspace_overlap"]].round(3)
                      value unit
    level_mae_gap     312.5  meV
    subspace_overlap    1.0    1
    """
    rows: dict[str, tuple[float, str]] = {}
    for part in PARTS:
        error = matrix_mae(true, predicted, part)
        name = "matrix_mae" if part == "all" else f"matrix_mae_{part.replace('-', '_')}"
        rows[name] = (error / HARTREE_IN_EV * 1e6, "µHa")
        if part == "all":
            rows["matrix_mae_mev"] = (error * 1e3, "meV")
    pairs = list(compare(true, predicted))
    for name in LEVELS:
        rows[f"level_mae_{name}"] = (_levels(pairs, name) * 1e3, "meV")
    rows["subspace_overlap"] = (_spanned(pairs), "1")
    rows["intruder_rate"] = (_intruders(pairs), "1")
    rows["population_mae"] = (_populations(pairs), "e")
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "unit"])


def _levels(pairs: Iterable[Comparison], name: str) -> float:
    return _mean([pair.levels[name] for pair in pairs])


def _spanned(pairs: Iterable[Comparison]) -> float:
    return _mean([pair.angles.mean(keepdims=True) for pair in pairs if len(pair.angles)])


def _intruders(pairs: Iterable[Comparison]) -> float:
    return _mean([pair.angles < _HALF for pair in pairs])


def _populations(pairs: Iterable[Comparison]) -> float:
    return _mean([pair.electrons for pair in pairs])


def _mean(parts: list[NDArray]) -> float:
    """Mean over all values of all molecules, NaN of none."""
    values = np.concatenate([np.zeros(0), *parts])
    return float(values.mean()) if len(values) else np.nan

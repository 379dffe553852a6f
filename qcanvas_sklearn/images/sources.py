"""Where the electronic structure behind an image comes from.

A source is a function that resolves pairs of atomic numbers, in canonical order, to rows
of a `PairData`. Further named sources are entries of `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..datasets._bundled import bundled_pairs
from ..datasets._xtb import xtb_source
from ..datasets._xtb_states import MAX_Z as XTB_MAX_Z
from ..elements import (
    MAX_Z,
    alphabetical_rank,
    property_values,
    symbols,
    valence_orbital_populations,
)
from ..structures import PairData

__all__ = ["SOURCES", "ResolvedPairs", "Resolver", "free_atoms", "get_resolver"]


class ResolvedPairs(NamedTuple):
    """Requested pairs as rows of a data set.

    Attributes
    ----------
    pairs : PairData
        The data set.
    rows : ndarray of int64, shape (n,)
        Row of `pairs` for each requested pair; -1 where the source does not know it.
    distance : ndarray of shape (n,) or None
        Distances of the nuclei in Å that were asked for, where those of `pairs` are others.
    """

    pairs: PairData
    rows: NDArray[np.int64]
    distance: NDArray[np.float64] | None = None


Resolver = Callable[[NDArray[np.int64], "NDArray[np.float64] | None"], ResolvedPairs]


def free_atoms(z: NDArray[np.int64], distance: NDArray[np.float64] | None = None) -> PairData:
    """Pairs of isolated, spherically averaged neutral atoms beside each other.

    Parameters
    ----------
    z : ndarray of int64, shape (n, 2)
        Atomic numbers in canonical order.
    distance : ndarray of shape (n,), default=None
        Distances of the nuclei in Å; by default the sums of the covalent radii.

    Returns
    -------
    PairData
        Valence populations of the free atoms; charges and dipoles are zero, labels
        missing.
    """
    if distance is None:
        distance = property_values("covalent_radius_ang")[z].sum(axis=1)
    positions = np.zeros((len(z), 2, 3))
    positions[:, 1, 2] = distance
    return PairData(
        symbols(z),
        positions,
        valence_orbital_populations(z),
        charges=np.zeros((len(z), 2)),
        dipole=np.zeros((len(z), 3)),
        provenance="free atoms",
    )


def _table(pairs: PairData, name: str) -> Resolver:
    def resolve(z: NDArray[np.int64], distance: NDArray[np.float64] | None) -> ResolvedPairs:
        if distance is not None:
            raise ValueError(
                f"{name} holds every pair at its own bond length only; leave out the third "
                "column (distance_ang), or use source='free-atom'"
            )
        rows = pairs.find(z)
        found = np.flatnonzero(rows >= 0)
        # A pair that could not be computed has no image: the source does not know it.
        rows[found[~pairs.computed[rows[found]]]] = -1
        return ResolvedPairs(pairs, rows)

    return resolve


def _resolve_bundled(
    z: NDArray[np.int64], distance: NDArray[np.float64] | None
) -> ResolvedPairs:
    return _table(bundled_pairs(), "source='bundled'")(z, distance)


@lru_cache(maxsize=1)
def _every_pair_of_free_atoms() -> PairData:
    order = np.argsort(alphabetical_rank()[1:]) + 1
    first, second = np.triu_indices(MAX_Z)
    return free_atoms(np.stack([order[first], order[second]], axis=1))


def _resolve_free_atoms(
    z: NDArray[np.int64], distance: NDArray[np.float64] | None
) -> ResolvedPairs:
    # They are the same at any distance.
    pairs = _every_pair_of_free_atoms()
    return ResolvedPairs(pairs, pairs.find(z), distance)


def _resolve_xtb(z: NDArray[np.int64], distance: NDArray[np.float64] | None) -> ResolvedPairs:
    covered = np.flatnonzero((z <= XTB_MAX_Z).all(axis=1))
    pairs = xtb_source(z[covered], None if distance is None else distance[covered])
    known = np.flatnonzero(pairs.computed)  # with a converged, physical state
    rows = np.full(len(z), -1)
    rows[covered[known]] = known
    return ResolvedPairs(pairs, rows)


#: Sources by name.
SOURCES: dict[str, Resolver] = {
    "bundled": _resolve_bundled,
    "free-atom": _resolve_free_atoms,
    "xtb": _resolve_xtb,
}


def get_resolver(source: str | PairData) -> Resolver:
    """The function that resolves pairs for a source.

    Parameters
    ----------
    source : str or PairData
        A key of `SOURCES`, or a data set to look pairs up in.

    Returns
    -------
    callable
        ``resolve(z, distance) -> ResolvedPairs``.

    Raises
    ------
    ValueError
        If there is no such source.
    """
    if isinstance(source, PairData):
        return _table(source, "this PairData")
    if isinstance(source, str) and source in SOURCES:
        return SOURCES[source]
    raise ValueError(f"source must be one of {sorted(SOURCES)} or a PairData, got {source!r}")

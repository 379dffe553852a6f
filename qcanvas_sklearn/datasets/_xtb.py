"""Pair data computed on the spot with extended tight binding (xTB)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..elements import SYMBOLS, symbols
from ..structures import PairData, canonical_order, check_pairs
from ..targets import LABELS, derive_targets
from . import _xtb_engine as engine
from ._jobs import cache_directory, run_jobs
from ._labels import DIPOLE_LABELS, charge_statistics, metal_like
from ._xtb_settings import Settings, check_elements, check_settings

__all__ = ["compute_pairs", "xtb_source"]

#: Bond lengths (Å) outside of which an answer would mean nothing.
DISTANCE_RANGE = (0.1, 100.0)
#: Part of the cache's key: raise it when the engine's results change.
CACHE_FORMAT = 1
#: How many single points one relaxation counts for.
RELAXATION_POINTS = 32


def compute_pairs(
    pairs: Any,
    *,
    method: str = "GFN1-xTB",
    distance: str | float | ArrayLike = "relaxed",
    electronic_temperature: float = 300.0,
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    verbose: int = 0,
) -> PairData:
    """Compute the electronic structure of element pairs with xTB.

    Any of the 3,741 pairs of the elements H to Rn, neutral and in the lowest
    multiplicity, at the relaxed bond length or at given ones. Needs the optional
    package tblite: ``pip install "qcanvas-sklearn[xtb]"``.

    Labels of xTB and of the bundled DFTB table are not interchangeable, nor are those
    of its two parametrisations: levels and energies refer to different Hamiltonians.
    Train and test on one source.

    Parameters
    ----------
    pairs : array-like of shape (n, 2) or (n, 3), or DataFrame
        Element symbols in either order. A third column, ``distance_ang`` in a
        DataFrame, gives each pair its own bond length in Å.
    method : {"GFN1-xTB", "GFN2-xTB"}, default="GFN1-xTB"
        Parametrisation. GFN1-xTB [1]_ converges for more pairs and is the faster one;
        GFN2-xTB [2]_ has anisotropic electrostatics.
    distance : "relaxed", float or array-like of shape (k,), default="relaxed"
        ``"relaxed"`` finds the bond length of lowest free energy, a number is the bond
        length (Å) of all pairs, and a one-dimensional array scans every pair over the
        same grid: n·k rows, the k rows of the first pair first. Bond lengths that
        differ between the pairs belong in the third column of `pairs`.
    electronic_temperature : float, default=300.0
        Temperature of the Fermi filling in K.
    n_jobs : int or None, default=None
        Processes, as in joblib: None is 1 unless a ``joblib.parallel_config`` is
        active, -1 uses all cores.
    cache : bool or path-like, default=True
        Keep results on disk and reuse them: one file for every pair, written as soon as
        it is done, so that an interrupted call continues where it stopped. True stands
        for ``$QCANVAS_DATA``, by default ``~/qcanvas_data``. Damaged files, and files of
        another version of tblite, are computed anew. Where nothing can be written, pairs
        are computed all the same, with a warning.
    verbose : int, default=0
        Show a progress bar, on standard error in a terminal, where it is not 0.

    Returns
    -------
    PairData
        A row for every pair (and grid point) in the order given. ``quality`` says how
        much the row is worth:

        - ``"ok"``;
        - ``"weakly-bound"``: the well is shallower than k_B T at room temperature;
        - ``"cusp"``: the lowest energy lies where two states of the curve meet, not at
          a smooth minimum;
        - ``"unbound"``, ``"collapsed"``: the energy falls to the far or the near end
          of the scan;
        - ``"not-converged"``: no self-consistent state was found;
        - ``"unphysical-charges"``: only states with charges beyond 1.5 e were.

        The last four have no values but NaN. ``labels`` states what xTB defines: the
        total energy is that of the valence electrons and includes dispersion, the band
        energy is the sum of level times occupation, a half-filled level is HOMO and LUMO
        at once, and the dipole includes the atomic dipoles, so that its magnitude is not
        that of the Mulliken charges alone. The Fermi level is missing for odd numbers
        of electrons, and the counters of the DFTB+ iterations always are.

    Raises
    ------
    ImportError
        If tblite is not installed.
    TypeError, ValueError
        If an element is unknown or heavier than radon, or an argument is out of range.

    Warns
    -----
    UserWarning
        If results cannot be kept.

    References
    ----------
    .. [1] S. Grimme, C. Bannwarth, P. Shushkov, J. Chem. Theory Comput. 13, 1989 (2017),
       doi:10.1021/acs.jctc.7b00118.
    .. [2] C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019),
       doi:10.1021/acs.jctc.8b01176.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import compute_pairs
    >>> pairs = compute_pairs([["H", "F"]], cache=False)  # doctest: +SKIP
    >>> pairs.names[0], float(pairs.bond_lengths[0].round(3))  # doctest: +SKIP
    ('F_H', 0.927)
    """
    checked = check_pairs(pairs)
    z, lengths = checked.z, checked.distance
    grid = _distance_grid(distance)
    if grid is not None and lengths is not None:
        raise ValueError(
            "bond lengths are given twice: in the third column of pairs and as distance"
        )
    if grid is not None:
        z, lengths = np.repeat(z, len(grid), axis=0), np.tile(grid, len(z))
    return xtb_source(
        z, lengths, method=method, electronic_temperature=electronic_temperature,
        n_jobs=n_jobs, cache=cache, verbose=verbose,
    )  # fmt: skip


def xtb_source(
    z: ArrayLike,
    distance: ArrayLike | None = None,
    *,
    method: str = "GFN1-xTB",
    electronic_temperature: float = 300.0,
    n_jobs: int | None = None,
    cache: bool | str | os.PathLike[str] = True,
    verbose: int = 0,
) -> PairData:
    """Rows for pairs of atomic numbers, each distinct one computed once.

    Parameters
    ----------
    z : array-like of int, shape (n, 2)
        Atomic numbers from 1 to 86, in either order.
    distance : array-like of shape (n,) or None, default=None
        Bond lengths in Å; None, and NaN in a row, stand for the relaxed one.
    method, electronic_temperature, n_jobs, cache, verbose
        As in :func:`compute_pairs`.

    Returns
    -------
    PairData
        One row for every row of `z`.

    Raises
    ------
    ImportError
        If tblite is not installed.
    ValueError
        If an element is out of range or an argument is not acceptable.
    """
    settings = check_settings(method, electronic_temperature)
    z = _canonical(np.asarray(z), method)
    lengths = np.full(len(z), np.nan) if distance is None else np.asarray(distance, float)
    if lengths.shape != (len(z),):
        raise ValueError(f"distance has shape {lengths.shape}, expected {(len(z),)}")
    _check_range(lengths[~np.isnan(lengths)])
    # In `rows` a length of 0 stands for the relaxed one; NaN would not sort.
    rows = np.column_stack([z, np.nan_to_num(lengths)])
    unique, inverse = np.unique(rows, axis=0, return_inverse=True)
    directory = cache_directory(cache, settings, ("relaxed", "given"))
    found = run_jobs(list(_jobs(unique)), settings, directory, n_jobs, verbose, "pairs")
    records = np.concatenate([np.empty(0, engine.RECORD), *found])
    given = ~np.isnan(lengths)
    kind = "given" if given.all() else "given or relaxed" if given.any() else "relaxed"
    return _pair_data(z, records[inverse.reshape(-1)], f"{settings}, {kind} bond length")


class _Job(NamedTuple):
    """One pair of elements with its bond lengths in Å; without any, it is relaxed."""

    z: tuple[int, int]
    distances: tuple[float, ...]

    @property
    def points(self) -> int:
        return len(self.distances) or RELAXATION_POINTS

    @property
    def dtype(self) -> np.dtype:
        return engine.RECORD

    def path(self, directory: Path) -> Path:
        name = f"{SYMBOLS[self.z[0]]}_{SYMBOLS[self.z[1]]}"
        if not self.distances:
            return directory / "relaxed" / f"{name}.npz"
        digest = blake2b(np.array(self.distances).tobytes(), digest_size=8).hexdigest()
        return directory / "given" / f"{name}-{digest}.npz"

    def key(self, settings: Settings) -> str:
        return f"{CACHE_FORMAT}|{astuple(settings)}|{self.z}|{self.distances}"

    def compute(self, settings: Settings) -> NDArray[np.void]:
        return engine.compute_records(
            self.z, self.distances, settings.method, settings.temperature
        )


def _canonical(z: NDArray, method: str) -> NDArray[np.int64]:
    if z.ndim != 2 or z.shape[1] != 2 or z.dtype.kind not in "iu":
        raise ValueError(f"expected atomic numbers of shape (n, 2), got {z.dtype} {z.shape}")
    check_elements(z, method)
    return canonical_order(z.astype(np.int64))


def _distance_grid(distance: str | float | ArrayLike) -> NDArray[np.float64] | None:
    """The grid that all pairs share; None where they are relaxed."""
    if isinstance(distance, str):
        if distance == "relaxed":
            return None
        raise ValueError(f"distance must be 'relaxed' or numbers in angstrom, got {distance!r}")
    try:
        grid = np.atleast_1d(np.asarray(distance, dtype=np.float64))
    except (TypeError, ValueError):
        raise ValueError(
            f"distance must be 'relaxed' or numbers in angstrom, got {distance!r}"
        ) from None
    if grid.ndim != 1 or not grid.size:
        raise ValueError(
            f"distance must be one number or a one-dimensional grid, got shape {grid.shape}; "
            "bond lengths that differ between the pairs belong in the third column of pairs"
        )
    _check_range(grid)
    return grid


def _check_range(distances: NDArray[np.float64]) -> None:
    low, high = DISTANCE_RANGE
    bad = distances[~((distances >= low) & (distances <= high))]
    if bad.size:
        raise ValueError(f"the bond length {bad[0]} is not between {low} and {high} angstrom")


def _jobs(rows: NDArray[np.float64]) -> Iterator[_Job]:
    """Jobs whose records, one after another, belong to the sorted distinct `rows`."""
    for (a, b, relaxed), group in groupby(rows, key=lambda row: (*row[:2], row[2] == 0)):
        lengths = () if relaxed else tuple(float(row[2]) for row in group)
        yield _Job((int(a), int(b)), lengths)


def _pair_data(z: NDArray[np.int64], records: NDArray[np.void], provenance: str) -> PairData:
    positions = np.zeros((len(z), 2, 3))
    positions[:, 1, 2] = records["distance_ang"]
    elements = symbols(z)
    return PairData(
        elements, positions, records["populations"], records["charges"],
        records["dipole_d"], _labels(elements, records), provenance,
        quality=records["quality"],
    )  # fmt: skip


def _labels(elements: NDArray[np.str_], records: NDArray[np.void]) -> pd.DataFrame:
    """The labels that the records determine; PairData adds the others as missing."""
    stored = engine.RECORD.names or ()
    labels = pd.DataFrame({key: records[key] for key in LABELS if key in stored})
    charges, dipole, known = records["charges"], records["dipole_d"], records["n_levels"] > 0
    labels["system_id_guess"] = [f"{a}_{b}" for a, b in elements]
    labels["n_atoms"] = 2.0
    labels = labels.assign(**charge_statistics(charges))
    labels["total_charge"] = charges.sum(axis=1)
    labels["dipole_mag_d"] = np.linalg.norm(dipole, axis=1)
    labels[DIPOLE_LABELS] = dipole
    labels = derive_targets(labels)
    gap = labels["e_g_ev"]
    labels["metal_like"] = metal_like(gap)
    labels["no_virtual_in_basis"] = gap.isna().astype(object).where(known, None)
    return labels

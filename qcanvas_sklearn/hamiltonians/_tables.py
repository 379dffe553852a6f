"""`TwoCentreTables`: what pairs of elements do to each other's orbitals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.resources import as_file, files
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray

from .._files import open_regular
from .._npz import MAX_BYTES
from ..datasets._xtb_settings import check_elements, check_settings
from ..elements import SYMBOLS, atomic_numbers, symbols
from ..structures import Molecules, check_molecules, save_atomically
from ._assembly import assemble, repulsion
from ._basis import LETTERS, Basis
from ._charged import Charged
from ._charges import ChargeModel
from ._engines import free_levels, scan_dimers, xtb_basis, xtb_electrons
from ._pair_table import PairTable
from ._record import Hamiltonians
from ._table_files import from_members, members, read_members
from ._taught import taught

__all__ = ["SHIPPED", "TwoCentreTables"]

#: Tables that ship with the package.
SHIPPED = ("gfn2-xtb",)
#: Distances (Å) of the dimers: of each, 6.4 % more than of the one before.
DISTANCES = tuple(np.geomspace(0.3, 16.0, 65).tolist())


@dataclass(frozen=True, eq=False, repr=False)
class TwoCentreTables(Charged):
    """Overlaps and Hamiltonians of molecules out of what pairs of elements do.

    A block between two atoms is taken from a table of their elements, at their distance,
    and turned into their direction [1]_; each atom's levels are those of the free atom and
    what each of its neighbours adds. For xTB this is exact: its H0 is made in this way.

    Parameters
    ----------
    basis : Basis
        Shells of the elements.
    levels : mapping of str to ndarray
        Levels (eV) of the free atoms' shells, by element.
    electrons : mapping of str to float
        Valence electrons by element.
    pairs : mapping of (str, str) to PairTable
        Tables of all pairs of the elements, the lighter one first.
    charges : ChargeModel, optional
        How levels follow the charges, see :meth:`fit_charges`.
    method : str, default=""
        Method of the tables.
    provenance : str, default=""
        Where they come from.

    See Also
    --------
    TwoCentreTransformer : Levels, charges and more of molecules as features.

    References
    ----------
    .. [1] J. C. Slater, G. F. Koster, Phys. Rev. 94, 1498 (1954),
       doi:10.1103/PhysRev.94.1498.

    Examples
    --------
    >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
    >>> tables = TwoCentreTables.load("gfn2-xtb")
    >>> tables
    TwoCentreTables(GFN2-xTB; H, C, N, O, F, Ti; up to 16 Å; with charges)
    >>> integrals = tables.integrals("C", "O", [1.2, 2.4])
    >>> integrals["overlap"]["ppπ"].round(3).tolist()
    [0.222, 0.012]
    """

    basis: Basis
    levels: Mapping[str, NDArray[np.float64]]
    electrons: Mapping[str, float]
    pairs: Mapping[tuple[str, str], PairTable]
    charges: ChargeModel | None = None
    method: str = ""
    provenance: str = ""

    def __repr__(self) -> str:
        parts = [self.method] if self.method else []
        parts += [", ".join(self.basis), f"up to {self.cutoff:g} Å"]
        parts += ["with charges"] if self.charges is not None else []
        return f"TwoCentreTables({'; '.join(parts)})"

    # ------------------------------------------------------- where they come from

    @classmethod
    def from_engine(
        cls,
        elements: Sequence[str],
        method: str = "GFN2-xTB",
        *,
        distances: ArrayLike = DISTANCES,
        n_jobs: int | None = None,
    ) -> TwoCentreTables:
        """Compute tables from dimers, with tblite.

        Six elements take two seconds.

        Parameters
        ----------
        elements : sequence of str
            Symbols of the elements.
        method : {"GFN2-xTB", "GFN1-xTB"}, default="GFN2-xTB"
            Method.
        distances : array-like of shape (r,), default=65 of them from 0.3 to 16 Å
            Distances of the dimers in Å, increasing.
        n_jobs : int or None, default=None
            Processes, as in joblib.

        Returns
        -------
        TwoCentreTables
            Without `charges`, which :meth:`fit_charges` adds.

        Raises
        ------
        ImportError
            If tblite is not installed.
        ValueError
            If an element or the method is unknown, or the distances do not increase.

        Examples
        --------
        >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
        >>> TwoCentreTables.from_engine(["H", "S"])  # doctest: +SKIP
        TwoCentreTables(GFN2-xTB; H, S; up to 16 Å)
        """
        settings = check_settings(method, 300.0)
        numbers = _check_symbols(elements, method)
        grid = _check_distances(distances)
        basis = xtb_basis(method, numbers)
        free = {z: free_levels(method, z) for z in numbers}
        kinds = list(combinations_with_replacement(numbers, 2))
        scan = delayed(scan_dimers)
        dimers = Parallel(n_jobs=n_jobs)(scan(method, kind, grid) for kind in kinds)
        pairs = {
            (SYMBOLS[a], SYMBOLS[b]): PairTable.from_dimers(
                (basis.shells(a), basis.shells(b)), (free[a], free[b]), found
            )
            for (a, b), found in zip(kinds, dimers, strict=True)
        }
        electrons = xtb_electrons(method, numbers).astype(float).tolist()
        return cls(
            basis, {SYMBOLS[z]: free[z] for z in numbers},
            dict(zip(basis, electrons, strict=True)), pairs, method=method,
            provenance=f"{settings}, dimers at {len(grid)} distances",
        )  # fmt: skip

    @classmethod
    def from_pairs(
        cls,
        estimator: Any,
        elements: Sequence[str] | None = None,
        *,
        distances: ArrayLike = DISTANCES,
        member: int = 0,
    ) -> TwoCentreTables:
        """Tables of what pairs of elements taught a model, to be used for molecules.

        Overlaps, H0 without the potential of any charges, levels and repulsion are the
        model's. Of the distances it may have seen few: pairs at their bond lengths say little
        of atoms that are not bonded.

        Parameters
        ----------
        estimator : TightBindingRegressor
            Fitted.
        elements : sequence of str or None, default=None
            Symbols of elements that it has learned; None for all of them.
        distances : array-like of shape (r,), default=65 of them from 0.3 to 16 Å
            Distances in Å, increasing, 0.2 to 50.
        member : int, default=0
            Member of the ensemble: each has orbitals of its own.

        Returns
        -------
        TwoCentreTables
            Without `charges`, which :meth:`fit_charges` adds.

        Raises
        ------
        TypeError
            If the estimator tells no Hamiltonians of pairs.
        ValueError
            If an element was not learned, or the distances do not increase.

        Examples
        --------
        >>> from qcanvas_sklearn import TightBindingRegressor, load_pairs
        >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
        >>> X, y = load_pairs(target=["e_g_ev", "e_homo_ev"], return_X_y=True)
        >>> few = X.isin(["H", "C", "N", "O"]).all(axis=1)
        >>> model = TightBindingRegressor(n_members=1, max_epochs=2, random_state=0)
        >>> TwoCentreTables.from_pairs(model.fit(X[few], y[few]), ["H", "O"])
        TwoCentreTables(TightBindingRegressor; H, O; up to 16 Å)
        """
        return cls(**taught(estimator, elements, _check_distances(distances), member))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a compact ``.npz`` without pickled objects.

        Parameters
        ----------
        path : path-like
            File to write; it appears under its name only when it is complete.
        """
        save_atomically(path, members({f.name: getattr(self, f.name) for f in fields(self)}))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str] = "gfn2-xtb", *, max_bytes: int = MAX_BYTES
    ) -> TwoCentreTables:
        """Read tables that ship with the package, or a file that :meth:`save` wrote.

        Parameters
        ----------
        path : {"gfn2-xtb"} or path-like, default="gfn2-xtb"
            Name of shipped tables (H, C, N, O, F, Ti), or a file.
        max_bytes : int, default=1 GiB
            Largest size of the file's arrays together.

        Returns
        -------
        TwoCentreTables

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is damaged or of another kind.

        Examples
        --------
        >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
        >>> TwoCentreTables.load().elements.tolist()
        [1, 6, 7, 8, 9, 22]
        """
        if path in SHIPPED:
            name = f"data/{path}.npz"
            with as_file(files("qcanvas_sklearn.hamiltonians").joinpath(name)) as shipped:
                return cls._read(shipped, max_bytes)
        return cls._read(path, max_bytes)

    @classmethod
    def _read(cls, path: str | os.PathLike[str], max_bytes: int) -> TwoCentreTables:
        with open_regular(path) as file:
            try:
                return cls(**from_members(read_members(file, max_bytes)))
            except Exception as error:  # whatever a damaged file may raise
                raise ValueError(
                    f"{os.fspath(path)!r} is no file of two-centre tables: {error}"
                ) from error

    # ------------------------------------------------------------ what they hold

    @property
    def elements(self) -> NDArray[np.int64]:
        """Sorted atomic numbers of the elements."""
        return self.basis.elements

    @property
    def cutoff(self) -> float:
        """Distance in Å beyond which atoms do not meet."""
        return float(max(pair.distances[-1] for pair in self.pairs.values()))

    def describe(self) -> str:
        """A text on elements, shells, levels, distances, charges and provenance.

        Returns
        -------
        str
        """
        lines = [repr(self), self.provenance]
        for symbol, shells in self.basis.items():
            named = zip(shells, self.levels[symbol], strict=True)
            levels = ", ".join(f"{LETTERS[l]} {level:.2f}" for l, level in named)
            lines.append(f"{symbol}: {self.electrons[symbol]:g} electrons, levels {levels} eV")
        any_pair = next(iter(self.pairs.values()))
        n = sum(pair.overlap.shape[1] for pair in self.pairs.values())
        lines.append(
            f"{len(self.pairs)} pairs of elements, {n} integrals, {len(any_pair.distances)} "
            f"distances from {any_pair.distances[0]:g} Å"
        )
        if self.charges is not None:
            lines.append(self.charges.describe())
        return "\n".join(lines)

    def integrals(
        self, first: str, second: str, distances: ArrayLike
    ) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Integrals along the bond of two elements, alone at some distances.

        Parameters
        ----------
        first, second : str
            Symbols of the elements.
        distances : array-like of shape (p,)
            In Å.

        Returns
        -------
        dict
            ``"overlap"`` and ``"core"`` (H0 in eV), each a dict of arrays (p,) by
            ``"ssσ"``, ``"spσ"``, ``"psσ"``, ``"ppσ"``, ``"ppπ"``, ...; the first letter is
            of the first element, and the second element lies above it.

        Raises
        ------
        ValueError
            If an element is not in the tables.
        """
        z = [_known(self.basis, symbol) for symbol in (first, second)]
        r = np.atleast_1d(np.asarray(distances, dtype=np.float64))
        swapped = z[0] > z[1]
        kind = (second, first) if swapped else (first, second)
        pair, free = self.pairs[kind], [self.levels[symbol] for symbol in kind]
        a, b = (level + s for level, s in zip(free, pair.shifts_at(r), strict=True))
        found = pair.integrals_at(r, a, b)
        names, signs = pair.names, np.ones(len(pair.names))
        if swapped:
            counts = [min(p.momenta) + 1 for p in pair.pairs]
            signs = np.repeat([(-1.0) ** sum(p.momenta) for p in pair.pairs], counts)
            names = [_turned(name) for name in names]
        return {
            kind: dict(zip(names, (values * signs).T, strict=True))
            for kind, values in zip(("overlap", "core"), found, strict=True)
        }

    # --------------------------------------------------------------- molecules

    def check(self, X: Any, *, charges: bool = False) -> Molecules:
        """Read molecules, refused unless the tables know their elements.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            As :func:`qcanvas_sklearn.structures.check_molecules` reads them.
        charges : bool, default=False
            Whether their charges have to be known as well.

        Returns
        -------
        Molecules

        Raises
        ------
        TypeError, ValueError
            If these are no molecules; if an element is not in the tables, or a structure is
            periodic. The message names it.
        """
        molecules = check_molecules(X)
        missing = np.setdiff1d(molecules.elements, self.elements)
        if missing.size:
            row = int(molecules.rows[np.isin(molecules.z, missing)][0])
            raise ValueError(
                f"the tables hold {', '.join(self.basis)}, not "
                f"{', '.join(symbols(missing))} of structure {row} "
                f"({str(molecules.names[row])!r}); TwoCentreTables.from_engine computes them"
            )
        if molecules.pbc is not None and molecules.pbc.any():
            row = int(np.argmax(molecules.pbc.any(axis=1)))
            raise ValueError(
                f"structure {row} ({str(molecules.names[row])!r}) is periodic; two-centre "
                "tables make the matrices of molecules only"
            )
        if charges and not self.covers(molecules.elements):
            raise ValueError(
                f"the tables have no charges of {self._uncovered(molecules.elements)}; use "
                "scc=False, or TwoCentreTables.fit_charges"
            )
        return molecules

    def hamiltonians(self, X: Any) -> Hamiltonians:
        """Overlaps and H0, without any charges, of molecules.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            The structures.

        Returns
        -------
        Hamiltonians
            In eV. Atoms closer than the shortest distance of the tables meet as at that.

        Raises
        ------
        TypeError, ValueError
            As :meth:`check`; or if a molecule has no whole number of electrons, or more of
            them than its orbitals hold.

        Examples
        --------
        >>> from qcanvas_sklearn.structures import Molecules
        >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
        >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
        >>> TwoCentreTables.load().hamiltonians(hf).gap().round(2)
        array([19.71])
        """
        molecules = self.check(X)
        overlap, core = assemble(molecules, self.basis, self.levels, self.pairs)
        return Hamiltonians(
            molecules, self.basis, core, overlap,
            n_electrons=self._count(molecules),  # type: ignore[arg-type]
            provenance=f"two-centre H0 of {self.provenance}",
        )  # fmt: skip

    def repulsion(self, X: Any) -> NDArray[np.float64]:
        """Energies with which the cores of molecules repel each other.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            The structures.

        Returns
        -------
        ndarray of shape (n,)
            In eV.

        Raises
        ------
        TypeError, ValueError
            As :meth:`check`.
        """
        return repulsion(self.check(X), self.basis, self.pairs)

    def _count(self, molecules: Molecules) -> NDArray[np.float64]:
        """Electrons of each molecule."""
        of_elements = [self.electrons[name] for name in symbols(molecules.elements)]
        return molecules.composition @ np.array(of_elements) - molecules.charge


def _known(basis: Basis, symbol: str) -> int:
    if symbol not in basis:
        raise ValueError(f"the tables hold {', '.join(basis)}, not {symbol!r}")
    return int(atomic_numbers(symbol))


def _turned(name: str) -> str:
    """Name of an integral seen from the other atom: ``"spσ"`` for ``"psσ"``."""
    mark = name[3:]
    if mark:
        first, second = mark.strip("()").split(", ")
        mark = f"({second}, {first})"
    return name[1] + name[0] + name[2] + mark


def _check_symbols(elements: Sequence[str], method: str) -> list[int]:
    if isinstance(elements, str) or not len(elements):
        raise ValueError(f"elements must be a sequence of symbols, got {elements!r}")
    numbers = atomic_numbers(list(elements))
    if (numbers == 0).any() or len(set(numbers.tolist())) < len(numbers):
        raise ValueError(f"elements must be distinct symbols, got {list(elements)}")
    check_elements(numbers, method)
    return sorted(numbers.tolist())


def _check_distances(distances: ArrayLike) -> NDArray[np.float64]:
    grid = np.array(distances, dtype=np.float64)
    if grid.ndim != 1 or len(grid) < 4 or grid[0] <= 0 or not (np.diff(grid) > 0).all():
        raise ValueError(
            "distances must be at least four positive numbers that increase, got "
            f"{np.array2string(grid, threshold=8)}"
        )
    return grid

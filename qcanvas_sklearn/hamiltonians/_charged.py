"""What tables tell of the electrons of molecules: charges, levels, self-consistency."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._validation import check_choices
from ..elements import atomic_numbers, symbols
from ..structures import Molecules
from ._basis import Basis
from ._charges import ChargeModel, Moments, free_moments
from ._charges_fit import fit_charge_model
from ._packed import pack
from ._record import Hamiltonians
from ._scc import TOLERANCE, State, solve
from ._slater_koster import offsets

__all__ = ["Charged"]


class Charged:
    """Methods of tables that fill levels with electrons."""

    if TYPE_CHECKING:
        basis: Basis
        levels: Mapping[str, NDArray[np.float64]]
        electrons: Mapping[str, float]
        charges: ChargeModel | None
        provenance: str

        def check(self, X: Any, *, charges: bool = False) -> Molecules: ...
        def hamiltonians(self, X: Any) -> Hamiltonians: ...

    def free_populations(self, symbol: str) -> NDArray[np.float64]:
        """Electrons of the shells of a free atom, filled from below."""
        room = 2.0 * np.diff(offsets(self.basis[symbol]))
        order = np.argsort(self.levels[symbol], kind="stable")
        before = np.cumsum(room[order]) - room[order]
        filled = np.clip(self.electrons[symbol] - before, 0.0, room[order])
        return filled[np.argsort(order)]

    def covers(self, elements: ArrayLike) -> bool:
        """Whether the tables have charges of all of these elements, by atomic number."""
        return not self._uncovered(elements)

    def _uncovered(self, elements: ArrayLike) -> str:
        known = () if self.charges is None else self.charges.shells
        names = symbols(np.sort(np.asarray(elements, dtype=np.int64)))
        return ", ".join(name for name in names.tolist() if name not in known)

    def fit_charges(
        self, hamiltonians: Hamiltonians, elements: Sequence[str] | None = None
    ) -> Self:
        """Fit how levels follow the charges, to converged Hamiltonians of some molecules.

        By molecule and atom, what the Hamiltonians have beyond H0 is compared with what
        the charges, dipoles and quadrupoles of their densities would add. No molecule is
        made self-consistent meanwhile: 68 small ones take ten seconds.

        Parameters
        ----------
        hamiltonians : Hamiltonians
            With overlaps, of the tables' method and basis, see :func:`compute_hamiltonians`.
            Those of no self-consistent state are left out.
        elements : sequence of str, optional
            Those whose parameters are found; the others keep theirs. By default all that
            occur.

        Returns
        -------
        TwoCentreTables
            The same tables with `charges`.

        Raises
        ------
        TypeError
            If `hamiltonians` are no Hamiltonians.
        ValueError
            If they lack overlaps, are in another basis or have other electrons, or if an
            element has parameters neither before nor after.
        """
        if not isinstance(hamiltonians, Hamiltonians):
            raise TypeError(f"expected Hamiltonians, got {type(hamiltonians).__name__}")
        hamiltonians = hamiltonians[hamiltonians.converged]
        core = self.hamiltonians(hamiltonians.molecules)
        occurring = symbols(hamiltonians.molecules.elements).tolist()
        for symbol in occurring:
            if hamiltonians.basis[symbol] != self.basis[symbol]:
                raise ValueError(
                    f"{symbol} has shells {hamiltonians.basis[symbol]} in the Hamiltonians and "
                    f"{self.basis[symbol]} in the tables"
                )
        other = np.flatnonzero(hamiltonians.n_electrons != core.n_electrons)
        if other.size:
            row = int(other[0])
            raise ValueError(
                f"molecule {row} has {hamiltonians.n_electrons[row]} electrons, and "
                f"{core.n_electrons[row]} by the tables"
            )
        chosen = occurring if elements is None else list(elements)
        check_choices("elements", chosen, occurring)
        kept = np.setdiff1d(hamiltonians.molecules.elements, atomic_numbers(chosen))
        if not self.covers(kept):
            raise ValueError(
                f"the tables have no charges of {self._uncovered(kept)}; fit them too"
            )
        free = {symbol: self.free_populations(symbol) for symbol in occurring}
        model = fit_charge_model(core, hamiltonians.in_unit("eV"), free, chosen, self.charges)
        return replace(self, charges=model)  # type: ignore[type-var]

    def states(self, X: Any, *, scc: bool = True) -> Iterator[State]:
        """Electrons of molecules, one after the other.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            The structures.
        scc : bool, default=True
            Make charges and levels self-consistent; otherwise fill the levels of H0.

        Yields
        ------
        State
            Where no self-consistency is found, its `converged` is False.

        Raises
        ------
        TypeError, ValueError
            As :meth:`hamiltonians`; if the tables have no charges, or none of an element; or
            if atoms are so close that the overlap is not positive definite.
        """
        return self._states(self.hamiltonians(self.check(X, charges=scc)), scc)

    def _states(
        self, core: Hamiltonians, scc: bool, tolerance: float = TOLERANCE
    ) -> Iterator[State]:
        free = {symbol: self.free_populations(symbol) for symbol in self.basis}
        for i in range(len(core)):
            atoms = slice(*core.molecules.ptr[i : i + 2])
            orbitals = self.basis.orbitals(core.molecules.z[atoms])
            moments = Moments.of(orbitals)
            response = None
            if scc and self.charges is not None:
                positions = core.molecules.positions[atoms]
                response = self.charges.response(orbitals, moments, positions)
            try:
                state = solve(
                    core.overlap(i), core.matrix(i), float(core.n_electrons[i]), moments,
                    free_moments(moments, orbitals, free), response, tolerance,
                )  # fmt: skip
            except ValueError as error:
                name = str(core.molecules.names[i])
                raise ValueError(f"structure {name!r}: {error}") from error
            yield state

    def self_consistent(self, X: Any) -> Hamiltonians:
        """Overlaps and Hamiltonians of molecules whose charges are self-consistent.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            The structures.

        Returns
        -------
        Hamiltonians
            In eV. The `quality` of its molecules is ``"not-converged"`` where no
            self-consistency was found, and the Hamiltonian that of the last cycle.

        Raises
        ------
        TypeError, ValueError
            As :meth:`states`.

        Examples
        --------
        >>> from qcanvas_sklearn.structures import Molecules
        >>> from qcanvas_sklearn.hamiltonians import TwoCentreTables
        >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
        >>> TwoCentreTables.load().self_consistent(hf).gap().round(1)
        array([17.8])
        """
        core = self.hamiltonians(self.check(X, charges=True))
        found = [(pack(s.hamiltonian), s.converged) for s in self._states(core, True)]
        # What was found of the molecules by another method says nothing of this state.
        quality = np.where(core.converged, core.molecules.quality, "ok")
        quality = np.where([ok for _, ok in found], quality, "not-converged")
        return replace(
            core, molecules=replace(core.molecules, quality=quality),
            values=np.concatenate([values for values, _ in found]),
            provenance=f"two-centre, self-consistent charges, of {self.provenance}",
        )  # fmt: skip

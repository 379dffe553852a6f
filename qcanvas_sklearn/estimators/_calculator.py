"""A fitted regressor as a calculator of ASE."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ..structures._ase import total_charge
from ..training import Predictor, resolve_device

if TYPE_CHECKING:
    from ._molecules import MoleculeRegressor

__all__ = ["QCanvasCalculator"]


class QCanvasCalculator(Calculator):
    """Energies and forces of a fitted regressor, for the optimisers and dynamics of ASE.

    Parameters
    ----------
    model : estimator
        A regressor of a graph family, fitted on the energies of molecules in eV. Later
        fits do not change the calculator.

    Attributes
    ----------
    results : dict
        ``energy`` and ``free_energy`` in eV, ``forces`` (N, 3) in eV/Å; of an ensemble also
        the standard deviations ``energy_std`` and ``forces_std``.

    Raises
    ------
    ValueError
        By a calculation: if the structure has an element that the model has not seen.

    Notes
    -----
    The total charge is that of ``atoms.info["charge"]`` or ``["total_charge"]``, or the sum of
    the initial charges.
    """

    implemented_properties = [
        "energy", "free_energy", "forces",
    ]

    def __init__(self, model: MoleculeRegressor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = copy.copy(model)  # a refit gives the other one new attributes
        self.predictor = Predictor(model.net_, resolve_device(model.device, fallback=True))

    def check_state(self, atoms: Any, tol: float = 1e-15) -> list[str]:
        """What has changed since the last calculation, the total charge included."""
        changes = list(super().check_state(atoms, tol))
        # ASE does not look at what ``info`` says.
        if self.atoms is not None and total_charge(self.atoms) != total_charge(atoms):
            changes.append("initial_charges")
        return changes

    def calculate(
        self,
        atoms: Any = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        """Energy and forces of a structure, as ASE asks for them."""
        super().calculate(atoms, properties, system_changes)
        model = self.model
        bare = self.atoms.copy()  # without results of its own to read
        rows = model._known_rows([bare], slopes=True)
        is_ensemble = model._built_with["n_members"] > 1
        found = model._summarised_both(self.predictor, rows, is_ensemble)
        names = ("energy", "energy_std", "forces", "forces_std")
        self.results = dict(zip(names if is_ensemble else names[::2], found, strict=True))
        for name in ("energy", "energy_std"):
            if name in self.results:
                values = np.ravel(self.results[name])
                self.results[name] = float(values[model._energy_or_error()])
        self.results["free_energy"] = self.results["energy"]

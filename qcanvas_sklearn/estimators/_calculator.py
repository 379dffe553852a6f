"""A fitted regressor as a calculator of ASE."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from ..training import Predictor, resolve_device
from ._checks import check_elements

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
    The total charge is that of ``atoms.info["charge"]``, or the sum of the initial charges.
    """

    implemented_properties = [
        "energy", "free_energy", "forces",
    ]

    def __init__(self, model: MoleculeRegressor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model = copy.copy(model)  # a refit gives the other one new attributes
        self.predictor = Predictor(model.net_, resolve_device(model.device, fallback=True))

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
        rows = model.reader_.read(model, [bare])
        present = model.reader_.element_names(rows)
        check_elements(model.unseen_elements, present, model.elements_)
        is_ensemble = model._built_with["n_members"] > 1
        found = model._summarised_both(self.predictor, rows, [bare], is_ensemble)
        names = ("energy", "energy_std", "forces", "forces_std")
        self.results = dict(zip(names if is_ensemble else names[::2], found, strict=True))
        for name in ("energy", "energy_std"):
            if name in self.results:
                values = np.ravel(self.results[name])
                self.results[name] = float(values[model._energy_or_error()])
        self.results["free_energy"] = self.results["energy"]

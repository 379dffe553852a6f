"""What is said of forces: their weight, whose slope they are, how they are passed."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_scalar

from ..structures import Molecules
from ..targets import LABELS, MOLECULE_LABELS

__all__ = ["by_component", "check_force_weight", "energy_position", "with_forces"]

#: Energies whose slope forces are, the first that is at hand: forces of a method with
#: smeared occupations belong to the free energy.
_ENERGIES = ("mermin_free_energy_ev", "total_energy_ev", "u0_ev")


def check_force_weight(weight: Any) -> None:
    """Raise an error if a weight of the forces is none."""
    if weight is None:
        return
    check_scalar(weight, "force_weight", numbers.Real, min_val=0)
    if not np.isfinite(weight):
        raise ValueError(f"force_weight={weight} is not finite")


def energy_position(readouts: Sequence[str], names: Sequence[str] | None) -> int | None:
    """Which of the targets is the energy that forces are the slope of.

    Parameters
    ----------
    readouts : sequence of str
        How each target is read out; an energy is a sum over atoms.
    names : sequence of str or None
        Names of the targets.

    Returns
    -------
    int or None
        None where there is no such target, or where it could be any of several.
    """
    called = list(names) if names is not None else [""] * len(readouts)
    known = LABELS | MOLECULE_LABELS
    able = [
        i for i, name in enumerate(called)
        if readouts[i] == "sum" and (name not in known or known[name].unit == "eV")
    ]  # fmt: skip
    first = [called.index(name) for name in _ENERGIES if name in called]
    preferred = [i for i in first if i in able]
    if preferred:
        return preferred[0]
    return able[0] if len(able) == 1 else None


def with_forces(molecules: Molecules, forces: Any) -> Molecules:
    """Molecules with the forces that a user passes, or with their own.

    Parameters
    ----------
    molecules : Molecules
        Structures.
    forces : array-like of shape (N, 3), list of n arrays (n_i, 3), or None
        Forces on their atoms; None for those that they carry.

    Raises
    ------
    ValueError
        If there is not one force for each atom.
    """
    if forces is None:
        return molecules
    if isinstance(forces, np.ndarray) and forces.dtype == object:
        forces = list(forces)
    if isinstance(forces, (list, tuple)) and len(forces) and np.ndim(forces[0]) == 2:
        array = _stacked(molecules, forces)
    else:
        array = np.asarray(forces, dtype=np.float64)
    expected = (len(molecules.z), 3)
    if array.ndim == 3 and array.shape[0] * array.shape[1] == expected[0]:
        array = array.reshape(-1, array.shape[2])  # (n, n_atoms, 3), as of a trajectory
    if array.shape != expected:
        raise ValueError(
            f"forces have shape {array.shape}, expected {expected}: one line for each atom "
            "of all molecules, or a list with one array for each molecule"
        )
    return replace(molecules, forces=array)


def _stacked(molecules: Molecules, forces: Sequence[Any]) -> NDArray[np.float64]:
    arrays = [np.asarray(array, dtype=np.float64) for array in forces]
    if len(arrays) != len(molecules):
        raise ValueError(f"forces of {len(arrays)} molecules, X holds {len(molecules)}")
    for row, (array, n_atoms) in enumerate(zip(arrays, molecules.n_atoms, strict=True)):
        if array.shape != (n_atoms, 3):
            raise ValueError(
                f"forces of molecule {row} have shape {array.shape}, expected {(n_atoms, 3)}"
            )
    return np.concatenate(arrays)


def by_component(forces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Forces of an ensemble (N, m, 3), one line for each component, (3 N, m, 1)."""
    return forces.transpose(0, 2, 1).reshape(-1, forces.shape[1], 1)

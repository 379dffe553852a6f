"""From rows and labels of pairs to what a tight-binding model learns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..elements import MAX_Z, valence_orbital_populations
from ..nn.cores.tight_binding import (
    TERMS,
    TightBindingMembers,
    population_columns,
    prefit,
    state_labels,
)
from ..training import DenseRows, Rate, TargetBlock, TrainingData

__all__ = [
    "GIVEN",
    "RATES",
    "NotCalculated",
    "calculated",
    "fit_elements",
    "given_populations",
    "lie_at_rest",
    "mean_by_row",
    "state_blocks",
    "valence_electrons",
]

Array = NDArray[np.float64]

#: What a prediction starts from.
GIVEN: dict[str, tuple[str, ...]] = {
    "populations": ("z", "distance", "shells", "along"),
    "distance": ("z", "distance"),
    "elements": ("z",),
}
#: Energies, in eV, learn at many times the rate of the network.
RATES = (
    Rate("*.hamiltonian.energy", 60.0),
    Rate("*.hamiltonian.level", 60.0),
    Rate("*.hamiltonian.transfer", 20.0),
    Rate("*.hamiltonian.orbital", 4.0),
    Rate("*.hamiltonian.net.*", 1.0, 1.0),
    Rate("*.hamiltonian.*", 5.0),
    Rate("starts.*", 0.75, 0.05),
)
_COULOMB = ("log_hardness", "shell_hardness", "screening", "cloud", "common", "third_order",
            "reference_shift")  # fmt: skip
_CORES = ("log_width", "log_core")
#: Energies that say where the force vanishes.
_ENERGIES = {"total_energy_ev", "mermin_free_energy_ev", "repulsive_energy_ev"}
#: Populations this close to those of free atoms (e) were not calculated for the pair.
_FREE = 1e-4


class NotCalculated(ValueError):
    """X does not hold what was calculated for its pairs."""


def calculated(rows: DenseRows, given: str) -> DenseRows:
    """Rows without populations that are those of free atoms, which say nothing.

    Raises
    ------
    NotCalculated
        If predictions are to start from what the rows do not hold.
    """
    arrays = dict(rows.arrays)
    if "shells" in arrays:
        free = valence_orbital_populations(arrays["z"])
        by_shell = np.stack([free[..., l * l : (l + 1) ** 2].sum(-1) for l in range(4)], -1)
        if np.abs(arrays["shells"] - by_shell).max(initial=0.0) < _FREE:
            del arrays["shells"], arrays["along"]
    missing = [name for name in GIVEN[given] if name not in arrays]
    if missing:
        raise NotCalculated(
            f'given="{given}" needs what was calculated for the pairs, and X does not hold '
            f'{missing}: pass pairs of a calculated source with the blocks "atoms" and '
            '"orbitals" of the PairImageTransformer, or ask for less with given="distance" or '
            '"elements"'
        )
    return DenseRows(arrays, n_atoms=2)


def lie_at_rest(
    relaxed: bool | str, names: Sequence[str], groups: NDArray[np.int64], distance: NDArray
) -> bool:
    """Whether the pairs lie where the force vanishes, and an energy tells what it is."""
    if not _ENERGIES.intersection(names):
        return False
    if not isinstance(relaxed, str):
        return bool(relaxed)
    distinct = np.unique(np.column_stack([groups, distance]), axis=0)
    return len(distinct) == len(np.unique(groups))


def given_populations(arrays: dict[str, NDArray], rows: NDArray | slice) -> Tensor | None:
    """Calculated populations (k, 2, 7) of some rows, where there are any."""
    if "along" not in arrays:
        return None
    shells, along = (
        torch.as_tensor(np.array(arrays[name][rows])).double() for name in ("shells", "along")
    )
    return population_columns(shells, along)


def state_blocks(
    rows: DenseRows, names: Sequence[str], values: Array, weight: Array, *, at_rest: bool,
    finds_distance: bool,
) -> tuple[DenseRows, list[TargetBlock]]:  # fmt: skip
    """Rows with the labels of a state, block by block.

    Parameters
    ----------
    rows : DenseRows
        Pairs.
    names : sequence of str
        Targets.
    values : ndarray of shape (n, t)
        Their labels.
    weight : ndarray of shape (n,)
        Weights of the rows.
    at_rest : bool
        Whether the force vanishes.
    finds_distance : bool
        Whether bond lengths are learned.

    Returns
    -------
    rows : DenseRows
        What the network sees of the rows.
    blocks : list of TargetBlock
        The first one is `values` as they are, which no output is compared with.
    """
    arrays = {name: array for name, array in rows.arrays.items() if name != "along"}
    distance = np.asarray(arrays.get("distance", np.full(len(rows), np.nan)), np.float64)
    labels = state_labels(dict(zip(names, values.T, strict=True)), distance)
    if finds_distance:
        distance = np.where(np.isfinite(labels["distance"]), labels["distance"], distance)
        labels["distance"] = distance
        if "distance" in arrays:  # what is learned from; elsewhere it is to be found
            arrays["distance"] = distance
    else:
        del labels["distance"]
    columns = {name: label[:, None] for name, label in labels.items()}
    populations = given_populations(dict(rows.arrays), slice(None))
    if populations is not None:
        columns["populations"] = populations.flatten(1).numpy()
    if at_rest:
        columns["force"] = np.zeros((len(rows), 1))
    blocks = [TargetBlock(values, weight, "labels")]
    for name, term in TERMS.items():
        if name in columns and np.isfinite(columns[name]).any():
            label = columns[name] / term.scale
            blocks.append(TargetBlock(label, weight, name, factor=term.factor))
    return DenseRows(arrays, n_atoms=2), blocks


def fit_elements(
    members: TightBindingMembers, data: TrainingData, device: torch.device
) -> None:
    """Fit what labels determine without an eigenproblem, and keep it from then on."""
    tensors = {
        k: torch.as_tensor(np.array(a)).to(device)
        for k, a in data.rows.arrays.items()  # type: ignore[attr-defined]
    }
    labels = {
        block.name: torch.as_tensor(block.values[:, 0] * TERMS[block.name].scale).to(device)
        for block in data.blocks
        if block.name in ("repulsion", "remainder")
    }
    shells = tensors.get("shells")
    first = members[0].to(device)
    fitted = prefit(first, tensors["z"], tensors["distance"].double(), labels,
                    None if shells is None else shells.double())  # fmt: skip
    first.cpu()
    learned = {block.name for block in data.blocks}
    kept: tuple[str, ...] = ()
    if "repulsion" in fitted or not learned & {"total", "mermin"}:
        kept += _CORES
    if "remainder" in fitted:
        kept += _COULOMB
    own = first.hamiltonian.state_dict()
    state = {name: own[name] for name in (*_CORES, *_COULOMB, "amplitudes")}
    for k in range(len(members)):
        hamiltonian = members[k].hamiltonian
        hamiltonian.load_state_dict(state, strict=False)
        for name in kept:
            getattr(hamiltonian, name).requires_grad_(False)


def valence_electrons(z: NDArray[np.int64], shells: NDArray | None) -> Array:
    """Valence electrons (104,) of the neutral atoms; NaN where populations do not tell.

    The populations of a neutral pair add up to the electrons of both atoms; over many pairs
    that fixes those of each atom. What is left open lies next to the table's.
    """
    electrons = np.full(MAX_Z + 1, np.nan)
    if shells is None:
        return electrons
    elements, place = np.unique(z, return_inverse=True)
    matrix = np.zeros((len(z), len(elements)))
    np.add.at(matrix, (np.arange(len(z))[:, None], place.reshape(-1, 2)), 1.0)
    usual = valence_orbital_populations(elements).sum(axis=-1)
    missing = np.asarray(shells, np.float64).sum(axis=(1, 2)) - matrix @ usual
    electrons[elements] = np.round(usual + np.linalg.lstsq(matrix, missing, rcond=1e-6)[0])
    return electrons


def mean_by_row(n: int, rows: Sequence[NDArray[np.int64]], values: Sequence[Array]) -> Array:
    """Mean (n, ...) over those of several parts that have a row."""
    total, count = np.zeros((n, *values[0].shape[1:])), np.zeros(n)
    for at, part in zip(rows, values, strict=True):
        total[at] += part
        count[at] += 1
    return total / count.reshape(-1, *(1 for _ in total.shape[1:]))

"""Parameters of charges and moments, fitted to converged Hamiltonians.

What a Hamiltonian has beyond H0 within an atom are the potentials of its moments, and its
density gives the moments: both sides of what is to be fitted, without self-consistency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from ..datasets._labels import DIPOLE_LABELS
from ..elements import atomic_numbers, property_values
from ..targets import DEBYE_PER_E_ANGSTROM
from ._basis import Basis, Orbitals
from ._charges import MOMENT_NAMES, SHELL_NAMES, ChargeModel, Moments, free_moments
from ._record import Hamiltonians

__all__ = ["fit_charge_model"]

#: Deviation (eV) from which on a potential counts less than by its square.
_ROBUST_EV = 0.2
#: Pull towards where the fit starts, for what the molecules do not tell.
_PRIOR = 0.03
#: Where lengths and reaches (Å) start.
_FIRST_LENGTH, _FIRST_REACH = 0.2, 0.3
_SOFTEST, _HARDEST = 2.0, 60.0


class _Sample(NamedTuple):
    """One molecule: its moments, and the potentials that they are to have."""

    orbitals: Orbitals
    moments: Moments
    positions: NDArray[np.float64]
    found: NDArray[np.float64]
    wanted: NDArray[np.float64]
    weight: NDArray[np.float64]


def fit_charge_model(
    core: Hamiltonians,
    hamiltonians: Hamiltonians,
    free: Mapping[str, NDArray[np.float64]],
    elements: Sequence[str],
    start: ChargeModel | None,
) -> ChargeModel:
    """Fit a model of charges.

    Parameters
    ----------
    core, hamiltonians : Hamiltonians
        H0 and converged Hamiltonians of the same molecules, in eV.
    free : mapping of str to ndarray
        Populations of the shells of free atoms.
    elements : sequence of str
        Elements whose parameters are to be found.
    start : ChargeModel or None
        Those of the other elements.

    Returns
    -------
    ChargeModel
    """
    samples = [_sample(core, hamiltonians, free, i) for i in range(len(core))]
    basis = core.basis
    first = _pack(_initial(basis, elements), elements)
    scale = np.where(_is_hardness(basis, elements), 2.0, 0.5)

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        model = _merged(start, _unpack(parameters, basis, elements))
        off = [
            (model.response(s.orbitals, s.moments, s.positions).potentials(s.found) - s.wanted)
            * s.weight
            for s in samples
        ]
        return np.concatenate([*off, _PRIOR * (parameters - first) / scale])

    hardness = _is_hardness(basis, elements)
    bounds = (np.where(hardness, _SOFTEST, -np.inf), np.where(hardness, _HARDEST, np.inf))
    fit = least_squares(
        residuals, first, bounds=bounds, loss="soft_l1", f_scale=_ROBUST_EV, x_scale=scale,
        max_nfev=50,
    )  # fmt: skip
    off = residuals(fit.x)[: -len(first)]
    model = _merged(start, _unpack(fit.x, basis, elements))
    text = (
        f"{', '.join(elements)} fitted to {len(core)} Hamiltonians "
        f"({hamiltonians.provenance or 'unknown method'}), potentials to "
        f"{np.sqrt(np.mean(off**2)):.2f} eV"
    )
    before = [start.provenance] if start is not None and start.provenance else []
    reach = {**model.reach, **_reach(core, hamiltonians, samples, elements, model)}
    return ChargeModel(model.shells, model.moments, reach, "; ".join([*before, text]))


def _reach(
    core: Hamiltonians,
    hamiltonians: Hamiltonians,
    samples: Sequence[_Sample],
    elements: Sequence[str],
    model: ChargeModel,
) -> dict[str, float]:
    """What makes charges and dipoles of atoms the molecules' dipoles, where these are known."""
    labels = hamiltonians.molecules.labels
    if not set(DIPOLE_LABELS) <= set(labels.columns):
        return dict.fromkeys(elements, _FIRST_REACH)
    known = labels[DIPOLE_LABELS].to_numpy() / DEBYE_PER_E_ANGSTROM
    z = np.split(core.molecules.z, core.molecules.ptr[1:-1])
    columns, left = [], []
    for i, sample in enumerate(samples):
        # About the origin the dipole of an ion is another one.
        if core.molecules.charge[i] or not np.isfinite(known[i]).all():
            continue
        parts = []
        for symbol in [None, *elements]:
            reach = {**dict.fromkeys(core.basis, 0.0), **model.reach}
            reach |= dict.fromkeys(elements, 0.0) | ({symbol: 1.0} if symbol else {})
            only = ChargeModel({}, {}, reach)
            parts.append(only.dipole(z[i], sample.positions, sample.moments, sample.found))
        columns.append(np.stack(parts[1:], axis=1) - parts[0][:, None])
        left.append(known[i] - parts[0])
    if not left:
        return dict.fromkeys(elements, _FIRST_REACH)
    pull = np.eye(len(elements))
    found = np.linalg.lstsq(
        np.concatenate([*columns, pull]),
        np.concatenate([*left, pull @ np.full(len(elements), _FIRST_REACH)]), rcond=None,
    )[0]  # fmt: skip
    return dict(zip(elements, found.tolist(), strict=True))


def _sample(
    core: Hamiltonians,
    hamiltonians: Hamiltonians,
    free: Mapping[str, NDArray[np.float64]],
    i: int,
) -> _Sample:
    molecule = core.molecules[i]
    orbitals = core.basis.orbitals(molecule.z)
    moments = Moments.of(orbitals)
    gross = hamiltonians.density(i) @ hamiltonians.overlap(i)
    found = moments.expectations((gross + gross.T) / 2) - free_moments(moments, orbitals, free)
    norms = np.bincount(moments.moment, moments.weight**2, len(moments))
    wanted = moments.expectations(hamiltonians.matrix(i) - core.matrix(i)) / norms
    return _Sample(orbitals, moments, molecule.positions, found, wanted, np.sqrt(norms))


def _initial(basis: Basis, elements: Sequence[str]) -> ChargeModel:
    """Hardness is what ionisation costs more than affinity returns; nothing else is known."""
    energies = property_values("ionization_energy_ev") - property_values("electron_affinity_ev")
    shells, moments = {}, {}
    for symbol in elements:
        hardness = np.nan_to_num(energies[int(atomic_numbers(symbol))], nan=10.0)
        shells[symbol] = np.zeros((len(basis[symbol]), len(SHELL_NAMES)))
        shells[symbol][:, 0] = np.clip(hardness, 1.1 * _SOFTEST, 0.9 * _HARDEST)
        moments[symbol] = np.zeros(len(MOMENT_NAMES))
        moments[symbol][0] = _FIRST_LENGTH if {0, 1} <= set(basis[symbol]) else 0.0
    return ChargeModel(shells, moments, dict.fromkeys(elements, 0.0))


def _pack(model: ChargeModel, elements: Sequence[str]) -> NDArray[np.float64]:
    parts = [model.shells[symbol].ravel() for symbol in elements]
    return np.concatenate([*parts, *(model.moments[symbol] for symbol in elements)])


def _unpack(
    parameters: NDArray[np.float64], basis: Basis, elements: Sequence[str]
) -> ChargeModel:
    counts = [len(SHELL_NAMES) * len(basis[symbol]) for symbol in elements]
    counts += [len(MOMENT_NAMES)] * len(elements)
    parts = np.split(parameters, np.cumsum(counts)[:-1])
    shells = [part.reshape(-1, len(SHELL_NAMES)) for part in parts[: len(elements)]]
    return ChargeModel(
        dict(zip(elements, shells, strict=True)),
        dict(zip(elements, parts[len(elements) :], strict=True)),
        dict.fromkeys(elements, 0.0),
    )


def _is_hardness(basis: Basis, elements: Sequence[str]) -> NDArray[np.bool_]:
    shells = {symbol: np.zeros((len(basis[symbol]), len(SHELL_NAMES))) for symbol in elements}
    for parameters in shells.values():
        parameters[:, 0] = 1.0
    nothing = {symbol: np.zeros(len(MOMENT_NAMES)) for symbol in elements}
    return _pack(ChargeModel(shells, nothing, {}), elements) == 1.0


def _merged(start: ChargeModel | None, new: ChargeModel) -> ChargeModel:
    if start is None:
        return new
    return ChargeModel(
        {**start.shells, **new.shells},
        {**start.moments, **new.moments},
        {**start.reach, **new.reach},
    )

"""Self-consistent fields that start from a predicted Hamiltonian."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..datasets._dft import check_method, mean_field
from ..datasets._xtb_molecules import job_fields
from ._conventions import orbital_order, to_convention
from ._dft import dft_basis, dft_structures
from ._record import Hamiltonians

__all__ = ["saved_iterations"]

GUESSES = ("minao", "prediction")


class _Run(NamedTuple):
    """Cycles and builds of the Fock matrix of one run, and whether it converged."""

    cycles: int
    builds: int
    converged: bool


def saved_iterations(
    predicted: Hamiltonians, method: str, *, builds: int = 0, tolerance: float = 1e-9
) -> pd.DataFrame:
    r"""What predicted Hamiltonians save PySCF on its way to self-consistency.

    Two runs for each molecule, one from the density of superposed atoms (minao), PySCF's
    default, the other from the density of the predicted Hamiltonian's occupied orbitals. What
    takes the time are builds of the Fock matrix, hidden ones included [1]_: in either run one
    of the first density, before what counts as the first cycle, and one after the last. A
    prediction costs none itself, as its orbitals follow from diagonalising it, unless it
    rests on one, as with ``HamiltonianRegressor(reference="minao")``.

    Parameters
    ----------
    predicted : Hamiltonians
        With overlaps, of molecules with closed shells; they need not be those of any label.
    method : str
        Functional and basis of the predicted Hamiltonians, such as "PBE/def2-SVP".
    builds : int, default=0
        Builds of Fock matrices that each prediction has cost, 1 with reference="minao"; they
        are added to those of its run.
    tolerance : float, default=1e-9
        Change of the energy (hartree) that ends a run; PySCF's own by default. The orbital
        gradient ends it at the square root.

    Returns
    -------
    DataFrame
        Lines ``minao``, ``prediction`` and ``saved``, a share of those of minao; columns
        ``cycles`` and ``fock_builds``, means over the molecules of which both runs converge
        within 50 cycles, and ``not_converged``, the number of runs that do not, in the last
        line of molecules that are left out.

    Raises
    ------
    ImportError
        If PySCF is not installed.
    ValueError
        If the method is unknown, its basis not that of the prediction, a molecule has an odd
        number of electrons, there are no overlaps, or a number is out of range.

    References
    ----------
    .. [1] E. S. Eberhard, V. Kotsev, T. Güthle, S. Günnemann, Transferable SCF-Acceleration
       through Solver-Aligned Initialization Learning, arXiv:2604.21657.

    Examples
    --------
    >>> from qcanvas_sklearn.structures import Molecules
    >>> from qcanvas_sklearn.hamiltonians import compute_hamiltonians, metrics
    >>> hf = Molecules.from_lists([["H", "F"]], [[[0, 0, 0], [0, 0, 0.92]]])
    >>> exact = compute_hamiltonians(hf, method="HF/sto-3g")  # doctest: +SKIP
    >>> metrics.saved_iterations(exact, "HF/sto-3g")  # doctest: +SKIP
                cycles  fock_builds  not_converged
    minao          6.0          8.0              0
    prediction     1.0          3.0              0
    saved          0.833        0.625            0
    """
    if not (isinstance(tolerance, Real) and 0 < tolerance < np.inf):
        raise ValueError(f"tolerance must be a positive number of hartree, got {tolerance!r}")
    if not (isinstance(builds, Integral) and builds >= 0):
        raise ValueError(f"builds must be an integer, 0 or more, got {builds!r}")
    settings = check_method(method)
    molecules, _ = dft_structures(predicted.molecules, settings)
    _check_basis(predicted, method, dft_basis(settings, molecules.elements.tolist()))
    runs = []
    with settings.alone():
        for density, atoms in zip(_densities(predicted), job_fields(molecules), strict=True):
            positions = np.frombuffer(atoms[1]).reshape(-1, 3)
            starts = (None, density)
            runs.append([
                _run(mean_field(settings, atoms[0], positions, atoms[2]), start, tolerance)
                for start in starts
            ])  # fmt: skip
    return _table(runs, int(builds))


def _check_basis(predicted: Hamiltonians, method: str, basis: Any) -> None:
    for symbol, shells in basis.items():
        if predicted.basis[symbol] != shells:
            raise ValueError(
                f"{symbol} has the shells {predicted.basis[symbol]} in the prediction and "
                f"{shells} in {method}"
            )


def _densities(predicted: Hamiltonians) -> Iterator[NDArray[np.float64]]:
    """Density matrices in PySCF's order."""
    for i in range(len(predicted)):
        order = orbital_order(predicted.basis, predicted.molecules[i].z, "pyscf")
        yield to_convention(predicted.density(i), *order)


def _run(states: Any, density: NDArray[np.float64] | None, tolerance: float) -> _Run:
    """Run to self-consistency, and count."""
    builds = 0
    potential = states.get_veff

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal builds
        builds += 1
        return potential(*args, **kwargs)

    states.get_veff = counted
    states.conv_tol, states.conv_tol_grad, states.max_cycle = tolerance, None, 50
    states.init_guess = "minao"
    states.kernel(dm0=density)
    return _Run(int(states.cycles), builds, bool(states.converged))


def _table(runs: list[list[_Run]], before: int) -> pd.DataFrame:
    counts = np.array(runs, dtype=np.float64).reshape(len(runs), 2, 3)
    counts[:, 1, 1] += before
    failed = counts[:, :, 2] == 0
    kept = counts[~failed.any(axis=1), :, :2]
    means = kept.mean(axis=0) if len(kept) else np.full((2, 2), np.nan)
    table = pd.DataFrame(
        np.vstack([means, 1 - means[1] / means[0]]), index=[*GUESSES, "saved"],
        columns=["cycles", "fock_builds"],
    )  # fmt: skip
    table["not_converged"] = [*failed.sum(axis=0).tolist(), int(failed.any(axis=1).sum())]
    return table

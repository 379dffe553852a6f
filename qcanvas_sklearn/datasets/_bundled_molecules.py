"""The molecules and the trajectories that ship with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from typing import Any

from sklearn.utils import Bunch

from .._validation import check_choice
from ..structures import Molecules
from ._bunch import description, make_molecule_bunch

__all__ = ["TRAJECTORIES", "load_molecules", "load_trajectory"]

#: Molecules whose trajectories are bundled.
TRAJECTORIES = ("aspirin", "ethanol")


@cache
def _bundled(name: str) -> Molecules:
    """A bundled record, read once and shared."""
    with as_file(files("qcanvas_sklearn.datasets").joinpath(f"data/{name}.npz")) as path:
        return Molecules.load(path)


def load_molecules(
    target: str | Sequence[str] | None = None,
    *,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load the bundled small molecules and their labels by GFN2-xTB.

    600 molecules of one to seven atoms of C, N, O and F and the hydrogen that saturates
    them, neutral, at their minima, named by their SMILES. Nothing is downloaded.

    Parameters
    ----------
    target : str, sequence of str or None, default=None
        A label such as "e_g_ev", or a sequence of these; None for all.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `target` as Series or DataFrame, whose names tell the estimators which
        targets they learn; otherwise as arrays.

    Returns
    -------
    data : Bunch
        data : Molecules of shape (600,)
            The structures, with all labels, and Mulliken charges as labels of the atoms.
        target : Series or DataFrame of shape (600,) or (600, t)
            The targets in their units.
        groups : ndarray of int, shape (600,)
            Which rows belong together, for splitters.
        target_names : list of str
            Names of the targets.
        units : dict of str to str
            Unit by target name.
        DESCR : str
            Where the data come from.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        If `target` is no label of the data.

    See Also
    --------
    load_trajectory : Energies and forces of one molecule in motion.
    compute_molecules : The same labels for other molecules.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_molecules
    >>> X, y = load_molecules(target="e_g_ev", return_X_y=True)
    >>> X.shape, y.name, X.names[:3].tolist()
    ((600,), 'e_g_ev', ['C#C', 'C=O', 'N#CO'])
    """
    return _load("molecules", target, return_X_y, as_frame, "molecules")


def load_trajectory(
    name: str,
    target: str | Sequence[str] | None = "total_energy_ev",
    *,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Bunch | tuple[Any, Any]:
    """Load frames of a bundled molecule at 500 K, with energies and forces by GFN2-xTB.

    Two independent runs of Langevin dynamics, one frame every 40 fs: 300 frames to train
    on and 200 to test on, told apart by their groups. Nothing is downloaded.

    Parameters
    ----------
    name : {"aspirin", "ethanol"}
        The molecule.
    target : str, sequence of str or None, default="total_energy_ev"
        A label, or a sequence of these; None for all.
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of the Bunch.
    as_frame : bool, default=True
        Give `target` as Series or DataFrame; otherwise as arrays.

    Returns
    -------
    data : Bunch
        As :func:`load_molecules` returns it; ``data.forces`` are the forces in eV/Å, and
        the first 300 rows those of the first run.
    (data, target) : tuple if ``return_X_y`` is True

    Raises
    ------
    ValueError
        If there is no such trajectory, or `target` is no label of the data.

    Examples
    --------
    >>> from sklearn.model_selection import LeaveOneGroupOut
    >>> from qcanvas_sklearn.datasets import load_trajectory
    >>> ethanol = load_trajectory("ethanol")
    >>> ethanol.data.forces.shape
    (4500, 3)
    >>> runs = LeaveOneGroupOut().split(ethanol.data, groups=ethanol.groups)
    >>> [(len(train), len(test)) for train, test in runs]
    [(200, 300), (300, 200)]
    """
    check_choice("name", name, TRAJECTORIES)
    return _load(name, target, return_X_y, as_frame, "trajectories")


def _load(
    name: str,
    target: str | Sequence[str] | None,
    return_X_y: bool,
    as_frame: bool,
    text: str,
) -> Bunch | tuple[Any, Any]:
    # Frames can be changed, and the record is shared.
    return make_molecule_bunch(
        replace(_bundled(name)), target, return_X_y=return_X_y, as_frame=as_frame,
        descr=description(text),
    )  # fmt: skip

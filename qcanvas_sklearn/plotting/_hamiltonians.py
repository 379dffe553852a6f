"""Displays of Hamiltonians of molecules: the matrices, and the levels that they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..hamiltonians import Hamiltonians
from ._common import BLUE, COLUMN, ORANGE, PAGE, add_scale, canvas, require_matplotlib

__all__ = ["HamiltonianDisplay", "LevelDisplay"]

#: Distance of two names that can be read, as a part of the axis.
_CLOSEST = 0.07
#: Energies in eV that are drawn below the HOMO and above the LUMO.
_REACH = 8.0


def _checked_row(true: Any, predicted: Any, row: int) -> int:
    """The row that is meant, or an error that says what is wrong with the records."""
    for name, record in (("true", true), ("predicted", predicted)):
        if record is not None and not isinstance(record, Hamiltonians):
            raise TypeError(f"{name} must be Hamiltonians, got {type(record).__name__}")
    if predicted is not None and len(predicted) != len(true):
        raise ValueError(f"true holds {len(true)} molecules, predicted {len(predicted)}")
    if not -len(true) <= row < len(true):
        raise ValueError(f"row={row} is not one of the {len(true)} molecules")
    return row % len(true)


class HamiltonianDisplay:
    """A Hamiltonian as a picture, or a predicted one, the true one, and what lies between.

    Parameters
    ----------
    matrices : mapping of str to ndarray of shape (n, n)
        Matrices in eV by the titles of their panels.
    atoms : sequence of str
        Name of the atom of each orbital, atoms behind each other.

    Attributes
    ----------
    images_ : list of AxesImage
        Pictures, one a matrix, each with a scale of its own.
    ax_ : Axes or ndarray of Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn.plotting import HamiltonianDisplay
    >>> matrix = np.array([[-10.0, -4.0], [-4.0, -13.0]])
    >>> display = HamiltonianDisplay(matrices={"H": matrix}, atoms=["H1", "H2"]).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['H1', 'H2']
    """

    def __init__(self, *, matrices: Mapping[str, NDArray], atoms: Any) -> None:
        self.matrices = matrices
        self.atoms = atoms

    @classmethod
    def from_hamiltonians(
        cls, true: Hamiltonians, predicted: Hamiltonians | None = None, *, row: int = 0,
        ax: Any = None,
    ) -> HamiltonianDisplay:  # fmt: skip
        """Draw the Hamiltonian of one molecule.

        Parameters
        ----------
        true : Hamiltonians
            Computed ones.
        predicted : Hamiltonians or None, default=None
            Predictions for the same molecules; with them there are three panels.
        row : int, default=0
            Which molecule.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        HamiltonianDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If one of them is no record of Hamiltonians.
        ValueError
            If they are not of the same molecules, or there is no such row.
        """
        require_matplotlib(cls)
        row = _checked_row(true, predicted, row)
        matrix = true.in_unit("eV").matrix(row)
        atoms = [label.split()[0] for label in _labels(true, row)]
        matrices = {"Hamiltonian": matrix}
        if predicted is not None:
            guess = predicted.in_unit("eV").matrix(row)
            if guess.shape != matrix.shape:
                raise ValueError(
                    f"molecule {row} has {len(matrix)} orbitals, {len(guess)} in the prediction"
                )
            matrices = {"predicted": guess, "computed": matrix, "error": guess - matrix}
        return cls(matrices=matrices, atoms=atoms).plot(ax)

    def plot(self, ax: Any = None) -> HamiltonianDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            Where to draw, one for each matrix, or one that is divided; None for a new
            figure.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a matrix is not square, or has not as many orbitals as there are atoms named.
        """
        n = len(self.atoms)
        for name, matrix in self.matrices.items():
            if np.shape(matrix) != (n, n):
                raise ValueError(f"{name} has shape {np.shape(matrix)}, expected {(n, n)}")
        first = [k for k in range(n) if k == 0 or self.atoms[k] != self.atoms[k - 1]]
        centres = (np.array(first) + np.array([*first[1:], n]) - 1) / 2
        names = _legible([self.atoms[k] for k in first], centres, n)
        n_panels = len(self.matrices)
        self.images_: list[Any] = []
        size = (COLUMN, 2.9) if n_panels == 1 else (PAGE, 2.5)
        with canvas(self, ax, n_panels, n_columns=n_panels, size=size) as panels:
            for panel, (name, matrix) in zip(panels, self.matrices.items(), strict=True):
                reach = float(np.abs(matrix).max(initial=0.0)) or 1.0
                image = panel.imshow(
                    matrix, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest"
                )
                for border in first[1:]:
                    panel.axhline(border - 0.5, color="0.6", linewidth=0.4)
                    panel.axvline(border - 0.5, color="0.6", linewidth=0.4)
                panel.set_xticks(centres, names, rotation=90)
                panel.set_yticks(centres, names)
                panel.set_title(name)
                add_scale(panel, image, "eV")
                self.images_.append(image)
        return self


class LevelDisplay:
    """Levels of a molecule side by side, from two Hamiltonians or more.

    Parameters
    ----------
    levels : mapping of str to ndarray of shape (n,)
        Energies in eV by what they are from.
    n_occupied : int
        Levels that hold electrons, from below.

    Attributes
    ----------
    lines_ : list of LineCollection
        Levels, one collection for each source.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting import LevelDisplay
    >>> display = LevelDisplay(levels={"mine": [-12.0, -9.0, 1.0]}, n_occupied=2).plot()
    >>> display.ax_.get_ylabel()
    'energy (eV)'
    """

    def __init__(self, *, levels: Mapping[str, Any], n_occupied: int) -> None:
        self.levels = levels
        self.n_occupied = n_occupied

    @classmethod
    def from_hamiltonians(
        cls, true: Hamiltonians, predicted: Hamiltonians | None = None, *, row: int = 0,
        ax: Any = None,
    ) -> LevelDisplay:  # fmt: skip
        """Draw the levels of one molecule.

        Parameters
        ----------
        true : Hamiltonians
            Computed ones, with overlaps.
        predicted : Hamiltonians or None, default=None
            Predictions for the same molecules, with overlaps.
        row : int, default=0
            Which molecule.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        LevelDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If one of them is no record of Hamiltonians.
        ValueError
            If they are not of the same molecules, there is no such row, or a record has no
            overlaps.
        """
        require_matplotlib(cls)
        row = _checked_row(true, predicted, row)
        records = {"computed": true} | ({} if predicted is None else {"predicted": predicted})
        levels = {
            name: record[[row]].in_unit("eV").orbital_energies()[0]
            for name, record in records.items()
        }
        n_occupied = len(true[[row]].occupied()[0])
        return cls(levels=levels, n_occupied=n_occupied).plot(ax)

    def plot(self, ax: Any = None) -> LevelDisplay:
        """Draw the display, from 8 eV below the HOMO to 8 eV above the LUMO.

        Parameters
        ----------
        ax : Axes or None, default=None
            Where to draw; None for a new figure.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no levels, or not as many as are occupied.
        """
        arrays = {name: np.sort(np.asarray(e, dtype=float)) for name, e in self.levels.items()}
        n = self.n_occupied
        if not arrays or any(not 0 < n <= len(e) for e in arrays.values()):
            counts = {name: len(e) for name, e in arrays.items()}
            raise ValueError(f"n_occupied={n} does not fit the numbers of levels {counts}")
        self.lines_: list[Any] = []
        with canvas(self, ax, size=(COLUMN, 3.0)) as panels:
            panel = panels[0]
            for k, energies in enumerate(arrays.values()):
                colours = [BLUE if j < n else ORANGE for j in range(len(energies))]
                self.lines_.append(
                    panel.hlines(energies, k - 0.35, k + 0.35, colors=colours, linewidth=1.4)
                )
            for some, colour, label in ((0, BLUE, "occupied"), (n, ORANGE, "empty")):
                if any(len(energies) > some for energies in arrays.values()):
                    panel.plot([], [], color=colour, label=label)
            tops = [e[n - 1] for e in arrays.values()]
            above = [e[n] for e in arrays.values() if len(e) > n]
            panel.set_ylim(min(tops) - _REACH, max([*above, *tops]) + _REACH)
            panel.set_xlim(-0.6, len(arrays) - 0.4)
            panel.set_xticks(range(len(arrays)), list(arrays))
            panel.set_ylabel("energy (eV)")
            panel.legend(frameon=False, loc="upper right")
        return self


def _legible(names: list[str], places: NDArray[np.float64], n: int) -> list[str]:
    """Names of atoms, empty where they would stand on the name before."""
    out: list[str] = []
    last = -np.inf
    for name, place in zip(names, places, strict=True):
        shown = place - last >= _CLOSEST * n
        last = place if shown else last
        out.append(name if shown else "")
    return out


def _labels(record: Hamiltonians, row: int) -> list[str]:
    z = record.molecules[[row]].z
    return record.basis.orbitals(z).labels

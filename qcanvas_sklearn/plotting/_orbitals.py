"""`MolecularOrbitalDisplay`: the levels of a pair between those of its atoms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ._common import BLUE, COLUMN, canvas, check_frame, require_matplotlib
from ._states import model_and_pairs, row_of

__all__ = ["MolecularOrbitalDisplay", "orbitals_of"]

_SHELLS = ("s", "p", "d", "f")
_M = {"sigma": 0, "pi": 1, "delta": 2, "phi": 3}
_GREEK = {"sigma": "σ", "pi": "π", "delta": "δ", "phi": "φ"}
#: Smallest share of a shell in a level at which both are connected.
_CONNECTED = 0.1
#: Levels so far (eV) above the LUMO and the atoms' shells are not shown.
_ABOVE = 4.0
_WIDTH = 0.36


class MolecularOrbitalDisplay:
    """Orbital diagram: levels of a pair, of both its atoms, and what they are made of.

    The shells of the free atoms stand on both sides, the levels of the pair between them,
    with their electrons as arrows; the two orbitals of a pi, delta or phi level stand beside
    each other. A line goes from a level to each shell that has a share of at least 10 % in it.

    Parameters
    ----------
    levels : DataFrame
        Levels of one pair, as :meth:`TightBindingRegressor.levels` gives them.
    shells : DataFrame of shape (2, 4 or more)
        Energies ``s_ev`` to ``f_ev`` (eV) of the shells of both atoms, NaN where there is
        none; the index has the elements.

    Attributes
    ----------
    levels_ : list of LineCollection
        Lines of the first atom, of the pair, and of the second atom.
    connections_ : LineCollection
        Lines between them.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import pandas as pd
    >>> from qcanvas_sklearn.plotting import MolecularOrbitalDisplay
    >>> shares = {f"{atom}_{shell}": 0.0 for atom in ("first", "second") for shell in "spdf"}
    >>> levels = pd.DataFrame([
    ...     {"symmetry": "sigma", "energy_ev": -15.0, "degeneracy": 1, "electrons": 2.0,
    ...      **shares, "first_s": 0.5, "second_s": 0.5},
    ...     {"symmetry": "sigma", "energy_ev": 2.0, "degeneracy": 1, "electrons": 0.0,
    ...      **shares, "first_s": 0.5, "second_s": 0.5}])
    >>> atom = {"s_ev": -8.0, "p_ev": None, "d_ev": None, "f_ev": None}
    >>> shells = pd.DataFrame([atom, atom], index=["H", "H"], dtype=float)
    >>> display = MolecularOrbitalDisplay(levels=levels, shells=shells).plot()
    >>> [label.get_text() for label in display.ax_.get_xticklabels()]
    ['H', 'H–H', 'H']
    """

    def __init__(self, *, levels: pd.DataFrame, shells: pd.DataFrame) -> None:
        self.levels = levels
        self.shells = shells

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, row: int = 0, ax: Any = None
    ) -> MolecularOrbitalDisplay:
        """Diagram of a pair as a fitted model knows it.

        Parameters
        ----------
        estimator : TightBindingRegressor, QCanvasRegressor or pipeline that ends in one
            Fitted.
        X : array-like of shape (n, p)
            Pairs, as for ``predict``.
        row : int, default=0
            Which of them.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        MolecularOrbitalDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator knows no levels.
        """
        require_matplotlib(cls)
        model, pairs = model_and_pairs(estimator, X)
        levels, shells = orbitals_of(model, row_of(pairs, row))
        return cls(levels=levels, shells=shells).plot(ax)

    def plot(self, ax: Any = None) -> MolecularOrbitalDisplay:
        """Draw the display.

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
        TypeError
            If levels or shells are no DataFrames.
        ValueError
            If they lack a column or have no rows.
        """
        columns = [f"{atom}_{shell}" for atom in ("first", "second") for shell in _SHELLS]
        needed = ["symmetry", "energy_ev", "degeneracy", "electrons", *columns]
        levels = check_frame("levels", self.levels, needed)
        shells = check_frame("shells", self.shells, [f"{shell}_ev" for shell in _SHELLS])
        energies = shells[[f"{shell}_ev" for shell in _SHELLS]].to_numpy(dtype=float)
        levels = levels[levels["energy_ev"] <= _highest(levels, energies)]
        with canvas(self, ax, size=(COLUMN, 3.6)) as panels:
            self._draw(panels[0], levels, energies, [str(name) for name in shells.index])
        return self

    def _draw(
        self, ax: Any, levels: pd.DataFrame, energies: np.ndarray, names: list[str]
    ) -> None:
        places, connections = [], []
        for _, level in levels.iterrows():
            energy, count = level["energy_ev"], int(level["degeneracy"])
            for k in range(count):
                places.append(_bar(1.0, energy, k, count))
                arrows = _arrows(float(level["electrons"]), k, count)
                centre = np.mean([point[0] for point in places[-1]])
                ax.annotate(arrows, (centre, energy), va="center", ha="center", fontsize=8)
            for side, atom in ((0, "first"), (1, "second")):
                for l, shell in enumerate(_SHELLS):
                    if level[f"{atom}_{shell}"] >= _CONNECTED and l >= _M[level["symmetry"]]:
                        edge = 1 - _WIDTH / 2 if side == 0 else 1 + _WIDTH / 2
                        end = 2 * side + (_WIDTH / 2 if side == 0 else -_WIDTH / 2)
                        connections.append([(end, energies[side, l]), (edge, energy)])
            ax.annotate(
                _GREEK[level["symmetry"]], (1 + _WIDTH / 2, energy), (3, 0), va="center",
                textcoords="offset points", fontsize=7,
            )  # fmt: skip
        self.connections_ = _lines(ax, connections, color="0.75", linewidth=0.6, zorder=1)
        atoms = [_shell_bars(ax, side, energies[side]) for side in (0, 1)]
        style = {"color": BLUE, "linewidth": 1.6, "zorder": 2}
        self.levels_ = [_lines(ax, part, **style) for part in (atoms[0], places, atoms[1])]
        ax.set_xticks((0, 1, 2), (names[0], f"{names[0]}–{names[1]}", names[1]))
        ax.set(xlim=(-0.55, 2.55), ylabel="energy (eV)")
        ax.autoscale(axis="y")


def orbitals_of(model: Any, pair: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Levels of one pair and shells of its atoms, as a model of states has them."""
    names = [block.labels for block in model.hamiltonian(pair)[0][:1]][0]
    elements = list(dict.fromkeys(label.split()[0] for label in names))
    return model.levels(pair), model.element_parameters_.loc[[name[:-1] for name in elements]]


def _highest(levels: pd.DataFrame, energies: np.ndarray) -> float:
    empty = levels.loc[levels["electrons"] < 2 * levels["degeneracy"] - 0.5, "energy_ev"]
    lumo = empty.min() if len(empty) else levels["energy_ev"].max()
    return float(max(lumo, np.nanmax(energies)) + _ABOVE)


def _bar(x: float, energy: float, k: int, count: int) -> list[tuple[float, float]]:
    """The k-th of several lines beside each other, as wide together as one."""
    step = _WIDTH / count
    left = x - _WIDTH / 2 + k * step
    gap = 0.02 if count > 1 else 0.0
    return [(left + gap, energy), (left + step - gap, energy)]


def _arrows(electrons: float, k: int, count: int) -> str:
    """Electrons in the k-th of several equal orbitals, which fill singly first."""
    n = round(electrons)
    return "↑" * int(n > k) + "↓" * int(n > count + k)


def _shell_bars(ax: Any, side: int, energies: np.ndarray) -> list[list[tuple[float, float]]]:
    bars = []
    for l in np.flatnonzero(np.isfinite(energies)):
        bars.append(_bar(2.0 * side, energies[l], 0, 1))
        at, shift = (-_WIDTH / 2, -3) if side == 0 else (2 + _WIDTH / 2, 3)
        ax.annotate(
            _SHELLS[l], (at, energies[l]), (shift, 0), textcoords="offset points",
            va="center", ha="right" if side == 0 else "left", fontsize=7,
        )  # fmt: skip
    return bars


def _lines(ax: Any, segments: list[Any], **style: Any) -> Any:
    from matplotlib.collections import LineCollection

    return ax.add_collection(LineCollection(segments, **style))

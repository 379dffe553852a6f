"""`PotentialCurveDisplay`: energies of pairs over the distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from ._common import COLOURS, COLUMN, canvas, check_frame, require_matplotlib
from ._states import model_and_pairs

__all__ = ["PotentialCurveDisplay"]

#: Distances in Å that are drawn where none are asked for.
_GRID = (0.9, 4.0, 63)


class PotentialCurveDisplay:
    """Potential curves of pairs, each above its minimum.

    Parameters
    ----------
    curves : DataFrame of shape (n_distances, n_pairs)
        Energies in eV; the index has the distances in Å, the columns the names of the pairs.
    references : DataFrame or None, default=None
        The same of another source, at its own distances; columns are drawn beside the curves
        of the same name.

    Attributes
    ----------
    lines_ : list of Line2D
        Curves, one a pair.
    references_ : list of Line2D
        References, in the order of the curves that have one.
    ax_ : Axes
        Axes drawn on.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from qcanvas_sklearn.plotting import PotentialCurveDisplay
    >>> r = np.linspace(0.8, 3, 20)
    >>> curves = pd.DataFrame({"C–O": (1 - np.exp(1.1 - r)) ** 2}, index=r)
    >>> PotentialCurveDisplay(curves=curves).plot().ax_.get_xlabel()
    'distance (Å)'
    """

    def __init__(
        self, *, curves: pd.DataFrame, references: pd.DataFrame | None = None
    ) -> None:
        self.curves = curves
        self.references = references

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, distances: ArrayLike | None = None,
        names: list[str] | None = None, references: pd.DataFrame | None = None, ax: Any = None,
    ) -> PotentialCurveDisplay:  # fmt: skip
        """Curves of pairs as a fitted model has them.

        Parameters
        ----------
        estimator : TightBindingRegressor, QCanvasRegressor or pipeline that ends in one
            Fitted.
        X : array-like of shape (n, p)
            Pairs, as for ``predict``.
        distances : array-like of shape (k,), default=None
            Distances in Å; None for 0.9 to 4.
        names : list of str, default=None
            Names of the pairs; by default those of their elements.
        references : DataFrame or None, default=None
            As in the constructor.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        PotentialCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If the estimator knows no curves.
        """
        require_matplotlib(cls)
        model, pairs = model_and_pairs(estimator, X)
        r = np.linspace(*_GRID) if distances is None else np.asarray(distances, dtype=float)
        energies = model.potential_curve(pairs, r)
        if names is None:
            names = [_name(blocks) for blocks in model.hamiltonian(pairs)]
        curves = pd.DataFrame(energies.T, index=r, columns=names)
        return cls(curves=curves, references=references).plot(ax)

    def plot(self, ax: Any = None) -> PotentialCurveDisplay:
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
            If curves or references are no DataFrames.
        ValueError
            If they have no rows, or no reference has the name of a curve.
        """
        curves = check_frame("curves", self.curves, [])
        references = pd.DataFrame()
        if self.references is not None:
            references = check_frame("references", self.references, [])
            if not set(references) & set(curves):
                raise ValueError(
                    f"references has the columns {list(references)}, none of which is one of "
                    f"the curves {list(curves)}"
                )
        self.lines_: list[Any] = []
        self.references_: list[Any] = []
        with canvas(self, ax, size=(COLUMN, 2.6)) as panels:
            panel = panels[0]
            for k, name in enumerate(curves):
                colour = COLOURS[k % len(COLOURS)]
                self.lines_ += panel.plot(
                    curves.index, _above(curves[name]), color=colour, linewidth=1.4,
                    label=str(name),
                )  # fmt: skip
                if name in references:
                    self.references_ += panel.plot(
                        references.index, _above(references[name]), color=colour,
                        linewidth=1.0, linestyle="--",
                    )  # fmt: skip
            panel.set(xlabel="distance (Å)", ylabel="energy above the minimum (eV)")
            drawn = np.concatenate([line.get_ydata() for line in self.lines_])
            top = np.quantile(drawn[np.isfinite(drawn)], 0.75)
            panel.set_ylim(-0.05 * top, 1.5 * top) if top > 0 else None
            panel.legend(frameon=False)
        return self


def _above(energies: pd.Series) -> np.ndarray:
    values = energies.to_numpy(dtype=float)
    return values - np.nanmin(values)


def _name(blocks: list[Any]) -> str:
    places = dict.fromkeys(label.split()[0] for label in blocks[0].labels)
    return "–".join(place[:-1] for place in places)

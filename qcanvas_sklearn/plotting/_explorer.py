"""`PairExplorerDisplay`: all that is known of one pair, on one page."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._validation import check_choice
from ..datasets._bundled import bundled_pairs
from ..elements import symbols
from ..images import CHANNEL_NAMES, pair_amplitudes, render
from ..structures import PAIR_COLUMNS, PairData
from ..targets import resolve_targets
from ._common import (
    BLUE,
    COLOURS,
    ORANGE,
    PAGE,
    canvas,
    check_frame,
    format_number,
    grid_in,
    name_of,
    quantity,
    require_matplotlib,
    unit_of,
)
from ._hamiltonians import LevelDisplay
from ._orbitals import MolecularOrbitalDisplay, orbitals_of
from ._pair_image import PairImageDisplay
from ._states import model_and_pairs

__all__ = ["PairExplorerDisplay"]

_SHELLS = ("s", "p", "d", "f")
_PREDICTIONS = ["label", "prediction", "std", "spread"]
_NEIGHBOURS = ["pair", "distance", "label"]
# Inches: the ten channels, the middle row, and what each target takes.
_IMAGE, _MIDDLE, _FRAME, _LINE = 2.9, 2.8, 0.75, 0.19


class PairExplorerDisplay:
    """One pair on one page: channels, levels, charges, neighbours and predictions.

    The page shows the ten channels of the pair's image; its levels, as the model has them or,
    of a model without, HOMO and LUMO as calculated and as predicted; populations of the
    shells and charges of its atoms; labels of the pairs that are nearest in the space of
    element descriptors; and predictions with standard deviations beside the labels.

    Parameters
    ----------
    pair : PairData
        The one pair, with what its image is rendered from.
    predictions : DataFrame of shape (t, 4)
        By target key: the ``label``, the ``prediction``, its standard deviation ``std``, and
        the ``spread`` of the labels of all pairs, in which errors are shown. NaN where there
        is none.
    neighbours : DataFrame of shape (k, 3)
        The nearest pairs: ``pair``, ``distance`` and ``label``.
    target : str
        Key of the target that the neighbours' labels are of.
    levels, shells : DataFrame or None, default=None
        As of :class:`MolecularOrbitalDisplay`; None for a model that knows none.

    Attributes
    ----------
    panels_ : dict of str to Axes
        ``"levels"``, ``"charges"``, ``"neighbours"`` and ``"predictions"``.
    image_ : PairImageDisplay
        The channels.
    ax_ : Axes
        Axes that the panels divide among themselves.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> from qcanvas_sklearn import PairMLPRegressor, load_pairs
    >>> from qcanvas_sklearn.plotting import PairExplorerDisplay
    >>> X, y = load_pairs(target=["e_g_ev", "e_homo_ev"], return_X_y=True)
    >>> model = PairMLPRegressor(max_epochs=2, random_state=0).fit(X[:200], y[:200])
    >>> display = PairExplorerDisplay.from_estimator(model, ["Al", "Ag"])
    >>> display.neighbours["pair"].tolist()[:3]
    ['Al–Rh', 'Ag–Ga', 'Al–Cu']
    """

    def __init__(
        self,
        *,
        pair: PairData,
        predictions: pd.DataFrame,
        neighbours: pd.DataFrame,
        target: str,
        levels: pd.DataFrame | None = None,
        shells: pd.DataFrame | None = None,
    ) -> None:
        self.pair = pair
        self.predictions = predictions
        self.neighbours = neighbours
        self.target = target
        self.levels = levels
        self.shells = shells

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        pair: Sequence[str] | Sequence[int],
        *,
        data: PairData | None = None,
        target: str | None = None,
        n_neighbours: int = 8,
        ax: Any = None,
    ) -> PairExplorerDisplay:
        """Predict a pair and draw its page.

        Parameters
        ----------
        estimator : estimator
            Regressor that was fitted on targets with names, or a pipeline that ends in one;
            it takes element pairs.
        pair : sequence of str or int
            Two element symbols or atomic numbers, in either order.
        data : PairData, default=None
            Where the pair and its neighbours are from; None for the bundled pairs. Of several
            rows of the pair the first counts.
        target : str, default=None
            Which of the estimator's targets the neighbours are shown with; None for the
            first.
        n_neighbours : int, default=8
            How many neighbours.
        ax : Axes or None, default=None
            As in :meth:`plot`.

        Returns
        -------
        PairExplorerDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `data` is no PairData.
        ValueError
            If there is no such pair, or it could not be computed, or the estimator was told no
            names of its targets or has no such target.
        """
        require_matplotlib(cls)
        data = bundled_pairs() if data is None else data
        if not isinstance(data, PairData):
            raise TypeError(f"data must be a PairData, got {type(data).__name__}")
        if np.shape(pair) != (2,):
            raise ValueError(f"pair must be two elements, got {pair!r}")
        (row,) = data.find([pair])
        if row < 0:
            raise ValueError(f"there is no pair {pair!r} among the {len(data)} of data")
        if not data.computed[row]:
            raise ValueError(f"{data.names[row]} could not be computed: {data.quality[row]}")
        names = _targets(estimator)
        target = names[0] if target is None else target
        check_choice("target", target, names)
        levels = shells = None
        X = pd.DataFrame(data.elements[[row]], columns=list(PAIR_COLUMNS), dtype=object)
        try:
            model, states = model_and_pairs(estimator, X)
        except TypeError:
            pass  # it has no levels of its own
        else:
            levels, shells = orbitals_of(model, states)
        return cls(
            pair=data[[row]], predictions=_predictions(estimator, X, data, row, names),
            neighbours=_neighbours(data, row, target, n_neighbours), target=target,
            levels=levels, shells=shells,
        ).plot(ax)  # fmt: skip

    def plot(self, ax: Any = None) -> PairExplorerDisplay:
        """Draw the page.

        Parameters
        ----------
        ax : Axes or None, default=None
            Axes to divide among the panels; None for a new figure, as wide as a page.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If a table is no DataFrame.
        ValueError
            If a table lacks columns or has no rows, or `ax` is not one Axes.
        """
        predictions = check_frame("predictions", self.predictions, _PREDICTIONS)
        neighbours = check_frame("neighbours", self.neighbours, _NEIGHBOURS)
        last = _FRAME + _LINE * len(predictions)
        heights = [_IMAGE, _MIDDLE, last]
        with canvas(self, ax, size=(PAGE, 0.25 + sum(heights))) as (whole,):
            grid = grid_in(whole, 3, 1, height_ratios=heights)
            middle = grid[1].subgridspec(1, 3, width_ratios=[1.25, 0.7, 1.05])
            places = {
                "image": grid[0], "levels": middle[0], "charges": middle[1],
                "neighbours": middle[2], "predictions": grid[2],
            }  # fmt: skip
            size = whole.yaxis.get_tick_params().get("labelsize")
            panels = {name: whole.figure.add_subplot(place) for name, place in places.items()}
            for panel in panels.values():
                panel.tick_params(which="both", **({} if size is None else {"labelsize": size}))
            image = render(pair_amplitudes(self.pair))[0]
            self.image_ = PairImageDisplay(image=image, channel_names=CHANNEL_NAMES).plot(
                panels.pop("image")
            )
            self._draw_levels(panels["levels"])
            self._draw_charges(panels["charges"])
            self._draw_neighbours(panels["neighbours"], neighbours)
            self._draw_predictions(panels["predictions"], predictions)
            self.panels_ = panels
            if ax is None:
                whole.figure.suptitle(self._title())
        return self

    def _title(self) -> str:
        names, length = "–".join(self.pair.elements[0]), self.pair.bond_lengths[0]
        return names if np.isnan(length) else f"{names}, {length:.2f} Å"

    def _draw_levels(self, ax: Any) -> None:
        if self.levels is not None and self.shells is not None:
            MolecularOrbitalDisplay(levels=self.levels, shells=self.shells).plot(ax)
            ax.set_title("levels of the model")
            return
        keys = ["e_homo_ev", "e_lumo_ev"]
        columns = {"calculated": self.pair.labels.iloc[0][keys].to_numpy(dtype=float)}
        if set(keys) <= set(self.predictions.index):
            columns["predicted"] = self.predictions.loc[keys, "prediction"].to_numpy(float)
        known = {name: pair for name, pair in columns.items() if np.isfinite(pair).all()}
        ax.set_title("HOMO and LUMO")
        if known:
            LevelDisplay(levels=known, n_occupied=1).plot(ax)
        else:
            _say(ax, "no levels known")

    def _draw_charges(self, ax: Any) -> None:
        shells = self.pair.shell_populations[0]
        names, parts = list(_SHELLS), shells.T
        if np.isnan(shells).any():
            names, parts = ["all shells"], self.pair.populations
        bottom = np.zeros(2)
        for name, part, colour in zip(names, parts, COLOURS, strict=False):
            if np.abs(part).max() > 0.005:
                ax.bar((0, 1), part, 0.6, bottom=bottom, color=colour, label=name)
            bottom = bottom + part
        for k, charge in enumerate(self.pair.charges[0]):
            known = f"{round(charge, 3) + 0.0:+.3f} e"  # without a negative zero
            text = "charge not known" if np.isnan(charge) else known
            ax.annotate(text, (k, bottom[k]), (0, 2), textcoords="offset points",
                        ha="center", fontsize=7)  # fmt: skip
        ax.set_xticks((0, 1), list(self.pair.elements[0]))
        ax.set(xlim=(-0.6, 1.6), ylim=(0, 1.15 * bottom.max()), ylabel="valence electrons")
        ax.set_title("populations, charges")
        _legend_below(ax, -0.08, ncols=4, handletextpad=0.4)

    def _draw_neighbours(self, ax: Any, neighbours: pd.DataFrame) -> None:
        places = np.arange(len(neighbours))
        ax.plot(neighbours["label"], places, "o", color="0.5", markersize=4)
        own = self.predictions.loc[self.target]
        if np.isfinite(own["label"]):
            ax.axvline(own["label"], color="black", linewidth=1, label="label")
        std = 0.0 if np.isnan(own["std"]) else own["std"]
        ax.axvline(own["prediction"], color=BLUE, linewidth=1, label="prediction")
        ax.axvspan(own["prediction"] - std, own["prediction"] + std, color=BLUE, alpha=0.2,
                   linewidth=0)  # fmt: skip
        names = [
            f"{pair} ({distance:.1f})" for pair, distance in
            zip(neighbours["pair"], neighbours["distance"], strict=True)
        ]  # fmt: skip
        ax.set_yticks(places, names)
        ax.set_ylim(len(neighbours) - 0.5, -0.5)
        ax.set_xlabel(quantity(name_of(self.target), unit_of(self.target)))
        ax.set_title("labels of neighbours (distance)")
        _legend_below(ax, -0.24, ncols=2)

    def _draw_predictions(self, ax: Any, predictions: pd.DataFrame) -> None:
        places = np.arange(len(predictions))
        spread = predictions["spread"].where(predictions["spread"] > 0)
        error = (predictions["prediction"] - predictions["label"]) / spread
        width = (predictions["std"] / spread).fillna(0.0)
        ax.axvline(0, color="0.5", linewidth=0.8)
        ax.errorbar(error, places, xerr=width, fmt="o", color=ORANGE, markersize=4,
                    elinewidth=1.2, capsize=2)  # fmt: skip
        ax.set_yticks(places, [quantity(name_of(k), unit_of(k)) for k in predictions.index])
        ax.set_ylim(len(predictions) - 0.5, -0.5)
        reach = 1.15 * max([0.02, *(error.abs() + width).dropna()])
        ax.set_xlim(-reach, reach)
        ax.set_xlabel("prediction less label, in standard deviations of all labels")
        ax.set_title("label: prediction ± standard deviation", loc="right")
        for k, (_, line) in enumerate(predictions.iterrows()):
            ax.annotate(_in_words(line), (1, k), (4, 0), va="center", fontsize=7,
                        xycoords=("axes fraction", "data"), textcoords="offset points",
                        annotation_clip=False)  # fmt: skip


def _legend_below(ax: Any, y: float, **options: Any) -> None:
    ax.legend(
        frameon=False, loc="upper center", bbox_to_anchor=(0.5, y), columnspacing=1,
        handlelength=1, **options,
    )  # fmt: skip


def _say(ax: Any, text: str) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize=7)


def _in_words(line: pd.Series) -> str:
    label = "no label" if np.isnan(line["label"]) else format_number(line["label"])
    text = f"{label}: {format_number(line['prediction'])}"
    return text if np.isnan(line["std"]) else f"{text} ± {line['std']:.2g}"


def _targets(estimator: Any) -> list[str]:
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    names = getattr(last, "target_names_", None)
    if not names:
        raise ValueError(
            f"{type(last).__name__} was told no names of its targets; fit it on a Series or a "
            "DataFrame named by target keys (qcanvas_sklearn.targets.TARGETS)"
        )
    return resolve_targets(names)


def _predictions(
    estimator: Any, X: pd.DataFrame, data: PairData, row: int, names: list[str]
) -> pd.DataFrame:
    """The table of the display; without standard deviations where there are none."""
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    takes_std = "return_std" in signature(last.predict).parameters
    if takes_std and getattr(last, "n_members", 2) > 1:
        found, std = estimator.predict(X, return_std=True)
    else:
        found, std = estimator.predict(X), np.full(len(names), np.nan)
    labels = data.labels[names].astype(float)
    return pd.DataFrame(
        {
            "label": labels.iloc[row].to_numpy(), "prediction": np.ravel(found),
            "std": np.ravel(std), "spread": labels.std().to_numpy(),
        },
        index=names,
    )  # fmt: skip


def _neighbours(data: PairData, row: int, target: str, n: int) -> pd.DataFrame:
    """The pairs with a label whose elements are most like those of a pair."""
    labels = data.labels[target].to_numpy(dtype=float, na_value=np.nan)
    own = np.sort(data.z[row])
    others = np.flatnonzero(np.isfinite(labels) & (np.sort(data.z) != own).any(axis=1))
    distance = _element_distances(data.z[row], data.z[others])
    # At several distances or from several sources a pair is in the data more than once.
    order = np.argsort(distance, kind="stable")
    codes = np.sort(data.z[others[order]])
    _, first = np.unique(codes, axis=0, return_index=True)
    nearest = order[np.sort(first)[:n]]
    return pd.DataFrame({
        "pair": ["–".join(symbols(z)) for z in data.z[others[nearest]]],
        "distance": distance[nearest], "label": labels[others[nearest]],
    })  # fmt: skip


def _element_distances(z: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Distances (n,) of pairs from one, atom by atom in the order in which they are closer."""
    from ..inputs import standard_descriptors  # loads torch

    table = standard_descriptors().astype(float)
    squares = ((table[z][:, None, None] - table[others]) ** 2).sum(axis=-1)
    straight, crossed = squares[0, :, 0] + squares[1, :, 1], squares[0, :, 1] + squares[1, :, 0]
    return np.sqrt(np.minimum(straight, crossed))

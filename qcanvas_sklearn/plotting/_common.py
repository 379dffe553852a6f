"""What the displays share: axes to draw on, colours, names with units."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .._optional import require
from ..targets import TARGETS, target_units

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar

__all__ = [
    "BLUE",
    "COLUMN",
    "COLOURS",
    "GREY",
    "ORANGE",
    "PAGE",
    "add_scale",
    "canvas",
    "check_frame",
    "format_number",
    "grid_in",
    "name_of",
    "printed",
    "quantity",
    "require_matplotlib",
    "unit_of",
]

#: Widths in inches of a journal's column and page.
COLUMN, PAGE = 3.4, 7.0
#: Colours that colour-blind readers tell apart: M. Okabe, K. Ito (2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
BLUE, ORANGE = COLOURS[:2]
#: What has no value.
GREY = "0.88"

_TICK_SIZE = 7
_STYLE = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "figure.titlesize": 8,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "xtick.labelsize": _TICK_SIZE,
    "ytick.labelsize": _TICK_SIZE,
}
_UNITS = {"angstrom": "Å", "angstrom^2": "Å²", "angstrom^3": "Å³", "1/eV": "eV⁻¹"}


def require_matplotlib(display: type) -> Any:
    """`matplotlib.pyplot`, or an ImportError that says how to get it.

    Called before anything is computed, so that nobody waits for an error.
    """
    return require(display.__name__, "matplotlib.pyplot")


@contextmanager
def canvas(
    display: Any,
    ax: Any,
    n_panels: int = 1,
    *,
    n_columns: int = 1,
    size: tuple[float, float] = (COLUMN, 3.0),
) -> Iterator[list[Axes]]:
    """Axes for a display's panels, which it then has as ``ax_`` and ``figure_``.

    Parameters
    ----------
    display : object
        The display that draws.
    ax : Axes, array-like of Axes or None
        None for a new figure, in print sizes; it is closed if drawing fails. Given axes
        keep the sizes that their user chose. One for several panels is divided among them.
    n_panels : int, default=1
        Number of panels.
    n_columns : int, default=1
        Panels side by side.
    size : (float, float), default=(3.4, 3.0)
        Width and height of a new figure in inches.

    Yields
    ------
    list of Axes
        One a panel.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `ax` is neither one nor `n_panels` axes.
    """
    plt = require_matplotlib(type(display))
    shape = (-(-n_panels // n_columns), min(n_columns, n_panels))
    if ax is not None:
        panels = _axes_in(display, ax, n_panels, shape)
        yield panels
    else:
        with plt.rc_context(_STYLE):
            # The constrained layout that knows of fixed aspects.
            figure, grid = plt.subplots(
                *shape, figsize=size, layout="compressed", squeeze=False
            )
            figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
            panels = list(grid.flat[:n_panels])
            try:
                for panel in grid.flat[n_panels:]:
                    panel.remove()
                for panel in panels:
                    # Ticks are made when they are drawn, long after the style has gone.
                    panel.tick_params(which="both", labelsize=_TICK_SIZE)
                yield panels
            except BaseException:
                plt.close(figure)
                raise
    display.ax_ = panels[0] if n_panels == 1 else np.array(panels)
    display.figure_ = panels[0].figure


def _axes_in(display: object, ax: Any, n_panels: int, shape: tuple[int, int]) -> list[Axes]:
    """The panels in given axes."""
    from matplotlib.axes import Axes

    given = [ax] if isinstance(ax, Axes) else list(np.asarray(ax, dtype=object).ravel())
    if not all(isinstance(item, Axes) for item in given) or len(given) not in (1, n_panels):
        expected = "one" if n_panels == 1 else f"one or {n_panels}"
        raise ValueError(
            f"{type(display).__name__} takes {expected} matplotlib Axes as ax, got {ax!r}"
        )
    if len(given) == n_panels:
        return given
    grid = grid_in(given[0], *shape)
    places = [divmod(k, shape[1]) for k in range(n_panels)]
    return [given[0].figure.add_subplot(grid[row, column]) for row, column in places]


def grid_in(whole: Axes, n_rows: int, n_columns: int, **ratios: Sequence[float]) -> Any:
    """A grid that divides given axes, of which nothing else is shown any more.

    Parameters
    ----------
    whole : Axes
        What to divide.
    n_rows, n_columns : int
        Cells below and beside each other.
    **ratios : sequence of float
        ``height_ratios`` and ``width_ratios``, as of a `GridSpec`.

    Returns
    -------
    GridSpec or GridSpecFromSubplotSpec
    """
    whole.set_axis_off()
    spec = whole.get_subplotspec()
    if spec is not None:
        return spec.subgridspec(n_rows, n_columns, **ratios)
    box = whole.get_position()
    edges = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
    return whole.figure.add_gridspec(n_rows, n_columns, **edges, **ratios)


def name_of(key: str) -> str:
    """Name of a target in words, or the key of one that is not known."""
    return TARGETS[key].name if key in TARGETS else key


def add_scale(ax: Axes, artist: Any, label: str = "") -> Colorbar:
    """Colour bar beside `ax`: as high as what is drawn there, at a fixed aspect too."""
    bar = ax.figure.colorbar(artist, cax=ax.inset_axes((1.04, 0, 0.05, 1)), label=label)
    size = ax.yaxis.get_tick_params().get("labelsize")
    if size is not None:
        bar.ax.tick_params(which="both", labelsize=size)
    return bar


def unit_of(key: str) -> str:
    """Unit of a target or label as it is printed; empty where it is not known or has none."""
    unit = target_units([key])[key]
    return "" if unit == "-" else printed(unit)


def printed(unit: str) -> str:
    """A unit as it is printed: ``"Å"`` for ``"angstrom"``."""
    return _UNITS.get(unit, unit)


def quantity(name: str, unit: str) -> str:
    """Label of an axis: ``"HOMO-LUMO gap (eV)"``, without brackets where there is no unit."""
    return f"{name} ({unit})" if unit else name


def format_number(value: float) -> str:
    """Three significant digits, without an exponent where a reader needs none."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e6 else f"{value:.3g}"


def check_frame(name: str, frame: Any, columns: Sequence[str]) -> pd.DataFrame:
    """Raise unless `frame` is a DataFrame with rows and these columns."""
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"{name} must be a DataFrame, got {type(frame).__name__}")
    absent = [column for column in columns if column not in frame]
    if absent:
        raise ValueError(f"{name} has no columns {absent}; it has {list(frame.columns)}")
    if frame.empty:
        raise ValueError(f"{name} has no rows")
    return frame

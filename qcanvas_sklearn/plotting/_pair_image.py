"""`PairImageDisplay`: the channels of one pair."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from .._validation import take_rows
from ..elements import symbols
from ..images import CHANNEL_NAMES, PairImageTransformer, PairLayout
from ._common import PAGE, add_scale, canvas, require_matplotlib

__all__ = ["PairImageDisplay"]

_N_COLUMNS = 5


class PairImageDisplay:
    """The channels of one pair, each with its own colour scale.

    Parameters
    ----------
    image : ndarray of shape (n_channels, height, width)
        Channels to draw.
    channel_names : sequence of str of length n_channels
        Their names.
    title : str, default=""
        Which pair it is; written above the panels of a new figure.

    Attributes
    ----------
    images_ : list of AxesImage
        One a channel.
    colorbars_ : list of Colorbar
        Scales, one a channel; empty without.
    ax_ : Axes or ndarray of Axes
        Axes drawn on; an array for several channels.
    figure_ : Figure
        Figure that holds them.

    Examples
    --------
    >>> from qcanvas_sklearn.plotting import PairImageDisplay
    >>> display = PairImageDisplay.from_pairs([["Ag", "Al"]])
    >>> display.title, [ax.get_title() for ax in display.ax_[:2]]
    ('Ag–Al, 1.99 Å', ['omap_radial', 'omap_angular'])
    """

    def __init__(
        self, *, image: NDArray, channel_names: Sequence[str], title: str = ""
    ) -> None:
        self.image = image
        self.channel_names = channel_names
        self.title = title

    @classmethod
    def from_image(
        cls,
        image: ArrayLike,
        *,
        channel_names: Sequence[str] | None = None,
        title: str = "",
        ax: Any = None,
        **kwargs: Any,
    ) -> PairImageDisplay:
        """Plot a given image.

        Parameters
        ----------
        image : array-like of shape (n_channels, height, width)
            Channels to draw.
        channel_names : sequence of str of length n_channels, default=None
            Their names; None for those of
            :data:`qcanvas_sklearn.images.CHANNEL_NAMES`, where there are ten.
        title : str, default=""
            Which pair it is.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PairImageDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the image has another shape or another number of channels than names.
        """
        require_matplotlib(cls)
        if np.ndim(image) != 3:
            raise ValueError(
                "image must have shape (n_channels, height, width), got shape "
                f"{np.shape(image)}"
            )
        array = check_array(image, dtype=np.float64, allow_nd=True, input_name="image")
        names = CHANNEL_NAMES if channel_names is None else tuple(channel_names)
        if len(names) != len(array):
            raise ValueError(f"image has {len(array)} channels for the names {list(names)}")
        return cls(image=array, channel_names=names, title=title).plot(ax, **kwargs)

    @classmethod
    def from_table(
        cls, X: Any, *, row: int = 0, ax: Any = None, **kwargs: Any
    ) -> PairImageDisplay:
        """Plot one row of a transformer's output.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, p)
            Output of `PairImageTransformer` with its image.
        row : int, default=0
            Row to draw.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PairImageDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `X` holds no images.
        IndexError
            If there is no such row.
        """
        require_matplotlib(cls)
        layout = PairLayout.infer(X)
        if layout is None or "image" not in layout.include:
            raise ValueError(
                "X is not the output of PairImageTransformer with its image; for a bare "
                "image see PairImageDisplay.from_image"
            )
        return cls._from_row(X, layout, row).plot(ax, **kwargs)

    @classmethod
    def from_pairs(
        cls,
        pairs: Any,
        *,
        row: int = 0,
        transformer: PairImageTransformer | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> PairImageDisplay:
        """Draw the image of an element pair and plot it.

        Parameters
        ----------
        pairs : array-like or DataFrame of shape (n, 2) or (n, 3)
            Element symbols, and bond lengths in Å where the source can use them.
        row : int, default=0
            Pair to draw.
        transformer : PairImageTransformer, default=None
            How to draw it, with another source or size than by default; left unfitted.
        ax : Axes, array-like of Axes or None, default=None
            As in :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        PairImageDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a symbol or a pair is not known, or the transformer draws no image.
        IndexError
            If there is no such row.
        """
        require_matplotlib(cls)
        # A shallow copy: the source may be a large data set.
        draw = PairImageTransformer() if transformer is None else copy(transformer)
        table = draw.fit_transform(take_rows(pairs, np.array([row])))
        if "image" not in draw.layout_.include:
            raise ValueError(f"{draw} draws no image: include={draw.include!r}")
        return cls._from_row(table, draw.layout_, 0).plot(ax, **kwargs)

    @classmethod
    def _from_row(cls, X: Any, layout: PairLayout, row: int) -> PairImageDisplay:
        views = layout.unpack(X)
        title = ""
        if "z" in views:
            names = "–".join(symbols(views["z"][row]))
            title = f"{names}, {views['distance_ang'][row]:.2f} Å"
        image = np.asarray(views["image"][row], dtype=np.float64)
        return cls(image=image, channel_names=layout.channel_names, title=title)

    def plot(
        self, ax: Any = None, *, cmap: str = "viridis", colorbar: bool = True
    ) -> PairImageDisplay:
        """Draw the display.

        Parameters
        ----------
        ax : Axes, array-like of Axes or None, default=None
            One a channel, or one that is divided among them; None for a new figure with
            five channels side by side.
        cmap : str or Colormap, default="viridis"
            Colours of the values.
        colorbar : bool, default=True
            Draw the scale of each channel.

        Returns
        -------
        self

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the number of axes is not that of the channels.
        """
        n = len(self.image)
        rows = -(-n // _N_COLUMNS)
        size = (PAGE / _N_COLUMNS * min(n, _N_COLUMNS), 0.25 + 1.35 * rows)
        self.images_: list[Any] = []
        self.colorbars_: list[Any] = []
        with canvas(self, ax, n, n_columns=_N_COLUMNS, size=size) as panels:
            for panel, channel, name in zip(
                panels, self.image, self.channel_names, strict=True
            ):
                self._draw(panel, channel, name, cmap, colorbar)
            if ax is None:
                panels[0].figure.suptitle(self.title)
        return self

    def _draw(self, ax: Any, channel: NDArray, name: str, cmap: str, colorbar: bool) -> None:
        # Every scale holds zero, so that an empty channel looks empty.
        low, high = min(0.0, channel.min()), max(0.0, channel.max())
        drawn = ax.imshow(channel, cmap=cmap, vmin=low, vmax=high if high > low else 1)
        self.images_.append(drawn)
        ax.set_title(name, fontsize=7)
        ax.set_axis_off()
        if colorbar:
            bar = add_scale(ax, drawn)
            bar.ax.tick_params(labelsize=7)
            bar.ax.locator_params(nbins=4)
            self.colorbars_.append(bar)

"""Columns of X between `PairImageTransformer` and the estimators behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..elements import MAX_Z
from ..rendering import (
    CHANNEL_NAMES,
    MIN_IMAGE_SIZE,
    check_image_size,
    resolve_channels,
)
from ._carrying import CarryingTable

__all__ = ["BLOCKS", "PairColumns", "PairLayout", "PairTable", "check_z", "find_columns"]

#: Blocks of columns, in their order in X.
BLOCKS: tuple[str, ...] = ("atoms", "orbitals", "charges", "channel_means", "image")
#: Blocks that have columns of each channel.
_OF_CHANNELS = ("channel_means", "image")

_COLUMNS: dict[str, tuple[str, ...]] = {
    "atoms": ("z_a", "z_b", "distance_ang", "population_a", "population_b"),
    "orbitals": tuple(
        f"{name}_{atom}"
        for atom in "ab"
        for name in ("s", "p", "d", "f", "p_m0", "d_m0", "f_m0")
    ),
    "charges": ("charge_a", "charge_b", "dipole_mag"),
}
_N_SHELLS = 4

_KNOWN = "|".join(
    [*(name for names in _COLUMNS.values() for name in names), r"ch\d_mean", r"ch\d_r\d+_c\d+"]
)
_NAME = re.compile(rf"(?:(?P<prefix>.*)__)?(?P<column>{_KNOWN})", re.DOTALL)
_PIXEL = re.compile(r"ch(\d)_r(\d+)_c(\d+)")
_MEAN = re.compile(r"ch(\d)_mean")
_MAX_NAMED = 5


@lru_cache(maxsize=16)
def _image_columns(channels: tuple[int, ...], size: int) -> tuple[str, ...]:
    pixels = [f"r{row}_c{column}" for row in range(size) for column in range(size)]
    return tuple(f"ch{channel}_{pixel}" for channel in channels for pixel in pixels)


@dataclass(frozen=True)
class PairLayout:
    """Which columns of X hold what.

    Parameters
    ----------
    include : iterable of {"atoms", "orbitals", "charges", "channel_means", "image"}, \
default=("atoms", "image")
        Blocks of columns. They are always in the order given here.
    channels : iterable of int or str, default=None
        Image channels, by number or name; kept as increasing numbers. None for all ten.
        ``()`` after construction where there is neither an image nor the means of one.
    image_size : int, default=32
        Pixels a side. 0 after construction where there is no image.

    Raises
    ------
    ValueError
        If a block, a channel or the image size is not one of the accepted ones.

    Examples
    --------
    >>> from qcanvas_sklearn.images import PairLayout
    >>> layout = PairLayout(include=["atoms", "charges"])
    >>> layout.feature_names[:3], layout.n_columns
    (('z_a', 'z_b', 'distance_ang'), 8)
    """

    include: tuple[str, ...] = ("atoms", "image")
    channels: tuple[int, ...] = None  # type: ignore[assignment]
    image_size: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "include", _resolve_include(self.include))
        with_channels = any(block in self.include for block in _OF_CHANNELS)
        channels = resolve_channels(self.channels) if with_channels else ()
        size = check_image_size(self.image_size) if "image" in self.include else 0
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "image_size", size)

    @property
    def slices(self) -> dict[str, slice]:
        """Columns of each included block."""
        out: dict[str, slice] = {}
        start = 0
        n_channels = len(self.channels)
        widths = {"channel_means": n_channels, "image": n_channels * self.image_size**2}
        for block in self.include:
            width = widths[block] if block in widths else len(_COLUMNS[block])
            out[block] = slice(start, start + width)
            start += width
        return out

    @property
    def n_columns(self) -> int:
        """Number of columns of X."""
        return self.slices[self.include[-1]].stop

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns of X."""
        names: tuple[str, ...] = ()
        for block in self.include:
            if block == "image":
                names += _image_columns(self.channels, self.image_size)
            elif block == "channel_means":
                names += tuple(f"ch{channel}_mean" for channel in self.channels)
            else:
                names += _COLUMNS[block]
        return names

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the image's channels."""
        return tuple(CHANNEL_NAMES[channel] for channel in self.channels)

    def unpack(self, X: Any) -> dict[str, Any]:
        """Named views of the columns.

        Parameters
        ----------
        X : array, tensor or DataFrame of shape (n, n_columns)
            Table in this layout.

        Returns
        -------
        dict of str to array
            Views without copying of what is included: ``z`` (n, 2), ``distance_ang``
            (n,), ``population`` (n, 2); ``shell_populations`` (n, 2, 4),
            ``m0_populations`` (n, 2, 3) of p, d and f; ``charge`` (n, 2), ``dipole_mag``
            (n,); ``channel_means`` (n, n_channels); ``image`` (n, n_channels, image_size,
            image_size). Writing into them writes into `X`.

        Raises
        ------
        ValueError
            If `X` has another number of columns.
        """
        if not hasattr(X, "reshape") or isinstance(X, PairTable):
            X = np.asarray(X)
        if X.ndim != 2 or X.shape[1] != self.n_columns:
            raise ValueError(
                f"expected a table of shape (n, {self.n_columns}) with the blocks "
                f"{list(self.include)}, got shape {tuple(X.shape)}"
            )
        n, out = X.shape[0], {}
        for block, columns in self.slices.items():
            part = X[:, columns]
            if block == "atoms":
                out["z"], out["distance_ang"] = part[:, :2], part[:, 2]
                out["population"] = part[:, 3:]
            elif block == "orbitals":
                atoms = part.reshape(n, 2, len(_COLUMNS["orbitals"]) // 2)
                out["shell_populations"] = atoms[:, :, :_N_SHELLS]
                out["m0_populations"] = atoms[:, :, _N_SHELLS:]
            elif block == "charges":
                out["charge"], out["dipole_mag"] = part[:, :2], part[:, 2]
            elif block == "channel_means":
                out["channel_means"] = part
            else:
                shape = (len(self.channels), self.image_size, self.image_size)
                out["image"] = part.reshape(n, *shape)
        return out

    @classmethod
    def infer(
        cls, X: ArrayLike, feature_names: Sequence[str] | None = None
    ) -> PairLayout | None:
        """Layout of a table that has the columns of a layout and no others, in order.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, p)
            Any selection of rows of a transformer's output, or any other table.
        feature_names : sequence of str, default=None
            Names of the columns; by default those of a DataFrame.

        Returns
        -------
        PairLayout or None
            None for a plain table. The layout is that of the names, or else the one that
            the array carries (:class:`PairTable`). What the values look like proves
            nothing: an array that carries none is a plain table.

        Raises
        ------
        ValueError
            If some of a layout's columns are there and others missing.

        Examples
        --------
        >>> from qcanvas_sklearn.images import PairImageTransformer, PairLayout
        >>> X = PairImageTransformer(include=["atoms"]).fit_transform([["Ag", "Al"]])
        >>> PairLayout.infer(X).include
        ('atoms',)
        >>> PairLayout.infer(X.tolist()) is None
        True
        """
        found = find_columns(X, feature_names)
        return found.layout if found is not None and found.is_in_place else None

    def label(self, X: ArrayLike) -> PairTable:
        """An array in this layout that carries it along.

        Parameters
        ----------
        X : array-like of shape (n, n_columns)
            A table in this layout, from a file for instance.

        Returns
        -------
        PairTable
            A view of the array.

        Raises
        ------
        ValueError
            If `X` has another number of columns.

        Examples
        --------
        >>> from qcanvas_sklearn.images import PairLayout
        >>> layout = PairLayout(include=["atoms"])
        >>> PairLayout.infer(layout.label([[47, 13, 2.5, 11.07, 2.93]])) == layout
        True
        """
        table = np.asarray(X)
        if table.ndim != 2 or table.shape[1] != self.n_columns:
            raise ValueError(
                f"expected a table of shape (n, {self.n_columns}) with the blocks "
                f"{list(self.include)}, got shape {table.shape}"
            )
        return PairTable.carrying(table, PairColumns(self, np.arange(self.n_columns)))


def _resolve_include(include: Any) -> tuple[str, ...]:
    """Blocks in their order in X."""
    wanted = list(include) if isinstance(include, (list, tuple, set, frozenset)) else []
    blocks = tuple(block for block in BLOCKS if block in wanted)
    if not wanted or len(blocks) < len(wanted):
        raise ValueError(
            f"include must be a sequence of distinct blocks out of {list(BLOCKS)}, "
            f"got {include!r}"
        )
    return blocks


@dataclass(frozen=True)
class PairColumns:
    """Where in a table the columns of a layout are.

    Attributes
    ----------
    layout : PairLayout
        What they hold.
    positions : ndarray of int64, shape (layout.n_columns,)
        Position of each of the layout's columns.
    n_others : int, default=0
        Number of further columns of the table.
    """

    layout: PairLayout
    positions: NDArray[np.int64]
    n_others: int = 0

    @property
    def n_columns(self) -> int:
        """Number of columns of the table."""
        return len(self.positions) + self.n_others

    @property
    def is_in_place(self) -> bool:
        """Whether the table holds the layout's columns in their order, and no others."""
        return not self.n_others and np.array_equal(
            self.positions, np.arange(len(self.positions))
        )

    def take(self, X: Any) -> tuple[NDArray, NDArray]:
        """The layout's columns of a table in their order, and the further ones."""
        table = np.asarray(X)
        if self.is_in_place:
            return table, table[:, :0]
        others = np.setdiff1d(np.arange(self.n_columns), self.positions)
        return table[:, self.positions], table[:, others]


class PairTable(CarryingTable):
    """Array of a table that knows which of its columns are those of a pair.

    It is what a `PairImageTransformer` gives where no names are asked for. Rows of it,
    copies, pickles and tables beside which it is put (`numpy.hstack`, and with it a
    `FeatureUnion` or `ColumnTransformer`) know too, as does what is computed entry by entry.
    All else loses it, and a step that makes a new array of it, such as a `StandardScaler`:
    keep the names then, with ``set_output(transform="pandas")``.
    """

    _columns: PairColumns | None

    @classmethod
    def carrying(cls, array: NDArray, columns: PairColumns | None) -> PairTable:
        """A view of an array that carries the given columns."""
        table = array.view(cls)
        table._columns = columns
        return table

    @property
    def pair_columns(self) -> PairColumns | None:
        """Where the columns of a pair are; None in what is no table of them any more."""
        columns = self._columns
        fits = columns is not None and self.ndim == 2 and self.shape[1] == columns.n_columns
        return columns if fits else None

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        out = super().__array_function__(func, types, args, kwargs)
        axis = kwargs.get("axis", args[1] if len(args) > 1 else 0)
        beside = func is np.hstack or func is np.concatenate and axis in (1, -1)
        if isinstance(out, PairTable) and func in (np.hstack, np.concatenate, np.vstack):
            parts = [np.asanyarray(part) for part in args[0]]
            out._columns = _beside(parts) if beside else _below(parts)
        return out

    def __reduce__(self) -> Any:
        return PairTable.carrying, (np.asarray(self), self.pair_columns)


def _beside(parts: Sequence[NDArray]) -> PairColumns | None:
    """Columns of tables put beside each other: those of the first that has any."""
    if any(part.ndim != 2 for part in parts):
        return None
    width, start = sum(part.shape[1] for part in parts), 0
    for part in parts:
        columns = getattr(part, "pair_columns", None)
        if columns is not None:
            n_others = width - len(columns.positions)
            return PairColumns(columns.layout, columns.positions + start, n_others)
        start += part.shape[1]
    return None


def _below(parts: Sequence[NDArray]) -> PairColumns | None:
    """Columns of tables put below each other, where they have the same."""
    first, *others = (getattr(part, "pair_columns", None) for part in parts)
    if first is None:
        return None
    same = all(
        other is not None
        and other.layout == first.layout
        and np.array_equal(other.positions, first.positions)
        for other in others
    )
    return first if same else None


def find_columns(X: Any, feature_names: Sequence[str] | None = None) -> PairColumns | None:
    """Where in a table the columns of a pair are.

    By their names, where the table has names: in any order, among further columns, and
    with a prefix (``img__z_a``) as pipelines give. Otherwise as the array carries them.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, p)
        Table.
    feature_names : sequence of str, default=None
        Names of the columns; by default those of a DataFrame.

    Returns
    -------
    PairColumns or None
        None for a plain table.

    Raises
    ------
    ValueError
        If a block of columns is there in part only.
    """
    if feature_names is None:
        feature_names = getattr(X, "columns", None)
    if feature_names is not None and all(isinstance(name, str) for name in feature_names):
        return _by_names(list(feature_names))
    return getattr(X, "pair_columns", None)


def _by_names(names: list[str]) -> PairColumns | None:
    by_prefix: dict[str | None, dict[str, int]] = {}
    for position, name in enumerate(names):
        match = _NAME.fullmatch(name)
        if match is not None:
            by_prefix.setdefault(match["prefix"], {}).setdefault(match["column"], position)
    for places in by_prefix.values():
        layout = _layout_of_names(places)
        if layout is not None:
            positions = np.array([places[name] for name in layout.feature_names])
            return PairColumns(layout, positions, len(names) - len(positions))
    return None


def _layout_of_names(places: Mapping[str, int]) -> PairLayout | None:
    """Layout of all blocks among some names."""
    whole = [block for block, names in _COLUMNS.items() if all(n in places for n in names)]
    pixels, means = (
        [match for match in map(pattern.fullmatch, places) if match is not None]
        for pattern in (_PIXEL, _MEAN)
    )
    has_atom = "z_a" in places or "z_b" in places
    if not (whole or pixels or has_atom):
        return None  # single names such as "distance_ang" may be anybody's
    asked = [block for block, names in _COLUMNS.items() if any(n in places for n in names)]
    asked += [block for block, of in zip(_OF_CHANNELS, (means, pixels), strict=True) if of]
    channels = tuple(sorted({int(match[1]) for match in (*pixels, *means)}))
    size = 1 + max((int(part) for match in pixels for part in match.group(2, 3)), default=-1)
    layout = PairLayout(
        tuple(asked), channels or None,  # type: ignore[arg-type]
        size if size >= MIN_IMAGE_SIZE else MIN_IMAGE_SIZE,
    )  # fmt: skip
    missing = [name for name in layout.feature_names if name not in places]
    if missing:
        more = len(missing) - _MAX_NAMED
        raise ValueError(
            f"the table has a part of the columns of a pair ({list(layout.include)}), but not "
            f"{missing[:_MAX_NAMED]}" + (f" and {more} more" if more > 0 else "") + "; keep "
            "all columns of a block or none of them, or rename those that are no pair's"
        )
    return layout


def check_z(columns: NDArray) -> NDArray[np.int64]:
    """Columns ``z_a`` and ``z_b`` (n, 2) of a table as atomic numbers.

    Raises
    ------
    ValueError
        If a value is none, as where the columns have been scaled.
    """
    bad = ~((columns >= 1) & (columns <= MAX_Z) & (columns == np.floor(columns)))
    if bad.any():
        row, atom = np.argwhere(bad)[0]
        raise ValueError(
            f"row {row}: {columns[row, atom]} in column z_{'ab'[atom]} is not an atomic "
            f"number between 1 and {MAX_Z}; was the column scaled?"
        )
    return columns.astype(np.int64)

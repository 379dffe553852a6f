"""Columns of X between `PairImageTransformer` and the estimators behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..elements import MAX_Z, alphabetical_rank
from ..rendering import (
    CHANNEL_NAMES,
    MIN_IMAGE_SIZE,
    check_image_size,
    orthonormal_templates,
    resolve_channels,
)

__all__ = ["BLOCKS", "PairLayout"]

#: Blocks of columns, in their order in X.
BLOCKS: tuple[str, ...] = ("atoms", "orbitals", "charges", "image")

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

# What the columns can hold; wide enough for any diatomic, narrow enough for few other
# tables. Small negative populations are real.
_NUMBER, _POPULATION, _CHARGE = (1, MAX_Z), (-1, 130), (-20, 20)
_RANGES: dict[str, tuple[tuple[float, float], ...]] = {
    "atoms": (_NUMBER, _NUMBER, (0.2, 20), _POPULATION, _POPULATION),
    "orbitals": (_POPULATION,) * len(_COLUMNS["orbitals"]),
    "charges": (_CHARGE, _CHARGE, (0, 1000)),
}
_PROBED_ROWS = 8
# Largest part of a probed image outside the span of a channel's templates: float32
# round-off is a thousandth of it.
_SPAN_TOLERANCE = 1e-4


@lru_cache(maxsize=16)
def _image_columns(channels: tuple[int, ...], size: int) -> tuple[str, ...]:
    pixels = [f"r{row}_c{column}" for row in range(size) for column in range(size)]
    return tuple(f"ch{channel}_{pixel}" for channel in channels for pixel in pixels)


@dataclass(frozen=True)
class PairLayout:
    """Which columns of X hold what.

    Parameters
    ----------
    include : iterable of {"atoms", "orbitals", "charges", "image"}, \
default=("atoms", "image")
        Blocks of columns. They are always in the order given here.
    channels : iterable of int or str, default=None
        Image channels, by number or name; kept as increasing numbers. None for all ten.
        ``()`` after construction where there is no image.
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
        with_image = "image" in self.include
        channels = resolve_channels(self.channels) if with_image else ()
        size = check_image_size(self.image_size) if with_image else 0
        object.__setattr__(self, "channels", channels)
        object.__setattr__(self, "image_size", size)

    @property
    def slices(self) -> dict[str, slice]:
        """Columns of each included block."""
        out: dict[str, slice] = {}
        start = 0
        for block in self.include:
            width = len(_COLUMNS.get(block, ())) or len(self.channels) * self.image_size**2
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
            names += _COLUMNS.get(block) or _image_columns(self.channels, self.image_size)
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
            (n,); ``image`` (n, n_channels, image_size, image_size). Writing into them
            writes into `X`.

        Raises
        ------
        ValueError
            If `X` has another number of columns.
        """
        if not hasattr(X, "reshape"):
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
            else:
                shape = (len(self.channels), self.image_size, self.image_size)
                out["image"] = part.reshape(n, *shape)
        return out

    @classmethod
    def infer(
        cls, X: ArrayLike, feature_names: Sequence[str] | None = None
    ) -> PairLayout | None:
        """Layout of a table, or None where it is a plain one.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, p)
            Any selection of rows of a transformer's output, or any other table.
        feature_names : sequence of str, default=None
            Names of the columns; by default those of a DataFrame. With names a layout is
            found if and only if they are exactly its own.

        Returns
        -------
        PairLayout or None
            Without names the content decides: atom columns must be atomic numbers in
            canonical order with plausible distances and populations, images must be
            combinations of the channels' templates. Tables without atoms and image are
            plain then. Channels that share their templates (0 and 1, 6 and 7, 8 and 9)
            or are empty in all rows are numbered as low as possible.

        Raises
        ------
        ValueError
            If several layouts fit, which takes empty images.

        Examples
        --------
        >>> import numpy as np
        >>> from qcanvas_sklearn.images import PairLayout
        >>> PairLayout.infer(np.array([[47, 13, 2.5, 11.07, 2.93]])).include
        ('atoms',)
        >>> PairLayout.infer(np.array([[5.1, 3.5, 1.4, 0.2]])) is None
        True
        """
        if feature_names is None:
            feature_names = getattr(X, "columns", None)
        if feature_names is not None and all(isinstance(n, str) for n in feature_names):
            return cls._from_names(list(feature_names))
        table = np.asarray(X)
        if table.ndim != 2 or table.dtype.kind not in "fiu" or len(table) == 0:
            return None
        probed = table[np.unique(np.linspace(0, len(table) - 1, _PROBED_ROWS).astype(int))]
        found = []
        for include, n_channels, size in _candidates(table.shape[1]):
            if not _scalars_fit(table, include):
                continue
            channels: tuple[int, ...] | None = ()
            if n_channels:
                images = probed[:, -n_channels * size**2 :].reshape(-1, n_channels, size**2)
                channels = _match_channels(images.astype(np.float64), size, "atoms" in include)
            if channels is not None:
                found.append(cls(include, channels, size))
        if len(found) > 1:
            raise ValueError(
                "several layouts of pair columns fit this table: "
                + "; ".join(map(repr, found))
                + '. Keep the column names, with set_output(transform="pandas") on the '
                "transformer."
            )
        return found[0] if found else None

    @classmethod
    def _from_names(cls, names: list[str]) -> PairLayout | None:
        include = [block for block, columns in _COLUMNS.items() if columns[0] in names]
        start = sum(len(_COLUMNS[block]) for block in include)
        channels: tuple[int, ...] = ()
        size = 0
        if len(names) > start:
            # "ch9_r31_c31" is the last pixel of a 32-pixel image.
            size = isqrt(len({name.partition("_")[2] for name in names[start:]}))
            labels = [name.partition("_")[0] for name in names[start :: size**2]]
            if size < MIN_IMAGE_SIZE or len(labels) > len(CHANNEL_NAMES):
                return None
            known = {f"ch{channel}": channel for channel in range(len(CHANNEL_NAMES))}
            channels = tuple(known.get(label, -1) for label in labels)
            if -1 in channels or list(channels) != sorted(set(channels)):
                return None
            include.append("image")
        if not include:
            return None
        layout = cls(tuple(include), channels, size)
        return layout if list(layout.feature_names) == names else None


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


def _candidates(width: int) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Blocks, number of channels and image size of all layouts of this width."""
    for count in range(len(_COLUMNS) + 1):
        for blocks in combinations(_COLUMNS, count):
            rest = width - sum(len(_COLUMNS[block]) for block in blocks)
            if rest == 0 and "atoms" in blocks:
                yield blocks, 0, 0
            for n_channels in range(1, len(CHANNEL_NAMES) + 1):
                size = isqrt(max(rest, 0) // n_channels)
                if size >= MIN_IMAGE_SIZE and n_channels * size**2 == rest:
                    yield (*blocks, "image"), n_channels, size


def _scalars_fit(table: NDArray, include: tuple[str, ...]) -> bool:
    """Whether the leading columns can be those of the included blocks."""
    ranges = [pair for block in include for pair in _RANGES.get(block, ())]
    for column, (low, high) in enumerate(ranges):
        values = table[:, column]
        if not ((values >= low) & (values <= high)).all():
            return False
    if "atoms" not in include:
        return True
    numbers = table[:, :2].astype(np.int64)
    rank = alphabetical_rank()[numbers]
    return bool((numbers == table[:, :2]).all() and (rank[:, 0] <= rank[:, 1]).all())


def _match_channels(
    images: NDArray[np.float64], size: int, may_be_empty: bool
) -> tuple[int, ...] | None:
    """Lowest increasing channel numbers whose templates span (n, C, S²) images."""
    norms = (images**2).sum(axis=-1)
    if not np.isfinite(norms).all() or not (may_be_empty or norms.any()):
        return None
    fits = np.empty((images.shape[1], len(CHANNEL_NAMES)), dtype=bool)
    for channel, (basis, _) in enumerate(orthonormal_templates(size)):
        outside = norms - ((images @ basis.T) ** 2).sum(axis=-1)
        fits[:, channel] = (outside <= _SPAN_TOLERANCE**2 * norms).all(axis=0)
    channels: list[int] = []
    for slot in fits:
        candidates = np.flatnonzero(slot[channels[-1] + 1 if channels else 0 :])
        if len(candidates) == 0:
            return None
        channels.append(int(candidates[0]) + (channels[-1] + 1 if channels else 0))
    return tuple(channels)

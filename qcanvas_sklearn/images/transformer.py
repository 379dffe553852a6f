"""`PairImageTransformer`: element pairs in, atom columns and images out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from ..elements import MAX_Z, symbols
from ..rendering import N_AMPLITUDES, check_image_size
from ..structures import CheckedPairs, PairData, validate_pairs
from ._drawing import Part, amplitudes_of, fill
from .layout import PairLayout, PairTable
from .sources import SOURCES, get_resolver

__all__ = ["BasePairTransformer", "PairImageTransformer"]

_MAX_NAMED = 20
class BasePairTransformer(TransformerMixin, BaseEstimator):
    """What transformers of element pairs share: input checks and column names.

    Subclasses give their columns' names by `_column_names`.
    """

    def _column_names(self) -> Sequence[str]:
        raise NotImplementedError

    def _check_pairs(self, X: Any, *, reset: bool) -> CheckedPairs:
        return validate_pairs(self, X, reset=reset)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns, which do not matter to the output's; checked
            against those seen in `fit`.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        seen = getattr(self, "feature_names_in_", None)
        if input_features is not None:
            given = list(np.asarray(input_features, dtype=object))
            if seen is not None and given != list(seen):
                raise ValueError(f"input_features {given} is not equal to {list(seen)}")
            if len(given) != self.n_features_in_:
                raise ValueError(
                    f"input_features has {len(given)} names, expected {self.n_features_in_}"
                )
        return np.array(self._column_names(), dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = True
        tags.transformer_tags.preserves_dtype = []
        return tags


class PairImageTransformer(BasePairTransformer):
    """Turn element pairs into atom columns and ten-channel images.

    The images are drawn from the electronic structure that `source` holds for a pair:
    orbital populations, charges and dipole. They are linear in at most sixteen numbers of
    the pair and hold no more than these; charges and the dipole moment can be read off
    channels 4 to 6, 8 and 9. The output is the same, to the last bit, for (A, B) and
    (B, A), and for a pair alone and among others.

    Parameters
    ----------
    source : {"bundled", "free-atom", "xtb"} or PairData, default="bundled"
        Where the electronic structure comes from:

        - ``"bundled"``: the table of :func:`~qcanvas_sklearn.datasets.load_pairs`.
        - ``"free-atom"``: populations of the isolated atoms, without charges and dipole,
          for all pairs up to Z = 103, at the sum of the covalent radii or at the
          distance (Å) in a third column ``distance_ang``.
        - ``"xtb"``: GFN1-xTB, computed where it is not cached (extra ``xtb``), for all
          pairs up to Z = 86, relaxed or at the distance (Å) in a third column. See
          :func:`~qcanvas_sklearn.datasets.compute_pairs`.
        - a PairData: its own pairs, the first row of each. Where it holds 32 x 32 images
          in place of orbital populations these are used as they are, and redrawn at other
          sizes.
    image_size : int, default=32
        Pixels a side, at least 4; also of the images whose means are asked for.
    channels : sequence of int or str, default=None
        Channels by number or by name
        (:data:`qcanvas_sklearn.images.CHANNEL_NAMES`), in increasing order in the output
        whatever the order here; None for all ten.
    include : sequence of {"atoms", "orbitals", "charges", "channel_means", "image"}, \
default=("atoms", "image")
        Blocks of columns, in this order in the output:

        - ``"atoms"``: atomic numbers, bond length (Å), electrons of each atom.
        - ``"orbitals"``: s, p, d and f shell populations and those of the m = 0
          orbitals of p, d and f, for each atom (e).
        - ``"charges"``: Mulliken charge of each atom (e), dipole moment (D).
        - ``"channel_means"``: the mean over the pixels of each channel, which needs no
          pixels: all that networks of graphs and scalars see of the images.
        - ``"image"``: the pixels.
    handle_unknown : {"error", "free-atom"}, default="error"
        What to do with pairs that the source does not know: raise, or describe them by
        free atoms, with a warning.
    dtype : {"float32", "float64"}, default="float32"
        Type of the output.

    Attributes
    ----------
    layout_ : PairLayout
        Which columns of the output hold what.
    channel_names_ : tuple of str
        Names of the image's channels.
    n_unknown_ : int
        Number of pairs seen in `fit` that the source does not know.
    n_features_in_ : int
        Number of input columns, 2 or 3.
    feature_names_in_ : ndarray of shape ``(n_features_in_,)``
        Names of the input columns, where `fit` saw a DataFrame with names.

    See Also
    --------
    PairDescriptorTransformer : Descriptors from the elements alone.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.

    Examples
    --------
    >>> from qcanvas_sklearn.images import PairImageTransformer
    >>> transformer = PairImageTransformer()
    >>> X = transformer.fit_transform([["Ag", "Al"], ["O", "H"]])
    >>> X.shape, X.dtype
    ((2, 10245), dtype('float32'))
    >>> transformer.unpack(X)["image"].shape
    (2, 10, 32, 32)
    >>> transformer.inverse_pairs(X).tolist()
    [['Ag', 'Al'], ['H', 'O']]
    """

    def __init__(
        self,
        source: str | PairData = "bundled",
        image_size: int = 32,
        channels: Sequence[int | str] | None = None,
        include: Sequence[str] = ("atoms", "image"),
        handle_unknown: str = "error",
        dtype: str = "float32",
    ) -> None:
        self.source = source
        self.image_size = image_size
        self.channels = channels
        self.include = include
        self.handle_unknown = handle_unknown
        self.dtype = dtype

    def fit(self, X: Any, y: Any = None) -> PairImageTransformer:
        """Check the parameters and the pairs; nothing is learnt.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, 2) or (n, 3)
            Element symbols; bond lengths in Å where `source` can use them. A DataFrame
            has columns ``element_1``, ``element_2`` and ``distance_ang``.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or an entry of `X` is invalid, or a pair unknown and
            ``handle_unknown="error"``.
        TypeError
            If an entry that should be a symbol is not a string.
        """
        self._fit(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> PairTable:
        """Fit and transform, looking the pairs up once.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, 2) or (n, 3)
            As in `fit`.
        y : ignored

        Returns
        -------
        PairTable of shape ``(n, layout_.n_columns)``
        """
        return self._draw(self._fit(X))

    def transform(self, X: Any) -> PairTable:
        """Draw the given pairs.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, 2) or (n, 3)
            As in `fit`.

        Returns
        -------
        PairTable of shape ``(n, layout_.n_columns)``
            Array that knows its layout. Columns as in ``layout_``, one row a pair, in the
            order of `X`.

        Raises
        ------
        ValueError
            As in `fit`; also if the source lacks a quantity that is asked for.
        """
        check_is_fitted(self)
        return self._draw(self._resolve(self._check_pairs(X, reset=False)))

    def draw(self, pairs: CheckedPairs) -> PairTable:
        """Draw pairs that have been checked already, as `transform` does.

        Parameters
        ----------
        pairs : CheckedPairs
            From :func:`~qcanvas_sklearn.structures.check_pairs`.

        Returns
        -------
        PairTable of shape ``(n, layout_.n_columns)``
        """
        return self._draw(self._resolve(pairs))

    def undrawn(self, pairs: CheckedPairs) -> dict[str, NDArray]:
        """What the columns of checked pairs are made of: amplitudes in place of pixels.

        Parameters
        ----------
        pairs : CheckedPairs
            From :func:`~qcanvas_sklearn.structures.check_pairs`.

        Returns
        -------
        dict of str to ndarray
            As :meth:`unpack` gives it, but with ``amplitudes`` (n, 16), float64, of which
            :func:`~qcanvas_sklearn.images.render` makes ``image``, in its place.
        """
        parts = self._resolve(pairs)
        _warn_of_unknown(parts)
        scalars = tuple(block for block in self.layout_.include if block != "image")
        blocks: dict[str, NDArray] = {}
        if scalars:
            layout = replace(self.layout_, include=scalars)
            blocks = layout.unpack(self._columns(parts, layout))
        if scalars != self.layout_.include:
            amplitudes = np.empty((len(pairs.z), N_AMPLITUDES))
            for part in parts:
                amplitudes[part.target] = amplitudes_of(part)
            blocks["amplitudes"] = amplitudes
        return blocks

    def unpack(self, X: Any) -> dict[str, NDArray]:
        """Named views of the output's columns, without copying.

        Parameters
        ----------
        X : array or DataFrame of shape ``(n, layout_.n_columns)``
            Output of `transform`, or a selection of its rows.

        Returns
        -------
        dict of str to ndarray
            As :meth:`PairLayout.unpack` gives them.
        """
        check_is_fitted(self)
        return self.layout_.unpack(X)

    def inverse_pairs(self, X: Any) -> NDArray[np.str_]:
        """Which pair each row is.

        Parameters
        ----------
        X : array or DataFrame of shape ``(n, layout_.n_columns)``
            Output of `transform`, or a selection of its rows.

        Returns
        -------
        ndarray of str, shape (n, 2)
            Element symbols in canonical order.

        Raises
        ------
        ValueError
            If the output has no atom columns, or these do not hold atomic numbers.
        """
        views = self.unpack(X)
        if "z" not in views:
            raise ValueError(
                f"the pairs are read off the 'atoms' block, which include={self.include!r} "
                "leaves out"
            )
        z = np.asarray(views["z"])
        if not (np.isin(z, np.arange(1, MAX_Z + 1))).all():
            raise ValueError(
                "columns z_a and z_b do not hold atomic numbers; were they scaled?"
            )
        return symbols(z.astype(np.int64))

    def _column_names(self) -> Sequence[str]:
        return self.layout_.feature_names

    def _fit(self, X: Any) -> list[Part]:
        for name, accepted in (
            ("handle_unknown", ("error", "free-atom")),
            ("dtype", ("float32", "float64")),
        ):
            value = getattr(self, name)
            if not isinstance(value, str) or value not in accepted:
                raise ValueError(f"{name} must be one of {list(accepted)}, got {value!r}")
        # PairLayout checks what it is given and brings it to its own types.
        layout = PairLayout(self.include, self.channels, self.image_size)  # type: ignore[arg-type]
        if "channel_means" in layout.include:
            check_image_size(self.image_size)
        parts = self._resolve(self._check_pairs(X, reset=True))
        self.layout_ = layout
        self.channel_names_ = layout.channel_names
        self.n_unknown_ = sum(len(part.target) for part in parts[1:])
        return parts

    def _resolve(self, checked: CheckedPairs) -> list[Part]:
        """The source's rows, and free atoms where it has none."""
        pairs, rows, distance = get_resolver(self.source)(*checked)
        known, unknown = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        if not len(unknown):
            return [Part(pairs, rows, known, distance)]
        if self.handle_unknown == "error":
            raise ValueError(
                f"{len(unknown)} of {len(rows)} pairs are not in the source: "
                f"{_names(checked.z[unknown])}. With handle_unknown='free-atom' they are "
                "described by free atoms."
            )
        lengths = None if checked.distance is None else checked.distance[unknown]
        free, own, lengths = SOURCES["free-atom"](checked.z[unknown], lengths)
        part = Part(pairs, rows[known], known, None if distance is None else distance[known])
        return [part, Part(free, own, unknown, lengths)]

    def _draw(self, parts: list[Part]) -> PairTable:
        _warn_of_unknown(parts)
        out = self._columns(parts, self.layout_)
        return self.layout_.label(out)

    def _columns(self, parts: list[Part], layout: PairLayout) -> NDArray:
        """The columns of a layout, as a plain array."""
        n = sum(len(part.target) for part in parts)
        out = np.empty((n, layout.n_columns), dtype=self.dtype)
        for part in parts:
            fill(out, layout, self.image_size, part)
        return out


def _warn_of_unknown(parts: Sequence[Part]) -> None:
    for free in parts[1:]:
        n = len(parts[0].target) + len(free.target)
        warnings.warn(
            f"{len(free.target)} of {n} pairs are not in the source and are "
            f"described by free atoms: {_names(free.pairs.z[free.rows])}",
            UserWarning,
            stacklevel=5,
        )


def _names(z: NDArray[np.int64]) -> str:
    """Names of pairs for a message, the first few of many."""
    _, first = np.unique(z @ [MAX_Z + 1, 1], return_index=True)
    shown = [f"{a}_{b}" for a, b in symbols(z[np.sort(first)[:_MAX_NAMED]])]
    more = len(first) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")

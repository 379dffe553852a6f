"""Transformers that take something away from the columns of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._validation import check_choice
from ..elements import alphabetical_rank, atomic_numbers
from ..images import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    PairLayout,
    recover_amplitudes,
)

__all__ = ["BlockSelector", "ElementAblation", "ImageAmplitudes", "SpatialShuffle"]

_ELEMENT_KINDS = ("shuffle", "mask", "random", "constant")


class _Ablation(TransformerMixin, BaseEstimator):
    """Read the layout in `fit`, change a copy of the table in `transform`.

    The output is a DataFrame: its names tell the steps behind what the columns are where
    their content no longer does.
    """

    _block: ClassVar[str | None] = None

    def fit(self, X: Any, y: Any = None) -> _Ablation:
        """Find out what the columns hold.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Output of a `PairImageTransformer`.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is invalid or `X` does not hold what is to be ablated.
        """
        table = validate_data(self, X, dtype=[np.float64, np.float32])
        layout = PairLayout.infer(X)
        if layout is None or (self._block is not None and self._block not in layout.include):
            holds = "other columns" if layout is None else list(layout.include)
            raise ValueError(
                f"{type(self).__name__} needs the output of a PairImageTransformer"
                f"{' with ' + repr(self._block) if self._block else ''}; X holds {holds}"
            )
        self._input = layout
        self._learn(table)
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """The table without what is taken away.

        Parameters
        ----------
        X : array-like of shape (n, p)
            As in `fit`.

        Returns
        -------
        DataFrame
            A copy, of the input's type and index.
        """
        check_is_fitted(self)
        index = getattr(X, "index", None)
        table = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        return pd.DataFrame(self._ablate(table), index=index, columns=self._column_names())

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        return np.array(self._column_names(), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_input")

    def _learn(self, table: NDArray) -> None:
        self.layout_ = self._input

    def _ablate(self, table: NDArray) -> NDArray:
        raise NotImplementedError

    def _column_names(self) -> Sequence[str]:
        return self.layout_.feature_names


class ElementAblation(_Ablation):
    """Take away which elements a pair is made of.

    The columns ``z_a`` and ``z_b`` are overwritten, in training rows and in others alike.
    Populations, bond length and image stay, and what they tell about the elements.

    Parameters
    ----------
    kind : {"shuffle", "mask", "random", "constant"}, default="shuffle"
        What stands in place of the elements:

        - ``"shuffle"``: those of another row; pairs are permuted over the rows passed.
        - ``"mask"``: 0, no element. Estimators that take atomic numbers from 1 on alone
          refuse it; ``"constant"`` tells a model as little.
        - ``"random"``: elements out of those seen in `fit`, all about equally often.
        - ``"constant"``: `element`, twice.
    element : str, default="C"
        The element of ``"constant"``.
    random_state : int, RandomState instance or None, default=None
        Draws what ``"shuffle"`` and ``"random"`` put in.

    Attributes
    ----------
    layout_ : PairLayout
        Which columns hold what.
    elements_ : ndarray of int64
        Atomic numbers seen in `fit`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    ablation_study : Train and evaluate with ablated inputs.

    Examples
    --------
    >>> from qcanvas_sklearn import PairImageTransformer
    >>> from qcanvas_sklearn.inspection import ElementAblation
    >>> table = PairImageTransformer(include=["atoms"]).fit_transform([["H", "O"]])
    >>> ElementAblation("constant", element="Ne").fit_transform(table)[["z_a", "z_b"]].values
    array([[10., 10.]], dtype=float32)
    """

    _block = "atoms"

    def __init__(
        self,
        kind: str = "shuffle",
        *,
        element: str = "C",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.kind = kind
        self.element = element
        self.random_state = random_state

    def _learn(self, table: NDArray) -> None:
        super()._learn(table)
        check_choice("kind", self.kind, _ELEMENT_KINDS)
        if not atomic_numbers([self.element]).all():
            raise ValueError(f"element={self.element!r} is not an element symbol such as 'C'")
        self.elements_ = np.unique(self.layout_.unpack(table)["z"]).astype(np.int64)

    def _ablate(self, table: NDArray) -> NDArray:
        table = table.copy()
        z = self.layout_.unpack(table)["z"]
        random = check_random_state(self.random_state)
        if self.kind == "shuffle":
            z[:] = z[random.permutation(len(z))]
        elif self.kind == "random":
            # Dealt, not drawn: as many rows as in fit then hold every element of theirs,
            # and a model meets none later on that it was not trained on.
            dealt = np.resize(random.permutation(self.elements_), z.shape)
            dealt = random.permutation(dealt.ravel()).reshape(z.shape)
            order = np.argsort(alphabetical_rank()[dealt], axis=1)
            z[:] = np.take_along_axis(dealt, order, axis=1)
        else:
            z[:] = 0 if self.kind == "mask" else atomic_numbers([self.element])[0]
        return table


class SpatialShuffle(_Ablation):
    """Take away where in the image a value stands.

    Every image keeps its values; all its channels are permuted alike, so that what they
    hold at one place stays together.

    Parameters
    ----------
    per_image : bool, default=False
        Draw a new permutation for every image. The default is one for all, drawn in
        `fit`: a model without a notion of neighbourhood learns from such images as well
        as from the true ones.
    random_state : int, RandomState instance or None, default=None
        Draws the permutations.

    Attributes
    ----------
    permutation_ : ndarray of int64, shape (image_size²,)
        Pixel, row by row, that comes to each place, unless every image has its own.
    layout_ : PairLayout
        Which columns hold what.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    ablation_study : Train and evaluate with ablated inputs.

    Examples
    --------
    >>> import numpy as np
    >>> from qcanvas_sklearn import PairImageTransformer
    >>> from qcanvas_sklearn.inspection import SpatialShuffle
    >>> table = PairImageTransformer(include=["image"]).fit_transform([["H", "O"]])
    >>> shuffled = SpatialShuffle(random_state=0).fit_transform(table).to_numpy()
    >>> np.array_equal(shuffled, table), np.array_equal(np.sort(shuffled), np.sort(table))
    (False, True)
    """

    _block = "image"

    def __init__(
        self,
        *,
        per_image: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.per_image = per_image
        self.random_state = random_state

    def _learn(self, table: NDArray) -> None:
        super()._learn(table)
        n_pixels = self.layout_.image_size**2
        self.permutation_ = check_random_state(self.random_state).permutation(n_pixels)

    def _ablate(self, table: NDArray) -> NDArray:
        table = table.copy()
        image = self.layout_.unpack(table)["image"]
        pixels = image.reshape(*image.shape[:2], -1)
        if self.per_image:
            shape = (len(pixels), pixels.shape[-1])
            draws = check_random_state(self.random_state).random_sample(shape)
            order = np.argsort(draws, axis=1)[:, None, :]
        else:
            order = self.permutation_[None, None, :]
        image[:] = np.take_along_axis(pixels, order, axis=2).reshape(image.shape)
        return table


class BlockSelector(_Ablation):
    """Keep some blocks of columns.

    Parameters
    ----------
    include : sequence of {"atoms", "orbitals", "charges", "channel_means", "image"}, \
default=("atoms",)
        Blocks to keep.

    Attributes
    ----------
    layout_ : PairLayout
        Which columns of the output hold what.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    PairImageTransformer : Has the same parameter, for what is drawn in the first place.

    Examples
    --------
    >>> from qcanvas_sklearn import PairImageTransformer
    >>> from qcanvas_sklearn.inspection import BlockSelector
    >>> table = PairImageTransformer().fit_transform([["H", "O"]])
    >>> BlockSelector(["atoms"]).fit_transform(table).columns.tolist()
    ['z_a', 'z_b', 'distance_ang', 'population_a', 'population_b']
    """

    def __init__(self, include: Sequence[str] = ("atoms",)) -> None:
        self.include = include

    def _learn(self, table: NDArray) -> None:
        given = self._input
        self.layout_ = PairLayout(  # checks the blocks
            self.include,  # type: ignore[arg-type]
            given.channels or None,  # type: ignore[arg-type]
            given.image_size or 32,
        )
        absent = [block for block in self.layout_.include if block not in given.include]
        if absent:
            raise ValueError(f"X holds {list(given.include)}, not {absent}")

    def _ablate(self, table: NDArray) -> NDArray:
        columns = self._input.slices
        return np.hstack([table[:, columns[block]] for block in self.layout_.include])


class ImageAmplitudes(_Ablation):
    """Put the sixteen numbers behind the ten channels in place of the pixels.

    They hold all that the image holds. Networks of this package take them for further
    scalars of the pair.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Names of the columns, where X had them.

    See Also
    --------
    qcanvas_sklearn.images.recover_amplitudes : The least-squares fit behind it.

    Examples
    --------
    >>> from qcanvas_sklearn import PairImageTransformer
    >>> from qcanvas_sklearn.inspection import ImageAmplitudes
    >>> table = PairImageTransformer().fit_transform([["H", "O"]])
    >>> ImageAmplitudes().fit_transform(table).shape
    (1, 21)
    """

    _block = "image"

    def _learn(self, table: NDArray) -> None:
        if self._input.channel_names != CHANNEL_NAMES:
            raise ValueError(
                "the amplitudes are read off all ten channels; X holds "
                f"{list(self._input.channel_names)}"
            )

    def _ablate(self, table: NDArray) -> NDArray:
        amplitudes = recover_amplitudes(self._input.unpack(table)["image"])
        scalars = table[:, : self._input.slices["image"].start]
        return np.hstack([scalars, amplitudes.astype(table.dtype)])

    def _column_names(self) -> Sequence[str]:
        names = list(self._input.feature_names[: self._input.slices["image"].start])
        for name, columns in zip(CHANNEL_NAMES, AMPLITUDES_OF_CHANNEL, strict=True):
            one = columns.stop - columns.start == 1
            names += [name] if one else [f"{name}_a", f"{name}_b"]
        return names

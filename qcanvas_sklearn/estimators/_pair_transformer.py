"""PairTransformer: attention between the scalars of a pair."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_transformer import PairTransformer
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["PairTransformerClassifier", "PairTransformerRegressor"]


@dataclass(eq=False, repr=False)
class PairTransformerFamily(NetEstimator):
    """Transformer on the scalars ("amplitudes") behind the images.

    Tokens are the pair (symmetric functions of its atoms, bond length), the two atoms
    (element, its descriptors, populations less those of the free atom), each amplitude of
    the atoms (electrons, populations of a shell or of the orbitals along the bond, on
    both atoms), and each scalar of the pair (bond length, the mean of each channel where
    a table has an image). Outputs are read from the tokens of the pair and the atoms
    behind a pre-norm transformer encoder, and have a term that is linear in the scalars
    besides.

    Parameters
    ----------
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    PairMLP{kind} : Symmetric pooling and a residual network on the same scalars.
    ViT{kind} : Attention between patches of the image.

    Notes
    -----
    {shared_notes}

    Element pairs are read with the blocks "atoms" and "orbitals" of the transformer and
    without images. The scalars of a wide table share tokens, so that there are at most
    16 of them.

    References
    ----------
    .. [1] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [2] Y. Gorishniy, I. Rubachev, V. Khrulkov, A. Babenko, Revisiting Deep Learning
       Models for Tabular Data, NeurIPS 2021, section 3.3, arXiv:2106.11959 (tokens of
       scalars).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairTransformer
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair"),
        blocks=("atoms", "orbitals"),
        relative_populations=True,
        descriptors=True,
    )

    n_hidden: int = 96
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.0
    _: KW_ONLY
    lr: float = 2e-3
    loss: str = "absolute_error"


@document
@dataclass(eq=False, repr=False)
class PairTransformerRegressor(NetRegressor, PairTransformerFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class PairTransformerClassifier(NetClassifier, PairTransformerFamily):
    pass

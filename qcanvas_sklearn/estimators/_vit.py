"""Vision transformer on the ten channels."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.vit import PairViT
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["ViTClassifier", "ViTRegressor"]


@dataclass(eq=False, repr=False)
class ViTFamily(NetEstimator):
    """Vision transformer on ten channels, with tokens for the two atoms.

    The image is cut into patches, each a token with a learned position. Two tokens carry
    the atoms (element, its descriptors, populations less those of the free atom), and one
    the pair: symmetric functions of the atoms, the bond length and other scalars. A
    pre-norm transformer encoder follows; outputs are read from the pair and the atoms,
    and have a term that is linear in the scalars besides.

    Parameters
    ----------
    patch_size : int, default=8
        Pixels a side of a patch. Images that it does not divide are filled up with
        zeros.
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
    QuantumShellNet{kind} : Convolutions on the ten channels.
    PairTransformer{kind} : Attention between the scalars behind the images.

    Notes
    -----
    {shared_notes}

    A table without an image leaves the tokens of the pair and the atoms.

    References
    ----------
    .. [1] A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
       Recognition at Scale, ICLR 2021, equations 1 to 4, arXiv:2010.11929.
    .. [2] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, equation 1,
       arXiv:1706.03762.
    .. [3] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairViT
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair", "image"), relative_populations=True, descriptors=True,
    )  # fmt: skip

    patch_size: int = 8
    n_hidden: int = 96
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.0
    _: KW_ONLY
    max_epochs: int = 60
    lr: float = 2e-3
    loss: str = "absolute_error"


@document
@dataclass(eq=False, repr=False)
class ViTRegressor(NetRegressor, ViTFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class ViTClassifier(NetClassifier, ViTFamily):
    pass

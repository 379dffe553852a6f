"""PairMLP: a residual network on the scalars of a pair."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_mlp import PairMLP
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["PairMLPClassifier", "PairMLPRegressor"]


@dataclass(eq=False, repr=False)
class PairMLPFamily(NetEstimator):
    """Residual network on the scalars ("amplitudes") behind the images.

    Each atom is described by its element (learned features and tabulated descriptors) and
    its populations, less those of the free atom. Both atoms meet in symmetric functions
    (sum, product, absolute and squared difference); these, the products of their
    descriptors, the scalars of the pair and Gaussians of the bond length enter a residual
    network. Every output also has a term of each atom, linear in its scalars with
    coefficients of its element.

    Parameters
    ----------
    n_hidden : int, default=256
        Width of the residual network; the atoms have half as many features.
    n_blocks : int, default=2
        Residual blocks.
    dropout : float, default=0.0
        Dropout in the residual blocks.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    PairTransformer{kind} : Attention between the same scalars.
    GATv2{kind} : Graph attention on the two-atom graph.

    Notes
    -----
    {shared_notes}

    Element pairs are read with the blocks "atoms" and "orbitals" of the transformer and
    without images. Of a table's image the mean of each channel is seen.

    References
    ----------
    .. [1] M. Zaheer et al., Deep Sets, NeurIPS 2017, theorem 2, arXiv:1703.06114
       (symmetric pooling).
    .. [2] K. He, X. Zhang, S. Ren, J. Sun, Identity Mappings in Deep Residual Networks,
       ECCV 2016, arXiv:1603.05027 (pre-norm residual blocks).
    .. [3] K. T. Schütt et al., SchNet, NeurIPS 2017, arXiv:1706.08566 (Gaussians of the
       bond length).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairMLP
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair", "vector"),
        blocks=("atoms", "orbitals"),
        relative_populations=True,
        descriptors=True,
    )

    n_hidden: int = 256
    n_blocks: int = 2
    dropout: float = 0.0
    _: KW_ONLY
    lr: float = 6e-3
    loss: str = "absolute_error"


@document
@dataclass(eq=False, repr=False)
class PairMLPRegressor(NetRegressor, PairMLPFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class PairMLPClassifier(NetClassifier, PairMLPFamily):
    pass

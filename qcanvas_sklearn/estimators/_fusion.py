"""Fusion: a graph network and an image network in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from .._validation import check_choice
from ..inputs import InputSpec
from ..nn.heads.fusion import FUSIONS, GRAPHS, IMAGES, PairFusion
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["FusionClassifier", "FusionRegressor"]


@dataclass(eq=False, repr=False)
class FusionFamily(NetEstimator):
    """Graph network and image network of a pair, fused before one read-out.

    One branch passes messages on the two-atom graph, the other looks at the ten channels.
    Each is the network of one of the other estimators up to its read-out, and both see the
    elements, the populations and the bond length.

    Parameters
    ----------
    graph : {"schnet", "gatv2", "egnn", "dimenet", "faenet", "gotennet"}, default="schnet"
        Network on the graph, as in `SchNet{kind}` and its kin.
    image : {"cnn", "vit"}, default="cnn"
        Network on the image, as in `QuantumShellNet{kind}` or `ViT{kind}`.
    fusion : {"late", "film", "cross_attention", "gated"}, default="late"
        How they meet. "late" lays the features of both side by side; with
        "cross_attention" the atoms query positions of the feature maps (or patches)
        before that; with "film" the features of the image scale and shift those of the
        atoms; with "gated" a gate for each feature mixes projections of both.
    n_hidden : int, default=128
        Features of an atom, and width of the image branch and the read-out.
    n_layers : int, default=2
        Layers of the graph network, blocks of the vision transformer.
    n_heads : int, default=4
        Heads wherever there is attention; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the read-out, the cross-attention and the vision transformer.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    SchNet{kind} : The default graph branch alone, with mean-pooled channels.
    QuantumShellNet{kind} : The default image branch alone.
    ViT{kind} : The other image branch alone.

    Notes
    -----
    {shared_notes}

    A table without an image leaves the graph branch and the scalars alone; `image` and
    `fusion` are then of no effect.

    References
    ----------
    .. [1] E. Perez, F. Strub, H. de Vries, V. Dumoulin, A. Courville, FiLM: Visual
       Reasoning with a General Conditioning Layer, AAAI 2018, arXiv:1709.07871.
    .. [2] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762
       (multi-head attention).
    .. [3] J. Arevalo, T. Solorio, M. Montes-y-Gómez, F. A. González, Gated Multimodal Units
       for Information Fusion, 2017, arXiv:1702.01992.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(fusion="gated", n_hidden=16, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairFusion
    _spec: ClassVar[InputSpec] = InputSpec(
        ("z", "atom", "pair", "vector", "image"), descriptors=True,
    )  # fmt: skip

    graph: str = "schnet"
    image: str = "cnn"
    fusion: str = "late"
    n_hidden: int = 128
    n_layers: int = 2
    n_heads: int = 4
    dropout: float = 0.0

    def _check_parameters(self) -> None:
        for name, table in (("graph", GRAPHS), ("image", IMAGES), ("fusion", FUSIONS)):
            check_choice(name, getattr(self, name), list(table))
        super()._check_parameters()


@document
@dataclass(eq=False, repr=False)
class FusionRegressor(NetRegressor, FusionFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class FusionClassifier(NetClassifier, FusionFamily):
    pass

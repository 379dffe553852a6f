"""GATv2: graph attention on the two-atom graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads import PairGATv2
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["GATv2Classifier", "GATv2Regressor"]


@dataclass(eq=False, repr=False)
class GATv2Family(NetEstimator):
    """Graph attention network (GATv2) on the two-atom graph of a pair.

    Nodes carry a one-hot element and the electron population; the edge carries the ten
    mean-pooled image channels, the bond length and the bond vector (14 features).
    Messages are passed on dense pairs.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of attention layers.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    dropout : float, default=0.0
        Dropout in the read-out.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    QuantumShellNet{kind} : Convolutions on the ten channels.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, How Attentive are Graph Attention Networks?,
       ICLR 2022, equation 7, arXiv:2105.14491.
    .. [2] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the two-atom graph).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairGATv2
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 128
    n_layers: int = 3
    n_heads: int = 4
    dropout: float = 0.0


@document
@dataclass(eq=False, repr=False)
class GATv2Regressor(NetRegressor, GATv2Family):
    pass


@document
@dataclass(eq=False, repr=False)
class GATv2Classifier(NetClassifier, GATv2Family):
    pass

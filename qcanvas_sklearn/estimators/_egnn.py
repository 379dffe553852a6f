"""EGNN: equivariant message passing on the two-atom graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_graph import PairEGNN
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["EGNNClassifier", "EGNNRegressor"]


@dataclass(eq=False, repr=False)
class EGNNFamily(NetEstimator):
    """Equivariant graph network (EGNN) on the two-atom graph of a pair.

    Messages see both atoms, the squared distance and the pair's scalars (the ten
    mean-pooled image channels, the bond length); they update the features of the atoms and
    move their positions along the bond. Nodes carry a one-hot element and the electron
    population.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=3
        Number of layers; all but the last move the atoms.
    dropout : float, default=0.0
        Dropout in the read-out.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    GATv2{kind} : Graph attention on the same graph.
    SchNet{kind} : Convolutions with filters of the distance.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] V. G. Satorras, E. Hoogeboom, M. Welling, E(n) Equivariant Graph Neural
       Networks, ICML 2021, arXiv:2102.09844.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairEGNN
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 128
    n_layers: int = 3
    dropout: float = 0.0


@document
@dataclass(eq=False, repr=False)
class EGNNRegressor(NetRegressor, EGNNFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class EGNNClassifier(NetClassifier, EGNNFamily):
    pass

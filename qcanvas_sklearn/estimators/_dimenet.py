"""DimeNet++: message passing on the directed edges of the two-atom graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_graph import PairDimeNet
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["DimeNetClassifier", "DimeNetRegressor"]


@dataclass(eq=False, repr=False)
class DimeNetFamily(NetEstimator):
    """Directional message passing (DimeNet++) on the two-atom graph of a pair.

    Messages live on the two directed edges and start from both atoms, the bond length in
    radial waves, and the pair's scalars (the ten mean-pooled image channels). Two atoms
    have no angle: the sum over triplets, by which the architecture sees directions, is
    empty for a pair, and its weights are left out.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and of a message.
    n_layers : int, default=1
        Number of interaction blocks. Without triplets they exchange nothing between edges,
        and more of them only add depth.
    n_radial : int, default=8
        Radial waves in which the bond length is expanded.
    cutoff : float, default=8.0
        Distance at which interactions end, Å.
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
    .. [1] J. Gasteiger, S. Giri, J. T. Margraf, S. Günnemann, Fast and Uncertainty-Aware
       Directional Message Passing for Non-Equilibrium Molecules, 2020, arXiv:2011.14115.
    .. [2] J. Gasteiger, J. Groß, S. Günnemann, Directional Message Passing for Molecular
       Graphs, ICLR 2020, arXiv:2003.03123.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairDimeNet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 128
    n_layers: int = 1
    n_radial: int = 8
    cutoff: float = 8.0
    dropout: float = 0.0


@document
@dataclass(eq=False, repr=False)
class DimeNetRegressor(NetRegressor, DimeNetFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class DimeNetClassifier(NetClassifier, DimeNetFamily):
    pass

"""GotenNet: geometry-aware tensor attention on the two-atom graph."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_graph import PairGotenNet
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["GotenNetClassifier", "GotenNetRegressor"]


@dataclass(eq=False, repr=False)
class GotenNetFamily(NetEstimator):
    """Geometry-aware tensor attention (GotenNet) on the two-atom graph of a pair.

    Atoms carry scalars and features that turn with the bond as spherical harmonics do.
    Each attends to itself and to the other, through filters that are drawn from the bond
    length, expanded in Gaussians, and from the pair's scalars (the ten mean-pooled image
    channels); inner products of the atoms' features refine the filters from layer to
    layer. Nodes carry a one-hot element and the electron population. All directions in a
    pair are those of the bond: higher degrees add channels, but no angles.

    Parameters
    ----------
    n_hidden : int, default=80
        Features of a node and of an edge, and channels of each degree.
    n_layers : int, default=2
        Number of layers.
    n_heads : int, default=4
        Attention heads; must divide `n_hidden`.
    n_degrees : int, default=2
        Highest degree of the features that turn with the bond, 1 to 6.
    n_radial : int, default=32
        Gaussians in which the bond length is expanded.
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
    GATv2{kind} : Attention with scalars alone on the same graph.
    SchNet{kind} : Convolutions with filters of the distance.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] S. Aykent, T. Xia, GotenNet: Rethinking Efficient 3D Equivariant Graph Neural
       Networks, ICLR 2025, https://openreview.net/forum?id=5wxCQDtbMo.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairGotenNet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 80
    n_layers: int = 2
    n_heads: int = 4
    n_degrees: int = 2
    n_radial: int = 32
    cutoff: float = 8.0
    dropout: float = 0.0
    _: KW_ONLY
    lr: float = 1e-3


@document
@dataclass(eq=False, repr=False)
class GotenNetRegressor(NetRegressor, GotenNetFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class GotenNetClassifier(NetClassifier, GotenNetFamily):
    pass

"""FAENet: frame-averaged message passing on the two-atom graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_graph import PairFAENet
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["FAENetClassifier", "FAENetRegressor"]


@dataclass(eq=False, repr=False)
class FAENetFamily(NetEstimator):
    """Frame-averaged graph network (FAENet) on the two-atom graph of a pair.

    Messages see both atoms, the components of the bond vector, its length in Gaussians, and
    the pair's scalars (the ten mean-pooled image channels). The atoms' features are
    averaged over the two frames of the bond, which makes them exactly invariant under
    rotation. Nodes carry a one-hot element and the electron population.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node.
    n_layers : int, default=3
        Number of interaction blocks.
    n_radial : int, default=32
        Gaussians in which the bond length is expanded.
    cutoff : float, default=8.0
        Centre of the last Gaussian, Å.
    dropout : float, default=0.0
        Dropout in the read-out.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    GATv2{kind} : Graph attention on the same graph.
    EGNN{kind} : Equivariant by construction.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] A. A. Duval et al., FAENet: Frame Averaging Equivariant GNN for Materials
       Modeling, ICML 2023, arXiv:2305.05577.
    .. [2] O. Puny et al., Frame Averaging for Invariant and Equivariant Network Design,
       ICLR 2022, arXiv:2110.03336.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairFAENet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 128
    n_layers: int = 3
    n_radial: int = 32
    cutoff: float = 8.0
    dropout: float = 0.0


@document
@dataclass(eq=False, repr=False)
class FAENetRegressor(NetRegressor, FAENetFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class FAENetClassifier(NetClassifier, FAENetFamily):
    pass

"""SchNet: continuous-filter convolutions on the two-atom graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads.pair_graph import PairSchNet
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["SchNetClassifier", "SchNetRegressor"]


@dataclass(eq=False, repr=False)
class SchNetFamily(NetEstimator):
    """Continuous-filter convolutions (SchNet) on the two-atom graph of a pair.

    Messages between the atoms are multiplied by filters that a small network draws from
    the bond length, expanded in Gaussians, and the pair's scalars (the ten mean-pooled
    image channels). Nodes carry a one-hot element and the electron population.

    Parameters
    ----------
    n_hidden : int, default=128
        Features of a node and channels of a filter.
    n_layers : int, default=3
        Number of interaction blocks.
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
    GATv2{kind} : Graph attention on the same graph.
    EGNN{kind} : Messages that also move the atoms.

    Notes
    -----
    {shared_notes}

    References
    ----------
    .. [1] K. T. Schütt et al., SchNet: A continuous-filter convolutional neural network
       for modeling quantum interactions, NeurIPS 2017, arXiv:1706.08566.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = PairSchNet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "vector"))

    n_hidden: int = 128
    n_layers: int = 3
    n_radial: int = 32
    cutoff: float = 8.0
    dropout: float = 0.0


@document
@dataclass(eq=False, repr=False)
class SchNetRegressor(NetRegressor, SchNetFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class SchNetClassifier(NetClassifier, SchNetFamily):
    pass

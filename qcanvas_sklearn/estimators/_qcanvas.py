"""QCanvas: the estimator to reach for first."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from ._classifier import NetClassifier
from ._docs import document
from ._pair_mlp import PairMLPFamily
from ._regressor import NetRegressor

__all__ = ["QCanvasClassifier", "QCanvasRegressor"]


@dataclass(eq=False, repr=False)
class QCanvasFamily(PairMLPFamily):
    """Deep ensemble on the scalars behind the images: the one to reach for first.

    An ensemble of the networks of :class:`PairMLP{kind}` with the settings that were best
    over all 18 targets in one fit. It is the most accurate model of this package on the
    bundled pairs, takes minutes on two cores, and says how sure it is.

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
    PairMLP{kind} : A single one of its networks.
    GATv2{kind} : Graph attention on the two-atom graph.

    Notes
    -----
    {shared_notes}

    Element pairs are read with the blocks "atoms" and "orbitals" of the transformer and
    without images: the populations and the bond length are those of the calculated pair.

    References
    ----------
    .. [1] M. Zaheer et al., Deep Sets, NeurIPS 2017, theorem 2, arXiv:1703.06114
       (symmetric pooling).
    .. [2] B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and Scalable Predictive
       Uncertainty Estimation using Deep Ensembles, NeurIPS 2017, arXiv:1612.01474.

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_hidden=16, n_members=2, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:200], y[:200]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _: KW_ONLY
    max_epochs: int = 200
    weight_decay: float = 0.05
    n_members: int = 5
    validation_fraction: float = 0.05


@document
@dataclass(eq=False, repr=False)
class QCanvasRegressor(NetRegressor, QCanvasFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class QCanvasClassifier(NetClassifier, QCanvasFamily):
    pass

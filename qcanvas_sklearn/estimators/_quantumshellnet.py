"""QuantumShellNet: convolutions on the ten channels."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from torch import nn

from ..inputs import InputSpec
from ..nn.heads import QuantumShellNet
from ._base import NetEstimator
from ._classifier import NetClassifier
from ._docs import document
from ._regressor import NetRegressor

__all__ = ["QuantumShellNetClassifier", "QuantumShellNetRegressor"]


@dataclass(eq=False, repr=False)
class QuantumShellNetFamily(NetEstimator):
    """Convolutional network on ten channels, beside an embedding of the two atoms.

    Residual stages of convolution, each halving the resolution, then mean and maximum of
    every feature map and of every channel of the image itself; the atoms enter by a
    one-hot element and the electron population, the pair by its bond length.

    Parameters
    ----------
    n_filters : int, default=16
        Feature maps of the first stage, a multiple of 8; each further one has twice as
        many.
    n_stages : int, default=3
        Stages of convolution.
    n_hidden : int, default=128
        Width of the atom branch and of the head.
    dropout : float, default=0.0
        Dropout in the head.
    {shared_parameters}

    Attributes
    ----------
    {shared_attributes}

    See Also
    --------
    GATv2{kind} : Graph attention on the two-atom graph.

    Notes
    -----
    {shared_notes}

    A table without an image leaves the atom branch and the scalars alone.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels).
    .. [2] K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition,
       CVPR 2016, arXiv:1512.03385 (residual stages).

    Examples
    --------
    {>>>} from qcanvas_sklearn import {name}, load_pairs
    {>>>} X, y = load_pairs(target="{target}", return_X_y=True)
    {>>>} model = {name}(n_filters=8, max_epochs=2, random_state=0)
    {>>>} model.fit(X[:64], y[:64]).predict([["Al", "Ag"]]).shape
    (1,)
    """

    _network: ClassVar[type[nn.Module]] = QuantumShellNet
    _spec: ClassVar[InputSpec] = InputSpec(("z", "atom", "pair", "image"))

    n_filters: int = 16
    n_stages: int = 3
    n_hidden: int = 128
    dropout: float = 0.0
    _: KW_ONLY
    max_epochs: int = 60


@document
@dataclass(eq=False, repr=False)
class QuantumShellNetRegressor(NetRegressor, QuantumShellNetFamily):
    pass


@document
@dataclass(eq=False, repr=False)
class QuantumShellNetClassifier(NetClassifier, QuantumShellNetFamily):
    pass

"""scikit-learn estimators around the networks."""

from ._dimenet import DimeNetRegressor
from ._egnn import EGNNRegressor
from ._faenet import FAENetRegressor
from ._gatv2 import GATv2Regressor
from ._pair_mlp import PairMLPRegressor
from ._pair_transformer import PairTransformerRegressor
from ._quantumshellnet import QuantumShellNetRegressor
from ._schnet import SchNetRegressor
from ._vit import ViTRegressor

__all__ = [
    "DimeNetRegressor",
    "EGNNRegressor",
    "FAENetRegressor",
    "GATv2Regressor",
    "PairMLPRegressor",
    "PairTransformerRegressor",
    "QuantumShellNetRegressor",
    "SchNetRegressor",
    "ViTRegressor",
]

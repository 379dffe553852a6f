"""scikit-learn estimators around the networks."""

from ._composition import CompositionRegressor
from ._dimenet import DimeNetClassifier, DimeNetRegressor
from ._egnn import EGNNClassifier, EGNNRegressor
from ._faenet import FAENetClassifier, FAENetRegressor
from ._fusion import FusionClassifier, FusionRegressor
from ._gatv2 import GATv2Classifier, GATv2Regressor
from ._gotennet import GotenNetClassifier, GotenNetRegressor
from ._hamiltonian import HamiltonianRegressor
from ._pair_mlp import PairMLPClassifier, PairMLPRegressor
from ._pair_transformer import PairTransformerClassifier, PairTransformerRegressor
from ._qcanvas import QCanvasClassifier
from ._qcanvas_regressor import QCanvasRegressor
from ._quantumshellnet import QuantumShellNetClassifier, QuantumShellNetRegressor
from ._schnet import SchNetClassifier, SchNetRegressor
from ._tight_binding import TightBindingRegressor
from ._vit import ViTClassifier, ViTRegressor

__all__ = [
    "CompositionRegressor",
    "DimeNetClassifier",
    "DimeNetRegressor",
    "EGNNClassifier",
    "EGNNRegressor",
    "FAENetClassifier",
    "FAENetRegressor",
    "FusionClassifier",
    "FusionRegressor",
    "GATv2Classifier",
    "GATv2Regressor",
    "GotenNetClassifier",
    "GotenNetRegressor",
    "HamiltonianRegressor",
    "PairMLPClassifier",
    "PairMLPRegressor",
    "PairTransformerClassifier",
    "PairTransformerRegressor",
    "QCanvasClassifier",
    "QCanvasRegressor",
    "QuantumShellNetClassifier",
    "QuantumShellNetRegressor",
    "SchNetClassifier",
    "SchNetRegressor",
    "TightBindingRegressor",
    "ViTClassifier",
    "ViTRegressor",
]

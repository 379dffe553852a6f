"""Pure torch modules: one file an architecture; nothing here knows scikit-learn."""

from .dimenet import DimeNetPlusPlus, PairDimeNet
from .egnn import EGNN, PairEGNN
from .ensemble import Ensemble
from .faenet import FAENet, PairFAENet
from .fusion import PairFusion
from .gatv2 import DenseGATv2Conv, PairGATv2
from .gotennet import GotenNet, PairGotenNet
from .pair_mlp import PairMLP
from .pair_transformer import PairTransformer
from .quantumshellnet import QuantumShellNet
from .schnet import PairSchNet, SchNet
from .symmetry import SwapSymmetric
from .vit import PairViT

__all__ = [
    "DenseGATv2Conv",
    "DimeNetPlusPlus",
    "EGNN",
    "Ensemble",
    "FAENet",
    "GotenNet",
    "PairDimeNet",
    "PairEGNN",
    "PairFAENet",
    "PairFusion",
    "PairGATv2",
    "PairGotenNet",
    "PairMLP",
    "PairSchNet",
    "PairTransformer",
    "PairViT",
    "QuantumShellNet",
    "SchNet",
    "SwapSymmetric",
]

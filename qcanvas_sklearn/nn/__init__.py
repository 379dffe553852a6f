"""Pure torch modules: one file an architecture; nothing here knows scikit-learn."""

from .dimenet import DimeNetPlusPlus, PairDimeNet
from .egnn import EGNN, PairEGNN
from .faenet import FAENet, PairFAENet
from .gatv2 import DenseGATv2Conv, PairGATv2
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
    "FAENet",
    "PairDimeNet",
    "PairEGNN",
    "PairFAENet",
    "PairGATv2",
    "PairMLP",
    "PairSchNet",
    "PairTransformer",
    "PairViT",
    "QuantumShellNet",
    "SchNet",
    "SwapSymmetric",
]

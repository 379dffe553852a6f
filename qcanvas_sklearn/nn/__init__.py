"""Pure torch modules; nothing here knows scikit-learn.

Cores pass messages on graphs of any size; heads make targets of features.
"""

from .cores import EGNN, DenseGATv2Conv, DimeNetPlusPlus, FAENet, GotenNet, SchNet
from .ensemble import Ensemble
from .heads import (
    PairDimeNet,
    PairEGNN,
    PairFAENet,
    PairFusion,
    PairGATv2,
    PairGotenNet,
    PairMLP,
    PairSchNet,
    PairTransformer,
    PairViT,
    QuantumShellNet,
)
from .symmetry import SwapSymmetric

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

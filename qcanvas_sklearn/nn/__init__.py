"""Pure torch modules; nothing here knows scikit-learn.

Cores pass messages on graphs of any size; heads make targets of features.
"""

from .cores import (
    EGNN,
    DenseGATv2Conv,
    DimeNetPlusPlus,
    FAENet,
    GATv2,
    GotenNet,
    PaiNN,
    SchNet,
)
from .ensemble import Ensemble
from .forces import EnergyForces
from .heads import (
    HamiltonianGotenNet,
    HamiltonianNetwork,
    HamiltonianPaiNN,
    MoleculeDimeNet,
    MoleculeEGNN,
    MoleculeFAENet,
    MoleculeGATv2,
    MoleculeGotenNet,
    MoleculeNetwork,
    MoleculeSchNet,
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
    "EnergyForces",
    "Ensemble",
    "FAENet",
    "GATv2",
    "GotenNet",
    "HamiltonianGotenNet",
    "HamiltonianNetwork",
    "HamiltonianPaiNN",
    "MoleculeDimeNet",
    "MoleculeEGNN",
    "MoleculeFAENet",
    "MoleculeGATv2",
    "MoleculeGotenNet",
    "MoleculeNetwork",
    "MoleculeSchNet",
    "PaiNN",
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

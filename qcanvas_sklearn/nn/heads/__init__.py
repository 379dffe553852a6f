"""What makes targets of features: networks of a pair of atoms, and of molecules."""

from ._molecule_readout import READOUTS
from .fusion import PairFusion
from .gatv2 import PairGATv2
from .hamiltonian import HamiltonianGotenNet, HamiltonianNetwork, HamiltonianPaiNN
from .molecule_graph import (
    MoleculeDimeNet,
    MoleculeEGNN,
    MoleculeFAENet,
    MoleculeGATv2,
    MoleculeGotenNet,
    MoleculeNetwork,
    MoleculeSchNet,
)
from .pair_graph import PairDimeNet, PairEGNN, PairFAENet, PairGotenNet, PairSchNet
from .pair_mlp import PairMLP
from .pair_transformer import PairTransformer
from .quantumshellnet import QuantumShellNet
from .vit import PairViT

__all__ = [
    "READOUTS",
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
]

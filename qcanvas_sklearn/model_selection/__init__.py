"""Cross-validation splitters that know what a pair, a molecule and an element is."""

from ._gap import generalization_gap
from ._molecules import CrysMTMSplit, MD17Split, MoleculeKFold, MoleculeSizeSplit
from ._shift import (
    BondLengthSplit,
    ElectronegativitySplit,
    PairTypeSplit,
    PeriodDifferenceSplit,
    PeriodSplit,
)
from ._splitters import (
    ElementGroupKFold,
    ElementPairKFold,
    LeaveElementGroupOut,
    LeaveElementOut,
)

__all__ = [
    "BondLengthSplit",
    "CrysMTMSplit",
    "ElectronegativitySplit",
    "ElementGroupKFold",
    "ElementPairKFold",
    "LeaveElementGroupOut",
    "LeaveElementOut",
    "MD17Split",
    "MoleculeKFold",
    "MoleculeSizeSplit",
    "PairTypeSplit",
    "PeriodDifferenceSplit",
    "PeriodSplit",
    "generalization_gap",
]

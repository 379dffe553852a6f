"""Cross-validation splitters that know what a pair and what an element is."""

from ._gap import generalization_gap
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
    "ElectronegativitySplit",
    "ElementGroupKFold",
    "ElementPairKFold",
    "LeaveElementGroupOut",
    "LeaveElementOut",
    "PairTypeSplit",
    "PeriodDifferenceSplit",
    "PeriodSplit",
    "generalization_gap",
]

"""Cross-validation splitters that know what a pair and what an element is."""

from ._splitters import ElementGroupKFold, ElementPairKFold, LeaveElementOut

__all__ = ["ElementGroupKFold", "ElementPairKFold", "LeaveElementOut"]

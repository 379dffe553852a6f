"""Architectures on graphs of any size, one a file."""

from .dimenet import DimeNetPlusPlus
from .egnn import EGNN
from .faenet import FAENet
from .gatv2 import DenseGATv2Conv, GATv2, GATv2Conv
from .gotennet import GotenNet
from .painn import PaiNN
from .schnet import SchNet

__all__ = [
    "DenseGATv2Conv",
    "DimeNetPlusPlus",
    "EGNN",
    "FAENet",
    "GATv2",
    "GATv2Conv",
    "GotenNet",
    "PaiNN",
    "SchNet",
]

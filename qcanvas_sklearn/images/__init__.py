"""Images and descriptors of element pairs."""

from ..rendering import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    recover_amplitudes,
    render,
    templates,
)
from ..structures import pair_amplitudes
from .descriptors import PairDescriptorTransformer
from .layout import PairLayout, PairTable
from .transformer import PairImageTransformer

__all__ = [
    "AMPLITUDES_OF_CHANNEL",
    "CHANNEL_NAMES",
    "PairDescriptorTransformer",
    "PairImageTransformer",
    "PairLayout",
    "PairTable",
    "pair_amplitudes",
    "recover_amplitudes",
    "render",
    "templates",
]

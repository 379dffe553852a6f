"""Images and descriptors of element pairs."""

from ..rendering import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    channel_means,
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
    "channel_means",
    "pair_amplitudes",
    "recover_amplitudes",
    "render",
    "templates",
]

"""Images and descriptors of element pairs."""

from .descriptors import PairDescriptorTransformer
from .layout import PairLayout
from .rendering import (
    AMPLITUDES_OF_CHANNEL,
    CHANNEL_NAMES,
    pair_amplitudes,
    recover_amplitudes,
    render,
    templates,
)
from .transformer import PairImageTransformer

__all__ = [
    "AMPLITUDES_OF_CHANNEL",
    "CHANNEL_NAMES",
    "PairDescriptorTransformer",
    "PairImageTransformer",
    "PairLayout",
    "pair_amplitudes",
    "recover_amplitudes",
    "render",
    "templates",
]

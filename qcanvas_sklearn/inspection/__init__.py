"""What a fitted model looks at, what it needs, and what the inputs give away."""

from ._ablations import BlockSelector, ElementAblation, ImageAmplitudes, SpatialShuffle
from ._attention import attention_weights
from ._embedding import element_embedding
from ._importance import channel_importance
from ._leakage import leakage_report
from ._saliency import saliency_maps
from ._study import ablation_study

__all__ = [
    "BlockSelector",
    "ElementAblation",
    "ImageAmplitudes",
    "SpatialShuffle",
    "ablation_study",
    "attention_weights",
    "channel_importance",
    "element_embedding",
    "leakage_report",
    "saliency_maps",
]

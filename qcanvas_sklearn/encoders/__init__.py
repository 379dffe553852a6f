"""Encoders: the part of a trained network that knows atoms and no task, in a file.

A graph network passes messages between atoms, and reads its targets out of what they know
then. What comes before the read-out can be learned once, where labels are cheap, and start
other fits: ``SchNetRegressor(pretrained=...)``. Files are of the safetensors format, with all
that tells whether they fit; nothing in them is executed, and what was changed is refused.
"""

from ._encoder import Encoder
from ._shipped import describe, list
from ._transformer import EncoderTransformer

__all__ = ["Encoder", "EncoderTransformer", "describe", "list"]

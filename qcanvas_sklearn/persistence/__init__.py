"""Models that one can hand on: files without pickles, with a card.

The file is safetensors. Its metadata hold ``format``, ``card`` (JSON), ``model`` (JSON) and
``sha256``, the digest of the file with zeros in the digest's place. ``model`` is a table of
objects of listed classes, whose arrays are the tensors of the file; a net is its architecture,
its parameters and its weights. The schema is this package's own: most of a model is torch
modules, skorch nets and readers, which `skops` knows no more of than their import paths, and
refuses or imports.

Versions agree by ``format`` alone. A version of the package reads its own format and all
before it; parameters that are newer than a file get the defaults of their class.
"""

from ._models import load_model, read_card, save_model
from ._trim import trim

__all__ = ["load_model", "read_card", "save_model", "trim"]

"""What graph networks have before their read-out: its parameters, and where they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn

__all__ = ["READOUT", "encoder_parameters", "layers_below"]

#: Pattern of the names of a read-out's parameters, whatever is around the network.
READOUT = "*readout.*"
#: Lists of layers, as the cores name them, and the place of one in it.
_LAYER = re.compile(r"(?:^|\.)(convs|interactions|layers|norms|outputs|updates)\.(\d+)\.")


def encoder_parameters(network: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of a graph network but for its read-out, by name."""
    return {
        name: parameter for name, parameter in network.named_parameters()
        if not name.startswith("readout.")
    }  # fmt: skip


def layers_below(names: Iterable[str]) -> list[tuple[str, int]]:
    """How many layers lie between parameters of an encoder and the read-out.

    Parameters
    ----------
    names : iterable of str
        Names of all its parameters.

    Returns
    -------
    list of (str, int)
        Patterns of names, as :mod:`fnmatch` reads them, of which the first one that fits
        counts; 0 for the last layer. The last pattern is that of everything else, the
        embedding above all.

    Examples
    --------
    >>> from qcanvas_sklearn.nn.encoding import layers_below
    >>> layers_below(["embed.weight", "core.layers.0.mix.weight", "core.layers.1.mix.weight"])
    [('*layers.0.*', 1), ('*layers.1.*', 0), ('*', 2)]
    """
    found = sorted({(m[1], int(m[2])) for m in map(_LAYER.search, names) if m})
    sizes = {name: 1 + max(i for other, i in found if other == name) for name, _ in found}
    # A list that is one longer begins before the first layer.
    n_layers = min(sizes.values(), default=0)
    patterns = [(f"*{name}.{i}.*", sizes[name] - 1 - i) for name, i in found]
    return [*patterns, ("*", n_layers)]

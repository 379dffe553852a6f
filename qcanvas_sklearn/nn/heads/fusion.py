"""Fusion of a graph network and an image network in one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from inspect import signature
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import Atoms, bare_atoms
from ..streams import side_by_side
from ._atom_terms import ReadOut, with_channel_means
from .gatv2 import PairGATv2
from .pair_graph import PairDimeNet, PairEGNN, PairFAENet, PairGotenNet, PairSchNet
from .quantumshellnet import QuantumShellNet
from .vit import PairViT

__all__ = [
    "CrossAttention",
    "FUSIONS",
    "FiLM",
    "GRAPHS",
    "GatedFusion",
    "IMAGES",
    "LateFusion",
    "PairFusion",
]


class LateFusion(nn.Module):
    r"""Both atoms and the image side by side, :math:`[h_1, h_2, v]`.

    Parameters
    ----------
    n_hidden : int
        Features h of an atom.
    n_features : int
        Features v of the image.

    Attributes
    ----------
    n_fused : int
        Features behind the fusion.
    """

    def __init__(self, n_hidden: int, n_features: int) -> None:
        super().__init__()
        self.n_fused = 2 * n_hidden + n_features

    def forward(self, atoms: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Map (b, 2, n_hidden) and (b, n_features) to (b, n_fused); no token is read."""
        return torch.cat([atoms.flatten(1), features], dim=-1)


class FiLM(nn.Module):
    r"""Feature-wise linear modulation of the atoms by the image.

    .. math::
        h_k' = h_k \odot (1 + \gamma) + \beta, \qquad (\gamma, \beta) = W v + b

    Parameters
    ----------
    n_hidden : int
        Features h of an atom.
    n_features : int
        Features v of the image.

    Attributes
    ----------
    n_fused : int
        Features behind the fusion, those of both atoms.

    References
    ----------
    .. [1] E. Perez et al., FiLM: Visual Reasoning with a General Conditioning Layer, AAAI
       2018, equations 1 and 2, arXiv:1709.07871; with 1 + γ for the paper's γ.
    """

    def __init__(self, n_hidden: int, n_features: int) -> None:
        super().__init__()
        self.n_fused = 2 * n_hidden
        self.modulation = nn.Linear(n_features, 2 * n_hidden)

    def forward(self, atoms: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Map (b, 2, n_hidden) and (b, n_features) to (b, n_fused); no token is read."""
        gamma, beta = self.modulation(features)[:, None].chunk(2, dim=-1)
        return (atoms * (1 + gamma) + beta).flatten(1)


class CrossAttention(nn.Module):
    r"""Atoms that query the tokens of the image, beside the image's features.

    .. math::
        [h_1', h_2', v], \qquad
        h_k' = h_k + \mathrm{MultiHead}(\mathrm{LN}(h_k), T, T), \qquad T = \mathrm{LN}(t)

    Tokens are the positions of the last feature maps, or patches. The features v pass by
    the attention, whose norms would take the amplitude of the image away.

    Parameters
    ----------
    n_hidden : int
        Features h of an atom.
    n_features : int
        Features v of the image.
    n_channels : int
        Features t of a token.
    n_heads : int
        Attention heads; divides `n_hidden`.
    dropout : float, default=0.0
        Dropout of the attention's weights.

    Attributes
    ----------
    n_fused : int
        Features behind the fusion.

    References
    ----------
    .. [1] A. Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2,
       arXiv:1706.03762.
    """

    def __init__(
        self, n_hidden: int, n_features: int, n_channels: int, n_heads: int,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.n_fused = 2 * n_hidden + n_features
        self.norm_atoms = nn.LayerNorm(n_hidden)
        self.norm_tokens = nn.LayerNorm(n_channels)
        self.attention = nn.MultiheadAttention(
            n_hidden, n_heads, dropout, kdim=n_channels, vdim=n_channels, batch_first=True
        )

    def forward(self, atoms: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Map (b, 2, n_hidden), (b, n_features), (b, n, n_channels) to (b, n_fused)."""
        query, tokens = self.norm_atoms(atoms), self.norm_tokens(tokens)
        # With its weights, as the fused kernel cannot be mapped over members of an ensemble.
        update, _ = self.attention(query, tokens, tokens, need_weights=True)
        return torch.cat([(atoms + update).flatten(1), features], dim=-1)


class GatedFusion(nn.Module):
    r"""Gated multimodal unit: each feature is taken from the graph or from the image.

    .. math::
        h' = g \odot \tanh(W_h h + b_h) + (1 - g) \odot \tanh(W_v v + b_v), \qquad
        g = \sigma(W_g [h, v] + b_g), \qquad h = [h_1, h_2]

    Parameters
    ----------
    n_hidden : int
        Features of an atom.
    n_features : int
        Features v of the image.

    Attributes
    ----------
    n_fused : int
        Features behind the fusion, as many as those of one atom.

    References
    ----------
    .. [1] J. Arevalo, T. Solorio, M. Montes-y-Gómez, F. A. González, Gated Multimodal Units
       for Information Fusion, 2017, section 3.1, arXiv:1702.01992.
    """

    def __init__(self, n_hidden: int, n_features: int) -> None:
        super().__init__()
        self.n_fused = n_hidden
        self.graph = nn.Linear(2 * n_hidden, n_hidden)
        self.image = nn.Linear(n_features, n_hidden)
        self.gate = nn.Linear(2 * n_hidden + n_features, n_hidden)

    def forward(self, atoms: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Map (b, 2, n_hidden) and (b, n_features) to (b, n_fused); no token is read."""
        graph = atoms.flatten(1)
        gate = self.gate(torch.cat([graph, features], dim=-1)).sigmoid()
        return gate * self.graph(graph).tanh() + (1 - gate) * self.image(features).tanh()


#: Networks whose ``encode`` gives features of the two atoms.
GRAPHS: dict[str, type[nn.Module]] = {
    "schnet": PairSchNet,
    "gatv2": PairGATv2,
    "egnn": PairEGNN,
    "dimenet": PairDimeNet,
    "faenet": PairFAENet,
    "gotennet": PairGotenNet,
}
#: Networks whose ``encode`` gives features and tokens of the image.
IMAGES: dict[str, type[nn.Module]] = {"cnn": QuantumShellNet, "vit": PairViT}
FUSIONS: dict[str, type[nn.Module]] = {
    "late": LateFusion,
    "film": FiLM,
    "cross_attention": CrossAttention,
    "gated": GatedFusion,
}


def _construct(network: type[nn.Module], params: Mapping[str, Any]) -> Any:
    """A network from those of the parameters that it takes."""
    names = signature(network).parameters
    return network(**{name: value for name, value in params.items() if name in names})


class PairFusion(nn.Module):
    """A graph network and an image network that share one read-out.

    The branches are the networks of those names without their own read-outs. What the
    fusion makes of them enters the read-out beside the pair's scalars, and the terms of the
    atoms are added (`AtomTerms`), with the means of the channels among the pair's scalars.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    descriptors : array of shape (n_elements + 1, n_descriptors)
        Fixed descriptors of the elements, standardised, 0 for no element; the vision
        transformer reads them.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
    n_channels : int
        Channels of the image, standardised; 0 where there is none, which leaves the
        graph branch alone.
    n_outputs : int
        Number of targets.
    graph : str, default="schnet"
        Graph branch, a key of `GRAPHS`.
    image : str, default="cnn"
        Image branch, a key of `IMAGES`.
    fusion : str, default="late"
        How they meet, a key of `FUSIONS`.
    n_hidden : int, default=128
        Features of an atom, width of the image branch's dense layers and of the read-out.
    n_layers : int, default=2
        Layers of the graph branch, blocks of the vision transformer.
    n_heads : int, default=4
        Heads wherever there is attention; divides `n_hidden`.
    dropout : float, default=0.0
        Dropout in the read-out, the cross-attention and the vision transformer.

    References
    ----------
    .. [1] E. Perez et al., AAAI 2018, arXiv:1709.07871 (film).
    .. [2] A. Vaswani et al., NeurIPS 2017, arXiv:1706.03762 (cross_attention).
    .. [3] J. Arevalo et al., 2017, arXiv:1702.01992 (gated).
    """

    def __init__(
        self,
        n_elements: int,
        descriptors: NDArray,
        n_atom: int,
        n_pair: int,
        n_channels: int,
        n_outputs: int,
        graph: str = "schnet",
        image: str = "cnn",
        fusion: str = "late",
        n_hidden: int = 128,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        params: dict[str, Any] = {
            "n_elements": n_elements, "descriptors": descriptors, "n_atom": n_atom,
            "n_pair": n_pair, "n_channels": n_channels, "n_outputs": 0, "dropout": dropout,
            "n_hidden": n_hidden, "n_layers": n_layers, "n_heads": n_heads,
        }  # fmt: skip
        self.graph = _construct(GRAPHS[graph], params)
        self.image = None
        n_fused = 2 * n_hidden
        if n_channels:
            if fusion == "cross_attention":
                params["n_read"] = None
            self.image = _construct(IMAGES[image], params)
            widths = {name: getattr(self.image, name) for name in ("n_features", "n_channels")}
            self.fuse = _construct(FUSIONS[fusion], {**params, **widths})
            n_fused = self.fuse.n_fused
        sizes = [n_fused + n_pair, n_hidden, n_hidden, n_outputs]
        self.readout = ReadOut(sizes, n_elements, n_atom, n_pair + n_channels, dropout)

    def forward(
        self, z: Tensor, atom: Tensor, pair: Tensor, vector: Tensor, image: Tensor | None = None
    ) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair), (b, 3), (b, C, S, S) to (b, n_outputs)."""
        atoms = bare_atoms(z, atom, self.graph.embed.n_elements)
        of_graph = partial(self.graph.encode, atoms, pair, vector)
        if self.image is None:
            fused = of_graph().flatten(1)
        else:
            encoded, of_image = side_by_side(of_graph, self._of_image, pair, image, *atoms)
            fused = self.fuse(encoded, *of_image)
        read = torch.cat([fused, pair], dim=-1)
        return self.readout(read, atoms, with_channel_means(pair, image))

    def _of_image(self, pair: Tensor, image: Tensor, *atoms: Any) -> tuple[Tensor, Tensor]:
        assert self.image is not None
        features, tokens = self.image.encode(Atoms(*atoms), pair, image)
        return features, tokens

"""Vision transformer on the channels of a pair, with tokens for the two atoms."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..layers import AtomFeatures, Atoms
from ._atom_terms import ReadOut, with_channel_means
from .pair_transformer import PairTokens, encoder

__all__ = ["PairViT", "PatchEmbedding"]


class PatchEmbedding(nn.Module):
    r"""Tokens of square patches with learned positions, :math:`E x_{ij} + u_i + v_j`.

    The position of a patch is the sum of one for its row and one for its column, so that
    images may have any size.

    Parameters
    ----------
    n_channels : int
        Channels of the image.
    patch_size : int
        Pixels a side of a patch; an image that this does not divide is filled up with
        zeros on the right and at the bottom.
    n_hidden : int
        Features of a token.
    max_rows : int, default=64
        Largest number of patches a side.
    """

    def __init__(
        self, n_channels: int, patch_size: int, n_hidden: int, max_rows: int = 64
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.embed = nn.Linear(n_channels * patch_size**2, n_hidden)
        self.row = nn.Parameter(torch.empty(max_rows, n_hidden))
        self.column = nn.Parameter(torch.empty(max_rows, n_hidden))
        for position in (self.row, self.column):
            nn.init.normal_(position, std=0.02)

    def forward(self, image: Tensor) -> Tensor:
        """Map (b, n_channels, S, S) to (b, n_patches, n_hidden), row by row.

        Raises
        ------
        ValueError
            If the image has more than `max_rows` patches a side.
        """
        size, patch_size = image.shape[-1], self.patch_size
        n_rows, max_rows = -(-size // patch_size), len(self.row)
        if n_rows > max_rows:
            raise ValueError(
                f"patch_size={patch_size} cuts images of {size} pixels into {n_rows} patches "
                f"a side, at most {max_rows} are supported"
            )
        padding = n_rows * patch_size - size
        image = nn.functional.pad(image, (0, padding, 0, padding))
        patches = image.unflatten(3, (n_rows, -1)).unflatten(2, (n_rows, -1))
        tokens = self.embed(patches.permute(0, 2, 4, 1, 3, 5).flatten(3))
        position = self.row[:n_rows, None] + self.column[:n_rows]
        return (tokens + position).flatten(1, 2)


class PairViT(nn.Module):
    r"""Vision transformer on patches of the image and the two atoms.

    .. math::
        z_0 &= [\mathrm{tokens}(u_1, u_2, x);\; E p_{11} + r_1 + c_1;\; \dots] \\
        z_l &= \mathrm{block}_l(z_{l-1}) \\
        y &= \mathrm{head}(\mathrm{LN}(z_L^0, z_L^1, z_L^2)) + \mathrm{own}(u_1, u_2, x, \bar p)

    The first three tokens are those of the pair, in the place of the class token, and of
    the atoms; :math:`u_k` is the one-hot element, its descriptors and the scalars of an
    atom. Patches :math:`p_{ij}` with learned positions follow. Read-out is from the first
    three. The last term is what each atom adds on its own (`AtomTerms`), with the means
    :math:`\bar p` of the channels among the scalars of the pair.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    descriptors : array of shape (n_elements + 1, n_descriptors)
        Fixed descriptors of the elements, standardised, 0 for no element.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
    n_channels : int
        Channels of the image, standardised; 0 where there is none, which leaves the
        tokens of the pair and the atoms.
    n_outputs : int
        Number of targets; 0 leaves out the head, for users of :meth:`encode`.
    patch_size : int, default=8
        Pixels a side of a patch.
    n_hidden : int, default=96
        Features of a token.
    n_layers : int, default=2
        Transformer blocks.
    n_heads : int, default=4
        Attention heads; divides `n_hidden`.
    dropout : float, default=0.0
        Dropout in the blocks and in the head.
    n_read : int or None, default=3
        Tokens that the last block updates: those of the pair and the atoms, which the head
        reads, or None for all, for users of :meth:`encode`.

    Attributes
    ----------
    n_features : int
        Features that the head reads.
    n_channels : int
        Features of a token.

    References
    ----------
    .. [1] A. Dosovitskiy et al., An Image is Worth 16x16 Words: Transformers for Image
       Recognition at Scale, ICLR 2021, equations 1 to 4, arXiv:2010.11929.
    """

    def __init__(
        self,
        n_elements: int,
        descriptors: NDArray,
        n_atom: int,
        n_pair: int,
        n_channels: int,
        n_outputs: int,
        patch_size: int = 8,
        n_hidden: int = 96,
        n_layers: int = 2,
        n_heads: int = 4,
        dropout: float = 0.0,
        n_read: int | None = 3,
    ) -> None:
        super().__init__()
        self.atoms = AtomFeatures(n_elements, descriptors, n_atom)
        self.frame = PairTokens(self.atoms.n_features, n_pair, n_hidden)
        if n_channels:
            self.patches = PatchEmbedding(n_channels, patch_size, n_hidden)
        self.blocks = encoder(n_hidden, n_layers, n_heads, dropout, n_read)
        self.norm = nn.LayerNorm(n_hidden)
        self.n_features, self.n_channels = 3 * n_hidden, n_hidden
        if n_outputs:
            sizes = [self.n_features, n_hidden, n_outputs]
            self.head = ReadOut(
                sizes, n_elements, n_atom, n_pair + n_channels, dropout,
                self.atoms.n_descriptors,
            )  # fmt: skip

    def encode(
        self, atoms: Atoms, pair: Tensor, image: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the head reads, and the patches.

        Parameters
        ----------
        atoms : Atoms
            The atoms of pairs, whose elements need not be described yet.
        pair, image : Tensor
            As for :meth:`forward`.

        Returns
        -------
        features : Tensor of shape (b, n_features)
            Tokens of the pair and the atoms.
        tokens : Tensor of shape (b, n_patches, n_channels)
            Tokens of the patches; none unless `n_read` is None and there is an image.
        """
        out = self._tokens(self.atoms(atoms.z, atoms.scalars), pair, image)
        return out[:, :3].flatten(1), out[:, 3:]

    def _tokens(self, features: Tensor, pair: Tensor, image: Tensor | None) -> Tensor:
        """The pair, its atoms (b, 2, n_features) and the patches behind the blocks."""
        tokens = [self.frame(features, pair)]
        if image is not None:
            tokens.append(self.patches(image))
        return self.norm(self.blocks(torch.cat(tokens, dim=1)))

    def forward(
        self, z: Tensor, atom: Tensor, pair: Tensor, image: Tensor | None = None
    ) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair), (b, C, S, S) to (b, n_outputs)."""
        atoms = self.atoms.known(z, atom)
        read = self._tokens(atoms.features, pair, image)[:, :3].flatten(1)
        return self.head(read, atoms, with_channel_means(pair, image))

"""QuantumShellNet: a convolutional network on ten channels plus atom features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..layers import Atoms, SinglePrecision, bare_atoms
from ._atom_terms import ReadOut, with_channel_means

__all__ = ["QuantumShellNet", "ResidualStage"]


class ResidualStage(nn.Module):
    """Halve the resolution, then add one residual correction at the new one.

    Group normalisation in place of batch normalisation: a row's prediction does not
    depend on the rows beside it.

    Parameters
    ----------
    n_in, n_out : int
        Channels before and behind; `n_out` is a multiple of 8.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(n_in, n_out, 3, stride=2, padding=1)
        self.norm = nn.GroupNorm(8, n_out)
        self.conv = nn.Conv2d(n_out, n_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        return x + self.conv(nn.functional.silu(self.norm(x)))


def _pool(maps: Tensor) -> Tensor:
    """Mean and maximum of each map, (b, C, H, W) to (b, 2 C)."""
    return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=-1)


class QuantumShellNet(nn.Module):
    """Convolutions over the image beside an embedding of the two atoms.

    The head also sees the mean and the maximum of every channel before the first
    convolution: an image is linear in a handful of amplitudes, and these two numbers pass
    them on undistorted. What each atom adds on its own (`AtomTerms`) has the means too.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    n_atom : int
        Scalars of an atom, standardised.
    n_pair : int
        Scalars of the pair, standardised.
    n_channels : int
        Channels of the image, standardised; 0 where there is none, which leaves the
        atom branch alone.
    n_outputs : int
        Number of targets; 0 leaves out the head, for users of :meth:`encode`.
    n_filters : int, default=16
        Channels of the first stage, doubled by each further one.
    n_stages : int, default=3
        Stages of convolution, each halving the resolution.
    n_hidden : int, default=128
        Width of the atom branch and of the head.
    dropout : float, default=0.0
        Dropout in the head.

    Attributes
    ----------
    n_features : int
        Features that the head reads.
    n_channels : int
        Feature maps of the last stage; 0 where there is no image.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6 (the ten channels and the task).
    .. [2] K. He, X. Zhang, S. Ren, J. Sun, Deep Residual Learning for Image Recognition,
       CVPR 2016, arXiv:1512.03385 (residual stages).
    """

    def __init__(
        self,
        n_elements: int,
        n_atom: int,
        n_pair: int,
        n_channels: int,
        n_outputs: int,
        n_filters: int = 16,
        n_stages: int = 3,
        n_hidden: int = 128,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.n_elements = n_elements
        first = nn.Linear(n_elements + n_atom, n_hidden)
        # Of unit scale: with the usual one, elements hardly differ for many epochs.
        nn.init.normal_(first.weight)
        self.embed = nn.Sequential(first, nn.SiLU(), nn.Linear(n_hidden, n_hidden))
        self.n_features, self.n_channels = 2 * n_hidden + n_pair, 0
        if n_channels:
            widths = [n_channels, *(n_filters * 2**i for i in range(n_stages))]
            self.stages = SinglePrecision(
                *(ResidualStage(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))
            )
            self.norm = nn.LayerNorm(2 * widths[-1])
            self.n_features += 2 * (widths[-1] + widths[0])
            self.n_channels = widths[-1]
        if n_outputs:
            sizes = [self.n_features, n_hidden, n_hidden, n_outputs]
            self.head = ReadOut(sizes, n_elements, n_atom, n_pair + n_channels, dropout)

    def encode(
        self, atoms: Atoms, pair: Tensor, image: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What the head reads, and the last feature maps.

        Parameters
        ----------
        atoms : Atoms
            The atoms of pairs.
        pair, image : Tensor
            As for :meth:`forward`.

        Returns
        -------
        features : Tensor of shape (b, n_features)
            Both atoms, the pair's scalars and the pooled maps.
        tokens : Tensor of shape (b, n_positions, n_channels)
            The maps position by position, row by row; none where there is no image.
        """
        features = [self.embed(atoms.features).flatten(1), pair]
        if image is None:
            return torch.cat(features, dim=-1), pair.new_zeros(len(pair), 0, 0)
        maps = self.stages(image)
        features += [self.norm(_pool(maps)), _pool(image)]
        return torch.cat(features, dim=-1), maps.flatten(2).transpose(1, 2)

    def forward(
        self, z: Tensor, atom: Tensor, pair: Tensor, image: Tensor | None = None
    ) -> Tensor:
        """Map (b, 2), (b, 2, n_atom), (b, n_pair), (b, C, S, S) to (b, n_outputs)."""
        atoms = bare_atoms(z, atom, self.n_elements)
        read, _ = self.encode(atoms, pair, image)
        return self.head(read, atoms, with_channel_means(pair, image))

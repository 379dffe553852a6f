"""What a network is told of a state, and a small network that knows exchange symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .elements import BOHR_PER_ANGSTROM
from .module import State, TightBinding
from .supervision import computed_columns

__all__ = ["ResidualNet", "state_features"]


def state_features(
    model: TightBinding, z: Tensor, state: State, given: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """What a residual network sees of a state: columns of the atoms and of the pair.

    Parameters
    ----------
    model : TightBinding
        Model that made the state.
    z : Tensor of shape (n, 2), int64
        Atomic numbers.
    state : dict of str to Tensor
        The state; with ``force`` where all states that the network sees have it.
    given : Tensor of shape (n, 2, 7), optional
        Given populations, as :func:`population_columns` has them; their discrepancy to the
        computed ones tells where the state is wrong.

    Returns
    -------
    atoms : Tensor of shape (n, 2, k)
        Columns of each atom.
    pair : Tensor of shape (n, q)
        Columns that both share.
    """
    h = model.hamiltonian
    populations = state["populations"]
    computed = computed_columns(state["orbital_populations"])
    gained = h.gained(z, populations)
    columns = [h.net.features[z], h.shells[z], populations / 5, gained, state["potential"] / 5]
    known = computed if given is None else given
    difference = (known - computed).clamp(-0.5, 0.5)
    columns += [10 * difference, difference.abs().sqrt(), known / 2]
    alpha = model.electrons(z)[:, :1].long() - 1
    window = alpha + torch.arange(-2, 4, device=z.device)
    last = state["levels"].shape[1] - 1
    levels = state["levels"].gather(1, window.clamp(0, last)).clamp(-40, 15)
    homo, total = state["homo"], model.electrons(z).sum(1)
    lumo = torch.nan_to_num(state["lumo"], nan=15.0).clamp_max(15)
    distance, bond = state["distance"], h.radius[z].sum(1) / BOHR_PER_ANGSTROM
    pair = [
        (levels - homo[:, None]) / 5, homo[:, None] / 5, lumo[:, None] / 5,
        torch.stack([
            (lumo - homo) / 5, state["band"] / total / 5, total % 2, distance - 2.5,
            distance / bond - 1, 3 * torch.exp(-distance),
            state["repulsion"].clamp(0, 20).sqrt(),
        ], dim=1),
    ]  # fmt: skip
    if "force" in state:
        pair.append(torch.asinh(state["force"])[:, None])
    return torch.cat(columns, dim=2), torch.cat(pair, dim=1)


class ResidualNet(nn.Module):
    """Multilayer perceptron of two atoms that knows exchange symmetry.

    Parameters
    ----------
    n_atom, n_pair : int
        Columns of each atom and of the pair.
    parities : sequence of {1, -1}
        Sign of every output under exchange of the atoms.
    scale : Tensor of shape (len(parities),)
        Typical size of each output.
    hidden : int, default=128
        Width.
    depth : int, default=3
        Hidden layers.
    dropout : float, default=0.0
        Of the hidden layers.
    seed : int, default=0
        Of the initial weights. The last layer starts at zero.
    """

    parities: Tensor
    scale: Tensor
    atom_mean: Tensor
    atom_std: Tensor
    pair_mean: Tensor
    pair_std: Tensor

    def __init__(
        self, n_atom: int, n_pair: int, parities: Sequence[int], scale: Tensor, *,
        hidden: int = 128, depth: int = 3, dropout: float = 0.0, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        width = 2 * n_atom + n_pair
        layers: list[nn.Module] = []
        for size in [hidden] * depth + [len(parities)]:
            layer = nn.utils.skip_init(nn.Linear, width, size)
            nn.init.kaiming_uniform_(layer.weight, 5**0.5, generator=generator)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.SiLU(), nn.Dropout(dropout)]
            width = size
        nn.init.zeros_(layer.weight)
        self.layers = nn.Sequential(*layers[:-2])
        self.register_buffer("parities", torch.tensor(parities, dtype=torch.float32))
        self.register_buffer("scale", scale.float())
        self.register_buffer("atom_mean", torch.zeros(n_atom))
        self.register_buffer("atom_std", torch.ones(n_atom))
        self.register_buffer("pair_mean", torch.zeros(n_pair))
        self.register_buffer("pair_std", torch.ones(n_pair))

    def standardize(self, atoms: Tensor, pair: Tensor) -> None:
        """Take mean and deviation of the columns from training rows."""
        both = atoms.flatten(0, 1)
        for name, value in (("atom", both), ("pair", pair)):
            deviation = value.std(0)
            getattr(self, f"{name}_mean").copy_(value.mean(0))
            getattr(self, f"{name}_std").copy_(torch.where(deviation > 1e-6, deviation, 1.0))

    def forward(self, atoms: Tensor, pair: Tensor) -> Tensor:
        """Outputs of shape (n, len(parities)) in float64, in the outputs' units.

        Parameters
        ----------
        atoms : Tensor of shape (n, 2, n_atom)
            Columns of each atom.
        pair : Tensor of shape (n, n_pair)
            Columns of the pair.
        """
        atoms = ((atoms - self.atom_mean) / self.atom_std).clamp(-6, 6).to(self.scale)
        pair = ((pair - self.pair_mean) / self.pair_std).clamp(-6, 6).to(self.scale)
        left = torch.cat([atoms[:, 0], atoms[:, 1], pair], dim=1)
        right = torch.cat([atoms[:, 1], atoms[:, 0], pair], dim=1)
        out = self.layers(left) + self.parities * self.layers(right)
        return (out * self.scale).double() / 2

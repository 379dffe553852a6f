"""A small network of two elements and their distance that corrects what has a form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .gaussians import integral_list

__all__ = ["PairNet"]


class PairNet(nn.Module):
    """Corrections of a pair, equal for (A, B) and (B, A) by construction.

    Every output starts at zero, so that a fresh model is the physics alone.

    Parameters
    ----------
    features : Tensor of shape (104, k)
        Descriptors of the elements; a learned embedding is put beside them.
    l_max : int
        Largest angular momentum.
    generator : torch.Generator
        Source of the initial weights.
    hidden : int, default=64
        Width of both hidden layers.
    embedding : int, default=12
        Length of the learned embedding of an element.
    """

    features: Tensor
    _swap: Tensor

    def __init__(
        self,
        features: Tensor,
        l_max: int,
        generator: torch.Generator,
        *,
        hidden: int = 64,
        embedding: int = 12,
    ) -> None:
        super().__init__()
        self.register_buffer("features", features, persistent=False)
        integrals = integral_list(l_max)
        swap = torch.tensor([integrals.index((m, b, a)) for m, a, b in integrals])
        self.register_buffer("_swap", swap, persistent=False)
        self._sizes = {
            "hopping": len(integrals), "onsite": l_max + 1, "screening": 1, "repulsion": 1,
            "dispersion": 1,
        }  # fmt: skip
        start = torch.randn(len(features), embedding, generator=generator, dtype=torch.float64)
        self.embedding = nn.Parameter(0.3 * start)
        width = 2 * (features.shape[1] + embedding) + 3
        sizes = (width, hidden, hidden, sum(self._sizes.values()))
        layers: list[nn.Module] = []
        for n_in, n_out in zip(sizes[:-1], sizes[1:], strict=True):
            layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float64)
            nn.init.kaiming_uniform_(layer.weight, 5**0.5, generator=generator)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.SiLU()]
        nn.init.zeros_(layer.weight)
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, a: Tensor, b: Tensor, r: Tensor) -> dict[str, Tensor]:
        """Corrections of pairs.

        Parameters
        ----------
        a, b : Tensor of shape (n,), int64
            Atomic numbers.
        r : Tensor of shape (n,)
            Distances in bohr.

        Returns
        -------
        dict of str to Tensor
            ``hopping`` (n, n_integrals), ``onsite`` (n, 2, l_max + 1), and ``screening``,
            ``repulsion``, ``dispersion`` (n,).
        """
        radial = torch.stack([r / 5 - 1, 3 * torch.exp(-r / 2), 5 / (r + 1) - 1], dim=1)
        known = torch.cat([self.features, self.embedding], dim=1)
        left, right = known[a], known[b]
        rows = torch.cat(
            [torch.cat([left, right, radial], 1), torch.cat([right, left, radial], 1)]
        )
        out = _applied(self.layers, rows).unflatten(0, (2, len(a)))
        hopping, onsite, *rest = out.split(list(self._sizes.values()), dim=-1)
        names = list(self._sizes)[2:]
        return {
            "hopping": hopping[0] + hopping[1][:, self._swap],
            "onsite": onsite.movedim(0, 1),
            **{name: value.sum(0)[:, 0] for name, value in zip(names, rest, strict=True)},
        }


def _applied(layers: nn.Sequential, rows: Tensor) -> Tensor:
    """Outputs of layers whose weights (m, n_out, n_in) may be those of m members.

    Then the rows (2 m n, n_in) are those of the members behind each other, twice.
    """
    first = layers[0]
    assert isinstance(first, nn.Linear)
    if first.weight.ndim == 2:
        out: Tensor = layers(rows)
        return out
    m = len(first.weight)
    out = rows.unflatten(0, (2, m, -1)).transpose(0, 1).flatten(1, 2)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            out = torch.baddbmm(layer.bias[:, None], out, layer.weight.mT)
        else:
            out = layer(out)
    return out.unflatten(1, (2, -1)).transpose(0, 1).flatten(0, 2)

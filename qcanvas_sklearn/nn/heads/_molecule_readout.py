"""The read-out of molecules: what single atoms add up to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..graphs import damped_softmax, lengths, sum_messages
from ..layers import mlp

__all__ = ["READOUTS", "MoleculeReadOut"]

#: How the outputs of the atoms of a molecule become one.
READOUTS = ("sum", "mean", "attention", "dipole")

#: Scale of the last weights: an untrained network predicts next to nothing, and learns.
_SMALL = 0.01


class _AtomicDipoles(nn.Module):
    """Dipoles of the single atoms, from their vector features."""

    def __init__(self, n_hidden: int, n_dipoles: int) -> None:
        super().__init__()
        self.gate = nn.Linear(n_hidden, n_hidden)
        self.mix = nn.Linear(n_hidden, n_dipoles, bias=False)
        nn.init.xavier_uniform_(self.mix.weight, gain=_SMALL)

    def forward(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Map nodes (N, n_hidden) and (N, 3, n_hidden) to (N, 3, n_dipoles)."""
        return self.mix(self.gate(x)[:, None] * vectors)


class MoleculeReadOut(nn.Module):
    r"""Outputs of molecules from the features of their atoms.

    A dense network maps the features of atom i to one number an output, to which a term of
    its element is added, :math:`a_i = \mathrm{MLP}(h_i) + b_{Z_i}`. They become

    - "sum": :math:`\sum_i a_i`, for energies;
    - "mean": :math:`\tfrac1n \sum_i a_i`, for what a larger molecule has no more of;
    - "attention": :math:`\sum_i w_i a_i` with the softmax w over the molecule's atoms of
      learned logits, for what belongs to some of the atoms, as levels do;
    - "dipole": :math:`\lVert \sum_i q_i (r_i - c) + \mu_i \rVert` about the centroid c,
      where the charges :math:`q_i = a_i + (Q - \sum_j a_j) / n` add up to that of the
      molecule, and the atoms have dipoles :math:`\mu_i` where there are vector features.

    The terms of the elements are zero at first, the last weights small.

    Parameters
    ----------
    n_elements : int
        Largest atomic number.
    n_hidden : int
        Features of an atom.
    readout : sequence of str
        Of each output, "sum", "mean", "attention" or "dipole".
    dropout : float, default=0.0
        Dropout in the dense network.
    vectors : bool, default=False
        Whether atoms have vector features.

    Raises
    ------
    ValueError
        If a read-out is none of these.
    """

    is_mean: Tensor

    def __init__(
        self, n_elements: int, n_hidden: int, readout: Sequence[str], dropout: float = 0.0,
        vectors: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        for kind in readout:
            if kind not in READOUTS:
                raise ValueError(f"readout {kind!r} is none of {', '.join(READOUTS)}")
        self.n_outputs = len(readout)
        self.attended = [k for k, kind in enumerate(readout) if kind == "attention"]
        self.dipoles = [k for k, kind in enumerate(readout) if kind == "dipole"]
        self.register_buffer("is_mean", torch.tensor([kind == "mean" for kind in readout]))
        sizes = [n_hidden, n_hidden, self.n_outputs + len(self.attended)]
        self.atomwise = mlp(sizes, dropout)
        *_, weight, bias = self.atomwise.parameters()
        nn.init.xavier_uniform_(weight, gain=_SMALL)
        nn.init.zeros_(bias)
        self.element = nn.Embedding(n_elements + 1, self.n_outputs)
        nn.init.zeros_(self.element.weight)
        self.atomic = None
        if vectors and self.dipoles:
            self.atomic = _AtomicDipoles(n_hidden, len(self.dipoles))

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let every output be zero at first, but for dipoles, whose size has no slope there."""
        *_, weight, bias = self.atomwise.parameters()
        rows = [k for k in range(len(weight)) if k not in self.dipoles]
        weight[rows], bias[rows] = 0.0, 0.0

    def forward(
        self, x: Tensor, z: Tensor, positions: Tensor, graph: Tensor, charge: Tensor,
        vectors: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Map atoms and the charges of molecules to (b, n_outputs).

        Parameters
        ----------
        x : Tensor of shape (N, n_hidden)
            Features of the atoms.
        z : Tensor of shape (N,), int64
            Atomic numbers.
        positions : Tensor of shape (N, 3)
            Positions, Å.
        graph : Tensor of shape (N,), int64
            Molecule of each atom.
        charge : Tensor of shape (b,)
            Total charges.
        vectors : Tensor of shape (N, 3, n_hidden) or None
            Vector features of the atoms.
        """
        values, logits = self.atomwise(x).tensor_split([self.n_outputs], dim=-1)
        values = values + self.element(z)
        n, ones = len(charge), charge.new_ones(len(z))
        share = 1 / sum_messages(ones, graph, n).clamp(min=1)
        weights = torch.where(self.is_mean, share.index_select(0, graph)[:, None], 1.0)
        columns = list((weights * values).unbind(-1))
        if self.attended:
            attention = damped_softmax(logits, ones, graph, n).unbind(-1)
            for k, weight in zip(self.attended, attention, strict=True):
                columns[k] = weight * values[:, k]
        outputs = list(sum_messages(torch.stack(columns, dim=-1), graph, n).unbind(-1))
        if self.dipoles:
            missing = charge[:, None] - sum_messages(values, graph, n)
            charges = values + (missing * share[:, None]).index_select(0, graph)
            centers = sum_messages(positions, graph, n) * share[:, None]
            arms = positions - centers.index_select(0, graph)
            atomic = arms[..., None] * charges[:, None, self.dipoles]
            if self.atomic is not None and vectors is not None:
                atomic = atomic + self.atomic(x, vectors)
            sizes = lengths(sum_messages(atomic, graph, n).transpose(1, 2))
            for k, size in zip(self.dipoles, sizes.unbind(-1), strict=True):
                outputs[k] = size
        return torch.stack(outputs, dim=-1)

"""Tight-binding models of one kind that learn together, each without a part of the rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from ...outputs import OUTPUT, PENALTY, SHARE
from .blocks import JoinedBlocks
from .bond_length import BondLengthStart, bond_length
from .module import State, TightBinding
from .supervision import TERMS, compared

__all__ = ["QUANTITIES", "MemberState", "TightBindingMembers", "in_order", "quantities_of"]

#: Columns of the output, from which all targets follow; see :func:`state_targets`.
QUANTITIES = (
    "homo", "lumo", "band", "total", "mermin", "repulsion", "charge", "distance",
)  # fmt: skip
#: Weight of :meth:`PairHamiltonian.prior` in the loss.
PRIOR_WEIGHT = 0.15
#: Smearing in eV at the start and at the end of a training, and when the end is reached.
SMEARING, COLD = (0.2, 0.03), 0.7
#: Forces cost as much as the state and say less: they are learned from every second batch.
FORCE_EVERY = 2


class MemberState(NamedTuple):
    """The state of some rows as one member has it.

    Attributes
    ----------
    member : int
        Which one.
    rows : Tensor of int64, shape (k,)
        Positions of the rows.
    state : dict of str to Tensor
        The state, with the atoms in the order of their numbers.
    """

    member: int
    rows: Tensor
    state: State


class TightBindingMembers(nn.Module):
    """An ensemble of tight-binding models.

    Parameters
    ----------
    shells : array-like of bool, shape (104, 4)
        Shells of the elements, see :func:`shells_of`.
    electrons : array-like of shape (104,)
        Valence electrons of the neutral atoms, NaN for the table's.
    elements : sequence of int
        Atomic numbers that are learned from.
    n_members : int, default=5
        Members; each starts from other perturbed orbitals.
    seed : int, default=0
        Of the perturbations.
    finds_distance : bool, default=False
        Whether distances are to be found from the elements.
    learns_force : bool, default=True
        Whether forces are among the labels.
    electronic_temperature : float, default=0.0
        Temperature of the data's filling in K.
    n_gaussians : int, default=9
        Gaussians that all orbitals share.
    n_hidden, n_embedding : int, default=64, 12
        Of the network of corrections.

    Attributes
    ----------
    stacks : bool or None
        Whether the states of pairs whose populations are given are computed by one pass for
        all members, in few operations that a CUDA graph can hold; None for on CUDA alone. The
        results are the same to rounding; in training, members have states of the rows, too,
        that they do not learn from.
    """

    elements: Tensor
    _kt: Tensor

    def __init__(
        self, shells: ArrayLike, electrons: ArrayLike, elements: Sequence[int],
        n_members: int = 5, seed: int = 0, finds_distance: bool = False,
        learns_force: bool = True, electronic_temperature: float = 0.0, n_gaussians: int = 9,
        n_hidden: int = 64, n_embedding: int = 12,
    ) -> None:  # fmt: skip
        super().__init__()
        self.members = nn.ModuleList(
            TightBinding(
                shells, electrons, electronic_temperature=electronic_temperature,
                seed=seed + k, n_gaussians=n_gaussians, hidden=n_hidden, embedding=n_embedding,
            )
            for k in range(n_members)
        )  # fmt: skip
        self.starts = nn.ModuleList(
            BondLengthStart(self[0].hamiltonian, elements, seed=seed + k)
            for k in range(n_members if finds_distance else 0)
        )
        self.learns_force = learns_force
        self.register_buffer("elements", torch.tensor(elements), persistent=False)
        self.joined = JoinedBlocks(self[0].hamiltonian.shells)
        self.stacks: bool | None = None
        # A recorded pass reads it anew: it may change from epoch to epoch.
        self.register_buffer("_kt", torch.zeros((), dtype=torch.float64), persistent=False)
        self._n_batches = 0
        self.anneal(0.0)

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, k: int) -> TightBinding:
        """A member."""
        member = self.members[k]
        assert isinstance(member, TightBinding)
        return member

    def anneal(self, progress: float) -> None:
        """Set the smearing after a share of the training; it falls over the first 70 %."""
        first, last = SMEARING
        smearing = first * (last / first) ** min(1.0, progress / COLD)
        self._kt.fill_(max(smearing, self[0].filling_kt))

    def advance(self) -> None:
        """Go on to the next batch of a training."""
        self._n_batches += 1

    def phase(self) -> bool:
        """Whether the forces of the next batch are learned."""
        return self.learns_force and self._n_batches % FORCE_EVERY == 0

    def is_static(self, inputs: Collection[str]) -> bool:
        """Whether a pass over such inputs does the same operations on all of them."""
        return self._stacks_on(self.elements.device) and {"distance", "shells"} <= set(inputs)

    def _stacks_on(self, device: torch.device) -> bool:
        return device.type == "cuda" if self.stacks is None else self.stacks

    def states(
        self, z: Tensor, distance: Tensor | None = None, shells: Tensor | None = None,
        rows_of: Sequence[Tensor] | None = None, **options: Any,
    ) -> Iterator[MemberState]:  # fmt: skip
        """State of pairs by member.

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers, the smaller one first.
        distance : Tensor of shape (n,), optional
            Distances in Å; by default those at which the force vanishes.
        shells : Tensor of shape (n, 2, 4), optional
            Electrons by shell; by default the charges are solved.
        rows_of : sequence of Tensor, optional
            Rows of each member; by default all.
        **options
            Of :meth:`TightBinding.forward`.
        """
        near = shared = None
        if distance is None:
            near = torch.stack([start(z) for start in self.starts]).mean(0)
        else:
            shared = self[0].primitives(distance, rates=options.get("forces", False))
        every = torch.arange(len(z), device=z.device)
        # Members agree about charges: each search starts where the one before it ended.
        charges = self[0].hamiltonian.neutral(z).detach().clone()
        for k in range(len(self)):
            # All rows are taken as they are: copies of the primitives cost time.
            own: Any = slice(None) if rows_of is None else rows_of[k]
            given = None if shells is None else shells[own]
            if shared is not None:
                assert distance is not None
                slopes = None if shared[1] is None else shared[1][own]
                options["primitives"] = (shared[0][own], slopes)
                at = distance[own]
            else:
                assert near is not None
                at, charges[own] = bond_length(
                    self[k], z[own], near[own], populations=charges[own]
                )
            state = self[k](z[own], at, given, start=charges[own], **options)
            if shells is None:
                charges[own] = state["populations"].detach()
            yield MemberState(k, every[own], state)

    def forward(
        self, z: Tensor, distance: Tensor | None = None, shells: Tensor | None = None,
        fold: Tensor | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Output and all that labels are compared with, of shapes (n, n_members, k).

        Parameters
        ----------
        z : Tensor of shape (n, 2), int64
            Atomic numbers.
        distance : Tensor of shape (n,), optional
            Distances in Å; by default bond lengths are found.
        shells : Tensor of shape (n, 2, 4), optional
            Electrons by shell; by default the charges are solved.
        fold : Tensor of shape (n,), int64, optional
            The member that does not learn from a row, in training; -1 for none.
        """
        z, shells, sign = in_order(z, shells)
        if distance is not None and shells is not None and self._stacks_on(z.device):
            out, prior = self._by_one_pass(z, distance, shells, sign)
        else:
            out, prior = self._by_member(z, distance, shells, sign, fold)
        if not self.training:
            return out
        out[PENALTY] = PRIOR_WEIGHT * prior
        if len(self.starts):
            near = torch.stack([start(z) for start in self.starts], dim=1)
            out["distance"] = near[..., None] / TERMS["distance"].scale
        if fold is not None:
            others = torch.arange(len(self), device=z.device)
            out[SHARE] = (fold[:, None] != others).to(out[OUTPUT])
        return out

    def _by_member(
        self, z: Tensor, distance: Tensor | None, shells: Tensor | None, sign: Tensor,
        fold: Tensor | None,
    ) -> tuple[dict[str, Tensor], Tensor]:  # fmt: skip
        """Outputs of one member behind the other, 0 of the rows that it does not learn from.

        In training, the mean of their priors as well.
        """
        options: dict[str, Any] = {}
        rows_of = None
        if self.training:
            options = {"kt": self._kt.item(), "forces": self.phase()}
            if fold is not None:
                rows_of = [torch.nonzero(fold != k)[:, 0] for k in range(len(self))]
        out: dict[str, list[Tensor]] = {}
        for _, rows, state in self.states(z, distance, shells, rows_of, **options):
            turned = sign[rows] < 0
            own = {OUTPUT: quantities_of(state, sign[rows]), **compared(state, turned)}
            for name, value in own.items():
                whole = value.new_zeros(len(z), value.shape[1])
                out.setdefault(name, []).append(whole.index_copy(0, rows, value))
        prior = torch.zeros(())
        if self.training:
            penalties = [self[k].hamiltonian.prior(self.elements) for k in range(len(self))]
            prior = torch.stack(penalties).mean()
        return {name: torch.stack(values, dim=1) for name, values in out.items()}, prior

    def _by_one_pass(
        self, z: Tensor, distance: Tensor, shells: Tensor, sign: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The same of all members together, whose tables lie behind each other."""
        m, n = len(self), len(z)
        options: dict[str, Any] = {}
        if self.training:
            options = {"kt": self._kt, "forces": self.phase()}
        first = len(self[0].hamiltonian.shells) * torch.arange(m, device=z.device)
        pairs = (z + first[:, None, None]).flatten(0, 1)
        elements = (self.elements + first[:, None]).flatten()
        known = pairs, distance.repeat(m), shells.repeat(m, 1, 1), elements
        state, prior = torch.func.functional_call(
            _Stack(self[0], self.joined), self._tables(n), known, options, tie_weights=False
        )
        signs = sign.repeat(m)
        own = {OUTPUT: quantities_of(state, signs), **compared(state, signs < 0)}
        outputs = {k: value.unflatten(0, (m, n)).transpose(0, 1) for k, value in own.items()}
        return outputs, prior

    def _tables(self, n: int) -> dict[str, Tensor]:
        """Tensors of all members for a :class:`_Stack` of n rows a member."""
        own: list[dict[str, Tensor]] = [
            {**dict(member.named_parameters()),
             **dict(member.named_buffers(remove_duplicate=False))}
            for member in self.members
        ]  # fmt: skip
        n_elements = len(self[0].hamiltonian.shells)
        out = {}
        for name in own[0]:
            values = [known[name] for known in own]
            if name.startswith("hamiltonian.net.layers."):
                out[f"member.{name}"] = torch.stack(values)
            elif name in ("hamiltonian.common", "hamiltonian.amplitudes"):
                out[f"member.{name}"] = torch.stack(values, 1).repeat_interleave(n, dim=1)
            elif len(values[0]) == n_elements:
                out[f"member.{name}"] = torch.cat(values)
        out["joined.shells"] = out["member.hamiltonian.shells"]
        return out


class _Stack(nn.Module):
    """One member as the form of all: its tensors are replaced by those of all of them."""

    def __init__(self, member: TightBinding, joined: JoinedBlocks) -> None:
        super().__init__()
        self.member, self.joined = member, joined

    def forward(
        self, z: Tensor, distance: Tensor, shells: Tensor, elements: Tensor, **options: Any
    ) -> tuple[State, Tensor]:
        """States of pairs, and the mean of the priors."""
        state = self.member(z, distance, shells, blocks=self.joined, **options)
        return state, self.member.hamiltonian.prior(elements)


def in_order(z: Tensor, shells: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Pairs with the smaller atomic number first, and the sign (n,) of odd quantities.

    Exchange symmetry holds to the last bit so; by the network alone it does to rounding.
    Of equal atoms the one with more s electrons comes first.
    """
    turned = z[:, 0] > z[:, 1]
    if shells is not None:
        turned = turned | ((z[:, 0] == z[:, 1]) & (shells[:, 0, 0] < shells[:, 1, 0]))
        shells = torch.where(turned[:, None, None], shells.flip(1), shells)
    z = torch.where(turned[:, None], z.flip(1), z)
    return z, shells, torch.where(turned, -1.0, 1.0)


def quantities_of(state: State, sign: Tensor) -> Tensor:
    """`QUANTITIES` of a state (n, 8), with the sign (n,) of odd ones."""
    signed = {**state, "charge": state["charge"] * sign.to(state["charge"])}
    return torch.stack([signed[name] for name in QUANTITIES], dim=1)

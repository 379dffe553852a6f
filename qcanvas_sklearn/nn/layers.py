"""Building blocks shared by the architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = [
    "AtomFeatures",
    "AtomLinear",
    "Atoms",
    "SinglePrecision",
    "add_product",
    "atom_features",
    "bare_atoms",
    "beside",
    "element_one_hot",
    "linear_of_edges",
    "linear_of_pairs",
    "mlp",
]


class Atoms(NamedTuple):
    """What is known of atoms.

    Attributes
    ----------
    z : Tensor of shape (...), int64
        Atomic numbers; 0 means no element.
    described : Tensor of shape (..., n_descriptors)
        Tabulated descriptors of the elements.
    scalars : Tensor of shape (..., n_atom)
        What is known of each atom besides its element.
    features : Tensor of shape (..., n_features)
        One-hot element, descriptors and scalars beside each other; many read them.
    """

    z: Tensor
    described: Tensor
    scalars: Tensor
    features: Tensor


def bare_atoms(z: Tensor, scalars: Tensor, n_elements: int) -> Atoms:
    """Atoms, of so many elements, which are not described any further."""
    return Atoms(z, scalars[..., :0], scalars, atom_features(z, scalars, n_elements))


class AtomFeatures(nn.Module):
    """One-hot element, tabulated descriptors and scalars of each atom.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    descriptors : array of shape (n_elements + 1, n_descriptors)
        Fixed descriptors of the elements, standardised, 0 for no element.
    n_atom : int
        Scalars of an atom, standardised.

    Attributes
    ----------
    n_descriptors : int
        Descriptors of an element.
    n_features : int
        Features of an atom.
    """

    descriptors: Tensor

    def __init__(self, n_elements: int, descriptors: NDArray, n_atom: int) -> None:
        super().__init__()
        self.n_elements = n_elements
        self.register_buffer("descriptors", torch.tensor(descriptors, dtype=torch.float32))
        self.n_descriptors = self.descriptors.shape[1]
        self.n_features = n_elements + self.n_descriptors + n_atom

    def known(self, z: Tensor, scalars: Tensor) -> Atoms:
        """Atoms, of atomic numbers (...) and scalars (..., n_atom), apart by kind."""
        described = nn.functional.embedding(z, self.descriptors)
        features = [element_one_hot(z, self.n_elements, scalars.dtype), described, scalars]
        return Atoms(z, described, scalars, torch.cat(features, dim=-1))

    def forward(self, z: Tensor, scalars: Tensor) -> Tensor:
        """Map atomic numbers (...) and scalars (..., n_atom) to (..., n_features)."""
        return self.known(z, scalars).features


class AtomLinear(nn.Linear):
    """A linear layer on :func:`atom_features`, of which the one-hot part is looked up.

    A product with a hundred columns of which one is not zero is a choice of one row. The
    weights are those of the product; which is what is computed in training where the
    features are there, since a choice takes three times as many operations on the way back.

    Parameters
    ----------
    n_elements : int
        Largest atomic number; 0 means no element.
    n_atom : int
        Scalars of an atom.
    n_out : int
        Features that are made of them.
    """

    def __init__(self, n_elements: int, n_atom: int, n_out: int) -> None:
        super().__init__(n_elements + n_atom, n_out)
        self.n_elements = n_elements

    def forward(  # type: ignore[override]
        self, z: Tensor, scalars: Tensor, features: Tensor | None = None
    ) -> Tensor:
        """Map atomic numbers (...) and scalars (..., n_atom) to (..., n_out).

        Features (..., k) begin with the :func:`atom_features` of these.
        """
        if self.training and features is not None:
            return super().forward(features[..., : self.in_features])
        of_element, of_scalars = self.weight.tensor_split([self.n_elements], dim=1)
        table = nn.functional.pad(of_element.t(), (0, 0, 1, 0))
        out = nn.functional.linear(scalars, of_scalars, self.bias)
        return nn.functional.embedding(z, table) + out


class SinglePrecision(nn.Sequential):
    """Layers that stay in single precision when the network around them is cast.

    Networks predict in double precision on the CPU, where convolutions are ten times slower
    in it; single-precision round-off in their features is a fair price.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        return super()._apply(lambda tensor: _to_single(fn(tensor)), recurse)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


def _to_single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def mlp(sizes: Sequence[int], dropout: float = 0.0) -> nn.Sequential:
    """Linear layers with SiLU (and dropout) between them, none behind the last."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        if i:
            layers.append(nn.SiLU())
            if dropout:
                layers.append(nn.Dropout(dropout))
        layers.append(nn.Linear(n_in, n_out))
    return nn.Sequential(*layers)


def beside(*linears: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of one linear layer whose outputs are those of several in turn."""
    weights = [linear.weight for linear in linears]
    return torch.cat(weights), torch.cat([linear.bias for linear in linears])


def add_product(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """x + a b, by one operation where there are no slopes, which that one has more of."""
    return x + a * b if torch.is_grad_enabled() else torch.addcmul(x, a, b)


def linear_of_edges(linear: nn.Linear, parts: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """A linear layer on features of edges beside those of the nodes that they join.

    Nodes are multiplied before they are gathered where they are fewer than the edges.

    Parameters
    ----------
    linear : nn.Linear
        Reads the parts side by side.
    parts : sequence of (Tensor, Tensor or None)
        Features (n, k) of nodes and which of them (E,) each edge sees, or features (E, k) of
        edges and None.
    """
    if all(index is None or len(x) >= len(index) for x, index in parts):
        features = [x if index is None else x.index_select(0, index) for x, index in parts]
        return linear(torch.cat(features, dim=-1))
    weights = linear.weight.split([x.shape[-1] for x, _ in parts], dim=1)
    out: Tensor = linear.bias
    for (x, index), weight in zip(parts, weights, strict=True):
        product = nn.functional.linear(x, weight)
        out = out + (product if index is None else product.index_select(0, index))
    return out


def linear_of_pairs(linear: nn.Linear, *parts: Tensor) -> list[Tensor]:
    """Terms of a linear layer on parts side by side, the bias with the last of them.

    What both edges of a pair see is multiplied once, and what each atom is to either edge
    before the atoms are exchanged: the terms are of different shapes, and are to be added.

    Parameters
    ----------
    linear : nn.Linear
        Reads the parts side by side.
    *parts : Tensor
        Features (..., k).
    """
    weights = linear.weight.split([part.shape[-1] for part in parts], dim=1)
    *first, last = zip(parts, weights, strict=True)
    terms = [nn.functional.linear(part, weight) for part, weight in first]
    return [*terms, nn.functional.linear(*last, linear.bias)]


def element_one_hot(z: Tensor, n_elements: int, dtype: torch.dtype) -> Tensor:
    """One-hot elements of shape (..., n_elements); all zero where z is 0."""
    return nn.functional.one_hot(z, n_elements + 1)[..., 1:].to(dtype)


def atom_features(z: Tensor, scalars: Tensor, n_elements: int) -> Tensor:
    """One-hot elements (..., n_elements), and the scalars (..., k) behind them."""
    return torch.cat([element_one_hot(z, n_elements, scalars.dtype), scalars], dim=-1)

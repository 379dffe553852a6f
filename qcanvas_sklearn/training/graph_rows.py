"""Rows of different numbers of atoms and edges: gathered by index, moved to a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["GraphRows"]

#: Fields by what their first axis counts.
_BY_ROW = ("charge", "group", "features")
_BY_ATOM = ("z", "positions", "forces", "force_features", "atom")
_BY_EDGE = ("source", "target", "offset", "pair", "overlap")
#: Pairs of neighbours, and atoms, that are computed at a time.
_MAX_EDGES = 2**13
_MAX_EDGES_GPU = 2**16


@dataclass(frozen=True)
class GraphRows:
    """Graphs of atoms, one a row; numpy arrays on the host, tensors on a device.

    The atoms and edges of all rows lie one behind the other. Each pair of neighbours is
    held once, and in a batch there are both directions of it.

    Attributes
    ----------
    z : (N,) int64
        Atomic numbers.
    positions : (N, 3)
        Coordinates in Å, less their mean in each row: far from the origin, single
        precision would lose the distances.
    ptr : (n + 1,) int64
        First atom of every row, and the number of all.
    source, target : (H,) int32
        The atoms of each pair of neighbours, numbered within their row.
    offset : (H, 3) or None
        What is to be added to the position of the target, Å; None where nothing repeats.
    edge_ptr : (n + 1,) int64
        First edge of every row, and the number of all.
    charge : (n,)
        Total charges in e.
    group : (n,) int64
        Which rows belong together.
    forces : (N, 3) or None
        Forces to learn from, NaN where a row has none.
    features : (n, k) or None
        What describes the rows to a baseline, indexed by row, or what it is made of; no
        network sees it.
    force_features : (N, 3, k) or None
        The negative gradients of the features at the atoms, where forces are learned from.
    atom : (N, k) or None
        Numbers that describe the atoms.
    pair : (H, k) or None
        Numbers that describe the pairs of neighbours, the same from either side.
    overlap : (H, o * o) or None
        Overlaps of the orbitals of the pairs of neighbours.
    """

    z: Any
    positions: Any
    ptr: Any
    source: Any
    target: Any
    offset: Any
    edge_ptr: Any
    charge: Any
    group: Any
    forces: Any = None
    features: Any = None
    force_features: Any = None
    atom: Any = None
    pair: Any = None
    overlap: Any = None

    uniform: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.ptr) - 1

    def take(self, index: NDArray | slice) -> GraphRows:
        """Some of the rows, still on the host."""
        every = np.arange(len(self))
        rows = every[index]
        if np.array_equal(rows, every):
            return self
        chosen = torch.as_tensor(rows)
        atoms, ptr = _ragged(torch.tensor(self.ptr), chosen)
        edges, edge_ptr = _ragged(torch.tensor(self.edge_ptr), chosen)
        own: dict[str, Any] = {"ptr": ptr.numpy(), "edge_ptr": edge_ptr.numpy()}
        places = (_BY_ROW, rows), (_BY_ATOM, atoms.numpy()), (_BY_EDGE, edges.numpy())
        for names, place in places:
            for name in names:
                array = getattr(self, name)
                own[name] = None if array is None else array[place]
        return GraphRows(**own)

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> GraphRows:
        """The rows as tensors on a device."""
        return GraphRows(**{
            f.name: _tensor(getattr(self, f.name), device, dtype)
            for f in fields(self) if f.name not in ("forces", "features", "force_features")
        })  # fmt: skip

    def batch(self, index: Tensor | slice) -> dict[str, Tensor]:
        """The network's inputs for some of the rows, after :meth:`to`.

        Returns
        -------
        dict of str to Tensor
            ``z`` (N,), ``positions`` (N, 3), ``graph`` (N,) the row of each atom, ``charge``
            (b,), ``edge_index`` (2, E), of which the second half goes back the way of the
            first; where something repeats, ``shift`` (E, 3); and ``atom`` (N, k),
            ``pair`` and ``overlap`` (E / 2, k) where the rows have them.
        """
        rows = torch.arange(len(self), device=self.ptr.device)[index]
        atoms, ptr = _ragged(self.ptr, rows)
        edges, edge_ptr = _ragged(self.edge_ptr, rows)
        n_edges = edge_ptr.diff()
        first = ptr[:-1].repeat_interleave(n_edges)
        source, target = self.source[edges] + first, self.target[edges] + first
        batch = {
            "z": self.z[atoms],
            "positions": self.positions[atoms],
            "graph": torch.arange(len(rows), device=ptr.device).repeat_interleave(ptr.diff()),
            "charge": self.charge[rows],
            "edge_index": torch.stack([
                torch.cat([source, target]), torch.cat([target, source])
            ]),
        }  # fmt: skip
        if self.offset is not None:
            offset = self.offset[edges]
            batch["shift"] = torch.cat([offset, -offset])
        places = {"atom": atoms, "pair": edges, "overlap": edges}
        return batch | {
            name: getattr(self, name)[place]
            for name, place in places.items()
            if getattr(self, name) is not None
        }

    def entries(self, level: str, index: Tensor) -> Tensor:
        """Positions of the labels of some rows among those of a level."""
        if level == "row":
            return index
        ptr = self.edge_ptr if level == "pair" else self.ptr
        return _ragged(torch.tensor(ptr) if isinstance(ptr, np.ndarray) else ptr, index)[0]

    def pieces(self, on_gpu: bool = False) -> Iterator[slice]:
        """Rows that are computed at a time, by their edges."""
        limit = _MAX_EDGES_GPU if on_gpu else _MAX_EDGES
        cost = np.asarray(self.ptr + self.edge_ptr)
        start = 0
        while start < len(self):
            stop = int(np.searchsorted(cost, cost[start] + limit, side="right")) - 1
            stop = max(stop, start + 1)
            yield slice(start, stop)
            start = stop

    def keys(self) -> NDArray[np.int64]:
        """A number for what each row holds, equal for equal rows alone, shape (n,)."""
        digests = []
        for row in range(len(self)):
            atoms = slice(self.ptr[row], self.ptr[row + 1])
            edges = slice(self.edge_ptr[row], self.edge_ptr[row + 1])
            held = [self.z[atoms], self.positions[atoms], self.charge[row : row + 1]]
            held += [] if self.offset is None else [self.offset[edges]]
            digests.append(
                blake2b(b"".join(array.tobytes() for array in held), digest_size=8).digest()
            )
        return np.frombuffer(b"".join(digests), dtype=np.int64)

    @property
    def nbytes(self) -> int:
        """Memory of the rows on the host."""
        arrays = (getattr(self, f.name) for f in fields(self))
        return sum(array.nbytes for array in arrays if array is not None)

    def concat(self, other: GraphRows) -> GraphRows:
        """These rows, and others of the same kind behind them."""
        own: dict[str, Any] = {
            name: np.concatenate([a, a[-1] + b[1:]])
            for name, a, b in (
                ("ptr", self.ptr, other.ptr), ("edge_ptr", self.edge_ptr, other.edge_ptr)
            )
        }  # fmt: skip
        for name in (*_BY_ROW, *_BY_ATOM, *_BY_EDGE):
            own[name] = _joined(getattr(self, name), getattr(other, name), self, other, name)
        return GraphRows(**own)

    def without_forces(self) -> GraphRows:
        """The rows without what a network is to learn of their atoms."""
        return replace(self, forces=None, force_features=None)


def _joined(
    a: NDArray | None, b: NDArray | None, one: GraphRows, other: GraphRows, name: str
) -> NDArray | None:
    """Two arrays below each other; what one side lacks is no offset, and no known force."""
    if a is None and b is None:
        return None
    fill = np.nan if name == "forces" else 0.0
    shape = next(array.shape[1:] for array in (a, b) if array is not None)
    parts = [
        np.full((len(rows.source if name in _BY_EDGE else rows.z), *shape), fill)
        if array is None else array
        for array, rows in ((a, one), (b, other))
    ]  # fmt: skip
    return np.concatenate(parts)


def _ragged(ptr: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Places of what belongs to some rows, one row behind the other, and its pointers."""
    first = ptr[rows]
    counts = ptr[rows + 1] - first
    own = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    place = torch.arange(int(own[-1]), device=ptr.device)
    return place + (first - own[:-1]).repeat_interleave(counts), own


def _tensor(array: NDArray | None, device: torch.device, dtype: torch.dtype) -> Tensor | None:
    if array is None:
        return None
    writable = np.require(array, requirements=["C", "W"])
    tensor = torch.as_tensor(writable)
    return tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)

"""Pairs for those who write their loop over batches themselves: torch and PyG data sets.

Loaded when its names are asked for, so that sources of data cost no torch.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..elements import MAX_Z
from ..rendering import render
from ..structures import PairData, pair_amplitudes
from ..structures._pyg import data_class
from ..targets import LABELS, resolve_targets
from ._archive import read_npz

__all__ = ["TorchPairGraphs", "TorchPairs"]

#: Both directions of the bond.
_EDGES = ((0, 1), (1, 0))


class TorchPairs(Dataset):
    """Images and targets of pairs as a :class:`torch.utils.data.Dataset`.

    For loops over batches that one writes oneself, in place of ``TwoBodyDataset`` of
    QuantumCanvas [1]_: a `DataLoader`, in this process or in workers, gives
    ``images (b, 10, 32, 32)`` and ``targets``. Estimators of this package take pairs as they
    are and need none of it.

    Parameters
    ----------
    pairs : PairData or path-like
        Pairs of any source, or a file in the layout of the archive, which is read as
        :func:`read_npz` does.
    target_label : str, sequence of str or None, default="e_g_ev"
        A target key, the name of a group, any other label that is a number, a sequence of
        these, or None for all 18 targets, as for :func:`load_pairs`.
    target_labels : str, sequence of str or None, default=None
        The same by its other name in the published loaders; in place of `target_label`
        where it is not None.
    masks : bool, default=False
        Whether to keep pairs that lack some of the labels, with a mask of those that are
        there behind the targets, which are zero where it is False. Otherwise pairs that
        lack one are left out. Pairs without any are left out in either case.

    Attributes
    ----------
    pairs : PairData
        The pairs that are in the data set, in order.
    rows : ndarray of int64, shape (n,)
        Where they stood in the pairs that were given.
    target_names : list of str
        Keys of the targets.

    Raises
    ------
    TypeError
        If `pairs` is neither a PairData nor a path.
    ValueError
        If a target is not known or is text, no pair has its label, or a pair that has lacks
        what an image is rendered from.

    See Also
    --------
    TorchPairGraphs : The same pairs as graphs of torch-geometric.

    Notes
    -----
    An item is ``(image, target)``, with masks ``(image, target, mask)``: float32 of shape
    (10, 32, 32), float32 of shape () for one label by name and (t,) otherwise, and bool of
    the shape of the target. Targets are in the units of
    :data:`qcanvas_sklearn.targets.LABELS`; what scales them is to be learned from training
    rows. Images are rendered when they are asked for, those of a batch at once, unless the
    source holds them.

    References
    ----------
    .. [1] QuantumCanvas data set, doi:10.5281/zenodo.20631934.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> from qcanvas_sklearn.datasets import TorchPairs, load_pairs
    >>> data = TorchPairs(load_pairs().pairs, ["e_g_ev", "softness_evinv"], masks=True)
    >>> images, targets, masks = next(iter(DataLoader(data, batch_size=32)))
    >>> images.shape, targets.shape, masks.float().mean(dim=0)
    (torch.Size([32, 10, 32, 32]), torch.Size([32, 2]), tensor([1.0000, 0.5312]))
    """

    def __init__(
        self,
        pairs: PairData | str | os.PathLike[str],
        target_label: str | Sequence[str] | None = "e_g_ev",
        *,
        target_labels: str | Sequence[str] | None = None,
        masks: bool = False,
    ) -> None:
        if isinstance(pairs, (str, os.PathLike)):
            pairs = read_npz(pairs)
        elif not isinstance(pairs, PairData):
            raise TypeError(f"pairs must be a PairData or a path, got {type(pairs).__name__}")
        asked = target_label if target_labels is None else target_labels
        self.target_names = _numeric_labels(asked)
        self.masks = masks
        self._single = isinstance(asked, str) and asked in LABELS
        values = pairs.labels[self.target_names].to_numpy(dtype=np.float64, na_value=np.nan)
        known = np.isfinite(values)
        self.rows = np.flatnonzero(known.any(axis=1) if masks else known.all(axis=1))
        if not len(self.rows):
            raise ValueError(f"none of {len(pairs)} pairs has the labels {self.target_names}")
        self.pairs = pairs if len(self.rows) == len(pairs) else pairs[self.rows]
        self._targets = np.where(known, values, 0.0)[self.rows].astype(np.float32)
        self._known = known[self.rows]
        self._amplitudes = _amplitudes(self.pairs)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} pairs, {self.target_names})"

    def __getitem__(self, index: int) -> Any:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Items of several pairs at once, which is how a DataLoader asks for a batch."""
        rows = _positions(indices, len(self))
        parts = [torch.from_numpy(self._images(rows)), *self._labels(rows)]
        return list(zip(*parts, strict=True))

    def _images(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.pairs.images is not None:
            return self.pairs.images[rows]
        return render(self._amplitudes[rows])

    def _labels(self, rows: NDArray[np.int64]) -> list[Tensor]:
        """Targets of some pairs, and which of them are known where that is asked for."""
        parts = [self._targets[rows], self._known[rows]][: 1 + self.masks]
        return [torch.from_numpy(part[:, 0] if self._single else part) for part in parts]

    def to_pyg(self) -> TorchPairGraphs:
        """The same pairs and targets as graphs of torch-geometric.

        Returns
        -------
        TorchPairGraphs

        Raises
        ------
        ImportError
            If torch-geometric is not installed.

        Examples
        --------
        >>> from qcanvas_sklearn.datasets import TorchPairs, load_pairs
        >>> TorchPairs(load_pairs().pairs, ["chi_ev", "eta_ev"]).to_pyg()[0]
        Data(x=[2, 104], edge_index=[2, 2], edge_attr=[2, 14], y=[1, 2], pos=[2, 3],
             z=[2], image=[1, 10, 32, 32], pair_name='Ag_Ag')
        """
        names: Any = self.target_names[0] if self._single else self.target_names
        return TorchPairGraphs(self.pairs, names, masks=self.masks)


class TorchPairGraphs(TorchPairs):
    """Graphs of pairs with their targets, for the loaders of torch-geometric.

    In place of ``TwoBodyGraphDataset`` of QuantumCanvas [1]_. Atoms are nodes, the bond is an
    edge in both directions.

    Parameters
    ----------
    pairs : PairData or path-like
        Pairs of any source, or a file in the layout of the archive, which is read as
        :func:`read_npz` does.
    target_label : str, sequence of str or None, default="e_g_ev"
        As of :class:`TorchPairs`.
    target_labels : str, sequence of str or None, default=None
        The same by its other name in the published loaders; in place of `target_label`
        where it is not None.
    masks : bool, default=False
        As of :class:`TorchPairs`; the mask is ``y_mask``.

    Attributes
    ----------
    pairs : PairData
        The pairs that are in the data set, in order.
    rows : ndarray of int64, shape (n,)
        Where they stood in the pairs that were given.
    target_names : list of str
        Keys of the targets.

    Raises
    ------
    ImportError
        If torch-geometric is not installed.
    TypeError, ValueError
        As :class:`TorchPairs`, and if geometry or populations of a pair are not known.

    See Also
    --------
    TorchPairs : The same pairs as images.

    Notes
    -----
    An item is a ``Data`` with

    - ``x (2, 104)``: the element, one-hot at ``z - 1`` of 103, and the electron population;
    - ``edge_index (2, 2)``: first atom to second, second to first;
    - ``edge_attr (2, 14)``: the mean of each of the ten channels of the image, the bond
      length, and the vector along the edge (Å);
    - ``pos (2, 3)`` in Å, ``z (2,)`` and ``pair_name``;
    - ``image (1, 10, 32, 32)``, so that a batch has ``image (b, 10, 32, 32)``;
    - ``y`` of shape (1,) for one label by name and (1, t) otherwise, in its units; with masks
      ``y_mask`` of the same shape.

    References
    ----------
    .. [1] QuantumCanvas data set, doi:10.5281/zenodo.20631934.

    Examples
    --------
    >>> from torch_geometric.loader import DataLoader
    >>> from qcanvas_sklearn.datasets import TorchPairGraphs, load_pairs
    >>> data = TorchPairGraphs(load_pairs().pairs, "e_g_ev")
    >>> batch = next(iter(DataLoader(data, batch_size=32)))
    >>> batch.x.shape, batch.edge_attr.shape, batch.y.shape
    (torch.Size([64, 104]), torch.Size([64, 14]), torch.Size([32]))
    """

    def __init__(
        self,
        pairs: PairData | str | os.PathLike[str],
        target_label: str | Sequence[str] | None = "e_g_ev",
        *,
        target_labels: str | Sequence[str] | None = None,
        masks: bool = False,
    ) -> None:
        data_class()
        super().__init__(pairs, target_label, target_labels=target_labels, masks=masks)
        known = np.isfinite(self.pairs.positions).all(axis=(1, 2))
        known &= np.isfinite(self.pairs.populations).all(axis=1)
        if not known.all():
            name = self.pairs.names[np.argmin(known)]
            raise ValueError(f"{name} has a label, but no geometry or populations for a graph")

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Graphs of several pairs at once, which is how a DataLoader asks for a batch."""
        rows = _positions(indices, len(self))
        images = torch.from_numpy(self._images(rows))
        z = torch.from_numpy(self.pairs.z[rows])
        positions = torch.from_numpy(self.pairs.positions[rows])
        one_hot = torch.nn.functional.one_hot(z - 1, MAX_Z)
        populations = torch.from_numpy(self.pairs.populations[rows])
        edges = torch.tensor(_EDGES)  # by source and by target, which is the same here
        vectors = positions[:, edges[1]] - positions[:, edges[0]]
        pooled = images.mean(dim=(2, 3))[:, None].expand(-1, 2, -1)
        lengths = vectors.norm(dim=-1, keepdim=True)
        fields = {
            "x": torch.cat([one_hot, populations[..., None]], dim=-1).float(),
            "edge_index": edges.expand(len(rows), 2, 2),
            "edge_attr": torch.cat([pooled, lengths, vectors], dim=-1).float(),
            "pos": positions.float(), "z": z, "image": images[:, None],
        }  # fmt: skip
        for key, labels in zip(("y", "y_mask"), self._labels(rows), strict=False):
            fields[key] = labels[:, None]  # a batch stands graphs below each other
        names = self.pairs.names
        return [
            data_class()(
                **{key: tensor[k] for key, tensor in fields.items()}, pair_name=str(names[row])
            )
            for k, row in enumerate(rows)
        ]


def _numeric_labels(target: str | Sequence[str] | None) -> list[str]:
    names = resolve_targets(target)
    text = [name for name in names if LABELS[name].kind == "string"]
    if text:
        raise ValueError(f"labels {text} are text, which is no target of a network")
    return names


def _amplitudes(pairs: PairData) -> NDArray[np.float64]:
    """What images are rendered from; nothing where the pairs hold them."""
    if pairs.images is not None:
        return np.empty((len(pairs), 0))
    amplitudes = pair_amplitudes(pairs)
    known = np.isfinite(amplitudes).all(axis=1)
    if not known.all():
        name = pairs.names[np.argmin(known)]
        raise ValueError(f"{name} has a label, but lacks what an image is rendered from")
    return amplitudes


def _positions(indices: Sequence[int], n: int) -> NDArray[np.int64]:
    numbers = [operator.index(index) for index in indices]
    outside = [number for number in numbers if not -n <= number < n]
    if outside:
        raise IndexError(f"pair {outside[0]} is not one of {n}")
    return np.array(numbers, dtype=np.int64) % n

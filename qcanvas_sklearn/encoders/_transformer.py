"""`EncoderTransformer`: what a trained encoder knows of molecules, as columns."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .. import nn as networks
from .._fitting import whole_or_not_at_all
from .._validation import check_choice
from ..descriptors._base import BaseMoleculeTransformer
from ..elements import atomic_numbers, symbols
from ..inputs import InputSpec, MoleculeReader
from ..nn.encoding import encoder_parameters
from ..nn.graphs import sum_messages
from ..nn.outputs import OUTPUT
from ..structures import Molecules
from ..training import Predictor, resolve_device
from ..training.devices import seeded, single_precision
from ._encoder import Encoder, check_covered

__all__ = ["EncoderTransformer"]

POOLINGS = ("sum", "mean", "element")
_NETWORKS: dict[str, type[nn.Module]] = {
    "dimenet": networks.MoleculeDimeNet, "egnn": networks.MoleculeEGNN,
    "faenet": networks.MoleculeFAENet, "gatv2": networks.MoleculeGATv2,
    "gotennet": networks.MoleculeGotenNet, "schnet": networks.MoleculeSchNet,
}  # fmt: skip


class EncoderTransformer(BaseMoleculeTransformer):
    """Describe molecules by what a trained encoder knows of their atoms, pooled.

    A few labels are enough for a ridge, a kernel or a Gaussian process behind it, where a
    network of its own would learn nothing yet. Features do not depend on where the molecule
    lies or on the order of its atoms; nothing is learned from the molecules or the labels.

    Parameters
    ----------
    pretrained : str, path-like or Encoder
        The encoder, of molecules: a name in :func:`qcanvas_sklearn.encoders.list`, a file
        of ``save_encoder``, or an :class:`~qcanvas_sklearn.encoders.Encoder`.
    pooling : {"sum", "mean", "element"}, default="sum"
        How the features of atoms become those of a molecule: their sum, which grows with
        the molecule as energies do; their mean; or "element", one sum for each of the
        encoder's elements, as many times wider.
    family : str, default=None
        Which encoder, where one of that name ships for several families.
    device : str, default="auto"
        Device to compute on, as torch names it; "auto" is CUDA where present.

    Attributes
    ----------
    encoder_ : Encoder
        The encoder; a pickle holds it and needs no file.
    elements_ : list of str
        Elements that it was trained on; others are refused.

    See Also
    --------
    MoleculeDescriptorTransformer : Descriptors that nothing was learned for.
    TwoCentreTransformer : Levels, charges and bonds of what pairs of elements make.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.linear_model import RidgeCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from qcanvas_sklearn import EncoderTransformer, SchNetRegressor, load_molecules
    >>> X, y = load_molecules(return_X_y=True)
    >>> network = SchNetRegressor(n_hidden=16, n_layers=1, max_epochs=2, random_state=0)
    >>> network = network.fit(X[:200], y["e_lumo_ev"][:200])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     encoder = network.save_encoder(Path(folder) / "lumo.safetensors")
    >>> model = make_pipeline(EncoderTransformer(encoder), StandardScaler(), RidgeCV())
    >>> model.fit(X[200:300], y["e_homo_ev"][200:300]).predict(X[300:302]).shape
    (2,)
    """

    def __init__(
        self,
        pretrained: str | os.PathLike[str] | Encoder,
        *,
        pooling: str = "sum",
        family: str | None = None,
        device: str = "auto",
    ) -> None:
        self.pretrained = pretrained
        self.pooling = pooling
        self.family = family
        self.device = device

    def fit(self, X: Any, y: Any = None) -> EncoderTransformer:
        """Load the encoder; nothing is learned.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            Structures.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        FileNotFoundError
            If there is no such encoder.
        TypeError, ValueError
            If a parameter is invalid, the encoder is one of pairs, `X` are no molecules, or
            it was not trained on one of their elements.
        """
        check_choice("pooling", self.pooling, POOLINGS)
        given = self.pretrained
        encoder = given if isinstance(given, Encoder) else Encoder.load(given, self.family)
        if encoder.kind != "molecules":
            raise ValueError(
                f"encoder {encoder.name!r} is one of {encoder.kind}, whose inputs molecules "
                "do not have"
            )
        resolve_device(self.device)
        with whole_or_not_at_all(self):
            self.encoder_, self.elements_ = encoder, list(encoder.elements)
            self._read(X)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:
        """Features of molecules.

        Parameters
        ----------
        X : Molecules, PairData, list of ase.Atoms, or PyG data
            Structures, with or without a cell.

        Returns
        -------
        ndarray of shape (n, n_features), float64

        Raises
        ------
        TypeError, ValueError
            If `X` are no molecules, or the encoder was not trained on one of their elements.
        """
        check_is_fitted(self)
        molecules: Molecules = self._read(X)
        cutoff = float(self.encoder_.hyperparameters["cutoff"])
        rows = MoleculeReader(InputSpec(("z",), cutoff=cutoff)).read(self, molecules)
        device = resolve_device(self.device, fallback=True)
        return Predictor(_Pooled(self.encoder_, self.pooling), device)(rows)[OUTPUT]

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray:
        """Names of the output columns.

        Parameters
        ----------
        input_features : ignored
            Molecules have no columns.

        Returns
        -------
        ndarray of str objects
        """
        check_is_fitted(self)
        family, n = self.encoder_.family, self.encoder_.hyperparameters["n_hidden"]
        parts = [f"{s}_" for s in self.elements_] if self.pooling == "element" else [""]
        names = [f"{part}{family}{k}" for part in parts for k in range(n)]
        return np.array(names, dtype=object)

    def _check_elements(self, molecules: Molecules) -> None:
        check_covered(self.encoder_.name, self.elements_, symbols(molecules.elements).tolist())


class _Pooled(nn.Module):
    """An encoder, and the sums of what it knows of atoms."""

    kinds: Tensor
    network: Any

    def __init__(self, encoder: Encoder, pooling: str) -> None:
        super().__init__()
        with seeded(0, torch.device("cpu")), single_precision():
            self.network = _NETWORKS[encoder.family](
                n_outputs=1, readout=["sum"], **encoder.hyperparameters
            )
        with torch.no_grad():
            for name, parameter in encoder_parameters(self.network).items():
                parameter.copy_(torch.tensor(encoder.weights[name]))
        self.pooling = pooling
        z = atomic_numbers(list(encoder.elements))
        kinds = torch.zeros(int(encoder.hyperparameters["n_elements"]) + 1, dtype=torch.int64)
        kinds[z] = torch.arange(len(z))
        self.register_buffer("kinds", kinds)
        self.n_kinds = len(z)

    def forward(self, **batch: Tensor) -> dict[str, Tensor]:
        """Map a batch to (b, n_features)."""
        x, graph, n = self.network.encode(**batch), batch["graph"], len(batch["charge"])
        if self.pooling == "element":
            place = graph * self.n_kinds + self.kinds[batch["z"]]
            return {OUTPUT: sum_messages(x, place, n * self.n_kinds).view(n, -1)}
        pooled = sum_messages(x, graph, n)
        if self.pooling == "mean":
            pooled = pooled / sum_messages(x.new_ones(len(x)), graph, n)[:, None]
        return {OUTPUT: pooled}

"""Encoders of graph networks: starting from one, and saving one."""

from __future__ import annotations

import math
import numbers
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNet
from torch import nn

from ..encoders import Encoder
from ..encoders._encoder import check_covered
from ..inputs import MoleculeReader, PairReader
from ..nn import HamiltonianGotenNet, HamiltonianNetwork
from ..nn.encoding import READOUT, encoder_parameters, layers_below
from ..training import Rate, Rows, Scaling, TrainingData, TrainingPlan
from ._base import NetEstimator

__all__ = ["PretrainedFamily", "SavesEncoder", "Trained", "hamiltonian_encoder"]

#: Arguments of a network's constructor that shape its read-out alone.
_OF_READOUT = ("dropout", "n_outputs", "readout")


class Trained(NamedTuple):
    """An encoder as a fitted model has it; the fields are those of `Encoder`."""

    family: str
    kind: str
    hyperparameters: Mapping[str, Any]
    weights: Mapping[str, NDArray]
    input_scaling: Mapping[str, Scaling] | None = None


class SavesEncoder(NetEstimator):
    """An estimator whose network has an encoder."""

    if TYPE_CHECKING:
        provenance_: dict[str, Any]

    @abstractmethod
    def _trained_encoder(self) -> Trained:
        """The encoder of the fitted net, of an ensemble that of its first member."""

    def save_encoder(
        self, path: str | os.PathLike[str], *, name: str | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> Encoder:  # fmt: skip
        """Save what comes before the read-out, for ``pretrained`` of other estimators.

        Of an ensemble it is the first member's.

        Parameters
        ----------
        path : path-like
            File to write, in the safetensors format.
        name : str, default=None
            What to call it; by default as the file without its ending.
        card : mapping, default=None
            What others should know of it: data, recipe, licence. Anything that JSON holds.

        Returns
        -------
        Encoder
            What the file holds.

        Raises
        ------
        ValueError
            If the model was fitted on a plain table, which has no atoms.
        """
        check_is_fitted(self, "net_")
        report = getattr(self, "pretrained_report_", None) or {}
        provenance = dict(self.provenance_)
        if report:
            provenance["pretrained"] = {k: report[k] for k in ("name", "sha256")}
        if self._built_with["n_members"] > 1:
            provenance["member"] = f"1 of {self._built_with['n_members']}"
        encoder = Encoder(
            name=Path(path).stem if name is None else name,
            elements=sorted({*self.elements_, *report.get("elements", [])}),
            targets=self._target_units(), provenance=provenance, card=card or {},
            **self._trained_encoder()._asdict(),
        )  # fmt: skip
        encoder.save(path)
        return encoder

    def _target_units(self) -> dict[str, str]:
        """Units of the targets by name."""
        units: dict[str, str] = self.provenance_["targets"]
        return units


@dataclass(eq=False, repr=False, kw_only=True)
class PretrainedFamily(SavesEncoder):
    """A family whose network can start from an encoder that was trained before."""

    pretrained: str | os.PathLike[str] | Encoder | None = None
    freeze: bool | int = False
    encoder_lr: float = 1.0

    if TYPE_CHECKING:
        _encoder: Encoder | None  # while a model is fitted
        _encoded_with: dict[str, Any]
        pretrained_report_: dict[str, Any] | None

    @property
    @abstractmethod
    def _family(self) -> str:
        """Name of the family among encoders."""

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.pretrained, (str, os.PathLike, Encoder, type(None))):
            raise TypeError(
                f"pretrained={self.pretrained!r} is no Encoder, name or path of one, or None"
            )
        if not isinstance(self.freeze, (bool, np.bool_)):
            check_scalar(self.freeze, "freeze", numbers.Integral, min_val=0)
        check_scalar(self.encoder_lr, "encoder_lr", numbers.Real, min_val=0,
                     include_boundaries="neither")  # fmt: skip
        if not np.isfinite(self.encoder_lr):
            raise ValueError(f"encoder_lr={self.encoder_lr} is not finite")

    def _architecture(self) -> dict[str, Any]:
        given = self.pretrained
        said = given.sha256 if isinstance(given, Encoder) else given and os.fspath(given)
        return {**super()._architecture(), "pretrained": said}

    # ---------------------------------------------------------------- beginning

    def _begin(self, rows: Rows) -> None:
        """See whether the encoder fits what was read, and what is known of it."""
        self._encoder, self.pretrained_report_ = self._open_encoder(), None
        self._encoded_with = self._encoder_hyperparameters(rows)
        encoder = self._encoder
        if encoder is None:
            return
        encoder.check(self._family, self._encoder_kind(), self._encoded_with)
        self.reader_.spec = replace(self.reader_.spec, scaling=encoder.input_scaling)
        self.pretrained_report_ = {
            "name": encoder.name, "sha256": encoder.sha256, "elements": list(encoder.elements),
            "loaded": list(encoder.weights),
        }  # fmt: skip

    def _open_encoder(self) -> Encoder | None:
        if self.pretrained is None or isinstance(self.pretrained, Encoder):
            return self.pretrained
        return Encoder.load(self.pretrained, self._family)

    def _encoder_kind(self) -> str:
        """What the encoder's network is one of."""
        if isinstance(self.reader_, MoleculeReader):
            return "molecules"
        if isinstance(self.reader_, PairReader):
            return "pairs"
        raise ValueError(
            "an encoder is of atoms, and X holds none: pass pairs, a table with the columns of "
            "a PairImageTransformer, or molecules"
        )

    def _encoder_hyperparameters(self, rows: Rows) -> dict[str, Any]:
        """What shapes the encoder."""
        accepted = signature(self._network_class()).parameters
        params = {
            **{name: parameter.default for name, parameter in accepted.items()},
            **self.reader_.network_params(rows), **self._stated(self._network_parameters()),
        }  # fmt: skip
        if isinstance(self.reader_, PairReader):
            layout = self.reader_.layout_
            params |= {"blocks": layout.include, "channels": layout.channels}
        return {name: value for name, value in params.items() if name not in _OF_READOUT}

    def _train(
        self, rows: Rows, values: NDArray[np.float64], weight: NDArray[np.float64],
        validation: tuple[Any, Any], plan: TrainingPlan, continuing: bool, stream: bool,
    ) -> bool:  # fmt: skip
        if not continuing:
            self._begin(rows)
        if self.pretrained_report_ is not None:
            learned = rows.take(np.flatnonzero(self._labelled(values) & (weight > 0)))
            self._check_covered(learned, self.elements_ if continuing else [])
            plan = self._paced(plan, self.pretrained_report_["loaded"])
        return super()._train(rows, values, weight, validation, plan, continuing, stream)

    def _prepare(self, net: NeuralNet, data: TrainingData) -> None:
        super()._prepare(net, data)
        if self._encoder is not None:
            for network in self._networks(net):
                names = _start_from(network, self._encoder)
            assert self.pretrained_report_ is not None  # of a fit with an encoder
            self.pretrained_report_ |= names

    def _describe(self, rows: Rows) -> None:
        super()._describe(rows)
        # A fitted model has these weights, or better ones, and needs no file.
        self.__dict__.pop("_encoder", None)

    def _networks(self, net: NeuralNet) -> list[Any]:
        """The networks in a net, one for each member."""
        kind = self._network_class()
        return [module for module in net.module_.modules() if isinstance(module, kind)]

    def _check_covered(self, rows: Rows, also: Sequence[str]) -> None:
        """Raise an error if there are elements that the weights were not trained on."""
        report = self.pretrained_report_
        assert report is not None  # of a fit that began with an encoder
        if self.unseen_elements == "error":
            check_covered(
                report["name"], [*report["elements"], *also], self.reader_.element_names(rows),
                '; set unseen_elements="allow" to start from weights of theirs that were never '
                "trained",
            )  # fmt: skip

    def _paced(self, plan: TrainingPlan, names: Sequence[str]) -> TrainingPlan:
        """The plan with learning rates and epochs of rest of the encoder's layers."""
        below = layers_below(names)
        n = 1 + max(distance for _, distance in below)
        rates = [
            Rate(pattern, self.encoder_lr ** ((1 + distance) / n), 1.0)
            for pattern, distance in below
        ]
        # The first group's rate is the one in the history.
        rates = [Rate(READOUT, 1.0, 1.0), *rates] if self.encoder_lr != 1 else []
        if isinstance(self.freeze, (bool, np.bool_)):
            kept = [(pattern, math.inf) for pattern, _ in below] if self.freeze else []
        else:
            kept = [(pattern, self.freeze + distance) for pattern, distance in below]
        kept = [(READOUT, 0), *kept] if self.freeze else []
        return replace(plan, rates=rates, kept=kept)

    # -------------------------------------------------------------------- saving

    def _trained_encoder(self) -> Trained:
        kind = self._encoder_kind()
        parameters = encoder_parameters(self._networks(self.net_)[0])
        weights = {name: weight.detach().numpy() for name, weight in parameters.items()}
        scaling = self.reader_.scaling_ if kind == "pairs" else None
        return Trained(self._family, kind, self._encoded_with, weights, scaling)


def hamiltonian_encoder(module: nn.Module) -> Trained:
    """The encoder of a network of Hamiltonians, or of the first member of an ensemble.

    Raises
    ------
    ValueError
        If it is one that no family for molecules has.
    """
    network = next(m for m in module.modules() if isinstance(m, HamiltonianNetwork))
    if not isinstance(network, HamiltonianGotenNet):
        raise ValueError(
            "no estimator starts from the encoder of this backbone: use backbone='gotennet', "
            "whose encoder a GotenNetRegressor takes as pretrained"
        )
    weights = {name: weight.numpy() for name, weight in network.molecule_encoder().items()}
    n_elements, n_hidden = network.embed.weight.shape
    params = {
        "n_elements": n_elements - 1, "n_hidden": n_hidden,
        "n_layers": len(network.core.layers), "n_heads": network.core.embed_steerable.n_heads,
        "n_degrees": network.n_degrees, "n_radial": len(network.core.basis.centers),
        "cutoff": network.cutoff,
    }  # fmt: skip
    return Trained("gotennet", "molecules", params, weights)


@torch.no_grad()
def _start_from(network: Any, encoder: Encoder) -> dict[str, list[str]]:
    """Load the weights of an encoder, and set all outputs to zero; names by what was done.

    Raises
    ------
    ValueError
        If a parameter of the network's encoder is not among the weights, or of another shape.
    """
    own = encoder_parameters(network)
    for name, parameter in own.items():
        shape = encoder.weights[name].shape if name in encoder.weights else None
        if shape != tuple(parameter.shape):
            raise ValueError(
                f"encoder {encoder.name!r} has {name} of shape {shape}, the network has "
                f"{tuple(parameter.shape)}"
            )
        parameter.copy_(torch.tensor(encoder.weights[name]))
    network.readout.start_at_zero()
    return {
        "loaded": list(own),
        "skipped": [name for name in encoder.weights if name not in own],
        "new": [name for name, _ in network.named_parameters() if name not in own],
    }

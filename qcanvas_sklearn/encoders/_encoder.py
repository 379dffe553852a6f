"""`Encoder`: weights, what they fit, and where they come from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from .._files import written_whole
from .._validation import check_choice
from ..training import Scaling
from ._registry import read_file

__all__ = ["FAMILIES", "KINDS", "Encoder", "check_covered"]

FAMILIES = ("dimenet", "egnn", "faenet", "gatv2", "gotennet", "schnet")
KINDS = ("molecules", "pairs")
#: Version of the files; a reader takes no other.
_FORMAT = 1
_KEY = "qcanvas_encoder"


@dataclass(frozen=True, eq=False)
class Encoder:
    """The part of a graph network before its read-out, as it was trained.

    Parameters
    ----------
    name : str
        What to call it.
    family : {"dimenet", "egnn", "faenet", "gatv2", "gotennet", "schnet"}
        Architecture.
    kind : {"molecules", "pairs"}
        Whether the network is one of molecules or one of pairs, whose inputs are others.
    hyperparameters : mapping of str to value
        Arguments of the network's constructor that shape the encoder; of pairs also which
        blocks of columns and which channels it sees.
    elements : sequence of str
        Symbols of the elements that it was trained on.
    weights : mapping of str to ndarray
        The parameters by the names that they have in the network, in single precision.
    targets : mapping of str to str, default={}
        Units of the targets that it was trained on, by name.
    input_scaling : mapping of str to Scaling, default=None
        How the inputs of pairs were standardised; None for molecules.
    provenance : mapping, default={}
        Versions, number of training rows, and so on.
    card : mapping, default={}
        What its maker says of it: data, recipe, licence.

    Attributes
    ----------
    sha256 : str
        Of all of the above.

    Raises
    ------
    TypeError, ValueError
        If a field is not of this kind.

    See Also
    --------
    SchNetRegressor : Has a method ``save_encoder`` and a parameter ``pretrained``, as all
        graph families have.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from qcanvas_sklearn import SchNetRegressor, load_molecules
    >>> from qcanvas_sklearn.encoders import Encoder
    >>> X, y = load_molecules("e_g_ev", return_X_y=True)
    >>> model = SchNetRegressor(n_hidden=16, n_layers=1, max_epochs=1, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "gaps.safetensors"
    ...     _ = model.fit(X[:50], y[:50]).save_encoder(path)
    ...     encoder = Encoder.load(path)
    >>> encoder.family, encoder.elements, encoder.targets
    ('schnet', ['C', 'F', 'H', 'N', 'O'], {'e_g_ev': 'eV'})
    """

    name: str
    family: str
    kind: str
    hyperparameters: Mapping[str, Any]
    elements: Sequence[str]
    weights: Mapping[str, NDArray[np.float32]] = field(repr=False)
    targets: Mapping[str, str] = field(default_factory=dict)
    input_scaling: Mapping[str, Scaling] | None = field(default=None, repr=False)
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)
    card: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_choice("family", self.family, FAMILIES)
        check_choice("kind", self.kind, KINDS)
        for name in ("hyperparameters", "elements", "targets", "provenance", "card"):
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        weights = {name: _frozen(array) for name, array in sorted(self.weights.items())}
        object.__setattr__(self, "weights", weights)

    @cached_property
    def sha256(self) -> str:
        """Hash of weights and all that is said of them."""
        digest = sha256(json.dumps(self._said(), sort_keys=True).encode())
        for name, array in self.weights.items():
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    @property
    def n_parameters(self) -> int:
        """Number of weights."""
        return sum(array.size for array in self.weights.values())

    def describe(self) -> dict[str, Any]:
        """All that is said of the weights, for reading.

        Returns
        -------
        dict
            The fields but for weights and scaling, ``n_parameters`` and ``sha256``.
        """
        said = {k: v for k, v in self._said().items() if k not in ("format", "input_scaling")}
        return {**said, "n_parameters": self.n_parameters, "sha256": self.sha256}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, which is complete as soon as it has its name.

        Parameters
        ----------
        path : path-like
            File to write, new or to be replaced.

        Raises
        ------
        FileNotFoundError, IsADirectoryError
            If no file can stand there.
        """
        metadata = json.dumps({**self._said(), "sha256": self.sha256}, sort_keys=True)
        with written_whole(path) as file:
            file.write(save_tensors(dict(self.weights), metadata={_KEY: metadata}))

    @classmethod
    def load(cls, name: str | os.PathLike[str], family: str | None = None) -> Encoder:
        """Read a file, or an encoder that ships with the package.

        Parameters
        ----------
        name : str or path-like
            Name of one in :func:`~qcanvas_sklearn.encoders.list`, or a path.
        family : str, default=None
            Which one, where an encoder of that name ships for several families.

        Returns
        -------
        Encoder

        Raises
        ------
        FileNotFoundError
            If there is neither a shipped encoder nor a file of that name.
        ValueError
            If a file is no encoder, of another version, or not as it was written.
        """
        said, data = read_file(name, family)
        metadata, weights = _read(said, data)
        expected = metadata.pop("sha256", None)
        if metadata.pop("format", None) != _FORMAT:
            raise ValueError(
                f"{said} is an encoder file of another version than {_FORMAT}; read it with "
                "the version of the package that wrote it"
            )
        try:
            scaling = metadata.pop("input_scaling")
            encoder = cls(**metadata, weights=weights, input_scaling=_scalings(scaling))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{said} does not describe an encoder: {error}") from None
        if encoder.sha256 != expected:
            raise ValueError(
                f"{said} is not as it was written: its SHA-256 is {encoder.sha256}, expected "
                f"is {expected}"
            )
        return encoder

    def check(self, family: str, kind: str, hyperparameters: Mapping[str, Any]) -> None:
        """Raise a ValueError that names what keeps the weights from fitting a network.

        Parameters
        ----------
        family, kind, hyperparameters
            Of the network, as above.
        """
        if family != self.family:
            raise ValueError(
                f"encoder {self.name!r} is of the family {self.family!r}, the network is of "
                f"{family!r}; encoders.list() names those that ship"
            )
        if kind != self.kind:
            raise ValueError(
                f"encoder {self.name!r} was trained on {self.kind}, X holds {kind}: the inputs "
                "of their networks are others"
            )
        own, asked = self.hyperparameters, _plain("hyperparameters", hyperparameters)
        names = sorted({*own, *asked})
        other = [name for name in names if own.get(name) != asked.get(name)]
        if other:
            raise ValueError(
                f"encoder {self.name!r} has other hyperparameters: "
                + ", ".join(f"{n}={own.get(n)!r}, not {asked.get(n)!r}" for n in other)
                + "; set those of the encoder (encoders.describe shows all)"
            )

    def _said(self) -> dict[str, Any]:
        """What a file says beside the weights."""
        scaling = None
        if self.input_scaling is not None:
            scaling = {
                name: [one.mean.tolist(), one.scale.tolist(), one.axis]
                for name, one in sorted(self.input_scaling.items())
            }
        own = {
            f.name: getattr(self, f.name) for f in fields(self)
            if f.name not in ("weights", "input_scaling")
        }  # fmt: skip
        return {"format": _FORMAT, **own, "input_scaling": scaling}


def check_covered(
    name: str, known: Iterable[str], elements: Iterable[str], advice: str = ""
) -> None:
    """Raise a ValueError that names elements which an encoder was not trained on."""
    unseen = sorted({*elements} - {*known})
    if unseen:
        raise ValueError(
            f"encoder {name!r} was not trained on the elements {unseen}, but on "
            f"{sorted(known)}{advice}"
        )


def _frozen(array: NDArray) -> NDArray[np.float32]:
    """A copy in single precision that cannot be written to."""
    array = np.array(array, dtype=np.float32)
    array.flags.writeable = False
    return array


def _plain(name: str, value: Any) -> Any:
    """A value as JSON gives it back."""
    try:
        return json.loads(json.dumps(value, default=_listed, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} holds what JSON cannot: {error}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__}")


def _scalings(said: Mapping[str, Any] | None) -> dict[str, Scaling] | None:
    if said is None:
        return None
    return {
        name: Scaling(np.array(mean, dtype=np.float64), np.array(scale, dtype=np.float64), axis)
        for name, (mean, scale, axis) in said.items()
    }


def _read(said: str, data: bytes) -> tuple[dict[str, Any], dict[str, NDArray]]:
    """What a file says, and its arrays."""
    try:
        weights = load_tensors(data)
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(json.loads(data[8 : 8 + size])["__metadata__"][_KEY])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{said} is no encoder file, or not all of one: {error!r}") from None
    if not isinstance(metadata, dict):
        raise ValueError(f"{said} is no encoder file")
    return metadata, weights

"""What the families of graph networks share: pairs and molecules of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, ClassVar

from torch import nn

from ..inputs import InputSpec, MoleculeReader
from ..nn.heads import READOUTS
from ..targets import EXTENSIVE_LABELS, LABELS, MOLECULE_LABELS, ODD_LABELS
from ._checks import check_network_parameters
from ._pretrained import PretrainedFamily
from ._targets import TargetSpec

__all__ = ["GraphFamily"]


@dataclass(eq=False, repr=False, kw_only=True)
class GraphFamily(PretrainedFamily):
    """A family whose network passes messages on graphs of atoms.

    On pairs it is the head for two atoms around the family's core, on molecules the one for
    any number.
    """

    _molecule_network: ClassVar[type[nn.Module]]

    readout: str | Sequence[str] = "auto"

    def _network_class(self) -> type[nn.Module]:
        return self._molecule_network if self._on_molecules else self._network

    @property
    def _family(self) -> str:
        return self._molecule_network.__name__.removeprefix("Molecule").lower()

    @property
    def _on_molecules(self) -> bool:
        return isinstance(getattr(self, "reader_", None), MoleculeReader)

    def _input_spec(self) -> InputSpec:
        cutoff = getattr(self, "cutoff", None)
        if cutoff is None:
            cutoff = signature(self._molecule_network).parameters["cutoff"].default
        return replace(self._spec, cutoff=cutoff)

    def _settled_parameters(self) -> dict[str, Any]:
        params = super()._settled_parameters()
        if self._on_molecules:
            params["readout"] = self._readouts(self._targets)
        return params

    def _check_parameters(self) -> None:
        super()._check_parameters()
        accepted = signature(self._molecule_network).parameters
        params = self.get_params(deep=False)
        check_network_parameters(
            self._stated({name: params[name] for name in accepted if name in params})
        )
        for choice in [self.readout] if isinstance(self.readout, str) else self.readout:
            if choice not in ("auto", *READOUTS):
                raise ValueError(
                    f"readout={self.readout!r} holds {choice!r}; accepted are "
                    f"{('auto', *READOUTS)}, one for all targets or one for each"
                )

    def _readouts(self, spec: TargetSpec) -> list[str]:
        """How each output is read out of the atoms.

        Raises
        ------
        ValueError
            If their number is not that of the targets, or a target is the component of a
            vector.
        """
        n = spec.n_targets
        stated = [self.readout] * n if isinstance(self.readout, str) else list(self.readout)
        if len(stated) != n:
            raise ValueError(f"readout={self.readout!r} has not one entry for each of {n}")
        if spec.classes is not None:
            return ["attention" if choice == "auto" else choice for choice in stated]
        names = spec.names or [""] * n
        turning = [name for name in names if name in ODD_LABELS]
        if turning:
            raise ValueError(
                f"targets {turning} turn with the molecule, and these networks see nothing "
                "of how it lies; learn dipole_mag_d"
            )
        return [
            _readout_of(name) if choice == "auto" else choice
            for name, choice in zip(names, stated, strict=True)
        ]


def _readout_of(name: str) -> str:
    """The read-out that fits a target by its name; sums where nothing is known of it."""
    if name == "dipole_mag_d":
        return "dipole"
    known = name in LABELS or name in MOLECULE_LABELS
    return "attention" if known and name not in EXTENSIVE_LABELS else "sum"

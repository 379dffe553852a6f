"""What a network learns beside tight binding: how far its states are off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..nn.cores.tight_binding import QUANTITIES, state_labels
from ._targets import TargetSpec

__all__ = ["Correction", "Description", "labels_of_state"]

Array = NDArray[np.float64]

#: What can be corrected, and its sign under exchange of the atoms.
_PARITY = {"homo": 1, "lumo": 1, "gap": 1, "middle": 1, "band": 1, "total": 1, "repulsion": 1,
           "charge": -1, "distance": 1}  # fmt: skip
#: Inputs that predictions may start from, and what is no error then.
_CERTAIN = {"shells": "charge", "distance": "distance"}
#: Gap in eV below which a state has none.
_NO_GAP = 1e-9
_AT = {name: k for k, name in enumerate(QUANTITIES)}


class Description(NamedTuple):
    """Pairs as a tight-binding model sees them.

    Attributes
    ----------
    quantities : ndarray of shape (n, m, 8)
        `QUANTITIES` of the pairs by member.
    centre : ndarray of shape (n, 8)
        What the members predict together.
    atoms : ndarray of shape (n, 2, k)
        Columns of the atoms.
    pair : ndarray of shape (n, q)
        Columns of the pair.
    """

    quantities: Array
    centre: Array
    atoms: Array
    pair: Array


@dataclass(frozen=True)
class Correction:
    """Differences between labels and a state, and the state with them put right.

    Attributes
    ----------
    names : tuple of str
        What is corrected.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, labels: dict[str, Array], known: tuple[str, ...]) -> Correction:
        """Everything that there are labels of, without what is given if there is more."""
        certain = {_CERTAIN[name] for name in known if name in _CERTAIN}
        labelled = tuple(name for name in _PARITY if np.isfinite(labels[name]).any())
        return cls(tuple(name for name in labelled if name not in certain) or labelled)

    @property
    def spec(self) -> TargetSpec:
        """The outputs of a network of corrections."""
        parity = np.array([_PARITY[name] for name in self.names], dtype=np.int64)
        return TargetSpec(list(self.names), len(self.names), False, parity)

    def differences(self, labels: dict[str, Array], quantities: Array) -> Array:
        """Labels less the state's quantities (n, 8), shape (n, len(names))."""
        own = {name: quantities[:, k] for name, k in _AT.items()}
        own["gap"] = np.maximum(own["lumo"] - own["homo"], 0.0)
        own["middle"] = (own["lumo"] + own["homo"]) / 2
        return np.stack([labels[name] - own[name] for name in self.names], axis=1)

    def applied(self, quantities: Array, differences: Array) -> Array:
        """Quantities (..., 8) with differences (..., len(names)) added."""
        out = quantities.copy()
        # An odd electron leaves no gap, and no correction makes one.
        closed = quantities[..., _AT["lumo"]] - quantities[..., _AT["homo"]] < _NO_GAP
        common = self._of_both_levels(differences)
        for k, name in enumerate(self.names):
            difference = differences[..., k]
            if name in ("homo", "lumo", "gap"):
                difference = np.where(closed, 0.0 if name == "gap" else common, difference)
            if name == "gap":
                out[..., _AT["homo"]] -= difference / 2
                out[..., _AT["lumo"]] += difference / 2
            elif name == "middle":
                out[..., _AT["homo"]] += difference
                out[..., _AT["lumo"]] += difference
            else:
                out[..., _AT[name]] += difference
            if name == "total":
                out[..., _AT["mermin"]] += difference
        return out

    def _of_both_levels(self, differences: Array) -> Array:
        """Mean difference (...,) of HOMO and LUMO, of those that are corrected."""
        own = [k for k, name in enumerate(self.names) if name in ("homo", "lumo")]
        return differences[..., own].mean(axis=-1) if own else np.zeros(differences.shape[:-1])


def labels_of_state(
    names: list[str], values: Array, centre: Array
) -> dict[str, Array]:
    """Labels by quantity, from those of targets and what the state says of the rest."""
    distance = centre[:, _AT["distance"]]
    asked = dict(zip(names, values.T, strict=True))
    known = asked.get("distance_ang", np.full(len(values), np.nan))
    labels = state_labels(asked, np.where(np.isfinite(known), known, distance))
    # Without a label of the total energy the free energy's says the same.
    heat = centre[:, _AT["mermin"]] - centre[:, _AT["total"]]
    total = np.where(np.isfinite(labels["total"]), labels["total"], labels["mermin"] - heat)
    # Of a charge whose sign is not known the state has the sign.
    signed = labels["charge_size"] * np.where(centre[:, _AT["charge"]] < 0, -1.0, 1.0)
    charge = np.where(np.isfinite(labels["charge"]), labels["charge"], signed)
    return {**labels, "total": total, "charge": charge}

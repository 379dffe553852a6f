"""What is learned: names, shape, parity and classes of the targets."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inputs import Reader
from ..training import Rows

__all__ = ["TargetSpec", "check_parity"]

#: So many labels, all of one sign, are no chance where both signs are equally likely.
_SIGNS_THAT_TELL = 12
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class TargetSpec:
    """The targets of a fit, as later calls find them.

    Attributes
    ----------
    names : list of str or None
        Names that y brought along.
    n_targets : int
        Outputs of the network.
    single : bool
        Whether y was one-dimensional.
    parity : ndarray of int64, shape (n_targets,)
        Sign under exchange of the atoms, 0 where it is not known.
    classes : ndarray or None
        The classes whose one-hot columns are learned; None for a regression.
    counts : ndarray of int64 or None
        Labels of each class that were learned from so far.
    """

    names: list[str] | None
    n_targets: int
    single: bool
    parity: NDArray[np.int64]
    classes: NDArray | None = None
    counts: NDArray[np.int64] | None = None

    def with_parity(self, parity: NDArray[np.int64]) -> TargetSpec:
        """The same targets with another parity."""
        return replace(self, parity=parity)


def check_parity(
    parity: Any, auto: Sequence[int], spec: TargetSpec, values: NDArray[np.float64],
    reader: Reader[Any], rows: Rows, weight: NDArray[np.float64],
) -> NDArray[np.int64]:  # fmt: skip
    """Parity of each target: what the user says, or what names tell and data allow.

    Parameters
    ----------
    parity : "auto", int, sequence of int, or mapping of str to int
        The user's word.
    auto : sequence of int
        What the names tell.
    spec : TargetSpec
        The targets.
    values : ndarray of shape (n, t)
        Labels, NaN where missing.
    reader : Reader
        Knows whether the order of the atoms means anything.
    rows : Rows
        What it read.
    weight : ndarray of shape (n,)
        Weights of the rows; those of weight 0 say nothing.

    Raises
    ------
    ValueError
        If a stated parity is none, there is no order of atoms, or an odd target does not
        vanish for two equal atoms.

    Warns
    -----
    UserWarning
        If the data contradict what a name tells; the target is learned without it.
    """
    stated = _stated(parity, spec)
    known = np.array([value is not None for value in stated], dtype=bool)
    if any(stated) and not reader.has_order:
        raise ValueError(f"parity={parity!r}, but X holds no pairs of atoms to exchange")
    if not reader.has_order:
        return np.zeros(spec.n_targets, dtype=np.int64)
    out = np.where(known, np.array(stated, dtype=object), auto).astype(np.int64)
    values = np.where(weight[:, np.newaxis] > 0, values, np.nan)
    members = reader.members(rows)
    for j in np.flatnonzero(out < 0):
        if known[j]:
            reason = _not_vanishing(values[:, j], members)
            if reason:
                raise ValueError(f"parity={parity!r} makes target {j} odd, but {reason}")
            continue
        reason = _contradiction(values[:, j], members)
        if reason:
            name = spec.names[j] if spec.names else j
            warnings.warn(
                f"target {name!r} has the name of a quantity that changes its sign when "
                f"the atoms are exchanged, but {reason}: it is learned without that "
                "symmetry. State the parity to be sure",
                UserWarning,
                stacklevel=6,
            )
            out[j] = 0
    return out


def _stated(parity: Any, spec: TargetSpec) -> list[int | None]:
    """The user's word on each target; None where there is none."""
    n, names = spec.n_targets, spec.names
    if isinstance(parity, str) and parity == "auto":
        return [None] * n
    if isinstance(parity, Mapping):
        unknown = [key for key in parity if names is None or key not in names]
        if unknown:
            raise ValueError(f"parity names {unknown}, the targets are {names}")
        keys = (names or [""]) * (n if spec.classes is not None or names is None else 1)
        given = [parity.get(name) for name in keys]
    else:
        given = [parity] * n if np.ndim(parity) == 0 else list(parity)
    accepted, what = ((-1, 0, 1), "targets") if spec.classes is None else ((0, 1), "classes")
    said = [p for p in given if not (p is None and isinstance(parity, Mapping))]
    bad = [p for p in said if not isinstance(p, numbers.Integral) or p not in accepted]
    if len(given) != n or bad:
        raise ValueError(
            f'parity={parity!r} is not "auto", or one of {accepted} for all or each of {n} '
            f"{what}"
        )
    return given


def _contradiction(label: NDArray[np.float64], members: NDArray[np.int64]) -> str:
    signs = np.sign(label[np.isfinite(label) & (label != 0)])
    if len(signs) >= _SIGNS_THAT_TELL and (signs == signs[0]).all():
        return "all its labels have one sign"
    return _not_vanishing(label, members)


def _not_vanishing(label: NDArray[np.float64], members: NDArray[np.int64]) -> str:
    """Why a target cannot be odd; empty where it can."""
    alike = (members[:, 0] == members[:, 1]) & (members[:, 0] > 0)
    size = np.nanmax(np.abs(label), initial=0.0)
    wrong = alike & (np.abs(np.nan_to_num(label)) > _TOLERANCE * size)
    if not wrong.any():
        return ""
    row = int(np.argmax(wrong))
    return f"it is {label[row]:g} in row {row}, whose two atoms are alike"

"""The ``.npz`` file of two-centre tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations_with_replacement
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .._npz import Spec, read_arrays
from ._basis import Basis
from ._charges import MOMENT_NAMES, SHELL_NAMES, ChargeModel
from ._pair_table import PairTable, shell_pairs

__all__ = ["from_members", "members", "read_members"]

#: Version of the layout, the first array of a file.
FORMAT = 1
_LAYOUT = {
    "symbols": Spec("U", ("n",), 3),
    "format": Spec("iu", ()),
    "electrons": Spec("f", ("n",)),
    "n_shells": Spec("iu", ("n",)),
    "momenta": Spec("iu", (None,)),
    "levels": Spec("f", (None,)),
    "distances": Spec("f", (None,)),
    # One table behind the other, by pairs of elements in the order of `symbols`.
    "overlap": Spec("f", (None,)),
    "coupling": Spec("f", (None,)),
    "direct": Spec("b", (None,)),
    "shifts": Spec("f", (None,)),
    "repulsion": Spec("f", (None,)),
    "charged": Spec("b", ("n",), optional=True),
    "charge_shells": Spec("f", (None, len(SHELL_NAMES)), optional=True),
    "charge_moments": Spec("f", (None, len(MOMENT_NAMES)), optional=True),
    "charge_reach": Spec("f", (None,), optional=True),
    "charge_provenance": Spec("U", (), optional=True),
    "method": Spec("U", ()),
    "provenance": Spec("U", ()),
}


def _kinds(basis: Basis) -> Iterable[tuple[str, str]]:
    return combinations_with_replacement(basis, 2)


def members(fields: Mapping[str, Any]) -> dict[str, NDArray]:
    """Arrays of a file from the fields of tables."""
    basis: Basis = fields["basis"]
    tables = [fields["pairs"][kind] for kind in _kinds(basis)]
    arrays = {
        "format": np.array(FORMAT),
        "symbols": np.array(list(basis), dtype=np.str_),
        "electrons": np.array([fields["electrons"][symbol] for symbol in basis], np.float64),
        "n_shells": np.array([len(shells) for shells in basis.values()]),
        "momenta": np.array([l for shells in basis.values() for l in shells]),
        "levels": np.concatenate([fields["levels"][symbol] for symbol in basis]),
        "distances": tables[0].distances,
        "method": np.array(fields["method"]),
        "provenance": np.array(fields["provenance"]),
    }
    for name in ("overlap", "coupling", "direct", "shifts", "repulsion"):
        arrays[name] = np.concatenate([getattr(table, name).ravel() for table in tables])
    charges: ChargeModel | None = fields["charges"]
    if charges is not None:
        named = [symbol for symbol in basis if symbol in charges.shells]
        arrays["charged"] = np.array([symbol in charges.shells for symbol in basis])
        arrays["charge_shells"] = np.concatenate([charges.shells[symbol] for symbol in named])
        arrays["charge_moments"] = np.stack([charges.moments[symbol] for symbol in named])
        arrays["charge_reach"] = np.array([charges.reach[symbol] for symbol in named])
        arrays["charge_provenance"] = np.array(charges.provenance)
    return arrays


def read_members(file: IO[bytes], max_bytes: int) -> dict[str, NDArray]:
    """Arrays of a file, whose sizes are checked before the memory for them is taken."""
    arrays = read_arrays(file, _LAYOUT, max_bytes=max_bytes)
    if arrays["format"] != FORMAT:
        raise ValueError(f"it is in format {arrays['format']}, known is {FORMAT}")
    return arrays


def from_members(arrays: Mapping[str, NDArray]) -> dict[str, Any]:
    """Fields of tables from the arrays of a file.

    Raises
    ------
    ValueError
        If the arrays do not fit together, or hold what is not finite.
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} has elements that are not finite")
    symbols = arrays["symbols"].tolist()
    momenta = _divided("momenta", arrays["momenta"], arrays["n_shells"].tolist())
    basis = Basis({s: l.tolist() for s, l in zip(symbols, momenta, strict=True)})
    if list(basis) != symbols:
        raise ValueError(f"its elements {symbols} are not in order")
    if len(arrays["distances"]) < 2 or not (np.diff(arrays["distances"]) > 0).all():
        raise ValueError("its distances do not increase")
    levels = _divided("levels", arrays["levels"], arrays["n_shells"].tolist())
    return {
        "basis": basis,
        "levels": dict(zip(symbols, levels, strict=True)),
        "electrons": dict(zip(symbols, arrays["electrons"].tolist(), strict=True)),
        "pairs": _pairs(basis, arrays),
        "charges": _charges(basis, arrays) if "charged" in arrays else None,
        "method": str(arrays["method"]),
        "provenance": str(arrays["provenance"]),
    }


def _divided(name: str, values: NDArray, counts: Iterable[int]) -> list[NDArray]:
    ends = np.cumsum(list(counts))
    if len(values) != ends[-1]:
        raise ValueError(f"{name} has {len(values)} values, expected {ends[-1]}")
    return np.split(values, ends[:-1])


def _pairs(basis: Basis, arrays: Mapping[str, NDArray]) -> dict[tuple[str, str], PairTable]:
    distances = arrays["distances"]
    kinds, n = list(_kinds(basis)), len(distances)
    widths = [sum(min(p.momenta) + 1 for p in shell_pairs(basis[a], basis[b]))
              for a, b in kinds]  # fmt: skip
    shifts = [len(basis[a]) + len(basis[b]) for a, b in kinds]
    overlap, coupling = (
        _divided(name, arrays[name], [n * width for width in widths])
        for name in ("overlap", "coupling")
    )
    direct = _divided("direct", arrays["direct"], widths)
    shift = _divided("shifts", arrays["shifts"], [n * width for width in shifts])
    repulsion = _divided("repulsion", arrays["repulsion"], [n] * len(kinds))
    return {
        (a, b): PairTable(
            (basis[a], basis[b]),
            distances,
            overlap[k].reshape(n, -1),
            coupling[k].reshape(n, -1),
            direct[k],
            shift[k].reshape(n, -1),
            repulsion[k],
        )
        for k, (a, b) in enumerate(kinds)
    }


def _charges(basis: Basis, arrays: Mapping[str, NDArray]) -> ChargeModel:
    named = [symbol for symbol, has in zip(basis, arrays["charged"], strict=True) if has]
    shells = _divided(
        "charge_shells", arrays["charge_shells"], [len(basis[symbol]) for symbol in named]
    )
    moments = arrays["charge_moments"]
    reach = _divided("charge_reach", arrays["charge_reach"], [len(named)])[0].tolist()
    if len(moments) != len(named) or not (arrays["charge_shells"][:, 0] > 0).all():
        raise ValueError("its charges do not fit the elements, or a hardness is not positive")
    return ChargeModel(
        dict(zip(named, shells, strict=True)), dict(zip(named, moments, strict=True)),
        dict(zip(named, reach, strict=True)), str(arrays["charge_provenance"]),
    )  # fmt: skip

"""The ``.npz`` file of a record of molecules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .._npz import Spec, read_arrays

__all__ = ["from_members", "members", "read_members"]

#: More atoms than any file can hold that is not too large as a whole.
_MAX_ROWS = 10**9
_LAYOUT = {
    "charge": Spec("f", ("n",)),
    "ptr": Spec("iu", (None,)),
    "z": Spec("u", (None,)),
    "positions": Spec("f", (None, 3)),
    "forces": Spec("f", (None, 3), optional=True),
    "cell": Spec("f", ("n", 3, 3), optional=True),
    "pbc": Spec("b", ("n", 3), optional=True),
    "labels": Spec("f", ("n", None)),
    "label_names": Spec("U", (None,)),
    "atom_labels": Spec("f", (None, None)),
    "atom_label_names": Spec("U", (None,)),
    "units": Spec("U", (None,)),
    "names": Spec("U", ("n",)),
    "groups": Spec("Ui", ("n",), optional=True),
    "quality": Spec("U", ("n",)),
    "provenance": Spec("U", ()),
}
_TABLES = {"labels": "label_names", "atom_labels": "atom_label_names"}


def members(fields: Mapping[str, Any]) -> dict[str, NDArray]:
    """Arrays of a file from the fields of a record."""
    arrays: dict[str, NDArray] = {"provenance": np.array(fields["provenance"])}
    for table, names in _TABLES.items():
        arrays[table] = fields[table].to_numpy(dtype=np.float64)
        arrays[names] = np.array(list(fields[table].columns), dtype=np.str_)
    units = [fields["units"][column] for names in _TABLES.values() for column in arrays[names]]
    arrays["units"] = np.array(units, dtype=np.str_)
    for name in _LAYOUT:
        if name not in arrays and fields[name] is not None:
            arrays[name] = fields[name]
    arrays["z"] = arrays["z"].astype(np.uint8)
    return {name: _compact(array) for name, array in arrays.items()}


def _compact(array: NDArray) -> NDArray:
    """The same numbers in single precision, where it holds them exactly."""
    if array.dtype != np.float64:
        return array
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    return single if np.array_equal(single, array, equal_nan=True) else array


def read_members(file: IO[bytes], max_bytes: int) -> dict[str, NDArray]:
    """Arrays of a file, whose sizes are checked before the memory for them is taken."""
    return read_arrays(file, _LAYOUT, max_bytes=max_bytes, max_rows=_MAX_ROWS)


def from_members(arrays: dict[str, NDArray]) -> dict[str, Any]:
    """Fields of a record from the arrays of a file."""
    fields: dict[str, Any] = dict(arrays)
    columns: list[str] = []
    for table, names in _TABLES.items():
        keys = fields.pop(names).tolist()
        fields[table] = pd.DataFrame(arrays[table].astype(np.float64), columns=keys)
        columns += keys
    fields["units"] = dict(zip(columns, arrays["units"].tolist(), strict=True))
    fields["provenance"] = str(arrays["provenance"])
    return fields

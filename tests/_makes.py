"""Labels and classes in the containers that users have them in, some of them missing."""

from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

NAN = float("nan")


def polars():
    return pytest.importorskip("polars")


def gone(values, missing):
    """Values with another mark for those that are missing."""
    return [missing if value is None else value for value in values]


def hidden(values, of):
    """A masked array; `of` lies behind the mask."""
    return np.ma.array(gone(values, of), mask=[value is None for value in values])


def objects(values):
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


# Containers of values, None where one is missing; all make one dimension.
OF_ANYTHING = {
    "list of None": list,
    "list of NaN": lambda v: gone(v, NAN),
    "list of NA": lambda v: gone(v, pd.NA),
    "tuple": tuple,
    "objects of None": objects,
    "objects of NaN": lambda v: objects(gone(v, NAN)),
    "objects of NA": lambda v: objects(gone(v, pd.NA)),
    "masked": lambda v: hidden(v, v[0]),
    "masked objects": lambda v: np.ma.array(objects(v), mask=[x is None for x in v]),
    "list of masked": lambda v: list(hidden(v, v[0])),
    "pandas objects of None": lambda v: pd.Series(v, dtype=object),
    "pandas objects of NA": lambda v: pd.Series(gone(v, pd.NA), dtype=object),
    "pandas category": lambda v: pd.Series(v, dtype="category"),
    "pandas": lambda v: pd.Series(v, name="label"),
    "polars": lambda v: polars().Series("label", v),
}  # fmt: skip
NUMBERS = OF_ANYTHING | {
    "array": lambda v: np.array(gone(v, NAN)),
    "pandas Int64": lambda v: pd.Series(v, dtype="Int64"),
    "pandas Float64": lambda v: pd.Series(v, dtype="Float64"),
    "polars with NaN": lambda v: polars().Series("label", [float(x) for x in gone(v, NAN)]),
    "column": lambda v: np.array(gone(v, NAN))[:, None],
    "masked column": lambda v: hidden(v, 10**6)[:, None],
    "pandas table": lambda v: pd.DataFrame({"label": v}),
    "pandas table of Int64": lambda v: pd.DataFrame({"label": pd.array(v, dtype="Int64")}),
    "polars table": lambda v: polars().DataFrame({"label": v}),
}  # fmt: skip
TEXTS = OF_ANYTHING | {
    "pandas str": lambda v: pd.Series(v, dtype="str"),
    "pandas string": lambda v: pd.Series(v, dtype="string"),
    "polars category": lambda v: polars().Series(v, dtype=polars().Categorical),
    "pandas table": lambda v: pd.DataFrame({"label": pd.Series(v, dtype="string")}),
    "polars table": lambda v: polars().DataFrame({"label": v}),
    "column": lambda v: objects(v)[:, None],
}  # fmt: skip
BOOLS = OF_ANYTHING | {"pandas boolean": lambda v: pd.Series(v, dtype="boolean")}
if find_spec("polars") is None:
    for makes in (NUMBERS, TEXTS, BOOLS):
        for make in [make for make in makes if "polars" in make]:
            del makes[make]
INTEGERS = NUMBERS
CLASSES = [
    (kind, make)
    for kind, makes in (("text", TEXTS), ("bool", BOOLS), ("int", INTEGERS))
    for make in makes
]
VALUES = {
    "text": ["a", None, "b", "a"], "bool": [True, None, False, True], "int": [3, None, 7, 3],
}  # fmt: skip
MAKES = {"text": TEXTS, "bool": BOOLS, "int": INTEGERS}

"""Files that a report is made from: the model, and the rows to evaluate."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from ..elements import atomic_numbers
from ..structures import PairData
from ..targets import resolve_targets
from ._anatomy import Anatomy

__all__ = ["choose_pairs", "labelled_pairs", "load_model"]

_MAX_NAMED = 5


def load_model(path: str | os.PathLike[str]) -> Any:
    """What joblib saved in a file; loading it runs code that the file names.

    Raises
    ------
    OSError
        If there is no such file.
    ImportError
        If the model is of a package that is not installed.
    ValueError
        If the file cannot be loaded.
    """
    try:
        return joblib.load(path)
    except (OSError, ImportError):
        raise
    except Exception as error:  # a pickle can fail with anything
        what = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{os.fspath(path)!r} cannot be loaded by joblib: {what}") from error


def choose_pairs(pairs: PairData, path: str | os.PathLike[str]) -> PairData:
    """The pairs that a text file lists, two symbols a line.

    Symbols are separated by commas, semicolons, blanks, hyphens or underscores; lines that
    begin with ``#`` and a header ``element_1, element_2`` do not count.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If a line is no pair, or a pair is not among `pairs`.
    """
    listed = []
    for k, line in enumerate(Path(path).read_text(encoding="utf-8-sig").splitlines(), 1):
        words = re.split(r"[\s,;_-]+", line.strip())
        if words == [""] or words[0].startswith("#") or words[0] == "element":
            continue
        if len(words) != 2 or not atomic_numbers(words).all():
            raise ValueError(f"{os.fspath(path)!r}, line {k}: {line!r} is not two elements")
        listed.append(words)
    if not listed:
        raise ValueError(f"{os.fspath(path)!r} lists no pairs")
    found = pairs.find(listed)
    absent = ["_".join(words) for words, row in zip(listed, found, strict=True) if row < 0]
    if absent:
        more = f" and {len(absent) - _MAX_NAMED} more" if len(absent) > _MAX_NAMED else ""
        raise ValueError(
            f"pairs of {os.fspath(path)!r} are not in the data: "
            f"{', '.join(absent[:_MAX_NAMED])}{more}"
        )
    return pairs[found]


def labelled_pairs(
    model: Any, pairs: PairData, target: Sequence[str] | None
) -> tuple[Any, pd.DataFrame]:
    """X and y of a data set, as a model takes and predicts them.

    Parameters
    ----------
    model : estimator
        A fitted model of element pairs.
    pairs : PairData
        The rows.
    target : sequence of str or None
        Names of what it predicts; None where the model knows.

    Raises
    ------
    ValueError
        If the model takes a table, or nobody knows its targets.
    TypeError
        If it is no regressor or classifier.
    """
    anatomy = Anatomy.of(model)
    n_columns = getattr(model, "n_features_in_", 2)
    if n_columns not in (2, 3):
        raise ValueError(
            f"the model takes a table of {n_columns} columns, not element pairs; save the "
            "pipeline from the pairs on"
        )
    names = list(target) if target else anatomy.target_names
    if names is None:
        raise ValueError(
            f"{type(anatomy.final).__name__} does not hold the names of its targets; name "
            "them with --target"
        )
    y = pairs.labels[resolve_targets(names)]
    X = pd.DataFrame(pairs.elements, columns=["element_1", "element_2"], dtype=object)
    if n_columns == 3:
        X["distance_ang"] = pairs.bond_lengths
    columns = getattr(model, "feature_names_in_", None)
    if columns is None:
        return X.to_numpy(), y
    return (X[columns] if set(columns) == set(X) else X.set_axis(columns, axis=1)), y

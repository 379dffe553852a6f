"""What every function that loads or fetches a data set returns."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .._validation import check_choice, check_choices
from ..structures import PAIR_COLUMNS, Molecules, PairData
from ..targets import LABELS, resolve_targets, target_units

__all__ = ["description", "make_bunch", "make_molecule_bunch"]


def description(name: str) -> str:
    """Text about a data set."""
    path = files("qcanvas_sklearn.datasets").joinpath(f"data/{name}.rst")
    return path.read_text(encoding="utf-8")


def make_bunch(
    pairs: PairData,
    target: str | Sequence[str] | None,
    *,
    return_X_y: bool,
    as_frame: bool,
    descr: str,
) -> Bunch | tuple[Any, Any]:
    """Element pairs and targets of a data set, as :func:`load_pairs` describes them.

    Raises
    ------
    ValueError
        If `target` names neither a target, a group nor a label, or one that holds names where
        arrays of numbers are asked for.
    """
    names = resolve_targets(target)
    texts = [name for name in names if name in LABELS and LABELS[name].kind == "string"]
    if texts and not as_frame:
        raise ValueError(
            f"target {texts} holds names, and as_frame=False gives arrays of numbers: leave it "
            "out, or set as_frame=True"
        )
    data: Any = pd.DataFrame(pairs.elements, columns=list(PAIR_COLUMNS), dtype=object)
    values: Any = pairs.labels[names].copy()
    if isinstance(target, str) and target in LABELS:
        values = values[target]
    if not as_frame:
        data, values = data.to_numpy(copy=True), values.to_numpy(
            dtype=float, copy=True, na_value=np.nan
        )
    if return_X_y:
        return data, values
    return Bunch(
        data=data,
        target=values,
        labels=pairs.labels.copy(),
        pairs=pairs,
        target_names=names,
        units=target_units(names),
        DESCR=descr,
    )


def make_molecule_bunch(
    molecules: Molecules,
    target: str | Sequence[str] | None,
    *,
    return_X_y: bool,
    as_frame: bool,
    descr: str,
) -> Bunch | tuple[Any, Any]:
    """Molecules and targets of a data set, as :func:`load_molecules` describes them.

    Raises
    ------
    ValueError
        If `target` is no label of the molecules.
    """
    known = list(molecules.labels)
    if isinstance(target, str):
        check_choice("target", target, known)
        names, values = [target], molecules.labels[target].copy()
    else:
        asked = known if target is None else target
        check_choices("target", asked, known)
        names = list(asked)
        values = molecules.labels[names].copy()
    if not as_frame:
        values = values.to_numpy(copy=True)
    if return_X_y:
        return molecules, values
    return Bunch(
        data=molecules,
        target=values,
        groups=molecules.group_ids,
        target_names=names,
        units={name: molecules.units[name] for name in names},
        DESCR=descr,
    )

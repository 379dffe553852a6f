"""``evaluate``: how good a model is on data with labels."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from ._command import Command
from ._config import Names
from ._console import say, say_facts, say_table

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..report._anatomy import Anatomy
    from ..structures import Molecules

__all__ = ["COMMAND"]

_FOLDS = 5


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._data import DATA_HELP
    from ._models import MODEL_HELP, add_unseen_elements

    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("data", metavar="DATA", help=DATA_HELP)
    parser.add_argument(
        "-t", "--target", metavar="NAME", action=Names,
        help="names of the labels in the order of the model's outputs (default: those that it "
        "was fitted on)",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="print JSON, with all digits, in place of a table"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, ... (default: that of the model)")
    add_unseen_elements(parser)


def _run(args: argparse.Namespace) -> int:
    from ..report._anatomy import Anatomy
    from ._data import labelled_rows, open_data
    from ._models import load, on_device
    from ._scores import scores

    model = on_device(load(args.model), args.device, args.unseen_elements)
    data, anatomy = open_data(args.data), Anatomy.of(model)
    chosen, y = labelled_rows(data, anatomy, args.target)
    predicted, std = _predicted(model, anatomy, chosen)
    if predicted.shape[1] != y.shape[1]:
        raise ValueError(f"the model has {predicted.shape[1]} targets, not {list(y)}")
    composition = None if anatomy.is_classifier else _composition(chosen, y)
    table = scores(y, predicted, units=data.units(list(y)), composition=composition, std=std)
    if getattr(anatomy.network, "force_weight", None) and data.has_forces:
        table = _with_forces(table, model, data.rows)
    _show(args, data.what, table, len(y))
    return 0


def _predicted(model: Any, anatomy: Anatomy, rows: Any) -> tuple[NDArray, NDArray | None]:
    """Predictions (n, t), and standard deviations where the model has them."""
    from ..prediction._model import FittedModel

    # Of other packages' models it is not known what asking for these costs.
    with_std = not anatomy.is_classifier and anatomy.network is not None and anatomy.gives_std
    fitted = FittedModel(model, return_std=with_std)
    table = fitted(fitted.take(rows)).table
    predicted = table[[name for name in table if name.endswith("_pred")]].to_numpy()
    if anatomy.is_classifier:
        return predicted.astype(object), None
    std = table[[name for name in table if name.endswith("_std")]].to_numpy()
    return predicted, std if with_std else None


def _with_forces(table: pd.DataFrame, model: Any, molecules: Molecules) -> pd.DataFrame:
    """The table with a row about the components of all forces."""
    import numpy as np
    import pandas as pd

    from ..prediction._model import FittedModel
    from ._scores import scores

    true = np.asarray(molecules.forces)
    predicted = np.asarray(FittedModel(model, return_forces=True)(molecules).forces)
    known = np.isfinite(true)
    components = pd.DataFrame({"forces": true[known]})
    units = {"forces": "eV/angstrom"}
    return pd.concat([table, scores(components, predicted[known][:, None], units=units)])


def _composition(rows: Any, y: pd.DataFrame) -> Any:
    """What the composition says, where there is more than one thing to say it of."""
    from ._scores import composition_of, folds, n_units

    n_folds = min(_FOLDS, n_units(rows))
    return None if n_folds < 2 else composition_of(rows, y, folds(rows, n_folds, 0))


def _show(args: argparse.Namespace, what: str, table: pd.DataFrame, n_rows: int) -> None:
    from ._scores import plain

    if args.json:
        found = {"model": args.model, "data": what, "rows": n_rows, "targets": plain(table)}
        print(json.dumps(found, indent=2))
        return
    say_facts({"model": args.model, "data": what, "rows": f"{n_rows} with labels"})
    say_table(table)
    say(
        "mae_mean: error of the labels' own mean; mae_composition: of the elements alone, in "
        f"{_FOLDS} folds of these data. Rows that the model was fitted on are no test."
    )


COMMAND = Command(
    "evaluate", "score a model on data with labels, beside what needs no model",
    "evaluate gap.qcm test.csv --json", _configure, _run,
)  # fmt: skip

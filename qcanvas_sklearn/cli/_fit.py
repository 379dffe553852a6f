"""``fit``: data in, a model out, and what it is worth."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ._command import Command
from ._config import Names, Parameter
from ._console import say, say_facts, say_table, shows_progress

if TYPE_CHECKING:
    import pandas as pd

    from ._data import Data

__all__ = ["COMMAND"]

_DISTANCE = "distance_ang"
_SOURCES = ("auto", "bundled", "free-atom", "xtb", "own")


def _configure(parser: argparse.ArgumentParser) -> None:
    from ._data import DATA_HELP

    parser.add_argument("data", metavar="DATA", help=DATA_HELP)
    parser.add_argument(
        "-o", "--out", metavar="MODEL", required=True,
        help="file to write: .qcm, which anybody can open, or .joblib",
    )  # fmt: skip
    parser.add_argument(
        "-t", "--target", metavar="NAME", action=Names,
        help="column to learn; may be repeated, or several between commas. Missing entries "
        "are left out",
    )  # fmt: skip
    parser.add_argument(
        "-m", "--model", metavar="NAME",
        help="estimator, as GATv2Regressor, or its family, as gatv2 (default: qcanvas; "
        "pair_mlp where nothing but the elements and the distance is known; schnet for "
        "molecules)",
    )  # fmt: skip
    parser.add_argument(
        "-p", "--param", metavar="NAME=VALUE", action=Parameter,
        help="hyperparameter of the model, as -p n_hidden=64; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--source", choices=_SOURCES, default="auto",
        help="where the electronic structure of pairs comes from: the bundled table, free "
        "atoms at the given distance, xTB, or the file's own; auto is the file's own, the "
        "bundled table where it knows all pairs and no distance is given, or free atoms",
    )  # fmt: skip
    parser.add_argument(
        "--no-distance", action="store_true",
        help="take a column distance_ang for a label, not for something that is known",
    )  # fmt: skip
    parser.add_argument(
        "--forces", action="store_true", help="learn the forces of molecules too"
    )
    parser.add_argument(
        "--cv", metavar="K", type=int,
        help="score the model in K folds first; rows of one pair, or of one group of "
        "molecules, are in one fold",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (auto)")
    parser.add_argument("--n-jobs", metavar="N", type=int, help="processes for the folds")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def _run(args: argparse.Namespace) -> int:
    from ._data import check_rows, open_data
    from ._models import check_model_file, save

    check_model_file(args.out)
    data = open_data(args.data)
    model = _estimator(args, data)
    learner = model[-1] if hasattr(model, "steps") else model
    labels = _labels(args, data, learner)
    rows = labels.notna().any(axis=1).to_numpy().nonzero()[0]
    if not len(rows):
        raise ValueError(f"{data.name} has no label of {', '.join(labels)}")
    X = _features(args, data, list(labels))
    check_rows(X, rows)
    X, y = _take(X, rows), labels.iloc[rows].reset_index(drop=True)
    units = data.units(list(labels))
    say_facts({
        "data": data.what, "targets": ", ".join(f"{k} ({units[k] or '-'})" for k in units),
        "rows": f"{len(rows)} with labels", "model": " ".join(repr(model).split()),
    })  # fmt: skip
    card: dict[str, Any] = {"data": data.what, "data_units": units}
    target = y.iloc[:, 0] if y.shape[1] == 1 else y
    if args.cv is not None:
        card["cross_validation"] = _cross_validate(args, model, X, y, target, units)
    if "verbose" in learner.get_params():
        learner.set_params(verbose=int(shows_progress(args.quiet)))
    model.fit(X, target)
    if "verbose" in learner.get_params():
        learner.set_params(verbose=0)
    save(model, args.out, card)
    say(f"{args.out}: model of {len(rows)} rows written")
    return 0


def _labels(args: argparse.Namespace, data: Data, learner: Any) -> pd.DataFrame:
    from sklearn.base import is_classifier

    labels = data.targets(args.target, classes=is_classifier(learner))
    if is_classifier(learner) and labels.shape[1] > 1:
        raise ValueError(f"{type(learner).__name__} learns one target, got {list(labels)}")
    return labels


def _take(X: Any, rows: Any) -> Any:
    from .._validation import take_rows

    taken = take_rows(X, rows)
    return taken.reset_index(drop=True) if hasattr(taken, "reset_index") else taken


def _with_distance(args: argparse.Namespace, data: Data, targets: list[str]) -> bool:
    """Whether the bond length is something that is known beforehand."""
    from ..structures import PAIR_COLUMNS

    if data.of_molecules or _DISTANCE not in data.rows or args.no_distance:
        return False
    if data.record is None:
        return _DISTANCE not in targets
    # A record states one length for each pair, a result; or several, which are asked about.
    return bool(data.rows.duplicated(list(PAIR_COLUMNS)).any()) and _DISTANCE not in targets


def _features(args: argparse.Namespace, data: Data, targets: list[str]) -> Any:
    from ..structures import PAIR_COLUMNS

    if data.of_molecules:
        return data.rows
    known = [_DISTANCE] if _with_distance(args, data, targets) else []
    return data.rows[[*PAIR_COLUMNS, *known]]


def _source(args: argparse.Namespace, data: Data) -> Any:
    """Where the electronic structure of pairs comes from; None for what models take first."""
    from ..datasets._bundled import bundled_pairs
    from ..structures import PAIR_COLUMNS

    with_distance = _with_distance(args, data, args.target or [])
    if args.source == "own" and data.record is None:
        raise ValueError(f"{data.name} is a table and has no electronic structure of its own")
    if args.source == "bundled" or (data.name == "bundled" and args.source in ("auto", "own")):
        return None
    if args.source == "own":
        return data.record
    if args.source != "auto":
        return args.source
    if data.record is not None and not with_distance:
        return data.record
    pairs = bundled_pairs()
    known = (pairs.find(data.rows[list(PAIR_COLUMNS)].to_numpy()) >= 0).all()
    return None if known and not with_distance else "free-atom"


def _estimator(args: argparse.Namespace, data: Data) -> Any:
    """The model, behind what draws pairs for it where it does not do so itself."""
    from sklearn.pipeline import make_pipeline

    from ..images import PairImageTransformer
    from ._models import make

    params = dict(args.param or {})
    if data.of_molecules:
        return make(
            args.model or "schnet", _molecule_params(args, data, params),
            seed=args.seed, device=args.device,
        )  # fmt: skip
    if args.forces:
        raise ValueError("forces are of molecules, and the data are pairs")
    source = _source(args, data)
    free = isinstance(source, str) and source == "free-atom"
    name = args.model or ("pairmlp" if free else "qcanvas")
    model = make(name, params, seed=args.seed, device=args.device)
    if free and "tight_binding" in model.get_params(deep=False).keys() - params.keys():
        # Free atoms have no levels and charges that a Hamiltonian could be learned from.
        model.set_params(tight_binding=None)
    if source is None or not hasattr(model, "_input_spec"):
        return model
    drawing = PairImageTransformer(source, include=model._input_spec().blocks)
    return make_pipeline(drawing, model)


def _molecule_params(
    args: argparse.Namespace, data: Data, params: dict[str, str]
) -> dict[str, str]:
    """Hyperparameters for molecules: forces; or the baseline that knows most, by default."""
    from ..hamiltonians import TwoCentreTransformer

    if args.forces:
        if not data.has_forces:
            raise ValueError(
                f"{data.name} has no forces (results of ASE's calculators, or REF_forces); it "
                f"has {', '.join(data.available) or 'no labels either'}"
            )
        return {"force_weight": "10.0", **params}
    if args.model is not None or "baseline" in params:
        return params
    try:
        TwoCentreTransformer().fit(data.rows)
    except (ValueError, ImportError):  # of elements or cells that its tables do not have
        return params
    return {"baseline": "two-centre", **params}


def _cross_validate(
    args: argparse.Namespace, model: Any, X: Any, y: pd.DataFrame, target: Any,
    units: dict[str, str],
) -> dict[str, Any]:  # fmt: skip
    from sklearn.base import is_classifier

    from ._scores import composition_of, folds, out_of_fold, plain, scores

    splits = folds(X, args.cv, args.seed)
    predicted = out_of_fold(model, X, target, splits, args.n_jobs)
    composition = None if is_classifier(model) else composition_of(X, y, splits)
    table = scores(y, predicted, units=units, composition=composition)
    what = "group of molecules" if hasattr(X, "ptr") else "pair"
    say(f"{args.cv} folds by {what}; each row predicted by a model that has not seen it:")
    say_table(table)
    left_out = len(y) - int(table["n"].max())
    if left_out > 0 and not y.isna().any(axis=None):
        say(f"{left_out} rows hold an element of no other {what} and are not scored")
    return {"folds": args.cv, "seed": args.seed, "by": what, "targets": plain(table)}


COMMAND = Command(
    "fit", "fit a model to pairs or molecules, and say what it is worth",
    "fit pairs.csv -o gap.qcm --target e_g_ev --cv 5 -p n_members=5", _configure, _run,
)  # fmt: skip

"""The sections of a report, each from what it is about."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

import pandas as pd

from .. import __version__
from ..datasets._bundled import bundled_pairs
from ..elements import atomic_numbers
from ..plotting._common import name_of, printed, quantity
from ..structures import PairData
from ..targets import LABELS, TARGETS, target_units
from . import _figures
from ._anatomy import Anatomy
from ._evaluation import Classification, Regression, Rows
from ._page import Html, element, facts, fragment, note, number, section, side_by_side, table

__all__ = [
    "about",
    "evaluated",
    "hyperparameters",
    "importance",
    "leakage",
    "outcome",
    "training",
    "versions",
]

_PACKAGES = ("qcanvas_sklearn", "torch", "skorch", "scikit-learn", "numpy")
_MAX_REPR = 300
_SOURCES = {
    "bundled": "bundled table",
    "free-atom": "free atoms beside each other: populations of the isolated atoms, nothing "
    "computed for the pair",
    "xtb": "GFN1-xTB, computed on demand",
}
_SCORES = {
    "mae": "MAE", "rmse": "RMSE", "median_ae": "median AE", "r2": "R²", "mad": "MAD",
    "mae_over_mad": "MAE/MAD",
}  # fmt: skip
_UNCERTAINTY = {
    "nll": "NLL",
    "coverage_90": "coverage of 90 % intervals",
    "calibration_error": "calibration error",
}


# ----------------------------------------------------------------------- model


def about(anatomy: Anatomy, names: list[str]) -> Html:
    """What the model is, and what it takes."""
    network, layout = anatomy.network, anatomy.layout
    name, summary = _code(type(anatomy.final).__name__), anatomy.summary
    said: dict[str, object] = {"Estimator": fragment(name, ": ", summary) if summary else name}
    if anatomy.steps:
        steps = " → ".join(type(step).__name__ for step in anatomy.steps.values())
        said["Pipeline"] = _code(steps)
    if anatomy.search:
        said["Chosen by"] = _code(anatomy.search)
    if names:
        said["Targets" if len(names) > 1 else "Target"] = ", ".join(map(_explained, names))
    if anatomy.is_classifier:
        said["Classes"] = ", ".join(map(str, anatomy.estimator.classes_))
    if network is not None:
        members = getattr(network, "n_members", 1)
        of = f" in {members} networks of an ensemble" if members > 1 else ""
        said["Weights"] = f"{network.n_parameters_:,}".replace(",", "\N{THIN SPACE}") + of
        said["Training"] = (
            f"{network.n_iter_} epochs on {network.provenance_['n_training_rows']} rows"
        )
        if network.elements_:
            said["Elements seen"] = _elements(network.elements_)
    if layout is not None:
        channels = ", ".join(layout.channel_names)
        blocks = [f"image ({channels})" if b == "image" else b for b in layout.include]
        said["Inputs"] = ", ".join(blocks)
    if anatomy.source is not None:
        said["Electronic structure"] = _source(anatomy.source)
    return section("Model", facts(said))


def _explained(key: str) -> str:
    """A target with its unit, or a label with its meaning."""
    if key in LABELS and key not in TARGETS:
        return f"{key}: {LABELS[key].description}"
    return quantity(name_of(key), printed(target_units([key])[key]))


def _code(text: object) -> Html:
    return element("code", text)


def _elements(symbols: Iterable[str]) -> str:
    ordered = sorted(symbols, key=lambda symbol: int(atomic_numbers(symbol)))
    return f"{len(ordered)}: {' '.join(ordered)}"


def _source(source: str | PairData) -> str:
    if isinstance(source, PairData):
        return f"a data set of {len(source)} pairs: {source.provenance or 'origin unknown'}"
    text = _SOURCES.get(source, source)
    return f"{text}: {bundled_pairs().provenance}" if source == "bundled" else text


# ------------------------------------------------------------------- evaluation


def evaluated(anatomy: Anatomy, rows: Rows, data: str | None, split: str | None) -> Html:
    """Which rows the scores are of, and what is known about them."""
    said: dict[str, object] = {"Rows": len(rows.y)}
    if data:
        said["Data"] = data
    if split:
        said["Split"] = split
    if rows.pairs is not None:
        present = set(rows.pairs.ravel().tolist())
        known = set(getattr(anatomy.network, "elements_", ()))
        same = present == known
        said["Elements"] = "those seen in training" if same else _elements(present)
        if known and present - known:
            said["Never seen"] = _elements(present - known)
    if rows.n_refused:
        said["Left out"] = (
            f"{rows.n_refused} rows with elements that the model has not seen and refuses to "
            f"predict: {' '.join(rows.refused)}"
        )
    if split and split.lower().replace(" ", "-").startswith("held-out"):
        box = note(
            "That these rows were held out is stated by whoever made this report. A saved "
            "model does not hold its training rows, so that it could not be checked."
        )
    else:
        strong = element("strong", "These scores may not be generalisation errors.")
        box = note(
            fragment(
                strong,
                " A saved model does not hold its training rows, and this one may have been "
                "trained on rows that are evaluated here. How good it is for pairs that it "
                "has not seen, only held-out pairs tell.",
            ),
            warning=True,
        )
    return section("Evaluated rows", facts(said), box)


def outcome(rows: Rows, found: Regression | Classification) -> Iterator[Html]:
    """Scores and figures of the predictions."""
    if isinstance(found, Classification):
        yield section("Scores", *_class_scores(found))
        if rows.pairs is not None:
            yield section(
                "Errors by element", _figures.error_rates_by_element(rows.pairs, found)
            )
    else:
        yield section("Scores", _scores(found.scores))
        yield section("Predicted and computed", _figures.parity(rows, found))
        if rows.pairs is not None:
            text = element("p", "Mean absolute error of the pairs that hold an element.")
            tables = _figures.errors_by_element(rows.pairs, found)
            yield section("Errors by element", text, tables)
        if not found.std.empty:
            yield section("Uncertainty", *_uncertainty(found))


def _scores(scores: pd.DataFrame) -> Html:
    caption = (
        "Errors in the unit of the target, over its n observed labels. MAD is the mean "
        "absolute deviation of the labels from their mean: who predicts the mean has MAE/MAD 1."
    )
    rows = [
        (_named(key), printed(score["unit"]), int(score["n"]), *score[list(_SCORES)])
        for key, score in scores.iterrows()
    ]
    head = ["target", "unit", "n", *_SCORES.values()]
    return table(caption, head, rows, numeric=range(2, len(head)), wide=True)


def _uncertainty(found: Regression) -> Iterator[Html]:
    text = (
        "Standard deviations can be believed where the curve follows the diagonal; below it "
        "the model is too sure of itself."
    )
    scores = found.scores.loc[list(found.std), list(_UNCERTAINTY)]
    rows = [(_named(key), *values) for key, values in scores.iterrows()]
    yield side_by_side(_figures.calibration(found), element("div", element("p", text)))
    yield table("", ["target", *_UNCERTAINTY.values()], rows, numeric=(1, 2, 3))


def _named(key: Any) -> Html:
    """Name of a target, and the key that stands for it in a table of labels."""
    name = name_of(key)
    return fragment(name, " ", element("span", key, class_="key") if name != key else "")


def _class_scores(found: Classification) -> Iterator[Html]:
    scores = found.scores
    caption = (
        "Scores over the n observed labels; the accuracy of predicting the most frequent "
        "class throughout is what they have to beat."
    )
    cells = [_named(found.key), len(found.true), *scores.values()]
    head = ["label", "n", *scores]
    yield table(caption, head, [cells], numeric=range(1, len(head)))
    counts = zip(found.classes, found.confusion.tolist(), strict=True)
    yield table(
        "Confusion matrix: number of rows by true and predicted class.",
        ["true class", *(f"predicted {label}" for label in found.classes)],
        [(label, *row) for label, row in counts],
        numeric=range(1, len(found.classes) + 1),
    )


def importance(
    anatomy: Anatomy, rows: Rows, n_repeats: int, random_state: int | None
) -> Iterator[Html]:
    """What the model looks at, where it looks at images."""
    if not anatomy.sees_image:
        return
    measured = _figures.importances(anatomy, rows, n_repeats, random_state)
    if measured is not None:
        figure, n_rows = measured
        text = (
            f"What permuting a channel among {n_rows} of the rows costs: mean and standard "
            f"deviation over {n_repeats} permutations. A channel that says what another input "
            "says too is not missed."
        )
        blocks = figure, element("div", element("p", text))
        yield section("What the model looks at", side_by_side(*blocks))


def training(anatomy: Anatomy) -> Iterator[Html]:
    """How the network learned."""
    history = getattr(anatomy.network, "history_", None)
    if history is None or history.empty:
        return
    said: dict[str, object] = {
        "Epochs": len(history),
        "Time": fragment(number(history["seconds"].sum()), " s"),
        "Final loss": number(history["train_loss"].iloc[-1]),
    }
    if history["valid_loss"].notna().any():
        best = history.loc[history["valid_loss"].idxmin()]
        value = number(best["valid_loss"])
        said["Best validation"] = fragment(value, f" in epoch {best['epoch']:.0f}")
    figure = _figures.training_curve(history)
    yield section("Training", side_by_side(figure, element("div", facts(said))))


# -------------------------------------------------------------------- appendix


def hyperparameters(anatomy: Anatomy) -> Html:
    """All parameters, a table a step."""
    groups = [
        table(
            group, ["parameter", "value"],
            [(_code(name), _code(_written(value))) for name, value in parameters.items()],
        )
        for group, parameters in anatomy.parameters().items() if parameters
    ]  # fmt: skip
    return section("Hyperparameters", element("div", *groups, class_="columns"))


def versions(anatomy: Anatomy) -> Html:
    """Versions of packages, then and now."""
    then = getattr(anatomy.network, "provenance_", {})
    now = {name: version(name) for name in _PACKAGES[1:]}
    now = {"python": platform.python_version(), _PACKAGES[0]: __version__} | now
    rows = [(name, then.get(name, "–"), now[name]) for name in now]
    caption = "A dash where the model does not hold the version."
    head = ["package", "at training", "for this report"]
    return section("Versions", table(caption, head, rows))


def leakage(anatomy: Anatomy, names: list[str]) -> Iterator[Html]:
    """Targets that can be read off; nothing where the model sees the elements alone."""
    exposed = [TARGETS[key] for key in names if key in TARGETS and TARGETS[key].read_off]
    # Free atoms know nothing of the pair, unless a third column tells the bond length.
    free = anatomy.source == "free-atom" and anatomy.estimator.n_features_in_ == 2
    if not exposed or anatomy.layout is None or free:
        return
    text = (
        "Each follows by algebra from inputs that the same calculation of a pair yields. Where "
        "the model is given one of these, a good score is a reading, not a prediction."
    )
    rows = [(_named(t.key), t.definition, "; ".join(t.read_off)) for t in exposed]
    yield section(
        "What the inputs give away",
        table(text, ["target", "definition", "can be read off"], rows),
    )


def _written(value: Any) -> str:
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value).__name__  # its own parameters follow
    text = repr(value)
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}…"

"""The facts of a report, section by section; templates word and set them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from .. import __version__
from ..datasets._bundled import bundled_pairs
from ..elements import atomic_numbers
from ..plotting._common import name_of, printed, quantity
from ..structures import PairData
from ..targets import EXTENSIVE_LABELS, LABELS, TARGETS, target_units
from . import _figures
from ._anatomy import Anatomy
from ._evaluation import Classification, Regression, Rows

__all__ = [
    "evaluated",
    "hyperparameters",
    "importance",
    "leakage",
    "model",
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


def model(anatomy: Anatomy, names: list[str]) -> dict[str, Any]:
    """What the model is, and what it takes."""
    network, layout = anatomy.network, anatomy.layout
    channels = ", ".join(layout.channel_names) if layout else ""
    blocks = {"channel_means": f"channel means ({channels})", "image": f"image ({channels})"}
    return {
        "name": type(anatomy.final).__name__,
        "summary": anatomy.summary,
        "steps": [type(step).__name__ for step in anatomy.steps.values()],
        "search": anatomy.search,
        "targets": [_explained(name) for name in names],
        "classes": list(anatomy.estimator.classes_) if anatomy.is_classifier else [],
        "network": None if network is None else {
            "n_members": getattr(network, "n_members", 1),
            "weights": f"{network.n_parameters_:,}".replace(",", "\N{THIN SPACE}"),
            "n_epochs": network.n_iter_,
            "n_rows": network.provenance_["n_training_rows"],
            "elements": _in_order(network.elements_),
        },
        "inputs": [blocks.get(block, block) for block in layout.include] if layout else [],
        "source": _source(anatomy.source),
    }  # fmt: skip


def _explained(key: str) -> str:
    """A target with its unit, or a label with its meaning."""
    if key in LABELS and key not in TARGETS:
        return f"{key}: {LABELS[key].description}"
    return quantity(name_of(key), printed(target_units([key])[key]))


def _in_order(symbols: Iterable[str]) -> list[str]:
    return sorted(symbols, key=lambda symbol: int(atomic_numbers(symbol)))


def _source(source: str | PairData | None) -> str | None:
    if isinstance(source, PairData):
        return f"a data set of {len(source)} pairs: {source.provenance or 'origin unknown'}"
    if source == "bundled":
        return f"{_SOURCES[source]}: {bundled_pairs().provenance}"
    return source and _SOURCES.get(source, source)


# ------------------------------------------------------------------- evaluation


def evaluated(
    anatomy: Anatomy, rows: Rows, data: str | None, split: str | None
) -> dict[str, Any]:
    """Which rows the scores are of, and what is known about them."""
    present = set() if rows.pairs is None else set(rows.pairs.ravel().tolist())
    known = set(getattr(anatomy.network, "elements_", ()))
    return {
        "n": len(rows.y),
        "data": data,
        "split": split,
        "held_out": (split or "").lower().replace(" ", "-").startswith("held-out"),
        "elements": _in_order(present),
        "same_elements": bool(present) and present == known,
        "unseen": _in_order(present - known) if known else [],
        "n_refused": rows.n_refused,
        "refused": rows.refused,
    }


def outcome(rows: Rows, found: Regression | Classification) -> dict[str, Any]:
    """Scores and figures of the predictions."""
    if isinstance(found, Classification):
        shown = _classes(found)
        draw: Any = _figures.error_rates_by_element
    else:
        shown = _numbers(rows, found)
        draw = _figures.errors_by_element
    return {**shown, "by_element": [] if rows.pairs is None else draw(rows.pairs, found)}


def _numbers(rows: Rows, found: Regression) -> dict[str, Any]:
    scores = [
        (key, printed(score["unit"]), int(score["n"]), *score[list(_SCORES)])
        for key, score in found.scores.iterrows()
    ]
    return {
        "scores": (["target", "unit", "n", *_SCORES.values()], scores),
        "confusion": None,
        "parity": _figures.parity(rows, found),
        "uncertainty": None if found.std.empty else _uncertainty(found),
    }


def _uncertainty(found: Regression) -> dict[str, Any]:
    scores = found.scores.loc[list(found.std), list(_UNCERTAINTY)]
    return {
        "scores": (["target", *_UNCERTAINTY.values()], list(scores.itertuples(name=None))),
        "figure": _figures.calibration(found),
    }


def _classes(found: Classification) -> dict[str, Any]:
    scores, classes = found.scores, found.classes
    counts = zip(classes, found.confusion.tolist(), strict=True)
    return {
        "scores": (["label", "n", *scores], [(found.key, len(found.true), *scores.values())]),
        "confusion": (
            ["true class", *(f"predicted {label}" for label in classes)],
            [(label, *row) for label, row in counts],
        ),
        "parity": [],
        "uncertainty": None,
    }


def importance(
    anatomy: Anatomy, rows: Rows, n_repeats: int, random_state: int | None
) -> dict[str, Any] | None:
    """What the model looks at, where it looks at images."""
    if not anatomy.sees_image:
        return None
    measured = _figures.importances(anatomy, rows, n_repeats, random_state)
    return measured and {"figure": measured[0], "n_rows": measured[1], "n_repeats": n_repeats}


def training(anatomy: Anatomy) -> dict[str, Any] | None:
    """How the network learned."""
    history = getattr(anatomy.network, "history_", None)
    if history is None or history.empty:
        return None
    watched = history["valid_loss"].notna().any()
    best = history.loc[history["valid_loss"].idxmin()] if watched else None
    return {
        "n_epochs": len(history),
        "seconds": history["seconds"].sum(),
        "loss": history["train_loss"].iloc[-1],
        "best": None if best is None else (best["valid_loss"], int(best["epoch"])),
        "figure": _figures.training_curve(history),
    }


# -------------------------------------------------------------------- appendix


def leakage(anatomy: Anatomy, names: list[str]) -> list[tuple[str, str, str]]:
    """Targets that can be read off; none where the model sees the elements alone."""
    if getattr(anatomy.network, "reference_", None) is not None:
        return [
            (key, "mostly a sum over the atoms of each element", "the composition")
            for key in names if key in EXTENSIVE_LABELS
        ]  # fmt: skip
    # Free atoms know nothing of the pair, unless a third column tells the bond length.
    free = anatomy.source == "free-atom" and anatomy.estimator.n_features_in_ == 2
    if anatomy.layout is None or free:
        return []
    exposed = [TARGETS[key] for key in names if key in TARGETS and TARGETS[key].read_off]
    return [(t.key, t.definition, "; ".join(t.read_off)) for t in exposed]


def hyperparameters(anatomy: Anatomy) -> list[tuple[str, list[tuple[str, str]]]]:
    """All parameters as they are written, by step."""
    return [
        (group, [(name, _written(value)) for name, value in parameters.items()])
        for group, parameters in anatomy.parameters().items() if parameters
    ]  # fmt: skip


def _written(value: Any) -> str:
    if hasattr(value, "get_params") and not isinstance(value, type):
        return type(value).__name__  # its own parameters follow
    text = repr(value)
    return text if len(text) <= _MAX_REPR else f"{text[:_MAX_REPR]}…"


def versions(anatomy: Anatomy) -> list[tuple[str, str, str]]:
    """Versions of packages, then and now."""
    then = getattr(anatomy.network, "provenance_", {})
    now = {"python": platform.python_version(), _PACKAGES[0]: __version__}
    now |= {name: version(name) for name in _PACKAGES[1:]}
    return [(name, then.get(name, "–"), now[name]) for name in now]

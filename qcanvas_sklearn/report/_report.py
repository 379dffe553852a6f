"""`model_report`: one page about a fitted model."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from .._files import check_writable, written_whole
from .._warnings import each_warning_once
from ..plotting._common import name_of
from . import _facts
from ._anatomy import Anatomy
from ._evaluation import classify, read_rows, regress
from ._figures import drawing
from ._page import ReportPage, environment

__all__ = ["model_report"]


def model_report(
    estimator: Any,
    X: Any = None,
    y: Any = None,
    *,
    out: str | os.PathLike[str] | None = None,
    title: str | None = None,
    data: str | None = None,
    split: str | None = None,
    n_repeats: int = 3,
    random_state: int | None = 0,
) -> str:
    """Write one page about a fitted model: what it is, how good it is, and on what.

    The page is a single file of HTML with its figures inside. It loads nothing and runs
    nothing. What does not apply to a model is left out: a plain scikit-learn model has no
    training curve, for example.

    Parameters
    ----------
    estimator : estimator
        Fitted regressor or classifier, pipeline that ends in one, or search over these.
    X : array-like of shape (n, 2), (n, 3) or (n, p), default=None
        Rows to evaluate, as the estimator takes them. Those with elements that a network
        refuses to predict are left out, and the page says so. None for a page without
        scores.
    y : array-like, Series or DataFrame of shape (n,) or (n, t), default=None
        Their targets or classes, missing where not known.
    out : path-like, default=None
        File to write. It appears, or replaces an earlier one, only when it is complete.
    title : str, default=None
        Heading of the page; None for the estimator and its targets.
    data : str, default=None
        Where the rows and labels come from, in words.
    split : str, default=None
        What the rows are to the model, in words, as
        ``"held-out: fold 0 of ElementPairKFold(5)"``. A saved model does not hold its
        training rows, so that the page warns that its scores may be those of rows which
        the model has seen, unless this begins with "held-out".
    n_repeats : int, default=3
        Permutations of each channel, for its importance.
    random_state : int or None, default=0
        Draws the rows (500 at most) and the permutations for the importances.

    Returns
    -------
    str
        The page. A notebook shows it as it is, a prompt in one line.

    Raises
    ------
    TypeError
        If `estimator` is no regressor or classifier.
    NotFittedError
        If it is not fitted.
    ValueError
        If only one of X and y is passed, they do not match each other or the model, or no
        label is observed.
    ImportError
        If matplotlib or Jinja2 is not installed.
    FileNotFoundError, IsADirectoryError
        If no file can stand at `out`.

    See Also
    --------
    qcanvas_sklearn.metrics.target_report : The scores alone.
    qcanvas_sklearn.inspection.channel_importance : The importances alone.
    qcanvas_sklearn.inspection.leakage_report : What single inputs give away, measured.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from qcanvas_sklearn import PairDescriptorTransformer, load_pairs
    >>> from qcanvas_sklearn.report import model_report
    >>> X, y = load_pairs(target="distance_ang", return_X_y=True)
    >>> model = make_pipeline(PairDescriptorTransformer(), Ridge()).fit(X[::2], y[::2])
    >>> page = model_report(model, X[1::2], y[1::2], split="held-out: every second pair")
    >>> page.count("<h2"), page.count("<img")
    (7, 3)
    """
    if out is not None:
        check_writable(out)
    if (X is None) != (y is None):
        raise ValueError("X and y must be passed together")
    anatomy = Anatomy.of(estimator)
    page = environment().get_template("report.html")
    names, evaluation = anatomy.target_names or [], None
    with drawing(), each_warning_once():
        if X is not None:
            rows = read_rows(anatomy, X, y)
            found = (classify if anatomy.is_classifier else regress)(anatomy, rows)
            names = list(rows.y.columns)
            evaluation = {
                "rows": _facts.evaluated(anatomy, rows, data, split),
                **_facts.outcome(rows, found),
                "importance": _facts.importance(anatomy, rows, n_repeats, random_state),
            }
        training = _facts.training(anatomy)
    targets = f"{len(names)} targets" if len(names) > 2 else ", ".join(map(name_of, names))
    text = page.render(
        title=title or f"{type(anatomy.final).__name__}: {targets}".removesuffix(": "),
        made=datetime.now().astimezone(),
        model=_facts.model(anatomy, names),
        evaluation=evaluation,
        training=training,
        leakage=_facts.leakage(anatomy, names),
        hyperparameters=_facts.hyperparameters(anatomy),
        versions=_facts.versions(anatomy),
    )
    if out is not None:
        with written_whole(out) as file:
            file.write(text.encode("utf-8", "replace"))
    return ReportPage(text)

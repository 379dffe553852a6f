"""Train and evaluate with ablated inputs, on the same splits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_random_state

from .._validation import Labels, read_observed, take_rows
from ..images import CHANNEL_NAMES, PairImageTransformer, PairLayout
from ..metrics import target_report
from ..model_selection import ElementPairKFold
from ..structures import PairData, looks_like_pairs
from ._ablations import BlockSelector, ElementAblation, ImageAmplitudes, SpatialShuffle

__all__ = ["ablation_study"]

_BASELINE = "none"
# Not every model takes 0 for an element; and "scalars" tells what amplitudes would.
_ON_REQUEST = ("elements_masked", "amplitudes")


def ablation_study(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    ablations: Sequence[str] | Mapping[str, Any] | None = None,
    cv: Any = None,
    random_state: int | np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Cross-validate an estimator with one thing after another taken from its inputs.

    Every ablation is a transformer in front of the estimator; the two are trained anew
    on the training rows of each split and evaluated on its test rows, which are ablated
    in the same way. In contrast to :func:`channel_importance`, the model may make up for
    what is gone.

    Parameters
    ----------
    estimator : estimator
        Not fitted; it is cloned. Where `X` holds element pairs, a Pipeline with a
        `PairImageTransformer`, behind which the ablation is put; a default one is put in
        front of anything that is no Pipeline.
    X : array-like of shape (n, p)
        Element pairs, or the output of a `PairImageTransformer`.
    y : array-like of shape (n,) or (n, t)
        Targets. Rows without any label are left out of both sides.
    ablations : sequence of str, mapping of str to transformer, or None, default=None
        What is taken away. None for all of these that apply, but for the last two:

        - ``"elements_shuffled"``, ``"elements_random"``, ``"elements_constant"``: see
          :class:`ElementAblation`.
        - ``"pixels_shuffled"``, ``"pixels_shuffled_per_image"``: see
          :class:`SpatialShuffle`.
        - ``"no_image"``: the other blocks alone.
        - ``"scalars"``: the orbitals and charges that the image is drawn from in its
          place. Are the pixels worth more than these?
        - ``"elements_masked"``: for models that take 0 as an atomic number.
        - ``"amplitudes"``: see :class:`ImageAmplitudes`.

        A mapping gives names to transformers of the table of your own. A
        `PairImageTransformer` among them takes the place of the pipeline's.
    cv : int, splitter, iterable of splits or None, default=None
        Splits of the rows; None for ``ElementPairKFold(5)``.
    random_state : int, RandomState instance or None, default=None
        Draws the shuffles; the estimator has its own.
    n_jobs : int or None, default=None
        Trainings to run at once.

    Returns
    -------
    DataFrame
        One row for each ablation and target, ``"none"`` first:

        - ``ablation``, ``target``.
        - ``mae_mean``, ``mae_std``: mean absolute error on the test rows, in the unit of
          the target, over the splits.
        - ``n_splits``: splits with a test label of the target.
        - ``change``: of the mean error, as a fraction of that of ``"none"``; 0.5 is half
          as large again.

    Raises
    ------
    ValueError
        If an ablation does not exist or does not apply, or `X` is neither pairs nor the
        output of a `PairImageTransformer`.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from qcanvas_sklearn import load_pairs
    >>> from qcanvas_sklearn.inspection import ablation_study
    >>> X, y = load_pairs(target="dipole_mag_d", return_X_y=True)
    >>> study = ablation_study(Ridge(10), X[::9], y[::9], ablations=["no_image"], cv=3)
    >>> study.ablation.tolist(), bool(study.change[1] > 1)
    (['none', 'no_image'], True)
    """
    drawn = looks_like_pairs(X)
    pipe, start = _place_for_ablations(estimator, drawn)
    chosen = _choose(ablations, _standard(pipe, start, X, random_state))
    variants = {_BASELINE: pipe}
    variants |= {name: _ablated(pipe, start, step) for name, step in chosen.items()}
    labels = read_observed(y, len(X))
    splits = _labelled_splits(cv, X, labels)
    jobs = Parallel(n_jobs=n_jobs)(
        delayed(_fold_errors)(clone(variant), X, labels.plain(), train, test)
        for variant in variants.values()
        for train, test in splits
    )
    targets = labels.keys()
    errors = np.reshape(jobs, (len(variants), len(splits), len(targets)))
    return _summary(errors, list(variants), targets)


def _place_for_ablations(estimator: Any, drawn: bool) -> tuple[Pipeline, int]:
    """The estimator as a pipeline, and the position of the first step of a table."""
    if not isinstance(estimator, Pipeline):
        steps = [PairImageTransformer(), estimator] if drawn else [estimator]
        return make_pipeline(*steps), int(drawn)
    if not drawn:
        return estimator, 0
    drawing = [k for k, step in enumerate(estimator) if isinstance(step, PairImageTransformer)]
    if not drawing:
        raise ValueError(
            "X holds element pairs, and no step of the pipeline is a PairImageTransformer "
            "behind which something could be ablated"
        )
    return estimator, drawing[-1] + 1


def _standard(pipe: Pipeline, start: int, X: Any, random_state: Any) -> dict[str, Any]:
    """The named ablations that apply."""
    drawing = pipe[start - 1] if start else None
    if drawing is None:
        layout = PairLayout.infer(X)
    else:
        layout = PairLayout(drawing.include, drawing.channels, drawing.image_size)
    blocks = () if layout is None else layout.include
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    standard: dict[str, Any] = {}
    if "atoms" in blocks:
        for kind in ("shuffle", "random", "constant", "mask"):
            suffix = {"shuffle": "shuffled", "mask": "masked"}.get(kind, kind)
            standard[f"elements_{suffix}"] = ElementAblation(kind, random_state=seed)
    if layout is None or "image" not in blocks:
        return standard
    standard["pixels_shuffled"] = SpatialShuffle(random_state=seed)
    standard["pixels_shuffled_per_image"] = SpatialShuffle(per_image=True, random_state=seed)
    rest = tuple(block for block in blocks if block not in ("channel_means", "image"))
    if rest:
        standard["no_image"] = BlockSelector(rest)
    behind = tuple(dict.fromkeys([*rest, "orbitals", "charges"]))
    if drawing is not None and _has_orbitals(drawing.source):
        standard["scalars"] = clone(drawing).set_params(include=behind)
    elif set(behind) <= set(blocks):
        standard["scalars"] = BlockSelector(behind)
    if layout.channel_names == CHANNEL_NAMES:
        standard["amplitudes"] = ImageAmplitudes()
    return standard


def _has_orbitals(source: Any) -> bool:
    return not (isinstance(source, PairData) and source.images is not None)


def _choose(ablations: Any, standard: dict[str, Any]) -> dict[str, Any]:
    if isinstance(ablations, Mapping):
        return {name: step for name, step in ablations.items() if name != _BASELINE}
    if ablations is None:
        if not standard:
            raise ValueError(
                "X must hold element pairs, or the output of a PairImageTransformer, to be "
                "ablated; of other tables, pass ablations of your own"
            )
        return {name: step for name, step in standard.items() if name not in _ON_REQUEST}
    names = list(ablations) if not isinstance(ablations, str) else [ablations]
    unknown = [name for name in names if name not in (_BASELINE, *standard)]
    if unknown:
        raise ValueError(
            f"ablations {unknown} are not among those that apply: {list(standard)}"
        )
    return {name: standard[name] for name in names if name != _BASELINE}


def _ablated(pipe: Pipeline, start: int, step: Any) -> Pipeline:
    """The pipeline with one more step, or with another transformer of the pairs."""
    steps = list(pipe.steps)
    if isinstance(step, PairImageTransformer) and start:
        steps[start - 1] = (steps[start - 1][0], step)
    else:
        steps.insert(start, ("ablation", step))
    return Pipeline(steps)


def _labelled_splits(
    cv: Any, X: Any, labels: Labels
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    splitter = ElementPairKFold(5) if cv is None else check_cv(cv)
    splits: Iterable[Any] = splitter.split(X, labels.plain())
    seen = labels.observed
    kept = [(rows[seen[rows]], test[seen[test]]) for rows, test in splits]
    if any(len(train) == 0 or len(test) == 0 for train, test in kept):
        raise ValueError("a split has no labelled row on one of its sides")
    return kept


def _fold_errors(
    model: Any, X: Any, y: Any, train: NDArray, test: NDArray
) -> NDArray[np.float64]:
    """Mean absolute error of each target on the test rows, NaN where it has no label."""
    model.fit(take_rows(X, train), take_rows(y, train))
    report = target_report(take_rows(y, test), model.predict(take_rows(X, test)))
    return report["mae"].to_numpy()


def _summary(
    errors: NDArray[np.float64], ablations: list[str], targets: list[str]
) -> pd.DataFrame:
    long = pd.DataFrame(
        errors.transpose(0, 2, 1).reshape(-1, errors.shape[1]),
        index=pd.MultiIndex.from_product([ablations, targets], names=["ablation", "target"]),
    )
    mean = long.mean(axis=1)
    first = np.tile(mean.loc[_BASELINE].to_numpy(), len(ablations))
    return pd.DataFrame(
        {
            "mae_mean": mean,
            "mae_std": long.std(axis=1, ddof=0),
            "n_splits": long.notna().sum(axis=1),
            "change": mean / first - 1,
        }
    ).reset_index()

"""Which targets the inputs give away."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import KFold, check_cv
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils import check_array

from .._validation import read_observed
from ..elements import symbols, valence_orbital_populations
from ..images import PairImageTransformer, PairLayout
from ..images.layout import find_columns
from ..structures import Molecules, check_molecules, looks_like_molecules, looks_like_pairs
from ..targets import target_units

__all__ = ["leakage_report"]

#: Above this many columns their products are too many.
_MAX_FACTORS = 100
_CHUNK = 2048
# A simpler feature is preferred to one whose score is larger by no more than this.
_TIE = 1e-4
_N_TREES = 3
# Relative deviation up to which a column is constant.
_ROUND_OFF = 1e-12

Split = tuple[NDArray[np.int64], NDArray[np.int64]]


class _Fit(NamedTuple):
    feature: str
    model: str
    r2: float
    mae: float


def leakage_report(
    X: Any,
    y: Any,
    *,
    feature_names: Sequence[str] | None = None,
    cv: Any = 5,
    random_state: int | np.random.RandomState | None = 0,
    threshold: float = 0.99,
) -> pd.DataFrame:
    r"""How well single numbers of the inputs give each target away.

    Every target is predicted from one feature at a time, by a straight line and by a
    shallow regression tree, in cross-validation; products of two features are tried with
    a line. Where that is all it takes, a target is read off its inputs, and a good score
    of a larger model is no achievement.

    Features are the scalar columns; of each image channel its mean, its maximum and its
    tilt, the mean of the half at atom b less that of the half at atom a; the electrons
    that each atom has lost, its valence less its population; and the absolute values
    (``|...|``) of those that change sign. Among the products are the charges times the
    bond length, which are the dipole moment, :math:`|\mu| = 4.8032\,|q|\,d`. What follows
    from several columns only, or from their quotients, is not found.

    Of molecules the features are the atoms of each element, their number and the total
    charge, and a straight line in all of these at once, the composition, is tried as well:
    most of a total energy is the sum of what its atoms are.

    Parameters
    ----------
    X : array-like of shape (n, p), or molecules
        Output of a `PairImageTransformer`, element pairs (of which a default one makes a
        table), any numeric table without missing values, or molecules (`Molecules`, a list
        of ``ase.Atoms`` or of PyG ``Data``).
    y : array-like of shape (n,) or (n, t)
        Targets, NaN where missing.
    feature_names : sequence of str, default=None
        Names of the columns; by default those of a DataFrame.
    cv : int, splitter or iterable of splits, default=5
        Folds; an int deals the rows at random.
    random_state : int, RandomState instance or None, default=0
        Deals the rows.
    threshold : float, default=0.99
        Coefficient of determination above which a target counts as read off.

    Returns
    -------
    DataFrame
        One row a target, the most exposed first:

        - ``target``, ``unit``: name, and unit where it is one of
          :data:`qcanvas_sklearn.targets.TARGETS`.
        - ``best_feature``: what gives most away.
        - ``model``: ``"linear"`` or ``"tree"``.
        - ``r2``, ``mae``: of the predictions for the test rows of all folds.
        - ``baseline_mae``: that of the mean of the training rows.
        - ``read_off``: whether `r2` is above `threshold`.

    Raises
    ------
    ValueError
        If X or y is not acceptable, or a target has too few labels for the folds.

    Notes
    -----
    Rows are dealt one by one: of molecules that come in groups, such as the frames of a
    trajectory, pass splits by group.

    With more than 100 features no products are tried.

    Examples
    --------
    >>> from qcanvas_sklearn import load_pairs
    >>> from qcanvas_sklearn.inspection import leakage_report
    >>> X, y = load_pairs(target=["e_g_ev", "dipole_mag_d"], return_X_y=True)
    >>> report = leakage_report(X[::4], y[::4])
    >>> report[["target", "best_feature", "read_off"]].values.tolist()[0]
    ['dipole_mag_d', 'rip_mtf_dipole_mean', True]
    >>> report.read_off.tolist()
    [True, False]

    >>> from qcanvas_sklearn import load_molecules
    >>> data = load_molecules()
    >>> report = leakage_report(data.data, data.target[["e_g_ev", "total_energy_ev"]])
    >>> report[["target", "best_feature", "read_off"]].values.tolist()
    [['total_energy_ev', 'composition', True], ['e_g_ev', 'composition', False]]
    """
    features = _features(X, feature_names)
    labels = read_observed(y, len(features))
    targets = labels.keys()
    if isinstance(cv, numbers.Integral):
        cv = KFold(cv, shuffle=True, random_state=random_state)
    splits = list(check_cv(cv).split(X, labels.values))
    units = target_units(targets)
    has_composition = looks_like_molecules(X)
    columns = features.to_numpy(dtype=np.float64)
    factors = _factors(columns.shape[1])
    scores = _linear_scores(columns, factors, labels.values, splits)
    rows = []
    for j, target in enumerate(targets):
        values = labels.values[:, j]
        seen = [(_seen(train, values), _seen(test, values)) for train, test in splits]
        if any(len(train) < 2 or len(test) == 0 for train, test in seen):
            n_labels = int(np.isfinite(values).sum())
            raise ValueError(f"target {target!r} has {n_labels} labels, too few for the folds")
        best = _best_fit(features, factors, scores[:, j], values, seen)
        if has_composition:
            line = _evaluate(LinearRegression(), columns, values, seen)
            best = max(best, _Fit("composition", "linear", *line), key=lambda fit: fit.r2)
        _, baseline = _evaluate(DummyRegressor(), columns[:, :1], values, seen)
        rows.append((target, units[target], *best, baseline, best.r2 > threshold))
    names = ["target", "unit", "best_feature", "model", "r2", "mae", "baseline_mae", "read_off"]
    report = pd.DataFrame(rows, columns=names)
    return report.sort_values("r2", ascending=False, kind="stable", ignore_index=True)


def _features(X: Any, feature_names: Sequence[str] | None) -> pd.DataFrame:
    """One named column for each number that is tried on its own."""
    if looks_like_molecules(X):
        if feature_names is not None:
            raise ValueError("feature_names are for tables; X holds molecules")
        return _composition(check_molecules(X))
    if looks_like_pairs(X):
        X = PairImageTransformer().set_output(transform="default").fit_transform(X)
    names = feature_names if feature_names is not None else getattr(X, "columns", None)
    table = check_array(X, dtype=[np.float64, np.float32], input_name="X")
    names = [f"x{k}" for k in range(table.shape[1])] if names is None else list(map(str, names))
    if len(names) != table.shape[1]:
        raise ValueError(f"{len(names)} feature_names for the {table.shape[1]} columns of X")
    pair_columns = find_columns(X, feature_names)
    columns = dict(zip(names, table.T, strict=True))
    if pair_columns is not None:
        for place in pair_columns.positions:
            del columns[names[place]]
        columns |= _pair_features(pair_columns.layout, pair_columns.take(table)[0])
    for name, column in list(columns.items()):
        if column.min() < 0 < column.max():
            columns[f"|{name}|"] = np.abs(column)
    return pd.DataFrame(columns)


def _composition(molecules: Molecules) -> pd.DataFrame:
    """Atoms of each element, their number, and the total charge."""
    names = [f"n_{symbol}" for symbol in symbols(molecules.elements)]
    columns = pd.DataFrame(molecules.composition, columns=names, dtype=np.float64)
    return columns.assign(n_atoms=molecules.n_atoms, charge=molecules.charge)


def _pair_features(layout: PairLayout, table: NDArray) -> dict[str, NDArray]:
    views = layout.unpack(table)
    n_scalars = layout.slices["image"].start if "image" in views else layout.n_columns
    names = layout.feature_names[:n_scalars]
    columns = dict(zip(names, table[:, :n_scalars].T, strict=True))
    if "z" in views:
        valence = valence_orbital_populations(views["z"]).sum(axis=-1)
        lost = valence - views["population"]
        columns |= {f"lost_electrons_{atom}": lost[:, k]
                    for k, atom in enumerate("ab")}  # fmt: skip
    for slot, name in enumerate(layout.channel_names if "image" in views else ()):
        image, half = views["image"][:, slot], layout.image_size // 2
        columns[f"{name}_mean"] = image.mean(axis=(1, 2), dtype=np.float64)
        columns[f"{name}_max"] = image.max(axis=(1, 2))
        right, left = image[..., half:], image[..., :half]
        columns[f"{name}_tilt"] = np.subtract(
            right.mean(axis=(1, 2), dtype=np.float64), left.mean(axis=(1, 2), dtype=np.float64)
        )
    return columns


def _factors(n_columns: int) -> NDArray[np.int64]:
    """Pairs of columns to multiply; -1 in place of the second for a column alone."""
    alone = [(k, -1) for k in range(n_columns)]
    products = combinations(range(n_columns), 2) if n_columns <= _MAX_FACTORS else ()
    return np.array([*alone, *products], dtype=np.int64)


def _multiplied(columns: NDArray, factors: NDArray[np.int64]) -> NDArray[np.float64]:
    first, second = factors.T
    return columns[:, first] * np.where(second < 0, 1.0, columns[:, second])


def _means(columns: NDArray, factors: NDArray[np.int64]) -> NDArray[np.float64]:
    """Means of the columns, and of their products."""
    first, second = factors.T
    means = np.asarray(columns.mean(axis=0)[first])
    multiplied = second >= 0
    if multiplied.any():  # of few columns only
        products = columns.T @ columns / len(columns)
        means[multiplied] = products[first, second][multiplied]
    return means


def _seen(rows: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    return rows[np.isfinite(values[rows])]


def _linear_scores(
    columns: NDArray, factors: NDArray[np.int64], y: NDArray[np.float64], splits: list[Split]
) -> NDArray[np.float64]:
    """Pooled r2 (k, t) of one-feature lines on the test rows, from sums over the rows."""
    y = y - np.nanmean(y, axis=0)
    observed = np.isfinite(y)
    known = np.where(observed, y, 0.0)
    # (n, 2, s, t): which rows count, for training and test, split and target.
    weight = np.zeros((len(y), 2, len(splits), y.shape[1]))
    for s, sides in enumerate(splits):
        for side, rows in enumerate(sides):
            weight[rows, side, s] = observed[rows]
    # A large mean, as that of total energies, would leave nothing of small differences.
    centre = _means(columns, factors)[:, None]
    shape = (len(factors), *weight.shape[1:])
    sum_x, sum_xx, sum_xy = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for start in range(0, len(y), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        x = _multiplied(columns[chunk], factors).T - centre
        counted, of_y = weight[chunk], weight[chunk] * known[chunk, None, None]
        sum_x += np.tensordot(x, counted, 1)
        sum_xx += np.tensordot(x**2, counted, 1)
        sum_xy += np.tensordot(x, of_y, 1)
    n = weight.sum(axis=0)
    sum_y = (weight * known[:, None, None]).sum(axis=0)
    sum_yy = (weight * known[:, None, None] ** 2).sum(axis=0)
    train, test = 0, 1
    count = np.maximum(n[train], 1)
    spread = sum_xx[:, train] - sum_x[:, train] ** 2 / count
    covariance = sum_xy[:, train] - sum_x[:, train] * sum_y[train] / count
    # Less is round-off of a constant.
    least = count * (_ROUND_OFF * centre[..., None]) ** 2
    varies = spread > np.maximum(1e-9 * sum_xx[:, train], least)
    slope = np.divide(covariance, spread, out=np.zeros_like(spread), where=varies)
    level = (sum_y[train] - slope * sum_x[:, train]) / count
    squares = (
        sum_yy[test] - 2 * level * sum_y[test] - 2 * slope * sum_xy[:, test]
        + n[test] * level**2 + 2 * level * slope * sum_x[:, test]
        + slope**2 * sum_xx[:, test]
    ).sum(axis=1)  # fmt: skip
    total = sum_yy[test].sum(axis=0) - sum_y[test].sum(axis=0) ** 2 / n[test].sum(axis=0)
    return np.asarray(1 - squares / np.where(total > 0, total, np.inf))


def _best_fit(
    features: pd.DataFrame,
    factors: NDArray[np.int64],
    linear: NDArray[np.float64],
    values: NDArray[np.float64],
    splits: list[Split],
) -> _Fit:
    """The best line, or the best tree where that is better."""
    columns = features.to_numpy(dtype=np.float64)
    k = int(np.argmax(linear >= linear.max() - _TIE))
    name = " * ".join(str(features.columns[j]) for j in factors[k] if j >= 0)
    feature = _multiplied(columns, factors[[k]])
    fits = [_Fit(name, "linear", *_evaluate(LinearRegression(), feature, values, splits))]
    if fits[0].r2 < 1 - _TIE:
        for j in _promising(columns, values):
            scores = _evaluate(_tree(), columns[:, [j]], values, splits)
            fits.append(_Fit(str(features.columns[j]), "tree", *scores))
    best = max(fit.r2 for fit in fits)
    return next(fit for fit in fits if fit.r2 >= best - _TIE)


def _tree() -> DecisionTreeRegressor:
    return DecisionTreeRegressor(max_leaf_nodes=32, min_samples_leaf=5, random_state=0)


def _promising(columns: NDArray, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The columns whose trees fit best where nothing is held out."""
    seen = np.isfinite(values)
    y = values[seen]
    scores = [
        _tree().fit(columns[seen, j : j + 1], y).score(columns[seen, j : j + 1], y)
        for j in range(columns.shape[1])
    ]
    return np.argsort(scores)[::-1][:_N_TREES]


def _evaluate(
    model: RegressorMixin, feature: NDArray, values: NDArray[np.float64], splits: list[Split]
) -> tuple[float, float]:
    """r2 and mean absolute error of the predictions for all test rows."""
    predicted = [model.fit(feature[a], values[a]).predict(feature[b]) for a, b in splits]
    true = np.concatenate([values[test] for _, test in splits])
    given = np.concatenate(predicted)
    return float(r2_score(true, given)), float(mean_absolute_error(true, given))

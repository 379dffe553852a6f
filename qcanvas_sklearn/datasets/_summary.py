"""Looking at `PairData` as a whole: statistics of labels, checks, comparison."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..structures import PairData
from ..targets import IDENTITIES, LABELS, identity_residuals

__all__ = ["Finding", "check_pair_data", "compare", "summarize_labels"]

# Lengths, charges and labels are stated with four digits or more, and the archive keeps
# coordinates in single precision.
_TOLERANCE = 1e-4
_DIPOLE_TOLERANCE_D = 1e-3

_NO_LUMO = "no level of the basis is empty"
_NO_GAP = "the gap is zero, or " + _NO_LUMO
_WHY_MISSING = {
    **dict.fromkeys(("e_homo_ev", "e_lumo_ev", "e_g_ev", "metal_like"), _NO_LUMO),
    **dict.fromkeys(("i_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev"), _NO_LUMO),
    **dict.fromkeys(("softness_evinv", "electrophilicity_ev"), _NO_GAP),
}


class Finding(NamedTuple):
    """Outcome of one check.

    Attributes
    ----------
    check : str
        What was looked at.
    passed : bool or None
        None where both outcomes are in order.
    detail : str
        What was seen.
    """

    check: str
    passed: bool | None
    detail: str


# ---------------------------------------------------------------------- labels


def summarize_labels(labels: pd.DataFrame) -> str:
    """Statistics of a label table as text.

    Parameters
    ----------
    labels : DataFrame of shape (n, 37)
        Labels of a `PairData`.

    Returns
    -------
    str
        Coverage of each label; mean, sample standard deviation, range and median of the
        numeric ones, distribution of the others; at last, what is missing and why.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.datasets._summary import summarize_labels
    >>> print(summarize_labels(load_pairs().labels[["e_g_ev"]]))
    2850 pairs, 1 labels
    <BLANKLINE>
    e_g_ev (eV): HOMO-LUMO gap
      coverage: 2840/2850 (99.6 %)
      mean:     0.467288
      std:      1.17749
      range:    [0, 19.4538]
      median:   0
    <BLANKLINE>
    Missing values
      e_g_ev: 10, expected where no level of the basis is empty
    """
    n = len(labels)
    lines = [f"{n} pairs, {labels.shape[1]} labels", ""]
    missing = []
    for key in labels:
        label, values = LABELS[key], labels[key].dropna()
        unit = "" if label.unit == "-" else f" ({label.unit})"
        share = f" ({len(values) / n:.1%})".replace("%", " %") if n else ""
        lines += [f"{key}{unit}: {label.description}", f"  coverage: {len(values)}/{n}{share}"]
        if len(values):
            lines += _statistics(values) if label.kind == "float" else _distribution(values)
        if 0 < len(values) < n:
            why = f", expected where {_WHY_MISSING[key]}" if key in _WHY_MISSING else ""
            missing.append(f"  {key}: {n - len(values)}{why}")
        elif len(values) == 0:
            missing.append(f"  {key}: empty, the source does not state it")
        lines.append("")
    return "\n".join([*lines, "Missing values", *(missing or ["  none"])]) + "\n"


def _statistics(values: pd.Series) -> list[str]:
    return [
        f"  mean:     {values.mean():.6g}",
        f"  std:      {values.std():.6g}",
        f"  range:    [{values.min():.6g}, {values.max():.6g}]",
        f"  median:   {values.median():.6g}",
    ]


def _distribution(values: pd.Series, n_listed: int = 10) -> list[str]:
    counts = values.value_counts()
    if len(counts) > n_listed:
        return [f"  {len(counts)} different values"]
    return [
        f"  {value}: {count} ({count / len(values):.1%})".replace("%", " %")
        for value, count in counts.items()
    ]


# ---------------------------------------------------------------------- checks


def check_pair_data(pairs: PairData) -> list[Finding]:
    """Check that the parts of a data set agree with each other.

    Parameters
    ----------
    pairs : PairData
        The data.

    Returns
    -------
    list of Finding
        Shapes, finite values, bond lengths and dipoles against their labels, charge
        neutrality, and the algebraic identities between the labels.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import load_pairs
    >>> from qcanvas_sklearn.datasets._summary import check_pair_data
    >>> all(finding.passed is not False for finding in check_pair_data(load_pairs().pairs))
    True
    """
    checks = (_check_arrays, _check_geometry_and_charges, _check_labels)
    # Infinite values are what the checks look for, and no reason for warnings of numpy.
    with np.errstate(over="ignore", invalid="ignore"):
        return [finding for check in checks for finding in check(pairs)]


def _check_arrays(pairs: PairData) -> Iterator[Finding]:
    n = len(pairs)
    shapes = f"{n} pairs, positions {pairs.positions.shape}, labels {pairs.labels.shape}"
    if pairs.images is not None:
        shapes += f", images {pairs.images.shape}"
    yield Finding("shapes", n > 0, shapes)
    # A pair may be there at several distances.
    places = np.column_stack([pairs.z, pairs.bond_lengths])
    repeated = n - len(np.unique(np.nan_to_num(places), axis=0))
    yield Finding("distinct pairs", repeated == 0, f"{repeated} repeated")
    # A row whose quality says so may lack its charges, or all that could not be computed.
    # Sources of images do not know single orbitals.
    drawn = "orbital_populations" if pairs.images is None else "images"
    arrays = {
        name: getattr(pairs, name)[pairs.computed]
        for name in ("positions", "populations", "dipole", drawn)
    } | {"charges": pairs.charges[pairs.quality == "ok"]}
    bad = {name: int((~np.isfinite(array)).sum()) for name, array in arrays.items()}
    for key, label in LABELS.items():
        if label.kind == "float":
            bad[key] = int(np.isinf(pairs.labels[key].to_numpy(dtype=np.float64)).sum())
    listed = ", ".join(f"{count} in {name}" for name, count in bad.items() if count)
    yield Finding("finite values", not listed, listed or "all")


def _agreement(
    check: str, names: NDArray, difference: NDArray, unit: str, tolerance: float = _TOLERANCE
) -> Finding:
    """Whether differences stay below a tolerance; NaN stands for nothing to compare."""
    known = ~np.isnan(difference)
    if not known.any():
        return Finding(check, None, "nothing to compare")
    worst = int(np.nanargmax(difference))
    where = f" ({names[worst]})" if difference[worst] else ""
    detail = f"largest difference {difference[worst]:.2g} {unit}{where}"
    return Finding(check, bool((difference[known] <= tolerance).all()), detail)


def _check_geometry_and_charges(pairs: PairData) -> Iterator[Finding]:
    labels, names = pairs.labels, pairs.names
    lengths = np.abs(pairs.bond_lengths - labels["distance_ang"].to_numpy())
    yield _agreement("bond lengths of geometry and labels", names, lengths, "angstrom")
    dipoles = np.abs(pairs.dipole_magnitudes - labels["dipole_mag_d"].to_numpy())
    yield _agreement("dipoles and labels", names, dipoles, "D", _DIPOLE_TOLERANCE_D)
    total = labels["total_charge"].fillna(0.0).to_numpy()
    charges = np.abs(pairs.charges.sum(axis=1) - total)
    yield _agreement("charge neutrality: sum of charges and total", names, charges, "e")


def _check_labels(pairs: PairData) -> Iterator[Finding]:
    residuals = identity_residuals(pairs.labels)
    for identity in IDENTITIES:
        inputs = [pairs.labels[key].to_numpy(dtype=np.float64) for key in identity.inputs]
        given = pairs.labels[identity.target].to_numpy(dtype=np.float64)
        difference = np.abs(given - identity.function(*inputs))
        # An infinite label is infinitely wrong, not by infinity over infinity.
        size = np.where(np.isinf(given), 1.0, np.maximum(1.0, np.abs(given)))
        relative = difference / size
        finding = _agreement(identity.formula, pairs.names, relative, "")
        if finding.detail != "nothing to compare":
            detail = f"largest residual {residuals[identity.formula]:.2g}"
            if not finding.passed:
                detail += f" ({pairs.names[np.nanargmax(relative)]})"
            finding = finding._replace(detail=detail)
        if identity.target == "dipole_mag_d":
            # True of point charges only: other methods add dipoles of the atoms.
            detail = finding.detail + ("" if finding.passed else "; not a point-charge dipole")
            finding = finding._replace(passed=None, detail=detail)
        yield finding


# ------------------------------------------------------------------ comparison


def compare(a: PairData, b: PairData) -> pd.DataFrame:
    """Compare the labels of two sources on the pairs that both hold.

    Parameters
    ----------
    a, b : PairData
        The sources. Rows are matched by pair; where one holds a pair more than once, its
        first row counts.

    Returns
    -------
    DataFrame
        One row for each numeric or boolean label with a value in both for some pair:
        ``n`` common values, Pearson ``correlation`` (NaN where either is constant or
        infinite), and ``mean_abs_difference`` in the unit of the label.

    Raises
    ------
    TypeError
        If `a` or `b` is not a `PairData`.
    ValueError
        If they have no pair in common.

    Examples
    --------
    >>> from qcanvas_sklearn.datasets import compare, load_pairs
    >>> pairs = load_pairs().pairs
    >>> compare(pairs, pairs[::2]).loc["e_g_ev"].round(6).tolist()
    [1421.0, 1.0, 0.0]
    """
    for value in (a, b):
        if not isinstance(value, PairData):
            raise TypeError(f"expected PairData, got {type(value).__name__}")
    common_names, in_a, in_b = np.intersect1d(a.names, b.names, return_indices=True)
    if not len(common_names):
        raise ValueError("the two sources have no pair in common")
    rows = {}
    for key, label in LABELS.items():
        if label.kind == "string":
            continue
        values = [
            source.labels[key].iloc[index].to_numpy(dtype=np.float64, na_value=np.nan)
            for source, index in ((a, in_a), (b, in_b))
        ]
        common = ~np.isnan(values).any(axis=0)
        if common.any():
            x, y = (value[common] for value in values)
            # Where both are infinite, they are equal.
            difference = np.subtract(x, y, out=np.zeros_like(x), where=x != y)
            rows[key] = (len(x), _pearson(x, y), float(np.abs(difference).mean()))
    columns = ["n", "correlation", "mean_abs_difference"]
    out = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return out.rename_axis("label").astype({"n": np.int64})


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    undefined = not np.isfinite([x, y]).all() or np.ptp(x) == 0 or np.ptp(y) == 0
    return float("nan") if undefined else float(np.corrcoef(x, y)[0, 1])

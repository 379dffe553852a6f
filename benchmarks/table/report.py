"""From the records of the cells to ``table.csv`` and ``table.md``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from qcanvas_sklearn.targets import TARGETS

__all__ = ["PUBLISHED", "long_table", "markdown", "published_best"]

#: Published errors; the column ``source`` says where each is from.
PUBLISHED = Path(__file__).parents[1] / "results" / "published_mae.csv"

_KEYS = ["model", "inputs", "target"]


#: Targets whose mean errors a few collapsed pairs make.
_OF_FEW = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "band_energy_ev", "total_energy_ev",
           "distance_ang")  # fmt: skip
#: Targets that are reciprocals of the gap: a few metals dominate their mean errors.
_HEAVY_TAILED = ("softness_evinv", "electrophilicity_ev")


def long_table(records: Iterable[dict[str, Any]], mode: str) -> pd.DataFrame:
    """One row a model and target: means over the seeds.

    Parameters
    ----------
    records : iterable of dict
        As `fit_cell` gives them.
    mode : {"joint", "single"}
        Whether one fit learnt all targets or one.

    Returns
    -------
    DataFrame
        ``std`` is the sample standard deviation of the seeds' mean absolute errors, NaN
        for one seed. ``fit_seconds`` is that of a whole fit, of all targets where it is
        joint. ``read_off`` tells whether the target can be read off the inputs. Models and
        targets are in the order of the records.
    """
    rows = pd.DataFrame(
        {
            "model": record["model"],
            "inputs": record["sees"],
            "target": target,
            **scores,
            "n_parameters": np.nan
            if record["n_parameters"] is None
            else record["n_parameters"],
            "fit_seconds": record["fit_seconds"],
            "pairs_per_second": record["pairs_per_second"],
            "read_off": target in record["read_off"],
        }
        for record in records
        for target, scores in record["scores"].items()
    )
    for column in ("coverage_90", "mae_apart"):  # no ensemble, or records of before
        if column not in rows:
            rows[column] = np.nan
    table = rows.groupby(_KEYS, sort=False, as_index=False).agg(
        mae=("mae", "mean"),
        std=("mae", "std"),
        median_ae=("median_ae", "mean"),
        rmse=("rmse", "mean"),
        r2=("r2", "mean"),
        coverage_90=("coverage_90", "mean"),
        mae_apart=("mae_apart", "mean"),
        n_seeds=("mae", "size"),
        n_train=("n_train", "mean"),
        n_parameters=("n_parameters", "mean"),
        fit_seconds=("fit_seconds", "mean"),
        pairs_per_second=("pairs_per_second", "mean"),
        read_off=("read_off", "first"),
    )
    table.insert(3, "unit", [TARGETS[key].unit for key in table["target"]])
    return table.assign(mode=mode)


def published_best(path: Path = PUBLISHED) -> pd.DataFrame:
    """The lowest published error of each target: ``model``, ``test_mae``, ``std``."""
    published = pd.read_csv(path)
    lowest = published.groupby("target")["test_mae"].idxmin()
    return published.loc[lowest].set_index("target")


def markdown(
    table: pd.DataFrame,
    records: Sequence[dict[str, Any]],
    *,
    command: str,
    failed: Sequence[str] = (),
) -> str:
    """The table with models as columns, and all that is needed to read it.

    Parameters
    ----------
    table : DataFrame
        Of `long_table`.
    records : sequence of dict
        The records behind it.
    command : str
        What made it.
    failed : sequence of str
        Cells that are absent because they failed.
    """
    models = table.drop_duplicates("model").set_index("model")
    best = published_best()
    head = ["target", *models.index, "published best"]
    body = [["*inputs*", *models["inputs"], ""]]
    for target, rows in table.groupby("target", sort=False):
        errors = rows.set_index("model")
        honest = errors["mae"][~errors["read_off"]]
        lowest = honest.idxmin() if len(honest) else None
        cells = [_cell(errors, model, model == lowest) for model in models.index]
        unit = TARGETS[target].unit
        body.append([f"{target} ({unit})", *cells, _published(best, target)])
        if target in _HEAVY_TAILED:
            medians = errors["median_ae"].reindex(models.index)
            body.append([f"*its median error* ({unit})", *map(_rounded, medians), ""])
        apart = errors["mae_apart"].mask(errors["read_off"]).reindex(models.index)
        if target in _OF_FEW and apart.notna().any():
            body.append([f"*without collapsed pairs* ({unit})", *map(_rounded, apart), ""])
    body += [
        ["*parameters*", *(_count(n) for n in models["n_parameters"]), ""],
        ["*seconds a fit*", *(_rounded(s) for s in models["fit_seconds"]), ""],
        ["*pairs predicted a second*", *(_count(n) for n in models["pairs_per_second"]), ""],
    ]
    lines = [_row(head), _row(["---", *["---:"] * len(models), "---"]), *map(_row, body)]
    text = "\n".join([*_introduction(table, records, command), "", *lines, ""])
    if failed:
        text += "\nFailed, and therefore absent:\n\n" + "".join(f"- {n}\n" for n in failed)
    return text


def _introduction(
    table: pd.DataFrame, records: Sequence[dict[str, Any]], command: str
) -> list[str]:
    seeds = ", ".join(str(seed) for seed in sorted({record["seed"] for record in records}))
    n_train = ", ".join(str(n) for n in sorted({record["n_train"] for record in records}))
    versions = dict.fromkeys(
        ", ".join(f"{name} {number}" for name, number in record["versions"].items())
        for record in records
    )
    fits = {"joint": "one fit for all targets", "single": "one fit for each target"}
    return [
        "# Every model on every target",
        "",
        f"`{command}`",
        "",
        "Mean absolute error on the test tenth of a random 80/10/10 split of the bundled "
        f"pairs, mean ± sample standard deviation over the seeds ({seeds}); "
        f"{fits[table['mode'].iloc[0]]}, learnt from the 80 % alone ({n_train} pairs).",
        "",
        "- † The target can be read off the inputs of this model by algebra: populations, "
        "charges and the images hold charges and dipole, and the bond length is a column of "
        "its own. It is reading, not prediction.",
        "- Where a model has no value, as tight binding has none of the softness of a state "
        "without a gap, the median of the training labels counts.",
        "- *Without collapsed pairs*: the mean error of the test pairs whose bond length is at "
        "least 0.7 of the sum of their covalent radii (79 of all 2,850 are shorter, 50 of them "
        "with radium, and few of a kind); not recorded for all models.",
        "- **Bold**: lowest error among the models that predict the target.",
        "- Published: the lowest published error and its model, whatever its inputs, on the "
        "official archive. The bundled table is a recomputation, and the splits differ.",
        "",
        f"Versions: {'; '.join(versions)}.",
        "",
        f"Machine: {'; '.join(dict.fromkeys(record['machine'] for record in records))}.",
    ]


def _cell(errors: pd.DataFrame, model: str, lowest: bool) -> str:
    if model not in errors.index:
        return "–"
    row = errors.loc[model]
    text = _error(row["mae"], row["std"])
    if lowest:
        return f"**{text}**"
    return f"{text} †" if row["read_off"] else text


def _published(best: pd.DataFrame, target: str) -> str:
    if target not in best.index:
        return "–"
    row = best.loc[target]
    return f"{row['model']} {_error(row['test_mae'], row['std'])}"


def _error(mae: float, std: float) -> str:
    decimals = _decimals(mae)
    spread = "" if np.isnan(std) else f" ± {std:.{decimals}f}"
    return f"{mae:.{decimals}f}{spread}"


def _decimals(value: float) -> int:
    """Decimals that show three significant digits."""
    return max(0, 2 - floor(log10(value))) if value > 0 else 2


def _rounded(value: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.{_decimals(value)}f}"


def _count(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:,.0f}"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""From the records of the cells to ``transfer.md``: paired ratios with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import exp, sqrt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from .arms import ARMS, REFERENCES

__all__ = ["GATED", "Ratio", "frame", "gated", "markdown", "ratio"]

#: The arm that takes, in every cell, what errs least on the validation rows.
GATED = "gated"
CONTROLS = ("frozen random", "permuted elements", "weight scales", "shuffled labels",
            "cheap scalars")  # fmt: skip
_KEYS = ["family", "encoder", "case", "n"]


class Ratio(NamedTuple):
    """How many times smaller an arm's error is than that from scratch.

    Attributes
    ----------
    middle, low, high : float
        Geometric mean over the seeds and the ends of its 95 % interval, NaN for one seed.
    n_seeds : int
        Seeds that both arms have.
    """

    middle: float
    low: float
    high: float
    n_seeds: int

    @property
    def verdict(self) -> str:
        """Better or worse where the whole interval says so, a tie elsewhere."""
        if self.low > 1:
            return "better"
        return "worse" if self.high < 1 else "tie"

    def __str__(self) -> str:
        mark = {"better": "**", "worse": "_", "tie": ""}[self.verdict]
        interval = "" if np.isnan(self.low) else f" ({self.low:.2f}–{self.high:.2f})"
        return f"{mark}{self.middle:.2f}{mark}{interval}"


def ratio(scratch: Sequence[float], arm: Sequence[float]) -> Ratio:
    """Paired ratio scratch / arm: Student's interval of the logarithms of the seeds' ratios."""
    logs = np.log(np.asarray(scratch) / np.asarray(arm))
    middle, n = float(logs.mean()), len(logs)
    if n < 2:
        return Ratio(exp(middle), np.nan, np.nan, n)
    half = student.ppf(0.975, n - 1) * float(logs.std(ddof=1)) / sqrt(n)
    return Ratio(exp(middle), exp(middle - half), exp(middle + half), n)


def frame(records: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """One row a cell."""
    return pd.DataFrame(list(records))


def gated(cells: pd.DataFrame) -> pd.DataFrame:
    """Of each seed the arm that errs least on the validation rows, scratch among them.

    Controls are no candidates. Where scratch is chosen, the ratio is 1.
    """
    candidates = cells[cells["arm"].isin([a for a in ARMS if a not in CONTROLS])]
    best = candidates.groupby([*_KEYS, "seed"])["valid"].idxmin()
    return candidates.loc[best].assign(chosen=lambda t: t["arm"], arm=GATED)


def markdown(
    records: Sequence[dict[str, Any]], *, command: str, missing: Sequence[str] = ()
) -> str:
    """The tables, one for each encoder.

    Parameters
    ----------
    records : sequence of dict
        Of `fit_cell`.
    command : str
        What made them.
    missing : sequence of str
        What was asked for and is not there, and why.
    """
    cells = frame(records)
    lines = [*_introduction(cells, command)]
    networks = cells[cells["family"] != ""]
    for family in networks["family"].unique():
        own = networks[networks["family"] == family]
        for encoder in [name for name in own["encoder"].unique() if name]:
            # Arms without an encoder are the same beside each.
            chosen = own[own["encoder"].isin(["", encoder])].assign(encoder=encoder)
            lines += _section(family, encoder, chosen)
    lines += _references(cells)
    lines += _errors(cells)
    if missing:
        lines += ["", "## Not there", "", *(f"- {text}" for text in missing)]
    return "\n".join(lines) + "\n"


def _introduction(cells: pd.DataFrame, command: str) -> list[str]:
    networks = cells[cells["family"] != ""]
    seconds = cells["fit_seconds"].sum()
    steps = "; ".join(
        f"N = {n}: {', '.join(str(e) for e in sorted(rows['n_epochs'].unique()))}"
        for n, rows in networks.groupby("n")
    )
    machines = "; ".join(cells["machine"].unique())
    return [
        "# Transfer: when pretraining helps, and when not",
        "",
        f"`{command}`",
        "",
        "How many times smaller the error is than that of the same network from scratch, on "
        "the same rows, in the same number of steps, with the same composition reference: the "
        "geometric mean over paired seeds (split of the pool, initial weights, controls) with "
        "its 95 % interval (Student's, of the logarithms). **Better** only where the whole "
        "interval is above 1, _worse_ where it is below.",
        "",
        "- Tested are bundled molecules of formulas that no encoder was trained on, and of "
        "trajectories an independent run. The test rows are the same for all seeds.",
        "- *baseline*: ridge on two-body physics, fitted on the training rows, below the "
        "network: two-centre levels and charges (same method as the labels: GFN2-xTB), or a "
        "pair potential for energies. Forces have none.",
        f"- *{GATED}*: in each cell the arm, scratch among them, that errs least on "
        f"{', '.join(str(n) for n in sorted(cells['n_valid'].unique()))} validation rows, "
        "which no arm learns from; scratch counts as 1.",
        "- Controls: *frozen random* has an encoder that was never trained, *permuted "
        "elements* one whose elements are exchanged, *weight scales* one whose weights are "
        "shuffled within each tensor, *shuffled labels* one that was trained on labels dealt "
        "out anew, *cheap scalars* one trained on scalars in place of Hamiltonians.",
        "- What was looked at: networks have the default hyperparameters of their families, "
        "and the steps are those that there was time for; neither was chosen by these errors. "
        "Number of functions and cutoff of the pair potential were chosen by errors of the "
        "energy and the dipole over random splits by formula of all bundled molecules, those "
        "that are tested here among them.",
        f"- Epochs of every network, batches of {_joined(networks['batch_size'])}: {steps}.",
        "",
        f"{len(cells)} fits, {seconds:.0f} s of one core ({machines}).",
    ]


def _joined(values: pd.Series) -> str:
    return ", ".join(str(value) for value in sorted(values.unique()))


def _section(family: str, encoder: str, cells: pd.DataFrame) -> list[str]:
    """Ratios of all arms of one encoder."""
    cells = pd.concat([cells, gated(cells)])
    arms = [arm for arm in [*ARMS, GATED] if arm in set(cells["arm"]) and arm != "scratch"]
    main = [arm for arm in arms if arm not in CONTROLS]
    arms = main + [arm for arm in arms if arm in CONTROLS]
    seconds = cells["pretraining_seconds"].dropna()
    cost = f"; pretraining took {seconds.iloc[0]:.0f} s" if len(seconds) else ""
    lines = ["", f"## {family}, encoder {encoder}{cost}", ""]
    lines += [_row(["case", "N", "seeds", "scratch", *arms]),
              _row(["---", "---:", "---:", "---:", *["---:"] * len(arms)])]  # fmt: skip
    verdicts = {arm: [] for arm in arms}
    for (case, n), rows in cells.groupby(["case", "n"], sort=False):
        by_arm = rows.pivot_table(index="seed", columns="arm", values="test", sort=False)
        if "scratch" not in by_arm:
            continue
        scratch = by_arm["scratch"].dropna()
        line = [case, str(n), str(len(scratch)), f"{scratch.mean():.3g} {rows['unit'].iloc[0]}"]
        for arm in arms:
            found = _paired(by_arm, arm)
            line.append("–" if found is None else str(found))
            if found is not None:
                verdicts[arm].append(found.verdict)
        lines.append(_row(line))
    counts = [
        f"{arm} {said.count('better')} better, {said.count('tie')} ties, "
        f"{said.count('worse')} worse" for arm, said in verdicts.items()
    ]
    return [*lines, "", f"Of the settings: {'; '.join(counts)}."]


def _paired(by_arm: pd.DataFrame, arm: str) -> Ratio | None:
    """Ratio over the seeds that both arms have."""
    if arm not in by_arm:
        return None
    both = by_arm[["scratch", arm]].dropna()
    return ratio(both["scratch"], both[arm]) if len(both) else None


def _references(cells: pd.DataFrame) -> list[str]:
    """Errors of the models without a network."""
    own = cells[cells["arm"].isin(REFERENCES)]
    if not len(own):
        return []
    names = [name for name in REFERENCES if name in set(own["arm"])]
    lines = ["", "## Without a network", "", "Mean absolute error, mean over the seeds.", ""]
    lines += [_row(["case", "N", *names]), _row(["---", "---:", *["---:"] * len(names)])]
    for (case, n), rows in own.groupby(["case", "n"], sort=False):
        means = rows.groupby("arm")["test"].mean()
        cells_ = [f"{means[name]:.3g}" if name in means else "–" for name in names]
        lines.append(_row([f"{case} ({rows['unit'].iloc[0]})", str(n), *cells_]))
    return lines


def _errors(cells: pd.DataFrame) -> list[str]:
    """Errors of all networks, mean ± standard deviation over the seeds."""
    own = cells[cells["family"] != ""]
    if not len(own):
        return []
    lines = ["", "## Errors of the networks", "",
             "Mean absolute error, mean ± sample standard deviation over the seeds.", "",
             _row(["family", "encoder", "case", "N", "arm", "error", "seconds a fit"]),
             _row([*["---"] * 3, "---:", "---", "---:", "---:"])]  # fmt: skip
    for keys, rows in own.groupby(["family", "encoder", "case", "n", "arm"], sort=False):
        family, encoder, case, n, arm = keys
        spread = "" if len(rows) < 2 else f" ± {rows['test'].std():.2g}"
        error = f"{rows['test'].mean():.3g}{spread} {rows['unit'].iloc[0]}"
        seconds = f"{rows['fit_seconds'].mean():.0f}"
        lines.append(_row([family, encoder or "–", case, str(n), arm, error, seconds]))
    return lines


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""From the records of the cells to ``transfer.md``: paired ratios with their intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import exp, sqrt
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from .arms import ARMS, CONTROLS, FAMILIES, REFERENCES

__all__ = ["GATES", "SCORED", "Ratio", "frame", "gated", "markdown", "ratio", "score"]

#: Arms that take, in every cell, what errs least on the validation rows, and of what.
GATES = {
    "gated, pretraining": [a for a in ARMS if a not in CONTROLS and not ARMS[a].baseline],
    "gated": [a for a in ARMS if a not in CONTROLS],
}
#: The cases that stand for those published (QM9, MD17, CrysMTM), each for both families.
SCORED = (
    "gap", "homo", "lumo", "ethanol-energy", "benzene-energy", "aspirin-energy", "tio2-homo",
    "tio2-lumo",
)  # fmt: skip
SCORED_LABELS = 100
#: What a comparison may show; the last one is that it was not made.
VERDICTS = ("better", "tie", "worse", "open")
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


def gated(cells: pd.DataFrame, gate: str) -> pd.DataFrame:
    """Of each seed the arm that errs least on the validation rows, scratch among them.

    Controls are no candidates. Where scratch is chosen, the ratio is 1; a seed that has no
    other candidate is left out.
    """
    candidates = cells[cells["arm"].isin(GATES[gate])]
    of_seed = candidates.groupby([*_KEYS, "seed"])["arm"]
    candidates = candidates[of_seed.transform("size") > 1]
    best = candidates.groupby([*_KEYS, "seed"])["valid"].idxmin()
    return candidates.loc[best].assign(chosen=lambda t: t["arm"], arm=gate)


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
    sections = []
    for family in networks["family"].unique():
        own = networks[networks["family"] == family]
        for encoder in [name for name in own["encoder"].unique() if name] or [""]:
            sections.append(_Section.of(family, encoder, networks))
    lines += _score(networks)
    lines += _summary(sections)
    for section in sections:
        lines += section.lines()
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
        "- Tested are bundled molecules of formulas that no encoder was trained on, of "
        "trajectories an independent run, of (TiO2)n whole isomers. The test rows are the same "
        "for all seeds.",
        "- Two-body physics is ridge on features of pairs, fitted on the training rows, below "
        "the network. *two-centre GFN2*: levels, charges and energies of self-consistent "
        "two-centre tables of GFN2-xTB, **the method of the labels**: what it says is how much "
        "of a method its own pairs hold, for energies all but what the tables leave out, and "
        "no figure for another method's labels. (Its charges were fitted to molecules of the "
        "G2 set, with GFN2-xTB; a few share a formula with those that are tested.) *two-centre "
        "DFTB*: H0 of tables that a network learned of 21 bundled pairs, each at one distance, "
        "of **another method** (DFTB). *pair potential*: a sum over pairs, fitted to the "
        "training rows alone, of energies and forces. Forces are learned beside the energies "
        "of two-centre tables and their slopes, without levels and charges.",
        "- *gated*: in each cell the arm, scratch among them, that errs least on "
        f"{', '.join(str(n) for n in sorted(cells['n_valid'].unique()))} validation rows, "
        "which no arm learns from; scratch counts as 1. *gated, pretraining* has no two-body "
        "arms to choose from.",
        "- Controls: *frozen random* has an encoder that was never trained, *permuted "
        "elements* one whose elements are exchanged, *weight scales* one whose weights are "
        "shuffled within each tensor, *shuffled labels* one that was trained on labels dealt "
        "out anew, *cheap scalars* one trained on scalars in place of Hamiltonians.",
        "- What was looked at: networks have the default hyperparameters of their families, "
        "with no tuning in any arm, and the steps are those that there was time for; neither "
        "was chosen by these errors. Functions and cutoff of the pair potential were chosen "
        "without the rows that are tested (`bench_pair_potential.py`); that dipole terms help "
        "the two-centre tables was seen on bundled molecules. Encoders had a minute of "
        "training, so that longer pretraining may do better.",
        f"- Epochs of every network, batches of {_joined(networks['batch_size'])}: {steps}.",
        "",
        f"{len(cells)} fits, {seconds:.0f} s of one core ({machines}).",
    ]


def _joined(values: pd.Series) -> str:
    return ", ".join(str(value) for value in sorted(values.unique()))


class _Section(NamedTuple):
    """Ratios of all arms of a family beside one encoder.

    Attributes
    ----------
    family, encoder : str
        Names; "" for no encoder.
    cost : str
        What the encoder's training took.
    arms : list of str
        Columns.
    rows : list of (case, n, number of seeds, error from scratch)
        Settings.
    ratios : dict of (case, n, arm) to Ratio
        Those that there are.
    """

    family: str
    encoder: str
    cost: str
    arms: list[str]
    rows: list[tuple[str, int, int, str]]
    ratios: dict[tuple[str, int, str], Ratio]

    @classmethod
    def of(cls, family: str, encoder: str, networks: pd.DataFrame) -> _Section:
        """From the cells of all networks; arms without an encoder are the same beside each."""
        cells = networks[
            (networks["family"] == family) & networks["encoder"].isin(["", encoder])
        ].assign(encoder=encoder)
        has_gates = any(ARMS[arm].pretrained for arm in cells["arm"].unique())
        gates = [gate for gate in GATES if has_gates or gate == "gated"]
        seconds = cells["pretraining_seconds"].dropna()
        cells = pd.concat([cells, *(gated(cells, gate) for gate in gates)])
        present = set(cells["arm"]) - {"scratch"}
        order = [a for a in (*ARMS, *gates) if a not in CONTROLS] + list(CONTROLS)
        arms = [arm for arm in order if arm in present]
        rows, ratios = [], {}
        for (case, n), own in cells.groupby(["case", "n"], sort=False):
            by_arm = own.pivot_table(index="seed", columns="arm", values="test", sort=False)
            if "scratch" not in by_arm:
                continue
            scratch = by_arm["scratch"].dropna()
            error = f"{scratch.mean():.3g} {own['unit'].iloc[0]}"
            rows.append((case, n, len(scratch), error))
            for arm in arms:
                if (found := _paired(by_arm, arm)) is not None:
                    ratios[case, n, arm] = found
        cost = f"; pretraining took {seconds.iloc[0]:.0f} s" if len(seconds) else ""
        rows.sort(key=lambda row: row[1])
        return cls(family, encoder, cost, arms, rows, ratios)

    @property
    def title(self) -> str:
        """Family and encoder."""
        return f"{self.family}, encoder {self.encoder}" if self.encoder else self.family

    def lines(self) -> list[str]:
        """The section's heading and table."""
        head = ["case", "N", "seeds", "scratch", *self.arms]
        lines = ["", f"## {self.title}{self.cost}", "", _row(head)]
        lines += [_row(["---", "---:", "---:", "---:", *["---:"] * len(self.arms)])]
        for case, n, n_seeds, error in self.rows:
            found = [self.ratios.get((case, n, arm)) for arm in self.arms]
            said = ["–" if ratio is None else str(ratio) for ratio in found]
            lines.append(_row([case, str(n), str(n_seeds), error, *said]))
        return lines


def score(networks: pd.DataFrame) -> dict[str, dict[str, list[str]]]:
    """The published settings by what each arm makes of them.

    Parameters
    ----------
    networks : DataFrame
        Cells of networks.

    Returns
    -------
    dict of dict of list of str
        By arm, with its encoder if it has one, and by verdict ("better", "tie", "worse", or
        "open" where there are less than two seeds): names of settings.
    """
    found: dict[str, dict[str, list[str]]] = {}
    families = [name for name in FAMILIES if name in set(networks["family"])]
    for encoder in [name for name in networks["encoder"].unique() if name] or [""]:
        sections = {name: _Section.of(name, encoder, networks) for name in families}
        arms = dict.fromkeys(arm for section in sections.values() for arm in section.arms)
        for arm in (arm for arm in arms if arm not in CONTROLS):
            verdicts: dict[str, list[str]] = {name: [] for name in VERDICTS}
            for family, case in product(FAMILIES, SCORED):
                ratios = sections[family].ratios if family in sections else {}
                known = ratios.get((case, SCORED_LABELS, arm))
                verdict = "open" if known is None or known.n_seeds < 2 else known.verdict
                verdicts[verdict].append(f"{family} {case}")
            has_encoder = encoder and (arm in GATES or ARMS[arm].pretrained)
            found[f"{arm}, {encoder}" if has_encoder else arm] = verdicts
    return found


def _score(networks: pd.DataFrame) -> list[str]:
    """In how many of the published settings each arm is better."""
    n_all, rows = len(FAMILIES) * len(SCORED), []
    for arm, verdicts in score(networks).items():
        others = [
            f"{verdict}: {', '.join(verdicts[verdict])}"
            for verdict in ("tie", "worse") if verdicts[verdict]
        ]  # fmt: skip
        if len(verdicts["open"]) < n_all:
            counts = [str(len(names)) for names in verdicts.values()]
            rows.append(_row([arm, *counts, "; ".join(others)]))
    text = (
        f"The published kinds of settings, {SCORED_LABELS} labels each: "
        f"{' and '.join(FAMILIES)} × levels of small molecules (gap, HOMO, LUMO), energies of "
        "three trajectories (ethanol, benzene, aspirin), levels of titanium dioxide (HOMO, "
        f"LUMO), {n_all} in all. Published: pretraining is better in 11. Here *better* and "
        "*worse* are settings whose whole interval lies on one side of 1; *open* ones have "
        "less than two seeds yet."
    )
    head = [_row(["arm", *VERDICTS, "ties and worse"])]
    head += [_row(["---", *["---:"] * len(VERDICTS), "---"])]
    return ["", "## Score", "", text, "", *head, *rows] if rows else []


def _summary(sections: Sequence[_Section]) -> list[str]:
    """In how many settings each arm is better, ties or worse."""
    lines = ["", "## Settings that are better, tie and are worse than scratch", "",
             _row(["network", "N", "arm", "better", "ties", "worse"]),
             _row(["---", "---:", "---", "---:", "---:", "---:"])]  # fmt: skip
    for section in sections:
        for n in sorted({n for _, n, _ in section.ratios}):
            for arm in section.arms:
                verdicts = [
                    ratio.verdict for (_, size, name), ratio in section.ratios.items()
                    if size == n and name == arm and ratio.n_seeds > 1
                ]  # fmt: skip
                counts = [str(verdicts.count(v)) for v in VERDICTS[:3]]
                if verdicts:
                    lines.append(_row([section.title, str(n), arm, *counts]))
    return lines


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

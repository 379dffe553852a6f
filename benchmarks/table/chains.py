"""Cells that share a fit: tight binding alone, and `QCanvasRegressor`, which begins with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, time
from typing import Any
from unittest.mock import patch

import journal

from qcanvas_sklearn import TightBindingRegressor

from .cells import Cell, Outcome
from .models import MODELS

__all__ = ["LATE", "SharedStates", "chains_of", "run_chain"]

#: Error of a cell that the time did not suffice for.
LATE = "not started: the time was up"
_STATES = ("TightBindingRegressor", "QCanvasRegressor")
#: Settings that do not change what is learned.
_IDLE = ("random_state", "verbose")


class SharedStates:
    """Tight binding that is fitted once for several models with the same rows."""

    def __init__(self) -> None:
        self._first: tuple[TightBindingRegressor, dict[str, Any], float] | None = None
        self._saved = 0.0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Within, a fit with the settings and the seed of the first one is its copy."""
        learn = TightBindingRegressor._learn

        def once(model: Any, X: Any, y: Any, weight: Any, validation: Any, plan: Any,
                 *args: Any, **options: Any) -> Any:  # fmt: skip
            own = {k: v for k, v in model.get_params().items() if k not in _IDLE}
            own |= {"seed": plan.seed, "n_rows": len(X)}
            if self._first is not None and own == self._first[1]:
                fitted = vars(self._first[0]).items()
                vars(model).update({k: v for k, v in fitted if k not in model.get_params()})
                self._saved += self._first[2]
                return model
            start = perf_counter()
            learn(model, X, y, weight, validation, plan, *args, **options)
            self._first = self._first or (model, own, perf_counter() - start)
            return model

        with patch.object(TightBindingRegressor, "_learn", once):
            yield

    def saved_seconds(self) -> float:
        """Seconds that copies have saved since this was last asked."""
        seconds, self._saved = self._saved, 0.0
        return seconds


def chains_of(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that share tight binding, one after the other, and each other cell alone."""
    chains: dict[Any, list[Cell]] = {}
    for cell in cells:
        entry = MODELS[cell.model]
        key: Any = cell
        if entry.regressor in _STATES:
            inputs = cell.inputs if entry.inputs == "own" else entry.inputs
            key = (inputs, cell.seed, cell.targets, cell.max_epochs, cell.device,
                   cell.limit_rows)  # fmt: skip
        chains.setdefault(key, []).append(cell)
    return list(chains.values())


def run_chain(
    chain: Sequence[Cell],
    attempt: Callable[[Cell], Outcome],
    records: Path | None = None,
    end: float = float("inf"),
) -> list[Outcome]:
    """Attempt the cells of a chain.

    Parameters
    ----------
    chain : sequence of Cell
        From `chains_of`.
    attempt : callable
        Fits a cell.
    records : Path, optional
        File to which every record is added at once.
    end : float, optional
        Time, as `time.time` has it, after which no fit begins.
    """
    outcomes = []
    states = SharedStates()
    for cell in chain:
        if time() >= end:
            outcomes.append(Outcome(cell, None, LATE))
            continue
        with states():
            outcome = attempt(cell)
        if outcome.record is not None:
            outcome.record["fit_seconds"] += states.saved_seconds()
            if records is not None:
                journal.append(outcome.record, records)
        outcomes.append(outcome)
    return outcomes

"""How far a fit is: one bar, whatever trainings it consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .._progress import tqdm

if TYPE_CHECKING:
    from .engine import TrainingPlan

__all__ = ["Progress", "progress_part", "with_progress"]

_FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_LOSSES = {"train_loss": "loss", "valid_loss": "validation"}


class Progress:
    """What a training tells the bar that it shares with others of the same fit.

    Parameters
    ----------
    bar : tqdm
        Counts epochs; its total is what the whole fit is expected to take.
    name : str, default="training"
        What the training is called on the bar.
    weight : float, default=1.0
        How much of an epoch of the fit's network one of this training's is.
    """

    def __init__(self, bar: tqdm, name: str = "training", weight: float = 1.0) -> None:
        self.bar = bar
        self.name = name
        self.weight = weight

    def begin(self, n_epochs: int) -> None:
        """A training of so many epochs begins."""
        self._n_epochs = self._left = n_epochs
        self.bar.total = max(self.bar.total, self.bar.n + self.weight * n_epochs)
        self._describe()

    def advance(self, losses: Mapping[str, Any]) -> None:
        """An epoch has ended, with losses as skorch's history has them."""
        self._left -= 1
        self._describe()
        shown = {name: f"{losses[key]:.4f}" for key, name in _LOSSES.items() if key in losses}
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(self.weight)

    def end(self) -> None:
        """The training has ended; nobody waits for epochs that it did not take."""
        self.bar.total = max(self.bar.total - self.weight * self._left, self.bar.n)
        self.bar.refresh()

    def _describe(self) -> None:
        done = self._n_epochs - self._left
        text = f"{self.name}, epoch {done}/{self._n_epochs}"
        self.bar.set_description_str(text, refresh=False)


@contextmanager
def with_progress(plan: TrainingPlan) -> Iterator[TrainingPlan]:
    """The plan of a fit, with a bar where it asks for one and is not part of a larger fit."""
    if plan.verbose != 1 or plan.progress is not None:
        yield plan
        return
    total = plan.max_epochs + plan.further_epochs
    # Epochs of unequal weight make many small steps: time alone says when to draw.
    with tqdm(total=total, desc="training", bar_format=_FORMAT, miniters=0) as bar:
        yield replace(plan, progress=Progress(bar))
        bar.total = bar.n
        bar.refresh()


def progress_part(
    progress: Progress | None, name: str, n_epochs: float
) -> AbstractContextManager[Progress | None]:
    """A part of a fit with so many further epochs on the same bar, if there is one."""
    return nullcontext() if progress is None else _part(progress.bar, name, n_epochs)


@contextmanager
def _part(bar: tqdm, name: str, n_epochs: float) -> Iterator[Progress]:
    begun, without = bar.n, bar.total
    bar.total += n_epochs
    try:
        yield Progress(bar, name)
    finally:
        bar.total = without + bar.n - begun

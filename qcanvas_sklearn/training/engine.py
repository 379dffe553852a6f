"""The training engine: skorch nets over device-resident tables.

The estimators know parameters and units; this module knows schedules, how a training ends
and how a net is left behind: on the CPU, small, and ready to continue.
"""

from __future__ import annotations

import copy
import dis
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    LRScheduler,
    ParamMapper,
    PrintLog,
)
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from ..nn import EnergyForces
from ..nn.outputs import FORCES, OUTPUT
from .callbacks import Advancing, Annealing, Clipping, Divergence, EpochProgress, Thawing
from .captured import can_be_captured, fit_captured
from .data import TensorBatches, TensorTable, TrainingData
from .devices import (
    keep_freed_memory,
    precision,
    repeatable,
    seeded,
    single_precision,
    stream_seed,
)
from .losses import MaskedLoss
from .progress import Progress
from .rows import Rows
from .targets import by_block

__all__ = [
    "Predictor",
    "Rate",
    "TrainingPlan",
    "build_net",
    "evaluation_module",
    "history_frame",
    "predict",
    "train",
]

#: Gradients are clipped to this norm: one outlier must not throw a small net off.
_MAX_GRADIENT_NORM = 5.0


class Rate(NamedTuple):
    """How fast some of a network's parameters learn, beside the others.

    Attributes
    ----------
    pattern : str
        Of the parameters' names, as :mod:`fnmatch` reads it. The first one that fits counts.
    lr, weight_decay : float
        Factors of the plan's learning rate and weight decay.
    """

    pattern: str
    lr: float
    weight_decay: float = 0.0


@dataclass(frozen=True)
class TrainingPlan:
    """How to train: the shared hyperparameters of all estimators, checked."""

    max_epochs: int
    batch_size: int
    lr: float
    lr_schedule: str
    weight_decay: float
    loss: str
    patience: int | None
    verbose: int
    callbacks: Sequence[Callback | tuple[str, Callback]]
    seed: int
    rates: Sequence[Rate] = ()
    #: Parameters that are kept as they are at first, see :class:`Thawing`.
    kept: Sequence[tuple[str, float]] = ()
    #: Part of the cycle in which the learning rate rises.
    warm_up: float = 0.3
    betas: tuple[float, float] = (0.9, 0.999)
    #: Whether the loss of validation rows is computed after every epoch.
    watches: bool = True
    #: Epochs of trainings behind this one that the same fit consists of.
    further_epochs: float = 0.0
    #: Where the training shows how far it is, besides lines of its epochs.
    progress: Progress | None = None

    def __post_init__(self) -> None:
        # Torch takes no numbers of numpy, which searches draw.
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):
                object.__setattr__(self, field.name, value.item())

    def groups(self) -> list[tuple[str, dict[str, float]]]:
        """Groups of parameters as skorch takes them, with the factors of their rates."""
        return [
            (rate.pattern, {
                "lr": self.lr * rate.lr, "weight_decay": self.weight_decay * rate.weight_decay,
                "lr_factor": rate.lr, "decay_factor": rate.weight_decay,
            })
            for rate in self.rates
        ]  # fmt: skip


def build_net(
    module: type[nn.Module], module_params: Mapping[str, Any], plan: TrainingPlan
) -> NeuralNet:
    """An initialised skorch net on the CPU with weights drawn from the plan's seed."""
    net = NeuralNet(
        module,
        criterion=MaskedLoss,
        criterion__loss=plan.loss,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=plan.weight_decay,
        optimizer__param_groups=plan.groups(),
        optimizer__betas=plan.betas,
        # One loop over all weights, where a step of each would take several operations.
        optimizer__fused=True,
        lr=plan.lr,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        iterator_train=TensorBatches,
        iterator_train__shuffle=True,
        iterator_valid=TensorBatches,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
        **{f"module__{name}": value for name, value in module_params.items()},
    )
    with seeded(plan.seed, torch.device("cpu")), single_precision():
        return net.initialize()


def _callbacks(
    net: NeuralNet, plan: TrainingPlan, n_steps: int, has_valid: bool
) -> list[Any]:
    callbacks: list[Any] = [
        ("clip", Clipping(_MAX_GRADIENT_NORM)),
        ("divergence", Divergence()),
    ]
    if plan.lr_schedule == "one_cycle":
        # A continued fit runs through a new cycle; skorch would go on with the old one.
        schedule = LRScheduler(
            OneCycleLR, step_every="batch", total_steps=n_steps + 1, last_epoch=-1,
            # The rise ends behind the first step: torch divides by its length.
            pct_start=max(plan.warm_up, 1.5 / (n_steps + 1)),
            max_lr=[plan.lr * group.get("lr_factor", 1.0)
                    for group in net.optimizer_.param_groups],
        )  # fmt: skip
        callbacks.append(("schedule", schedule))
    if hasattr(net.module_, "anneal"):
        annealed = plan.max_epochs if plan.lr_schedule == "one_cycle" else None
        callbacks.append(("annealing", Annealing(annealed)))
    if hasattr(net.module_, "advance"):
        callbacks.append(("advancing", Advancing()))
    if plan.kept:
        callbacks.append(("thawing", Thawing(plan.kept)))
    # Before what may end the training, so that its last epoch is reported too.
    if plan.progress is not None:
        callbacks.append(("progress", EpochProgress(plan.progress)))
    if plan.verbose >= 2:
        callbacks.append(("report", PrintLog()))
    if plan.patience is not None and has_valid:
        stopping = EarlyStopping(
            patience=plan.patience, threshold=0.0, load_best=True, sink=noop
        )
        callbacks.append(("early_stopping", stopping))
    return callbacks + [
        callback if isinstance(callback, tuple) else (f"user_{i}", callback)
        for i, callback in enumerate(_of_user(plan, len(net.history)))
    ]


def _of_user(plan: TrainingPlan, done: int) -> list[Any]:
    """Copies of the user's callbacks, which count the epochs of this training."""
    callbacks = copy.deepcopy(list(plan.callbacks))
    for mapper in map(_callback, callbacks):
        # skorch counts those before a continued fit, too, and would never come to the first.
        if done and isinstance(mapper, ParamMapper) and mapper.at in range(1, sys.maxsize):
            mapper.at = partial(_is_epoch, number=done + mapper.at)
    return callbacks


def _callback(given: Callback | tuple[str, Callback]) -> Callback:
    """A callback that may come with its name."""
    return given[1] if isinstance(given, tuple) else given


def _is_epoch(net: NeuralNet, number: int) -> bool:
    return len(net.history) == number


def _place(net: NeuralNet, device: torch.device) -> None:
    """Move the net, and what its optimizer remembers, to a device."""
    net.device = str(device)
    net.module_.to(device)
    net.criterion_.to(device)
    # Loading a state casts it to where its parameters lie.
    net.optimizer_.load_state_dict(net.optimizer_.state_dict())


def train(
    net: NeuralNet,
    data: TrainingData,
    valid: TrainingData | None,
    plan: TrainingPlan,
    device: torch.device,
    *,
    keep_optimizer: bool = False,
) -> bool:
    """Train an initialised net in place and leave it on the CPU.

    Parameters
    ----------
    net : NeuralNet
        From :func:`build_net`; its weights are the starting point. Its random numbers go on
        behind those of the epochs that it has seen.
    data, valid : TrainingData
        Training rows, and validation rows or None.
    plan : TrainingPlan
        Epochs, schedule, patience.
    device : torch.device
        Where to train.
    keep_optimizer : bool, default=False
        Keep the optimizer's state for a next call; it triples the size of a pickle.

    Returns
    -------
    bool
        Whether the user ended the training before its time (Ctrl-C). The net is usable.

    Raises
    ------
    ValueError
        If the loss or a weight is no finite number; the net is of no use then.
    """
    valid = valid if plan.watches else None
    keep_freed_memory()
    table = data.to(device)
    _want_forces(net.module_, FORCES in table.blocks)
    n_steps = plan.max_epochs * len(TensorBatches(table, plan.batch_size))
    _follow(net, plan)
    if not keep_optimizer:
        net.initialize_optimizer()
    net.callbacks = _callbacks(net, plan, n_steps, valid is not None)
    net.verbose = int(plan.verbose >= 2)
    net.initialize_callbacks()
    beside = valid.to(device) if valid else None
    net.train_split = predefined_split(beside) if beside else None
    _place(net, device)
    try:
        with seeded(stream_seed(plan.seed, len(net.history)), device), repeatable(device):
            interrupted = _run(net, table, beside, plan)
    finally:
        _leave_on_cpu(net, keep_optimizer)
    if not all(weight.isfinite().all() for weight in net.module_.parameters()):
        raise ValueError(
            f"training diverged: weights are no finite numbers; use a smaller lr than {plan.lr}"
        )
    if interrupted:
        warnings.warn(
            f"training was interrupted after {len(history_frame(net))} epochs; the model is "
            "usable as it is",
            ConvergenceWarning,
            stacklevel=4,
        )
    return interrupted


def _want_forces(module: nn.Module, wanted: bool) -> None:
    """Tell a network that knows forces whether they are to be computed."""
    if isinstance(module, EnergyForces):
        module.wants_forces = wanted


def _run(
    net: NeuralNet, table: TensorTable, valid: TensorTable | None, plan: TrainingPlan
) -> bool:
    """The loop over the epochs; whether it was broken off from outside."""
    net.notify("on_train_begin", X=table, y=None)
    interrupted = False
    try:
        if can_be_captured(net, table, map(_callback, plan.callbacks)):
            fit_captured(net, table, valid)
        else:
            net.fit_loop(table)
    except KeyboardInterrupt as error:
        interrupted = not _was_raised(error)
    finally:
        net.notify("on_train_end", X=table, y=None)
    return interrupted


def _was_raised(error: KeyboardInterrupt) -> bool:
    """Whether a statement raised it, as callbacks do to stop, and no signal."""
    trace = error.__traceback__
    assert trace is not None  # it has been caught
    while trace.tb_next is not None:
        trace = trace.tb_next
    instruction = trace.tb_frame.f_code.co_code[trace.tb_lasti]
    return dis.opname[instruction] == "RAISE_VARARGS"


def _follow(net: NeuralNet, plan: TrainingPlan) -> None:
    """Take over a plan that may differ from the one the net was built for."""
    net.max_epochs, net.batch_size, net.lr = plan.max_epochs, plan.batch_size, plan.lr
    net.optimizer__weight_decay = plan.weight_decay
    net.optimizer__param_groups = plan.groups()
    net.criterion_.loss = plan.loss
    for group in net.optimizer_.param_groups:
        group["lr"] = plan.lr * group.get("lr_factor", 1.0)
        group["weight_decay"] = plan.weight_decay * group.get("decay_factor", 1.0)


def _leave_on_cpu(net: NeuralNet, keep_optimizer: bool) -> None:
    if not keep_optimizer:
        net.initialize_optimizer()
    _place(net, torch.device("cpu"))
    # Callbacks hold copies of the weights and the validation rows.
    net.train_split = None
    net.callbacks, net.callbacks_ = [], []


def history_frame(net: NeuralNet) -> pd.DataFrame:
    """One row a finished epoch: epoch, train_loss, valid_loss, lr, seconds."""
    rows = [
        {
            "epoch": row["epoch"],
            "train_loss": row["train_loss"],
            "valid_loss": row.get("valid_loss", np.nan),
            # Batches of validation rows, which come last, have none.
            "lr": ([b["event_lr"] for b in row["batches"] if "event_lr" in b] or [net.lr])[-1],
            "seconds": row.get("dur", np.nan),
        }
        for row in net.history
        if "train_loss" in row
    ]
    return pd.DataFrame(rows, columns=["epoch", "train_loss", "valid_loss", "lr", "seconds"])


def evaluation_module(net: NeuralNet | nn.Module, device: torch.device) -> nn.Module:
    """A copy of a network in evaluation mode, in the precision that it predicts in.

    That is double precision where the device has it (convolutions stay in single), so that
    a row's prediction does not depend on the rows beside it.
    """
    module = net if isinstance(net, nn.Module) else net.module_
    return copy.deepcopy(module).to(device=device, dtype=precision(device)).eval()


class Predictor:
    """A trained network in evaluation mode, ready to be asked more than once.

    Parameters
    ----------
    net : NeuralNet or nn.Module
        A trained net, or a network; it is not changed.
    device : torch.device
        Where to compute.
    """

    def __init__(self, net: NeuralNet | nn.Module, device: torch.device) -> None:
        keep_freed_memory()
        self.module = evaluation_module(net, device)
        self.device = device

    def __call__(
        self, rows: Rows, blocks: Sequence[str] = (OUTPUT,)
    ) -> dict[str, NDArray[np.float64]]:
        """Outputs by block, some rows at a time.

        Parameters
        ----------
        rows : Rows
            What the network sees, on the host.
        blocks : sequence of str, default=("y",)
            What is asked for.

        Returns
        -------
        dict of str to ndarray, float64
            Of shape (n, t), or (n, m, t) of an ensemble.
        """
        # Forces are derivatives, which inference mode does not know.
        derives = FORCES in blocks
        _want_forces(self.module, derives)
        parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in blocks}
        dtype = precision(self.device)
        without_gradients = torch.no_grad() if derives else torch.inference_mode()
        on_gpu = self.device.type == "cuda"
        computed: Mapping[str, Tensor] = {}
        with repeatable(self.device), without_gradients:
            for piece in rows.pieces(on_gpu):
                # A GPU computes a piece while the host makes the next one ready.
                batch = rows.take(piece).to(self.device, dtype).batch(slice(None))
                _collect(parts, computed)
                computed = by_block(self.module(**batch))
            _collect(parts, computed)
        return {name: np.concatenate(part) for name, part in parts.items()}


def _collect(
    parts: Mapping[str, list[NDArray[np.float64]]], outputs: Mapping[str, Tensor]
) -> None:
    """Append the outputs that are asked for, on the host."""
    for name in parts.keys() & outputs.keys():
        parts[name].append(outputs[name].double().cpu().numpy())


def predict(net: NeuralNet, rows: Rows, device: torch.device) -> NDArray[np.float64]:
    """What the net predicts of rows, see :class:`Predictor`.

    Returns
    -------
    ndarray of shape (n, t), or (n, m, t) of an ensemble, float64
    """
    return Predictor(net, device)(rows)[OUTPUT]

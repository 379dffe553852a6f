"""The training engine: skorch nets over device-resident tables.

The estimators know parameters and units; this module knows devices, random states,
schedules and how a net is left behind: on the CPU, small, and ready to continue.
"""

from __future__ import annotations

import copy
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from skorch import NeuralNet
from skorch.callbacks import (
    Callback,
    EarlyStopping,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
)
from skorch.helper import predefined_split
from skorch.utils import noop
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from .callbacks import EpochProgress
from .data import TensorBatches, TensorTable, as_tensors
from .losses import MaskedLoss

__all__ = [
    "TrainingData",
    "TrainingPlan",
    "build_net",
    "history_frame",
    "predict",
    "resolve_device",
    "train",
]

#: Gradients are clipped to this norm: one outlier must not throw a small net off.
_MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class TrainingData:
    """Rows to learn from, on the host.

    Attributes
    ----------
    inputs : mapping of str to ndarray
        Network inputs, first axis n.
    y : ndarray of shape (n, t)
        Scaled targets, NaN where missing.
    weight : ndarray of shape (n,)
        Sample weights.
    """

    inputs: Mapping[str, NDArray]
    y: NDArray[np.float64]
    weight: NDArray[np.float64]

    def take(self, rows: NDArray[np.int64]) -> TrainingData:
        """Some of the rows, copied."""
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        return TrainingData(inputs, self.y[rows], self.weight[rows])

    def to(self, device: torch.device) -> TensorTable:
        """The same rows as tensors on `device`."""
        rest = as_tensors({"y": self.y, "weight": self.weight}, device)
        return TensorTable(as_tensors(self.inputs, device), rest["y"], rest["weight"])


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


def resolve_device(device: str | torch.device, *, fallback: bool = False) -> torch.device:
    """The device that a specification stands for; ``"auto"`` is CUDA where present.

    With `fallback`, the CPU stands in for CUDA where that is absent, with a warning: a
    model from a GPU machine predicts on a laptop.

    Raises
    ------
    ValueError
        If the specification is not one of torch's, or CUDA is asked for and absent.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a device; use 'auto', 'cpu', 'cuda' or 'cuda:0'"
        ) from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        message = f"device={device!r} but torch finds no CUDA device"
        if not fallback:
            raise ValueError(f"{message}; use 'auto' or 'cpu'")
        warnings.warn(f"{message}; the CPU is used", UserWarning, stacklevel=3)
        return torch.device("cpu")
    return resolved


#: Threads share torch's random state: two nets that train at once would take each other's
#: numbers.
_RANDOM_STATE = threading.RLock()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw torch's random numbers from `seed` inside, leave its global state as it was."""
    cuda = [device] if device.type == "cuda" else []
    with _RANDOM_STATE, torch.random.fork_rng(devices=cuda):
        torch.manual_seed(seed)
        yield


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
    with seeded(plan.seed, torch.device("cpu")):
        return net.initialize()


def _callbacks(plan: TrainingPlan, n_steps: int, has_valid: bool) -> list[Any]:
    callbacks: list[Any] = [("clip", GradientNormClipping(_MAX_GRADIENT_NORM))]
    if plan.lr_schedule == "one_cycle":
        # A continued fit runs through a new cycle; skorch would go on with the old one.
        schedule = LRScheduler(
            OneCycleLR, step_every="batch", max_lr=plan.lr, total_steps=n_steps + 1,
            last_epoch=-1,
        )  # fmt: skip
        callbacks.append(("schedule", schedule))
    if plan.patience is not None and has_valid:
        stopping = EarlyStopping(
            patience=plan.patience, threshold=0.0, load_best=True, sink=noop
        )
        callbacks.append(("early_stopping", stopping))
    if plan.verbose:
        report = EpochProgress() if plan.verbose == 1 else PrintLog()
        callbacks.append(("report", report))
    return callbacks + [
        callback if isinstance(callback, tuple) else (f"user_{i}", callback)
        for i, callback in enumerate(copy.deepcopy(list(plan.callbacks)))
    ]


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
) -> NeuralNet:
    """Train an initialised net in place and leave it on the CPU.

    Parameters
    ----------
    net : NeuralNet
        From :func:`build_net`; its weights are the starting point.
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
    NeuralNet
        The same net. Ctrl-C ends training early with a warning; the net is usable.
    """
    table = data.to(device)
    n_steps = plan.max_epochs * len(TensorBatches(table, plan.batch_size))
    _follow(net, plan)
    if not keep_optimizer:
        net.initialize_optimizer()
    net.callbacks = _callbacks(plan, n_steps, valid is not None)
    net.verbose = int(plan.verbose >= 2)
    net.initialize_callbacks()
    net.train_split = predefined_split(valid.to(device)) if valid else None
    _place(net, device)
    before = len(net.history)
    try:
        with seeded(plan.seed + 1, device):
            net.partial_fit(table)
    finally:
        _leave_on_cpu(net, keep_optimizer)
    _warn_if_interrupted(net, before, plan)
    return net


def _follow(net: NeuralNet, plan: TrainingPlan) -> None:
    """Take over a plan that may differ from the one the net was built for."""
    net.max_epochs, net.batch_size, net.lr = plan.max_epochs, plan.batch_size, plan.lr
    net.optimizer__weight_decay = plan.weight_decay
    net.criterion_.loss = plan.loss
    for group in net.optimizer_.param_groups:
        group["lr"], group["weight_decay"] = plan.lr, plan.weight_decay


def _leave_on_cpu(net: NeuralNet, keep_optimizer: bool) -> None:
    if not keep_optimizer:
        net.initialize_optimizer()
    _place(net, torch.device("cpu"))
    # Callbacks hold copies of the weights and the validation rows.
    net.train_split = None
    net.callbacks, net.callbacks_ = [], []


def _warn_if_interrupted(net: NeuralNet, before: int, plan: TrainingPlan) -> None:
    done = [row for row in net.history[before:] if "train_loss" in row]
    if len(done) == plan.max_epochs or plan.callbacks:  # a user's callback may stop, too
        return
    if plan.patience is not None and "valid_loss" in net.history[-1]:
        losses = [row["valid_loss"] for row in done]
        if len(done) - 1 - int(np.argmin(losses)) >= plan.patience:
            return
    warnings.warn(
        f"training was interrupted after {len(done)} of {plan.max_epochs} epochs; the model "
        "is usable as it is",
        ConvergenceWarning,
        stacklevel=4,
    )


def history_frame(net: NeuralNet) -> pd.DataFrame:
    """One row a finished epoch: epoch, train_loss, valid_loss, lr, seconds."""
    rows = [
        {
            "epoch": row["epoch"],
            "train_loss": row["train_loss"],
            "valid_loss": row.get("valid_loss", np.nan),
            "lr": row["batches"][-1].get("event_lr", net.lr),
            "seconds": row.get("dur", np.nan),
        }
        for row in net.history
        if "train_loss" in row
    ]
    return pd.DataFrame(rows, columns=["epoch", "train_loss", "valid_loss", "lr", "seconds"])


@torch.inference_mode()
def predict(
    net: NeuralNet, inputs: Mapping[str, NDArray], device: torch.device, batch_size: int = 1024
) -> NDArray[np.float64]:
    """Outputs of the net in batches, in evaluation mode.

    On the CPU in double precision (but for convolutions), so that a row's prediction does
    not depend on the rows beside it; on an accelerator in single precision.

    Parameters
    ----------
    net : NeuralNet
        A trained net; it is not changed.
    inputs : mapping of str to ndarray
        Network inputs, first axis n.
    device : torch.device
        Where to compute.
    batch_size : int, default=1024
        Rows at a time.

    Returns
    -------
    ndarray of shape (n, t), or (n, m, t) of an ensemble, float64
    """
    dtype = torch.float64 if device.type == "cpu" else torch.float32
    module = copy.deepcopy(net.module_).to(device=device, dtype=dtype).eval()
    n = len(next(iter(inputs.values())))
    parts = []
    for start in range(0, n, batch_size):
        batch = {name: array[start : start + batch_size] for name, array in inputs.items()}
        parts.append(module(**as_tensors(batch, device, dtype)).double().cpu().numpy())
    return np.concatenate(parts)

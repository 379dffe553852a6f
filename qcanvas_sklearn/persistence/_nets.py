"""Trained nets as an architecture and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from skorch import NeuralNet
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..training import Rate, TrainingPlan, build_net

__all__ = ["net_of", "parts_of_net"]

#: What a network may take while it is made, beside what its weights say: constants such as
#: couplings of harmonics, a few megabytes, and the steps that compute them.
_SPARE_BYTES, _SPARE_STEPS = 2**28, 5000
_PER_BYTE, _PER_TENSOR = 8, 60
#: A width or a number of layers beyond this is also seen in the number of weights.
_SMALL = 1000


def parts_of_net(net: NeuralNet) -> dict[str, Any]:
    """Network, its parameters and weights, and what a continued training needs."""
    mine = vars(net).items()
    optimizer = net.optimizer_.state_dict()
    return {
        "network": net.module,
        "parameters": {k[8:]: v for k, v in mine if k.startswith("module__")},
        "weights": dict(net.module_.state_dict()),
        "frozen": [k for k, p in net.module_.named_parameters() if not p.requires_grad],
        # What a network counts while it learns is no weight.
        "counters": {k: v for k, v in vars(net.module_).items() if _counts(k, v)},
        "settings": {
            "max_epochs": net.max_epochs, "batch_size": net.batch_size, "lr": net.lr,
            "weight_decay": net.optimizer__weight_decay, "loss": net.criterion_.loss,
            "betas": net.optimizer__betas,
            "rates": [
                (pattern, group["lr_factor"], group["decay_factor"])
                for pattern, group in net.optimizer__param_groups
            ],
        },
        "history": list(net.history),
        "optimizer": optimizer if optimizer["state"] else None,
    }  # fmt: skip


def _counts(name: str, value: Any) -> bool:
    return name.startswith("_n_") and type(value) is int


def net_of(parts: Mapping[str, Any]) -> NeuralNet:
    """A net of its parts, on the CPU.

    Raises
    ------
    ValueError
        If the weights are not those of the network, or it takes much more than they do.
    """
    weights = parts["weights"]
    limits = _Limits(
        _SPARE_BYTES + _PER_BYTE * sum(weight.nbytes for weight in weights.values()),
        _SPARE_STEPS + _PER_TENSOR * len(weights),
    )
    n_weights = sum(weight.numel() for weight in weights.values())
    _check_counts("", parts["parameters"], max(n_weights, _SMALL))
    settings = dict(parts["settings"])
    rates = [Rate(*rate) for rate in settings.pop("rates")]
    plan = TrainingPlan(
        lr_schedule="constant", patience=None, verbose=0, callbacks=(), seed=0, rates=rates,
        **settings,
    )  # fmt: skip
    with limits:
        net = build_net(parts["network"], parts["parameters"], plan)
    _load(net.module_, weights)
    for name in parts["frozen"]:
        net.module_.get_parameter(name).requires_grad_(False)
    for name, count in parts["counters"].items():
        if not _counts(name, vars(net.module_).get(name)) or not _counts(name, count):
            raise ValueError(f"its network counts {name!r:.40}")
        setattr(net.module_, name, count)
    net.history.extend(parts["history"])
    if parts["optimizer"] is not None:
        net.optimizer_.load_state_dict(parts["optimizer"])
    return net


def _check_counts(name: str, value: Any, largest: int) -> None:
    """Refuse parameters that count more than there are weights."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_counts(str(key), inner, largest)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _check_counts(name, inner, largest)
    elif isinstance(value, int) and abs(value) > largest and name != "seed":
        raise ValueError(f"its network has {name}={value}, and no more than {largest} weights")


def _load(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> None:
    own = module.state_dict()
    if own.keys() != weights.keys():
        other = sorted(own.keys() ^ weights.keys())
        raise ValueError(
            f"its weights are not those of {type(module).__name__} as it is in this version: "
            f"{other[:3]} are in one of them only"
        )
    for name, weight in weights.items():
        if (weight.shape, weight.dtype) != (own[name].shape, own[name].dtype):
            raise ValueError(
                f"its weight {name} has the shape {tuple(weight.shape)} and type "
                f"{weight.dtype}, the network's {tuple(own[name].shape)} and {own[name].dtype}"
            )
    module.load_state_dict(dict(weights))


class _Limits(TorchDispatchMode):
    """Refuse tensors beyond a number of bytes, before they are there, and endless loops.

    A file may state any width and any number of layers.
    """

    def __init__(self, n_bytes: int, n_steps: int) -> None:
        super().__init__()
        self.n_bytes, self.n_steps = n_bytes, n_steps

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        self.n_steps -= 1
        if any(argument.name == "device" for argument in func._schema.arguments):
            # On the meta device a tensor has a shape, but no memory.
            asked = options | {"device": torch.device("meta")}
            if "generator" in asked:
                asked["generator"] = None
            self._check(self.n_bytes - _nbytes(func(*args, **asked)))
        out = func(*args, **options)
        self.n_bytes -= _nbytes(out)
        self._check(self.n_bytes)
        return out

    def _check(self, left: int) -> None:
        if left < 0 or self.n_steps < 0:
            raise ValueError(
                "its network takes far more memory or steps than its weights account for"
            )


def _nbytes(out: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor))

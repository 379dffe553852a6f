"""Losses over targets with missing labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..nn.outputs import PENALTY, SHARE
from .targets import by_block

__all__ = ["LOSSES", "MaskedLoss"]


def _log_loss(logits: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
    # Each class has its share, and the mean over the classes is to be the cross-entropy.
    return -target.shape[-1] * target * logits.log_softmax(dim=-1)


def _pseudo_huber(output: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
    # A product, for the difference of two numbers close to each other loses their digits.
    error = output - target
    return error.square() / (1 + torch.sqrt(1 + error.square()))


def _l1_mse(output: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
    error = output - target
    return error.abs() + error.square()


#: Deviation, in mean absolute deviations of the labels, below which "huber" is quadratic.
_HUBER_DEVIATION = 0.1

#: Element-wise losses by name; the last one is for one-hot classes.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "smooth_l1": functional.smooth_l1_loss,
    "huber": partial(functional.smooth_l1_loss, beta=_HUBER_DEVIATION),
    "absolute_error": functional.l1_loss,
    "squared_error": functional.mse_loss,
    "pseudo_huber": _pseudo_huber,
    "l1_mse": _l1_mse,
    "log_loss": _log_loss,
}


class MaskedLoss(nn.Module):
    r"""Weighted sum of an element-wise loss over the observed labels of all blocks.

    .. math::
        L = \sum_\text{blocks} \sum_{ij} w_{ij}\, \ell(\hat y_{ij}, y_{ij})

    The weights, 0 where a label is missing, are normalised over the rows of the fit, so
    that the mean over batches is the weighted mean over all labels; of an ensemble's
    outputs (b, m, t) the mean over the members. Blocks that a network leaves out of a batch
    do not count.

    Parameters
    ----------
    loss : str
        Element-wise loss, one of :data:`LOSSES`. "smooth_l1" and "huber" are quadratic for
        errors below 1 and 0.1, and rise with slope 1 beyond; "pseudo_huber" is
        :math:`\sqrt{1 + e^2} - 1`, "l1_mse" :math:`|e| + e^2`. The outputs that "log_loss"
        takes are logits.
    """

    def __init__(self, loss: str = "smooth_l1") -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self,
        prediction: Tensor | Mapping[str, Tensor],
        target: Mapping[str, tuple[Tensor, Tensor]],
    ) -> Tensor:
        """Loss of a batch from its outputs, and its labels and weights by block."""
        outputs = by_block(prediction)
        share = outputs.get(SHARE)
        losses = [
            self._of_block(outputs[name], *pair, share)
            for name, pair in target.items()
            if name in outputs
        ]
        if PENALTY in outputs:
            losses.append(outputs[PENALTY])
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def _of_block(
        self, output: Tensor, label: Tensor, weight: Tensor, share: Tensor | None
    ) -> Tensor:
        n_members = 1
        if output.ndim > label.ndim:
            n_members = output.shape[1]
            label, weight = (x[:, None].expand_as(output) for x in (label, weight))
            weight = weight if share is None else weight * share[..., None]
        elementwise = LOSSES[self.loss](output, label, reduction="none")
        total = (elementwise * weight).sum()
        return total if n_members == 1 else total / n_members

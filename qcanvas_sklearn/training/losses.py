"""Losses over targets with missing labels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LOSSES", "MaskedLoss"]


def _log_loss(logits: Tensor, target: Tensor, reduction: str = "none") -> Tensor:
    # Each class has its share, and the mean over the classes is to be the cross-entropy.
    return -target.shape[-1] * target * logits.log_softmax(dim=-1)


#: Element-wise losses by name; the last one is for one-hot classes.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "smooth_l1": functional.smooth_l1_loss,
    "absolute_error": functional.l1_loss,
    "squared_error": functional.mse_loss,
    "log_loss": _log_loss,
}


class MaskedLoss(nn.Module):
    r"""Weighted mean of an element-wise loss over the observed labels.

    .. math::
        L = \sum_{ij} w_{ij}\, \ell(\hat y_{ij}, y_{ij}) / \sum_{ij} w_{ij}

    with weight 0 where a label is missing; of an ensemble's outputs (b, m, t) the mean over
    the members.

    Parameters
    ----------
    loss : {"smooth_l1", "absolute_error", "squared_error", "log_loss"}
        Element-wise loss. The outputs that "log_loss" takes are logits.
    """

    def __init__(self, loss: str = "smooth_l1") -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        y, weight = target
        if prediction.ndim > y.ndim:
            y, weight = (x[:, None].expand_as(prediction) for x in (y, weight))
        elementwise = LOSSES[self.loss](prediction, y, reduction="none")
        # A batch without any observed label contributes nothing, not NaN.
        return (elementwise * weight).sum() / weight.sum().clamp_min(1e-12)

    def extra_repr(self) -> str:
        return repr(self.loss)

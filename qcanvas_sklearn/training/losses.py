"""Losses over targets with missing labels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["LOSSES", "MaskedLoss"]

#: Element-wise losses by name.
LOSSES = {
    "smooth_l1": functional.smooth_l1_loss,
    "absolute_error": functional.l1_loss,
    "squared_error": functional.mse_loss,
}


class MaskedLoss(nn.Module):
    r"""Weighted mean of an element-wise loss over the observed labels.

    .. math::
        L = \sum_{ij} w_{ij}\, \ell(\hat y_{ij}, y_{ij}) / \sum_{ij} w_{ij}

    with weight 0 where a label is missing.

    Parameters
    ----------
    loss : {"smooth_l1", "absolute_error", "squared_error"}
        Element-wise loss.
    """

    def __init__(self, loss: str = "smooth_l1") -> None:
        super().__init__()
        self.loss = loss

    def forward(self, prediction: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        y, weight = target
        elementwise = LOSSES[self.loss](prediction, y, reduction="none")
        # A batch without any observed label contributes nothing, not NaN.
        return (elementwise * weight).sum() / weight.sum().clamp_min(1e-12)

    def extra_repr(self) -> str:
        return repr(self.loss)

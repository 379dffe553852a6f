"""Attention between the two atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..nn import DenseGATv2Conv, SwapSymmetric
from ..nn.symmetry import swap_atoms
from ._model import network_inputs, table_model

__all__ = ["attention_weights"]


@torch.no_grad()
def attention_weights(estimator: Any, X: Any) -> NDArray[np.float64]:
    r"""Attention of a `GATv2Regressor` between the atoms of each pair.

    Parameters
    ----------
    estimator : estimator
        Fitted `GATv2Regressor`, or another network of this package with such layers, on
        its own or as the last step of a Pipeline.
    X : array-like of shape (n, p)
        Rows as the estimator takes them.

    Returns
    -------
    ndarray of shape (n, n_layers, 2, 2, n_heads)
        :math:`\alpha_{ij}` at ``[:, layer, i, j, head]``: the share of the message from
        atom j in what atom i takes up; it sums to 1 over j. Atom 0 is the first of the
        pair in canonical order, the order of the alphabet; i = j is what an atom keeps of
        itself. Where predictions are the mean over both numberings of the atoms, or over
        the members of an ensemble, the attention is so too.

    Raises
    ------
    ValueError
        If the estimator has no such attention, or refuses the rows.

    References
    ----------
    .. [1] S. Brody, U. Alon, E. Yahav, How Attentive are Graph Attention Networks?,
       ICLR 2022, equation 7, arXiv:2105.14491.

    Examples
    --------
    >>> from qcanvas_sklearn import GATv2Regressor, load_pairs
    >>> from qcanvas_sklearn.inspection import attention_weights
    >>> X, y = load_pairs(target="e_g_ev", return_X_y=True)
    >>> model = GATv2Regressor(n_hidden=16, n_layers=2, max_epochs=1, random_state=0)
    >>> attention = attention_weights(model.fit(X[:80], y[:80]), X[:3])
    >>> attention.shape, bool((abs(attention.sum(axis=3) - 1) < 1e-12).all())
    ((3, 2, 2, 2, 4), True)
    """
    seen = table_model(estimator, X)
    module, batches = network_inputs(seen)
    members = [part for part in module.modules() if isinstance(part, SwapSymmetric)]
    if not members:
        raise ValueError(
            f"{type(seen.model).__name__} was fitted on a plain table, in which there are no "
            "atoms to attend to each other"
        )
    if not all(_layers(member.network) for member in members):
        raise ValueError(
            f"{type(seen.model).__name__} has no attention between the atoms; "
            "attention_weights takes a GATv2Regressor"
        )
    parts = [
        torch.stack([_of_member(member, inputs) for member in members]).mean(dim=0)
        for inputs in batches
    ]
    return torch.cat(parts).numpy()


def _of_member(member: SwapSymmetric, inputs: Mapping[str, Tensor]) -> Tensor:
    attention = _of_network(member.network, inputs)
    if not member.symmetric:
        return attention
    swapped = _of_network(member.network, swap_atoms(inputs, member.mirrored))
    return (attention + swapped.flip(2, 3)) / 2


def _of_network(network: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Attention (b, n_layers, i, j, n_heads) in one pass."""
    attention: list[Tensor] = []
    handles = [
        conv.register_forward_hook(lambda _conv, _args, outputs: attention.append(outputs[1]))
        for conv in _layers(network)
    ]
    try:
        network(**inputs)
    finally:
        for handle in handles:
            handle.remove()
    return torch.stack(attention, dim=1)


def _layers(network: nn.Module) -> list[DenseGATv2Conv]:
    return [layer for layer in network.modules() if isinstance(layer, DenseGATv2Conv)]

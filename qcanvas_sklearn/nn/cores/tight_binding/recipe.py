"""How a tight-binding model is trained: rates by kind of parameter, and a schedule of heat."""

from __future__ import annotations

from typing import Any

from .module import TightBinding

__all__ = ["PRIOR_WEIGHT", "parameter_groups", "smearing"]

#: Weight of :meth:`PairHamiltonian.prior` in the loss.
PRIOR_WEIGHT = 0.15


def parameter_groups(
    model: TightBinding, lr: float = 4e-3, *, weight_decay: float = 1.0
) -> list[dict[str, Any]]:
    """Parameter groups for AdamW, each with its own rate.

    Parameters
    ----------
    model : TightBinding
        A model after :func:`prefit`: repulsion and Coulomb interaction stay as fitted.
    lr : float, default=4e-3
        Rate of the network. Energies, in eV, learn at 60 times this rate, transfer
        vectors at 20 times, orbitals at 4 times.
    weight_decay : float, default=1.0
        Of the network alone; the parameters of the elements have their prior.
    """
    h = model.hamiltonian
    own = [([h.energy, h.level], 60.0), ([h.transfer], 20.0), ([h.orbital], 4.0)]
    groups = [
        {"params": params, "lr": lr * factor, "weight_decay": 0.0} for params, factor in own
    ]
    return [
        *groups,
        {"params": list(h.net.parameters()), "lr": lr, "weight_decay": weight_decay},
    ]


def smearing(progress: float, *, first: float = 0.2, last: float = 0.03) -> float:
    """Smearing in eV after a share of the training; falls over the first 70 %.

    Parameters
    ----------
    progress : float
        Share of the training that is done, 0 to 1.
    first, last : float, default=0.2, 0.03
        Smearing at the start and at the end.

    Examples
    --------
    >>> smearing(0.0), round(smearing(1.0), 3)
    (0.2, 0.03)
    """
    return first * (last / first) ** min(1.0, progress / 0.7)

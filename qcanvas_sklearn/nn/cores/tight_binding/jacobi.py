"""Eigenpairs of many small symmetric matrices by operations that never ask the host.

``torch.linalg.eigh`` and its kin look at the device's answer for errors, which waits for it
and cannot be recorded in a CUDA graph. Jacobi's rotations need no look: their number is
fixed, and each round turns all disjoint pairs of axes of all matrices together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Jacobi", "inverse_cholesky"]

#: Times that every pair of axes is turned; they converge quadratically.
SWEEPS = {2: 1, 4: 5, 6: 7, 8: 8}


class Jacobi(nn.Module):
    """Eigensolver for batches of symmetric matrices of one size.

    Every rotation leaves the lower value at the axis of the lower number, so that the
    sweeps sort the eigenvalues as well.

    Parameters
    ----------
    size : {2, 4, 6, 8}
        Rows of a matrix.

    Examples
    --------
    >>> import torch
    >>> from qcanvas_sklearn.nn.cores.tight_binding.jacobi import Jacobi
    >>> matrix = torch.tensor([[[2.0, 1.0], [1.0, 2.0]]], dtype=torch.float64)
    >>> values, vectors = Jacobi(2)(matrix)
    >>> values.round(decimals=12).tolist()
    [[1.0, 3.0]]
    """

    _turns: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size, self.n_sweeps = size, SWEEPS[size]
        self.register_buffer("_turns", _rearrangements(size), persistent=False)

    def forward(self, matrix: Tensor, vectors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Eigenvalues and eigenvectors, without gradients.

        Parameters
        ----------
        matrix : Tensor of shape (n, size, size), float64
            Symmetric to rounding.
        vectors : Tensor of shape (n, size, size), optional
            What the eigenvectors are multiplied with from the left; by default nothing.

        Returns
        -------
        values : Tensor of shape (n, size)
            In ascending order.
        vectors : Tensor of shape (n, size, size)
            In columns.
        """
        n, k = len(matrix), self.size
        if vectors is None:
            vectors = torch.eye(k, dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
        with torch.no_grad():
            # The matrix, and below it the vectors, whose columns turn alike.
            both = torch.cat([matrix, vectors], dim=1)
            one = both.new_ones(n, k // 2)
            for _ in range(self.n_sweeps):
                for columns, rows in self._turns.unbind():
                    pairs = both[:, :k].unflatten(2, (-1, 2)).unflatten(1, (-1, 2))
                    p, q = pairs.diagonal(dim1=1, dim2=3).unbind(1)
                    angle = torch.atan2(2 * q[:, 0], q[:, 1] - p[:, 0]) / 2
                    # A pair of columns as complex numbers turns by one product.
                    turn = torch.polar(one, angle)[:, None]
                    both = torch.view_as_real(_as_complex(both) * turn)
                    both = both.view(n, -1).index_select(1, columns).view(n, 2 * k, k)
                    _as_complex(both)[:, :k].mul_(turn)
                    both = both.view(n, -1).index_select(1, rows).view(n, 2 * k, k)
        return both[:, :k].diagonal(dim1=1, dim2=2), both[:, k:]


def _as_complex(matrix: Tensor) -> Tensor:
    return torch.view_as_complex(matrix.unflatten(2, (-1, 2)))


def _rounds(size: int) -> list[list[int]]:
    """A tournament: orders of the axes in which neighbours meet, every two of them once.

    The first one is the usual order, and the lower of two is always in front.
    """
    ring = list(range(1, size))
    orders = []
    for _ in ring:
        line = [0, *ring]
        orders.append([(line[i], line[-1 - i]) for i in range(size // 2)])
        ring = ring[1:] + ring[:1]
    name = {axis: i for i, axis in enumerate(axis for pair in orders[0] for axis in pair)}
    return [[i for p, q in order for i in sorted((name[p], name[q]))] for order in orders]


def _rearrangements(size: int) -> Tensor:
    """Indices that bring each round's order to the next, (rounds, 2, 2 size²).

    The first of two transposes the matrix and orders the one axis, the second transposes it
    back and orders the other. Of the vectors below it, the first orders the columns.
    """
    orders = _rounds(size)
    own = torch.arange(size)
    flat = torch.arange(2 * size * size).view(2 * size, size)
    out = []
    for now, then in zip(orders, orders[1:] + orders[:1], strict=True):
        moved = torch.tensor([now.index(axis) for axis in then])
        turned = flat[own][:, moved].T
        columns = torch.cat([turned, flat[size:][:, moved]])
        rows = torch.cat([flat[own][:, moved].T, flat[size:]])
        out.append(torch.stack([columns.flatten(), rows.flatten()]))
    return torch.stack(out)


def inverse_cholesky(matrix: Tensor) -> Tensor:
    """The inverse of the factor L of ``S = L Lᵀ``, without gradients.

    Parameters
    ----------
    matrix : Tensor of shape (n, k, k)
        S, symmetric and positive definite; of others the result holds NaN.

    Returns
    -------
    Tensor of shape (n, k, k)
        Lower triangular.
    """
    k = matrix.shape[-1]
    with torch.no_grad():
        unit = torch.eye(k, dtype=matrix.dtype, device=matrix.device).expand_as(matrix)
        # Elimination without pivots turns (S, 1) into (Lᵀ, L⁻¹).
        both = torch.cat([matrix, unit], dim=2)
        for j in range(k):
            row = both[:, j].mul_(both[:, j, j, None].rsqrt())
            if j + 1 < k:
                below = row[:, j + 1 : k, None]
                both[:, j + 1 :].addcmul_(below, row[:, None], value=-1.0)
    return both[:, :, k:]

"""The numbers of a pair that its images are linear in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._channels import AMPLITUDES_OF_CHANNEL, N_AMPLITUDES

__all__ = ["DEBYE_PER_ATOMIC_UNIT", "channel_amplitudes"]

#: One atomic unit of the dipole moment in debye.
DEBYE_PER_ATOMIC_UNIT = 2.541746473


_SHELL_STARTS = (0, 1, 4, 9)
_L = np.repeat(np.arange(4), [1, 3, 5, 7])
_M = np.concatenate([np.arange(-l, l + 1) for l in range(4)])


def channel_amplitudes(
    orbital_populations: NDArray[np.float64],
    populations: NDArray[np.float64],
    charges: NDArray[np.float64],
    dipole_magnitudes: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Linear amplitudes of the ten channels.

    Parameters
    ----------
    orbital_populations : ndarray of shape (n, 2, 16)
        Electrons of each orbital at index l² + l + m.
    populations : ndarray of shape (n, 2)
        Electrons of each atom.
    charges : ndarray of shape (n, 2)
        Gross charges in e.
    dipole_magnitudes : ndarray of shape (n,)
        Length of the dipole in debye.

    Returns
    -------
    ndarray of shape (n, 16)
        ``AMPLITUDES_OF_CHANNEL[c]`` are the columns of channel ``c``, in the order of the
        atoms where a channel has one for each.

    References
    ----------
    .. [1] QuantumCanvas, doi:10.1088/2632-2153/aea5d6.
    """
    shells = np.add.reduceat(orbital_populations, _SHELL_STARTS, axis=-1).sum(axis=1)
    size = 10 * np.abs(charges)
    out = np.empty((len(charges), N_AMPLITUDES))
    values = (
        (orbital_populations * ((_L + 1) / 3)).sum(axis=-1),
        np.abs((orbital_populations * _M).sum(axis=-1)),
        shells[:, 0] + shells[:, 1],
        shells[:, 2] + shells[:, 3],
        dipole_magnitudes / DEBYE_PER_ATOMIC_UNIT,
        np.abs(charges[:, 0] - charges[:, 1]),
        size,
        populations,
        np.where(charges > 0, size, 0.0),
        np.where(charges > 0, 0.0, size),
    )
    for columns, value in zip(AMPLITUDES_OF_CHANNEL, values, strict=True):
        out[:, columns] = value.reshape(len(charges), columns.stop - columns.start)
    return out

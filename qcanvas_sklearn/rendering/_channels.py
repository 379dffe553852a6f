"""The ten channels: names, amplitudes, and sizes of their images."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral

__all__ = [
    "AMPLITUDES_OF_CHANNEL",
    "CHANNEL_NAMES",
    "MIN_IMAGE_SIZE",
    "N_AMPLITUDES",
    "check_image_size",
    "resolve_channels",
]

#: Names of the ten channels, in the order of the images.
CHANNEL_NAMES: tuple[str, ...] = (
    "omap_radial",
    "omap_angular",
    "rip_gaf_sp",
    "rip_gaf_df",
    "rip_mtf_dipole",
    "rip_mtf_quadrupole",
    "com_charge",
    "com_orbital",
    "qimage_positive",
    "qimage_negative",
)

#: Amplitudes of each channel: one a molecule (channels 2 to 5), or one an atom.
AMPLITUDES_OF_CHANNEL: tuple[slice, ...] = (
    slice(0, 2), slice(2, 4), slice(4, 5), slice(5, 6), slice(6, 7), slice(7, 8),
    slice(8, 10), slice(10, 12), slice(12, 14), slice(14, 16),
)  # fmt: skip

N_AMPLITUDES = 16
#: Below four pixels the two atoms would share a place.
MIN_IMAGE_SIZE = 4


def resolve_channels(channels: Iterable[int | str] | None) -> tuple[int, ...]:
    """Channel numbers, in increasing order, of numbers or names.

    Parameters
    ----------
    channels : iterable of int or str, or None
        Channel numbers 0 to 9 or entries of `CHANNEL_NAMES`; None for all ten.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If `channels` is empty, names a channel twice, or one that does not exist.

    Examples
    --------
    >>> from qcanvas_sklearn.rendering import resolve_channels
    >>> resolve_channels(["com_charge", 0])
    (0, 6)
    """
    if channels is None:
        return tuple(range(len(CHANNEL_NAMES)))
    if isinstance(channels, str) or not isinstance(channels, Iterable):
        raise ValueError(
            f"channels must be None or a sequence of channel numbers or names, got {channels!r}"
        )
    numbers = []
    for channel in channels:
        if isinstance(channel, str) and channel in CHANNEL_NAMES:
            numbers.append(CHANNEL_NAMES.index(channel))
        elif (
            isinstance(channel, Integral)
            and not isinstance(channel, bool)
            and 0 <= channel < len(CHANNEL_NAMES)
        ):
            numbers.append(int(channel))
        else:
            raise ValueError(
                f"unknown channel {channel!r}; channels are 0 to {len(CHANNEL_NAMES) - 1} or "
                f"{list(CHANNEL_NAMES)}"
            )
    if not numbers or len(set(numbers)) < len(numbers):
        raise ValueError(f"channels must be distinct and at least one, got {channels!r}")
    return tuple(sorted(numbers))


def check_image_size(image_size: int) -> int:
    """`image_size` as an int, or a ValueError."""
    valid = isinstance(image_size, Integral) and not isinstance(image_size, bool)
    if not valid or image_size < MIN_IMAGE_SIZE:
        raise ValueError(
            f"image_size must be an integer of at least {MIN_IMAGE_SIZE}, got {image_size!r}"
        )
    return int(image_size)

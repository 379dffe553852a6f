"""Chemical elements: symbols, atomic numbers and tabulated properties.

Every property, with its unit and its source, is a column of ``elements.csv``;
the arrays handed out here are indexed by atomic number.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "MAX_Z",
    "SYMBOLS",
    "ElementProperty",
    "alphabetical_rank",
    "atomic_numbers",
    "block_letters",
    "element_properties",
    "property_values",
    "symbols",
    "valence_orbital_populations",
]

_TEXT_COLUMNS = ("symbol", "name", "block")
_SHELLS = ("valence_s", "valence_p", "valence_d", "valence_f")


@dataclass(frozen=True)
class ElementProperty:
    """One tabulated or derived property of the elements.

    Attributes
    ----------
    name : str
        Column name.
    unit : str
        Unit of the values, ``"-"`` for pure numbers.
    source : str
        Where the values come from.
    """

    name: str
    unit: str
    source: str


@lru_cache(maxsize=1)
def _read_csv() -> tuple[dict[str, ElementProperty], dict[str, list[str]]]:
    text = files("qcanvas_sklearn").joinpath("elements.csv").read_text(encoding="utf-8")
    lines = text.splitlines()
    properties = {}
    for line in lines:
        fields = [field.strip() for field in line.lstrip("# ").split("|", 2)]
        if line.startswith("#") and len(fields) == 3:
            properties[fields[0]] = ElementProperty(*fields)
    rows = list(csv.reader(line for line in lines if not line.startswith("#")))
    columns = {name: [row[i] for row in rows[1:]] for i, name in enumerate(rows[0])}
    return {name: properties[name] for name in columns}, columns


#: Symbols by atomic number; the entry 0 is empty.
SYMBOLS: tuple[str, ...] = ("", *_read_csv()[1]["symbol"])
#: Largest atomic number of the table.
MAX_Z: int = len(SYMBOLS) - 1

_Z_OF_SYMBOL = {symbol: z for z, symbol in enumerate(SYMBOLS) if symbol}


def _derived() -> dict[str, tuple[ElementProperty, NDArray[np.float64]]]:
    ionization = property_values("ionization_energy_ev")
    affinity = property_values("electron_affinity_ev")
    valence = np.sum([property_values(shell) for shell in _SHELLS], axis=0)
    return {
        "n_valence": (
            ElementProperty("n_valence", "e", "sum of the valence populations"),
            valence,
        ),
        "electronegativity_mulliken_ev": (
            ElementProperty(
                "electronegativity_mulliken_ev",
                "eV",
                "(I + A) / 2, R. S. Mulliken, J. Chem. Phys. 2, 782 (1934)",
            ),
            (ionization + affinity) / 2,
        ),
    }


def element_properties() -> dict[str, ElementProperty]:
    """Numeric properties that :func:`property_values` knows, with unit and source.

    Returns
    -------
    dict of str to ElementProperty
        Tabulated properties in the order of ``elements.csv``, then the derived ones
        (``n_valence``, ``electronegativity_mulliken_ev``).

    Examples
    --------
    >>> from qcanvas_sklearn.elements import element_properties
    >>> element_properties()["covalent_radius_ang"].unit
    'angstrom'
    """
    tabulated = {k: v for k, v in _read_csv()[0].items() if k not in _TEXT_COLUMNS}
    return tabulated | {name: info for name, (info, _) in _derived().items()}


@cache
def property_values(name: str) -> NDArray[np.float64]:
    """Values of one property for all elements.

    Parameters
    ----------
    name : str
        A key of :func:`element_properties`.

    Returns
    -------
    ndarray of shape (104,)
        Read-only values indexed by atomic number; NaN at 0 and where the source has
        no value.

    Raises
    ------
    ValueError
        If there is no such property.

    Examples
    --------
    >>> from qcanvas_sklearn.elements import property_values
    >>> float(property_values("covalent_radius_ang")[6])
    0.75
    """
    columns = _read_csv()[1]
    if name in columns and name not in _TEXT_COLUMNS:
        values = np.array([np.nan] + [float(v) if v else np.nan for v in columns[name]])
    elif name in ("n_valence", "electronegativity_mulliken_ev"):
        values = np.array(_derived()[name][1])
    else:
        raise ValueError(
            f"unknown element property {name!r}; known are {sorted(element_properties())}"
        )
    values.flags.writeable = False
    return values


@lru_cache(maxsize=1)
def block_letters() -> NDArray[np.str_]:
    """Block (``"s"``, ``"p"``, ``"d"``, ``"f"``) by atomic number, ``""`` at 0."""
    letters = np.array(["", *_read_csv()[1]["block"]])
    letters.flags.writeable = False
    return letters


@lru_cache(maxsize=1)
def alphabetical_rank() -> NDArray[np.int64]:
    """Position of every symbol in alphabetical order, by atomic number.

    The canonical order of a pair is the alphabetical one, as in ``"Ag_Al"``.
    """
    rank = np.zeros(MAX_Z + 1, dtype=np.int64)
    rank[np.argsort(np.array(SYMBOLS))] = np.arange(MAX_Z + 1)
    rank.flags.writeable = False
    return rank


def atomic_numbers(symbols: ArrayLike) -> NDArray[np.int64]:
    """Atomic numbers of an array of element symbols; 0 where a symbol is unknown.

    Parameters
    ----------
    symbols : array-like of str
        Symbols in their usual capitalisation, of any shape.

    Returns
    -------
    ndarray of int64
        Same shape as `symbols`.

    Examples
    --------
    >>> from qcanvas_sklearn.elements import atomic_numbers
    >>> atomic_numbers(["Ag", "Al"])
    array([47, 13])
    """
    if isinstance(symbols, np.ndarray) and symbols.dtype.kind == "U":
        return _numbers_of_text(symbols)
    array = np.asarray(symbols, dtype=object)
    entries = array.ravel().tolist()
    try:
        flat = [_Z_OF_SYMBOL.get(entry, 0) for entry in entries]
    except TypeError:  # what cannot be looked up, as a list
        flat = [_Z_OF_SYMBOL.get(s, 0) if isinstance(s, str) else 0 for s in entries]
    return np.array(flat, dtype=np.int64).reshape(array.shape)


@lru_cache(maxsize=1)
def _number_by_letters() -> NDArray[np.int64]:
    """Atomic numbers by the codes of the first letter and of the second, 0 without one."""
    table = np.zeros((128, 128), dtype=np.int64)
    for symbol, z in _Z_OF_SYMBOL.items():
        table[ord(symbol[0]), ord(symbol[1]) if len(symbol) > 1 else 0] = z
    return table


def _numbers_of_text(array: NDArray[np.str_]) -> NDArray[np.int64]:
    """Atomic numbers of an array of text, by its letters and not one by one."""
    text = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    letters = text.reshape(-1, 1).view(np.uint32)
    # No symbol has the last letter of the table.
    first, second = (np.minimum(letters[:, k : k + 1].sum(axis=1), 127) for k in (0, 1))
    z = _number_by_letters()[first, second]
    z[letters[:, 2:].any(axis=1)] = 0
    return z.reshape(array.shape)


def symbols(z: ArrayLike) -> NDArray[np.str_]:
    """Element symbols of an array of atomic numbers.

    Parameters
    ----------
    z : array-like of int
        Atomic numbers from 1 to 103, of any shape.

    Returns
    -------
    ndarray of str
        Same shape as `z`.

    Raises
    ------
    ValueError
        If a value is not an integer from 1 to 103.

    Examples
    --------
    >>> from qcanvas_sklearn.elements import symbols
    >>> symbols([[47, 13]]).tolist()
    [['Ag', 'Al']]
    """
    return np.array(SYMBOLS)[_check_z(z)]


def _check_z(z: ArrayLike) -> NDArray[np.int64]:
    given = np.asarray(z)
    # Whatever is no number at all becomes 0, which is no atomic number either.
    numbers = given if given.dtype.kind in "iuf" else np.zeros(given.shape)
    bad = ~((numbers >= 1) & (numbers <= MAX_Z) & (numbers == np.floor(numbers)))
    if bad.any():
        raise ValueError(f"{given[bad].flat[0]} is not an atomic number from 1 to {MAX_Z}")
    return numbers.astype(np.int64)


def valence_orbital_populations(z: ArrayLike) -> NDArray[np.float64]:
    """Populations of the valence orbitals of isolated, spherically averaged atoms.

    Parameters
    ----------
    z : array-like of int, shape (...)
        Atomic numbers from 1 to 103.

    Returns
    -------
    ndarray of shape (..., 16)
        Electrons in each orbital, at index l² + l + m; the electrons of a shell are
        spread evenly over its 2l + 1 orbitals.

    Raises
    ------
    ValueError
        If a value is not an integer from 1 to 103.

    Examples
    --------
    >>> from qcanvas_sklearn.elements import valence_orbital_populations
    >>> valence_orbital_populations(6)[:4].round(3)  # carbon: 2s2 2p2
    array([2.   , 0.667, 0.667, 0.667])
    """
    numbers = _check_z(z)
    blocks = [
        np.repeat((property_values(shell)[numbers] / (2 * l + 1))[..., None], 2 * l + 1, -1)
        for l, shell in enumerate(_SHELLS)
    ]
    return np.concatenate(blocks, axis=-1)

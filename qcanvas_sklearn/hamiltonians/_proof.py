"""The proof that matrices are in canonical order: what two centres allow, and what is left.

The overlap of two orbitals depends on their two atoms alone, so that in a frame whose z axis
is the bond it vanishes unless m = m', and is the same for m and -m [1]_. Another order of
the orbitals, or another sign of one of them, destroys that form.

.. [1] J. C. Slater, G. F. Koster, Phys. Rev. 94, 1498 (1954), doi:10.1103/PhysRev.94.1498
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..elements import SYMBOLS, atomic_numbers
from ..structures import Molecules
from ._basis import LETTERS, Basis, Orbitals
from ._blocks import Blocks, element_blocks, layout_of
from ._conventions import CONVENTIONS, orbital_order, to_canonical
from ._harmonics import bond_frames, rotation
from ._packed import pack

__all__ = [
    "Fault",
    "check_two_centre_share",
    "fitting_conventions",
    "prove_overlaps",
    "repacked",
    "two_centre_rest",
]

#: Matrix elements that are looked at together.
_BATCH = 4_000_000
#: Molecules on which other conventions are tried.
_TRIALS = 50
#: Share of the squared off-site elements that need not be of two centres. Kohn-Sham matrices
#: of molecules leave 0.1 to 5 per cent in the right order, the more the more diffuse the
#: basis, and some 40 per cent or more in a wrong one: up to the first number a convention is
#: believed to be the right one, beyond the second none is accepted.
_PLAUSIBLE, _MAX_SHARE = 0.1, 0.2
#: A convention that leaves so much less than the stated one is the right one.
_MUCH_LESS = 2.0


class Fault(NamedTuple):
    """The block that is furthest from what it has to be.

    Attributes
    ----------
    rest : float
        What is left of its largest wrong element.
    row : int
        Molecule.
    atoms, shells : tuple of two int
        Its atoms, counted within the molecule, and the shells of these.
    """

    rest: float
    row: int
    atoms: tuple[int, int]
    shells: tuple[int, int]


def _of_element(basis: Basis, symbol: str) -> Orbitals:
    return basis.orbitals(atomic_numbers([symbol]))


def _turned(
    blocks: NDArray[np.float64], frames: NDArray[np.float64], a: Orbitals, b: Orbitals
) -> NDArray[np.float64]:
    """Blocks (k, n_a, n_b) in the frames of their bonds (k, 3, 3)."""
    momenta = set(a.l.tolist()) | set(b.l.tolist())
    turns = {l: rotation(l, frames) for l in momenta}
    out = np.empty_like(blocks)
    for rows in _shell_slices(a):
        left = turns[int(a.l[rows.start])]
        for columns in _shell_slices(b):
            right = turns[int(b.l[columns.start])]
            block = blocks[:, rows, columns]
            out[:, rows, columns] = left @ block @ right.transpose(0, 2, 1)
    return out


def _shell_slices(orbitals: Orbitals) -> list[slice]:
    first = np.flatnonzero(orbitals.m == -orbitals.l)
    return [slice(start, start + 2 * orbitals.l[start] + 1) for start in first.tolist()]


def two_centre_rest(
    blocks: NDArray[np.float64],
    vectors: NDArray[np.float64],
    a: Orbitals,
    b: Orbitals,
    *,
    alike: bool = False,
) -> NDArray[np.float64]:
    """What two centres cannot give of the blocks between two atoms.

    Parameters
    ----------
    blocks : ndarray of shape (k, n_a, n_b)
        Blocks in canonical order.
    vectors : ndarray of shape (k, 3)
        From the first atom of each to the second.
    a, b : Orbitals
        Orbitals of the two elements.
    alike : bool, default=False
        Whether both atoms carry the same functions, which then may be exchanged.

    Returns
    -------
    ndarray of shape (k, n_a, n_b)
        The rest, in the frames of the bonds.
    """
    turned = _turned(blocks, bond_frames(vectors), a, b)
    i, j = np.nonzero(a.m[:, None] == b.m)
    opposite = turned[:, i - 2 * a.m[i], j - 2 * b.m[j]]
    allowed = np.zeros_like(turned)
    allowed[:, i, j] = (turned[:, i, j] + opposite) / 2
    if alike:
        parity = (-1.0) ** (a.l[:, None] + b.l)
        allowed = (allowed + parity * allowed.transpose(0, 2, 1)) / 2
    return turned - allowed


def _on_site_rest(blocks: NDArray[np.float64], a: Orbitals) -> NDArray[np.float64]:
    """What one centre cannot give of on-site blocks: all but multiples of 1 for equal l."""
    allowed = np.zeros_like(blocks)
    for rows in _shell_slices(a):
        for columns in _shell_slices(a):
            block = blocks[:, rows, columns]
            if block.shape[1] == block.shape[2]:
                mean = np.trace(block, axis1=1, axis2=2) / block.shape[1]
                allowed[:, rows, columns] = mean[:, None, None] * np.eye(block.shape[1])
    return blocks - allowed


def _worst(
    rest: NDArray[np.float64], blocks: Blocks, molecules: Molecules, a: Orbitals, b: Orbitals
) -> Fault:
    size = np.abs(rest)
    k, i, j = np.unravel_index(int(size.argmax()), size.shape)
    row = int(blocks.row[k])
    start = int(molecules.ptr[row])
    return Fault(
        float(size[k, i, j]), row, (int(blocks.i[k]) - start, int(blocks.j[k]) - start),
        (int(a.shell[i]), int(b.shell[j])),
    )  # fmt: skip


def _fault(molecules: Molecules, basis: Basis, flat: NDArray[np.float64]) -> Fault:
    """Largest fault of the overlaps of some molecules."""
    worst = Fault(0.0, 0, (0, 0), (0, 0))
    blocks = element_blocks(molecules, basis)
    for symbol, on_site in blocks.on_site.items():
        a = _of_element(basis, symbol)
        rest = _on_site_rest(flat[on_site.index], a)
        worst = max(worst, _worst(rest, on_site, molecules, a, a), key=lambda f: f.rest)
    for (first, second), off_site in blocks.off_site.items():
        a, b = _of_element(basis, first), _of_element(basis, second)
        vectors = molecules.positions[off_site.j] - molecules.positions[off_site.i]
        values = flat[off_site.index]
        rest = two_centre_rest(values, vectors, a, b, alike=first == second)
        worst = max(worst, _worst(rest, off_site, molecules, a, b), key=lambda f: f.rest)
    return worst


def _batches(molecules: Molecules, basis: Basis) -> list[slice]:
    """Consecutive molecules whose matrices are no more than so many elements."""
    ptr = layout_of(molecules, basis).ptr
    cuts = [0]
    while cuts[-1] < len(molecules):
        end = int(np.searchsorted(ptr, ptr[cuts[-1]] + _BATCH, side="right")) - 1
        cuts.append(max(end, cuts[-1] + 1))
    return [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]


def prove_overlaps(
    molecules: Molecules,
    basis: Basis,
    flat: NDArray[np.float64],
    given: Sequence[NDArray],
    *,
    convention: str,
    tolerance: float,
) -> None:
    """Raise a ValueError unless all overlaps are of the form that two centres allow.

    Parameters
    ----------
    molecules : Molecules
        Structures.
    basis : Basis
        Shells of their elements.
    flat : ndarray
        Packed overlaps in canonical order.
    given : sequence of ndarray
        The overlaps as they came, on which other conventions are tried.
    convention : str
        What the order was said to be.
    tolerance : float
        Largest rest that is accepted.

    Raises
    ------
    ValueError
        It names the molecule, the atoms and the shells at fault, and the conventions in
        which the overlaps would be right.
    """
    ptr = layout_of(molecules, basis).ptr
    for batch in _batches(molecules, basis):
        fault = _fault(molecules[batch], basis, flat[ptr[batch.start] : ptr[batch.stop]])
        if fault.rest > tolerance:
            fault = fault._replace(row=fault.row + batch.start)
            _refuse(molecules, basis, given, fault, convention, tolerance)


def _refuse(
    molecules: Molecules,
    basis: Basis,
    given: Sequence[NDArray],
    fault: Fault,
    convention: str,
    tolerance: float,
) -> None:
    z = molecules.z[molecules.ptr[fault.row] + np.array(fault.atoms)]
    shells = [basis.shells(int(k))[s] for k, s in zip(z, fault.shells, strict=True)]
    atoms = [SYMBOLS[k] for k in z.tolist()]
    first, second = (
        f"shell {s} ({LETTERS[l]}) of atom {i} ({atom})"
        for s, l, i, atom in zip(fault.shells, shells, fault.atoms, atoms, strict=True)
    )
    if fault.atoms[0] != fault.atoms[1]:
        form = "of Slater-Koster form"
    else:
        form = "proportional to 1" if shells[0] == shells[1] else "zero"
    rows = np.arange(len(molecules))
    rows = rows[np.argsort(np.abs(rows - fault.row), kind="stable")][:_TRIALS]
    given = [given[row] for row in rows.tolist()]
    fitting = fitting_conventions(molecules[rows], basis, given, CONVENTIONS, tolerance)
    if fitting:
        advice = f"the overlaps would be right as convention {' or '.join(map(repr, fitting))}"
    else:
        advice = (
            "no known convention fits: is the order of the shells in `basis` that of the "
            "matrices, and are the positions those of the overlaps? Data of few digits need "
            "a larger `tolerance`"
        )
    raise ValueError(
        f"overlap {fault.row} ({str(molecules.names[fault.row])!r}): the block of {first} and "
        f"{second} is not {form}, {fault.rest:.2g} is left where {tolerance:.2g} is accepted; "
        f"the orbitals are not in the order and signs of convention {convention!r}; {advice}"
    )


def fitting_conventions(
    molecules: Molecules,
    basis: Basis,
    given: Sequence[NDArray],
    names: Iterable[str],
    tolerance: float,
) -> list[str]:
    """Those of some conventions in which overlaps have the form that two centres allow."""
    return [
        name
        for name in names
        if _fault(molecules, basis, repacked(molecules, basis, given, name)).rest <= tolerance
    ]


def repacked(
    molecules: Molecules, basis: Basis, given: Sequence[NDArray], convention: str
) -> NDArray[np.float64]:
    """Packed matrices, read in a convention."""
    parts = [np.zeros(0)]
    for row, matrix in enumerate(given):
        z = molecules.z[molecules.ptr[row] : molecules.ptr[row + 1]]
        order, signs = orbital_order(basis, z, convention)
        parts.append(pack(to_canonical(np.asarray(matrix, np.float64), order, signs)))
    return np.concatenate(parts)


def _share(molecules: Molecules, basis: Basis, flat: NDArray[np.float64]) -> float:
    """Share of the squared off-site elements that two centres cannot give."""
    left = total = 0.0
    for (first, second), off_site in element_blocks(molecules, basis).off_site.items():
        a, b = _of_element(basis, first), _of_element(basis, second)
        vectors = molecules.positions[off_site.j] - molecules.positions[off_site.i]
        values = flat[off_site.index]
        left += float((two_centre_rest(values, vectors, a, b) ** 2).sum())
        total += float((values**2).sum())
    return left / total if total else 0.0


def check_two_centre_share(
    molecules: Molecules, basis: Basis, given: Sequence[NDArray], convention: str
) -> None:
    """Raise a ValueError if Hamiltonians look as if they were in another convention.

    Without an overlap nothing is proved: the field of the other atoms is in every block. But
    most of each off-site block is of two centres, in the right convention only.

    Parameters
    ----------
    molecules : Molecules
        Structures.
    basis : Basis
        Shells of their elements.
    given : sequence of ndarray
        The Hamiltonians as they came.
    convention : str
        What their order was said to be.

    Raises
    ------
    ValueError
        It names the convention in which most of them is of two centres, if there is one.
    """
    some, few = molecules[:_TRIALS], given[:_TRIALS]
    shares = {
        name: _share(some, basis, repacked(some, basis, few, name)) for name in CONVENTIONS
    }
    best = min(shares, key=lambda name: shares[name])
    stated, least = shares[convention], shares[best]
    if least < _PLAUSIBLE and stated > _MUCH_LESS * least + 1e-6:
        advice = (
            f"in {best!r} {least:.1%}: the orbitals look as if they were in the order and "
            f"signs of {best!r}"
        )
    elif stated > _MAX_SHARE:
        advice = (
            f"where a Hamiltonian leaves {_MAX_SHARE:.0%} at most, and no known convention "
            "fits better: is the order of the shells in `basis` that of the matrices?"
        )
    else:
        return
    raise ValueError(
        f"in convention {convention!r} {stated:.1%} of the squared off-site Hamiltonians "
        f"cannot come from two centres, {advice}"
    )

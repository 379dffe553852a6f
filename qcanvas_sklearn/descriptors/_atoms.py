"""What surrounds each atom, as a vector: SOAP by DScribe, FCHL19 by qmllib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._optional import require
from .._validation import check_choice
from ..elements import symbols
from ..structures import Molecules
from ._coulomb import refuse_periodic

__all__ = ["ATOM_KINDS", "atom_vectors", "check_atom_options"]

Array = NDArray[np.float64]

ATOM_KINDS = ("fchl19", "soap")

#: Defaults that differ from the library's, and its parameters that are ours to set.
_SOAP_DEFAULTS = {"n_max": 6, "l_max": 4, "sigma": 0.4}
_SOAP_OURS = {"self", "species", "r_cut", "periodic", "average", "sparse", "dtype"}
_FCHL19_OURS = {
    "nuclear_charges", "coordinates", "elements", "rcut", "acut", "pad", "gradients",
}  # fmt: skip
_CUTOFF = {"soap": 5.0, "fchl19": 8.0}


def _load(kind: str) -> tuple[Callable[..., Any], set[str]]:
    """The library's function for a kind, and its parameters that are not the user's."""
    module, name, ours = {
        "soap": ("dscribe.descriptors", "SOAP", _SOAP_OURS),
        "fchl19": ("qmllib.representations", "generate_fchl19", _FCHL19_OURS),
    }[kind]
    return getattr(require(f"kind={kind!r}", module), name), ours


def check_atom_options(
    kind: str, cutoff: float | None, options: Mapping[str, Any] | None
) -> None:
    """Check what a description of atoms is asked to be.

    Raises
    ------
    ValueError
        If the kind is unknown, the cutoff no positive number, or an option is none of the
        library's.
    ImportError
        If the library is not installed.
    """
    check_choice("kind", kind, ATOM_KINDS)
    if cutoff is not None and not (isinstance(cutoff, Real) and 0 < cutoff < np.inf):
        raise ValueError(f"cutoff={cutoff!r} is not a positive length in angstrom, or None")
    function, ours = _load(kind)
    known = set(signature(function).parameters) - ours
    if options is not None and not (isinstance(options, Mapping) and set(options) <= known):
        raise ValueError(
            f"options={options!r} is not a mapping with keys out of {sorted(known)}, or None"
        )


def atom_vectors(
    kind: str,
    molecules: Molecules,
    elements: NDArray[np.int64] | None = None,
    *,
    cutoff: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> Array:
    """Describe the surroundings of each atom.

    Parameters
    ----------
    kind : {"fchl19", "soap"}
        FCHL19, which needs qmllib, or SOAP, which needs DScribe.
    molecules : Molecules
        Structures; periodic ones for SOAP only.
    elements : ndarray of int, optional
        Atomic numbers of the elements that have columns, by default those that occur.
    cutoff : float, optional
        Distance in Å beyond which nothing is seen; by default 8 (FCHL19), 5 (SOAP).
    options : mapping, optional
        Further arguments of ``qmllib.representations.generate_fchl19`` or
        ``dscribe.descriptors.SOAP``. The latter starts from ``n_max=6, l_max=4,
        sigma=0.4``.

    Returns
    -------
    ndarray of shape (N, d)
        A line for each atom.

    Raises
    ------
    ImportError
        If the library is not installed.
    ValueError
        If an argument is not acceptable, or an element has no columns.

    References
    ----------
    .. [1] A. S. Christensen, L. A. Bratholm, F. A. Faber, O. A. von Lilienfeld, FCHL
       revisited: Faster and more accurate quantum machine learning, J. Chem. Phys. 152,
       044107 (2020), arXiv:1909.01946.
    .. [2] A. P. Bartók, R. Kondor, G. Csányi, On representing chemical environments, Phys.
       Rev. B 87, 184115 (2013), arXiv:1209.3140.
    .. [3] L. Himanen et al., DScribe: Library of descriptors for machine learning in
       materials science, Comput. Phys. Commun. 247, 106949 (2020), arXiv:1904.08875.
    """
    check_atom_options(kind, cutoff, options)
    elements = molecules.elements if elements is None else np.unique(elements)
    missing = np.setdiff1d(molecules.elements, elements)
    if len(missing):
        raise ValueError(f"elements {symbols(missing).tolist()} have no columns")
    describe = {"soap": _soap, "fchl19": _fchl19}[kind]
    return describe(molecules, elements, cutoff or _CUTOFF[kind], dict(options or {}))


def _fchl19(
    molecules: Molecules, elements: NDArray[np.int64], cutoff: float, options: dict[str, Any]
) -> Array:
    refuse_periodic(molecules, "fchl19")
    generate, _ = _load("fchl19")
    z, positions, ptr = molecules.z.astype(np.int32), molecules.positions, molecules.ptr
    parts = [
        generate(z[start:end], positions[start:end], elements=elements.tolist(),
                 rcut=cutoff, acut=cutoff, **options)
        for start, end in zip(ptr[:-1], ptr[1:], strict=True)
    ]  # fmt: skip
    return np.concatenate(parts)


def _soap(
    molecules: Molecules, elements: NDArray[np.int64], cutoff: float, options: dict[str, Any]
) -> Array:
    make, _ = _load("soap")
    # Two of them: a periodic one repeats cells that a row without any does not have.
    single, periodic = (
        make(species=elements.tolist(), r_cut=cutoff, periodic=repeats, average="off",
             sparse=False, dtype="float64", **(_SOAP_DEFAULTS | options))
        for repeats in (False, True)
    )  # fmt: skip
    parts = [
        (periodic if atoms.pbc.any() else single).create(atoms) for atoms in molecules.to_ase()
    ]
    return np.concatenate(parts)
